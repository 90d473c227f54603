/* SPDX-License-Identifier: Apache-2.0 */
/* What callers say of a child's confinement, as a kit for workers. */
#pragma once

#include <limits.h>

#include "edge/lib/zygote.h"
#include "life/worker_kit.h"

/* For children of that machine. `jail` NULL: all walls. */
must_check err_t jail_kit_new(const struct spore_jail *jail, const struct image *machine,
			      struct diag *d, struct worker_kit **ret_kit);
/* The path of spore-worker; `jail` may be NULL. */
const char *jail_program(const struct spore_jail *jail, char buffer[static PATH_MAX]);
/* A zygote's own, with all walls: a reference. */
must_check err_t jail_kit_of(spore_zygote *z, struct diag *d, struct worker_kit **ret_kit);

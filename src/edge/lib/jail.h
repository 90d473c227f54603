/* SPDX-License-Identifier: Apache-2.0 */
/* What callers say of a child's confinement, as a kit for workers. */
#pragma once

#include <spore.h>

#include "life/worker_kit.h"

/* `jail` NULL: all walls. For children of that machine. */
must_check err_t jail_kit(const struct spore_jail *jail, const struct image *machine,
			  struct diag *d, struct worker_kit **ret_kit);

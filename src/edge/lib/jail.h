/* SPDX-License-Identifier: Apache-2.0 */
/* What callers say of a child's confinement, as a kit for workers. */
#pragma once

#include "edge/lib/zygote.h"
#include "life/worker_kit.h"

/* For children of that zygote. `jail` NULL: all walls, and one kit for all who ask so. */
must_check err_t jail_kit(spore_zygote *z, const struct spore_jail *jail, struct diag *d,
			  struct worker_kit **ret_kit);

/* SPDX-License-Identifier: Apache-2.0 */
/* The handle of a machine in a worker. */
#pragma once

#include "edge/lib/machine.h"
#include "life/pool.h"
#include "life/worker_host.h"
#include "plan/image.h"

struct child_request {
	struct zygote *zygote;
	const struct identity *identity;
	struct pool *pool;            /* NULL: none, */
	struct worker_kit *kit;       /* but this, which is taken on success */
	bool run;
	uint64_t since_ns;
};
must_check err_t child_spawn(const struct child_request *r, struct diag *d,
			     spore_machine **ret_machine);

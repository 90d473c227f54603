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

/* Of a machine in a worker, for the process that comes after this one. */
struct child_words {
	char name[65];
	uint64_t began; /* CLOCK_MONOTONIC in ns: the call that it was spawned by */
	struct { size_t n; struct spore_identity_disk *disk; } files; /* that it was given; borrowed */
};
must_check err_t child_pack(const spore_machine *m, struct diag *d, struct child_words *ret_words,
			    int ret_fds[WORKER_FILES], struct zygote **ret_zygote);
/* All of `fds` are taken, on failure too; the rest is copied or counted. `pool` may be NULL. */
must_check err_t child_adopt(const struct child_words *words, fd_t fds[WORKER_FILES],
			     struct zygote *z, struct pool *pool, struct diag *d,
			     spore_machine **ret_machine);
/* As spore_machine_free, and it lives on. */
void child_leave_running(spore_machine *m);
/* What another thread waits for of it fails, soon, and it can only be left. Any thread. */
void child_hurry(spore_machine *m);

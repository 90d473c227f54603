/* SPDX-License-Identifier: Apache-2.0 */
/* The process that a supervisor's workers are born in (docs/design/0020). It is small, has one thread,
 * and stands in the workers' network namespace; it sees no guest, and trusts its supervisor. Workers
 * are children of the supervisor: they live on without it. */
#pragma once

#include "base/own.h"
#include "machine/jail/jail.h"

struct nursery;
/* Runs `program`, an open spore-worker, which reads `layout` (life/worker_layout.h). Uses of the options
 * all but `uid` and `keep`; borrows all descriptors for the call. */
must_check err_t nursery_start(int program, int layout, const struct jail_options *o,
			       struct diag *d, struct nursery **ret_nursery);
/* It ends, and was waited for. Accepts NULL. */
void nursery_free(struct nursery *n);

/* A worker: a child of this process, to be waited for. */
struct born {
	pid_t pid;
	fd_t pidfd;
};
/* A copy of the nursery, in its jail's namespaces, that has `socket`, which is borrowed. ERR_REMOTE:
 * the nursery is gone. One at a time. */
must_check err_t nursery_bear(struct nursery *n, uint32_t uid, int socket, struct diag *d,
			      struct born *ret_born);

/* The program's side: what a worker does with its socket, and its exit status. `layout` is in memory that
 * it shares with its siblings while nobody writes there. */
struct image;
typedef int nursery_job(int socket, const struct image *layout, struct jail_options *jail);
/* Of a program that was run by nursery_start: bears workers until the supervisor has no more use for
 * it; returns its exit status. */
int nursery_serve(int argc, char **argv, nursery_job *job);

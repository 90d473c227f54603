/* SPDX-License-Identifier: Apache-2.0 */
/* Machines made ahead of need, and the end of those that are no longer needed: a thread of the pool's
 * own builds and tears down, so that a spawn and a stop do neither.
 *
 * A pool is for one durable layout: its shells serve every zygote that has it. It may also hold armed
 * machines, which were spawned of one zygote and never run; while some are wanted it keeps that zygote
 * alive; and in any case the last zygote that was spawned from it, which is likely to be the next.
 *
 * Any thread may call anything here at any moment. */
#pragma once

#include "life/vm.h"
#include "life/zygote.h"

enum {
	POOL_MOST = 4096,     /* shells, and armed machines */
	POOL_DEAD_MOST = 256, /* machines that wait to be torn down; those beyond it are by their owner */
};

struct pool;
struct pool_want { uint32_t shells, armed; };
struct pool_stats {
	struct pool_want want;
	uint32_t shells, armed;  /* ready */
	uint32_t building;
	uint32_t dead;           /* being torn down, or waiting for it */
	uint64_t from_shell, from_armed, cold; /* spawned so far */
	uint64_t failures;       /* to build one, so far */
	err_t last;              /* the last of them, and what was said of it */
	struct diag why;
};

/* For zygotes like `z`, and armed with it. */
must_check err_t pool_new(struct zygote *z, struct pool_want want, struct diag *d,
			  struct pool **ret_pool);
/* Nothing more is built, what is ready goes, the thread ends. Those who hold a reference may go on
 * with it: they build and tear down themselves. */
void pool_close(struct pool *p);
struct pool *pool_again(struct pool *p);
void pool_free(struct pool *p); /* one reference, of a closed pool; accepts NULL */

must_check err_t pool_resize(struct pool *p, uint32_t shells, struct diag *d);
/* From now on this many machines of `z` are armed, and none of another zygote. */
must_check err_t pool_arm(struct pool *p, struct zygote *z, uint32_t armed, struct diag *d);
struct pool_stats pool_look(struct pool *p);
/* Waits until all that is wanted is ready and nobody is dead, or something cannot be built, or `ms`
 * have passed (negative: for ever). True: it is so. */
must_check bool pool_settle(struct pool *p, int ms);

/* vm_spawn in whatever is ready: an armed machine (of that zygote, with its disks), else a shell, else
 * in one that is built now. ERR_TOPOLOGY or ERR_CPU_FEATURE when the zygote is of another layout. */
must_check err_t pool_spawn(struct pool *p, struct zygote *z, const struct identity *id,
			    const struct vm_options *o, struct diag *d, vm_paused **ret_vm);

/* The same with workers. What each is given is fixed here: `kit` is taken on success. */
struct worker;
struct worker_kit;
must_check err_t pool_workers_new(struct zygote *z, struct pool_want want, struct worker_kit *kit,
				  struct diag *d, struct pool **ret_pool);
bool pool_is_of_workers(const struct pool *p);
/* worker_spawn in whatever is ready, running or paused. */
must_check err_t pool_worker_spawn(struct pool *p, struct zygote *z, const struct identity *id,
				   bool run, struct diag *d, struct worker **ret_worker);
/* Kills it; somebody else waits until nothing is left. */
void pool_worker_retire(struct pool *p, struct worker *w);

/* The end of a machine. It does not run any more when this returns, and nobody is called by it. One
 * that writes to a disk in place is torn down here and now, since others may be waiting for that. */
void pool_retire(struct pool *p, vm_paused *vm);
void pool_retire_running(struct pool *p, vm_running *vm);

/* SPDX-License-Identifier: Apache-2.0 */
/* A machine in this process. The typed states of flow.h are inside; outside there is one handle
 * and a lock, so that any thread may call. Shared by local.c (standing state), local_start.c (boot
 * and restore), local_spawn.c and local_freeze.c (pause, resume, snapshot, freeze, stop). */
#pragma once

#include <jansson.h>

#include "base/own.h"
#include "edge/lib/console.h"
#include "edge/lib/machine.h"
#include "life/pool.h"
#include "life/vm.h"

struct local {
	struct spore_machine base; /* first: a spore_machine * is a struct local * */
	pthread_mutex_t lock;      /* everything below but the console, which has its own */
	enum spore_state state;
	vm_running *running;       /* SPORE_RUNNING */
	vm_paused *paused;         /* SPORE_PAUSED */
	enum spore_outcome outcome;      /* SPORE_ENDED */
	struct spore_error why;          /* SPORE_OUTCOME_ERROR and _CRASH */
	fd_t ended;                      /* eventfd: readable once it has ended */
	fd_t event;                      /* epoll over `ended` and the machine's own descriptor */
	json_t *doc;                     /* what it is; set with the first start, */
	const struct image *image;       /* or made of this when it is asked for: a reference */
	struct pool *pool;               /* where it came from and is to end: a reference, or NULL */
	char name[65];
	uint64_t verify_ns;              /* what a restore spent on verifying RAM before */
	struct phase_times times;        /* SPORE_ENDED: as they were */
	struct console console;
};

static inline struct local *local_of(spore_machine *m)
{
	return (struct local *)m;
}

struct locked { pthread_mutex_t *lock; };

static inline struct locked local_lock(struct local *l)
{
	(void)pthread_mutex_lock(&l->lock);
	return (struct locked){ &l->lock };
}

static inline void local_unlock(struct locked *k)
{
	(void)pthread_mutex_unlock(k->lock);
}

/* Holds the lock until the end of the block. */
#define LOCAL_LOCK(l) \
	__attribute__((cleanup(local_unlock), unused)) struct locked locked_ = local_lock(l)

must_check err_t local_new(const struct spore_machine_options *o, struct diag *d,
			   struct local **ret);

/* All with the lock held. */
void local_refresh(struct local *l);                      /* notices that the machine has ended */
void local_end(struct local *l, enum spore_outcome o, const struct diag *why);
void local_runs(struct local *l, vm_running *vm);         /* takes it */
void local_unstart(struct local *l);                      /* back to NOT_STARTED */
struct vm_options local_vm_options(struct local *l);

err_t local_boot(spore_machine *m, const struct spore_config *c, struct diag *d);
err_t local_restore(spore_machine *m, const char *path, const struct spore_restore_options *o,
		    struct diag *d);
err_t local_pause(spore_machine *m, struct diag *d);
err_t local_resume(spore_machine *m, struct diag *d);
err_t local_snapshot(spore_machine *m, const char *path, const struct spore_snapshot_options *o,
		     struct diag *d);
err_t local_freeze(spore_machine *m, const struct spore_freeze_options *o,
		   struct zygote **ret_zygote, struct diag *d);
err_t local_branch(spore_machine *m, struct zygote **ret_zygote, uint64_t *ret_pause_ns,
		   struct diag *d);
err_t local_stop(spore_machine *m, struct diag *d);

/* A new one, PAUSED or RUNNING. */
struct spawn_request {
	struct zygote *zygote;
	const struct identity *identity;
	const struct spore_machine_options *machine;
	struct pool *pool; /* NULL: none */
	bool resume;
	uint64_t since_ns; /* when it was asked for */
};
must_check err_t local_spawn(const struct spawn_request *r, struct diag *d, struct local **ret);

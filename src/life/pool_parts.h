/* SPDX-License-Identifier: Apache-2.0 */
/* What a pool is made of. Between pool.c and pool_spawn.c. */
#pragma once

#include <pthread.h>
#include <time.h>

#include "base/refs.h"
#include "life/pool.h"

struct worker_kit;
struct stack {
	uint32_t n;
	void *thing[POOL_MOST];
};

static inline void stack_push(struct stack *s, void *thing)
{
	s->thing[s->n++] = thing;
}

static inline void *stack_pop(struct stack *s)
{
	return s->thing[--s->n];
}

/* What a pool is a pool of: machines in this process (pool_spawn.c), or workers (pool_worker.c). */
struct pool_kind {
	/* One that is ready for any zygote of the layout, and may have `likely` at hand. */
	err_t (*build)(const struct pool *p, struct zygote *likely, struct diag *d, void **ret);
	/* Of that one, paused before its first entry. */
	err_t (*arm)(const struct pool *p, struct zygote *z, struct diag *d, void **ret);
	void (*free)(void *thing); /* takes its time */
};

struct pool {
	struct refs references;
	const struct pool_kind *kind;
	const struct image *layout; /* what shells are made like; a reference */
	struct worker_kit *kit;     /* of workers: what each is given; owned */
	pthread_t thread;

	pthread_mutex_t lock;       /* all below */
	pthread_cond_t work, done;  /* for the thread, of the thread */
	bool closing;
	struct zygote *zygote;      /* what armed machines are of; a reference, NULL: none are wanted */
	struct pool_want want;
	struct stack shells, armed, dead; /* of dead, at most POOL_DEAD_MOST */
	struct zygote *likely;      /* the last that was spawned, and has the layout; a reference */
	uint32_t building, freeing; /* by the thread, now: 0 or 1 */
	bool turn;                  /* it has torn down last */
	int pause_ms;               /* 0: the last build succeeded */
	struct timespec not_before;
	struct timespec quiet, late; /* of a burst of spawns: over then, and not to be waited for longer */
	uint64_t from_shell, from_armed, cold, failures;
	err_t last;
	struct diag why;
};

void pool_lock(struct pool *p);
void pool_unlock(struct pool *p);
/* False, and not taken, when the thread would have too much to do. Lock held. */
must_check bool pool_leave(struct pool *p, void *thing);
/* An armed one (of that zygote, if its own disks will do), else a shell, else neither. */
struct taken { void *armed, *shell; };
struct taken pool_take(struct pool *p, const struct zygote *z, const struct identity *id);
/* What was taken is not made again before the spawns that come in a row are over. Lock held. */
void pool_note_spawn(struct pool *p);
/* ERR_TOPOLOGY, ERR_CPU_FEATURE: another layout. */
must_check err_t pool_judge(struct pool *p, struct zygote *z, struct diag *d);
/* A pool of that kind; `kit` is taken on success. */
must_check err_t pool_make(struct zygote *z, struct pool_want want, const struct pool_kind *kind,
			   struct worker_kit *kit, struct diag *d, struct pool **ret_pool);

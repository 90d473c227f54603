/* SPDX-License-Identifier: Apache-2.0 */
/* What a pool is made of. Between pool.c and pool_spawn.c. */
#pragma once

#include <pthread.h>
#include <time.h>

#include "base/refs.h"
#include "life/pool.h"

struct vm;

struct stack {
	uint32_t n;
	struct vm *vm[POOL_MOST];
};

static inline void stack_push(struct stack *s, struct vm *vm)
{
	s->vm[s->n++] = vm;
}

static inline struct vm *stack_pop(struct stack *s)
{
	return s->vm[--s->n];
}

struct pool {
	struct refs references;
	const struct image *layout; /* what shells are made like; a reference */
	pthread_t thread;

	pthread_mutex_t lock;       /* all below */
	pthread_cond_t work, done;  /* for the thread, of the thread */
	bool closing;
	struct zygote *zygote;      /* what armed machines are of; a reference, NULL: none are wanted */
	struct pool_want want;
	struct stack shells, armed, dead; /* of dead, at most POOL_DEAD_MOST */
	struct zygote_id fits;      /* the last that was found to have the layout */
	uint32_t building, freeing; /* by the thread, now: 0 or 1 */
	bool turn;                  /* it has torn down last */
	int pause_ms;               /* 0: the last build succeeded */
	struct timespec not_before;
	uint64_t from_shell, from_armed, cold, failures;
	err_t last;
	struct diag why;
};

void pool_lock(struct pool *p);
void pool_unlock(struct pool *p);
/* False, and not taken, when the thread would have too much to do. Lock held. */
must_check bool pool_leave(struct pool *p, struct vm *vm);
/* ERR_TOPOLOGY, ERR_CPU_FEATURE: another layout. */
must_check err_t pool_judge(struct pool *p, const struct zygote *z, struct diag *d);

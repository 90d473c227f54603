/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine in a worker is to its handle. Inside child*.c only. */
#pragma once

#include <pthread.h>

#include "edge/lib/child.h"

struct child {
	struct spore_machine base; /* first: a spore_machine * is a struct child * */
	pthread_mutex_t talk;      /* held by who talks to the worker */
	pthread_mutex_t lock;      /* held by whoever writes or reads it, for moments, and last */
	struct worker *worker;     /* until the end of the handle */
	struct worker_kit *kit;    /* NULL: the pool's */
	struct pool *pool;         /* a reference, or NULL */
	_Atomic enum spore_state state;
	enum spore_outcome outcome;
	struct spore_error why;
	const struct image *image; /* a reference */
	struct identity_files { size_t n; struct spore_identity_disk *disk; } files; /* owned */
	char name[65];
	bool left;                 /* to another process */
	uint64_t began;            /* CLOCK_MONOTONIC in ns: the call */
};
extern const struct machine_ops child_ops;

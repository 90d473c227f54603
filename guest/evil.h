/* SPDX-License-Identifier: Apache-2.0 */
/* A driver that misbehaves, one way at a time: evil.c runs the ways of evil_kinds.c. */
#ifndef TGUEST_EVIL_H
#define TGUEST_EVIL_H

#include "text.h"
#include "virtio.h"

/* Of a request on queue 0: what will be announced, and what will be offered. */
struct evil {
	struct virtio *v;
	struct virtq *q;
	uint32_t size;
	uint64_t desc, avail, used;
	uint16_t head, avail_idx;
	unsigned last; /* index of the chain's last descriptor */
};

enum stage {
	STAGE_QUEUE, /* before the queue is announced: changes the announcement */
	STAGE_CHAIN, /* before the chain is offered: changes it */
	STAGE_LATE,  /* with the device going, before the chain is offered */
};

struct evil_kind {
	const char *name;
	enum stage stage;
	void (*spoil)(struct evil *e);
	bool disk_only;
};

extern const struct evil_kind evil_kinds[];
extern const size_t evil_kinds_count;

/* A descriptor of queue 0. */
static inline volatile struct virtq_desc *evil_desc(const struct evil *e, unsigned i)
{
	return &e->q->m->desc[i];
}

/* What follows `virtio evil`. */
const char *evil_run(struct args *a, struct reply *r);

#endif

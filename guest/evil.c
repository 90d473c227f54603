/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that misbehaves. Each case opens the device properly but for one
 * thing, offers it one request, and reports what the device did: it must live,
 * and may complete the chain, ignore it, or ask to be reset. Which of these is
 * right is for the test to say. The device counts as closed afterwards, so that
 * the next command starts it anew.
 */
#include "evil.h"

#include "blk.h"
#include "commands.h"
#include "cpu.h"

#define WATCH_POLLS 20000  /* a bound on looking, not a time */
#define STATUS_EVERY 64    /* polls of memory for one of the status register */

/* A chain that would be right: a disk's read of sector 0, or 64 random bytes. */
static void chain_make(struct evil *e)
{
	static struct blk_header header;
	static uint8_t status;
	struct virtq_desc chain[3] = {
		{ (uintptr_t)&header, sizeof header, DESC_NEXT, 1 },
		{ (uintptr_t)blk_buffers[0], SECTOR, DESC_NEXT | DESC_WRITE, 2 },
		{ (uintptr_t)&status, 1, DESC_WRITE, 0 },
	};
	struct virtq_desc random = { (uintptr_t)blk_buffers[0], 64, DESC_WRITE, 0 };

	memset(&header, 0, sizeof header);
	if (virtio_read(e->v, REG_DEVICE_ID) == VIRTIO_ID_BLK) {
		e->last = 2;
		for (unsigned i = 0; i < 3; i++)
			*evil_desc(e, i) = chain[i];
	} else {
		e->last = 0;
		*evil_desc(e, 0) = random;
	}
}

/* Watches until the device completes something or asks for a reset. */
static void evil_watch(const struct evil *e, struct reply *r)
{
	uint32_t status = 0;

	for (unsigned i = 0; i < WATCH_POLLS && !virtq_has_used(e->q); i++) {
		if (i % STATUS_EVERY == 0)
			status = virtio_read(e->v, REG_STATUS);
		if ((status & STATUS_NEEDS_RESET) != 0)
			break;
		cpu_pause();
	}
	reply_hex(r, "status", virtio_read(e->v, REG_STATUS));
	reply_hex(r, "isr", virtio_read(e->v, REG_INTERRUPT_STATUS));
	reply_dec(r, "used", e->q->m->used.idx);
	reply_dec(r, "len", virtq_has_used(e->q) ? e->q->m->used.ring[0].len : 0);
}

static void evil_offer(struct evil *e)
{
	e->q->m->avail.ring[0] = e->head;
	cpu_compiler_barrier();
	e->q->m->avail.idx = e->avail_idx;
	cpu_fence();
	virtio_write(e->v, REG_QUEUE_NOTIFY, 0);
}

static const char *evil_do(struct evil *e, const struct evil_kind *kind, struct reply *r)
{
	const char *fault = virtio_negotiate(e->v, 0);

	if (fault != NULL)
		return fault;
	virtio_write(e->v, REG_QUEUE_SEL, 0);
	e->size = virtio_read(e->v, REG_QUEUE_NUM_MAX);
	if (e->size == 0 || e->size > VIRTQ_SIZE)
		e->size = VIRTQ_SIZE;
	virtq_init(e->q, e->v->slot, 0, e->size);
	e->desc = (uintptr_t)e->q->m->desc;
	e->avail = (uintptr_t)&e->q->m->avail;
	e->used = (uintptr_t)&e->q->m->used;
	e->avail_idx = 1;
	chain_make(e);
	if (kind->stage != STAGE_LATE)
		kind->spoil(e);
	virtq_announce(e->v, 0, e->size, e->desc, e->avail, e->used);
	virtio_write(e->v, REG_QUEUE_SEL, 0);
	reply_dec(r, "ready", virtio_read(e->v, REG_QUEUE_READY));
	e->v->irq = false;
	virtio_write(e->v, REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK |
					       STATUS_DRIVER_OK);
	if (kind->stage == STAGE_LATE)
		kind->spoil(e);
	evil_offer(e);
	evil_watch(e, r);
	return NULL;
}

const char *evil_run(struct args *a, struct reply *r)
{
	const char *name = args_word(a);
	struct evil e = { 0 };
	uint64_t slot;

	if (name == NULL) {
		for (size_t i = 0; i < evil_kinds_count; i++) {
			reply_text(r, " ");
			reply_text(r, evil_kinds[i].name);
		}
		return NULL;
	}
	if (!args_number(a, &slot))
		return USAGE;
	e.v = virtio_slot(slot, 0);
	if (e.v == NULL || virtio_slot(slot, virtio_read(e.v, REG_DEVICE_ID)) == NULL)
		return "no device in that slot";
	e.q = &e.v->q[0];
	for (size_t i = 0; i < evil_kinds_count; i++) {
		if (!text_equal(evil_kinds[i].name, name))
			continue;
		if (evil_kinds[i].disk_only && virtio_read(e.v, REG_DEVICE_ID) != VIRTIO_ID_BLK)
			return "only for a disk";
		return evil_do(&e, &evil_kinds[i], r);
	}
	return "no such kind";
}

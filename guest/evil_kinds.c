/* SPDX-License-Identifier: Apache-2.0 */
/* Each way to misbehave: a function that spoils one thing, and its row. See evil.h. */
#include "evil.h"

#include "blk.h"
#include "bootinfo.h"
#include "cpu.h"

#define OUTSIDE (1ull << 45)
#define IN_HOLE 0xd0000000ull

/* The descriptor whose data the device reads or writes: a disk's second. */
static volatile struct virtq_desc *desc_data(const struct evil *e)
{
	return evil_desc(e, e->last == 0 ? 0 : 1);
}

static uint64_t ram_end(void)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < boot_info.ranges; i++) {
		const struct boot_range *range = &boot_info.range[i];

		if (range->type == 1 && range->start + range->len > end)
			end = range->start + range->len;
	}
	return end;
}

static void evil_loop(struct evil *e)
{
	evil_desc(e, e->last)->flags |= DESC_NEXT;
	evil_desc(e, e->last)->next = 0;
}

static void evil_self(struct evil *e)
{
	desc_data(e)->flags |= DESC_NEXT;
	desc_data(e)->next = e->last == 0 ? 0 : 1;
}

static void evil_next(struct evil *e)
{
	desc_data(e)->flags |= DESC_NEXT;
	desc_data(e)->next = (uint16_t)e->size;
}

static void evil_head(struct evil *e)
{
	e->head = (uint16_t)e->size;
}

static void evil_jump(struct evil *e)
{
	e->avail_idx = (uint16_t)(e->size + 1000);
}

static void evil_outside(struct evil *e)
{
	desc_data(e)->addr = OUTSIDE;
}

static void evil_hole(struct evil *e)
{
	desc_data(e)->addr = IN_HOLE;
}

static void evil_edge(struct evil *e)
{
	desc_data(e)->addr = ram_end() - 32;
}

static void evil_wrap(struct evil *e)
{
	desc_data(e)->addr = ~0ull - 31;
}

static void evil_device(struct evil *e)
{
	desc_data(e)->addr = e->v->base;
}

static void evil_zero(struct evil *e)
{
	desc_data(e)->len = 0;
}

static void evil_huge(struct evil *e)
{
	desc_data(e)->len = ~0u;
}

/* More than 4 GiB in one chain: every descriptor of a full ring at the top length. */
static void evil_sum(struct evil *e)
{
	for (unsigned i = e->last == 0 ? 0 : 1; i < e->size; i++) {
		evil_desc(e, i)->addr = (uintptr_t)blk_buffers[0];
		evil_desc(e, i)->len = 0x80000000u;
		evil_desc(e, i)->flags = (uint16_t)(DESC_WRITE | (i + 1 < e->size ? DESC_NEXT : 0));
		evil_desc(e, i)->next = (uint16_t)(i + 1);
	}
}

/* A full ring of small pieces: legal, and the longest chain there is. */
static void evil_long(struct evil *e)
{
	unsigned first = e->last == 0 ? 0 : 1;

	for (unsigned i = first; i < e->size; i++) {
		evil_desc(e, i)->addr = (uintptr_t)blk_buffers[0] + i;
		evil_desc(e, i)->len = 1;
		evil_desc(e, i)->flags = (uint16_t)(DESC_WRITE | (i + 1 < e->size ? DESC_NEXT : 0));
		evil_desc(e, i)->next = (uint16_t)(i + 1);
	}
}

/* Device-writable first, device-readable after it (2.7.4.2 forbids). */
static void evil_order(struct evil *e)
{
	evil_desc(e, 0)->flags |= DESC_WRITE | DESC_NEXT;
	evil_desc(e, 0)->next = 1;
	if (e->last == 0) {
		evil_desc(e, 1)->addr = evil_desc(e, 0)->addr;
		evil_desc(e, 1)->len = evil_desc(e, 0)->len;
		evil_desc(e, 1)->next = 0;
	}
	evil_desc(e, 1)->flags = (uint16_t)(e->last == 0 ? 0 : DESC_NEXT);
}

static void evil_readonly(struct evil *e)
{
	for (unsigned i = 0; i <= e->last; i++)
		evil_desc(e, i)->flags &= (uint16_t)~DESC_WRITE;
}

static void evil_writeonly(struct evil *e)
{
	for (unsigned i = 0; i <= e->last; i++)
		evil_desc(e, i)->flags |= DESC_WRITE;
}

static void evil_indirect(struct evil *e)
{
	desc_data(e)->flags |= DESC_INDIRECT;
}

static void evil_short(struct evil *e)
{
	evil_desc(e, 0)->len = 8;
}

/* A chain of one descriptor: for a disk, a header and no status byte. */
static void evil_lone(struct evil *e)
{
	evil_desc(e, 0)->flags &= (uint16_t)~DESC_NEXT;
}

static volatile struct blk_header *blk_header_of(const struct evil *e)
{
	return (volatile struct blk_header *)evil_desc(e, 0)->addr;
}

static void evil_type(struct evil *e)
{
	blk_header_of(e)->type = 0x1234;
}

static void evil_sector(struct evil *e)
{
	blk_header_of(e)->sector = blk_capacity(e->v);
}

static void evil_bigsector(struct evil *e)
{
	blk_header_of(e)->sector = ~0ull / SECTOR;
}

static void evil_size0(struct evil *e)
{
	e->size = 0;
}

static void evil_size3(struct evil *e)
{
	e->size = 3;
}

static void evil_sizebig(struct evil *e)
{
	e->size = 32768;
}

static void evil_align(struct evil *e)
{
	e->desc += 8;
	e->avail += 1;
	e->used += 2;
}

static void evil_ringoutside(struct evil *e)
{
	e->desc = e->avail = e->used = OUTSIDE;
}

static void evil_ringhole(struct evil *e)
{
	e->desc = e->avail = e->used = IN_HOLE;
}

static void evil_ringedge(struct evil *e)
{
	e->desc = e->avail = e->used = ram_end() - 16;
}

static void evil_ringwrap(struct evil *e)
{
	e->desc = e->avail = e->used = ~0ull - 15;
}

static void evil_overlap(struct evil *e)
{
	e->avail = e->used = e->desc;
}

static void evil_usedoverdesc(struct evil *e)
{
	e->used = e->desc;
}

/* What a device that is going must not take any more (4.2.2). */
static void evil_late(struct evil *e)
{
	virtq_announce(e->v, 0, 32768, OUTSIDE, OUTSIDE, OUTSIDE);
	virtio_write(e->v, REG_QUEUE_NUM, 0);
}

static void evil_notify(struct evil *e)
{
	virtio_write(e->v, REG_QUEUE_NOTIFY, 1000);
	virtio_write(e->v, REG_QUEUE_NOTIFY, ~0u);
}

static void evil_select(struct evil *e)
{
	virtq_announce(e->v, 1000, 16, e->desc, e->avail, e->used);
	virtq_announce(e->v, ~0u, 16, e->desc, e->avail, e->used);
}

/* Bits may not be cleared but by a reset (2.1.1). */
static void evil_clear(struct evil *e)
{
	virtio_write(e->v, REG_STATUS, STATUS_ACKNOWLEDGE);
}

static void evil_features(struct evil *e)
{
	virtio_write(e->v, REG_DRIVER_FEATURES_SEL, 0);
	virtio_write(e->v, REG_DRIVER_FEATURES, ~0u);
	virtio_write(e->v, REG_DRIVER_FEATURES_SEL, 77);
	virtio_write(e->v, REG_DRIVER_FEATURES, ~0u);
}

static void evil_none(struct evil *e)
{
	(void)e;
}

const struct evil_kind evil_kinds[] = {
	{ "none", STAGE_CHAIN, evil_none, false },
	{ "loop", STAGE_CHAIN, evil_loop, false },
	{ "self", STAGE_CHAIN, evil_self, false },
	{ "next", STAGE_CHAIN, evil_next, false },
	{ "head", STAGE_CHAIN, evil_head, false },
	{ "jump", STAGE_CHAIN, evil_jump, false },
	{ "outside", STAGE_CHAIN, evil_outside, false },
	{ "hole", STAGE_CHAIN, evil_hole, false },
	{ "edge", STAGE_CHAIN, evil_edge, false },
	{ "wrap", STAGE_CHAIN, evil_wrap, false },
	{ "device", STAGE_CHAIN, evil_device, false },
	{ "zero", STAGE_CHAIN, evil_zero, false },
	{ "huge", STAGE_CHAIN, evil_huge, false },
	{ "sum", STAGE_CHAIN, evil_sum, false },
	{ "long", STAGE_CHAIN, evil_long, false },
	{ "order", STAGE_CHAIN, evil_order, false },
	{ "readonly", STAGE_CHAIN, evil_readonly, false },
	{ "writeonly", STAGE_CHAIN, evil_writeonly, false },
	{ "indirect", STAGE_CHAIN, evil_indirect, false },
	{ "lone", STAGE_CHAIN, evil_lone, true },
	{ "short", STAGE_CHAIN, evil_short, true },
	{ "type", STAGE_CHAIN, evil_type, true },
	{ "sector", STAGE_CHAIN, evil_sector, true },
	{ "bigsector", STAGE_CHAIN, evil_bigsector, true },
	{ "size0", STAGE_QUEUE, evil_size0, false },
	{ "size3", STAGE_QUEUE, evil_size3, false },
	{ "sizebig", STAGE_QUEUE, evil_sizebig, false },
	{ "align", STAGE_QUEUE, evil_align, false },
	{ "ringoutside", STAGE_QUEUE, evil_ringoutside, false },
	{ "ringhole", STAGE_QUEUE, evil_ringhole, false },
	{ "ringedge", STAGE_QUEUE, evil_ringedge, false },
	{ "ringwrap", STAGE_QUEUE, evil_ringwrap, false },
	{ "overlap", STAGE_QUEUE, evil_overlap, false },
	{ "usedoverdesc", STAGE_QUEUE, evil_usedoverdesc, false },
	{ "late", STAGE_LATE, evil_late, false },
	{ "notify", STAGE_LATE, evil_notify, false },
	{ "select", STAGE_LATE, evil_select, false },
	{ "clear", STAGE_LATE, evil_clear, false },
	{ "features", STAGE_LATE, evil_features, false },
};

const size_t evil_kinds_count = ARRAY_SIZE(evil_kinds);

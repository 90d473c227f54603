/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many requests in flight, every byte checked. Each of up to 64 lanes owns an
 * extent of the disk and goes round: write a new generation of the pattern, now
 * and then flush, read it back, compare. A lane has one request in flight, so
 * what the disk must hold at any moment is known; a request lost, done to the
 * wrong place, or answered twice is seen. On a read-only disk each lane reads
 * its extent and compares with what it read first.
 */
#include "blk.h"
#include "commands.h"
#include "mem.h"
#include "serial.h"

#define FLUSH_EVERY 16

enum lane_step { LANE_IDLE, LANE_WRITE, LANE_FLUSH, LANE_READ };

struct lane {
	enum lane_step step;
	uint64_t generation; /* on the disk or on its way there; 0: none yet */
	uint64_t hash;       /* read-only: of the first reading, or 0 */
};

/* One load at a time; it stays known for `verify`. */
static struct load {
	const struct virtio *disk;
	struct lane lanes[BLK_DEPTH];
	uint64_t first, sectors, depth;
	uint64_t limit, started, finished;
} load;

static uint64_t lane_sector(unsigned i)
{
	return load.first + i * load.sectors;
}

static uint64_t lane_seed(unsigned i)
{
	return pattern_word(i, load.lanes[i].generation);
}

static uint32_t lane_bytes(void)
{
	return (uint32_t)load.sectors * SECTOR;
}

static enum lane_step lane_next(const struct virtio *v, const struct lane *lane)
{
	if ((v->features & BLK_F_RO) != 0)
		return LANE_READ;
	if (lane->step == LANE_WRITE && (v->features & BLK_F_FLUSH) != 0 &&
	    lane->generation % FLUSH_EVERY == 0)
		return LANE_FLUSH;
	if (lane->step == LANE_WRITE || lane->step == LANE_FLUSH)
		return LANE_READ;
	return LANE_WRITE;
}

static const char *lane_start(struct virtio *v, unsigned i)
{
	struct lane *lane = &load.lanes[i];

	lane->step = lane_next(v, lane);
	load.started++;
	switch (lane->step) {
	case LANE_WRITE:
		lane->generation++;
		pattern_fill(blk_buffers[i], lane_bytes(), lane_seed(i),
			     lane_sector(i) * SECTOR);
		return blk_submit(v, i, BLK_OUT, lane_sector(i), lane_bytes());
	case LANE_FLUSH:
		return blk_submit(v, i, BLK_FLUSH, 0, 0);
	case LANE_IDLE:
	case LANE_READ:
		break;
	}
	mem_zero(blk_buffers[i], lane_bytes()); /* an answer without data must not pass */
	return blk_submit(v, i, BLK_IN, lane_sector(i), lane_bytes());
}

static const char *lane_compare(const struct virtio *v, unsigned i)
{
	struct lane *lane = &load.lanes[i];
	bool same;

	if ((v->features & BLK_F_RO) != 0) {
		uint64_t hash = hash_more(HASH_START, blk_buffers[i], lane_bytes());

		if (lane->hash == 0)
			lane->hash = hash;
		same = hash == lane->hash;
	} else {
		same = pattern_check(blk_buffers[i], lane_bytes(), lane_seed(i),
				     lane_sector(i) * SECTOR) == lane_bytes();
	}
	return same ? NULL : "the disk differs";
}

static const char *lane_finish(struct virtio *v, struct reply *r, unsigned *ret_lane)
{
	unsigned i = 0;
	const char *fault = blk_finish(v, &i);

	load.finished++;
	if (fault == NULL && load.lanes[i].step == LANE_READ)
		fault = lane_compare(v, i);
	if (fault != NULL) {
		reply_dec(r, "lane", i);
		reply_dec(r, "sector", lane_sector(i));
		reply_dec(r, "generation", load.lanes[i].generation);
	}
	*ret_lane = i;
	return fault;
}

static bool load_goes_on(void)
{
	return load.limit == 0 ? !serial_stop() : load.started < load.limit;
}

/* Restarts each lane as its request completes; ends with none in flight. */
static const char *load_run(struct virtio *v, struct reply *r)
{
	const char *fault = NULL;
	unsigned lane;

	for (lane = 0; lane < load.depth && load_goes_on() && fault == NULL; lane++)
		fault = lane_start(v, lane);
	while (load.finished < load.started && fault == NULL) {
		blk_kick(v);
		fault = lane_finish(v, r, &lane);
		if (fault == NULL && load_goes_on())
			fault = lane_start(v, lane);
	}
	return fault;
}

/* As many lanes as the rings have room for chains. */
static uint64_t load_depth(const struct virtio *v, uint64_t wanted)
{
	uint64_t room = v->q[0].size / (virtio_options.segs + 2) * v->queues;

	return wanted < room ? wanted : room;
}

static const char *load_args(const struct virtio *v, struct args *a)
{
	memset(&load, 0, sizeof load);
	if (!args_number_or(a, 0, &load.limit) || !args_number_or(a, BLK_DEPTH, &load.depth) ||
	    !args_number_or(a, 8, &load.sectors) || !args_number_or(a, 0, &load.first))
		return USAGE;
	if (load.depth == 0 || load.depth > BLK_DEPTH || load.sectors == 0 ||
	    load.sectors > BLK_MAX_SECTORS)
		return USAGE;
	if (load.first + load.depth * load.sectors > blk_capacity(v))
		return "the disk is too small";
	load.depth = load_depth(v, load.depth);
	load.disk = v;
	return load.depth == 0 ? "the queue is too small" : NULL;
}

/* [COUNT [DEPTH [SECTORS [FIRST]]]]; COUNT 0: until a byte comes */
const char *blk_load(struct virtio *v, struct args *a, struct reply *r)
{
	const char *fault = load_args(v, a);

	if (fault != NULL)
		return fault;
	fault = load_run(v, r);
	if (fault != NULL)
		load.disk = NULL;
	else if (load.limit == 0)
		serial_spend();
	reply_dec(r, "requests", load.finished);
	reply_dec(r, "depth", load.depth);
	reply_dec(r, "irqs", v->queue_irqs);
	return fault;
}

/* Every lane's extent against the generation it wrote last. */
const char *blk_load_verify(struct virtio *v, struct reply *r)
{
	const char *fault = NULL;
	unsigned checked = 0, lane;

	if (load.disk != v)
		return "no load has run on this disk";
	for (unsigned i = 0; i < load.depth && fault == NULL; i++) {
		if (load.lanes[i].generation == 0 && load.lanes[i].hash == 0)
			continue;
		load.lanes[i].step = LANE_READ;
		mem_zero(blk_buffers[i], lane_bytes());
		fault = blk_submit(v, i, BLK_IN, lane_sector(i), lane_bytes());
		blk_kick(v);
		if (fault == NULL)
			fault = lane_finish(v, r, &lane);
		checked++;
	}
	reply_dec(r, "lanes", checked);
	return fault;
}

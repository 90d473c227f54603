/* SPDX-License-Identifier: Apache-2.0 */
/* A disk, one request at a time: see blk.h. */
#include "blk.h"

#include "commands.h"
#include "cpu.h"
#include "mem.h"

#define CONFIG_CAPACITY (REG_CONFIG + 0)
#define CONFIG_QUEUES (REG_CONFIG + 34)

#define BLK_F_WANTED                                                                           \
	(BLK_F_RO | BLK_F_FLUSH | BLK_F_MQ | 1ull << 1 /* SIZE_MAX */ | 1ull << 2 /* SEG_MAX */ | \
	 1ull << 6 /* BLK_SIZE */ | 1ull << 13 /* DISCARD */ | 1ull << 14 /* WRITE_ZEROES */)

#define SEGMENTS_MAX 16
#define STATUS_UNWRITTEN 0xa5
#define ID_BYTES 20

uint8_t blk_buffers[BLK_DEPTH][BLK_MAX_SECTORS * SECTOR] __attribute__((aligned(4096)));

static struct blk_header headers[BLK_DEPTH];
static uint8_t statuses[BLK_DEPTH];
static uint32_t written[BLK_DEPTH]; /* bytes the device has to write, status too */

const char *blk_open(struct virtio *v)
{
	unsigned queues = 1;
	const char *fault;

	if (v->open)
		return NULL;
	fault = virtio_negotiate(v, BLK_F_WANTED);
	if (fault != NULL)
		return fault;
	if ((v->features & BLK_F_MQ) != 0)
		queues = mmio_read16(v->base + CONFIG_QUEUES);
	if (queues > virtio_options.queues)
		queues = (unsigned)virtio_options.queues;
	return virtio_open(v, BLK_F_WANTED, queues);
}

uint64_t blk_capacity(const struct virtio *v)
{
	return virtio_read(v, CONFIG_CAPACITY) |
	       (uint64_t)virtio_read(v, CONFIG_CAPACITY + 4) << 32;
}

/* Cuts the data at odd places: nothing promises a device aligned segments. */
static unsigned data_segments(struct segment *to, uint8_t *data, uint32_t bytes, bool device_writes)
{
	uint32_t count = (uint32_t)virtio_options.segs;
	uint32_t from = 0;

	if (bytes == 0)
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t end = i + 1 == count ? bytes : (bytes / count * (i + 1)) | 1;

		to[i] = (struct segment){ data + from, end - from, device_writes };
		from = end;
	}
	return count;
}

const char *blk_submit(struct virtio *v, unsigned slot, uint32_t type, uint64_t sector,
		       uint32_t bytes)
{
	struct segment segments[SEGMENTS_MAX + 2];
	bool in = type == BLK_IN || type == BLK_GET_ID;
	unsigned n = 0;

	headers[slot] = (struct blk_header){ .type = type, .sector = sector };
	statuses[slot] = STATUS_UNWRITTEN;
	written[slot] = 1 + (in ? bytes : 0);
	segments[n++] = (struct segment){ &headers[slot], sizeof headers[slot], false };
	n += data_segments(segments + n, blk_buffers[slot], bytes, in);
	segments[n++] = (struct segment){ &statuses[slot], 1, true };
	if (!virtq_add(&v->q[slot % v->queues], segments, n, (uint16_t)slot))
		return "the queue is full";
	return NULL;
}

void blk_kick(struct virtio *v)
{
	for (unsigned i = 0; i < v->queues; i++)
		virtq_kick(v, &v->q[i]);
}

static const char *status_fault(uint8_t status)
{
	switch (status) {
	case 0:
		return NULL;
	case 1:
		return "the device answered IOERR";
	case 2:
		return "the device answered UNSUPP";
	case STATUS_UNWRITTEN:
		return "the device wrote no status";
	}
	return "the device wrote a bad status";
}

const char *blk_finish(struct virtio *v, unsigned *ret_slot)
{
	unsigned queue = 0;
	const char *fault;
	uint16_t slot;
	uint32_t len;

	virtio_wait(v);
	while (!virtq_has_used(&v->q[queue]))
		queue++;
	fault = virtq_take(&v->q[queue], &slot, &len);
	if (fault != NULL)
		return fault;
	*ret_slot = slot;
	fault = status_fault(statuses[slot]);
	if (fault == NULL && len != written[slot])
		fault = "the used length is wrong";
	return fault;
}

static const char *request(struct virtio *v, uint32_t type, uint64_t sector, uint32_t bytes)
{
	unsigned slot;
	const char *fault = blk_submit(v, 0, type, sector, bytes);

	if (fault != NULL)
		return fault;
	blk_kick(v);
	return blk_finish(v, &slot);
}

static uint32_t part_bytes(uint64_t sectors)
{
	return (uint32_t)(sectors < BLK_MAX_SECTORS ? sectors : BLK_MAX_SECTORS) * SECTOR;
}

static const char *blk_read(struct virtio *v, struct args *a, struct reply *r)
{
	uint64_t sector, count, hash = HASH_START;
	const char *fault = NULL;

	if (!args_number(a, &sector) || !args_number(a, &count))
		return USAGE;
	while (count > 0 && fault == NULL) {
		uint32_t bytes = part_bytes(count);

		fault = request(v, BLK_IN, sector, bytes);
		if (fault == NULL)
			hash = hash_more(hash, blk_buffers[0], bytes);
		sector += bytes / SECTOR;
		count -= bytes / SECTOR;
	}
	reply_hex(r, "hash", hash);
	return fault;
}

static const char *blk_write(struct virtio *v, struct args *a, struct reply *r)
{
	uint64_t sector, count, seed;
	const char *fault = NULL;

	(void)r;
	if (!args_number(a, &sector) || !args_number(a, &count) || !args_number(a, &seed))
		return USAGE;
	while (count > 0 && fault == NULL) {
		uint32_t bytes = part_bytes(count);

		pattern_fill(blk_buffers[0], bytes, seed, sector * SECTOR);
		fault = request(v, BLK_OUT, sector, bytes);
		sector += bytes / SECTOR;
		count -= bytes / SECTOR;
	}
	return fault;
}

static const char *blk_check(struct virtio *v, struct args *a, struct reply *r)
{
	uint64_t sector, count, seed;

	if (!args_number(a, &sector) || !args_number(a, &count) || !args_number(a, &seed))
		return USAGE;
	while (count > 0) {
		uint32_t bytes = part_bytes(count);
		const char *fault = request(v, BLK_IN, sector, bytes);
		uint64_t good;

		if (fault != NULL)
			return fault;
		good = pattern_check(blk_buffers[0], bytes, seed, sector * SECTOR);
		if (good != bytes) {
			reply_dec(r, "sector", sector + good / SECTOR);
			reply_dec(r, "byte", good % SECTOR);
			return "the disk differs";
		}
		sector += bytes / SECTOR;
		count -= bytes / SECTOR;
	}
	return NULL;
}

static const char *blk_getid(struct virtio *v, struct args *a, struct reply *r)
{
	char id[ID_BYTES + 1] = { 0 };
	const char *fault;

	(void)a;
	memset(blk_buffers[0], 0, ID_BYTES);
	fault = request(v, BLK_GET_ID, 0, ID_BYTES);
	memcpy(id, blk_buffers[0], ID_BYTES);
	if (fault == NULL)
		reply_word(r, "id", id);
	return fault;
}

static const char *blk_flush(struct virtio *v, struct args *a, struct reply *r)
{
	(void)a, (void)r;
	return request(v, BLK_FLUSH, 0, 0);
}

/* SECTOR COUNT [FLAGS] [SECTOR COUNT FLAGS ...]: each is one segment of 5.2.6's kind. */
static const char *blk_ranges(struct virtio *v, struct args *a, uint32_t type)
{
	struct {
		uint64_t sector;
		uint32_t count, flags;
	} *range = (void *)blk_buffers[0];
	uint64_t sector, count, flags;
	unsigned n = 0;

	do {
		if (!args_number(a, &sector) || !args_number(a, &count) ||
		    !args_number_or(a, 0, &flags))
			return USAGE;
		range[n].sector = sector;
		range[n].count = (uint32_t)count;
		range[n++].flags = (uint32_t)flags;
	} while (!args_end(a) && n < 32);
	return request(v, type, 0, (uint32_t)(n * sizeof *range));
}

static const char *blk_discard(struct virtio *v, struct args *a, struct reply *r)
{
	(void)r;
	return blk_ranges(v, a, BLK_DISCARD);
}

static const char *blk_zeroes(struct virtio *v, struct args *a, struct reply *r)
{
	(void)r;
	return blk_ranges(v, a, BLK_WRITE_ZEROES);
}

static const char *blk_show(struct virtio *v, struct args *a, struct reply *r)
{
	(void)a;
	reply_dec(r, "sectors", blk_capacity(v));
	reply_dec(r, "ro", (v->features & BLK_F_RO) != 0);
	reply_hex(r, "features", v->features);
	reply_dec(r, "queues", v->queues);
	reply_dec(r, "irqs", v->queue_irqs);
	return NULL;
}

/* What a kernel that starts afresh does: reset, negotiate, new queues. */
static const char *blk_reopen(struct virtio *v, struct args *a, struct reply *r)
{
	const char *fault = virtio_reset(v);

	return fault != NULL ? fault : (fault = blk_open(v)) != NULL ? fault : blk_show(v, a, r);
}

static const char *blk_load_verify_args(struct virtio *v, struct args *a, struct reply *r)
{
	(void)a;
	return blk_load_verify(v, r);
}

static const struct {
	const char *name;
	const char *(*run)(struct virtio *v, struct args *a, struct reply *r);
} verbs[] = {
	{ "read", blk_read },     { "write", blk_write },   { "check", blk_check },
	{ "flush", blk_flush },   { "getid", blk_getid },   { "discard", blk_discard },
	{ "zeroes", blk_zeroes }, { "capacity", blk_show }, { "reset", blk_reopen },
	{ "load", blk_load },     { "verify", blk_load_verify_args },
};

const char *cmd_blk(struct args *a, struct reply *r)
{
	struct virtio *v;
	const char *verb, *fault;
	uint64_t slot;

	if (!args_number(a, &slot) || (verb = args_word(a)) == NULL)
		return USAGE;
	v = virtio_slot(slot, VIRTIO_ID_BLK);
	if (v == NULL)
		return "no disk in that slot";
	fault = blk_open(v);
	if (fault != NULL)
		return fault;
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (text_equal(verbs[i].name, verb)) {
			fault = verbs[i].run(v, a, r);
			/* What is in flight after a fault would meet the next command. */
			if (fault != NULL && fault != USAGE)
				(void)virtio_reset(v);
			return fault;
		}
	}
	return USAGE;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk (virtio 1.2, 5.2): single requests, and the pieces `load` is made of. */
#ifndef TGUEST_BLK_H
#define TGUEST_BLK_H

#include "text.h"
#include "virtio.h"

#define SECTOR 512
#define BLK_DEPTH 64
#define BLK_MAX_SECTORS 32 /* in one request */

#define BLK_IN 0
#define BLK_OUT 1
#define BLK_FLUSH 4
#define BLK_GET_ID 8
#define BLK_DISCARD 11
#define BLK_WRITE_ZEROES 13

#define BLK_F_RO (1ull << 5)
#define BLK_F_FLUSH (1ull << 9)
#define BLK_F_MQ (1ull << 12)

/* Buffers and headers exist once; requests on different disks do not overlap. */
extern uint8_t blk_buffers[BLK_DEPTH][BLK_MAX_SECTORS * SECTOR];

struct blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};

/* Resets and opens, or finds it open. */
const char *blk_open(struct virtio *v);
uint64_t blk_capacity(const struct virtio *v);

/*
 * Queues request `slot` (0 to BLK_DEPTH - 1) with bytes of its buffer as data,
 * in as many segments as `virtio opt segs` says.
 */
const char *blk_submit(struct virtio *v, unsigned slot, uint32_t type, uint64_t sector,
		       uint32_t bytes);
void blk_kick(struct virtio *v);
/* Waits for one completion; NULL if the device says it went well. */
const char *blk_finish(struct virtio *v, unsigned *ret_slot);

/* blkload.c: what follows `blk SLOT load` and `blk SLOT verify`. */
const char *blk_load(struct virtio *v, struct args *a, struct reply *r);
const char *blk_load_verify(struct virtio *v, struct reply *r);

#endif

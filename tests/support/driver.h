/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio driver for tests: drives a device through its registers and rings in a piece of memory
 * that plays the guest's RAM, as a guest's driver would, or as a guest's driver must not. */
#pragma once

#include "base/own.h"
#include "machine/virtio/device.h"
#include "machine/virtio/registers.h"

/* RAM as a rig has it: two regions with a hole between them. */
#define RIG_LOW_END  MIB(4)
#define RIG_HIGH     GIB(4)
#define RIG_HIGH_LEN MIB(1)

struct ring {
	uint16_t size;
	uint64_t desc, driver, device;
	uint16_t avail, used; /* the driver's: next to publish, next to look at */
};

struct rig {
	map_t ram;
	struct gmem mem;
	struct topo_slot slot;
	fd_t irq, notify[SHAPE_QUEUES_MAX];
	struct virtio_dev *dev;
	struct ring ring[SHAPE_QUEUES_MAX];
	uint64_t features; /* as acked */
};

/* One buffer of a request. */
struct buf { uint64_t at; uint32_t len; bool write; };

struct desc16 { uint64_t addr; uint32_t len; uint16_t flags, next; };
enum { D_NEXT = 1, D_WRITE = 2, D_INDIRECT = 4 };

void rig_make(struct rig *r, enum dev_kind kind, uint32_t queues);
void rig_drop(struct rig *r); /* frees the device too */
struct virtio_wires rig_wires(const struct rig *r);
/* An empty device; then one of its kind, parked. */
void rig_empty(struct rig *r);
void rig_blk(struct rig *r, struct disk *k);
void rig_rng(struct rig *r);
/* Lets it go. */
void rig_go(struct rig *r);

uint32_t rig_read(struct rig *r, uint32_t reg);
void rig_write(struct rig *r, uint32_t reg, uint32_t value);

/* Reset, and the steps up to FEATURES_OK with all that is offered but `without`. */
void rig_negotiate(struct rig *r, uint64_t without);
/* Programs queue i into a place of its own, cleared; ready. */
void rig_queue(struct rig *r, uint32_t i, uint16_t size);
void rig_queue_at(struct rig *r, uint32_t i, const struct ring *where);
void rig_driver_ok(struct rig *r);
/* All of that with every queue of the slot. */
void rig_up(struct rig *r, uint64_t without);

void put(struct rig *r, uint64_t at, const void *bytes, size_t n);
void get(struct rig *r, uint64_t at, void *ret, size_t n);
void put16(struct rig *r, uint64_t at, uint16_t v);
uint16_t get16(struct rig *r, uint64_t at);
void put_desc(struct rig *r, uint32_t q, uint16_t i, struct desc16 d);

/* Descriptors from `first` on, chained; the head is not published. */
void rig_chain(struct rig *r, uint32_t q, uint16_t first, const struct buf *bufs, size_t n);
/* Into the available ring; visible with rig_publish. */
void rig_avail(struct rig *r, uint32_t q, uint16_t head);
void rig_publish(struct rig *r, uint32_t q);
void rig_kick(struct rig *r, uint32_t q);
/* One chain, published, kicked. */
void rig_send(struct rig *r, uint32_t q, uint16_t first, const struct buf *bufs, size_t n);
/* Waits until the device has given back an entry, and takes it. Fails the test after a time that
 * no working device needs. */
void rig_take(struct rig *r, uint32_t q, uint32_t *ret_id, uint32_t *ret_len);
/* Waits until Status has the bit. */
void rig_wait_status(struct rig *r, uint32_t bit);
/* Interrupts raised since the last call. */
uint64_t rig_interrupts(struct rig *r);

/* A block request with one data buffer at 0x200000 + slot of `first`, header and status beside it;
 * returns the status. */
struct blk_io { uint32_t type; uint64_t sector; const struct buf *data; size_t n_data; };
uint8_t rig_blk_io(struct rig *r, uint32_t q, const struct blk_io *io, uint32_t *ret_len);

/* A file of `size` bytes without a name that anybody needs; byte i is pattern(i, seed). */
int temp_file(char ret_path[64], uint64_t size, unsigned seed);
uint8_t pattern(uint64_t i, unsigned seed);
struct disk *temp_disk(uint64_t size, enum disk_mode mode, unsigned seed);

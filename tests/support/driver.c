/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"

#include "support/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#define RAM (RIG_LOW_END + RIG_HIGH_LEN)
enum { PATIENCE_S = 60 };

void rig_make(struct rig *r, enum dev_kind kind, uint32_t queues)
{
	memset(r, 0, sizeof *r);
	r->ram.len = RAM;
	r->ram.base = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(r->ram.base, MAP_FAILED);
	r->mem.base = r->ram.base;
	r->mem.n_regions = 2;
	r->mem.regions[0] = (struct ram_region){ GPA(0), BYTES(RIG_LOW_END), BYTES(0), 0 };
	r->mem.regions[1] = (struct ram_region){ GPA(RIG_HIGH), BYTES(RIG_HIGH_LEN),
						 BYTES(RIG_LOW_END), 1 };
	r->slot = (struct topo_slot){ .kind = kind, .queues = queues, .slot = { 3 } };
	r->irq.raw = eventfd(0, EFD_NONBLOCK);
	for (uint32_t i = 0; i < queues; i++)
		r->notify[i].raw = eventfd(0, EFD_NONBLOCK);
}

void rig_drop(struct rig *r)
{
	virtio_free(r->dev);
	fd_drop(&r->irq);
	for (uint32_t i = 0; i < r->slot.queues; i++)
		fd_drop(&r->notify[i]);
	map_drop(&r->ram);
}

struct virtio_wires rig_wires(const struct rig *r)
{
	struct virtio_wires w = { .mem = &r->mem, .irq = { r->irq.raw } };

	for (uint32_t i = 0; i < r->slot.queues; i++)
		w.notify[i] = r->notify[i].raw;
	return w;
}

void rig_empty(struct rig *r)
{
	struct virtio_wires w = rig_wires(r);

	assert_int_equal(virtio_new(&r->slot, &w, NULL, &r->dev).code, ERR_NONE);
}

void rig_blk(struct rig *r, struct disk *k)
{
	rig_empty(r);
	assert_int_equal(blk_new(r->dev, &k).code, ERR_NONE);
	assert_null(k);
}

void rig_rng(struct rig *r)
{
	rig_empty(r);
	assert_int_equal(rng_new(r->dev).code, ERR_NONE);
}

void rig_go(struct rig *r)
{
	virtio_unquiesce(virtio_quiesce(r->dev, NULL));
}

uint32_t rig_read(struct rig *r, uint32_t reg)
{
	uint32_t v;

	virtio_mmio_read(r->dev, reg, &v, sizeof v);
	return v;
}

void rig_write(struct rig *r, uint32_t reg, uint32_t value)
{
	virtio_mmio_write(r->dev, reg, &value, sizeof value);
}

static uint64_t offered(struct rig *r)
{
	uint64_t low;

	rig_write(r, REG_DEVICE_FEATURES_SEL, 0);
	low = rig_read(r, REG_DEVICE_FEATURES);
	rig_write(r, REG_DEVICE_FEATURES_SEL, 1);
	return (uint64_t)rig_read(r, REG_DEVICE_FEATURES) << 32 | low;
}

void rig_negotiate(struct rig *r, uint64_t without)
{
	rig_write(r, REG_STATUS, 0);
	assert_int_equal(rig_read(r, REG_STATUS), 0);
	rig_write(r, REG_STATUS, 1);
	rig_write(r, REG_STATUS, 3);
	r->features = offered(r) & ~without;
	rig_write(r, REG_DRIVER_FEATURES_SEL, 0);
	rig_write(r, REG_DRIVER_FEATURES, (uint32_t)r->features);
	rig_write(r, REG_DRIVER_FEATURES_SEL, 1);
	rig_write(r, REG_DRIVER_FEATURES, (uint32_t)(r->features >> 32));
	rig_write(r, REG_STATUS, 11);
	assert_int_equal(rig_read(r, REG_STATUS), 11);
}

void rig_queue_at(struct rig *r, uint32_t i, const struct ring *where)
{
	rig_write(r, REG_QUEUE_SEL, i);
	rig_write(r, REG_QUEUE_NUM, where->size);
	rig_write(r, REG_DESC_LOW, (uint32_t)where->desc);
	rig_write(r, REG_DESC_HIGH, (uint32_t)(where->desc >> 32));
	rig_write(r, REG_DRIVER_LOW, (uint32_t)where->driver);
	rig_write(r, REG_DRIVER_HIGH, (uint32_t)(where->driver >> 32));
	rig_write(r, REG_DEVICE_LOW, (uint32_t)where->device);
	rig_write(r, REG_DEVICE_HIGH, (uint32_t)(where->device >> 32));
	rig_write(r, REG_QUEUE_READY, 1);
	r->ring[i] = *where;
}

void rig_queue(struct rig *r, uint32_t i, uint16_t size)
{
	uint64_t at = 0x10000 + 0x10000u * i;
	struct ring where = { .size = size, .desc = at, .driver = at + 0x4000,
			      .device = at + 0x8000 };

	assert_int_equal(gmem_zero(&r->mem, GPA(at), 0x10000).code, ERR_NONE);
	rig_queue_at(r, i, &where);
	assert_int_equal(rig_read(r, REG_QUEUE_READY), 1);
}

void rig_driver_ok(struct rig *r)
{
	rig_write(r, REG_STATUS, 15);
}

void rig_up(struct rig *r, uint64_t without)
{
	rig_negotiate(r, without);
	for (uint32_t i = 0; i < r->slot.queues; i++)
		rig_queue(r, i, 256);
	rig_driver_ok(r);
	assert_int_equal(rig_read(r, REG_STATUS), 15);
}

void put(struct rig *r, uint64_t at, const void *bytes, size_t n)
{
	assert_int_equal(gmem_copy_out(&r->mem, GPA(at), bytes, n).code, ERR_NONE);
}

void get(struct rig *r, uint64_t at, void *ret, size_t n)
{
	assert_int_equal(gmem_copy_in(&r->mem, GPA(at), ret, n).code, ERR_NONE);
}

void put16(struct rig *r, uint64_t at, uint16_t v)
{
	assert_int_equal(gmem_store_release_u16(&r->mem, GPA(at), v).code, ERR_NONE);
}

uint16_t get16(struct rig *r, uint64_t at)
{
	uint16_t v = 0;

	assert_int_equal(gmem_load_acquire_u16(&r->mem, GPA(at), &v).code, ERR_NONE);
	return v;
}

void put_desc(struct rig *r, uint32_t q, uint16_t i, struct desc16 d)
{
	put(r, r->ring[q].desc + 16u * i, &d, sizeof d);
}

void rig_chain(struct rig *r, uint32_t q, uint16_t first, const struct buf *bufs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t at = (uint16_t)((first + i) % r->ring[q].size);
		bool more = i + 1 < n;

		put_desc(r, q, at, (struct desc16){
			bufs[i].at, bufs[i].len,
			(uint16_t)((bufs[i].write ? D_WRITE : 0) | (more ? D_NEXT : 0)),
			(uint16_t)(more ? (at + 1) % r->ring[q].size : 0) });
	}
}

void rig_avail(struct rig *r, uint32_t q, uint16_t head)
{
	struct ring *g = &r->ring[q];

	put16(r, g->driver + 4 + 2u * (g->avail % g->size), head);
	g->avail++;
}

void rig_publish(struct rig *r, uint32_t q)
{
	put16(r, r->ring[q].driver + 2, r->ring[q].avail);
	atomic_thread_fence(memory_order_seq_cst);
}

void rig_kick(struct rig *r, uint32_t q)
{
	uint64_t one = 1;

	assert_int_equal(write(r->notify[q].raw, &one, sizeof one), sizeof one);
}

void rig_send(struct rig *r, uint32_t q, uint16_t first, const struct buf *bufs, size_t n)
{
	rig_chain(r, q, first, bufs, n);
	rig_avail(r, q, first);
	rig_publish(r, q);
	rig_kick(r, q);
}

static time_t now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static void breathe(void)
{
	(void)nanosleep(&(struct timespec){ 0, 20000 }, NULL);
}

void rig_take(struct rig *r, uint32_t q, uint32_t *ret_id, uint32_t *ret_len)
{
	struct ring *g = &r->ring[q];
	struct { uint32_t id, len; } entry;
	time_t until = now() + PATIENCE_S;

	/* Like a driver: asks to hear of the next entry, then looks. */
	put16(r, g->driver + 4 + 2u * g->size, g->used);
	atomic_thread_fence(memory_order_seq_cst);
	while (get16(r, g->device + 2) == g->used) {
		if (now() > until)
			fail_msg("the device gave nothing back");
		breathe();
	}
	get(r, g->device + 4 + 8u * (g->used % g->size), &entry, sizeof entry);
	g->used++;
	*ret_id = entry.id;
	if (ret_len != NULL)
		*ret_len = entry.len;
}

void rig_wait_status(struct rig *r, uint32_t bit)
{
	time_t until = now() + PATIENCE_S;

	while ((rig_read(r, REG_STATUS) & bit) == 0) {
		if (now() > until)
			fail_msg("status never had bit %u", bit);
		breathe();
	}
}

uint64_t rig_interrupts(struct rig *r)
{
	uint64_t n = 0;

	if (read(r->irq.raw, &n, sizeof n) < 0)
		assert_int_equal(errno, EAGAIN);
	return n;
}

uint8_t rig_blk_io(struct rig *r, uint32_t q, const struct blk_io *io, uint32_t *ret_len)
{
	struct { uint32_t type, reserved; uint64_t sector; } header = { io->type, 0, io->sector };
	uint64_t head = 0x100000 + 0x1000u * q, status = head + 0x100;
	struct buf bufs[256];
	uint32_t id;
	uint8_t s = 0xEE;

	put(r, head, &header, sizeof header);
	put(r, status, &s, 1);
	bufs[0] = (struct buf){ head, sizeof header, false };
	for (size_t i = 0; i < io->n_data; i++)
		bufs[1 + i] = io->data[i];
	bufs[1 + io->n_data] = (struct buf){ status, 1, true };
	rig_send(r, q, 0, bufs, io->n_data + 2);
	rig_take(r, q, &id, ret_len);
	assert_int_equal(id, 0);
	get(r, status, &s, 1);
	return s;
}

uint8_t pattern(uint64_t i, unsigned seed)
{
	return (uint8_t)((i * 2654435761u + seed * 40503u) >> 7 ^ i >> 9);
}

int temp_file(char ret_path[64], uint64_t size, unsigned seed)
{
	uint8_t bytes[4096];
	int fd;

	(void)snprintf(ret_path, 64, "/tmp/spore-test-XXXXXX");
	fd = mkostemp(ret_path, O_CLOEXEC);
	assert_true(fd >= 0);
	for (uint64_t at = 0; at < size; at += sizeof bytes) {
		size_t n = size - at < sizeof bytes ? (size_t)(size - at) : sizeof bytes;

		for (size_t i = 0; i < n; i++)
			bytes[i] = pattern(at + i, seed);
		assert_int_equal(write(fd, bytes, n), n);
	}
	return fd;
}

struct disk *temp_disk(uint64_t size, enum disk_mode mode, unsigned seed)
{
	char path[64];
	struct disk *k = NULL;
	struct diag d = DIAG_INIT;

	close(temp_file(path, size, seed));
	assert_int_equal(disk_open(path, mode, "/tmp", &d, &k).code, ERR_NONE);
	assert_int_equal(unlink(path), 0);
	return k;
}

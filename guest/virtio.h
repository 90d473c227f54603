/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-mmio version 2 (virtio 1.2, 4.2) with split rings (2.7). One driver for
 * polling and interrupts, with and without event index: `virtio opt` chooses,
 * from the next time a device is opened on.
 *
 * The device is not trusted: what it writes into the used ring is judged, since
 * a test of it must tell a wrong answer from a crash of the guest.
 */
#ifndef TGUEST_VIRTIO_H
#define TGUEST_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_SLOTS 24
#define VIRTIO_QUEUES 4
#define VIRTQ_SIZE 256

#define VIRTIO_ID_BLK 2
#define VIRTIO_ID_RNG 4

#define REG_MAGIC 0x000
#define REG_VERSION 0x004
#define REG_DEVICE_ID 0x008
#define REG_DEVICE_FEATURES 0x010
#define REG_DEVICE_FEATURES_SEL 0x014
#define REG_DRIVER_FEATURES 0x020
#define REG_DRIVER_FEATURES_SEL 0x024
#define REG_QUEUE_SEL 0x030
#define REG_QUEUE_NUM_MAX 0x034
#define REG_QUEUE_NUM 0x038
#define REG_QUEUE_READY 0x044
#define REG_QUEUE_NOTIFY 0x050
#define REG_INTERRUPT_STATUS 0x060
#define REG_INTERRUPT_ACK 0x064
#define REG_STATUS 0x070
#define REG_QUEUE_DESC 0x080
#define REG_QUEUE_AVAIL 0x090
#define REG_QUEUE_USED 0x0a0
#define REG_CONFIG 0x100

#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER 2
#define STATUS_DRIVER_OK 4
#define STATUS_FEATURES_OK 8
#define STATUS_NEEDS_RESET 64

#define F_INDIRECT (1ull << 28)
#define F_EVENT_IDX (1ull << 29)
#define F_VERSION_1 (1ull << 32)

#define DESC_NEXT 1
#define DESC_WRITE 2
#define DESC_INDIRECT 4

struct virtq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct virtq_avail {
	uint16_t flags, idx;
	uint16_t ring[VIRTQ_SIZE];
	uint16_t used_event; /* here at full size only: virtq_used_event */
};

struct virtq_used {
	uint16_t flags, idx;
	struct {
		uint32_t id, len;
	} ring[VIRTQ_SIZE];
	uint16_t avail_event;
};

/* What the device reads and writes, apart from buffers. */
struct virtq_memory {
	struct virtq_desc desc[VIRTQ_SIZE] __attribute__((aligned(16)));
	struct virtq_avail avail __attribute__((aligned(4096)));
	struct virtq_used used __attribute__((aligned(4096)));
};

/* What the driver keeps to itself. */
struct virtq {
	volatile struct virtq_memory *m;
	uint16_t index, size;
	uint16_t avail_idx, kicked_idx, last_used;
	uint16_t free_head, free_count;
	uint16_t chain[VIRTQ_SIZE]; /* by head: descriptors in flight, or 0 */
	uint16_t cookie[VIRTQ_SIZE];
};

struct virtio {
	uint64_t base;
	unsigned slot, gsi;
	bool open, irq, event_idx;
	uint64_t features; /* agreed on */
	unsigned queues;
	struct virtq q[VIRTIO_QUEUES];
	volatile uint32_t queue_irqs, config_irqs;
};

struct virtio_options {
	uint64_t irq, eventidx, size, queues, segs;
};
extern struct virtio_options virtio_options;

/* `BASE STRIDE GSI COUNT`, as the kernel command line gives it. */
void virtio_place(char *words);

uint32_t virtio_read(const struct virtio *v, uint32_t reg);
void virtio_write(const struct virtio *v, uint32_t reg, uint32_t value);

/* The device in a slot; NULL where the slot is out of range or holds another kind (0: any). */
struct virtio *virtio_slot(uint64_t slot, uint32_t device_id);

/*
 * Opening in steps, each NULL or a fault: reset and agree on features; put one
 * queue in place; go. virtio_open does all of it unless the device is open.
 */
const char *virtio_reset(struct virtio *v);
const char *virtio_negotiate(struct virtio *v, uint64_t wanted);
const char *virtio_queue(struct virtio *v, unsigned index);
void virtio_go(struct virtio *v);
const char *virtio_open(struct virtio *v, uint64_t wanted, unsigned queues);

/* Tells the device where a queue is, whatever the values. */
void virtq_announce(const struct virtio *v, unsigned index, uint32_t size, uint64_t desc,
		    uint64_t avail, uint64_t used);
void virtq_init(struct virtq *q, unsigned slot, unsigned index, unsigned size);

struct segment {
	void *at;
	uint32_t len;
	bool device_writes;
};

/* Queues a chain; false where there are too few descriptors. Nothing is notified. */
bool virtq_add(struct virtq *q, const struct segment *segments, unsigned count, uint16_t cookie);
/* Notifies the device of what was added, unless it asked not to be. */
void virtq_kick(struct virtio *v, struct virtq *q);
bool virtq_has_used(const struct virtq *q);
/* Takes the next completion. Only after virtq_has_used; a fault if it makes no sense. */
const char *virtq_take(struct virtq *q, uint16_t *ret_cookie, uint32_t *ret_len);
/* Waits, by interrupt or polling, until some queue of the device has a completion. */
void virtio_wait(struct virtio *v);

#endif

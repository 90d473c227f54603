/* SPDX-License-Identifier: Apache-2.0 */
/* The registers of virtio-mmio version 2 (virtio 1.2, 4.2.2) and the device status (2.1).
 *
 * Queue registers can be written only between FEATURES_OK and DRIVER_OK, and not while QueueReady
 * is 1; so whatever the worker was given stays as it was judged. */
#include <endian.h>
#include <string.h>

#include "machine/virtio/device_parts.h"
#include "machine/virtio/registers.h"

static struct queue_state *selected(struct virtio_dev *v)
{
	return v->regs.queue_sel < v->slot.queues ? &v->queues[v->regs.queue_sel] : NULL;
}

struct virtq_rings virtio_rings(const struct virtio_dev *v, const struct queue_state *q)
{
	return (struct virtq_rings){ .size = q->size, .desc = q->desc, .driver = q->driver,
				     .device = q->device,
				     .event_idx = (v->regs.acked_features & F_EVENT_IDX) != 0 };
}

void virtio_queue_open(struct virtio_dev *v, uint32_t i)
{
	const struct queue_state *q = &v->queues[i];

	v->live[i] = (struct virtq){ 0 };
	if (!q->ready)
		return;
	v->live[i] = (struct virtq){
		.mem = v->wires.mem,
		.rings = virtio_rings(v, q),
		.indirect = (v->regs.acked_features & F_INDIRECT_DESC) != 0,
		.next_avail = q->next_avail,
		.next_used = q->next_used,
	};
}

/* The bit before the edge: the driver reads the one because of the other. */
void virtio_interrupt(struct virtio_dev *v, uint32_t bit)
{
	v->regs.interrupt_status |= bit;
	irq_raise(v->wires.irq);
}

void virtio_needs_reset(struct virtio_dev *v, const char *why)
{
	if ((v->regs.status & STATUS_NEEDS_RESET) != 0)
		return;
	v->fault = why;
	v->regs.status |= STATUS_NEEDS_RESET;
	if ((v->regs.status & STATUS_DRIVER_OK) != 0)
		virtio_interrupt(v, INTERRUPT_CONFIG);
}

void virtio_registers_clear(struct virtio_dev *v)
{
	uint32_t generation = v->regs.config_generation;

	v->regs = (struct transport_state){ .config_generation = generation };
	v->fault = NULL;
	for (uint32_t i = 0; i < v->slot.queues; i++) {
		v->queues[i] = (struct queue_state){ .max_size = VIRTQ_SIZE_MAX };
		v->live[i] = (struct virtq){ 0 };
	}
}

/* 2.4: nothing reads as reset while a request is in hand. Others may come in while this waits; they
 * find the device as it was. */
void virtio_reset(struct virtio_dev *v)
{
	atomic_fetch_add(&v->worker->holds, 1);
	while (v->worker->busy)
		pthread_cond_wait(&v->worker->turn, &v->worker->lock);
	virtio_registers_clear(v);
	atomic_fetch_sub(&v->worker->holds, 1);
	pthread_cond_broadcast(&v->worker->turn);
}

/* 2.2.2: a device may refuse a set of features by leaving FEATURES_OK unset. */
static void features_ok(struct virtio_dev *v)
{
	if ((v->regs.acked_features & F_VERSION_1) != 0)
		v->regs.status = STATUS_STEP3;
}

static void driver_ok(struct virtio_dev *v)
{
	v->regs.status = STATUS_STEP4;
	for (uint32_t i = 0; i < v->slot.queues; i++)
		virtio_queue_open(v, i);
	if (failed(virtio_start(v, NULL)))
		virtio_needs_reset(v, "no thread to work on its queues");
	/* A doorbell may have rung before there was anybody to hear it. */
	for (uint32_t i = 0; i < v->slot.queues; i++)
		virtio_doorbell(v, i);
}

/* 2.1.1 and 3.1.1: one step at a time, no bit is ever taken back but by a reset. */
static void status_write(struct virtio_dev *v, uint32_t value)
{
	if (value == 0)
		virtio_reset(v);
	else if ((value & STATUS_FAILED) != 0)
		v->regs.status |= STATUS_FAILED;
	else if (v->regs.status == 0 && value == STATUS_STEP1)
		v->regs.status = STATUS_STEP1;
	else if (v->regs.status == STATUS_STEP1 && value == STATUS_STEP2)
		v->regs.status = STATUS_STEP2;
	else if (v->regs.status == STATUS_STEP2 && value == STATUS_STEP3)
		features_ok(v);
	else if (v->regs.status == STATUS_STEP3 && value == STATUS_STEP4)
		driver_ok(v);
}

static uint32_t features_read(const struct virtio_dev *v)
{
	switch (v->regs.device_features_sel) {
	case 0:
		return (uint32_t)v->face.features;
	case 1:
		return (uint32_t)(v->face.features >> 32);
	default:
		return 0;
	}
}

static void features_write(struct virtio_dev *v, uint32_t value)
{
	unsigned shift = v->regs.driver_features_sel * 32;
	uint64_t page;

	if (v->regs.status != STATUS_STEP2 || v->regs.driver_features_sel > 1)
		return;
	page = UINT64_C(0xffffffff) << shift;
	v->regs.acked_features &= ~page;
	v->regs.acked_features |= (uint64_t)value << shift & v->face.features;
}

static void ready_write(struct virtio_dev *v, struct queue_state *q, uint32_t value)
{
	struct virtq_rings rings = virtio_rings(v, q);
	const char *fault;

	if (v->regs.status != STATUS_STEP3)
		return;
	if ((value & 1) == 0) {
		q->ready = false;
		return;
	}
	fault = virtq_rings_fault(v->wires.mem, &rings);
	if (fault != NULL)
		virtio_needs_reset(v, fault);
	else
		q->ready = true;
}

static void low_write(gpa_t *at, uint32_t value)
{
	*at = GPA((at->v & ~UINT64_C(0xffffffff)) | value);
}

static void high_write(gpa_t *at, uint32_t value)
{
	*at = GPA((uint64_t)value << 32 | (uint32_t)at->v);
}

/* A size that a queue cannot have is kept as none, and refused with QueueReady. */
static uint16_t size_kept(uint32_t value)
{
	return is_power_of_two(value) && value <= VIRTQ_SIZE_MAX ? (uint16_t)value : 0;
}

static void queue_write(struct virtio_dev *v, uint64_t reg, uint32_t value)
{
	struct queue_state *q = selected(v);

	if (q == NULL)
		return;
	if (reg == REG_QUEUE_READY) {
		ready_write(v, q, value);
		return;
	}
	if (v->regs.status != STATUS_STEP3 || q->ready)
		return;
	switch (reg) {
	case REG_QUEUE_NUM:   q->size = size_kept(value); break;
	case REG_DESC_LOW:    low_write(&q->desc, value); break;
	case REG_DESC_HIGH:   high_write(&q->desc, value); break;
	case REG_DRIVER_LOW:  low_write(&q->driver, value); break;
	case REG_DRIVER_HIGH: high_write(&q->driver, value); break;
	case REG_DEVICE_LOW:  low_write(&q->device, value); break;
	case REG_DEVICE_HIGH: high_write(&q->device, value); break;
	default: break; /* read-only, or no register */
	}
}

static void register_write(struct virtio_dev *v, uint64_t reg, uint32_t value)
{
	switch (reg) {
	case REG_DEVICE_FEATURES_SEL: v->regs.device_features_sel = value; break;
	case REG_DRIVER_FEATURES_SEL: v->regs.driver_features_sel = value; break;
	case REG_DRIVER_FEATURES:     features_write(v, value); break;
	case REG_QUEUE_SEL:           v->regs.queue_sel = value; break;
	case REG_INTERRUPT_ACK:       v->regs.interrupt_status &= ~value; break;
	case REG_STATUS:              status_write(v, value); break;
	case REG_QUEUE_NOTIFY:
		if (value < v->slot.queues)
			virtio_doorbell(v, value);
		break;
	default:
		queue_write(v, reg, value);
		break;
	}
}

static uint32_t register_read(struct virtio_dev *v, uint64_t reg)
{
	const struct queue_state *q = selected(v);

	switch (reg) {
	case REG_MAGIC:             return VIRTIO_MAGIC;
	case REG_VERSION:           return VIRTIO_VERSION;
	case REG_DEVICE_ID:         return v->slot.kind;
	case REG_VENDOR_ID:         return VIRTIO_VENDOR;
	case REG_DEVICE_FEATURES:   return features_read(v);
	case REG_QUEUE_NUM_MAX:     return q != NULL ? q->max_size : 0;
	case REG_QUEUE_READY:       return q != NULL && q->ready;
	case REG_INTERRUPT_STATUS:  return v->regs.interrupt_status;
	case REG_STATUS:            return v->regs.status;
	case REG_CONFIG_GENERATION: return v->regs.config_generation;
	case REG_SHM_LEN_LOW: case REG_SHM_LEN_HIGH:
	case REG_SHM_BASE_LOW: case REG_SHM_BASE_HIGH:
		return UINT32_MAX; /* 4.2.2: no such region */
	default:
		return 0; /* write-only, or no register */
	}
}

/* 4.2.2.2: registers are read and written as aligned 32-bit words. */
static bool register_access(uint64_t offset, uint32_t len)
{
	return len == 4 && offset % 4 == 0 && offset < REG_CONFIG;
}

/* The configuration space ends somewhere; behind it is nothing. It cannot be written: no field of
 * these devices is the driver's. */
static void config_read(const struct virtio_dev *v, uint64_t at, void *ret_bytes, uint32_t len)
{
	uint32_t end = v->face.config_len;

	if (at >= end)
		return;
	memcpy(ret_bytes, v->face.config + at, len < end - at ? len : end - (uint32_t)at);
}

void virtio_mmio_read(struct virtio_dev *v, uint64_t offset, void *ret_bytes, uint32_t len)
{
	uint32_t value;

	memset(ret_bytes, 0, len);
	if (offset >= REG_CONFIG)
		config_read(v, offset - REG_CONFIG, ret_bytes, len);
	if (!register_access(offset, len))
		return;
	pthread_mutex_lock(&v->worker->lock);
	value = htole32(register_read(v, offset));
	pthread_mutex_unlock(&v->worker->lock);
	memcpy(ret_bytes, &value, sizeof value);
}

void virtio_mmio_write(struct virtio_dev *v, uint64_t offset, const void *bytes, uint32_t len)
{
	uint32_t value;

	if (!register_access(offset, len))
		return;
	memcpy(&value, bytes, sizeof value);
	pthread_mutex_lock(&v->worker->lock);
	register_write(v, offset, le32toh(value));
	pthread_mutex_unlock(&v->worker->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The transport: finding, opening and resetting devices; interrupts. See virtio.h. */
#include "virtio.h"

#include "apic.h"
#include "cpu.h"
#include "serial.h"
#include "text.h"
#include "trap.h"

#define MAGIC 0x74726976
#define VERSION 2
#define RESET_POLLS 1000000

#define IRQ_QUEUE 1
#define IRQ_CONFIG 2

static struct {
	uint64_t base, stride, gsi, count;
} place = { 0xc0001000, 0x1000, 5, 19 };

struct virtio_options virtio_options = {
	.irq = 1, .eventidx = 1, .size = VIRTQ_SIZE, .queues = 1, .segs = 1
};

static struct virtio devices[VIRTIO_SLOTS];

void virtio_place(char *words)
{
	struct args a = { words };
	uint64_t base, stride, gsi, count;

	if (!args_number(&a, &base) || !args_number(&a, &stride) || !args_number(&a, &gsi) ||
	    !args_number(&a, &count) || count > VIRTIO_SLOTS || gsi + count > IOAPIC_PINS)
		return;
	place.base = base;
	place.stride = stride;
	place.gsi = gsi;
	place.count = count;
}

uint32_t virtio_read(const struct virtio *v, uint32_t reg)
{
	return mmio_read32(v->base + reg);
}

void virtio_write(const struct virtio *v, uint32_t reg, uint32_t value)
{
	mmio_write32(v->base + reg, value);
}

struct virtio *virtio_slot(uint64_t slot, uint32_t device_id)
{
	struct virtio *v;

	if (slot >= place.count)
		return NULL;
	v = &devices[slot];
	v->base = place.base + slot * place.stride;
	v->slot = (unsigned)slot;
	v->gsi = (unsigned)(place.gsi + slot);
	if (device_id == 0)
		return v;
	if (virtio_read(v, REG_MAGIC) != MAGIC || virtio_read(v, REG_VERSION) != VERSION ||
	    virtio_read(v, REG_DEVICE_ID) != device_id)
		return NULL;
	return v;
}

static void virtio_interrupt(unsigned vector)
{
	struct virtio *v = &devices[vector - VECTOR_GSI((unsigned)place.gsi)];
	uint32_t status = virtio_read(v, REG_INTERRUPT_STATUS);

	virtio_write(v, REG_INTERRUPT_ACK, status);
	if ((status & IRQ_QUEUE) != 0)
		v->queue_irqs = v->queue_irqs + 1;
	if ((status & IRQ_CONFIG) != 0)
		v->config_irqs = v->config_irqs + 1;
}

const char *virtio_reset(struct virtio *v)
{
	v->open = false;
	virtio_write(v, REG_STATUS, 0);
	/* 4.2.3.1: the device has finished when the status reads 0. */
	for (unsigned i = 0; i < RESET_POLLS; i++) {
		if (virtio_read(v, REG_STATUS) == 0)
			return NULL;
		cpu_pause();
	}
	return "the device does not finish its reset";
}

static uint64_t features_offered(const struct virtio *v)
{
	uint64_t offered;

	virtio_write(v, REG_DEVICE_FEATURES_SEL, 1);
	offered = (uint64_t)virtio_read(v, REG_DEVICE_FEATURES) << 32;
	virtio_write(v, REG_DEVICE_FEATURES_SEL, 0);
	return offered | virtio_read(v, REG_DEVICE_FEATURES);
}

const char *virtio_negotiate(struct virtio *v, uint64_t wanted)
{
	const char *fault = virtio_reset(v);

	if (fault != NULL)
		return fault;
	virtio_write(v, REG_STATUS, STATUS_ACKNOWLEDGE);
	virtio_write(v, REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	if (virtio_options.eventidx != 0)
		wanted |= F_EVENT_IDX;
	v->features = features_offered(v) & (wanted | F_VERSION_1);
	if ((v->features & F_VERSION_1) == 0)
		return "the device does not offer VERSION_1";
	virtio_write(v, REG_DRIVER_FEATURES_SEL, 0);
	virtio_write(v, REG_DRIVER_FEATURES, (uint32_t)v->features);
	virtio_write(v, REG_DRIVER_FEATURES_SEL, 1);
	virtio_write(v, REG_DRIVER_FEATURES, (uint32_t)(v->features >> 32));
	virtio_write(v, REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
	if ((virtio_read(v, REG_STATUS) & STATUS_FEATURES_OK) == 0)
		return "the device refuses the features";
	v->event_idx = (v->features & F_EVENT_IDX) != 0;
	return NULL;
}

static void write_address(const struct virtio *v, uint32_t reg, uint64_t address)
{
	virtio_write(v, reg, (uint32_t)address);
	virtio_write(v, reg + 4, (uint32_t)(address >> 32));
}

void virtq_announce(const struct virtio *v, unsigned index, uint32_t size, uint64_t desc,
		    uint64_t avail, uint64_t used)
{
	virtio_write(v, REG_QUEUE_SEL, index);
	virtio_write(v, REG_QUEUE_NUM, size);
	write_address(v, REG_QUEUE_DESC, desc);
	write_address(v, REG_QUEUE_AVAIL, avail);
	write_address(v, REG_QUEUE_USED, used);
	virtio_write(v, REG_QUEUE_READY, 1);
}

const char *virtio_queue(struct virtio *v, unsigned index)
{
	struct virtq *q = &v->q[index];
	uint32_t size, max;

	virtio_write(v, REG_QUEUE_SEL, index);
	if (virtio_read(v, REG_QUEUE_READY) != 0)
		return "a queue is ready after a reset";
	max = virtio_read(v, REG_QUEUE_NUM_MAX);
	if (max == 0)
		return "the device has no such queue";
	size = max < virtio_options.size ? max : (uint32_t)virtio_options.size;
	virtq_init(q, v->slot, index, size);
	virtq_announce(v, index, size, (uintptr_t)q->m->desc, (uintptr_t)&q->m->avail,
		       (uintptr_t)&q->m->used);
	if (virtio_read(v, REG_QUEUE_READY) != 1)
		return "a queue does not become ready";
	return NULL;
}

void virtio_go(struct virtio *v)
{
	v->irq = virtio_options.irq != 0 && !serial_polled();
	if (v->irq) {
		trap_handle(VECTOR_GSI(v->gsi), virtio_interrupt);
		ioapic_route(v->gsi, VECTOR_GSI(v->gsi));
	}
	virtio_write(v, REG_STATUS,
		     STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
	v->open = true;
}

const char *virtio_open(struct virtio *v, uint64_t wanted, unsigned queues)
{
	const char *fault;

	if (v->open)
		return NULL;
	fault = virtio_negotiate(v, wanted);
	v->queues = queues;
	for (unsigned i = 0; i < queues && fault == NULL; i++)
		fault = virtio_queue(v, i);
	if (fault == NULL)
		virtio_go(v);
	return fault;
}

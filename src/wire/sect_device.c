/* SPDX-License-Identifier: Apache-2.0 */
/* The state of one virtio-mmio device: transport, queues, configuration space, and then what its
 * kind adds. A state that no driver and device can reach together is refused here; whether the
 * device is the one the topology has in that slot, and whether its rings lie in RAM, is judged
 * where those are known. */
#include <inttypes.h>
#include <string.h>

#include "wire/sect_device.h"
#include "wire/sections.h"

/* Virtio 1.2, 2.1: device status. */
enum { STATUS_FEATURES_OK = 8, STATUS_PROGRESS = 15, STATUS_NEEDS_RESET = 64, STATUS_FAILED = 128 };
#define FEATURE_VERSION_1 (UINT64_C(1) << 32)
enum { QUEUE_SIZE = 40, QUEUE_MAX = 32768 };

/* 3.1.1: the driver takes the steps in this order. FAILED may join at any of them, so may
 * NEEDS_RESET. */
static bool status_ok(uint32_t status)
{
	uint32_t extra = STATUS_NEEDS_RESET | STATUS_FAILED;

	switch (status & ~extra) {
	case 0: case 1: case 3: case 11: case STATUS_PROGRESS:
		return true;
	default:
		return false;
	}
}

static err_t transport_parse(struct fields *f, struct transport_state *t)
{
	TRY(field_u32(f, "status", UINT32_MAX, &t->status));
	if (!status_ok(t->status))
		return field_bad(f, ERR_DEVICE, "status",
				 "%" PRIu32 " is no state that a driver can bring a device to",
				 t->status);
	TRY(field_u32(f, "device_features_sel", UINT32_MAX, &t->device_features_sel));
	TRY(field_u32(f, "driver_features_sel", UINT32_MAX, &t->driver_features_sel));
	TRY(field_u32(f, "queue_sel", UINT32_MAX, &t->queue_sel));
	TRY(field_u32(f, "interrupt_status", 3, &t->interrupt_status));
	TRY(field_u32(f, "config_generation", UINT32_MAX, &t->config_generation));
	TRY(field_u64(f, "acked_features", UINT64_MAX, &t->acked_features));
	if ((t->status & STATUS_FEATURES_OK) != 0 && (t->acked_features & FEATURE_VERSION_1) == 0)
		return field_bad(f, ERR_DEVICE, "acked_features",
				 "FEATURES_OK is set without VIRTIO_F_VERSION_1");
	return OK;
}

static bool size_ok(const struct queue_state *q)
{
	return is_power_of_two(q->size) && q->size <= q->max_size;
}

/* 2.7: alignment of the three parts of a split ring. */
static err_t ring_check(struct fields *f, const char *name, gpa_t at, uint64_t align, uint64_t len,
			bool ready)
{
	gpa_t end;

	if (ready && (at.v % align != 0 || !gpa_end(at, BYTES(len), &end)))
		return field_bad(f, ERR_DEVICE, name,
				 "0x%" PRIx64 " is not aligned to %" PRIu64 " or wraps around",
				 at.v, align);
	return OK;
}

static err_t rings_parse(struct fields *f, struct queue_state *q)
{
	TRY(field_u64(f, "queue.desc", UINT64_MAX, &q->desc.v));
	TRY(ring_check(f, "queue.desc", q->desc, 16, QUEUE_DESC_LEN(q->size), q->ready));
	TRY(field_u64(f, "queue.driver", UINT64_MAX, &q->driver.v));
	TRY(ring_check(f, "queue.driver", q->driver, 2, QUEUE_DRIVER_LEN(q->size), q->ready));
	TRY(field_u64(f, "queue.device", UINT64_MAX, &q->device.v));
	return ring_check(f, "queue.device", q->device, 4, QUEUE_DEVICE_LEN(q->size), q->ready);
}

static err_t positions_parse(struct fields *f, struct queue_state *q)
{
	uint16_t limit = q->ready ? UINT16_MAX : 0;

	TRY(field_u16(f, "queue.next_avail", limit, &q->next_avail));
	TRY(field_u16(f, "queue.next_used", limit, &q->next_used));
	if ((uint16_t)(q->next_avail - q->next_used) > q->size)
		return field_bad(f, ERR_DEVICE, "queue.next_used",
				 "%u taken and %u given back leave more than %u in flight",
				 q->next_avail, q->next_used, q->size);
	return OK;
}

static err_t queue_parse(struct fields *f, const struct transport_state *t, struct queue_state *q)
{
	TRY(field_u16(f, "queue.max_size", QUEUE_MAX, &q->max_size));
	if (!is_power_of_two(q->max_size))
		return field_bad(f, ERR_DEVICE, "queue.max_size", "%u is not a power of two",
				 q->max_size);
	TRY(field_u16(f, "queue.size", q->max_size, &q->size));
	if (q->size != 0 && !size_ok(q))
		return field_bad(f, ERR_DEVICE, "queue.size", "%u is not a power of two", q->size);
	TRY(field_bool(f, "queue.ready", &q->ready));
	if (q->ready && ((t->status & STATUS_FEATURES_OK) == 0 || q->size == 0))
		return field_bad(f, ERR_DEVICE, "queue.ready",
				 "set before FEATURES_OK, or with a size of 0");
	TRY(field_reserved(f, 3));
	TRY(rings_parse(f, q));
	TRY(positions_parse(f, q));
	return field_reserved(f, 4);
}

static err_t kind_parse(struct fields *f, struct device_state *s)
{
	uint32_t raw;
	err_t e;

	TRY(field_u32(f, "kind", UINT32_MAX, &raw));
	e = dev_kind_parse(raw, &s->kind);
	if (failed(e))
		return field_bad(f, e.code, "kind", "%" PRIu32 " is no kind of device", raw);
	TRY(field_count(f, "n_queues", dev_kind_queues_max(s->kind), QUEUE_SIZE, &s->n_queues));
	if (s->n_queues < dev_kind_queues_min(s->kind))
		return field_bad(f, ERR_RANGE, "n_queues", "is %" PRIu32 ", expected at least %"
				 PRIu32, s->n_queues, dev_kind_queues_min(s->kind));
	TRY(field_count(f, "config_len", DEVICE_CONFIG_MAX, 1, &s->config_len));
	return field_reserved(f, 4);
}

static err_t own_parse(struct fields *f, struct device_state *s)
{
	switch (s->kind) {
	case DEV_BLK:
		return blk_state_parse(f, s, &s->blk);
	case DEV_RNG:
		/* Virtio 1.2, 5.4.4: no configuration space. */
		if (s->config_len != 0)
			return field_bad(f, ERR_DEVICE, "config_len", "is %" PRIu32 ", expected 0",
					 s->config_len);
		return OK;
	}
	unreachable_by_type();
}

err_t device_state_parse(struct cur in, struct diag *d, struct device_state *ret)
{
	struct fields f = fields_of(in, "device", d);
	err_t e;

	TRY(kind_parse(&f, ret));
	TRY(transport_parse(&f, &ret->transport));
	for (uint32_t i = 0; i < ret->n_queues; i++)
		TRY(queue_parse(&f, &ret->transport, &ret->queues[i]));
	TRY(field_bytes(&f, "config", ret->config, ret->config_len));
	TRY(own_parse(&f, ret));
	e = field_done(&f);
	if (failed(e))
		device_state_clear(ret);
	return e;
}

static void queue_encode(struct out *o, const struct queue_state *q)
{
	out_u16(o, q->max_size);
	out_u16(o, q->size);
	out_u8(o, q->ready);
	out_zero(o, 3);
	out_u64(o, q->desc.v);
	out_u64(o, q->driver.v);
	out_u64(o, q->device.v);
	out_u16(o, q->next_avail);
	out_u16(o, q->next_used);
	out_zero(o, 4);
}

static void transport_encode(struct out *o, const struct transport_state *t)
{
	out_u32(o, t->status);
	out_u32(o, t->device_features_sel);
	out_u32(o, t->driver_features_sel);
	out_u32(o, t->queue_sel);
	out_u32(o, t->interrupt_status);
	out_u32(o, t->config_generation);
	out_u64(o, t->acked_features);
}

void device_state_encode(struct out *o, const struct device_state *v)
{
	if (v->n_queues > SHAPE_QUEUES_MAX || v->config_len > DEVICE_CONFIG_MAX) {
		o->overrun = true;
		return;
	}
	out_u32(o, v->kind);
	out_u32(o, v->n_queues);
	out_u32(o, v->config_len);
	out_zero(o, 4);
	transport_encode(o, &v->transport);
	for (uint32_t i = 0; i < v->n_queues; i++)
		queue_encode(o, &v->queues[i]);
	out_bytes(o, v->config, v->config_len);
	switch (v->kind) {
	case DEV_BLK:
		blk_state_encode(o, &v->blk);
		break;
	case DEV_RNG:
		break;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A parked device as plain values, and back. The values may come from a file that anybody has
 * written, so loading judges them against this device and this memory. */
#include <inttypes.h>
#include <string.h>

#include "machine/virtio/device_parts.h"
#include "machine/virtio/registers.h"

/* A driver that claims more than a queue holds has broken it, whether the worker has seen it or
 * not: said now, so that what is saved is a state that can be loaded. */
static void queues_settle(struct virtio_dev *v)
{
	uint16_t n;

	for (uint32_t i = 0; i < v->slot.queues && virtio_works(v); i++) {
		struct virtq *q = &v->live[i];

		if (q->rings.size != 0 && !virtq_waiting(q, &n))
			virtio_needs_reset(v, q->fault);
	}
}

static void queue_save(const struct virtio_dev *v, uint32_t i, struct queue_state *ret)
{
	*ret = v->queues[i];
	if (v->live[i].rings.size != 0) {
		ret->next_avail = v->live[i].next_avail;
		ret->next_used = v->live[i].next_used;
	}
}

static void common_save(struct virtio_dev *v, struct device_state *ret)
{
	memset(ret, 0, sizeof *ret);
	queues_settle(v);
	ret->kind = v->slot.kind;
	ret->transport = v->regs;
	ret->n_queues = v->slot.queues;
	for (uint32_t i = 0; i < v->slot.queues; i++)
		queue_save(v, i, &ret->queues[i]);
	ret->config_len = v->face.config_len;
	memcpy(ret->config, v->face.config, v->face.config_len);
}

static err_t own_save(struct virtio_dev *v, const struct disk_store *store, struct diag *d,
		      struct blk_state *ret)
{
	struct disk *k;

	switch (v->slot.kind) {
	case DEV_BLK:
		k = blk_disk(v->own);
		if (store == NULL)
			return disk_describe(k, d, ret);
		return store->shared ? disk_describe_base(k, d, ret)
				     : disk_store_as(k, store->file, store->name, d, ret);
	case DEV_RNG:
		return OK;
	}
	unreachable_by_type();
}

err_t virtio_save(struct virtio_parked p, const struct disk_store *store, struct diag *d,
		  struct device_state *ret)
{
	struct virtio_dev *v = p.dev;
	struct blk_state blk = { 0 };

	TRY(own_save(v, store, d, &blk));
	pthread_mutex_lock(&v->worker->lock);
	common_save(v, ret);
	pthread_mutex_unlock(&v->worker->lock);
	ret->blk = blk;
	return OK;
}

uint32_t virtio_waiting(struct virtio_parked p)
{
	struct virtio_dev *v = p.dev;
	uint32_t total = 0;
	uint16_t n;

	pthread_mutex_lock(&v->worker->lock);
	queues_settle(v);
	for (uint32_t i = 0; i < v->slot.queues && virtio_works(v); i++)
		if (v->live[i].rings.size != 0 && virtq_waiting(&v->live[i], &n))
			total += n;
	pthread_mutex_unlock(&v->worker->lock);
	return total;
}

static err_t bad(struct diag *d, const char *field, const char *what)
{
	return diag_field(d, FAIL(ERR_DEVICE), "device", field, "%s", what);
}

static bool status_ok(uint32_t status)
{
	switch (status & ~(uint32_t)(STATUS_NEEDS_RESET | STATUS_FAILED)) {
	case 0: case STATUS_STEP1: case STATUS_STEP2: case STATUS_STEP3: case STATUS_STEP4:
		return true;
	default:
		return false;
	}
}

static err_t transport_check(const struct virtio_dev *v, const struct transport_state *t,
			     struct diag *d)
{
	if (!status_ok(t->status))
		return bad(d, "status", "is no state that a driver can bring a device to");
	if ((t->acked_features & ~v->face.features) != 0)
		return diag_field(d, FAIL(ERR_DEVICE), "device", "acked_features",
				  "0x%" PRIx64 " were never offered",
				  t->acked_features & ~v->face.features);
	if ((t->status & STATUS_FEATURES_OK) != 0 && (t->acked_features & F_VERSION_1) == 0)
		return bad(d, "acked_features", "FEATURES_OK is set without VIRTIO_F_VERSION_1");
	if ((t->interrupt_status & ~(uint32_t)(INTERRUPT_USED | INTERRUPT_CONFIG)) != 0)
		return bad(d, "interrupt_status", "has bits that do not exist");
	return OK;
}

static err_t face_check(const struct virtio_dev *v, const struct device_state *s, struct diag *d)
{
	if (s->kind != v->slot.kind)
		return bad(d, "kind", "is another one than the machine has in this slot");
	if (s->n_queues != v->slot.queues)
		return diag_field(d, FAIL(ERR_DEVICE), "device", "n_queues",
				  "is %" PRIu32 ", the machine has %" PRIu32, s->n_queues,
				  v->slot.queues);
	if (s->config_len != v->face.config_len)
		return diag_field(d, FAIL(ERR_DEVICE), "device", "config_len",
				  "is %" PRIu32 ", expected %" PRIu32, s->config_len,
				  v->face.config_len);
	for (uint32_t i = 0; i < s->config_len; i++)
		if (s->config[i] != v->face.config[i])
			return diag_field(d, FAIL(ERR_DEVICE), "device", "config",
					  "byte %" PRIu32 " is 0x%02x, this device has 0x%02x", i,
					  s->config[i], v->face.config[i]);
	return OK;
}

static err_t queue_check(const struct virtio_dev *v, const struct queue_state *q, struct diag *d)
{
	struct virtq_rings rings = virtio_rings(v, q);
	const char *fault;

	if (q->max_size != VIRTQ_SIZE_MAX)
		return diag_field(d, FAIL(ERR_DEVICE), "device", "queue.max_size",
				  "is %u, expected %d", q->max_size, VIRTQ_SIZE_MAX);
	if (!q->ready)
		return q->next_avail == 0 && q->next_used == 0 ? OK :
			bad(d, "queue.next_avail", "a queue that is not ready has been used");
	if ((v->regs.status & STATUS_FEATURES_OK) == 0)
		return bad(d, "queue.ready", "is set before FEATURES_OK");
	fault = virtq_rings_fault(v->wires.mem, &rings);
	return fault == NULL ? OK :
		bad(d, fault, "is misaligned, of an impossible size, or not in one piece of RAM");
}

static err_t queue_load(struct virtio_dev *v, uint32_t i, const struct queue_state *q,
			struct diag *d)
{
	uint16_t n;

	TRY(queue_check(v, q, d));
	v->queues[i] = *q;
	virtio_queue_open(v, i);
	/* A device that wants a reset may be so because of just this. */
	if (virtio_works(v) && q->ready && !virtq_waiting(&v->live[i], &n))
		return bad(d, "queue.next_avail", v->live[i].fault);
	/* Whether the driver was told of the last entries is not known: it will be of the next. */
	v->live[i].added = v->live[i].rings.size;
	return OK;
}

err_t virtio_load(struct virtio_dev *v, const struct device_state *s, struct diag *d)
{
	TRY(face_check(v, s, d));
	TRY(transport_check(v, &s->transport, d));
	v->regs = s->transport;
	for (uint32_t i = 0; i < s->n_queues; i++)
		TRY(queue_load(v, i, &s->queues[i], d));
	return OK;
}

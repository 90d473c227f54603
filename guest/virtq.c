/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues, the driver's side: virtio 1.2, 2.7. See virtio.h. */
#include "cpu.h"
#include "text.h"
#include "virtio.h"

#define AVAIL_NO_INTERRUPT 1
#define USED_NO_NOTIFY 1

static struct virtq_memory memory[VIRTIO_SLOTS][VIRTIO_QUEUES];

/* The two event fields lie behind the rings, wherever those end (2.7.6, 2.7.8). */
static volatile uint16_t *virtq_used_event(const struct virtq *q)
{
	return &q->m->avail.ring[q->size];
}

static volatile uint16_t *virtq_avail_event(const struct virtq *q)
{
	return (volatile uint16_t *)&q->m->used.ring[q->size];
}

void virtq_init(struct virtq *q, unsigned slot, unsigned index, unsigned size)
{
	volatile struct virtq_memory *m = &memory[slot][index];

	memset(q, 0, sizeof *q);
	q->m = m;
	q->index = (uint16_t)index;
	q->size = (uint16_t)size;
	q->free_count = (uint16_t)size;
	for (unsigned i = 0; i < size; i++)
		m->desc[i].next = (uint16_t)(i + 1);
	m->avail.flags = m->avail.idx = 0;
	m->used.flags = m->used.idx = 0;
	/* What an earlier life of the device left here would suppress a kick. */
	*virtq_used_event(q) = *virtq_avail_event(q) = 0;
}

bool virtq_add(struct virtq *q, const struct segment *segments, unsigned count, uint16_t cookie)
{
	uint16_t head = q->free_head, at = head;

	if (count == 0 || count > q->free_count)
		return false;
	for (unsigned i = 0; i < count; i++) {
		volatile struct virtq_desc *d = &q->m->desc[at];

		d->addr = (uintptr_t)segments[i].at;
		d->len = segments[i].len;
		d->flags = (uint16_t)((segments[i].device_writes ? DESC_WRITE : 0) |
				      (i + 1 < count ? DESC_NEXT : 0));
		at = d->next;
	}
	q->free_head = at;
	q->free_count = (uint16_t)(q->free_count - count);
	q->chain[head] = (uint16_t)count;
	q->cookie[head] = cookie;
	q->m->avail.ring[q->avail_idx % q->size] = head;
	q->avail_idx++;
	return true;
}

void virtq_kick(struct virtio *v, struct virtq *q)
{
	uint16_t old = q->kicked_idx, new = q->avail_idx;
	bool wanted;

	if (new == old)
		return;
	cpu_compiler_barrier(); /* x86 keeps the stores in order: 2.7.13.3 */
	q->m->avail.idx = new;
	q->kicked_idx = new;
	cpu_fence();
	if (v->event_idx)
		wanted = (uint16_t)(new - *virtq_avail_event(q) - 1) < (uint16_t)(new - old);
	else
		wanted = (q->m->used.flags & USED_NO_NOTIFY) == 0;
	if (wanted)
		virtio_write(v, REG_QUEUE_NOTIFY, q->index);
}

bool virtq_has_used(const struct virtq *q)
{
	return q->m->used.idx != q->last_used;
}

const char *virtq_take(struct virtq *q, uint16_t *ret_cookie, uint32_t *ret_len)
{
	uint32_t id, len, last;
	uint16_t count;

	if ((uint16_t)(q->m->used.idx - q->last_used) > q->size)
		return "the used index ran ahead";
	cpu_compiler_barrier();
	id = q->m->used.ring[q->last_used % q->size].id;
	len = q->m->used.ring[q->last_used % q->size].len;
	q->last_used++;
	if (id >= q->size || q->chain[id] == 0)
		return "a chain that is not in flight was completed";
	count = q->chain[id];
	q->chain[id] = 0;
	q->free_count = (uint16_t)(q->free_count + count);
	for (last = id; count > 1; count--)
		last = q->m->desc[last].next;
	q->m->desc[last].next = q->free_head;
	q->free_head = (uint16_t)id;
	*ret_cookie = q->cookie[id];
	*ret_len = len;
	return NULL;
}

/* Asks for an interrupt at the next completion, or for none (2.7.7, 2.7.10). */
static void virtq_arm(const struct virtio *v, struct virtq *q, bool wanted)
{
	if (v->event_idx)
		*virtq_used_event(q) = (uint16_t)(wanted ? q->last_used : q->last_used - 1);
	else
		q->m->avail.flags = wanted ? 0 : AVAIL_NO_INTERRUPT;
}

static bool virtio_any_used(const struct virtio *v)
{
	for (unsigned i = 0; i < v->queues; i++) {
		if (virtq_has_used(&v->q[i]))
			return true;
	}
	return false;
}

void virtio_wait(struct virtio *v)
{
	for (unsigned i = 0; i < v->queues; i++)
		virtq_arm(v, &v->q[i], v->irq);
	cpu_fence();
	while (!virtio_any_used(v)) {
		if (v->irq)
			cpu_wait();
		else
			cpu_pause();
	}
}

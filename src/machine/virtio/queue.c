/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/virtio/queue.h"

#include <endian.h>
#include <stdatomic.h>
#include <string.h>

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4, AVAIL_NO_INTERRUPT = 1, DESC_SIZE = 16 };

/* Virtio 1.2, 2.7.5. */
struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};
static_assert(sizeof(struct desc) == DESC_SIZE, "as the guest lays it out");

static gpa_t driver_flags(const struct virtq_rings *r)  { return r->driver; }
static gpa_t driver_idx(const struct virtq_rings *r)    { return GPA(r->driver.v + 2); }
static gpa_t used_event(const struct virtq_rings *r)    { return GPA(r->driver.v + 4 + 2u * r->size); }
static gpa_t device_idx(const struct virtq_rings *r)    { return GPA(r->device.v + 2); }
static gpa_t avail_event(const struct virtq_rings *r)   { return GPA(r->device.v + 4 + 8u * r->size); }

static gpa_t driver_entry(const struct virtq_rings *r, uint16_t i)
{
	return GPA(r->driver.v + 4 + 2u * (i & (r->size - 1u)));
}

static gpa_t device_entry(const struct virtq_rings *r, uint16_t i)
{
	return GPA(r->device.v + 4 + 8u * (i & (r->size - 1u)));
}

/* In one piece: one region, so that the parts need no splitting. */
static bool part_ok(const struct gmem *m, gpa_t at, uint64_t align, size_t len)
{
	struct iovec whole;
	size_t n = 0;

	return at.v % align == 0 && !failed(gmem_iovecs(m, at, len, &whole, 1, &n));
}

const char *virtq_rings_fault(const struct gmem *m, const struct virtq_rings *r)
{
	size_t event = r->event_idx ? 2 : 0, n = r->size;

	if (!is_power_of_two(r->size) || r->size > VIRTQ_SIZE_MAX)
		return "queue.size";
	if (!part_ok(m, r->desc, 16, 16 * n))
		return "queue.desc";
	if (!part_ok(m, r->driver, 2, 4 + 2 * n + event))
		return "queue.driver";
	if (!part_ok(m, r->device, 4, 4 + 8 * n + event))
		return "queue.device";
	return NULL;
}

static bool broken(struct virtq *q, const char *why)
{
	q->fault = why;
	return false;
}

static const char lost[] = "the queue's memory is gone";

bool virtq_waiting(struct virtq *q, uint16_t *ret_n)
{
	uint16_t idx, n;

	/* Acquire: the ring entries and descriptors behind the index are read after it (2.7.13). */
	if (failed(gmem_load_acquire_u16(q->mem, driver_idx(&q->rings), &idx)))
		return broken(q, lost);
	n = (uint16_t)(le16toh(idx) - q->next_avail);
	if (n > q->rings.size)
		return broken(q, "the available index is ahead by more than the queue's size");
	*ret_n = n;
	return true;
}

static void desc_to_host(struct desc *d)
{
	d->addr = le64toh(d->addr);
	d->len = le32toh(d->len);
	d->flags = le16toh(d->flags);
	d->next = le16toh(d->next);
}

static bool segment_add(struct virtq *q, struct chain *c, const struct desc *d)
{
	bool write = (d->flags & DESC_WRITE) != 0;
	uint32_t *len = write ? &c->write_len : &c->read_len, total;

	if (!write && c->n_write != 0)
		return broken(q, "a readable buffer follows a writable one");
	if (d->len == 0)
		return true;
	if (!gmem_holds(q->mem, GPA(d->addr), BYTES(d->len)))
		return broken(q, "a buffer lies outside RAM");
	/* 2.7.4: no chain describes more than 2^32 bytes; one less here, so that used.len can. */
	if (__builtin_add_overflow(c->read_len, c->write_len, &total) ||
	    __builtin_add_overflow(total, d->len, &total))
		return broken(q, "a chain of more than 4 GiB");
	if (c->n_read + c->n_write == q->rings.size)
		return broken(q, "a chain longer than its queue");
	c->seg[c->n_read + c->n_write] = (struct segment){ GPA(d->addr), d->len };
	*len += d->len;
	*(write ? &c->n_write : &c->n_read) += 1;
	return true;
}

/* 2.7.5.3: the table is copied as a whole first; it is no longer than the queue (2.7.5.3.1) and
 * holds no further table. That its descriptor be marked as writable is ignored (2.7.5.3.2). */
static bool table_copy(struct virtq *q, const struct desc *at, struct desc *ret, uint16_t *ret_n)
{
	uint32_t n = at->len / DESC_SIZE;

	if (!q->indirect)
		return broken(q, "an indirect table that was not negotiated");
	if ((at->flags & DESC_NEXT) != 0)
		return broken(q, "an indirect table with a successor");
	if (at->len % DESC_SIZE != 0 || n == 0 || n > q->rings.size)
		return broken(q, "an indirect table of the wrong size");
	if (failed(gmem_copy_in(q->mem, GPA(at->addr), ret, at->len)))
		return broken(q, "an indirect table outside RAM");
	for (uint32_t i = 0; i < n; i++)
		desc_to_host(&ret[i]);
	*ret_n = (uint16_t)n;
	return true;
}

/* True: the chain goes on at *io_i, which is below `n`. */
static bool next_ok(struct virtq *q, const struct desc *d, uint16_t n, uint16_t *io_i,
		    uint32_t *io_steps, bool *ret_more)
{
	*ret_more = (d->flags & DESC_NEXT) != 0;
	if (!*ret_more)
		return true;
	if (d->next >= n)
		return broken(q, "a successor outside its table");
	if (++*io_steps >= n)
		return broken(q, "a chain that loops");
	*io_i = d->next;
	return true;
}

static bool table_walk(struct virtq *q, const struct desc *at, struct chain *c)
{
	struct desc table[VIRTQ_SIZE_MAX];
	uint32_t steps = 0;
	uint16_t n, i = 0;
	bool more;

	if (!table_copy(q, at, table, &n))
		return false;
	do {
		if ((table[i].flags & DESC_INDIRECT) != 0)
			return broken(q, "an indirect table in an indirect table");
		if (!segment_add(q, c, &table[i]) ||
		    !next_ok(q, &table[i], n, &i, &steps, &more))
			return false;
	} while (more);
	return true;
}

static bool chain_walk(struct virtq *q, uint16_t head, struct chain *c)
{
	uint32_t steps = 0;
	uint16_t i = head;
	bool more;

	do {
		gpa_t at = GPA(q->rings.desc.v + (uint64_t)DESC_SIZE * i);
		struct desc d;

		if (failed(gmem_copy_in(q->mem, at, &d, sizeof d)))
			return broken(q, lost);
		desc_to_host(&d);
		if ((d.flags & DESC_INDIRECT) != 0)
			return table_walk(q, &d, c);
		if (!segment_add(q, c, &d) ||
		    !next_ok(q, &d, q->rings.size, &i, &steps, &more))
			return false;
	} while (more);
	return true;
}

static bool chain_take(struct virtq *q, struct chain *c)
{
	uint16_t head;

	if (failed(gmem_copy_in(q->mem, driver_entry(&q->rings, q->next_avail), &head, sizeof head)))
		return broken(q, lost);
	head = le16toh(head);
	if (head >= q->rings.size)
		return broken(q, "a chain that begins outside its table");
	c->head = head;
	c->n_read = c->n_write = 0;
	c->read_len = c->write_len = 0;
	return chain_walk(q, head, c);
}

enum virtq_pop virtq_pop(struct virtq *q, struct chain *ret_chain)
{
	uint16_t n;

	if (q->fault != NULL || !virtq_waiting(q, &n))
		return VIRTQ_BROKEN;
	if (n == 0)
		return VIRTQ_EMPTY;
	if (!chain_take(q, ret_chain))
		return VIRTQ_BROKEN;
	q->next_avail++;
	return VIRTQ_CHAIN;
}

bool virtq_push(struct virtq *q, uint16_t head, uint32_t written)
{
	struct { uint32_t id, len; } entry = { htole32(head), htole32(written) };

	if (failed(gmem_copy_out(q->mem, device_entry(&q->rings, q->next_used), &entry, sizeof entry)))
		return broken(q, lost);
	q->next_used++;
	/* Release: data and entry are visible before the index that announces them (2.7.13). */
	if (failed(gmem_store_release_u16(q->mem, device_idx(&q->rings), htole16(q->next_used))))
		return broken(q, lost);
	if (q->added < q->rings.size)
		q->added++;
	return true;
}

/* 2.7.10: the driver names the entry after which it wants to hear; `added` entries end at
 * next_used. What was not wanted this time still counts the next. */
static bool event_wanted(const struct virtq *q, uint16_t event)
{
	return (uint16_t)(q->next_used - event - 1) < q->added;
}

bool virtq_interrupt(struct virtq *q, bool *ret_wanted)
{
	const struct virtq_rings *r = &q->rings;
	uint16_t v;

	if (q->added == 0) {
		*ret_wanted = false;
		return true;
	}
	/* The index is out before the driver's wish is read: the driver writes its wish and then
	 * reads the index, so one of us sees the other's. Store before load is the one order that
	 * no processor keeps by itself. */
	atomic_thread_fence(memory_order_seq_cst);
	if (failed(gmem_load_acquire_u16(q->mem, r->event_idx ? used_event(r) : driver_flags(r), &v)))
		return broken(q, lost);
	v = le16toh(v);
	*ret_wanted = r->event_idx ? event_wanted(q, v) : (v & AVAIL_NO_INTERRUPT) == 0;
	if (*ret_wanted)
		q->added = 0;
	return true;
}

bool virtq_rearm(struct virtq *q, bool *ret_more)
{
	uint16_t n;

	*ret_more = false;
	if (!q->rings.event_idx)
		return true;
	if (failed(gmem_store_release_u16(q->mem, avail_event(&q->rings), htole16(q->next_avail))))
		return broken(q, lost);
	/* The same from the other side: our wish is out before the driver's index is read. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!virtq_waiting(q, &n))
		return false;
	*ret_more = n != 0;
	return true;
}

/* Calls `each` for the pieces of a range of a chain's buffers. */
static err_t chain_each(const struct chain *c, bool write, uint32_t skip, uint32_t len,
			err_t (*each)(void *ctx, gpa_t at, uint32_t n), void *ctx)
{
	const struct segment *s = write ? c->seg + c->n_read : c->seg;

	for (uint16_t left = write ? c->n_write : c->n_read; left != 0 && len != 0; left--, s++) {
		uint32_t n = s->len;

		if (skip >= n) {
			skip -= n;
			continue;
		}
		n -= skip;
		if (n > len)
			n = len;
		TRY(each(ctx, GPA(s->at.v + skip), n));
		skip = 0;
		len -= n;
	}
	return len == 0 ? OK : FAIL(ERR_RANGE);
}

struct gather { const struct gmem *m; struct iovec *iov; size_t cap, n; };

static err_t gather_piece(void *ctx, gpa_t at, uint32_t n)
{
	struct gather *g = ctx;

	return gmem_iovecs(g->m, at, n, g->iov, g->cap, &g->n);
}

err_t chain_iovecs(const struct chain *c, const struct gmem *m, bool write, uint32_t skip,
		   uint32_t len, struct iovec *iov, size_t cap, size_t *ret_n)
{
	struct gather g = { m, iov, cap, 0 };

	TRY(chain_each(c, write, skip, len, gather_piece, &g));
	*ret_n = g.n;
	return OK;
}

struct transfer { const struct gmem *m; uint8_t *in; const uint8_t *out; };

static err_t read_piece(void *ctx, gpa_t at, uint32_t n)
{
	struct transfer *t = ctx;

	TRY(gmem_copy_in(t->m, at, t->in, n));
	t->in += n;
	return OK;
}

static err_t write_piece(void *ctx, gpa_t at, uint32_t n)
{
	struct transfer *t = ctx;

	TRY(gmem_copy_out(t->m, at, t->out, n));
	t->out += n;
	return OK;
}

err_t chain_read(const struct chain *c, const struct gmem *m, uint32_t skip, void *ret_bytes,
		 uint32_t len)
{
	struct transfer t = { .m = m, .in = ret_bytes };

	return chain_each(c, false, skip, len, read_piece, &t);
}

err_t chain_write(const struct chain *c, const struct gmem *m, uint32_t skip, const void *bytes,
		  uint32_t len)
{
	struct transfer t = { .m = m, .out = bytes };

	return chain_each(c, true, skip, len, write_piece, &t);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/ram_extents.h"

#include <string.h>

#include "base/heap.h"

/* The layering as it is, before anything is given up: ascending, as many pieces as there are. */
struct pieces {
	struct ram_extent *e; /* owned */
	size_t n, cap;
};

/* Joins what belongs together. Empty pieces vanish. */
static void push(struct pieces *p, struct ram_extent e)
{
	struct ram_extent *last = p->n == 0 ? NULL : &p->e[p->n - 1];

	if (e.len.v == 0)
		return;
	if (last != NULL && last->source == e.source &&
	    (e.source == RAM_SOURCE_HOLE || last->at.v + last->len.v == e.at.v)) {
		last->len.v += e.len.v;
		return;
	}
	assert(p->n < p->cap);
	p->e[p->n++] = e;
}

static struct ram_extent fresh_piece(uint32_t fresh, uint64_t from, uint64_t to)
{
	return (struct ram_extent){ BYTES(from), BYTES(to - from), fresh, FOFF(from) };
}

/* The part of a piece of the layer below between two offsets. */
static struct ram_extent part_of(const struct ram_layering *in, const struct ram_extent *e,
				 uint64_t from, uint64_t to)
{
	struct ram_extent part = { BYTES(from), BYTES(to - from), e->source, FOFF(0) };

	if (e->source == RAM_SOURCE_HOLE)
		return part;
	if ((in->replaced >> e->source & 1) != 0)
		return fresh_piece(in->fresh, from, to);
	part.at = FOFF(e->at.v + (from - e->offset.v));
	return part;
}

static void overlay_one(const struct ram_layering *in, const struct ram_extent *e, size_t *io_next,
			struct pieces *p)
{
	uint64_t at = e->offset.v, end = e->offset.v + e->len.v;

	while (*io_next < in->n_written && in->written[*io_next].offset.v < end) {
		const struct ram_run *w = &in->written[*io_next];
		uint64_t to = w->offset.v + w->len.v;

		if (w->offset.v > at)
			push(p, part_of(in, e, at, w->offset.v));
		if (w->offset.v > at)
			at = w->offset.v;
		push(p, fresh_piece(in->fresh, at, to < end ? to : end));
		at = to < end ? to : end;
		if (to > end)
			return; /* it goes on in the next piece */
		(*io_next)++;
	}
	push(p, part_of(in, e, at, end));
}

/* ---- giving up the smallest ---- */

static bool is_less(const struct ram_extent *a, const struct ram_extent *b)
{
	return a->len.v != b->len.v ? a->len.v < b->len.v : a < b;
}

/* Shell's. The C library's asks, the first time, how much memory the host has: a system call that a
 * worker which freezes itself has not got. */
static void sort_by_length(struct ram_extent **e, size_t n)
{
	size_t gap = 1;

	while (gap < n / 3)
		gap = 3 * gap + 1;
	for (; gap > 0; gap /= 3) {
		for (size_t i = gap; i < n; i++) {
			struct ram_extent *one = e[i];
			size_t at = i;

			for (; at >= gap && is_less(one, e[at - gap]); at -= gap)
				e[at] = e[at - gap];
			e[at] = one;
		}
	}
}

static size_t joined(const struct pieces *p, uint32_t fresh)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += i == 0 || p->e[i].source != fresh || p->e[i - 1].source != fresh;
	return n;
}

/* What becomes fresh joins the neighbours that are. */
static size_t neighbours(const struct pieces *p, const struct ram_extent *e, uint32_t fresh)
{
	size_t i = (size_t)(e - p->e);

	return (size_t)(i > 0 && p->e[i - 1].source == fresh) +
	       (size_t)(i + 1 < p->n && p->e[i + 1].source == fresh);
}

static err_t reduce(const struct ram_layering *in, struct pieces *p)
{
	uint32_t fresh = in->fresh;
	owned_heap struct ram_extent **order = calloc(p->n + 1, sizeof(struct ram_extent *));
	size_t left = joined(p, fresh), n = 0;

	if (order == NULL)
		return FAIL(ERR_NOMEM);
	for (size_t i = 0; i < p->n; i++)
		if (p->e[i].source != fresh)
			order[n++] = &p->e[i];
	sort_by_length(order, n);
	for (size_t i = 0; i < n; i++) {
		size_t joins = neighbours(p, order[i], fresh);

		if (left <= RAM_EXTENTS_MAX && (joins == 0 || order[i]->len.v > in->worthless.v))
			continue;
		left -= joins;
		*order[i] = fresh_piece(fresh, order[i]->offset.v,
					order[i]->offset.v + order[i]->len.v);
	}
	return OK;
}

err_t ram_extents_plan(const struct ram_layering *in, struct ram_extents *ret)
{
	size_t cap = 2 * (in->n_written + in->n_below) + 1, next = 0;
	owned_heap struct ram_extent *all = calloc(cap, sizeof all[0]);
	struct pieces p = { all, 0, cap };
	struct ram_extent few[RAM_EXTENTS_MAX];
	struct pieces out = { few, 0, RAM_EXTENTS_MAX };

	if (all == NULL)
		return FAIL(ERR_NOMEM);
	for (uint32_t i = 0; i < in->n_below; i++)
		overlay_one(in, &in->below[i], &next, &p);
	TRY(reduce(in, &p));
	for (size_t i = 0; i < p.n; i++)
		push(&out, p.e[i]);
	memcpy(ret->e, few, out.n * sizeof few[0]);
	ret->n = (uint32_t)out.n;
	return OK;
}

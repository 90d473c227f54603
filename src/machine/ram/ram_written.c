/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/ram/ram_written.h"

#include <string.h>

#include "base/heap.h"
#include "machine/ram/gmem_guard.h"

enum {
	AREA = PAGE_MAP_BATCH,  /* pages */
	AGAIN_MAX = 32768,      /* pages that are looked at while the guest stands still: 1.7 ms */
};

err_t ram_written_new(const struct ram *r, struct ram_written *ret)
{
	uint64_t pages = r->map.len / HOST_PAGE;

	*ret = (struct ram_written){ .ram = r, .pages = pages };
	ret->bits = calloc(1, pages / 8 + 1);
	ret->present = calloc(pages / AREA + 1, sizeof ret->present[0]);
	if (ret->bits != NULL && ret->present != NULL)
		return OK;
	ram_written_drop(ret);
	return FAIL(ERR_NOMEM);
}

void ram_written_drop(struct ram_written *w)
{
	free(w->bits);
	free(w->present);
	free(w->run);
	*w = (struct ram_written){ 0 };
}

struct span { uint64_t from, to; }; /* pages */

static struct span span_of(const struct ram_extent *e)
{
	return (struct span){ e->offset.v / HOST_PAGE, (e->offset.v + e->len.v) / HOST_PAGE };
}

static bool is_set(const struct ram_written *w, uint64_t page)
{
	return (w->bits[page / 8] >> (page % 8)) & 1;
}

static void set_range(struct ram_written *w, struct span s)
{
	for (uint64_t p = s.from; p < s.to; p++)
		w->bits[p / 8] |= (uint8_t)(1u << (p % 8));
}

/* ---- looking ---- */

static err_t look_at_area(struct ram_written *w, const struct page_map *map, uint64_t area,
			  struct diag *d)
{
	uint64_t entries[AREA], from = area * AREA;
	uint64_t n = w->pages - from < AREA ? w->pages - from : AREA;

	TRY(page_map_read(map, w->ram->mem.base + from * HOST_PAGE, (size_t)n, d, entries));
	for (uint64_t i = 0; i < n; i++) {
		if (page_is_own(entries[i]) && page_counts(w->ram, from + i))
			set_range(w, (struct span){ from + i, from + i + 1 });
		else if (page_is_present(entries[i]))
			w->present[area]++;
	}
	return OK;
}

static err_t look_everywhere(struct ram_written *w, const struct page_map *map, struct diag *d)
{
	for (uint64_t area = 0; area * AREA < w->pages; area++)
		TRY(look_at_area(w, map, area, d));
	return OK;
}

static err_t look_for_more(struct ram_written *w, const struct page_map *map, struct span s,
			   struct diag *d, bool *ret_more)
{
	struct page_run run;

	for (uint64_t p = s.from; p < s.to; p += run.first + run.n) {
		TRY(page_map_find(map, w->ram->mem.base + p * HOST_PAGE, (size_t)(s.to - p), d, &run));
		for (uint64_t i = p + run.first; i < p + run.first + run.n; i++) {
			if (!page_counts(w->ram, i))
				continue;
			set_range(w, (struct span){ i, i + 1 });
			*ret_more = true;
		}
	}
	return OK;
}

static err_t look_outside(struct ram_written *w, const struct page_map *map,
			  const struct ram_extents *pieces, uint32_t fresh, struct diag *d,
			  bool *ret_more)
{
	for (uint32_t i = 0; i < pieces->n; i++)
		if (pieces->e[i].source != fresh)
			TRY(look_for_more(w, map, span_of(&pieces->e[i]), d, ret_more));
	return OK;
}

/* The file below may be cut while its pages are looked at. */
static err_t cut_short(struct diag *d)
{
	return diag_fail(d, FAIL(ERR_RAM_LOST),
			 "the snapshot file behind the guest's RAM was cut short");
}

err_t ram_written_look(struct ram_written *w, const struct page_map *map, struct diag *d)
{
	struct guard g;
	err_t e;

	if (guard_enter(&g, w->ram->map.base, w->ram->map.len))
		return cut_short(d);
	e = look_everywhere(w, map, d);
	guard_leave();
	return e;
}

err_t ram_written_look_again(struct ram_written *w, const struct page_map *map,
			     const struct ram_extents *pieces, uint32_t fresh, struct diag *d,
			     bool *ret_more)
{
	struct guard g;
	err_t e;

	*ret_more = false;
	if (guard_enter(&g, w->ram->map.base, w->ram->map.len))
		return cut_short(d);
	e = look_outside(w, map, pieces, fresh, d, ret_more);
	guard_leave();
	return e;
}

/* ---- deciding ---- */

static bool area_is_fresh(const struct ram_extents *pieces, uint32_t fresh, uint64_t area)
{
	for (uint32_t i = 0; i < pieces->n; i++) {
		const struct ram_extent *e = &pieces->e[i];

		if (e->source == fresh &&
		    range_holds(e->offset.v, e->len.v, area * AREA * HOST_PAGE, AREA * HOST_PAGE))
			return true;
	}
	return false;
}

/* From the fullest areas down, until what is left is little enough. */
void ram_written_limit(struct ram_written *w, const struct ram_extents *pieces, uint32_t fresh)
{
	uint64_t with[AREA + 1] = { 0 }, sum = 0; /* with[n]: areas of n pages to look at */
	uint64_t areas = (w->pages + AREA - 1) / AREA, stay = 0;
	unsigned least = AREA + 1;

	for (uint64_t a = 0; a < areas; a++) {
		if (area_is_fresh(pieces, fresh, a))
			w->present[a] = 0;
		with[w->present[a]]++;
		sum += w->present[a];
	}
	while (sum > AGAIN_MAX) {
		least--;
		sum -= with[least] * least;
	}
	if (least <= AREA)
		stay = (AGAIN_MAX - sum) / least; /* of the least full of these */
	for (uint64_t a = 0; a < areas; a++) {
		uint64_t end = (a + 1) * AREA < w->pages ? (a + 1) * AREA : w->pages;

		if (w->present[a] == least && stay > 0)
			stay--;
		else if (w->present[a] >= least)
			set_range(w, (struct span){ a * AREA, end });
	}
}

void ram_written_cover(struct ram_written *w, const struct ram_extents *pieces, uint32_t fresh)
{
	for (uint32_t i = 0; i < pieces->n; i++)
		if (pieces->e[i].source == fresh)
			set_range(w, span_of(&pieces->e[i]));
}

err_t ram_written_runs(struct ram_written *w)
{
	size_t n = 0;
	struct ram_run *run;

	for (uint64_t p = 0; p < w->pages; p++)
		n += is_set(w, p) && (p == 0 || !is_set(w, p - 1));
	run = calloc(n + 1, sizeof run[0]);
	if (run == NULL)
		return FAIL(ERR_NOMEM);
	free(w->run);
	w->run = run;
	w->n_runs = n;
	run--;
	for (uint64_t p = 0; p < w->pages; p++) {
		if (!is_set(w, p))
			continue;
		if (p == 0 || !is_set(w, p - 1))
			*++run = (struct ram_run){ BYTES(p * HOST_PAGE), BYTES(0) };
		run->len.v += HOST_PAGE;
	}
	return OK;
}

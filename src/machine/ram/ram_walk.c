/* SPDX-License-Identifier: Apache-2.0 */
/* Walking: a memfd by SEEK_DATA and SEEK_HOLE, at the page granularity it reports; a private mapping
 * by what its base holds and by which of its pages the process has made its own. */
#include <errno.h>
#include <string.h>

#include "machine/ram/gmem_guard.h"
#include "machine/ram/ram_parts.h"

static bool wanted(const struct ram_visitor *v, uint64_t block)
{
	return v->wants == NULL || v->wants(v->ctx, block);
}

/* ---- shared ---- */

/* A block with a hole in it goes through a buffer: read, a hole costs nothing; touched through the
 * mapping, it would become a page. */
static err_t shared_block(const struct ram *r, uint64_t b, bool whole, uint8_t *bounce,
			  struct diag *d, const struct ram_visitor *v)
{
	uint64_t from = b * RAM_BLOCK;

	if (!wanted(v, b))
		return OK;
	if (whole)
		return v->block(v->ctx, b, r->mem.base + from, true);
	if (pread(r->memfd.raw, bounce, RAM_BLOCK, (off_t)from) != RAM_BLOCK)
		return diag_sys(d, FAIL_SYS(errno), "reading guest RAM");
	return v->block(v->ctx, b, bounce, false);
}

static err_t walk_shared(const struct ram *r, struct diag *d, const struct ram_visitor *v)
{
	uint8_t bounce[RAM_BLOCK];
	uint64_t end = r->map.len, next = 0; /* next: the first block not yet visited */

	for (uint64_t at = 0; at < end;) {
		off_t data = lseek(r->memfd.raw, (off_t)at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			return OK;
		hole = data < 0 ? -1 : lseek(r->memfd.raw, data, SEEK_HOLE);
		if (hole < 0)
			return diag_sys(d, FAIL_SYS(errno), "looking for data in guest RAM");
		at = (uint64_t)hole;
		for (uint64_t b = (uint64_t)data / RAM_BLOCK; b * RAM_BLOCK < at; b++) {
			bool whole = (uint64_t)data <= b * RAM_BLOCK && (b + 1) * RAM_BLOCK <= at;

			if (b < next)
				continue;
			next = b + 1;
			TRY(shared_block(r, b, whole, bounce, d, v));
		}
	}
	return OK;
}

/* ---- private ---- */

static err_t private_block(const struct ram *r, uint64_t b, const uint64_t *pages, uint8_t *bounce,
			   struct diag *d, const struct ram_visitor *v)
{
	uint64_t from = b * RAM_BLOCK;
	bool in_base = ram_base_has(r->base, b);
	unsigned own = 0;

	for (unsigned p = 0; p < PAGES_PER_BLOCK; p++)
		own += page_is_own(pages[p]);
	if (own == PAGES_PER_BLOCK)
		return v->block(v->ctx, b, r->mem.base + from, true);
	if (own == 0 && !in_base)
		return OK;
	if (in_base)
		TRY(ram_base_read(r->base, BYTES(from), bounce, RAM_BLOCK, d));
	else
		memset(bounce, 0, RAM_BLOCK);
	for (unsigned p = 0; p < PAGES_PER_BLOCK && own > 0; p++) {
		if (page_is_own(pages[p]))
			memcpy(bounce + p * HOST_PAGE, r->mem.base + from + p * HOST_PAGE, HOST_PAGE);
	}
	return v->block(v->ctx, b, bounce, false);
}

/* A page of our own goes too when the file is cut before it (truncate(2) unmaps it), between the
 * look at the page map and the copy. The visitor abandons nothing but the reading of that page. */
static err_t private_block_guarded(const struct ram *r, uint64_t b, const uint64_t *pages,
				   uint8_t *bounce, struct diag *d, const struct ram_visitor *v)
{
	struct guard g;
	err_t e;

	if (guard_enter(&g, r->map.base, r->map.len))
		return diag_fail(d, FAIL(ERR_RAM_LOST),
				 "the snapshot file behind the guest's RAM was cut short");
	e = private_block(r, b, pages, bounce, d, v);
	guard_leave();
	return e;
}

static_assert(PAGE_MAP_BATCH % PAGES_PER_BLOCK == 0, "a batch is whole blocks");

static err_t walk_private(const struct ram *r, struct diag *d, const struct ram_visitor *v)
{
	uint8_t bounce[RAM_BLOCK];
	uint64_t entries[PAGE_MAP_BATCH];
	struct page_map map;
	err_t e = OK;

	TRY(page_map_open(r, d, &map));
	for (uint64_t b = 0; b < r->blocks && !failed(e);) {
		uint64_t left = (r->blocks - b) * PAGES_PER_BLOCK;
		size_t n = left < PAGE_MAP_BATCH ? (size_t)left : PAGE_MAP_BATCH;

		e = page_map_read(&map, r->mem.base + b * RAM_BLOCK, n, d, entries);
		for (size_t i = 0; i < n && !failed(e); i += PAGES_PER_BLOCK, b++)
			if (wanted(v, b))
				e = private_block_guarded(r, b, &entries[i], bounce, d, v);
	}
	fd_drop(&map.file);
	return e;
}

err_t ram_walk(const struct ram *r, struct quiesced q, struct diag *d, struct ram_visitor visitor)
{
	(void)q;
	return ram_is_shared(r) ? walk_shared(r, d, &visitor) : walk_private(r, d, &visitor);
}

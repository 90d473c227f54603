/* SPDX-License-Identifier: Apache-2.0 */
/* A machine's RAM becomes a base. What is data and what is a hole is laid out as a handful of pieces
 * (plan/ram_extents.h). Holes between the data of one piece are filled here, as long as they are few:
 * a child that reads one would fill it in the shared file, sealed or not. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/heap.h"
#include "machine/ram/gmem_guard.h"
#include "machine/ram/ram_parts.h"

#define FILL_MAX MIB(16)

/* Ascending pieces of RAM, in one growing block. */
struct runs {
	struct ram_run *r; /* owned */
	size_t n, cap;
};

static err_t runs_add(struct runs *s, uint64_t from, uint64_t len)
{
	struct ram_run *last = s->n == 0 ? NULL : &s->r[s->n - 1];

	if (last != NULL && last->offset.v + last->len.v == from) {
		last->len.v += len;
		return OK;
	}
	if (s->n == s->cap) {
		size_t cap = s->cap == 0 ? 256 : 2 * s->cap;
		struct ram_run *r = reallocarray(s->r, cap, sizeof r[0]);

		if (r == NULL)
			return FAIL(ERR_NOMEM);
		s->r = r;
		s->cap = cap;
	}
	s->r[s->n++] = (struct ram_run){ BYTES(from), BYTES(len) };
	return OK;
}

static err_t data_runs(int memfd, uint64_t end, struct diag *d, struct runs *s)
{
	for (uint64_t at = 0; at < end;) {
		off_t data = lseek(memfd, (off_t)at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			return OK;
		hole = data < 0 ? -1 : lseek(memfd, data, SEEK_HOLE);
		if (hole < 0)
			return diag_sys(d, FAIL_SYS(errno), "looking for data in guest RAM");
		TRY(runs_add(s, (uint64_t)data, (uint64_t)hole - (uint64_t)data));
		at = (uint64_t)hole;
	}
	return OK;
}

/* ---- holes ---- */

/* The first hole of [at, end), empty at the end when there is none. */
/* syscalls(control): lseek */
static struct ram_run hole_after(int memfd, uint64_t at, uint64_t end)
{
	off_t hole = lseek(memfd, (off_t)at, SEEK_HOLE), data;
	uint64_t from = hole < 0 || (uint64_t)hole > end ? end : (uint64_t)hole, to = end;

	data = lseek(memfd, (off_t)from, SEEK_DATA);
	if (data >= 0 && (uint64_t)data < end)
		to = (uint64_t)data;
	return (struct ram_run){ BYTES(from), BYTES(from < end ? to - from : 0) };
}

static uint64_t holes_in(int memfd, const struct ram_extent *e)
{
	uint64_t at = e->offset.v, end = at + e->len.v, sum = 0;

	while (at < end) {
		struct ram_run hole = hole_after(memfd, at, end);

		sum += hole.len.v;
		at = hole.offset.v + hole.len.v;
	}
	return sum;
}

/* The pieces that are made of the fresh file, if their holes are few: a child that reads one would
 * fill it. Otherwise they are left to that, once for all children. */
/* syscalls(control): fallocate */
err_t ram_fill_holes(int memfd, const struct ram_extents *pieces, uint32_t fresh, struct diag *d)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < pieces->n; i++)
		if (pieces->e[i].source == fresh)
			sum += holes_in(memfd, &pieces->e[i]);
	for (uint32_t i = 0; i < pieces->n && sum <= FILL_MAX; i++) {
		const struct ram_extent *e = &pieces->e[i];

		if (e->source == fresh &&
		    fallocate(memfd, 0, (off_t)e->offset.v, (off_t)e->len.v) != 0)
			return diag_sys(d, (err_t){ ERR_HOST_MEMORY, errno },
					"filling the holes of frozen RAM");
	}
	return OK;
}

/* ---- shared ---- */

/* Sealing is refused while anything is mapped that could write. The addresses stay taken. */
static err_t seal_shared(struct ram *r, struct diag *d)
{
	err_t e;

	if (mmap(r->map.base, r->map.len, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return diag_sys(d, FAIL_SYS(errno), "unmapping frozen RAM");
	e = ram_memfd_seal(r->memfd.raw, d);
	if (failed(e))
		(void)mmap(r->map.base, r->map.len, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_NORESERVE | MAP_FIXED, r->memfd.raw, 0);
	return e;
}

err_t ram_plan_memfd(int memfd, bytes_t ram, struct diag *d, struct ram_extents *ret)
{
	struct ram_extent nothing = { BYTES(0), ram, RAM_SOURCE_HOLE, FOFF(0) };
	struct runs data = { 0 };
	struct ram_layering l = { .below = &nothing, .n_below = 1, .fresh = 0,
				  .worthless = RAM_WORTHLESS };
	err_t e = data_runs(memfd, ram.v, d, &data);

	l.written = data.r;
	l.n_written = data.n;
	if (!failed(e))
		e = ram_extents_plan(&l, ret);
	free(data.r);
	return e;
}

err_t ram_base_of_filled(fd_t *memfd, bytes_t ram, struct diag *d, struct ram_base **ret_base)
{
	struct ram_files files = { .n = 1 };
	struct ram_extents pieces;

	TRY(ram_plan_memfd(memfd->raw, ram, d, &pieces));
	TRY(ram_fill_holes(memfd->raw, &pieces, 0, d));
	TRY(ram_memfd_seal(memfd->raw, d));
	files.fd[0] = fd_take(memfd);
	return ram_base_of_memfds(&files, &pieces, ram, d, ret_base);
}

static err_t freeze_shared(struct ram *r, struct diag *d, struct ram_base **ret_base)
{
	struct ram_files files = { .n = 1 };
	struct ram_extents pieces;
	struct ram_base *b;
	err_t e;

	TRY(ram_plan_memfd(r->memfd.raw, BYTES(r->map.len), d, &pieces));
	TRY(ram_fill_holes(r->memfd.raw, &pieces, 0, d));
	files.fd[0] = (fd_t){ fcntl(r->memfd.raw, F_DUPFD_CLOEXEC, 0) };
	if (!fd_is_open(files.fd[0]))
		return diag_sys(d, FAIL_SYS(errno), "keeping frozen RAM");
	/* Sealed last: that cannot be taken back. */
	TRY(ram_base_draft(&files, &pieces, BYTES(r->map.len), &b));
	e = seal_shared(r, d);
	if (failed(e)) {
		ram_base_free(b);
		return e;
	}
	*ret_base = b;
	return OK;
}

/* ---- private ---- */

static bool page_is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, HOST_PAGE - 1) == 0;
}

/* Reading a hole gives the process the page of zeroes, which looks like one of its own. */
bool page_counts(const struct ram *r, uint64_t page)
{
	return ram_base_has(r->base, page / PAGES_PER_BLOCK) ||
	       !page_is_zero(r->mem.base + page * HOST_PAGE);
}

static err_t own_runs_of(const struct ram *r, const struct page_map *map, struct diag *d,
			 struct runs *s)
{
	uint64_t entries[PAGE_MAP_BATCH], pages = r->map.len / HOST_PAGE;

	for (uint64_t page = 0; page < pages; page += PAGE_MAP_BATCH) {
		size_t n = pages - page < PAGE_MAP_BATCH ? (size_t)(pages - page) : PAGE_MAP_BATCH;

		TRY(page_map_read(map, r->mem.base + page * HOST_PAGE, n, d, entries));
		for (size_t i = 0; i < n; i++)
			if (page_is_own(entries[i]) && page_counts(r, page + i))
				TRY(runs_add(s, (page + i) * HOST_PAGE, HOST_PAGE));
	}
	return OK;
}

/* Guarded: the file below may be cut while the pages are looked at. */
static err_t own_runs(const struct ram *r, struct diag *d, struct runs *s)
{
	struct page_map map;
	struct guard g;
	err_t e;

	TRY(page_map_open(r, d, &map));
	if (guard_enter(&g, r->map.base, r->map.len)) {
		e = diag_fail(d, FAIL(ERR_RAM_LOST),
			      "the snapshot file behind the guest's RAM was cut short");
	} else {
		e = own_runs_of(r, &map, d, s);
		guard_leave();
	}
	fd_drop(&map.file);
	return e;
}

/* Of a file, which is one piece: what is data in it. */
static err_t below_of_file(const struct ram *r, struct ram_below *ret)
{
	struct ram_extent *e = calloc(r->blocks, sizeof e[0]);
	size_t n = 0;

	if (e == NULL)
		return FAIL(ERR_NOMEM);
	for (uint64_t b = 0; b < r->blocks; b++) {
		uint32_t source = ram_base_has(r->base, b) ? 0 : RAM_SOURCE_HOLE;

		if (n > 0 && e[n - 1].source == source) {
			e[n - 1].len.v += RAM_BLOCK;
			continue;
		}
		e[n++] = (struct ram_extent){ BYTES(b * RAM_BLOCK), BYTES(RAM_BLOCK), source,
					      FOFF(b * RAM_BLOCK) };
	}
	*ret = (struct ram_below){ e, n };
	return OK;
}

err_t ram_below_of(const struct ram *r, struct ram_below *ret)
{
	const struct ram_extents *pieces = ram_base_extents(r->base);
	struct ram_extent *e;

	if (!ram_base_is_sealed(r->base))
		return below_of_file(r, ret);
	e = calloc(pieces->n, sizeof e[0]);
	if (e == NULL)
		return FAIL(ERR_NOMEM);
	memcpy(e, pieces->e, pieces->n * sizeof e[0]);
	*ret = (struct ram_below){ e, pieces->n };
	return OK;
}

static err_t plan_private(const struct ram *r, struct diag *d, struct ram_extents *ret)
{
	struct ram_layering l = { .fresh = ram_base_sources(r->base),
				  .replaced = ram_base_is_sealed(r->base) ? 0 : 1,
				  .worthless = RAM_WORTHLESS };
	struct ram_below below = { 0 };
	struct runs own = { 0 };
	err_t e = own_runs(r, d, &own);

	if (!failed(e))
		e = ram_below_of(r, &below);
	l.below = below.e;
	l.n_below = below.n;
	l.written = own.r;
	l.n_written = own.n;
	if (!failed(e))
		e = ram_extents_plan(&l, ret);
	free(own.r);
	free(below.e);
	return e;
}

/* Copies what belongs to the fresh layer, but for pages of zeroes. */
struct copy {
	const struct ram_extents *pieces;
	uint32_t fresh;
	int memfd;
	struct diag *d;
};

static bool overlaps(const struct copy *c, const struct ram_extent *e, uint64_t from, uint64_t to)
{
	return e->source == c->fresh && e->offset.v < to && e->offset.v + e->len.v > from;
}

static bool copy_wants(void *ctx, uint64_t index)
{
	const struct copy *c = ctx;
	uint64_t from = index * RAM_BLOCK;

	for (uint32_t i = 0; i < c->pieces->n; i++)
		if (overlaps(c, &c->pieces->e[i], from, from + RAM_BLOCK))
			return true;
	return false;
}

/* syscalls(control): pwrite64 */
static err_t copy_page(const struct copy *c, uint64_t at, const uint8_t *page)
{
	for (uint32_t i = 0; i < c->pieces->n; i++) {
		if (!overlaps(c, &c->pieces->e[i], at, at + HOST_PAGE) || page_is_zero(page))
			continue;
		if (pwrite(c->memfd, page, HOST_PAGE, (off_t)at) != (ssize_t)HOST_PAGE)
			return diag_sys(c->d, (err_t){ ERR_HOST_MEMORY, errno },
					"copying the machine's own pages");
	}
	return OK;
}

static err_t copy_block(void *ctx, uint64_t index, const uint8_t *bytes, bool in_place)
{
	(void)in_place;
	for (unsigned p = 0; p < PAGES_PER_BLOCK; p++)
		TRY(copy_page(ctx, index * RAM_BLOCK + p * HOST_PAGE, bytes + p * HOST_PAGE));
	return OK;
}

/* syscalls(control): fcntl=F_DUPFD_CLOEXEC */
err_t ram_files_of(const struct ram_base *base, uint32_t fresh, const fd_t *memfd,
		   struct ram_extents *io, struct diag *d, struct ram_files *ret)
{
	uint32_t number[RAM_SOURCES_MAX + 1];

	memset(number, 0xFF, sizeof number);
	for (uint32_t i = 0; i < io->n; i++) {
		uint32_t s = io->e[i].source;

		if (s == RAM_SOURCE_HOLE)
			continue;
		if (number[s] == UINT32_MAX) {
			int from = s == fresh ? memfd->raw : ram_base_source(base, s);

			number[s] = ret->n;
			ret->fd[ret->n] = (fd_t){ fcntl(from, F_DUPFD_CLOEXEC, 0) };
			if (!fd_is_open(ret->fd[ret->n]))
				return diag_sys(d, FAIL_SYS(errno), "keeping frozen RAM");
			ret->n++;
		}
		io->e[i].source = number[s];
	}
	return OK;
}

static err_t freeze_private(const struct ram *r, struct quiesced q, fd_t *layer, struct diag *d,
			    struct ram_base **ret_base)
{
	struct copy c = { .fresh = ram_base_sources(r->base), .d = d };
	struct ram_files files = { 0 };
	struct ram_extents pieces;
	owned_fd memfd = FD_NONE;
	err_t e;

	TRY(plan_private(r, d, &pieces));
	if (layer != NULL)
		memfd = fd_take(layer);
	else
		TRY(ram_memfd_new(BYTES(r->map.len), d, &memfd));
	c.pieces = &pieces;
	c.memfd = memfd.raw;
	TRY(ram_walk(r, q, d, (struct ram_visitor){ copy_block, copy_wants, &c }));
	TRY(ram_fill_holes(memfd.raw, &pieces, c.fresh, d));
	TRY(ram_memfd_seal(memfd.raw, d));
	e = ram_files_of(r->base, c.fresh, &memfd, &pieces, d, &files);
	if (!failed(e))
		return ram_base_of_memfds(&files, &pieces, BYTES(r->map.len), d, ret_base);
	for (uint32_t i = 0; i < files.n; i++)
		fd_drop(&files.fd[i]);
	return e;
}

err_t ram_freeze(struct ram *r, struct quiesced q, fd_t *layer, struct diag *d,
		 struct ram_base **ret_base)
{
	if (ram_is_shared(r))
		return freeze_shared(r, d, ret_base);
	TRY(freeze_private(r, q, layer, d, ret_base));
	/* A page that went with the file it lay on looks like one that was never written. */
	if (!ram_is_cut(r))
		return OK;
	ram_base_free(*ret_base);
	*ret_base = NULL;
	return diag_fail(d, FAIL(ERR_RAM_LOST),
			 "the snapshot file behind the guest's RAM was cut short");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/ram/page_fill.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "machine/ram/gmem_guard.h"
#include "machine/ram/uffd.h"

/* One block, or what of it lies in fresh pieces. */
struct block {
	uint64_t at;      /* offset in RAM */
	uint32_t fresh;   /* a bit per page */
	uint32_t zero;    /* likewise: of zeroes */
	const uint8_t *bytes;
	uint8_t bounce[RAM_BLOCK];
};

static bool is_done(const struct page_fill *f, uint64_t index)
{
	return (f->done[index / 8] >> (index % 8)) & 1;
}

static void set_done(struct page_fill *f, uint64_t index)
{
	f->done[index / 8] |= (uint8_t)(1u << (index % 8));
}

static uint32_t fresh_pages(const struct page_fill *f, uint64_t at)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < f->pieces->n; i++) {
		const struct ram_extent *e = &f->pieces->e[i];

		if (e->source != f->fresh || e->offset.v >= at + RAM_BLOCK ||
		    e->offset.v + e->len.v <= at)
			continue;
		for (unsigned p = 0; p < PAGES_PER_BLOCK; p++)
			if (range_holds(e->offset.v, e->len.v, at + p * HOST_PAGE, HOST_PAGE))
				mask |= 1u << p;
	}
	return mask;
}

static bool page_is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, HOST_PAGE - 1) == 0;
}

/* Below, holes are not read through the mapping: that would fill them. */
static err_t gather(const struct page_fill *f, const uint64_t *entries, struct diag *d,
		    struct block *b)
{
	uint32_t own = 0;

	for (unsigned p = 0; p < PAGES_PER_BLOCK; p++)
		if ((b->fresh >> p & 1) && page_is_own(entries[p]))
			own |= 1u << p;
	b->bytes = f->aside + b->at;
	if (own != (1u << PAGES_PER_BLOCK) - 1) {
		b->bytes = b->bounce;
		memset(b->bounce, 0, sizeof b->bounce);
		if (own != b->fresh && ram_base_has(f->below, b->at / RAM_BLOCK))
			TRY(ram_base_read(f->below, BYTES(b->at), b->bounce, RAM_BLOCK, d));
		for (unsigned p = 0; p < PAGES_PER_BLOCK; p++)
			if (own >> p & 1)
				memcpy(b->bounce + p * HOST_PAGE,
				       f->aside + b->at + p * HOST_PAGE, HOST_PAGE);
	}
	for (unsigned p = 0; p < PAGES_PER_BLOCK; p++)
		if (page_is_zero(b->bytes + p * HOST_PAGE))
			b->zero |= 1u << p;
	return OK;
}

static err_t load(const struct page_fill *f, uint64_t index, struct diag *d, struct block *b)
{
	uint64_t entries[PAGES_PER_BLOCK];
	struct guard g;
	err_t e;

	b->at = index * RAM_BLOCK;
	b->zero = 0;
	b->bytes = NULL;
	b->fresh = fresh_pages(f, b->at);
	if (b->fresh == 0)
		return OK;
	TRY(page_map_read(&f->map, f->aside + b->at, PAGES_PER_BLOCK, d, entries));
	if (guard_enter(&g, f->aside + b->at, RAM_BLOCK))
		return diag_fail(d, FAIL(ERR_RAM_LOST),
				 "the snapshot file behind the guest's RAM was cut short");
	e = gather(f, entries, d, b);
	guard_leave();
	return e;
}

/* pwrite would do for nobody but ourselves: when the kernel finds the source absent half way, the new
 * page is there for a moment with zeroes in it (mm/shmem.c, shmem_write_end). */
static err_t write_pages(const struct page_fill *f, const struct block *b, unsigned from,
			 unsigned to, struct diag *d)
{
	const uint8_t *bytes = b->bytes + from * HOST_PAGE;
	uint64_t at = b->at + from * HOST_PAGE;
	size_t n = (to - from) * HOST_PAGE;

	if (f->door != NULL)
		return uffd_put(f->uffd, f->door + at, bytes, n, d);
	while (n > 0) {
		ssize_t done = pwrite(f->memfd, bytes, n, (off_t)at);

		if (done < 0 && errno != EINTR)
			return diag_sys(d, (err_t){ ERR_HOST_MEMORY, errno },
					"copying the machine's own pages");
		if (done <= 0)
			continue;
		bytes += done;
		at += (uint64_t)done;
		n -= (size_t)done;
	}
	return OK;
}

/* syscalls(control): madvise=MADV_DONTNEED */
static err_t fill_block(struct page_fill *f, uint64_t index, struct diag *d)
{
	struct block b;
	uint32_t want;

	if (is_done(f, index))
		return OK;
	TRY(load(f, index, d, &b));
	want = b.fresh & ~b.zero;
	for (unsigned p = 0; p < PAGES_PER_BLOCK;) {
		unsigned from = p;

		while (p < PAGES_PER_BLOCK && (want >> p & 1))
			p++;
		if (p == from)
			p++;
		else
			TRY(write_pages(f, &b, from, p, d));
	}
	set_done(f, index);
	/* Each page is there once, not twice. Where nobody runs yet, it may have to go back. */
	if (f->door != NULL && b.bytes != NULL)
		(void)madvise(f->aside + b.at, RAM_BLOCK, MADV_DONTNEED);
	return OK;
}

/* ---- who waits ---- */

/* A page of a filled block that is not in the memfd holds zeroes. */
static err_t serve_one(struct page_fill *f, uintptr_t address, struct diag *d)
{
	uint64_t at = (address - (uintptr_t)f->live) & ~(HOST_PAGE - 1);
	uint64_t index = at / RAM_BLOCK;

	assert(index < f->blocks);
	TRY(fill_block(f, index, d));
	if (lseek(f->memfd, (off_t)at, SEEK_DATA) != (off_t)at)
		return uffd_put_zero(f->uffd, f->live + at, d);
	uffd_wake(f->uffd, f->live + index * RAM_BLOCK, RAM_BLOCK);
	return OK;
}

static err_t serve(struct page_fill *f, struct diag *d)
{
	uintptr_t address;

	while (f->uffd >= 0 && uffd_next(f->uffd, &address))
		TRY(serve_one(f, address, d));
	return OK;
}

static void let_go(struct page_fill *f)
{
	for (uint32_t i = 0; i < f->pieces->n && f->uffd >= 0; i++) {
		const struct ram_extent *e = &f->pieces->e[i];

		if (e->source != f->fresh)
			continue;
		uffd_unwatch(f->uffd, f->live + e->offset.v, e->len.v);
		uffd_wake(f->uffd, f->live + e->offset.v, e->len.v);
	}
}

err_t page_fill_all(struct page_fill *f, struct diag *d)
{
	for (uint64_t i = 0; i < f->blocks; i++) {
		if (fresh_pages(f, i * RAM_BLOCK) == 0)
			continue;
		TRY(serve(f, d));
		TRY(fill_block(f, i, d));
	}
	let_go(f);
	return OK;
}

/* ---- turning back ---- */

static err_t return_block(struct page_fill *f, uint64_t index, struct diag *d)
{
	struct block b;

	if (is_done(f, index))
		return OK;
	TRY(load(f, index, d, &b));
	for (unsigned p = 0; p < PAGES_PER_BLOCK; p++) {
		uint8_t *to = f->live + b.at + p * HOST_PAGE;

		if ((b.fresh >> p & 1) == 0)
			continue;
		if (b.zero >> p & 1)
			TRY(uffd_put_zero(f->uffd, to, d));
		else
			TRY(uffd_put(f->uffd, to, b.bytes + p * HOST_PAGE, HOST_PAGE, d));
	}
	set_done(f, index);
	return OK;
}

err_t page_fill_return(struct page_fill *f, struct diag *d)
{
	uintptr_t address;

	for (uint64_t i = 0; i < f->blocks; i++) {
		while (uffd_next(f->uffd, &address)) {
			uint64_t index = (address - (uintptr_t)f->live) / RAM_BLOCK;

			TRY(return_block(f, index, d));
			TRY(serve_one(f, address, d));
		}
		TRY(return_block(f, i, d));
	}
	let_go(f);
	return OK;
}

void page_fill_lose(struct page_fill *f)
{
	/* Beyond the end of an empty file. */
	owned_fd empty = { memfd_create("spore-lost", MFD_CLOEXEC) };

	for (uint64_t i = 0; i < f->blocks; i++) {
		uint64_t at = i * RAM_BLOCK;

		if (is_done(f, i) || fresh_pages(f, at) == 0)
			continue;
		(void)mmap(f->live + at, RAM_BLOCK, fd_is_open(empty) ? PROT_READ | PROT_WRITE : PROT_NONE,
			   MAP_FIXED | MAP_PRIVATE | MAP_NORESERVE |
			   (fd_is_open(empty) ? 0 : MAP_ANONYMOUS), empty.raw, 0);
	}
	let_go(f);
}

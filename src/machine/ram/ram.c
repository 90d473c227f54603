/* SPDX-License-Identifier: Apache-2.0 */
/* Walking: a memfd by SEEK_DATA and SEEK_HOLE, at the page granularity it reports; a private
 * mapping by the descriptor of the file below it and by /proc/self/pagemap, whose bits 63
 * (present) and 62 (swapped) without bit 61 (file page or shared) mark a page that this process
 * wrote (Documentation/admin-guide/mm/pagemap.rst). */
#include "machine/ram/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/heap.h"
#include "machine/ram/gmem_guard.h"

#define HOST_PAGE UINT64_C(4096)
enum { PAGES_PER_BLOCK = RAM_BLOCK / 4096 };

struct ram {
	struct gmem mem;
	map_t map;
	fd_t file;         /* the memfd, or the snapshot file */
	bool is_private;
	foff_t at;         /* private: where RAM begins in the file */
	uint64_t blocks;
	uint8_t *file_has; /* private: which blocks the file holds; owned */
};

static err_t new_from(const struct geometry *g, fd_t file, foff_t at, int flags, struct diag *d,
		      struct ram **ret_ram)
{
	owned_fd owned = file;
	uint64_t len = geometry_ram(g).v;
	struct ram *r = calloc(1, sizeof *r);
	void *base;

	if (r == NULL)
		return FAIL(ERR_NOMEM);
	guard_install();
	base = mmap(NULL, len, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, owned.raw,
		    (off_t)at.v);
	if (base == MAP_FAILED) {
		free(r);
		return diag_sys(d, (err_t){ ERR_HOST_MEMORY, errno },
				"mapping %" PRIu64 " MiB of guest RAM", len >> 20);
	}
	r->map = (map_t){ base, len };
	r->file = fd_take(&owned);
	r->at = at;
	r->blocks = geometry_ram_blocks(g);
	r->mem.base = base;
	r->mem.n_regions = geometry_ram_regions(g);
	for (uint32_t i = 0; i < r->mem.n_regions; i++)
		r->mem.regions[i] = geometry_ram_region(g, i);
	*ret_ram = r;
	return OK;
}

err_t ram_new(const struct geometry *g, struct diag *d, struct ram **ret_ram)
{
	owned_fd memfd = { memfd_create("spore-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING) };
	uint64_t len = geometry_ram(g).v;

	if (!fd_is_open(memfd) || ftruncate(memfd.raw, (off_t)len) != 0)
		return diag_sys(d, (err_t){ ERR_HOST_MEMORY, errno },
				"reserving %" PRIu64 " MiB of guest RAM", len >> 20);
	/* Nobody, this process included, can take the memory away from under the guest. */
	(void)fcntl(memfd.raw, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
	return new_from(g, fd_take(&memfd), FOFF(0), MAP_SHARED, d, ret_ram);
}

err_t ram_open(const struct geometry *g, int file, foff_t at, const struct ram_map *map,
	       struct diag *d, struct ram **ret_ram)
{
	size_t bits = (size_t)(map->blocks + 7) / 8;
	owned_heap uint8_t *has = malloc(bits);
	owned_fd own = { fcntl(file, F_DUPFD_CLOEXEC, 0) };
	struct ram *r;

	if (has == NULL)
		return FAIL(ERR_NOMEM);
	if (!fd_is_open(own))
		return diag_sys(d, FAIL_SYS(errno), "keeping the snapshot file open");
	memcpy(has, map->bits, bits);
	TRY(new_from(g, fd_take(&own), at, MAP_PRIVATE, d, &r));
	r->is_private = true;
	r->file_has = take_ptr(has);
	*ret_ram = r;
	return OK;
}

void ram_free(struct ram *r)
{
	if (r == NULL)
		return;
	map_drop(&r->map);
	fd_drop(&r->file);
	free(r->file_has);
	free(r);
}

bool ram_is_cut(const struct ram *r)
{
	struct stat st;

	return fstat(r->file.raw, &st) != 0 || (uint64_t)st.st_size < r->at.v + r->map.len;
}

const struct gmem *ram_gmem(const struct ram *r)
{
	return &r->mem;
}

void *ram_host(const struct ram *r, struct ram_region region)
{
	return (uint8_t *)r->map.base + region.offset.v;
}

static err_t cut_short(struct diag *d)
{
	return diag_fail(d, FAIL(ERR_RAM_LOST),
			 "the snapshot file behind the guest's RAM was cut short");
}

/* Reads exactly n bytes. A short read means that somebody cut the file. */
static err_t read_at(const struct ram *r, uint64_t offset, uint8_t *to, size_t n, struct diag *d)
{
	while (n > 0) {
		ssize_t got = pread(r->file.raw, to, n, (off_t)(r->at.v + offset));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return diag_sys(d, FAIL_SYS(errno), "reading guest RAM");
		if (got == 0)
			return cut_short(d);
		to += got;
		offset += (uint64_t)got;
		n -= (size_t)got;
	}
	return OK;
}

/* ---- a memfd ---- */

static err_t walk_shared(const struct ram *r, struct diag *d, struct ram_visitor visitor)
{
	uint8_t bounce[RAM_BLOCK];
	uint64_t end = r->map.len, next = 0; /* next: the first block not yet visited */

	for (uint64_t at = 0; at < end;) {
		off_t data = lseek(r->file.raw, (off_t)at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			return OK;
		hole = data < 0 ? -1 : lseek(r->file.raw, data, SEEK_HOLE);
		if (hole < 0)
			return diag_sys(d, FAIL_SYS(errno), "looking for data in guest RAM");
		at = (uint64_t)hole;
		for (uint64_t b = (uint64_t)data / RAM_BLOCK; b * RAM_BLOCK < at; b++) {
			uint64_t from = b * RAM_BLOCK;
			bool whole = (uint64_t)data <= from && from + RAM_BLOCK <= at;

			if (b < next)
				continue;
			next = b + 1;
			/* A block with a hole in it goes through a buffer: read, a hole costs
			 * nothing; touched through the mapping, it would become a page. */
			if (!whole)
				TRY(read_at(r, from, bounce, RAM_BLOCK, d));
			TRY(visitor.block(visitor.ctx, b, whole ? r->mem.base + from : bounce,
					  whole));
		}
	}
	return OK;
}

/* ---- a private mapping ---- */

#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_SWAPPED (UINT64_C(1) << 62)
#define PAGEMAP_FILE    (UINT64_C(1) << 61)

static bool page_is_own(uint64_t entry)
{
	if (entry & PAGEMAP_SWAPPED)
		return true;
	return (entry & PAGEMAP_PRESENT) && !(entry & PAGEMAP_FILE);
}

enum { PAGEMAP_BATCH = 512 }; /* entries read at once: 32 blocks */
static_assert(PAGEMAP_BATCH % PAGES_PER_BLOCK == 0, "a batch is whole blocks");

static err_t private_block(const struct ram *r, uint64_t b, const uint64_t *pages, uint8_t *bounce,
			   struct diag *d, struct ram_visitor visitor)
{
	uint64_t from = b * RAM_BLOCK;
	bool in_file = (r->file_has[b / 8] >> (b % 8)) & 1;
	unsigned own = 0;

	for (unsigned p = 0; p < PAGES_PER_BLOCK; p++)
		own += page_is_own(pages[p]);
	if (own == PAGES_PER_BLOCK)
		return visitor.block(visitor.ctx, b, r->mem.base + from, true);
	if (own == 0 && !in_file)
		return OK;
	if (in_file)
		TRY(read_at(r, from, bounce, RAM_BLOCK, d));
	else
		memset(bounce, 0, RAM_BLOCK);
	for (unsigned p = 0; p < PAGES_PER_BLOCK && own > 0; p++) {
		if (page_is_own(pages[p]))
			memcpy(bounce + p * HOST_PAGE, r->mem.base + from + p * HOST_PAGE, HOST_PAGE);
	}
	return visitor.block(visitor.ctx, b, bounce, false);
}

/* A page of our own goes too when the file is cut before it (truncate(2) unmaps it), between the
 * look at the page map and the copy. The visitor abandons nothing but the reading of that page. */
static err_t private_block_guarded(const struct ram *r, uint64_t b, const uint64_t *pages,
				   uint8_t *bounce, struct diag *d, struct ram_visitor visitor)
{
	struct guard g;
	err_t e;

	if (guard_enter(&g, r->map.base, r->map.len))
		return cut_short(d);
	e = private_block(r, b, pages, bounce, d, visitor);
	guard_leave();
	return e;
}

static err_t walk_private(const struct ram *r, struct diag *d, struct ram_visitor visitor)
{
	uint8_t bounce[RAM_BLOCK];
	uint64_t entries[PAGEMAP_BATCH];
	owned_fd pagemap = { open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) };

	if (!fd_is_open(pagemap))
		return diag_sys(d, FAIL_SYS(errno), "opening /proc/self/pagemap");
	for (uint64_t b = 0; b < r->blocks;) {
		uint64_t page = ((uintptr_t)r->mem.base + b * RAM_BLOCK) / HOST_PAGE;
		uint64_t left = (r->blocks - b) * PAGES_PER_BLOCK;
		size_t want = (left < PAGEMAP_BATCH ? left : PAGEMAP_BATCH) * sizeof entries[0];
		ssize_t got = pread(pagemap.raw, entries, want, (off_t)(page * sizeof entries[0]));

		if (got != (ssize_t)want)
			return diag_sys(d, FAIL_SYS(got < 0 ? errno : EIO),
					"reading /proc/self/pagemap");
		for (size_t i = 0; i < want / sizeof entries[0]; i += PAGES_PER_BLOCK)
			TRY(private_block_guarded(r, b++, &entries[i], bounce, d, visitor));
	}
	return OK;
}

err_t ram_walk(const struct ram *r, struct quiesced q, struct diag *d, struct ram_visitor visitor)
{
	(void)q;
	return r->is_private ? walk_private(r, d, visitor) : walk_shared(r, d, visitor);
}

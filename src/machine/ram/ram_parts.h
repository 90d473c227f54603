/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine's RAM is made of: shared by the files of this folder and by nobody else. */
#pragma once

#include "machine/ram/ram.h"

#define HOST_PAGE UINT64_C(4096)
enum { PAGES_PER_BLOCK = RAM_BLOCK / 4096 };

struct ram {
	struct gmem mem;
	map_t map;
	fd_t memfd;            /* shared: the memory; else FD_NONE */
	struct ram_base *base; /* private: what lies below; else NULL; a reference */
	uint64_t blocks;
	map_t claim;           /* what keeps the addresses of reserved RAM ours */
	fd_t page_map;         /* FD_NONE: opened when it is needed */
};

static inline bool ram_is_shared(const struct ram *r)
{
	return fd_is_open(r->memfd);
}

/* ram_claim.c: addresses for that much memory, where nothing is mapped but the page *ret_claim. NULL:
 * there are none. */
void *ram_claim(uint64_t len, map_t *ret_claim);
/* page_map.c: which pages of a private mapping are the process's own */

enum { PAGE_MAP_BATCH = 512 }; /* pages asked about at once */
struct page_map { fd_t file; };
must_check err_t page_map_open(const struct ram *r, struct diag *d, struct page_map *ret);
/* One entry per page from `at`; n is at most PAGE_MAP_BATCH. */
must_check err_t page_map_read(const struct page_map *m, const void *at, size_t n, struct diag *d,
			       uint64_t *ret_entries);
bool page_is_present(uint64_t entry); /* or swapped out */
bool page_is_own(uint64_t entry);
/* The first run of such pages among n from `at`, counted from there; { n, 0 } for none. Whether the
 * page of zeroes is among them depends on the kernel. Quick over
 * what is not present, from Linux 6.7 on; before, 10 ns a page. */
struct page_run { size_t first, n; };
must_check err_t page_map_find(const struct page_map *m, const uint8_t *at, size_t n, struct diag *d,
			       struct page_run *ret);

/* ram_freeze.c: what freezing and branching have in common */

/* Does a page that looks like one of the machine's own hold anything that its base does not? Looks at
 * it. */
bool page_counts(const struct ram *r, uint64_t page);
/* How a memfd that is all of RAM is best laid out. */
must_check err_t ram_plan_memfd(int memfd, bytes_t ram, struct diag *d, struct ram_extents *ret);
must_check err_t ram_fill_holes(int memfd, const struct ram_extents *pieces, uint32_t fresh,
				struct diag *d);
/* What a private ram lies on, for the planner. */
struct ram_below {
	struct ram_extent *e; /* owned */
	size_t n;
};
must_check err_t ram_below_of(const struct ram *r, struct ram_below *ret);
/* The base's files that are still used and the new one, numbered anew. *ret is empty before; on
 * failure the caller drops what is in it. */
must_check err_t ram_files_of(const struct ram_base *base, uint32_t fresh, const fd_t *memfd,
			      struct ram_extents *io, struct diag *d, struct ram_files *ret);

/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/self/pagemap: bits 63 (present) and 62 (swapped) without bit 61 (file page or shared) mark a
 * page that this process wrote, or the page of zeroes that it was given for reading
 * (Documentation/admin-guide/mm/pagemap.rst). */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "machine/ram/ram_parts.h"

#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_SWAPPED (UINT64_C(1) << 62)
#define PAGEMAP_FILE    (UINT64_C(1) << 61)

/* syscalls(control): fcntl=F_DUPFD_CLOEXEC */
err_t page_map_open(const struct ram *r, struct diag *d, struct page_map *ret)
{
	ret->file = (fd_t){ fd_is_open(r->page_map) ?
			    fcntl(r->page_map.raw, F_DUPFD_CLOEXEC, 0) :
			    open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) };
	if (!fd_is_open(ret->file))
		return diag_sys(d, FAIL_SYS(errno), "opening /proc/self/pagemap");
	return OK;
}

/* syscalls(control): pread64 */
err_t page_map_read(const struct page_map *m, const void *at, size_t n, struct diag *d,
		    uint64_t *ret_entries)
{
	uint64_t page = (uintptr_t)at / HOST_PAGE;
	size_t want = n * sizeof ret_entries[0];
	ssize_t got = pread(m->file.raw, ret_entries, want,
			    (off_t)(page * sizeof ret_entries[0]));

	if (got != (ssize_t)want)
		return diag_sys(d, FAIL_SYS(got < 0 ? errno : EIO), "reading /proc/self/pagemap");
	return OK;
}

bool page_is_present(uint64_t entry)
{
	return (entry & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) != 0;
}

bool page_is_own(uint64_t entry)
{
	if (entry & PAGEMAP_SWAPPED)
		return true;
	return (entry & PAGEMAP_PRESENT) && !(entry & PAGEMAP_FILE);
}

/* ---- looking for them ---- */

/* PAGEMAP_SCAN, Linux 6.7 (the same document): newer than the headers it is built with. */
struct scan_region { uint64_t start, end, categories; };
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages, category_inverted,
		 category_mask, category_anyof_mask, return_mask;
};
#define SCAN _IOWR('f', 16, struct scan_arg)
#define SCAN_FILE    (UINT64_C(1) << 2)
#define SCAN_PRESENT (UINT64_C(1) << 3)
#define SCAN_SWAPPED (UINT64_C(1) << 4)
#define SCAN_ZEROES  (UINT64_C(1) << 5)
#define SCAN_NEITHER (SCAN_FILE | SCAN_ZEROES)

static err_t find_by_reading(const struct page_map *m, const uint8_t *at, size_t n, struct diag *d,
			     struct page_run *ret)
{
	uint64_t entries[PAGE_MAP_BATCH];
	struct page_run run = { n, 0 };

	for (size_t p = 0; p < n; p++) {
		size_t batch = n - p < PAGE_MAP_BATCH ? n - p : PAGE_MAP_BATCH;

		if (p % PAGE_MAP_BATCH == 0)
			TRY(page_map_read(m, at + p * HOST_PAGE, batch, d, entries));
		if (!page_is_own(entries[p % PAGE_MAP_BATCH])) {
			if (run.n > 0)
				break;
			continue;
		}
		if (run.n++ == 0)
			run.first = p;
	}
	*ret = run;
	return OK;
}

/* syscalls(control): ioctl=PAGEMAP_SCAN */
err_t page_map_find(const struct page_map *m, const uint8_t *at, size_t n, struct diag *d,
		    struct page_run *ret)
{
	struct scan_region found;
	struct scan_arg a = {
		.size = sizeof a, .start = (uintptr_t)at, .end = (uintptr_t)at + n * HOST_PAGE,
		.vec = (uintptr_t)&found, .vec_len = 1, .category_inverted = SCAN_NEITHER,
		.category_mask = SCAN_NEITHER, .category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.return_mask = SCAN_PRESENT,
	};
	int r = ioctl(m->file.raw, SCAN, &a);

	if (r < 0 && errno == ENOTTY)
		return find_by_reading(m, at, n, d, ret);
	if (r < 0)
		return diag_sys(d, FAIL_SYS(errno), "looking through /proc/self/pagemap");
	*ret = (struct page_run){ n, 0 };
	if (r > 0)
		*ret = (struct page_run){ (found.start - (uintptr_t)at) / HOST_PAGE,
					  (found.end - found.start) / HOST_PAGE };
	return OK;
}

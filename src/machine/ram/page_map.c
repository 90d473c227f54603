/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/self/pagemap: bits 63 (present) and 62 (swapped) without bit 61 (file page or shared) mark a
 * page that this process wrote, or the page of zeroes that it was given for reading
 * (Documentation/admin-guide/mm/pagemap.rst). */
#include <errno.h>
#include <fcntl.h>

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

bool page_is_own(uint64_t entry)
{
	if (entry & PAGEMAP_SWAPPED)
		return true;
	return (entry & PAGEMAP_PRESENT) && !(entry & PAGEMAP_FILE);
}

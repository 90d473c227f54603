/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/boot/boot_file.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE UINT64_C(4096)
#define POPULATE_FROM (16 * PAGE)

/* The length of a regular file that is not empty. */
static err_t file_len(const struct boot_file *f, struct diag *d, uint64_t *ret)
{
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return diag_sys(d, ((err_t){ ERR_FILE, errno }), "cannot be looked at");
	if (S_ISDIR(st.st_mode))
		return diag_fail(d, FAIL(ERR_FILE), "is a directory, expected a file");
	if (!S_ISREG(st.st_mode))
		return diag_fail(d, FAIL(ERR_FILE), "is not a regular file");
	if (st.st_size == 0)
		return diag_fail(d, FAIL(ERR_TRUNCATED), "is empty");
	*ret = (uint64_t)st.st_size;
	return OK;
}

/* Fills the iovecs from the file, from `at` on; consumes them. */
static err_t file_fill(const struct boot_file *f, uint64_t from, struct iovec *iov, size_t n,
		       struct diag *d)
{
	off_t at = (off_t)from;

	while (n != 0) {
		ssize_t got = preadv(f->fd, iov, (int)n, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return diag_sys(d, ((err_t){ ERR_FILE, errno }), "cannot be read");
		if (got == 0)
			return diag_fail(d, FAIL(ERR_FILE), "became shorter while it was read");
		at += got;
		for (; n != 0 && (size_t)got >= iov->iov_len; iov++, n--)
			got -= (ssize_t)iov->iov_len;
		if (n != 0) {
			iov->iov_base = (uint8_t *)iov->iov_base + got;
			iov->iov_len -= (size_t)got;
		}
	}
	return OK;
}

err_t boot_kernel_len(const struct boot_file *f, struct diag *d, bytes_t *ret)
{
	uint64_t len;

	TRY(file_len(f, d, &len));
	if (len > BOOT_KERNEL_MAX)
		return diag_fail(d, FAIL(ERR_FILE),
				 "has %" PRIu64 " bytes, expected at most %" PRIu64, len,
				 BOOT_KERNEL_MAX);
	*ret = BYTES(len);
	return OK;
}

void boot_populate(const struct iovec *iov, size_t n)
{
	for (; n != 0; iov++, n--) {
		uintptr_t at = (uintptr_t)iov->iov_base, from = at & ~(PAGE - 1);

		if (iov->iov_len >= POPULATE_FROM)
			(void)madvise((void *)from, at + iov->iov_len - from, MADV_POPULATE_WRITE);
	}
}

err_t boot_file_read(const struct boot_file *f, uint64_t at, void *ret, size_t n, struct diag *d)
{
	struct iovec iov = { ret, n };

	return file_fill(f, at, &iov, n != 0, d);
}

err_t boot_file_copy(const struct boot_file *f, bytes_t len, struct diag *d, map_t *ret)
{
	/* Populated at once: one call instead of a fault per page. */
	void *base = mmap(NULL, len.v, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	owned_map copy = MAP_NONE;

	if (base == MAP_FAILED)
		return diag_sys(d, ((err_t){ ERR_NOMEM, errno }), "no memory to read it into");
	copy = (map_t){ base, len.v };
	TRY(boot_file_read(f, 0, base, len.v, d));
	*ret = map_take(&copy);
	return OK;
}

err_t boot_initrd_read(const struct boot_file *f, const struct gmem *ram, gpa_t lowest,
		       gpa_t end, struct diag *d, gpa_t *ret_at, bytes_t *ret_len)
{
	struct iovec iov[RAM_REGIONS_MAX];
	size_t n = 0;
	uint64_t len;
	gpa_t at;

	TRY(file_len(f, d, &len));
	at = GPA(end.v >= len ? (end.v - len) & ~(PAGE - 1) : 0);
	if (at.v < lowest.v)
		return diag_fail(d, FAIL(ERR_SIZE),
				 "has %" PRIu64 " bytes, but from the end of the kernel at %#" PRIx64
				 " to %#" PRIx64 " there is not as much room", len, lowest.v, end.v);
	TRY(gmem_iovecs(ram, at, len, iov, countof(iov), &n));
	boot_populate(iov, n);
	TRY(file_fill(f, 0, iov, n, d));
	*ret_at = at;
	*ret_len = BYTES(len);
	return OK;
}

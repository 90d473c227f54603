/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/ram/uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "machine/ram/ram_parts.h"

#define THIN_STEP MIB(64)

err_t uffd_open(int device, struct diag *d, fd_t *ret_uffd)
{
	struct uffdio_api api = { .api = UFFD_API };
	int flags = O_CLOEXEC | O_NONBLOCK;
	owned_fd fd = { device >= 0 ? ioctl(device, USERFAULTFD_IOC_NEW, flags) :
				      (int)syscall(SYS_userfaultfd, flags) };

	if (!fd_is_open(fd) || ioctl(fd.raw, UFFDIO_API, &api) != 0)
		return diag_sys(d, FAIL_SYS(errno), "asking to serve the guest's page faults");
	*ret_uffd = fd_take(&fd);
	return OK;
}

/* syscalls(control): ioctl=UFFDIO_REGISTER */
static int register_as(int uffd, void *at, size_t n, uint64_t mode)
{
	struct uffdio_register r = { .range = { (uintptr_t)at, n }, .mode = mode };

	return ioctl(uffd, UFFDIO_REGISTER, &r);
}

err_t uffd_watch(int uffd, void *at, size_t n, struct diag *d)
{
	if (register_as(uffd, at, n, UFFDIO_REGISTER_MODE_MISSING) != 0)
		return diag_sys(d, FAIL_SYS(errno), "asking to serve the guest's page faults");
	return OK;
}

/* syscalls(control): ioctl=UFFDIO_UNREGISTER */
void uffd_unwatch(int uffd, void *at, size_t n)
{
	struct uffdio_range range = { (uintptr_t)at, n };

	(void)ioctl(uffd, UFFDIO_UNREGISTER, &range);
}

/* syscalls(control): read */
bool uffd_next(int uffd, uintptr_t *ret_address)
{
	struct uffd_msg m;

	while (read(uffd, &m, sizeof m) == (ssize_t)sizeof m) {
		if (m.event != UFFD_EVENT_PAGEFAULT)
			continue;
		*ret_address = (uintptr_t)m.arg.pagefault.address;
		return true;
	}
	return false;
}

/* syscalls(control): ioctl=UFFDIO_WAKE */
void uffd_wake(int uffd, void *at, size_t n)
{
	struct uffdio_range range = { (uintptr_t)at, n };

	(void)ioctl(uffd, UFFDIO_WAKE, &range);
}

/* EAGAIN: the process's mappings were just being changed; some may be done. */
/* syscalls(control): ioctl=UFFDIO_COPY */
err_t uffd_put(int uffd, uint8_t *at, const uint8_t *bytes, size_t n, struct diag *d)
{
	for (size_t done = 0; done < n;) {
		struct uffdio_copy c = { .dst = (uintptr_t)at + done,
					 .src = (uintptr_t)bytes + done, .len = n - done };

		if (ioctl(uffd, UFFDIO_COPY, &c) == 0)
			return OK;
		if (errno == EAGAIN) {
			done += c.copy > 0 ? (size_t)c.copy : 0;
		} else if (errno == EEXIST) {
			uffd_wake(uffd, at + done, HOST_PAGE);
			done += HOST_PAGE;
		} else {
			return diag_sys(d, (err_t){ ERR_HOST_MEMORY, errno },
					"copying the machine's own pages");
		}
	}
	return OK;
}

/* syscalls(control): ioctl=UFFDIO_ZEROPAGE? (to turn back when there is no memory for the copy) */
err_t uffd_put_zero(int uffd, void *at, struct diag *d)
{
	struct uffdio_zeropage z = { .range = { (uintptr_t)at, HOST_PAGE } };
	int r;

	do
		r = ioctl(uffd, UFFDIO_ZEROPAGE, &z);
	while (r != 0 && errno == EAGAIN);
	if (r != 0 && errno != EEXIST)
		return diag_sys(d, (err_t){ ERR_HOST_MEMORY, errno }, "giving the guest a page");
	if (r != 0)
		uffd_wake(uffd, at, HOST_PAGE);
	return OK;
}

bool uffd_thin_prepare(int uffd, void *all, size_t n)
{
	return register_as(uffd, all, n, UFFDIO_REGISTER_MODE_WP) == 0;
}

/* To take back a protection that nobody asked for changes no page table of the process, but the
 * kernel tells KVM that the range may have changed (mm/mprotect.c, change_protection). */
/* syscalls(control): ioctl=UFFDIO_WRITEPROTECT */
void uffd_thin(int uffd, void *at, size_t n)
{
	for (size_t from = 0; from < n; from += THIN_STEP) {
		size_t step = n - from < THIN_STEP ? n - from : THIN_STEP;
		struct uffdio_writeprotect w = { .range = { (uintptr_t)at + from, step } };

		(void)ioctl(uffd, UFFDIO_WRITEPROTECT, &w);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker was not meant to have: descriptors that somebody forgot to mark close-on-exec. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "machine/jail/jail_parts.h"

enum { STANDARD = 3 };

static bool is_kept(int fd, const int *keep, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (keep[i] == fd)
			return true;
	return false;
}

/* Never closed: the next descriptor that is made would have their numbers, and what somebody
 * prints would go there. */
static err_t standard_mute(const int *keep, size_t n, struct diag *d)
{
	owned_fd null = { open("/dev/null", O_RDWR | O_CLOEXEC) };

	if (!fd_is_open(null))
		return diag_sys(d, FAIL_SYS(errno), "/dev/null: cannot be opened");
	for (int fd = 0; fd < STANDARD; fd++) {
		if (!is_kept(fd, keep, n) && fd != null.raw && dup2(null.raw, fd) < 0)
			return diag_sys(d, FAIL_SYS(errno), "/dev/null as descriptor %d", fd);
	}
	if (null.raw < STANDARD)
		null = FD_NONE; /* it is one of them */
	return OK;
}

static err_t close_below(unsigned from, unsigned end, struct diag *d)
{
	if (from < end && close_range(from, end - 1, 0) != 0)
		return diag_sys(d, FAIL_SYS(errno), "closing descriptors");
	return OK;
}

err_t descriptors_close(const int *keep, size_t n, struct diag *d)
{
	unsigned from = STANDARD;

	for (size_t i = 1; i < n; i++)
		if (keep[i - 1] >= keep[i])
			return diag_fail(d, FAIL(ERR_USAGE), "the descriptors that a jail leaves "
					 "open are not in order");
	TRY(standard_mute(keep, n, d));
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < STANDARD)
			continue;
		TRY(close_below(from, (unsigned)keep[i], d));
		from = (unsigned)keep[i] + 1;
	}
	return close_below(from, UINT_MAX, d);
}

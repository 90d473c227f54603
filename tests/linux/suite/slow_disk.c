/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slow_disk.c: makes a monitor's disks slow from outside, as LD_PRELOAD.  While the file that
 * SLOW_DISK names is there, a write by a disk's thread (they are named "blk-...") takes half a
 * second, so that somebody who freezes the machine finds one in flight.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

typedef ssize_t write_call(int fd, const struct iovec *iov, int n, off_t at);

write_call pwritev, pwritev64;

static void dawdle(void)
{
	struct timespec t = { .tv_nsec = 500000000 };
	const char *gate = getenv("SLOW_DISK");
	char name[16] = "";

	(void)prctl(PR_GET_NAME, name);
	if (gate == NULL || strncmp(name, "blk-", 4) != 0 || access(gate, F_OK) != 0)
		return;
	while (nanosleep(&t, &t) != 0)
		;
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
	write_call *next = (write_call *)dlsym(RTLD_NEXT, "pwritev");

	dawdle();
	return next(fd, iov, n, at);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off_t at)
{
	return pwritev(fd, iov, n, at);
}

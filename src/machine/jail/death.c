/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/jail/death.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

/* linux/pidfd.h, which is younger than the oldest headers that this is built with. */
struct pidfd_info {
	uint64_t mask, cgroup;
	uint32_t pid, tgid, ppid, ids[8];
	int32_t exit_code;
};
#define PIDFD_GET_INFO _IOWR(0xFF, 11, struct pidfd_info)
enum { PIDFD_INFO_EXIT = 1 << 3 };

enum { REAPED_MS = 20 }; /* patience with whoever waits for orphans */

static struct death of_child(const siginfo_t *i)
{
	bool killed = i->si_code == CLD_KILLED || i->si_code == CLD_DUMPED;

	return (struct death){ killed ? DEATH_SIGNAL : DEATH_STATUS, i->si_status };
}

static struct death of_status(int status)
{
	return WIFSIGNALED(status) ? (struct death){ DEATH_SIGNAL, WTERMSIG(status) }
				   : (struct death){ DEATH_STATUS, WEXITSTATUS(status) };
}

static void poll_for(int pidfd, short events, int ms)
{
	struct pollfd p = { .fd = pidfd, .events = events };

	while (poll(&p, 1, ms) < 0 && errno == EINTR)
		;
}

/* Its status is told once its parent has waited for it, which also hangs up the descriptor. */
static struct death of_orphan(int pidfd)
{
	struct pidfd_info info = { .mask = PIDFD_INFO_EXIT };
	int r;

	poll_for(pidfd, POLLIN, -1);
	r = ioctl(pidfd, PIDFD_GET_INFO, &info);
	if (r == 0 && (info.mask & PIDFD_INFO_EXIT) == 0) {
		poll_for(pidfd, 0, REAPED_MS);
		info.mask = PIDFD_INFO_EXIT;
		r = ioctl(pidfd, PIDFD_GET_INFO, &info);
	}
	if (r != 0 || (info.mask & PIDFD_INFO_EXIT) == 0)
		return (struct death){ DEATH_UNKNOWN, 0 };
	return of_status(info.exit_code);
}

struct death death_wait(int pidfd)
{
	siginfo_t info = { 0 };
	int r;

	do
		r = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED);
	while (r < 0 && errno == EINTR);
	return r == 0 ? of_child(&info) : of_orphan(pidfd);
}

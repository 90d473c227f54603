/* SPDX-License-Identifier: Apache-2.0 */
/* What of a jail this host allows, found by trying: settings, security modules and containers that
 * forbid parts of it are too many to read. */
#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/jail/jail_parts.h"
#include "machine/kvm/host.h"

static const struct space { enum jail_wall wall; int flag; } spaces[] = {
	{ JAIL_PIDNS, CLONE_NEWPID }, { JAIL_MOUNTNS, CLONE_NEWNS }, { JAIL_NETNS, CLONE_NEWNET },
	{ JAIL_IPCNS, CLONE_NEWIPC }, { JAIL_UTSNS, CLONE_NEWUTS },
};

/* In a child. The walls are its exit status: those of namespaces have the low numbers. */
static _Noreturn void spaces_try(void)
{
	uint32_t uid = geteuid(), gid = getegid(), has = 0;

	if (unshare(CLONE_NEWUSER) == 0 && identity_map(getpid(), uid, gid) == 0)
		has |= JAIL_WITHOUT(JAIL_USERNS);
	for (size_t i = 0; i < countof(spaces); i++)
		if (unshare(spaces[i].flag) == 0)
			has |= JAIL_WITHOUT(spaces[i].wall);
	_exit((int)has);
}
static_assert(JAIL_UTSNS < 6, "an exit status has room for the namespaces");

static uint32_t spaces_ask(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		spaces_try();
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 0;
	return pid > 0 && WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : 0;
}

void jail_host_ask(struct jail_host *ret_host)
{
	const uint32_t action = SECCOMP_RET_KILL_PROCESS;

	*ret_host = (struct jail_host){ .has = spaces_ask(), .landlock_abi = landlock_abi() };
	if (ret_host->landlock_abi > 0)
		ret_host->has |= JAIL_WITHOUT(JAIL_LANDLOCK);
	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
		ret_host->has |= JAIL_WITHOUT(JAIL_SECCOMP);
}

err_t jail_host_require(const struct jail_host *h, uint32_t without, struct diag *d)
{
	for (uint32_t w = 0; JAIL_WITHOUT(w) <= JAIL_WALLS_ALL; w++)
		if (((h->has | without) & JAIL_WITHOUT(w)) == 0)
			return jail_refused((enum jail_wall)w, 0, d);
	return OK;
}

static const char *advice(enum jail_wall w)
{
	switch (w) {
	case JAIL_USERNS:
		return "A worker cannot have a user namespace: see /proc/sys/user/max_user_namespaces, "
		       "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns.";
	case JAIL_PIDNS:
	case JAIL_MOUNTNS:
	case JAIL_NETNS:
	case JAIL_IPCNS:
	case JAIL_UTSNS:
		return "A worker cannot have such a namespace: an ordinary user needs user namespaces "
		       "for it; see /proc/sys/user/ and the rules of the container around.";
	case JAIL_LANDLOCK:
		return "Add landlock to the kernel's lsm= parameter (Linux 5.13 or newer).";
	case JAIL_SECCOMP:
		return "The kernel was built without CONFIG_SECCOMP_FILTER.";
	}
	unreachable_by_type();
}

static void row_add(struct host_report *r, const struct jail_host *h, enum jail_wall w)
{
	bool has = (h->has & JAIL_WITHOUT(w)) != 0;
	char name[32];

	(void)snprintf(name, sizeof name, "jail-%s", jail_wall_word(w));
	if (!has)
		host_row_add(r, name, HOST_WARN, advice(w), "not allowed");
	else if (w == JAIL_LANDLOCK)
		host_row_add(r, name, HOST_OK, "", "version %d", h->landlock_abi);
	else
		host_row_add(r, name, HOST_OK, "", "allowed");
}

void jail_host_report(struct host_report *io_report)
{
	struct jail_host h;

	jail_host_ask(&h);
	for (uint32_t w = 0; JAIL_WITHOUT(w) <= JAIL_WALLS_ALL; w++)
		row_add(io_report, &h, (enum jail_wall)w);
}

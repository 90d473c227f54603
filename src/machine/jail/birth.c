/* SPDX-License-Identifier: Apache-2.0 */
/* jail_nursery_enter, jail_bear, jail_raise:
 *
 *   supervisor ── fork, exec ──► nursery: enters the network namespace (for an ordinary user: through
 *       │                                 the user namespace that owns it)
 *       │                           │ clone3(CLONE_PARENT | CLONE_NEWPID | ...)
 *       ◄────── is parent of ───── child: waits; the nursery maps its user and puts it into the
 *                                         cgroup; becomes that user
 *
 * CLONE_PARENT makes the child the supervisor's own: its death is reported to the supervisor as it
 * was, and neither needs the nursery to live. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine/jail/jail_parts.h"

/* An ordinary user may enter the network namespace only as the owner of the user namespace that it
 * belongs to; root, and a supervisor that lives in it, as they are. */
static int netns_enter(int netns)
{
	int owner;

	if (setns(netns, CLONE_NEWNET) == 0)
		return 0;
	owner = ioctl(netns, NS_GET_USERNS);
	if (owner < 0 || setns(owner, CLONE_NEWUSER) != 0 || setns(netns, CLONE_NEWNET) != 0)
		return errno;
	(void)close(owner);
	return 0;
}

err_t jail_nursery_enter(const struct jail_options *o, struct diag *d, struct jail_nursery *ret)
{
	int failure;

	*ret = (struct jail_nursery){ *o, geteuid() == 0 };
	/* Later a child would need the right to, in a namespace that has none to give. */
	if (ret->of_root && setgroups(0, NULL) != 0)
		return diag_sys(d, (err_t){ ERR_JAIL, errno }, "giving up the supervisor's groups");
	if (!jail_has(o, JAIL_NETNS) || o->netns < 0)
		return OK;
	failure = netns_enter(o->netns);
	if (failure != 0)
		return diag_sys(d, (err_t){ ERR_JAIL, failure }, "entering the network namespace");
	return OK;
}

static uint64_t namespaces(const struct jail_options *o)
{
	static const struct { enum jail_wall wall; uint64_t flag; } all[] = {
		{ JAIL_USERNS, CLONE_NEWUSER }, { JAIL_PIDNS, CLONE_NEWPID },
		{ JAIL_IPCNS, CLONE_NEWIPC },   { JAIL_UTSNS, CLONE_NEWUTS },
	};
	uint64_t flags = 0;

	for (size_t i = 0; i < countof(all); i++)
		if (jail_has(o, all[i].wall))
			flags |= all[i].flag;
	return jail_has(o, JAIL_NETNS) && o->netns < 0 ? flags | CLONE_NEWNET : flags;
}

static void child_become(const struct jail_options *o, const int go[2])
{
	char byte;

	(void)close(go[1]);
	if (read(go[0], &byte, 1) != 1)
		_exit(127); /* the nursery says why, or is gone */
	(void)close(go[0]);
	if (jail_has(o, JAIL_USERNS) && (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0))
		_exit(127);
	/* As after an exec: the change of user has made /proc/self root's. Until jail_enter. */
	(void)prctl(PR_SET_DUMPABLE, 1);
}

static err_t clone_failed(const struct jail_options *o, int sys, struct diag *d)
{
	struct jail_host h;

	if (sys == EPERM || sys == EINVAL || sys == ENOSPC) {
		jail_host_ask(&h);
		TRY(jail_host_require(&h, o->without, d));
	}
	return diag_sys(d, (err_t){ ERR_JAIL, sys }, "making a worker's namespaces");
}

err_t jail_bear(const struct jail_nursery *n, struct diag *d, struct jail_birth *ret)
{
	const struct jail_options *o = &n->options;
	struct clone_args args = { .flags = CLONE_PARENT | namespaces(o) };
	int go[2];
	long pid;

	if (n->of_root && (o->uid < JAIL_UIDS || o->uid > JAIL_UIDS + JAIL_UIDS_MAX))
		return diag_fail(d, FAIL(ERR_USAGE), "root jails a worker as user %u, expected one "
				 "of %u to %u", o->uid, JAIL_UIDS, JAIL_UIDS + JAIL_UIDS_MAX);
	if (pipe2(go, O_CLOEXEC) != 0)
		return diag_sys(d, FAIL_SYS(errno), "making a worker's pipe");
	pid = syscall(SYS_clone3, &args, sizeof args);
	if (pid == 0)
		child_become(o, go);
	if (pid < 0) {
		int sys = errno;

		(void)close(go[0]);
		(void)close(go[1]);
		return clone_failed(o, sys, d);
	}
	if (pid > 0)
		(void)close(go[0]);
	*ret = (struct jail_birth){ (pid_t)pid, { pid > 0 ? go[1] : -1 } };
	return OK;
}

static int cgroup_join(int cgroup, pid_t pid)
{
	owned_fd procs = { openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC) };

	return fd_is_open(procs) && dprintf(procs.raw, "%d", (int)pid) > 0 ? 0 : errno;
}

err_t jail_raise(const struct jail_nursery *n, struct jail_birth *birth, struct diag *d)
{
	const struct jail_options *o = &n->options;
	owned_fd go = fd_take(&birth->go);
	/* As they are seen from here, which may be a user namespace by now. */
	uint32_t uid = n->of_root ? o->uid : geteuid(), gid = n->of_root ? o->uid : getegid();
	int failure = 0;

	if (jail_has(o, JAIL_USERNS))
		failure = identity_map(birth->pid, uid, gid);
	if (failure != 0)
		return diag_sys(d, (err_t){ ERR_JAIL, failure }, "mapping a worker's user");
	if (o->cgroup >= 0)
		failure = cgroup_join(o->cgroup, birth->pid);
	if (failure != 0)
		return diag_sys(d, (err_t){ ERR_JAIL, failure }, "moving a worker into its cgroup");
	if (write(go.raw, "", 1) != 1)
		return diag_sys(d, (err_t){ ERR_JAIL, errno }, "letting a worker go");
	return OK;
}

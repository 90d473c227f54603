/* SPDX-License-Identifier: Apache-2.0 */
/* jail_fork. The supervisor itself enters nothing and may have threads, so the work is done by a
 * helper in between, which is gone when this returns:
 *
 *   supervisor ── fork ──► helper: enters the network namespace (for an ordinary user: through the
 *       │                          user namespace that owns it)
 *       │                    │ clone3(CLONE_PARENT | CLONE_NEWPID | ...)
 *       ◄── is parent of ── child: waits; the helper maps its user and puts it into the cgroup;
 *                                  becomes that user, says that it is ready
 *
 * CLONE_PARENT makes the child the supervisor's own: its death is reported to the supervisor as it
 * was, with no process between them that would have to live. Helper and child make
 * async-signal-safe calls only. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/jail/jail_parts.h"

/* What helper and child tell the supervisor. */
enum step { STEP_BORN, STEP_READY, STEP_GROUPS, STEP_NETNS, STEP_CLONE, STEP_MAP, STEP_CGROUP,
	    STEP_BECOME };
struct report { int32_t step, sys, pid; };

static const char *const step_text[] = {
	[STEP_BORN] = "a worker was born and not heard of again",
	[STEP_READY] = "a worker is ready",
	[STEP_GROUPS] = "giving up the supervisor's groups",
	[STEP_NETNS] = "entering the network namespace",
	[STEP_CLONE] = "making a worker's namespaces",
	[STEP_MAP] = "mapping a worker's user",
	[STEP_CGROUP] = "moving a worker into its cgroup",
	[STEP_BECOME] = "becoming a worker's user",
};

struct birth {
	const struct jail_options *o;
	bool root; /* the supervisor is */
	int to;    /* the supervisor's socket, seen from helper and child */
	int go[2]; /* pipe from the helper to the child */
};

static _Noreturn void give_up(const struct birth *b, enum step step, int sys)
{
	struct report r = { step, sys, 0 };

	(void)send(b->to, &r, sizeof r, MSG_NOSIGNAL);
	_exit(127);
}

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

static int cgroup_join(int cgroup, pid_t pid)
{
	owned_fd procs = { openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC) };
	char text[16];
	size_t n = sizeof text;

	do
		text[--n] = (char)('0' + pid % 10);
	while ((pid /= 10) != 0);
	if (!fd_is_open(procs) || write(procs.raw, text + n, sizeof text - n) < 0)
		return errno;
	return 0;
}

/* ---- the child ---- */

static void child_become(const struct birth *b)
{
	struct report r = { STEP_READY, 0, 0 };
	char go;

	(void)close(b->go[1]);
	if (read(b->go[0], &go, 1) != 1)
		_exit(127); /* the helper has said why */
	(void)close(b->go[0]);
	/* The system calls themselves: the library's would ask its other threads, of the process
	 * that this one was copied from, to follow. */
	if (jail_has(b->o, JAIL_USERNS) &&
	    (syscall(SYS_setresgid, 0, 0, 0) != 0 || syscall(SYS_setresuid, 0, 0, 0) != 0))
		give_up(b, STEP_BECOME, errno);
	if (b->o->dies_with_parent)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Nobody hears it: the supervisor died before that was set. */
	if (send(b->to, &r, sizeof r, MSG_NOSIGNAL) != (ssize_t)sizeof r)
		_exit(127);
	(void)close(b->to);
}

/* ---- the helper ---- */

static _Noreturn void helper_finish(const struct birth *b, pid_t pid)
{
	struct report r = { STEP_BORN, 0, pid };
	/* As they are seen from here, which may be a user namespace by now. */
	uint32_t uid = b->root ? b->o->uid : geteuid(), gid = b->root ? b->o->uid : getegid();
	int failure = 0;

	(void)send(b->to, &r, sizeof r, MSG_NOSIGNAL);
	if (jail_has(b->o, JAIL_USERNS))
		failure = identity_map(pid, uid, gid);
	if (failure != 0)
		give_up(b, STEP_MAP, failure);
	if (b->o->cgroup >= 0)
		failure = cgroup_join(b->o->cgroup, pid);
	if (failure != 0)
		give_up(b, STEP_CGROUP, failure);
	(void)!write(b->go[1], "", 1);
	_exit(0);
}

/* Returns in the child alone. */
static void helper_main(struct birth *b)
{
	struct clone_args args = { .flags = CLONE_PARENT | namespaces(b->o) };
	int failure;
	long pid;

	/* Later it would need the right to, in a namespace that has none to give. */
	if (b->root && syscall(SYS_setgroups, 0, NULL) != 0)
		give_up(b, STEP_GROUPS, errno);
	if (jail_has(b->o, JAIL_NETNS) && b->o->netns >= 0) {
		failure = netns_enter(b->o->netns);
		if (failure != 0)
			give_up(b, STEP_NETNS, failure);
	}
	if (pipe2(b->go, O_CLOEXEC) != 0)
		give_up(b, STEP_CLONE, errno);
	pid = syscall(SYS_clone3, &args, sizeof args);
	if (pid < 0)
		give_up(b, STEP_CLONE, errno);
	if (pid > 0)
		helper_finish(b, (pid_t)pid);
	child_become(b);
}

/* ---- the supervisor ---- */

static err_t failure_tell(const struct jail_options *o, const struct report *r, struct diag *d)
{
	struct jail_host h;

	if (r->step == STEP_CLONE && (r->sys == EPERM || r->sys == EINVAL || r->sys == ENOSPC)) {
		jail_host_ask(&h);
		TRY(jail_host_require(&h, o->without, d));
	}
	return diag_sys(d, (err_t){ ERR_JAIL, r->sys }, "%s", step_text[r->step]);
}

/* What comes from helper and child, until the child is ready or one of them gives up. */
static struct report reports_hear(int from, pid_t *ret_pid)
{
	struct report r = { STEP_BORN, ECHILD, 0 };
	ssize_t n;

	do {
		n = recv(from, &r, sizeof r, 0);
		if (n == (ssize_t)sizeof r && r.step == STEP_BORN) {
			*ret_pid = r.pid;
			r.sys = ECHILD; /* in case that nothing follows */
		}
	} while ((n < 0 && errno == EINTR) || (n == (ssize_t)sizeof r && r.step == STEP_BORN));
	return r;
}

static void reap(pid_t pid)
{
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static err_t child_hear(const struct jail_options *o, int from, pid_t helper, struct diag *d,
			struct jail_child *ret)
{
	pid_t pid = 0;
	struct report r = reports_hear(from, &pid);
	int pidfd = -1;

	reap(helper);
	if (r.step == STEP_READY) {
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (pidfd >= 0) {
			*ret = (struct jail_child){ pid, { pidfd } };
			return OK;
		}
		r = (struct report){ STEP_BORN, errno, pid };
	}
	if (pid > 0)
		(void)kill(pid, SIGKILL);
	reap(pid);
	return failure_tell(o, &r, d);
}

err_t jail_fork(const struct jail_options *o, struct diag *d, struct jail_child *ret_child)
{
	struct birth b = { .o = o, .root = geteuid() == 0 };
	int pair[2];
	owned_fd ours = FD_NONE, theirs = FD_NONE;
	pid_t helper;

	if (b.root && (o->uid < JAIL_UIDS || o->uid > JAIL_UIDS + JAIL_UIDS_MAX))
		return diag_fail(d, FAIL(ERR_USAGE), "root jails a worker as user %u, expected one "
				 "of %u to %u", o->uid, JAIL_UIDS, JAIL_UIDS + JAIL_UIDS_MAX);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return diag_sys(d, FAIL_SYS(errno), "making a socket for a worker");
	ours.raw = pair[0];
	theirs.raw = pair[1];
	helper = fork();
	if (helper < 0)
		return diag_sys(d, FAIL_SYS(errno), "forking for a worker");
	if (helper > 0) {
		fd_drop(&theirs);
		return child_hear(o, ours.raw, helper, d, ret_child);
	}
	fd_drop(&ours);
	b.to = fd_take(&theirs).raw;
	helper_main(&b);
	*ret_child = (struct jail_child){ 0, FD_NONE };
	return OK;
}

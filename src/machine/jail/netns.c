/* SPDX-License-Identifier: Apache-2.0 */
/* A network namespace without so much as a loopback that is up. It lives as long as somebody holds
 * it; so does the user namespace that owns it, which for an ordinary user is a new one. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/jail/jail_parts.h"

/* In a child: the calling process stays where it is. Says 0 or errno, then lives until its input
 * ends. */
static _Noreturn void hold(int in, int out)
{
	uint32_t uid = geteuid(), gid = getegid();
	int failure = 0;
	char end;

	if (uid == 0)
		failure = unshare(CLONE_NEWNET) != 0 ? errno : 0;
	else if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
		failure = errno;
	else
		failure = identity_map(getpid(), uid, gid);
	(void)!write(out, &failure, sizeof failure);
	(void)!read(in, &end, 1);
	_exit(0);
}

static err_t namespace_of(pid_t pid, int from, struct diag *d, fd_t *ret)
{
	char path[64];
	int failure = ECHILD;

	if (read(from, &failure, sizeof failure) != (ssize_t)sizeof failure)
		failure = ECHILD;
	if (failure != 0)
		return jail_refused(JAIL_NETNS, failure, d);
	(void)snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
	*ret = (fd_t){ open(path, O_RDONLY | O_CLOEXEC) };
	if (!fd_is_open(*ret))
		return diag_sys(d, (err_t){ ERR_JAIL, errno }, "%s", path);
	return OK;
}

err_t jail_netns_new(struct diag *d, fd_t *ret_netns)
{
	int down[2], up[2];
	owned_fd in = FD_NONE, end = FD_NONE, said = FD_NONE, out = FD_NONE;
	pid_t pid;
	err_t e;

	if (pipe2(down, O_CLOEXEC) != 0)
		return diag_sys(d, FAIL_SYS(errno), "making a pipe");
	in.raw = down[0];
	end.raw = down[1];
	if (pipe2(up, O_CLOEXEC) != 0)
		return diag_sys(d, FAIL_SYS(errno), "making a pipe");
	said.raw = up[0];
	out.raw = up[1];
	pid = fork();
	if (pid < 0)
		return diag_sys(d, FAIL_SYS(errno), "forking for a network namespace");
	if (pid == 0) {
		fd_drop(&end);
		hold(in.raw, out.raw);
	}
	fd_drop(&out);
	e = namespace_of(pid, said.raw, d, ret_netns);
	fd_drop(&end);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return e;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "life/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/heap.h"
#include "life/nursery_parts.h"
#include "life/worker_link.h"

struct nursery {
	fd_t socket;
	pid_t pid;
};

/* ---- its start ---- */

/* Nothing is loaded later on that would need what the C library sets aside in every thread's stack for
 * it (glibc's manual, Dynamic Linking Tunables): with that, a page of each has room for no more. */
#define NO_SPARE_TLS "GLIBC_TUNABLES=glibc.rtld.optional_static_tls=0:glibc.rtld.nns=1"

/* Out of the way of the numbers that it finds its own at. */
static int lift(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, NURSERY_FDS_END);
}

/* Only system calls: this process may have other threads. */
static _Noreturn void become_nursery(int program, int layout, const struct jail_options *o,
				     int socket, char **argv)
{
	const int from[] = { lift(socket), lift(layout), lift(o->netns), lift(o->cgroup) };
	char *envp[] = { (char *)(uintptr_t)NO_SPARE_TLS, NULL };

	program = lift(program);
	for (int i = 0; i < NURSERY_FDS_END - NURSERY_SOCKET; i++) {
		(void)close(NURSERY_SOCKET + i);
		if (from[i] >= 0 && dup2(from[i], NURSERY_SOCKET + i) < 0)
			_exit(127);
	}
	(void)syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
	_exit(127);
}

static err_t gone(struct diag *d)
{
	return diag_fail(d, FAIL(ERR_REMOTE), "the process that workers are born in is gone");
}

static err_t hear(int socket, struct diag *d, struct nursery_say *ret)
{
	ssize_t n;

	do
		n = recv(socket, ret, sizeof *ret, 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof *ret)
		return gone(d);
	ret->text[sizeof ret->text - 1] = '\0';
	if (ret->code == ERR_NONE)
		return OK;
	return diag_fail(d, (err_t){ (enum err_code)ret->code, ret->sys }, "%s", ret->text);
}

static err_t run(struct nursery *n, int program, int layout, const struct jail_options *o,
		 struct diag *d)
{
	char without[16], file_bytes[24];
	char *argv[] = { (char *)(uintptr_t)"spore-worker", without, file_bytes, NULL };
	struct nursery_say s;
	int ends[2];

	(void)snprintf(without, sizeof without, "%u", o->without);
	(void)snprintf(file_bytes, sizeof file_bytes, "%" PRIu64, o->limits.file_bytes);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return diag_sys(d, FAIL_SYS(errno), "making a socket for workers' births");
	n->socket.raw = ends[0];
	n->pid = fork();
	if (n->pid == 0)
		become_nursery(program, layout, o, ends[1], argv);
	(void)close(ends[1]);
	if (n->pid < 0)
		return diag_sys(d, FAIL_SYS(errno), "forking for workers");
	return hear(n->socket.raw, d, &s);
}

err_t nursery_start(int program, int layout, const struct jail_options *o, struct diag *d,
		    struct nursery **ret_nursery)
{
	struct nursery *n = calloc(1, sizeof *n);
	err_t e;

	if (n == NULL)
		return FAIL(ERR_NOMEM);
	n->socket = FD_NONE;
	e = run(n, program, layout, o, d);
	if (failed(e)) {
		nursery_free(n);
		return e;
	}
	*ret_nursery = n;
	return OK;
}

static void end(pid_t pid)
{
	if (pid > 0)
		(void)kill(pid, SIGKILL);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void nursery_free(struct nursery *n)
{
	if (n == NULL)
		return;
	fd_drop(&n->socket);
	end(n->pid);
	free(n);
}

/* ---- births ---- */

static err_t raised(struct nursery *n, struct diag *d, struct born *ret)
{
	struct nursery_say s;

	TRY(hear(n->socket.raw, d, &s));
	ret->pid = s.pid;
	TRY(hear(n->socket.raw, d, &s));
	ret->pidfd.raw = (int)syscall(SYS_pidfd_open, ret->pid, 0);
	return fd_is_open(ret->pidfd) ? OK : diag_sys(d, FAIL_SYS(errno), "watching a worker");
}

err_t nursery_bear(struct nursery *n, uint32_t uid, int socket, struct diag *d,
		   struct born *ret_born)
{
	struct nursery_ask a = { uid };
	struct born born = { 0, FD_NONE };
	err_t e;

	e = link_send(n->socket.raw, &a, sizeof a, &socket, 1, NULL);
	e = failed(e) ? gone(d) : raised(n, d, &born);
	if (failed(e))
		end(born.pid);
	else
		*ret_born = born;
	return e;
}

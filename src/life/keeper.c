/* SPDX-License-Identifier: Apache-2.0 */
#include "life/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "base/heap.h"
#include "life/keeper_parts.h"
#include "life/worker_link.h"

enum { ANSWER_SECONDS = 30 }; /* of a process that only copies */

struct keeper {
	fd_t socket;
	fd_t process; /* FD_NONE: not known yet, or gone */
};

/* ---- its start ---- */

/* Only system calls: this process may have other threads. Its parent ends at once, so that it is
 * nobody's. */
static _Noreturn void become_keeper(int program, int listening, char **argv)
{
	char *envp[] = { NULL };
	int from = fcntl(listening, F_DUPFD_CLOEXEC, KEEPER_LISTENING + 1);
	pid_t pid;

	program = fcntl(program, F_DUPFD_CLOEXEC, KEEPER_LISTENING + 1);
	(void)setsid();
	pid = fork();
	if (pid != 0)
		_exit(pid < 0 ? 127 : 0);
	if (from < 0 || dup2(from, KEEPER_LISTENING) < 0)
		_exit(127);
	(void)syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
	_exit(127);
}

err_t keeper_start(int program, int listening, struct diag *d)
{
	char *argv[] = { (char *)(uintptr_t)"spore-worker", (char *)(uintptr_t)KEEPER_WORD, NULL };
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		become_keeper(program, listening, argv);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || status != 0)
		return diag_sys(d, FAIL_SYS(pid < 0 ? errno : EAGAIN), "forking a keeper");
	return OK;
}

/* ---- meeting it ---- */

static err_t gone(struct diag *d)
{
	return diag_fail(d, FAIL(ERR_REMOTE), "the process that keeps machines is gone");
}

static err_t hear(struct keeper *k, struct diag *d, struct keeper_say *ret)
{
	struct link_in in;
	err_t e = link_receive(k->socket.raw, NULL, &in);
	bool whole = !failed(e) && in.len == sizeof *ret && in.n == 0;

	if (e.code == ERR_SYS && e.sys != EAGAIN)
		return diag_sys(d, e, "hearing what machines are kept");
	if (!failed(e))
		link_drop(&in);
	if (!whole)
		return gone(d);
	memcpy(ret, in.bytes, sizeof *ret);
	if (ret->version != KEEPER_VERSION)
		return diag_fail(d, FAIL(ERR_VERSION), "the process that keeps machines is of another "
				 "build (%" PRIu32 "), expected %d", ret->version, KEEPER_VERSION);
	return OK;
}

/* Takes the files, if it is one. */
static bool entry_of(struct link_in *in, struct keeper_entry *ret)
{
	struct keeper_ask a = { .verb = 0 };
	const size_t head = offsetof(struct keeper_ask, text);

	if (in->len <= head || in->len > sizeof a || in->n > KEEPER_FILES_MAX)
		return false;
	memcpy(&a, in->bytes, in->len);
	if (a.verb != KEEPER_PUT || memchr(a.key, '\0', sizeof a.key) == NULL ||
	    a.text[in->len - head - 1] != '\0')
		return false;
	memcpy(ret->key, a.key, sizeof ret->key);
	memcpy(ret->text, a.text, sizeof ret->text);
	memcpy(ret->files, in->fd, in->n * sizeof in->fd[0]);
	ret->n = in->n;
	in->n = 0;
	return true;
}

static err_t hear_entry(struct keeper *k, keeper_each *each, void *ctx, struct diag *d)
{
	struct keeper_entry entry;
	struct link_in in = { .n = 0 };
	err_t e = link_receive(k->socket.raw, NULL, &in);

	if (in.cut)
		return diag_fail(d, e, "hearing what machines are kept: there are not enough descriptors "
				 "for all that is kept");
	if (e.code == ERR_SYS && e.sys != EAGAIN)
		return diag_sys(d, e, "hearing what machines are kept");
	if (e.sys == EAGAIN || (!failed(e) && in.len == 0))
		return gone(d);
	if (failed(e) || !entry_of(&in, &entry)) {
		link_drop(&in);
		return diag_fail(d, FAIL(ERR_REMOTE), "what keeps machines does not say what a keeper "
				 "says");
	}
	e = each(ctx, &entry, d);
	for (uint32_t i = 0; i < entry.n; i++)
		fd_drop(&entry.files[i]);
	return e;
}

static err_t meet(struct keeper *k, keeper_each *each, void *ctx, struct diag *d)
{
	const struct timeval patience = { ANSWER_SECONDS, 0 };
	struct keeper_say s;

	TRY(link_peer_check(k->socket.raw, "keeper", d));
	(void)setsockopt(k->socket.raw, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	TRY(hear(k, d, &s));
	k->process.raw = (int)syscall(SYS_pidfd_open, s.pid, 0);
	for (uint32_t i = 0; i < s.n; i++)
		TRY(hear_entry(k, each, ctx, d));
	return OK;
}

err_t keeper_meet(fd_t *socket, keeper_each *each, void *ctx, struct diag *d,
		  struct keeper **ret_keeper)
{
	struct keeper *k = calloc(1, sizeof *k);
	err_t e;

	if (k == NULL) {
		fd_drop(socket);
		return diag_fail(d, FAIL(ERR_NOMEM), "keeper: out of memory");
	}
	k->socket = fd_take(socket);
	k->process = FD_NONE;
	e = meet(k, each, ctx, d);
	if (failed(e))
		keeper_leave(k);
	else
		*ret_keeper = k;
	return e;
}

/* ---- what it is asked ---- */

static err_t ask(struct keeper *k, enum keeper_verb verb, const char *key, const char *text,
		 const int *files, uint32_t n, struct diag *d)
{
	struct keeper_ask a = { .verb = verb };
	size_t len = strlen(text);

	if (strlen(key) > KEEPER_KEY_MAX || len > KEEPER_TEXT_MAX || n > KEEPER_FILES_MAX)
		return diag_fail(d, FAIL(ERR_SIZE), "%.80s: is too large to be kept: a text of %zu bytes "
				 "and %" PRIu32 " files, expected at most %d and %d", key, len, n,
				 KEEPER_TEXT_MAX, KEEPER_FILES_MAX);
	(void)snprintf(a.key, sizeof a.key, "%s", key);
	memcpy(a.text, text, len + 1);
	return link_send(k->socket.raw, &a, offsetof(struct keeper_ask, text) + len + 1, files, n, d);
}

err_t keeper_put(struct keeper *k, const char *key, const char *text, const int *files, uint32_t n,
		 struct diag *d)
{
	struct keeper_say s;
	err_t e = ask(k, KEEPER_PUT, key, text, files, n, d);

	if (e.code == ERR_REMOTE)
		return gone(d);
	TRY(e);
	TRY(hear(k, d, &s));
	if (s.n != 0)
		return diag_sys(d, FAIL_SYS((int32_t)s.n), "keeping %s", key);
	return OK;
}

void keeper_drop(struct keeper *k, const char *key)
{
	ignore(ask(k, KEEPER_DROP, key, "", NULL, 0, NULL));
}

int keeper_socket(const struct keeper *k)
{
	return k->socket.raw;
}

void keeper_leave(struct keeper *k)
{
	if (k == NULL)
		return;
	fd_drop(&k->socket);
	fd_drop(&k->process);
	free(k);
}

void keeper_kill(struct keeper *k)
{
	if (k != NULL && fd_is_open(k->process))
		(void)syscall(SYS_pidfd_send_signal, k->process.raw, SIGKILL, NULL, 0);
	keeper_leave(k);
}

void keeper_dismiss(struct keeper *k)
{
	if (k != NULL)
		ignore(ask(k, KEEPER_DISMISS, "", "", NULL, 0, NULL));
	keeper_leave(k);
}

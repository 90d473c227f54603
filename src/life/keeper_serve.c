/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/heap.h"
#include "life/keeper_parts.h"
#include "life/worker_link.h"

enum { FIRST_MS = 60000 }; /* for whoever started it, who may have been killed since */

struct kept {
	struct kept *next;
	size_t len;
	struct keeper_ask *ask; /* as it came, that long; owned */
	uint32_t n;
	int files[];
};

struct keeping {
	struct kept *first; /* in the order in which their keys came */
	uint32_t n;
	fd_t supervisor;           /* FD_NONE: there is none now */
	bool over;
	struct link_in in;
};

static void kept_free(struct kept *e)
{
	for (uint32_t i = 0; i < e->n; i++)
		(void)close(e->files[i]);
	free(e->ask);
	free(e);
}

/* Where the entry hangs, or would. */
static struct kept **find(struct keeping *k, const char *key)
{
	struct kept **at = &k->first;

	while (*at != NULL && strcmp((*at)->ask->key, key) != 0)
		at = &(*at)->next;
	return at;
}

static void forget(struct keeping *k, struct kept **at)
{
	struct kept *e = *at;

	if (e == NULL)
		return;
	*at = e->next;
	kept_free(e);
	k->n--;
}

/* Takes the files. */
static int remember(struct keeping *k, const struct keeper_ask *a)
{
	struct kept *e = calloc(1, sizeof *e + k->in.n * sizeof e->files[0]);
	struct kept **at;

	if (e != NULL)
		e->ask = malloc(k->in.len);
	if (e == NULL || e->ask == NULL) {
		free(e);
		return ENOMEM;
	}
	memcpy(e->ask, a, k->in.len);
	e->len = k->in.len;
	for (; e->n < k->in.n; e->n++)
		e->files[e->n] = k->in.fd[e->n].raw;
	k->in.n = 0;
	at = find(k, a->key);
	forget(k, at); /* and in its place: others may be told of it first */
	e->next = *at;
	*at = e;
	k->n++;
	return 0;
}

static bool say(const struct keeping *k, uint32_t n)
{
	const struct keeper_say s = { KEEPER_VERSION, n, getpid() };

	return !failed(link_send(k->supervisor.raw, &s, sizeof s, NULL, 0, NULL));
}

static bool tell_all(const struct keeping *k)
{
	if (!say(k, k->n))
		return false;
	for (const struct kept *e = k->first; e != NULL; e = e->next)
		if (failed(link_send(k->supervisor.raw, e->ask, e->len, e->files, e->n, NULL)))
			return false;
	return true;
}

static bool is_ask(const struct link_in *in)
{
	const struct keeper_ask *a = (const void *)in->bytes;
	const size_t head = offsetof(struct keeper_ask, text);

	return in->len > head && in->len <= sizeof *a && in->n <= KEEPER_FILES_MAX &&
	       memchr(a->key, '\0', sizeof a->key) != NULL && in->bytes[in->len - 1] == '\0';
}

static bool obey(struct keeping *k)
{
	static struct keeper_ask a;

	if (!is_ask(&k->in))
		return false;
	memcpy(&a, k->in.bytes, k->in.len);
	switch (a.verb) {
	case KEEPER_PUT:
		return say(k, (uint32_t)remember(k, &a));
	case KEEPER_DROP:
		forget(k, find(k, a.key));
		return true;
	case KEEPER_DISMISS:
		k->over = true;
		return true;
	default:
		return false;
	}
}

/* Files for which there is no room here: that is said, and nothing is lost. */
static void serve_supervisor(struct keeping *k)
{
	err_t e = link_receive(k->supervisor.raw, NULL, &k->in);
	bool ok = k->in.cut ? say(k, EMFILE) : !failed(e) && k->in.len != 0 && obey(k);

	link_drop(&k->in);
	if (!ok)
		fd_drop(&k->supervisor);
}

/* The runtime directory has one place for a supervisor: who comes is the next one. */
static void meet_supervisor(struct keeping *k)
{
	owned_fd fd = { accept4(KEEPER_LISTENING, NULL, NULL, SOCK_CLOEXEC) };

	if (!fd_is_open(fd) || failed(link_peer_check(fd.raw, "supervisor", NULL)))
		return;
	fd_drop(&k->supervisor);
	k->supervisor = fd_take(&fd);
	if (!tell_all(k))
		fd_drop(&k->supervisor);
}

static void settle_in(void)
{
	struct rlimit files;
	sigset_t none;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)prctl(PR_SET_NAME, "spore-keeper");
	for (int fd = 0; fd < KEEPER_LISTENING && null >= 0; fd++)
		(void)dup2(null, fd);
	(void)syscall(SYS_close_range, KEEPER_LISTENING + 1, UINT32_MAX, 0); /* of who started it */
	(void)fcntl(KEEPER_LISTENING, F_SETFD, FD_CLOEXEC);
	(void)fcntl(KEEPER_LISTENING, F_SETFL, O_NONBLOCK);
	(void)!chdir("/");
	/* Its supervisor had its own way with signals; SIGTERM ends this one and what it keeps. */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGHUP, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

int keeper_serve(void)
{
	static struct keeping k = { .supervisor = FD_NONE };
	bool met = false;

	settle_in();
	while (!k.over && (!met || fd_is_open(k.supervisor) || k.n != 0)) {
		struct pollfd p[] = { { .fd = KEEPER_LISTENING, .events = POLLIN },
				      { .fd = k.supervisor.raw, .events = POLLIN } };

		int n = poll(p, countof(p), met ? -1 : FIRST_MS);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 1;
		/* All that the last one said comes before the next one. */
		if (p[1].revents != 0) {
			serve_supervisor(&k);
		} else if (p[0].revents != 0) {
			met = true;
			meet_supervisor(&k);
		}
	}
	return 0;
}

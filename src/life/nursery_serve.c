/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "life/nursery.h"
#include "life/nursery_parts.h"
#include "life/worker_layout.h"
#include "life/worker_link.h"
#include "machine/jail/stack_guard.h"

enum { WRONG_USE = 2, FILES_MAX = 1024, THREADS_MAX = 256 };

static bool number(const char *text, unsigned long long *ret)
{
	char *end;

	*ret = strtoull(text, &end, 10);
	return *text != '\0' && *end == '\0';
}

static int if_open(int fd)
{
	return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
}

static bool options_of(int argc, char **argv, struct jail_options *ret)
{
	unsigned long long without, file_bytes;

	if (argc != 3 || !number(argv[1], &without) || !number(argv[2], &file_bytes))
		return false;
	*ret = (struct jail_options){
		.without = (uint32_t)without,
		.netns = if_open(NURSERY_NETNS), .cgroup = if_open(NURSERY_CGROUP),
		.limits = { .files = FILES_MAX, .file_bytes = file_bytes, .threads = THREADS_MAX },
	};
	return true;
}

static bool say(int32_t pid, err_t e, const struct diag *d)
{
	struct nursery_say s = { pid, (uint32_t)e.code, e.sys, "" };

	if (failed(e))
		(void)snprintf(s.text, sizeof s.text, "%s",
			       d->text[0] != '\0' ? d->text : err_text(e.code));
	return !failed(link_send(NURSERY_SOCKET, &s, sizeof s, NULL, 0, NULL));
}

/* The word that guards its stack is its own, not its siblings': whoever sees one worker's, or tries
 * them out, learns nothing of the next. No frame below was made with the old one and returns. */
static _Noreturn void be_worker(struct link_in *in, const struct image *layout,
				struct jail_options *jail, nursery_job *job)
{
	stack_guard_renew();
	if (dup3(in->fd[0].raw, NURSERY_SOCKET, O_CLOEXEC) < 0)
		_exit(WRONG_USE);
	link_drop(in);
	(void)prctl(PR_SET_NAME, "spore-worker");
	/* Nothing is run on the way out: filtered threads are still there. */
	_exit(job(NURSERY_SOCKET, layout, jail));
}

static bool bear(struct jail_nursery *n, const struct image *layout, struct link_in *in,
		 nursery_job *job)
{
	struct diag d = DIAG_INIT;
	struct nursery_ask a;
	struct jail_birth birth;
	err_t e;

	memcpy(&a, in->bytes, sizeof a);
	n->options.uid = a.uid;
	e = jail_bear(n, &d, &birth);
	if (failed(e))
		return say(0, e, &d);
	if (birth.pid == 0)
		be_worker(in, layout, &n->options, job);
	if (!say(birth.pid, OK, &d))
		return false; /* it ends with our end of its pipe */
	e = jail_raise(n, &birth, &d);
	return say(birth.pid, e, &d);
}

/* What a terminal sends to all of its programs is for the supervisor. */
static void ignore_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP };

	for (size_t i = 0; i < countof(signals); i++)
		(void)signal(signals[i], SIG_IGN);
}

int nursery_serve(int argc, char **argv, nursery_job *job)
{
	struct link_in in;
	struct jail_options o;
	struct jail_nursery n;
	struct diag d = DIAG_INIT;
	const struct image *layout = NULL;
	bool ok;
	err_t e;

	if (!options_of(argc, argv, &o) || if_open(NURSERY_SOCKET) < 0)
		return WRONG_USE;
	(void)prctl(PR_SET_NAME, "spore-nursery");
	ignore_signals();
	e = jail_nursery_enter(&o, &d, &n);
	if (!failed(e))
		e = worker_layout_read(NURSERY_LAYOUT, &d, &layout);
	(void)close(NURSERY_LAYOUT);
	ok = say(0, e, &d) && !failed(e);
	while (ok && !failed(link_receive(NURSERY_SOCKET, NULL, &in)) && in.len > 0) {
		ok = in.len == sizeof(struct nursery_ask) && in.n == 1 && bear(&n, layout, &in, job);
		link_drop(&in);
	}
	image_free(layout);
	return ok ? 0 : 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <spore.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <syslog.h>
#include <unistd.h>

#include "base/own.h"
#include "edge/cli/cli.h"
#include "edge/cli/detach.h"
#include "edge/cli/say.h"
#include "edge/cli/signals.h"

struct values {
	struct text_list without;
	bool detach, keep;
};

static const struct option options[] = {
	{ "without", 0, OPTION_LIST, "WALL", "leave out a wall of the children's jail, by its name",
	  offsetof(struct values, without) },
	{ "keep", 0, OPTION_FLAG, NULL, "children and zygotes go on when it ends, for the next one",
	  offsetof(struct values, keep) },
	{ "detach", 0, OPTION_FLAG, NULL, "return when it answers", offsetof(struct values, detach) },
};

struct serving {
	spore_supervisor *supervisor;
	int verdict; /* of detach_fork, or -1 */
	bool detached;
};

/* A child needs a dozen descriptors here. */
static void descriptors_raise(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return;
	r.rlim_cur = r.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &r);
}

/* How a child ended is told where it is not what was asked for. */
static void on_ended(void *serving, const char *name, enum spore_outcome o,
		     const struct spore_error *why)
{
	const struct serving *s = serving;

	if (o == SPORE_OUTCOME_POWEROFF || o == SPORE_OUTCOME_STOPPED)
		return;
	say_error("serve", "%s: %s%s%s", name, spore_outcome_text(o), why->text[0] != '\0' ? ": " : "",
		  why->text);
	if (s->detached)
		syslog(LOG_ERR, "%s: %s: %s", name, spore_outcome_text(o), why->text);
}

static void on_warned(void *serving, const char *zygote, const struct spore_error *why)
{
	const struct serving *s = serving;

	say_error("serve", "%s: %s", zygote, why->text);
	if (s->detached)
		syslog(LOG_WARNING, "%s: %s", zygote, why->text);
}

static int on_signal(void *serving, int fd)
{
	struct serving *s = serving;
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof info) == sizeof info)
		spore_supervisor_quit(s->supervisor);
	return SPORE_WATCH_ON;
}

static int on_answering(void *serving, int fd)
{
	struct serving *s = serving;

	(void)fd;
	if (s->verdict >= 0)
		detach_done(s->verdict);
	s->verdict = -1;
	return SPORE_WATCH_STOP;
}

static int serve(struct serving *s, const struct spore_jail *jail, bool keep)
{
	owned_fd signals = { signals_open() }, answering = { eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK) };
	struct spore_supervisor_options o = SPORE_SUPERVISOR_OPTIONS_INIT;
	const struct spore_watch watches[] = {
		{ .fd = signals.raw, .ready = on_signal, .ctx = s },
		{ .fd = answering.raw, .ready = on_answering, .ctx = s },
	};
	struct spore_error err;
	int status;

	if (signals.raw < 0 || answering.raw < 0) {
		say_error("serve", "signals: %s", strerrordesc_np(errno));
		return STATUS_MONITOR;
	}
	o.flags = keep ? SPORE_SUPERVISOR_KEEP : 0u;
	o.jail = jail;
	o.ended = on_ended;
	o.warned = on_warned;
	o.ctx = s;
	if (spore_supervisor_open(&o, &s->supervisor, &err) != SPORE_OK)
		return say_failure("serve", &err);
	status = spore_supervisor_run(s->supervisor, watches, countof(watches), &err);
	status = status == SPORE_OK ? STATUS_STOPPED : say_failure("serve", &err);
	spore_supervisor_close(s->supervisor);
	return status;
}

static bool walls_check(const struct text_list *without)
{
	static const char *const words[] = { "userns", "pidns", "mountns", "netns", "ipcns", "utsns",
					     "landlock", "seccomp" };

	for (size_t i = 0; i < without->n; i++) {
		size_t w = 0;

		while (w < countof(words) && strcmp(words[w], without->v[i]) != 0)
			w++;
		if (w == countof(words)) {
			say_error("serve", "--without: '%s': expected userns, pidns, mountns, netns, "
				  "ipcns, utsns, landlock or seccomp", without->v[i]);
			return false;
		}
	}
	return true;
}

static int run(const void *values, const char *operand)
{
	const struct values *v = values;
	struct serving s = { .verdict = -1, .detached = v->detach };
	struct spore_jail jail = SPORE_JAIL_INIT;
	const char *without[LIST_MAX + 1] = { NULL };
	int status;

	(void)operand;
	if (!walls_check(&v->without))
		return STATUS_USAGE;
	if (v->detach && !detach_fork(&s.verdict, &status))
		return status;
	memcpy(without, v->without.v, v->without.n * sizeof without[0]);
	jail.without = without;
	descriptors_raise();
	return serve(&s, &jail, v->keep);
}

const struct command command_serve = {
	.name = "serve",
	.summary = "own zygotes, pools and their children for the other commands",
	.details = "One for each user. It ends by SIGTERM, SIGINT, SIGHUP or SIGQUIT, with status 5; whatever\n"
		   "ends it, its children end with it and its zygotes are gone. With --keep they go on and wait for\n"
		   "the next one: every supervisor takes over what was kept, and keeps it if it has --keep too.",
	.options = options, .n_options = countof(options), .run = run,
};

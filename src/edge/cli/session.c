/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/cli/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <syslog.h>
#include <unistd.h>

#include "base/own.h"
#include "edge/cli/detach.h"
#include "edge/cli/say.h"
#include "edge/cli/signals.h"
#include "edge/cli/tty.h"

enum { TYPED_MAX = 512 };

struct session {
	struct session_options o;
	spore_machine *machine;
	spore_server *server;
	fd_t signals;
	int verdict;          /* of detach_fork, or -1 */
	bool raw;             /* keys are filtered */
	struct keys keys;
	size_t n_typed;       /* not yet taken by the console */
	uint8_t typed[2 * TYPED_MAX + 2];
};

struct session *session_open(const struct session_options *o, int *ret_status)
{
	struct spore_machine_options mo = SPORE_MACHINE_OPTIONS_INIT;
	struct session *s;
	struct spore_error err;
	int verdict = -1;

	if (o->detach && !detach_fork(&verdict, ret_status))
		return NULL;
	s = calloc(1, sizeof *s);
	if (s == NULL) {
		say_error(o->command, "out of memory");
		*ret_status = STATUS_MONITOR;
		return NULL;
	}
	s->o = *o;
	s->verdict = verdict;
	/* Before the first thread is made. */
	s->signals.raw = signals_open();
	mo.console_fd = o->detach ? -1 : STDOUT_FILENO;
	if (spore_machine_new(&mo, &s->machine, &err) != SPORE_OK) {
		*ret_status = session_abandon(s, say_failure(o->command, &err));
		return NULL;
	}
	return s;
}

spore_machine *session_machine(struct session *s)
{
	return s->machine;
}

bool session_serve(struct session *s, const char *name, int *ret_status)
{
	struct spore_server_options so = SPORE_SERVER_OPTIONS_INIT;
	struct spore_error err;

	so.flags = s->o.publish ? SPORE_SERVE_PUBLISH : 0;
	so.name = name;
	so.api_sock = s->o.api_sock;
	if (spore_server_open(s->machine, &so, &s->server, &err) == SPORE_OK)
		return true;
	*ret_status = session_abandon(s, say_failure(s->o.command, &err));
	return false;
}

const char *session_name(const struct session *s)
{
	return spore_server_name(s->server);
}

static void session_free(struct session *s)
{
	tty_restore();
	spore_server_close(s->server);
	spore_machine_free(s->machine);
	fd_drop(&s->signals);
	free(s);
}

int session_abandon(struct session *s, int status)
{
	session_free(s);
	return status;
}

void session_interrupt(struct session *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals.raw, &info, sizeof info) != sizeof info)
		return;
	say_error(s->o.command, "interrupted");
	spore_server_close(s->server);
	exit(STATUS_STOPPED);
}

/* The calling command returns, with its word that the machine runs. */
static void verdict_give(struct session *s)
{
	if (s->verdict >= 0)
		detach_done(s->verdict);
	s->verdict = -1;
}

/* A monitor that was never told what to be has nothing to stop. */
static void stop(struct session *s)
{
	struct spore_error err;

	if (spore_machine_stop(s->machine, &err) == SPORE_ERR_STATE)
		spore_server_quit(s->server);
}

static int on_signal(void *session, int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof info) == sizeof info)
		stop(session);
	return SPORE_WATCH_ON;
}

static void act(struct session *s, enum key_action action)
{
	switch (action) {
	case KEY_STOP:
		stop(s);
		return;
	case KEY_DETACH:
	case KEY_HELP:
		(void)fprintf(stderr, "\r\n[Ctrl-A x: stop the machine; Ctrl-A a: a plain Ctrl-A]\r\n");
		return;
	case KEY_NONE:
		return;
	}
}

static void type_in(struct session *s, const uint8_t *bytes, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t out = 0, used = n - done;
		enum key_action action = KEY_NONE;

		if (s->raw)
			action = keys_filter(&s->keys, bytes + done, n - done,
					     s->typed + s->n_typed, &out, &used);
		else
			memcpy(s->typed + s->n_typed, bytes + done, out = used);
		s->n_typed += out;
		done += used;
		act(s, action);
	}
}

/* Hands over as much as the console takes. */
static int hand_over(struct session *s)
{
	size_t taken = 0;

	/* Before the start and after the end nobody reads. */
	if (spore_machine_input(s->machine, s->typed, s->n_typed, &taken, NULL) != SPORE_OK)
		taken = s->n_typed;
	memmove(s->typed, s->typed + taken, s->n_typed - taken);
	s->n_typed -= taken;
	return s->n_typed != 0 ? SPORE_WATCH_LATER : SPORE_WATCH_ON;
}

static int on_typed(void *session, int fd)
{
	struct session *s = session;
	uint8_t bytes[TYPED_MAX];
	ssize_t n;

	if (s->n_typed != 0)
		return hand_over(s);
	n = read(fd, bytes, sizeof bytes);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return SPORE_WATCH_ON;
	if (n <= 0)
		return SPORE_WATCH_STOP;
	type_in(s, bytes, (size_t)n);
	return hand_over(s);
}

/* Why it ended, where the outcome's name does not say all. */
static void tell(const struct session *s, enum spore_outcome o, const struct spore_error *why)
{
	if (o == SPORE_OUTCOME_POWEROFF || o == SPORE_OUTCOME_STOPPED || o == SPORE_OUTCOME_NONE)
		return;
	say_error(s->o.command, "%s%s%s", spore_outcome_text(o), why->text[0] != '\0' ? ": " : "",
		  why->text);
	if (s->o.detach)
		syslog(LOG_ERR, "%s: %s: %s", session_name(s), spore_outcome_text(o), why->text);
}

static int ended(struct session *s)
{
	enum spore_outcome o = SPORE_OUTCOME_NONE;
	enum spore_state state = SPORE_NOT_STARTED;
	struct spore_error why = { .text = "" }, err;

	tty_restore();
	if (spore_machine_state(s->machine, &state, &err) != SPORE_OK ||
	    spore_machine_outcome(s->machine, &o, &why, &err) != SPORE_OK)
		return say_failure(s->o.command, &err);
	/* Told to leave before it was told what to be. */
	if (state == SPORE_NOT_STARTED)
		return STATUS_STOPPED;
	tell(s, o, &why);
	if (s->server != NULL && spore_server_frozen(s->server))
		say_error(s->o.command, "%s: was frozen into a zygote", session_name(s));
	return status_of_outcome(o);
}

/* Once the doors answer: what goes wrong on the way there is said where the caller sees it. */
static int on_answering(void *session, int fd)
{
	(void)fd;
	verdict_give(session);
	return SPORE_WATCH_STOP;
}

int session_run(struct session *s)
{
	owned_fd answering = { eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK) };
	const struct spore_watch watches[] = {
		{ .fd = s->signals.raw, .ready = on_signal, .ctx = s },
		{ .fd = s->o.detach ? answering.raw : STDIN_FILENO,
		  .ready = s->o.detach ? on_answering : on_typed, .ctx = s },
	};
	bool typing = !s->o.detach && fcntl(STDIN_FILENO, F_GETFD) >= 0 &&
		      (isatty(STDIN_FILENO) == 0 || tty_is_ours());
	struct spore_error err;
	int status;

	s->raw = typing && isatty(STDIN_FILENO) != 0;
	if (s->raw)
		tty_raw();
	status = spore_server_run(s->server, watches, typing || s->o.detach ? 2 : 1, &err);
	/* A machine that had ended before the loop did run. */
	if (status == SPORE_OK)
		verdict_give(s);
	status = status == SPORE_OK ? ended(s) : say_failure(s->o.command, &err);
	session_free(s);
	return status;
}

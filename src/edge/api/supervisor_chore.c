/* SPDX-License-Identifier: Apache-2.0 */
/* Chores: one thread each, of which the loop hears by an eventfd. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "edge/api/supervisor.h"
#include "edge/lib/error.h"
#include "edge/lib/json_read.h"
#include "edge/lib/kept.h"

struct chore {
	struct chore *next;
	struct chore_order order;
	struct http_parking asker;
	pthread_t thread;
	int status;
	struct spore_error fault;
	_Atomic bool done;
	_Atomic uint64_t reached, whole; /* what chore_progress was told last; 0: nothing new */
};

/* ---- on the thread ---- */

static void wake(const struct chore *c)
{
	(void)eventfd_write(c->order.supervisor->chore_fd.raw, 1);
}

void chore_progress(void *chore, uint64_t done, uint64_t of)
{
	struct chore *c = chore;

	atomic_store(&c->reached, done);
	atomic_store(&c->whole, of);
	wake(c);
}

static void *run(void *chore)
{
	struct chore *c = chore;

	c->status = c->order.work(&c->order, c, &c->fault);
	atomic_store(&c->done, true);
	wake(c);
	return NULL;
}

/* ---- in the loop ---- */

static void tell_progress(struct chore *c)
{
	uint64_t of = atomic_exchange(&c->whole, 0);

	if (of != 0)
		http_parking_progress(&c->asker, atomic_load(&c->reached), of);
}

static struct chore *unlink_done(struct spore_supervisor *s)
{
	for (struct chore **at = &s->chores; *at != NULL; at = &(*at)->next) {
		struct chore *c = *at;

		if (!atomic_load(&c->done))
			continue;
		*at = c->next;
		return c;
	}
	return NULL;
}

/* In the table of chores no more: whoever waited for what it had is handled again. */
static void finish(struct spore_supervisor *s, struct chore *c)
{
	struct diag d = DIAG_INIT;
	owned_json body = NULL;
	err_t e;

	(void)pthread_join(c->thread, NULL);
	e = c->status == SPORE_OK ? OK : error_take(c->status, &c->fault, &d);
	e = c->order.finish(&c->order, e, &d, &body);
	if (!failed(e) && c->order.hand_on != NULL)
		*c->order.hand_on = c->asker;
	else if (!failed(e) && c->order.again && !s->closes)
		http_unpark(&s->http, &c->asker);
	else
		http_answer(&s->http, &c->asker, e, &d, body);
	free(c);
	if (!s->closes)
		http_unpark(&s->http, &s->waiting);
}

static void leave_soon(struct spore_supervisor *s)
{
	/* For clients that do not take their reply. */
	static const struct timeval patience = { 1, 0 };

	(void)event_base_loopexit(s->base, &patience);
}

static void on_wake(evutil_socket_t fd, short what, void *supervisor)
{
	struct spore_supervisor *s = supervisor;
	struct chore *c;
	eventfd_t count;

	(void)what;
	(void)eventfd_read(fd, &count);
	for (c = s->chores; c != NULL; c = c->next)
		tell_progress(c);
	while ((c = unlink_done(s)) != NULL)
		finish(s, c);
	if (s->quits && s->chores == NULL)
		leave_soon(s);
}

/* Its thread takes no signals: they are the loop's. */
static err_t thread_start(struct chore *c, struct diag *d)
{
	sigset_t all, before;
	int r;

	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGBUS); /* a fault of guest memory has its handler */
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&c->thread, NULL, run, c);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r == 0 ? OK : diag_sys(d, FAIL_SYS(r), "supervisor: a thread for this");
}

size_t chores_count(const struct spore_supervisor *s)
{
	size_t n = 0;

	for (const struct chore *c = s->chores; c != NULL; c = c->next)
		n++;
	return n;
}

bool chores_quit(struct spore_supervisor *s)
{
	bool wait = (s->chores != NULL || s->http.replies != 0) && !s->quits;

	s->quits = true;
	if (wait && s->chores == NULL)
		leave_soon(s);
	return !wait;
}

static err_t may_wait(const struct spore_supervisor *s, struct diag *d)
{
	if (s->quits)
		return diag_fail(d, FAIL(ERR_STATE), "supervisor: it is about to end");
	return http_park_check(&s->http, d);
}

err_t chore_start(const struct chore_order *o, struct diag *d)
{
	struct spore_supervisor *s = o->supervisor;
	struct chore *c;
	err_t e;

	TRY(may_wait(s, d));
	if (chores_count(s) == HTTP_CONNECTIONS_MAX)
		return diag_fail(d, FAIL(ERR_STATE), "supervisor: it is busy with %d zygotes already",
				 HTTP_CONNECTIONS_MAX);
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "supervisor: out of memory");
	c->order = *o;
	e = thread_start(c, d);
	if (failed(e)) {
		free(c);
		return e;
	}
	c->next = s->chores;
	s->chores = c;
	return http_park(&s->http, &c->asker, d);
}

err_t chore_await(struct spore_supervisor *s, struct diag *d)
{
	TRY(may_wait(s, d));
	TRY(http_park(&s->http, &s->waiting, d));
	return FAIL(ERR_STATE);
}

/* ---- the supervisor's life ---- */

err_t chores_open(struct spore_supervisor *s, struct diag *d)
{
	s->chore_fd.raw = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!fd_is_open(s->chore_fd))
		return diag_sys(d, FAIL_SYS(errno), "supervisor: eventfd");
	s->chore_event = event_new(s->base, s->chore_fd.raw, EV_READ | EV_PERSIST, on_wake, s);
	if (s->chore_event == NULL || event_add(s->chore_event, NULL) != 0)
		return diag_fail(d, FAIL(ERR_NOMEM), "supervisor: out of memory");
	return OK;
}

/* Nobody waits for an answer any more: a machine that would end with the supervisor ends now, and one that is
 * kept is left as it is. */
static void hurry(struct spore_supervisor *s)
{
	for (struct chore *c = s->chores; c != NULL; c = c->next) {
		if (c->order.child == NULL)
			continue;
		if (s->leaves)
			kept_machine_hurry(c->order.child->machine);
		else
			(void)!spore_machine_stop(c->order.child->machine, NULL);
	}
}

void chores_close(struct spore_supervisor *s)
{
	s->closes = true;
	hurry(s);
	while (s->chores != NULL) {
		struct chore *c = s->chores;

		s->chores = c->next;
		finish(s, c);
	}
	http_parking_drop(&s->http, &s->waiting);
	if (s->chore_event != NULL)
		event_free(s->chore_event);
	fd_drop(&s->chore_fd);
}

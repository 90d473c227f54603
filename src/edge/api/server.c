/* SPDX-License-Identifier: Apache-2.0 */
/* The server's life: claim a name, open the doors, run the loop, clean up. */
#include "edge/api/server.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "edge/lib/config_doc.h"
#include "edge/lib/error.h"

enum spore_state server_state(struct spore_server *s)
{
	enum spore_state state = SPORE_ENDED;

	if (spore_machine_state(s->machine, &state, NULL) != SPORE_OK)
		return SPORE_ENDED;
	return state;
}

void server_ending(struct spore_server *s)
{
	/* For a client that does not take its reply. */
	static const struct timeval patience = { 1, 0 };

	s->ending = true;
	if (s->replies == 0)
		(void)event_base_loopbreak(s->base);
	else
		(void)event_base_loopexit(s->base, &patience);
}

static err_t door_add(struct spore_server *s, const char *path, const char *bind_path,
		      struct diag *d)
{
	TRY(door_open(path, bind_path, d, &s->doors[s->n_doors]));
	s->n_doors++;
	return OK;
}

static err_t publish(struct spore_server *s, const char *name, struct diag *d)
{
	char path[RUN_PATH_MAX + 32], short_path[RUN_PATH_MAX + 32];
	const char *folder = s->claim.path;

	TRY(run_claim_take(name, d, &s->claim));
	(void)snprintf(path, sizeof path, "%s/api.sock", folder);
	run_socket_path(folder, s->claim.folder.raw, "api.sock", short_path, sizeof short_path);
	TRY(door_add(s, path, short_path, d));
	(void)snprintf(path, sizeof path, "%s/console.sock", folder);
	run_socket_path(folder, s->claim.folder.raw, "console.sock", short_path, sizeof short_path);
	return door_open(path, short_path, d, &s->console);
}

/* Names and sockets only: what it takes to answer is made when the loop begins, so that a restore
 * does not wait for it. */
static err_t open_all(struct spore_server *s, const struct spore_server_options *o, struct diag *d)
{
	if ((o->flags & SPORE_SERVE_PUBLISH) != 0)
		TRY(publish(s, o->name, d));
	if (o->api_sock != NULL)
		TRY(door_add(s, o->api_sock, o->api_sock, d));
	if (s->n_doors == 0)
		return diag_fail(d, FAIL(ERR_USAGE), "server: no socket to serve on, expected a name "
				 "or a path");
	return OK;
}

int spore_server_open(spore_machine *m, const struct spore_server_options *options,
		      spore_server **ret_server, struct spore_error *err)
{
	struct spore_server_options o = SPORE_SERVER_OPTIONS_INIT;
	struct diag d = DIAG_INIT;
	struct spore_server *s = NULL;
	err_t e = options_take(options, sizeof o, sizeof o, &o, "spore_server_options", &d);

	if (!failed(e))
		e = options_check(o.flags, SPORE_SERVE_PUBLISH, o.reserved, "spore_server_options",
				  &d);
	if (!failed(e) && spore_machine_event_fd(m) < 0)
		e = diag_fail(&d, FAIL(ERR_STATE), "server: only a machine of this process can be "
			      "served");
	if (failed(e))
		return error_give(e, &d, err);
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return error_give(FAIL(ERR_NOMEM), &d, err);
	s->machine = m;
	s->claim = RUN_CLAIM_NONE;
	s->console.fd = FD_NONE;
	s->started = (int64_t)time(NULL);
	e = open_all(s, &o, &d);
	if (failed(e)) {
		spore_server_close(s);
		return error_give(e, &d, err);
	}
	*ret_server = s;
	return SPORE_OK;
}

const char *spore_server_name(const spore_server *s)
{
	return s->claim.name;
}

void spore_server_quit(spore_server *s)
{
	server_ending(s);
}

/* ---- the loop --------------------------------------------------------------------------------- */

struct watching {
	struct spore_server *server;
	const struct spore_watch *watch;
	struct event *ready, *later;
	bool polled; /* a file or /dev/null, not for epoll (EPERM): asked again and again */
};

static bool for_epoll(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	owned_fd probe = { epoll_create1(EPOLL_CLOEXEC) };

	return probe.raw >= 0 && epoll_ctl(probe.raw, EPOLL_CTL_ADD, fd, &ev) == 0;
}

static void watch_again(struct watching *w)
{
	static const struct timeval soon = { 0, 10000 };

	if (w->polled)
		(void)event_add(w->later, &soon);
	else
		(void)event_add(w->ready, NULL);
}

static void on_watch(evutil_socket_t fd, short what, void *watching)
{
	static const struct timeval soon = { 0, 10000 };
	struct watching *w = watching;

	(void)fd;
	(void)what;
	switch (w->watch->ready(w->watch->ctx, w->watch->fd)) {
	case SPORE_WATCH_ON:
		watch_again(w);
		return;
	case SPORE_WATCH_LATER:
		(void)event_add(w->later, &soon);
		return;
	default:
		return;
	}
}

/* The call notices the end, so that the outcome is there for whoever asks. */
static void on_ended(evutil_socket_t fd, short what, void *server)
{
	struct spore_server *s = server;

	(void)fd;
	(void)what;
	if (server_state(s) == SPORE_ENDED)
		server_ending(s);
	else
		(void)event_add(s->ended, NULL);
}

static err_t watch_start(struct spore_server *s, const struct spore_watch *watch,
			 struct watching *ret, struct diag *d)
{
	*ret = (struct watching){ .server = s, .watch = watch,
				  .polled = !for_epoll(watch->fd) };
	ret->ready = event_new(s->base, watch->fd, EV_READ, on_watch, ret);
	ret->later = evtimer_new(s->base, on_watch, ret);
	if (ret->ready == NULL || ret->later == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "server: out of memory");
	watch_again(ret);
	return OK;
}

static err_t loop_open(struct spore_server *s, struct diag *d)
{
	s->base = event_base_new();
	s->draft = config_doc_new();
	if (s->base == NULL || s->draft == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "server: out of memory");
	TRY(http_open(s, d));
	for (size_t i = 0; i < s->n_doors; i++)
		TRY(http_listen(s, &s->doors[i], d));
	if (fd_is_open(s->console.fd))
		TRY(console_door_open(s, d, &s->console_door));
	s->ended = event_new(s->base, spore_machine_event_fd(s->machine), EV_READ, on_ended, s);
	if (s->ended == NULL || event_add(s->ended, NULL) != 0)
		return diag_fail(d, FAIL(ERR_NOMEM), "server: out of memory");
	info_write(s);
	return OK;
}

static err_t loop(struct spore_server *s, const struct spore_watch *watches, size_t n,
		  struct watching *w, struct diag *d)
{
	if (s->base == NULL)
		TRY(loop_open(s, d));
	for (size_t i = 0; i < n; i++)
		TRY(watch_start(s, &watches[i], &w[i], d));
	/* It may have ended before anybody looked. */
	if (server_state(s) != SPORE_ENDED && event_base_dispatch(s->base) < 0)
		return diag_sys(d, FAIL_SYS(errno), "server: event loop");
	return OK;
}

int spore_server_run(spore_server *s, const struct spore_watch *watches, size_t n_watches,
		     struct spore_error *err)
{
	struct watching w[WATCHES_MAX] = { { .watch = NULL } };
	struct diag d = DIAG_INIT;
	err_t e;

	if (n_watches > WATCHES_MAX)
		return error_give(diag_fail(&d, FAIL(ERR_USAGE), "server: %zu watches, expected at "
					    "most %d", n_watches, WATCHES_MAX), &d, err);
	e = loop(s, watches, n_watches, w, &d);
	for (size_t i = 0; i < n_watches; i++) {
		if (w[i].ready != NULL)
			event_free(w[i].ready);
		if (w[i].later != NULL)
			event_free(w[i].later);
	}
	return error_give(e, &d, err);
}

void spore_server_close(spore_server *s)
{
	if (s == NULL)
		return;
	console_door_close(s->console_door);
	http_close(s);
	door_close(&s->console);
	for (size_t i = 0; i < s->n_doors; i++)
		door_close(&s->doors[i]);
	run_claim_drop(&s->claim);
	json_decref(s->draft);
	if (s->ended != NULL)
		event_free(s->ended);
	if (s->base != NULL)
		event_base_free(s->base);
	free(s);
}

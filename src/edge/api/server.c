/* SPDX-License-Identifier: Apache-2.0 */
/* The server's life: claim a name, open the doors, run the loop, clean up. */
#include "edge/api/server.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "edge/api/routes.h"
#include "edge/api/watch.h"
#include "edge/lib/config_doc.h"
#include "edge/lib/error.h"

enum spore_state server_state(struct spore_server *s)
{
	enum spore_state state = SPORE_ENDED;

	if (spore_machine_state(s->machine, &state, NULL) != SPORE_OK)
		return SPORE_ENDED;
	return state;
}

static void on_leaving(evutil_socket_t fd, short what, void *server)
{
	struct spore_server *s = server;

	(void)fd;
	(void)what;
	if (s->over != NULL)
		s->over(s->ctx);
	else
		(void)event_base_loopbreak(s->base);
}

void server_ending(struct spore_server *s)
{
	/* For a client that does not take its reply. */
	static const struct timeval now = { 0, 0 }, patience = { 1, 0 };

	s->ending = true;
	if (s->held)
		return;
	if (s->leaving != NULL && (s->http.replies == 0 || !evtimer_pending(s->leaving, NULL)))
		(void)event_add(s->leaving, s->http.replies == 0 ? &now : &patience);
}

static void after_reply(void *server)
{
	struct spore_server *s = server;

	if (s->ending)
		server_ending(s);
}

static err_t open_doors(struct spore_server *s, struct diag *d)
{
	TRY(door_open_in(&s->claim, "api.sock", SOCK_STREAM, d, &s->doors[0]));
	s->n_doors = 1;
	TRY(door_open_in(&s->claim, "console.sock", SOCK_STREAM, d, &s->console));
	return door_open_in(&s->claim, "handoff.sock", SOCK_SEQPACKET, d, &s->handoff);
}

static err_t publish(struct spore_server *s, const char *name, struct diag *d)
{
	TRY(run_claim_take(name, d, &s->claim));
	return open_doors(s, d);
}

/* Names and sockets only: what it takes to answer is made when the loop begins, so that a restore
 * does not wait for it. */
static err_t open_all(struct spore_server *s, const struct spore_server_options *o, struct diag *d)
{
	if ((o->flags & SPORE_SERVE_PUBLISH) != 0)
		TRY(publish(s, o->name, d));
	if (o->api_sock != NULL) {
		TRY(door_open(o->api_sock, o->api_sock, SOCK_STREAM, d, &s->doors[s->n_doors]));
		s->n_doors++;
	}
	if (s->n_doors == 0)
		return diag_fail(d, FAIL(ERR_USAGE), "server: no socket to serve on, expected a name "
				 "or a path");
	return OK;
}

static err_t server_new(struct diag *d, struct spore_server **ret)
{
	struct spore_server *s = calloc(1, sizeof *s);

	if (s == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "server: out of memory");
	s->claim = RUN_CLAIM_NONE;
	s->console.fd = FD_NONE;
	s->handoff.fd = FD_NONE;
	s->started = (int64_t)time(NULL);
	s->http.handler = routes_dispatch;
	s->http.after = after_reply;
	s->http.ctx = s;
	*ret = s;
	return OK;
}

static err_t options_judge(const struct spore_server_options *options, spore_machine *m,
			   struct spore_server_options *ret, struct diag *d)
{
	TRY(options_take(options, sizeof *ret, sizeof *ret, ret, "spore_server_options", d));
	TRY(options_check(ret->flags, SPORE_SERVE_PUBLISH, ret->reserved, "spore_server_options", d));
	if (spore_machine_event_fd(m) < 0)
		return diag_fail(d, FAIL(ERR_STATE), "server: only a machine of this process can be "
				 "served");
	return OK;
}

int spore_server_open(spore_machine *m, const struct spore_server_options *options,
		      spore_server **ret_server, struct spore_error *err)
{
	struct spore_server_options o = SPORE_SERVER_OPTIONS_INIT;
	struct diag d = DIAG_INIT;
	struct spore_server *s = NULL;
	err_t e = options_judge(options, m, &o, &d);

	if (!failed(e))
		e = server_new(&d, &s);
	if (failed(e))
		return error_give(e, &d, err);
	s->machine = m;
	e = open_all(s, &o, &d);
	if (failed(e)) {
		spore_server_close(s);
		return error_give(e, &d, err);
	}
	*ret_server = s;
	return SPORE_OK;
}

err_t server_prepare(const char *name, struct diag *d, struct spore_server **ret)
{
	struct spore_server *s;
	err_t e;

	TRY(server_new(d, &s));
	e = publish(s, name, d);
	if (failed(e))
		spore_server_close(s);
	else
		*ret = s;
	return e;
}

err_t server_prepare_kept(const char *name, fd_t *lock, struct diag *d, struct spore_server **ret)
{
	struct spore_server *s;
	err_t e;

	TRY(server_new(d, &s));
	e = run_claim_adopt(name, lock, d, &s->claim);
	if (!failed(e))
		e = open_doors(s, d);
	if (failed(e))
		server_leave(s);
	else
		*ret = s;
	return e;
}

void server_leave(struct spore_server *s)
{
	run_claim_leave(&s->claim);
	spore_server_close(s);
}

const char *spore_server_name(const spore_server *s)
{
	return s->claim.name;
}

int spore_server_frozen(const spore_server *s)
{
	return s->frozen;
}

void spore_server_quit(spore_server *s)
{
	server_ending(s);
}

/* ---- the loop --------------------------------------------------------------------------------- */

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

void server_hold(struct spore_server *s)
{
	s->held = true;
	handoff_door_hold(s->handoff_door);
	(void)event_del(s->ended);
	(void)event_del(s->leaving);
}

void server_release(struct spore_server *s)
{
	s->held = false;
	handoff_door_release(s->handoff_door);
	http_unpark(&s->http, &s->waiting);
	if (s->ending)
		server_ending(s);
	else
		(void)event_add(s->ended, NULL);
}

static err_t join(struct spore_server *s, struct diag *d)
{
	TRY(http_open(&s->http, s->base, d));
	for (size_t i = 0; i < s->n_doors; i++)
		TRY(http_listen(&s->http, &s->doors[i], d));
	if (fd_is_open(s->console.fd))
		TRY(console_door_open(s, d, &s->console_door));
	if (fd_is_open(s->handoff.fd))
		TRY(handoff_door_open(s, d, &s->handoff_door));
	s->leaving = evtimer_new(s->base, on_leaving, s);
	s->ended = event_new(s->base, spore_machine_event_fd(s->machine), EV_READ, on_ended, s);
	if (s->leaving == NULL || s->ended == NULL || event_add(s->ended, NULL) != 0)
		return diag_fail(d, FAIL(ERR_NOMEM), "server: out of memory");
	info_write(s);
	return OK;
}

err_t server_join(struct spore_server *s, spore_machine *m, struct event_base *base, struct diag *d)
{
	s->machine = m;
	s->base = base;
	return join(s, d);
}

static err_t loop_open(struct spore_server *s, struct diag *d)
{
	s->base = event_base_new();
	s->own_base = s->base;
	s->draft = config_doc_new();
	if (s->base == NULL || s->draft == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "server: out of memory");
	return join(s, d);
}

int spore_server_run(spore_server *s, const struct spore_watch *watches, size_t n_watches,
		     struct spore_error *err)
{
	struct diag d = DIAG_INIT;
	err_t e = s->base == NULL ? loop_open(s, &d) : OK;

	/* It may have ended before anybody looked. */
	if (!failed(e) && server_state(s) != SPORE_ENDED)
		e = watches_run(s->base, watches, n_watches, &d);
	return error_give(e, &d, err);
}

static void event_drop(struct event *e)
{
	if (e != NULL)
		event_free(e);
}

void spore_server_close(spore_server *s)
{
	if (s == NULL)
		return;
	console_door_close(s->console_door);
	handoff_door_close(s->handoff_door);
	http_parking_drop(&s->http, &s->waiting);
	http_close(&s->http);
	door_close(&s->console);
	door_close(&s->handoff);
	for (size_t i = 0; i < s->n_doors; i++)
		door_close(&s->doors[i]);
	run_claim_drop(&s->claim);
	json_decref(s->draft);
	event_drop(s->ended);
	event_drop(s->leaving);
	if (s->own_base != NULL)
		event_base_free(s->own_base);
	free(s);
}

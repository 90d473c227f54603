/* SPDX-License-Identifier: Apache-2.0 */
/* Between libevent's HTTP server and the handlers. libevent parses; here are the limits and the
 * shapes of replies. Bytes from a client are hostile: a request is looked at when it is whole, and
 * its size was bounded while it came in. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/heap.h"
#include "edge/api/http_connection.h"
#include "edge/lib/fault.h"
#include "edge/lib/json_read.h"

/* Beyond this libevent answers 413 by itself, at the header; between HTTP_BODY_MAX and this the
 * reply has the usual shape. */
enum { HARD_BODY_MAX = 1 << 20, HEADERS_MAX = 16384 };

static const char *method_word(enum evhttp_cmd_type t)
{
	switch (t) {
	case EVHTTP_REQ_GET: return "GET";
	case EVHTTP_REQ_POST: return "POST";
	case EVHTTP_REQ_HEAD: return "HEAD";
	case EVHTTP_REQ_PUT: return "PUT";
	case EVHTTP_REQ_DELETE: return "DELETE";
	case EVHTTP_REQ_OPTIONS: return "OPTIONS";
	case EVHTTP_REQ_TRACE: return "TRACE";
	case EVHTTP_REQ_CONNECT: return "CONNECT";
	case EVHTTP_REQ_PATCH: return "PATCH";
	}
	return "?";
}

static void reply_over(struct http_front *f)
{
	f->replies--;
	f->after(f->ctx);
}

/* The connection has ended first. */
static void reply_lost(struct evhttp_connection *c, void *front)
{
	struct http_front *f = front;

	(void)c;
	if (!f->closed)
		reply_over(f);
}

/* Nothing is waited for on a descriptor that libevent may be about to close: by the references that are kept
 * (http_connection.c) the events would outlive it. If it goes on, libevent enables them again. */
static void reply_gone(struct evhttp_request *req, void *front)
{
	struct evhttp_connection *c = evhttp_request_get_connection(req);

	evhttp_connection_set_closecb(c, NULL, NULL);
	(void)bufferevent_disable(evhttp_connection_get_bufferevent(c), EV_READ | EV_WRITE);
	reply_over(front);
}

static void reply_send(struct http_front *f, struct evhttp_request *req, int code,
		       const json_t *body)
{
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	struct evbuffer *out = evhttp_request_get_output_buffer(req);
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);

	(void)evhttp_add_header(headers, "Server", "spore");
	if (text != NULL) {
		(void)evhttp_add_header(headers, "Content-Type", "application/json");
		(void)evbuffer_add(out, text, strlen(text));
	}
	free(text);
	f->replies++;
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), reply_lost, f);
	evhttp_request_set_on_complete_cb(req, reply_gone, f);
	evhttp_send_reply(req, code, NULL, NULL);
}

static void answer(struct http_front *f, struct evhttp_request *req, err_t e,
		   const struct diag *d, json_t *body)
{
	owned_json reply = failed(e) ? fault_json(e, d) : json_incref(body);

	reply_send(f, req, failed(e) ? 400 : reply != NULL ? 200 : 204, reply);
}

/* The body as one string, or NULL when there is none. */
static err_t body_take(struct evhttp_request *req, struct diag *d, char **ret_text, size_t *ret_len)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(req);
	size_t n = evbuffer_get_length(in);
	char *text;

	*ret_text = NULL;
	*ret_len = n;
	if (n == 0)
		return OK;
	if (n > HTTP_BODY_MAX)
		return diag_fail(d, FAIL(ERR_JSON), "the body has %zu bytes, expected at most %d", n,
				 HTTP_BODY_MAX);
	text = malloc(n);
	if (text == NULL || evbuffer_remove(in, text, n) != (int)n) {
		free(text);
		return diag_fail(d, FAIL(ERR_NOMEM), "out of memory");
	}
	*ret_text = text;
	return OK;
}

/* Absolute-form targets (RFC 9112, 3.2.2) carry a path too. */
static const char *path_of(struct evhttp_request *req)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;

	return path != NULL ? path : "/";
}

/* ---- requests that wait ---- */

static struct http_parked *parked_free(struct http_parked *p)
{
	struct http_parked *next = p->next;

	free(p->text);
	free(p);
	return next;
}

err_t http_park_check(const struct http_front *f, struct diag *d)
{
	return f->n_parked < HTTP_PARKED_MAX
		       ? OK
		       : diag_fail(d, FAIL(ERR_STATE), "%d requests wait already", HTTP_PARKED_MAX);
}

/* Nothing is read from its client meanwhile: libevent expects no more of it, and its patience is its own. */
err_t http_park(struct http_front *f, struct http_parking *p, struct diag *d)
{
	struct http_parked *last = f->current;

	TRY(http_park_check(f, d));
	f->parked[f->n_parked++] = last;
	if (p->first == NULL)
		p->end = &p->first;
	(void)bufferevent_disable(parked_stream(last), EV_READ | EV_WRITE);
	last->next = NULL;
	*p->end = last;
	p->end = &last->next;
	f->current = NULL;
	return OK;
}

static void unregister(struct http_front *f, const struct http_parked *p)
{
	for (size_t i = 0; i < f->n_parked; i++)
		if (f->parked[i] == p)
			f->parked[i] = f->parked[--f->n_parked];
}

static struct http_parked *leave_park(struct http_front *f, struct http_parking *p)
{
	struct http_parked *first = p->first;

	for (const struct http_parked *each = first; each != NULL; each = each->next)
		unregister(f, each);
	*p = (struct http_parking){ NULL, NULL };
	return first;
}

static void serve(struct http_front *f, struct http_parked *p)
{
	struct diag d = DIAG_INIT;
	owned_json body = NULL;
	err_t e;

	f->current = p;
	e = f->handler(f->ctx, method_word(evhttp_request_get_command(p->req)), path_of(p->req),
		       p->text, p->len, &d, &body);
	if (f->current == NULL)
		return;
	f->current = NULL;
	answer(f, p->req, e, &d, body);
	(void)parked_free(p);
	f->after(f->ctx);
}

void http_unpark(struct http_front *f, struct http_parking *p)
{
	struct http_parked *next, *each = leave_park(f, p);

	for (; each != NULL; each = next) {
		next = each->next;
		if (each->req != NULL)
			serve(f, each);
		else
			(void)parked_free(each);
	}
}

void http_answer(struct http_front *f, struct http_parking *p, err_t e, const struct diag *d,
		 json_t *body)
{
	for (struct http_parked *each = leave_park(f, p); each != NULL; each = parked_free(each))
		if (each->req != NULL)
			answer(f, each->req, e, d, body);
	f->after(f->ctx);
}

void http_parking_drop(struct http_front *f, struct http_parking *p)
{
	for (struct http_parked *each = leave_park(f, p); each != NULL;)
		each = parked_free(each);
}

static void handle(struct evhttp_request *req, void *front)
{
	struct http_parked *p;
	struct http_front *f = front;
	struct diag d = DIAG_INIT;
	owned_json too_many = NULL;
	err_t e;

	if (!connection_is_served(f, req)) {
		too_many = json_pack("{s:s}", "error", HTTP_TOO_MANY);
		(void)evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
		reply_send(f, req, 503, too_many);
		return;
	}
	p = calloc(1, sizeof *p);
	e = p != NULL ? body_take(req, &d, &p->text, &p->len)
		      : diag_fail(&d, FAIL(ERR_NOMEM), "out of memory");
	if (failed(e)) {
		answer(f, req, e, &d, NULL);
		free(p);
		f->after(f->ctx);
		return;
	}
	p->req = req;
	serve(f, p);
}

/* ---- progress ---- */

/* Interim replies (RFC 9110, 15.2) go out while the request is being handled, so past libevent, which
 * has nothing of its own to send at that moment. A client that does not ask gets none. */
static void progress(const struct http_parked *p, uint64_t done, uint64_t of)
{
	char line[128];
	int fd, n;

	if (p->req == NULL ||
	    evhttp_find_header(evhttp_request_get_input_headers(p->req), "Spore-Progress") == NULL)
		return;
	fd = bufferevent_getfd(parked_stream(p));
	n = snprintf(line, sizeof line, "HTTP/1.1 102 Processing\r\n"
		     "Spore-Progress: %" PRIu64 "/%" PRIu64 "\r\n\r\n", done, of);
	/* All or nothing: half a header would spoil the reply. A full socket takes none of it. */
	if (fd >= 0)
		(void)send(fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void http_progress(void *front, uint64_t done, uint64_t of)
{
	const struct http_front *f = front;

	if (f->current != NULL)
		progress(f->current, done, of);
}

void http_parking_progress(const struct http_parking *p, uint64_t done, uint64_t of)
{
	for (const struct http_parked *each = p->first; each != NULL; each = each->next)
		progress(each, done, of);
}

void http_close(struct http_front *f)
{
	f->closed = true;
	connections_quiet(f);
	if (f->http != NULL)
		evhttp_free(f->http);
	connections_drop(f);
}

err_t http_open(struct http_front *f, struct event_base *base, struct diag *d)
{
	f->base = base;
	f->http = evhttp_new(base);
	if (f->http == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "HTTP server: out of memory");
	evhttp_set_max_body_size(f->http, HARD_BODY_MAX);
	evhttp_set_max_headers_size(f->http, HEADERS_MAX);
	evhttp_set_timeout(f->http, HTTP_IDLE_SECONDS);
	evhttp_set_allowed_methods(f->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
				   EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS |
				   EVHTTP_REQ_PATCH);
	evhttp_set_bevcb(f->http, connection_new, f);
	evhttp_set_gencb(f->http, handle, f);
	return OK;
}

/* No descriptor for it: the client keeps waiting, and so does the loop, which would be told of it
 * again at once and do nothing else. */
static void accept_failed(struct evconnlistener *l, void *front)
{
	(void)l;
	(void)front;
	(void)poll(NULL, 0, ACCEPT_AGAIN_MS);
}

err_t http_listen(struct http_front *f, const struct door *door, struct diag *d)
{
	struct evconnlistener *l = evconnlistener_new(f->base, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC, 0,
						      door->fd.raw);

	if (l == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "%s: listen", door->path);
	evconnlistener_set_error_cb(l, accept_failed);
	if (evhttp_bind_listener(f->http, l) == NULL) {
		evconnlistener_free(l);
		return diag_fail(d, FAIL(ERR_NOMEM), "%s: listen", door->path);
	}
	return OK;
}

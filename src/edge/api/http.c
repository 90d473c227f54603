/* SPDX-License-Identifier: Apache-2.0 */
/* Between libevent's HTTP server and the handlers. libevent parses; here are the limits and the
 * shapes of replies. Bytes from a client are hostile: a request is looked at when it is whole, and
 * its size was bounded while it came in. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/heap.h"
#include "edge/api/http.h"
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

static void reply_gone(struct evhttp_request *req, void *front)
{
	struct http_front *f = front;

	(void)req;
	f->replies--;
	f->after(f->ctx);
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

static void handle(struct evhttp_request *req, void *front)
{
	struct http_front *f = front;
	struct diag d = DIAG_INIT;
	owned_heap char *text = NULL;
	owned_json body = NULL;
	size_t len;
	err_t e = body_take(req, &d, &text, &len);

	f->current = req;
	if (!failed(e))
		e = f->handler(f->ctx, method_word(evhttp_request_get_command(req)), path_of(req),
			       text, len, &d, &body);
	f->current = NULL;
	answer(f, req, e, &d, body);
	f->after(f->ctx);
}

/* Interim replies (RFC 9110, 15.2) go out while the request is being handled, so past libevent, which
 * has nothing of its own to send at that moment. A client that does not ask gets none. */
void http_progress(void *front, uint64_t done, uint64_t of)
{
	struct http_front *f = front;
	struct evhttp_connection *c;
	char line[128];
	int fd, n;

	if (f->current == NULL ||
	    evhttp_find_header(evhttp_request_get_input_headers(f->current), "Spore-Progress") == NULL)
		return;
	c = evhttp_request_get_connection(f->current);
	fd = c != NULL ? bufferevent_getfd(evhttp_connection_get_bufferevent(c)) : -1;
	n = snprintf(line, sizeof line, "HTTP/1.1 102 Processing\r\n"
		     "Spore-Progress: %" PRIu64 "/%" PRIu64 "\r\n\r\n", done, of);
	/* All or nothing: half a header would spoil the reply. A full socket takes none of it. */
	if (fd >= 0)
		(void)send(fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

struct surplus {
	struct bufferevent *bev;
};

#define SURPLUS_BODY "{ \"error\": \"Too many open connections\" }"

/* Says so in one line and hangs up; evhttp sees the end and frees the connection. */
static void refuse_surplus(evutil_socket_t fd, short what, void *arg)
{
	static const char text[] =
		"HTTP/1.1 503 Service Unavailable\r\nServer: spore\r\nConnection: close\r\n"
		"Content-Type: application/json\r\nContent-Length: 40\r\n\r\n" SURPLUS_BODY;
	static_assert(sizeof SURPLUS_BODY - 1 == 40, "as the header says");
	struct surplus *x = arg;

	(void)what;
	fd = bufferevent_getfd(x->bev);
	if (fd >= 0) {
		(void)send(fd, text, sizeof text - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)shutdown(fd, SHUT_RDWR);
	}
	(void)bufferevent_decref(x->bev);
	free(x);
}

static void surplus_later(struct http_front *f, struct bufferevent *bev)
{
	static const struct timeval now = { 0, 0 };
	struct surplus *x = malloc(sizeof *x);

	if (x == NULL)
		return;
	x->bev = bev;
	bufferevent_incref(bev);
	if (event_base_once(f->base, -1, EV_TIMEOUT, refuse_surplus, x, &now) == 0)
		return;
	(void)bufferevent_decref(bev);
	free(x);
}

/* libevent 2.1 tells nobody when a connection ends. A connection that has ended has no callbacks left
 * on its bufferevent (bufferevent_free takes them off), of which a reference was kept. */
static bool connection_is_gone(struct bufferevent *bev)
{
	bufferevent_data_cb on_read, on_write;
	bufferevent_event_cb on_event;
	void *ctx;

	bufferevent_getcb(bev, &on_read, &on_write, &on_event, &ctx);
	return on_read == NULL && on_write == NULL && on_event == NULL;
}

static void connections_sweep(struct http_front *f, bool all)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->n_connections; i++) {
		if (all || connection_is_gone(f->connections[i]))
			(void)bufferevent_decref(f->connections[i]);
		else
			f->connections[kept++] = f->connections[i];
	}
	f->n_connections = kept;
}

/* One per connection, called when it comes in. */
static struct bufferevent *connection_new(struct event_base *base, void *front)
{
	struct http_front *f = front;
	struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);

	if (bev == NULL)
		return NULL;
	connections_sweep(f, false);
	if (f->n_connections == HTTP_CONNECTIONS_MAX) {
		surplus_later(f, bev);
	} else {
		bufferevent_incref(bev);
		f->connections[f->n_connections++] = bev;
	}
	return bev;
}

void http_close(struct http_front *f)
{
	if (f->http != NULL)
		evhttp_free(f->http);
	connections_sweep(f, true);
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

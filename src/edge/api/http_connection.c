/* SPDX-License-Identifier: Apache-2.0 */
/* How many clients there are: one too many is told so, and sent away. */
#include <event2/bufferevent.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "edge/api/http_connection.h"

struct surplus {
	struct surplus *next;
	struct http_front *front; /* NULL: it was closed */
	struct bufferevent *bev;
	bool answered;
};

#define SURPLUS_BODY "{ \"error\": \"" HTTP_TOO_MANY "\" }"

static void surplus_unlink(struct surplus *x)
{
	struct surplus **at = &x->front->surplus;

	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
}

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
	if (fd >= 0 && !x->answered && x->front != NULL) {
		(void)send(fd, text, sizeof text - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)shutdown(fd, SHUT_RDWR);
	}
	if (x->front != NULL)
		surplus_unlink(x);
	(void)bufferevent_decref(x->bev);
	free(x);
}

static void surplus_later(struct http_front *f, struct bufferevent *bev)
{
	static const struct timeval now = { 0, 0 };
	struct surplus *x = malloc(sizeof *x);

	if (x == NULL)
		return;
	*x = (struct surplus){ .next = f->surplus, .front = f, .bev = bev };
	if (event_base_once(f->base, -1, EV_TIMEOUT, refuse_surplus, x, &now) != 0) {
		free(x);
		return;
	}
	bufferevent_incref(bev);
	f->surplus = x;
}

/* Its request may have come in before it was refused. */
bool connection_is_served(struct http_front *f, struct evhttp_request *req)
{
	struct evhttp_connection *c = evhttp_request_get_connection(req);
	struct bufferevent *bev = evhttp_connection_get_bufferevent(c);

	for (struct surplus *x = f->surplus; x != NULL; x = x->next)
		if (x->bev == bev)
			x->answered = true;
	for (size_t i = 0; i < f->n_connections; i++)
		if (f->connections[i] == bev)
			return true;
	return false;
}

struct bufferevent *parked_stream(const struct http_parked *p)
{
	return evhttp_connection_get_bufferevent(evhttp_request_get_connection(p->req));
}

/* Of a parked request's connection nothing is read, so its end is not seen. */
static void leavers_drop(struct http_front *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->n_parked; i++) {
		struct http_parked *p = f->parked[i];
		struct pollfd end = { .fd = bufferevent_getfd(parked_stream(p)) };

		if (poll(&end, 1, 0) != 1 || (end.revents & (POLLHUP | POLLERR)) == 0) {
			f->parked[kept++] = p;
			continue;
		}
		evhttp_connection_free(evhttp_request_get_connection(p->req)); /* and the request */
		p->req = NULL;
		free(p->text);
		p->text = NULL;
	}
	f->n_parked = kept;
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

struct bufferevent *connection_new(struct event_base *base, void *front)
{
	struct http_front *f = front;
	struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);

	if (bev == NULL)
		return NULL;
	leavers_drop(f);
	connections_sweep(f, false);
	if (f->n_connections == HTTP_CONNECTIONS_MAX) {
		surplus_later(f, bev);
	} else {
		bufferevent_incref(bev);
		f->connections[f->n_connections++] = bev;
	}
	return bev;
}

void connections_quiet(struct http_front *f)
{
	for (size_t i = 0; i < f->n_connections; i++)
		(void)bufferevent_disable(f->connections[i], EV_READ | EV_WRITE);
}

void connections_drop(struct http_front *f)
{
	for (struct surplus *x = f->surplus; x != NULL; x = x->next)
		x->front = NULL;
	connections_sweep(f, true);
}

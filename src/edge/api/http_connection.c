/* SPDX-License-Identifier: Apache-2.0 */
/* How many clients there are: one too many is told so, and sent away. */
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "edge/api/http_connection.h"

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

struct bufferevent *connection_new(struct event_base *base, void *front)
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

void connections_drop(struct http_front *f)
{
	connections_sweep(f, true);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The socket at which a machine is turned into a zygote of somebody else's (edge/lib/handoff.h). One
 * client at a time, and one request of each. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "edge/api/server.h"
#include "edge/lib/handoff.h"

struct handoff_door {
	struct spore_server *server;
	struct event *accepting, *reading;
	fd_t client;
};

static const struct timeval patience = { 10, 0 };

static void client_drop(struct handoff_door *h)
{
	if (h->reading != NULL)
		event_free(h->reading);
	h->reading = NULL;
	fd_drop(&h->client);
	(void)event_add(h->accepting, NULL);
}

static void on_request(evutil_socket_t fd, short what, void *door)
{
	struct handoff_door *h = door;

	if ((what & EV_READ) == 0) { /* it says nothing */
		client_drop(h);
		return;
	}
	/* Who does not take the answer has it no more: a machine that was frozen has ended. */
	ignore(handoff_give(fd, h->server->machine, NULL, &h->server->frozen));
	client_drop(h);
	if (server_state(h->server) == SPORE_ENDED)
		server_ending(h->server);
}

static void on_client(evutil_socket_t fd, short what, void *door)
{
	struct handoff_door *h = door;

	(void)what;
	h->client.raw = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (h->client.raw < 0) {
		/* As in http.c. */
		if (errno != EAGAIN && errno != EINTR)
			(void)poll(NULL, 0, ACCEPT_AGAIN_MS);
		(void)event_add(h->accepting, NULL);
		return;
	}
	(void)setsockopt(h->client.raw, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	(void)setsockopt(h->client.raw, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	h->reading = event_new(h->server->base, h->client.raw, EV_READ, on_request, h);
	if (h->reading == NULL || event_add(h->reading, &patience) != 0)
		client_drop(h);
}

err_t handoff_door_open(struct spore_server *s, struct diag *d, struct handoff_door **ret)
{
	struct handoff_door *h = calloc(1, sizeof *h);

	if (h == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "handoff socket: out of memory");
	h->server = s;
	h->client = FD_NONE;
	h->accepting = event_new(s->base, s->handoff.fd.raw, EV_READ, on_client, h);
	if (h->accepting == NULL || event_add(h->accepting, NULL) != 0) {
		handoff_door_close(h);
		return diag_fail(d, FAIL(ERR_NOMEM), "handoff socket: out of memory");
	}
	*ret = h;
	return OK;
}

void handoff_door_hold(struct handoff_door *h)
{
	(void)event_del(h->reading != NULL ? h->reading : h->accepting);
}

void handoff_door_release(struct handoff_door *h)
{
	(void)event_add(h->reading != NULL ? h->reading : h->accepting,
			h->reading != NULL ? &patience : NULL);
}

void handoff_door_close(struct handoff_door *h)
{
	if (h == NULL)
		return;
	if (h->reading != NULL)
		event_free(h->reading);
	fd_drop(&h->client);
	if (h->accepting != NULL)
		event_free(h->accepting);
	free(h);
}

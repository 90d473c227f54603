/* SPDX-License-Identifier: Apache-2.0 */
/* The console's socket. One client at a time: it is greeted with "OK\n", gets the last 64 KiB and
 * then whatever comes; what it sends is typed at the console. A second one is told why not and
 * sent away. A client that falls more than 64 KiB behind is told how much it missed. */
#include <errno.h>
#include <event2/listener.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "edge/api/server.h"

enum { CHUNK = 16384, TYPED_MAX = 512, FLUSH_MS = 1000 };
enum { RETRY_US = 10000, RETRY_DOUBLED = 6 };
enum { KEPT = 65536 }; /* of a console's output */

struct console_door {
	struct spore_server *server;
	struct event *accepting, *output;   /* a client calls; the guest wrote */
	struct event *reading, *writing;    /* of the client */
	struct event *retry;                /* the console's input was full */
	unsigned refused;                   /* that many times, at most RETRY_DOUBLED */
	fd_t client;
	uint64_t position;                  /* of the next byte for the client */
	size_t n_pending, done_pending;     /* taken from the console, not yet sent */
	uint8_t pending[CHUNK + 80];
	size_t n_typed;                     /* received, not yet taken by the console */
	uint8_t typed[TYPED_MAX];
};

static void event_drop(struct event **e)
{
	if (*e != NULL)
		event_free(*e);
	*e = NULL;
}

static void client_drop(struct console_door *c)
{
	event_drop(&c->reading);
	event_drop(&c->writing);
	fd_drop(&c->client);
	c->n_pending = 0;
	c->done_pending = 0;
	c->n_typed = 0;
	(void)event_del(c->output);
}

/* The next piece of output; false: there is none. */
static bool pending_fill(struct console_door *c)
{
	uint64_t from = c->position;
	size_t n = 0;
	int note = 0;

	if (spore_machine_output(c->server->machine, c->position, c->pending + 80, CHUNK, &from, &n,
				 NULL) != SPORE_OK || n == 0)
		return false;
	if (from > c->position)
		note = snprintf((char *)c->pending, 80, "\r\n[spore: %" PRIu64 " bytes lost]\r\n",
				from - c->position);
	memmove(c->pending + note, c->pending + 80, n);
	c->n_pending = (size_t)note + n;
	c->done_pending = 0;
	c->position = from + n;
	return true;
}

/* About that much, and the rest when the loop has served the others and the client can take it: a machine
 * may have more to say all the time. Returns how much. */
static size_t client_write(struct console_door *c, size_t most)
{
	size_t sent = 0;

	while (c->done_pending < c->n_pending || pending_fill(c)) {
		ssize_t n = sent < most ? send(c->client.raw, c->pending + c->done_pending,
					       c->n_pending - c->done_pending,
					       MSG_NOSIGNAL | MSG_DONTWAIT) : 0;

		if (n == 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) {
			(void)event_del(c->output);
			(void)event_add(c->writing, NULL);
			return sent;
		}
		if (n < 0) {
			client_drop(c);
			return sent;
		}
		c->done_pending += (size_t)n;
		sent += (size_t)n;
	}
	return sent;
}

static void on_writable(evutil_socket_t fd, short what, void *door)
{
	struct console_door *c = door;

	(void)fd;
	(void)what;
	(void)event_add(c->output, NULL);
	(void)client_write(c, KEPT);
}

/* Hands over what was typed; what the console has no room for waits, and longer where it has none again
 * and again: each time a worker is asked, and all machines wait for its answer. */
static void type(struct console_door *c)
{
	struct timeval later = { 0, RETRY_US };
	size_t taken = 0;

	if (spore_machine_input(c->server->machine, c->typed, c->n_typed, &taken, NULL) != SPORE_OK)
		taken = c->n_typed;
	memmove(c->typed, c->typed + taken, c->n_typed - taken);
	c->n_typed -= taken;
	c->refused = taken == 0 ? c->refused : 0;
	later.tv_usec <<= c->refused;
	if (taken == 0 && c->refused < RETRY_DOUBLED)
		c->refused++;
	if (c->n_typed != 0)
		(void)event_add(c->retry, &later);
	else if (c->reading != NULL)
		(void)event_add(c->reading, NULL);
}

static void on_retry(evutil_socket_t fd, short what, void *door)
{
	(void)fd;
	(void)what;
	type(door);
}

static void on_readable(evutil_socket_t fd, short what, void *door)
{
	struct console_door *c = door;
	ssize_t n = recv(fd, c->typed, sizeof c->typed, MSG_DONTWAIT);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		(void)event_add(c->reading, NULL);
	} else if (n <= 0) {
		client_drop(c);
	} else {
		c->n_typed = (size_t)n;
		type(c);
	}
}

static void on_output(evutil_socket_t fd, short what, void *door)
{
	struct console_door *c = door;

	(void)fd;
	(void)what;
	if (c->done_pending == c->n_pending)
		(void)client_write(c, KEPT);
}

static void client_greet(struct console_door *c)
{
	static const char greeting[] = "OK\n";

	c->position = 0;
	c->reading = event_new(c->server->base, c->client.raw, EV_READ, on_readable, c);
	c->writing = event_new(c->server->base, c->client.raw, EV_WRITE, on_writable, c);
	if (c->reading == NULL || c->writing == NULL) {
		client_drop(c);
		return;
	}
	/* Older bytes than are kept are not "lost" to somebody who just came. */
	if (spore_machine_output(c->server->machine, 0, c->pending, 0, &c->position,
				 &(size_t){ 0 }, NULL) != SPORE_OK)
		c->position = 0;
	memcpy(c->pending, greeting, sizeof greeting - 1);
	c->n_pending = sizeof greeting - 1;
	(void)event_add(c->reading, NULL);
	(void)event_add(c->output, NULL);
	(void)client_write(c, KEPT);
}

/* A client that has left without our noticing yet makes room: what it typed last is typed first. */
static void leaver_drop(struct console_door *c)
{
	struct pollfd p = { .fd = c->client.raw, .events = POLLRDHUP };

	if (!fd_is_open(c->client) || poll(&p, 1, 0) != 1 || (p.revents & POLLHUP) == 0)
		return;
	if (c->n_typed == 0)
		on_readable(c->client.raw, EV_READ, c);
	if (fd_is_open(c->client))
		client_drop(c);
}

static void on_client(evutil_socket_t fd, short what, void *door)
{
	static const char busy[] = "the console is in use by another client\n";
	struct console_door *c = door;
	owned_fd client = { accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) };

	(void)what;
	if (client.raw < 0) {
		/* As in http.c. */
		if (errno != EAGAIN && errno != EINTR)
			(void)poll(NULL, 0, ACCEPT_AGAIN_MS);
		return;
	}
	leaver_drop(c);
	if (fd_is_open(c->client)) {
		(void)send(client.raw, busy, sizeof busy - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		return;
	}
	c->client = fd_take(&client);
	client_greet(c);
}

err_t console_door_open(struct spore_server *s, struct diag *d, struct console_door **ret)
{
	struct console_door *c = calloc(1, sizeof *c);

	if (c == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "console socket: out of memory");
	c->server = s;
	c->client = FD_NONE;
	c->accepting = event_new(s->base, s->console.fd.raw, EV_READ | EV_PERSIST, on_client, c);
	c->output = event_new(s->base, spore_machine_output_fd(s->machine), EV_READ | EV_PERSIST,
			      on_output, c);
	c->retry = evtimer_new(s->base, on_retry, c);
	if (c->accepting == NULL || c->output == NULL || c->retry == NULL ||
	    event_add(c->accepting, NULL) != 0) {
		console_door_close(c);
		return diag_fail(d, FAIL(ERR_NOMEM), "console socket: out of memory");
	}
	*ret = c;
	return OK;
}

/* What the guest wrote last still reaches a client that reads: one that does not is left behind
 * after a while, and so is a machine that goes on writing. */
static void client_flush(struct console_door *c)
{
	struct pollfd p = { .fd = c->client.raw, .events = POLLOUT };
	size_t most = KEPT + sizeof c->pending, sent = 0;

	do
		sent += client_write(c, most - sent);
	while (sent < most && fd_is_open(c->client) && c->done_pending < c->n_pending &&
	       poll(&p, 1, FLUSH_MS) == 1);
}

void console_door_close(struct console_door *c)
{
	if (c == NULL)
		return;
	if (fd_is_open(c->client))
		client_flush(c);
	if (c->output != NULL)
		client_drop(c);
	event_drop(&c->accepting);
	event_drop(&c->output);
	event_drop(&c->retry);
	free(c);
}

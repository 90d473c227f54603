/* SPDX-License-Identifier: Apache-2.0 */
/* A front of HTTP/1.1 with JSON: libevent's server with limits; whole requests in, replies out. What is
 * asked is somebody else's business: the handler's. */
#pragma once

#include <event2/event.h>
#include <event2/http.h>
#include <jansson.h>

#include "base/diag.h"
#include "edge/api/door.h"

enum {
	HTTP_BODY_MAX = 51200,      /* Firecracker's default */
	HTTP_CONNECTIONS_MAX = 10,
	HTTP_PARKED_MAX = 7,        /* so that somebody can still ask how it is, or stop it */
	HTTP_IDLE_SECONDS = 60,
	ACCEPT_AGAIN_MS = 20,       /* after a connection that could not be accepted */
};

/* `text` is the body, `len` bytes; NULL when there was none. On success *ret_body may be set: 200 with
 * that JSON; else 204. The sentence in *d is what the client is told. */
typedef err_t http_handler(void *ctx, const char *method, const char *path, const char *text,
			   size_t len, struct diag *d, json_t **ret_body);

/* Requests that are answered later, in the order in which they came. Zeroes: none. */
struct http_parking { struct http_parked *first, **end; };

struct http_front {
	http_handler *handler;
	/* A request was handled, or a reply has gone out. May be called from within libevent: nothing
	 * here is to be closed by it. */
	void (*after)(void *ctx);
	void *ctx;
	struct event_base *base;          /* borrowed */
	struct evhttp *http;
	size_t n_connections;             /* references, swept when one more comes in */
	struct bufferevent *connections[HTTP_CONNECTIONS_MAX];
	struct surplus *surplus;          /* connections that are told that they are too many */
	size_t n_parked;
	struct http_parked *parked[HTTP_PARKED_MAX]; /* in any parking */
	unsigned replies;                 /* on their way */
	bool closed;
	struct http_parked *current;      /* being handled: where progress may be told */
};

/* The first three members are the caller's to set. */
must_check err_t http_open(struct http_front *f, struct event_base *base, struct diag *d);
/* Borrows the door's descriptor. */
must_check err_t http_listen(struct http_front *f, const struct door *door, struct diag *d);
void http_close(struct http_front *f);
/* Tells the client of the request being handled how far it is, if it asked. */
void http_progress(void *front, uint64_t done, uint64_t of);

/* By a handler: the request that it handles is answered later, and what the handler returns does not
 * count. It stays in `p` until one of these; a client that leaves meanwhile is not answered. ERR_STATE when
 * too many wait. */
must_check err_t http_park(struct http_front *f, struct http_parking *p, struct diag *d);
/* Would that be OK? */
must_check err_t http_park_check(const struct http_front *f, struct diag *d);
/* All in `p` are handled as if they came now. */
void http_unpark(struct http_front *f, struct http_parking *p);
/* All in `p` get this answer: as a handler's. */
void http_answer(struct http_front *f, struct http_parking *p, err_t e, const struct diag *d,
		 json_t *body);
/* As http_progress, to all in `p`. */
void http_parking_progress(const struct http_parking *p, uint64_t done, uint64_t of);
/* Nobody is answered: before the front is closed, which hangs up. */
void http_parking_drop(struct http_front *f, struct http_parking *p);

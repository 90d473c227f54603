/* SPDX-License-Identifier: Apache-2.0 */
/* The connections of a front. Inside http*.c only. */
#pragma once

#include "edge/api/http.h"

#define HTTP_TOO_MANY "Too many open connections"

struct http_parked {
	struct http_parked *next;
	struct evhttp_request *req; /* the connection's; NULL: its client has left */
	char *text;
	size_t len;
};

struct bufferevent *parked_stream(const struct http_parked *p);

/* libevent's callback: one per connection, when it comes in. */
struct bufferevent *connection_new(struct event_base *base, void *front);
/* False: it is one too many, and its request is not looked at. */
bool connection_is_served(struct http_front *f, struct evhttp_request *req);
/* Nothing is waited for on any of them. */
void connections_quiet(struct http_front *f);
/* The references that are kept on them. */
void connections_drop(struct http_front *f);

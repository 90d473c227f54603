/* SPDX-License-Identifier: Apache-2.0 */
/* The connections of a front. Inside http*.c only. */
#pragma once

#include "edge/api/http.h"

/* libevent's callback: one per connection, when it comes in. */
struct bufferevent *connection_new(struct event_base *base, void *front);
/* The references that are kept on them. */
void connections_drop(struct http_front *f);

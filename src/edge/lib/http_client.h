/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP over a Unix socket, with JSON on both sides. libcurl does it, and is loaded on first use, so
 * that a monitor, which never calls anybody, does not carry it. What comes back is another
 * process's word: bounded, and parsed strictly where it matters. */
#pragma once

#include <jansson.h>
#include <spore.h>

#include "base/diag.h"

struct http_client;

struct http_request {
	const char *method, *path;
	const json_t *body;       /* NULL: none */
	long timeout_ms;          /* 0: as long as it takes */
	spore_progress *progress; /* NULL: not wanted */
	void *ctx;
};

/* ERR_HOST_PACKAGE when there is no libcurl. `socket` is copied. */
must_check err_t http_client_open(const char *socket, struct diag *d, struct http_client **ret);
/* One request; one thread at a time. A fault that the server states becomes the error that it had
 * there; ERR_REMOTE when there was no answer. *ret_body is NULL when the reply had none. */
must_check err_t http_client_call(struct http_client *c, const struct http_request *r,
				  struct diag *d, json_t **ret_body);
void http_client_close(struct http_client *c);

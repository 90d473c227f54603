/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor seen from another process: one request, one answer. */
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "edge/lib/error.h"
#include "edge/lib/http_client.h"
#include "edge/lib/json_read.h"
#include "edge/lib/run_dir.h"

static void client_drop(struct http_client **c)
{
	http_client_close(*c);
}

/* A supervisor that left between two looks is none either. */
static err_t call(const struct http_request *r, struct diag *d, json_t **ret_body)
{
	__attribute__((cleanup(run_place_drop))) struct run_place place = RUN_PLACE_NONE;
	__attribute__((cleanup(client_drop))) struct http_client *client = NULL;
	char path[RUN_PATH_MAX + 32];

	TRY(run_find_serve(d, &place));
	run_socket_path(place.path, place.folder.raw, "api.sock", path, sizeof path);
	TRY(http_client_open(path, d, &client));
	return http_client_call(client, r, d, ret_body);
}

static err_t ask(struct http_request *r, const char *json, struct diag *d, char **ret_json)
{
	owned_json body = NULL;
	owned_json reply = NULL;
	char *text = NULL;

	if (json != NULL)
		TRY(json_text_read(json, strlen(json), d, &body));
	r->body = body;
	TRY(call(r, d, &reply));
	if (reply != NULL)
		text = json_dumps(reply, JSON_COMPACT);
	if (reply != NULL && text == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "supervisor: out of memory");
	*ret_json = text;
	return OK;
}

int spore_supervisor_ask(const char *method, const char *path, const char *json,
			 spore_progress *progress, void *ctx, char **ret_json,
			 struct spore_error *err)
{
	struct http_request r = { .method = method, .path = path, .progress = progress, .ctx = ctx };
	struct diag d = DIAG_INIT;

	return error_give(ask(&r, json, &d, ret_json), &d, err);
}

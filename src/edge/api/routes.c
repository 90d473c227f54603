/* SPDX-License-Identifier: Apache-2.0 */
/* The table of routes: Firecracker's paths, and under /spore/ what it has no place for. */
#include "edge/api/routes.h"

#include <string.h>

#include "edge/api/route_path.h"
#include "edge/lib/error.h"
#include "edge/lib/json_read.h"

enum {
	BEFORE = 1,   /* allowed before the machine was started */
	AFTER = 2,    /* allowed after */
	BODY_MAY = 4, /* the body may be left out */
	HELD = 8,     /* allowed while the server is held */
};

static const struct route {
	const char *method, *path; /* a path that ends in "/{id}" takes one more segment */
	unsigned flags;
	route_handler *handler;
} routes[] = {
	{ "GET", "/", BEFORE | AFTER | HELD, route_instance },
	{ "GET", "/version", BEFORE | AFTER | HELD, route_version },
	{ "GET", "/vm/config", BEFORE | AFTER | HELD, route_config },
	{ "GET", "/machine-config", BEFORE | AFTER | HELD, route_machine_config },
	{ "PUT", "/machine-config", BEFORE, route_put_machine },
	{ "PATCH", "/machine-config", BEFORE, route_patch_machine },
	{ "PUT", "/boot-source", BEFORE, route_put_boot },
	{ "PUT", "/drives/{id}", BEFORE, route_put_drive },
	{ "PUT", "/entropy", BEFORE, route_put_entropy },
	{ "PATCH", "/vm", AFTER, route_vm },
	{ "PUT", "/actions", BEFORE | AFTER, route_actions },
	{ "PUT", "/snapshot/create", AFTER, route_snapshot_create },
	{ "PUT", "/snapshot/load", BEFORE, route_snapshot_load },
	{ "GET", "/spore/status", BEFORE | AFTER | HELD, route_status },
	{ "PUT", "/spore/config", BEFORE, route_put_config },
	{ "PUT", "/spore/stop", BEFORE | AFTER | BODY_MAY | HELD, route_stop },
	{ "PUT", "/spore/snapshot", AFTER, route_snapshot },
	{ "PUT", "/spore/restore", BEFORE, route_restore },
};

static const struct route *route_find(const char *method, const char *path,
				      char ret_id[static PATH_ID_MAX])
{
	for (size_t i = 0; i < countof(routes); i++)
		if (strcmp(routes[i].method, method) == 0 &&
		    path_matches(routes[i].path, path, ret_id))
			return &routes[i];
	return NULL;
}

static err_t phase_check(const struct route *r, struct spore_server *s, struct diag *d)
{
	bool before = server_state(s) == SPORE_NOT_STARTED;

	if ((r->flags & (before ? BEFORE : AFTER)) != 0)
		return OK;
	return diag_fail(d, FAIL(ERR_STATE), "The requested operation is not supported %s starting "
			 "the microVM.", before ? "before" : "after");
}

err_t routes_dispatch(void *server, const char *method, const char *path, const char *text,
		      size_t len, struct diag *d, json_t **ret_body)
{
	struct spore_server *s = server;
	struct call c = { .server = s };
	const struct route *r;
	owned_json body = NULL;
	char trimmed[PATH_MAX_HERE], id[PATH_ID_MAX];

	path_trim(path, trimmed);
	r = route_find(method, trimmed, id);
	if (r == NULL)
		return diag_fail(d, FAIL(ERR_USAGE), "Invalid request method and/or path: %s %s.",
				 method, trimmed + 1);
	TRY(body_read(method, (r->flags & BODY_MAY) != 0, text, len, d, &body));
	TRY(phase_check(r, s, d));
	if (s->held && (r->flags & HELD) == 0)
		return http_park(&s->http, &s->waiting, d);
	c.id = id;
	c.body = body;
	return r->handler(&c, d, ret_body);
}

err_t call_result(const struct call *c, int status, const char *prefix, struct diag *d)
{
	err_t e;

	if (status == SPORE_OK)
		return OK;
	e = error_take(status, &c->server->fault, d);
	if (prefix != NULL)
		diag_prefix(d, prefix);
	return e;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The table of routes: Firecracker's paths, and under /spore/ what it has no place for. */
#include "edge/api/routes.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "edge/lib/error.h"
#include "edge/lib/json_read.h"

enum {
	BEFORE = 1,   /* allowed before the machine was started */
	AFTER = 2,    /* allowed after */
	BODY_MAY = 4, /* the body may be left out */
};

static const struct route {
	const char *method, *path; /* a path that ends in "/{id}" takes one more segment */
	unsigned flags;
	route_handler *handler;
} routes[] = {
	{ "GET", "/", BEFORE | AFTER, route_instance },
	{ "GET", "/version", BEFORE | AFTER, route_version },
	{ "GET", "/vm/config", BEFORE | AFTER, route_config },
	{ "GET", "/machine-config", BEFORE | AFTER, route_machine_config },
	{ "PUT", "/machine-config", BEFORE, route_put_machine },
	{ "PATCH", "/machine-config", BEFORE, route_patch_machine },
	{ "PUT", "/boot-source", BEFORE, route_put_boot },
	{ "PUT", "/drives/{id}", BEFORE, route_put_drive },
	{ "PUT", "/entropy", BEFORE, route_put_entropy },
	{ "PATCH", "/vm", AFTER, route_vm },
	{ "PUT", "/actions", BEFORE | AFTER, route_actions },
	{ "PUT", "/snapshot/create", AFTER, route_snapshot_create },
	{ "PUT", "/snapshot/load", BEFORE, route_snapshot_load },
	{ "GET", "/spore/status", BEFORE | AFTER, route_status },
	{ "PUT", "/spore/config", BEFORE, route_put_config },
	{ "PUT", "/spore/stop", BEFORE | AFTER | BODY_MAY, route_stop },
	{ "PUT", "/spore/snapshot", AFTER, route_snapshot },
	{ "PUT", "/spore/restore", BEFORE, route_restore },
};

/* Does `path` (no slash at its end) match? *ret_id is its last segment where the route has one. */
static bool path_matches(const char *route, const char *path, const char **ret_id)
{
	const char *brace = strstr(route, "{id}");
	size_t fixed;

	*ret_id = NULL;
	if (brace == NULL)
		return strcmp(route, path) == 0;
	fixed = (size_t)(brace - route);
	if (strncmp(route, path, fixed) != 0 || path[fixed] == '\0' || strchr(path + fixed, '/'))
		return false;
	*ret_id = path + fixed;
	return true;
}

static const struct route *route_find(const char *method, const char *path, const char **ret_id)
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

static err_t body_check(const struct route *r, bool given, struct diag *d)
{
	if (strcmp(r->method, "GET") == 0)
		return given ? diag_fail(d, FAIL(ERR_JSON), "GET request cannot have a body.") : OK;
	if (!given && (r->flags & BODY_MAY) == 0)
		return diag_fail(d, FAIL(ERR_JSON), "Empty %s request.", r->method);
	return OK;
}

static err_t body_read(const char *text, size_t len, struct diag *d, json_t **ret)
{
	err_t e = json_text_read(text, len, d, ret);

	if (failed(e))
		diag_prefix(d, "An error occurred when deserializing the json body of a request");
	return e;
}

static void path_trim(const char *path, char *ret, size_t cap)
{
	size_t n;

	(void)snprintf(ret, cap, "/%s", path + strspn(path, "/"));
	n = strlen(ret);
	while (n > 1 && ret[n - 1] == '/')
		ret[--n] = '\0';
}

err_t routes_dispatch(struct spore_server *s, const char *method, const char *path,
		      const char *text, size_t len, struct diag *d, json_t **ret_body)
{
	struct call c = { .server = s };
	const struct route *r;
	owned_json body = NULL;
	char trimmed[512];

	path_trim(path, trimmed, sizeof trimmed);
	r = route_find(method, trimmed, &c.id);
	if (r == NULL)
		return diag_fail(d, FAIL(ERR_USAGE), "Invalid request method and/or path: %s %s.",
				 method, trimmed + 1);
	TRY(body_check(r, text != NULL, d));
	if (text != NULL)
		TRY(body_read(text, len, d, &body));
	TRY(phase_check(r, s, d));
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

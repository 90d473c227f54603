/* SPDX-License-Identifier: Apache-2.0 */
/* Requests by method and path. Handlers are in route_*.c, one file per subject. */
#pragma once

#include "edge/api/server.h"

struct call {
	struct spore_server *server;
	const char *id;     /* the {id} of the path, or NULL */
	const json_t *body; /* an object, or NULL */
};

/* On success *ret_body may be set: 200 with that JSON; else 204. */
typedef err_t route_handler(const struct call *c, struct diag *d, json_t **ret_body);

/* Finds the route and calls it: an http_handler, of a struct spore_server. */
must_check err_t routes_dispatch(void *server, const char *method, const char *path,
				 const char *text, size_t len, struct diag *d, json_t **ret_body);

route_handler route_instance, route_version, route_config, route_machine_config, route_status;
route_handler route_put_machine, route_patch_machine, route_put_boot, route_put_drive;
route_handler route_put_entropy, route_put_config;
route_handler route_vm, route_actions, route_stop;
route_handler route_snapshot_create, route_snapshot_load, route_snapshot, route_restore;

/* What a public call said, with &server->fault as its last argument, becomes what a handler says.
 * `prefix` may be NULL. */
must_check err_t call_result(const struct call *c, int status, const char *prefix, struct diag *d);
json_t *timings_json(const struct spore_timings *t);

/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, pausing, going on, stopping. */
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "edge/api/routes.h"
#include "edge/lib/config_doc.h"

err_t route_vm(const struct call *c, struct diag *d, json_t **ret_body)
{
	static const char *const states[] = { "Paused", "Resumed", NULL };
	struct spore_server *s = c->server;
	uint32_t want = 0;
	const struct json_field fields[] = {
		JSON_FIELD("state", WORD, JSON_REQUIRED, &want, .words = states),
	};
	int status;

	(void)ret_body;
	TRY(json_object_read(c->body, fields, countof(fields), d));
	status = want == 0 ? spore_machine_pause(s->machine, &s->fault)
			   : spore_machine_resume(s->machine, &s->fault);
	return call_result(c, status, NULL, d);
}

static err_t instance_start(const struct call *c, struct diag *d)
{
	struct spore_server *s = c->server;
	owned_heap struct spore_config *config = NULL;

	if (server_state(s) != SPORE_NOT_STARTED)
		return diag_fail(d, FAIL(ERR_STATE), "The requested operation is not supported after "
				 "starting the microVM.");
	TRY(config_doc_read(s->draft, d, &config));
	if (s->claim.name[0] != '\0')
		config->name = s->claim.name;
	TRY(call_result(c, spore_machine_boot(s->machine, config, &s->fault),
			"Start microvm error", d));
	info_write(s);
	return OK;
}

err_t route_actions(const struct call *c, struct diag *d, json_t **ret_body)
{
	static const char *const words[] = { "InstanceStart", "FlushMetrics", "SendCtrlAltDel",
					     NULL };
	uint32_t action = 0;
	const struct json_field fields[] = {
		JSON_FIELD("action_type", WORD, JSON_REQUIRED, &action, .words = words),
	};

	(void)ret_body;
	TRY(json_object_read(c->body, fields, countof(fields), d));
	if (action == 0)
		return instance_start(c, d);
	if (server_state(c->server) == SPORE_NOT_STARTED)
		return diag_fail(d, FAIL(ERR_STATE), "The requested operation is not supported before "
				 "starting the microVM.");
	return diag_fail(d, FAIL(ERR_STATE), "%s is not supported: the machine has no %s",
			 words[action], action == 1 ? "metrics" : "keyboard");
}

err_t route_stop(const struct call *c, struct diag *d, json_t **ret_body)
{
	struct spore_server *s = c->server;

	(void)ret_body;
	if (c->body != NULL)
		TRY(json_object_read(c->body, NULL, 0, d));
	/* A monitor that was never told what to be just leaves. */
	if (server_state(s) != SPORE_NOT_STARTED)
		TRY(call_result(c, spore_machine_stop(s->machine, &s->fault), NULL, d));
	s->ending = true;
	return OK;
}

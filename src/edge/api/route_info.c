/* SPDX-License-Identifier: Apache-2.0 */
/* What a client may look at. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/heap.h"
#include "edge/api/routes.h"
#include "edge/lib/json_read.h"

static const char *state_word(enum spore_state s)
{
	switch (s) {
	case SPORE_NOT_STARTED: return "Not started";
	case SPORE_RUNNING: return "Running";
	case SPORE_PAUSED: return "Paused";
	case SPORE_ENDED: return "Ended";
	}
	unreachable_by_type();
}

static const char *name_of(const struct spore_server *s)
{
	return s->claim.name[0] != '\0' ? s->claim.name : "anonymous-instance";
}

err_t route_instance(const struct call *c, struct diag *d, json_t **ret_body)
{
	(void)d;
	*ret_body = json_pack("{s:s, s:s, s:s, s:s}", "id", name_of(c->server), "state",
			      state_word(server_state(c->server)), "vmm_version", spore_version(),
			      "app_name", "spore");
	return OK;
}

err_t route_version(const struct call *c, struct diag *d, json_t **ret_body)
{
	(void)c;
	(void)d;
	/* The key is what Firecracker's clients look for. */
	*ret_body = json_pack("{s:s}", "firecracker_version", spore_version());
	return OK;
}

static err_t document(const struct call *c, struct diag *d, json_t **ret)
{
	struct spore_server *s = c->server;
	owned_heap char *text = NULL;

	if (server_state(s) == SPORE_NOT_STARTED) {
		*ret = json_incref(s->draft);
		return OK;
	}
	TRY(call_result(c, spore_machine_config(s->machine, &text, &s->fault), NULL, d));
	return json_text_read(text, strlen(text), d, ret);
}

err_t route_config(const struct call *c, struct diag *d, json_t **ret_body)
{
	return document(c, d, ret_body);
}

err_t route_machine_config(const struct call *c, struct diag *d, json_t **ret_body)
{
	owned_json doc = NULL;

	TRY(document(c, d, &doc));
	*ret_body = json_incref(json_object_get(doc, "machine-config"));
	return OK;
}

json_t *timings_json(const struct spore_timings *t)
{
	json_t *phases = json_array();

	for (uint32_t i = 0; i < t->n; i++)
		(void)json_array_append_new(phases, json_pack("{s:s, s:I}", "name",
							      t->phases[i].name, "ns",
							      (json_int_t)t->phases[i].ns));
	return json_pack("{s:o, s:I, s:I}", "phases", phases, "total_ns", (json_int_t)t->total_ns,
			 "in_flight", (json_int_t)t->in_flight);
}

static json_t *outcome_json(struct spore_server *s)
{
	enum spore_outcome o = SPORE_OUTCOME_NONE;
	struct spore_error why = { .text = "" };

	if (spore_machine_outcome(s->machine, &o, &why, NULL) != SPORE_OK ||
	    o == SPORE_OUTCOME_NONE)
		return json_null();
	return json_pack("{s:i, s:s, s:s}", "code", (int)o, "text", spore_outcome_text(o), "why",
			 why.text);
}

err_t route_status(const struct call *c, struct diag *d, json_t **ret_body)
{
	struct spore_server *s = c->server;
	struct spore_timings t;
	owned_json doc = NULL;
	json_t *timings = json_null();

	TRY(document(c, d, &doc));
	if (spore_machine_timings(s->machine, &t, NULL) == SPORE_OK)
		timings = timings_json(&t);
	*ret_body = json_pack("{s:s, s:s, s:I, s:I, s:o, s:o, s:O, s:O}", "name", s->claim.name,
			      "state", state_word(server_state(s)), "pid", (json_int_t)getpid(),
			      "started", (json_int_t)s->started, "outcome", outcome_json(s),
			      "timings", timings, "machine-config",
			      json_object_get(doc, "machine-config"), "boot-source",
			      json_object_get(doc, "boot-source"));
	return OK;
}

void info_write(struct spore_server *s)
{
	const struct call c = { .server = s };
	owned_json info = NULL;
	owned_heap char *text = NULL;

	if (!fd_is_open(s->claim.lock) || failed(route_status(&c, NULL, &info)))
		return;
	text = json_dumps(info, JSON_COMPACT);
	if (text != NULL)
		ignore(run_claim_write(&s->claim, "info.json", text, NULL));
}

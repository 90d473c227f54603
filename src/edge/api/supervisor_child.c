/* SPDX-License-Identifier: Apache-2.0 */
/* Children: their name is claimed and their doors are made before they are spawned, so that one which
 * runs can be reached. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/heap.h"
#include "edge/api/supervisor.h"
#include "edge/lib/error.h"
#include "edge/lib/json_read.h"
#include "edge/lib/kept.h"
#include "edge/lib/machine.h"

struct kept_child *child_find(struct spore_supervisor *s, const char *name)
{
	for (size_t i = 0; i < s->n_children; i++)
		if (strcmp(s->children[i]->server->claim.name, name) == 0)
			return s->children[i];
	return NULL;
}

/* ---- the end of one ---- */

static void child_free(struct kept_child *c)
{
	http_parking_drop(&c->supervisor->http, &c->asker);
	/* In this order: whoever waits for the name is not to wait for the rest. */
	spore_server_close(c->server);
	spore_machine_free(c->machine);
	kept_zygote_drop(c->zygote);
	free(c);
}

void end_tell(struct spore_supervisor *s, const char *name, const char *zygote,
	      enum spore_outcome outcome, const struct spore_error *why)
{
	struct end_note *note = &s->ends[s->n_ends++ % ENDS_KEPT];

	*note = (struct end_note){ .outcome = outcome };
	(void)snprintf(note->name, sizeof note->name, "%s", name);
	(void)snprintf(note->zygote, sizeof note->zygote, "%s", zygote);
	(void)snprintf(note->why, sizeof note->why, "%s", why->text);
	if (s->options.ended != NULL)
		s->options.ended(s->options.ctx, note->name, note->outcome, why);
}

static void note_end(struct kept_child *c)
{
	enum spore_outcome outcome = SPORE_OUTCOME_NONE;
	struct spore_error why = { .text = "" };

	if (spore_machine_outcome(c->machine, &outcome, &why, NULL) != SPORE_OK)
		outcome = SPORE_OUTCOME_ERROR;
	end_tell(c->supervisor, c->server->claim.name, c->zygote->name, outcome, &why);
}

static void forget(struct spore_supervisor *s, const struct kept_child *c)
{
	for (size_t i = 0; i < s->n_children; i++) {
		if (s->children[i] != c)
			continue;
		s->n_children--;
		memmove(&s->children[i], &s->children[i + 1],
			(s->n_children - i) * sizeof s->children[0]);
		return;
	}
}

void child_leave(struct kept_child *c)
{
	struct spore_supervisor *s = c->supervisor;
	struct http_parking asker = c->asker;

	note_end(c);
	keep_no_child(c);
	forget(s, c);
	c->asker = (struct http_parking){ NULL, NULL };
	child_free(c);
	http_answer(&s->http, &asker, OK, NULL, NULL);
}

static void on_over(void *child)
{
	child_leave(child);
}

void children_end(struct spore_supervisor *s)
{
	for (size_t i = 0; i < s->n_children; i++)
		(void)!spore_machine_stop(s->children[i]->machine, NULL);
	while (s->n_children != 0)
		child_free(s->children[--s->n_children]);
	free(s->children);
}

void child_let_go(struct kept_child *c)
{
	if (c->server != NULL)
		server_leave(c->server);
	if (c->machine != NULL)
		kept_machine_leave(c->machine);
	kept_zygote_drop(c->zygote);
	free(c);
}

void children_leave(struct spore_supervisor *s)
{
	for (size_t i = s->n_children; i-- > 0;)
		if (server_state(s->children[i]->server) == SPORE_ENDED)
			child_leave(s->children[i]);
	keep_close(s);
	while (s->n_children != 0)
		child_let_go(s->children[--s->n_children]);
	free(s->children);
}

/* ---- the beginning of one ---- */

static err_t room_make(struct spore_supervisor *s, struct diag *d)
{
	size_t room = s->room_children == 0 ? 64 : s->room_children * 2;
	struct kept_child **more;

	if (s->n_children < s->room_children)
		return OK;
	more = reallocarray(s->children, room, sizeof(struct kept_child *));
	if (more == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "children: out of memory");
	s->children = more;
	s->room_children = room;
	return OK;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static err_t spawn(struct kept_child *c, const struct child_order *o, struct diag *d,
		   uint64_t *ret_ns)
{
	struct spore_spawn_options so = SPORE_SPAWN_OPTIONS_INIT;
	struct spore_supervisor *s = c->supervisor;
	uint64_t began;
	int status;

	so.identity = o->identity;
	so.flags = o->paused ? 0u : SPORE_SPAWN_RESUME;
	so.pool = o->zygote->pool;
	began = now_ns();
	status = spore_spawn(o->zygote->zygote, &so, &c->machine, &s->fault);
	*ret_ns = now_ns() - began;
	if (status != SPORE_OK)
		return error_take(status, &s->fault, d);
	return server_join(c->server, c->machine, s->base, d);
}

static err_t fill(struct kept_child *c, const struct child_order *o, struct diag *d,
		  uint64_t *ret_ns)
{
	c->zygote = o->zygote;
	c->zygote->uses++;
	TRY(room_make(c->supervisor, d));
	TRY(server_prepare(o->identity->name, d, &c->server));
	c->server->over = on_over;
	c->server->ctx = c;
	TRY(spawn(c, o, d, ret_ns));
	return keep_child(c, d);
}

err_t child_join(struct kept_child *c, struct diag *d)
{
	struct spore_supervisor *s = c->supervisor;

	TRY(room_make(s, d));
	c->server->over = on_over;
	c->server->ctx = c;
	TRY(server_join(c->server, c->machine, s->base, d));
	s->children[s->n_children++] = c;
	return OK;
}

err_t child_new(struct spore_supervisor *s, const struct child_order *o, struct diag *d,
		struct kept_child **ret, uint64_t *ret_ns)
{
	struct kept_child *c = calloc(1, sizeof *c);
	err_t e;

	if (c == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "children: out of memory");
	c->supervisor = s;
	e = fill(c, o, d, ret_ns);
	if (failed(e)) {
		child_free(c);
		return e;
	}
	s->children[s->n_children++] = c;
	*ret = c;
	return OK;
}

/* ---- what there is ---- */

static json_t *ends(const struct spore_supervisor *s)
{
	uint64_t from = s->n_ends > ENDS_KEPT ? s->n_ends - ENDS_KEPT : 0;
	json_t *list = json_array();

	for (uint64_t i = from; i < s->n_ends; i++) {
		const struct end_note *e = &s->ends[i % ENDS_KEPT];

		(void)json_array_append_new(list, json_pack(
			"{s:s, s:s, s:i, s:s, s:s}", "name", e->name, "zygote", e->zygote, "code",
			(int)e->outcome, "text", spore_outcome_text(e->outcome), "why", e->why));
	}
	return list;
}

err_t errand_machines(const struct errand *c, struct diag *d, json_t **ret_body)
{
	json_t *list = json_array();

	(void)d;
	for (size_t i = 0; i < c->s->n_children; i++) {
		const struct kept_child *k = c->s->children[i];

		(void)json_array_append_new(list, json_pack(
			"{s:s, s:s, s:s, s:s, s:I}", "name", k->server->claim.name, "state",
			machine_state_word(server_state(k->server)), "zygote", k->zygote->name,
			"zygote_id", k->zygote->id, "started", (json_int_t)k->server->started));
	}
	*ret_body = json_pack("{s:o, s:o}", "machines", list, "ended", ends(c->s));
	return OK;
}

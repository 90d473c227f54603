/* SPDX-License-Identifier: Apache-2.0 */
/* Spawning: what can be refused is refused before any child runs; from then on each has an answer of its
 * own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "edge/api/routes.h"
#include "edge/api/supervisor.h"
#include "edge/lib/fault.h"
#include "edge/lib/json_read.h"

struct spawn_request {
	const char *zygote, *file, *name;
	const json_t *identity;
	uint64_t count;
	bool paused;
};

static err_t request_read(const json_t *body, struct diag *d, struct spawn_request *ret)
{
	struct spawn_request r = { .count = 1 };
	const struct json_field fields[] = {
		JSON_FIELD("zygote", STRING, JSON_NULLABLE, &r.zygote),
		JSON_FIELD("file", STRING, JSON_NULLABLE, &r.file),
		JSON_FIELD("count", UINT, 0, &r.count, .least = 1, .most = SPAWN_MOST),
		JSON_FIELD("name", STRING, JSON_NULLABLE, &r.name),
		JSON_FIELD("paused", BOOL, 0, &r.paused),
		JSON_FIELD("identity", OBJECT, JSON_NULLABLE, &r.identity),
	};

	TRY(json_object_read(body, fields, countof(fields), d));
	if ((r.zygote == NULL) == (r.file == NULL))
		return diag_fail(d, FAIL(ERR_JSON), "expected one of `zygote` and `file`");
	*ret = r;
	return OK;
}

static json_t *answer_of(const char *name, err_t e, const struct diag *why, uint64_t ns)
{
	json_t *j = failed(e) ? fault_json(e, why) : json_object();

	(void)json_object_set_new(j, "name", json_string(name));
	(void)json_object_set_new(j, "ok", json_boolean(!failed(e)));
	(void)json_object_set_new(j, "spawn_ns", json_integer((json_int_t)ns));
	return j;
}

/* One after the other; `children` gets those that are there, else NULL. */
static json_t *spawn_all(struct spore_supervisor *s, struct kept_zygote *z, const struct litter *l,
			 bool paused, struct kept_child **children)
{
	json_t *list = json_array();

	for (size_t i = 0; i < l->n; i++) {
		const struct child_order o = { z, l->all[i], paused };
		struct diag why = DIAG_INIT;
		uint64_t ns = 0;
		err_t e = child_new(s, &o, &why, &children[i], &ns);

		(void)json_array_append_new(list, answer_of(l->all[i]->name, e, &why, ns));
	}
	return list;
}

/* When all are there: the first of them have done something by then. */
static void timings_add(json_t *list, struct kept_child *const *children)
{
	struct spore_timings t;

	for (size_t i = 0; i < json_array_size(list); i++)
		if (children[i] != NULL &&
		    spore_machine_timings(children[i]->machine, &t, NULL) == SPORE_OK)
			(void)json_object_set_new(json_array_get(list, i), "timings",
						  timings_json(&t));
}

static err_t spawn(const struct errand *c, struct kept_zygote *z, const struct spawn_request *r,
		   const struct litter *l, struct diag *d, json_t **ret_body)
{
	owned_heap struct kept_child **children = calloc(l->n, sizeof(struct kept_child *));
	struct spore_supervisor *s = c->s;
	json_t *list;

	if (children == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "children: out of memory");
	TRY(errand_result(c, spore_spawn_check(z->zygote, l->all, l->n, &s->fault), d));
	TRY(zygote_pool(s, z, d));
	list = spawn_all(s, z, l, r->paused, children);
	timings_add(list, children);
	*ret_body = json_pack("{s:s, s:o}", "zygote", z->name, "children", list);
	return OK;
}

err_t errand_spawn(const struct errand *c, struct diag *d, json_t **ret_body)
{
	char pattern[RUN_NAME_MAX + 4];
	struct litter_order o = { .pattern = pattern };
	struct spawn_request r = { .count = 0 };
	struct kept_zygote *z;
	struct litter l;
	err_t e;

	TRY(request_read(c->body, d, &r));
	TRY(r.file != NULL ? zygote_of_file(c->s, r.file, d, &z)
			   : zygote_find(c->s, r.zygote, d, &z));
	(void)snprintf(pattern, sizeof pattern, "%s-%%d", z->name);
	o.pattern = r.name != NULL ? r.name : pattern;
	o.n = (size_t)r.count;
	o.identity = r.identity;
	TRY(litter_read(&o, d, &l));
	e = spawn(c, z, &r, &l, d, ret_body);
	litter_drop(&l);
	return e;
}

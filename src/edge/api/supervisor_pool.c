/* SPDX-License-Identifier: Apache-2.0 */
/* Pools: one for each zygote, made with its first child. An empty one still tears down what has ended,
 * so that the loop does not wait for it. */
#include "edge/api/supervisor.h"
#include "edge/lib/json_read.h"

err_t zygote_pool(struct spore_supervisor *s, struct kept_zygote *z, struct diag *d)
{
	struct spore_pool_options o = SPORE_POOL_OPTIONS_INIT;
	const struct errand c = { .s = s };

	if (z->pool != NULL)
		return OK;
	o.jail = s->options.jail;
	return errand_result(&c, spore_pool_new(z->zygote, &o, &z->pool, &s->fault), d);
}

json_t *pool_json(const struct kept_zygote *z)
{
	struct spore_pool_stats p = { .failure.text = "" };

	if (z->pool != NULL)
		spore_pool_stats(z->pool, &p);
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "zygote",
			 z->name, "wanted_shells", (json_int_t)p.wanted_shells, "wanted_armed",
			 (json_int_t)p.wanted_armed, "shells", (json_int_t)p.shells, "armed",
			 (json_int_t)p.armed, "building", (json_int_t)p.building, "dead",
			 (json_int_t)p.dead, "from_shell", (json_int_t)p.from_shell, "from_armed",
			 (json_int_t)p.from_armed, "cold", (json_int_t)p.cold, "failures",
			 (json_int_t)p.failures, "failure",
			 p.failure.code != SPORE_OK ? p.failure.text : "");
}

err_t errand_pools(const struct errand *c, struct diag *d, json_t **ret_body)
{
	json_t *list = json_array();

	(void)d;
	for (size_t i = 0; i < c->s->n_zygotes; i++)
		if (!c->s->zygotes[i]->coming)
			(void)json_array_append_new(list, pool_json(c->s->zygotes[i]));
	*ret_body = json_pack("{s:o}", "pools", list);
	return OK;
}

err_t errand_pool_put(const struct errand *c, struct diag *d, json_t **ret_body)
{
	uint64_t shells = 0, armed = 0;
	bool has_shells = false, has_armed = false;
	const struct json_field fields[] = {
		JSON_FIELD("shells", UINT, 0, &shells, .most = SPORE_POOL_MOST,
			   .ret_given = &has_shells),
		JSON_FIELD("armed", UINT, 0, &armed, .most = SPORE_POOL_MOST,
			   .ret_given = &has_armed),
	};
	struct kept_zygote *z;

	TRY(json_object_read(c->body, fields, countof(fields), d));
	TRY(zygote_find(c->s, c->id, d, &z));
	TRY(zygote_pool(c->s, z, d));
	if (has_shells)
		TRY(errand_result(c, spore_pool_resize(z->pool, (uint32_t)shells, &c->s->fault), d));
	if (has_armed)
		TRY(errand_result(c, spore_pool_arm(z->pool, z->zygote, (uint32_t)armed,
						    &c->s->fault), d));
	*ret_body = pool_json(z);
	return keep_zygote(z, d);
}

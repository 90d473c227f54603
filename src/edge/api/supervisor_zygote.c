/* SPDX-License-Identifier: Apache-2.0 */
/* The table of zygotes, and what can be done with those that are in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "edge/api/supervisor.h"
#include "edge/lib/json_read.h"

void kept_zygote_drop(struct kept_zygote *z)
{
	if (z == NULL || --z->uses != 0)
		return;
	keep_no_zygote(z);
	spore_pool_free(z->pool);
	spore_zygote_free(z->zygote);
	free(z->file);
	free(z->id);
	free(z);
}

static struct kept_zygote *look(const struct spore_supervisor *s, const char *name)
{
	for (size_t i = 0; i < s->n_zygotes; i++)
		if (strcmp(s->zygotes[i]->name, name) == 0)
			return s->zygotes[i];
	return NULL;
}

err_t zygote_find(struct spore_supervisor *s, const char *name, struct diag *d,
		  struct kept_zygote **ret)
{
	struct kept_zygote *z = look(s, name);

	if (z == NULL)
		return diag_fail(d, FAIL(ERR_NOT_FOUND), "%.80s: no such zygote", name);
	if (z->coming)
		return chore_await(s, d);
	*ret = z;
	return OK;
}

bool zygote_is_named(const struct spore_supervisor *s, const char *name)
{
	return look(s, name) != NULL;
}

/* ---- one more ---- */

err_t kept_zygote_check(struct spore_supervisor *s, const char *name, struct diag *d)
{
	struct kept_zygote **more;

	if (look(s, name) != NULL)
		return diag_fail(d, FAIL(ERR_EXISTS), "%s: a zygote of that name is there already, "
				 "expected another name", name);
	if (s->n_zygotes == ZYGOTES_MOST)
		return diag_fail(d, FAIL(ERR_STATE), "%s: there are %d zygotes already", name,
				 ZYGOTES_MOST);
	more = reallocarray(s->zygotes, s->n_zygotes + 1, sizeof(struct kept_zygote *));
	if (more == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "%s: out of memory", name);
	s->zygotes = more;
	return OK;
}

err_t kept_zygote_new(struct spore_supervisor *s, const char *name, struct diag *d,
		      struct kept_zygote **ret)
{
	struct kept_zygote *z;

	if (failed(run_name_check(name, NULL)))
		return diag_fail(d, FAIL(ERR_CONFIG), "zygote: '%.80s': expected 1 to %d letters, digits, "
				 "'-', '_' and '.', beginning with none of '.' and '-'", name,
				 RUN_NAME_MAX);
	z = calloc(1, sizeof *z);
	if (z == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "%s: out of memory", name);
	z->supervisor = s;
	z->serial = ++s->last_serial;
	z->uses = 1;
	(void)snprintf(z->name, sizeof z->name, "%s", name);
	*ret = z;
	return OK;
}

err_t kept_zygote_list(struct kept_zygote **in, struct diag *d)
{
	struct spore_supervisor *s = (*in)->supervisor;

	TRY(kept_zygote_check(s, (*in)->name, d));
	(*in)->listed = true;
	s->zygotes[s->n_zygotes++] = take_ptr(*in);
	return OK;
}

static err_t info(const struct errand *c, spore_zygote *z, struct diag *d, json_t **ret)
{
	owned_heap char *text = NULL;

	TRY(errand_result(c, spore_zygote_info(z, &text, &c->s->fault), d));
	return json_text_read(text, strlen(text), d, ret);
}

/* ---- what can be done with one ---- */

/* Nothing is made ready for it any more, and its memory goes, but for what its children share. */
static void retire(struct kept_zygote *z)
{
	if (z->pool != NULL) {
		(void)!spore_pool_arm(z->pool, z->zygote, 0, NULL);
		(void)!spore_pool_resize(z->pool, 0, NULL);
	}
	spore_zygote_free(z->zygote);
	z->zygote = NULL;
}

static void table_remove(struct spore_supervisor *s, const struct kept_zygote *z)
{
	for (size_t i = 0; i < s->n_zygotes; i++) {
		if (s->zygotes[i] != z)
			continue;
		s->n_zygotes--;
		memmove(&s->zygotes[i], &s->zygotes[i + 1],
			(s->n_zygotes - i) * sizeof s->zygotes[0]);
		return;
	}
}

void kept_zygote_unlist(struct kept_zygote *z)
{
	z->listed = false;
	retire(z);
	table_remove(z->supervisor, z);
	kept_zygote_drop(z);
}

err_t errand_zygote_delete(const struct errand *c, struct diag *d, json_t **ret_body)
{
	struct kept_zygote *z;
	err_t e;

	(void)ret_body;
	if (c->body != NULL)
		TRY(json_object_read(c->body, NULL, 0, d));
	TRY(zygote_find(c->s, c->id, d, &z));
	z->listed = false;
	e = keep_zygote(z, d);
	z->listed = failed(e);
	TRY(e);
	kept_zygote_unlist(z);
	return OK;
}

/* ---- to a file ---- */

static int save(struct chore_order *o, void *progress, struct spore_error *err)
{
	struct spore_snapshot_options so = SPORE_SNAPSHOT_OPTIONS_INIT;
	struct spore_timings timings = { .n = 0 };

	so.progress = chore_progress;
	so.ctx = progress;
	so.ret_timings = &timings;
	so.ret_warning = &o->warning;
	return spore_zygote_save(o->zygote, o->path, &so, err);
}

static err_t saved(struct chore_order *o, err_t e, struct diag *d, json_t **ret_body)
{
	(void)d;
	if (!failed(e))
		*ret_body = json_pack("{s:s?}", "warning", o->warning);
	spore_zygote_free(o->zygote);
	free(o->warning);
	free(o->path);
	return e;
}

err_t errand_zygote_save(const struct errand *c, struct diag *d, json_t **ret_body)
{
	struct chore_order o = { .supervisor = c->s, .work = save, .finish = saved };
	struct kept_zygote *z;
	const char *path = NULL;
	const struct json_field fields[] = {
		JSON_FIELD("snapshot_path", STRING, JSON_REQUIRED, &path),
	};
	err_t e;

	(void)ret_body;
	TRY(json_object_read(c->body, fields, countof(fields), d));
	TRY(zygote_find(c->s, c->id, d, &z));
	o.path = strdup(path);
	if (o.path == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "%s: out of memory", z->name);
	o.zygote = spore_zygote_again(z->zygote);
	e = chore_start(&o, d);
	if (failed(e)) {
		spore_zygote_free(o.zygote);
		free(o.path);
	}
	return e;
}

/* ---- what there is ---- */

static json_int_t children_of(const struct spore_supervisor *s, const struct kept_zygote *z)
{
	json_int_t n = 0;

	for (size_t i = 0; i < s->n_children; i++)
		n += s->children[i]->zygote == z;
	return n;
}

err_t errand_zygotes(const struct errand *c, struct diag *d, json_t **ret_body)
{
	owned_json list = json_array();

	for (size_t i = 0; i < c->s->n_zygotes; i++) {
		const struct kept_zygote *z = c->s->zygotes[i];
		json_t *doc = NULL;

		if (z->coming)
			continue;
		TRY(info(c, z->zygote, d, &doc));
		(void)json_array_append_new(list, json_pack(
			"{s:s, s:s?, s:s?, s:I, s:o}", "name", z->name, "file", z->file, "machine",
			z->file == NULL ? z->machine : NULL, "children", children_of(c->s, z), "info",
			doc));
	}
	*ret_body = json_pack("{s:O}", "zygotes", list);
	return OK;
}

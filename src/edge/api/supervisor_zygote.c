/* SPDX-License-Identifier: Apache-2.0 */
/* Zygotes by name: of a machine, of a file, to a file, and their list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

static void kept_drop(struct kept_zygote **z)
{
	kept_zygote_drop(*z);
}
#define owned_kept __attribute__((cleanup(kept_drop))) struct kept_zygote *

static struct kept_zygote *look(struct spore_supervisor *s, const char *name)
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
	*ret = z;
	return OK;
}

/* ---- one more ---- */

static err_t room_make(struct spore_supervisor *s, const char *name, struct diag *d)
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

	TRY(room_make(s, (*in)->name, d));
	(*in)->listed = true;
	s->zygotes[s->n_zygotes++] = take_ptr(*in);
	return OK;
}

/* With a name that is free, and room in the table. */
static err_t kept_new(struct spore_supervisor *s, const char *name, struct diag *d,
		      struct kept_zygote **ret)
{
	TRY(kept_zygote_new(s, name, d, ret));
	return room_make(s, name, d);
}

static err_t info(const struct errand *c, spore_zygote *z, struct diag *d, json_t **ret)
{
	owned_heap char *text = NULL;

	TRY(errand_result(c, spore_zygote_info(z, &text, &c->s->fault), d));
	return json_text_read(text, strlen(text), d, ret);
}

/* It is a zygote now, whatever happens: of a machine it is all that is left. */
static err_t enter(const struct errand *c, struct kept_zygote **in, struct diag *d)
{
	struct kept_zygote *z = *in;
	owned_json doc = NULL;
	const char *id = NULL;

	if (!failed(info(c, z->zygote, NULL, &doc)))
		id = json_string_value(json_object_get(doc, "id"));
	z->id = strdup(id != NULL ? id : "");
	TRY(kept_zygote_list(in, d));
	return keep_zygote(z, d);
}

static bool stamp_take(struct kept_zygote *z)
{
	struct stat st;

	if (stat(z->file, &st) != 0)
		return false;
	z->stamp.dev = st.st_dev;
	z->stamp.ino = st.st_ino;
	z->stamp.size = st.st_size;
	z->stamp.written = st.st_mtim;
	return true;
}

static err_t from_file(const struct errand *c, const char *name, const char *path, struct diag *d,
		       struct kept_zygote **ret)
{
	struct spore_zygote_options o = SPORE_ZYGOTE_OPTIONS_INIT;
	owned_kept z = NULL;

	TRY(kept_new(c->s, name, d, &z));
	o.progress = http_progress;
	o.ctx = &c->s->http;
	z->file = strdup(path);
	if (z->file == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "%s: out of memory", name);
	(void)stamp_take(z); /* before it is read: a later change is seen */
	TRY(errand_result(c, spore_zygote_open(path, &o, &z->zygote, &c->s->fault), d));
	*ret = z;
	return enter(c, &z, d);
}

/* One of ours is frozen here; asking it over its socket would be asking ourselves. */
static err_t freeze_child(const struct errand *c, struct kept_child *child, struct kept_zygote *z,
			  struct diag *d)
{
	const struct spore_freeze_options o = { sizeof o, SPORE_FREEZE_PAUSE, 0, { 0 } };

	return errand_result(c, spore_machine_freeze(child->machine, &o, &z->zygote, &c->s->fault), d);
}

static err_t freeze_other(const struct errand *c, const char *name, struct kept_zygote *z,
			  struct diag *d)
{
	const struct spore_freeze_options o = { sizeof o, SPORE_FREEZE_PAUSE, 0, { 0 } };
	spore_machine *m;
	int status;

	TRY(errand_result(c, spore_machine_open(name, &m, &c->s->fault), d));
	status = spore_machine_freeze(m, &o, &z->zygote, &c->s->fault);
	spore_machine_free(m);
	return errand_result(c, status, d);
}

static err_t branch_child(const struct errand *c, const struct kept_child *child,
			  struct kept_zygote *z, struct diag *d)
{
	return errand_result(c, spore_machine_branch(child->machine, NULL, &z->zygote,
						     &c->s->fault), d);
}

static err_t branch_other(const struct errand *c, const char *name, struct kept_zygote *z,
			  struct diag *d)
{
	spore_machine *m;
	int status;

	TRY(errand_result(c, spore_machine_open(name, &m, &c->s->fault), d));
	status = spore_machine_branch(m, NULL, &z->zygote, &c->s->fault);
	spore_machine_free(m);
	return errand_result(c, status, d);
}

/* `branch`: the machine goes on. */
static err_t from_machine(const struct errand *c, const char *name, const char *machine, bool branch,
			  struct diag *d)
{
	owned_kept z = NULL;
	struct kept_child *child;
	err_t e;

	TRY(run_name_check(machine, d));
	TRY(kept_new(c->s, name, d, &z));
	(void)snprintf(z->machine, sizeof z->machine, "%s", machine);
	child = child_find(c->s, machine);
	if (branch)
		TRY(child != NULL ? branch_child(c, child, z, d) : branch_other(c, machine, z, d));
	else
		TRY(child != NULL ? freeze_child(c, child, z, d) : freeze_other(c, machine, z, d));
	e = enter(c, &z, d);
	/* Now that it is not the only one who has it. */
	if (child != NULL && !branch)
		child_leave(child);
	return e;
}

err_t errand_zygote_put(const struct errand *c, struct diag *d, json_t **ret_body)
{
	const char *file = NULL, *machine = NULL;
	bool branch = false;
	const struct json_field fields[] = {
		JSON_FIELD("file", STRING, JSON_NULLABLE, &file),
		JSON_FIELD("machine", STRING, JSON_NULLABLE, &machine),
		JSON_FIELD("branch", BOOL, 0, &branch),
	};
	struct kept_zygote *z;

	(void)ret_body;
	TRY(json_object_read(c->body, fields, countof(fields), d));
	if ((file == NULL) == (machine == NULL))
		return diag_fail(d, FAIL(ERR_JSON), "expected one of `file` and `machine`");
	if (file != NULL && branch)
		return diag_fail(d, FAIL(ERR_JSON), "branch: a file is no machine that goes on");
	return file != NULL ? from_file(c, c->id, file, d, &z)
			    : from_machine(c, c->id, machine, branch, d);
}

/* ---- of a file that is to be spawned from ---- */

static bool is_same(const struct kept_zygote *z, const struct kept_zygote *now)
{
	return z->file != NULL && z->stamp.dev == now->stamp.dev &&
	       z->stamp.ino == now->stamp.ino && z->stamp.size == now->stamp.size &&
	       z->stamp.written.tv_sec == now->stamp.written.tv_sec &&
	       z->stamp.written.tv_nsec == now->stamp.written.tv_nsec;
}

/* "/a/web.spore" is called "web", or "web.2" when that is taken, and so on. */
static void name_of_file(struct spore_supervisor *s, const char *path, char ret[RUN_NAME_MAX + 1])
{
	const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;
	size_t n = strlen(base), room = RUN_NAME_MAX - 6;

	if (n > 6 && strcmp(base + n - 6, ".spore") == 0)
		n -= 6;
	n = n < room ? n : room;
	(void)snprintf(ret, RUN_NAME_MAX + 1, "%.*s", (int)n, base);
	for (unsigned i = 2; look(s, ret) != NULL && i <= ZYGOTES_MOST + 1; i++)
		(void)snprintf(ret, RUN_NAME_MAX + 1, "%.*s.%u", (int)n, base, i);
}

err_t zygote_of_file(struct spore_supervisor *s, const char *path, struct diag *d,
		     struct kept_zygote **ret)
{
	struct kept_zygote now = { .file = (char *)(uintptr_t)path };
	const struct errand c = { .s = s };
	char name[RUN_NAME_MAX + 1];
	bool there = stamp_take(&now);

	for (size_t i = 0; there && i < s->n_zygotes; i++) {
		if (is_same(s->zygotes[i], &now)) {
			*ret = s->zygotes[i];
			return OK;
		}
	}
	name_of_file(s, path, name);
	return from_file(&c, name, path, d, ret);
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

err_t errand_zygote_delete(const struct errand *c, struct diag *d, json_t **ret_body)
{
	struct spore_supervisor *s = c->s;
	err_t e;

	(void)ret_body;
	if (c->body != NULL)
		TRY(json_object_read(c->body, NULL, 0, d));
	for (size_t i = 0; i < s->n_zygotes; i++) {
		if (strcmp(s->zygotes[i]->name, c->id) != 0)
			continue;
		s->zygotes[i]->listed = false;
		e = keep_zygote(s->zygotes[i], d);
		s->zygotes[i]->listed = failed(e);
		TRY(e);
		retire(s->zygotes[i]);
		kept_zygote_drop(s->zygotes[i]);
		s->n_zygotes--;
		memmove(&s->zygotes[i], &s->zygotes[i + 1],
			(s->n_zygotes - i) * sizeof s->zygotes[0]);
		return OK;
	}
	return diag_fail(d, FAIL(ERR_NOT_FOUND), "%.80s: no such zygote", c->id);
}

err_t errand_zygote_save(const struct errand *c, struct diag *d, json_t **ret_body)
{
	struct spore_snapshot_options o = SPORE_SNAPSHOT_OPTIONS_INIT;
	struct spore_timings timings = { .n = 0 };
	owned_heap char *warning = NULL;
	struct kept_zygote *z;
	const char *path = NULL;
	bool disks = false;
	const struct json_field fields[] = {
		JSON_FIELD("snapshot_path", STRING, JSON_REQUIRED, &path),
		JSON_FIELD("disks", BOOL, 0, &disks),
	};

	TRY(json_object_read(c->body, fields, countof(fields), d));
	TRY(zygote_find(c->s, c->id, d, &z));
	o.flags = disks ? SPORE_SNAPSHOT_DISKS : 0u;
	o.progress = http_progress;
	o.ctx = &c->s->http;
	o.ret_timings = &timings;
	o.ret_warning = &warning;
	TRY(errand_result(c, spore_zygote_save(z->zygote, path, &o, &c->s->fault), d));
	*ret_body = json_pack("{s:s?}", "warning", warning);
	return OK;
}

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

		TRY(info(c, z->zygote, d, &doc));
		(void)json_array_append_new(list, json_pack(
			"{s:s, s:s?, s:s?, s:I, s:o}", "name", z->name, "file", z->file, "machine",
			z->file == NULL ? z->machine : NULL, "children", children_of(c->s, z), "info",
			doc));
	}
	*ret_body = json_pack("{s:O}", "zygotes", list);
	return OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Zygotes come: of a machine, or of a file. From the beginning they have their place in the table, with
 * nothing in it, so that a machine that was frozen is not lost because somebody else took its name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/heap.h"
#include "edge/api/supervisor.h"
#include "edge/lib/json_read.h"

/* ---- in its place ---- */

static char *id_of(spore_zygote *z)
{
	owned_heap char *text = NULL;
	owned_json doc = NULL;
	const char *id = NULL;

	if (spore_zygote_info(z, &text, NULL) == SPORE_OK &&
	    !failed(json_text_read(text, strlen(text), NULL, &doc)))
		id = json_string_value(json_object_get(doc, "id"));
	return strdup(id != NULL ? id : "");
}

/* It is a zygote now, whatever happens: of a machine it is all that is left. */
static err_t enter(struct kept_zygote *z, spore_zygote **zygote, struct diag *d)
{
	z->zygote = take_ptr(*zygote);
	z->id = id_of(z->zygote);
	return keep_zygote(z, d);
}

static void child_release(struct kept_child *c)
{
	c->busy = false;
	server_release(c->server);
}

/* One that was frozen has ended: its server says so to all who wait there, and gives up the name; then
 * whoever wanted it frozen is answered. By then it is not the only one who has what it was. */
static err_t made(struct chore_order *o, err_t e, struct diag *d, json_t **ret_body)
{
	struct kept_zygote *z = o->listed;

	(void)ret_body;
	z->coming = false;
	if (failed(e))
		kept_zygote_unlist(z);
	else
		e = enter(z, &o->zygote, d);
	if (o->child != NULL && !failed(e) && !o->branch)
		o->hand_on = &o->child->asker;
	if (o->child != NULL)
		child_release(o->child);
	kept_zygote_drop(z);
	free(o->path);
	return e;
}

/* The place becomes the table's, and is given up again if the chore cannot start. */
static err_t start(struct chore_order *o, struct kept_zygote **place, struct diag *d)
{
	struct kept_zygote *z = *place;
	err_t e;

	o->finish = made;
	o->listed = z;
	TRY(kept_zygote_list(place, d));
	z->coming = true;
	z->uses++;
	e = chore_start(o, d);
	if (failed(e)) {
		z->coming = false;
		kept_zygote_unlist(z);
		kept_zygote_drop(z);
	}
	return e;
}

static void place_drop(struct kept_zygote **z)
{
	kept_zygote_drop(*z);
}
#define owned_place __attribute__((cleanup(place_drop))) struct kept_zygote *

static err_t place_new(struct spore_supervisor *s, const char *name, struct diag *d,
		       struct kept_zygote **ret)
{
	TRY(kept_zygote_new(s, name, d, ret));
	return kept_zygote_check(s, name, d);
}

/* ---- of a file ---- */

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

static int read_file(struct chore_order *o, void *progress, struct spore_error *err)
{
	struct spore_zygote_options zo = SPORE_ZYGOTE_OPTIONS_INIT;

	zo.progress = chore_progress;
	zo.ctx = progress;
	return spore_zygote_open(o->path, &zo, &o->zygote, err);
}

/* `again`: as in an order. */
static err_t from_file(struct spore_supervisor *s, const char *name, const char *path, bool again,
		       struct diag *d)
{
	struct chore_order o = { .supervisor = s, .work = read_file, .again = again };
	owned_place z = NULL;
	err_t e;

	TRY(place_new(s, name, d, &z));
	z->file = strdup(path);
	o.path = strdup(path);
	if (z->file == NULL || o.path == NULL) {
		free(o.path);
		return diag_fail(d, FAIL(ERR_NOMEM), "%s: out of memory", name);
	}
	(void)stamp_take(z); /* before it is read: a later change is seen */
	e = start(&o, &z, d);
	if (failed(e))
		free(o.path);
	return e;
}

/* ---- of a machine ---- */

static int take(struct chore_order *o, spore_machine *m, struct spore_error *err)
{
	const struct spore_freeze_options fo = { sizeof fo, SPORE_FREEZE_PAUSE, 0, { 0 } };

	return o->branch ? spore_machine_branch(m, NULL, &o->zygote, err)
		         : spore_machine_freeze(m, &fo, &o->zygote, err);
}

/* One of ours is taken here; asking it over its socket would be asking ourselves. */
static int take_child(struct chore_order *o, void *progress, struct spore_error *err)
{
	(void)progress;
	return take(o, o->child->machine, err);
}

static int take_other(struct chore_order *o, void *progress, struct spore_error *err)
{
	spore_machine *m;
	int status;

	(void)progress;
	status = spore_machine_open(o->machine, &m, err);
	if (status != SPORE_OK)
		return status;
	status = take(o, m, err);
	spore_machine_free(m);
	return status;
}

/* The machine's server is held before the thread has it. */
static err_t from_child(struct chore_order *o, struct kept_zygote **place, struct diag *d)
{
	err_t e;

	o->work = take_child;
	o->child->busy = true;
	server_hold(o->child->server);
	e = start(o, place, d);
	if (failed(e))
		child_release(o->child);
	return e;
}

static err_t from_other(struct chore_order *o, struct kept_zygote **place, struct diag *d)
{
	o->work = take_other;
	(void)snprintf(o->machine, sizeof o->machine, "%s", (*place)->machine);
	return start(o, place, d);
}

/* `branch`: the machine goes on. */
static err_t from_machine(struct spore_supervisor *s, const char *name, const char *machine,
			  bool branch, struct diag *d)
{
	struct chore_order o = { .supervisor = s, .branch = branch };
	owned_place z = NULL;

	TRY(run_name_check(machine, d));
	TRY(place_new(s, name, d, &z));
	(void)snprintf(z->machine, sizeof z->machine, "%s", machine);
	o.child = child_find(s, machine);
	if (o.child == NULL)
		return from_other(&o, &z, d);
	return o.child->busy ? chore_await(s, d) : from_child(&o, &z, d);
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

	(void)ret_body;
	TRY(json_object_read(c->body, fields, countof(fields), d));
	if ((file == NULL) == (machine == NULL))
		return diag_fail(d, FAIL(ERR_JSON), "expected one of `file` and `machine`");
	if (file != NULL && branch)
		return diag_fail(d, FAIL(ERR_JSON), "branch: a file is no machine that goes on");
	return file != NULL ? from_file(c->s, c->id, file, false, d)
			    : from_machine(c->s, c->id, machine, branch, d);
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
	for (unsigned i = 2; zygote_is_named(s, ret) && i <= ZYGOTES_MOST + 1; i++)
		(void)snprintf(ret, RUN_NAME_MAX + 1, "%.*s.%u", (int)n, base, i);
}

err_t zygote_of_file(struct spore_supervisor *s, const char *path, struct diag *d,
		     struct kept_zygote **ret)
{
	struct kept_zygote now = { .file = (char *)(uintptr_t)path };
	char name[RUN_NAME_MAX + 1];
	bool there = stamp_take(&now);

	for (size_t i = 0; there && i < s->n_zygotes; i++)
		if (is_same(s->zygotes[i], &now))
			return zygote_find(s, s->zygotes[i]->name, d, ret);
	name_of_file(s, path, name);
	TRY(from_file(s, name, path, true, d));
	return FAIL(ERR_STATE);
}

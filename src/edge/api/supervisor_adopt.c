/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor before has kept. Whatever fails here, be it for want of memory, of room in the runtime
 * directory or of the same version, nothing is taken over, and all stays as it is for another attempt. Only an
 * entry that is found to be wrong itself ends, and is told of: it might keep all others from coming back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "edge/api/supervisor.h"
#include "edge/lib/error.h"
#include "edge/lib/json_read.h"
#include "edge/lib/kept.h"

/* An entry that is to end, once all others have been taken over. */
struct wrong {
	struct wrong *next;
	char key[KEEPER_KEY_MAX + 1];
	fd_t process; /* FD_NONE: it has none */
	struct spore_error why;
};

struct adopting {
	struct spore_supervisor *supervisor;
	struct kept_zygote **zygotes; /* listed or not; one use each */
	size_t n;
	struct wrong *wrong, **wrong_end;
};

/* Is it the entry with which something is wrong? Bytes and files that are judged say so without a system
 * call's error, and a worker that takes no question with EAGAIN. The rest is the host's fault, or ours. */
static bool is_the_entrys(err_t e)
{
	if (e.sys != 0)
		return e.sys == EAGAIN;
	return e.code == ERR_STATE ||
	       (err_class_of(e.code) == ERR_CLASS_INPUT && e.code != ERR_VERSION);
}

/* ERR_CONFIG is for who chooses one. */
static err_t name_check(const char *name, struct diag *d)
{
	return failed(run_name_check(name, d)) ? FAIL(ERR_JSON) : OK;
}

/* ---- zygotes ---- */

static err_t stamp_read(const json_t *list, struct kept_zygote *z, struct diag *d)
{
	json_int_t v[5];

	if (json_array_size(list) != countof(v))
		return diag_fail(d, FAIL(ERR_JSON), "%s: a zygote that was kept is none", z->name);
	for (size_t i = 0; i < countof(v); i++)
		v[i] = json_integer_value(json_array_get(list, i));
	z->stamp.dev = (dev_t)v[0];
	z->stamp.ino = (ino_t)v[1];
	z->stamp.size = (off_t)v[2];
	z->stamp.written = (struct timespec){ v[3], v[4] };
	return OK;
}

struct zygote_words {
	const char *build, *name, *id, *file, *machine;
	const json_t *stamp;
	uint64_t serial, shells, armed;
	bool listed;
};

static err_t zygote_words_read(const json_t *doc, struct diag *d, struct zygote_words *w)
{
	const struct json_field fields[] = {
		JSON_FIELD("spore", STRING, JSON_REQUIRED, &w->build),
		JSON_FIELD("serial", UINT, JSON_REQUIRED, &w->serial, .most = INT64_MAX),
		JSON_FIELD("name", STRING, JSON_REQUIRED, &w->name),
		JSON_FIELD("listed", BOOL, JSON_REQUIRED, &w->listed),
		JSON_FIELD("id", STRING, JSON_REQUIRED, &w->id),
		JSON_FIELD("file", STRING, JSON_NULLABLE, &w->file),
		JSON_FIELD("machine", STRING, JSON_REQUIRED, &w->machine),
		JSON_FIELD("stamp", ARRAY, JSON_REQUIRED, &w->stamp),
		JSON_FIELD("shells", UINT, JSON_REQUIRED, &w->shells, .most = SPORE_POOL_MOST),
		JSON_FIELD("armed", UINT, JSON_REQUIRED, &w->armed, .most = SPORE_POOL_MOST),
	};

	return json_object_read(doc, fields, countof(fields), d);
}

static err_t zygote_fill(struct kept_zygote *z, const struct zygote_words *w, struct keeper_entry *e,
			 struct diag *d)
{
	z->serial = w->serial;
	z->id = strdup(w->id);
	z->file = w->file != NULL ? strdup(w->file) : NULL;
	if (z->id == NULL || (w->file != NULL && z->file == NULL))
		return diag_fail(d, FAIL(ERR_NOMEM), "%s: out of memory", z->name);
	if (strlen(w->machine) >= sizeof z->machine)
		return diag_fail(d, FAIL(ERR_JSON), "%s: a zygote that was kept is none", z->name);
	memcpy(z->machine, w->machine, strlen(w->machine) + 1);
	TRY(stamp_read(w->stamp, z, d));
	if (w->listed && e->n == 0)
		return diag_fail(d, FAIL(ERR_STATE), "%s: was kept without its files", z->name);
	return e->n != 0 ? kept_zygote_adopt(e->files, e->n, d, &z->zygote) : OK;
}

static err_t pool_fill(struct kept_zygote *z, const struct zygote_words *w, struct diag *d)
{
	const struct errand c = { .s = z->supervisor };

	if (w->shells == 0 && w->armed == 0)
		return OK;
	TRY(zygote_pool(z->supervisor, z, d));
	TRY(errand_result(&c, spore_pool_resize(z->pool, (uint32_t)w->shells, &c.s->fault), d));
	return errand_result(&c, spore_pool_arm(z->pool, z->zygote, (uint32_t)w->armed, &c.s->fault), d);
}

/* Without a pool it is all there, and only slower to spawn from. */
static void pool_refill(struct kept_zygote *z, const struct zygote_words *w)
{
	const struct spore_supervisor_options *o = &z->supervisor->options;
	struct spore_error words;
	struct diag d = DIAG_INIT;
	err_t e = pool_fill(z, w, &d);

	if (!failed(e) || o->warned == NULL)
		return;
	diag_prefix(&d, "nothing is kept ready for it");
	(void)error_give(e, &d, &words);
	o->warned(o->ctx, z->name, &words);
}

static err_t list(struct kept_zygote *z, const struct zygote_words *w, struct diag *d)
{
	struct kept_zygote *use = z;

	if (!w->listed)
		return OK;
	TRY(kept_zygote_list(&use, d));
	z->uses++;
	pool_refill(z, w);
	return OK;
}

static err_t zygote_adopt(struct adopting *a, const json_t *doc, struct keeper_entry *e,
			  struct diag *d)
{
	struct spore_supervisor *s = a->supervisor;
	struct zygote_words w = { .name = NULL };
	struct kept_zygote **more;

	TRY(zygote_words_read(doc, d, &w));
	TRY(name_check(w.name, d));
	more = reallocarray(a->zygotes, a->n + 1, sizeof(struct kept_zygote *));
	if (more == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "%s: out of memory", w.name);
	a->zygotes = more;
	TRY(kept_zygote_new(s, w.name, d, &a->zygotes[a->n]));
	a->n++;
	s->last_serial = w.serial > s->last_serial ? w.serial : s->last_serial;
	TRY(zygote_fill(a->zygotes[a->n - 1], &w, e, d));
	return list(a->zygotes[a->n - 1], &w, d);
}

/* ---- children ---- */

struct child_words_read {
	const char *build, *name;
	const json_t *machine;
	uint64_t zygote, started;
};

static err_t child_words_read(const json_t *doc, struct diag *d, struct child_words_read *w)
{
	const struct json_field fields[] = {
		JSON_FIELD("spore", STRING, JSON_REQUIRED, &w->build),
		JSON_FIELD("name", STRING, JSON_REQUIRED, &w->name),
		JSON_FIELD("zygote", UINT, JSON_REQUIRED, &w->zygote, .most = INT64_MAX),
		JSON_FIELD("started", UINT, JSON_REQUIRED, &w->started, .most = INT64_MAX),
		JSON_FIELD("machine", OBJECT, JSON_REQUIRED, &w->machine),
	};

	return json_object_read(doc, fields, countof(fields), d);
}

static struct kept_zygote *zygote_by(const struct adopting *a, uint64_t serial)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->zygotes[i]->serial == serial)
			return a->zygotes[i];
	return NULL;
}

static err_t child_fill(struct kept_child *c, const struct child_words_read *w,
			struct keeper_entry *e, struct diag *d)
{
	TRY(server_prepare_kept(w->name, &e->files[0], d, &c->server));
	c->server->started = (int64_t)w->started;
	TRY(kept_machine_adopt(w->machine, e->files + 1, e->n - 1, c->zygote->zygote,
			       c->zygote->pool, d, &c->machine));
	return child_join(c, d);
}

static err_t child_adopt(struct adopting *a, const json_t *doc, struct keeper_entry *e,
			 struct diag *d)
{
	struct child_words_read w = { .name = NULL };
	struct kept_child *c;
	err_t failure;

	TRY(child_words_read(doc, d, &w));
	TRY(name_check(w.name, d));
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "%s: out of memory", w.name);
	c->supervisor = a->supervisor;
	c->zygote = zygote_by(a, w.zygote);
	if (c->zygote == NULL || e->n == 0) {
		free(c);
		return diag_fail(d, FAIL(ERR_STATE), "%s: was kept without its zygote or files", w.name);
	}
	c->zygote->uses++;
	failure = child_fill(c, &w, e, d);
	if (failed(failure))
		child_let_go(c);
	return failure;
}

/* ---- all of it ---- */

static err_t build_check(const json_t *doc, const struct keeper_entry *e, struct diag *d)
{
	const char *build = json_string_value(json_object_get(doc, "spore"));

	if (build == NULL || strcmp(build, kept_build()) != 0)
		return diag_fail(d, FAIL(ERR_VERSION), "%.80s: was kept by spore %.40s, expected %s", e->key,
				 build != NULL ? build : "of no version", kept_build());
	return OK;
}

static bool is_zygote(const struct keeper_entry *e)
{
	return strncmp(e->key, "zygote/", 7) == 0;
}

static const char *name_of(const char *key)
{
	const char *slash = strchr(key, '/');

	return slash != NULL ? slash + 1 : key;
}

static err_t one_adopt(struct adopting *a, struct keeper_entry *e, struct diag *d)
{
	owned_json doc = NULL;

	TRY(json_text_read(e->text, strlen(e->text), d, &doc));
	TRY(build_check(doc, e, d));
	return is_zygote(e) ? zygote_adopt(a, doc, e, d) : child_adopt(a, doc, e, d);
}

/* Takes the process. */
static err_t give_up(struct adopting *a, const char *key, fd_t *process, const struct diag *why,
		     struct diag *d)
{
	struct wrong *w = calloc(1, sizeof *w);

	if (w == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "%s: out of memory", key);
	(void)snprintf(w->key, sizeof w->key, "%s", key);
	(void)snprintf(w->why.text, sizeof w->why.text, "could not be taken over: %s", why->text);
	w->process = fd_take(process);
	*a->wrong_end = w;
	a->wrong_end = &w->next;
	return OK;
}

static err_t entry_adopt(void *adopting, struct keeper_entry *e, struct diag *d)
{
	struct adopting *a = adopting;
	owned_fd process = is_zygote(e) || e->n == 0 ? FD_NONE
						     : kept_machine_process(e->files + 1, e->n - 1);
	struct diag why = DIAG_INIT;
	err_t failure = one_adopt(a, e, &why);

	if (!failed(failure))
		return OK;
	if (is_the_entrys(failure))
		return give_up(a, e->key, &process, &why, d);
	return diag_fail(d, failure, "%s: cannot be taken over now: %.300s", e->key, why.text);
}

/* The children of one that is listed no longer have all that is needed of it. */
static void zygotes_let_go(struct adopting *a)
{
	while (a->n != 0) {
		struct kept_zygote *z = a->zygotes[--a->n];

		if (!z->listed) {
			spore_zygote_free(z->zygote);
			z->zygote = NULL;
		}
		kept_zygote_drop(z);
	}
	free(a->zygotes);
}

/* They end, unless all stays as it is. */
static void wrong_end(struct adopting *a, bool all_stays)
{
	struct wrong *w;

	while ((w = a->wrong) != NULL) {
		a->wrong = w->next;
		if (!all_stays) {
			kept_process_end(fd_take(&w->process));
			end_tell(a->supervisor, name_of(w->key), "", SPORE_OUTCOME_ERROR, &w->why);
			keeper_drop(a->supervisor->keeper, w->key);
		}
		fd_drop(&w->process);
		free(w);
	}
}

err_t adopt_all(struct spore_supervisor *s, fd_t *socket, struct diag *d)
{
	struct adopting a = { .supervisor = s };
	err_t e;

	s->leaves = true;
	a.wrong_end = &a.wrong;
	e = keeper_meet(socket, entry_adopt, &a, d, &s->keeper);
	wrong_end(&a, failed(e));
	zygotes_let_go(&a);
	return e;
}

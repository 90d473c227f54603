/* SPDX-License-Identifier: Apache-2.0 */
/* What outlives the supervisor, and its coming back: an entry of the keeper's for each zygote and child,
 * made when they are there and dropped when they are gone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "edge/api/supervisor.h"
#include "edge/lib/error.h"
#include "edge/lib/json_read.h"
#include "edge/lib/kept.h"
#include "edge/lib/unix_socket.h"

static const char keeper_file[] = ".keeper";

/* ---- putting ---- */

static void zygote_key(const struct kept_zygote *z, char ret[KEEPER_KEY_MAX + 1])
{
	(void)snprintf(ret, KEEPER_KEY_MAX + 1, "zygote/%llu", (unsigned long long)z->serial);
}

static void child_key(const struct kept_child *c, char ret[KEEPER_KEY_MAX + 1])
{
	(void)snprintf(ret, KEEPER_KEY_MAX + 1, "machine/%s", c->server->claim.name);
}

static json_t *zygote_doc(const struct kept_zygote *z)
{
	struct spore_pool_stats p = { .wanted_shells = 0 };

	if (z->pool != NULL)
		spore_pool_stats(z->pool, &p);
	return json_pack("{s:s, s:I, s:s, s:b, s:s, s:s?, s:s, s:[I, I, I, I, I], s:I, s:I}", "spore",
			 kept_build(), "serial", (json_int_t)z->serial, "name", z->name, "listed",
			 z->listed, "id", z->id, "file", z->file, "machine", z->machine, "stamp",
			 (json_int_t)z->stamp.dev, (json_int_t)z->stamp.ino,
			 (json_int_t)z->stamp.size, (json_int_t)z->stamp.written.tv_sec,
			 (json_int_t)z->stamp.written.tv_nsec, "shells",
			 (json_int_t)(z->listed ? p.wanted_shells : 0), "armed",
			 (json_int_t)(z->listed ? p.wanted_armed : 0));
}

static err_t text_of(json_t *doc, struct diag *d, char **ret)
{
	*ret = doc != NULL ? json_dumps(doc, JSON_COMPACT) : NULL;
	json_decref(doc);
	return *ret != NULL ? OK : diag_fail(d, FAIL(ERR_NOMEM), "keeper: out of memory");
}

static err_t put_zygote(const struct kept_zygote *z, struct diag *d)
{
	struct kept_files files = { .n = 0 };
	owned_heap char *text = NULL;
	char key[KEEPER_KEY_MAX + 1];

	zygote_key(z, key);
	if (z->zygote != NULL)
		TRY(kept_zygote_pack(z->zygote, d, &files));
	TRY(text_of(zygote_doc(z), d, &text));
	return keeper_put(z->supervisor->keeper, key, text, files.fd, files.n, d);
}

/* One that has ended meanwhile needs nobody to keep it. */
static err_t put_child(const struct kept_child *c, struct diag *d)
{
	struct kept_files files = { .n = 1, .fd = { c->server->claim.lock.raw } };
	owned_heap char *text = NULL;
	char key[KEEPER_KEY_MAX + 1];
	json_t *machine = NULL;
	err_t e;

	if (server_state(c->server) == SPORE_ENDED)
		return OK;
	child_key(c, key);
	e = kept_machine_pack(c->machine, c->zygote->zygote, d, &files, &machine);
	if (c->busy && e.code == ERR_STATE)
		return OK; /* the chore that has it is about to find that it has ended */
	TRY(e);
	TRY(text_of(json_pack("{s:s, s:s, s:I, s:I, s:o}", "spore", kept_build(), "name",
			      c->server->claim.name, "zygote", (json_int_t)c->zygote->serial,
			      "started", (json_int_t)c->server->started, "machine", machine), d,
		    &text));
	return keeper_put(c->supervisor->keeper, key, text, files.fd, files.n, d);
}

/* ---- the keeper ---- */

static err_t keeper_path(struct diag *d, char *ret, size_t cap, char root[RUN_PATH_MAX], fd_t *ret_root)
{
	TRY(run_root_open(d, root, ret_root));
	run_socket_path(root, ret_root->raw, keeper_file, ret, cap);
	return OK;
}

static err_t nothing_expected(void *nothing, struct keeper_entry *e, struct diag *d)
{
	(void)nothing;
	return diag_fail(d, FAIL(ERR_STATE), "a new keeper has %.80s", e->key);
}

static err_t listen_and_start(const struct spore_supervisor *s, const char *path, struct diag *d)
{
	struct door door = { .fd = FD_NONE };
	err_t e;

	TRY(door_open(path, path, SOCK_SEQPACKET, d, &door));
	e = kept_keeper_start(s->options.jail, door.fd.raw, d);
	if (failed(e))
		door_close(&door);
	fd_drop(&door.fd); /* what is in the file system stays */
	return e;
}

/* Whatever lies at its place is nobody's: there is one supervisor. */
static err_t start(struct spore_supervisor *s, struct diag *d)
{
	char path[RUN_PATH_MAX + 32], root_path[RUN_PATH_MAX];
	owned_fd root = FD_NONE, socket = FD_NONE;

	TRY(keeper_path(d, path, sizeof path, root_path, &root));
	(void)unlinkat(root.raw, keeper_file, 0);
	TRY(listen_and_start(s, path, d));
	TRY(socket_connect(path, SOCK_SEQPACKET, d, &socket));
	return keeper_meet(&socket, nothing_expected, NULL, d, &s->keeper);
}

static err_t put_all(struct spore_supervisor *s, struct diag *d)
{
	for (size_t i = 0; i < s->n_zygotes; i++)
		if (!s->zygotes[i]->coming)
			TRY(put_zygote(s->zygotes[i], d));
	for (size_t i = 0; i < s->n_children; i++) {
		if (!s->children[i]->zygote->listed)
			TRY(put_zygote(s->children[i]->zygote, d));
		TRY(put_child(s->children[i], d));
	}
	return OK;
}

static void on_gone(evutil_socket_t fd, short what, void *supervisor);
static void on_again(evutil_socket_t fd, short what, void *supervisor);

static err_t watch(struct spore_supervisor *s, struct diag *d)
{
	if (s->keeper_again == NULL)
		s->keeper_again = evtimer_new(s->base, on_again, s);
	s->keeper_gone = event_new(s->base, keeper_socket(s->keeper), EV_READ, on_gone, s);
	if (s->keeper_again == NULL || s->keeper_gone == NULL || event_add(s->keeper_gone, NULL) != 0)
		return diag_fail(d, FAIL(ERR_NOMEM), "supervisor: out of memory");
	return OK;
}

static void forget_keeper(struct spore_supervisor *s)
{
	if (s->keeper_gone != NULL)
		event_free(s->keeper_gone);
	s->keeper_gone = NULL;
	s->keeper = NULL;
}

/* Everything is given to another; the old one has copies until then, and must not live on with them where
 * nobody finds it. */
static err_t renew(struct spore_supervisor *s, struct diag *d)
{
	static const struct timeval soon = { 1, 0 };
	struct keeper *old = s->keeper;
	err_t e;

	forget_keeper(s);
	e = start(s, d);
	if (!failed(e))
		e = put_all(s, d);
	if (!failed(e))
		e = watch(s, d);
	keeper_kill(old);
	if (!failed(e))
		return OK;
	old = s->keeper;
	forget_keeper(s);
	keeper_kill(old);
	(void)event_add(s->keeper_again, &soon);
	return e;
}

static void on_gone(evutil_socket_t fd, short what, void *supervisor)
{
	(void)fd;
	(void)what;
	ignore(renew(supervisor, NULL));
}

static void on_again(evutil_socket_t fd, short what, void *supervisor)
{
	struct spore_supervisor *s = supervisor;

	(void)fd;
	(void)what;
	if (s->keeper == NULL)
		ignore(renew(s, NULL));
}

static bool keeps(const struct spore_supervisor *s)
{
	return (s->options.flags & SPORE_SUPERVISOR_KEEP) != 0;
}

/* ERR_NOT_FOUND: nothing is kept. */
static err_t adopt_kept(struct spore_supervisor *s, const char *path, struct diag *d)
{
	owned_fd socket = FD_NONE;

	TRY(socket_connect(path, SOCK_SEQPACKET, d, &socket));
	return adopt_all(s, &socket, d);
}

err_t keep_open(struct spore_supervisor *s, struct diag *d)
{
	char path[RUN_PATH_MAX + 32], root_path[RUN_PATH_MAX];
	owned_fd root = FD_NONE;
	struct diag why = DIAG_INIT;
	err_t e;

	TRY(keeper_path(d, path, sizeof path, root_path, &root));
	e = adopt_kept(s, path, &why);
	if (e.code == ERR_REMOTE && s->n_zygotes == 0 && s->n_children == 0)
		e = adopt_kept(s, path, &why); /* it may have been about to leave, with nothing to keep */
	if (failed(e) && e.code != ERR_NOT_FOUND)
		return diag_fail(d, e, "%s", why.text);
	s->leaves = keeps(s);
	if (!keeps(s)) {
		keeper_dismiss(take_ptr(s->keeper));
		(void)unlinkat(root.raw, keeper_file, 0);
		return OK;
	}
	if (s->keeper == NULL)
		TRY(start(s, d));
	return watch(s, d);
}

void keep_close(struct spore_supervisor *s)
{
	struct keeper *keeper;

	if (s->keeper_again != NULL && s->keeper == NULL)
		ignore(renew(s, NULL));
	keeper = s->keeper;
	forget_keeper(s);
	keeper_leave(keeper);
	if (s->keeper_again != NULL)
		event_free(s->keeper_again);
	s->keeper_again = NULL;
}

/* ---- what is kept ---- */

typedef err_t put_fn(const void *what, struct diag *d);

static err_t put_a_zygote(const void *zygote, struct diag *d)
{
	return put_zygote(zygote, d);
}

static err_t put_a_child(const void *child, struct diag *d)
{
	return put_child(child, d);
}

static err_t keep(struct spore_supervisor *s, put_fn *put, const void *what, struct diag *d)
{
	err_t e = FAIL(ERR_REMOTE);

	if (!keeps(s))
		return OK;
	if (s->keeper != NULL)
		e = put(what, d);
	if (e.code != ERR_REMOTE)
		return e;
	TRY(renew(s, d));
	return put(what, d);
}

err_t keep_zygote(const struct kept_zygote *z, struct diag *d)
{
	return keep(z->supervisor, put_a_zygote, z, d);
}

err_t keep_child(const struct kept_child *c, struct diag *d)
{
	return keep(c->supervisor, put_a_child, c, d);
}

void keep_no_zygote(const struct kept_zygote *z)
{
	char key[KEEPER_KEY_MAX + 1];

	zygote_key(z, key);
	if (z->supervisor->keeper != NULL)
		keeper_drop(z->supervisor->keeper, key);
}

void keep_no_child(const struct kept_child *c)
{
	char key[KEEPER_KEY_MAX + 1];

	child_key(c, key);
	if (c->supervisor->keeper != NULL)
		keeper_drop(c->supervisor->keeper, key);
}

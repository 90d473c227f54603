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
			 spore_version(), "serial", (json_int_t)z->serial, "name", z->name, "listed",
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

	if (server_state(c->server) == SPORE_ENDED)
		return OK;
	child_key(c, key);
	TRY(kept_machine_pack(c->machine, c->zygote->zygote, d, &files, &machine));
	TRY(text_of(json_pack("{s:s, s:s, s:I, s:I, s:o}", "spore", spore_version(), "name",
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

static err_t not_wanted(void *nothing, struct keeper_entry *e, struct diag *d)
{
	(void)nothing;
	(void)e;
	(void)d;
	return OK;
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

static err_t start(struct spore_supervisor *s, struct diag *d)
{
	char path[RUN_PATH_MAX + 32], root_path[RUN_PATH_MAX];
	owned_fd root = FD_NONE, socket = FD_NONE;

	TRY(keeper_path(d, path, sizeof path, root_path, &root));
	TRY(listen_and_start(s, path, d));
	TRY(socket_connect(path, SOCK_SEQPACKET, d, &socket));
	return keeper_meet(&socket, not_wanted, NULL, d, &s->keeper);
}

/* What we have lost sight of may live, or its socket be a moment younger than its end; nobody else can be
 * there, as there is one supervisor. */
static void clear_the_place(void)
{
	char path[RUN_PATH_MAX + 32], root_path[RUN_PATH_MAX];
	owned_fd root = FD_NONE, socket = FD_NONE;
	struct keeper *old = NULL;

	if (failed(keeper_path(NULL, path, sizeof path, root_path, &root)))
		return;
	if (!failed(socket_connect(path, SOCK_SEQPACKET, NULL, &socket)) &&
	    !failed(keeper_meet(&socket, not_wanted, NULL, NULL, &old)))
		keeper_dismiss(old);
	(void)unlinkat(root.raw, keeper_file, 0);
}

static err_t put_all(struct spore_supervisor *s, struct diag *d)
{
	for (size_t i = 0; i < s->n_zygotes; i++)
		TRY(put_zygote(s->zygotes[i], d));
	for (size_t i = 0; i < s->n_children; i++) {
		if (!s->children[i]->zygote->listed)
			TRY(put_zygote(s->children[i]->zygote, d));
		TRY(put_child(s->children[i], d));
	}
	return OK;
}

static err_t watch(struct spore_supervisor *s, struct diag *d);

/* One that was killed had copies: everything is given to another. */
static err_t renew(struct spore_supervisor *s, struct diag *d)
{
	err_t e;

	keep_close(s);
	clear_the_place();
	TRY(start(s, d));
	e = put_all(s, d);
	if (!failed(e))
		e = watch(s, d);
	if (failed(e))
		keep_close(s); /* it is tried again with the next that is to be kept */
	return e;
}

static void on_gone(evutil_socket_t fd, short what, void *supervisor)
{
	(void)fd;
	(void)what;
	ignore(renew(supervisor, NULL));
}

static err_t watch(struct spore_supervisor *s, struct diag *d)
{
	s->keeper_gone = event_new(s->base, keeper_socket(s->keeper), EV_READ, on_gone, s);
	if (s->keeper_gone == NULL || event_add(s->keeper_gone, NULL) != 0)
		return diag_fail(d, FAIL(ERR_NOMEM), "supervisor: out of memory");
	return OK;
}

static bool keeps(const struct spore_supervisor *s)
{
	return (s->options.flags & SPORE_SUPERVISOR_KEEP) != 0;
}

err_t keep_open(struct spore_supervisor *s, struct diag *d)
{
	char path[RUN_PATH_MAX + 32], root_path[RUN_PATH_MAX];
	owned_fd root = FD_NONE, socket = FD_NONE;
	err_t e;

	TRY(keeper_path(d, path, sizeof path, root_path, &root));
	e = socket_connect(path, SOCK_SEQPACKET, d, &socket);
	if (!failed(e))
		TRY(adopt_all(s, &socket, d));
	else if (e.code != ERR_NOT_FOUND)
		return e;
	if (d != NULL)
		*d = DIAG_INIT;
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
	if (s->keeper_gone != NULL)
		event_free(s->keeper_gone);
	s->keeper_gone = NULL;
	keeper_leave(take_ptr(s->keeper));
}

/* ---- what is kept ---- */

err_t keep_zygote(const struct kept_zygote *z, struct diag *d)
{
	struct spore_supervisor *s = z->supervisor;

	if (!keeps(s))
		return OK;
	if (s->keeper != NULL) {
		err_t e = put_zygote(z, d);

		if (e.code != ERR_REMOTE)
			return e;
	}
	TRY(renew(s, d));
	return put_zygote(z, d);
}

err_t keep_child(const struct kept_child *c, struct diag *d)
{
	struct spore_supervisor *s = c->supervisor;

	if (!keeps(s))
		return OK;
	if (s->keeper != NULL) {
		err_t e = put_child(c, d);

		if (e.code != ERR_REMOTE)
			return e;
	}
	TRY(renew(s, d));
	return put_child(c, d);
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

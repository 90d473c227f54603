/* SPDX-License-Identifier: Apache-2.0 */
/* How a handle comes to its worker: by a spawn, or from the supervisor that was before. */
#include <string.h>

#include "base/heap.h"
#include "edge/lib/child_parts.h"
#include "edge/lib/config_image.h"

/* ---- spawning ---- */

static err_t note_file(struct child *c, uint32_t index, uint32_t mode, const char *path, struct diag *d)
{
	struct spore_identity_disk *to = &c->files.disk[c->files.n];

	*to = (struct spore_identity_disk){ index, mode, strdup(path) };
	c->files.n++;
	return to->path != NULL ? OK : diag_fail(d, FAIL(ERR_NOMEM), "machine: out of memory");
}

static err_t room_for_files(struct child *c, size_t n, struct diag *d)
{
	c->files.disk = calloc(n + 1, sizeof c->files.disk[0]);
	return c->files.disk != NULL ? OK : diag_fail(d, FAIL(ERR_NOMEM), "machine: out of memory");
}

static err_t note_files(struct child *c, const struct identity *id, struct diag *d)
{
	TRY(room_for_files(c, id->n_disks, d));
	for (size_t i = 0; i < id->n_disks; i++)
		TRY(note_file(c, id->disks[i].index, (uint32_t)id->disks[i].mode, id->disks[i].path, d));
	return OK;
}

static err_t start(struct child *c, const struct child_request *r, struct diag *d)
{
	c->began = r->since_ns;
	c->image = image_again(zygote_image(r->zygote));
	config_image_name(c->image, r->identity->name, c->name, sizeof c->name);
	if (r->identity->n_disks != 0)
		TRY(note_files(c, r->identity, d));
	if (r->pool != NULL) {
		TRY(pool_worker_spawn(r->pool, r->zygote, r->identity, r->run, d, &c->worker));
		c->pool = pool_again(r->pool);
	} else {
		TRY(worker_start(r->kit, r->zygote, d, &c->worker));
		TRY(worker_spawn(c->worker, r->zygote, r->identity, r->run, d));
		c->kit = r->kit;
	}
	c->state = r->run ? SPORE_RUNNING : SPORE_PAUSED;
	return OK;
}

static err_t child_new(struct diag *d, struct child **ret)
{
	struct child *c = calloc(1, sizeof *c);

	if (c == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "machine: out of memory");
	c->base.ops = &child_ops;
	(void)pthread_mutex_init(&c->talk, NULL);
	(void)pthread_mutex_init(&c->lock, NULL);
	*ret = c;
	return OK;
}

static err_t give(struct child *c, err_t e, spore_machine **ret)
{
	if (failed(e))
		spore_machine_free(&c->base);
	else
		*ret = &c->base;
	return e;
}

err_t child_spawn(const struct child_request *r, struct diag *d, spore_machine **ret_machine)
{
	struct child *c = NULL;

	TRY(child_new(d, &c));
	return give(c, start(c, r, d), ret_machine);
}

/* ---- from one process to the next ---- */

err_t child_pack(const spore_machine *m, struct diag *d, struct child_words *ret_words,
		 int ret_fds[WORKER_FILES], struct zygote **ret_zygote)
{
	const struct child *c = (const struct child *)m;

	if (m->ops != &child_ops)
		return diag_fail(d, FAIL(ERR_STATE), "only a machine in a worker can be kept");
	TRY(worker_pack(c->worker, d, ret_fds));
	*ret_words = (struct child_words){ .began = c->began,
					   .files = { c->files.n, c->files.disk } };
	memcpy(ret_words->name, c->name, sizeof ret_words->name);
	*ret_zygote = worker_zygote(c->worker);
	return OK;
}

static err_t adopt(struct child *c, const struct child_words *words, fd_t fds[WORKER_FILES],
		   struct zygote *z, struct diag *d)
{
	enum worker_state state = WORKER_IS_EMPTY;

	TRY(worker_adopt(fds, z, d, &c->worker, &state));
	c->began = words->began;
	/* Or it has ended: that is asked before anything is done with it. */
	c->state = state == WORKER_IS_RUNNING ? SPORE_RUNNING : SPORE_PAUSED;
	c->image = image_again(zygote_image(z));
	memcpy(c->name, words->name, sizeof c->name);
	TRY(room_for_files(c, words->files.n, d));
	for (size_t i = 0; i < words->files.n; i++) {
		const struct spore_identity_disk *f = &words->files.disk[i];

		TRY(note_file(c, f->index, f->mode, f->path, d));
	}
	return OK;
}

err_t child_adopt(const struct child_words *words, fd_t fds[WORKER_FILES], struct zygote *z,
		  struct pool *pool, struct diag *d, spore_machine **ret_machine)
{
	struct child *c = NULL;
	err_t e = child_new(d, &c);

	if (failed(e)) {
		for (int i = 0; i < WORKER_FILES; i++)
			fd_drop(&fds[i]);
		return e;
	}
	e = adopt(c, words, fds, z, d);
	c->left = failed(e);
	if (!failed(e) && pool != NULL)
		c->pool = pool_again(pool);
	return give(c, e, ret_machine);
}

void child_hurry(spore_machine *m)
{
	assert(m->ops == &child_ops);
	worker_hurry(((struct child *)m)->worker);
}

void child_leave_running(spore_machine *m)
{
	struct child *c = (struct child *)m;

	assert(m->ops == &child_ops);
	c->left = true;
	spore_machine_free(m);
}

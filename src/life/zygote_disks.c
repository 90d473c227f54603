/* SPDX-License-Identifier: Apache-2.0 */
/* A zygote as one child is to see it: with other files for some of its disks; the files that it writes
 * to, and those that it is lent. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/heap.h"
#include "life/zygote_parts.h"
#include "machine/disk/layer_files.h"

/* Most often it has ended long since. */
static void maker_end(struct zygote *z)
{
	struct pollfd p = { .fd = z->maker.raw, .events = POLLIN };

	if (!fd_is_open(z->maker))
		return;
	(void)syscall(SYS_pidfd_send_signal, z->maker.raw, SIGKILL, NULL, 0);
	while (poll(&p, 1, -1) < 0)
		;
	fd_drop(&z->maker);
}

static const struct identity_disk *override_of(const struct identity *id, uint32_t index)
{
	for (size_t i = 0; i < id->n_disks; i++)
		if (id->disks[i].index == index)
			return &id->disks[i];
	return NULL;
}

static err_t other_disk(const struct identity_disk *o, struct disk_base *own, struct diag *d,
			struct disk_base **ret)
{
	enum disk_mode mode = disk_base_mode(own);

	if ((mode == DISK_RO) != (o->mode == DISK_RO))
		return diag_fail(d, FAIL(ERR_USAGE), "disk %" PRIu32 " is %s for the guest, and cannot "
				 "be made otherwise", o->index,
				 mode == DISK_RO ? "read-only" : "writable");
	return disk_base_open(o->path, o->mode, disk_base_capacity(own), d, ret);
}

static err_t disks_of(const struct zygote *z, const struct identity *id, struct diag *d,
		      struct zygote *ret)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++) {
		const struct identity_disk *o;

		if (z->disks[i] == NULL)
			continue;
		o = override_of(id, n++);
		if (o == NULL)
			ret->disks[i] = disk_base_again(z->disks[i]);
		else
			TRY(other_disk(o, z->disks[i], d, &ret->disks[i]));
	}
	for (size_t i = 0; i < id->n_disks; i++)
		if (id->disks[i].index >= n)
			return diag_fail(d, FAIL(ERR_USAGE), "disk %" PRIu32 " was given another file, "
					 "but the machine has %" PRIu32 " disks", id->disks[i].index, n);
	return OK;
}

static err_t copy(const struct zygote *z, const struct identity *id, struct diag *d,
		  struct zygote **ret)
{
	owned_heap uint8_t *front = malloc(z->front_len);
	struct zygote *c;
	err_t e;

	if (front == NULL)
		return FAIL(ERR_NOMEM);
	memcpy(front, z->front, z->front_len);
	TRY(zygote_of_front(&front, z->front_len, z->total, d, &c));
	c->id = z->id;
	c->parent = z->parent;
	c->ram = ram_base_again(z->ram);
	layer_files_free(c->layers);
	c->layers = layer_files_again(z->layers);
	e = disks_of(z, id, d, c);
	if (failed(e)) {
		zygote_free(c);
		return e;
	}
	*ret = c;
	return OK;
}

err_t zygote_for(struct zygote *z, const struct identity *id, struct diag *d, struct zygote **ret)
{
	if (id->n_disks == 0) {
		*ret = zygote_again(z);
		return OK;
	}
	pthread_mutex_lock(&z->pack_lock);
	maker_end(z); /* the copy does not know it */
	pthread_mutex_unlock(&z->pack_lock);
	return copy(z, id, d, ret);
}

/* ---- lending ---- */

void zygote_is_lent(struct zygote *z)
{
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		if (z->disks[i] != NULL)
			disk_base_is_lent(z->disks[i]);
}

/* The first descriptor of a disk: the disks' come last. */
static uint32_t disk_files_at(const struct zygote *z, uint32_t n)
{
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		if (z->disks[i] != NULL)
			n -= disk_base_files(z->disks[i]);
	return n;
}

static err_t lend(struct zygote *z, const struct zygote_files *own, fd_t *fds, struct diag *d)
{
	uint32_t first = disk_files_at(z, own->n);
	fd_t *next = fds;

	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++) {
		if (z->disks[i] == NULL)
			continue;
		TRY(disk_base_lend(z->disks[i], d, next));
		next += disk_base_files(z->disks[i]);
	}
	z->lent = *own;
	for (uint32_t i = first; i < own->n; i++)
		z->lent.fd[i] = fd_take(&fds[i - first]).raw;
	return OK;
}

static err_t lend_now(struct zygote *z, const struct zygote_files *own, struct diag *d)
{
	fd_t fds[ZYGOTE_FILES_MAX];
	err_t e;

	for (uint32_t i = 0; i < own->n; i++)
		fds[i] = FD_NONE;
	maker_end(z);
	e = lend(z, own, fds, d);
	for (uint32_t i = 0; i < own->n; i++)
		fd_drop(&fds[i]);
	return e;
}

err_t zygote_lend(struct zygote *z, struct diag *d, struct zygote_files *ret)
{
	struct zygote_files own;
	err_t e = OK;

	TRY(zygote_pack(z, d, &own));
	pthread_mutex_lock(&z->pack_lock);
	if (z->lent.n == 0)
		e = lend_now(z, &own, d);
	if (!failed(e))
		*ret = z->lent;
	pthread_mutex_unlock(&z->pack_lock);
	return e;
}

void zygote_lent_drop(struct zygote *z)
{
	for (uint32_t i = z->lent.n == 0 ? 0 : disk_files_at(z, z->lent.n); i < z->lent.n; i++)
		fd_drop(&(fd_t){ z->lent.fd[i] });
}

/* ---- layers ---- */

void zygote_layers_drop(struct zygote_layers *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		fd_drop(&l->fd[i]);
	l->n = 0;
}

err_t zygote_layers_new(const struct zygote *z, bool all, struct diag *d, struct zygote_layers *ret)
{
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++) {
		if (z->disks[i] == NULL || disk_base_mode(z->disks[i]) == DISK_RO ||
		    (disk_base_mode(z->disks[i]) == DISK_RW && !all))
			continue;
		TRY(layer_file_new(NULL, disk_base_capacity(z->disks[i]), d, &ret->fd[ret->n]));
		ret->raw[ret->n] = ret->fd[ret->n].raw;
		ret->n++;
	}
	return OK;
}

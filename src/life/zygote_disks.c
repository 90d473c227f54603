/* SPDX-License-Identifier: Apache-2.0 */
/* A zygote as one child is to see it: with other files for some of its disks; and the files that it
 * writes to. */
#include <inttypes.h>
#include <string.h>

#include "base/heap.h"
#include "life/zygote_parts.h"
#include "machine/disk/layer_files.h"

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
	if (id->n_disks != 0)
		return copy(z, id, d, ret);
	*ret = zygote_again(z);
	return OK;
}

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

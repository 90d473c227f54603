/* SPDX-License-Identifier: Apache-2.0 */
/* Disks that are shared by all who were spawned from one machine. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/heap.h"
#include "machine/disk/disk_parts.h"

struct disk_base {
	struct refs references;
	struct disk *as; /* without a private layer; never used for anything but reading */
};

struct disk_base *disk_base_again(struct disk_base *b)
{
	refs_take(&b->references);
	return b;
}

void disk_base_free(struct disk_base *b)
{
	if (b == NULL || !refs_drop(&b->references))
		return;
	disk_free(b->as);
	free(b);
}

bytes_t disk_base_capacity(const struct disk_base *b)
{
	return disk_capacity(b->as);
}

enum disk_mode disk_base_mode(const struct disk_base *b)
{
	return b->as->mode;
}

/* syscalls(control): fcntl=F_DUPFD_CLOEXEC */
/* The same base and frozen layers; the lock belongs to the open file, which both have. */
static err_t share(const struct disk *k, enum disk_mode mode, struct diag *d, struct disk **ret)
{
	struct disk *copy = disk_alloc(mode);

	if (copy == NULL)
		return FAIL(ERR_NOMEM);
	copy->base = (fd_t){ fcntl(k->base.raw, F_DUPFD_CLOEXEC, 0) };
	if (!fd_is_open(copy->base)) {
		disk_free(copy);
		return diag_sys(d, FAIL_SYS(errno), "%s: sharing a disk", k->path);
	}
	copy->capacity = k->capacity;
	copy->base_stored = k->base_stored;
	copy->lent = k->lent;
	memcpy(copy->path, k->path, sizeof copy->path);
	for (; copy->n_under < k->n_under; copy->n_under++)
		copy->under[copy->n_under] = layer_again(k->under[copy->n_under]);
	*ret = copy;
	return OK;
}

const struct disk *disk_base_as(const struct disk_base *b)
{
	return b->as;
}

struct disk *disk_base_fresh(struct disk_base *b)
{
	return b->as;
}

err_t disk_base_of(struct disk **io, struct disk_base **ret_base)
{
	struct disk_base *b = calloc(1, sizeof *b);

	if (b == NULL)
		return FAIL(ERR_NOMEM);
	refs_init(&b->references);
	b->as = *io;
	*io = NULL;
	*ret_base = b;
	return OK;
}

err_t disk_share(const struct disk *k, struct diag *d, struct disk_base **ret_base)
{
	struct disk *as;
	err_t e;

	TRY(share(k, k->mode == DISK_RO ? DISK_RO : DISK_COW, d, &as));
	e = disk_base_of(&as, ret_base);
	disk_free(as);
	return e;
}

static err_t other_open(struct disk *k, const char *path, bytes_t capacity, struct diag *d)
{
	struct file_want w = { AT_FDCWD, false, path, k->mode == DISK_RW };

	TRY(disk_base_file_open(k, &w, d));
	if (k->capacity == capacity.v)
		return OK;
	return diag_fail(d, FAIL(ERR_CHANGED), "%s: holds %" PRIu64 " bytes, the machine's disk has "
			 "%" PRIu64, path, k->capacity, capacity.v);
}

err_t disk_base_open(const char *path, enum disk_mode mode, bytes_t capacity, struct diag *d,
		     struct disk_base **ret_base)
{
	struct disk *as = disk_alloc(mode);
	err_t e = as == NULL ? FAIL(ERR_NOMEM) : other_open(as, path, capacity, d);

	if (!failed(e))
		e = disk_base_of(&as, ret_base);
	disk_free(as);
	return e;
}

void disk_hand_down(struct disk *k, struct disk_base *b)
{
	/* Nobody writes it any more. */
	if (k->mode == DISK_RW && !k->lent)
		disk_file_share(k->base.raw);
	if (k->private == NULL || !k->private->used)
		return;
	/* Whoever has the zygote may have its files, too. */
	layer_files_free(take_ptr(k->private->home));
	b->as->under[b->as->n_under++] = k->private;
	k->private = NULL;
}

void disk_go_on(struct disk *k, const struct disk_base *b, struct disk *over)
{
	struct disk was = *k;

	/* The layer that was handed down meanwhile. */
	for (; over->n_under < b->as->n_under; over->n_under++)
		over->under[over->n_under] = layer_again(b->as->under[over->n_under]);
	*k = *over;
	*over = was;
	disk_free(over);
}

err_t disk_over(const struct disk_base *b, fd_t *layer, struct diag *d, struct disk **ret_disk)
{
	struct disk *k;
	err_t e = OK;

	TRY(share(b->as, b->as->mode, d, &k));
	if (k->mode == DISK_COW)
		e = disk_private_make(k, layer, d);
	if (failed(e)) {
		disk_free(k);
		return e;
	}
	*ret_disk = k;
	return OK;
}

err_t disk_base_store_as(struct disk_base *b, int to, const char *name, struct diag *d,
			 struct blk_state *ret)
{
	return disk_store_as(b->as, to, name, d, ret);
}

void disk_layer_home(struct disk *k, struct layer_files *home)
{
	if (k->private != NULL)
		k->private->home = layer_files_again(home);
}

/* ---- merging ---- */

static void merged_map(const struct disk *k, struct layer *into)
{
	for (uint32_t n = 0; n < k->n_under; n++)
		for (uint32_t i = 0; i < into->map_len; i++)
			into->map[i] |= k->under[n]->map[i];
	into->used = true;
}

static err_t merge(struct disk *k, fd_t *file, struct diag *d)
{
	uint64_t run_end;
	struct layer *one;
	err_t e = OK;

	TRY(layer_new(file, k->capacity, k->under[0]->cluster, &one));
	for (uint64_t at = 0; at < k->capacity && !failed(e); at = run_end) {
		int from = disk_source(k, at, k->capacity, &run_end);

		if (from != k->base.raw)
			e = file_copy(from, one->file.raw, at, run_end - at);
	}
	if (failed(e)) {
		layer_free(one);
		return diag_sys(d, e, "%s: merging its layers", k->path);
	}
	merged_map(k, one);
	while (k->n_under > 0)
		layer_free(k->under[--k->n_under]);
	k->under[k->n_under++] = one;
	return OK;
}

err_t disk_base_settle(struct disk_base *b, fd_t *file, struct diag *d)
{
	owned_fd own = FD_NONE;

	if (b->as->n_under <= DISK_LAYERS_MAX)
		return OK;
	if (file == NULL)
		TRY(layer_file_new(NULL, BYTES(b->as->capacity), d, &own));
	return merge(b->as, file != NULL ? file : &own, d);
}

void disk_adopt(struct disk *k, const struct disk_base *b)
{
	while (k->n_under > 0)
		layer_free(k->under[--k->n_under]);
	for (; k->n_under < b->as->n_under; k->n_under++)
		k->under[k->n_under] = layer_again(b->as->under[k->n_under]);
}

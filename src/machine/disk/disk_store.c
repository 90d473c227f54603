/* SPDX-License-Identifier: Apache-2.0 */
/* What a snapshot says of a disk, and the copies that it may keep. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/heap.h"
#include "machine/disk/disk_parts.h"

static err_t describe(const struct disk *k, enum disk_mode mode, struct diag *d,
		      struct blk_state *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->mode = mode;
	ret->capacity = BYTES(k->capacity);
	return disk_file_identify(k->base.raw, k->path, k->capacity, d, &ret->base);
}

static err_t describe_in_place(struct disk *k, struct diag *d, struct blk_state *ret)
{
	err_t e = disk_flush(k);

	if (failed(e))
		return diag_sys(d, e, "%s: cannot be made durable", k->path);
	return describe(k, k->mode, d, ret);
}

err_t disk_describe_base(const struct disk *k, struct diag *d, struct blk_state *ret)
{
	return describe(k, k->mode == DISK_RO ? DISK_RO : DISK_COW, d, ret);
}

err_t disk_describe(struct disk *k, struct diag *d, struct blk_state *ret)
{
	if (disk_layers_used(k) > 0)
		return diag_fail(d, FAIL(ERR_STATE), "%s: the guest wrote to this disk's private "
				 "layer, which must be stored with the snapshot", k->path);
	if (disk_needs_storing(k))
		return diag_fail(d, FAIL(ERR_STATE), "%s: belongs to another snapshot, and must be "
				 "stored with this one", k->path);
	return describe_in_place(k, d, ret);
}

/* Everything that is not read from `but` (a descriptor of the disk, or -1), into the copy. */
static err_t copy_runs(const struct disk *k, int to, int but)
{
	uint64_t run_end;

	for (uint64_t at = 0; at < k->capacity; at = run_end) {
		int from = disk_source(k, at, k->capacity, &run_end);

		if (from != but)
			TRY(file_copy(from, to, at, run_end - at));
	}
	return OK;
}

/* The file that the copy is a copy of as a whole, or -1 when it is put together of several. */
static int whole_source(const struct disk *k, bool flat)
{
	int source = flat ? k->base.raw : -1;

	if (disk_layers_used(k) > (flat ? 0 : 1))
		return -1;
	for (uint32_t i = 0; i < disk_layers(k); i++)
		if (disk_layer(k, i)->used)
			source = disk_layer(k, i)->file.raw;
	return source;
}

/* Sharing blocks (ioctl_ficlonerange(2)) keeps a file's size; a copy of a block device, or on
 * another file system, cannot. */
static err_t copy_fill(const struct disk *k, bool flat, int to)
{
	int whole = whole_source(k, flat);

	if (whole >= 0 && ioctl(to, FICLONE, whole) == 0)
		return OK;
	return copy_runs(k, to, flat ? -1 : k->base.raw);
}

/* `flat`: base and layers as one; else the layers alone. */
static err_t copy_make(const struct disk *k, bool flat, int to, const char *name, struct diag *d)
{
	err_t e = OK;

	if (ftruncate(to, (off_t)k->capacity) != 0)
		e = FAIL_SYS(errno);
	if (!failed(e))
		e = copy_fill(k, flat, to);
	if (!failed(e) && fsync(to) != 0)
		e = FAIL_SYS(errno);
	return failed(e) ? diag_sys(d, e, "%s: cannot be stored as %s", k->path, name) : OK;
}

static void stored_file(const char *name, uint64_t size, struct disk_file *ret)
{
	memset(ret, 0, sizeof *ret);
	memcpy(ret->path, name, strlen(name) + 1);
	ret->stored = true;
	ret->size = size;
}

/* The map of all layers as one. */
static void map_union(const struct disk *k, uint8_t *ret_map)
{
	for (uint32_t n = 0; n < disk_layers(k); n++)
		for (uint32_t i = 0; i < disk_layer(k, n)->map_len; i++)
			ret_map[i] |= disk_layer(k, n)->map[i];
}

static err_t store_layers(struct disk *k, int to, const char *name, struct diag *d,
			  struct blk_state *ret)
{
	const struct layer *any = disk_layer(k, 0);
	owned_heap uint8_t *map = calloc(1, any->map_len);

	if (map == NULL)
		return FAIL(ERR_NOMEM);
	map_union(k, map);
	TRY(copy_make(k, false, to, name, d));
	stored_file(name, k->capacity, &ret->layer);
	ret->layer_cluster = any->cluster;
	ret->layer_map_len = any->map_len;
	ret->layer_map = take_ptr(map);
	return OK;
}

static err_t store_flat(struct disk *k, int to, const char *name, struct diag *d,
			struct blk_state *ret)
{
	TRY(copy_make(k, true, to, name, d));
	stored_file(name, k->capacity, &ret->base);
	ret->mode = DISK_COW;
	return OK;
}

static err_t store(struct disk *k, int to, const char *name, struct diag *d, struct blk_state *ret)
{
	switch (k->mode) {
	case DISK_RO:
		return OK;
	case DISK_RW:
		return store_flat(k, to, name, d, ret);
	case DISK_COW:
		if (k->base_stored)
			return store_flat(k, to, name, d, ret);
		return disk_layers_used(k) > 0 ? store_layers(k, to, name, d, ret) : OK;
	}
	unreachable_by_type();
}

err_t disk_store_as(struct disk *k, int to, const char *name, struct diag *d,
		    struct blk_state *ret)
{
	struct blk_state v;

	if (strlen(name) >= sizeof v.base.path || name[0] == '\0' || strchr(name, '/') != NULL)
		return diag_fail(d, FAIL(ERR_USAGE), "%s: is not the name of a file in a folder", name);
	TRY(describe_in_place(k, d, &v));
	TRY(store(k, to, name, d, &v));
	*ret = v;
	return OK;
}

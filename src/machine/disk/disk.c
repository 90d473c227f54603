/* SPDX-License-Identifier: Apache-2.0 */
/* Disks made, used and freed. */
#include "machine/disk/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "machine/disk/disk_parts.h"

void disk_free(struct disk *k)
{
	if (k == NULL)
		return;
	fd_drop(&k->base);
	for (uint32_t i = 0; i < k->n_under; i++)
		layer_free(k->under[i]);
	layer_free(k->private);
	free(k);
}

static void disk_drop(struct disk **k)
{
	disk_free(*k);
}

#define owned_disk __attribute__((cleanup(disk_drop))) struct disk

struct disk *disk_alloc(enum disk_mode mode)
{
	struct disk *k = calloc(1, sizeof *k);

	if (k == NULL)
		return NULL;
	k->mode = mode;
	k->base = FD_NONE;
	return k;
}

err_t disk_private_make(struct disk *k, fd_t *file, struct diag *d)
{
	uint32_t cluster = k->n_under > 0 ? k->under[0]->cluster : layer_cluster_for(k->capacity);

	if (cluster == 0)
		return diag_fail(d, FAIL(ERR_DISK), "%s: holds %" PRIu64 " bytes, expected at most "
				 "%" PRIu64 " for a private layer", k->path, k->capacity,
				 (uint64_t)LAYER_MAP_MAX * 8 * LAYER_CLUSTER_MAX);
	return layer_new(file, k->capacity, cluster, &k->private);
}

static err_t private_in(struct disk *k, const char *layer_dir, struct diag *d)
{
	owned_fd file = FD_NONE;

	TRY(layer_file_new(layer_dir, BYTES(k->capacity), d, &file));
	return disk_private_make(k, &file, d);
}

err_t disk_base_file_open(struct disk *k, const struct file_want *w, struct diag *d)
{
	char link[64];
	ssize_t n;

	TRY(disk_file_open(w, d, &k->base, &k->capacity));
	/* Of the file that was opened, not of what has its name by now. */
	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", k->base.raw);
	n = readlink(link, k->path, sizeof k->path);
	if (n < 0)
		return diag_sys(d, FAIL_SYS(errno), "%s: its full name cannot be found", w->path);
	if ((size_t)n >= sizeof k->path)
		return diag_fail(d, FAIL(ERR_DISK), "%s: its full name is longer than %zu bytes",
				 w->path, sizeof k->path - 1);
	k->path[n] = '\0';
	return OK;
}

err_t disk_open(const char *path, enum disk_mode mode, const char *layer_dir, struct diag *d,
		struct disk **ret_disk)
{
	owned_disk *k = disk_alloc(mode);
	struct file_want w = { AT_FDCWD, false, path, mode == DISK_RW };

	if (k == NULL)
		return FAIL(ERR_NOMEM);
	TRY(disk_base_file_open(k, &w, d));
	if (mode == DISK_COW)
		TRY(private_in(k, layer_dir, d));
	*ret_disk = take_ptr(k);
	return OK;
}

/* The base in place, the stored copy, or what was named instead. */
static err_t base_reopen(struct disk *k, const struct blk_state *saved,
			 const struct disk_places *at, struct diag *d)
{
	struct file_want w = { AT_FDCWD, false, saved->base.path, saved->mode == DISK_RW };
	struct disk_file now;

	if (saved->base.stored && saved->mode == DISK_RW)
		return diag_field(d, FAIL(ERR_DEVICE), "device", "mode",
				  "a stored copy is never written to");
	if (at->replacement != NULL) {
		w.path = at->replacement;
	} else if (saved->base.stored) {
		w.dir = at->snapshot_dir;
		w.beneath = true;
		k->base_stored = true;
	}
	TRY(disk_base_file_open(k, &w, d));
	if (w.path == saved->base.path && !w.beneath) {
		TRY(disk_file_identify(k->base.raw, w.path, k->capacity, d, &now));
		TRY(disk_file_compare(&saved->base, &now, d));
	}
	if (k->capacity != saved->capacity.v)
		return diag_fail(d, FAIL(ERR_CHANGED), "%s: holds %" PRIu64 " bytes, the machine's "
				 "disk has %" PRIu64, w.path, k->capacity, saved->capacity.v);
	return OK;
}

/* The stored layer and a private copy of its map. Sizes were judged where they were parsed, and are
 * judged again here, where they decide what is read. */
static err_t layer_reopen(struct disk *k, const struct blk_state *saved,
			  const struct disk_places *at, struct diag *d)
{
	struct file_want w = { at->snapshot_dir, true, saved->layer.path, false };
	owned_fd file = FD_NONE;
	struct layer *l;
	uint64_t size;

	if (!is_power_of_two(saved->layer_cluster) || saved->layer_cluster > LAYER_CLUSTER_MAX ||
	    saved->layer_cluster < DISK_SECTOR || saved->layer_map == NULL ||
	    saved->layer_map_len != layer_map_len(k->capacity, saved->layer_cluster))
		return diag_field(d, FAIL(ERR_DEVICE), "device", "layer_map",
				  "does not fit the disk");
	TRY(disk_file_open(&w, d, &file, &size));
	if (size != k->capacity)
		return diag_fail(d, FAIL(ERR_CHANGED), "%s: holds %" PRIu64 " bytes, expected %" PRIu64,
				 w.path, size, k->capacity);
	TRY(layer_new(&file, k->capacity, saved->layer_cluster, &l));
	memcpy(l->map, saved->layer_map, l->map_len);
	l->used = !bytes_are_zero(l->map, l->map_len);
	k->under[k->n_under++] = l;
	return OK;
}

err_t disk_reopen(const struct blk_state *saved, const struct disk_places *at, struct diag *d,
		  struct disk **ret_disk)
{
	owned_disk *k = disk_alloc(saved->mode);

	if (k == NULL)
		return FAIL(ERR_NOMEM);
	TRY(base_reopen(k, saved, at, d));
	if (saved->layer.path[0] != '\0')
		TRY(layer_reopen(k, saved, at, d));
	if (saved->mode == DISK_COW)
		TRY(private_in(k, at->layer_dir, d));
	*ret_disk = take_ptr(k);
	return OK;
}

bytes_t disk_capacity(const struct disk *k)
{
	return BYTES(k->capacity);
}

enum disk_mode disk_mode(const struct disk *k)
{
	return k->mode;
}

bool disk_needs_storing(const struct disk *k)
{
	return disk_layers_used(k) > 0 || k->base_stored;
}

static uint64_t iovecs_len(const struct iovec *iov, size_t n)
{
	uint64_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

err_t disk_read(struct disk *k, foff_t at, const struct iovec *iov, size_t n_iov)
{
	struct io io = { iov, n_iov, 0 };
	uint64_t end = at.v + iovecs_len(iov, n_iov), run_end;

	for (uint64_t from = at.v; from < end; from = run_end) {
		int source = disk_source(k, from, end, &run_end);

		TRY(file_read(source, from, &io, run_end - from));
	}
	return OK;
}

err_t disk_write(struct disk *k, foff_t at, const struct iovec *iov, size_t n_iov)
{
	struct io io = { iov, n_iov, 0 };
	uint64_t len = iovecs_len(iov, n_iov);

	switch (k->mode) {
	case DISK_RO:
		return FAIL(ERR_DISK);
	case DISK_RW:
		return file_write(k->base.raw, at.v, &io, len);
	case DISK_COW:
		return len == 0 ? OK : layer_write(k, at.v, &io, len);
	}
	unreachable_by_type();
}

/* syscalls(device): fdatasync */
/* A private layer ends with its machine, so there is nothing to keep it from. */
err_t disk_flush(struct disk *k)
{
	if (k->mode == DISK_RW && fdatasync(k->base.raw) != 0)
		return FAIL_SYS(errno);
	return OK;
}

err_t disk_zero(struct disk *k, foff_t at, bytes_t n, bool unmap)
{
	switch (k->mode) {
	case DISK_RO:
		return FAIL(ERR_DISK);
	case DISK_RW:
		return file_zero(k->base.raw, at.v, n.v, unmap);
	case DISK_COW:
		return n.v == 0 ? OK : layer_zero(k, at.v, n.v);
	}
	unreachable_by_type();
}

err_t disk_discard(struct disk *k, foff_t at, bytes_t n)
{
	switch (k->mode) {
	case DISK_RO:
		return FAIL(ERR_DISK);
	case DISK_RW:
		return file_punch(k->base.raw, at.v, n.v);
	case DISK_COW:
		return n.v == 0 ? OK : layer_discard(k, at.v, n.v);
	}
	unreachable_by_type();
}

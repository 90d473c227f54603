/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that is lent to a process which its guest may take over, and comes back from there as another:
 * nothing that others share can be written through what was lent. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/heap.h"
#include "machine/disk/disk_parts.h"

/* ---- lending ---- */

uint32_t disk_base_files(const struct disk_base *b)
{
	return 1 + disk_base_as(b)->n_under;
}

err_t disk_base_lend(const struct disk_base *b, struct diag *d, fd_t *ret)
{
	const struct disk *k = disk_base_as(b);

	TRY(disk_file_again(k->base.raw, k->mode == DISK_RW, d, ret++));
	for (uint32_t i = 0; i < k->n_under; i++)
		TRY(disk_file_again(k->under[i]->file.raw, false, d, ret++));
	return OK;
}

void disk_base_is_lent(struct disk_base *b)
{
	disk_base_fresh(b)->lent = true;
}

/* ---- what comes back ---- */

/* The originals are kept open, so that no other file gets the number of one of them. */
struct disk_copies {
	uint32_t n;
	struct { fd_t original; struct layer *copy; } one[DISK_LAYERS_MAX + 1];
};

static void copy_drop(struct disk_copies *c, uint32_t i)
{
	fd_drop(&c->one[i].original);
	layer_free(c->one[i].copy);
	c->one[i] = c->one[--c->n];
}

void disk_copies_free(struct disk_copies *c)
{
	while (c != NULL && c->n > 0)
		copy_drop(c, c->n - 1);
	free(c);
}

static bool same_file(int a, int b)
{
	struct stat one, other;

	return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

static err_t base_inherit(struct disk *is, const struct disk *was, struct diag *d)
{
	fd_t base;

	if (!same_file(is->base.raw, was->base.raw))
		return diag_fail(d, FAIL(ERR_DEVICE), "lies over another file than it was given");
	base = (fd_t){ fcntl(was->base.raw, F_DUPFD_CLOEXEC, 0) };
	if (!fd_is_open(base))
		return diag_sys(d, FAIL_SYS(errno), "sharing a disk");
	fd_drop(&is->base);
	is->base = base;
	is->base_stored = was->base_stored;
	memcpy(is->path, was->path, sizeof is->path);
	if (was->mode == DISK_RW)
		disk_file_share(is->base.raw);
	return OK;
}

static struct layer *layer_same(const struct disk *was, const struct layer *l)
{
	for (uint32_t i = 0; i < was->n_under; i++)
		if (same_file(was->under[i]->file.raw, l->file.raw))
			return was->under[i];
	return NULL;
}

static struct layer *copy_same(const struct disk_copies *c, const struct layer *l)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (same_file(c->one[i].original.raw, l->file.raw))
			return c->one[i].copy;
	return NULL;
}

/* Those of layers that it has merged since. */
static void copies_forget(struct disk_copies *c, const struct disk *is)
{
	for (uint32_t i = c->n; i > 0; i--) {
		bool there = false;

		for (uint32_t n = 0; n < is->n_under; n++)
			there |= same_file(c->one[i - 1].original.raw, is->under[n]->file.raw);
		if (!there)
			copy_drop(c, i - 1);
	}
}

static err_t clusters_copy(const struct layer *from, const struct layer *to)
{
	uint64_t size = from->cluster, n = (from->capacity + size - 1) / size;

	for (uint64_t c = 0; c < n; c++) {
		uint64_t first = c, end;

		if (!layer_has(from, c))
			continue;
		while (c + 1 < n && layer_has(from, c + 1))
			c++;
		end = (c + 1) * size < from->capacity ? (c + 1) * size : from->capacity;
		TRY(file_copy(from->file.raw, to->file.raw, first * size, end - first * size));
	}
	return OK;
}

static err_t layer_copy(const struct layer *l, struct diag *d, struct layer **ret)
{
	owned_fd file = FD_NONE;
	struct layer *one;
	err_t e;

	TRY(layer_file_new(NULL, BYTES(l->capacity), d, &file));
	TRY(layer_new(&file, l->capacity, l->cluster, &one));
	memcpy(one->map, l->map, l->map_len);
	one->used = l->used;
	e = clusters_copy(l, one);
	if (failed(e)) {
		layer_free(one);
		return diag_sys(d, e, "copying a layer");
	}
	*ret = one;
	return OK;
}

/* The layer's own file becomes the original. */
static err_t copy_add(struct disk_copies *c, struct layer *l, struct diag *d, struct layer **ret)
{
	struct layer *copy = NULL;

	assert(c->n < countof(c->one));
	TRY(layer_copy(l, d, &copy));
	c->one[c->n].original = fd_take(&l->file);
	c->one[c->n++].copy = layer_again(copy);
	*ret = copy;
	return OK;
}

static err_t layer_inherit(struct layer **io, const struct disk *was, struct disk_copies *c,
			   struct diag *d)
{
	struct layer *known = layer_same(was, *io), *ret = NULL;

	if (known == NULL && c != NULL)
		known = copy_same(c, *io);
	if (known == NULL && c == NULL)
		return OK;
	if (known != NULL)
		ret = layer_again(known);
	else
		TRY(copy_add(c, *io, d, &ret));
	layer_free(*io);
	*io = ret;
	return OK;
}

err_t disk_base_inherit(struct disk_base *is, const struct disk_base *was,
			struct disk_copies **copies, struct diag *d)
{
	struct disk *k = disk_base_fresh(is);
	const struct disk *of = disk_base_as(was);

	if (k->mode != (of->mode == DISK_RO ? DISK_RO : DISK_COW) || k->capacity != of->capacity)
		return diag_fail(d, FAIL(ERR_DEVICE), "is another disk than it was given");
	TRY(base_inherit(k, of, d));
	if (copies != NULL && *copies == NULL) {
		*copies = calloc(1, sizeof **copies);
		if (*copies == NULL)
			return FAIL(ERR_NOMEM);
	}
	if (copies != NULL)
		copies_forget(*copies, k);
	for (uint32_t i = 0; i < k->n_under; i++)
		TRY(layer_inherit(&k->under[i], of, copies == NULL ? NULL : *copies, d));
	return OK;
}

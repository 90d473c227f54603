/* SPDX-License-Identifier: Apache-2.0 */
/* The private layer of a copy-on-write disk. Everything lies at the same offset in base and
 * layers, so reading is a matter of choosing the file, and merging one of copying ranges. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/heap.h"
#include "machine/disk/disk_parts.h"

uint32_t layer_map_len(uint64_t capacity, uint32_t cluster)
{
	uint64_t clusters = capacity / cluster + (capacity % cluster != 0);

	return (uint32_t)(clusters / 8 + (clusters % 8 != 0));
}

uint32_t layer_cluster_for(uint64_t capacity)
{
	for (uint32_t c = LAYER_CLUSTER; c <= LAYER_CLUSTER_MAX; c *= 2)
		if (capacity / c / 8 < LAYER_MAP_MAX)
			return c;
	return 0;
}

/* Where the file system cannot make a file without a name, one is made and its name removed. */
static int nameless_file(const char *dir)
{
	char name[DEVICE_PATH_MAX];
	int fd = open(dir, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600), n;

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
		return fd;
	n = snprintf(name, sizeof name, "%s/spore-layer-XXXXXX", dir);
	if (n < 0 || (size_t)n >= sizeof name) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		(void)unlink(name);
	return fd;
}

static const char *layer_dir(const char *given)
{
	const char *env = getenv("TMPDIR");

	if (given != NULL)
		return given;
	return env != NULL && env[0] != '\0' ? env : "/var/tmp";
}

err_t layer_file_new(const char *dir, bytes_t capacity, struct diag *d, fd_t *ret)
{
	const char *where = layer_dir(dir);
	owned_fd file = { nameless_file(where) };

	if (!fd_is_open(file))
		return diag_sys(d, FAIL_SYS(errno), "%s: a disk's private layer cannot be made here",
				where);
	if (ftruncate(file.raw, (off_t)capacity.v) != 0)
		return diag_sys(d, FAIL_SYS(errno), "%s: a private layer of %" PRIu64 " bytes cannot be "
				"made here", where, capacity.v);
	*ret = fd_take(&file);
	return OK;
}

err_t layer_new(fd_t *file, uint64_t capacity, uint32_t cluster, struct layer **ret)
{
	struct layer *l = calloc(1, sizeof *l);

	if (l == NULL)
		return FAIL(ERR_NOMEM);
	refs_init(&l->references);
	l->capacity = capacity;
	l->cluster = cluster;
	l->map_len = layer_map_len(capacity, cluster);
	l->map = calloc(1, l->map_len);
	if (l->map == NULL) {
		free(l);
		return FAIL(ERR_NOMEM);
	}
	l->file = fd_take(file);
	*ret = l;
	return OK;
}

struct layer *layer_again(struct layer *l)
{
	refs_take(&l->references);
	return l;
}

void layer_free(struct layer *l)
{
	if (l == NULL || !refs_drop(&l->references))
		return;
	if (l->home != NULL)
		layer_files_back(l->home, &l->file, BYTES(l->capacity));
	layer_files_free(l->home);
	fd_drop(&l->file);
	free(l->map);
	free(l);
}

bool layer_has(const struct layer *l, uint64_t cluster)
{
	return (l->map[cluster / 8] >> cluster % 8 & 1) != 0;
}

uint32_t disk_layers_used(const struct disk *k)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < disk_layers(k); i++)
		n += disk_layer(k, i)->used;
	return n;
}

static void layer_set(struct layer *l, uint64_t first, uint64_t end)
{
	for (uint64_t c = first; c < end; c++)
		l->map[c / 8] |= (uint8_t)(1u << c % 8);
	if (first < end)
		l->used = true;
}

static int cluster_source(const struct disk *k, uint64_t cluster)
{
	for (uint32_t i = disk_layers(k); i > 0; i--)
		if (layer_has(disk_layer(k, i - 1), cluster))
			return disk_layer(k, i - 1)->file.raw;
	return k->base.raw;
}

int disk_source(const struct disk *k, uint64_t at, uint64_t end, uint64_t *ret_run_end)
{
	uint64_t size, c;
	int source;

	if (disk_layers(k) == 0) {
		*ret_run_end = end;
		return k->base.raw;
	}
	size = disk_layer(k, 0)->cluster;
	c = at / size;
	source = cluster_source(k, c);
	do
		c++;
	while (c * size < end && cluster_source(k, c) == source);
	*ret_run_end = c * size < end ? c * size : end;
	return source;
}

/* Copies one cluster up, unless it is there, so that a part of it can be changed. */
static err_t layer_fill(struct disk *k, uint64_t cluster)
{
	uint64_t at = cluster * k->private->cluster, len = k->private->cluster, run;
	uint8_t buf[FILE_CHUNK];
	int from;

	if (layer_has(k->private, cluster))
		return OK;
	if (len > k->capacity - at)
		len = k->capacity - at;
	from = disk_source(k, at, at + len, &run);
	/* It is a hole in the layer until now. */
	TRY(file_copy_through(buf, from, k->private->file.raw, at, len));
	layer_set(k->private, cluster, cluster + 1);
	return OK;
}

/* The clusters of a range: [first, end) are touched, [whole, whole_end) completely. The last one of
 * a disk is complete at the disk's end. */
struct span { uint64_t first, end, whole, whole_end; };

static struct span span_of(const struct disk *k, uint64_t at, uint64_t len)
{
	uint64_t size = k->private->cluster, to = at + len;
	struct span s = { at / size, (to + size - 1) / size, (at + size - 1) / size, to / size };

	if (to == k->capacity)
		s.whole_end = s.end;
	if (s.whole_end < s.whole)
		s.whole_end = s.whole;
	return s;
}

/* Makes the clusters of a span that will be changed in part our own. */
static err_t edges_fill(struct disk *k, const struct span *s)
{
	if (s->first < s->whole)
		TRY(layer_fill(k, s->first));
	if (s->whole_end < s->end && s->end - 1 >= s->whole)
		TRY(layer_fill(k, s->end - 1));
	return OK;
}

err_t layer_write(struct disk *k, uint64_t at, struct io *io, uint64_t len)
{
	struct span s = span_of(k, at, len);

	TRY(edges_fill(k, &s));
	TRY(file_write(k->private->file.raw, at, io, len));
	layer_set(k->private, s.first, s.end);
	return OK;
}

err_t layer_zero(struct disk *k, uint64_t at, uint64_t len)
{
	struct span s = span_of(k, at, len);

	TRY(edges_fill(k, &s));
	TRY(file_zero(k->private->file.raw, at, len, true));
	layer_set(k->private, s.first, s.end);
	return OK;
}

/* Only what costs nothing: whole clusters, and no copying up to discard a part of one. */
err_t layer_discard(struct disk *k, uint64_t at, uint64_t len)
{
	struct span s = span_of(k, at, len);
	uint64_t size = k->private->cluster, from = s.whole * size, to = s.whole_end * size;

	if (to > k->capacity)
		to = k->capacity;
	return from < to ? layer_zero(k, from, to - from) : OK;
}

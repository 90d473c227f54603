/* SPDX-License-Identifier: Apache-2.0 */
/* A shared disk on its way to another process, and out of there. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/heap.h"
#include "machine/disk/disk_parts.h"

static_assert((int)PARCEL_LAYERS_MAX == (int)DISK_LAYERS_MAX + 1, "one can be sent unsettled");
static_assert((int)PARCEL_MAP_MAX == (int)LAYER_MAP_MAX, "so can every map");

err_t disk_base_pack(const struct disk_base *b, struct parcel_disk *ret_disk, uint8_t **ret_maps,
		     struct disk_files *ret_files)
{
	const struct disk *k = disk_base_as(b);
	uint32_t map_len = k->n_under > 0 ? k->under[0]->map_len : 0;
	uint8_t *maps = calloc((size_t)k->n_under + 1, map_len + 1);

	assert(k->n_under <= PARCEL_LAYERS_MAX);
	if (maps == NULL)
		return FAIL(ERR_NOMEM);
	*ret_disk = (struct parcel_disk){
		.mode = k->mode, .capacity = BYTES(k->capacity), .stored = k->base_stored,
		.n_layers = k->n_under, .map_len = map_len, .maps = maps,
		.cluster = k->n_under > 0 ? k->under[0]->cluster : 0,
	};
	memcpy(ret_disk->path, k->path, sizeof ret_disk->path);
	*ret_files = (struct disk_files){ .n = 1, .fd = { k->base.raw } };
	for (uint32_t i = 0; i < k->n_under; i++) {
		memcpy(maps + (size_t)i * map_len, k->under[i]->map, map_len);
		ret_files->fd[ret_files->n++] = k->under[i]->file.raw;
	}
	*ret_maps = maps;
	return OK;
}

bytes_t disk_base_maps_most(const struct disk_base *b)
{
	const struct disk *k = disk_base_as(b);
	uint32_t cluster = k->n_under > 0 ? k->under[0]->cluster : layer_cluster_for(k->capacity);

	if (k->mode == DISK_RO || cluster == 0)
		return BYTES(0);
	return BYTES((uint64_t)PARCEL_LAYERS_MAX * layer_map_len(k->capacity, cluster));
}

/* syscalls(control): newfstatat=AT_EMPTY_PATH */
static err_t size_check(int fd, uint64_t capacity, const char *what, struct diag *d)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return diag_sys(d, FAIL_SYS(errno), "looking at a disk's %s", what);
	if (S_ISREG(st.st_mode) ? (uint64_t)st.st_size != capacity : !S_ISBLK(st.st_mode))
		return diag_fail(d, FAIL(ERR_DISK), "a disk's %s holds %" PRIu64 " bytes, expected "
				 "%" PRIu64, what, (uint64_t)st.st_size, capacity);
	return OK;
}

static err_t layers_unpack(const struct parcel_disk *in, fd_t *fds, struct diag *d, struct disk *k)
{
	if (in->n_layers > 0 &&
	    (!is_power_of_two(in->cluster) || in->cluster < DISK_SECTOR ||
	     in->cluster > LAYER_CLUSTER_MAX || in->map_len != layer_map_len(k->capacity, in->cluster)))
		return diag_field(d, FAIL(ERR_DEVICE), "parcel", "disk.map_len",
				  "does not fit the disk");
	for (uint32_t i = 0; i < in->n_layers; i++) {
		struct layer *l;

		TRY(size_check(fds[i].raw, k->capacity, "layer", d));
		TRY(layer_new(&fds[i], k->capacity, in->cluster, &l));
		memcpy(l->map, in->maps + (size_t)i * in->map_len, in->map_len);
		l->used = true;
		k->under[k->n_under++] = l;
	}
	return OK;
}

static err_t unpack(const struct parcel_disk *in, fd_t *fds, struct diag *d, struct disk *k)
{
	if (in->capacity.v == 0 || in->capacity.v % DISK_SECTOR != 0)
		return diag_field(d, FAIL(ERR_DEVICE), "parcel", "disk.capacity",
				  "is no number of whole sectors");
	k->capacity = in->capacity.v;
	k->base_stored = in->stored;
	memcpy(k->path, in->path, sizeof k->path);
	TRY(size_check(fds[0].raw, k->capacity, "base", d));
	k->base = fd_take(&fds[0]);
	return layers_unpack(in, fds + 1, d, k);
}

err_t disk_base_unpack(const struct parcel_disk *in, fd_t *fds, struct diag *d,
		       struct disk_base **ret_base)
{
	struct disk *k = disk_alloc(in->mode);
	err_t e = k == NULL ? FAIL(ERR_NOMEM) : unpack(in, fds, d, k);

	if (!failed(e))
		e = disk_base_of(&k, ret_base);
	disk_free(k);
	return e;
}

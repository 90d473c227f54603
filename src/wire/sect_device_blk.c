/* SPDX-License-Identifier: Apache-2.0 */
/* What a block device adds: where its bytes are. The paths come from a file that anybody may have
 * written; a stored copy is found beside the snapshot and nowhere else. */
#include <inttypes.h>
#include <string.h>

#include "base/heap.h"
#include "wire/sect_device.h"

/* Virtio 1.2, 5.2.4: struct virtio_blk_config. */
enum { CONFIG_NUM_QUEUES = 34, CONFIG_LEAST = 36, SECTOR = 512 };
#define CLUSTER_MIN KIB(4)
#define CLUSTER_MAX MIB(2)

static err_t config_check(struct fields *f, const struct device_state *dev, bytes_t capacity)
{
	struct cur c = cur_of(dev->config, dev->config_len), box;
	uint64_t sectors;
	uint16_t queues;

	if (dev->config_len < CONFIG_LEAST)
		return field_bad(f, ERR_DEVICE, "config_len",
				 "is %" PRIu32 ", expected at least %d", dev->config_len,
				 CONFIG_LEAST);
	TRY(cur_u64(&c, &sectors));
	TRY(cur_take(&c, CONFIG_NUM_QUEUES - sizeof sectors, &box));
	TRY(cur_u16(&c, &queues));
	if (sectors != capacity.v / SECTOR)
		return field_bad(f, ERR_DEVICE, "config.capacity",
				 "is %" PRIu64 " sectors, the disk has %" PRIu64, sectors,
				 capacity.v / SECTOR);
	if (queues != dev->n_queues)
		return field_bad(f, ERR_DEVICE, "config.num_queues",
				 "is %u, the device has %" PRIu32, queues, dev->n_queues);
	return OK;
}

/* A path that stays in the snapshot's folder: not absolute, no empty, "." or ".." part. */
static bool beside_ok(const char *path)
{
	const char *part = path;

	for (;;) {
		size_t n = strcspn(part, "/");

		if (n == 0 || (n == 1 && part[0] == '.') ||
		    (n == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		if (part[n] == '\0')
			return true;
		part += n + 1;
	}
}

static bool file_id_none(const struct disk_file *v)
{
	return v->dev == 0 && v->ino == 0 && v->mtime_sec == 0 && v->mtime_nsec == 0;
}

static err_t disk_file_parse(struct fields *f, struct disk_file *v)
{
	TRY(field_bool(f, "disk.stored", &v->stored));
	TRY(field_reserved(f, 3));
	TRY(field_u32(f, "disk.mtime_nsec", 999999999, &v->mtime_nsec));
	TRY(field_u64(f, "disk.dev", UINT64_MAX, &v->dev));
	TRY(field_u64(f, "disk.ino", UINT64_MAX, &v->ino));
	TRY(field_u64(f, "disk.size", INT64_MAX, &v->size));
	TRY(field_i64(f, "disk.mtime_sec", &v->mtime_sec));
	if (v->stored && !file_id_none(v))
		return field_bad(f, ERR_DEVICE, "disk.stored",
				 "a stored copy has no device, inode or modification time");
	TRY(field_string(f, "disk.path", v->path, sizeof v->path));
	if (v->stored && !beside_ok(v->path))
		return field_bad(f, ERR_DEVICE, "disk.path",
				 "a stored copy must lie beside the snapshot");
	return OK;
}

static err_t base_parse(struct fields *f, struct blk_state *b)
{
	TRY(disk_file_parse(f, &b->base));
	if (b->base.path[0] == '\0')
		return field_bad(f, ERR_DEVICE, "disk.path", "a disk has no file");
	if (b->base.stored && b->mode == DISK_RW)
		return field_bad(f, ERR_DEVICE, "mode", "a stored copy is never written to");
	if (b->base.size - b->base.size % SECTOR != b->capacity.v)
		return field_bad(f, ERR_DEVICE, "disk.size",
				 "%" PRIu64 " bytes do not make a disk of %" PRIu64, b->base.size,
				 b->capacity.v);
	return OK;
}

static err_t layer_parse(struct fields *f, struct blk_state *b)
{
	const struct disk_file *v = &b->layer;

	TRY(disk_file_parse(f, &b->layer));
	if (v->path[0] == '\0' && (!file_id_none(v) || v->stored || v->size != 0))
		return field_bad(f, ERR_DEVICE, "disk.path", "a layer without a path");
	if (v->path[0] != '\0' && (b->mode != DISK_COW || !v->stored))
		return field_bad(f, ERR_DEVICE, "disk.path",
				 "only a stored layer of a cow disk may be named here");
	return OK;
}

static err_t map_check(struct fields *f, const struct blk_state *b, const struct cur *map)
{
	uint64_t clusters, spare;

	if (b->layer.path[0] == '\0')
		return OK;
	clusters = b->capacity.v / b->layer_cluster + (b->capacity.v % b->layer_cluster != 0);
	if (b->layer_map_len != clusters / 8 + (clusters % 8 != 0))
		return field_bad(f, ERR_DEVICE, "layer_map",
				 "%" PRIu32 " bytes do not map %" PRIu64 " clusters",
				 b->layer_map_len, clusters);
	spare = clusters % 8;
	if (spare != 0 && map->at[b->layer_map_len - 1] >> spare != 0)
		return field_bad(f, ERR_RESERVED, "layer_map", "spare bits must be zero");
	return OK;
}

static err_t map_parse(struct fields *f, struct blk_state *b)
{
	uint8_t *map = NULL;
	struct cur box;

	TRY(field_take(f, "layer_map", b->layer_map_len, &box));
	TRY(map_check(f, b, &box));
	if (b->layer_map_len != 0) {
		map = malloc(b->layer_map_len);
		if (map == NULL)
			return FAIL(ERR_NOMEM);
		memcpy(map, box.at, b->layer_map_len);
	}
	b->layer_map = map;
	return OK;
}

static err_t sizes_parse(struct fields *f, struct blk_state *b)
{
	uint32_t mode;

	TRY(field_u32(f, "mode", UINT32_MAX, &mode));
	if (failed(disk_mode_parse(mode, &b->mode)))
		return field_bad(f, ERR_RANGE, "mode", "%" PRIu32 " is no mode of a disk", mode);
	TRY(field_u32(f, "layer_cluster", CLUSTER_MAX, &b->layer_cluster));
	if (b->layer_cluster != 0 &&
	    (b->layer_cluster < CLUSTER_MIN || !is_power_of_two(b->layer_cluster)))
		return field_bad(f, ERR_RANGE, "layer_cluster",
				 "%" PRIu32 " is not a power of two from 4 KiB to 2 MiB",
				 b->layer_cluster);
	TRY(field_u64(f, "capacity", INT64_MAX, &b->capacity.v));
	if (b->capacity.v == 0 || b->capacity.v % SECTOR != 0)
		return field_bad(f, ERR_RANGE, "capacity",
				 "%" PRIu64 " bytes are not whole sectors", b->capacity.v);
	TRY(field_count(f, "layer_map_len", UINT32_MAX, 1, &b->layer_map_len));
	return field_reserved(f, 4);
}

err_t blk_state_parse(struct fields *f, const struct device_state *dev, struct blk_state *blk)
{
	bool layer;

	TRY(sizes_parse(f, blk));
	TRY(config_check(f, dev, blk->capacity));
	TRY(base_parse(f, blk));
	TRY(layer_parse(f, blk));
	layer = blk->layer.path[0] != '\0';
	if (layer != (blk->layer_cluster != 0))
		return field_bad(f, ERR_DEVICE, "layer_cluster",
				 "a layer and its cluster size come together");
	if (!layer && blk->layer_map_len != 0)
		return field_bad(f, ERR_DEVICE, "layer_map_len", "there is no layer to map");
	return map_parse(f, blk);
}

static void disk_file_encode(struct out *o, const struct disk_file *v)
{
	out_u8(o, v->stored);
	out_zero(o, 3);
	out_u32(o, v->mtime_nsec);
	out_u64(o, v->dev);
	out_u64(o, v->ino);
	out_u64(o, v->size);
	out_u64(o, (uint64_t)v->mtime_sec);
	out_string(o, v->path);
}

void blk_state_encode(struct out *o, const struct blk_state *blk)
{
	out_u32(o, blk->mode);
	out_u32(o, blk->layer_cluster);
	out_u64(o, blk->capacity.v);
	out_u32(o, blk->layer_map_len);
	out_zero(o, 4);
	disk_file_encode(o, &blk->base);
	disk_file_encode(o, &blk->layer);
	out_bytes(o, blk->layer_map, blk->layer_map_len);
}

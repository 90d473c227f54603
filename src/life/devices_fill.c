/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the slots of a machine: fresh devices, those of a snapshot, or those of a zygote. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/heap.h"
#include "life/devices_parts.h"
#include "life/snapshot.h"

/* ---- fresh ---- */

static err_t disk_new(struct virtio_dev *dev, const struct disk_request *r, struct diag *d)
{
	struct disk *disk;
	err_t e;

	TRY(disk_open(r->path, r->mode, NULL, d, &disk));
	e = blk_new(dev, &disk);
	if (failed(e))
		disk_free(disk);
	return e;
}

err_t devices_boot(struct devices *v, const struct config *c, struct diag *d)
{
	const struct request *r = config_request(c);
	struct serial_wires sw = devices_serial_wires(v);
	uint32_t disk = 0;

	for (uint32_t i = 0; i < v->n; i++) {
		switch (virtio_slot(v->dev[i])->kind) {
		case DEV_BLK:
			TRY(disk_new(v->dev[i], &r->disks[disk++], d));
			break;
		case DEV_RNG:
			TRY(rng_new(v->dev[i]));
			break;
		}
	}
	return serial_new(&sw, &v->serial);
}

/* ---- from an image ---- */

/* The disk becomes the device's, or goes. */
static err_t disk_put(struct virtio_dev *dev, struct blk_view view, struct disk *disk,
		      struct diag *d)
{
	err_t e = blk_restore(dev, view, &disk, d);

	if (failed(e))
		disk_free(disk);
	return e;
}

/* Where the disk of a slot comes from. */
struct disk_finder {
	err_t (*find)(void *ctx, const struct topo_slot *slot, const struct blk_state *saved,
		      struct diag *d, struct disk **ret_disk);
	void *ctx;
};

static err_t disk_again(struct virtio_dev *dev, const struct device_state *s,
			struct disk_finder from, struct diag *d)
{
	struct blk_view view;
	struct disk *disk;

	if (!device_as_blk(s, &view))
		return FAIL(ERR_INTERNAL); /* the image was judged against the topology */
	TRY(from.find(from.ctx, virtio_slot(dev), &view.dev->blk, d, &disk));
	return disk_put(dev, view, disk, d);
}

static err_t rng_again(struct virtio_dev *dev, const struct device_state *s, struct diag *d)
{
	struct rng_view view;

	if (!device_as_rng(s, &view))
		return FAIL(ERR_INTERNAL);
	return rng_restore(dev, view, d);
}

static err_t load(struct devices *v, const struct image *i, struct disk_finder from, struct diag *d)
{
	struct serial_wires sw = devices_serial_wires(v);

	for (uint32_t n = 0; n < v->n; n++) {
		const struct topo_slot *slot = virtio_slot(v->dev[n]);
		const struct device_state *s = image_device(i, slot->slot);

		switch (slot->kind) {
		case DEV_BLK:
			TRY(disk_again(v->dev[n], s, from, d));
			break;
		case DEV_RNG:
			TRY(rng_again(v->dev[n], s, d));
			break;
		}
	}
	return serial_restore(&sw, image_serial(i), d, &v->serial);
}

/* ---- of a snapshot ---- */

struct disk_sources {
	const struct restore_options *options;
	int snapshot_dir;
	uint32_t next; /* index among the disks */
};

static const char *replacement(const struct restore_options *r, uint32_t index)
{
	for (size_t i = 0; i < r->n_disks; i++) {
		if (r->disks[i].index == index)
			return r->disks[i].path;
	}
	return NULL;
}

static err_t find_in_files(void *ctx, const struct topo_slot *slot, const struct blk_state *saved,
			   struct diag *d, struct disk **ret_disk)
{
	struct disk_sources *from = ctx;
	struct disk_places at = {
		.snapshot_dir = from->snapshot_dir,
		.replacement = replacement(from->options, from->next),
	};

	(void)slot;
	from->next++;
	return disk_reopen(saved, &at, d, ret_disk);
}

static err_t folder_of(const char *path, struct diag *d, fd_t *ret)
{
	const char *slash = strrchr(path, '/');
	owned_heap char *dir = slash == NULL ? strdup(".")
					     : strndup(path, (size_t)(slash - path) + 1);

	if (dir == NULL)
		return FAIL(ERR_NOMEM);
	*ret = (fd_t){ open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) };
	if (!fd_is_open(*ret))
		return diag_sys(d, (err_t){ ERR_FILE, errno }, "%s: cannot open its folder", path);
	return OK;
}

err_t devices_restore(struct devices *v, const struct image *i, const char *snapshot_path,
		      const struct restore_options *r, struct diag *d)
{
	struct disk_sources from = { .options = r };
	owned_fd dir = FD_NONE;

	if (topology_disks(v->wires.topology) != 0)
		TRY(folder_of(snapshot_path, d, &dir));
	from.snapshot_dir = dir.raw;
	TRY(load(v, i, (struct disk_finder){ find_in_files, &from }, d));
	for (size_t n = 0; n < r->n_disks; n++) {
		if (r->disks[n].index >= from.next)
			return diag_fail(d, FAIL(ERR_USAGE),
					 "disk %u was given another file, but the machine has %u disks",
					 r->disks[n].index, from.next);
	}
	return OK;
}

err_t devices_open_disks(const struct image *i, const char *snapshot_path, struct diag *d,
			 struct disk_base *ret_bases[static SHAPE_DEVICES_MAX])
{
	uint32_t slots = topology_slots(geometry_topology(image_geometry(i)));
	struct disk_places at = { 0 };
	owned_fd dir = FD_NONE;

	TRY(folder_of(snapshot_path, d, &dir));
	at.snapshot_dir = dir.raw;
	for (uint32_t n = 0; n < slots; n++) {
		const struct device_state *s = image_device(i, (slot_id){ n });
		struct blk_state shared;
		struct blk_view view;
		struct disk *disk;
		err_t e;

		if (!device_as_blk(s, &view))
			continue;
		/* Nobody will write it in place, so it need not be held as if. */
		shared = view.dev->blk;
		if (shared.mode == DISK_RW)
			shared.mode = DISK_COW;
		TRY(disk_reopen(&shared, &at, d, &disk));
		e = disk_share(disk, d, &ret_bases[n]);
		if (!failed(e))
			disk_hand_down(disk, ret_bases[n]);
		disk_free(disk);
		TRY(e);
	}
	return OK;
}

/* ---- of a zygote ---- */

static err_t find_above(void *ctx, const struct topo_slot *slot, const struct blk_state *saved,
			struct diag *d, struct disk **ret_disk)
{
	struct spawn_disk *from = (struct spawn_disk *)ctx + slot->slot.v;

	(void)saved;
	TRY(disk_over(from->base, &from->layer, d, ret_disk));
	if (from->home != NULL)
		disk_layer_home(*ret_disk, from->home);
	return OK;
}

err_t devices_spawn(struct devices *v, const struct image *i, struct spawn_disk *disks,
		    struct diag *d)
{
	return load(v, i, (struct disk_finder){ find_above, disks }, d);
}

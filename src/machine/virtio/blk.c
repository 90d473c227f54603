/* SPDX-License-Identifier: Apache-2.0 */
/* Block devices made, and what they tell the driver about themselves. */
#include "machine/virtio/blk.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/heap.h"
#include "machine/virtio/blk_request.h"

static uint64_t bit(unsigned n)
{
	return UINT64_C(1) << n;
}

static uint64_t features_of(const struct disk *k, uint32_t queues)
{
	uint64_t f = bit(BLK_F_SIZE_MAX) | bit(BLK_F_SEG_MAX) | bit(BLK_F_BLK_SIZE) |
		     bit(BLK_F_FLUSH);

	f |= disk_mode(k) == DISK_RO ? bit(BLK_F_RO) : bit(BLK_F_DISCARD) | bit(BLK_F_WRITE_ZEROES);
	return queues > 1 ? f | bit(BLK_F_MQ) : f;
}

/* struct virtio_blk_config, 5.2.4. The same for every mode of the same disk, so that a disk which
 * is restored under a private layer is the device that it was. */
static void config_encode(struct out *o, uint64_t capacity, uint32_t queues)
{
	out_u64(o, capacity / DISK_SECTOR);
	out_u32(o, BLK_SIZE_MAX);
	out_u32(o, BLK_SEG_MAX);
	out_zero(o, 4); /* geometry */
	out_u32(o, DISK_SECTOR);
	out_zero(o, 8); /* topology */
	out_zero(o, 2); /* writeback */
	out_u16(o, (uint16_t)queues);
	out_u32(o, BLK_DISCARD_SECTORS_MAX);
	out_u32(o, BLK_RANGES_MAX);
	out_u32(o, 8); /* discard_sector_alignment */
	out_u32(o, BLK_ZEROES_SECTORS_MAX);
	out_u32(o, BLK_RANGES_MAX);
	out_u8(o, 1); /* write_zeroes_may_unmap */
	out_zero(o, 3);
}

static struct virtio_face face_of(const struct disk *k, uint32_t queues)
{
	struct virtio_face f = { .features = features_of(k, queues), .config_len = BLK_CONFIG_LEN };
	struct out o = out_of(f.config, BLK_CONFIG_LEN);

	config_encode(&o, disk_capacity(k).v, queues);
	return f;
}

struct disk *blk_disk(void *own)
{
	return ((struct blk *)own)->disk;
}

const struct disk *virtio_disk(const struct virtio_dev *v)
{
	return v->slot.kind == DEV_BLK && v->own != NULL ? blk_disk(v->own) : NULL;
}

struct disk *virtio_parked_disk(struct virtio_parked p)
{
	return p.dev->slot.kind == DEV_BLK ? blk_disk(p.dev->own) : NULL;
}

void blk_free(void *own)
{
	struct blk *b = own;

	if (b != NULL)
		disk_free(b->disk);
	free(b);
}

static err_t become_blk(struct virtio_dev *empty, const struct device_state *saved,
			struct disk **io_disk, struct diag *d)
{
	struct virtio_face face = face_of(*io_disk, empty->slot.queues);
	owned_heap struct blk *b = calloc(1, sizeof *b);

	if (b == NULL)
		return FAIL(ERR_NOMEM);
	b->disk = *io_disk;
	(void)snprintf((char *)b->id, sizeof b->id, "spore-%u", empty->slot.slot.v);
	TRY(virtio_become(empty, &face, b, saved, d));
	(void)take_ptr(b);
	*io_disk = NULL;
	return OK;
}

err_t blk_new(struct virtio_dev *empty, struct disk **io_disk)
{
	return become_blk(empty, NULL, io_disk, NULL);
}

err_t blk_restore(struct virtio_dev *empty, struct blk_view saved, struct disk **io_disk,
		  struct diag *d)
{
	return become_blk(empty, saved.dev, io_disk, d);
}

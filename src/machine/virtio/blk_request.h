/* SPDX-License-Identifier: Apache-2.0 */
/* What serving a block request needs between requests. */
#pragma once

#include "machine/virtio/blk.h"

struct blk {
	struct disk *disk;
	uint8_t id[BLK_ID_LEN]; /* padded with zeroes (5.2.6) */
	/* Of the request in hand; a buffer may be cut in two where RAM is. */
	struct iovec iov[VIRTQ_SIZE_MAX + RAM_REGIONS_MAX];
};

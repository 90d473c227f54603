/* SPDX-License-Identifier: Apache-2.0 */
/* The block device (virtio 1.2, 5.2): requests judged here, bytes moved by machine/disk. */
#pragma once

#include "machine/virtio/device_parts.h"

enum {
	/* 5.2.3 */
	BLK_F_SIZE_MAX = 1, BLK_F_SEG_MAX = 2, BLK_F_RO = 5, BLK_F_BLK_SIZE = 6, BLK_F_FLUSH = 9,
	BLK_F_MQ = 12, BLK_F_DISCARD = 13, BLK_F_WRITE_ZEROES = 14,
	/* 5.2.6 */
	BLK_T_IN = 0, BLK_T_OUT = 1, BLK_T_FLUSH = 4, BLK_T_GET_ID = 8, BLK_T_DISCARD = 11,
	BLK_T_WRITE_ZEROES = 13,
	BLK_S_OK = 0, BLK_S_IOERR = 1, BLK_S_UNSUPP = 2,
	BLK_RANGE_UNMAP = 1,

	BLK_HEADER = 16, BLK_RANGE = 16, BLK_ID_LEN = 20,
	BLK_CONFIG_LEN = 60, /* up to the end of the fields for write zeroes */

	/* What the configuration tells the driver, and what bounds one request's work. A queue
	 * entry goes to the header and one to the status. */
	BLK_SEG_MAX = VIRTQ_SIZE_MAX - 2,
	BLK_SIZE_MAX = 128 << 10,
	BLK_BYTES_MAX = BLK_SEG_MAX * BLK_SIZE_MAX,
	BLK_RANGES_MAX = 16,
	BLK_DISCARD_SECTORS_MAX = (1 << 30) / DISK_SECTOR,
	BLK_ZEROES_SECTORS_MAX = (4 << 20) / DISK_SECTOR,
};

bool blk_serve(void *own, const struct gmem *m, const struct chain *c, uint32_t *ret_written,
	       const char **ret_fault);
void blk_free(void *own);

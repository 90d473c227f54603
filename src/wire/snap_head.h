/* SPDX-License-Identifier: Apache-2.0 */
/* The first page of a snapshot file. */
#pragma once

#include "base/bytes.h"
#include "wire/shape.h"

enum { SNAP_HEAD_SIZE = 4096, SNAP_VERSION = 1, SNAP_ID_LEN = 16 };

struct snap_head {
	uint32_t version;
	enum arch arch;
	uint32_t page_size;            /* 4096 */
	uint8_t machine_id[SNAP_ID_LEN]; /* random, of the machine that was frozen */
	uint64_t generation;           /* 0: cold-booted; one more for each restore in its line */
	int64_t created_sec;           /* CLOCK_REALTIME */
	uint32_t created_nsec;
	uint32_t vcpus;
	bytes_t ram;
	uint32_t sections;             /* rows in the table, which follows this page */
	bytes_t total;                 /* of the whole file */
	uint64_t crc;                  /* header page and table, this field read as zero */
};

/* Magic, version, architecture and reserved bytes first, so that a foreign or newer file is named
 * as what it is; then ranges. The checksum is snap_head_check's. */
must_check err_t snap_head_parse(struct cur *in, struct diag *d, struct snap_head *ret_head);
/* `page_and_table` is the header page followed by the table. */
must_check err_t snap_head_check(const struct snap_head *h, struct cur page_and_table,
				 struct diag *d);
/* Encodes the page with the checksum field zero, SNAP_HEAD_SIZE bytes; snap_head_seal then puts
 * in the checksum of the page and the table behind it. */
void snap_head_encode(struct out *o, const struct snap_head *h);
void snap_head_seal(uint8_t *page_and_table, size_t len);

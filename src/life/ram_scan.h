/* SPDX-License-Identifier: Apache-2.0 */
/* The first of the two passes over RAM that a snapshot makes finds out which blocks hold data, for
 * that says where in the file everything goes; the second writes them and fills in their checksums.
 * The machine stands still between the passes, so both see the same bytes. */
#pragma once

#include "machine/ram/ram.h"

struct ram_scan {
	uint64_t blocks, present;
	uint8_t *bits;   /* (blocks + 7) / 8 bytes */
	uint64_t *sums;  /* one per present block, in order; of the first `summed` */
	uint64_t summed;
};

must_check err_t ram_scan_make(const struct ram *r, uint64_t blocks, struct quiesced q,
			       struct diag *d, struct ram_scan *ret);
/* Of a machine whose RAM is kept elsewhere: no block is present. */
must_check err_t ram_scan_none(uint64_t blocks, struct ram_scan *ret);
/* The next block that is present, in order. */
void ram_scan_sum(struct ram_scan *s, const uint8_t *block);
void ram_scan_drop(struct ram_scan *s);
static inline bool ram_scan_has(const struct ram_scan *s, uint64_t block)
{
	return (s->bits[block / 8] >> (block % 8)) & 1;
}

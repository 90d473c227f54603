/* SPDX-License-Identifier: Apache-2.0 */
/* The first of the two passes over RAM that a snapshot makes: which blocks hold data, and their
 * checksums. The machine stands still between the passes, so both see the same bytes. */
#pragma once

#include "machine/ram/ram.h"

struct ram_scan {
	uint64_t blocks, present;
	uint8_t *bits;   /* (blocks + 7) / 8 bytes */
	uint64_t *sums;  /* one per present block, in order */
	uint64_t room;   /* sums allocated */
};

must_check err_t ram_scan_make(const struct ram *r, uint64_t blocks, struct quiesced q,
			       struct diag *d, struct ram_scan *ret);
void ram_scan_drop(struct ram_scan *s);
static inline bool ram_scan_has(const struct ram_scan *s, uint64_t block)
{
	return (s->bits[block / 8] >> (block % 8)) & 1;
}

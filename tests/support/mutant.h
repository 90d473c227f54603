/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot file in pieces, changed at random and put together again. The re-encoder repairs
 * lengths, offsets and checksums behind each change, so that a mutant gets past them and to the
 * decoders; some lies are told on purpose and left standing. */
#pragma once

#include "plan/image.h"

enum { PIECES_MAX = SNAP_ROWS_MAX + 4 };

struct piece {
	uint32_t kind, index;
	uint8_t *bytes; /* owned; NULL for RAM */
	size_t len;
	uint64_t ram;   /* its size, for RAM */
	uint64_t offset_lie, size_lie, crc_lie; /* added to what is right */
};

struct pieces {
	uint8_t page[SNAP_HEAD_SIZE];
	uint64_t total_lie;
	uint32_t sections_lie;
	uint32_t n;
	struct piece rows[PIECES_MAX];
};

/* A good file's bytes before RAM. */
struct pieces *pieces_of(const uint8_t *bytes, size_t len);
struct pieces *pieces_copy(const struct pieces *p);
void pieces_free(struct pieces *p);

/* One to a few changes; `donor` lends sections. */
void pieces_mutate(struct pieces *p, const struct pieces *donor, uint64_t *seed);

/* The part of the file before RAM in an allocation of exactly its size, and the file's length. */
uint8_t *pieces_encode(const struct pieces *p, size_t *ret_len, foff_t *ret_file_len);

uint64_t random_next(uint64_t *seed);

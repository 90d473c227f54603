/* SPDX-License-Identifier: Apache-2.0 */
/* The RAM descriptor: which blocks hold data. */
#include <inttypes.h>
#include <string.h>

#include "wire/field.h"
#include "wire/sections.h"

static uint64_t bits_count(const uint8_t *bits, size_t n)
{
	uint64_t count = 0, word;

	for (; n >= sizeof word; bits += sizeof word, n -= sizeof word) {
		memcpy(&word, bits, sizeof word);
		count += (uint64_t)__builtin_popcountll(word);
	}
	for (; n > 0; bits++, n--)
		count += (uint64_t)__builtin_popcount(*bits);
	return count;
}

static err_t head_parse(struct fields *f, uint64_t ram_blocks, struct ram_map *m)
{
	uint32_t block;

	TRY(field_u32(f, "block_size", UINT32_MAX, &block));
	if (block != RAM_MAP_BLOCK)
		return field_bad(f, ERR_RANGE, "block_size", "is %" PRIu32 ", expected %d", block,
				 RAM_MAP_BLOCK);
	TRY(field_reserved(f, 4));
	TRY(field_u64(f, "blocks", UINT64_MAX, &m->blocks));
	if (m->blocks != ram_blocks)
		return field_bad(f, ERR_LAYOUT, "blocks",
				 "is %" PRIu64 ", the machine has %" PRIu64, m->blocks,
				 ram_blocks);
	TRY(field_u64(f, "present", m->blocks, &m->present));
	return field_reserved(f, 8);
}

err_t ram_map_parse(struct cur in, bytes_t ram, struct diag *d, struct ram_map *ret)
{
	struct fields f = fields_of(in, "ram-map", d);
	struct ram_map m;
	struct cur box;
	uint64_t count;
	size_t len;

	TRY(head_parse(&f, ram.v / RAM_MAP_BLOCK, &m));
	len = (size_t)((m.blocks + 7) / 8);
	TRY(field_take(&f, "bits", len, &box));
	if (m.blocks % 8 != 0 && box.at[len - 1] >> (m.blocks % 8) != 0)
		return field_bad(&f, ERR_RESERVED, "bits", "spare bits must be zero");
	count = bits_count(box.at, len);
	if (count != m.present)
		return field_bad(&f, ERR_LAYOUT, "present",
				 "is %" PRIu64 ", the bitmap has %" PRIu64 " blocks", m.present,
				 count);
	TRY(field_done(&f));
	m.bits = box.at;
	*ret = m;
	return OK;
}

void ram_map_encode(struct out *o, const struct ram_map *v)
{
	out_u32(o, RAM_MAP_BLOCK);
	out_zero(o, 4);
	out_u64(o, v->blocks);
	out_u64(o, v->present);
	out_zero(o, 8);
	out_bytes(o, v->bits, (size_t)((v->blocks + 7) / 8));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/snap_table.h"

#include <inttypes.h>

#include "wire/field.h"
#include "wire/shape.h"

err_t sect_kind_parse(uint32_t raw, enum sect_kind *ret_kind)
{
	switch (raw) {
#define X(name, id, word, since, most, per) case id: *ret_kind = SECT_##name; return OK;
	SECT_KINDS(X)
#undef X
	default:
		return FAIL(ERR_RANGE);
	}
}

const char *sect_kind_word(enum sect_kind k)
{
	switch (k) {
#define X(name, id, word, since, most, per) case SECT_##name: return word;
	SECT_KINDS(X)
#undef X
	}
	unreachable_by_type();
}

bytes_t sect_kind_max(enum sect_kind k)
{
	switch (k) {
#define X(name, id, word, since, most, per) case SECT_##name: return BYTES(most);
	SECT_KINDS(X)
#undef X
	}
	unreachable_by_type();
}

enum sect_per sect_kind_per(enum sect_kind k)
{
	switch (k) {
#define X(name, id, word, since, most, per) case SECT_##name: return SECT_##per;
	SECT_KINDS(X)
#undef X
	}
	unreachable_by_type();
}

static uint32_t index_limit(enum sect_kind k)
{
	switch (sect_kind_per(k)) {
	case SECT_ONE: return 1;
	case SECT_PER_VCPU: return SHAPE_VCPUS_MAX;
	case SECT_PER_DEVICE: return SHAPE_DEVICES_MAX;
	}
	unreachable_by_type();
}
static_assert(SHAPE_VCPUS_MAX <= 64 && SHAPE_DEVICES_MAX <= 64, "an index is a bit of 64");

static err_t row_id_parse(struct fields *f, struct snap_row_id *ret_id)
{
	uint32_t raw, limit;
	err_t e;

	TRY(field_u32(f, "kind", UINT32_MAX, &raw));
	e = sect_kind_parse(raw, &ret_id->kind);
	if (failed(e))
		return field_bad(f, e.code, "kind", "%" PRIu32 " is no kind of section", raw);
	limit = index_limit(ret_id->kind);
	return field_u32(f, "index", limit - 1, &ret_id->index);
}

static err_t row_parse(struct fields *f, struct snap_row *ret_row)
{
	struct snap_row r;

	TRY(row_id_parse(f, &r.id));
	TRY(field_u64(f, "offset", INT64_MAX, &r.offset.v));
	TRY(field_u64(f, "size", UINT64_MAX, &r.size.v));
	if (r.size.v > sect_kind_max(r.id.kind).v)
		return field_bad(f, ERR_SIZE, "size",
				 "%s has %" PRIu64 " bytes, at most %" PRIu64 " are allowed",
				 sect_kind_word(r.id.kind), r.size.v,
				 sect_kind_max(r.id.kind).v);
	TRY(field_u64(f, "crc", UINT64_MAX, &r.crc));
	if (r.id.kind == SECT_RAM && r.crc != 0)
		return field_bad(f, ERR_RESERVED, "crc", "must be zero for RAM");
	*ret_row = r;
	return OK;
}

err_t snap_table_parse(struct cur *in, uint32_t n, struct diag *d, struct snap_row *ret_rows)
{
	struct fields f = fields_of(*in, "table", d);
	uint64_t seen[SECT_RAM + 1] = { 0 };

	for (uint32_t i = 0; i < n; i++) {
		struct snap_row_id id;
		uint64_t bit;

		TRY(row_parse(&f, &ret_rows[i]));
		id = ret_rows[i].id;
		bit = UINT64_C(1) << id.index;
		if ((seen[id.kind] & bit) != 0)
			return field_bad(&f, ERR_DUPLICATE, "kind",
					 "%s %" PRIu32 " appears twice", sect_kind_word(id.kind),
					 id.index);
		seen[id.kind] |= bit;
	}
	*in = f.in;
	return OK;
}

void snap_table_encode(struct out *o, const struct snap_row *rows, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		out_u32(o, rows[i].id.kind);
		out_u32(o, rows[i].id.index);
		out_u64(o, rows[i].offset.v);
		out_u64(o, rows[i].size.v);
		out_u64(o, rows[i].crc);
	}
}

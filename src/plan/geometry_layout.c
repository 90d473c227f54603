/* SPDX-License-Identifier: Apache-2.0 */
/* Where each section of a snapshot file lies. The writer asks with the sizes it is about to write;
 * a loader asks with the sizes it read, and compares. Sizes and kinds are taken for hostile. */
#include <inttypes.h>

#include "plan/geometry.h"

static_assert(FILE_PAGE % FILE_SECT_ALIGN == 0 && FILE_RAM_ALIGN % FILE_PAGE == 0,
	      "a coarser alignment keeps the finer one");

static bool id_equal(struct snap_row_id a, struct snap_row_id b)
{
	return a.kind == b.kind && a.index == b.index;
}

static bool rows_have(const struct snap_row *rows, uint32_t n, struct snap_row_id id)
{
	for (uint32_t i = 0; i < n; i++) {
		if (id_equal(rows[i].id, id))
			return true;
	}
	return false;
}

/* Says what is wrong with the first row that is not the canonical one: the expected row may have
 * been left out, or be elsewhere. */
static err_t row_refuse(const struct snap_row *rows, uint32_t n, uint32_t i,
			struct snap_row_id want, struct diag *d)
{
	if (!rows_have(rows, n, want))
		return diag_field(d, FAIL(ERR_MISSING), "table", "kind", "section %s %" PRIu32
				  " is missing, expected in row %" PRIu32,
				  sect_kind_word(want.kind), want.index, i);
	return diag_field(d, FAIL(ERR_ORDER), "table", "kind", "row %" PRIu32 " is not section %s %"
			  PRIu32 ", which is in another place", i, sect_kind_word(want.kind),
			  want.index);
}

static err_t rows_check(const struct geometry *g, const struct snap_row *rows, uint32_t n,
			struct diag *d)
{
	uint32_t want = geometry_rows(g);

	for (uint32_t i = 0; i < want; i++) {
		struct snap_row_id id = geometry_row(g, i);

		if (i >= n || !id_equal(rows[i].id, id))
			return row_refuse(rows, n, i, id, d);
	}
	if (n != want)
		return diag_field(d, FAIL(ERR_LAYOUT), "table", "rows", "%" PRIu32 " rows, expected %"
				  PRIu32 " for this machine", n, want);
	return OK;
}

static err_t size_check(const struct geometry *g, const struct snap_row *row, struct diag *d)
{
	bytes_t most = sect_kind_max(row->id.kind);

	if (row->size.v > most.v)
		return diag_field(d, FAIL(ERR_SIZE), "table", "size", "section %s %" PRIu32 " has %"
				  PRIu64 " bytes, expected at most %" PRIu64,
				  sect_kind_word(row->id.kind), row->id.index, row->size.v, most.v);
	if (row->id.kind == SECT_RAM && row->size.v != geometry_ram(g).v)
		return diag_field(d, FAIL(ERR_SIZE), "table", "size", "section ram has %" PRIu64
				  " bytes, this machine has %" PRIu64, row->size.v,
				  geometry_ram(g).v);
	return OK;
}

err_t geometry_layout(const struct geometry *g, struct snap_row *rows, uint32_t n, struct diag *d,
		      bytes_t *ret_total)
{
	foff_t at[SNAP_ROWS_MAX], end = FOFF(FILE_PAGE + (uint64_t)n * SNAP_ROW_SIZE);
	bool fits = true;

	TRY(rows_check(g, rows, n, d));
	for (uint32_t i = 0; i < n && fits; i++) {
		uint64_t align = rows[i].id.kind == SECT_RAM ? FILE_RAM_ALIGN : FILE_SECT_ALIGN;

		TRY(size_check(g, &rows[i], d));
		fits = foff_align_up(end, align, &at[i]) && foff_end(at[i], rows[i].size, &end);
	}
	if (!fits)
		return diag_field(d, FAIL(ERR_SIZE), "table", "size",
				  "the sections do not fit in 64-bit offsets");
	for (uint32_t i = 0; i < n; i++)
		rows[i].offset = at[i];
	*ret_total = BYTES(end.v);
	return OK;
}

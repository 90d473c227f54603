/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/snap_head.h"

#include <inttypes.h>
#include <string.h>

#include "wire/field.h"
#include "wire/sections.h"
#include "wire/snap_table.h"

/* The first byte is not ASCII, the line ends catch a transfer in text mode. */
static const uint8_t MAGIC[8] = { 0x89, 'S', 'P', 'O', 'R', 'E', '\r', '\n' };

enum { CRC_AT = 80, HEAD_USED = 88 };

static err_t magic_parse(struct fields *f)
{
	uint8_t magic[sizeof MAGIC];

	TRY(field_bytes(f, "magic", magic, sizeof magic));
	if (memcmp(magic, MAGIC, sizeof magic) != 0)
		return field_bad(f, ERR_MAGIC, "magic", "this is not a spore snapshot");
	return OK;
}

static err_t version_parse(struct fields *f, uint32_t *ret_version)
{
	uint32_t v;

	TRY(field_u32(f, "version", UINT32_MAX, &v));
	if (v < 1 || v > SNAP_VERSION)
		return field_bad(f, ERR_VERSION, "version",
				 "is %" PRIu32 ", this program reads 1 to %d", v, SNAP_VERSION);
	*ret_version = v;
	return OK;
}

static err_t head_arch_parse(struct fields *f, enum arch *ret_arch)
{
	uint32_t raw;
	err_t e;

	TRY(field_u32(f, "arch", UINT32_MAX, &raw));
	e = arch_parse(raw, ret_arch);
	if (failed(e))
		return field_bad(f, e.code, "arch", "%" PRIu32 " is no known architecture", raw);
	return OK;
}

/* The fields whose ranges the format fixes, in their order in the page. */
static err_t ranges_parse(struct fields *f, struct snap_head *h)
{
	TRY(field_u32(f, "page_size", UINT32_MAX, &h->page_size));
	if (h->page_size != SNAP_HEAD_SIZE)
		return field_bad(f, ERR_RANGE, "page_size", "is %" PRIu32 ", expected %d",
				 h->page_size, SNAP_HEAD_SIZE);
	TRY(field_u32(f, "sections", SNAP_ROWS_MAX, &h->sections));
	TRY(field_bytes(f, "machine_id", h->machine_id, SNAP_ID_LEN));
	TRY(field_u64(f, "generation", INT64_MAX, &h->generation));
	TRY(field_i64(f, "created_sec", &h->created_sec));
	if (h->created_sec < 0)
		return field_bad(f, ERR_RANGE, "created_sec", "is negative");
	TRY(field_u32(f, "created_nsec", 999999999, &h->created_nsec));
	TRY(field_u32(f, "vcpus", SHAPE_VCPUS_MAX, &h->vcpus));
	if (h->vcpus == 0)
		return field_bad(f, ERR_RANGE, "vcpus", "is 0");
	TRY(field_u64(f, "ram", sect_kind_max(SECT_RAM).v, &h->ram.v));
	if (h->ram.v == 0 || h->ram.v % RAM_MAP_BLOCK != 0)
		return field_bad(f, ERR_RANGE, "ram",
				 "is %" PRIu64 ", expected a non-zero multiple of %d", h->ram.v,
				 RAM_MAP_BLOCK);
	TRY(field_u64(f, "total", INT64_MAX, &h->total.v));
	return field_u64(f, "crc", UINT64_MAX, &h->crc);
}

err_t snap_head_parse(struct cur *in, struct diag *d, struct snap_head *ret_head)
{
	struct fields f = fields_of(*in, "header", d);
	struct snap_head h = { 0 };
	struct fields page;
	struct cur box;

	/* A foreign file is named as one, however short it is. */
	TRY(magic_parse(&f));
	f.in = *in;
	TRY(field_take(&f, "page", SNAP_HEAD_SIZE, &box));
	page = fields_of(box, "header", d);
	TRY(magic_parse(&page));
	TRY(version_parse(&page, &h.version));
	TRY(head_arch_parse(&page, &h.arch));

	struct fields tail = page;
	TRY(field_take(&tail, "reserved", HEAD_USED - 16, &box));
	TRY(field_reserved(&tail, SNAP_HEAD_SIZE - HEAD_USED));

	TRY(ranges_parse(&page, &h));
	*in = f.in;
	*ret_head = h;
	return OK;
}

static uint64_t head_sum(const uint8_t *page_and_table, size_t len)
{
	static const uint8_t zero[HEAD_USED - CRC_AT];
	uint64_t sum = crc64(page_and_table, CRC_AT);

	sum = crc64_more(sum, zero, sizeof zero);
	return crc64_more(sum, page_and_table + HEAD_USED, len - HEAD_USED);
}

err_t snap_head_check(const struct snap_head *h, struct cur page_and_table, struct diag *d)
{
	size_t len = SNAP_HEAD_SIZE + (size_t)h->sections * SNAP_ROW_SIZE;
	struct cur all;
	uint64_t sum;

	if (failed(cur_take(&page_and_table, len, &all)))
		return diag_field(d, FAIL(ERR_TRUNCATED), "table", "rows",
				  "the file ends within the table of %" PRIu32 " sections",
				  h->sections);
	sum = head_sum(all.at, len);
	if (sum != h->crc)
		return diag_field(d, FAIL(ERR_CHECKSUM), "header", "crc",
				  "is %016" PRIx64 ", header and table give %016" PRIx64, h->crc,
				  sum);
	return OK;
}

void snap_head_encode(struct out *o, const struct snap_head *h)
{
	out_bytes(o, MAGIC, sizeof MAGIC);
	out_u32(o, h->version);
	out_u32(o, h->arch);
	out_u32(o, h->page_size);
	out_u32(o, h->sections);
	out_bytes(o, h->machine_id, SNAP_ID_LEN);
	out_u64(o, h->generation);
	out_u64(o, (uint64_t)h->created_sec);
	out_u32(o, h->created_nsec);
	out_u32(o, h->vcpus);
	out_u64(o, h->ram.v);
	out_u64(o, h->total.v);
	out_zero(o, SNAP_HEAD_SIZE - CRC_AT);
}

void snap_head_seal(uint8_t *page_and_table, size_t len)
{
	struct out o = out_of(page_and_table + CRC_AT, HEAD_USED - CRC_AT);

	out_u64(&o, head_sum(page_and_table, len));
}

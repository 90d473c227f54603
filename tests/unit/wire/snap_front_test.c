/* SPDX-License-Identifier: Apache-2.0 */
/* Header page and section table by themselves. */
#include <string.h>

#include "support/test.h"
#include "wire/snap_head.h"
#include "wire/snap_table.h"

enum { ROWS = 3, FRONT = SNAP_HEAD_SIZE + ROWS * SNAP_ROW_SIZE };

static const struct snap_head good_head = {
	.version = 1, .arch = ARCH_X86_64, .page_size = 4096, .machine_id = "0123456789abcde",
	.generation = 7, .created_sec = 1700000000, .created_nsec = 999999999, .vcpus = 64,
	.ram = { GIB(1) }, .sections = ROWS, .total = { GIB(1) + MIB(2) },
};

static const struct snap_row good_rows[ROWS] = {
	{ { SECT_INVENTORY, 0 }, { 4224 }, { 100 }, 0x1122334455667788 },
	{ { SECT_VCPU, 63 }, { 4352 }, { KIB(64) }, UINT64_MAX },
	{ { SECT_DEVICE, 18 }, { 69888 }, { MIB(16) }, 1 },
};

static void front_make(uint8_t *bytes)
{
	struct out o = out_of(bytes, FRONT);

	snap_head_encode(&o, &good_head);
	assert_int_equal(o.len, SNAP_HEAD_SIZE);
	snap_table_encode(&o, good_rows, ROWS);
	assert_int_equal(out_done(&o).code, ERR_NONE);
	assert_int_equal(o.len, FRONT);
	snap_head_seal(bytes, FRONT);
}

static void comes_back(void **state)
{
	struct snap_head h = { 0 }, want = good_head;
	struct snap_row rows[ROWS];
	uint8_t bytes[FRONT];
	struct cur c = cur_of(bytes, FRONT);

	(void)state;
	front_make(bytes);
	assert_int_equal(snap_head_parse(&c, NULL, &h).code, ERR_NONE);
	want.crc = h.crc;
	assert_memory_equal(&h, &want, sizeof h);
	assert_int_equal(snap_head_check(&h, cur_of(bytes, FRONT), NULL).code, ERR_NONE);
	assert_int_equal(snap_table_parse(&c, ROWS, NULL, rows).code, ERR_NONE);
	assert_memory_equal(rows, good_rows, sizeof rows);
	assert_int_equal(cur_left(&c), 0);
}

static void the_sum_covers_page_and_table(void **state)
{
	uint8_t bytes[FRONT];
	struct snap_head h;

	(void)state;
	front_make(bytes);
	for (size_t i = 88; i < FRONT; i += i < 96 || i > 4090 ? 1 : 61) {
		struct cur c = cur_of(bytes, FRONT);

		assert_int_equal(snap_head_parse(&c, NULL, &h).code, ERR_NONE);
		bytes[i] ^= 0x10;
		assert_int_equal(snap_head_check(&h, cur_of(bytes, FRONT), NULL).code,
				 ERR_CHECKSUM);
		bytes[i] ^= 0x10;
	}
	assert_int_equal(snap_head_check(&h, cur_of(bytes, FRONT - 1), NULL).code, ERR_TRUNCATED);
}

static const struct { size_t at; uint64_t v; enum err_code code; const char *field; } wrong[] = {
	{ 0, 0, ERR_MAGIC, "magic" },
	{ 8, 0, ERR_VERSION, "version" },
	{ 8, 2, ERR_VERSION, "version" },
	{ 12, 3, ERR_ARCH, "arch" },
	{ 16, 512, ERR_RANGE, "page_size" },
	{ 20, SNAP_ROWS_MAX + 1, ERR_RANGE, "sections" },
	{ 40, UINT64_MAX, ERR_RANGE, "generation" },
	{ 48, UINT64_MAX, ERR_RANGE, "created_sec" },
	{ 56, 1000000000, ERR_RANGE, "created_nsec" },
	{ 60, 0, ERR_RANGE, "vcpus" },
	{ 60, 65, ERR_RANGE, "vcpus" },
	{ 64, 0, ERR_RANGE, "ram" },
	{ 64, 65535, ERR_RANGE, "ram" },
	{ 64, GIB(1024) + 65536, ERR_RANGE, "ram" },
	{ 72, UINT64_MAX, ERR_RANGE, "total" },
	{ 88, 1, ERR_RESERVED, "reserved" },
	{ 4088, 1, ERR_RESERVED, "reserved" },
};

static size_t width_of(size_t at)
{
	static const uint8_t fours[] = { 8, 12, 16, 20, 56, 60 };

	return memchr(fours, (int)at, sizeof fours) != NULL && at < 64 ? 4 : 8;
}

static void each_field_is_judged_and_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < countof(wrong); i++) {
		struct snap_head h = { .generation = 5 };
		struct diag d = DIAG_INIT;
		uint8_t bytes[FRONT];
		struct cur c = cur_of(bytes, FRONT);

		front_make(bytes);
		for (size_t k = 0; k < width_of(wrong[i].at); k++)
			bytes[wrong[i].at + k] = (uint8_t)(wrong[i].v >> 8 * k);
		assert_int_equal(snap_head_parse(&c, &d, &h).code, wrong[i].code);
		assert_string_equal(d.section, "header");
		assert_string_equal(d.field, wrong[i].field);
		assert_int_equal(h.generation, 5);
		assert_ptr_equal(c.at, bytes);
	}
}

static void a_short_file_is_named_for_what_it_is(void **state)
{
	uint8_t bytes[FRONT];
	struct snap_head h;

	(void)state;
	front_make(bytes);
	for (size_t n = 0; n < SNAP_HEAD_SIZE; n++) {
		struct cur c = cur_of(bytes, n);
		struct diag d = DIAG_INIT;

		assert_int_equal(snap_head_parse(&c, &d, &h).code, ERR_TRUNCATED);
		assert_string_equal(d.field, n < 8 ? "magic" : "page");
	}
	bytes[1] = 'x';
	assert_int_equal(snap_head_parse(&(struct cur){ bytes, bytes + 8 }, NULL, &h).code, ERR_MAGIC);
}

static enum err_code row_judge(struct snap_row row, const char *field)
{
	struct snap_row rows[2] = { good_rows[0], row }, got[2];
	uint8_t bytes[2 * SNAP_ROW_SIZE];
	struct out o = out_of(bytes, sizeof bytes);
	struct cur c = cur_of(bytes, sizeof bytes);
	struct diag d = DIAG_INIT;
	err_t e;

	snap_table_encode(&o, rows, 2);
	e = snap_table_parse(&c, 2, &d, got);
	if (failed(e))
		assert_string_equal(d.field, field);
	return e.code;
}

static void each_row_is_judged(void **state)
{
	struct snap_row r = { { SECT_CLOCK, 0 }, { 8192 }, { 24 }, 9 };

	(void)state;
	assert_int_equal(row_judge(r, NULL), ERR_NONE);
	r.id.index = 1;
	assert_int_equal(row_judge(r, "index"), ERR_RANGE);
	r.id = (struct snap_row_id){ SECT_VCPU, 64 };
	assert_int_equal(row_judge(r, "index"), ERR_RANGE);
	r.id = (struct snap_row_id){ SECT_DEVICE, 19 };
	assert_int_equal(row_judge(r, "index"), ERR_RANGE);
	r.id = (struct snap_row_id){ (enum sect_kind)12, 0 };
	assert_int_equal(row_judge(r, "kind"), ERR_RANGE);
	r.id = good_rows[0].id;
	assert_int_equal(row_judge(r, "kind"), ERR_DUPLICATE);
	r.id = (struct snap_row_id){ SECT_CLOCK, 0 };
	r.size = BYTES(KIB(1) + 1);
	assert_int_equal(row_judge(r, "size"), ERR_SIZE);
	r.size = BYTES(24);
	r.offset = FOFF(UINT64_C(1) << 63);
	assert_int_equal(row_judge(r, "offset"), ERR_RANGE);
	r = (struct snap_row){ { SECT_RAM, 0 }, { MIB(2) }, { MIB(16) }, 0 };
	assert_int_equal(row_judge(r, NULL), ERR_NONE);
	r.crc = 1;
	assert_int_equal(row_judge(r, "crc"), ERR_RESERVED);
}

/* Numbers, words and multiplicity are pinned: they are in files. */
static const struct { uint32_t id; const char *word; enum sect_per per; } pinned[] = {
	{ 1, "inventory", SECT_ONE }, { 2, "topology", SECT_ONE }, { 3, "config", SECT_ONE },
	{ 4, "vcpu", SECT_PER_VCPU }, { 5, "irqchip", SECT_ONE }, { 6, "clock", SECT_ONE },
	{ 7, "device", SECT_PER_DEVICE }, { 8, "serial", SECT_ONE }, { 9, "ram-map", SECT_ONE },
	{ 10, "ram-sums", SECT_ONE }, { 11, "ram", SECT_ONE },
};

static void kinds_are_pinned(void **state)
{
	enum sect_kind kind;

	(void)state;
	for (size_t i = 0; i < countof(pinned); i++) {
		assert_int_equal(sect_kind_parse(pinned[i].id, &kind).code, ERR_NONE);
		assert_int_equal(kind, pinned[i].id);
		assert_string_equal(sect_kind_word(kind), pinned[i].word);
		assert_int_equal(sect_kind_per(kind), pinned[i].per);
		assert_true(sect_kind_max(kind).v >= KIB(1));
	}
	assert_int_equal(sect_kind_parse(0, &kind).code, ERR_RANGE);
	assert_int_equal(sect_kind_parse(countof(pinned) + 1, &kind).code, ERR_RANGE);
}

static void shapes_are_pinned(void **state)
{
	enum dev_kind kind;
	enum arch arch;

	(void)state;
	assert_int_equal(arch_parse(1, &arch).code, ERR_NONE);
	assert_int_equal(arch, ARCH_X86_64);
	assert_int_equal(arch_parse(2, &arch).code, ERR_NONE);
	assert_int_equal(arch, ARCH_AARCH64);
	assert_int_equal(arch_parse(0, &arch).code, ERR_ARCH);
	assert_int_equal(dev_kind_parse(2, &kind).code, ERR_NONE);
	assert_string_equal(dev_kind_word(kind), "blk");
	assert_int_equal(dev_kind_queues_min(kind), 1);
	assert_int_equal(dev_kind_queues_max(kind), 8);
	assert_int_equal(dev_kind_parse(4, &kind).code, ERR_NONE);
	assert_string_equal(dev_kind_word(kind), "rng");
	assert_int_equal(dev_kind_queues_min(kind), 1);
	assert_int_equal(dev_kind_queues_max(kind), 1);
	assert_int_equal(dev_kind_parse(3, &kind).code, ERR_RANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(the_sum_covers_page_and_table),
		cmocka_unit_test(each_field_is_judged_and_named),
		cmocka_unit_test(a_short_file_is_named_for_what_it_is),
		cmocka_unit_test(each_row_is_judged),
		cmocka_unit_test(kinds_are_pinned),
		cmocka_unit_test(shapes_are_pinned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

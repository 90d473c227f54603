/* SPDX-License-Identifier: Apache-2.0 */
/* The memory map: by hand below 1 MiB, and at every boundary of RAM. */
#include "plan/e820.h"

#include "plan/map_x86_64.h"
#include "unit/plan/shapes.h"

static struct e820_map map_of(uint64_t ram)
{
	struct shape s = shape_of(1, ram, 1);
	const struct geometry *g = geometry_of(&s);
	struct e820_map m = e820_plan(g);

	geometry_free(g);
	return m;
}

static void entry_is(const struct e820_map *m, uint32_t i, uint64_t at, uint64_t end,
		     enum e820_type type)
{
	assert_int_equal(m->entries[i].at.v, at);
	assert_int_equal(m->entries[i].len.v, end - at);
	assert_int_equal(m->entries[i].type, type);
}

static void head_is(const struct e820_map *m, uint64_t low_end)
{
	entry_is(m, 0, 0, 0x9FC00, E820_RAM);
	entry_is(m, 1, 0x9FC00, 0xE0000, E820_RESERVED);
	entry_is(m, 2, 0xE0000, 0xF0000, E820_ACPI);
	entry_is(m, 3, 0xF0000, 0x100000, E820_RESERVED);
	entry_is(m, 4, 0x100000, low_end, E820_RAM);
	entry_is(m, 5, 0xFFFBC000, 0xFFFC0000, E820_RESERVED);
}

static void ram_below_the_hole(void **state)
{
	static const uint64_t sizes[] = { MIB(16), MIB(128), GIB(3) - KIB(64), GIB(3) };

	(void)state;
	for (size_t i = 0; i < countof(sizes); i++) {
		struct e820_map m = map_of(sizes[i]);

		assert_int_equal(m.n, 6);
		head_is(&m, sizes[i]);
	}
}

static void ram_on_both_sides_of_the_hole(void **state)
{
	static const struct { uint64_t size, end; } rows[] = {
		{ GIB(3) + KIB(64), 0x100010000 },
		{ GIB(5), 0x180000000 },
		{ GIB(1024), 0x10040000000 },
	};

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		struct e820_map m = map_of(rows[i].size);

		assert_int_equal(m.n, 7);
		head_is(&m, 0xC0000000);
		entry_is(&m, 6, 0x100000000, rows[i].end, E820_RAM);
	}
}

/* Whatever the size: ascending, not empty, not overlapping; RAM is all there but for what is
 * reserved below 1 MiB; no device window or KVM page is called RAM. */
static void rules_that_hold_for_every_size(void **state)
{
	(void)state;
	for (uint64_t ram = MIB(16); ram <= GIB(8); ram += MIB(61) + KIB(64)) {
		struct e820_map m = map_of(ram);
		uint64_t end = 0, told = 0;

		for (uint32_t i = 0; i < m.n; i++) {
			const struct e820_entry *e = &m.entries[i];

			assert_true(e->at.v >= end);
			assert_true(e->len.v > 0);
			end = e->at.v + e->len.v;
			if (e->type != E820_RAM)
				continue;
			told += e->len.v;
			assert_false(ranges_overlap(e->at.v, e->len.v, GIB(3), GIB(1)));
		}
		assert_int_equal(told, ram - (0x100000 - 0x9FC00));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ram_below_the_hole),
		cmocka_unit_test(ram_on_both_sides_of_the_hole),
		cmocka_unit_test(rules_that_hold_for_every_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

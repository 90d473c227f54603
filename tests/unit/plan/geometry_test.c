/* SPDX-License-Identifier: Apache-2.0 */
/* Geometries: RAM regions at the boundaries, rows and offsets by hand, and layouts refused. */
#include "plan/geometry.h"

#include <string.h>

#include "unit/plan/shapes.h"

static void region_is(const struct geometry *g, uint32_t i, uint64_t at, uint64_t len,
		      uint64_t offset)
{
	struct ram_region r = geometry_ram_region(g, i);

	assert_int_equal(r.at.v, at);
	assert_int_equal(r.len.v, len);
	assert_int_equal(r.offset.v, offset);
	assert_int_equal(r.kvm_slot, i);
}

static void ram_below_the_hole(void **state)
{
	static const uint64_t sizes[] = { MIB(16), MIB(128), GIB(3) - KIB(64), GIB(3) };

	(void)state;
	for (size_t i = 0; i < countof(sizes); i++) {
		struct shape s = shape_of(1, sizes[i], 1);
		const struct geometry *g = geometry_of(&s);

		assert_int_equal(geometry_ram(g).v, sizes[i]);
		assert_int_equal(geometry_ram_blocks(g), sizes[i] / 65536);
		assert_int_equal(geometry_ram_regions(g), 1);
		region_is(g, 0, 0, sizes[i], 0);
		geometry_free(g);
	}
}

static void ram_on_both_sides_of_the_hole(void **state)
{
	static const struct { uint64_t size, high; } rows[] = {
		{ GIB(3) + KIB(64), KIB(64) },
		{ GIB(5), GIB(2) },
		{ GIB(1024), GIB(1021) },
	};

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		struct shape s = shape_of(1, rows[i].size, 1);
		const struct geometry *g = geometry_of(&s);

		assert_int_equal(geometry_ram_regions(g), 2);
		region_is(g, 0, 0, 0xC0000000, 0);
		region_is(g, 1, 0x100000000, rows[i].high, 0xC0000000);
		geometry_free(g);
	}
}

static void ram_that_cannot_be(void **state)
{
	static const uint64_t sizes[] = {
		0, 1, KIB(64), MIB(16) - KIB(64), MIB(16) + 1, MIB(16) + KIB(32), GIB(1024) + KIB(64),
		UINT64_MAX, UINT64_MAX - 65535,
	};

	(void)state;
	for (size_t i = 0; i < countof(sizes); i++) {
		struct shape s = shape_of(1, sizes[i], 1);
		const struct topology *t = topology_of(&s);
		const struct geometry *g = NULL;
		struct diag d = DIAG_INIT;

		assert_refused(geometry_plan(t, &d, &g), ERR_RANGE, &d, "ram");
		assert_null(g);
		topology_free(t);
	}
}

static void topology_is_copied(void **state)
{
	struct shape s = shape_of(2, MIB(64), 2);
	const struct topology *t = topology_of(&s);
	const struct geometry *g = NULL;

	(void)state;
	assert_int_equal(geometry_plan(t, NULL, &g).code, ERR_NONE);
	topology_free(t);
	assert_int_equal(topology_shape(geometry_topology(g))->vcpus, 2);
	assert_int_equal(topology_slot(geometry_topology(g), 1)->gsi.v, 6);
	geometry_free(g);
}

static void rows_in_order(void **state)
{
	static const struct snap_row_id want[] = {
		{ SECT_INVENTORY, 0 }, { SECT_TOPOLOGY, 0 }, { SECT_CONFIG, 0 },
		{ SECT_VCPU, 0 }, { SECT_VCPU, 1 }, { SECT_IRQCHIP, 0 }, { SECT_CLOCK, 0 },
		{ SECT_DEVICE, 0 }, { SECT_DEVICE, 1 }, { SECT_DEVICE, 2 }, { SECT_SERIAL, 0 },
		{ SECT_RAM_MAP, 0 }, { SECT_RAM_SUMS, 0 }, { SECT_RAM, 0 },
	};
	struct shape s = shape_of(2, MIB(16), 3);
	const struct geometry *g = geometry_of(&s);

	(void)state;
	assert_int_equal(geometry_rows(g), countof(want));
	for (uint32_t i = 0; i < countof(want); i++) {
		assert_int_equal(geometry_row(g, i).kind, want[i].kind);
		assert_int_equal(geometry_row(g, i).index, want[i].index);
	}
	geometry_free(g);
}

static void number_of_rows(void **state)
{
	struct shape least = shape_of(1, MIB(16), 0), most = shape_of(64, MIB(16), 19);
	const struct geometry *g = geometry_of(&least);

	(void)state;
	assert_int_equal(geometry_rows(g), 10);
	geometry_free(g);
	g = geometry_of(&most);
	assert_int_equal(geometry_rows(g), 92);
	assert_true(geometry_rows(g) <= SNAP_ROWS_MAX);
	geometry_free(g);
}

/* One vCPU, one device: eleven rows. */
enum { ROWS = 11 };

struct given {
	const struct geometry *g;
	struct snap_row rows[ROWS + 1];
};

static struct given rows_given(void)
{
	static const uint64_t sizes[ROWS] = {
		100, 64, 1, 5000, 500, 24, 200, 33, 64, 24, MIB(16),
	};
	struct shape s = shape_of(1, MIB(16), 1);
	struct given v = { .g = geometry_of(&s) };

	assert_int_equal(geometry_rows(v.g), ROWS);
	for (uint32_t i = 0; i < ROWS; i++) {
		v.rows[i].id = geometry_row(v.g, i);
		v.rows[i].size = BYTES(sizes[i]);
		v.rows[i].crc = 0x1234 + i;
	}
	return v;
}

static void offsets_by_hand(void **state)
{
	/* the table ends at 4096 + 11 * 32 = 4448 */
	static const uint64_t want[ROWS] = {
		4480, 4608, 4672, 4736, 9792, 10304, 10368, 10624, 10688, 10752, 2097152,
	};
	struct given v = rows_given();
	bytes_t total = BYTES(0);
	struct diag d = DIAG_INIT;

	(void)state;
	assert_int_equal(geometry_layout(v.g, v.rows, ROWS, &d, &total).code, ERR_NONE);
	for (uint32_t i = 0; i < ROWS; i++) {
		assert_int_equal(v.rows[i].offset.v, want[i]);
		assert_int_equal(v.rows[i].crc, 0x1234 + i);
	}
	assert_int_equal(total.v, 2097152 + 16777216);
	geometry_free(v.g);
}

static void empty_sections_take_no_room(void **state)
{
	struct given v = rows_given();
	bytes_t total = BYTES(0);

	(void)state;
	for (uint32_t i = 0; i < ROWS - 1; i++)
		v.rows[i].size = BYTES(0);
	assert_int_equal(geometry_layout(v.g, v.rows, ROWS, NULL, &total).code, ERR_NONE);
	for (uint32_t i = 0; i < ROWS - 1; i++)
		assert_int_equal(v.rows[i].offset.v, 4480);
	assert_int_equal(v.rows[ROWS - 1].offset.v, 2097152);
	geometry_free(v.g);
}

static void ram_at_the_next_boundary(void **state)
{
	enum { DEVICE = 6, SERIAL = 7, SUMS = 9, RAM = 10 };
	struct given v = rows_given();
	bytes_t total = BYTES(0);

	(void)state;
	/* the device's section is as large as makes the checksums end at 2 MiB exactly */
	v.rows[DEVICE].size = BYTES(MIB(2) - 10368 - 64 - 64 - 64);
	v.rows[SUMS].size = BYTES(64);
	assert_int_equal(geometry_layout(v.g, v.rows, ROWS, NULL, &total).code, ERR_NONE);
	assert_int_equal(v.rows[SUMS].offset.v + v.rows[SUMS].size.v, MIB(2));
	assert_int_equal(v.rows[RAM].offset.v, MIB(2));
	assert_int_equal(total.v, MIB(18));
	v.rows[SUMS].size = BYTES(65);
	assert_int_equal(geometry_layout(v.g, v.rows, ROWS, NULL, &total).code, ERR_NONE);
	assert_int_equal(v.rows[RAM].offset.v, MIB(4));
	assert_int_equal(total.v, MIB(20));
	geometry_free(v.g);
}

static void largest_machine(void **state)
{
	struct shape s = shape_of(64, GIB(1024), 19);
	const struct geometry *g = geometry_of(&s);
	struct snap_row rows[SNAP_ROWS_MAX] = { 0 };
	uint32_t n = geometry_rows(g);
	bytes_t total = BYTES(0);

	(void)state;
	for (uint32_t i = 0; i < n; i++) {
		rows[i].id = geometry_row(g, i);
		rows[i].size = sect_kind_max(rows[i].id.kind);
	}
	assert_int_equal(geometry_layout(g, rows, n, NULL, &total).code, ERR_NONE);
	for (uint32_t i = 1; i < n; i++) {
		assert_true(rows[i].offset.v >= rows[i - 1].offset.v + rows[i - 1].size.v);
		assert_int_equal(rows[i].offset.v % 64, 0);
	}
	assert_int_equal(rows[n - 1].offset.v % MIB(2), 0);
	assert_int_equal(total.v, rows[n - 1].offset.v + GIB(1024));
	geometry_free(g);
}

static void layout_refused(struct given v, uint32_t n, enum err_code code, const char *field,
			   const char *sentence)
{
	struct snap_row before[ROWS + 1];
	bytes_t total = BYTES(77);
	struct diag d = DIAG_INIT;

	memcpy(before, v.rows, sizeof before);
	assert_refused(geometry_layout(v.g, v.rows, n, &d, &total), code, &d, field);
	assert_string_equal(d.section, "table");
	assert_string_equal(d.text, sentence);
	assert_int_equal(total.v, 77);
	assert_memory_equal(v.rows, before, sizeof before);
	geometry_free(v.g);
}

static void rows_that_are_not_canonical(void **state)
{
	struct given v;

	(void)state;
	layout_refused(rows_given(), 0, ERR_MISSING, "kind",
		       "table.kind: section inventory 0 is missing, expected in row 0");
	layout_refused(rows_given(), ROWS - 1, ERR_MISSING, "kind",
		       "table.kind: section ram 0 is missing, expected in row 10");
	v = rows_given();
	memmove(&v.rows[3], &v.rows[4], 7 * sizeof v.rows[0]);
	layout_refused(v, ROWS - 1, ERR_MISSING, "kind",
		       "table.kind: section vcpu 0 is missing, expected in row 3");
	v = rows_given();
	v.rows[3].id.index = 1;
	layout_refused(v, ROWS, ERR_MISSING, "kind",
		       "table.kind: section vcpu 0 is missing, expected in row 3");
	v = rows_given(); /* doubled in place of its neighbour */
	v.rows[5].id = v.rows[4].id;
	layout_refused(v, ROWS, ERR_MISSING, "kind",
		       "table.kind: section clock 0 is missing, expected in row 5");
	v = rows_given();
	v.rows[4].id.kind = SECT_CLOCK;
	v.rows[5].id.kind = SECT_IRQCHIP;
	layout_refused(v, ROWS, ERR_ORDER, "kind",
		       "table.kind: row 4 is not section irqchip 0, which is in another place");
	v = rows_given();
	v.rows[ROWS].id = (struct snap_row_id){ SECT_VCPU, 1 };
	layout_refused(v, ROWS + 1, ERR_LAYOUT, "rows",
		       "table.rows: 12 rows, expected 11 for this machine");
}

static void no_two_rows_may_change_places(void **state)
{
	struct given v = rows_given();
	bytes_t total;

	(void)state;
	for (uint32_t i = 0; i < ROWS; i++) {
		for (uint32_t j = 0; j < i; j++) {
			struct snap_row a = v.rows[i], b = v.rows[j];

			v.rows[i] = b;
			v.rows[j] = a;
			assert_int_equal(geometry_layout(v.g, v.rows, ROWS, NULL, &total).code,
					 ERR_ORDER);
			v.rows[i] = a;
			v.rows[j] = b;
		}
	}
	geometry_free(v.g);
}

static void sizes_that_cannot_be(void **state)
{
	struct given v;

	(void)state;
	v = rows_given(); v.rows[5].size.v = KIB(1) + 1;
	layout_refused(v, ROWS, ERR_SIZE, "size",
		       "table.size: section clock 0 has 1025 bytes, expected at most 1024");
	v = rows_given(); v.rows[6].size.v = UINT64_MAX;
	layout_refused(v, ROWS, ERR_SIZE, "size",
		       "table.size: section device 0 has 18446744073709551615 bytes, "
		       "expected at most 16777216");
	v = rows_given(); v.rows[10].size.v += KIB(64);
	layout_refused(v, ROWS, ERR_SIZE, "size",
		       "table.size: section ram has 16842752 bytes, this machine has 16777216");
	v = rows_given(); v.rows[10].size.v = 0;
	layout_refused(v, ROWS, ERR_SIZE, "size",
		       "table.size: section ram has 0 bytes, this machine has 16777216");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ram_below_the_hole),
		cmocka_unit_test(ram_on_both_sides_of_the_hole),
		cmocka_unit_test(ram_that_cannot_be),
		cmocka_unit_test(topology_is_copied),
		cmocka_unit_test(rows_in_order),
		cmocka_unit_test(number_of_rows),
		cmocka_unit_test(offsets_by_hand),
		cmocka_unit_test(empty_sections_take_no_room),
		cmocka_unit_test(ram_at_the_next_boundary),
		cmocka_unit_test(largest_machine),
		cmocka_unit_test(rows_that_are_not_canonical),
		cmocka_unit_test(no_two_rows_may_change_places),
		cmocka_unit_test(sizes_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A zygote's bytes on their way to another process: there and back, each rule, and every byte
 * changed. */
#include "wire/parcel.h"

#include <stdlib.h>
#include <string.h>

#include "support/test.h"

enum { ROOM = 16384, MAP_LEN = 5, LAYERS = 2, FRONT = 37, DISK_FIXED = 34 };

/* Where things lie in the sample, from the format in wire/parcel.c. */
enum {
	AT_N_FILES = 32, AT_N_PIECES = 36, AT_PIECES = 40, PIECE = 32, PIECES = 3,
	AT_N_DISKS = AT_PIECES + PIECES * PIECE, AT_DISK = AT_N_DISKS + 4,
	PATH_LEN = 9, AT_PATH = AT_DISK + 20, AT_LAYERS = AT_PATH + 2 + PATH_LEN,
	AT_MAPS = AT_LAYERS + 12,
	AT_DISK2 = AT_MAPS + LAYERS * MAP_LEN,
	AT_TOTAL = AT_DISK2 + DISK_FIXED, AT_FRONT_LEN = AT_TOTAL + 8, AT_FRONT = AT_FRONT_LEN + 4,
	SAMPLE = AT_FRONT + FRONT,
};

static size_t sample(uint8_t ret[ROOM])
{
	static const uint8_t maps[LAYERS * MAP_LEN] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
	static uint8_t front[FRONT];
	static struct parcel_disk disks[2] = {
		{ .slot = 3, .mode = DISK_COW, .capacity = { 4096 }, .stored = true,
		  .path = "/a/b/disk", .n_layers = LAYERS, .cluster = 512, .map_len = MAP_LEN,
		  .maps = maps },
		{ .slot = 18, .mode = DISK_RO, .capacity = { 512 } },
	};
	struct parcel p = {
		.n_files = 2,
		.pieces = { PIECES, { { BYTES(0), BYTES(4096), 1, FOFF(8192) },
				      { BYTES(4096), BYTES(8192), RAM_SOURCE_HOLE, FOFF(0) },
				      { BYTES(12288), BYTES(4096), 0, FOFF(12288) } } },
		.n_disks = 2, .disks = disks, .total = BYTES(UINT64_C(0x1122334455667788)),
	};
	struct out o = out_of(ret, ROOM);

	memset(front, 0xF7, sizeof front);
	memset(p.id, 0xA1, sizeof p.id);
	memset(p.parent, 0xB2, sizeof p.parent);
	p.front = cur_of(front, sizeof front);
	parcel_encode(&o, &p);
	assert_false(failed(out_done(&o)));
	assert_true(o.len < parcel_room(&p));
	assert_int_equal(parcel_descriptors(&p), 2 + 1 + LAYERS + 1);
	assert_int_equal(o.len, SAMPLE);
	return o.len;
}

/* From an allocation of exactly its size. */
static err_t judge(const uint8_t *bytes, size_t n, struct diag *d, uint8_t *ret_again,
		   size_t *ret_len)
{
	uint8_t *copy = malloc(n + (n == 0));
	struct out o = out_of(ret_again, ROOM);
	struct parcel p;
	err_t e;

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	e = parcel_parse(cur_of(copy, n), d, &p);
	if (!failed(e)) {
		parcel_encode(&o, &p);
		assert_false(failed(out_done(&o)));
		assert_true(o.len < parcel_room(&p));
		*ret_len = o.len;
		parcel_clear(&p);
	}
	free(copy);
	return e;
}

static void there_and_back(void **state)
{
	uint8_t bytes[ROOM];
	size_t n = sample(bytes);
	struct diag d = DIAG_INIT;
	struct parcel p;

	(void)state;
	assert_false(failed(parcel_parse(cur_of(bytes, n), &d, &p)));
	assert_int_equal(p.id[15], 0xA1);
	assert_int_equal(p.parent[0], 0xB2);
	assert_int_equal(p.n_files, 2);
	assert_int_equal(p.pieces.n, PIECES);
	assert_int_equal(p.pieces.e[0].source, 1);
	assert_true(p.pieces.e[0].at.v == 8192 && p.pieces.e[0].len.v == 4096);
	assert_true(p.pieces.e[1].source == (uint32_t)RAM_SOURCE_HOLE);
	assert_true(p.pieces.e[2].offset.v == 12288);
	assert_int_equal(p.n_disks, 2);
	assert_int_equal(p.disks[0].slot, 3);
	assert_int_equal(p.disks[0].mode, DISK_COW);
	assert_true(p.disks[0].capacity.v == 4096 && p.disks[0].stored);
	assert_string_equal(p.disks[0].path, "/a/b/disk");
	assert_int_equal(p.disks[0].cluster, 512);
	assert_int_equal(p.disks[0].maps[LAYERS * MAP_LEN - 1], 10);
	assert_int_equal(p.disks[1].slot, 18);
	assert_int_equal(p.disks[1].mode, DISK_RO);
	assert_false(p.disks[1].stored);
	assert_true(p.total.v == UINT64_C(0x1122334455667788));
	assert_int_equal(cur_left(&p.front), FRONT);
	assert_int_equal(p.front.at[0], 0xF7);
	parcel_clear(&p);
}

/* The smallest and the most. */
static void nothing_and_as_much_as_can_be(void **state)
{
	static struct parcel_disk disks[SHAPE_DEVICES_MAX];
	struct parcel p = { 0 }, back;
	uint8_t bytes[ROOM];
	struct out o = out_of(bytes, sizeof bytes);
	struct diag d = DIAG_INIT;

	(void)state;
	parcel_encode(&o, &p);
	assert_false(failed(parcel_parse(cur_of(bytes, o.len), &d, &back)));
	assert_int_equal(parcel_descriptors(&back), 0);
	parcel_clear(&back);
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		disks[i] = (struct parcel_disk){ .slot = i, .mode = DISK_RW };
	p.disks = disks;
	p.n_disks = SHAPE_DEVICES_MAX;
	p.n_files = RAM_SOURCES_MAX;
	p.pieces.n = RAM_EXTENTS_MAX;
	o = out_of(bytes, sizeof bytes);
	parcel_encode(&o, &p);
	assert_false(failed(parcel_parse(cur_of(bytes, o.len), &d, &back)));
	assert_int_equal(parcel_descriptors(&back), RAM_SOURCES_MAX + SHAPE_DEVICES_MAX);
	parcel_clear(&back);
}

struct rule { size_t at; uint32_t value; enum err_code code; const char *words; };

static const struct rule rules[] = {
	{ AT_N_FILES, RAM_SOURCES_MAX + 1, ERR_RANGE, "n_files" },
	{ AT_N_PIECES, RAM_EXTENTS_MAX + 1, ERR_RANGE, "n_pieces" },
	{ AT_PIECES + 16, 2, ERR_RANGE, "piece.source: is 2, there are 2 files" },
	{ AT_PIECES + 16, UINT32_MAX - 1, ERR_RANGE, "piece.source" },
	{ AT_PIECES + 20, 1, ERR_RESERVED, "reserved" },
	{ AT_N_DISKS, SHAPE_DEVICES_MAX + 1, ERR_RANGE, "n_disks" },
	{ AT_N_DISKS, SHAPE_DEVICES_MAX, ERR_TRUNCATED, "n_disks" },
	{ AT_DISK, SHAPE_DEVICES_MAX, ERR_RANGE, "disk.slot" },
	{ AT_DISK, 18, ERR_ORDER, "disk.slot: 18 does not come after 18" },
	{ AT_DISK + 4, 77, ERR_RANGE, "disk.mode: 77 is no mode" },
	{ AT_DISK + 16, 2, ERR_RANGE, "disk.stored" },
	{ AT_DISK + 16, 0x101, ERR_RESERVED, "reserved" },
	{ AT_LAYERS, PARCEL_LAYERS_MAX + 1, ERR_RANGE, "disk.layers" },
	{ AT_LAYERS, 0, ERR_RANGE, "disk.map_len: is 5 with 0 layers of clusters of 512" },
	{ AT_LAYERS + 4, 0, ERR_RANGE, "disk.map_len: is 5 with 2 layers of clusters of 0" },
	{ AT_LAYERS + 8, 0, ERR_RANGE, "disk.map_len: is 0 with 2 layers of clusters of 512" },
	{ AT_LAYERS + 8, PARCEL_MAP_MAX, ERR_TRUNCATED, "disk.maps" },
	{ AT_LAYERS + 8, PARCEL_MAP_MAX + 1, ERR_RANGE, "disk.map_len" },
	{ AT_FRONT_LEN, FRONT + 1, ERR_TRUNCATED, "front" },
	{ AT_FRONT_LEN, FRONT - 1, ERR_TRAILING, "" },
	{ AT_FRONT_LEN, (512 << 20) + 1, ERR_RANGE, "front" },
};

static void each_rule(void **state)
{
	uint8_t bytes[ROOM], again[ROOM];
	size_t n, len;

	(void)state;
	for (size_t i = 0; i < countof(rules); i++) {
		const struct rule *r = &rules[i];
		struct diag d = DIAG_INIT;
		err_t e;

		n = sample(bytes);
		for (int b = 0; b < 4; b++)
			bytes[r->at + (size_t)b] = (uint8_t)(r->value >> 8 * b);
		e = judge(bytes, n, &d, again, &len);
		if (e.code != r->code || strstr(d.text, r->words) == NULL)
			fail_msg("rule %zu: %s: \"%s\"", i, err_name(e.code), d.text);
		assert_string_equal(d.section, "parcel");
	}
}

/* What is taken for a parcel is one: it says the same when it is written again. */
static void every_byte(void **state)
{
	static const uint8_t change[] = { 0x01, 0x80, 0xFF, 0x40 };
	uint8_t bytes[ROOM], again[ROOM];
	size_t n = sample(bytes), len, taken = 0;

	(void)state;
	for (size_t at = 0; at < n; at++) {
		for (size_t c = 0; c < countof(change); c++) {
			struct diag d = DIAG_INIT;

			bytes[at] ^= change[c];
			if (failed(judge(bytes, n, &d, again, &len))) {
				assert_true(d.text[0] != '\0');
			} else {
				taken++;
				assert_int_equal(len, n);
				assert_memory_equal(again, bytes, n);
			}
			bytes[at] ^= change[c];
		}
	}
	/* Numbers that are for others to judge; not most of it. */
	assert_in_range(taken, 1, 4 * n - 100);
}

static void every_length(void **state)
{
	uint8_t bytes[ROOM], again[ROOM];
	size_t n = sample(bytes), len;
	struct diag d;

	(void)state;
	for (size_t cut = 0; cut < n; cut++) {
		d = DIAG_INIT;
		assert_true(failed(judge(bytes, cut, &d, again, &len)));
	}
	d = DIAG_INIT;
	bytes[n] = 0;
	assert_int_equal(judge(bytes, n + 1, &d, again, &len).code, ERR_TRAILING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back), cmocka_unit_test(nothing_and_as_much_as_can_be),
		cmocka_unit_test(each_rule),      cmocka_unit_test(every_byte),
		cmocka_unit_test(every_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

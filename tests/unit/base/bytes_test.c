/* SPDX-License-Identifier: Apache-2.0 */
/* The cursor and the bounded buffer: little-endian on any host, no byte beyond either end, and
 * nothing moved by a read that failed. */
#include <string.h>

#include "base/bytes.h"
#include "support/test.h"

#define assert_code(e, expected) assert_int_equal((e).code, (expected))

static const uint8_t counted[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static void numbers_are_little_endian(void **state)
{
	struct cur c = cur_of(counted, sizeof counted);
	uint8_t a;
	uint16_t b;
	uint32_t d;
	uint64_t e;

	(void)state;
	assert_code(cur_u8(&c, &a), ERR_NONE);
	assert_code(cur_u16(&c, &b), ERR_NONE);
	assert_code(cur_u32(&c, &d), ERR_NONE);
	assert_code(cur_u64(&c, &e), ERR_NONE);
	assert_int_equal(a, 0x01);
	assert_int_equal(b, 0x0302);
	assert_int_equal(d, 0x07060504);
	assert_true(e == UINT64_C(0x0f0e0d0c0b0a0908));
	assert_code(cur_done(&c), ERR_NONE);
}

/* At every length, a read succeeds exactly when its bytes are there; a failed one changes neither
 * the cursor nor the output. */
static void reads_stop_at_the_end(void **state)
{
	(void)state;
	for (size_t len = 0; len <= 9; len++) {
		uint8_t copy[9];
		struct cur start = cur_of(copy, len), c;
		uint64_t v64 = 77;
		uint32_t v32 = 77;
		uint16_t v16 = 77;
		uint8_t v8 = 77;

		memcpy(copy, counted, sizeof copy);
#define CHECK(call, value, size) do { \
		c = start; \
		if (len >= (size)) { \
			assert_code(call, ERR_NONE); \
			assert_int_equal(cur_left(&c), len - (size)); \
			assert_true((value) != 77); \
		} else { \
			assert_code(call, ERR_TRUNCATED); \
			assert_ptr_equal(c.at, start.at); \
			assert_true((value) == 77); \
		} \
	} while (0)
		CHECK(cur_u8(&c, &v8), v8, 1);
		CHECK(cur_u16(&c, &v16), v16, 2);
		CHECK(cur_u32(&c, &v32), v32, 4);
		CHECK(cur_u64(&c, &v64), v64, 8);
#undef CHECK
	}
}

static void a_length_near_the_top_does_not_wrap(void **state)
{
	struct cur c = cur_of(counted, sizeof counted), box = { NULL, NULL };

	(void)state;
	assert_code(cur_take(&c, SIZE_MAX, &box), ERR_TRUNCATED);
	assert_code(cur_take(&c, SIZE_MAX - 7, &box), ERR_TRUNCATED);
	assert_code(cur_zero(&c, SIZE_MAX), ERR_TRUNCATED);
	assert_null(box.at);
	assert_int_equal(cur_left(&c), sizeof counted);
}

static void a_box_ends_where_it_was_cut(void **state)
{
	struct cur c = cur_of(counted, sizeof counted), box;
	uint32_t v;
	uint8_t b;

	(void)state;
	assert_code(cur_take(&c, 5, &box), ERR_NONE);
	assert_int_equal(cur_left(&box), 5);
	assert_int_equal(cur_left(&c), sizeof counted - 5);
	assert_code(cur_u32(&box, &v), ERR_NONE);
	assert_code(cur_u32(&box, &v), ERR_TRUNCATED);
	assert_code(cur_done(&box), ERR_TRAILING);
	assert_code(cur_u8(&box, &b), ERR_NONE);
	assert_code(cur_done(&box), ERR_NONE);
	assert_code(cur_u8(&c, &b), ERR_NONE);
	assert_int_equal(b, 6);
}

static void bytes_are_copied_out(void **state)
{
	struct cur c = cur_of(counted, sizeof counted);
	uint8_t got[4] = { 0 };

	(void)state;
	assert_code(cur_bytes(&c, got, sizeof got), ERR_NONE);
	assert_memory_equal(got, counted, sizeof got);
	assert_code(cur_bytes(&c, NULL, 0), ERR_NONE);
	assert_int_equal(cur_left(&c), sizeof counted - 4);
}

/* Wherever one byte is set, it is found, and the cursor stays. */
static void reserved_bytes_are_zero(void **state)
{
	(void)state;
	for (size_t set = 0; set < 12; set++) {
		uint8_t bytes[12] = { 0 };
		struct cur c = cur_of(bytes, sizeof bytes);

		bytes[set] = 0x80;
		assert_code(cur_zero(&c, 12), ERR_RESERVED);
		assert_int_equal(cur_left(&c), 12);
		assert_code(cur_zero(&c, set), ERR_NONE);
		assert_int_equal(cur_left(&c), 12 - set);
		assert_code(cur_zero(&c, 13), ERR_TRUNCATED);
	}
}

static void nothing_is_a_cursor_too(void **state)
{
	struct cur c = cur_of(NULL, 0), box;
	uint8_t b;

	(void)state;
	assert_code(cur_done(&c), ERR_NONE);
	assert_code(cur_take(&c, 0, &box), ERR_NONE);
	assert_code(cur_zero(&c, 0), ERR_NONE);
	assert_code(cur_u8(&c, &b), ERR_TRUNCATED);
}

static void every_take_is_a_step(void **state)
{
	struct cur c = cur_of(counted, sizeof counted), box;
	uint64_t before = bytes_steps();
	uint32_t v;

	(void)state;
	assert_code(cur_u32(&c, &v), ERR_NONE);
	assert_code(cur_take(&c, 2, &box), ERR_NONE);
	assert_code(cur_take(&c, 100, &box), ERR_TRUNCATED);
	assert_true(bytes_steps() - before == 3);
}

static void what_is_written_is_read_back(void **state)
{
	uint8_t buffer[32];
	struct out o = out_of(buffer, sizeof buffer);
	struct cur c;
	uint8_t a;
	uint16_t b;
	uint32_t d;
	uint64_t e;

	(void)state;
	memset(buffer, 0xff, sizeof buffer);
	out_u8(&o, 0x81);
	out_u16(&o, 0x8283);
	out_u32(&o, 0x84858687);
	out_u64(&o, UINT64_C(0x88898a8b8c8d8e8f));
	out_bytes(&o, counted, 3);
	out_align(&o, 8); /* 18 -> 24 */
	out_align(&o, 8); /* nothing to do */
	assert_code(out_done(&o), ERR_NONE);
	assert_int_equal(o.len, 24);

	c = cur_of(buffer, o.len);
	assert_code(cur_u8(&c, &a), ERR_NONE);
	assert_code(cur_u16(&c, &b), ERR_NONE);
	assert_code(cur_u32(&c, &d), ERR_NONE);
	assert_code(cur_u64(&c, &e), ERR_NONE);
	assert_int_equal(a, 0x81);
	assert_int_equal(b, 0x8283);
	assert_true(d == 0x84858687);
	assert_true(e == UINT64_C(0x88898a8b8c8d8e8f));
	assert_memory_equal(c.at, counted, 3);
	c.at += 3;
	assert_code(cur_zero(&c, 6), ERR_NONE);
	assert_code(cur_done(&c), ERR_NONE);
	assert_int_equal(buffer[24], 0xff);
}

/* One byte too few, by each writer: no byte beyond the buffer, none of it partly written, and the
 * failure stays even when something small would have fitted later. */
static void writers_stop_at_the_end(void **state)
{
	(void)state;
	for (int which = 0; which < 6; which++) {
		static const size_t sizes[] = { 1, 2, 4, 8, 5, 5 };
		uint8_t buffer[16];
		struct out o = out_of(buffer, sizes[which] - 1);

		memset(buffer, 0xee, sizeof buffer);
		switch (which) {
		case 0: out_u8(&o, 1); break;
		case 1: out_u16(&o, 1); break;
		case 2: out_u32(&o, 1); break;
		case 3: out_u64(&o, 1); break;
		case 4: out_bytes(&o, counted, 5); break;
		case 5: out_zero(&o, 5); break;
		}
		assert_int_equal(o.len, 0);
		assert_code(out_done(&o), ERR_SIZE);
		o.cap = sizeof buffer;
		out_u8(&o, 1);
		assert_code(out_done(&o), ERR_SIZE);
		for (size_t i = 0; i < sizeof buffer; i++)
			assert_int_equal(buffer[i], 0xee);
	}
}

static void a_writer_without_room_accepts_nothing(void **state)
{
	struct out o = out_of(NULL, 0);

	(void)state;
	out_bytes(&o, NULL, 0);
	out_zero(&o, 0);
	out_align(&o, 4096);
	assert_code(out_done(&o), ERR_NONE);
	out_bytes(&o, counted, SIZE_MAX);
	assert_code(out_done(&o), ERR_SIZE);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_little_endian),
		cmocka_unit_test(reads_stop_at_the_end),
		cmocka_unit_test(a_length_near_the_top_does_not_wrap),
		cmocka_unit_test(a_box_ends_where_it_was_cut),
		cmocka_unit_test(bytes_are_copied_out),
		cmocka_unit_test(reserved_bytes_are_zero),
		cmocka_unit_test(nothing_is_a_cursor_too),
		cmocka_unit_test(every_take_is_a_step),
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(writers_stop_at_the_end),
		cmocka_unit_test(a_writer_without_room_accepts_nothing),
	};

	return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The layer that names fields: limits, strings, counts, and what a refusal says. */
#include <stdlib.h>
#include <string.h>

#include "support/test.h"
#include "wire/field.h"

static const struct { const char *bytes; size_t n; bool ok; } texts[] = {
	{ "", 0, true },
	{ "plain", 5, true },
	{ "\xC2\x80\xDF\xBF", 4, true },
	{ "\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF", 12, true },
	{ "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", 8, true },
	{ "a\0b", 3, false },             /* NUL */
	{ "\x80", 1, false },             /* nothing to continue */
	{ "\xC0\x80", 2, false },         /* overlong */
	{ "\xC1\xBF", 2, false },
	{ "\xE0\x9F\xBF", 3, false },
	{ "\xF0\x8F\xBF\xBF", 4, false },
	{ "\xED\xA0\x80", 3, false },     /* surrogates */
	{ "\xED\xBF\xBF", 3, false },
	{ "\xF4\x90\x80\x80", 4, false }, /* above U+10FFFF */
	{ "\xF5\x80\x80\x80", 4, false },
	{ "\xFF", 1, false },
	{ "\xC3", 1, false },             /* cut short */
	{ "\xE2\x82", 2, false },
	{ "\xF0\x9F\x98", 3, false },
	{ "\xC3(", 2, false },            /* continued by something else */
	{ "\xE2\x82(", 3, false },
	{ "\xF0\x9F\x98(", 4, false },
};

static void utf8_is_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < countof(texts); i++) {
		/* Exactly its bytes, so that a sanitizer sees one too far. */
		uint8_t *copy = malloc(texts[i].n + 1);

		assert_non_null(copy);
		memcpy(copy, texts[i].bytes, texts[i].n);
		if (utf8_ok(copy, texts[i].n) != texts[i].ok)
			fail_msg("text %zu", i);
		free(copy);
	}
}

static void limits_are_kept_and_named(void **state)
{
	const uint8_t bytes[] = { 7, 0, 8, 0 };
	struct diag d = DIAG_INIT;
	struct fields f = fields_of(cur_of(bytes, sizeof bytes), "place", &d);
	uint16_t v = 99;

	(void)state;
	assert_int_equal(field_u16(&f, "first", 7, &v).code, ERR_NONE);
	assert_int_equal(v, 7);
	assert_int_equal(field_u16(&f, "second", 7, &v).code, ERR_RANGE);
	assert_int_equal(v, 7);
	assert_string_equal(d.section, "place");
	assert_string_equal(d.field, "second");
	assert_true(d.has_offset);
	assert_int_equal(d.offset, 2);
	assert_non_null(strstr(d.text, "is 8, expected at most 7"));
}

static void widths_and_signs(void **state)
{
	static const uint8_t bytes[] = {
		0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, /* -2 */
		1, 2, 3, 4, 5, 6, 7, 8, 0xF1, 0xF2, 0xF3, 0xF4, 1, 2, 0xAA,
	};
	struct fields f = fields_of(cur_of(bytes, sizeof bytes), "place", NULL);
	int64_t i;
	uint64_t u64;
	uint32_t u32;
	bool b;
	uint8_t u8;

	(void)state;
	assert_int_equal(field_i64(&f, "i", &i).code, ERR_NONE);
	assert_true(i == -2);
	assert_int_equal(field_u64(&f, "u", UINT64_MAX, &u64).code, ERR_NONE);
	assert_int_equal(u64, UINT64_C(0x0807060504030201));
	assert_int_equal(field_u32(&f, "w", UINT32_MAX, &u32).code, ERR_NONE);
	assert_int_equal(u32, 0xF4F3F2F1u);
	assert_int_equal(field_bool(&f, "b", &b).code, ERR_NONE);
	assert_true(b);
	assert_int_equal(field_bool(&f, "b", &b).code, ERR_RANGE);
	assert_int_equal(field_u8(&f, "c", UINT8_MAX, &u8).code, ERR_NONE);
	assert_int_equal(u8, 0xAA);
	assert_int_equal(field_u8(&f, "c", UINT8_MAX, &u8).code, ERR_TRUNCATED);
	assert_int_equal(field_i64(&f, "i", &i).code, ERR_TRUNCATED);
	assert_int_equal(field_bool(&f, "b", &b).code, ERR_TRUNCATED);
	assert_int_equal(field_done(&f).code, ERR_NONE);
}

static void reserved_bytes_are_zero(void **state)
{
	const uint8_t bytes[] = { 0, 0, 0, 1 };
	struct fields f = fields_of(cur_of(bytes, sizeof bytes), "place", NULL);

	(void)state;
	assert_int_equal(field_reserved(&f, 0).code, ERR_NONE);
	assert_int_equal(field_reserved(&f, 3).code, ERR_NONE);
	assert_int_equal(field_done(&f).code, ERR_TRAILING);
	assert_int_equal(field_reserved(&f, 1).code, ERR_RESERVED);
	assert_int_equal(field_reserved(&f, 1).code, ERR_TRUNCATED);
}

static void counts_fit_what_is_left(void **state)
{
	const uint8_t bytes[] = { 2, 0, 0, 0, 'a', 'b', 'c', 'd' };
	struct cur in = cur_of(bytes, sizeof bytes);
	uint32_t n = 77;

	(void)state;
	for (size_t each = 1; each <= 3; each++) {
		struct fields f = fields_of(in, "place", NULL);

		assert_int_equal(field_count(&f, "n", 9, each, &n).code,
				 each <= 2 ? ERR_NONE : ERR_TRUNCATED);
		assert_int_equal(n, 2);
	}
	struct fields f = fields_of(in, "place", NULL);

	assert_int_equal(field_count(&f, "n", 1, 1, &n).code, ERR_RANGE);
}

static void strings_end_and_fit(void **state)
{
	uint8_t bytes[32];
	struct out o = out_of(bytes, sizeof bytes);
	char text[4] = "old";
	struct fields f;

	(void)state;
	out_string(&o, "abc");
	out_string(&o, "");
	out_string(&o, "abcd");
	f = fields_of(cur_of(bytes, o.len), "place", NULL);
	assert_int_equal(field_string(&f, "s", text, sizeof text).code, ERR_NONE);
	assert_string_equal(text, "abc");
	assert_int_equal(field_string(&f, "s", text, sizeof text).code, ERR_NONE);
	assert_string_equal(text, "");
	assert_int_equal(field_string(&f, "s", text, sizeof text).code, ERR_RANGE);
	assert_int_equal(field_string(&f, "s", text, sizeof text).code, ERR_RANGE);
}

static void a_string_too_long_to_write_sticks(void **state)
{
	char *text = malloc(UINT16_MAX + 2);
	uint8_t bytes[8];
	struct out o = out_of(bytes, sizeof bytes);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', UINT16_MAX + 1);
	text[UINT16_MAX + 1] = '\0';
	out_string(&o, text);
	assert_int_equal(out_done(&o).code, ERR_SIZE);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_is_judged),
		cmocka_unit_test(limits_are_kept_and_named),
		cmocka_unit_test(widths_and_signs),
		cmocka_unit_test(reserved_bytes_are_zero),
		cmocka_unit_test(counts_fit_what_is_left),
		cmocka_unit_test(strings_end_and_fit),
		cmocka_unit_test(a_string_too_long_to_write_sticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

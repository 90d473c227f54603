/* SPDX-License-Identifier: Apache-2.0 */
/* Text that is not trusted: what is left of it is UTF-8 without control characters, and as it was if that is
 * what it was. */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#include "support/test.h"

enum { ROOM = 512 };

static void each(void **state)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "", "" }, { "plain text", "plain text" },
		{ "a\nb\tc\033[31m\177", "a?b?c?[31m?" },
		{ "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x8D\x84", "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x8D\x84" },
		{ "\xC2\x80|\xC2\x9B" "31m|\xC2\x9F|\xC2\xA0", "?|?31m|?|\xC2\xA0" },      /* C1, and what follows it */
		{ "\x9B" "31m", "?31m" },                                                   /* as one byte */
		{ "\xC0\x80|\xC1\xBF|\xE0\x9F\xBF|\xF0\x8F\xBF\xBF", "??|??|???|????" },     /* longer than need be */
		{ "\xED\x9F\xBF|\xED\xA0\x80|\xED\xBF\xBF|\xEE\x80\x80", "\xED\x9F\xBF|???|???|\xEE\x80\x80" }, /* surrogates */
		{ "\xF4\x8F\xBF\xBF|\xF4\x90\x80\x80|\xF5\x80\x80\x80|\xFF", "\xF4\x8F\xBF\xBF|????|????|?" },
		{ "\xC3", "?" }, { "\xE2\x82", "??" }, { "\xF0\x9F\x8D", "???" },            /* cut */
		{ "\xC3" "a\xE2\x82" "b\xF0\x9F\x8D" "c", "?a??b???c" },
		{ "\xE2\xC3\xBC", "?\xC3\xBC" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[ROOM];

		(void)snprintf(text, sizeof text, "%s", rows[i].in);
		text_clean(text, sizeof text);
		assert_string_equal(text, rows[i].out);
		text_clean(text, sizeof text);
		assert_string_equal(text, rows[i].out);
	}
}

/* At every length: never in the middle of a character, and no shorter than need be. */
static void cut(void **state)
{
	static const char full[] = "x\xC3\xBC\xE2\x82\xAC\xF0\x9F\x8D\x84y";
	static const size_t ends[] = { 0, 1, 3, 6, 10, 11 };

	(void)state;
	for (size_t cap = 1; cap <= sizeof full; cap++) {
		size_t best = 0;
		char text[sizeof full], again[sizeof full];

		for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
			best = ends[i] < cap ? ends[i] : best;
		memcpy(text, full, sizeof full);
		text_clean(text, cap);
		assert_int_equal(strlen(text), best);
		(void)snprintf(again, cap, "%s", full);
		text_trim(again, cap);
		assert_string_equal(again, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each), cmocka_unit_test(cut),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}

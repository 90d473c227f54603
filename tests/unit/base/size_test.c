/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes as people type them. */
#include "base/size.h"

#include <string.h>

#include "support/test.h"

static void accepted(void **state)
{
	static const struct { const char *text; uint64_t bytes; } rows[] = {
		{ "0", 0 }, { "1", 1 }, { "65536", 65536 }, { "007", 7 },
		{ "1K", 1024 }, { "1k", 1024 }, { "1KiB", 1024 },
		{ "128M", 134217728 }, { "128m", 134217728 }, { "128MiB", 134217728 },
		{ "1G", 1073741824 }, { "1g", 1073741824 }, { "3GiB", 3221225472 },
		{ "1T", 1099511627776 }, { "1TiB", 1099511627776 }, { "0T", 0 },
		{ "18446744073709551615", UINT64_MAX },
		{ "16777215T", UINT64_C(16777215) << 40 },
	};

	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		struct diag d = DIAG_INIT;
		bytes_t v = BYTES(12345);

		if (failed(size_parse(rows[i].text, &d, &v)))
			fail_msg("'%s' refused: %s", rows[i].text, d.text);
		assert_int_equal(v.v, rows[i].bytes);
	}
}

static void refused(const char *text, const char *wrong)
{
	struct diag d = DIAG_INIT;
	bytes_t v = BYTES(12345);
	err_t e = size_parse(text, &d, &v);

	if (e.code != ERR_USAGE)
		fail_msg("'%s' gives %s", text, err_name(e.code));
	assert_int_equal(v.v, 12345);
	if (strstr(d.text, wrong) == NULL)
		fail_msg("'%s' gives: %s", text, d.text);
}

static void not_understood(void **state)
{
	static const char *const texts[] = {
		"", "K", "M", "-1", "+1", " 1", "1 ", "1 M", "1.5G", "1e3", "0x10", "1B", "1MB", "1kB",
		"1Mi", "1mib", "1MIB", "1MiBs", "1KK", "1P", "one", "1\n", "1Ki B", "1@", "1L",
	};

	(void)state;
	for (size_t i = 0; i < countof(texts); i++)
		refused(texts[i], "is not understood");
}

static void too_large(void **state)
{
	static const char *const texts[] = {
		"18446744073709551616", "18446744073709551620", "99999999999999999999999999",
		"18014398509481984K", "17592186044416M", "17179869184G", "16777216T",
		"184467440737095516160K",
	};

	(void)state;
	for (size_t i = 0; i < countof(texts); i++)
		refused(texts[i], "is too large");
}

static void long_text_is_cut(void **state)
{
	struct diag d = DIAG_INIT;
	char text[1000];
	bytes_t v;

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	assert_int_equal(size_parse(text, &d, &v).code, ERR_USAGE);
	assert_non_null(strstr(d.text, "for example 128M"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted),
		cmocka_unit_test(not_understood),
		cmocka_unit_test(too_large),
		cmocka_unit_test(long_text_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

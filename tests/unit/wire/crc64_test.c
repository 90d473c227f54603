/* SPDX-License-Identifier: Apache-2.0 */
/* The checksum of the format: pinned, because files depend on it. */
#include <string.h>

#include "support/test.h"
#include "wire/sections.h"

static void check_value(void **state)
{
	(void)state;
	assert_int_equal(crc64("123456789", 9), UINT64_C(0x6C40DF5F0B497347));
}

static void empty_and_zero_are_zero(void **state)
{
	static const uint8_t zero[4096];

	(void)state;
	assert_int_equal(crc64(zero, 0), 0);
	assert_int_equal(crc64(zero, sizeof zero), 0);
}

/* The definition, bit by bit. */
static uint64_t slow(const uint8_t *p, size_t n)
{
	uint64_t crc = 0;

	for (size_t i = 0; i < n; i++) {
		crc ^= (uint64_t)p[i] << 56;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 63 ? crc << 1 ^ UINT64_C(0x42F0E1EBA9EA3693) : crc << 1;
	}
	return crc;
}

static void agrees_with_the_definition(void **state)
{
	static uint8_t bytes[5000];

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 167 + i / 3);
	for (size_t n = 0; n < 600; n++)
		assert_int_equal(crc64(bytes + n % 7, n), slow(bytes + n % 7, n));
	assert_int_equal(crc64(bytes, sizeof bytes), slow(bytes, sizeof bytes));
}

static void goes_on_where_it_stopped(void **state)
{
	const char *text = "header, eight zero bytes, and the table";
	size_t n = strlen(text);

	(void)state;
	for (size_t cut = 0; cut <= n; cut++)
		assert_int_equal(crc64_more(crc64(text, cut), text + cut, n - cut), crc64(text, n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_value),
		cmocka_unit_test(empty_and_zero_are_zero),
		cmocka_unit_test(agrees_with_the_definition),
		cmocka_unit_test(goes_on_where_it_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: what is the guest's and what is ours, however the bytes are cut into reads. */
#include "edge/cli/tty.h"

#include <string.h>

#include "base/check.h"
#include "support/test.h"

#define A "\001"

static const struct {
	const char *typed, *guest;
	enum key_action action; /* the first */
	size_t used;
} rows[] = {
	{ "abc", "abc", KEY_NONE, 3 },
	{ A "x", "", KEY_STOP, 2 },
	{ "ab" A "xcd", "ab", KEY_STOP, 4 },
	{ A "d", "", KEY_DETACH, 2 },
	{ A "h", "", KEY_HELP, 2 },
	{ A "?", "", KEY_HELP, 2 },
	{ A "a", A, KEY_NONE, 2 },
	{ A A, A, KEY_NONE, 2 },
	{ A A A "x", A, KEY_STOP, 4 },
	{ A "q", A "q", KEY_NONE, 2 },
	{ "x" A, "x", KEY_NONE, 2 },
};

static void at_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		struct keys k = { false };
		uint8_t out[32];
		size_t n, used;

		assert_int_equal(keys_filter(&k, (const uint8_t *)rows[i].typed,
					     strlen(rows[i].typed), out, &n, &used),
				 rows[i].action);
		assert_int_equal(used, rows[i].used);
		assert_int_equal(n, strlen(rows[i].guest));
		assert_memory_equal(out, rows[i].guest, n);
	}
}

static void byte_by_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < countof(rows); i++) {
		struct keys k = { false };
		uint8_t out[32];
		enum key_action action = KEY_NONE;
		size_t all = 0, n, used;

		for (size_t b = 0; b < rows[i].used; b++) {
			action = keys_filter(&k, (const uint8_t *)rows[i].typed + b, 1, out + all,
					     &n, &used);
			assert_int_equal(used, 1);
			all += n;
		}
		assert_int_equal(action, rows[i].action);
		assert_int_equal(all, strlen(rows[i].guest));
		assert_memory_equal(out, rows[i].guest, all);
	}
}

/* Ctrl-A at the end of one read and another key in the next: one byte more comes out than went in,
 * and never more than that. */
static void room(void **state)
{
	struct keys k = { true };
	uint8_t out[3] = { 0, 0, 0xEE };
	size_t n, used;

	(void)state;
	assert_int_equal(keys_filter(&k, (const uint8_t *)"q", 1, out, &n, &used), KEY_NONE);
	assert_int_equal(n, 2);
	assert_int_equal(out[2], 0xEE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_once),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

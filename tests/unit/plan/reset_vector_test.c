/* SPDX-License-Identifier: Apache-2.0 */
/* The code at the reset vector, byte for byte; tests/suites/200-acpi-reset.py runs it. */
#include "plan/reset_vector.h"

#include "support/test.h"

static void code_by_hand(void **state)
{
	static const uint8_t want[16] = {
		0xFA, 0xBA, 0x00, 0x06, 0xB0, 0x01, 0xEE, 0xF4, 0xEB, 0xFD, 0, 0, 0, 0, 0, 0,
	};
	uint8_t bytes[17];
	struct out o = out_of(bytes, sizeof bytes);

	(void)state;
	reset_vector_plan(&o);
	assert_int_equal(o.len, sizeof want);
	assert_memory_equal(bytes, want, sizeof want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(code_by_hand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

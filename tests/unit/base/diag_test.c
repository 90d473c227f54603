/* SPDX-License-Identifier: Apache-2.0 */
/* The sentence for people: the first cause wins, too long a one is cut and stays a string. */
#include <errno.h>
#include <string.h>

#include "base/diag.h"
#include "support/test.h"

static void says_and_passes_on(void **state)
{
	struct diag d = DIAG_INIT;
	err_t e = diag_fail(&d, FAIL(ERR_RANGE), "%d is more than %d", 7, 5);

	(void)state;
	assert_int_equal(e.code, ERR_RANGE);
	assert_string_equal(d.text, "7 is more than 5");
	assert_null(d.section);
	assert_null(d.field);
	assert_false(d.has_offset);
}

static void the_first_cause_wins(void **state)
{
	struct diag d = DIAG_INIT;

	(void)state;
	ignore(diag_field(&d, FAIL(ERR_RANGE), "topology", "queues", "is %u", 9));
	assert_int_equal(diag_fail(&d, FAIL(ERR_CONFIG), "later").code, ERR_CONFIG);
	assert_int_equal(diag_field(&d, FAIL(ERR_SIZE), "x", "y", "later").code, ERR_SIZE);
	assert_int_equal(diag_sys(&d, FAIL_SYS(EIO), "later").sys, EIO);
	diag_offset(&d, 4096);
	diag_offset(&d, 8192);
	assert_string_equal(d.text, "topology.queues: is 9");
	assert_string_equal(d.section, "topology");
	assert_string_equal(d.field, "queues");
	assert_true(d.has_offset);
	assert_int_equal(d.offset, 4096);
}

static void the_system_is_quoted(void **state)
{
	struct diag d = DIAG_INIT;
	err_t e = diag_sys(&d, FAIL_SYS(ENOSPC), "cannot write %s", "a.snap");

	(void)state;
	assert_int_equal(e.sys, ENOSPC);
	assert_string_equal(d.text, "cannot write a.snap: No space left on device");
}

static void a_name_goes_in_front(void **state)
{
	struct diag d = DIAG_INIT;

	(void)state;
	ignore(diag_fail(&d, FAIL(ERR_MAGIC), "is not a snapshot"));
	diag_prefix(&d, "a.snap");
	assert_string_equal(d.text, "a.snap: is not a snapshot");
	diag_prefix(&d, "restore");
	assert_string_equal(d.text, "restore: a.snap: is not a snapshot");
}

/* A prefix costs what it is long, not more: the end of the cause is what people need. */
static void a_prefix_leaves_the_cause(void **state)
{
	struct diag d = DIAG_INIT;
	char cause[401];

	(void)state;
	memset(cause, 'c', sizeof cause - 1);
	cause[sizeof cause - 1] = '\0';
	ignore(diag_fail(&d, FAIL(ERR_MAGIC), "%s", cause));
	diag_prefix(&d, "a.snap");
	assert_int_equal(strlen(d.text), 400 + 8);
	assert_memory_equal(d.text, "a.snap: ccc", 11);
}

static void what_is_too_long_is_cut(void **state)
{
	struct diag d = DIAG_INIT;
	char many[2000];

	(void)state;
	memset(many, 'm', sizeof many - 1);
	many[sizeof many - 1] = '\0';
	ignore(diag_fail(&d, FAIL(ERR_MAGIC), "%s", many));
	assert_int_equal(strlen(d.text), sizeof d.text - 1);
	diag_prefix(&d, many);
	assert_true(strlen(d.text) < sizeof d.text);
	d = DIAG_INIT;
	ignore(diag_sys(&d, FAIL_SYS(EIO), "%s", many));
	assert_int_equal(strlen(d.text), sizeof d.text - 1);
	d = DIAG_INIT;
	ignore(diag_field(&d, FAIL(ERR_SIZE), "section", "field", "%s", many));
	assert_int_equal(strlen(d.text), sizeof d.text - 1);
}

/* Between two characters: it is shown, and said in JSON. */
static void it_is_cut_between_characters(void **state)
{
	struct diag d = DIAG_INIT;
	char many[2000] = "";

	(void)state;
	for (size_t i = 0; i + 4 < sizeof many; i += 3)
		memcpy(many + i, "\xE2\x82\xAC", 4);
	for (int before = 0; before < 3; before++) {
		d = DIAG_INIT;
		ignore(diag_fail(&d, FAIL(ERR_MAGIC), "%.*s%s", before, "ab", many));
		assert_int_equal((strlen(d.text) - (size_t)before) % 3, 0);
		diag_prefix(&d, "x");
		assert_int_equal((strlen(d.text) - 3 - (size_t)before) % 3, 0);
		assert_true(strlen(d.text) > sizeof d.text - 4);
	}
}

static void nobody_has_to_listen(void **state)
{
	(void)state;
	assert_int_equal(diag_fail(NULL, FAIL(ERR_RANGE), "x").code, ERR_RANGE);
	assert_int_equal(diag_field(NULL, FAIL(ERR_SIZE), "a", "b", "x").code, ERR_SIZE);
	assert_int_equal(diag_sys(NULL, FAIL_SYS(EIO), "x").sys, EIO);
	diag_prefix(NULL, "x");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_and_passes_on),
		cmocka_unit_test(the_first_cause_wins),
		cmocka_unit_test(the_system_is_quoted),
		cmocka_unit_test(a_name_goes_in_front),
		cmocka_unit_test(a_prefix_leaves_the_cause),
		cmocka_unit_test(what_is_too_long_is_cut),
		cmocka_unit_test(it_is_cut_between_characters),
		cmocka_unit_test(nobody_has_to_listen),
	};

	return cmocka_run_group_tests_name("diag", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The error table: numbers are pinned for ever, classes decide the exit status. */
#include "base/err.h"
#include "support/test.h"

/* What programs and files may rely on. A row here is never changed, only added. */
static const struct { enum err_code code; int number; const char *name; } pinned[] = {
	{ ERR_NONE, 0, "NONE" },
	{ ERR_SYS, 1, "SYS" },
	{ ERR_NOMEM, 2, "NOMEM" },
	{ ERR_KVM, 3, "KVM" },
	{ ERR_GUEST_MEMORY, 4, "GUEST_MEMORY" },
	{ ERR_RAM_LOST, 5, "RAM_LOST" },
	{ ERR_INTERNAL, 6, "INTERNAL" },
	{ ERR_REMOTE, 7, "REMOTE" },
	{ ERR_USAGE, 10, "USAGE" },
	{ ERR_STATE, 11, "STATE" },
	{ ERR_CONFIG, 12, "CONFIG" },
	{ ERR_NOT_FOUND, 13, "NOT_FOUND" },
	{ ERR_EXISTS, 14, "EXISTS" },
	{ ERR_TRUNCATED, 20, "TRUNCATED" },
	{ ERR_MAGIC, 21, "MAGIC" },
	{ ERR_VERSION, 22, "VERSION" },
	{ ERR_ARCH, 23, "ARCH" },
	{ ERR_CHECKSUM, 24, "CHECKSUM" },
	{ ERR_RANGE, 25, "RANGE" },
	{ ERR_RESERVED, 26, "RESERVED" },
	{ ERR_LAYOUT, 27, "LAYOUT" },
	{ ERR_DUPLICATE, 28, "DUPLICATE" },
	{ ERR_MISSING, 29, "MISSING" },
	{ ERR_ORDER, 30, "ORDER" },
	{ ERR_SIZE, 31, "SIZE" },
	{ ERR_TRAILING, 32, "TRAILING" },
	{ ERR_TOPOLOGY, 33, "TOPOLOGY" },
	{ ERR_DEVICE, 34, "DEVICE" },
	{ ERR_KERNEL, 35, "KERNEL" },
	{ ERR_DECOMPRESS, 36, "DECOMPRESS" },
	{ ERR_DISK, 37, "DISK" },
	{ ERR_CHANGED, 38, "CHANGED" },
	{ ERR_LOCKED, 39, "LOCKED" },
	{ ERR_JSON, 40, "JSON" },
	{ ERR_FILE, 41, "FILE" },
	{ ERR_NO_KVM, 60, "NO_KVM" },
	{ ERR_KVM_ACCESS, 61, "KVM_ACCESS" },
	{ ERR_KVM_SOFTWARE, 62, "KVM_SOFTWARE" },
	{ ERR_KVM_CAP, 63, "KVM_CAP" },
	{ ERR_CPU_FEATURE, 64, "CPU_FEATURE" },
	{ ERR_HOST_MEMORY, 65, "HOST_MEMORY" },
	{ ERR_HOST_PACKAGE, 66, "HOST_PACKAGE" },
	{ ERR_JAIL, 67, "JAIL" },
};

static void numbers_and_names_are_pinned(void **state)
{
	(void)state;
	for (size_t i = 0; i < countof(pinned); i++) {
		assert_int_equal(pinned[i].code, pinned[i].number);
		assert_string_equal(err_name(pinned[i].code), pinned[i].name);
	}
}

static void every_code_is_pinned_here(void **state)
{
	size_t codes = 0;

	(void)state;
#define X(name, number, class, text) codes++;
	ERR_CODES(X)
#undef X
	assert_int_equal(codes, countof(pinned));
}

static void the_class_follows_the_number(void **state)
{
	(void)state;
	for (size_t i = 0; i < countof(pinned); i++) {
		int n = pinned[i].number;
		enum err_class expected = n == 0 ? ERR_CLASS_NONE :
					  n < 10 ? ERR_CLASS_MONITOR :
					  n < 20 ? ERR_CLASS_USAGE :
					  n < 60 ? ERR_CLASS_INPUT : ERR_CLASS_HOST;

		assert_int_equal(err_class_of(pinned[i].code), expected);
	}
}

static void every_code_has_a_text_of_its_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < countof(pinned); i++) {
		const char *text = err_text(pinned[i].code);

		assert_true(text[0] != '\0');
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(text, err_text(pinned[j].code));
	}
}

static void a_number_without_a_row_is_told_apart(void **state)
{
	(void)state;
	assert_string_equal(err_name((enum err_code)999), "UNKNOWN");
	assert_string_equal(err_text((enum err_code)999), "unknown error");
	assert_int_equal(err_class_of((enum err_code)999), ERR_CLASS_MONITOR);
}

static err_t twice(int *calls, err_t first)
{
	*calls += 1;
	TRY(first);
	*calls += 1;
	return OK;
}

static void try_returns_on_failure_only(void **state)
{
	int calls = 0;
	err_t e;

	(void)state;
	e = twice(&calls, FAIL_SYS(28));
	assert_int_equal(calls, 1);
	assert_int_equal(e.code, ERR_SYS);
	assert_int_equal(e.sys, 28);
	assert_true(failed(e));
	e = twice(&calls, OK);
	assert_int_equal(calls, 3);
	assert_false(failed(e));
	assert_int_equal(FAIL(ERR_RANGE).sys, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_and_names_are_pinned),
		cmocka_unit_test(every_code_is_pinned_here),
		cmocka_unit_test(the_class_follows_the_number),
		cmocka_unit_test(every_code_has_a_text_of_its_own),
		cmocka_unit_test(a_number_without_a_row_is_told_apart),
		cmocka_unit_test(try_returns_on_failure_only),
	};

	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}

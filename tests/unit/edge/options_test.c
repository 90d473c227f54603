/* SPDX-License-Identifier: Apache-2.0 */
/* The option parser: every kind of value, every way to write it, and what is refused. What it says
 * goes to standard error and is looked at by the suite of the command line. */
#include "edge/cli/options.h"

#include <stdio.h>
#include <string.h>

#include "support/test.h"

struct values {
	bool flag;
	const char *text;
	uint64_t size;
	uint32_t count;
	struct text_list list;
};

static const struct values defaults = { .count = 7 };

static const struct option options[] = {
	{ "flag", 'f', OPTION_FLAG, NULL, "", offsetof(struct values, flag) },
	{ "text", 't', OPTION_TEXT, "TEXT", "", offsetof(struct values, text) },
	{ "size", 0, OPTION_SIZE, "SIZE", "", offsetof(struct values, size) },
	{ "count", 0, OPTION_COUNT, "N", "", offsetof(struct values, count) },
	{ "list", 0, OPTION_LIST, "X", "", offsetof(struct values, list) },
};

static const struct command command = {
	.name = "test", .operand = "NAME", .operand_optional = true, .summary = "",
	.options = options, .n_options = countof(options), .defaults = &defaults,
	.size = sizeof defaults,
};

static struct {
	_Alignas(max_align_t) char values[VALUES_MAX];
	const char *operand;
	int status;
} got;

/* Reads a line of words with spaces between them. */
static bool reads(const char *line)
{
	static char copy[1024];
	char *argv[128], *save;
	int argc = 0;

	(void)snprintf(copy, sizeof copy, "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	got.operand = NULL;
	got.status = -1;
	memset(got.values, 0xAA, sizeof got.values);
	return options_read(&command, argc, argv, got.values, &got.operand, &got.status);
}

static const struct values *values(void)
{
	return (const struct values *)got.values;
}

static void nothing_given(void **state)
{
	(void)state;
	assert_true(reads(""));
	assert_memory_equal(values(), &defaults, sizeof defaults);
	assert_null(got.operand);
}

static void every_kind(void **state)
{
	(void)state;
	assert_true(reads("--flag --text a --size 3M --count 12 --list x --list y name"));
	assert_true(values()->flag);
	assert_string_equal(values()->text, "a");
	assert_int_equal(values()->size, 3 << 20);
	assert_int_equal(values()->count, 12);
	assert_int_equal(values()->list.n, 2);
	assert_string_equal(values()->list.v[1], "y");
	assert_string_equal(got.operand, "name");
}

static void every_way(void **state)
{
	(void)state;
	assert_true(reads("--text=a=b -f"));
	assert_string_equal(values()->text, "a=b");
	assert_true(values()->flag);
	assert_true(reads("-t x"));
	assert_string_equal(values()->text, "x");
	assert_true(reads("-tx"));
	assert_string_equal(values()->text, "x");
	assert_true(reads("--text --flag"));
	assert_string_equal(values()->text, "--flag");
	assert_true(reads("--text="));
	assert_string_equal(values()->text, "");
	assert_true(reads("-- --flag"));
	assert_string_equal(got.operand, "--flag");
	assert_false(values()->flag);
	assert_true(reads("-"));
	assert_string_equal(got.operand, "-");
}

static void refused(void **state)
{
	static const char *const lines[] = {
		"--foo", "--fla", "--flagg", "-x", "--flag=1", "-fx", "--text", "-t", "--flag --flag",
		"--text a -t b", "--count x", "--count=", "--count 4294967296", "--count -1",
		"--count 0x1", "--size x", "--size 1B", "--size 17179869184G", "a b", "-- a b", "--=",
	};

	(void)state;
	for (size_t i = 0; i < countof(lines); i++) {
		if (reads(lines[i]))
			fail_msg("accepted: %s", lines[i]);
		assert_int_equal(got.status, 2);
	}
}

static void lists_end(void **state)
{
	char line[1024] = "";

	(void)state;
	for (int i = 0; i < LIST_MAX; i++)
		(void)strncat(line, "--list x ", sizeof line - strlen(line) - 1);
	assert_true(reads(line));
	assert_int_equal(values()->list.n, LIST_MAX);
	(void)strncat(line, "--list x", sizeof line - strlen(line) - 1);
	assert_false(reads(line));
}

static void sizes(void **state)
{
	static const struct { const char *text; uint64_t bytes; } good[] = {
		{ "0", 0 }, { "1", 1 }, { "64K", 65536 }, { "128M", 134217728 },
		{ "5G", 5368709120 }, { "1T", 1099511627776 },
		{ "18446744073709551615", UINT64_MAX }, { "18014398509481983K", UINT64_MAX - 1023 },
	};
	static const char *const bad[] = {
		"", " 1", "+1", "-1", "1k", "1 M", "1MM", "M", "0x10", "1.5M",
		"18446744073709551616", "18014398509481984K", "16777216T",
	};
	uint64_t n = 42;

	(void)state;
	for (size_t i = 0; i < countof(good); i++) {
		assert_true(size_read(good[i].text, &n));
		assert_int_equal(n, good[i].bytes);
	}
	n = 42;
	for (size_t i = 0; i < countof(bad); i++) {
		if (size_read(bad[i], &n))
			fail_msg("accepted: '%s'", bad[i]);
		assert_int_equal(n, 42);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_given),
		cmocka_unit_test(every_kind),
		cmocka_unit_test(every_way),
		cmocka_unit_test(refused),
		cmocka_unit_test(lists_end),
		cmocka_unit_test(sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What people are told: one line per error, statuses, progress on terminals only. */
#include "edge/cli/say.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/text.h"
#include "support/test.h"

enum { END = 3 }; /* a byte that nobody says */

static int saved = -1, ours = -1, said_to = -1;
static char heard[4096];

/* Standard error goes to `fd` until it is heard. */
static void listen_on(int writing)
{
	(void)fflush(stderr);
	said_to = writing;
	saved = dup(STDERR_FILENO);
	assert_int_equal(dup2(writing, STDERR_FILENO), STDERR_FILENO);
}

/* All that was said; what is said to a terminal takes a moment to come out of it. */
static const char *hear(int reading)
{
	const char end = END;
	size_t n = 0;

	(void)fflush(stderr);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(saved);
	assert_int_equal(write(said_to, &end, 1), 1);
	while (n == 0 || heard[n - 1] != END) {
		ssize_t more = read(reading, heard + n, sizeof heard - n);

		assert_true(more > 0);
		n += (size_t)more;
	}
	heard[n - 1] = '\0';
	return heard;
}

static void terminal_open(int *ret_master, int *ret_slave)
{
	*ret_master = posix_openpt(O_RDWR | O_NOCTTY);
	assert_true(*ret_master >= 0);
	assert_int_equal(grantpt(*ret_master), 0);
	assert_int_equal(unlockpt(*ret_master), 0);
	*ret_slave = open(ptsname(*ret_master), O_RDWR | O_NOCTTY);
	assert_true(*ret_slave >= 0);
}

static void one_line(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	listen_on(ends[1]);
	say_error("run", "%s: %s", "a\nb\033[31m", "c\x7f");
	say_error("", "no command");
	say_error("", "%s", "d\xC2\x9B" "31m\x9B" "31m gr\xC3\xBC\xC3\x9F" "e \xC3");
	assert_string_equal(hear(ends[0]), "spore: run: a?b?[31m: c?\nspore: no command\n"
			    "spore: d?31m?31m gr\xC3\xBC\xC3\x9F" "e ?\n");
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void statuses(void **state)
{
	static const struct { int code, status; } rows[] = {
		{ SPORE_ERR_SYS, 1 }, { SPORE_ERR_REMOTE, 1 }, { SPORE_ERR_USAGE, 2 },
		{ SPORE_ERR_STATE, 2 }, { SPORE_ERR_NOT_FOUND, 2 }, { SPORE_ERR_TRUNCATED, 6 },
		{ SPORE_ERR_KERNEL, 6 }, { SPORE_ERR_FILE, 6 }, { SPORE_ERR_NO_KVM, 7 },
		{ SPORE_ERR_HOST_PACKAGE, 7 },
	};
	static const struct { enum spore_outcome o; int status; } ends[] = {
		{ SPORE_OUTCOME_POWEROFF, 0 }, { SPORE_OUTCOME_RESET, 3 },
		{ SPORE_OUTCOME_CRASH, 4 }, { SPORE_OUTCOME_STOPPED, 5 },
		{ SPORE_OUTCOME_ERROR, 1 }, { SPORE_OUTCOME_NONE, 1 },
	};
	int pipe_ends[2];

	(void)state;
	assert_int_equal(pipe(pipe_ends), 0);
	listen_on(pipe_ends[1]);
	for (size_t i = 0; i < countof(rows); i++) {
		struct spore_error err = { .code = rows[i].code, .text = "x" };
		int status = say_failure("c", &err);

		if (status != rows[i].status) {
			(void)hear(pipe_ends[0]);
			fail_msg("%d gives %d", rows[i].code, status);
		}
	}
	(void)hear(pipe_ends[0]);
	for (size_t i = 0; i < countof(ends); i++)
		assert_int_equal(status_of_outcome(ends[i].o), ends[i].status);
	(void)close(pipe_ends[0]);
	(void)close(pipe_ends[1]);
}

static void progress_on_a_terminal(void **state)
{
	struct progress p = { .verb = "reading", .begun_ms = 1 }; /* long ago */
	int slave;

	(void)state;
	terminal_open(&ours, &slave);
	listen_on(slave);
	progress_step(&p, 512, 1024);
	p.last_ms += 3600000; /* too soon for another, however slow this test is run */
	progress_step(&p, 600, 1024);
	progress_end(&p);
	progress_end(&p);
	assert_string_equal(hear(ours), "\rreading [===============               ]  50 %\r\033[K");
	(void)close(slave);
	(void)close(ours);
}

static void no_progress(void **state)
{
	struct progress late = { .verb = "reading", .begun_ms = 1 }, early = { .verb = "reading" };
	int ends[2], slave;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	listen_on(ends[1]);
	progress_step(&late, 512, 1024); /* not a terminal */
	progress_end(&late);
	assert_string_equal(hear(ends[0]), "");
	terminal_open(&ours, &slave);
	listen_on(slave);
	progress_step(&early, 512, 1024); /* work has only begun */
	progress_step(&late, 0, 0);       /* nothing to do */
	progress_end(&early);
	assert_string_equal(hear(ours), "");
	(void)close(slave);
	(void)close(ours);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void timings(void **state)
{
	const struct spore_timings t = { .total_ns = 3500, .n = 2, .phases = {
		{ "map", 1500 }, { "first entry", 2000 } } };
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	json_t *doc;

	(void)state;
	say_timings(f, &t, false, NULL);
	(void)fflush(f);
	assert_string_equal(text,
			    "phase                              us\n"
			    "map                               1.5\n"
			    "first entry                       2.0\n"
			    "total                             3.5\n");
	(void)fclose(f);
	free(text);
	f = open_memstream(&text, &n);
	say_timings(f, &t, true, "m");
	(void)fclose(f);
	doc = json_loads(text, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(doc, "name")), "m");
	assert_true(json_real_value(json_object_get(doc, "total_us")) == 3.5);
	assert_int_equal(json_array_size(json_object_get(doc, "phases")), 2);
	json_decref(doc);
	free(text);
}

/* Whatever it was, it can be said in JSON. */
static void anything_cleaned(void **state)
{
	(void)state;
	srand(1);
	for (int round = 0; round < 20000; round++) {
		char text[40];
		json_t *said;

		for (size_t i = 0; i < sizeof text - 1; i++)
			text[i] = (char)(rand() % 4 == 0 ? 0xC0 + rand() % 64 : 1 + rand() % 255);
		text[sizeof text - 1] = '\0';
		text_clean(text, 8 + (size_t)(rand() % 32));
		said = json_string(text);
		assert_non_null(said);
		json_decref(said);
		for (const char *at = text; *at != '\0'; at++)
			assert_true((unsigned char)*at >= 0x20 && *at != 0x7F);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_line),
		cmocka_unit_test(anything_cleaned),
		cmocka_unit_test(statuses),
		cmocka_unit_test(progress_on_a_terminal),
		cmocka_unit_test(no_progress),
		cmocka_unit_test(timings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

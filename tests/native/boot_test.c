/* SPDX-License-Identifier: Apache-2.0 */
/* Machines from nothing to each of their ends, through the library. */
#include <stdio.h>
#include <string.h>

#include "support/tguest.h"

static struct guest *boot_with(uint32_t cpus, uint64_t memory, enum spore_boot how)
{
	struct spore_config c = guest_config();

	c.cpus = cpus;
	c.memory = memory;
	c.boot = how;
	return guest_boot(&c);
}

static void power_off(struct guest *g)
{
	guest_tell(g, "off");
	guest_ends(g, SPORE_OUTCOME_POWEROFF);
	guest_free(g);
}

static void either_protocol_boots(void **state)
{
	static const enum spore_boot how[] = { SPORE_BOOT_AUTO, SPORE_BOOT_PVH, SPORE_BOOT_LINUX64 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct spore_config c = guest_config();
		struct guest *g;

		c.boot = how[i];
		c.cmdline = "run=echo,from,the,command,line";
		g = guest_new();
		assert_int_equal(spore_machine_boot(guest_machine(g), &c, NULL), SPORE_OK);
		assert_non_null(strstr(guest_line(g), "tguest: ready cpus=1 "));
		assert_string_equal(guest_line(g), "ok from the command line");
		power_off(g);
	}
}

static void every_cpu_count_starts(void **state)
{
	static const uint32_t counts[] = { 1, 2, 4, 16, 64 };

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct guest *g = boot_with(counts[i], 128 << 20, SPORE_BOOT_AUTO);
		const char *answer;

		guest_ask(g, "cpus idle");
		answer = guest_ask(g, "cpus start");
		assert_int_equal(answer_number(answer, "cpus"), counts[i]);
		assert_int_equal(answer_number(answer, "online"), counts[i]);
		guest_ask(g, "cpus check");
		answer = guest_ask(g, "ipi");
		assert_int_equal(answer_number(answer, "others"), counts[i] - 1);
		power_off(g);
	}
}

/* The first MiB has pieces that are not RAM for the guest: less than all of it, more than all but
 * that. */
static void every_size_is_there(void **state)
{
	static const uint64_t sizes[] = { 16ull << 20, 128ull << 20, 3ull << 30, 5ull << 30 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct spore_config c = guest_config();
		struct guest *g = guest_new();
		const char *line;
		uint64_t ram;

		c.memory = sizes[i];
		assert_int_equal(spore_machine_boot(guest_machine(g), &c, NULL), SPORE_OK);
		line = guest_line(g);
		ram = answer_number(line, "ram");
		if (ram > sizes[i] || ram < sizes[i] - (1 << 20))
			fail_msg("%s of %llu", line, (unsigned long long)sizes[i]);
		power_off(g);
	}
}

static void memory_beyond_the_hole_works(void **state)
{
	const uint64_t high = 4ull << 30, len = 8 << 20, low = (3ull << 30) - len;
	struct guest *g = boot_with(1, 5ull << 30, SPORE_BOOT_AUTO);
	const char *answer;

	(void)state;
	guest_ask(g, "fill 7 %#llx %#llx", (unsigned long long)low, (unsigned long long)len);
	guest_ask(g, "fill 8 %#llx %#llx", (unsigned long long)high, (unsigned long long)len);
	/* the last bytes there are: 2 GiB lie above the hole */
	guest_ask(g, "fill 9 %#llx %#llx", (unsigned long long)(high + (2ull << 30) - len),
		  (unsigned long long)len);
	guest_ask(g, "check 7 %#llx %#llx", (unsigned long long)low, (unsigned long long)len);
	answer = guest_ask(g, "hash %#llx %#llx", (unsigned long long)high, (unsigned long long)len);
	assert_true(answer_number(answer, "hash") == guest_pattern_hash(8, high, len));
	power_off(g);
}

static void every_end_has_its_outcome(void **state)
{
	static const struct {
		const char *command;
		enum spore_outcome outcome;
	} ends[] = {
		{ "off", SPORE_OUTCOME_POWEROFF },     { "reset acpi", SPORE_OUTCOME_RESET },
		{ "reset kbd", SPORE_OUTCOME_RESET },  { "reset triple", SPORE_OUTCOME_CRASH },
		{ "crash", SPORE_OUTCOME_CRASH },
	};

	(void)state;
	for (uint32_t cpus = 1; cpus <= 2; cpus++) {
		for (size_t i = 0; i < 5; i++) {
			struct guest *g = boot_with(cpus, 16 << 20, SPORE_BOOT_AUTO);
			enum spore_state s;

			guest_ask(g, "cpus start");
			guest_tell(g, "%s", ends[i].command);
			guest_ends(g, ends[i].outcome);
			assert_int_equal(spore_machine_state(guest_machine(g), &s, NULL), SPORE_OK);
			assert_int_equal(s, SPORE_ENDED);
			guest_free(g);
		}
	}
}

static void a_machine_can_be_stopped(void **state)
{
	struct guest *g;

	(void)state;
	/* at the prompt, computing, halted for good, paused */
	for (int i = 0; i < 4; i++) {
		g = boot_with(2, 16 << 20, SPORE_BOOT_AUTO);
		if (i == 1)
			guest_tell(g, "spin");
		if (i == 2)
			guest_tell(g, "halt");
		if (i == 3)
			guest_pause(g);
		assert_int_equal(spore_machine_stop(guest_machine(g), NULL), SPORE_OK);
		guest_ends(g, SPORE_OUTCOME_STOPPED);
		assert_int_equal(spore_machine_stop(guest_machine(g), NULL), SPORE_OK);
		guest_free(g);
	}
	/* one that ended by itself keeps its outcome */
	g = boot_with(1, 16 << 20, SPORE_BOOT_AUTO);
	guest_tell(g, "off");
	guest_ends(g, SPORE_OUTCOME_POWEROFF);
	assert_int_equal(spore_machine_stop(guest_machine(g), NULL), SPORE_OK);
	guest_ends(g, SPORE_OUTCOME_POWEROFF);
	guest_free(g);
}

/* More than the FIFO and the guest's own buffer hold at once, both ways. */
static void the_console_carries_every_byte(void **state)
{
	struct guest *g = boot_with(1, 16 << 20, SPORE_BOOT_AUTO);
	char words[201], expected[210];

	(void)state;
	for (int i = 0; i < 100; i++) {
		memset(words, 'a' + i % 26, sizeof words - 1);
		(void)snprintf(words, 8, "%07d", i);
		words[7] = 'x';
		words[200] = '\0';
		(void)snprintf(expected, sizeof expected, "ok %s", words);
		assert_string_equal(guest_ask(g, "echo %s", words), expected);
	}
	power_off(g);
}

/* What spore_machine_output keeps is what the callback was given. */
static void the_console_is_kept(void **state)
{
	struct guest *g = boot_with(1, 16 << 20, SPORE_BOOT_AUTO);
	static char kept[65536];
	uint64_t from = 1;
	size_t n = 0;

	(void)state;
	guest_ask(g, "echo kept");
	assert_int_equal(spore_machine_output(guest_machine(g), 0, kept, sizeof kept - 1, &from, &n,
					      NULL), SPORE_OK);
	assert_int_equal(from, 0);
	kept[n] = '\0';
	assert_non_null(strstr(kept, "tguest: ready cpus=1"));
	assert_string_equal(kept + n - 8, "ok kept\n");
	guest_free(g);
}

static void pausing_twice_is_pausing(void **state)
{
	struct guest *g = boot_with(2, 16 << 20, SPORE_BOOT_AUTO);
	size_t taken = 1;
	enum spore_state s;

	(void)state;
	guest_ask(g, "cpus start");
	guest_resume(g); /* running already */
	for (int i = 0; i < 100; i++) {
		guest_pause(g);
		guest_pause(g);
		guest_resume(g);
		guest_resume(g);
	}
	guest_pause(g);
	assert_int_equal(spore_machine_state(guest_machine(g), &s, NULL), SPORE_OK);
	assert_int_equal(s, SPORE_PAUSED);
	assert_int_equal(spore_machine_input(guest_machine(g), "x", 1, &taken, NULL), SPORE_OK);
	assert_int_equal(taken, 0);
	guest_resume(g);
	guest_ask(g, "cpus check");
	power_off(g);
}

/* A paused machine does nothing: it has a beat that would be heard. */
static void a_paused_machine_is_silent(void **state)
{
	struct guest *g = boot_with(1, 16 << 20, SPORE_BOOT_AUTO);
	size_t before;

	(void)state;
	guest_tell(g, "beat");
	(void)guest_said(g, 100, NULL);
	guest_pause(g);
	before = guest_unread(g);
	for (int i = 0; i < 200; i++)
		assert_int_equal(guest_unread(g), before);
	guest_resume(g);
	(void)guest_said(g, before + 100, NULL);
	guest_free(g);
}

#define REFUSES(call) \
	do { \
		struct spore_error err_ = { .code = 0 }; \
		assert_int_equal(call, SPORE_ERR_STATE); \
		assert_int_equal(err_.code, SPORE_ERR_STATE); \
		assert_true(err_.text[0] != '\0'); \
	} while (0)

static void calls_that_the_state_forbids(void **state)
{
	struct spore_config c = guest_config();
	struct guest *g = guest_new();
	spore_machine *m = guest_machine(g);
	struct spore_timings times;
	enum spore_outcome o;
	size_t n;
	int fd;

	(void)state;
	REFUSES(spore_machine_pause(m, &err_));
	REFUSES(spore_machine_resume(m, &err_));
	REFUSES(spore_machine_stop(m, &err_));
	REFUSES(spore_machine_snapshot(m, "/nowhere", NULL, &err_));
	REFUSES(spore_machine_wait(m, 0, &o, NULL, &err_));
	REFUSES(spore_machine_timings(m, &times, &err_));
	REFUSES(spore_machine_input(m, "x", 1, &n, &err_));
	REFUSES(spore_console_attach(m, &fd, &err_));
	assert_int_equal(spore_machine_boot(m, &c, NULL), SPORE_OK);
	assert_non_null(strstr(guest_line(g), "ready"));
	REFUSES(spore_machine_boot(m, &c, &err_));
	REFUSES(spore_machine_restore(m, "/nowhere", NULL, &err_));
	/* running, and not asked to pause for it */
	REFUSES(spore_machine_snapshot(m, "/nowhere", NULL, &err_));
	guest_ask(g, "echo alive");
	guest_tell(g, "off");
	guest_ends(g, SPORE_OUTCOME_POWEROFF);
	REFUSES(spore_machine_pause(m, &err_));
	REFUSES(spore_machine_resume(m, &err_));
	REFUSES(spore_machine_boot(m, &c, &err_));
	REFUSES(spore_machine_snapshot(m, "/nowhere", NULL, &err_));
	REFUSES(spore_machine_input(m, "x", 1, &n, &err_));
	guest_free(g);
}

/* A boot that fails leaves the handle as it was. */
static void a_failed_boot_can_be_tried_again(void **state)
{
	struct spore_config c = guest_config();
	struct guest *g = guest_new();
	struct spore_error err;

	(void)state;
	c.kernel = "/dev/null";
	assert_int_not_equal(spore_machine_boot(guest_machine(g), &c, &err), SPORE_OK);
	c.kernel = guest_kernel();
	c.memory = 1000;
	assert_int_equal(spore_machine_boot(guest_machine(g), &c, &err), SPORE_ERR_CONFIG);
	c.memory = 16 << 20;
	spore_must(spore_machine_boot(guest_machine(g), &c, &err), &err, "boot");
	assert_non_null(strstr(guest_line(g), "ready"));
	power_off(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(either_protocol_boots),
		cmocka_unit_test(every_cpu_count_starts),
		cmocka_unit_test(every_size_is_there),
		cmocka_unit_test(memory_beyond_the_hole_works),
		cmocka_unit_test(every_end_has_its_outcome),
		cmocka_unit_test(a_machine_can_be_stopped),
		cmocka_unit_test(the_console_carries_every_byte),
		cmocka_unit_test(the_console_is_kept),
		cmocka_unit_test(pausing_twice_is_pausing),
		cmocka_unit_test(a_paused_machine_is_silent),
		cmocka_unit_test(calls_that_the_state_forbids),
		cmocka_unit_test(a_failed_boot_can_be_tried_again),
	};

	return cmocka_run_group_tests_name("boot", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The serial port frozen in the middle of things. */
#include <string.h>

#include "support/place.h"
#include "support/tguest.h"

/* The guest counts and writes each count's low byte, until a byte comes: what the source had said
 * and what the copy says after it is one unbroken sequence. */
static void check_sequence(const uint8_t *bytes, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		if (bytes[i] != (uint8_t)(bytes[i - 1] + 1))
			fail_msg("byte %zu of %zu is %u after %u", i, n, bytes[i], bytes[i - 1]);
	}
}

static void output_goes_on_where_it_was(void **state)
{
	struct spore_config c = guest_config();
	struct guest *g, *next;
	const uint8_t *said;
	size_t n;

	(void)state;
	g = guest_boot(&c);
	guest_tell(g, "beat");
	for (int i = 0; i < 10; i++) {
		(void)guest_said(g, guest_unread(g) + 100, NULL);
		guest_pause(g);
		guest_snapshot(g, "beat.spore");
		next = guest_restore("beat.spore", g);
		if (i == 9) {
			/* the source, going on beside its copy */
			guest_resume(g);
			said = guest_said(g, guest_unread(g) + 100, &n);
			check_sequence(said, n);
		}
		guest_free(g);
		g = next;
	}
	said = guest_said(g, guest_unread(g) + 100, &n);
	assert_true(n > 1100);
	check_sequence(said, n);
	guest_free(g);
}

/* A long answer is interrupted again and again, and arrives whole. */
static void a_line_in_the_middle(void **state)
{
	struct spore_config c = guest_config();
	struct guest *g = guest_boot(&c), *next;
	char words[480], expected[484];

	(void)state;
	for (size_t i = 0; i < sizeof words; i++)
		words[i] = (char)('a' + i % 26);
	words[sizeof words - 1] = '\0';
	(void)snprintf(expected, sizeof expected, "ok %s", words);
	for (int round = 0; round < 10; round++) {
		guest_tell(g, "echo %s", words);
		/* it answers, so it has read all of the question */
		(void)guest_said(g, 1 + (size_t)round * 40, NULL);
		for (int i = 0; i < 3; i++) {
			guest_pause(g);
			guest_snapshot(g, "line.spore");
			next = guest_restore("line.spore", g);
			guest_free(g);
			g = next;
		}
		assert_string_equal(guest_answer(g), expected);
	}
	guest_free(g);
}

static bool is_filling(const json_t *s, void *ctx)
{
	(void)ctx;
	return state_number(s, "vcpu/0/sregs/cs/dpl") == 3;
}

/* "echo fifo" and the end of the line */
static bool has_input(const json_t *s, void *ctx)
{
	(void)ctx;
	return strcmp(json_string_value(state_at(s, "serial/rx")), "6563686f206669666f0a") == 0;
}

/* A guest that looks for input instead of taking interrupts, with input in the FIFO. */
static void input_waits_in_the_fifo(void **state)
{
	struct spore_config c = guest_config();
	struct guest *g, *copy;

	(void)state;
	c.cmdline = "poll";
	g = guest_boot(&c);
	guest_tell(g, "fill 5 16M 96M");
	guest_freeze_at(g, "fifo.spore", is_filling, NULL);
	guest_resume(g);
	guest_type(g, "echo fifo\n", 10);
	guest_freeze_at(g, "fifo.spore", has_input, NULL);
	copy = guest_restore("fifo.spore", g);
	guest_resume(g);
	guest_answer(g);
	assert_string_equal(guest_answer(g), "ok fifo");
	guest_answer(copy);
	assert_string_equal(guest_answer(copy), "ok fifo");
	guest_free(copy);
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_goes_on_where_it_was),
		cmocka_unit_test(a_line_in_the_middle),
		cmocka_unit_test(input_waits_in_the_fifo),
	};

	return cmocka_run_group_tests_name("serial", tests, place_setup, place_teardown);
}

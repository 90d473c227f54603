/* SPDX-License-Identifier: Apache-2.0 */
/* The test guest's commands that later measurements and storms rest on do what its README says. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "support/place.h"
#include "support/tguest.h"

#define VMGENID UINT64_C(0xF0000) /* docs/snapshot-format.md */
#define MIB (UINT64_C(1) << 20)
enum { PAGE = 4096, ROUND = 1024 };

static struct guest *boot(void)
{
	struct spore_config c = guest_config();

	return guest_boot(&c);
}

static uint64_t peek(struct guest *g, uint64_t at)
{
	return answer_number(guest_ask(g, "peek %#" PRIx64, at), "value");
}

static void differs(struct guest *g, const char *line)
{
	guest_tell(g, "%s", line);
	assert_non_null(strstr(guest_line(g), "err memory differs"));
}

static void bytes_are_answered(void **state)
{
	struct guest *g = boot(), *copy;
	char asked[200];

	(void)state;
	guest_tell(g, "answer");
	guest_type(g, "a", 1);
	assert_int_equal(*guest_said(g, 1, NULL), 'b');
	guest_freeze(g, "answer.spore");
	copy = guest_restore("answer.spore", g);
	guest_type(g, "\0b\0c", 4);
	assert_memory_equal(guest_said(g, 3, NULL), "bcd", 3);
	guest_type(g, "\n", 1);
	assert_string_equal(guest_line(g), "bcd");
	assert_int_equal(answer_number(guest_answer(g), "answered"), 3);
	/* more than a FIFO at once */
	memset(asked, 'x', sizeof asked);
	asked[sizeof asked - 1] = '\n';
	guest_type(copy, asked, sizeof asked);
	(void)guest_line(copy);
	assert_int_equal(answer_number(guest_answer(copy), "answered"), sizeof asked);
	guest_ask(copy, "echo");
	guest_free(g);
	guest_free(copy);
}

/* As guest/README.md has it. */
static uint64_t scattered(uint64_t i, uint64_t count, uint64_t seed, uint64_t start, uint64_t len)
{
	uint64_t part = len / PAGE / count;

	return start + PAGE * (i * part + guest_pattern(seed, i) % part);
}

static void pages_are_scattered(void **state)
{
	struct guest *g = boot();
	uint64_t at;

	(void)state;
	guest_ask(g, "fill 1 24M 4M");
	guest_ask(g, "scatter 5 7 24M 4M");
	guest_ask(g, "scatter check 5 7 24M 4M");
	for (uint64_t i = 0; i < 5; i++) {
		at = scattered(i, 5, 7, 24 * MIB, 4 * MIB);
		assert_true(peek(g, at) == guest_pattern(7, at));
		guest_ask(g, "poke %#" PRIx64 " %#" PRIx64, at, guest_pattern(1, at));
	}
	guest_ask(g, "check 1 24M 4M"); /* so there was nothing else */
	differs(g, "scatter check 5 7 24M 4M");
	guest_ask(g, "scatter 256 8");
	guest_ask(g, "scatter check 256 8");
	differs(g, "scatter check 256 9");
	assert_true(peek(g, scattered(255, 256, 8, 32 * MIB, 64 * MIB)) != 0);
	guest_tell(g, "scatter 5 7 24M 16K");
	assert_non_null(strstr(guest_line(g), "err more pages"));
	guest_free(g);
}

static uint64_t storm_answer(struct guest *g, uint64_t secret, uint64_t nonce)
{
	uint64_t answer = guest_pattern(secret, nonce);

	answer = guest_pattern(answer, peek(g, VMGENID));
	return guest_pattern(answer, peek(g, VMGENID + 8));
}

static void a_storm_tells_copies_apart(void **state)
{
	struct guest *g = boot(), *copy;
	uint64_t one, two;

	(void)state;
	guest_ask(g, "secret 4711");
	guest_freeze(g, "storm.spore");
	copy = guest_restore("storm.spore", g);
	one = answer_number(guest_ask(g, "storm 42 %#" PRIx64, VMGENID), "answer");
	two = answer_number(guest_ask(copy, "storm 42 %#" PRIx64, VMGENID), "answer");
	assert_true(one == storm_answer(g, 4711, 42));
	assert_true(two == storm_answer(copy, 4711, 42));
	assert_true(one != two);
	guest_ask(g, "scatter check 16 %#" PRIx64, one);
	guest_ask(copy, "scatter check 16 %#" PRIx64, two);
	guest_free(g);
	guest_free(copy);
}

/* Its answer says that every byte is as it must be. */
static uint64_t churned(struct guest *g)
{
	const char *answer;
	uint64_t pages;

	guest_type(g, "\n", 1);
	answer = guest_answer(g);
	pages = answer_number(answer, "pages");
	assert_int_equal(answer_number(answer, "gap") != 0, pages != 0);
	return pages;
}

/* Frozen more often until it was in the middle of it, and more than once round. What was typed fits
 * into the FIFO, so that a copy made too early has all of it. */
static void churning_goes_on_in_a_copy(void **state)
{
	struct guest *g = boot(), *copy;
	uint64_t pages, of_copy;
	int freezes = 1;

	(void)state;
	do {
		guest_tell(g, "churn 1K 24M 4M");
		for (int i = 0; i < freezes; i++)
			guest_freeze(g, "churn.spore");
		copy = guest_restore("churn.spore", g);
		pages = churned(g);
		of_copy = churned(copy);
		guest_ask(copy, "echo");
		guest_free(copy);
		freezes *= 2;
	} while (pages <= ROUND || of_copy <= ROUND);
	guest_ask(g, "echo");
	guest_free(g);
}

static void touching_is_timed(void **state)
{
	struct guest *g = boot();
	const char *answer;

	(void)state;
	answer = guest_ask(g, "touch 24M 4M");
	assert_int_equal(answer_number(answer, "touched"), 1024);
	assert_true(answer_number(answer, "tsc") > 1024);
	assert_true(answer_number(guest_ask(g, "walk 24M 4M"), "tsc") > 1024);
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_answered),
		cmocka_unit_test(pages_are_scattered),
		cmocka_unit_test(a_storm_tells_copies_apart),
		cmocka_unit_test(churning_goes_on_in_a_copy),
		cmocka_unit_test(touching_is_timed),
	};

	return cmocka_run_group_tests_name("guest load", tests, place_setup, place_teardown);
}

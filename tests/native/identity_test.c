/* SPDX-License-Identifier: Apache-2.0 */
/* What two restores of one file share, and what each is given of its own. */
#include <stdio.h>
#include <string.h>

#include "support/place.h"
#include "support/tguest.h"

#define VMGENID 0xF0000u /* docs/snapshot-format.md */
enum { GSI_VMGENID = 3, COPIES = 4, TRIES = 1000 };

static struct guest *boot(void)
{
	struct spore_config c = guest_config();

	return guest_boot(&c);
}

static void the_same_secret(void **state)
{
	struct guest *g = boot(), *other = boot(), *one, *two;
	uint64_t answer;

	(void)state;
	answer = answer_number(guest_ask(g, "nonce 7"), "answer");
	guest_freeze(g, "id.spore");
	one = guest_restore("id.spore", NULL);
	two = guest_restore("id.spore", NULL);
	assert_true(answer_number(guest_ask(one, "nonce 7"), "answer") == answer);
	assert_true(answer_number(guest_ask(two, "nonce 7"), "answer") == answer);
	assert_true(answer_number(guest_ask(g, "nonce 7"), "answer") == answer);
	assert_true(answer_number(guest_ask(other, "nonce 7"), "answer") != answer);
	guest_free(g);
	guest_free(other);
	guest_free(one);
	guest_free(two);
}

static void two_restores_go_their_own_ways(void **state)
{
	struct guest *g = boot(), *one, *two;

	(void)state;
	guest_ask(g, "fill 1 32M 4M");
	guest_pause(g);
	guest_snapshot(g, "ways.spore");
	guest_free(g);
	one = guest_restore("ways.spore", NULL);
	two = guest_restore("ways.spore", NULL);
	guest_ask(one, "fill 2 32M 4M");
	guest_ask(two, "fill 3 34M 4M");
	guest_ask(one, "check 2 32M 4M");
	guest_ask(one, "zero 36M 2M");
	guest_ask(two, "check 1 32M 2M");
	guest_ask(two, "check 3 34M 4M");
	guest_freeze(one, "one.spore");
	guest_freeze(two, "two.spore");
	guest_free(one);
	guest_free(two);
	one = guest_restore("one.spore", NULL);
	two = guest_restore("two.spore", NULL);
	guest_ask(one, "check 2 32M 4M");
	guest_ask(two, "check 3 34M 4M");
	guest_free(one);
	guest_free(two);
}

static void every_restore_is_a_new_generation(void **state)
{
	struct guest *g[1 + COPIES];
	char id[1 + COPIES][80];

	(void)state;
	g[0] = boot();
	for (int i = 0; i <= COPIES; i++) {
		/* the last is a restore of a restore */
		if (i != 0)
			g[i] = guest_restore(i < COPIES ? "gen0.spore" : "gen1.spore", NULL);
		(void)snprintf(id[i], sizeof id[i], "%s", guest_ask(g[i], "vmgenid %#x", VMGENID));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(id[i], id[k]);
		if (i < 2)
			guest_freeze(g[i], i == 0 ? "gen0.spore" : "gen1.spore");
	}
	/* and a source keeps its own */
	assert_string_equal(guest_ask(g[0], "vmgenid %#x", VMGENID), id[0]);
	for (int i = 0; i <= COPIES; i++)
		guest_free(g[i]);
}

static uint64_t told(struct guest *g)
{
	guest_settle(g, "settled.spore");
	return answer_number(guest_ask(g, "gsi %d", GSI_VMGENID), "count");
}

/* The event device's interrupt tells the guest, once; the source is told nothing. */
static void a_restored_guest_is_told(void **state)
{
	struct guest *g = boot(), *copy;

	(void)state;
	guest_ask(g, "gsi %d arm", GSI_VMGENID);
	guest_freeze(g, "told.spore");
	copy = guest_restore("told.spore", NULL);
	/* It comes through the kernel's work queue: some time, but not never. */
	for (int i = 0; i < TRIES && told(copy) == 0; i++)
		;
	assert_int_equal(told(copy), 1);
	assert_int_equal(told(g), 0);
	guest_pause(copy);
	guest_resume(copy);
	assert_int_equal(told(copy), 1);
	guest_free(copy);
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_secret),
		cmocka_unit_test(two_restores_go_their_own_ways),
		cmocka_unit_test(every_restore_is_a_new_generation),
		cmocka_unit_test(a_restored_guest_is_told),
	};

	return cmocka_run_group_tests_name("identity", tests, place_setup, place_teardown);
}

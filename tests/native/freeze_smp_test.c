/* SPDX-License-Identifier: Apache-2.0 */
/* Processors that count, that halt, and that were never started. */
#include <string.h>

#include "support/place.h"
#include "support/tguest.h"

enum { MP_UNINITIALIZED = 1, MP_HALTED = 3 };

static struct guest *boot_cpus(uint32_t cpus)
{
	struct spore_config c = guest_config();

	c.cpus = cpus;
	c.memory = 32 << 20;
	return guest_boot(&c);
}

static void every_cpu_goes_on_counting(void **state)
{
	static const uint32_t counts[] = { 2, 4, 16 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct guest *g = boot_cpus(counts[i]), *copy;

		guest_ask(g, "cpus start");
		guest_freeze(g, "smp.spore");
		copy = guest_restore("smp.spore", NULL);
		/* answers only when each has gone on */
		assert_int_equal(answer_number(guest_ask(copy, "cpus check"), "online"), counts[i]);
		guest_ask(g, "cpus check");
		guest_ask(copy, "all spin 100");
		guest_free(copy);
		guest_free(g);
	}
}

static bool others_are_halted(const json_t *s, void *ctx)
{
	uint32_t cpus = *(uint32_t *)ctx;
	char at[32];

	for (uint32_t i = 1; i < cpus; i++) {
		(void)snprintf(at, sizeof at, "vcpu/%u/mp_state", (unsigned)i);
		if (state_number(s, at) != MP_HALTED)
			return false;
	}
	return true;
}

static void halted_cpus_can_be_woken(void **state)
{
	static const uint32_t counts[] = { 2, 16, 64 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		uint32_t cpus = counts[i];
		struct guest *g = boot_cpus(cpus), *copy;

		guest_ask(g, "cpus idle");
		guest_ask(g, "cpus start");
		guest_freeze_at(g, "halted.spore", others_are_halted, &cpus);
		copy = guest_restore("halted.spore", g);
		guest_resume(g);
		guest_ask(copy, "cpus check");
		assert_int_equal(answer_number(guest_ask(copy, "ipi"), "others"), cpus - 1);
		guest_ask(g, "cpus check");
		guest_free(copy);
		guest_free(g);
	}
}

static void cpus_never_started_wait_to_be(void **state)
{
	struct guest *g = boot_cpus(4), *copy;
	json_t *s;

	(void)state;
	guest_freeze(g, "waiting.spore");
	s = frozen_state("waiting.spore");
	assert_int_equal(state_number(s, "vcpu/3/mp_state"), MP_UNINITIALIZED);
	json_decref(s);
	copy = guest_restore("waiting.spore", NULL);
	assert_int_equal(answer_number(guest_ask(copy, "cpus"), "online"), 1);
	assert_int_equal(answer_number(guest_ask(copy, "cpus start"), "online"), 4);
	guest_ask(copy, "cpus check");
	assert_int_equal(answer_number(guest_ask(g, "cpus start"), "online"), 4);
	guest_free(copy);
	guest_free(g);
}

/* All processors at work, frozen and restored while they start: between INIT and the first
 * instruction too. */
static void cpus_being_started(void **state)
{
	struct guest *g, *next;

	(void)state;
	for (int round = 0; round < 5; round++) {
		g = boot_cpus(8);
		guest_tell(g, "cpus start");
		for (int i = 0; i < 6; i++) {
			guest_pause(g);
			guest_snapshot(g, "starting.spore");
			next = guest_restore("starting.spore", g);
			guest_free(g);
			g = next;
		}
		assert_int_equal(answer_number(guest_answer(g), "online"), 8);
		guest_ask(g, "cpus check");
		guest_free(g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cpu_goes_on_counting),
		cmocka_unit_test(halted_cpus_can_be_woken),
		cmocka_unit_test(cpus_never_started_wait_to_be),
		cmocka_unit_test(cpus_being_started),
	};

	return cmocka_run_group_tests_name("smp", tests, place_setup, place_teardown);
}

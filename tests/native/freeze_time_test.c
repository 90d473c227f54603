/* SPDX-License-Identifier: Apache-2.0 */
/* Timers that go on, and interrupts that had not been taken yet. */
#include <string.h>

#include "support/place.h"
#include "support/tguest.h"

enum { VECTOR_TIMER = 0x40, VECTOR_SERIAL = 0x54, MP_HALTED = 3 };

static struct guest *boot_cpus(uint32_t cpus)
{
	struct spore_config c = guest_config();
	struct guest *g;

	c.cpus = cpus;
	g = guest_boot(&c);
	guest_ask(g, "cpus start");
	return g;
}

/* Freezes it, and asks the copy and then the one that went on. */
static void ask_both(struct guest *g, const char *question)
{
	struct guest *copy;

	guest_freeze(g, "time.spore");
	copy = guest_restore("time.spore", NULL);
	guest_ask(copy, "%s", question);
	guest_ask(g, "%s", question);
	guest_free(copy);
}

static void periodic_timers_tick_on(void **state)
{
	struct guest *g = boot_cpus(3);

	(void)state;
	guest_ask(g, "all ticks periodic 1000");
	guest_ask(g, "all ticks wait 2");
	ask_both(g, "all ticks wait 3");
	guest_free(g);
}

static void deadline_timers_tick_on(void **state)
{
	struct guest *g = boot_cpus(1);

	(void)state;
	guest_ask(g, "ticks deadline 3000000");
	guest_ask(g, "ticks wait 2");
	ask_both(g, "ticks wait 3");
	guest_free(g);
}

static void the_pit_ticks_on(void **state)
{
	struct guest *g = boot_cpus(1);

	(void)state;
	guest_ask(g, "pit start 200");
	guest_ask(g, "pit wait 2");
	ask_both(g, "pit wait 3");
	guest_free(g);
}

static void the_paravirtual_clock_does_not_go_back(void **state)
{
	struct guest *g = boot_cpus(1);

	(void)state;
	guest_ask(g, "kvmclock");
	ask_both(g, "kvmclock");
	guest_free(g);
}

static void interrupts_between_cpus_arrive(void **state)
{
	struct guest *g = boot_cpus(4);

	(void)state;
	guest_ask(g, "ipi");
	ask_both(g, "all ipi");
	guest_free(g);
}

static bool is_halted(const json_t *s, void *ctx)
{
	(void)ctx;
	return state_number(s, "vcpu/0/mp_state") == MP_HALTED;
}

/* The processor halts until its timer says so; neither may be lost. */
static void a_sleep_spans_the_freeze(void **state)
{
	struct guest *g = boot_cpus(1), *copy;

	(void)state;
	guest_tell(g, "sleep 200");
	guest_freeze_at(g, "sleep.spore", is_halted, NULL);
	copy = guest_restore("sleep.spore", g);
	guest_resume(g);
	assert_int_equal(answer_number(guest_answer(copy), "slept"), 200);
	assert_int_equal(answer_number(guest_answer(g), "slept"), 200);
	guest_free(copy);
	guest_free(g);
}

static bool is_requested(const json_t *s, void *ctx)
{
	const json_t *irr = state_at(s, "vcpu/0/lapic/irr");

	for (size_t i = 0; i < json_array_size(irr); i++) {
		if (json_integer_value(json_array_get(irr, i)) == *(int *)ctx)
			return true;
	}
	return false;
}

/* The guest answers with interrupts off, which takes long enough for a timer that fires once, so
 * its interrupt waits in the local APIC; lost, it would never come again. */
static void a_timer_that_has_fired_and_was_not_heard(void **state)
{
	struct guest *g = boot_cpus(1), *copy;
	int vector = VECTOR_TIMER;

	(void)state;
	assert_int_equal(answer_number(guest_ask(g, "ticks"), "ticks"), 0);
	guest_tell(g, "ticks once 1000;echo %0200d;echo %0200d", 0, 0);
	guest_freeze_at(g, "pending.spore", is_requested, &vector);
	copy = guest_restore("pending.spore", g);
	guest_resume(g);
	for (int i = 0; i < 2; i++) {
		struct guest *one = i == 0 ? copy : g;

		for (int line = 0; line < 3; line++)
			guest_answer(one);
		guest_settle(one, "settled.spore");
		assert_int_equal(answer_number(guest_ask(one, "ticks"), "ticks"), 1);
	}
	guest_free(copy);
	guest_free(g);
}

static bool byte_was_not_read(const json_t *s, void *ctx)
{
	int vector = VECTOR_SERIAL;

	(void)ctx;
	return is_requested(s, &vector) && state_number(s, "serial/rx_len") == strlen("echo typed\n");
}

/* A device's: what was typed waits in the serial port, its interrupt in the local APIC. */
static void a_byte_that_has_come_and_was_not_read(void **state)
{
	struct guest *g = boot_cpus(1), *copy;

	(void)state;
	guest_tell(g, "echo %0400d", 0);
	(void)guest_said(g, 1, NULL);
	guest_tell(g, "echo typed");
	guest_freeze_at(g, "typed.spore", byte_was_not_read, NULL);
	copy = guest_restore("typed.spore", g);
	guest_resume(g);
	guest_answer(g);
	assert_string_equal(guest_answer(g), "ok typed");
	guest_answer(copy);
	assert_string_equal(guest_answer(copy), "ok typed");
	guest_free(copy);
	guest_free(g);
}

/* On this host the TSC may not be virtualised; it must not go back all the same. */
static void the_tsc_does_not_go_back(void **state)
{
	struct guest *g = boot_cpus(2), *copy;

	(void)state;
	guest_tell(g, "all tsc");
	guest_pause(g);
	guest_snapshot(g, "tsc.spore");
	copy = guest_restore("tsc.spore", g);
	guest_resume(g);
	guest_tell(copy, "%s", "");
	guest_answer(copy);
	guest_tell(g, "%s", "");
	guest_answer(g);
	guest_free(copy);
	guest_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(periodic_timers_tick_on),
		cmocka_unit_test(deadline_timers_tick_on),
		cmocka_unit_test(the_pit_ticks_on),
		cmocka_unit_test(the_paravirtual_clock_does_not_go_back),
		cmocka_unit_test(interrupts_between_cpus_arrive),
		cmocka_unit_test(a_sleep_spans_the_freeze),
		cmocka_unit_test(a_timer_that_has_fired_and_was_not_heard),
		cmocka_unit_test(a_byte_that_has_come_and_was_not_read),
		cmocka_unit_test(the_tsc_does_not_go_back),
	};

	return cmocka_run_group_tests_name("time", tests, place_setup, place_teardown);
}

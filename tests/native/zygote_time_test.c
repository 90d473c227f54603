/* SPDX-License-Identifier: Apache-2.0 */
/* What a child makes of the time: for how long it was frozen, and for how long it lay ready before it
 * ran. Bounds follow from readings of the host's clock around what the guest did, so that a slow host
 * moves both. */
#include <unistd.h>

#include "support/kin.h"
#include "support/place.h"
#include "support/tguest.h"

#define S UINT64_C(1000000000)
/* The host's clock is slewed, the guest's is not (clock_gettime(2)). */
#define SLACK (S / 50)

/* How long the guest has run since it was asked first, at most: the host's time from before that to
 * after its answer, without what it was paused for. */
struct run { uint64_t first_ns, host_ns, since; };

static void go(struct run *r)
{
	r->since = now_ns();
}

static void stop(struct run *r)
{
	r->host_ns += now_ns() - r->since;
}

static uint64_t clock_of(struct kin *k)
{
	return answer_number(kin_ask(k, "kvmclock"), "ns");
}

static struct kin *spawned(struct zygote *z, const struct identity *id, bool in_shell)
{
	vm_shell *shell;

	if (!in_shell)
		return kin_spawn(z, id);
	shell = shell_like(z);
	return kin_spawn_in(&shell, z, id);
}

/* A zygote whose clock was read, and how long it ran after that. */
static struct zygote *timed_zygote(struct run *r)
{
	struct request q = kin_request();
	struct kin *k = kin_boot(&q);

	(void)clock_of(k); /* enables it */
	*r = (struct run){ 0 };
	go(r);
	r->first_ns = clock_of(k);
	kin_pause(k);
	stop(r);
	return kin_freeze(k);
}

static void a_frozen_clock_stands(void **state)
{
	const struct identity id = { .clock = CLOCK_FROZEN };

	(void)state;
	for (int in_shell = 0; in_shell < 2; in_shell++) {
		struct run r;
		struct zygote *z = timed_zygote(&r);
		struct kin *k;
		uint64_t ns;

		(void)sleep(2);
		k = spawned(z, &id, in_shell);
		go(&r);
		kin_resume(k);
		ns = clock_of(k);
		stop(&r);
		assert_true(ns >= r.first_ns);
		assert_true(ns - r.first_ns <= r.host_ns + SLACK);
		kin_free(k);
		zygote_free(z);
	}
}

static void a_stepped_clock_has_gone_on(void **state)
{
	const struct identity id = { .clock = CLOCK_STEPPED };

	(void)state;
	for (int in_shell = 0; in_shell < 2; in_shell++) {
		struct run r;
		uint64_t start = now_ns(), ns;
		struct zygote *z = timed_zygote(&r);
		struct kin *k;

		(void)sleep(2);
		k = spawned(z, &id, in_shell);
		kin_resume(k);
		ns = clock_of(k);
		assert_true(ns - r.first_ns + SLACK >= 2 * S);
		assert_true(ns - r.first_ns <= now_ns() - start + SLACK);
		kin_free(k);
		zygote_free(z);
	}
}

/* Ready, and left so: it has not noticed. */
static void a_clock_does_not_run_while_a_child_is_ready(void **state)
{
	const struct identity id = { .clock = CLOCK_FROZEN };
	struct run before;
	struct zygote *z = timed_zygote(&before);
	struct kin *k[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		k[i] = spawned(z, &id, i);
	zygote_free(z);
	(void)sleep(3);
	for (int i = 0; i < 2; i++) {
		struct run r = before;
		uint64_t ns;

		go(&r);
		kin_resume(k[i]);
		ns = clock_of(k[i]);
		stop(&r);
		assert_true(ns >= r.first_ns);
		assert_true(ns - r.first_ns <= r.host_ns + SLACK);
		kin_free(k[i]);
	}
}

/* By the wall's clock it was gone for all of it, the time that it was ready too. */
static void a_stepped_clock_steps_when_it_runs(void **state)
{
	const struct identity id = { .clock = CLOCK_STEPPED };
	struct run r;
	struct zygote *z = timed_zygote(&r);
	struct kin *k = kin_spawn(z, &id);
	uint64_t ns;

	(void)state;
	(void)sleep(3);
	kin_resume(k);
	ns = clock_of(k);
	assert_true(ns - r.first_ns + SLACK >= 3 * S);
	kin_free(k);
	zygote_free(z);
}

/* A timer of three seconds, frozen soon after it was set, ready for four: it fires when the guest has
 * run for three, and not before. */
static void no_timer_fires_early(const char *set, const char *wait)
{
	struct request q = kin_request();
	struct kin *k = kin_boot(&q), *child[2];
	struct run before = { 0 };
	struct zygote *z;

	go(&before);
	(void)kin_ask(k, "%s", set);
	kin_pause(k);
	stop(&before);
	z = kin_freeze(k);
	for (int i = 0; i < 2; i++)
		child[i] = spawned(z, &(struct identity){ 0 }, i);
	zygote_free(z);
	(void)sleep(4);
	for (int i = 0; i < 2; i++) {
		struct run r = before;

		go(&r);
		kin_resume(child[i]);
		(void)kin_ask(child[i], "%s", wait);
		stop(&r);
		assert_true(r.host_ns + SLACK >= 3 * S);
		kin_free(child[i]);
	}
}

static void the_apic_timer_is_not_early(void **state)
{
	(void)state;
	no_timer_fires_early("ticks once 3000000", "ticks wait 1");
}

static void a_slow_periodic_timer_is_not_early(void **state)
{
	(void)state;
	no_timer_fires_early("ticks periodic 1500000", "ticks wait 2");
}

/* Sixty periods: a channel that had run on would have them all at once. */
static void the_pit_is_not_early(void **state)
{
	(void)state;
	no_timer_fires_early("pit start 20", "pit wait 60");
}

/* Those that are due soon come at their pace, whatever else is ready. */
static void timers_go_on(void **state)
{
	struct request q = kin_request();
	struct kin *k, *child[4];
	struct zygote *z;

	(void)state;
	q.cpus = 2;
	k = kin_boot(&q);
	(void)kin_ask(k, "cpus start");
	(void)kin_ask(k, "cpus idle");
	(void)kin_ask(k, "all ticks periodic 5000");
	(void)kin_ask(k, "pit start 100");
	z = kin_freeze(k);
	for (int i = 0; i < 4; i++)
		child[i] = spawned(z, &(struct identity){ .clock = i % 2 ? CLOCK_STEPPED : CLOCK_FROZEN },
				   i / 2);
	for (int i = 0; i < 4; i++)
		kin_resume(child[i]);
	for (int i = 0; i < 4; i++) {
		(void)kin_ask(child[i], "all ticks wait 5");
		(void)kin_ask(child[i], "pit wait 5");
		(void)kin_ask(child[i], "all tsc 100");
		kin_free(child[i]);
	}
	zygote_free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frozen_clock_stands),
		cmocka_unit_test(a_stepped_clock_has_gone_on),
		cmocka_unit_test(a_clock_does_not_run_while_a_child_is_ready),
		cmocka_unit_test(a_stepped_clock_steps_when_it_runs),
		cmocka_unit_test(the_apic_timer_is_not_early),
		cmocka_unit_test(a_slow_periodic_timer_is_not_early),
		cmocka_unit_test(the_pit_is_not_early),
		cmocka_unit_test(timers_go_on),
	};

	return cmocka_run_group_tests_name("zygote_time", tests, place_setup, place_teardown);
}

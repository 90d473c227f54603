/* SPDX-License-Identifier: Apache-2.0 */
/* What a child makes of the time for which it was frozen; armed_time_test.c: of that for which it lay
 * ready before it ran. Bounds follow from readings of the host's clock around what the guest did, so that a slow host
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
		cmocka_unit_test(timers_go_on),
	};

	return cmocka_run_group_tests_name("zygote_time", tests, place_setup, place_teardown);
}

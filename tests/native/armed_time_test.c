/* SPDX-License-Identifier: Apache-2.0 */
/* Children that are ready to run, and left so for a minute: whatever counts in the host's time has to
 * stand still for them. In this process, built for it or in a shell, and armed in a worker; or told who they
 * are in a worker, in each way that there is, before they are left. Bounds
 * follow from readings of the host's clock around what the guest did, so that a slow host moves both. */
#include <unistd.h>

#include "life/pool.h"
#include "machine/kvm/host_arch.h"
#include "machine/kvm/kvm.h"
#include "support/jailed.h"
#include "support/kin.h"
#include "support/place.h"
#include "support/tguest.h"
#include "support/worked.h"

#define S UINT64_C(1000000000)
/* The host's clock is slewed, the guest's is not (clock_gettime(2)). */
#define SLACK (S / 50)

enum where { COLD, IN_SHELL, IN_WORKER, COLD_WORKER, SHELL_WORKER, POOL_WORKER, PLACES };
enum { CLOCK, STEPPED_CLOCK, APIC_ONCE, APIC_PERIODIC, TSC_DEADLINE, PIT, SUBJECTS };

/* Due a second of the guest's after it was set. */
static const struct { const char *set, *wait; } timer[SUBJECTS] = {
	[APIC_ONCE] = { "ticks once 1000000", "ticks wait 1" },
	[APIC_PERIODIC] = { "ticks periodic 500000", "ticks wait 2" },
	[TSC_DEADLINE] = { "ticks deadline %lu", "ticks wait 1" },
	/* Twenty periods: a channel that had run on would have them all at once. */
	[PIT] = { "pit start 20", "pit wait 20" },
};

struct armed {
	struct kin *kin;
	struct worked *worked;
};

struct subject {
	uint64_t first_ns; /* the guest's clock */
	uint64_t begin_ns; /* the host's, before that or before the timer was set */
	uint64_t ran_ns;   /* from then until it was paused, at least as long as it ran */
	struct armed child[PLACES];
};

static struct subject subject[SUBJECTS];
static struct home *home;
static struct pool *pool;

static const struct identity *identity_of(int which)
{
	static const struct identity as_it_was, stepped = { .clock = CLOCK_STEPPED };

	return which == STEPPED_CLOCK ? &stepped : &as_it_was;
}

/* ---- until they are ready ---- */

static uint64_t tsc_per_s(void)
{
	uint64_t from = now_ns(), tsc = __builtin_ia32_rdtsc();

	(void)usleep(100000);
	return (uint64_t)((double)(__builtin_ia32_rdtsc() - tsc) * (double)S / (double)(now_ns() - from));
}

static struct zygote *timed_zygote(int which, struct subject *s)
{
	struct request q = kin_request();
	struct kin *k = kin_boot(&q);

	if (timer[which].set == NULL)
		(void)kin_ask(k, "kvmclock"); /* enables it */
	s->begin_ns = now_ns();
	if (timer[which].set == NULL)
		s->first_ns = answer_number(kin_ask(k, "kvmclock"), "ns");
	else if (which == TSC_DEADLINE)
		(void)kin_ask(k, timer[which].set, tsc_per_s());
	else
		(void)kin_ask(k, "%s", timer[which].set);
	kin_pause(k);
	s->ran_ns = now_ns() - s->begin_ns;
	return kin_freeze(k);
}

static bool jails_are_there(void)
{
	struct jail_host h;

	jail_host_ask(&h);
	return !failed(jail_host_require(&h, 0, NULL));
}

static void must(err_t e, const struct diag *d)
{
	if (failed(e))
		fail_msg("%s", d->text);
}

/* Paused, as what it will be, by all three ways to a worker. */
static void spawn_paused(int which, struct subject *s, struct zygote *z)
{
	const struct identity *id = identity_of(which);
	struct diag d = DIAG_INIT;
	struct worker *w;

	for (int i = COLD_WORKER; i < POOL_WORKER; i++) {
		s->child[i].worked = worked_start(home, i == COLD_WORKER ? z : NULL);
		if (i == SHELL_WORKER)
			worked_ready(s->child[i].worked);
		must(worker_spawn(worked_worker(s->child[i].worked), z, id, false, &d), &d);
	}
	if (pool == NULL)
		must(pool_workers_new(z, (struct pool_want){ 0, 1 }, worker_kit_again(home_kit(home)), &d,
				      &pool), &d);
	must(pool_arm(pool, z, 1, &d), &d);
	assert_true(pool_settle(pool, -1));
	must(pool_worker_spawn(pool, z, id, false, &d, &w), &d);
	assert_int_equal(pool_look(pool).cold, 0);
	s->child[POOL_WORKER].worked = worked_of(w);
}

static void arm(int which, struct subject *s)
{
	const struct identity *id = identity_of(which);
	struct zygote *z = timed_zygote(which, s);
	vm_shell *shell = shell_like(z);

	s->child[COLD].kin = kin_spawn(z, id);
	s->child[IN_SHELL].kin = kin_spawn_in(&shell, z, id);
	if (home == NULL && jails_are_there())
		home = home_new(zygote_image(z));
	if (home != NULL) {
		s->child[IN_WORKER].worked = worked_start(home, z);
		worked_spawn(s->child[IN_WORKER].worked, z, false);
		if (which == CLOCK || which == STEPPED_CLOCK)
			spawn_paused(which, s, z);
	}
	zygote_free(z);
}

static int setup(void **state)
{
	int status = place_setup(state);

	for (int i = 0; i < SUBJECTS; i++)
		arm(i, &subject[i]);
	(void)sleep(sanitized() ? 5 : 60);
	return status;
}

static int teardown(void **state)
{
	if (pool != NULL)
		pool_close(pool);
	pool_free(pool);
	if (home != NULL)
		home_free(home);
	return place_teardown(state);
}

/* ---- from then on ---- */

static const char *run_and_ask(struct armed *a, int which, const char *line)
{
	struct diag d = DIAG_INIT;
	struct worker *w;

	if (a->kin != NULL) {
		kin_resume(a->kin);
		return kin_ask(a->kin, "%s", line);
	}
	w = worked_worker(a->worked);
	must(a == &subject[which].child[IN_WORKER] ? worker_claim(w, identity_of(which), true, &d)
						   : worker_resume(w, &d), &d);
	return worked_ask(a->worked, "%s", line);
}

static void drop(struct armed *a)
{
	kin_free(a->kin);
	worked_free(a->worked);
}

/* It has not noticed. */
static void stood(int which, struct armed *a)
{
	const struct subject *s = &subject[which];
	uint64_t from = now_ns(), ns, host;

	ns = answer_number(run_and_ask(a, which, "kvmclock"), "ns");
	host = s->ran_ns + now_ns() - from;
	assert_true(ns >= s->first_ns);
	assert_true(ns - s->first_ns <= host + SLACK);
	drop(a);
}

/* By the wall's clock it was gone for all of it, the time that it was ready too. */
static void has_stepped(int which, struct armed *a)
{
	const struct subject *s = &subject[which];
	uint64_t before = now_ns() - s->begin_ns - s->ran_ns, ns;

	ns = answer_number(run_and_ask(a, which, "kvmclock"), "ns");
	assert_true(ns - s->first_ns + SLACK >= before);
	assert_true(ns - s->first_ns <= now_ns() - s->begin_ns + SLACK);
	drop(a);
}

/* It fires when the guest has run for a second, and not before. */
static void is_not_early(int which, struct armed *a)
{
	uint64_t from = now_ns();

	(void)run_and_ask(a, which, timer[which].wait);
	assert_true(subject[which].ran_ns + (now_ns() - from) + SLACK >= S);
	drop(a);
}

static void needs_tsc(int which)
{
	owned_fd kvm = FD_NONE;

	if (which != TSC_DEADLINE)
		return;
	assert_false(failed(kvm_open(NULL, &kvm)));
	if (host_tsc_offset_works(kvm.raw))
		return;
	print_message("# SKIP this KVM does not virtualise the TSC: the suite lab-armed has it\n");
	skip();
}

static void here(int which, void (*judge)(int, struct armed *))
{
	needs_tsc(which);
	judge(which, &subject[which].child[COLD]);
	judge(which, &subject[which].child[IN_SHELL]);
}

static void in_a_worker(int which, void (*judge)(int, struct armed *))
{
	jails_needed();
	needs_tsc(which);
	judge(which, &subject[which].child[IN_WORKER]);
}

static void paused_in_a_worker(int which, void (*judge)(int, struct armed *))
{
	jails_needed();
	for (int i = COLD_WORKER; i < PLACES; i++)
		judge(which, &subject[which].child[i]);
}

#define BOTH(name, which, judge) \
	static void name(void **state) { (void)state; here((which), (judge)); } \
	static void name##_in_a_worker(void **state) { (void)state; in_a_worker((which), (judge)); }

BOTH(the_clock_stood, CLOCK, stood)
BOTH(a_stepped_clock_steps_when_it_runs, STEPPED_CLOCK, has_stepped)
BOTH(the_apic_timer_is_not_early, APIC_ONCE, is_not_early)
BOTH(a_slow_periodic_timer_is_not_early, APIC_PERIODIC, is_not_early)
BOTH(the_tsc_deadline_is_not_early, TSC_DEADLINE, is_not_early)
BOTH(the_pit_is_not_early, PIT, is_not_early)

static void the_clock_of_one_spawned_paused_stood(void **state)
{
	(void)state;
	paused_in_a_worker(CLOCK, stood);
}

static void the_stepped_clock_of_one_spawned_paused_steps(void **state)
{
	(void)state;
	paused_in_a_worker(STEPPED_CLOCK, has_stepped);
}

int main(void)
{
#define TESTS(name) cmocka_unit_test(name), cmocka_unit_test(name##_in_a_worker)
	const struct CMUnitTest tests[] = {
		TESTS(the_clock_stood),
		TESTS(a_stepped_clock_steps_when_it_runs),
		TESTS(the_apic_timer_is_not_early),
		TESTS(a_slow_periodic_timer_is_not_early),
		TESTS(the_tsc_deadline_is_not_early),
		TESTS(the_pit_is_not_early),
		cmocka_unit_test(the_clock_of_one_spawned_paused_stood),
		cmocka_unit_test(the_stepped_clock_of_one_spawned_paused_steps),
	};

	return cmocka_run_group_tests_name("armed_time", tests, setup, teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Where workers are born: what they do not share, and that they can do without it. */
#include <signal.h>
#include <string.h>

#include "support/place.h"
#include "support/puppet.h"
#include "support/worked.h"

static struct zygote *zygote_here(void)
{
	struct request r = kin_request();

	return kin_freeze(kin_boot(&r));
}

static void each_guards_its_stack_with_its_own_word(void **state)
{
	struct zygote *z = zygote_here();
	struct home *h = home_new(zygote_image(z));
	struct worked *w[2] = { worked_child(h, z), worked_child(h, z) };
	uint64_t word[3] = { puppet_stack_guard(nursery_now()) };

	(void)state;
	for (int i = 0; i < 2; i++)
		word[1 + i] = puppet_stack_guard(worker_pid(worked_worker(w[i])));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(word[i] & 0xFF, 0);
		assert_true(word[i] != word[(i + 1) % 3]);
	}
	for (int i = 0; i < 2; i++) {
		(void)worked_ask(w[i], "echo here");
		worked_free(w[i]);
	}
	home_free(h);
	zygote_free(z);
}

static void workers_live_without_it(void **state)
{
	struct zygote *z = zygote_here();
	struct home *h = home_new(zygote_image(z));
	struct worked *older = worked_child(h, z), *younger;

	(void)state;
	assert_int_equal(kill(nursery_now(), SIGKILL), 0);
	(void)worked_ask(older, "echo here");
	younger = worked_child(h, z);
	(void)worked_ask(younger, "echo here");
	(void)nursery_now(); /* another */
	worked_free(younger);
	worked_free(older);
	home_free(h);
	assert_int_equal(children_now(), 0);
	zygote_free(z);
}

/* What a terminal sends to all in it. */
static void it_leaves_signals_to_the_supervisor(void **state)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
	struct zygote *z = zygote_here();
	struct home *h = home_new(zygote_image(z));
	pid_t before = nursery_now();

	(void)state;
	for (size_t i = 0; i < countof(signals); i++)
		assert_int_equal(kill(before, signals[i]), 0);
	worked_free(worked_child(h, z));
	assert_int_equal(nursery_now(), before);
	home_free(h);
	zygote_free(z);
}

static void a_program_that_is_none_is_told(void **state)
{
	struct zygote *z = zygote_here();
	struct worker_kit_options o = { .program = "/bin/true", .cgroup = -1 };
	struct worker_kit *k;
	struct diag d = DIAG_INIT;

	(void)state;
	home_free(home_new(zygote_image(z))); /* or skip */
	assert_int_equal(worker_kit_new(zygote_image(z), &o, &d, &k).code, ERR_REMOTE);
	assert_non_null(strstr(d.text, "/bin/true"));
	zygote_free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_guards_its_stack_with_its_own_word),
		cmocka_unit_test(workers_live_without_it),
		cmocka_unit_test(it_leaves_signals_to_the_supervisor),
		cmocka_unit_test(a_program_that_is_none_is_told),
	};

	return cmocka_run_group_tests(tests, place_setup, place_teardown);
}

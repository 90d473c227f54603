/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker can hold up, one answer at a time. */
#include "life/patience.h"

#include "support/test.h"

enum { MINUTE = 60000, ALLOWED = MINUTE / 2, MOMENT = 250 };

static void each_its_own(void **state)
{
	struct patience p = patience_new(0);

	(void)state;
	assert_int_equal(patience_for(&p, WORKER_FREEZE, 7), MINUTE);
	assert_int_equal(patience_for(&p, WORKER_SPAWN, 7), MINUTE);
	assert_int_equal(patience_for(&p, WORKER_PAUSE, 7), ALLOWED);
	assert_int_equal(patience_for(&p, WORKER_INPUT, 7), 5000);
	assert_int_equal(patience_for(&p, WORKER_RESUME, 7), 5000);
	p = patience_new(1200);
	assert_int_equal(patience_for(&p, WORKER_FREEZE, 7), 1200);
	assert_int_equal(patience_for(&p, WORKER_INPUT, 7), 100);
}

/* Whatever it does, all that it can take is its allowance, and a moment for each answer. */
static void adds_up(void **state)
{
	struct patience p = patience_new(0);
	uint64_t taken = 0, n = 0, most;

	(void)state;
	while (!patience_is_spent(&p)) {
		most = patience_for(&p, n % 3 == 0 ? WORKER_PAUSE : WORKER_INPUT, 0);
		patience_spend(&p, WORKER_INPUT, most);
		taken += most;
		n++;
	}
	assert_int_equal(taken, ALLOWED + n * MOMENT);
	assert_int_equal(patience_for(&p, WORKER_INPUT, 0), MOMENT);
	assert_int_equal(patience_for(&p, WORKER_PAUSE, 0), MOMENT);
	assert_int_equal(patience_for(&p, WORKER_BRANCH, 0), MINUTE);
}

/* What takes long, and who is not late, costs nothing. */
static void costs_nothing(void **state)
{
	struct patience p = patience_new(0);

	(void)state;
	for (int i = 0; i < 1000; i++) {
		patience_spend(&p, WORKER_BRANCH, MINUTE);
		patience_spend(&p, WORKER_STATE, MINUTE);
		patience_spend(&p, WORKER_INPUT, MOMENT);
	}
	assert_int_equal(p.late_ms, 0);
}

/* A hundredth of the time, however often it is looked at; never more than was there. */
static void comes_back(void **state)
{
	struct patience p = patience_new(0);
	uint64_t now = 1000000;

	(void)state;
	assert_int_equal(patience_for(&p, WORKER_PAUSE, now), ALLOWED);
	patience_spend(&p, WORKER_PAUSE, ALLOWED + MOMENT);
	assert_true(patience_is_spent(&p));
	for (uint64_t end = now + 100000; now <= end; now += 7)
		assert_true(patience_for(&p, WORKER_PAUSE, now) >= MOMENT);
	assert_int_equal(patience_for(&p, WORKER_PAUSE, now), MOMENT + 1000);
	now += UINT64_C(100) * ALLOWED * 5;
	assert_int_equal(patience_for(&p, WORKER_PAUSE, now), ALLOWED);
	patience_spend(&p, WORKER_PAUSE, ALLOWED + MOMENT);
	assert_int_equal(patience_for(&p, WORKER_PAUSE, now), MOMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_its_own), cmocka_unit_test(adds_up),
		cmocka_unit_test(costs_nothing), cmocka_unit_test(comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The ends of many machines at one descriptor. */
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "support/place.h"
#include "support/tguest.h"

enum { MANY = 20, FOREVER = -1 };

static spore_zygote *zygote;

static int begin(void **state)
{
	struct spore_config c = guest_config();

	if (place_setup(state) != 0)
		return -1;
	zygote = guest_to_zygote(guest_boot(&c));
	return 0;
}

static int end(void **state)
{
	spore_zygote_free(zygote);
	return place_teardown(state);
}

static spore_events *events_new(void)
{
	struct spore_error err;
	spore_events *e = NULL;

	spore_must(spore_events_new(&e, &err), &err, "events");
	return e;
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static void each_end_is_told_once(void **state)
{
	struct guest *g[MANY];
	bool told[MANY] = { false };
	struct spore_event ev[7];
	struct spore_error err;
	spore_events *e = events_new();
	size_t n = 0, all = 0;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		g[i] = guest_spawn(zygote, NULL);
		spore_must(spore_events_add(e, guest_machine(g[i]), &told[i], &err), &err, "add");
	}
	assert_false(readable(spore_events_fd(e), 0));
	spore_must(spore_events_next(e, 0, ev, 7, &n, &err), &err, "next");
	assert_int_equal(n, 0);
	for (int i = 0; i < MANY; i++)
		guest_tell(g[i], i % 2 == 0 ? "off" : "crash");
	while (all < MANY) {
		assert_true(readable(spore_events_fd(e), FOREVER));
		spore_must(spore_events_next(e, FOREVER, ev, 7, &n, &err), &err, "next");
		for (size_t i = 0; i < n; i++) {
			bool *mine = ev[i].ctx;

			assert_false(*mine);
			*mine = true;
			assert_ptr_equal(ev[i].machine, guest_machine(g[mine - told]));
			assert_int_equal(ev[i].outcome, (mine - told) % 2 == 0 ?
					 SPORE_OUTCOME_POWEROFF : SPORE_OUTCOME_CRASH);
		}
		all += n;
	}
	assert_false(readable(spore_events_fd(e), 0));
	for (int i = 0; i < MANY; i++)
		guest_free(g[i]);
	spore_events_free(e);
}

static void who_may_be_in_it(void **state)
{
	struct guest *fresh = guest_new(), *g = guest_spawn(zygote, NULL);
	struct spore_event ev;
	struct spore_error err;
	spore_events *e = events_new();
	size_t n = 7;

	(void)state;
	assert_int_equal(spore_events_add(e, guest_machine(fresh), NULL, &err), SPORE_ERR_STATE);
	spore_must(spore_events_add(e, guest_machine(g), NULL, &err), &err, "add");
	assert_int_equal(spore_events_add(e, guest_machine(g), NULL, &err), SPORE_ERR_EXISTS);
	spore_events_remove(e, guest_machine(g));
	spore_events_remove(e, guest_machine(g));
	guest_tell(g, "off");
	guest_ends(g, SPORE_OUTCOME_POWEROFF);
	assert_false(readable(spore_events_fd(e), 0));
	/* One that has ended is told of at once. */
	spore_must(spore_events_add(e, guest_machine(g), &n, &err), &err, "add");
	assert_int_equal(spore_events_next(e, 0, &ev, 0, &n, &err), SPORE_ERR_USAGE);
	spore_must(spore_events_next(e, FOREVER, &ev, 1, &n, &err), &err, "next");
	assert_int_equal(n, 1);
	assert_ptr_equal(ev.ctx, &n);
	guest_free(g);
	guest_free(fresh);
	spore_events_free(e);
	spore_events_free(NULL);
}

/* The end from outside counts, a pause does not; and somebody's own epoll may watch it all. */
static void in_another_loop(void **state)
{
	struct epoll_event got, want = { .events = EPOLLIN };
	struct guest *g = guest_spawn(zygote, NULL);
	struct spore_event ev;
	struct spore_error err;
	spore_events *e = events_new();
	int loop = epoll_create1(EPOLL_CLOEXEC);
	size_t n;

	(void)state;
	assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, spore_events_fd(e), &want), 0);
	spore_must(spore_events_add(e, guest_machine(g), NULL, &err), &err, "add");
	guest_pause(g);
	guest_resume(g);
	assert_int_equal(epoll_wait(loop, &got, 1, 0), 0);
	spore_must(spore_machine_stop(guest_machine(g), &err), &err, "stop");
	assert_int_equal(epoll_wait(loop, &got, 1, FOREVER), 1);
	spore_must(spore_events_next(e, 0, &ev, 1, &n, &err), &err, "next");
	assert_int_equal(n, 1);
	assert_int_equal(ev.outcome, SPORE_OUTCOME_STOPPED);
	assert_int_equal(epoll_wait(loop, &got, 1, 0), 0);
	(void)close(loop);
	guest_free(g);
	spore_events_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_end_is_told_once),
		cmocka_unit_test(who_may_be_in_it),
		cmocka_unit_test(in_another_loop),
	};

	return cmocka_run_group_tests_name("library: events", tests, begin, end);
}

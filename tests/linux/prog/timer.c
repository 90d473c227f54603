/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.c: a one-shot timerfd that spans the freeze fires, once and not early, and a periodic one
 * has neither lost nor gained a tick against CLOCK_MONOTONIC.
 */
#include "prop.h"

#include <errno.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { PERIOD_MS = 50 };

static int timer_at(uint64_t first_ns, uint64_t period_ns)
{
	struct itimerspec spec = {
		.it_value = { (time_t)(first_ns / 1000000000), (long)(first_ns % 1000000000) },
		.it_interval = { 0, (long)period_ns },
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	PROP_NEED(fd >= 0);
	PROP_NEED(timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0);
	return fd;
}

static uint64_t expirations(int fd)
{
	uint64_t n = 0;
	PROP_NEED(read(fd, &n, sizeof n) == sizeof n || errno == EAGAIN);
	return n;
}

static void check_periodic(int fd, uint64_t start, uint64_t already)
{
	uint64_t period = PERIOD_MS * 1000000ull;
	uint64_t before = prop_now_ns(CLOCK_MONOTONIC);
	uint64_t ticks = already + expirations(fd);
	uint64_t after = prop_now_ns(CLOCK_MONOTONIC);
	/* The tick that is due at this moment may be on either side. */
	if (ticks + 1 < (before - start) / period || ticks > (after - start) / period)
		prop_fail("%lu ticks in %lu ms of %d ms each", ticks, (after - start) / 1000000,
			  PERIOD_MS);
}

int timer_main(int argc, char **argv)
{
	uint64_t span = prop_number(argc, argv, 10) * 1000000000;
	uint64_t start = prop_now_ns(CLOCK_MONOTONIC), due = start + span;
	int once = timer_at(due, 0);
	int periodic = timer_at(start + PERIOD_MS * 1000000, PERIOD_MS * 1000000);
	prop_say("set");

	bool spoil = prop_told_to_spoil();
	if (expirations(once))
		prop_fail("the timer fired before the order to go on; give it more seconds");
	struct pollfd poll_once = { .fd = once, .events = POLLIN };
	int patience_ms = (int)(span / 1000000) + PROP_PATIENCE_S * 1000;
	if (poll(&poll_once, 1, patience_ms) != 1)
		prop_fail("the one-shot timer never fired");
	uint64_t fired = prop_now_ns(CLOCK_MONOTONIC);
	if (fired < due)
		prop_fail("the one-shot timer fired %lu us early", (due - fired) / 1000);
	if (expirations(once) != 1)
		prop_fail("the one-shot timer fired more than once");
	check_periodic(periodic, start, spoil ? 5 : 0);
	prop_ok("%lu ms late", (fired - due) / 1000000);
}

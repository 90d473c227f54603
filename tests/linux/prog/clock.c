/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.c: CLOCK_MONOTONIC never goes backwards, on one CPU and between CPUs.  One thread is
 * pinned to each CPU; all publish the latest reading, and a reading made after another was
 * published may not be earlier.  A step of an hour is a jump that no pause explains.
 */
#include "prop.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { BURST = 100, BURSTS_AFTER = 20 };
static const uint64_t jump_ns = 3600ull * 1000000000;

struct reader {
	pthread_t thread;
	unsigned cpu;
	uint64_t bursts, largest_step;
};

static uint64_t latest;

static void read_burst(struct reader *r)
{
	for (int i = 0; i < BURST; i++) {
		uint64_t before = __atomic_load_n(&latest, __ATOMIC_SEQ_CST);
		uint64_t now = prop_now_ns(CLOCK_MONOTONIC);
		if (now < before)
			prop_fail("cpu %u reads %lu ns, %lu ns earlier than was read before",
				  r->cpu, now, before - now);
		if (now - before > jump_ns)
			prop_fail("cpu %u reads a jump of %lu s", r->cpu,
				  (now - before) / 1000000000);
		if (now - before > r->largest_step)
			r->largest_step = now - before;
		while (now > before &&
		       !__atomic_compare_exchange_n(&latest, &before, now, false,
						    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			;
	}
	__atomic_add_fetch(&r->bursts, 1, __ATOMIC_SEQ_CST);
}

static void *read_always(void *arg)
{
	struct reader *r = arg;
	prop_pin(r->cpu);
	for (;;) {
		read_burst(r);
		prop_pause_ms(2);
	}
	return NULL;
}

static void wait_bursts(struct reader *r, uint64_t more)
{
	uint64_t goal = __atomic_load_n(&r->bursts, __ATOMIC_SEQ_CST) + more;
	while (__atomic_load_n(&r->bursts, __ATOMIC_SEQ_CST) < goal)
		prop_pause_ms(2);
}

int clock_main(int argc, char **argv)
{
	(void)argc, (void)argv;
	unsigned cpus = prop_cpus();
	struct reader *readers = calloc(cpus, sizeof *readers);
	PROP_NEED(readers);
	latest = prop_now_ns(CLOCK_MONOTONIC);
	for (unsigned i = 0; i < cpus; i++) {
		readers[i].cpu = i;
		PROP_NEED(pthread_create(&readers[i].thread, NULL, read_always, &readers[i]) == 0);
		wait_bursts(&readers[i], 2);
	}
	prop_say("set");

	if (prop_told_to_spoil())
		__atomic_add_fetch(&latest, 1000000000, __ATOMIC_SEQ_CST);
	uint64_t bursts = 0, step = 0;
	for (unsigned i = 0; i < cpus; i++) {
		wait_bursts(&readers[i], BURSTS_AFTER);
		bursts += readers[i].bursts;
		if (readers[i].largest_step > step)
			step = readers[i].largest_step;
	}
	prop_ok("%u cpus, %lu readings, largest step %lu us", cpus, bursts * BURST, step / 1000);
}

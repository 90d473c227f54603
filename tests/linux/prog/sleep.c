/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sleep.c: a sleep that spans the freeze ends, and not early.  The order to go on must come while
 * it sleeps: then the freeze, which came before the order, fell into the sleep.
 */
#include "prop.h"

#include <pthread.h>
#include <time.h>

struct nap {
	uint64_t want_ns, had_ns;
	bool over;
};

static void *sleep_once(void *arg)
{
	struct nap *nap = arg;
	struct timespec t = { .tv_sec = (time_t)(nap->want_ns / 1000000000) };
	uint64_t start = prop_now_ns(CLOCK_MONOTONIC);
	PROP_NEED(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL) == 0);
	nap->had_ns = prop_now_ns(CLOCK_MONOTONIC) - start;
	__atomic_store_n(&nap->over, true, __ATOMIC_SEQ_CST);
	return NULL;
}

int sleep_main(int argc, char **argv)
{
	struct nap nap = { .want_ns = prop_number(argc, argv, 10) * 1000000000 };
	pthread_t thread;
	PROP_NEED(pthread_create(&thread, NULL, sleep_once, &nap) == 0);
	prop_say("set");

	bool spoil = prop_told_to_spoil();
	if (__atomic_load_n(&nap.over, __ATOMIC_SEQ_CST))
		prop_fail("the sleep was over before the order to go on; give it more seconds");
	PROP_NEED(pthread_join(thread, NULL) == 0);
	if (spoil)
		nap.had_ns -= nap.want_ns;
	if (nap.had_ns < nap.want_ns)
		prop_fail("slept %lu ms of %lu", nap.had_ns / 1000000, nap.want_ns / 1000000);
	if (nap.had_ns > nap.want_ns + PROP_PATIENCE_S * 1000000000ull)
		prop_fail("slept %lu s too long", (nap.had_ns - nap.want_ns) / 1000000000);
	prop_ok("%lu ms of %lu", nap.had_ns / 1000000, nap.want_ns / 1000000);
}

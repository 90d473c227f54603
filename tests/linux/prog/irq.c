/* SPDX-License-Identifier: Apache-2.0 */
/*
 * irq.c: no interrupt is lost.  Threads pinned to the CPUs in turn pass a numbered signal round:
 * each hop wakes an idle CPU by an inter-processor interrupt, and each waits under a timeout, a
 * timer interrupt to come.  A hop that gets lost stops the ring; a number out of order shows.
 * Beside it the main thread makes every CPU answer by membarrier(2).
 */
#include "prop.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { HOPS_AFTER = 2000, BARRIERS_AFTER = 200, MIN_THREADS = 2 };

static struct ring {
	pthread_t *threads;
	unsigned n, started;
	uint64_t hops;
	bool spoil;
} ring;

static void hop_send(unsigned to, int number)
{
	union sigval value = { .sival_int = number };
	PROP_NEED(pthread_sigqueue(ring.threads[to], SIGRTMIN, value) == 0);
}

static void *hop_forever(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	int expected = (int)me;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	prop_pin(me % prop_cpus());
	__atomic_add_fetch(&ring.started, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		siginfo_t info;
		struct timespec patience = { .tv_sec = PROP_PATIENCE_S };
		if (sigtimedwait(&set, &info, &patience) != SIGRTMIN)
			prop_fail("thread %u waited %d s for hop %d", me, PROP_PATIENCE_S, expected);
		if (info.si_value.sival_int != expected)
			prop_fail("thread %u got hop %d instead of %d", me,
				  info.si_value.sival_int, expected);
		expected += (int)ring.n;
		__atomic_add_fetch(&ring.hops, 1, __ATOMIC_SEQ_CST);
		int next = info.si_value.sival_int + 1;
		if (__atomic_exchange_n(&ring.spoil, false, __ATOMIC_SEQ_CST))
			next++;
		hop_send((me + 1) % ring.n, next);
	}
	return NULL;
}

static void barrier(int command)
{
	PROP_NEED(syscall(SYS_membarrier, command, 0, 0) == 0);
}

static void wait_hops(uint64_t more)
{
	uint64_t goal = __atomic_load_n(&ring.hops, __ATOMIC_SEQ_CST) + more;
	while (__atomic_load_n(&ring.hops, __ATOMIC_SEQ_CST) < goal)
		prop_pause_ms(2);
}

int irq_main(int argc, char **argv)
{
	(void)argc, (void)argv;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	PROP_NEED(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
	ring.n = prop_cpus() < MIN_THREADS ? MIN_THREADS : prop_cpus();
	ring.threads = calloc(ring.n, sizeof *ring.threads);
	PROP_NEED(ring.threads);
	for (unsigned i = 0; i < ring.n; i++)
		PROP_NEED(pthread_create(&ring.threads[i], NULL, hop_forever,
					 (void *)(uintptr_t)i) == 0);
	while (__atomic_load_n(&ring.started, __ATOMIC_SEQ_CST) < ring.n)
		prop_pause_ms(1);
	hop_send(0, 0);
	wait_hops(100);
	prop_say("set");

	if (prop_told_to_spoil())
		__atomic_store_n(&ring.spoil, true, __ATOMIC_SEQ_CST);
	wait_hops(HOPS_AFTER);
	for (int i = 0; i < BARRIERS_AFTER; i++)
		barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	prop_ok("%u threads, %lu hops", ring.n, __atomic_load_n(&ring.hops, __ATOMIC_SEQ_CST));
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regs.c: general, x87, SSE and AVX registers and their control words, on every CPU at once.
 * While it waits, each CPU spins in user mode with nothing but known values in its registers.
 */
#include "prop.h"
#include "regs_x86_64.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct spinner {
	struct regs set, got;
	unsigned cpu;
	int avx;
	bool started;
	pthread_t thread;
};

static void regs_fill(struct regs *ret, unsigned cpu, int avx)
{
	struct regs r = {
		/* Round up (SSE) and down (x87): not what any start-up code leaves behind. */
		.mxcsr = 0x5f80,
		.fcw = 0x077f,
	};
	uint64_t next = cpu * 1000ull;
	for (int i = 0; i < 14; i++)
		r.gpr[i] = prop_pattern(next++);
	for (int i = 0; i < 8; i++)
		r.x87[i] = (int64_t)prop_pattern(next++);
	for (int i = 0; i < 16; i++)
		for (int j = 0; j < (avx ? 4 : 2); j++)
			r.vector[i][j] = prop_pattern(next++);
	*ret = r;
}

static void *spin(void *arg)
{
	struct spinner *s = arg;
	prop_pin(s->cpu);
	if (nice(19) == -1)
		prop_fail("nice");
	__atomic_store_n(&s->started, true, __ATOMIC_SEQ_CST);
	regs_spin(&s->set, &s->got, prop_order_page(), s->avx);
	return NULL;
}

static void compare(const struct spinner *s)
{
	for (int i = 0; i < 14; i++)
		if (s->got.gpr[i] != s->set.gpr[i])
			prop_fail("cpu %u general register %d is %#lx, was %#lx", s->cpu, i,
				  s->got.gpr[i], s->set.gpr[i]);
	for (int i = 0; i < 8; i++)
		if (s->got.x87[i] != s->set.x87[i])
			prop_fail("cpu %u x87 register %d differs", s->cpu, i);
	if (s->got.mxcsr != s->set.mxcsr || s->got.fcw != s->set.fcw)
		prop_fail("cpu %u mxcsr %#x fcw %#x, were %#x %#x", s->cpu, s->got.mxcsr,
			  s->got.fcw, s->set.mxcsr, s->set.fcw);
	for (int i = 0; i < 16; i++)
		if (memcmp(s->got.vector[i], s->set.vector[i], sizeof s->set.vector[i]) != 0)
			prop_fail("cpu %u vector register %d differs", s->cpu, i);
}

int regs_main(int argc, char **argv)
{
	(void)argc, (void)argv;
	unsigned cpus = prop_cpus();
	int avx = __builtin_cpu_supports("avx") != 0;
	struct spinner *spinners = calloc(cpus, sizeof *spinners);
	PROP_NEED(spinners);
	for (unsigned i = 0; i < cpus; i++) {
		spinners[i].cpu = i;
		spinners[i].avx = avx;
		regs_fill(&spinners[i].set, i, avx);
		PROP_NEED(pthread_create(&spinners[i].thread, NULL, spin, &spinners[i]) == 0);
	}
	for (unsigned i = 0; i < cpus; i++)
		while (!__atomic_load_n(&spinners[i].started, __ATOMIC_SEQ_CST))
			prop_pause_ms(1);
	prop_say("set");

	/* The page is cleared only after all have left their loops. */
	for (unsigned i = 0; i < cpus; i++)
		PROP_NEED(pthread_join(spinners[i].thread, NULL) == 0);
	if (prop_told_to_spoil())
		spinners[cpus - 1].got.vector[15][avx ? 3 : 1] ^= 1ull << 63;
	for (unsigned i = 0; i < cpus; i++)
		compare(&spinners[i]);
	prop_ok("%u cpus, 14 general, 8 x87, 16 %s registers", cpus, avx ? "AVX" : "SSE");
}

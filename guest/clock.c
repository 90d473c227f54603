/* SPDX-License-Identifier: Apache-2.0 */
/* The TSC, and KVM's paravirtual clock (Linux: Documentation/virt/kvm/x86/msr.rst). */
#include "commands.h"
#include "cpu.h"
#include "serial.h"
#include "smp.h"
#include "text.h"
#include "user.h"

#define MSR_KVM_SYSTEM_TIME 0x4b564d01
#define CPUID_KVM_FEATURES 0x40000001
#define KVM_FEATURE_CLOCKSOURCE2 (1u << 3)

struct pvclock {
	volatile uint32_t version, pad;
	volatile uint64_t tsc, ns;
	volatile uint32_t mul;
	volatile int8_t shift;
	volatile uint8_t flags;
	uint8_t pad2[2];
} __attribute__((aligned(32)));

static struct pvclock pvclocks[MAX_CPUS];

/* The latest TSC that any CPU has seen, for `tsc` on one CPU or on all. */
static uint64_t tsc_latest;

struct tsc_watch {
	uint64_t limit, rounds, last, gap, back;
};

/* LFENCE on both sides keeps the reading between the two memory accesses. */
static uint64_t tsc_ordered(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc; lfence" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

/* Takes the latest reading first, so that a smaller one now is a step back. */
static uint64_t tsc_step(struct tsc_watch *w)
{
	uint64_t before = __atomic_load_n(&tsc_latest, __ATOMIC_SEQ_CST);
	uint64_t now = tsc_ordered();

	if (now < before)
		return before - now;
	if (w->rounds != 0 && now - w->last > w->gap)
		w->gap = now - w->last;
	w->last = now;
	while (before < now && !__atomic_compare_exchange_n(&tsc_latest, &before, now, false,
							    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	return 0;
}

/* At CPL3, where LFENCE exists on every KVM. */
static uint64_t tsc_loop(uint64_t arg, uint64_t unused1, uint64_t unused2)
{
	struct tsc_watch *w = (struct tsc_watch *)arg;

	(void)unused1, (void)unused2;
	while ((w->limit == 0 || w->rounds != w->limit) && w->back == 0 && serial_pending == 0) {
		w->back = tsc_step(w);
		w->rounds++;
	}
	return 0;
}

const char *cmd_tsc(struct args *a, struct reply *r)
{
	struct tsc_watch w = { 0 };

	if (!args_number_or(a, 0, &w.limit) || (w.limit == 0 && serial_polled()))
		return USAGE;
	user_call(tsc_loop, (uintptr_t)&w, 0, 0);
	if (w.back == 0 && (w.limit == 0 || w.rounds != w.limit))
		serial_spend();
	reply_dec(r, "tsc", w.last);
	reply_dec(r, "rounds", w.rounds);
	reply_dec(r, "gap", w.gap);
	if (w.back == 0)
		return NULL;
	reply_dec(r, "back", w.back);
	return "the TSC went back";
}

static uint64_t pvclock_ns(const struct pvclock *c)
{
	uint32_t version;
	uint64_t ns;

	do {
		uint64_t delta;

		version = c->version;
		cpu_compiler_barrier();
		delta = cpu_rdtsc() - c->tsc;
		delta = c->shift < 0 ? delta >> -c->shift : delta << c->shift;
		ns = c->ns + (uint64_t)((unsigned __int128)delta * c->mul >> 32);
		cpu_compiler_barrier();
	} while ((version & 1) != 0 || version != c->version);
	return ns;
}

const char *cmd_kvmclock(struct args *a, struct reply *r)
{
	static uint64_t latest[MAX_CPUS];
	unsigned index = cpu_this()->index;
	struct pvclock *c = &pvclocks[index];
	uint64_t ns;

	(void)a;
	if ((cpu_cpuid(CPUID_KVM_FEATURES, 0).eax & KVM_FEATURE_CLOCKSOURCE2) == 0)
		return "this host has no kvmclock";
	if (c->version == 0)
		cpu_wrmsr(MSR_KVM_SYSTEM_TIME, (uintptr_t)c | 1);
	ns = pvclock_ns(c);
	reply_dec(r, "ns", ns);
	/* Flag 2 says that the host stopped the guest for a while. */
	reply_hex(r, "flags", c->flags);
	c->flags &= (uint8_t)~2u;
	if (ns < latest[index])
		return "the clock went back";
	latest[index] = ns;
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC timer and the PIT. The guest takes the APIC timer at
 * divide-by-1 to count nanoseconds, which is what KVM and QEMU give it, and the
 * TSC deadline in cycles.
 */
#include "apic.h"
#include "commands.h"
#include "cpu.h"
#include "smp.h"
#include "text.h"
#include "timer.h"
#include "trap.h"

#define DIVIDE_BY_1 0x0b
#define TIMER_ONCE 0u
#define TIMER_PERIODIC (1u << 17)
#define TIMER_DEADLINE (2u << 17)
#define MSR_TSC_DEADLINE 0x6e0
#define CPUID1_TSC_DEADLINE (1u << 24)
#define TIMER_MAX_US 4000000 /* the count has 32 bits */
#define CALIBRATE_NS 5000000

#define PIT_CHANNEL0 0x40
#define PIT_MODE 0x43
#define PIT_MODE2 0x34 /* channel 0, both bytes, rate generator */
#define PIT_MODE0 0x30 /* one shot: silent after it */
#define PIT_HZ 1193182

void vector_wait(unsigned vector, uint64_t more)
{
	const volatile uint32_t *count = &cpu_this()->irqs[vector];
	uint32_t start = *count;

	while (*count - start < (uint32_t)more)
		cpu_wait();
}

static void timer_interrupt(unsigned vector)
{
	uint64_t step = cpu_this()->deadline_step;

	(void)vector;
	if (step != 0)
		cpu_wrmsr(MSR_TSC_DEADLINE, cpu_rdtsc() + step);
}

static void timer_set(uint32_t mode, uint32_t count)
{
	trap_handle(VECTOR_TIMER, timer_interrupt);
	cpu_this()->deadline_step = 0;
	lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER | mode);
	if (mode == TIMER_DEADLINE)
		return;
	lapic_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_1);
	lapic_write(LAPIC_TIMER_INITIAL, count);
}

static void timer_stop(void)
{
	cpu_this()->deadline_step = 0;
	lapic_write(LAPIC_LVT_TIMER, LAPIC_LVT_MASKED);
	lapic_write(LAPIC_TIMER_INITIAL, 0);
}

/* Two readings of both: how long anything takes does not matter. */
uint64_t timer_tsc_per_ms(void)
{
	uint64_t tsc, start;
	uint32_t first, ns;

	timer_set(TIMER_ONCE, TIMER_MAX_US * 1000u);
	first = lapic_read(LAPIC_TIMER_CURRENT);
	start = cpu_rdtsc();
	do {
		ns = first - lapic_read(LAPIC_TIMER_CURRENT);
		tsc = cpu_rdtsc() - start;
	} while (ns < CALIBRATE_NS);
	timer_stop();
	return tsc * 1000000 / ns;
}

static const char *deadline_start(uint64_t step)
{
	if ((cpu_cpuid(1, 0).ecx & CPUID1_TSC_DEADLINE) == 0)
		return "this CPU has no TSC deadline";
	timer_set(TIMER_DEADLINE, 0);
	/* The mode must be seen before the deadline (SDM 11.5.4.1). */
	cpu_fence();
	cpu_this()->deadline_step = step;
	cpu_wrmsr(MSR_TSC_DEADLINE, cpu_rdtsc() + step);
	return NULL;
}

static const char *ticks_do(const char *what, uint64_t n)
{
	if (text_equal(what, "wait")) {
		vector_wait(VECTOR_TIMER, n);
		return NULL;
	}
	if (n == 0)
		return USAGE;
	if (text_equal(what, "deadline"))
		return deadline_start(n);
	if (n > TIMER_MAX_US)
		return "longer than the timer can count";
	if (text_equal(what, "once"))
		timer_set(TIMER_ONCE, (uint32_t)n * 1000);
	else if (text_equal(what, "periodic"))
		timer_set(TIMER_PERIODIC, (uint32_t)n * 1000);
	else
		return USAGE;
	return NULL;
}

const char *cmd_ticks(struct args *a, struct reply *r)
{
	const char *what = args_word(a);
	const char *fault = NULL;
	uint64_t n;

	if (what != NULL && text_equal(what, "stop"))
		timer_stop();
	else if (what != NULL)
		fault = args_number(a, &n) ? ticks_do(what, n) : USAGE;
	cpu_interrupts_window();
	reply_dec(r, "ticks", cpu_this()->irqs[VECTOR_TIMER]);
	reply_dec(r, "left", lapic_read(LAPIC_TIMER_CURRENT));
	return fault;
}

const char *cmd_sleep(struct args *a, struct reply *r)
{
	uint64_t ms, us;

	if (!args_number(a, &ms))
		return USAGE;
	for (us = ms * 1000; us > 0;) {
		uint64_t part = us < TIMER_MAX_US ? us : TIMER_MAX_US;

		timer_set(TIMER_ONCE, (uint32_t)part * 1000);
		vector_wait(VECTOR_TIMER, 1);
		us -= part;
	}
	reply_dec(r, "slept", ms);
	return NULL;
}

static const char *pit_start(uint64_t hz)
{
	uint64_t count;

	if (hz < PIT_HZ / 65536 + 1 || hz > PIT_HZ / 2)
		return "the PIT cannot count that";
	count = PIT_HZ / hz;
	/* IRQ 0 comes in on pin 2 of a PC, on pin 0 where nothing overrides it. */
	ioapic_route(0, VECTOR_GSI(0));
	ioapic_route(2, VECTOR_GSI(2));
	port_out8(PIT_MODE, PIT_MODE2);
	port_out8(PIT_CHANNEL0, (uint8_t)count);
	port_out8(PIT_CHANNEL0, (uint8_t)(count >> 8));
	return NULL;
}

static void pit_stop(void)
{
	port_out8(PIT_MODE, PIT_MODE0);
	ioapic_mask(0);
	ioapic_mask(2);
}

static void pit_wait(uint64_t more)
{
	const volatile uint32_t *irqs = cpu_boot()->irqs;
	uint32_t start = irqs[VECTOR_GSI(0)] + irqs[VECTOR_GSI(2)];

	while (irqs[VECTOR_GSI(0)] + irqs[VECTOR_GSI(2)] - start < (uint32_t)more)
		cpu_wait();
}

const char *cmd_pit(struct args *a, struct reply *r)
{
	const char *what = args_word(a);
	const char *fault = NULL;
	uint64_t n;

	if (what != NULL && text_equal(what, "stop"))
		pit_stop();
	else if (what != NULL && !args_number(a, &n))
		return USAGE;
	else if (what != NULL && text_equal(what, "start"))
		fault = pit_start(n);
	else if (what != NULL && text_equal(what, "wait"))
		pit_wait(n);
	else if (what != NULL)
		return USAGE;
	cpu_interrupts_window();
	reply_dec(r, "gsi0", cpu_boot()->irqs[VECTOR_GSI(0)]);
	reply_dec(r, "gsi2", cpu_boot()->irqs[VECTOR_GSI(2)]);
	return fault;
}

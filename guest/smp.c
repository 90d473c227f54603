/* SPDX-License-Identifier: Apache-2.0 */
/* Application processors: see smp.h. */
#include "smp.h"

#include "apic.h"
#include "commands.h"
#include "cpu.h"
#include "text.h"
#include "trap.h"
#include "user.h"

#define TSS_DESCRIPTOR 0x0000890000000000u /* present, 64-bit, available */

/* Bounds on polls, not on time; a CPU that is late is asked again. */
#define START_TRIES 200
#define START_POLLS 100000

extern char ap_stub[], ap_stub_end[];
extern uint64_t gdt[];

uint8_t cpu_areas[MAX_CPUS][CPU_AREA] __attribute__((aligned(CPU_AREA)));
uint8_t cpu_of_apic[256];

static unsigned cpus_known = 1;
static volatile bool ap_idle;

_Static_assert(sizeof(struct cpu) <= CPU_USER_TOP / 2, "the CPL3 stack keeps half of its room");
_Static_assert(offsetof(struct cpu, kernel_rsp) == CPU_KERNEL_RSP, "trap.S");
_Static_assert(offsetof(struct cpu, tss) == CPU_TSS, "trap.S");
_Static_assert(offsetof(struct cpu, tss.rsp0) == CPU_TSS_RSP0, "trap.S");

struct cpu *cpu_at(unsigned index)
{
	return (struct cpu *)cpu_areas[index];
}

unsigned cpu_count(void)
{
	return cpus_known;
}

void cpu_add(uint32_t apic_id)
{
	if (apic_id == cpu_boot()->apic_id || apic_id > 255 || cpus_known == MAX_CPUS)
		return;
	cpu_at(cpus_known)->index = cpus_known;
	cpu_at(cpus_known)->apic_id = apic_id;
	cpu_of_apic[apic_id] = (uint8_t)cpus_known;
	cpus_known++;
}

void cpu_start(struct cpu *cpu)
{
	uint64_t base = (uintptr_t)&cpu->tss;
	uint64_t *descriptor = &gdt[SEL_TSS / 8 + 2 * cpu->index];

	cpu->tss.io_map = sizeof cpu->tss;
	descriptor[0] = TSS_DESCRIPTOR | (sizeof cpu->tss - 1) | (base & 0xffffff) << 16 |
			(base >> 24 & 0xff) << 56;
	descriptor[1] = base >> 32;
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS + 16 * cpu->index));
	user_setup(0);
	cpu->online = true;
}

void ap_main(struct cpu *cpu);

void ap_main(struct cpu *cpu)
{
	lapic_start();
	cpu_start(cpu);
	for (;;) {
		cpu->beats = cpu->beats + 1;
		if (cpu->job != NULL) {
			job_run(cpu->job);
			cpu_compiler_barrier();
			cpu->job = NULL;
		}
		if (ap_idle)
			cpu_wait();
		else
			cpu_interrupts_window();
	}
}

static bool ap_start(struct cpu *cpu)
{
	lapic_send(cpu->apic_id, ICR_INIT);
	for (unsigned i = 0; i < START_TRIES; i++) {
		lapic_send(cpu->apic_id, ICR_STARTUP | AP_PAGE >> 12);
		for (unsigned poll = 0; poll < START_POLLS; poll++) {
			if (cpu->online)
				return true;
			cpu_pause();
		}
	}
	return false;
}

bool smp_start(void)
{
	memcpy((void *)AP_PAGE, ap_stub, (size_t)(ap_stub_end - ap_stub));
	for (unsigned i = 1; i < cpus_known; i++) {
		if (!cpu_at(i)->online && !ap_start(cpu_at(i)))
			return false;
	}
	return true;
}

void smp_idle(bool idle)
{
	ap_idle = idle;
	lapic_send(0, ICR_FIXED | ICR_TO_OTHERS | VECTOR_IPI);
}

void smp_give(unsigned index, struct job *job)
{
	cpu_compiler_barrier();
	cpu_at(index)->job = job;
	cpu_fence();
	lapic_send(cpu_at(index)->apic_id, ICR_FIXED | VECTOR_IPI);
}

bool smp_done(unsigned index)
{
	return cpu_at(index)->job == NULL;
}

static const char *cpus_start(struct reply *r)
{
	bool all = smp_start();

	for (unsigned i = 1; i < cpus_known; i++) {
		if (!cpu_at(i)->online)
			reply_dec(r, "missing", i);
	}
	return all ? NULL : "a CPU did not start";
}

/* Returns only once every AP has gone on counting (or woken up, when idle). */
static void cpus_check(struct reply *r)
{
	uint64_t before[MAX_CPUS];

	for (unsigned i = 1; i < cpus_known; i++)
		before[i] = cpu_at(i)->beats;
	if (ap_idle)
		smp_idle(true);
	for (unsigned i = 1; i < cpus_known; i++) {
		while (cpu_at(i)->online && cpu_at(i)->beats == before[i])
			cpu_pause();
		reply_dec(r, "beats", cpu_at(i)->beats);
	}
}

const char *cmd_cpus(struct args *a, struct reply *r)
{
	const char *what = args_word(a);
	const char *fault = NULL;
	unsigned online = 0;

	if (what == NULL)
		what = "count";
	if (text_equal(what, "start"))
		fault = cpus_start(r);
	else if (text_equal(what, "check"))
		cpus_check(r);
	else if (text_equal(what, "idle"))
		smp_idle(true);
	else if (text_equal(what, "spin"))
		smp_idle(false);
	else if (!text_equal(what, "count"))
		return USAGE;
	for (unsigned i = 0; i < cpus_known; i++)
		online += cpu_at(i)->online;
	reply_dec(r, "cpus", cpus_known);
	reply_dec(r, "online", online);
	return fault;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPUs. One area each (layout.h); the boot CPU has index 0. Application
 * processors, once started, count and run the jobs they are handed.
 */
#ifndef TGUEST_SMP_H
#define TGUEST_SMP_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"
#include "state.h"

struct tss {
	uint32_t reserved0;
	uint64_t rsp0, rsp1, rsp2;
	uint64_t reserved1, ist[7], reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed));

/* A command line to run on another CPU; see commands.c. */
struct job;

struct cpu {
	uint64_t kernel_rsp; /* trap.S: the kernel's stack while at CPL3 */
	struct tss tss;
	uint32_t index;
	uint32_t apic_id;
	volatile bool online;
	volatile uint64_t beats; /* what an idle AP counts */
	struct job *volatile job;
	uint64_t deadline_step; /* timer.c: TSC cycles between deadlines, or 0 */
	volatile uint32_t irqs[256];
	struct state state;
};

struct cpu *cpu_at(unsigned index);
unsigned cpu_count(void);

static inline struct cpu *cpu_boot(void)
{
	return cpu_at(0);
}

/* The CPU that runs this, at either privilege level. */
static inline struct cpu *cpu_this(void)
{
	uintptr_t sp;

	__asm__ volatile("mov %%rsp, %0" : "=r"(sp));
	return (struct cpu *)((sp - 1) & ~(uintptr_t)(CPU_AREA - 1));
}

/* Notes a CPU that the firmware tables list. Before smp_start. */
void cpu_add(uint32_t apic_id);
/* Task register and system-call MSRs of the CPU that runs this. */
void cpu_start(struct cpu *cpu);

/* Brings up every noted CPU that is not up; false if one does not answer. */
bool smp_start(void);
/* With idle, APs sleep between jobs rather than count. */
void smp_idle(bool idle);

/* Hands a job over and returns at once; smp_done tells when it is finished. */
void smp_give(unsigned index, struct job *job);
bool smp_done(unsigned index);
/* Runs a job on the CPU that calls it (commands.c). */
void job_run(struct job *job);

#endif

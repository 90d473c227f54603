/* SPDX-License-Identifier: Apache-2.0 */
/* Where the stubs of trap.S arrive: see trap.h. */
#include "trap.h"

#include "apic.h"
#include "cpu.h"
#include "power.h"
#include "serial.h"
#include "smp.h"
#include "text.h"

/* As trap_common pushes it, lowest address first. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

enum { STI = 0xfb, HLT = 0xf4 };

static trap_handler handlers[256];

void trap_handle(unsigned vector, trap_handler handler)
{
	handlers[vector] = handler;
}

/* The first to come reports; others that fault meanwhile only stop. */
static _Noreturn void exception_report(const struct trap_frame *f)
{
	static struct reply report;
	static bool reporting;
	uint64_t cr2;

	if (__atomic_exchange_n(&reporting, true, __ATOMIC_SEQ_CST))
		power_halt();
	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	reply_clear(&report);
	reply_text(&report, "tguest: exception");
	reply_dec(&report, "vector", f->vector);
	reply_hex(&report, "error", f->error);
	reply_hex(&report, "rip", f->rip);
	reply_hex(&report, "cs", f->cs);
	reply_hex(&report, "rsp", f->rsp);
	reply_hex(&report, "cr2", cr2);
	reply_dec(&report, "cpu", cpu_this()->index);
	serial_line(&report);
	power_triple_fault();
}

/*
 * No processor takes an interrupt between STI and HLT, but QEMU's TCG does when it emulates one that
 * runs this guest: its VMRUN does not load the interrupt shadow. What was to end the sleep has come
 * then, so there is none (cpu_wait).
 */
static void no_sleep_after(struct trap_frame *f)
{
	const uint8_t *at = (const uint8_t *)f->rip;
	bool user = (f->cs & 3) != 0;

	if (!user && at[-1] == STI && at[0] == HLT)
		f->rip++;
}

void trap_dispatch(struct trap_frame *f);

void trap_dispatch(struct trap_frame *f)
{
	unsigned vector = f->vector & 0xff;

	if (vector < 32)
		exception_report(f);
	no_sleep_after(f);
	cpu_this()->irqs[vector]++;
	if (handlers[vector] != NULL)
		handlers[vector](vector);
	if (vector != VECTOR_SPURIOUS)
		lapic_eoi();
}

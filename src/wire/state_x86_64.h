/* SPDX-License-Identifier: Apache-2.0 */
/* The processor and interrupt state of an x86-64 machine as plain values.
 *
 * They mirror what KVM's state calls carry (Documentation/virt/kvm/api.rst) but are our own
 * structs: a kernel header can never move a byte of the file. machine/vcpu and machine/irq
 * translate to and from KVM's; wire/sect_*_x86_64.c to and from the file. */
#pragma once

#include "base/units.h"

enum {
	X86_XSAVE_MAX = 16384, /* AMX tile state included: 11008 bytes on today's processors */
	X86_MSRS_MAX = 512,
	X86_CPUID_MAX = 256,
	X86_LAPIC_SIZE = 1024,
	X86_XCRS_MAX = 16,
	X86_IOAPIC_PINS = 24,
};

struct x86_regs {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags;
};

struct x86_segment {
	uint64_t base;
	uint32_t limit;
	uint16_t selector;
	uint8_t type, present, dpl, db, s, l, g, avl, unusable;
};

struct x86_dtable {
	uint64_t base;
	uint16_t limit;
};

struct x86_sregs {
	struct x86_segment cs, ds, es, fs, gs, ss, tr, ldt;
	struct x86_dtable gdt, idt;
	uint64_t cr0, cr2, cr3, cr4, cr8, efer, apic_base;
	uint64_t interrupt_bitmap[4];
};

struct x86_debugregs {
	uint64_t db[4], dr6, dr7, flags;
};

struct x86_xcr {
	uint32_t index;
	uint64_t value;
};

struct x86_msr {
	uint32_t index;
	uint64_t value;
};

struct x86_cpuid_entry {
	uint32_t function, index, flags, eax, ebx, ecx, edx;
};

/* KVM_GET_VCPU_EVENTS, field for field. */
struct x86_events {
	uint8_t exception_injected, exception_nr, exception_has_error_code, exception_pending;
	uint32_t exception_error_code;
	uint8_t interrupt_injected, interrupt_nr, interrupt_soft, interrupt_shadow;
	uint8_t nmi_injected, nmi_pending, nmi_masked;
	uint32_t sipi_vector, flags;
	uint8_t smi_smm, smi_pending, smi_smm_inside_nmi, smi_latched_init;
	uint8_t triple_fault_pending, exception_has_payload;
	uint64_t exception_payload;
};

struct vcpu_x86_64 {
	vcpu_id id;
	uint32_t mp_state;        /* KVM_MP_STATE_* */
	uint32_t tsc_khz;         /* 0: not known */
	uint64_t guest_tsc;       /* this vCPU's IA32_TSC as the guest would read it at the freeze */
	struct x86_regs regs;
	struct x86_sregs sregs;
	struct x86_debugregs debugregs;
	struct x86_events events;
	uint32_t n_xcrs;          /* ascending by index */
	struct x86_xcr xcrs[X86_XCRS_MAX];
	uint32_t n_cpuid;         /* ascending by function, then index */
	struct x86_cpuid_entry cpuid[X86_CPUID_MAX];
	uint32_t n_msrs;          /* sorted by index, no index twice, never IA32_TSC */
	struct x86_msr msrs[X86_MSRS_MAX];
	uint32_t xsave_len;       /* at least 576: legacy area and header */
	uint8_t lapic[X86_LAPIC_SIZE];
	uint8_t xsave[X86_XSAVE_MAX];
};

/* One 8259: KVM_GET_IRQCHIP, field for field. */
struct x86_pic {
	uint8_t last_irr, irr, imr, isr, priority_add, irq_base, read_reg_select, poll;
	uint8_t special_mask, init_state, auto_eoi, rotate_on_auto_eoi;
	uint8_t special_fully_nested_mode, init4, elcr, elcr_mask;
};

struct x86_ioapic {
	uint64_t base_address;
	uint32_t ioregsel, id, irr;
	uint64_t redirection[X86_IOAPIC_PINS];
};

struct x86_pit_channel {
	uint32_t count;
	uint16_t latched_count;
	uint8_t count_latched, status_latched, status, read_state, write_state, write_latch;
	uint8_t rw_mode, mode, bcd, gate;
	int64_t count_load_time; /* host monotonic ns: meaningful only relative to clock.host_ns */
};

struct irqchip_x86_64 {
	struct x86_pic pic[2]; /* master, slave */
	struct x86_ioapic ioapic;
	struct x86_pit_channel pit[3];
	uint32_t pit_flags;
};

struct clock_x86_64 {
	uint64_t kvmclock_ns;  /* KVM_GET_CLOCK */
	uint64_t realtime_ns;  /* the host's CLOCK_REALTIME at that moment */
	uint64_t host_ns;      /* the host's CLOCK_MONOTONIC at that moment */
};

/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of the larger structures, in the order of the file: X(width, name, largest value).
 * Reader, writer and everything that shows a machine are made from the same list. Limits are those
 * that hold for every state KVM can hand out; what only KVM can judge (control registers, the
 * XSAVE image) is left to it. */
#pragma once

#include "wire/state_x86_64.h"

#define X86_U64(X, name) X(u64, name, UINT64_MAX)

#define X86_REGS(X) \
	X86_U64(X, rax) X86_U64(X, rbx) X86_U64(X, rcx) X86_U64(X, rdx) X86_U64(X, rsi) \
	X86_U64(X, rdi) X86_U64(X, rsp) X86_U64(X, rbp) X86_U64(X, r8) X86_U64(X, r9) \
	X86_U64(X, r10) X86_U64(X, r11) X86_U64(X, r12) X86_U64(X, r13) X86_U64(X, r14) \
	X86_U64(X, r15) X86_U64(X, rip) X86_U64(X, rflags)

#define X86_SEGMENT(X) \
	X(u64, base, UINT64_MAX) X(u32, limit, UINT32_MAX) X(u16, selector, UINT16_MAX) \
	X(u8, type, 15) X(u8, present, 1) X(u8, dpl, 3) X(u8, db, 1) X(u8, s, 1) X(u8, l, 1) \
	X(u8, g, 1) X(u8, avl, 1) X(u8, unusable, 1)

#define X86_CONTROL(X) \
	X86_U64(X, cr0) X86_U64(X, cr2) X86_U64(X, cr3) X86_U64(X, cr4) X(u64, cr8, 15) \
	X86_U64(X, efer) X86_U64(X, apic_base)

/* Documentation/virt/kvm/api.rst, KVM_GET_DEBUGREGS: flags are reserved. The upper halves of DR6
 * and DR7 are reserved in the architecture. */
#define X86_DEBUG(X) X(u64, dr6, UINT32_MAX) X(u64, dr7, UINT32_MAX) X(u64, flags, 0)

/* KVM_GET_VCPU_EVENTS. The flags are KVM_VCPUEVENT_VALID_*. */
#define X86_EVENTS(X) \
	X(u8, exception_injected, 1) X(u8, exception_nr, 31) X(u8, exception_has_error_code, 1) \
	X(u8, exception_pending, 1) X(u32, exception_error_code, UINT32_MAX) \
	X(u8, interrupt_injected, 1) X(u8, interrupt_nr, UINT8_MAX) X(u8, interrupt_soft, 1) \
	X(u8, interrupt_shadow, 3) X(u8, nmi_injected, 1) X(u8, nmi_pending, 2) \
	X(u8, nmi_masked, 1) X(u8, triple_fault_pending, 1) X(u32, sipi_vector, 255) \
	X(u32, flags, 63) X(u8, smi_smm, 1) X(u8, smi_pending, 1) X(u8, smi_smm_inside_nmi, 1) \
	X(u8, smi_latched_init, 1) X(u8, exception_has_payload, 1)

#define X86_CPUID_VALUES(X) \
	X(u32, eax, UINT32_MAX) X(u32, ebx, UINT32_MAX) X(u32, ecx, UINT32_MAX) \
	X(u32, edx, UINT32_MAX)

/* 8259A, KVM_GET_IRQCHIP. */
#define X86_PIC(X) \
	X(u8, last_irr, UINT8_MAX) X(u8, irr, UINT8_MAX) X(u8, imr, UINT8_MAX) \
	X(u8, isr, UINT8_MAX) X(u8, priority_add, 7) X(u8, irq_base, UINT8_MAX) \
	X(u8, read_reg_select, 1) X(u8, poll, 1) X(u8, special_mask, 1) X(u8, init_state, 3) \
	X(u8, auto_eoi, 1) X(u8, rotate_on_auto_eoi, 1) X(u8, special_fully_nested_mode, 1) \
	X(u8, init4, 1) X(u8, elcr, UINT8_MAX) X(u8, elcr_mask, UINT8_MAX)

#define X86_IOAPIC(X) \
	X(u64, base_address, UINT64_MAX) X(u32, ioregsel, UINT8_MAX) X(u32, id, 15) \
	X(u32, irr, (1u << X86_IOAPIC_PINS) - 1)

/* 8254, KVM_GET_PIT2: read and write states are 0 (unused) to 4 (second byte of a word). */
#define X86_PIT(X) \
	X(u32, count, 65536) X(u16, latched_count, UINT16_MAX) X(u8, count_latched, 3) \
	X(u8, status_latched, 1) X(u8, status, UINT8_MAX) X(u8, read_state, 4) \
	X(u8, write_state, 4) X(u8, write_latch, UINT8_MAX) X(u8, rw_mode, 3) \
	X(u8, mode, UINT8_MAX) X(u8, bcd, 1) X(u8, gate, 1)

/* Nanoseconds are signed 64-bit numbers in the kernel. */
#define X86_CLOCK(X) \
	X(u64, kvmclock_ns, INT64_MAX) X(u64, realtime_ns, INT64_MAX) X(u64, host_ns, INT64_MAX)

/* 16550A: the upper bits of IER and MCR do not exist. What follows the filled part of the FIFO is
 * zero. */
#define SERIAL_FIELDS(X) \
	X(u8, ier, 0x0F) X(u8, iir, UINT8_MAX) X(u8, fcr, UINT8_MAX) X(u8, lcr, UINT8_MAX) \
	X(u8, lsr, UINT8_MAX) X(u8, mcr, 0x1F) X(u8, msr, UINT8_MAX) X(u8, scr, UINT8_MAX) \
	X(u8, dll, UINT8_MAX) X(u8, dlm, UINT8_MAX) X(u8, thre_pending, 1) \
	X(u8, rx_len, SERIAL_FIFO)

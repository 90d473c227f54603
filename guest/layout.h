/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers that C, assembly and the linker script must agree on. Nothing else
 * may be defined here, because the assembler reads this file too.
 */
#ifndef TGUEST_LAYOUT_H
#define TGUEST_LAYOUT_H

/* Segment selectors. SYSCALL and SYSRET dictate the order of the last four. */
#define SEL_CODE32 0x08
#define SEL_CODE64 0x10
#define SEL_DATA 0x18
#define SEL_USER32 0x20
#define SEL_USER_DATA 0x2b
#define SEL_USER_CODE 0x33
#define SEL_TSS 0x40 /* 16 bytes for each CPU from here on */

/* How the guest was entered: first argument of guest_main. */
#define BOOT_PVH 1
#define BOOT_LINUX 2

#define MAX_CPUS 64

/*
 * Each CPU owns one aligned area: struct cpu at the bottom, then the stack it
 * uses at CPL3, then the stack it uses at CPL0. `this` CPU is therefore the
 * stack pointer rounded down, in either mode, with no segment register.
 */
#define CPU_AREA_SHIFT 14
#define CPU_AREA (1 << CPU_AREA_SHIFT)
#define CPU_USER_TOP 0x2000
#define CPU_KERNEL_RSP 0 /* offsets in struct cpu */
#define CPU_TSS 8
#define CPU_TSS_RSP0 (CPU_TSS + 4)

/* The start-up IPI sends an application processor to this page. */
#define AP_PAGE 0x8000

/* Entry stubs: one for each interrupt vector, and aliases for LSTAR. */
#define STUB_BYTES 16
#define SYSCALL_ALIASES 16

/* struct state: see state.c */
#define STATE_LEFT 0
#define STATE_AVX 8
#define STATE_MXCSR 12
#define STATE_FCW 16
#define STATE_FLAGS 24
#define STATE_GPR 32
#define STATE_GPRS 14
#define STATE_ST 160
#define STATE_VEC 288
#define STATE_BYTES (288 + 16 * 32)

#endif

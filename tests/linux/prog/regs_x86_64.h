/* SPDX-License-Identifier: Apache-2.0 */
/* regs_x86_64.h: where regs_x86_64.S finds each value in struct regs. */
#ifndef REGS_X86_64_H
#define REGS_X86_64_H

#define REGS_GPR 0      /* 14 x 8: rax rbx rcx rdx rsi rdi rbp r8 ... r14 */
#define REGS_X87 112    /* 8 x 8, integers on the x87 stack */
#define REGS_MXCSR 176
#define REGS_FCW 180
#define REGS_VECTOR 184 /* 16 x 32; without AVX the upper half of each is not used */

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct regs {
	uint64_t gpr[14];
	int64_t x87[8];
	uint32_t mxcsr;
	uint16_t fcw, pad;
	uint64_t vector[16][4];
};
_Static_assert(offsetof(struct regs, x87) == REGS_X87, "x87");
_Static_assert(offsetof(struct regs, mxcsr) == REGS_MXCSR, "mxcsr");
_Static_assert(offsetof(struct regs, fcw) == REGS_FCW, "fcw");
_Static_assert(offsetof(struct regs, vector) == REGS_VECTOR, "vector");

/* Load all of set, spin without any other instruction until *flag is not 0, store into got. */
void regs_spin(const struct regs *set, struct regs *got, const volatile char *flag, int avx);
#endif

#endif

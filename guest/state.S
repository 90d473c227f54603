/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads a whole register file from a struct state, spins, and stores it back.
 * The spin touches no register: only its own countdown and the count of serial
 * bytes, both in memory. C compares (state.c).
 */
#include "layout.h"

	/* void state_spin(struct state *) at either privilege level */
	.globl	state_spin
state_spin:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	%rdi
	movq	%rdi, %rax
	movq	STATE_GPR + 0(%rax), %rbx
	movq	STATE_GPR + 8(%rax), %rcx
	movq	STATE_GPR + 16(%rax), %rdx
	movq	STATE_GPR + 24(%rax), %rsi
	movq	STATE_GPR + 32(%rax), %rdi
	movq	STATE_GPR + 40(%rax), %rbp
	movq	STATE_GPR + 48(%rax), %r8
	movq	STATE_GPR + 56(%rax), %r9
	movq	STATE_GPR + 64(%rax), %r10
	movq	STATE_GPR + 72(%rax), %r11
	movq	STATE_GPR + 80(%rax), %r12
	movq	STATE_GPR + 88(%rax), %r13
	movq	STATE_GPR + 96(%rax), %r14
	movq	STATE_GPR + 104(%rax), %r15
	std				/* a flag that the loop does not touch */
1:	decq	STATE_LEFT(%rax)
	jz	2f
	cmpl	$0, serial_pending
	je	1b
2:	pushfq
	cld
	popq	STATE_FLAGS(%rax)
	movq	%rbx, STATE_GPR + 0(%rax)
	movq	%rcx, STATE_GPR + 8(%rax)
	movq	%rdx, STATE_GPR + 16(%rax)
	movq	%rsi, STATE_GPR + 24(%rax)
	movq	%rdi, STATE_GPR + 32(%rax)
	movq	%rbp, STATE_GPR + 40(%rax)
	movq	%r8, STATE_GPR + 48(%rax)
	movq	%r9, STATE_GPR + 56(%rax)
	movq	%r10, STATE_GPR + 64(%rax)
	movq	%r11, STATE_GPR + 72(%rax)
	movq	%r12, STATE_GPR + 80(%rax)
	movq	%r13, STATE_GPR + 88(%rax)
	movq	%r14, STATE_GPR + 96(%rax)
	movq	%r15, STATE_GPR + 104(%rax)
	popq	%rdi			/* RAX itself must still be the pointer */
	subq	%rdi, %rax
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

	/*
	 * uint64_t state_spin_user(struct state *): the same with the x87, SSE and
	 * (where s->avx) AVX registers loaded. CPL3 only: a KVM that interprets
	 * kernel mode has no SSE there.
	 */
	.globl	state_spin_user
state_spin_user:
	pushq	%rdi
	fninit
	fldcw	STATE_FCW(%rdi)
	ldmxcsr	STATE_MXCSR(%rdi)
	.irp	n, 7, 6, 5, 4, 3, 2, 1, 0
	fldt	STATE_ST + 16 * \n(%rdi)
	.endr
	cmpl	$0, STATE_AVX(%rdi)
	jne	1f
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movups	STATE_VEC + 32 * \n(%rdi), %xmm\n
	.endr
	jmp	2f
1:	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovups	STATE_VEC + 32 * \n(%rdi), %ymm\n
	.endr
2:	call	state_spin
	popq	%rdi
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	fstpt	STATE_ST + 16 * \n(%rdi)
	.endr
	fnstcw	STATE_FCW(%rdi)
	stmxcsr	STATE_MXCSR(%rdi)
	cmpl	$0, STATE_AVX(%rdi)
	jne	1f
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movups	%xmm\n, STATE_VEC + 32 * \n(%rdi)
	.endr
	ret
1:	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovups	%ymm\n, STATE_VEC + 32 * \n(%rdi)
	.endr
	vzeroupper
	ret

	/*
	 * uint64_t beat_spin(uint64_t *memory): a register and *memory count
	 * together, and each round writes the low byte to COM1, until they differ
	 * (returns 1) or a serial byte arrives (returns 0). Two passes of the loop
	 * differ only in the count, so the first port write after a resume comes a
	 * fixed few instructions after the first instruction.
	 */
	.globl	beat_spin
beat_spin:
	movl	$0x3f8, %edx
	movq	(%rdi), %rcx
1:	incq	%rcx
	incq	(%rdi)
	cmpq	(%rdi), %rcx
	jne	2f
	movl	%ecx, %eax
	outb	%al, %dx
	cmpl	$0, serial_pending
	je	1b
	xorl	%eax, %eax
	ret
2:	movl	$1, %eax
	ret

	.section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regs_x86_64.S: every user register holds a known value while this spins.  r15 and rsp are
 * checked by their use: the flag's address, and the way back.
 */
#include "regs_x86_64.h"

	.text
	.globl	regs_spin
	.type	regs_spin, @function
regs_spin:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rcx
	push	%rsi

	fninit
	fldcw	REGS_FCW(%rdi)
	ldmxcsr	REGS_MXCSR(%rdi)
	.irp	i, 0,1,2,3,4,5,6,7
	fildll	REGS_X87+8*\i(%rdi)
	.endr
	test	%ecx, %ecx
	jz	1f
	.irp	i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovdqu	REGS_VECTOR+32*\i(%rdi), %ymm\i
	.endr
	jmp	2f
1:	.irp	i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	movdqu	REGS_VECTOR+32*\i(%rdi), %xmm\i
	.endr
2:	mov	%rdx, %r15
	mov	REGS_GPR+0(%rdi), %rax
	mov	REGS_GPR+8(%rdi), %rbx
	mov	REGS_GPR+16(%rdi), %rcx
	mov	REGS_GPR+24(%rdi), %rdx
	mov	REGS_GPR+32(%rdi), %rsi
	mov	REGS_GPR+48(%rdi), %rbp
	.irp	i, 8,9,10,11,12,13,14
	mov	REGS_GPR+8*(\i-1)(%rdi), %r\i
	.endr
	mov	REGS_GPR+40(%rdi), %rdi

3:	cmpb	$0, (%r15)
	je	3b

	push	%rax
	mov	8(%rsp), %rax
	mov	%rbx, REGS_GPR+8(%rax)
	mov	%rcx, REGS_GPR+16(%rax)
	mov	%rdx, REGS_GPR+24(%rax)
	mov	%rsi, REGS_GPR+32(%rax)
	mov	%rdi, REGS_GPR+40(%rax)
	mov	%rbp, REGS_GPR+48(%rax)
	.irp	i, 8,9,10,11,12,13,14
	mov	%r\i, REGS_GPR+8*(\i-1)(%rax)
	.endr
	popq	REGS_GPR+0(%rax)
	stmxcsr	REGS_MXCSR(%rax)
	fnstcw	REGS_FCW(%rax)
	.irp	i, 7,6,5,4,3,2,1,0
	fistpll	REGS_X87+8*\i(%rax)
	.endr
	pop	%rsi
	pop	%rcx
	test	%ecx, %ecx
	jz	4f
	.irp	i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vmovdqu	%ymm\i, REGS_VECTOR+32*\i(%rax)
	.endr
	vzeroupper
	jmp	5f
4:	.irp	i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	movdqu	%xmm\i, REGS_VECTOR+32*\i(%rax)
	.endr
5:	fninit
	movl	$0x1f80, -8(%rsp)
	ldmxcsr	-8(%rsp)
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
	.size	regs_spin, . - regs_spin
	.section .note.GNU-stack, "", @progbits

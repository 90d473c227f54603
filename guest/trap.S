/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts and exceptions into C, and the round trip to CPL3 and back.
 */
#include "layout.h"

	/* One stub for each vector, so that C learns which one it was. */
	.section .text.stubs, "ax"
	.globl	trap_stubs
trap_stubs:
	.set	vector, 0
	.rept	256
	.balign STUB_BYTES
	.if	(vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21)
	.elseif	vector == 6
	jmp	undefined_opcode
	.else
	pushq	$0			/* where the CPU pushes no error code */
	.endif
	pushq	$vector
	jmp	trap_common
	.set	vector, vector + 1
	.endr

	.text
trap_common:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rbx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, %rdi
	cld
	call	trap_dispatch
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rbp
	popq	%rbx
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq

	/*
	 * uint64_t user_call(function, a, b, c): runs function(a, b, c) at CPL3 with
	 * interrupts on, returns what it returns. While it runs, interrupts use the
	 * kernel stack below the frame saved here.
	 */
	.globl	user_call
user_call:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushfq
	cli
	movq	%rsp, %rax
	andq	$-CPU_AREA, %rax
	movq	%rsp, CPU_KERNEL_RSP(%rax)
	movq	%rsp, CPU_TSS_RSP0(%rax)
	leaq	CPU_USER_TOP - 8(%rax), %r8
	leaq	user_return(%rip), %r9
	movq	%r9, (%r8)
	pushq	$SEL_USER_DATA
	pushq	%r8
	pushq	$0x202
	pushq	$SEL_USER_CODE
	pushq	%rdi
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	iretq

	/* The return address of every function run at CPL3. */
user_return:
	syscall

	/*
	 * Software KVM comes here without leaving CPL3. An exception does leave it,
	 * and an undefined opcode at this one place is taken for the rest of the
	 * system call. RSP is in this CPU's area either way: still the CPL3 stack, or
	 * the stack the exception switched to.
	 */
syscall_entry:
	movl	%cs, %ecx
	testb	$3, %cl
	jz	leave_user
leave_user_trap:
	ud2
undefined_opcode:
	cmpq	$leave_user_trap, (%rsp)
	je	leave_user
	pushq	$0
	pushq	$6
	jmp	trap_common
leave_user:
	andq	$-CPU_AREA, %rsp
	movq	CPU_KERNEL_RSP(%rsp), %rsp
	popfq
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

	/* Equally good values of LSTAR, so that a test can vary it. */
	.globl	syscall_aliases
	.balign STUB_BYTES
syscall_aliases:
	.rept	SYSCALL_ALIASES
	.balign STUB_BYTES
	jmp	syscall_entry
	.endr

	.section .note.GNU-stack, "", @progbits

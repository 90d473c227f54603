/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two ways in, and the tables they need.
 *
 * pvh_entry: 32-bit protected mode, paging off, EBX = hvm_start_info (Xen's
 * PVH boot ABI). linux_entry: the ELF entry point, 64-bit mode on the loader's
 * page tables, RSI = boot_params (Linux x86 64-bit boot protocol). Both end in
 * guest_main(kind, address). Nothing the loader left in descriptor tables,
 * page tables or registers is used after that.
 *
 * Page tables, GDT and IDT are laid out by the assembler and the linker, not
 * filled in at run time: on a KVM that interprets kernel mode a loop over 2048
 * page entries would cost more than the whole boot.
 */
#include "layout.h"

#define CR0_VALUE 0x80010033	/* PG WP NE ET MP PE: SSE and x87 usable */
#define CR4_VALUE 0x00000620	/* OSXMMEXCPT OSFXSR PAE */
#define EFER 0xc0000080
#define EFER_SET 0x101		/* LME SCE */

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long pvh_entry

/* With PAE on and CR3 loaded: long mode and paging. Clobbers rax, rcx, rdx. */
.macro ENABLE_LONG_MODE
	movl	$CR4_VALUE, %eax
	movl	%eax, %cr4
	movl	$page_map_level4, %eax
	movl	%eax, %cr3
	movl	$EFER, %ecx
	rdmsr
	orl	$EFER_SET, %eax
	wrmsr
	movl	$CR0_VALUE, %eax
	movl	%eax, %cr0
.endm

	.text
	.code32
	.globl	pvh_entry
pvh_entry:
	cld
	movl	%ebx, %esi
	movl	$BOOT_PVH, %edi
	ENABLE_LONG_MODE
	lgdt	gdt_pointer
	ljmp	$SEL_CODE64, $boot_long

	/* An application processor, from its real-mode stub below. */
ap_protected:
	movl	$SEL_DATA, %eax
	movl	%eax, %ds
	ENABLE_LONG_MODE
	ljmp	$SEL_CODE64, $ap_long

	.code64
	.globl	linux_entry
linux_entry:
	cld
	movl	$BOOT_LINUX, %edi
	movq	$CR4_VALUE, %rax
	movq	%rax, %cr4
	leaq	page_map_level4(%rip), %rax
	movq	%rax, %cr3
	movl	$EFER, %ecx
	rdmsr
	orl	$EFER_SET, %eax
	wrmsr
	movl	$CR0_VALUE, %eax
	movq	%rax, %cr0
	lgdt	gdt_pointer
	/* A far return, as 64-bit mode has no direct far jump. */
	leaq	cpu_areas + CPU_AREA(%rip), %rsp
	pushq	$SEL_CODE64
	leaq	boot_long(%rip), %rax
	pushq	%rax
	lretq

boot_long:
	movl	$SEL_DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	lidt	idt_pointer
	leaq	cpu_areas + CPU_AREA(%rip), %rsp
	xorl	%ebp, %ebp
	call	guest_main
1:	hlt
	jmp	1b

ap_long:
	movl	$SEL_DATA, %eax
	movl	%eax, %es
	movl	%eax, %ss
	lidt	idt_pointer
	/* The area of this CPU, by its APIC id: several may pass here at once. */
	movl	$1, %eax
	cpuid
	shrl	$24, %ebx
	movzbl	cpu_of_apic(%rbx), %edi
	shll	$CPU_AREA_SHIFT, %edi
	leaq	cpu_areas(%rdi), %rdi
	leaq	CPU_AREA(%rdi), %rsp
	xorl	%ebp, %ebp
	call	ap_main
1:	hlt
	jmp	1b

/* Copied to AP_PAGE before the start-up IPI is sent. */
	.section .rodata
	.code16
	.globl	ap_stub, ap_stub_end
ap_stub:
	cli
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	ap_gdt_pointer - ap_stub
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$SEL_CODE32, $ap_protected
	.balign 4
ap_gdt_pointer:
	.word	gdt_end - gdt - 1
	.long	gdt
ap_stub_end:
	.code64

	.data
	.balign 16
	.globl	gdt
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* SEL_CODE32 */
	.quad	0x00af9b000000ffff	/* SEL_CODE64 */
	.quad	0x00cf93000000ffff	/* SEL_DATA */
	.quad	0x00cffb000000ffff	/* SEL_USER32 */
	.quad	0x00cff3000000ffff	/* SEL_USER_DATA */
	.quad	0x00affb000000ffff	/* SEL_USER_CODE */
	.quad	0
	.fill	2 * MAX_CPUS, 8, 0	/* SEL_TSS: cpu_start writes these */
gdt_end:
	.balign 16
	.word	0, 0, 0			/* so that the base is aligned */
gdt_pointer:
	.word	gdt_end - gdt - 1
	.quad	gdt
	.balign 16
	.word	0, 0, 0
idt_pointer:
	.word	256 * 16 - 1
	.quad	idt

	/*
	 * Interrupt gates, DPL 0, no IST. The linker script splits the address of
	 * the stubs into halves; ALIGN(4096) there keeps the low half from wrapping.
	 */
	.balign 4096
idt:
	.set	vector, 0
	.rept	256
	.word	trap_stubs_low + vector * STUB_BYTES
	.word	SEL_CODE64
	.word	0x8e00
	.word	trap_stubs_high
	.quad	0
	.set	vector, vector + 1
	.endr

	/*
	 * Identity map of the first 4 GiB in 2 MiB pages, all open to CPL3, with
	 * the accessed and dirty bits preset; 3 to 4 GiB, where the devices are, is
	 * uncached. mem_reach extends it upwards.
	 */
	.globl	page_map_level4, page_directory_pointers
	.balign 4096
page_map_level4:
	.quad	page_directory_pointers + 0x27
	.fill	511, 8, 0
page_directory_pointers:
	.quad	page_directories + 0x0027
	.quad	page_directories + 0x1027
	.quad	page_directories + 0x2027
	.quad	page_directories + 0x3027
	.fill	508, 8, 0
page_directories:
	.set	page, 0
	.rept	1536
	.quad	(page << 21) + 0xe7
	.set	page, page + 1
	.endr
	.rept	512
	.quad	(page << 21) + 0xff
	.set	page, page + 1
	.endr

	.section .note.GNU-stack, "", @progbits

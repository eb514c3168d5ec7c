/*
 * Where the other processors begin: real mode, CS:IP = page:0. Copied to a
 * page of low memory, so nothing here may use link-time addresses. Goes
 * through protected mode to long mode (SDM vol. 3, 9.8.5) on tables that map
 * this page and the image, then to smp.c. BSP starts one CPU at a time.
 */

#define OFF(label) (label - trampoline_start)

	.section .rodata.trampoline, "a", @progbits
	.balign 16
	.code16
	.globl	trampoline_start
trampoline_start:
	cli
	cld
	xorl	%ebx, %ebx
	movw	%cs, %bx
	movw	%bx, %ds
	shll	$4, %ebx
	addl	%ebx, OFF(gdt_base)
	addl	%ebx, OFF(far32)
	addl	%ebx, OFF(far64)
	lgdtl	OFF(gdtr)
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	*OFF(far32)

	.code32
start32:
	movl	$0x10, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%cr4, %eax
	orl	$0x20, %eax			/* PAE */
	movl	%eax, %cr4
	movl	OFF(trampoline_cr3)(%ebx), %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx		/* EFER */
	xorl	%edx, %edx
	movl	OFF(trampoline_efer)(%ebx), %eax
	wrmsr
	movl	OFF(trampoline_cr0)(%ebx), %eax
	movl	%eax, %cr0
	ljmpl	*OFF(far64)(%ebx)

	.code64
start64:
	movl	%ebx, %ebx
	movq	OFF(trampoline_stack)(%rbx), %rsp
	movq	OFF(trampoline_cpu)(%rbx), %rdi
	movq	OFF(trampoline_entry)(%rbx), %rax
	xorl	%ebp, %ebp
	pushq	%rbp				/* no return address */
	jmpq	*%rax

	.balign 8
gdt:	.quad	0
	.quad	0x00209b0000000000		/* 08: 64-bit code */
	.quad	0x00cf93000000ffff		/* 10: data */
	.quad	0x00cf9b000000ffff		/* 18: 32-bit code */
gdtr:	.word	. - gdt - 1
gdt_base:
	.long	OFF(gdt)
far32:	.long	OFF(start32)
	.word	0x18
far64:	.long	OFF(start64)
	.word	0x08

	.balign 8
	.globl	trampoline_args
trampoline_args:				/* struct trampoline_args */
trampoline_cr3:
	.long	0
trampoline_cr0:
	.long	0
trampoline_efer:
	.long	0
	.long	0
trampoline_stack:
	.quad	0
trampoline_cpu:
	.quad	0
trampoline_entry:
	.quad	0
	.globl	trampoline_end
trampoline_end:

	.section .note.GNU-stack, "", @progbits

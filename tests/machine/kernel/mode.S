/*
 * mode_enter(): runs what struct run says in another mode and comes back when
 * it ends, by INT DONE or by an exception. In one direction long mode, 32-bit
 * protected mode without paging, 16-bit protected mode, real mode; each mode
 * has its own vectors; and all the way back.
 */
#include "layout.h"

#define R(x) (RUN + (x))
#define CR0_PE 1
#define CR0_PG 0x80000000
#define CR4_PSE 0x10
#define CR4_PAE 0x20

	.text
	.code64
	.globl mode_enter
mode_enter:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	pushfq
	cli
	mov	%rsp, saved_rsp
	mov	%cr4, %rax
	mov	%rax, saved_cr4
	cmpl	$MODE_COMPAT, R(RUN_MODE)
	jb	to_legacy
	mov	$SEL_CODE64, %ecx
	mov	$SEL_CODE32, %edx
	mov	$SEL_DATA, %eax
	mov	$STACK_0, %ebx
	cmpl	$0, R(RUN_RING)
	je	1f
	mov	$SEL_USER64, %ecx
	mov	$SEL_USER32, %edx
	mov	$SEL_USERDS, %eax
	mov	$STACK_3, %ebx
1:	cmpl	$MODE_LONG, R(RUN_MODE)
	cmovne	%edx, %ecx
	mov	%eax, %ds
	mov	%eax, %es
	cmpq	$0, R(RUN_GPR + 32)	/* a stack of the test's own */
	cmovne	R(RUN_GPR + 32), %rbx
	push	%rax
	push	%rbx
	push	R(RUN_FLAGS)
	push	%rcx
	push	R(RUN_RIP)
	mov	R(RUN_GPR + 0), %rax
	mov	R(RUN_GPR + 8), %rcx
	mov	R(RUN_GPR + 16), %rdx
	mov	R(RUN_GPR + 24), %rbx
	mov	R(RUN_GPR + 40), %rbp
	mov	R(RUN_GPR + 48), %rsi
	mov	R(RUN_GPR + 56), %rdi
	mov	R(RUN_GPR + 64), %r8
	mov	R(RUN_GPR + 72), %r9
	mov	R(RUN_GPR + 80), %r10
	mov	R(RUN_GPR + 88), %r11
	mov	R(RUN_GPR + 96), %r12
	mov	R(RUN_GPR + 104), %r13
	mov	R(RUN_GPR + 112), %r14
	mov	R(RUN_GPR + 120), %r15
	iretq

	/* on IST 1: vector, error, RIP, CS, RFLAGS, RSP, SS */
common64:
	cmpq	$0, saved_rsp
	je	unexpected
	mov	%rax, R(RUN_GPR + 0)
	mov	%rcx, R(RUN_GPR + 8)
	mov	%rdx, R(RUN_GPR + 16)
	mov	%rbx, R(RUN_GPR + 24)
	mov	%rbp, R(RUN_GPR + 40)
	mov	%rsi, R(RUN_GPR + 48)
	mov	%rdi, R(RUN_GPR + 56)
	mov	%r8, R(RUN_GPR + 64)
	mov	%r9, R(RUN_GPR + 72)
	mov	%r10, R(RUN_GPR + 80)
	mov	%r11, R(RUN_GPR + 88)
	mov	%r12, R(RUN_GPR + 96)
	mov	%r13, R(RUN_GPR + 104)
	mov	%r14, R(RUN_GPR + 112)
	mov	%r15, R(RUN_GPR + 120)
	pop	%rax
	mov	%eax, R(RUN_VECTOR)
	pop	%rax
	mov	%eax, R(RUN_ERROR)
	pop	R(RUN_RIP)
	pop	%rax
	mov	%eax, R(RUN_CS)
	pop	R(RUN_FLAGS)
	pop	R(RUN_GPR + 32)
	mov	%cr2, %rax
	mov	%rax, R(RUN_CR2)
	mov	$SEL_DATA, %eax
	mov	%eax, %ss
back:
	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	saved_rsp, %rsp
	movq	$0, saved_rsp
	popfq
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	cld
	ret

unexpected:
	pop	%rdi
	pop	%rsi
	pop	%rdx
	mov	%cr2, %rcx
	call	exception

	.globl stubs64
	.balign 16
stubs64:
	vector = 0
	.rept 256
	.balign 16
	.if vector == 2
	jmp	nmi64
	.elseif vector == 0x50
	jmp	ipi64
	.else
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	push	$0
	.endif
	push	$vector
	jmp	common64
	.endif
	vector = vector + 1
	.endr

	/* The next NMI must not come before this IRET. */
nmi64:
	push	%rax
	mov	$0xfee00020, %eax
	mov	(%rax), %eax
	shr	$24, %eax
	and	$APS - 1, %eax
	lock incl nmi_count(,%rax,4)
	/* until the test lets it go; other NMIs wait */
1:	cmpl	$0, nmi_hold
	je	2f
	pause
	jmp	1b
2:	cmpl	$0, nmi_timer
	je	3f
	push	%rcx
	mov	nmi_timer, %ecx
	mov	$0xfee003e0, %eax
	movl	$0xb, (%rax)
	mov	$0xfee00320, %eax
	movl	$0x50, (%rax)
	mov	$0xfee00380, %eax
	sti
	mov	%ecx, (%rax)
	pop	%rcx
3:	pop	%rax
	iretq

	/* #UD where a test expects it, by an instruction of 3 bytes */
	.globl	ud64
ud64:
	addq	$3, (%rsp)
	lock incl ud_count
	iretq

	/* the APs' interrupt */
ipi64:
	push	%rax
	mov	$0xfee00020, %eax
	mov	(%rax), %eax
	shr	$24, %eax
	and	$APS - 1, %eax
	lock incq ipi_count(,%rax,8)
	mov	$0xfee000b0, %eax
	movl	$0, (%rax)
	pop	%rax
	iretq

	/* ---- to real and protected mode ---- */
to_legacy:
	ljmp	*legacy_pointer

	.code32
legacy:
	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs
	mov	%eax, %ss
	mov	$STACK_0, %esp
	mov	%cr0, %eax
	and	$~CR0_PG, %eax
	mov	%eax, %cr0
	mov	$0xc0000080, %ecx
	rdmsr
	and	$~0x100, %eax
	wrmsr
	xor	%eax, %eax
	mov	%eax, %cr4
	mov	R(RUN_MODE), %ebx
	cmp	$MODE_REAL, %ebx
	je	to_real
	cmp	$MODE_PM32, %ebx
	je	3f
	mov	$pd32, %ecx
	mov	$CR4_PSE, %eax
	cmp	$MODE_PAE, %ebx
	jne	2f
	mov	$pdpt_pae, %ecx
	mov	$CR4_PAE, %eax
2:	mov	%eax, %cr4
	mov	%ecx, %cr3
	mov	%cr0, %eax
	or	$CR0_PG, %eax
	mov	%eax, %cr0
3:	lidt	idt32_pointer
	andb	$~2, gdt + SEL_TSS32 + 5
	mov	$SEL_TSS32, %eax
	ltr	%ax
	cmpl	$0, R(RUN_RING)
	jne	4f
	mov	R(RUN_GPR + 32), %eax
	test	%eax, %eax
	cmovne	%eax, %esp
	push	R(RUN_FLAGS)
	push	$SEL_CODE32
	jmp	5f
4:	push	$SEL_USERDS
	push	$STACK_3
	push	R(RUN_FLAGS)
	push	$SEL_USER32
	mov	$SEL_USERDS, %eax
	mov	%eax, %ds
	mov	%eax, %es
5:	push	R(RUN_RIP)
	mov	R(RUN_GPR + 0), %eax
	mov	R(RUN_GPR + 8), %ecx
	mov	R(RUN_GPR + 16), %edx
	mov	R(RUN_GPR + 24), %ebx
	mov	R(RUN_GPR + 40), %ebp
	mov	R(RUN_GPR + 48), %esi
	mov	R(RUN_GPR + 56), %edi
	iret

	.globl stubs32
	.balign 16
stubs32:
	vector = 0
	.rept 256
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	push	$0
	.endif
	push	$vector
	jmp	common32
	vector = vector + 1
	.endr

	/* vector, error, EIP, CS, EFLAGS (, ESP, SS) */
common32:
	push	%eax
	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	pop	R(RUN_GPR + 0)
	mov	%ecx, R(RUN_GPR + 8)
	mov	%edx, R(RUN_GPR + 16)
	mov	%ebx, R(RUN_GPR + 24)
	mov	%ebp, R(RUN_GPR + 40)
	mov	%esi, R(RUN_GPR + 48)
	mov	%edi, R(RUN_GPR + 56)
	pop	R(RUN_VECTOR)
	pop	R(RUN_ERROR)
	pop	R(RUN_RIP)
	pop	R(RUN_CS)
	pop	R(RUN_FLAGS)
	mov	%esp, R(RUN_GPR + 32)
	mov	%cr2, %eax
	mov	%eax, R(RUN_CR2)
	.globl back32
back32:
	mov	%cr0, %eax
	and	$~CR0_PG, %eax
	mov	%eax, %cr0
	mov	saved_cr4, %eax
	mov	%eax, %cr4
	mov	$pml4, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	%cr0, %eax
	or	$CR0_PG, %eax
	mov	%eax, %cr0
	ljmp	$SEL_CODE64, $1f
	.code64
1:	mov	$SEL_DATA, %eax
	mov	%eax, %ss
	lidt	idt64_pointer
	andb	$~2, gdt + SEL_TSS64 + 5
	mov	$SEL_TSS64, %eax
	ltr	%ax
	jmp	back

	/* ---- what lies below 64 KiB ---- */
	.code32
to_real:
	ljmp	$SEL_CODE16, $pm16

	.section .low, "ax"
	.code16
pm16:
	/* data keeps its limit of 4 GiB */
	mov	$SEL_DATA16, %ax
	mov	%ax, %ss
	mov	%cr0, %eax
	and	$~CR0_PE, %eax
	mov	%eax, %cr0
	ljmp	$0, $real16
real16:
	lidtl	%cs:rm_idt_pointer
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %fs
	mov	%ax, %gs
	mov	%ax, %ss
	mov	$STACK_RM, %esp
	pushw	R(RUN_FLAGS)
	pushw	$SNIPPET_SEG
	pushw	R(RUN_RIP)
	mov	R(RUN_GPR + 0), %eax
	mov	R(RUN_GPR + 8), %ecx
	mov	R(RUN_GPR + 16), %edx
	mov	R(RUN_GPR + 24), %ebx
	mov	R(RUN_GPR + 40), %ebp
	mov	R(RUN_GPR + 48), %esi
	mov	R(RUN_GPR + 56), %edi
	iretw

	/* vector, IP, CS, FLAGS */
common16:
	push	%eax
	xor	%ax, %ax
	mov	%ax, %ds
	popl	R(RUN_GPR + 0)
	mov	%ecx, R(RUN_GPR + 8)
	mov	%edx, R(RUN_GPR + 16)
	mov	%ebx, R(RUN_GPR + 24)
	mov	%ebp, R(RUN_GPR + 40)
	mov	%esi, R(RUN_GPR + 48)
	mov	%edi, R(RUN_GPR + 56)
	xor	%eax, %eax
	mov	%eax, R(RUN_ERROR)
	pop	%ax
	mov	%eax, R(RUN_VECTOR)
	pop	%ax
	mov	%eax, R(RUN_RIP)
	pop	%ax
	mov	%eax, R(RUN_CS)
	pop	%ax
	mov	%eax, R(RUN_FLAGS)
	mov	%esp, R(RUN_GPR + 32)
	mov	%cr0, %eax
	or	$CR0_PE, %eax
	mov	%eax, %cr0
	ljmpl	$SEL_CODE32, $from_real
	.code32
from_real:
	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	jmp	back32

	.code16
	.balign 16
	.globl stubs16
stubs16:
	vector = 0
	.rept 256
	.balign 8
	pushw	$vector
	jmp	common16
	vector = vector + 1
	.endr

	.globl nmi16
nmi16:
	iret
rm_idt_pointer:
	.word	0x3ff
	.long	RM_IVT

	/* Where a SIPI sends an AP: its page goes to RUN, then long mode. */
	.section .rodata
	.code16
	.globl trampoline, trampoline_end
trampoline:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%cs, %ax
	movzwl	%ax, %eax
	shr	$8, %eax
	mov	%eax, RUN
	lgdtl	%cs:trampoline_gdt - trampoline
	mov	%cr0, %eax
	or	$CR0_PE, %eax
	mov	%eax, %cr0
	ljmpl	$SEL_CODE32, $ap_32
trampoline_gdt:
	.word	SEL_TSS_AP + APS * 16 - 1
	.long	gdt
trampoline_end:

	.text
	.code32
ap_32:
	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	0xfee00020, %eax
	shr	$24, %eax
	and	$APS - 1, %eax
	inc	%eax
	imul	$AP_STACK, %eax
	lea	ap_stacks(%eax), %esp
	jmp	to_long

	.bss
	.balign 16
	.globl ap_stacks
ap_stacks:
	.skip	APS * AP_STACK

	.data
	.globl saved_rsp, nmi_count, ipi_count, nmi_hold, nmi_timer, ud_count
	.balign 8
ipi_count:
	.fill	APS, 8, 0
saved_rsp:
	.quad	0
saved_cr4:
	.quad	0
legacy_pointer:
	.long	legacy
	.word	SEL_CODE32
nmi_count:
	.fill	APS, 4, 0
nmi_hold:
	.long	0
	/* its handler lets interrupts in, starts the timer, and ends */
nmi_timer:
	.long	0
ud_count:
	.long	0

	.section .note.GNU-stack, "", @progbits

/* Exception entry (SDM vol. 3, 6.12 and 6.14): see traps.h. */

#include "core/cpu/offsets.h"

	.section .text.traps, "ax", @progbits

/* Vectors that push an error code: regs.h, VECTORS_WITH_ERROR. */
#define HAS_ERROR 0x60227d00

	.balign 16
	.globl	trap_stubs
	.type	trap_stubs, @function
trap_stubs:
	vector = 0
	.rept	32
	.balign 16
	.if	vector == 2
	jmp	trap_nmi
	.else
	.if	((HAS_ERROR >> vector) & 1) == 0
	pushq	$0
	.endif
	pushq	$vector
	jmp	trap_common
	.endif
	vector = vector + 1
	.endr
	.size	trap_stubs, . - trap_stubs

	.type	trap_nmi, @function
trap_nmi:
	lock incl %gs:CPU_OFFSET_NMI_SEEN
	cmpl	$0, %gs:CPU_OFFSET_STOP
	jne	1f
	pushq	%rax
	movq	8(%rsp), %rax
	subq	%gs:CPU_OFFSET_NMI_FIRST, %rax
	cmpq	%gs:CPU_OFFSET_NMI_FIRST + 8, %rax
	jae	2f
	movq	%gs:CPU_OFFSET_NMI_FIRST + 16, %rax
	movq	%rax, 8(%rsp)
2:	popq	%rax
	iretq
1:	hlt
	jmp	1b
	.size	trap_nmi, . - trap_nmi

	.type	trap_common, @function
trap_common:
	pushq	%rax
	pushq	%rbx
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%rbp
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	movq	%rsp, %rdi
	call	trap_handle
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rbp
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rbx
	popq	%rax
	addq	$16, %rsp
	iretq
	.size	trap_common, . - trap_common

/* bool rdmsr_safe(u32 index, u64 *value) */
	.globl	rdmsr_safe
	.type	rdmsr_safe, @function
rdmsr_safe:
	movl	%edi, %ecx
1:	rdmsr
	shlq	$32, %rdx
	movl	%eax, %eax
	orq	%rdx, %rax
	movq	%rax, (%rsi)
	movl	$1, %eax
	ret
	.size	rdmsr_safe, . - rdmsr_safe

/* bool wrmsr_safe(u32 index, u64 value) */
	.globl	wrmsr_safe
	.type	wrmsr_safe, @function
wrmsr_safe:
	movl	%edi, %ecx
	movl	%esi, %eax
	movq	%rsi, %rdx
	shrq	$32, %rdx
2:	wrmsr
	movl	$1, %eax
	ret
	.size	wrmsr_safe, . - wrmsr_safe

/* bool xsetbv_safe(u32 index, u64 value) */
	.globl	xsetbv_safe
	.type	xsetbv_safe, @function
xsetbv_safe:
	movl	%edi, %ecx
	movl	%esi, %eax
	movq	%rsi, %rdx
	shrq	$32, %rdx
3:	xsetbv
	movl	$1, %eax
	ret
	.size	xsetbv_safe, . - xsetbv_safe

	.type	safe_failed, @function
safe_failed:
	xorl	%eax, %eax
	ret
	.size	safe_failed, . - safe_failed

/* void cpu_switch_stack(struct cpu *c, u8 *stack_top, void (*entry)(c)) */
	.globl	cpu_switch_stack
	.type	cpu_switch_stack, @function
cpu_switch_stack:
	movq	%rsi, %rsp
	xorl	%ebp, %ebp
	call	*%rdx
	ud2
	.size	cpu_switch_stack, . - cpu_switch_stack

/* Instructions whose #GP is an answer, and where they go on; ends with 0. */
	.section .rodata.traps, "a", @progbits
	.balign 8
	.globl	trap_fixups
trap_fixups:
	.quad	1b, safe_failed
	.quad	2b, safe_failed
	.quad	3b, safe_failed
	.quad	0, 0

	.section .note.GNU-stack, "", @progbits

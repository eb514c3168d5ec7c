/*
 * u64 vmx_enter(u64 *gpr, u64 launched, const u32 *nmi_seen)
 * See vmx.h. Registers in *gpr stand in the order of their encoding; RSP is in
 * the VMCS.
 */
#define HOST_RSP	0x6c14
#define VMX_EXITED	0
#define VMX_REFUSED	1
#define VMX_NMI		2

	.text
	.globl	vmx_enter, vmx_exit_entry
	.globl	vmx_enter_first, vmx_enter_end, vmx_enter_abort
	.type	vmx_enter, @function
vmx_enter:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi
	mov	$HOST_RSP, %eax
	vmwrite	%rsp, %rax

	/* An NMI that comes from here to the entry must not wait for the exit:
	 * the NMI handler continues at vmx_enter_abort instead. */
vmx_enter_first:
	cmpl	$0, (%rdx)
	jne	vmx_enter_abort
	test	%esi, %esi
	mov	0x00(%rdi), %rax
	mov	0x08(%rdi), %rcx
	mov	0x10(%rdi), %rdx
	mov	0x18(%rdi), %rbx
	mov	0x28(%rdi), %rbp
	mov	0x30(%rdi), %rsi
	mov	0x40(%rdi), %r8
	mov	0x48(%rdi), %r9
	mov	0x50(%rdi), %r10
	mov	0x58(%rdi), %r11
	mov	0x60(%rdi), %r12
	mov	0x68(%rdi), %r13
	mov	0x70(%rdi), %r14
	mov	0x78(%rdi), %r15
	mov	0x38(%rdi), %rdi
	jnz	1f
	vmlaunch
	jmp	vmx_enter_end
1:	vmresume
vmx_enter_end:
	mov	$VMX_REFUSED, %eax
	jmp	2f
vmx_enter_abort:
	mov	$VMX_NMI, %eax
	jmp	2f

	/* The exit: HOST_RIP, with HOST_RSP as above. */
vmx_exit_entry:
	push	%rdi
	mov	8(%rsp), %rdi
	mov	%rax, 0x00(%rdi)
	mov	%rcx, 0x08(%rdi)
	mov	%rdx, 0x10(%rdi)
	mov	%rbx, 0x18(%rdi)
	mov	%rbp, 0x28(%rdi)
	mov	%rsi, 0x30(%rdi)
	mov	%r8, 0x40(%rdi)
	mov	%r9, 0x48(%rdi)
	mov	%r10, 0x50(%rdi)
	mov	%r11, 0x58(%rdi)
	mov	%r12, 0x60(%rdi)
	mov	%r13, 0x68(%rdi)
	mov	%r14, 0x70(%rdi)
	mov	%r15, 0x78(%rdi)
	pop	0x38(%rdi)
	xor	%eax, %eax
2:	add	$8, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret
	.size	vmx_enter, . - vmx_enter

	.globl	vmx_take_nmi
	.type	vmx_take_nmi, @function
vmx_take_nmi:
	int	$2
	ret
	.size	vmx_take_nmi, . - vmx_take_nmi

	.globl	vmx_unblock_nmi
	.type	vmx_unblock_nmi, @function
vmx_unblock_nmi:
	mov	%rsp, %rax
	mov	%ss, %ecx
	push	%rcx
	push	%rax
	pushfq
	mov	%cs, %ecx
	push	%rcx
	lea	1f(%rip), %rax
	push	%rax
	iretq
1:	ret
	.size	vmx_unblock_nmi, . - vmx_unblock_nmi

	.section .note.GNU-stack, "", @progbits

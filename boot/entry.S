/*
 * From GRUB to 64-bit C (Multiboot2 2.0, 3.3): 32-bit protected mode, no
 * paging, no stack, interrupts off, EAX = magic, EBX = information structure.
 *
 * The tables made here map the first 4 GiB at 0, HOST_DIRECT and HOST_DEVICE,
 * and the first GiB at HOST_IMAGE, so the image runs at the addresses it is
 * linked for while it still lies where GRUB put it.
 */
#define MAGIC		0x36d76289
#define HEADER_MAGIC	0xe85250d6

#define CR0_ON		0x80010021	/* PG, WP, NE, PE */
#define CR0_OFF		0x6004000c	/* CD, NW, AM, TS, EM */
#define CR4_PAE		0x20
#define MSR_EFER	0xc0000080
#define EFER_LME	0x100
#define PTE_PW		0x003
#define PTE_PW_LARGE	0x083

#define COM1		0x3f8
#define LSR_THRE	0x20

	.section .boot.header, "a"
	.balign 8
header:
	.long HEADER_MAGIC, 0, header_end - header
	.long -(HEADER_MAGIC + (header_end - header))
	/* information request: command line, boot device, memory map */
	.balign 8
	.short 1, 0
	.long 20
	.long 1, 5, 6
	.balign 8
	.short 0, 0
	.long 8
header_end:

	.section .boot.text, "ax"
	.code32
	.globl boot_entry
boot_entry:
	cld
	cli
	mov	$boot_stack_end, %esp
	mov	$not_multiboot2, %esi
	cmp	$MAGIC, %eax
	jne	stop
	mov	$no_long_mode, %esi
	mov	%ebx, %ebp
	mov	$0x80000000, %eax
	cpuid
	cmp	$0x80000001, %eax
	jb	stop
	mov	$0x80000001, %eax
	cpuid
	bt	$29, %edx
	jnc	stop

	/* 2048 large pages: four page directories in a row */
	mov	$boot_pd, %edi
	mov	$PTE_PW_LARGE, %eax
	xor	%edx, %edx
1:	mov	%eax, (%edi)
	mov	%edx, 4(%edi)
	add	$8, %edi
	add	$0x200000, %eax
	jnc	1b

	movl	$boot_pd + 0x0000 + PTE_PW, boot_pdpt
	movl	$boot_pd + 0x1000 + PTE_PW, boot_pdpt + 8
	movl	$boot_pd + 0x2000 + PTE_PW, boot_pdpt + 16
	movl	$boot_pd + 0x3000 + PTE_PW, boot_pdpt + 24
	movl	$boot_pd + 0x0000 + PTE_PW, boot_pdpt_image + 8 * 510
	movl	$boot_pdpt + PTE_PW, boot_pml4
	movl	$boot_pdpt + PTE_PW, boot_pml4 + 8 * 256
	movl	$boot_pdpt + PTE_PW, boot_pml4 + 8 * 384
	movl	$boot_pdpt_image + PTE_PW, boot_pml4 + 8 * 511

	mov	%cr4, %eax
	or	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$boot_pml4, %eax
	mov	%eax, %cr3
	mov	$MSR_EFER, %ecx
	rdmsr
	or	$EFER_LME, %eax
	wrmsr
	mov	%cr0, %eax
	and	$~CR0_OFF, %eax
	or	$CR0_ON, %eax
	mov	%eax, %cr0
	lgdt	low_gdtr
	ljmp	$0x08, $enter64

	.code64
enter64:
	movabs	$start64, %rax
	jmp	*%rax

	.code32
/* Says the sentence at ESI on screen and serial, and stops. */
stop:
	mov	$0xb8000, %edi
	mov	$80 * 25, %ecx
	mov	$0x0720, %eax
	rep stosw
	mov	$0xb8000, %edi
1:	lodsb
	test	%al, %al
	jz	4f
	mov	$0x07, %ah
	stosw
	mov	%al, %bl
	mov	$100000, %ecx
2:	mov	$COM1 + 5, %edx
	in	%dx, %al
	test	$LSR_THRE, %al
	jnz	3f
	loop	2b
3:	mov	$COM1, %edx
	mov	%bl, %al
	out	%al, %dx
	jmp	1b
4:	hlt
	jmp	4b

	.section .boot.data, "aw"
not_multiboot2:
	.asciz "shoji: not loaded by a Multiboot2 loader (GRUB: multiboot2)\r\n"
no_long_mode:
	.asciz "shoji: this CPU has no 64-bit mode\r\n"
	.balign 8
low_gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
low_gdtr:
	.short 23
	.long low_gdt

	.section .boot.bss, "aw", @nobits
	.balign 4096
boot_pml4:		.skip 4096
boot_pdpt:		.skip 4096
boot_pdpt_image:	.skip 4096
boot_pd:		.skip 4 * 4096
boot_stack:		.skip 16384
boot_stack_end:

/* ---- from here on in the image proper ---------------------------------- */

	.section .text.boot, "ax"
	.code64
start64:
	lgdt	gdtr(%rip)
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	lldt	%ax
	mov	%ebp, %edi
	xor	%ebp, %ebp
	call	boot_main
	ud2

/* void boot_switch(hpa_t root, void (*next)(void)): loads the final tables
 * and calls @next on the image's own stack. */
	.globl boot_switch
boot_switch:
	mov	%rdi, %cr3
	lea	boot_stack_top(%rip), %rsp
	xor	%ebp, %ebp
	call	*%rsi
	ud2

	.section .rodata.boot, "a"
	.balign 8
gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdtr:
	.short 23
	.quad gdt

	.section .bss.stack, "aw", @nobits
	.balign 4096
	.globl stack_guard, boot_stack_top
stack_guard:
	.skip 4096
	.skip 65536
boot_stack_top:

	.section .note.GNU-stack, "", @progbits

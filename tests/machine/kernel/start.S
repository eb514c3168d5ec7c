/* From GRUB's multiboot state to main() in long mode. */
#include "layout.h"

#define MAGIC 0x1badb002
#define FLAGS 2				/* the memory map, please */

	.section .multiboot, "a"
	.long	MAGIC, FLAGS, -(MAGIC + FLAGS)

	.text
	.code32
	.globl start
start:
	cli
	mov	$stack_top, %esp
	mov	%ebx, info
	mov	$low_load, %esi
	mov	$0x8000, %edi
	mov	$low_size, %ecx
	cld
	rep movsb

	/* 4 GiB as they are, for users too */
	mov	$pml4, %edi
	mov	$pdpt + 7, %eax
	mov	%eax, (%edi)
	mov	$pdpt, %edi
	mov	$pds + 7, %eax
	mov	$4, %ecx
1:	mov	%eax, (%edi)
	add	$4096, %eax
	add	$8, %edi
	loop	1b
	mov	$pds, %edi
	mov	$0x87, %eax
	mov	$2048, %ecx
1:	mov	%eax, (%edi)
	movl	$0, 4(%edi)
	add	$0x200000, %eax
	add	$8, %edi
	loop	1b
	/* PAE's four entries have no rights in them */
	mov	$pdpt_pae, %edi
	mov	$pds + 1, %eax
	mov	$4, %ecx
1:	mov	%eax, (%edi)
	add	$4096, %eax
	add	$8, %edi
	loop	1b
	mov	$pd32, %edi
	mov	$0x87, %eax
	mov	$1024, %ecx
1:	mov	%eax, (%edi)
	add	$0x400000, %eax
	add	$4, %edi
	loop	1b

	/* IDTs, by stub number; the first 32 bits of the stubs' addresses */
	mov	$idt64, %edi
	mov	$stubs64, %eax
	mov	$256, %ecx
1:	mov	%ax, (%edi)
	movw	$SEL_CODE64, 2(%edi)
	movw	$0xee01, 4(%edi)	/* IST 1, DPL 3 */
	mov	%eax, %edx
	shr	$16, %edx
	mov	%dx, 6(%edi)
	add	$16, %edi
	add	$16, %eax
	loop	1b
	movb	$2, idt64 + 2 * 16 + 4	/* an NMI has a stack of its own */
	mov	$idt32, %edi
	mov	$stubs32, %eax
	mov	$256, %ecx
1:	mov	%ax, (%edi)
	movw	$SEL_CODE32, 2(%edi)
	movw	$0xee00, 4(%edi)
	mov	%eax, %edx
	shr	$16, %edx
	mov	%dx, 6(%edi)
	add	$8, %edi
	add	$16, %eax
	loop	1b
	mov	$RM_IVT, %edi
	mov	$stubs16, %eax
	mov	$256, %ecx
1:	mov	%eax, (%edi)		/* 0:stub */
	add	$4, %edi
	add	$8, %eax
	loop	1b

	lgdt	gdt_pointer
	mov	$tss64, %eax
	mov	%ax, gdt + SEL_TSS64 + 2
	shr	$16, %eax
	mov	%al, gdt + SEL_TSS64 + 4
	mov	%ah, gdt + SEL_TSS64 + 7
	mov	$tss32, %eax
	mov	%ax, gdt + SEL_TSS32 + 2
	shr	$16, %eax
	mov	%al, gdt + SEL_TSS32 + 4
	mov	%ah, gdt + SEL_TSS32 + 7
	movl	$ist1_top, tss64 + 36
	movl	$ist2_top, tss64 + 44
	movl	$STACK_0, tss64 + 4
	movl	$STACK_0, tss32 + 4
	movl	$SEL_DATA, tss32 + 8
	movw	$104, tss64 + 102
	movw	$104, tss32 + 102
	jmp	to_long

	/* Also an AP comes here, with %esp set and $to_c its own. */
	.globl to_long
to_long:
	mov	%cr4, %eax
	or	$0x20, %eax
	mov	%eax, %cr4
	mov	$pml4, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	%cr0, %eax
	and	$~0x60000000, %eax
	or	$0x80000001, %eax
	mov	%eax, %cr0
	ljmp	$SEL_CODE64, $long_mode

	.code64
long_mode:
	mov	$SEL_DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	%eax, %fs
	mov	%eax, %gs
	lidt	idt64_pointer
	mov	%esp, %esp
	cmpl	$0, ap_running
	je	1f
	mov	$0xfee00020, %eax
	mov	(%rax), %edi
	shr	$24, %edi
	and	$APS - 1, %edi
	mov	%edi, %eax
	shl	$4, %eax
	add	$SEL_TSS_AP, %eax
	andb	$~2, gdt + 5(%rax)
	ltr	%ax
	call	ap_main
1:
	mov	$SEL_TSS64, %eax
	ltr	%ax
	mov	info, %edi
	call	main
1:	hlt
	jmp	1b

	.data
	.globl gdt, idt64_pointer, idt32_pointer, gdt_pointer, ap_running
	.balign 16
gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* code64 */
	.quad	0x00cf93000000ffff	/* data */
	.quad	0x00cf9b000000ffff	/* code32 */
	.quad	0x00affb000000ffff	/* user code64 */
	.quad	0x00cff3000000ffff	/* user data */
	.quad	0x00cffb000000ffff	/* user code32 */
	.quad	0x00009b000000ffff	/* code16 */
	.quad	0x000093000000ffff	/* data16 */
	.quad	0x0000890000000067, 0	/* tss64 */
	.quad	0x0000890000000067	/* tss32 */
	.fill	6, 8, 0
	.fill	APS * 2, 8, 0		/* the APs' tss64 */
gdt_end:
gdt_pointer:
	.word	gdt_end - gdt - 1
	.quad	gdt
idt64_pointer:
	.word	4095
	.quad	idt64
idt32_pointer:
	.word	2047
	.quad	idt32
ap_running:
	.long	0

	.bss
	.balign 4096
	.globl pml4, pdpt, pds, pd32, pdpt_pae, tss64, tss32, idt32, idt64
pml4:	.skip 4096
pdpt:	.skip 4096
pds:	.skip 4 * 4096
pd32:	.skip 4096
pdpt_pae: .skip 4096
idt64:	.skip 4096
idt32:	.skip 2048
tss64:	.skip 128
tss32:	.skip 128
info:	.skip 8
	.balign 16
	.skip 8192
ist1_top:
	.skip 4096
ist2_top:
	.skip 16384
stack_top:

	.section .note.GNU-stack, "", @progbits

/* The code of stub.h. Assembled here, run at offset 0 of another segment:
 * every address is relative to stub_begin. */
#include "boot/stub.h"

#define AT(label) (label - stub_begin)
#define BOOT_IP 0x7c00
#define TRIES 3

	.section .rodata.stub, "a"
	.code16
	.globl stub_begin, stub_end, stub_boot_drive, stub_old_int15, stub_call
stub_begin:
	jmp	start

	.org	STUB_PARK_IP
1:	hlt				/* with IF clear, until Shoji comes */
	jmp	1b

	.org	0x08
stub_boot_drive:
	.byte	0x80
	.org	0x0c
stub_old_int15:
	.long	0

	.org	STUB_INT15_IP
	cmp	$0xe820, %ax
	je	stub_call
	cmp	$0xe801, %ax
	je	stub_call
	cmp	$0xe881, %ax
	je	stub_call
	cmp	$0x88, %ah
	je	stub_call
	ljmp	*%cs:AT(stub_old_int15)

	.org	STUB_HYPERCALL_IP
stub_call:
	vmcall
	iret

start:
	cli
	cld
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$BOOT_IP, %sp
	sti
	mov	$0x0003, %ax		/* 80x25 text */
	int	$0x10
	mov	%cs:AT(stub_boot_drive), %dl
	cmp	$0xe0, %dl		/* El Torito: a CD is no disk */
	jae	bootstrap

	mov	$TRIES, %cx
again:
	push	%cx
	push	%dx
	xor	%ah, %ah		/* reset */
	int	$0x13
	pop	%dx
	push	%dx
	call	read_sector
	pop	%dx
	pop	%cx
	jnc	check
	loop	again
	jmp	fail
check:
	cmpw	$0xaa55, BOOT_IP + 510
	jne	fail

	/* as POST leaves it; AX as SeaBIOS and others do */
	xor	%bx, %bx
	xor	%cx, %cx
	xor	%dh, %dh
	xor	%si, %si
	xor	%di, %di
	xor	%bp, %bp
	mov	%bx, %ds
	mov	%bx, %es
	mov	$0xaa55, %ax
	ljmp	$0, $BOOT_IP

fail:
	mov	$AT(message), %si
1:	mov	%cs:(%si), %al
	inc	%si
	test	%al, %al
	jz	2f
	mov	$0x0e, %ah
	mov	$0x0007, %bx
	int	$0x10
	jmp	1b
2:	int	$0x18
3:	hlt
	jmp	3b

bootstrap:
	int	$0x19
	jmp	fail

/* The first sector of drive DL to 0:7C00; CF: failed. */
read_sector:
	push	%dx
	mov	$0x41, %ah		/* extensions? */
	mov	$0x55aa, %bx
	int	$0x13
	pop	%dx
	jc	chs
	cmp	$0xaa55, %bx
	jne	chs
	test	$1, %cl
	jz	chs
	xor	%ax, %ax
	mov	%ax, %ds
	push	%ax			/* LBA */
	push	%ax
	push	%ax
	push	%ax
	push	%ax			/* to 0:7C00 */
	mov	$BOOT_IP, %si
	push	%si
	inc	%ax			/* one sector */
	push	%ax
	mov	$16, %al		/* size of this packet */
	push	%ax
	mov	%sp, %si
	mov	$0x42, %ah
	xor	%al, %al
	int	$0x13
	lea	16(%esp), %esp		/* keeps CF */
	ret
chs:
	xor	%ax, %ax
	mov	%ax, %es
	mov	$0x0201, %ax
	mov	$BOOT_IP, %bx
	mov	$0x0001, %cx
	xor	%dh, %dh
	int	$0x13
	ret

message:
	.asciz	"shoji: the boot drive cannot be read or has no boot sector\r\n"
stub_end:

	.section .note.GNU-stack, "", @progbits

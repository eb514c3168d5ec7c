#include "layout.h"

	.section .rodata
#define REP32 addr32 rep
#define AX %eax
#define BEGIN(name) .globl name##_16, name##_16_end; name##_16:
	.code16
	.globl snippets16, snippets32, snippets64
snippets16:
#include "snippets.inc"
snippets16_end:
#undef REP32
#undef BEGIN
#define REP32 rep
#define BEGIN(name) .globl name##_32; name##_32:
	.code32
snippets32:
#include "snippets.inc"
#undef BEGIN
#undef AX
#define AX %rax
#define BEGIN(name) .globl name##_64; name##_64:
	.code64
snippets64:
#include "snippets.inc"
	.fill	64, 1, 0xcc

	.section .note.GNU-stack, "", @progbits

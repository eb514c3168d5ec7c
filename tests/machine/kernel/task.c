/*
 * Task switches by hardware: CALL, JMP, IRET, task gates, and what goes wrong
 * with them. All of it is printed, to be compared with the bare machine's. And
 * the one way here to virtual-8086 mode.
 */
#include "kernel.h"

struct tss { /* SDM vol. 3, figure 7-2 */
	u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
	u32 eax, ecx, edx, ebx, esp, ebp, esi, edi;
	u32 es, cs, ss, ds, fs, gs, ldt;
	u16 trap, map;
};
_Static_assert(sizeof(struct tss) == 104, "figure 7-2");

#define SEL_B	SEL_FREE
#define B_CODE	(SNIPPET + 0x800)
#define B_STACK 0x25000
#define BUSY	(2ULL << 40)
#define PRESENT (1ULL << 47)
#define GATE	0x41
#define RF	0x10000UL /* a fault sets it, but not in QEMU */

static struct tss b __attribute__((aligned(128)));
static u32 mode;

static u64 descriptor(const void *base, u32 limit)
{
	u64 a = (u64)base;

	return (a & 0xffffff) << 16 | (a >> 24 & 0xff) << 56 | (0x89ULL << 40) |
	       (limit & 0xffff);
}

static u32 this_cr3(void)
{
	return mode == MODE_PG32  ? (u32)(u64)pd32
	       : mode == MODE_PAE ? (u32)(u64)pdpt_pae
				  : 0;
}

/* Task B, to run @code. */
static void prepare(const void *code, size_t len)
{
	memset(&b, 0, sizeof(b));
	b.cr3 = this_cr3();
	b.eip = B_CODE;
	b.eflags = 2;
	b.esp = B_STACK;
	b.ss0 = b.es = b.ss = b.ds = b.fs = b.gs = SEL_DATA;
	b.cs = SEL_CODE32;
	b.esp0 = B_STACK - 256;
	b.map = 104;
	b.eax = 0xbbbb0000;
	b.ecx = 0xbbbb0001;
	((struct tss *)(void *)tss32)->cr3 = b.cr3;
	gdt[SEL_B / 8] = descriptor(&b, 103);
	memcpy((void *)B_CODE, code, len);
	memset((void *)(B_STACK - 64), 0, 64);
}

/* CS without the RPL: who has no stack yet is at a level that no document
 * tells. */
static void show(const char *name)
{
	const struct tss *a = (const void *)tss32;

	say("@@ got task %s %s %s error 0x%x rip 0x%lx flags 0x%lx "
	    "eax 0x%x esp 0x%x cs 0x%x",
	    mode_name(mode, run->ring), name, vector_name(run->vector),
	    run->error, run->rip, run->rflags & ~RF, (u32)run->gpr[RAX],
	    (u32)run->gpr[RSP], run->cs & ~3U);
	say(" A: link 0x%x eip 0x%x flags 0x%lx busy %u", a->link & 0xffff,
	    a->eip, a->eflags & ~RF, (u32)(gdt[SEL_TSS32 / 8] >> 41 & 1));
	say(" B: link 0x%x eip 0x%x flags 0x%lx eax 0x%x busy %u stack 0x%lx\n",
	    b.link & 0xffff, b.eip, b.eflags & ~RF, b.eax,
	    (u32)(gdt[SEL_B / 8] >> 41 & 1), *(u32 *)(B_STACK - 4) & ~RF);
}

static void go(const char *name, u32 ring, const void *code, size_t len)
{
	for (int i = 0; i < 8; i++)
		run->gpr[i] = 0;
	run->gpr[RAX] = 0xaaaa0000;
	run_code(mode, ring, code, len);
	show(name);
}

#define CODE(...) \
	((const u8[]){ __VA_ARGS__ }), sizeof((const u8[]){ __VA_ARGS__ })
#define CALL_B	 0x9a, 0, 0, 0, 0, SEL_B, 0
#define JMP_B	 0xea, 0, 0, 0, 0, SEL_B, 0
#define JMP_A	 0xea, 0, 0, 0, 0, SEL_TSS32, 0
#define INC_EAX	 0x40
#define IRET	 0xcf
#define INT_DONE 0xcd, DONE

static void gate(u32 vector, u64 *old)
{
	*old = idt32[vector];
	idt32[vector] = (u64)SEL_B << 16 | 0xe500ULL << 32;
}

static void one_mode(void)
{
	u64 old;

	prepare(CODE(INC_EAX, IRET));
	go("call", 0, CODE(CALL_B, INC_EAX));
	prepare(CODE(INC_EAX, IRET, INC_EAX, IRET));
	go("call-twice", 0, CODE(CALL_B, CALL_B));
	prepare(CODE(INC_EAX, JMP_A));
	go("jmp", 0, CODE(JMP_B, INC_EAX));
	prepare(CODE(INC_EAX, INT_DONE));
	go("stay", 0, CODE(JMP_B));
	prepare(CODE(0x0f, 0x0b));
	go("fault-in-b", 0, CODE(CALL_B));
	prepare(CODE(0x0f, 0x20, 0xc0, INT_DONE)); /* mov %cr0, %eax: TS */
	go("ts", 0, CODE(CALL_B));
	prepare(CODE(INT_DONE));
	b.trap = 1;
	go("t-bit", 0, CODE(CALL_B));

	prepare(CODE(INC_EAX, IRET));
	gate(GATE, &old);
	go("int-gate", 0, CODE(0xcd, GATE));
	prepare(CODE(INC_EAX, IRET));
	go("int-gate-user", 1, CODE(0xcd, GATE, INC_EAX));
	idt32[GATE] = old;
	gate(UD, &old);
	prepare(CODE(INC_EAX, INT_DONE));
	go("ud-gate", 0, CODE(0x0f, 0x0b));
	idt32[UD] = old;
	gate(GP, &old);
	prepare(CODE(INC_EAX, INT_DONE)); /* mov $0x7f8, %eax; mov %eax, %ds */
	go("gp-gate", 0, CODE(0xb8, 0xf8, 7, 0, 0, 0x8e, 0xd8));
	idt32[GP] = old;
}

static void faults(void)
{
	prepare(CODE(IRET));
	gdt[SEL_B / 8] |= BUSY;
	go("busy", 0, CODE(CALL_B));
	prepare(CODE(IRET));
	gdt[SEL_B / 8] &= ~PRESENT;
	go("not-present", 0, CODE(CALL_B));
	prepare(CODE(IRET));
	gdt[SEL_B / 8] = descriptor(&b, 102);
	go("short", 0, CODE(CALL_B));
	prepare(CODE(IRET));
	go("user", 1, CODE(CALL_B));
	prepare(CODE(INT_DONE));
	b.cs = SEL_DATA;
	go("bad-cs", 0, CODE(CALL_B));
	prepare(CODE(INT_DONE));
	b.ss = SEL_CODE32;
	go("bad-ss", 0, CODE(CALL_B));
	prepare(CODE(INT_DONE));
	b.ds = 0x7f8;
	go("bad-ds", 0, CODE(CALL_B));
	prepare(CODE(INT_DONE));
	b.ldt = SEL_DATA;
	go("bad-ldt", 0, CODE(CALL_B));
	prepare(CODE(INT_DONE));
	b.eflags = 0xffffffff & ~0x20300; /* no VM, no TF, no IF */
	go("all-flags", 0, CODE(CALL_B));
	/* IRET with NT to a task that is not busy */
	prepare(CODE(INT_DONE));
	((struct tss *)(void *)tss32)->link = SEL_B;
	go("iret-not-busy", 0,
	   CODE(0x9c, 0x80, 0x4c, 0x24, 1, 0x40, 0x9d, IRET));
}

/* A task in virtual-8086 mode that asks the BIOS for the memory above 1 MiB, as
 * a DOS behind a memory manager does: the INT is reflected, FLAGS and a far
 * call. */
static void ask_bios(void)
{
	const u16 *vector15 = (const u16 *)0x54;
	u8 code[] = { 0x9c, 0x9a, 0, 0, 0, 0, INT_DONE };

	__asm__("" : "+r"(vector15)); /* address 54h is no object to GCC */
	memcpy(code + 2, vector15, 4);
	prepare(code, sizeof(code));
	b.eflags = 0x23002; /* VM, IOPL 3 */
	b.cs = SNIPPET_SEG;
	b.eip = B_CODE - SNIPPET;
	b.ss = SNIPPET_SEG;
	b.esp = B_STACK - SNIPPET;
	b.es = b.ds = b.fs = b.gs = 0;
	b.eax = 0x8800;
	run_code(mode, 0, CODE(JMP_B));
	say("@@ v86 %s %s flags 0x%lx eax 0x%x\n", mode_name(mode, 0),
	    vector_name(run->vector), run->rflags & ~RF, (u32)run->gpr[RAX]);
}

void test_task(void)
{
	static const u32 modes[] = { MODE_PM32, MODE_PG32, MODE_PAE };

	for (u32 i = 0; i < 3; i++) {
		mode = modes[i];
		one_mode();
		faults();
		ask_bios();
	}
	/* in long mode there are none */
	mode = MODE_COMPAT;
	prepare(CODE(IRET));
	go("call", 0, CODE(CALL_B));
}

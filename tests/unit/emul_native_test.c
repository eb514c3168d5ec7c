/*
 * The executor against the CPU that runs this test: random instructions with
 * random registers, flags and memory, executed by both.
 *
 * units: core/emul/decode.c core/emul/exec.c core/emul/string.c core/emul/flow.c
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <asm/prctl.h>

#include "core/emul/exec.h"
#include "core/lib/range.h"
#include "tests/unit/test.h"

/* Fixed and below 2 GiB, so that every addressing form can reach it. */
#define CODE	     0x20000000UL
#define STATE	     0x20001000UL
#define SCRATCH	     0x20010000UL
#define SCRATCH_SIZE 8192UL /* a bit number reaches 1 KiB each way */
#define GS_BASE	     0x1230UL

struct native_state {
	u64 gpr[16];
	u64 rflags;
	u64 path; /* 0: fell through, 1: jumped forward, 2: backward */
	u64 host_rsp;
};

/* Copied to CODE; the instruction is written to native_slot, followed by a
 * jump to native_fall. All addresses are absolute. */
__asm__(".pushsection .rodata\n"
	"native_begin:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14\n"
	"	push %r15\n"
	"	mov %rsp, 0x20001090\n"
	"	pushq 0x20001080; popfq\n"
	"	mov 0x20001000, %rax; mov 0x20001008, %rcx\n"
	"	mov 0x20001010, %rdx; mov 0x20001018, %rbx\n"
	"	mov 0x20001020, %rsp; mov 0x20001028, %rbp\n"
	"	mov 0x20001030, %rsi; mov 0x20001038, %rdi\n"
	"	mov 0x20001040, %r8;  mov 0x20001048, %r9\n"
	"	mov 0x20001050, %r10; mov 0x20001058, %r11\n"
	"	mov 0x20001060, %r12; mov 0x20001068, %r13\n"
	"	mov 0x20001070, %r14; mov 0x20001078, %r15\n"
	"	jmp native_slot\n"
	"native_back:\n"
	"	movq $2, 0x20001088; jmp native_save\n"
	"native_slot: .fill 48, 1, 0xcc\n"
	"native_forward:\n"
	"	movq $1, 0x20001088; jmp native_save\n"
	"native_fall:\n"
	"	movq $0, 0x20001088\n"
	"native_save:\n"
	"	mov %rax, 0x20001000; mov %rcx, 0x20001008\n"
	"	mov %rdx, 0x20001010; mov %rbx, 0x20001018\n"
	"	mov %rsp, 0x20001020; mov %rbp, 0x20001028\n"
	"	mov %rsi, 0x20001030; mov %rdi, 0x20001038\n"
	"	mov %r8, 0x20001040;  mov %r9, 0x20001048\n"
	"	mov %r10, 0x20001050; mov %r11, 0x20001058\n"
	"	mov %r12, 0x20001060; mov %r13, 0x20001068\n"
	"	mov %r14, 0x20001070; mov %r15, 0x20001078\n"
	"	mov 0x20001090, %rsp\n"
	"	pushfq; popq 0x20001080; cld\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n"
	"native_end:\n"
	".popsection\n");
extern const u8 native_begin[], native_slot[], native_fall[], native_back[],
	native_forward[], native_end[];

#define SLOT	(CODE + (u64)(native_slot - native_begin))
#define FALL	(CODE + (u64)(native_fall - native_begin))
#define BACK	(CODE + (u64)(native_back - native_begin))
#define FORWARD (CODE + (u64)(native_forward - native_begin))

enum {
	NO_IMM,
	IMM_B,
	IMM_W,
	IMM_Z,
	IMM_V,
	MOFFS,
	REL_B,
	REL_Z
};
enum {
	MODRM = 1,
	LOCK = 2,
	BIT_REG = 4, /* ModRM.reg is a bit number */
	SHIFT = 8,
	MEM_ONLY = 16,
	STRING = 32,
	STACK = 64, /* RSP has to point somewhere */
	NO_66 = 128,
	RETURN = 256,
};

#define ANY	  -1
#define UNDEF_BT  (RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF)
#define UNDEF_MUL (RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF)

struct kind {
	u8 map; /* 0 or 0F */
	u8 opcode;
	u8 opcodes; /* this many follow each other */
	s8 reg;	    /* ModRM.reg */
	u8 imm;
	u16 flags;
	u16 undefined;
};

/* clang-format off */
static const struct kind kinds[] = {
	/* ALU: bits 5-3 of the opcode or ModRM.reg are the operation */
	{ 0, 0x00, 2, ANY, NO_IMM, MODRM | LOCK, 0 },
	{ 0, 0x02, 2, ANY, NO_IMM, MODRM, 0 },
	{ 0, 0x04, 1, ANY, IMM_B, 0, 0 },
	{ 0, 0x05, 1, ANY, IMM_Z, 0, 0 },
	{ 0, 0x08, 2, ANY, NO_IMM, MODRM | LOCK, RFLAGS_AF },
	{ 0, 0x0a, 2, ANY, NO_IMM, MODRM, RFLAGS_AF },
	{ 0, 0x0c, 1, ANY, IMM_B, 0, RFLAGS_AF },
	{ 0, 0x0d, 1, ANY, IMM_Z, 0, RFLAGS_AF },
	{ 0, 0x10, 2, ANY, NO_IMM, MODRM | LOCK, 0 },
	{ 0, 0x12, 2, ANY, NO_IMM, MODRM, 0 },
	{ 0, 0x14, 1, ANY, IMM_B, 0, 0 },
	{ 0, 0x15, 1, ANY, IMM_Z, 0, 0 },
	{ 0, 0x18, 2, ANY, NO_IMM, MODRM | LOCK, 0 },
	{ 0, 0x1a, 2, ANY, NO_IMM, MODRM, 0 },
	{ 0, 0x1c, 1, ANY, IMM_B, 0, 0 },
	{ 0, 0x1d, 1, ANY, IMM_Z, 0, 0 },
	{ 0, 0x20, 2, ANY, NO_IMM, MODRM | LOCK, RFLAGS_AF },
	{ 0, 0x22, 2, ANY, NO_IMM, MODRM, RFLAGS_AF },
	{ 0, 0x24, 1, ANY, IMM_B, 0, RFLAGS_AF },
	{ 0, 0x25, 1, ANY, IMM_Z, 0, RFLAGS_AF },
	{ 0, 0x28, 2, ANY, NO_IMM, MODRM | LOCK, 0 },
	{ 0, 0x2a, 2, ANY, NO_IMM, MODRM, 0 },
	{ 0, 0x2c, 1, ANY, IMM_B, 0, 0 },
	{ 0, 0x2d, 1, ANY, IMM_Z, 0, 0 },
	{ 0, 0x30, 2, ANY, NO_IMM, MODRM | LOCK, RFLAGS_AF },
	{ 0, 0x32, 2, ANY, NO_IMM, MODRM, RFLAGS_AF },
	{ 0, 0x34, 1, ANY, IMM_B, 0, RFLAGS_AF },
	{ 0, 0x35, 1, ANY, IMM_Z, 0, RFLAGS_AF },
	{ 0, 0x38, 4, ANY, NO_IMM, MODRM, 0 },
	{ 0, 0x3c, 1, ANY, IMM_B, 0, 0 },
	{ 0, 0x3d, 1, ANY, IMM_Z, 0, 0 },
#define GROUP1(reg, flags, undef)				\
	{ 0, 0x80, 1, reg, IMM_B, MODRM | (flags), undef },	\
	{ 0, 0x81, 1, reg, IMM_Z, MODRM | (flags), undef },	\
	{ 0, 0x83, 1, reg, IMM_B, MODRM | (flags), undef }
	GROUP1(0, LOCK, 0), GROUP1(1, LOCK, RFLAGS_AF),
	GROUP1(2, LOCK, 0), GROUP1(3, LOCK, 0),
	GROUP1(4, LOCK, RFLAGS_AF), GROUP1(5, LOCK, 0),
	GROUP1(6, LOCK, RFLAGS_AF), GROUP1(7, 0, 0),
	/* TEST, XCHG */
	{ 0, 0x84, 2, ANY, NO_IMM, MODRM, RFLAGS_AF },
	{ 0, 0xa8, 1, ANY, IMM_B, 0, RFLAGS_AF },
	{ 0, 0xa9, 1, ANY, IMM_Z, 0, RFLAGS_AF },
	{ 0, 0xf6, 1, 0, IMM_B, MODRM, RFLAGS_AF },
	{ 0, 0xf7, 1, 0, IMM_Z, MODRM, RFLAGS_AF },
	{ 0, 0x86, 2, ANY, NO_IMM, MODRM | LOCK, 0 },
	{ 0, 0x90, 8, ANY, NO_IMM, 0, 0 },
	/* MOV */
	{ 0, 0x88, 4, ANY, NO_IMM, MODRM, 0 },
	{ 0, 0xa0, 4, ANY, MOFFS, 0, 0 },
	{ 0, 0xb0, 8, ANY, IMM_B, 0, 0 },
	{ 0, 0xb8, 8, ANY, IMM_V, 0, 0 },
	{ 0, 0xc6, 1, 0, IMM_B, MODRM, 0 },
	{ 0, 0xc7, 1, 0, IMM_Z, MODRM, 0 },
	{ 0, 0x63, 1, ANY, NO_IMM, MODRM | NO_66, 0 },
	{ 0x0f, 0xb6, 2, ANY, NO_IMM, MODRM, 0 },
	{ 0x0f, 0xbe, 2, ANY, NO_IMM, MODRM, 0 },
	{ 0x0f, 0xc3, 1, ANY, NO_IMM, MODRM | MEM_ONLY | NO_66, 0 },
	/* BT, BTS, BTR, BTC */
	{ 0x0f, 0xa3, 1, ANY, NO_IMM, MODRM | BIT_REG, UNDEF_BT },
	{ 0x0f, 0xab, 1, ANY, NO_IMM, MODRM | BIT_REG | LOCK, UNDEF_BT },
	{ 0x0f, 0xb3, 1, ANY, NO_IMM, MODRM | BIT_REG | LOCK, UNDEF_BT },
	{ 0x0f, 0xbb, 1, ANY, NO_IMM, MODRM | BIT_REG | LOCK, UNDEF_BT },
	{ 0x0f, 0xba, 1, 4, IMM_B, MODRM, UNDEF_BT },
	{ 0x0f, 0xba, 1, 5, IMM_B, MODRM | LOCK, UNDEF_BT },
	{ 0x0f, 0xba, 1, 6, IMM_B, MODRM | LOCK, UNDEF_BT },
	{ 0x0f, 0xba, 1, 7, IMM_B, MODRM | LOCK, UNDEF_BT },
	/* MOVS, STOS, LODS */
	{ 0, 0xa4, 2, ANY, NO_IMM, STRING, 0 },
	{ 0, 0xaa, 4, ANY, NO_IMM, STRING, 0 },
	/* flow.c */
	{ 0, 0xfe, 1, 0, NO_IMM, MODRM | LOCK, 0 },
	{ 0, 0xff, 1, 0, NO_IMM, MODRM | LOCK, 0 },
	{ 0, 0xfe, 1, 1, NO_IMM, MODRM | LOCK, 0 },
	{ 0, 0xff, 1, 1, NO_IMM, MODRM | LOCK, 0 },
	{ 0, 0xf6, 2, 2, NO_IMM, MODRM | LOCK, 0 },
	{ 0, 0xf6, 2, 3, NO_IMM, MODRM | LOCK, 0 },
	{ 0, 0xc0, 2, 4, IMM_B, MODRM | SHIFT, 0 },
	{ 0, 0xc0, 2, 5, IMM_B, MODRM | SHIFT, 0 },
	{ 0, 0xc0, 2, 7, IMM_B, MODRM | SHIFT, 0 },
	{ 0, 0xd0, 2, 4, NO_IMM, MODRM, RFLAGS_AF },
	{ 0, 0xd0, 2, 5, NO_IMM, MODRM, RFLAGS_AF },
	{ 0, 0xd0, 2, 7, NO_IMM, MODRM, RFLAGS_AF },
	{ 0, 0xd2, 2, 4, NO_IMM, MODRM | SHIFT, 0 },
	{ 0, 0xd2, 2, 5, NO_IMM, MODRM | SHIFT, 0 },
	{ 0, 0xd2, 2, 7, NO_IMM, MODRM | SHIFT, 0 },
	{ 0x0f, 0x90, 16, ANY, NO_IMM, MODRM, 0 },
	{ 0, 0xf6, 2, 4, NO_IMM, MODRM, UNDEF_MUL },
	{ 0x0f, 0xaf, 1, ANY, NO_IMM, MODRM, UNDEF_MUL },
	{ 0, 0x69, 1, ANY, IMM_Z, MODRM, UNDEF_MUL },
	{ 0, 0x6b, 1, ANY, IMM_B, MODRM, UNDEF_MUL },
	{ 0, 0x8d, 1, ANY, NO_IMM, MODRM | MEM_ONLY, 0 },
	{ 0, 0x50, 16, ANY, NO_IMM, STACK, 0 },
	{ 0, 0x70, 16, ANY, REL_B, NO_66, 0 },
	{ 0x0f, 0x80, 16, ANY, REL_Z, NO_66, 0 },
	{ 0, 0xe8, 1, ANY, REL_Z, NO_66 | STACK, 0 },
	{ 0, 0xe9, 1, ANY, REL_Z, NO_66, 0 },
	{ 0, 0xeb, 1, ANY, REL_B, NO_66, 0 },
	{ 0, 0xc3, 1, ANY, NO_IMM, NO_66 | STACK | RETURN, 0 },
	{ 0, 0xc2, 1, ANY, IMM_W, NO_66 | STACK | RETURN, 0 },
	{ 0x0f, 0x1f, 1, 0, NO_IMM, MODRM, 0 },
};
/* clang-format on */

/* A random instruction and the state it starts from. */
struct trial {
	const struct kind *kind;
	u8 bytes[32];
	unsigned int n;
	unsigned int opsize;
	u8 rex, opcode, modrm;
	bool p67, gs, memory, locked;
	unsigned int rip_disp; /* where a RIP-relative displacement lies */
	u64 rip_target;
	struct emul_cpu cpu;
};

static u8 shadow[SCRATCH_SIZE];
static struct native_state *const state = (void *)STATE;
static u8 *const scratch = (void *)SCRATCH;
static u64 random_state = 0x9e3779b97f4a7c15;

static u64 random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1d;
}

static unsigned int below(unsigned int n)
{
	return (unsigned int)((random_u64() >> 32) % n);
}

static u64 random_value(void)
{
	static const u64 edges[] = {
		0,
		1,
		0x7f,
		0x80,
		0xff,
		0x7fff,
		0x8000,
		0xffff,
		0x7fffffff,
		0x80000000,
		0xffffffff,
		0x7fffffffffffffff,
		0x8000000000000000,
		~0ULL,
	};

	return below(4) ? random_u64() : edges[below(ARRAY_SIZE(edges))];
}

static void emit(struct trial *t, u64 value, unsigned int size)
{
	memcpy(t->bytes + t->n, &value, size);
	t->n += size;
}

static u64 middle(void) /* a linear address with room on both sides */
{
	return SCRATCH + SCRATCH_SIZE / 2 - 1024 + below(2048);
}

static void generate_prefixes(struct trial *t)
{
	const struct kind *k = t->kind;
	bool p66 = !below(4);

	if (!below(10))
		emit(t, "\x26\x2e\x36\x3e"[below(4)], 1);
	t->rex = below(3) ? 0x40 | below(16) : 0;
	if (k->flags & NO_66 && (!(k->flags & MODRM) || !(t->rex & 8)))
		p66 = false;
	if (k->opcode == 0xc3 && k->map)
		p66 = false;
	if (p66)
		emit(t, 0x66, 1);
	t->p67 = !below(5);
	if (t->p67)
		emit(t, 0x67, 1);
	t->gs = !below(5);
	if (t->gs)
		emit(t, 0x65, 1);
	t->opsize = t->rex & 8 ? 8 : p66 ? 2 : 4;
}

/* Sets the registers so that base + index * scale + disp is @ea; false if
 * these registers cannot. */
static bool solve(struct trial *t, int base, int index, unsigned int scale,
		  u64 ea, u64 disp, bool disp32)
{
	u64 *gpr = t->cpu.gpr, garbage = t->p67 ? random_u64() << 32 : 0;

	if (base >= 0 && base != index) {
		u64 rest = index >= 0 ? gpr[index] * scale : 0;

		gpr[base] = ea - rest - disp;
		if (t->p67)
			gpr[base] = (gpr[base] & 0xffffffff) | garbage;
		return true;
	}
	if (!disp32)
		return false;
	if (index >= 0) {
		gpr[index] = below(1 << 20);
		disp = ea - gpr[index] * (scale + (base >= 0));
		gpr[index] |= garbage;
	} else {
		disp = ea;
	}
	memcpy(t->bytes + t->n - 4, &disp, 4);
	return true;
}

static bool generate_memory(struct trial *t)
{
	/* Linux lets a program wait for each lock across cache lines. */
	u64 at = t->locked ? align_down(middle(), 8) : middle();
	u64 ea = at - (t->gs ? GS_BASE : 0);
	unsigned int mod = below(3), rm = below(8), sib = below(256);
	int base = (int)(rm | (t->rex & 1) << 3), index = -1;
	unsigned int scale = 1 << (sib >> 6);
	u64 disp = 0;

	t->modrm = (u8)(mod << 6 | (t->modrm & 0x38) | rm);
	emit(t, t->modrm, 1);
	if (rm == 4) {
		emit(t, sib, 1);
		base = (int)((sib & 7) | (t->rex & 1) << 3);
		index = (int)((sib >> 3 & 7) | (t->rex & 2) << 2);
		index = index == 4 ? -1 : index;
		rm = sib & 7;
	}
	if (t->kind->flags & BIT_REG) {
		int reg = (t->modrm >> 3 & 7) | (t->rex & 4) << 1;

		if (reg == base || reg == index)
			return false;
	}
	if (mod == 0 && rm == 5) {
		emit(t, 0, 4);
		if ((t->modrm & 7) == 4)
			return solve(t, -1, index, scale, ea, 0, true);
		t->rip_disp = t->n - 4;
		t->rip_target = ea;
		return true;
	}
	if (mod == 1) {
		disp = (u64)(s64)(s8)random_u64();
		emit(t, disp, 1);
	} else if (mod == 2) {
		disp = (u64)(s64)(s32)random_u64();
		emit(t, disp, 4);
	}
	return solve(t, base, index, scale, ea, disp, mod == 2);
}

static void generate_bit_number(struct trial *t)
{
	u64 *reg = &t->cpu.gpr[(t->modrm >> 3 & 7) | (t->rex & 4) << 1];
	u64 mask = t->opsize == 8 ? ~0ULL : (1ULL << (8 * t->opsize)) - 1;

	*reg = (*reg & ~mask) | ((u64)((s64)below(16384) - 8192) & mask);
}

static bool generate_modrm(struct trial *t)
{
	const struct kind *k = t->kind;

	t->modrm = (u8)((k->reg == ANY ? below(8) : (unsigned int)k->reg) << 3);
	if (t->memory) {
		if (k->flags & BIT_REG)
			generate_bit_number(t);
		return generate_memory(t);
	}
	t->modrm |= 0xc0 | below(8);
	emit(t, t->modrm, 1);
	return true;
}

static void generate_imm(struct trial *t)
{
	unsigned int z = t->opsize > 4 ? 4 : t->opsize;
	u64 target = below(2) ? FORWARD : BACK;

	switch (t->kind->imm) {
	case IMM_B:
		emit(t, random_value(), 1);
		break;
	case IMM_W:
		emit(t, random_value(), 2);
		break;
	case IMM_Z:
		emit(t, random_value(), z);
		break;
	case IMM_V:
		emit(t, random_value(), t->opsize);
		break;
	case MOFFS:
		emit(t, middle() - (t->gs ? GS_BASE : 0), t->p67 ? 4 : 8);
		break;
	case REL_B:
		emit(t, target - (SLOT + t->n + 1), 1);
		break;
	case REL_Z:
		emit(t, target - (SLOT + t->n + 4), 4);
		break;
	}
}

static void generate_string(struct trial *t)
{
	u64 *gpr = t->cpu.gpr, garbage = t->p67 ? random_u64() << 32 : 0;

	gpr[GPR_RCX] = below(60);
	if (!gpr[GPR_RCX]) /* CPUs differ in what becomes of upper halves */
		garbage = 0;
	gpr[GPR_RCX] |= garbage;
	gpr[GPR_RSI] = (middle() - (t->gs ? GS_BASE : 0)) | garbage;
	gpr[GPR_RDI] = middle() | garbage;
	if (below(2)) /* overlapping, sometimes */
		gpr[GPR_RDI] = (gpr[GPR_RSI] + (t->gs ? GS_BASE : 0) +
				below(24) - 12) |
			       garbage;
	t->cpu.rflags |= below(2) ? RFLAGS_DF : 0;
}

static bool generate(struct trial *t, const struct kind *k)
{
	bool lock;

	*t = (struct trial){ .kind = k };
	for (int i = 0; i < 16; i++)
		t->cpu.gpr[i] = random_value();
	t->cpu.rflags = (random_u64() & FLAGS_STATUS) | 2;
	t->cpu.rip = SLOT;
	t->cpu.bits = 64;
	t->memory = k->flags & MODRM && (k->flags & MEM_ONLY || below(4));
	generate_prefixes(t);
	if (k->flags & STRING) {
		generate_string(t);
		if (below(3))
			emit(t, below(4) ? 0xf3 : 0xf2, 1);
	}
	lock = k->flags & LOCK && t->memory && !below(4);
	if (lock)
		emit(t, 0xf0, 1);
	t->locked = lock || (!k->map && k->opcode == 0x86); /* XCHG */
	if (t->rex)
		emit(t, t->rex, 1);
	if (k->map)
		emit(t, k->map, 1);
	t->opcode = (u8)(k->opcode + below(k->opcodes));
	emit(t, t->opcode, 1);
	if (k->flags & MODRM && !generate_modrm(t))
		return false;
	generate_imm(t);
	if (t->rip_disp) {
		u64 disp = t->rip_target - (SLOT + t->n);

		memcpy(t->bytes + t->rip_disp, &disp, 4);
	}
	if (k->flags & STACK)
		t->cpu.gpr[GPR_RSP] = middle();
	return t->n <= INSN_MAX;
}

static int locate(unsigned int seg, u64 offset, unsigned int size, u8 **p)
{
	if (seg == SEG_GS)
		offset += GS_BASE;
	else if (seg == SEG_FS)
		return -1;
	offset -= SCRATCH;
	if (offset >= SCRATCH_SIZE || size > SCRATCH_SIZE - offset)
		return -1;
	*p = shadow + offset;
	return 0;
}

static int mem_read(void *ctx, unsigned int seg, u64 offset, void *dst,
		    unsigned int size)
{
	u8 *p;

	if (locate(seg, offset, size, &p))
		return EMUL_MEM_FAULT;
	memcpy(dst, p, size);
	return 0;
}

static int mem_write(void *ctx, unsigned int seg, u64 offset, const void *src,
		     unsigned int size)
{
	u8 *p;

	if (locate(seg, offset, size, &p))
		return EMUL_MEM_FAULT;
	memcpy(p, src, size);
	return 0;
}

static int mem_probe(void *ctx, unsigned int seg, u64 offset, unsigned int size)
{
	u8 *p;

	return locate(seg, offset, size, &p);
}

static const struct emul_mem mem = { mem_read, mem_write, mem_probe, NULL };

static void native_run(const struct trial *t)
{
	u8 *slot = (u8 *)SLOT;
	u32 rel = (u32)(FALL - (SLOT + t->n + 5));

	memcpy(slot, t->bytes, t->n);
	slot[t->n] = 0xe9;
	memcpy(slot + t->n + 1, &rel, 4);
	memcpy(state->gpr, t->cpu.gpr, sizeof(state->gpr));
	state->rflags = t->cpu.rflags;
	((void (*)(void))CODE)();
}

static u64 undefined_flags(const struct trial *t)
{
	unsigned int width = t->opcode & 1 ? 8 * t->opsize : 8;
	bool by_cl = (t->opcode & 0xfe) == 0xd2;
	u64 count = by_cl ? t->cpu.gpr[GPR_RCX] : t->bytes[t->n - 1];

	if (!(t->kind->flags & SHIFT))
		return t->kind->undefined;
	count &= width == 64 ? 63 : 31;
	if (!count)
		return 0;
	return RFLAGS_AF | (count == 1 ? 0 : RFLAGS_OF) |
	       (count >= width ? RFLAGS_CF : 0);
}

static void report(const struct trial *t, const char *what, u64 got, u64 want)
{
	if (test_failures++ > 20)
		return;
	printf("%s: 0x%llx, the CPU has 0x%llx:", what, (unsigned long long)got,
	       (unsigned long long)want);
	for (unsigned int i = 0; i < t->n; i++)
		printf(" %02x", t->bytes[i]);
	printf("\n");
}

static void compare(const struct trial *t, const struct emul_cpu *cpu)
{
	u64 mask = (FLAGS_STATUS | RFLAGS_DF) & ~undefined_flags(t);
	u64 paths[3] = { SLOT + t->n, FORWARD, BACK };

	for (int i = 0; i < 16; i++)
		if (cpu->gpr[i] != state->gpr[i])
			report(t, "register", cpu->gpr[i], state->gpr[i]);
	if ((cpu->rflags ^ state->rflags) & mask)
		report(t, "flags", cpu->rflags & mask, state->rflags & mask);
	if (cpu->rip != paths[state->path])
		report(t, "rip", cpu->rip, paths[state->path]);
	if (memcmp(shadow, scratch, SCRATCH_SIZE)) {
		report(t, "memory", 0, 0);
		memcpy(shadow, scratch, SCRATCH_SIZE);
	}
}

static void run_trial(const struct trial *t)
{
	struct emul_cpu cpu = t->cpu;
	int error;

	if (t->kind->flags & RETURN) {
		u64 target = below(2) ? FORWARD : BACK;
		u64 at = t->cpu.gpr[GPR_RSP] - SCRATCH;

		memcpy(scratch + at, &target, 8);
		memcpy(shadow + at, &target, 8);
	}
	error = emul_step(&cpu, t->bytes, t->n, &mem);
	if (error) {
		report(t, "error", (u64)error, 0);
		return;
	}
	native_run(t);
	compare(t, &cpu);
}

static void map_pages(void)
{
	void *code, *data;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;

	code = mmap((void *)CODE, 0x2000, PROT_READ | PROT_WRITE | PROT_EXEC,
		    flags, -1, 0);
	data = mmap((void *)SCRATCH, SCRATCH_SIZE, PROT_READ | PROT_WRITE,
		    flags, -1, 0);
	if (code != (void *)CODE || data != (void *)SCRATCH ||
	    syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE)) {
		perror("set-up");
		exit(1);
	}
	memcpy(code, native_begin, (size_t)(native_end - native_begin));
	for (u64 i = 0; i < SCRATCH_SIZE; i++)
		scratch[i] = shadow[i] = (u8)random_u64();
}

TEST(same_as_cpu)
{
	unsigned long trials = 0;
	struct trial t;

	map_pages();
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		for (unsigned int i = 0; i < 600 + 100U * kinds[k].opcodes;) {
			if (!generate(&t, &kinds[k]))
				continue;
			run_trial(&t);
			i++;
			trials++;
		}
	}
	printf("%lu instructions\n", trials);
	EXPECT(trials > 60000);
}

TEST_MAIN(CASE(same_as_cpu))

/*
 * The decoder. The tables name operands as SDM vol. 2, A.2 does: E is the
 * ModRM operand, G the register of ModRM.reg, Z the register in the opcode, I
 * an immediate, J a branch distance, O an offset without ModRM, X a string
 * element; b, w, d are sizes, v the operand size, z at most 4 of its bytes.
 */
#include "core/emul/insn.h"
#include "core/lib/bytes.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"

enum spec {
	S_NONE,
	S_Eb,
	S_Ew,
	S_Ed,
	S_Ev,
	S_M,
	S_Gb,
	S_Gv,
	S_Zb,
	S_Zv,
	S_AL,
	S_rAX,
	S_eAX,
	S_Ib,
	S_Iw,
	S_Iz,
	S_Iv,
	S_1,
	S_CL,
	S_Jb,
	S_Jz,
	S_Ob,
	S_Ov,
	S_Xb,
	S_Xv,
	S_Xz,
};

enum {
	F_LOCK = 1, /* LOCK is allowed if the destination is memory */
	F_D64 = 2,  /* the operand size is 64 bits in 64-bit mode */
	F_NO66 = 4, /* in 64-bit mode vendors read a 66h differently */
	F_NO64 = 8,
	F_ONLY64 = 16,
	F_NP = 32,   /* no 66h, F2h or F3h, and no 16-bit operands */
	F_MEM = 64,  /* memory operand only */
	F_IMM = 128, /* in a group: takes an immediate too */
};

struct opcode {
	u8 op; /* enum insn_op or GROUP() */
	u8 dst, src;
	u8 flags;
};

enum {
	GRP1,
	GRP2,
	GRP3,
	GRP4,
	GRP5,
	GRP7,
	GRP8,
	GRP11,
	GRP15
};
#define GROUP(n) (0x80 + (n))
static_assert(INSN_COUNT <= GROUP(0), "an op is no group");

/* clang-format off */
#define ALU(first, op, flags)				\
	[first]     = { op, S_Eb, S_Gb, flags },	\
	[first + 1] = { op, S_Ev, S_Gv, flags },	\
	[first + 2] = { op, S_Gb, S_Eb, 0 },		\
	[first + 3] = { op, S_Gv, S_Ev, 0 },		\
	[first + 4] = { op, S_AL, S_Ib, 0 },		\
	[first + 5] = { op, S_rAX, S_Iz, 0 }

static const struct opcode one_byte[256] = {
	ALU(0x00, INSN_ADD, F_LOCK),
	ALU(0x08, INSN_OR,  F_LOCK),
	ALU(0x10, INSN_ADC, F_LOCK),
	ALU(0x18, INSN_SBB, F_LOCK),
	ALU(0x20, INSN_AND, F_LOCK),
	ALU(0x28, INSN_SUB, F_LOCK),
	ALU(0x30, INSN_XOR, F_LOCK),
	ALU(0x38, INSN_CMP, 0),
	[0x63] = { INSN_MOVSX, S_Gv, S_Ed, F_ONLY64 | F_NO66 },
	[0x80] = { GROUP(GRP1), S_Eb, S_Ib, 0 },
	[0x81] = { GROUP(GRP1), S_Ev, S_Iz, 0 },
	[0x82] = { GROUP(GRP1), S_Eb, S_Ib, F_NO64 },
	[0x83] = { GROUP(GRP1), S_Ev, S_Ib, 0 },
	[0x84] = { INSN_TEST, S_Eb, S_Gb, 0 },
	[0x85] = { INSN_TEST, S_Ev, S_Gv, 0 },
	[0x86] = { INSN_XCHG, S_Eb, S_Gb, F_LOCK },
	[0x87] = { INSN_XCHG, S_Ev, S_Gv, F_LOCK },
	[0x88] = { INSN_MOV, S_Eb, S_Gb, 0 },
	[0x89] = { INSN_MOV, S_Ev, S_Gv, 0 },
	[0x8a] = { INSN_MOV, S_Gb, S_Eb, 0 },
	[0x8b] = { INSN_MOV, S_Gv, S_Ev, 0 },
	[0x90 ... 0x97] = { INSN_XCHG, S_Zv, S_rAX, 0 },
	[0xa0] = { INSN_MOV, S_AL, S_Ob, 0 },
	[0xa1] = { INSN_MOV, S_rAX, S_Ov, 0 },
	[0xa2] = { INSN_MOV, S_Ob, S_AL, 0 },
	[0xa3] = { INSN_MOV, S_Ov, S_rAX, 0 },
	[0xa4] = { INSN_MOVS, S_Xb, S_NONE, 0 },
	[0xa5] = { INSN_MOVS, S_Xv, S_NONE, 0 },
	[0xa8] = { INSN_TEST, S_AL, S_Ib, 0 },
	[0xa9] = { INSN_TEST, S_rAX, S_Iz, 0 },
	[0xaa] = { INSN_STOS, S_Xb, S_NONE, 0 },
	[0xab] = { INSN_STOS, S_Xv, S_NONE, 0 },
	[0xac] = { INSN_LODS, S_Xb, S_NONE, 0 },
	[0xad] = { INSN_LODS, S_Xv, S_NONE, 0 },
	[0xb0 ... 0xb7] = { INSN_MOV, S_Zb, S_Ib, 0 },
	[0xb8 ... 0xbf] = { INSN_MOV, S_Zv, S_Iv, 0 },
	[0xc6] = { GROUP(GRP11), S_Eb, S_Ib, 0 },
	[0xc7] = { GROUP(GRP11), S_Ev, S_Iz, 0 },
	[0xf6] = { GROUP(GRP3), S_Eb, S_NONE, 0 },
	[0xf7] = { GROUP(GRP3), S_Ev, S_NONE, 0 },

	/* of flow.c */
	[0x40 ... 0x47] = { INSN_INC, S_Zv, S_NONE, F_NO64 },
	[0x48 ... 0x4f] = { INSN_DEC, S_Zv, S_NONE, F_NO64 },
	[0x50 ... 0x57] = { INSN_PUSH, S_NONE, S_Zv, F_D64 },
	[0x58 ... 0x5f] = { INSN_POP, S_Zv, S_NONE, F_D64 },
	[0x70 ... 0x7f] = { INSN_JCC, S_Jb, S_NONE, F_D64 | F_NO66 },
	[0x69] = { INSN_IMUL3, S_Gv, S_Ev, 0 },
	[0x6b] = { INSN_IMUL3, S_Gv, S_Ev, 0 },
	[0x8d] = { INSN_LEA, S_Gv, S_M, F_MEM },
	[0xc0] = { GROUP(GRP2), S_Eb, S_Ib, 0 },
	[0xc1] = { GROUP(GRP2), S_Ev, S_Ib, 0 },
	[0xc2] = { INSN_RET, S_NONE, S_Iw, F_D64 | F_NO66 },
	[0xc3] = { INSN_RET, S_NONE, S_NONE, F_D64 | F_NO66 },
	[0xd0] = { GROUP(GRP2), S_Eb, S_1, 0 },
	[0xd1] = { GROUP(GRP2), S_Ev, S_1, 0 },
	[0xd2] = { GROUP(GRP2), S_Eb, S_CL, 0 },
	[0xd3] = { GROUP(GRP2), S_Ev, S_CL, 0 },
	[0xe8] = { INSN_CALL, S_Jz, S_NONE, F_D64 | F_NO66 },
	[0xe9] = { INSN_JMP, S_Jz, S_NONE, F_D64 | F_NO66 },
	[0xeb] = { INSN_JMP, S_Jb, S_NONE, F_D64 | F_NO66 },
	[0xfe] = { GROUP(GRP4), S_Eb, S_NONE, 0 },
	[0xff] = { GROUP(GRP5), S_Ev, S_NONE, 0 },

	/* never executed here */
	[0x6c] = { INSN_INS, S_Xb, S_NONE, 0 },
	[0x6d] = { INSN_INS, S_Xz, S_NONE, 0 },
	[0x6e] = { INSN_OUTS, S_Xb, S_NONE, 0 },
	[0x6f] = { INSN_OUTS, S_Xz, S_NONE, 0 },
	[0xe4] = { INSN_IN, S_AL, S_Ib, 0 },
	[0xe5] = { INSN_IN, S_eAX, S_Ib, 0 },
	[0xe6] = { INSN_OUT, S_Ib, S_AL, 0 },
	[0xe7] = { INSN_OUT, S_Ib, S_eAX, 0 },
	[0xec] = { INSN_IN, S_AL, S_NONE, 0 },
	[0xed] = { INSN_IN, S_eAX, S_NONE, 0 },
	[0xee] = { INSN_OUT, S_NONE, S_AL, 0 },
	[0xef] = { INSN_OUT, S_NONE, S_eAX, 0 },
};

static const struct opcode two_byte[256] = { /* after 0F */
	[0xa3] = { INSN_BT, S_Ev, S_Gv, 0 },
	[0xab] = { INSN_BTS, S_Ev, S_Gv, F_LOCK },
	[0xb3] = { INSN_BTR, S_Ev, S_Gv, F_LOCK },
	[0xb6] = { INSN_MOVZX, S_Gv, S_Eb, 0 },
	[0xb7] = { INSN_MOVZX, S_Gv, S_Ew, 0 },
	[0xba] = { GROUP(GRP8), S_Ev, S_Ib, 0 },
	[0xbb] = { INSN_BTC, S_Ev, S_Gv, F_LOCK },
	[0xbe] = { INSN_MOVSX, S_Gv, S_Eb, 0 },
	[0xbf] = { INSN_MOVSX, S_Gv, S_Ew, 0 },
	[0xc3] = { INSN_MOV, S_Ev, S_Gv, F_NP | F_MEM }, /* MOVNTI */

	/* of flow.c */
	[0x1f] = { INSN_NOP, S_Ev, S_NONE, 0 },
	[0xaf] = { INSN_IMUL, S_Gv, S_Ev, 0 },
	[0xae] = { GROUP(GRP15), S_NONE, S_NONE, F_NP },
	[0x80 ... 0x8f] = { INSN_JCC, S_Jz, S_NONE, F_D64 | F_NO66 },
	[0x90 ... 0x9f] = { INSN_SETCC, S_Eb, S_NONE, 0 },

	/* never executed here */
	[0x01] = { GROUP(GRP7), S_NONE, S_NONE, 0 },
	[0x08] = { INSN_INVD, S_NONE, S_NONE, 0 },
	[0x30] = { INSN_WRMSR, S_NONE, S_NONE, 0 },
	[0x31] = { INSN_RDTSC, S_NONE, S_NONE, 0 },
	[0x32] = { INSN_RDMSR, S_NONE, S_NONE, 0 },
	[0xa2] = { INSN_CPUID, S_NONE, S_NONE, 0 },
};

/* By ModRM.reg. */
static const struct {
	u8 op;
	u8 flags;
} groups[][8] = {
	[GRP1] = {
		{ INSN_ADD, F_LOCK }, { INSN_OR, F_LOCK },
		{ INSN_ADC, F_LOCK }, { INSN_SBB, F_LOCK },
		{ INSN_AND, F_LOCK }, { INSN_SUB, F_LOCK },
		{ INSN_XOR, F_LOCK }, { INSN_CMP, 0 },
	},
	[GRP2] = { [4] = { INSN_SHL, 0 }, { INSN_SHR, 0 },
		   [7] = { INSN_SAR, 0 } },
	[GRP3] = { { INSN_TEST, F_IMM }, { INSN_TEST, F_IMM },
		   { INSN_NOT, F_LOCK }, { INSN_NEG, F_LOCK },
		   { INSN_MUL, 0 } },
	[GRP4] = { { INSN_INC, F_LOCK }, { INSN_DEC, F_LOCK } },
	[GRP5] = { { INSN_INC, F_LOCK }, { INSN_DEC, F_LOCK },
		   { INSN_CALL, F_D64 | F_NO66 },
		   [4] = { INSN_JMP, F_D64 | F_NO66 } },
	[GRP8] = { [4] = { INSN_BT, 0 }, { INSN_BTS, F_LOCK },
		   { INSN_BTR, F_LOCK }, { INSN_BTC, F_LOCK } },
	[GRP11] = { { INSN_MOV, 0 } },
	[GRP15] = { [5] = { INSN_FENCE, 0 }, { INSN_FENCE, 0 } },
};
/* clang-format on */

/* The first error sticks; what follows decodes zeros and is thrown away. */
struct decoder {
	struct insn *in;
	const u8 *bytes;
	size_t len, pos;
	int error;
	u8 opsize; /* v */
	u8 seg;	   /* of an override, or INSN_NO_REG */
	u8 repeat; /* 0, F2h or F3h */
	u8 rex;
	u8 opcode; /* its last byte */
	u8 modrm;
	bool p66, p67;
	struct opcode op;
};

static void fail(struct decoder *d, int error)
{
	if (!d->error)
		d->error = error;
}

static u64 fetch(struct decoder *d, unsigned int size)
{
	u64 value = 0;

	if (!range_ok(d->pos, size, INSN_MAX))
		fail(d, -ENOSYS);
	else if (!range_ok(d->pos, size, d->len))
		fail(d, -ERANGE);
	if (d->error)
		return 0;
	__builtin_memcpy(&value, d->bytes + d->pos, size);
	d->pos += size;
	return value;
}

static u64 sign_extend(u64 value, unsigned int size)
{
	unsigned int shift = 64 - 8 * size;

	return (u64)((s64)(value << shift) >> shift);
}

static u64 fetch_signed(struct decoder *d, unsigned int size)
{
	return sign_extend(fetch(d, size), size);
}

/* In 64-bit mode ES, CS, SS and DS overrides do not exist, also not as the
 * last of several (APM vol. 3, 1.2.4). */
static void override(struct decoder *d, u8 seg)
{
	if (d->in->bits != 64 || seg == SEG_FS || seg == SEG_GS)
		d->seg = seg;
}

static bool legacy_prefix(struct decoder *d, u8 byte)
{
	switch (byte) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
		override(d, (byte >> 3) & 3);
		return true;
	case 0x64:
	case 0x65:
		override(d, byte - 0x64 + SEG_FS);
		return true;
	case 0x66:
		d->p66 = true;
		return true;
	case 0x67:
		d->p67 = true;
		return true;
	case 0xf0:
		d->in->lock = true;
		return true;
	case 0xf2:
	case 0xf3:
		d->repeat = byte;
		d->in->rep = true;
		return true;
	}
	return false;
}

/* A REX counts only directly before the opcode (SDM vol. 2, 2.2.1). */
static u8 decode_prefixes(struct decoder *d)
{
	u8 byte;

	for (;;) {
		byte = (u8)fetch(d, 1);
		if (d->in->bits == 64 && (byte & 0xf0) == 0x40)
			d->rex = byte;
		else if (legacy_prefix(d, byte))
			d->rex = 0;
		else
			return byte;
	}
}

/* 90h is XCHG with itself only in name: EAX keeps its upper half. */
static void decode_nop(struct decoder *d)
{
	if (!(d->rex & 1))
		d->op = (struct opcode){ INSN_NOP, S_NONE, S_NONE, 0 };
	else if (d->repeat == 0xf3)
		fail(d, -ENOSYS);
}

static void decode_endbr(struct decoder *d)
{
	u8 byte = (u8)fetch(d, 1);

	d->op.op = INSN_NOP;
	if (d->repeat != 0xf3 || (byte & 0xfe) != 0xfa)
		fail(d, -ENOSYS);
}

static void decode_opcode(struct decoder *d)
{
	d->opcode = decode_prefixes(d);
	if (d->opcode != 0x0f) {
		d->op = one_byte[d->opcode];
		if (d->opcode == 0x90)
			decode_nop(d);
	} else {
		d->opcode = (u8)fetch(d, 1);
		d->op = two_byte[d->opcode];
		if (d->opcode == 0x1e)
			decode_endbr(d);
	}
	if (d->op.op == INSN_NONE)
		fail(d, -ENOSYS);
}

static void decode_sizes(struct decoder *d)
{
	struct insn *in = d->in;
	u8 flags = d->op.flags;

	if (in->bits == 64) {
		in->addr_size = d->p67 ? 4 : 8;
		d->opsize = d->p66 ? 2 : 4;
		if (d->rex & 8 || (flags & F_D64 && !d->p66))
			d->opsize = 8;
	} else {
		in->addr_size = (in->bits == 16) != d->p67 ? 2 : 4;
		d->opsize = (in->bits == 16) != d->p66 ? 2 : 4;
	}
	if ((flags & F_NO64 && in->bits == 64) ||
	    (flags & F_ONLY64 && in->bits != 64) ||
	    (flags & F_NO66 && in->bits == 64 && d->opsize == 2) ||
	    (flags & F_NP && (d->p66 || d->repeat)))
		fail(d, -ENOSYS);
	if (flags & F_NP && d->opsize == 2)
		d->opsize = 4;
}

/* SDM vol. 2, table 2-1. */
static void decode_mem16(struct decoder *d, u8 mod, u8 rm)
{
	static const u8 base[8] = { GPR_RBX, GPR_RBX, GPR_RBP, GPR_RBP,
				    GPR_RSI, GPR_RDI, GPR_RBP, GPR_RBX };
	static const u8 index[4] = { GPR_RSI, GPR_RDI, GPR_RSI, GPR_RDI };
	struct insn_mem *m = &d->in->mem;

	if (mod == 0 && rm == 6) {
		m->disp = fetch_signed(d, 2);
		return;
	}
	m->base = base[rm];
	if (rm < 4)
		m->index = index[rm];
	if (mod)
		m->disp = fetch_signed(d, mod);
}

/* SDM vol. 2, table 2-3. Returns the base's encoding. */
static u8 decode_sib(struct decoder *d)
{
	struct insn_mem *m = &d->in->mem;
	u8 sib = (u8)fetch(d, 1);
	u8 index = ((sib >> 3) & 7) | (d->rex & 2) << 2;

	if (index != GPR_RSP) {
		m->index = index;
		m->scale = (u8)(1 << (sib >> 6));
	}
	return sib & 7;
}

/* SDM vol. 2, table 2-2. Base 5 without displacement is a displacement
 * without base, or RIP if there is no SIB in 64-bit mode (2.2.1.6). */
static void decode_mem32(struct decoder *d, u8 mod, u8 rm)
{
	struct insn_mem *m = &d->in->mem;
	bool sib = rm == 4;

	if (sib)
		rm = decode_sib(d);
	if (mod == 0 && rm == 5) {
		if (!sib && d->in->bits == 64)
			m->base = INSN_REG_RIP;
		m->disp = fetch_signed(d, 4);
		return;
	}
	m->base = rm | (d->rex & 1) << 3;
	if (mod)
		m->disp = fetch_signed(d, mod == 1 ? 1 : 4);
}

static void decode_mem(struct decoder *d)
{
	struct insn_mem *m = &d->in->mem;

	if (d->in->addr_size == 2)
		decode_mem16(d, d->modrm >> 6, d->modrm & 7);
	else
		decode_mem32(d, d->modrm >> 6, d->modrm & 7);
	if (m->base == GPR_RSP || m->base == GPR_RBP)
		m->seg = SEG_SS;
}

/* 0F 01: instructions that are named by the whole ModRM byte. */
static void decode_group7(struct decoder *d)
{
	if (d->modrm == 0xd9)
		d->op.op = INSN_VMMCALL;
	else if ((d->modrm & 0xf8) == 0xd8)
		d->op.op = INSN_SVM;
	else if (d->modrm == 0xf9 && !d->p66 && !d->repeat)
		d->op.op = INSN_RDTSCP;
}

static void decode_group(struct decoder *d)
{
	unsigned int group = d->op.op - GROUP(0);
	unsigned int reg = (d->modrm >> 3) & 7;

	d->op.op = groups[group][reg].op;
	d->op.flags |= groups[group][reg].flags;
	if (d->op.flags & F_IMM)
		d->op.src = d->op.dst == S_Eb ? S_Ib : S_Iz;
	decode_sizes(d); /* the flags may be others by now */
	if (group == GRP7)
		decode_group7(d);
	/* group 15 with memory are others */
	if (d->op.op == INSN_NONE || (group == GRP15 && d->modrm < 0xc0))
		fail(d, -ENOSYS);
}

static bool has_modrm(const struct opcode *op)
{
	return op->op >= GROUP(0) || (op->dst >= S_Eb && op->dst <= S_Gv);
}

static void decode_modrm(struct decoder *d)
{
	if (!has_modrm(&d->op))
		return;
	d->modrm = (u8)fetch(d, 1);
	if (d->op.op >= GROUP(0))
		decode_group(d);
	if (d->modrm < 0xc0)
		decode_mem(d);
	else if (d->op.flags & F_MEM)
		fail(d, -ENOSYS);
}

static u8 modrm_reg(const struct decoder *d)
{
	return ((d->modrm >> 3) & 7) | (d->rex & 4) << 1;
}

/* Without REX the byte registers 4 to 7 are AH to BH (SDM vol. 2, 2.2.1.2). */
static void operand_reg(struct decoder *d, struct insn_operand *o, u8 reg,
			u8 size)
{
	bool high = size == 1 && !d->rex && reg >= 4;

	o->kind = high ? OPND_HIGH : OPND_REG;
	o->reg = high ? reg - 4 : reg;
	o->size = size;
}

/* What a spec stands for, and its size: bytes, or one of these. */
enum {
	SIZE_V = 16,
	SIZE_Z
};
enum {
	K_NONE,
	K_E,
	K_G,
	K_Z,
	K_A,
	K_I,
	K_1,
	K_CL,
	K_O,
	K_X
};
static const struct {
	u8 kind, size;
} specs[] = {
	[S_NONE] = { K_NONE, 0 },  [S_Eb] = { K_E, 1 },
	[S_Ew] = { K_E, 2 },	   [S_Ed] = { K_E, 4 },
	[S_Ev] = { K_E, SIZE_V },  [S_M] = { K_E, SIZE_V },
	[S_Gb] = { K_G, 1 },	   [S_Gv] = { K_G, SIZE_V },
	[S_Zb] = { K_Z, 1 },	   [S_Zv] = { K_Z, SIZE_V },
	[S_AL] = { K_A, 1 },	   [S_rAX] = { K_A, SIZE_V },
	[S_eAX] = { K_A, SIZE_Z }, [S_Ib] = { K_I, 1 },
	[S_Iw] = { K_I, 2 },	   [S_Iz] = { K_I, SIZE_Z },
	[S_Iv] = { K_I, SIZE_V },  [S_1] = { K_1, 1 },
	[S_Jb] = { K_I, 1 },	   [S_Jz] = { K_I, SIZE_Z },
	[S_Ob] = { K_O, 1 },	   [S_Ov] = { K_O, SIZE_V },
	[S_Xb] = { K_X, 1 },	   [S_Xv] = { K_X, SIZE_V },
	[S_Xz] = { K_X, SIZE_Z },  [S_CL] = { K_CL, 1 },
};

static u8 spec_size(const struct decoder *d, enum spec spec)
{
	u8 v = d->opsize;

	switch (specs[spec].size) {
	case SIZE_V:
		return v;
	case SIZE_Z:
		return v > 4 ? 4 : v;
	}
	return specs[spec].size;
}

static void decode_operand(struct decoder *d, struct insn_operand *o,
			   enum spec spec)
{
	u8 size = spec_size(d, spec), high = (d->rex & 1) << 3;

	o->size = size;
	switch (specs[spec].kind) {
	case K_E:
		if (d->modrm < 0xc0)
			o->kind = OPND_MEM;
		else
			operand_reg(d, o, (d->modrm & 7) | high, size);
		break;
	case K_G:
		operand_reg(d, o, modrm_reg(d), size);
		break;
	case K_Z:
		operand_reg(d, o, (d->opcode & 7) | high, size);
		break;
	case K_A:
		operand_reg(d, o, GPR_RAX, size);
		break;
	case K_I:
		o->kind = OPND_IMM;
		d->in->imm = fetch_signed(d, size);
		break;
	case K_1:
		o->kind = OPND_IMM;
		d->in->imm = 1;
		break;
	case K_CL:
		operand_reg(d, o, GPR_RCX, 1);
		break;
	case K_O:
		o->kind = OPND_MEM;
		d->in->mem.disp = fetch(d, d->in->addr_size);
		break;
	}
}

static void decode_operands(struct decoder *d)
{
	struct insn *in = d->in;
	bool branch = d->op.flags & F_NO66;

	decode_operand(d, &in->dst, d->op.dst);
	decode_operand(d, &in->src, d->op.src);
	if (d->op.op == INSN_IMUL3)
		in->imm = fetch_signed(
			d, d->opcode == 0x6b ? 1 : spec_size(d, S_Iz));
	in->size = branch	  ? d->opsize
		   : in->dst.size ? in->dst.size
				  : in->src.size;
	in->cond = d->opcode & 15;
	if (d->seg != INSN_NO_REG)
		in->mem.seg = d->seg;
	if (in->lock && (!(d->op.flags & F_LOCK) || in->dst.kind != OPND_MEM))
		fail(d, -ENOSYS);
}

int insn_decode(struct insn *in, const u8 *bytes, size_t len, unsigned int bits)
{
	struct decoder d = {
		.in = in, .bytes = bytes, .len = len, .seg = INSN_NO_REG
	};

	*in = (struct insn){
		.bits = (u8)bits,
		.mem = { SEG_DS, INSN_NO_REG, INSN_NO_REG, 1, 0 },
	};
	decode_opcode(&d);
	decode_sizes(&d);
	if (!d.error)
		decode_modrm(&d);
	if (!d.error)
		decode_operands(&d);
	in->op = d.op.op;
	in->length = (u8)d.pos;
	return d.error;
}

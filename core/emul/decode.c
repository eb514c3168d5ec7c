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

/* Where an operand is, and its size: bytes, or one of two. */
enum {
	SIZE_V = 3,
	SIZE_Z = 5,
	SIZE = 7,
	K_E = 8,
	K_G = 16,
	K_M = 24, /* nowhere, but there is a ModRM byte */
	K_Z = 32,
	K_A = 40, /* AL, AX, EAX, RAX */
	K_CL = 48,
	K_I = 56,
	K_1 = 64, /* the immediate 1, without a byte */
	K_O = 72,
	K_X = 80,
};

enum spec {
	S_NONE,
	S_Eb = K_E + 1,
	S_Ew = K_E + 2,
	S_Ed = K_E + 4,
	S_Ev = K_E + SIZE_V,
	S_Gb = K_G + 1,
	S_Gv = K_G + SIZE_V,
	S_Zb = K_Z + 1,
	S_Zv = K_Z + SIZE_V,
	S_AL = K_A + 1,
	S_rAX = K_A + SIZE_V,
	S_eAX = K_A + SIZE_Z,
	S_CL = K_CL + 1,
	S_Ib = K_I + 1,
	S_Iw = K_I + 2,
	S_Iz = K_I + SIZE_Z,
	S_Iv = K_I + SIZE_V,
	S_1 = K_1 + 1,
	S_Jb = S_Ib,
	S_Jz = S_Iz,
	S_Ob = K_O + 1,
	S_Ov = K_O + SIZE_V,
	S_Xb = K_X + 1,
	S_Xv = K_X + SIZE_V,
	S_Xz = K_X + SIZE_Z,
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
	u8 op; /* enum insn_op, PREFIX or GROUP() */
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
#define PREFIX	 0x80
#define GROUP(n) (PREFIX + 1 + (n))
static_assert(INSN_COUNT <= PREFIX, "an op is neither");

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

	[0x26] = { .op = PREFIX },
	[0x2e] = { .op = PREFIX },
	[0x36] = { .op = PREFIX },
	[0x3e] = { .op = PREFIX },
	[0x64 ... 0x67] = { .op = PREFIX },
	[0xf0] = { .op = PREFIX },
	[0xf2 ... 0xf3] = { .op = PREFIX },

	/* of flow.c */
	[0x40 ... 0x47] = { INSN_INC, S_Zv, S_NONE, F_NO64 },
	[0x48 ... 0x4f] = { INSN_DEC, S_Zv, S_NONE, F_NO64 },
	[0x50 ... 0x57] = { INSN_PUSH, S_NONE, S_Zv, F_D64 },
	[0x58 ... 0x5f] = { INSN_POP, S_Zv, S_NONE, F_D64 },
	[0x70 ... 0x7f] = { INSN_JCC, S_Jb, S_NONE, F_D64 | F_NO66 },
	[0x69] = { INSN_IMUL3, S_Gv, S_Ev, 0 },
	[0x6b] = { INSN_IMUL3, S_Gv, S_Ev, 0 },
	[0x8d] = { INSN_LEA, S_Gv, S_Ev, F_MEM },
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
	[0xae] = { GROUP(GRP15), K_M, S_NONE, F_NP },
	[0x80 ... 0x8f] = { INSN_JCC, S_Jz, S_NONE, F_D64 | F_NO66 },
	[0x90 ... 0x9f] = { INSN_SETCC, S_Eb, S_NONE, 0 },

	/* never executed here */
	[0x01] = { GROUP(GRP7), K_M, S_NONE, 0 },
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

/* Zeros follow the bytes, as many as any instruction may want: that they were
 * not enough is seen at the end. */
struct decoder {
	struct insn *in;
	const u8 *at;	    /* the next byte */
	u8 sizes[SIZE + 1]; /* of a spec */
	u8 refused; /* flags of opcodes that are none with this prefix */
	u8 seg;	    /* of an override, or INSN_NO_REG */
	u8 repeat;  /* 0, F2h or F3h */
	u8 rex;
	u8 opcode; /* its last byte */
	u8 modrm;  /* or as if it were a register */
	bool lock;
	bool wrong;
	struct opcode op;
};

static u8 fetch(struct decoder *d)
{
	return *d->at++;
}

static u64 fetch_signed(struct decoder *d, unsigned int size)
{
	unsigned int shift = 64 - 8 * size;
	u64 value = load_le64(d->at) << shift;

	d->at += size;
	return (u64)((s64)value >> shift);
}

static void decode_prefix(struct decoder *d, u8 byte)
{
	u8 bits = d->in->bits;

	switch (byte) {
	case 0x64:
	case 0x65:
		d->seg = byte - 0x64 + SEG_FS;
		break;
	case 0x66:
		d->sizes[SIZE_V] = bits == 16 ? 4 : 2;
		d->refused |= F_NP | (bits == 64 ? F_NO66 : 0);
		break;
	case 0x67:
		d->in->addr_size = bits == 32 ? 2 : 4;
		break;
	case 0xf0:
		d->lock = true;
		break;
	case 0xf2:
	case 0xf3:
		d->repeat = byte;
		d->refused |= F_NP;
		break;
	default:
		/* Of ES to DS. There are none in 64-bit mode, also not as the
		 * last of several (APM vol. 3, 1.2.4). */
		if (bits != 64)
			d->seg = (byte >> 3) & 3;
	}
}

/* Up to the first byte of the opcode. A REX counts only directly before it
 * (SDM vol. 2, 2.2.1). */
static void decode_prefixes(struct decoder *d)
{
	for (;;) {
		d->opcode = fetch(d);
		d->op = one_byte[d->opcode];
		if (d->op.op == PREFIX) {
			decode_prefix(d, d->opcode);
			d->rex = 0;
		} else if (d->in->bits == 64 && (d->opcode & 0xf0) == 0x40) {
			d->rex = d->opcode;
		} else {
			return;
		}
	}
}

/* 90h is XCHG with itself only in name: EAX keeps its upper half. */
static void decode_nop(struct decoder *d)
{
	if (!(d->rex & 1))
		d->op = (struct opcode){ INSN_NOP, S_NONE, S_NONE, 0 };
	else if (d->repeat == 0xf3)
		d->wrong = true;
}

static void decode_endbr(struct decoder *d)
{
	u8 byte = fetch(d);

	d->op.op = INSN_NOP;
	if (d->repeat != 0xf3 || (byte & 0xfe) != 0xfa)
		d->wrong = true;
}

/* 0F 01: instructions that are named by the whole ModRM byte. */
static void decode_group7(struct decoder *d)
{
	if (d->modrm == 0xd9)
		d->op.op = INSN_VMMCALL;
	else if ((d->modrm & 0xf8) == 0xd8)
		d->op.op = INSN_SVM;
	else if (d->modrm == 0xf9 && !(d->refused & F_NP))
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
	if (group == GRP7)
		decode_group7(d);
	/* group 15 with memory are others */
	if (group == GRP15 && d->modrm < 0xc0)
		d->wrong = true;
}

static bool has_modrm(const struct opcode *op)
{
	return op->dst >= K_E && op->dst < K_Z;
}

static void decode_opcode(struct decoder *d)
{
	decode_prefixes(d);
	if (d->opcode == 0x0f) {
		d->opcode = fetch(d);
		d->op = two_byte[d->opcode];
		if (d->opcode == 0x1e)
			decode_endbr(d);
	} else if (d->opcode == 0x90) {
		decode_nop(d);
	}
	d->modrm = 0xc0 | d->opcode;
	if (has_modrm(&d->op))
		d->modrm = fetch(d);
	if (d->op.op >= GROUP(0))
		decode_group(d);
	if (d->op.op == INSN_NONE)
		d->wrong = true;
}

static void decode_sizes(struct decoder *d)
{
	u8 flags = d->op.flags, v = d->sizes[SIZE_V];

	if (d->rex & 8 || (flags & F_D64 && d->in->bits == 64 && v == 4)) {
		v = 8;
		d->refused &= ~F_NO66;
	}
	if (d->modrm >= 0xc0)
		d->refused |= F_MEM;
	if (flags & d->refused)
		d->wrong = true;
	if (flags & F_NP && v == 2)
		v = 4;
	d->sizes[SIZE_V] = v;
	d->sizes[SIZE_Z] = v > 4 ? 4 : v;
}

/* SDM vol. 2, table 2-1. Returns the size of the displacement. */
static unsigned int decode_mem16(struct decoder *d, u8 mod, u8 rm)
{
	static const u8 base[8] = { GPR_RBX, GPR_RBX, GPR_RBP, GPR_RBP,
				    GPR_RSI, GPR_RDI, GPR_RBP, GPR_RBX };
	static const u8 index[4] = { GPR_RSI, GPR_RDI, GPR_RSI, GPR_RDI };
	struct insn_mem *m = &d->in->mem;

	if (mod == 0 && rm == 6)
		return 2;
	m->base = base[rm];
	if (rm < 4)
		m->index = index[rm];
	return mod;
}

/* SDM vol. 2, table 2-3. Returns the base's encoding. */
static u8 decode_sib(struct decoder *d)
{
	struct insn_mem *m = &d->in->mem;
	u8 sib = fetch(d);
	u8 index = ((sib >> 3) & 7) | (d->rex & 2) << 2;

	if (index != GPR_RSP) {
		m->index = index;
		m->scale = (u8)(1 << (sib >> 6));
	}
	return sib & 7;
}

/* SDM vol. 2, table 2-2. Base 5 without displacement is a displacement
 * without base, or RIP if there is no SIB in 64-bit mode (2.2.1.6). */
static unsigned int decode_mem32(struct decoder *d, u8 mod, u8 rm)
{
	struct insn_mem *m = &d->in->mem;
	bool sib = rm == 4;

	if (sib)
		rm = decode_sib(d);
	if (mod == 0 && rm == 5) {
		if (!sib && d->in->bits == 64)
			m->base = INSN_REG_RIP;
		return 4;
	}
	m->base = rm | (d->rex & 1) << 3;
	return mod == 2 ? 4 : mod;
}

static void decode_mem(struct decoder *d)
{
	struct insn_mem *m = &d->in->mem;
	u8 mod = d->modrm >> 6, rm = d->modrm & 7;
	unsigned int size = d->in->addr_size == 2 ? decode_mem16(d, mod, rm)
						  : decode_mem32(d, mod, rm);

	if (size)
		m->disp = fetch_signed(d, size);
	if (m->base == GPR_RSP || m->base == GPR_RBP)
		m->seg = SEG_SS;
}

/* Without REX the byte registers 4 to 7 are AH to BH (SDM vol. 2, 2.2.1.2). */
static void operand_reg(struct decoder *d, struct insn_operand *o, u8 reg)
{
	bool high = o->size == 1 && !d->rex && reg >= 4;

	o->kind = high ? OPND_HIGH : OPND_REG;
	o->reg = high ? reg - 4 : reg;
}

static void decode_operand(struct decoder *d, struct insn_operand *o,
			   enum spec spec)
{
	o->kind = OPND_NONE;
	o->size = d->sizes[spec & SIZE];
	switch (spec & ~(unsigned int)SIZE) {
	case K_E:
	case K_Z:
		if (d->modrm < 0xc0)
			o->kind = OPND_MEM;
		else
			operand_reg(d, o, (d->modrm & 7) | (d->rex & 1) << 3);
		break;
	case K_G:
		operand_reg(d, o, ((d->modrm >> 3) & 7) | (d->rex & 4) << 1);
		break;
	case K_A:
		operand_reg(d, o, GPR_RAX);
		break;
	case K_CL:
		operand_reg(d, o, GPR_RCX);
		break;
	case K_I:
		o->kind = OPND_IMM;
		d->in->imm = fetch_signed(d, o->size);
		break;
	case K_1:
		o->kind = OPND_IMM;
		d->in->imm = 1;
		break;
	case K_O:
		o->kind = OPND_MEM;
		d->in->mem.disp = fetch_signed(d, d->in->addr_size);
		break;
	}
}

static void decode_operands(struct decoder *d)
{
	struct insn *in = d->in;
	bool branch = d->op.flags & F_NO66;

	if (d->modrm < 0xc0)
		decode_mem(d);
	decode_operand(d, &in->dst, d->op.dst);
	decode_operand(d, &in->src, d->op.src);
	if (d->op.op == INSN_IMUL3)
		in->imm = fetch_signed(d, d->opcode == 0x6b ? 1
							    : d->sizes[SIZE_Z]);
	in->size = branch	  ? d->sizes[SIZE_V]
		   : in->dst.size ? in->dst.size
				  : in->src.size;
	in->cond = d->opcode & 15;
	if (d->seg != INSN_NO_REG)
		in->mem.seg = d->seg;
	if (d->lock && (!(d->op.flags & F_LOCK) || in->dst.kind != OPND_MEM))
		d->wrong = true;
}

/* Two accesses of eight bytes, or one by one. */
static void copy_padded(u8 *to, const u8 *bytes, size_t len)
{
	if (len >= 8) {
		store_le64(to, load_le64(bytes));
		store_le64(to + len - 8, load_le64(bytes + len - 8));
		return;
	}
	for (size_t i = 0; i < len; i++)
		to[i] = bytes[i];
}

int insn_decode(struct insn *in, const u8 *bytes, size_t len, unsigned int bits)
{
	/* Zero is no prefix, and what comes after the prefixes takes at most
	 * 12 bytes, of which 8 are read at once. */
	u8 padded[40] = { 0 };
	struct decoder d = {
		.in = in,
		.at = padded,
		.sizes = { 0, 1, 2, [SIZE_V] = bits == 16 ? 2 : 4, [4] = 4 },
		.refused = bits == 64 ? F_NO64 : F_ONLY64,
		.seg = INSN_NO_REG,
	};
	size_t length;

	static_assert(sizeof(padded) >= INSN_MAX + 12 + 8, "see above");
	len = min_u64(len, INSN_MAX);
	copy_padded(padded, bytes, len);
	in->bits = (u8)bits;
	in->addr_size = in->bits / 8;
	in->mem = (struct insn_mem){ SEG_DS, INSN_NO_REG, INSN_NO_REG, 1, 0 };
	in->imm = 0;
	decode_opcode(&d);
	decode_sizes(&d);
	decode_operands(&d);
	length = (size_t)(d.at - padded);
	in->op = d.op.op;
	in->length = (u8)length;
	in->lock = d.lock;
	in->rep = d.repeat;
	if (length > len || d.wrong)
		return length > len && len < INSN_MAX ? -ERANGE : -ENOSYS;
	return 0;
}

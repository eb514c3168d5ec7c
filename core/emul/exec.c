/* The executor: operands, flags, and the instructions that are one load, one
 * operation and one store. */
#include "core/emul/exec.h"
#include "core/lib/bytes.h"
#include "core/lib/errors.h"

int exec_load_other(struct emul *e, const struct insn_operand *o, u64 *value)
{
	switch (o->kind) {
	case OPND_MEM:
		return exec_read(e, e->in->mem.seg, e->address, o->size, value);
	case OPND_IMM:
		*value = e->in->imm;
		return 0;
	case OPND_HIGH:
		*value = e->cpu->gpr[o->reg] >> 8;
		return 0;
	}
	return -ENOSYS;
}

int exec_store_other(struct emul *e, const struct insn_operand *o, u64 value)
{
	switch (o->kind) {
	case OPND_MEM:
		return exec_write(e, e->in->mem.seg, e->address, o->size,
				  value);
	case OPND_HIGH:
		e->cpu->gpr[o->reg] = (e->cpu->gpr[o->reg] & ~0xff00ULL) |
				      (value & 0xff) << 8;
		return 0;
	}
	return -ENOSYS;
}

/* The top bits are moved to bit 63, and from there to where the flags are. */
void exec_flags(struct emul *e, u64 result, u64 carries)
{
	unsigned int shift = 64 - 8 * e->in->size;
	u64 r = result << shift, c = carries << shift;
	u64 flags = c >> 63 | (carries << 1 & RFLAGS_AF) | (r ? 0 : RFLAGS_ZF) |
		    (r >> 56 & RFLAGS_SF) | ((c ^ c << 1) >> 52 & RFLAGS_OF) |
		    (__builtin_parity(result & 0xff) ? 0 : RFLAGS_PF);

	e->rflags = (e->rflags & ~(u64)FLAGS_STATUS) | flags;
}

/* a - b is a + ~b + 1, whose carries are the opposite of borrows. */
u64 exec_add(struct emul *e, u64 a, u64 b, bool carry, bool subtract)
{
	u64 invert = subtract ? ~0ULL : 0, result;

	b ^= invert;
	result = a + b + (carry ^ subtract);
	exec_flags(e, result, ((a & b) | ((a | b) & ~result)) ^ invert);
	return result;
}

static inline int load_both(struct emul *e, u64 *a, u64 *b)
{
	int error = exec_load_rmw(e, &e->in->dst, a);

	return error ? error : exec_load(e, &e->in->src, b);
}

static int exec_arithmetic(struct emul *e)
{
	const struct insn *in = e->in;
	bool subtract = in->op == INSN_SUB || in->op == INSN_SBB;
	bool carry = (in->op == INSN_ADC || in->op == INSN_SBB) &&
		     e->rflags & RFLAGS_CF;
	u64 a, b;
	int error = load_both(e, &a, &b);

	if (error)
		return error;
	return exec_store(e, &in->dst, exec_add(e, a, b, carry, subtract));
}

static int exec_logic(struct emul *e)
{
	const struct insn *in = e->in;
	u64 a, b;
	int error = load_both(e, &a, &b);

	if (error)
		return error;
	if (in->op == INSN_AND)
		a &= b;
	else if (in->op == INSN_OR)
		a |= b;
	else
		a ^= b;
	exec_flags(e, a, 0);
	return exec_store(e, &in->dst, a);
}

static int exec_compare(struct emul *e)
{
	const struct insn *in = e->in;
	u64 a, b;
	int error = exec_load(e, &in->dst, &a);

	if (!error)
		error = exec_load(e, &in->src, &b);
	if (error)
		return error;
	if (in->op == INSN_CMP)
		exec_add(e, a, b, false, true);
	else
		exec_flags(e, a & b, 0);
	return 0;
}

static int exec_mov(struct emul *e)
{
	u64 value;
	int error = exec_load(e, &e->in->src, &value);

	if (error)
		return error;
	return exec_store(e, &e->in->dst, value);
}

static int exec_extend(struct emul *e)
{
	const struct insn *in = e->in;
	unsigned int shift = 64 - 8 * in->src.size;
	u64 value;
	int error = exec_load(e, &in->src, &value);

	if (error)
		return error;
	value <<= shift;
	return exec_store(e, &in->dst,
			  in->op == INSN_MOVSX ? (u64)((s64)value >> shift)
					       : value >> shift);
}

static int exec_xchg(struct emul *e)
{
	const struct insn *in = e->in;
	u64 a, b;
	int error = load_both(e, &a, &b);

	if (!error)
		error = exec_store(e, &in->dst, b);
	if (error)
		return error;
	return exec_store(e, &in->src, a);
}

/*
 * A register's bit number reaches beyond a memory operand, both ways (SDM
 * vol. 2, 3.1.1.9 and BT); an immediate and a register operand wrap. Moves
 * e->address to the unit and returns the bit in it.
 */
static unsigned int bit_select(struct emul *e, u64 bit)
{
	const struct insn *in = e->in;
	unsigned int width = 8 * in->size, shift = 64 - width;
	s64 offset = (s64)(bit << shift) >> shift;

	if (in->dst.kind == OPND_MEM && in->src.kind != OPND_IMM) {
		offset = (offset - (s64)(bit % width)) / 8;
		e->address += (u64)offset;
		e->address &= mask_bytes(in->addr_size);
	}
	return bit % width;
}

static int exec_bit(struct emul *e)
{
	const struct insn *in = e->in;
	u64 value, bit;
	int error = exec_load(e, &in->src, &bit);

	if (error)
		return error;
	bit = bit_select(e, bit);
	if (in->op == INSN_BT)
		error = exec_load(e, &in->dst, &value);
	else
		error = exec_load_rmw(e, &in->dst, &value);
	if (error)
		return error;
	e->rflags &= ~RFLAGS_CF;
	e->rflags |= (value >> bit) & 1 ? RFLAGS_CF : 0;
	switch (in->op) {
	case INSN_BTS:
		return exec_store(e, &in->dst, value | BIT(bit));
	case INSN_BTR:
		return exec_store(e, &in->dst, value & ~BIT(bit));
	case INSN_BTC:
		return exec_store(e, &in->dst, value ^ BIT(bit));
	default:
		return 0;
	}
}

/* What is not here is never executed. */
static exec_fn *const functions[INSN_COUNT] = {
	[INSN_ADD] = exec_arithmetic, [INSN_OR] = exec_logic,
	[INSN_ADC] = exec_arithmetic, [INSN_SBB] = exec_arithmetic,
	[INSN_AND] = exec_logic,      [INSN_SUB] = exec_arithmetic,
	[INSN_XOR] = exec_logic,      [INSN_CMP] = exec_compare,
	[INSN_TEST] = exec_compare,   [INSN_MOV] = exec_mov,
	[INSN_MOVZX] = exec_extend,   [INSN_MOVSX] = exec_extend,
	[INSN_XCHG] = exec_xchg,      [INSN_BT] = exec_bit,
	[INSN_BTS] = exec_bit,	      [INSN_BTR] = exec_bit,
	[INSN_BTC] = exec_bit,	      [INSN_MOVS] = string_exec,
	[INSN_STOS] = string_exec,    [INSN_LODS] = string_exec,
	[INSN_INC] = flow_incdec,     [INSN_DEC] = flow_incdec,
	[INSN_NOT] = flow_not,	      [INSN_NEG] = flow_neg,
	[INSN_SHL] = flow_shift,      [INSN_SHR] = flow_shift,
	[INSN_SAR] = flow_shift,      [INSN_MUL] = flow_mul,
	[INSN_IMUL] = flow_imul,      [INSN_IMUL3] = flow_imul,
	[INSN_LEA] = flow_lea,	      [INSN_PUSH] = flow_push,
	[INSN_POP] = flow_pop,	      [INSN_SETCC] = flow_setcc,
	[INSN_JCC] = flow_jcc,	      [INSN_JMP] = flow_jmp,
	[INSN_CALL] = flow_call,      [INSN_RET] = flow_ret,
	[INSN_NOP] = flow_nop,	      [INSN_FENCE] = flow_fence,
};

/* Without the segment's base. */
static u64 operand_address(const struct emul *e)
{
	const struct insn_mem *m = &e->in->mem;
	u64 address = m->disp;

	if (m->base < ARRAY_SIZE(e->cpu->gpr))
		address += e->cpu->gpr[m->base];
	else if (m->base == INSN_REG_RIP)
		address += e->rip;
	if (m->index != INSN_NO_REG)
		address += e->cpu->gpr[m->index] * m->scale;
	return address & mask_bytes(e->in->addr_size);
}

int insn_execute(const struct insn *in, struct emul_cpu *cpu,
		 const struct emul_mem *mem)
{
	struct emul e = {
		.cpu = cpu,
		.in = in,
		.mem = mem,
		.rip = cpu->rip + in->length,
		.rflags = cpu->rflags & ~RFLAGS_RF,
	};
	int error;

	if (!functions[in->op])
		return -ENOSYS;
	if (cpu->bits != 64)
		e.rip &= mask_bytes(4);
	if ((in->dst.kind | in->src.kind) & OPND_MEM)
		e.address = operand_address(&e);
	error = functions[in->op](&e);
	if (error)
		return error == EXEC_AGAIN ? 0 : error;
	cpu->rip = e.rip;
	cpu->rflags = e.rflags;
	return 0;
}

int emul_step(struct emul_cpu *cpu, const u8 *bytes, size_t len,
	      const struct emul_mem *mem)
{
	struct insn in;
	int error = insn_decode(&in, bytes, len, cpu->bits);

	return error ? error : insn_execute(&in, cpu, mem);
}

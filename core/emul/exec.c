/* The executor: operands, flags, and the instructions that are one load, one
 * operation and one store. */
#include "core/emul/exec.h"
#include "core/lib/bytes.h"
#include "core/lib/errors.h"

void exec_set_gpr(struct emul *e, u8 reg, unsigned int size, u64 value)
{
	u64 mask = mask_bytes(size);
	u64 kept = size < 4 ? e->cpu->gpr[reg] & ~mask : 0;

	e->cpu->gpr[reg] = kept | (value & mask);
}

int exec_read(struct emul *e, u8 seg, u64 offset, unsigned int size, u64 *value)
{
	u64 v = 0;

	if (e->mem->read(e->mem->ctx, seg, offset, &v, size))
		return EMUL_MEM_FAULT;
	*value = v;
	return 0;
}

int exec_write(struct emul *e, u8 seg, u64 offset, unsigned int size, u64 value)
{
	if (e->mem->write(e->mem->ctx, seg, offset, &value, size))
		return EMUL_MEM_FAULT;
	return 0;
}

int exec_load_other(struct emul *e, const struct insn_operand *o, u64 *value)
{
	*value = 0;
	switch (o->kind) {
	case OPND_HIGH:
		*value = (e->cpu->gpr[o->reg] >> 8) & 0xff;
		return 0;
	case OPND_IMM:
		*value = e->in->imm;
		return 0;
	case OPND_MEM:
		return exec_read(e, e->in->mem.seg, e->address, o->size, value);
	}
	return -ENOSYS;
}

int exec_store(struct emul *e, const struct insn_operand *o, u64 value)
{
	switch (o->kind) {
	case OPND_REG:
		exec_set_gpr(e, o->reg, o->size, value);
		return 0;
	case OPND_HIGH:
		e->cpu->gpr[o->reg] = (e->cpu->gpr[o->reg] & ~0xff00ULL) |
				      (value & 0xff) << 8;
		return 0;
	case OPND_MEM:
		return exec_write(e, e->in->mem.seg, e->address, o->size,
				  value);
	}
	return -ENOSYS;
}

int exec_load_rmw(struct emul *e, const struct insn_operand *o, u64 *value)
{
	const struct emul_mem *m = e->mem;

	if (o->kind == OPND_MEM &&
	    m->probe_write(m->ctx, e->in->mem.seg, e->address, o->size))
		return EMUL_MEM_FAULT;
	return exec_load(e, o, value);
}

void exec_flags(struct emul *e, u64 result, u64 carries, unsigned int size,
		u64 mask)
{
	unsigned int top = 8 * size - 1;
	u64 carry = carries >> top & 1, before = carries >> (top - 1) & 1;
	u64 flags = (carry ? RFLAGS_CF : 0) |
		    (carry != before ? RFLAGS_OF : 0) |
		    (carries & 8 ? RFLAGS_AF : 0) |
		    (result & mask_bytes(size) ? 0 : RFLAGS_ZF) |
		    (result >> top & 1 ? RFLAGS_SF : 0) |
		    (__builtin_parity(result & 0xff) ? 0 : RFLAGS_PF);

	e->cpu->rflags = (e->cpu->rflags & ~mask) | (flags & mask);
}

static u64 alu(struct emul *e, enum insn_op op, u64 a, u64 b)
{
	bool with_carry = op == INSN_ADC || op == INSN_SBB;
	u64 carry = with_carry && e->cpu->rflags & RFLAGS_CF;
	u64 result = 0, carries = 0;

	switch (op) {
	case INSN_ADD:
	case INSN_ADC:
		result = a + b + carry;
		carries = (a & b) | ((a | b) & ~result);
		break;
	case INSN_SUB:
	case INSN_CMP:
	case INSN_SBB:
		result = a - b - carry;
		carries = (~a & b) | ((~a | b) & result);
		break;
	case INSN_AND:
	case INSN_TEST:
		result = a & b;
		break;
	case INSN_OR:
		result = a | b;
		break;
	default:
		result = a ^ b;
		break;
	}
	exec_flags(e, result, carries, e->in->size, FLAGS_STATUS);
	return result;
}

static int exec_alu(struct emul *e)
{
	const struct insn *in = e->in;
	u64 a, b;
	int error = exec_load_rmw(e, &in->dst, &a);

	if (!error)
		error = exec_load(e, &in->src, &b);
	if (error)
		return error;
	return exec_store(e, &in->dst, alu(e, in->op, a, b));
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
	alu(e, in->op, a, b);
	return 0;
}

static int exec_mov(struct emul *e)
{
	const struct insn *in = e->in;
	u64 value;
	int error = exec_load(e, &in->src, &value);

	if (error)
		return error;
	if (in->op == INSN_MOVSX && value >> (8 * in->src.size - 1))
		value |= ~mask_bytes(in->src.size);
	return exec_store(e, &in->dst, value);
}

static int exec_xchg(struct emul *e)
{
	const struct insn *in = e->in;
	u64 a, b;
	int error = exec_load_rmw(e, &in->dst, &a);

	if (!error)
		error = exec_load(e, &in->src, &b);
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
	e->cpu->rflags &= ~RFLAGS_CF;
	e->cpu->rflags |= (value >> bit) & 1 ? RFLAGS_CF : 0;
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

static exec_fn *const functions[INSN_COUNT] = {
	[INSN_ADD] = exec_alu,	    [INSN_OR] = exec_alu,
	[INSN_ADC] = exec_alu,	    [INSN_SBB] = exec_alu,
	[INSN_AND] = exec_alu,	    [INSN_SUB] = exec_alu,
	[INSN_XOR] = exec_alu,	    [INSN_CMP] = exec_compare,
	[INSN_TEST] = exec_compare, [INSN_MOV] = exec_mov,
	[INSN_MOVZX] = exec_mov,    [INSN_MOVSX] = exec_mov,
	[INSN_XCHG] = exec_xchg,    [INSN_BT] = exec_bit,
	[INSN_BTS] = exec_bit,	    [INSN_BTR] = exec_bit,
	[INSN_BTC] = exec_bit,	    [INSN_INC] = flow_incdec,
	[INSN_DEC] = flow_incdec,   [INSN_NOT] = flow_not,
	[INSN_NEG] = flow_neg,	    [INSN_SHL] = flow_shift,
	[INSN_SHR] = flow_shift,    [INSN_SAR] = flow_shift,
	[INSN_MUL] = flow_mul,	    [INSN_IMUL] = flow_imul,
	[INSN_IMUL3] = flow_imul,   [INSN_LEA] = flow_lea,
	[INSN_PUSH] = flow_push,    [INSN_POP] = flow_pop,
	[INSN_SETCC] = flow_setcc,  [INSN_JCC] = flow_jcc,
	[INSN_JMP] = flow_jmp,	    [INSN_CALL] = flow_call,
	[INSN_RET] = flow_ret,	    [INSN_NOP] = flow_nop,
	[INSN_FENCE] = flow_fence,
	/* MOVS, STOS and LODS: string.c; of the rest nothing is executed */
};

int insn_execute(const struct insn *in, struct emul_cpu *cpu,
		 const struct emul_mem *mem)
{
	struct emul e = { .cpu = cpu, .in = in, .mem = mem };
	/* What may have changed before a fault. */
	u64 rip = cpu->rip, rflags = cpu->rflags, rsp = cpu->gpr[GPR_RSP];
	int error;

	if (in->op >= INSN_MOVS && in->op <= INSN_LODS)
		return string_exec(cpu, in, mem);
	if (!functions[in->op])
		return -ENOSYS;
	if (in->dst.kind == OPND_MEM || in->src.kind == OPND_MEM)
		e.address = insn_address(in, cpu);
	cpu->rip += in->length;
	if (cpu->bits != 64)
		cpu->rip &= mask_bytes(4);
	cpu->rflags &= ~RFLAGS_RF;
	error = functions[in->op](&e);
	if (error) {
		cpu->rip = rip;
		cpu->rflags = rflags;
		cpu->gpr[GPR_RSP] = rsp;
	}
	return error;
}

int emul_step(struct emul_cpu *cpu, const u8 *bytes, size_t len,
	      const struct emul_mem *mem)
{
	struct insn in;
	int error = insn_decode(&in, bytes, len, cpu->bits);

	return error ? error : insn_execute(&in, cpu, mem);
}

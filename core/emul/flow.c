/*
 * Cheap register, stack and branch instructions, so that short runs of guest
 * code can be stepped through. Nothing else depends on this file but the
 * executor's table.
 */
#include "core/emul/exec.h"
#include "core/lib/bytes.h"
#include "core/lib/errors.h"

int flow_nop(struct emul *e)
{
	return 0;
}

int flow_fence(struct emul *e)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return 0;
}

/* CF stays. */
int flow_incdec(struct emul *e)
{
	const struct insn *in = e->in;
	u64 carry = e->rflags & RFLAGS_CF, a;
	int error = exec_load_rmw(e, &in->dst, &a);

	if (error)
		return error;
	a = exec_add(e, a, 1, false, in->op == INSN_DEC);
	e->rflags = (e->rflags & ~RFLAGS_CF) | carry;
	return exec_store(e, &in->dst, a);
}

int flow_not(struct emul *e)
{
	u64 a;
	int error = exec_load_rmw(e, &e->in->dst, &a);

	if (error)
		return error;
	return exec_store(e, &e->in->dst, ~a);
}

int flow_neg(struct emul *e)
{
	u64 a;
	int error = exec_load_rmw(e, &e->in->dst, &a);

	if (error)
		return error;
	return exec_store(e, &e->in->dst, exec_add(e, 0, a, false, true));
}

/*
 * SDM vol. 2, SAL/SAR/SHL/SHR: the count is taken modulo 32 or 64, none
 * leaves the flags alone. AF is undefined, OF too but for a count of 1, CF
 * when all of the operand is shifted out.
 */
int flow_shift(struct emul *e)
{
	const struct insn *in = e->in;
	unsigned int top = 8 * in->size - 1;
	bool carry, overflow;
	u64 a, count, result;
	s64 extended;
	int error = exec_load_rmw(e, &in->dst, &a);

	if (!error)
		error = exec_load(e, &in->src, &count);
	if (error)
		return error;
	count &= in->size == 8 ? 63 : 31;
	a &= mask_bytes(in->size);
	extended = (s64)(a << (63 - top)) >> (63 - top);
	if (!count) {
		result = a;
	} else if (in->op == INSN_SHL) {
		result = a << count;
		carry = count <= top + 1 && (a >> (top + 1 - count)) & 1;
		overflow = ((result >> top) & 1) != carry;
	} else if (in->op == INSN_SHR) {
		result = a >> count;
		carry = (a >> (count - 1)) & 1;
		overflow = (a >> top) & 1;
	} else {
		result = (u64)(extended >> count);
		carry = (extended >> (count - 1)) & 1;
		overflow = false;
	}
	if (count) {
		exec_flags(e, result, 0);
		e->rflags |=
			(carry ? RFLAGS_CF : 0) | (overflow ? RFLAGS_OF : 0);
	}
	return exec_store(e, &in->dst, result);
}

/* CF and OF: is there more than what was stored? The others are undefined. */
static void multiply_flags(struct emul *e, bool more)
{
	e->rflags &= ~(RFLAGS_CF | RFLAGS_OF);
	e->rflags |= more ? RFLAGS_CF | RFLAGS_OF : 0;
}

int flow_mul(struct emul *e)
{
	unsigned int size = e->in->size, bits = 8 * size;
	u64 factor, a = e->cpu->gpr[GPR_RAX] & mask_bytes(size);
	unsigned __int128 product;
	int error = exec_load(e, &e->in->dst, &factor);

	if (error)
		return error;
	product = (unsigned __int128)a * (factor & mask_bytes(size));
	if (size == 1) {
		exec_set_gpr(e, GPR_RAX, 2, (u64)product);
	} else {
		exec_set_gpr(e, GPR_RAX, size, (u64)product);
		exec_set_gpr(e, GPR_RDX, size, (u64)(product >> bits));
	}
	multiply_flags(e, product >> bits);
	return 0;
}

int flow_imul(struct emul *e)
{
	const struct insn *in = e->in;
	unsigned int shift = 64 - 8 * in->size;
	u64 a, b = in->imm;
	s64 result;
	__int128 product;
	int error = exec_load(e, &in->src, &a);

	if (!error && in->op == INSN_IMUL)
		error = exec_load(e, &in->dst, &b);
	if (error)
		return error;
	product = (__int128)((s64)(a << shift) >> shift) *
		  ((s64)(b << shift) >> shift);
	result = (s64)((u64)product << shift) >> shift;
	multiply_flags(e, product != result);
	return exec_store(e, &in->dst, (u64)result);
}

int flow_lea(struct emul *e)
{
	return exec_store(e, &e->in->dst, e->address);
}

/* 64-bit code has a 64-bit stack; elsewhere SS decides. */
static unsigned int stack_size(const struct emul *e)
{
	return e->cpu->bits == 64 ? 8 : e->cpu->stack_bits / 8;
}

static int push(struct emul *e, u64 value)
{
	unsigned int width = stack_size(e), size = e->in->size;
	u64 rsp;
	int error;

	if (!width)
		return -ENOSYS;
	rsp = (e->cpu->gpr[GPR_RSP] - size) & mask_bytes(width);
	error = exec_write(e, SEG_SS, rsp, size, value);
	if (!error)
		exec_set_gpr(e, GPR_RSP, width, rsp);
	return error;
}

/* What lies on top; drop() takes it away. */
static int top(struct emul *e, u64 *value)
{
	unsigned int width = stack_size(e);

	if (!width)
		return -ENOSYS;
	return exec_read(e, SEG_SS, e->cpu->gpr[GPR_RSP] & mask_bytes(width),
			 e->in->size, value);
}

static void drop(struct emul *e, u16 more)
{
	exec_set_gpr(e, GPR_RSP, stack_size(e),
		     e->cpu->gpr[GPR_RSP] + e->in->size + more);
}

int flow_push(struct emul *e)
{
	u64 value;
	int error = exec_load(e, &e->in->src, &value);

	if (error)
		return error;
	return push(e, value);
}

/* Into a register: 8F is not decoded. */
int flow_pop(struct emul *e)
{
	u64 value;
	int error = top(e, &value);

	if (error)
		return error;
	drop(e, 0);
	return exec_store(e, &e->in->dst, value);
}

/* What #GP guards: a target outside of CS's limit is left to the fetch that
 * follows, but no register can hold a non-canonical RIP. */
static int jump(struct emul *e, u64 target)
{
	if (e->cpu->bits == 64) {
		if ((u64)((s64)(target << 16) >> 16) != target)
			return -ENOSYS;
	} else {
		target &= mask_bytes(e->in->size);
	}
	e->rip = target;
	return 0;
}

/* SDM vol. 2, B.1.4.7: pairs of a condition and its opposite. Less is SF != OF,
 * which are four bits apart. */
static bool condition(u64 flags, u8 cond)
{
	static const u16 any_of[8] = {
		RFLAGS_OF, RFLAGS_CF, RFLAGS_ZF, RFLAGS_CF | RFLAGS_ZF,
		RFLAGS_SF, RFLAGS_PF, 0,	 RFLAGS_ZF,
	};
	bool less = cond >= 12 && (flags ^ flags << 4) & RFLAGS_OF;

	return (flags & any_of[cond >> 1] || less) != (cond & 1);
}

int flow_jmp(struct emul *e)
{
	u64 target = e->rip + e->in->imm;

	if (e->in->dst.kind != OPND_IMM) {
		int error = exec_load(e, &e->in->dst, &target);

		if (error)
			return error;
	}
	return jump(e, target);
}

int flow_jcc(struct emul *e)
{
	if (!condition(e->rflags, e->in->cond))
		return 0;
	return jump(e, e->rip + e->in->imm);
}

int flow_setcc(struct emul *e)
{
	return exec_store(e, &e->in->dst, condition(e->rflags, e->in->cond));
}

int flow_call(struct emul *e)
{
	u64 next = e->rip;
	int error = flow_jmp(e);

	if (error)
		return error;
	return push(e, next);
}

int flow_ret(struct emul *e)
{
	u64 target;
	int error = top(e, &target);

	if (!error)
		error = jump(e, target);
	if (!error)
		drop(e, (u16)e->in->imm);
	return error;
}

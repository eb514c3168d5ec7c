/* Between the files of the executor: an instruction under way. Pure. */
#ifndef CORE_EMUL_EXEC_H
#define CORE_EMUL_EXEC_H

#include "core/arch/regs.h"
#include "core/emul/insn.h"
#include "core/lib/bytes.h"

#define FLAGS_STATUS \
	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

struct emul {
	/* Registers only change when no fault can come any more. */
	struct emul_cpu *cpu;
	const struct insn *in;
	const struct emul_mem *mem;
	/* Taken over at the end; RIP already is the next instruction's. */
	u64 rip, rflags;
	u64 address; /* of the memory operand */
};

/* What an exec_fn may return besides 0, EMUL_MEM_FAULT and -ENOSYS: RIP stays,
 * the guest will execute the instruction again. */
enum {
	EXEC_AGAIN = EMUL_MEM_FAULT + 1
};

/* A fault leaves memory as it was, but for completed iterations of a REP. */
typedef int exec_fn(struct emul *e);

static inline void exec_set_gpr(struct emul *e, u8 reg, unsigned int size,
				u64 value)
{
	gpr_set(&e->cpu->gpr[reg], size, value);
}

/* What is no OPND_REG, for exec_load() and exec_store(). */
int exec_load_other(struct emul *e, const struct insn_operand *o,
		    u64 *value) must_check;
int exec_store_other(struct emul *e, const struct insn_operand *o,
		     u64 value) must_check;

/* Of @in->dst and @in->src; a value is what lies in its low .size bytes, above
 * them may be anything. */
static inline must_check int exec_load(struct emul *e,
				       const struct insn_operand *o, u64 *value)
{
	if (o->kind != OPND_REG)
		return exec_load_other(e, o, value);
	*value = e->cpu->gpr[o->reg];
	return 0;
}

static inline must_check int exec_store(struct emul *e,
					const struct insn_operand *o, u64 value)
{
	if (o->kind != OPND_REG)
		return exec_store_other(e, o, value);
	exec_set_gpr(e, o->reg, o->size, value);
	return 0;
}

/* Loads the destination, and makes sure that exec_store() can follow. */
static inline must_check int exec_load_rmw(struct emul *e,
					   const struct insn_operand *o,
					   u64 *value)
{
	const struct emul_mem *m = e->mem;

	if (o->kind == OPND_MEM &&
	    m->probe_write(m->ctx, e->in->mem.seg, e->address, o->size))
		return EMUL_MEM_FAULT;
	return exec_load(e, o, value);
}

/* Sets the flags for a result of the instruction's size; @carries has the
 * carry or borrow out of each bit. */
void exec_flags(struct emul *e, u64 result, u64 carries);

/* @a + @b + @carry, or @a - @b - @carry, with flags. */
u64 exec_add(struct emul *e, u64 a, u64 b, bool carry, bool subtract);

/* Memory by segment and offset, in the low @size bytes of a value. */
static inline must_check int exec_read(struct emul *e, u8 seg, u64 offset,
				       unsigned int size, u64 *value)
{
	*value = 0;
	return e->mem->read(e->mem->ctx, seg, offset, value, size);
}

static inline must_check int exec_write(struct emul *e, u8 seg, u64 offset,
					unsigned int size, u64 value)
{
	return e->mem->write(e->mem->ctx, seg, offset, &value, size);
}

/* string.c */
exec_fn string_exec;

/* flow.c */
exec_fn flow_incdec, flow_not, flow_neg, flow_shift, flow_lea, flow_push,
	flow_pop, flow_jcc, flow_jmp, flow_call, flow_ret, flow_nop, flow_fence,
	flow_mul, flow_imul, flow_setcc;

#endif

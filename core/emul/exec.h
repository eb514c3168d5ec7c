/* Between the files of the executor: an instruction under way. Pure. */
#ifndef CORE_EMUL_EXEC_H
#define CORE_EMUL_EXEC_H

#include "core/arch/regs.h"
#include "core/emul/insn.h"
#include "core/lib/bytes.h"

#define FLAGS_STATUS \
	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

struct emul {
	/* Changed as the instruction goes. RIP already is the next one's; it,
	 * the flags and RSP are put back after a fault, other registers are
	 * only changed when none can come any more. */
	struct emul_cpu *cpu;
	const struct insn *in;
	const struct emul_mem *mem;
	u64 address; /* of the memory operand */
};

/* 0, EMUL_MEM_FAULT or -ENOSYS; a fault leaves memory as it was. */
typedef int exec_fn(struct emul *e);

/* Of the register in its low @size bytes; a 4-byte write clears the rest. */
void exec_set_gpr(struct emul *e, u8 reg, unsigned int size, u64 value);

/* What is no OPND_REG, for exec_load(). */
int exec_load_other(struct emul *e, const struct insn_operand *o,
		    u64 *value) must_check;

/* Of @in->dst and @in->src; a value is what lies in its low .size bytes. */
static inline int exec_load(struct emul *e, const struct insn_operand *o,
			    u64 *value)
{
	if (o->kind != OPND_REG)
		return exec_load_other(e, o, value);
	*value = e->cpu->gpr[o->reg] & mask_bytes(o->size);
	return 0;
}

int exec_store(struct emul *e, const struct insn_operand *o,
	       u64 value) must_check;

/* Loads the destination, and makes sure that exec_store() can follow. */
int exec_load_rmw(struct emul *e, const struct insn_operand *o,
		  u64 *value) must_check;

/* Sets the flags in @mask for a result of @size bytes; @carries has the carry
 * or borrow out of each bit. */
void exec_flags(struct emul *e, u64 result, u64 carries, unsigned int size,
		u64 mask);

/* Memory by segment and offset, in the low @size bytes of a value. */
int exec_read(struct emul *e, u8 seg, u64 offset, unsigned int size,
	      u64 *value) must_check;
int exec_write(struct emul *e, u8 seg, u64 offset, unsigned int size,
	       u64 value) must_check;

/* string.c: executes at most EMUL_REP_MAX iterations on @cpu itself. */
int string_exec(struct emul_cpu *cpu, const struct insn *in,
		const struct emul_mem *mem) must_check;

/* flow.c */
exec_fn flow_incdec, flow_not, flow_neg, flow_shift, flow_lea, flow_push,
	flow_pop, flow_jcc, flow_jmp, flow_call, flow_ret, flow_nop, flow_fence,
	flow_mul, flow_imul, flow_setcc;

#endif

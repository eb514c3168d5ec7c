/* MOVS, STOS and LODS, with and without REP (SDM vol. 2, REP). Each iteration
 * is a single step, and RF is set between them (vol. 3, 17.3.1.1). */
#include "core/emul/exec.h"
#include "core/lib/bytes.h"

/* Adds to a register as wide as the address size; 32 bits clear the rest. */
static void advance(struct emul *e, u8 reg, u64 delta)
{
	exec_set_gpr(e, reg, e->in->addr_size, e->cpu->gpr[reg] + delta);
}

static int element(struct emul *e)
{
	const struct insn *in = e->in;
	const u64 *gpr = e->cpu->gpr;
	u64 mask = mask_bytes(in->addr_size);
	u64 step = e->rflags & RFLAGS_DF ? -(u64)in->size : in->size;
	u64 value = gpr[GPR_RAX];
	int error = 0;

	if (in->op != INSN_STOS)
		error = exec_read(e, in->mem.seg, gpr[GPR_RSI] & mask, in->size,
				  &value);
	if (!error && in->op != INSN_LODS)
		error = exec_write(e, SEG_ES, gpr[GPR_RDI] & mask, in->size,
				   value);
	if (error)
		return error;
	if (in->op != INSN_STOS)
		advance(e, GPR_RSI, step);
	if (in->op != INSN_LODS)
		advance(e, GPR_RDI, step);
	else
		exec_set_gpr(e, GPR_RAX, in->size, value);
	return 0;
}

int string_exec(struct emul *e)
{
	const u64 *count = &e->cpu->gpr[GPR_RCX];
	u64 mask = mask_bytes(e->in->addr_size);
	unsigned int max = e->rflags & RFLAGS_TF ? 1 : EMUL_REP_MAX;

	if (!e->in->rep)
		return element(e);
	for (unsigned int i = 0; i < max && *count & mask; i++) {
		int error = element(e);

		if (error)
			return error;
		advance(e, GPR_RCX, ~0ULL);
	}
	if (!(*count & mask))
		return 0;
	e->cpu->rflags |= RFLAGS_RF;
	return EXEC_AGAIN;
}

/* MOVS, STOS and LODS, with and without REP (SDM vol. 2, REP). */
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
	u64 mask = mask_bytes(in->addr_size);
	u64 step = e->cpu->rflags & RFLAGS_DF ? -(u64)in->size : in->size;
	u64 value = e->cpu->gpr[GPR_RAX];
	int error = 0;

	if (in->op != INSN_STOS) {
		error = exec_read(e, in->mem.seg, e->cpu->gpr[GPR_RSI] & mask,
				  in->size, &value);
		advance(e, GPR_RSI, step);
	}
	if (error)
		return error;
	if (in->op == INSN_LODS) {
		exec_set_gpr(e, GPR_RAX, in->size, value);
		return 0;
	}
	error = exec_write(e, SEG_ES, e->cpu->gpr[GPR_RDI] & mask, in->size,
			   value);
	advance(e, GPR_RDI, step);
	return error;
}

static void finish(struct emul_cpu *cpu, const struct insn *in)
{
	cpu->rip += in->length;
	if (cpu->bits != 64)
		cpu->rip &= mask_bytes(4);
	cpu->rflags &= ~RFLAGS_RF;
}

int string_exec(struct emul_cpu *cpu, const struct insn *in,
		const struct emul_mem *mem)
{
	struct emul_cpu copy = *cpu;
	struct emul e = { .cpu = &copy, .in = in, .mem = mem };
	u64 mask = mask_bytes(in->addr_size);
	int error;

	for (unsigned int i = 0; i < EMUL_REP_MAX; i++) {
		if (in->rep && !(cpu->gpr[GPR_RCX] & mask))
			break;
		error = element(&e);
		if (error)
			return error;
		if (!in->rep)
			break;
		advance(&e, GPR_RCX, ~0ULL);
		*cpu = copy;
	}
	if (!in->rep) {
		*cpu = copy;
		finish(cpu, in);
	} else if (!(cpu->gpr[GPR_RCX] & mask)) {
		finish(cpu, in);
	}
	return 0;
}

/*
 * Instruction decoder and executor for trapped memory accesses (SDM vol. 2,
 * APM vol. 3). Pure: bytes, registers and memory come in as arguments.
 *
 * Supported: every MOV form but CR/DR (88-8B, A0-A3, B0-BF, C6, C7), MOVZX,
 * MOVSX, MOVSXD, MOVS, STOS and LODS with REP, and with a memory operand
 * AND, OR, XOR, ADD, ADC, SUB, SBB, CMP, TEST, XCHG, BT/BTS/BTR/BTC; all
 * operand and address sizes, REX, LOCK, segment overrides; the same with
 * registers; and those of flow.c. Anything else is -ENOSYS.
 */
#ifndef CORE_EMUL_EMUL_H
#define CORE_EMUL_EMUL_H

#include "core/lib/bytes.h"
#include "core/lib/types.h"

#define INSN_MAX 15

/* Registers by their encoding. */
enum {
	GPR_RAX,
	GPR_RCX,
	GPR_RDX,
	GPR_RBX,
	GPR_RSP,
	GPR_RBP,
	GPR_RSI,
	GPR_RDI
};
enum {
	SEG_ES,
	SEG_CS,
	SEG_SS,
	SEG_DS,
	SEG_FS,
	SEG_GS
};

/* Writes the low @size bytes of a register; those of 4 clear the rest. */
static inline void gpr_set(u64 *gpr, unsigned int size, u64 value)
{
	u64 mask = mask_bytes(size);

	*gpr = (size < 4 ? *gpr & ~mask : 0) | (value & mask);
}

/* The part of a guest's state that an instruction uses. */
struct emul_cpu {
	u64 gpr[16];
	u64 rip;
	u64 rflags;
	u8 bits;       /* code segment: 16, 32 or 64 */
	u8 stack_bits; /* SS: 16 or 32; 0: not known, no PUSH, POP, CALL, RET
			* outside of 64-bit code */
};

/*
 * Memory as the instruction sees it, by segment and offset; the callee adds
 * the base, checks limit, rights and paging. 0, or EMUL_MEM_FAULT to stop (the
 * callee has noted the fault to inject); then no state has changed, but for
 * the iterations of a REP that were already completed.
 */
struct emul_mem {
	int (*read)(void *ctx, unsigned int seg, u64 offset, void *dst,
		    unsigned int size);
	int (*write)(void *ctx, unsigned int seg, u64 offset, const void *src,
		     unsigned int size);
	/* Asked before a read-modify-write: is the operand writable? */
	int (*probe_write)(void *ctx, unsigned int seg, u64 offset,
			   unsigned int size);
	void *ctx;
};

enum {
	EMUL_MEM_FAULT = 1
};

/* The most iterations of a REP that one call executes, without TF; the rest
 * follows when the guest executes the instruction again (RIP stays, RF set). */
#define EMUL_REP_MAX 1024

/*
 * Decodes and executes the instruction in @bytes (@len of them, up to 15,
 * copied once from the guest). On success registers, flags and RIP are those
 * after it. EMUL_MEM_FAULT if a callback stopped it, -ENOSYS if the
 * instruction is not supported, -ERANGE if @len cuts it off.
 */
int emul_step(struct emul_cpu *cpu, const u8 *bytes, size_t len,
	      const struct emul_mem *mem) must_check;

#endif

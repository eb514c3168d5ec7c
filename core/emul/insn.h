/*
 * A decoded instruction: what the executor runs, and what exit handling asks
 * of the few privileged ones that the CPU gave no length or operands for.
 * Pure.
 */
#ifndef CORE_EMUL_INSN_H
#define CORE_EMUL_INSN_H

#include "core/emul/emul.h"
#include "core/lib/types.h"

enum insn_op {
	INSN_NONE,
	/* exec.c; the first eight in the order of their encoding */
	INSN_ADD,
	INSN_OR,
	INSN_ADC,
	INSN_SBB,
	INSN_AND,
	INSN_SUB,
	INSN_XOR,
	INSN_CMP,
	INSN_TEST,
	INSN_MOV,
	INSN_MOVZX,
	INSN_MOVSX, /* and MOVSXD */
	INSN_XCHG,
	INSN_BT,
	INSN_BTS,
	INSN_BTR,
	INSN_BTC,
	/* string.c */
	INSN_MOVS,
	INSN_STOS,
	INSN_LODS,
	/* flow.c */
	INSN_INC,
	INSN_DEC,
	INSN_NOT,
	INSN_NEG,
	INSN_SHL,
	INSN_SHR,
	INSN_SAR,
	INSN_MUL,   /* dst is the factor */
	INSN_IMUL,  /* of two operands */
	INSN_IMUL3, /* dst = src * imm */
	INSN_LEA,
	INSN_PUSH,
	INSN_POP,
	INSN_JCC,
	INSN_SETCC,
	INSN_JMP,
	INSN_CALL,
	INSN_RET,
	INSN_NOP,   /* with PAUSE and ENDBR */
	INSN_FENCE, /* MFENCE and LFENCE */
	/* decoded, but never executed here */
	INSN_CPUID,
	INSN_RDTSC,
	INSN_RDTSCP,
	INSN_RDMSR,
	INSN_WRMSR,
	INSN_VMMCALL,
	INSN_INVD,
	INSN_SVM, /* VMRUN, VMLOAD, VMSAVE, STGI, CLGI, SKINIT, INVLPGA */
	INSN_IN,  /* src OPND_IMM: the port is the low byte, else DX */
	INSN_OUT, /* dst OPND_IMM likewise */
	INSN_INS,
	INSN_OUTS,
	INSN_COUNT,
	INSN_FIRST_SYSTEM = INSN_CPUID,
};

enum insn_operand_kind { /* bits, to ask for both operands at once */
	OPND_NONE = 0,
	OPND_REG = 1,  /* the low .size bytes of a register */
	OPND_HIGH = 2, /* AH, CH, DH, BH: .reg is 0 to 3 */
	OPND_MEM = 4,  /* insn.mem */
	OPND_IMM = 8,  /* insn.imm */
};

struct insn_operand {
	u8 kind;
	u8 reg;
	u8 size; /* in bytes */
};

#define INSN_NO_REG  0xff
#define INSN_REG_RIP 16

struct insn_mem {
	u8 seg;	  /* SEG_*, with overrides; of a string: the source's */
	u8 base;  /* register, INSN_REG_RIP or INSN_NO_REG */
	u8 index; /* register or INSN_NO_REG */
	u8 scale; /* 1, 2, 4, 8 */
	u64 disp; /* sign-extended; of moffs: the whole offset */
};

struct insn {
	enum insn_op op;
	u8 bits;      /* code segment: 16, 32 or 64 */
	u8 length;    /* 1 to INSN_MAX */
	u8 size;      /* of the first operand, or of a string's element */
	u8 addr_size; /* 2, 4 or 8 bytes */
	u8 cond;      /* of Jcc, SETcc: SDM vol. 2, B.1.4.7 */
	bool lock;
	bool rep; /* F2 or F3: MOVS, STOS, LODS, INS, OUTS repeat with both */
	struct insn_operand dst, src;
	struct insn_mem mem;
	u64 imm; /* immediate or branch distance, sign-extended */
};

/*
 * Decodes the instruction that starts @bytes, in a code segment of @bits.
 * 0; -ENOSYS if it is none of enum insn_op, would raise #UD by its encoding,
 * or is longer than INSN_MAX; -ERANGE if @len cuts it off.
 */
int insn_decode(struct insn *in, const u8 *bytes, size_t len,
		unsigned int bits) must_check;

/* emul_step() of an instruction that has been decoded. */
int insn_execute(const struct insn *in, struct emul_cpu *cpu,
		 const struct emul_mem *mem) must_check;

#endif

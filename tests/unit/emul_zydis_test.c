/*
 * The decoder against Zydis, an independent one: what it accepts has to have
 * the same length, name and operands there; what Zydis knows by one of our
 * names and the decoder refuses has to be on a short list.
 *
 * units: core/emul/decode.c
 * libs: -lZydis -lZycore
 */
#include <errno.h>
#include <string.h>
#include <Zydis/Zydis.h>

#include "core/emul/insn.h"
#include "tests/unit/test.h"

static const char *const names[INSN_COUNT] = {
	[INSN_ADD] = "add",
	[INSN_OR] = "or",
	[INSN_ADC] = "adc",
	[INSN_SBB] = "sbb",
	[INSN_AND] = "and",
	[INSN_SUB] = "sub",
	[INSN_XOR] = "xor",
	[INSN_CMP] = "cmp",
	[INSN_TEST] = "test",
	[INSN_MOV] = "mov movnti",
	[INSN_MOVZX] = "movzx",
	[INSN_MOVSX] = "movsx movsxd",
	[INSN_XCHG] = "xchg",
	[INSN_BT] = "bt",
	[INSN_BTS] = "bts",
	[INSN_BTR] = "btr",
	[INSN_BTC] = "btc",
	[INSN_MOVS] = "movsb movsw movsd movsq",
	[INSN_STOS] = "stosb stosw stosd stosq",
	[INSN_LODS] = "lodsb lodsw lodsd lodsq",
	[INSN_INC] = "inc",
	[INSN_DEC] = "dec",
	[INSN_NOT] = "not",
	[INSN_NEG] = "neg",
	[INSN_SHL] = "shl",
	[INSN_SHR] = "shr",
	[INSN_SAR] = "sar",
	[INSN_LEA] = "lea",
	[INSN_PUSH] = "push",
	[INSN_POP] = "pop",
	[INSN_JCC] = "jo jno jb jnb jz jnz jbe jnbe js jns jp jnp jl jnl jle "
		     "jnle",
	[INSN_SETCC] = "seto setno setb setnb setz setnz setbe setnbe sets "
		       "setns setp setnp setl setnl setle setnle",
	[INSN_JMP] = "jmp",
	[INSN_CALL] = "call",
	[INSN_RET] = "ret",
	[INSN_NOP] = "nop pause endbr32 endbr64",
	[INSN_MUL] = "mul",
	[INSN_IMUL] = "imul",
	[INSN_IMUL3] = "imul",
	[INSN_FENCE] = "mfence lfence",
	[INSN_CPUID] = "cpuid",
	[INSN_RDTSC] = "rdtsc",
	[INSN_RDTSCP] = "rdtscp",
	[INSN_RDMSR] = "rdmsr",
	[INSN_WRMSR] = "wrmsr",
	[INSN_VMMCALL] = "vmmcall",
	[INSN_INVD] = "invd",
	[INSN_SVM] = "vmrun vmload vmsave stgi clgi skinit invlpga",
	[INSN_IN] = "in",
	[INSN_OUT] = "out",
	[INSN_INS] = "insb insw insd",
	[INSN_OUTS] = "outsb outsw outsd",
};

static ZydisDecoder decoders[3];
static u64 random_state = 88172645463325252;
static unsigned long accepted, refused, both;

static u64 random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/*
 * ModRM.mod 0 with SIB.base 5 has no base whatever REX.B says (SDM vol. 2,
 * table 2-5); Zydis 4.0 names R13. Real execution (emul_native_test) agrees
 * with the manual.
 */
static bool zydis_base_bug(const ZydisDecodedInstruction *zi)
{
	return zi->raw.modrm.mod == 0 && zi->raw.modrm.rm == 4 &&
	       zi->raw.sib.base == 5 && zi->raw.rex.B;
}

static void report(const char *what, const u8 *bytes, unsigned int bits,
		   const char *name)
{
	if (test_failures++ > 20)
		return;
	printf("%s, %u bits, %s:", what, bits, name ? name : "-");
	for (int i = 0; i < INSN_MAX; i++)
		printf(" %02x", bytes[i]);
	printf("\n");
}

/* Is @name a word of the list @words? Its position, from 1, or 0. */
static int word_in(const char *words, const char *name)
{
	size_t n = strlen(name);
	int position = 1;

	while (words) {
		if (!strncmp(words, name, n) && (words[n] == ' ' || !words[n]))
			return position;
		words = strchr(words, ' ');
		if (words)
			words++;
		position++;
	}
	return 0;
}

static ZydisRegister nth(ZydisRegister first, unsigned int n)
{
	return first + n;
}

static ZydisRegister gpr(u8 reg, unsigned int size)
{
	switch (size) {
	case 1: /* AL CL DL BL, then SPL .. after AH .. BH */
		return reg < 4 ? ZYDIS_REGISTER_AL + reg
			       : ZYDIS_REGISTER_SPL + reg - 4;
	case 2:
		return ZYDIS_REGISTER_AX + reg;
	case 4:
		return ZYDIS_REGISTER_EAX + reg;
	default:
		return ZYDIS_REGISTER_RAX + reg;
	}
}

static ZydisRegister address_reg(u8 reg, unsigned int size)
{
	if (reg == INSN_NO_REG)
		return ZYDIS_REGISTER_NONE;
	if (reg == INSN_REG_RIP)
		return size == 8 ? ZYDIS_REGISTER_RIP : ZYDIS_REGISTER_EIP;
	return gpr(reg, size);
}

static bool same_mem(const struct insn *in, const ZydisDecodedOperandMem *m)
{
	const struct insn_mem *mem = &in->mem;
	u64 mask =
		in->addr_size == 8 ? ~0ULL : (1ULL << (8 * in->addr_size)) - 1;

	return (in->op == INSN_LEA ||
		m->segment == nth(ZYDIS_REGISTER_ES, mem->seg)) &&
	       m->base == address_reg(mem->base, in->addr_size) &&
	       m->index == address_reg(mem->index, in->addr_size) &&
	       (!m->index || m->scale == mem->scale) &&
	       (((u64)m->disp.value ^ mem->disp) & mask) == 0;
}

static bool same_imm(const struct insn *in, const struct insn_operand *o,
		     const ZydisDecodedOperandImm *imm)
{
	u64 mask = o->size == 8 ? ~0ULL : (1ULL << (8 * o->size)) - 1;

	if (imm->is_signed || imm->is_relative)
		return imm->value.u == in->imm;
	return ((imm->value.u ^ in->imm) & mask) == 0;
}

static bool same_operand(const struct insn *in, const struct insn_operand *o,
			 const ZydisDecodedOperand *z)
{
	switch (o->kind) {
	case OPND_REG:
		return z->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		       z->reg.value == gpr(o->reg, o->size);
	case OPND_HIGH:
		return z->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		       z->reg.value == nth(ZYDIS_REGISTER_AH, o->reg);
	case OPND_MEM:
		return z->type == ZYDIS_OPERAND_TYPE_MEMORY &&
		       same_mem(in, &z->mem) &&
		       (in->op == INSN_LEA || z->size == 8 * o->size);
	case OPND_IMM:
		return z->type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
		       same_imm(in, o, &z->imm);
	}
	return false;
}

static bool same_string(const struct insn *in, const ZydisDecodedOperand *z,
			unsigned int n)
{
	bool reads = in->op == INSN_MOVS || in->op == INSN_LODS ||
		     in->op == INSN_OUTS;

	for (unsigned int i = 0; i < n; i++) {
		const ZydisDecodedOperandMem *m = &z[i].mem;

		if (z[i].type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		if (z[i].size != 8 * in->size)
			return false;
		if (reads && m->base == gpr(GPR_RSI, in->addr_size) &&
		    m->segment != nth(ZYDIS_REGISTER_ES, in->mem.seg))
			return false;
	}
	return true;
}

/* The explicit operands in their order; port instructions name DX, too. */
static bool same_operands(const struct insn *in,
			  const ZydisDecodedInstruction *zi,
			  const ZydisDecodedOperand *z)
{
	const struct insn_operand *o[2] = { &in->dst, &in->src };
	unsigned int next = 0;

	if ((in->op >= INSN_MOVS && in->op <= INSN_LODS) ||
	    in->op == INSN_INS || in->op == INSN_OUTS)
		return same_string(in, z, zi->operand_count);
	for (int i = 0; i < 2; i++) {
		bool port = in->op == (i ? INSN_IN : INSN_OUT);

		if (o[i]->kind == OPND_NONE && !port)
			continue;
		if (next == zi->operand_count)
			return false;
		if (o[i]->kind != OPND_NONE &&
		    !same_operand(in, o[i], &z[next]))
			return false;
		next++;
	}
	if (in->op == INSN_IMUL3) {
		const struct insn_operand third = { OPND_IMM, 0, in->size };

		if (!same_operand(in, &third, &z[next++]))
			return false;
	}
	return in->op == INSN_NOP || next == zi->operand_count_visible;
}

static bool same_prefixes(const struct insn *in,
			  const ZydisDecodedInstruction *zi)
{
	bool rep = zi->attributes &
		   (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPNE |
		    ZYDIS_ATTRIB_HAS_REPE);
	bool string = in->op >= INSN_MOVS && in->op <= INSN_LODS;

	return in->lock == !!(zi->attributes & ZYDIS_ATTRIB_HAS_LOCK) &&
	       (!string || rep == in->rep);
}

static void check_accepted(const struct insn *in, const u8 *bytes,
			   const ZydisDecodedInstruction *zi,
			   const ZydisDecodedOperand *z)
{
	const char *name = ZydisMnemonicGetString(zi->mnemonic);
	int word = names[in->op] ? word_in(names[in->op], name) : 0;
	struct insn cut;

	if (!word || ((in->op == INSN_JCC || in->op == INSN_SETCC) &&
		      word != in->cond + 1))
		report("another name", bytes, in->bits, name);
	else if (zi->length != in->length)
		report("another length", bytes, in->bits, name);
	else if (zi->address_width != 8 * in->addr_size)
		report("another address size", bytes, in->bits, name);
	else if (in->op != INSN_SVM && !same_operands(in, zi, z) &&
		 !zydis_base_bug(zi))
		report("other operands", bytes, in->bits, name);
	else if (!same_prefixes(in, zi))
		report("other prefixes", bytes, in->bits, name);
	for (unsigned int n = 0; n < in->length; n++)
		if (insn_decode(&cut, bytes, n, in->bits) != -ERANGE)
			report("not cut off", bytes, in->bits, name);
}

/* Forms of known names that are left out on purpose. */
static bool left_out(const ZydisDecodedInstruction *zi)
{
	u8 op = zi->opcode;

	if (zi->opcode_map == ZYDIS_OPCODE_MAP_0F) {
		bool hint = zi->mnemonic == ZYDIS_MNEMONIC_NOP && op != 0x1f;
		bool sse = op == 0x10 || op == 0x11;		   /* MOVSD */
		bool special = (op & 0xfc) == 0x20;		   /* CR, DR */
		bool tscp = zi->mnemonic == ZYDIS_MNEMONIC_RDTSCP; /* 66h */
		bool push_seg = (op & 0xf6) == 0xa0 || (op & 0xf7) == 0xa1;
		bool jcc66 = (op & 0xf0) == 0x80 &&
			     zi->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE;

		return hint || sse || special || tscp || push_seg || jcc66;
	}
	switch (op) {
	case 0x06: /* PUSH and POP of segment registers */
	case 0x07:
	case 0x0e:
	case 0x16:
	case 0x17:
	case 0x1e:
	case 0x1f:
	case 0x68: /* PUSH immediate */
	case 0x6a:
	case 0x8c: /* MOV of segment registers */
	case 0x8e:
	case 0x8f: /* POP Ev */
	case 0x90: /* F3 with REX.B: PAUSE or XCHG */
	case 0x9a: /* far */
	case 0xca:
	case 0xcb:
	case 0xea:
		return true;
	case 0xc0: /* group 2, /6: SHL by another name */
	case 0xc1:
	case 0xd0:
	case 0xd1:
	case 0xd2:
	case 0xd3:
		return zi->raw.modrm.reg == 6;
	case 0xf6: /* IMUL of one operand */
	case 0xf7:
		return zi->raw.modrm.reg == 5;
	case 0xff: /* far branches, PUSH Ev */
		if (zi->raw.modrm.reg != 2 && zi->raw.modrm.reg != 4)
			return true;
	}
	/* a near branch or MOVSXD with 66h in 64-bit mode: vendors differ */
	return zi->machine_mode == ZYDIS_MACHINE_MODE_LONG_64 &&
	       zi->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE &&
	       (op == 0x63 || (op & 0xf0) == 0x70 || op == 0xc2 || op == 0xc3 ||
		op == 0xe8 || op == 0xe9 || op == 0xeb || op == 0xff);
}

static void check_refused(const u8 *bytes, unsigned int bits,
			  const ZydisDecodedInstruction *zi)
{
	const char *name = ZydisMnemonicGetString(zi->mnemonic);

	if (zi->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT &&
	    zi->opcode_map != ZYDIS_OPCODE_MAP_0F)
		return;
	for (int op = 1; op < INSN_COUNT; op++)
		if (names[op] && word_in(names[op], name) && !left_out(zi))
			report("refused", bytes, bits, name);
}

static void check(const u8 *bytes, unsigned int mode)
{
	static const unsigned int bits[3] = { 16, 32, 64 };
	ZydisDecodedOperand z[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction zi;
	struct insn in;
	int error = insn_decode(&in, bytes, INSN_MAX, bits[mode]);
	bool known = ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoders[mode], bytes,
							 INSN_MAX, &zi, z));

	accepted += !error;
	both += !error && known;
	if (!error && known)
		check_accepted(&in, bytes, &zi, z);
	else if (!error)
		report("unknown to Zydis", bytes, bits[mode], NULL);
	else if (known)
		check_refused(bytes, bits[mode], &zi);
	refused += error != 0;
}

static void set_up(void)
{
	ZydisDecoderInit(&decoders[0], ZYDIS_MACHINE_MODE_LEGACY_16,
			 ZYDIS_STACK_WIDTH_16);
	ZydisDecoderInit(&decoders[1], ZYDIS_MACHINE_MODE_LEGACY_32,
			 ZYDIS_STACK_WIDTH_32);
	ZydisDecoderInit(&decoders[2], ZYDIS_MACHINE_MODE_LONG_64,
			 ZYDIS_STACK_WIDTH_64);
	for (int i = 0; i < 3; i++) {
		ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_KNC,
				       ZYAN_FALSE);
		ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_CET,
				       ZYAN_TRUE);
	}
}

static void random_bytes(u8 *bytes)
{
	u64 r[2] = { random_u64(), random_u64() };

	memcpy(bytes, r, INSN_MAX);
}

/* Each opcode of both maps after each of these, with some ModRM and SIB. */
TEST(systematic)
{
	static const char *const prefixes[] = {
		"",	    "\x66",	"\x67",	    "\x66\x67", "\xf0",
		"\xf2",	    "\xf3",	"\x64",	    "\x2e",	"\x26",
		"\x36",	    "\x65\x3e", "\x3e\x64", "\x48",	"\x41",
		"\x44",	    "\x42",	"\x47",	    "\x40",	"\x4f",
		"\x66\x48", "\x66\x41", "\x48\x66", "\xf0\x48", "\xf3\x48",
		"\x67\x45", "\x41\x48", "\xf3\xf2", "\x66\xf0",
	};
	u8 bytes[16];

	set_up();
	for (size_t p = 0; p < ARRAY_SIZE(prefixes); p++) {
		for (unsigned int op = 0; op < 512; op++) {
			for (int i = 0; i < 10; i++) {
				size_t n = strlen(prefixes[p]);

				random_bytes(bytes);
				memcpy(bytes, prefixes[p], n);
				if (op & 256)
					bytes[n++] = 0x0f;
				bytes[n++] = (u8)op;
				check(bytes, 0);
				check(bytes, 1);
				check(bytes, 2);
			}
		}
	}
}

/* Every ModRM and SIB of one instruction of each map. */
TEST(all_modrm)
{
	u8 bytes[16];

	for (unsigned int i = 0; i < 65536; i++) {
		random_bytes(bytes);
		bytes[0] = 0x89;
		bytes[1] = (u8)i;
		bytes[2] = (u8)(i >> 8);
		for (unsigned int mode = 0; mode < 3; mode++)
			check(bytes, mode);
	}
}

TEST(random_code)
{
	u8 bytes[16];

	for (int i = 0; i < 120000; i++) {
		random_bytes(bytes);
		if (i & 1) /* often a prefix, else it is rarely long */
			bytes[0] =
				"\x66\x67\xf0\xf3\x48\x0f\x64\x2e"[i / 2 % 8];
		check(bytes, (unsigned int)i % 3);
	}
}

/* Prefixes up to and over the limit of 15 bytes. */
TEST(many_prefixes)
{
	u8 bytes[16];

	for (int n = 0; n <= INSN_MAX; n++) {
		for (int i = 0; i < 400; i++) {
			random_bytes(bytes);
			for (int j = 0; j < n; j++)
				bytes[j] = "\x66\x67\xf3\x2e"[random_u64() % 4];
			check(bytes, (unsigned int)i % 3);
		}
	}
	printf("%lu accepted, %lu by both, %lu refused\n", accepted, both,
	       refused);
	EXPECT(accepted > 350000);
}

TEST_MAIN(CASE(systematic), CASE(all_modrm), CASE(random_code),
	  CASE(many_prefixes))

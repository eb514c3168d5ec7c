/*
 * The executor by literal vectors: 16- and 32-bit code, which the host cannot
 * run, faults, long repeats and refusals. 64-bit code is emul_native_test's.
 *
 * units: core/emul/decode.c core/emul/exec.c core/emul/string.c core/emul/flow.c
 */
#include <errno.h>
#include <string.h>

#include "core/emul/exec.h"
#include "core/lib/bytes.h"
#include "tests/unit/test.h"

#define RAM_SIZE 0x20000

/* A flat model in which segment s starts at s * 0x1000. */
static u8 ram[RAM_SIZE];
static unsigned int faults_from; /* offsets up from here fault; 0: none */
static unsigned int read_only_from, writes;

static struct emul_cpu cpu;

static int locate(unsigned int seg, u64 offset, unsigned int size, u64 *at)
{
	if (faults_from && offset + size > faults_from)
		return 1;
	*at = seg * 0x1000 + offset;
	return *at > RAM_SIZE - size;
}

static int mem_read(void *ctx, unsigned int seg, u64 offset, void *dst,
		    unsigned int size)
{
	u64 at;

	if (locate(seg, offset, size, &at))
		return 1;
	memcpy(dst, ram + at, size);
	return 0;
}

static int mem_probe(void *ctx, unsigned int seg, u64 offset, unsigned int size)
{
	u64 at;

	if (read_only_from && offset + size > read_only_from)
		return 1;
	return locate(seg, offset, size, &at);
}

static int mem_write(void *ctx, unsigned int seg, u64 offset, const void *src,
		     unsigned int size)
{
	u64 at;

	if (mem_probe(ctx, seg, offset, size) || locate(seg, offset, size, &at))
		return 1;
	memcpy(ram + at, src, size);
	writes++;
	return 0;
}

static const struct emul_mem mem = { mem_read, mem_write, mem_probe, NULL };

static void reset(u8 bits)
{
	memset(ram, 0, sizeof(ram));
	memset(&cpu, 0, sizeof(cpu));
	faults_from = read_only_from = writes = 0;
	cpu.bits = bits;
	cpu.stack_bits = bits;
	cpu.rip = 0x100;
	cpu.rflags = 2;
}

#define STEP(code) emul_step(&cpu, (const u8 *)(code), sizeof(code) - 1, &mem)

static u32 word_at(unsigned int seg, u64 offset)
{
	u32 value;

	memcpy(&value, ram + seg * 0x1000 + offset, 4);
	return value;
}

/* SDM vol. 2, table 2-1, each row, with its default segment. */
TEST(addressing_16)
{
	static const struct {
		u8 rm, seg;
		u16 offset;
	} rows[] = {
		{ 0, SEG_DS, 0x110 }, { 1, SEG_DS, 0x210 },
		{ 2, SEG_SS, 0x310 }, { 3, SEG_SS, 0x410 },
		{ 4, SEG_DS, 0x010 }, { 5, SEG_DS, 0x110 },
		{ 6, SEG_SS, 0x300 }, { 7, SEG_DS, 0x100 },
	};
	u8 code[3] = { 0x88, 0, 0x20 }; /* mov [.. + 20h], al */

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		reset(16);
		cpu.gpr[GPR_RAX] = 0x5a;
		cpu.gpr[GPR_RBX] = 0xdead0100;
		cpu.gpr[GPR_RBP] = 0xdead0300;
		cpu.gpr[GPR_RSI] = 0xdead0010;
		cpu.gpr[GPR_RDI] = 0xdead0110;
		code[1] = 0x40 | rows[i].rm;
		EXPECT_EQ(emul_step(&cpu, code, 3, &mem), 0);
		EXPECT_EQ(word_at(rows[i].seg, rows[i].offset + 0x20), 0x5a);
		EXPECT_EQ(cpu.rip, 0x103);
	}
}

TEST(addressing_16_wraps)
{
	reset(16);
	cpu.gpr[GPR_RBX] = 0xffff;
	cpu.gpr[GPR_RSI] = 0x11;
	ram[SEG_DS * 0x1000 + 0x10] = 0x77;
	EXPECT_EQ(STEP("\x8a\x00"), 0); /* mov al, [bx+si] */
	EXPECT_EQ(cpu.gpr[GPR_RAX], 0x77);
}

TEST(disp16_and_32_bit_operand)
{
	reset(16);
	cpu.gpr[GPR_RAX] = 0x1122334455667788;
	EXPECT_EQ(STEP("\x66\x89\x06\x34\x02"), 0); /* mov [0x234], eax */
	EXPECT_EQ(word_at(SEG_DS, 0x234), 0x55667788);
	EXPECT_EQ(STEP("\xa1\x36\x02"), 0); /* mov ax, [0x236] */
	EXPECT_EQ(cpu.gpr[GPR_RAX], 0x1122334455665566);
	EXPECT_EQ(cpu.rip, 0x108);
}

TEST(address_size_override)
{
	reset(16);
	cpu.gpr[GPR_RBP] = 0x10;
	cpu.gpr[GPR_RAX] = 0x20;
	cpu.gpr[GPR_RCX] = 0xabcd;
	/* mov [ebp+eax*4+4], cx: SS by its base */
	EXPECT_EQ(STEP("\x67\x89\x4c\x85\x04"), 0);
	EXPECT_EQ(word_at(SEG_SS, 0x94), 0xabcd);
	reset(32);
	cpu.gpr[GPR_RBX] = 0x10040;
	cpu.gpr[GPR_RCX] = 0x12345678;
	EXPECT_EQ(STEP("\x67\x89\x4f\x02"), 0); /* mov [bx+2], ecx */
	EXPECT_EQ(word_at(SEG_DS, 0x42), 0x12345678);
}

TEST(segment_overrides)
{
	static const struct {
		u8 prefix, seg;
	} rows[] = { { 0x26, SEG_ES }, { 0x2e, SEG_CS }, { 0x36, SEG_SS },
		     { 0x3e, SEG_DS }, { 0x64, SEG_FS }, { 0x65, SEG_GS } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		u8 code[] = { rows[i].prefix, 0x89, 0x45, 0x08 };

		reset(32);
		cpu.gpr[GPR_RAX] = 0xcafe0000 + i;
		EXPECT_EQ(emul_step(&cpu, code, 4, &mem), 0);
		EXPECT_EQ(word_at(rows[i].seg, 8), 0xcafe0000 + i);
	}
	reset(64); /* there they do not exist; FS stays in force */
	cpu.gpr[GPR_RAX] = 0x99;
	EXPECT_EQ(STEP("\x64\x26\x89\x00"), 0);
	EXPECT_EQ(word_at(SEG_FS, 0x99), 0x99);
}

TEST(inc_dec_short_forms)
{
	reset(32);
	cpu.gpr[GPR_RDI] = 0xffffffff;
	cpu.rflags |= RFLAGS_CF;
	EXPECT_EQ(STEP("\x47"), 0); /* inc edi; CF stays */
	EXPECT_EQ(cpu.gpr[GPR_RDI], 0);
	EXPECT_EQ(cpu.rflags,
		  2 | RFLAGS_CF | RFLAGS_ZF | RFLAGS_PF | RFLAGS_AF);
	cpu.rflags &= ~RFLAGS_CF;
	EXPECT_EQ(STEP("\x66\x4f"), 0); /* dec di */
	EXPECT_EQ(cpu.gpr[GPR_RDI], 0xffff);
	EXPECT_EQ(cpu.rflags, 2 | RFLAGS_SF | RFLAGS_PF | RFLAGS_AF);
}

TEST(flags_by_hand)
{
	reset(32);
	ram[SEG_DS * 0x1000] = 0x7f;
	EXPECT_EQ(STEP("\x80\x05\x00\x00\x00\x00\x01"), 0); /* 7f + 1 */
	EXPECT_EQ(cpu.rflags, 2 | RFLAGS_OF | RFLAGS_SF | RFLAGS_AF);
	EXPECT_EQ(STEP("\x80\x3d\x00\x00\x00\x00\x80"), 0); /* 80 - 80 */
	EXPECT_EQ(cpu.rflags, 2 | RFLAGS_ZF | RFLAGS_PF);
	EXPECT_EQ(STEP("\x80\x2d\x00\x00\x00\x00\x81"), 0); /* 80 - 81 */
	EXPECT_EQ(cpu.rflags,
		  2 | RFLAGS_CF | RFLAGS_SF | RFLAGS_PF | RFLAGS_AF);
	EXPECT_EQ(word_at(SEG_DS, 0), 0xff);
	EXPECT_EQ(STEP("\x80\x15\x00\x00\x00\x00\x00"), 0); /* ff + 0 + CF */
	EXPECT_EQ(cpu.rflags,
		  2 | RFLAGS_CF | RFLAGS_ZF | RFLAGS_PF | RFLAGS_AF);
}

TEST(rep_movs_16)
{
	reset(16);
	for (int i = 0; i < 8; i++)
		ram[SEG_DS * 0x1000 + 0x200 + i] = (u8)(i + 1);
	cpu.gpr[GPR_RCX] = 0x70004; /* CX counts, the rest stays */
	cpu.gpr[GPR_RSI] = 0x70200;
	cpu.gpr[GPR_RDI] = 0x70300;
	EXPECT_EQ(STEP("\xf3\xa5"), 0);
	EXPECT_EQ(word_at(SEG_ES, 0x300), 0x04030201);
	EXPECT_EQ(word_at(SEG_ES, 0x304), 0x08070605);
	EXPECT_EQ(cpu.gpr[GPR_RCX], 0x70000);
	EXPECT_EQ(cpu.gpr[GPR_RSI], 0x70208);
	EXPECT_EQ(cpu.gpr[GPR_RDI], 0x70308);
	EXPECT_EQ(cpu.rip, 0x102);
}

TEST(rep_backwards_wraps)
{
	reset(16);
	cpu.gpr[GPR_RAX] = 0x41;
	cpu.gpr[GPR_RCX] = 3;
	cpu.gpr[GPR_RDI] = 1;
	cpu.rflags |= RFLAGS_DF;
	EXPECT_EQ(STEP("\xf2\xaa"), 0); /* rep stosb over 1, 0, ffff */
	EXPECT_EQ(cpu.gpr[GPR_RDI], 0xfffe);
	EXPECT_EQ(ram[1] + ram[0] + ram[0xffff], 3 * 0x41);
	EXPECT_EQ(writes, 3);
}

TEST(rep_zero)
{
	reset(32);
	cpu.gpr[GPR_RSI] = 0xffffffff; /* would fault */
	EXPECT_EQ(STEP("\xf3\xac"), 0);
	EXPECT_EQ(cpu.rip, 0x102);
	EXPECT_EQ(cpu.gpr[GPR_RSI], 0xffffffff);
}

TEST(rep_in_chunks)
{
	reset(32);
	cpu.gpr[GPR_RCX] = EMUL_REP_MAX + 10;
	EXPECT_EQ(STEP("\xf3\xaa"), 0);
	EXPECT_EQ(cpu.rip, 0x100);
	EXPECT_EQ(cpu.gpr[GPR_RCX], 10);
	EXPECT_EQ(STEP("\xf3\xaa"), 0);
	EXPECT_EQ(cpu.rip, 0x102);
	EXPECT_EQ(cpu.gpr[GPR_RDI], EMUL_REP_MAX + 10);
	reset(32);
	cpu.gpr[GPR_RCX] = EMUL_REP_MAX; /* exactly one chunk */
	EXPECT_EQ(STEP("\xf3\xaa"), 0);
	EXPECT_EQ(cpu.rip, 0x102);
}

/* One iteration is one step, and RF is set between two (SDM vol. 3,
 * 17.3.1.1). */
TEST(rep_in_single_steps)
{
	reset(32);
	cpu.rflags |= RFLAGS_TF;
	cpu.gpr[GPR_RCX] = 2;
	EXPECT_EQ(STEP("\xf3\xaa"), 0);
	EXPECT_EQ(cpu.gpr[GPR_RCX], 1);
	EXPECT_EQ(cpu.rip, 0x100);
	EXPECT(cpu.rflags & RFLAGS_RF);
	EXPECT_EQ(STEP("\xf3\xaa"), 0);
	EXPECT_EQ(cpu.rip, 0x102);
	EXPECT(!(cpu.rflags & RFLAGS_RF));
}

TEST(rep_fault_keeps_what_is_done)
{
	reset(32);
	faults_from = 0x20a;
	cpu.gpr[GPR_RCX] = 5;
	cpu.gpr[GPR_RSI] = 0x100;
	cpu.gpr[GPR_RDI] = 0x200;
	EXPECT_EQ(STEP("\xf3\xa5"), EMUL_MEM_FAULT);
	EXPECT_EQ(cpu.gpr[GPR_RCX], 3);
	EXPECT_EQ(cpu.gpr[GPR_RSI], 0x108);
	EXPECT_EQ(cpu.gpr[GPR_RDI], 0x208);
	EXPECT_EQ(cpu.rip, 0x100);
}

TEST(fault_changes_nothing)
{
	static const struct {
		const char *code;
		unsigned int n;
	} rows[] = {
		{ "\x89\x03", 2 },
		{ "\x8b\x03", 2 },
		{ "\x01\x03", 2 },
		{ "\xf0\x87\x03", 3 },
		{ "\x0f\xab\x03", 3 },
		{ "\xa4", 1 },
		{ "\xad", 1 },
		{ "\xaa", 1 },
		{ "\x83\x3b\x01", 3 },
		{ "\xff\x03", 2 },
		{ "\xf7\x1b", 2 },
		{ "\xc1\x23\x03", 3 },
		{ "\x50", 1 },
		{ "\x5c", 1 },
		{ "\xe8\x00\x00\x00\x00", 5 },
		{ "\xc3", 1 },
		{ "\xff\xd0", 2 },
		{ "\xff\x23", 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct emul_cpu before;

		reset(32);
		faults_from = 0x80;
		cpu.rflags |= FLAGS_STATUS | RFLAGS_RF;
		for (int r = 0; r < 8; r++)
			cpu.gpr[r] = 0x100 + (u64)r;
		before = cpu;
		EXPECT_EQ(emul_step(&cpu, (const u8 *)rows[i].code, rows[i].n,
				    &mem),
			  EMUL_MEM_FAULT);
		EXPECT(!memcmp(&cpu, &before, sizeof(cpu)));
		EXPECT_EQ(writes, 0);
	}
}

TEST(rmw_probes_first)
{
	reset(32);
	read_only_from = 0x80;
	cpu.gpr[GPR_RBX] = 0x100;
	EXPECT_EQ(STEP("\x83\x03\x01"), EMUL_MEM_FAULT); /* add */
	EXPECT_EQ(STEP("\x83\x3b\x01"), 0);		 /* cmp only reads */
	EXPECT_EQ(STEP("\x0f\xba\x23\x01"), 0);		 /* bt as well */
	EXPECT_EQ(STEP("\x0f\xba\x2b\x01"), EMUL_MEM_FAULT); /* bts */
}

TEST(bit_string)
{
	reset(32);
	cpu.gpr[GPR_RBX] = 0x200;
	cpu.gpr[GPR_RCX] = (u32)-33;	    /* bit 31 of the unit at -8 */
	EXPECT_EQ(STEP("\x0f\xab\x0b"), 0); /* bts [ebx], ecx */
	EXPECT_EQ(word_at(SEG_DS, 0x200 - 8), 0x80000000);
	cpu.gpr[GPR_RCX] = 0x10021; /* cx: bit 1 of the unit at +4 */
	EXPECT_EQ(STEP("\x66\x0f\xab\x0b"), 0);
	EXPECT_EQ(word_at(SEG_DS, 0x204), 2);
	EXPECT_EQ(STEP("\x0f\xba\x6b\x04\x21"), 0); /* bts [ebx+4], 33 */
	EXPECT_EQ(word_at(SEG_DS, 0x204), 2);
	EXPECT_EQ(cpu.rflags & RFLAGS_CF, RFLAGS_CF);
}

TEST(stack_16)
{
	reset(16);
	cpu.gpr[GPR_RSP] = 0x10000;
	cpu.gpr[GPR_RAX] = 0xabcd;
	EXPECT_EQ(STEP("\x50"), 0); /* push ax */
	EXPECT_EQ(cpu.gpr[GPR_RSP], 0x1fffe);
	EXPECT_EQ(word_at(SEG_SS, 0xfffe) & 0xffff, 0xabcd);
	EXPECT_EQ(STEP("\x5b"), 0); /* pop bx */
	EXPECT_EQ(cpu.gpr[GPR_RBX], 0xabcd);
	EXPECT_EQ(cpu.gpr[GPR_RSP], 0x10000);
	EXPECT_EQ(STEP("\xe8\xf0\xff"), 0); /* call back 10h */
	EXPECT_EQ(cpu.rip, 0x102 + 3 - 0x10);
	EXPECT_EQ(word_at(SEG_SS, 0xfffe) & 0xffff, 0x105);
	EXPECT_EQ(STEP("\xc2\x04\x00"), 0); /* ret 4 */
	EXPECT_EQ(cpu.rip, 0x105);
	EXPECT_EQ(cpu.gpr[GPR_RSP], 0x10004);
	cpu.stack_bits = 0; /* not known */
	EXPECT_EQ(STEP("\x50"), -ENOSYS);
}

TEST(jumps_16)
{
	reset(16);
	cpu.rip = 0xfff0;
	EXPECT_EQ(STEP("\xeb\x20"), 0);
	EXPECT_EQ(cpu.rip, 0x12);
	EXPECT_EQ(STEP("\x66\xe9\x00\x00\x01\x00"), 0);
	EXPECT_EQ(cpu.rip, 0x10018);
	reset(64);
	cpu.rip = 0x7ffffffffff0;
	EXPECT_EQ(STEP("\xeb\x7f"), -ENOSYS); /* not canonical: #GP */
}

TEST(indirect_branches)
{
	reset(64);
	cpu.gpr[GPR_RSP] = 0x80;
	cpu.gpr[GPR_RAX] = 0xffffffff81234567;
	EXPECT_EQ(STEP("\xff\xd0"), 0); /* call rax */
	EXPECT_EQ(cpu.rip, 0xffffffff81234567);
	EXPECT_EQ(cpu.gpr[GPR_RSP], 0x78);
	EXPECT_EQ(word_at(SEG_SS, 0x78), 0x102);
	store_le64(ram + SEG_DS * 0x1000 + 0x40, 0x5000);
	cpu.gpr[GPR_RBX] = 0x10;
	EXPECT_EQ(STEP("\xff\x63\x30"), 0); /* jmp [rbx+30h] */
	EXPECT_EQ(cpu.rip, 0x5000);
	cpu.gpr[GPR_RSP] = 0x48;
	store_le64(ram + SEG_SS * 0x1000 + 0x40, 0x6000);
	EXPECT_EQ(STEP("\xff\x54\x24\xf8"), 0); /* call [rsp-8]: read first */
	EXPECT_EQ(cpu.rip, 0x6000);
	EXPECT_EQ(word_at(SEG_SS, 0x40), 0x5004);
	cpu.gpr[GPR_RAX] = 0x800000000000;
	EXPECT_EQ(STEP("\xff\xe0"), -ENOSYS);	  /* not canonical: #GP */
	EXPECT_EQ(STEP("\x66\xff\xe0"), -ENOSYS); /* vendors differ */
	reset(16);
	cpu.gpr[GPR_RAX] = 0x12345678;
	EXPECT_EQ(STEP("\xff\xe0"), 0);
	EXPECT_EQ(cpu.rip, 0x5678);
}

TEST(nops_and_rf)
{
	reset(64);
	cpu.gpr[GPR_RAX] = ~0ULL;
	cpu.rflags |= RFLAGS_RF;
	EXPECT_EQ(STEP("\x90"), 0); /* not even the upper half */
	EXPECT_EQ(cpu.gpr[GPR_RAX], ~0ULL);
	EXPECT_EQ(cpu.rflags, 2);
	EXPECT_EQ(STEP("\xf3\x0f\x1e\xfa"), 0);
	EXPECT_EQ(STEP("\x66\x0f\x1f\x44\x00\x00"), 0);
	EXPECT_EQ(cpu.rip, 0x10b);
	EXPECT_EQ(STEP("\x0f\xae\xf0"), 0); /* mfence */
	EXPECT_EQ(STEP("\x0f\xae\x30"), -ENOSYS);
}

TEST(refusals)
{
	reset(32);
	EXPECT_EQ(STEP("\xf0\x89\x03"), -ENOSYS);     /* lock mov */
	EXPECT_EQ(STEP("\xf0\x01\xc3"), -ENOSYS);     /* lock add ebx, eax */
	EXPECT_EQ(STEP("\xf0\x83\x3b\x01"), -ENOSYS); /* lock cmp */
	EXPECT_EQ(STEP("\xf0\xa4"), -ENOSYS);
	EXPECT_EQ(STEP("\x0f\x0b"), -ENOSYS);		      /* ud2 */
	EXPECT_EQ(STEP("\xc7\xf8\x00\x00\x00\x00"), -ENOSYS); /* xbegin */
	EXPECT_EQ(STEP("\x8d\xc0"), -ENOSYS);	  /* lea of a register */
	EXPECT_EQ(STEP("\x63\x00"), -ENOSYS);	  /* arpl */
	EXPECT_EQ(STEP("\x0f\x10\x00"), -ENOSYS); /* movups */
	EXPECT_EQ(STEP("\x0f\xa2"), -ENOSYS);	  /* cpuid: decoded only */
	EXPECT_EQ(STEP("\xec"), -ENOSYS);	  /* in al, dx */
	EXPECT_EQ(STEP("\x8b"), -ERANGE);
	EXPECT_EQ(STEP("\x8b\x80\x00\x00"), -ERANGE);
	EXPECT_EQ(STEP(""), -ERANGE);
	EXPECT_EQ(STEP("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66"
		       "\x66\x66"),
		  -ENOSYS); /* #GP: 15 bytes and no end */
	EXPECT_EQ(cpu.rip, 0x100);
	reset(64);
	EXPECT_EQ(STEP("\x82\x00\x00"), -ENOSYS);
	EXPECT_EQ(STEP("\x06"), -ENOSYS);
}

#define DECODE(bits, code) \
	insn_decode(&in, (const u8 *)(code), sizeof(code) - 1, bits)

TEST(system_instructions)
{
	static const struct {
		enum insn_op op;
		u8 bits, length;
		u8 code[5];
	} cases[] = {
		{ INSN_CPUID, 64, 2, { 0x0f, 0xa2 } },
		{ INSN_CPUID, 64, 3, { 0x66, 0x0f, 0xa2 } },
		{ INSN_WRMSR, 16, 2, { 0x0f, 0x30 } },
		{ INSN_RDMSR, 32, 2, { 0x0f, 0x32, 0x90 } },
		{ INSN_VMMCALL, 64, 3, { 0x0f, 0x01, 0xd9 } },
		{ INSN_VMMCALL, 32, 4, { 0xf3, 0x0f, 0x01, 0xd9 } },
		{ INSN_SVM, 64, 3, { 0x0f, 0x01, 0xd8 } },
		{ INSN_SVM, 16, 5, { 0x67, 0x66, 0x0f, 0x01, 0xdf } },
		{ INSN_RDTSCP, 64, 3, { 0x0f, 0x01, 0xf9 } },
		{ INSN_INVD, 64, 2, { 0x0f, 0x08 } },
		{ INSN_IN, 64, 2, { 0xe4, 0x60 } },
		{ INSN_OUT, 32, 2, { 0x66, 0xef } },
		{ INSN_INS, 16, 4, { 0x67, 0xf3, 0x66, 0x6d } },
		{ INSN_OUTS, 64, 3, { 0xf3, 0x65, 0x6f } },
	};
	struct insn in;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		EXPECT_EQ(insn_decode(&in, cases[i].code, 5, cases[i].bits), 0);
		EXPECT_EQ(in.op, cases[i].op);
		EXPECT_EQ(in.length, cases[i].length);
	}
	EXPECT_EQ(DECODE(64, "\x0f\x01\xf8"), -ENOSYS); /* swapgs */
	EXPECT_EQ(DECODE(64, "\x0f\x01\xc1"), -ENOSYS); /* vmcall */
	EXPECT_EQ(DECODE(64, "\xf3\x0f\x01\xf9"), -ENOSYS);
	EXPECT_EQ(DECODE(64, "\xf0\x0f\x01\xd8"), -ENOSYS);
	EXPECT_EQ(DECODE(64, "\x0f\x01\x18"), -ENOSYS); /* lidt */
	EXPECT_EQ(DECODE(64, "\x0f"), -ERANGE);
}

TEST(operands_of_system_instructions)
{
	struct insn in;

	EXPECT_EQ(DECODE(16, "\x2e\x66\x6f"), 0);
	EXPECT_EQ(in.op, INSN_OUTS);
	EXPECT_EQ(in.mem.seg, SEG_CS);
	EXPECT_EQ(in.size, 4);
	EXPECT_EQ(in.addr_size, 2);
	EXPECT(!in.rep);
}

TEST_MAIN(CASE(addressing_16), CASE(addressing_16_wraps),
	  CASE(disp16_and_32_bit_operand), CASE(address_size_override),
	  CASE(segment_overrides), CASE(inc_dec_short_forms),
	  CASE(flags_by_hand), CASE(rep_movs_16), CASE(rep_backwards_wraps),
	  CASE(rep_zero), CASE(rep_in_chunks), CASE(rep_in_single_steps),
	  CASE(rep_fault_keeps_what_is_done), CASE(fault_changes_nothing),
	  CASE(rmw_probes_first), CASE(bit_string), CASE(stack_16),
	  CASE(jumps_16), CASE(indirect_branches), CASE(nops_and_rf),
	  CASE(refusals), CASE(system_instructions),
	  CASE(operands_of_system_instructions))

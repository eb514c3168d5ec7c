/*
 * Instructions whose access is trapped: stores to the local APIC's page, which
 * AMD-V has to watch with several CPUs, and string input from a hooked port.
 * What they do is printed, to be compared with the bare machine's.
 */
#include "kernel.h"

#define APIC	0xfee00000
#define LVT_ERR 0x370
/* In the first 2 MiB, mapped in 4-KiB pages: */
#define WINDOW	  0x40000 /* the APIC, and a page that is not there */
#define READ_ONLY 0x43000 /* the APIC */
#define BUFFER	  0x45000 /* RAM, and a page that is not there */
#define STATUS	  0x1f7

static bool odd; /* also where the APIC has no registers */
static u64 table[512] __attribute__((aligned(4096)));

static void map(void)
{
	for (u64 i = 0; i < 512; i++)
		table[i] = i << 12 | 7;
	table[SNIPPET / 4096 + 1] = 0;
	table[WINDOW / 4096] = APIC | 0x1f;
	table[WINDOW / 4096 + 1] = 0;
	table[READ_ONLY / 4096] = APIC | 0x1d;
	table[BUFFER / 4096 + 1] = 0;
	pds[0] = (u64)table | 7;
	__asm__ volatile("mov %%cr3, %%rax; mov %%rax, %%cr3\n\t"
			 "mov %%cr0, %%rax; bts $16, %%rax; mov %%rax, %%cr0"
			 :
			 :
			 : "rax"); /* WP: for ring 0, too */
}

struct insn {
	const char *name;
	u8 len, bytes[8];
};

/* With (%esi) or (%edi) as operand, in 32- and 64-bit code alike. */
static const struct insn known[] = {
	{ "mov-r32", 2, { 0x89, 0x06 } },
	{ "mov-imm", 6, { 0xc7, 0x06, 0x78, 0x56, 0x01, 0 } },
	{ "mov-disp", 3, { 0x89, 0x46, 0 } },
	{ "mov-sib", 3, { 0x89, 0x04, 0x26 } },
	{ "and", 2, { 0x21, 0x06 } },
	{ "or", 2, { 0x09, 0x06 } },
	{ "xor", 2, { 0x31, 0x06 } },
	{ "add", 2, { 0x01, 0x06 } },
	{ "adc", 2, { 0x11, 0x06 } },
	{ "sub", 2, { 0x29, 0x06 } },
	{ "sbb", 2, { 0x19, 0x06 } },
	{ "or-imm8", 3, { 0x83, 0x0e, 0x40 } },
	{ "and-imm32", 6, { 0x81, 0x26, 0xf0, 0xff, 0x01, 0 } },
	{ "lock-or", 3, { 0xf0, 0x09, 0x06 } },
	{ "xchg", 2, { 0x87, 0x06 } },
	{ "bts", 4, { 0x0f, 0xba, 0x2e, 0x05 } },
	{ "btr", 4, { 0x0f, 0xba, 0x36, 0x10 } },
	{ "btc", 4, { 0x0f, 0xba, 0x3e, 0x04 } },
	{ "inc", 2, { 0xff, 0x06 } },
	{ "dec", 2, { 0xff, 0x0e } },
	{ "not", 2, { 0xf7, 0x16 } },
	{ "neg", 2, { 0xf7, 0x1e } },
	{ "shl-cl", 2, { 0xd3, 0x26 } },
	{ "stos", 1, { 0xab } },
	{ "movs", 1, { 0xa5 } },
	{ "rep-stos", 2, { 0xf3, 0xab } },
	{ "cmp", 2, { 0x39, 0x06 } },
	{ "test", 2, { 0x85, 0x06 } },
	{ "movnti", 3, { 0x0f, 0xc3, 0x06 } },
	{ "movzx", 3, { 0x0f, 0xb7, 0x06 } },
	/* whose encoding is none, wherever they point */
	{ "ud2", 2, { 0x0f, 0x0b } },
};

/* Shoji has no executor for these: #UD. */
static const struct insn unknown[] = {
	{ "lock-mov", 3, { 0xf0, 0x89, 0x06 } },
	{ "xadd", 4, { 0xf0, 0x0f, 0xc1, 0x06 } },
	{ "cmpxchg", 4, { 0xf0, 0x0f, 0xb1, 0x0e } },
	{ "cmpxchg8b", 3, { 0x0f, 0xc7, 0x0e } },
	{ "sgdt", 3, { 0x0f, 0x01, 0x06 } },
	{ "fstp", 2, { 0xd9, 0x1e } },
	{ "rol", 2, { 0xd1, 0x06 } },
};

static u32 step(const struct insn *in, u32 mode, u32 ring, u64 at)
{
	static u32 source = 0x0001a5f0;

	for (int i = 0; i < 8; i++)
		run->gpr[i] = 0;
	run->gpr[RAX] = 0x000123f4;
	run->gpr[RCX] = 1;
	run->gpr[RSI] = at;
	run->gpr[RDI] = at;
	if (in->bytes[0] == 0xa5)
		run->gpr[RSI] = (u64)&source;
	*apic(LVT_ERR) = 0x000100f3;
	return run_code(mode, ring, in->bytes, in->len);
}

static void each(void)
{
	static const u32 modes[] = { MODE_PM32, MODE_PAE, MODE_COMPAT,
				     MODE_LONG };

	for (u32 m = 0; m < 4; m++)
		for (u32 ring = 0; ring < 2; ring++)
			for (u32 i = 0; i < sizeof(known) / sizeof(*known);
			     i++) {
				u32 v = step(&known[i], modes[m], ring,
					     APIC + LVT_ERR);

				say("@@ got insn %s %s %s lvt 0x%x eax 0x%x "
				    "flags 0x%lx rip 0x%lx edi 0x%lx\n",
				    known[i].name, mode_name(modes[m], ring),
				    vector_name(v), *apic(LVT_ERR),
				    (u32)run->gpr[RAX],
				    run->rflags & 0x8d5 /* status flags */,
				    run->rip, run->gpr[RDI]);
			}
}

static void no_executor(void)
{
	for (u32 i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
		u32 v = step(&unknown[i], MODE_LONG, 0, APIC + LVT_ERR);

		say("@@ unknown %s %s\n", unknown[i].name, vector_name(v));
	}
}

static void faulted(const char *word, const char *name)
{
	say("@@ %s fault %s %s error 0x%x rip 0x%lx", word, name,
	    vector_name(run->vector), run->error, run->rip);
	if (run->vector == PF)
		say(" cr2 0x%lx", run->cr2);
	say(" ecx 0x%x esi 0x%x edi 0x%x\n", (u32)run->gpr[RCX],
	    (u32)run->gpr[RSI], (u32)run->gpr[RDI]);
}

static void fault(const char *name)
{
	faulted("got", name);
}

static void registers(u64 rsi, u64 rdi, u64 rcx)
{
	for (int i = 0; i < 8; i++)
		run->gpr[i] = 0;
	run->gpr[RSI] = rsi;
	run->gpr[RDI] = rdi;
	run->gpr[RCX] = rcx;
	run->gpr[RDX] = STATUS;
}

#define RUN_CODE(mode, ring, ...)                           \
	({                                                  \
		static const u8 code_[] = { __VA_ARGS__ };  \
		run_code(mode, ring, code_, sizeof(code_)); \
	})

/* An instruction of 6 bytes of which @n are on the page that is there. */
static void cut_off(u32 n)
{
	static const u8 code[] = { 0xc7, 0x06, 0, 0, 1, 0 };
	u64 at = SNIPPET + 0x1000 - n;

	memcpy((void *)at, code, n);
	registers(APIC + LVT_ERR, 0, 0);
	run_at(MODE_LONG, 0, at);
	fault("cut-off");
}

static void pages(void)
{
	for (u32 n = 1; n < 6; n++)
		cut_off(n);
	for (u32 ring = 0; ring < 2; ring++) {
		registers(WINDOW + 0xffe, 0, 0);
		RUN_CODE(MODE_LONG, ring, 0x89, 0x06);
		fault("store-across");
		registers(READ_ONLY + LVT_ERR, 0, 0);
		RUN_CODE(MODE_LONG, ring, 0x89, 0x06);
		fault("read-only");
		if (!odd)
			continue;
		registers(0, WINDOW + 0xff0, 8);
		RUN_CODE(MODE_LONG, ring, 0xf3, 0xab);
		fault("rep-stos-across");
		registers(BUFFER + 0xff8, WINDOW + 0xf00, 8);
		RUN_CODE(MODE_LONG, ring, 0xf3, 0xa5);
		fault("rep-movs-across");
	}
	registers(0x800000000000 - 2, 0, 0);
	RUN_CODE(MODE_LONG, 0, 0x89, 0x06);
	fault("not-canonical");
}

/* INS and OUTS: the port is hooked, the memory is not there. */
static void strings(void)
{
	registers(0, BUFFER + 0xff0, 32);
	RUN_CODE(MODE_LONG, 0, 0xf3, 0x6c);
	fault("insb-across");
	registers(0, BUFFER + 0xfff, 2);
	RUN_CODE(MODE_LONG, 0, 0xf3, 0x66, 0x6d);
	fault("insw-across");
	registers(0, READ_ONLY, 2);
	RUN_CODE(MODE_LONG, 0, 0xf3, 0x6c);
	fault("ins-read-only");
	registers(0, 0x800000000000 - 1, 2);
	RUN_CODE(MODE_LONG, 0, 0xf3, 0x6c);
	fault("ins-not-canonical");
	registers(0, BUFFER, 2);
	RUN_CODE(MODE_LONG, 1, 0xf3, 0x6c);
	fault("ins-user"); /* IOPL */
	registers(0, BUFFER + 4, 3);
	RUN_CODE(MODE_LONG, 0, 0xfd, 0xf3, 0x6c);
	fault("ins-down");
	registers(0, BUFFER + 0x3, 0);
	RUN_CODE(MODE_LONG, 0, 0xf3, 0x6c);
	fault("ins-none");
	registers(0, 0x1200000000 | BUFFER, 2);
	RUN_CODE(MODE_LONG, 0, 0xf3, 0x67, 0x6c);
	fault("ins-addr32");

	/* a segment of 16 bytes, a null one, one that is not writable */
	gdt[SEL_FREE / 8] = 0x004093000000000fULL | (u64)BUFFER << 16;
	gdt[SEL_FREE / 8 + 1] = 0x004091000000000fULL | (u64)BUFFER << 16;
	registers(0, 8, 32);
	run->gpr[RAX] = SEL_FREE;
	RUN_CODE(MODE_PM32, 0, 0x8e, 0xc0, 0xf3, 0x6c);
	faulted("segment", "ins-limit");
	registers(0, 8, 32);
	RUN_CODE(MODE_PM32, 0, 0x8e, 0xc0, 0xf3, 0x6c);
	faulted("segment", "ins-null");
	registers(0, 8, 2);
	run->gpr[RAX] = SEL_FREE + 8;
	RUN_CODE(MODE_PM32, 0, 0x8e, 0xc0, 0xf3, 0x6c);
	faulted("segment", "ins-no-write");
	registers(0, 0xfffe, 4);
	RUN_CODE(MODE_REAL, 0, 0xf3, 0x6c);
	fault("ins-wraps");
	registers(0, 0xffff, 1);
	RUN_CODE(MODE_REAL, 0, 0x6d);
	fault("insw-at-64k");
}

/* ---- in single steps ---- */

/* Behind MOV SS, too, which holds the trap off for one instruction. */
static void steps(void)
{
	static const struct insn list[] = {
		{ "cpuid", 2, { 0x0f, 0xa2 } },
		{ "shadow-cpuid", 4, { 0x8e, 0xd3, 0x0f, 0xa2 } },
		{ "shadow-vmcall", 5, { 0x8e, 0xd3, 0x0f, 0x01, 0xc1 } },
		{ "shadow-store", 4, { 0x8e, 0xd3, 0x89, 0x06 } },
	};
	u64 dr6;

	for (u32 m = 0; m < MODES; m++)
		for (u32 ring = 0; ring < (m == MODE_REAL ? 1 : 2); ring++)
			for (u32 i = 0; i < 4; i++) {
				u32 v;

				registers(m == MODE_REAL ? 0x800
							 : APIC + LVT_ERR,
					  0, 0);
				run->gpr[RAX] = 0x000100f3;
				run->gpr[RBX] = m == MODE_REAL ? 0
						: ring	       ? SEL_USERDS
							       : SEL_DATA;
				memcpy((void *)SNIPPET, list[i].bytes,
				       list[i].len);
				memset((u8 *)SNIPPET + list[i].len, 0x90, 2);
				run->mode = m;
				run->ring = ring;
				run->rip = m == MODE_REAL ? 0 : SNIPPET;
				run->rflags = 0x102;
				__asm__ volatile("mov %0, %%dr6" ::"r"(0UL));
				mode_enter();
				v = run->vector;
				__asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
				say("@@ got step %s %s %s rip 0x%lx "
				    "dr6 0x%lx\n",
				    list[i].name, mode_name(m, ring),
				    vector_name(v), run->rip, dr6);
			}
}

/* ---- while another CPU changes the instruction ---- */

static volatile u32 changing;

static void ap_change(void)
{
	/* the last two point elsewhere in the APIC */
	static const u8 second[] = { 0x06, 0x0e, 0xc0, 0x36, 0x46, 0x04 };
	volatile u8 *at = (volatile u8 *)SNIPPET;
	u32 n = 0, choices = odd ? 6 : 4;

	while (changing) {
		at[1] = second[n++ % choices];
		if (!(n % 7))
			at[0] = n % 2 ? 0x89 : 0x0f;
		if (!(n % 11))
			at[0] = 0x89;
	}
}

static void changed(u32 count)
{
	static const struct insn mov = { "mov", 2, { 0x89, 0x06 } };
	u32 other = 0;

	if (!ap_start(ap_change)) {
		check(false, "changing", "the AP does not start");
		return;
	}
	changing = 1;
	while (count--) {
		u32 v = step(&mov, MODE_LONG, 0, APIC + LVT_ERR);

		other += v != DONE && v != UD && v != PF && v != GP;
	}
	changing = 0;
	check(!other, "changing", "%u other faults", other);
}

void test_insn(void)
{
	odd = option("odd", 1);
	each();
	if (option("unknown", 0))
		no_executor();
	map();
	pages();
	strings();
	steps();
	if (option("change", 0))
		changed((u32)option("change", 0));
}

/* Every instruction of VMX and SVM, in every mode, the bits that would switch
 * them on, and the memory type of what Shoji lies in. */
#include "kernel.h"

static const struct insn {
	const char *name;
	u8 len, bytes[5];
} insns[] = {
	{ "vmcall", 3, { 0x0f, 0x01, 0xc1 } },
	{ "vmlaunch", 3, { 0x0f, 0x01, 0xc2 } },
	{ "vmresume", 3, { 0x0f, 0x01, 0xc3 } },
	{ "vmxoff", 3, { 0x0f, 0x01, 0xc4 } },
	{ "vmfunc", 3, { 0x0f, 0x01, 0xd4 } },
	{ "vmxon", 4, { 0xf3, 0x0f, 0xc7, 0x30 } },
	{ "vmptrld", 3, { 0x0f, 0xc7, 0x30 } },
	{ "vmptrst", 3, { 0x0f, 0xc7, 0x38 } },
	{ "vmclear", 4, { 0x66, 0x0f, 0xc7, 0x30 } },
	{ "vmread", 3, { 0x0f, 0x78, 0xc0 } },
	{ "vmwrite", 3, { 0x0f, 0x79, 0xc0 } },
	{ "invept", 5, { 0x66, 0x0f, 0x38, 0x80, 0x00 } },
	{ "invvpid", 5, { 0x66, 0x0f, 0x38, 0x81, 0x00 } },
	{ "getsec", 2, { 0x0f, 0x37 } },
	{ "vmrun", 3, { 0x0f, 0x01, 0xd8 } },
	{ "vmmcall", 3, { 0x0f, 0x01, 0xd9 } },
	{ "vmload", 3, { 0x0f, 0x01, 0xda } },
	{ "vmsave", 3, { 0x0f, 0x01, 0xdb } },
	{ "stgi", 3, { 0x0f, 0x01, 0xdc } },
	{ "clgi", 3, { 0x0f, 0x01, 0xdd } },
	{ "skinit", 3, { 0x0f, 0x01, 0xde } },
	{ "invlpga", 3, { 0x0f, 0x01, 0xdf } },
	{ "rsm", 2, { 0x0f, 0xaa } },
};

static void one_mode(u32 mode, u32 ring)
{
	const size_t count = sizeof(insns) / sizeof(*insns);
	u32 good = 0;

	for (size_t i = 0; i < count; i++) {
		u32 vector;

		for (int r = 0; r < 8; r++)
			run->gpr[r] = 0;
		run->gpr[RAX] = SNIPPET + 0x800;
		vector = run_code(mode, ring, insns[i].bytes, insns[i].len);
		/* the fault is the instruction's, with RIP at it */
		if (vector == UD &&
		    run->rip == (mode == MODE_REAL ? 0 : SNIPPET))
			good++;
		else
			say("%s in %s: %s, rip 0x%lx\n", insns[i].name,
			    mode_name(mode, ring), vector_name(vector),
			    run->rip);
	}
	check(good == count, mode_name(mode, ring), "%u of %lu give #UD", good,
	      count);
}

static void refused(const char *name, u32 vector)
{
	check(vector == GP, name, "%s", vector_name(vector));
}

/* MOV to CR4 of what it is and @bits. */
static u32 set_cr4(u64 bits)
{
	static const u8 code[] = {
		0x0f, 0x20, 0xe0, /* mov %cr4, %rax */
		0x48, 0x09, 0xc8, /* or %rcx, %rax */
		0x0f, 0x22, 0xe0, /* mov %rax, %cr4 */
	};

	run->gpr[RCX] = bits;
	run->gpr[RSP] = 0;
	return run_code(MODE_LONG, 0, code, sizeof(code));
}

/* The last variable MTRR, of all memory, Shoji's too. */
static void write_combining(void)
{
	u64 base, mask, after;

	rdmsr_try(0x20e, &base);
	rdmsr_try(0x20f, &mask);
	check(wrmsr_try(0x20e, 1) == DONE, "mtrr-base", "refused");
	refused("mtrr-write-combining", wrmsr_try(0x20f, 0x800));
	rdmsr_try(0x20f, &after);
	check(after == mask, "mtrr-after", "0x%lx", after);
	check(wrmsr_try(0x20e, 0) == DONE, "mtrr-base", "refused");
	check(wrmsr_try(0x20f, 0x800) == DONE, "mtrr-uncached", "refused");
	wrmsr_try(0x20f, mask);
	wrmsr_try(0x20e, base);
}

void test_virt(void)
{
	u64 efer, value;
	u32 r[4];
	bool intel;

	cpuid(0, 0, r);
	intel = r[1] == 0x756e6547;
	for (u32 mode = 0; mode < MODES; mode++)
		for (u32 ring = 0; ring < (mode == MODE_REAL ? 1 : 2); ring++)
			one_mode(mode, ring);

	cpuid(1, 0, r);
	check(!(r[2] & (1 << 5 | 1 << 6)), "cpuid-vmx", "ecx 0x%x", r[2]);
	cpuid(0x80000001, 0, r);
	check(!(r[2] & (1 << 2 | 1 << 12)), "cpuid-svm", "ecx 0x%x", r[2]);
	cpuid(0x80000000, 0, r);
	if (r[0] >= 0x8000000a && !intel) {
		cpuid(0x8000000a, 0, r);
		check(!(r[0] | r[1] | r[2] | r[3]), "cpuid-svm-leaf", "0x%x",
		      r[0]);
	}
	/* AMD-V leaves CR4 to the guest: there the CPU itself decides. */
	if (intel) {
		refused("cr4-vmxe", set_cr4(1 << 13));
		refused("cr4-smxe", set_cr4(1 << 14));
	}
	write_combining();
	rdmsr_try(0xc0000080, &efer);
	check(!(efer & 0x1000), "efer-reads-off", "0x%lx", efer);
	refused("efer-svme", wrmsr_try(0xc0000080, efer | 0x1000));
	if (!intel) {
		refused("hsave-read", rdmsr_try(0xc0010117, &value));
		refused("hsave-write", wrmsr_try(0xc0010117, 0));
		rdmsr_try(0xc0010114, &value);
		check((value & 0x18) == 0x18, "vm-cr", "0x%lx", value);
		refused("vm-cr-write", wrmsr_try(0xc0010114, 0));
		return;
	}
	rdmsr_try(0x3a, &value);
	check(value == 1, "feature-control", "0x%lx", value);
	refused("feature-control-write", wrmsr_try(0x3a, 5));
	for (u32 m = 0x480; m < 0x492; m++)
		if (rdmsr_try(m, &value) != GP)
			check(false, "vmx-msr", "0x%x is there", m);
}

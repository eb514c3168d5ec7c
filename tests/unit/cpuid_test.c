/*
 * What CPUID shows the guest: the CPU, but for virtualisation.
 * units: tests/unit/fake_guest.c core/virt/cpuid.c core/virt/run.c core/virt/insn.c core/mm/walk.c core/emul/decode.c core/emul/exec.c core/emul/flow.c core/emul/string.c
 * libs: -include tests/unit/fake_guest.h
 */
#include "core/arch/regs.h"
#include "tests/unit/test.h"

/* A CPU that has all there is. */
struct cpuid cpuid_count(u32 leaf, u32 subleaf)
{
	return (struct cpuid){ ~0U, ~0U, ~0U, ~0U };
}

static u64 cr4;

static struct cpuid ask(u32 leaf, u32 subleaf)
{
	const struct vmexit exit = { .insn_len = 2 };
	struct vcpu *v = fake_start();

	fake_mode(v, 64, 3);
	fake.reg[0][VREG_CR4] = cr4;
	v->gpr[GPR_RAX] = 0x1100000000 | leaf;
	v->gpr[GPR_RCX] = 0x2200000000 | subleaf;
	guest_cpuid(v, &exit);
	EXPECT_EQ(v->rip, 0x1002);
	EXPECT(!(v->gpr[GPR_RAX] >> 32 | v->gpr[GPR_RCX] >> 32));
	return (struct cpuid){ v->gpr[GPR_RAX], v->gpr[GPR_RBX],
			       v->gpr[GPR_RCX], v->gpr[GPR_RDX] };
}

TEST(hides)
{
	EXPECT_EQ(~ask(1, 0).ecx, 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 27);
	EXPECT_EQ(~ask(1, 0).edx, 1 << 21);
	EXPECT_EQ(~ask(7, 0).ebx, 1 << 25);
	EXPECT_EQ(ask(0x14, 1).eax, 0);
	EXPECT_EQ(~ask(0x80000001, 0).ecx, 1 << 2 | 1 << 12);
	EXPECT_EQ(~ask(0x80000008, 0).ebx, 1 << 3);
	EXPECT_EQ(ask(0x8000000a, 0).edx, 0);
	EXPECT_EQ(ask(0x8000001f, 0).eax, 0);
}

/* Supervisor state of processor trace; what has this bit elsewhere stays. */
TEST(hides_trace_state)
{
	EXPECT_EQ(~ask(0xd, 1).ecx, 1 << 8);
	EXPECT_EQ(ask(0xd, 0).ecx, ~0U);
	EXPECT_EQ(ask(0xd, 2).ecx, ~0U);
}

/* What would not work in a guest. */
TEST(hides_events_and_lists)
{
	EXPECT_EQ(~ask(7, 1).eax, 1 << 17 | 1 << 27);
	EXPECT_EQ(ask(7, 1).ebx, ~0U);
	EXPECT_EQ(ask(7, 0).eax, ~0U);
	EXPECT_EQ(~ask(0x23, 0).eax, 1 << 4 | 1 << 5);
	EXPECT_EQ(ask(0x23, 1).eax, ~0U);
	EXPECT_EQ(ask(0x23, 4).ebx, 0);
	EXPECT_EQ(ask(0x23, 5).eax, 0);
}

TEST(mirrors_cr4)
{
	cr4 = CR4_OSXSAVE | CR4_PKE;
	EXPECT_EQ(ask(1, 0).ecx >> 27 & 1, 1);
	EXPECT_EQ(ask(7, 0).ecx >> 4 & 1, 1);
	cr4 = 0;
	EXPECT_EQ(ask(1, 0).ecx >> 27 & 1, 0);
	EXPECT_EQ(ask(7, 0).ecx >> 4 & 1, 0);
	EXPECT_EQ(ask(7, 1).ecx >> 4 & 1, 1);
}

TEST_MAIN(CASE(hides), CASE(hides_trace_state), CASE(hides_events_and_lists),
	  CASE(mirrors_cr4))

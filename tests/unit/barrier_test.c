/*
 * What is flushed between the guest and programs.
 * units: core/program/barrier.c
 * libs: -include tests/unit/fake_barrier.h
 */
#include "core/arch/cpuid.h"
#include "core/arch/msr.h"
#include "core/arch/x86.h"
#include "core/program/barrier.h"
#include "tests/unit/test.h"

static struct {
	u32 last;	 /* basic leaf */
	u32 seven, ibpb; /* EDX of 7, EBX of 80000008h */
	u32 ibpbs, l1ds, verws, fninits;
} cpu;

struct cpuid cpuid(u32 leaf)
{
	switch (leaf) {
	case CPUID_VENDOR:
		return (struct cpuid){ .eax = cpu.last };
	case CPUID_STRUCTURED:
		/* past the last: what the last says, on Intel's */
		return (struct cpuid){ .edx = cpu.last < 7 ? ~0U : cpu.seven };
	case CPUID_EXT_MAX:
		return (struct cpuid){ .eax = 0x80000008 };
	case CPUID_ADDR_SIZES:
		return (struct cpuid){ .ebx = cpu.ibpb };
	}
	return (struct cpuid){ 0 };
}

void wrmsr(u32 index, u64 value)
{
	EXPECT_EQ(value, 1);
	cpu.ibpbs += index == MSR_PRED_CMD;
	cpu.l1ds += index == MSR_FLUSH_CMD;
}

void verw(u16 selector)
{
	EXPECT_EQ(selector, 0x10);
	cpu.verws++;
}

void fninit(void)
{
	cpu.fninits++;
}

static void start(u32 last, u32 seven, u32 ibpb)
{
	cpu.last = last;
	cpu.seven = seven;
	cpu.ibpb = ibpb;
	barrier_init();
	cpu.ibpbs = cpu.l1ds = cpu.verws = cpu.fninits = 0;
}

static void expect(u32 ibpbs, u32 l1ds, u32 verws)
{
	barrier_switch();
	EXPECT_EQ(cpu.ibpbs, ibpbs);
	EXPECT_EQ(cpu.l1ds, l1ds);
	EXPECT_EQ(cpu.verws, verws);
	EXPECT_EQ(cpu.fninits, 1);
}

TEST(what_the_cpu_has)
{
	start(0xd, 0, 0);
	expect(0, 0, 0);
	start(0xd, 1U << 26, 0);
	expect(1, 0, 0);
	start(0xd, 0, 1U << 12);
	expect(1, 0, 0);
	start(0xd, 1U << 28, 0);
	expect(0, 1, 0);
	start(0xd, 1U << 10, 0);
	expect(0, 0, 1);
	start(6, 0, 0);
	expect(0, 0, 0);
}

/* IA32_MISC_ENABLE can take leaves away; AMD's CPUs let bits be written. */
TEST(whatever_the_guest_makes_of_cpuid)
{
	start(0xd, 1U << 10 | 1U << 26 | 1U << 28, 0);
	cpu.last = 3;
	expect(1, 1, 1);
	start(0xd, 0, 0);
	cpu.seven = ~0U;
	expect(0, 0, 0);
}

TEST_MAIN(CASE(what_the_cpu_has), CASE(whatever_the_guest_makes_of_cpuid))

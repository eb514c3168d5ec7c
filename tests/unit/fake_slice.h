/*
 * Stands in for core/arch/x86.h in tests of core/program/run.c and load.c: time
 * is a variable of the test, a tick is a nanosecond.
 */
#ifndef CORE_ARCH_X86_H
#define CORE_ARCH_X86_H

#include "core/lib/types.h"

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

extern u64 fake_now;

static inline u64 rdtsc(void)
{
	return fake_now;
}

static inline struct cpuid cpuid_count(u32 leaf, u32 index)
{
	(void)leaf;
	(void)index;
	return (struct cpuid){ ~0U, ~0U, ~0U, ~0U };
}

/* Another CPU gets on. */
void cpu_pause(void);

#endif

/*
 * Stands in for core/arch/x86.h in the test of core/program/barrier.c ("libs:
 * -include tests/unit/fake_barrier.h"): CPUID and the means are the test's.
 */
#ifndef CORE_ARCH_X86_H
#define CORE_ARCH_X86_H

#include "core/lib/types.h"

struct cpuid {
	u32 eax, ebx, ecx, edx;
};
struct cpuid cpuid(u32 leaf);
void wrmsr(u32 index, u64 value);
void verw(u16 selector);
void fninit(void);

#endif

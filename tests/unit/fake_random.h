/*
 * Stands in for core/arch/x86.h in tests of core/program/random.c ("libs:
 * -include tests/unit/fake_random.h"): the CPU's generators are the test's.
 */
#ifndef CORE_ARCH_X86_H
#define CORE_ARCH_X86_H

#include "core/lib/types.h"

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

struct cpuid cpuid(u32 leaf);
bool rdrand64(u64 *v);
bool rdseed64(u64 *v);
u64 rdtsc(void);

#endif

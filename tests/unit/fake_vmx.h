/*
 * Stands in for core/arch/x86.h in tests of core/virt/vmx: registers, MSRs,
 * CPUID and the current VMCS are variables of the test.
 */
#ifndef CORE_ARCH_X86_H
#define CORE_ARCH_X86_H

#include "core/lib/types.h"

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

struct fake {
	u64 vmcs[0x8000];
	u64 msr[0x1000];
	u64 cr0, cr2, dr6;
	struct cpuid features;
	u32 maxphyaddr;
	u32 invepts, invvpids;
	u64 invept_type;
};
extern struct fake fake;

static inline u64 vmread(u64 field)
{
	return fake.vmcs[field];
}

static inline bool vmwrite(u64 field, u64 value)
{
	fake.vmcs[field] = value;
	return true;
}

static inline u64 rdmsr(u32 index)
{
	return fake.msr[index];
}

static inline struct cpuid cpuid(u32 leaf)
{
	if (leaf == 0x80000008)
		return (struct cpuid){ .eax = fake.maxphyaddr };
	return fake.features;
}

static inline u64 read_cr0(void)
{
	return fake.cr0;
}

static inline void write_cr0(u64 v)
{
	fake.cr0 = v;
}

static inline u64 read_cr2(void)
{
	return fake.cr2;
}

static inline void write_cr2(u64 v)
{
	fake.cr2 = v;
}

static inline u64 read_dr6(void)
{
	return fake.dr6;
}

static inline void write_dr6(u64 v)
{
	fake.dr6 = v;
}

static inline bool invept(u64 type, u64 eptp)
{
	fake.invepts++;
	fake.invept_type = type;
	(void)eptp;
	return true;
}

static inline bool invvpid(u64 type, u16 vpid, u64 linear)
{
	fake.invvpids++;
	(void)type;
	(void)vpid;
	(void)linear;
	return true;
}

#endif

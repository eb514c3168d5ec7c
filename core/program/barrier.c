#include "core/program/barrier.h"

#include "core/arch/cpuid.h"
#include "core/arch/msr.h"
#include "core/arch/x86.h"
#include "core/cpu/cpu.h"

enum {
	HAVE_IBPB = 1,
	HAVE_VERW = 2,
	HAVE_L1D = 4,
};

static u32 have; /* the same for all CPUs */

void barrier_init(void)
{
	u32 edx = 0;

	have = 0;
	if (cpuid(CPUID_VENDOR).eax >= CPUID_STRUCTURED)
		edx = cpuid(CPUID_STRUCTURED).edx;
	if (edx & CPUID_07_EDX_IBPB ||
	    (cpuid(CPUID_EXT_MAX).eax >= CPUID_ADDR_SIZES &&
	     cpuid(CPUID_ADDR_SIZES).ebx & CPUID_80000008_EBX_IBPB))
		have |= HAVE_IBPB;
	if (edx & CPUID_07_EDX_MD_CLEAR)
		have |= HAVE_VERW;
	if (edx & CPUID_07_EDX_L1D_FLUSH)
		have |= HAVE_L1D;
}

void barrier_switch(void)
{
	/* AMD's XRSTOR leaves x87's pointers if no exception is pending */
	fninit();
	if (have & HAVE_IBPB)
		wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
	if (have & HAVE_L1D)
		wrmsr(MSR_FLUSH_CMD, FLUSH_CMD_L1D);
	if (have & HAVE_VERW)
		verw(CPU_DS);
}

#include "core/cpu/fpu.h"

#include "core/arch/cpuid.h"
#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/cpu/cpu.h"
#include "core/lib/bytes.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/mm/pool.h"

#define MXCSR_INIT  0x1f80
#define FXSAVE_SIZE 512
#define FCW_INIT    0x37f
#define XCR0_AVX512 (XCR0_OPMASK | XCR0_ZMM_HI256 | XCR0_HI16_ZMM)

/* The same on every CPU; written by each of them with the same values. */
static u64 host_xcr0; /* 0: no XSAVE, FXSAVE is used */
static bool have_xsavec;
static u32 host_size = FXSAVE_SIZE;

u64 fpu_xcr0_mask(u64 supported)
{
	u64 mask = supported & (XCR0_X87 | XCR0_SSE | XCR0_AVX);

	/* All three or none, and only with AVX (SDM vol. 1, 13.3). */
	if ((supported & XCR0_AVX512) == XCR0_AVX512 && (mask & XCR0_AVX))
		mask |= XCR0_AVX512;
	return mask;
}

/* The bytes of the standard form, which is never shorter than the compacted
 * one for the same components. */
static u32 area_size(void)
{
	struct cpuid id = cpuid_count(CPUID_XSTATE, 0);
	u64 xcr0 = xgetbv(0);
	u32 size;

	host_xcr0 = fpu_xcr0_mask((u64)id.edx << 32 | id.eax);
	have_xsavec = cpuid_count(CPUID_XSTATE, 1).eax & CPUID_0D1_EAX_XSAVEC;
	xsetbv(0, host_xcr0);
	size = cpuid_count(CPUID_XSTATE, 0).ebx;
	xsetbv(0, xcr0);
	return size;
}

int fpu_init(struct cpu *c)
{
	write_cr0((read_cr0() | CR0_MP | CR0_NE) & ~(CR0_EM | CR0_TS));
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
	if (cpuid(CPUID_FEATURES).ecx & CPUID_01_ECX_XSAVE) {
		write_cr4(read_cr4() | CR4_OSXSAVE);
		host_size = area_size();
	}
	c->fpu_area = pool_alloc(align_up(host_size, PAGE_SIZE) / PAGE_SIZE);
	return c->fpu_area ? 0 : -ENOMEM;
}

/* What the guest has on stays on: nothing of it may be lost by switching it
 * off, and most guests then need no XSETBV at all. */
void fpu_begin(void)
{
	struct cpu *c = cpu_self();

	if (!host_xcr0) {
		fxsave64(c->fpu_area);
	} else {
		c->guest_xcr0 = xgetbv(0);
		if (host_xcr0 & ~c->guest_xcr0)
			xsetbv(0, c->guest_xcr0 | host_xcr0);
		if (have_xsavec)
			xsavec64(c->fpu_area, host_xcr0);
		else
			xsave64(c->fpu_area, host_xcr0);
	}
	ldmxcsr(MXCSR_INIT);
}

/* Restoring overwrites every register that crypto could have used, so no
 * round key stays in one; a component that was in its initial state goes back
 * to it (SDM vol. 1, 13.8). */
void fpu_end(void)
{
	struct cpu *c = cpu_self();

	if (!host_xcr0) {
		fxrstor64(c->fpu_area);
		return;
	}
	xrstor64(c->fpu_area, host_xcr0);
	if (xgetbv(0) != c->guest_xcr0)
		xsetbv(0, c->guest_xcr0);
}

u32 fpu_size(void)
{
	return host_size;
}

/* An XSAVE header of zeros stands for the initial state, but MXCSR is loaded in
 * any case (SDM vol. 1, 13.8.1); without XSAVE so is FCW. */
void fpu_reset(void *area)
{
	u8 *p = memset(area, 0, host_size);

	store_le16(p, FCW_INIT);
	store_le32(p + 24, MXCSR_INIT);
}

void fpu_load(const void *area)
{
	if (!host_xcr0) {
		fxrstor64(area);
		return;
	}
	if (xgetbv(0) != host_xcr0)
		xsetbv(0, host_xcr0);
	xrstor64(area, host_xcr0);
}

void fpu_save(void *area)
{
	if (host_xcr0)
		xsave64(area, host_xcr0);
	else
		fxsave64(area);
}

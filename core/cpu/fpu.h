/*
 * The extended state around crypto. Between fpu_begin and fpu_end the code may
 * use SSE and AVX; what the guest owns (all components, its XCR0, MXCSR) is
 * saved before and put back after. Once per request, not per sector. Not in
 * NMI or #MC handlers; the two do not nest.
 *
 * Code that looks at CPUID.OSXSAVE and XCR0 to choose its instructions
 * (OPENSSL_cpuid_setup) must do so between the two.
 */
#ifndef CORE_CPU_FPU_H
#define CORE_CPU_FPU_H

#include "core/lib/types.h"

struct cpu;

void fpu_begin(void);
void fpu_end(void);

/*
 * A program's own extended state, between fpu_begin and fpu_end: an area of
 * fpu_size() bytes, 64-byte aligned, that fpu_reset() has filled in. fpu_load()
 * also switches off the components that are not in it, so that nothing of the
 * guest is left within reach.
 */
u32 fpu_size(void);
void fpu_reset(void *area);
void fpu_load(const void *area);
void fpu_save(void *area);

/* On each CPU, once: switches the instructions on in CR0 and CR4 and gives
 * @c its save area. -ENOMEM. */
int fpu_init(struct cpu *c) must_check;

/* The components of XCR0 (of those in @supported, CPUID 0Dh) that crypto may
 * use and that are saved around it. Pure. */
u64 fpu_xcr0_mask(u64 supported);

#endif

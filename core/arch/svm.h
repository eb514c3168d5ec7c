/* The SVM instructions that a host uses (APM vol. 3). */
#ifndef CORE_ARCH_SVM_H
#define CORE_ARCH_SVM_H

#include "core/lib/types.h"

static inline void clgi(void)
{
	asm volatile("clgi" ::: "memory");
}

/* Lets pending NMIs and INITs reach the host. */
static inline void stgi(void)
{
	asm volatile("stgi" ::: "memory");
}

/* FS, GS, TR, LDTR with their hidden parts, KernelGSBase, STAR, LSTAR, CSTAR,
 * SFMASK and the SYSENTER MSRs, to the VMCB at @pa. */
static inline void vmsave(hpa_t pa)
{
	asm volatile("vmsave" ::"a"(pa) : "memory");
}

#endif

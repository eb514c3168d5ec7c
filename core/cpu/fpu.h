/*
 * The extended state around crypto. Between fpu_begin and fpu_end the code may
 * use SSE and AVX; what the guest owns (all components, its XCR0, MXCSR) is
 * saved before and put back after. Once per request, not per sector. Not in
 * NMI or #MC handlers; the two do not nest.
 */
#ifndef CORE_CPU_FPU_H
#define CORE_CPU_FPU_H

void fpu_begin(void);
void fpu_end(void);

#endif

/* Between two that must not learn of each other by what the CPU predicts or
 * still has in its buffers: a program, another one, and the guest. */
#ifndef CORE_PROGRAM_BARRIER_H
#define CORE_PROGRAM_BARRIER_H

/* Once, before the guest runs: it may change what CPUID says. */
void barrier_init(void);

/* As far as this CPU has the means: IBPB, VERW, a flush of the L1 cache. The
 * extended state is to be loaded after it. */
void barrier_switch(void);

#endif

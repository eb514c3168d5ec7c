/* Time since Shoji's start, by the TSC, whose rate is measured once against the
 * PIT. */
#ifndef CORE_CPU_CLOCK_H
#define CORE_CPU_CLOCK_H

#include "core/lib/types.h"

/* Before the guest runs (it uses core/cpu/time.h); takes 20 ms. */
void clock_init(void);

/* 0 without clock_init(). The same on all CPUs as far as their TSCs are. */
u64 clock_ns(void);

/* Differences of the TSC. */
u64 clock_to_ns(u64 ticks);
u64 clock_to_ticks(u64 ns);

#endif

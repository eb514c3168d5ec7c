/* Waiting without the TSC, whose rate nobody tells us. */
#ifndef CORE_CPU_TIME_H
#define CORE_CPU_TIME_H

#include "core/lib/types.h"

/*
 * At least @us microseconds, by channel 2 of the PIT (the speaker's), which is
 * left stopped. Only before the guest runs or when it never will again. On a
 * machine without a PIT it still ends, after that many port reads.
 */
void delay_us(u32 us);

#endif

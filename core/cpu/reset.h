/* A real reset of the machine. */
#ifndef CORE_CPU_RESET_H
#define CORE_CPU_RESET_H

#include "core/lib/types.h"

/* By the chipset's reset port, the keyboard controller, a triple fault: the
 * first that works. From any CPU, in any state. */
noreturn void machine_reset(void);

#endif

/*
 * The end: our own invariant broke. Never reachable by anything a guest,
 * disk, wire or card does. Stops all CPUs, prints cause and call trace, wipes
 * the keys, then stops or reboots as configured.
 */
#ifndef CORE_LIB_PANIC_H
#define CORE_LIB_PANIC_H

#include "core/lib/types.h"

noreturn void panic(const char *format, ...) format_printf(1, 2);

#define assert(cond)                                                   \
	do {                                                           \
		if (!(cond))                                           \
			panic("%s:%d: %s", __FILE__, __LINE__, #cond); \
	} while (0)

#endif

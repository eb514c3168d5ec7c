/*
 * What panic() (core/lib/panic.h) does is set here. It works before any of
 * these calls, too.
 *
 * The first CPU that comes wins, all others stop: by an NMI, or by INIT if their
 * guest holds NMIs off. Then the keys are wiped, so
 * that nothing can still be encrypted while they vanish, and only then the
 * cause is printed.
 */
#ifndef CORE_CPU_PANIC_H
#define CORE_CPU_PANIC_H

#include "core/cpu/traps.h"
#include "core/lib/types.h"

/* Called by the CPU that panics, if there are others, after panic_active() has
 * become true: makes those leave the guest that an NMI does not. */
void panic_set_stop_fn(void (*fn)(void));

/* Zeroises the key page. */
void panic_set_wipe_fn(void (*fn)(void));

enum panic_action {
	PANIC_STOP,
	PANIC_REBOOT
};
void panic_set_action(enum panic_action action);

/* True on all CPUs since one has panicked: core/virt asks before each entry to
 * the guest, and calls panic_stop(). */
bool panic_active(void);
noreturn void panic_stop(void);

/* An exception in host mode that nobody expected. */
noreturn void panic_trap(const struct trap_frame *f);

#endif

/*
 * A ticket lock: fair, so no CPU starves under a hostile guest. The host runs
 * with interrupts off; a lock must not be taken in an NMI or #MC handler.
 * Order, outermost first: PCI policy, driver channels and ports, MMIO map,
 * nested table, PCI hardware, port map, log.
 */
#ifndef CORE_LIB_LOCK_H
#define CORE_LIB_LOCK_H

#include "core/lib/types.h"

struct lock {
	u32 next;
	u32 serving;
};

static inline void lock_acquire(struct lock *l)
{
	u32 ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&l->serving, __ATOMIC_ACQUIRE) != ticket)
		__builtin_ia32_pause();
}

static inline void lock_release(struct lock *l)
{
	__atomic_store_n(&l->serving, l->serving + 1, __ATOMIC_RELEASE);
}

#endif

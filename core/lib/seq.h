/*
 * A sequence count: readers wait for nobody but a change under way, and look
 * again if there was one meanwhile. What they read they copy, and use only
 * after seq_changed() has said no. Changes are ordered by a lock of their own.
 */
#ifndef CORE_LIB_SEQ_H
#define CORE_LIB_SEQ_H

#include "core/lib/types.h"

struct seq {
	u32 count; /* odd: a change is under way */
};

static inline u32 seq_read(const struct seq *s)
{
	u32 count;

	while ((count = __atomic_load_n(&s->count, __ATOMIC_ACQUIRE)) & 1)
		__builtin_ia32_pause();
	return count;
}

static inline bool seq_changed(const struct seq *s, u32 count)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&s->count, __ATOMIC_RELAXED) != count;
}

static inline void seq_change(struct seq *s)
{
	__atomic_store_n(&s->count, s->count + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void seq_done(struct seq *s)
{
	__atomic_store_n(&s->count, s->count + 1, __ATOMIC_RELEASE);
}

#endif

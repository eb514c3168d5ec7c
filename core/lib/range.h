/* Bounds, by subtraction so that nothing can wrap, and alignment. */
#ifndef CORE_LIB_RANGE_H
#define CORE_LIB_RANGE_H

#include "core/lib/types.h"

/* True if [off, off + len) lies inside a region of @size bytes. */
static inline bool range_ok(u64 off, u64 len, u64 size)
{
	return off <= size && len <= size - off;
}

/*
 * True if [a, a + alen) and [b, b + blen) share a byte. Ranges may end at
 * 2^64; empty ones share nothing.
 */
static inline bool range_overlap(u64 a, u64 alen, u64 b, u64 blen)
{
	if (!alen || !blen)
		return false;
	return a < b ? b - a < alen : a - b < blen;
}

static inline u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline u64 max_u64(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* @align is a power of two. */
static inline u64 align_down(u64 v, u64 align)
{
	return v & ~(align - 1);
}

static inline u64 align_up(u64 v, u64 align)
{
	return align_down(v + align - 1, align);
}

#endif

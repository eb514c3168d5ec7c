/* The chain of frame pointers on a stack. Pure but for reading the stack. */
#ifndef CORE_CPU_TRACE_H
#define CORE_CPU_TRACE_H

#include "core/lib/types.h"

/*
 * Follows the frames from @rbp on and stores up to @max return addresses into
 * @pc; returns their number. Stops at a frame that is not wholly inside
 * [low, high), not 8-byte aligned, or not above the one before: @rbp may be
 * anything, since libcrypto keeps no frame pointers.
 */
size_t trace_walk(u64 rbp, u64 low, u64 high, u64 *pc, size_t max);

#endif

/* The names of the image's own functions, for call traces. */
#ifndef CORE_CPU_SYMBOLS_H
#define CORE_CPU_SYMBOLS_H

#include "core/lib/types.h"

/*
 * Functions in ascending order: @count offsets from @base and as many names,
 * one after the other, each with its NUL. Behind the last offset comes one
 * more: the end of the last function.
 */
struct symbols {
	u64 base;
	u64 count;
	const u32 *offset;
	const char *names;
};

/* Made by tools/mksymbols when the image is linked. */
extern const struct symbols symbol_table;

/* The function that @address lies in and how far, or NULL. Pure. */
const char *symbols_find(const struct symbols *s, u64 address, u64 *offset);

#endif

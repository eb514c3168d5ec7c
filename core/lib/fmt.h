/*
 * Formatted output into a buffer: the subset of C11 7.21.6.5 that we use:
 * %c %s %d %i %u %x %X %p %%, the flags 0 and -, a width (also *), a
 * precision for %s (also .*), and the lengths l, ll and z.
 */
#ifndef CORE_LIB_FMT_H
#define CORE_LIB_FMT_H

#include <stdarg.h>

#include "core/lib/types.h"

/*
 * Always ends @buf with a NUL if @size > 0. Returns the length the whole text
 * would have had.
 */
int fmt_vprint(char *buf, size_t size, const char *format, va_list args);
int fmt_print(char *buf, size_t size, const char *format, ...)
	format_printf(3, 4);

#endif

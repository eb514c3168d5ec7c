/*
 * The log: lines of text into a ring in hidden memory and to the consoles.
 *
 * log_line() may be called from any CPU in host mode. A line is at most
 * LOG_LINE_MAX bytes; what is longer is cut. No key, PIN or plaintext of a
 * protected range is ever passed to it.
 */
#ifndef CORE_LIB_LOG_H
#define CORE_LIB_LOG_H

#include "core/lib/types.h"

#define LOG_LINE_MAX 160

/* Writes "shoji: <text>\n". */
void log_line(const char *format, ...) format_printf(1, 2);

/*
 * For what a guest, disk or wire can cause: at most 16 lines, then one more
 * each time the count reaches a power of two, with the count of all of them.
 */
struct log_limit {
	u32 count;
};
void log_limited(struct log_limit *limit, const char *format, ...)
	format_printf(2, 3);

/*
 * The log as one stream of bytes since boot. log_read() copies from *@position
 * on, leaves out what the ring no longer holds, and moves *@position behind what
 * it has copied; 0 at the end.
 */
void log_range(u64 *start, u64 *end);
size_t log_read(u64 *position, char *dst, size_t size);

#endif

/*
 * Where the log's lines go besides its ring: the consoles.
 *
 * A sink is called with the log's lock held, one whole line or a part of the
 * ring at a time, and must not log itself.
 */
#ifndef CORE_LIB_LOG_SINK_H
#define CORE_LIB_LOG_SINK_H

#include "core/lib/types.h"

#define LOG_SINKS_MAX 4

typedef void log_sink(const char *text, size_t len);

/* The new sink first gets what the ring holds, so no early line is lost.
 * A fifth sink is ignored. */
void log_add_sink(log_sink *sink);
void log_remove_sink(log_sink *sink);

/* For panic(), when the CPU that holds the lock has been stopped. */
void log_break_lock(void);

#endif

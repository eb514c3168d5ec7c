#include "core/lib/log.h"
#include "core/lib/fmt.h"
#include "core/lib/lock.h"
#include "core/lib/log_sink.h"
#include "core/lib/range.h"
#include "core/lib/string.h"

#define LOG_RING_SIZE 65536ULL

static struct {
	struct lock lock;
	u64 written; /* bytes since boot; the ring holds the last of them */
	log_sink *sinks[LOG_SINKS_MAX];
	char ring[LOG_RING_SIZE];
} the_log;

static void ring_write(const char *text, size_t len)
{
	size_t at = the_log.written % LOG_RING_SIZE;
	size_t first = min_u64(len, LOG_RING_SIZE - at);

	memcpy(the_log.ring + at, text, first);
	memcpy(the_log.ring, text + first, len - first);
	the_log.written += len;
}

static void ring_replay(log_sink *sink)
{
	size_t at = the_log.written % LOG_RING_SIZE;

	if (the_log.written > LOG_RING_SIZE)
		sink(the_log.ring + at, LOG_RING_SIZE - at);
	sink(the_log.ring, at);
}

static void log_vline(const char *format, va_list args)
{
	static const char prefix[] = "shoji: ";
	char line[LOG_LINE_MAX + 1];
	size_t len = sizeof(prefix) - 1;
	size_t room = LOG_LINE_MAX - len;

	memcpy(line, prefix, len);
	len += min_u64(fmt_vprint(line + len, room, format, args), room - 1);
	line[len++] = '\n';

	lock_acquire(&the_log.lock);
	ring_write(line, len);
	for (size_t i = 0; i < LOG_SINKS_MAX; i++)
		if (the_log.sinks[i])
			the_log.sinks[i](line, len);
	lock_release(&the_log.lock);
}

void log_line(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_vline(format, args);
	va_end(args);
}

void log_limited(struct log_limit *limit, const char *format, ...)
{
	u32 n = __atomic_add_fetch(&limit->count, 1, __ATOMIC_RELAXED);
	char text[LOG_LINE_MAX];
	va_list args;

	if (n > 16 && (n & (n - 1)))
		return;
	va_start(args, format);
	fmt_vprint(text, sizeof(text), format, args);
	va_end(args);
	if (n <= 16)
		log_line("%s", text);
	else
		log_line("(%u times) %s", n, text);
}

static u64 ring_start(void)
{
	return the_log.written > LOG_RING_SIZE ? the_log.written - LOG_RING_SIZE
					       : 0;
}

void log_range(u64 *start, u64 *end)
{
	lock_acquire(&the_log.lock);
	*start = ring_start();
	*end = the_log.written;
	lock_release(&the_log.lock);
}

size_t log_read(u64 *position, char *dst, size_t size)
{
	size_t n, at, first;

	lock_acquire(&the_log.lock);
	*position = min_u64(max_u64(*position, ring_start()), the_log.written);
	n = min_u64(size, the_log.written - *position);
	at = *position % LOG_RING_SIZE;
	first = min_u64(n, LOG_RING_SIZE - at);
	memcpy(dst, the_log.ring + at, first);
	memcpy(dst + first, the_log.ring, n - first);
	lock_release(&the_log.lock);
	*position += n;
	return n;
}

void log_add_sink(log_sink *sink)
{
	lock_acquire(&the_log.lock);
	for (size_t i = 0; i < LOG_SINKS_MAX; i++) {
		if (!the_log.sinks[i]) {
			the_log.sinks[i] = sink;
			ring_replay(sink);
			break;
		}
	}
	lock_release(&the_log.lock);
}

void log_remove_sink(log_sink *sink)
{
	lock_acquire(&the_log.lock);
	for (size_t i = 0; i < LOG_SINKS_MAX; i++)
		if (the_log.sinks[i] == sink)
			the_log.sinks[i] = NULL;
	lock_release(&the_log.lock);
}

void log_break_lock(void)
{
	u32 next = __atomic_load_n(&the_log.lock.next, __ATOMIC_RELAXED);

	__atomic_store_n(&the_log.lock.serving, next, __ATOMIC_RELEASE);
}

#include "tools/sdk/shoji.h"

#include <stdio.h>
#include <string.h>

#define BUFFER_MOST 65536 /* of one PROGRAM_BUFFER_READ or _WRITE */

#define CALL2(number, second, ...) \
	shoji_call(number, (const uint64_t[5]){ __VA_ARGS__ }, second)
#define CALL(number, ...) CALL2(number, NULL, __VA_ARGS__)

static uint64_t address(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

void shoji_log(const char *format, ...)
{
	char line[PROGRAM_LOG_MAX + 1];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	CALL(PROGRAM_LOG, address(line), strlen(line));
}

uint64_t shoji_clock(void)
{
	return (uint64_t)CALL(PROGRAM_CLOCK, 0);
}

void shoji_sleep(uint64_t deadline)
{
	CALL(PROGRAM_SLEEP, deadline);
}

int shoji_random(void *buf, size_t len)
{
	char *p = buf;
	int64_t error;
	size_t n;

	for (; len; p += n, len -= n) {
		n = len < PROGRAM_RANDOM_MAX ? len : PROGRAM_RANDOM_MAX;
		error = CALL(PROGRAM_RANDOM, address(p), n);
		if (error < 0)
			return (int)error;
	}
	return 0;
}

int shoji_receive(struct program_message *m, uint64_t deadline)
{
	return (int)CALL(PROGRAM_RECEIVE, address(m), deadline);
}

int shoji_reply(const struct program_message *m, size_t length, uint64_t status)
{
	return (int)CALL(PROGRAM_REPLY, m->id, length, status);
}

int shoji_reply_receive(struct program_message *m, size_t length,
			uint64_t status, uint64_t deadline)
{
	return (int)CALL(PROGRAM_RECEIVE, address(m), deadline, m->id, length,
			 status);
}

/* Moves @len bytes in pieces; the sender's CPU has to be the one that runs us. */
static int buffer_move(enum program_call call, const struct program_message *m,
		       uint64_t offset, uint64_t at, size_t len)
{
	int64_t result;
	size_t n;

	while (len) {
		n = len < BUFFER_MOST ? len : BUFFER_MOST;
		result = CALL(call, m->id, offset, at, n);
		if (result < 0)
			return (int)result;
		offset += n;
		at += n;
		len -= n;
	}
	return 0;
}

int shoji_buffer_read(const struct program_message *m, uint64_t offset,
		      void *to, size_t len)
{
	return buffer_move(PROGRAM_BUFFER_READ, m, offset, address(to), len);
}

int shoji_buffer_write(const struct program_message *m, uint64_t offset,
		       const void *from, size_t len)
{
	return buffer_move(PROGRAM_BUFFER_WRITE, m, offset, address(from), len);
}

int shoji_find(const char *name)
{
	return (int)CALL(PROGRAM_FIND, address(name), strlen(name));
}

int64_t shoji_send(int program, uint32_t type, const void *data, size_t len)
{
	return CALL(PROGRAM_SEND, (uint64_t)program, type, address(data), len);
}

int64_t shoji_wait(int64_t id, void *buf, size_t size, uint64_t deadline,
		   uint64_t *status)
{
	return CALL2(PROGRAM_WAIT, status, (uint64_t)id, address(buf), size,
		     deadline);
}

int shoji_cancel(int64_t id)
{
	return (int)CALL(PROGRAM_CANCEL, (uint64_t)id);
}

void *shoji_map(const char *name, size_t *size)
{
	uint64_t bytes = 0;
	int64_t at = CALL2(PROGRAM_MAP, &bytes, address(name), strlen(name));

	*size = bytes;
	return at < 0 ? NULL : (void *)(uintptr_t)at;
}

void shoji_exit(uint64_t status)
{
	for (;;)
		CALL(PROGRAM_EXIT, status);
}

/*
 * What a protected program can do besides computing: core/program/abi.h as C
 * functions. The rest of its surroundings is a part of the C library, declared
 * by the system's headers (see README.md for which part).
 *
 * Functions that return int or int64_t give 0 or more, or -PROGRAM_E...; times
 * are nanoseconds since Shoji's start, as PROGRAM_CLOCK.
 */
#ifndef TOOLS_SDK_SHOJI_H
#define TOOLS_SDK_SHOJI_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "core/program/abi.h"

/* What the program was started with. */
const struct program_start *shoji_start(void);

/* A line in Shoji's log; what is longer than PROGRAM_LOG_MAX is cut off. */
void shoji_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t shoji_clock(void);

/* Not before @deadline; 0 only gives others a turn. */
void shoji_sleep(uint64_t deadline);

/* Any number of bytes that are fit for keys. */
int shoji_random(void *buf, size_t len);

/* The next message: 0, or -PROGRAM_EAGAIN at @deadline. */
int shoji_receive(struct program_message *m, uint64_t deadline);

/* The message's buffer: the request in it, and then the reply. */
static inline void *shoji_data(const struct program_message *m)
{
	return (void *)(uintptr_t)m->data;
}

/* Answers with @length bytes of shoji_data() and a status of one's own. */
int shoji_reply(const struct program_message *m, size_t length,
		uint64_t status);

/* The same, and then *@m is the next message, as by shoji_receive(), in one
 * system call. -PROGRAM_EINVAL: the length is more than slot_size; *@m is still
 * to be answered. */
int shoji_reply_receive(struct program_message *m, size_t length,
			uint64_t status, uint64_t deadline);

/* From and into the buffer that was registered with the message; any length,
 * waits for the sender's turn. */
int shoji_buffer_read(const struct program_message *m, uint64_t offset,
		      void *to, size_t len);
int shoji_buffer_write(const struct program_message *m, uint64_t offset,
		       const void *from, size_t len);

/* Another program: its number by its name; a message to it, which gives an id;
 * its reply, with its length as result. */
int shoji_find(const char *name);
int64_t shoji_send(int program, uint32_t type, const void *data, size_t len);
int64_t shoji_wait(int64_t id, void *buf, size_t size, uint64_t deadline,
		   uint64_t *status);
int shoji_cancel(int64_t id);

/* The region that the manifest grants by that name, *@size bytes, at the same
 * address in every program; NULL if it grants none. Writing to what is granted
 * as "ro" stops the program. */
void *shoji_map(const char *name, size_t *size);

_Noreturn void shoji_exit(uint64_t status);

/* There is no calendar: time() counts from this, 2026-01-01 until it is set. */
void shoji_set_time(time_t now);

/* Bytes of the heap that are in use. */
size_t shoji_heap_used(void);

/*
 * Prepares libcrypto: call it once, before anything of it. False if this
 * machine has no entropy. Only in programs that are linked with libcrypto.
 */
_Bool shoji_crypto_init(void);

/* A system call; what everything above is made of. @second, if not NULL: where
 * its second result goes. */
int64_t shoji_call(enum program_call number, const uint64_t arg[5],
		   uint64_t *second);

#endif

/*
 * Hypercalls for the guest's tools: core/program/hypercall.h with the waiting
 * done, on Linux and on Windows. A machine without Shoji is told apart once,
 * without a signal or an exception reaching the caller.
 */
#ifndef TOOLS_GUEST_HYPER_H
#define TOOLS_GUEST_HYPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/program/hypercall.h"

/*
 * True if Shoji runs below and answers callers like this one. Asks once. For
 * the time of the first call it replaces the process' handlers of SIGILL and
 * SIGSEGV, and the calling thread blocks neither.
 */
bool hyper_present(void);

/* One call, hyper_present() being true. */
int64_t hyper_call(enum shoji_number number, struct shoji_regs *r);

/* STATUS, VOLUME, STAT and PROGRAM: 0 or -SHOJI_E...; what an older Shoji does
 * not know of @record is 0. */
int hyper_record(enum shoji_number number, uint64_t index, void *record,
		 size_t size);

/* The index of the program of that name, or -SHOJI_ENOENT. */
int hyper_find(const char *name);

struct hyper_message {
	uint32_t program; /* index */
	uint32_t type;
	const void *request;
	size_t request_len;
	void *reply;
	size_t reply_size;
	uint64_t buffer;     /* id of a registered buffer, or 0 */
	uint64_t timeout_ms; /* 0: none */
	uint64_t status;     /* out: the program's */
};

/*
 * Sends and waits for the reply, without spinning: its length, or -SHOJI_E...
 * After -SHOJI_EAGAIN (time is over) and all other errors nothing is left
 * under way. -SHOJI_ENOSPC: the reply is longer than reply_size.
 */
int64_t hyper_send(struct hyper_message *m);

void hyper_sleep(uint64_t ms);

/* What an error of hyper_send() means. */
const char *hyper_error(int64_t error);

#endif

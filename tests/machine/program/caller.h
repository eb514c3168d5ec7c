/* What the files of the caller share. */
#ifndef TESTS_PROGRAM_CALLER_H
#define TESTS_PROGRAM_CALLER_H

#include <stdint.h>

#include "core/program/abi.h"
#include "core/program/hypercall.h"

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint8_t u8;

int64_t hypercall(u32 number, struct shoji_regs *r);
/* The same, of a call that has a handle alone. */
int64_t by_handle(u32 number, u64 handle);
/* The signal that ends the call with all of RAX, or 0. */
int signal_of(u64 rax, struct shoji_regs *r);
/* One of orders.h for program @to: what SHOJI_SEND or SHOJI_WAIT return. */
int64_t order(u32 to, u32 type, u64 value, int64_t *status);

/* Prints the outcome of a check; what is not @good fails the whole. */
void check(int good, const char *name, const char *format, ...);
#define EQUAL(got, want, name)                                             \
	do {                                                               \
		long long got_ = (long long)(got);                         \
		long long want_ = (long long)(want);                       \
		check(got_ == want_, name, "%lld, not %lld", got_, want_); \
	} while (0)

void program_state(u32 i, struct shoji_program *p);
u64 now_ns(void);

void test_callers(void);
void test_wild(void);

#endif

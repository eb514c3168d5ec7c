/*
 * From the first instruction to main(): relocates a PIE, sets up the heap and
 * runs the libraries' .init. Also the C library's calls that end or ask Shoji.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/lib/fmt.h"
#include "tools/sdk/libc/heap.h"
#include "tools/sdk/shoji.h"

#define SECOND	     1000000000ULL
#define FIRST_TIME   1767225600 /* 2026-01-01 00:00:00 UTC */
#define COARSE_TICKS (1 << 27)	/* 130 ms at 1 GHz */

int main(void);
noreturn void shoji_main(void);
void shoji_relocate(const struct program_start *start);
void shoji_init(void); /* .init, see program.ld */
noreturn void __stack_chk_fail(void);

static struct heap heap;
static time_t first_time = FIRST_TIME;

/*
 * RDI is the start page and the stack is aligned; nothing else is ready, and
 * in a PIE no address in data is right before shoji_relocate().
 */
asm(".section .text._start, \"ax\", @progbits\n"
    ".globl _start\n"
    ".type _start, @function\n"
    "_start:\n"
    "	xor %ebp, %ebp\n"
    "	call shoji_relocate\n"
    "	call shoji_main\n"
    "	ud2\n"
    ".size _start, . - _start\n"
    ".text\n");

/* ELF-64 and the x86-64 psABI; only what ld -pie makes of a static program. */
struct rela {
	u64 offset, info, addend;
};

#define R_X86_64_RELATIVE 8

#pragma GCC visibility push(hidden) /* by distance, not through the GOT */
extern const struct rela rela_start[], rela_end[];
#pragma GCC visibility pop

void shoji_relocate(const struct program_start *start)
{
	if (!start->bias)
		return;
	for (const struct rela *r = rela_start; r < rela_end; r++)
		if (r->info == R_X86_64_RELATIVE)
			*(u64 *)(start->bias + r->offset) =
				start->bias + r->addend;
}

void shoji_main(void)
{
	const struct program_start *start = shoji_start();

	if (start->version != PROGRAM_ABI_VERSION)
		shoji_exit(1);
	if (!heap_init(&heap, (void *)(uintptr_t)start->heap, start->heap_size))
		shoji_log("no memory for a heap");
	shoji_init();
	shoji_exit((uint64_t)main());
}

const struct program_start *shoji_start(void)
{
	const struct program_start *start;

	asm("mov %%fs:0, %0" : "=r"(start));
	return start;
}

int64_t shoji_call(enum program_call number, const uint64_t arg[5],
		   uint64_t *second)
{
	return program_call5(shoji_start()->vmmcall, number, arg[0], arg[1],
			     arg[2], arg[3], arg[4], second);
}

/* ---- the end ---- */

void exit(int status)
{
	shoji_exit((uint64_t)status);
}

void abort(void)
{
	shoji_log("abort");
	shoji_exit(134);
}

/* Nothing outlives a program, so nothing need be undone. */
int atexit(void (*fn)(void))
{
	return 0;
}

void __assert_fail(const char *what, const char *file, unsigned int line,
		   const char *function)
{
	shoji_log("%s:%u: not true: %s", file, line, what);
	shoji_exit(134);
}

void __stack_chk_fail(void)
{
	shoji_log("the stack is corrupt");
	shoji_exit(134);
}

/* ---- memory ---- */

size_t shoji_heap_used(void)
{
	return heap.used;
}

void *malloc(size_t size)
{
	void *p = heap_alloc(&heap, size);

	if (!p)
		errno = ENOMEM;
	return p;
}

void free(void *p)
{
	if (p && !heap_free(&heap, p)) {
		shoji_log("free() of what is not allocated");
		abort();
	}
}

void *calloc(size_t n, size_t size)
{
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	p = malloc(bytes);
	return p ? memset(p, 0, bytes) : NULL;
}

void *realloc(void *p, size_t size)
{
	if (!p)
		return malloc(size);
	if (!size) {
		free(p);
		return NULL;
	}
	p = heap_resize(&heap, p, size);
	if (!p)
		errno = ENOMEM;
	return p;
}

/* ---- text, time, random ---- */

int vsnprintf(char *restrict buf, size_t size, const char *restrict format,
	      va_list args)
{
	return fmt_vprint(buf, size, format, args);
}

int snprintf(char *restrict buf, size_t size, const char *restrict format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = fmt_vprint(buf, size, format, args);
	va_end(args);
	return len;
}

/*
 * libcrypto asks for the time with every random number, so Shoji is asked only
 * when the TSC has gone on by a fraction of a second, or has gone back.
 */
static uint64_t coarse_clock(void)
{
	static uint64_t asked, answer;
	uint64_t tsc = __builtin_ia32_rdtsc();

	if (!answer || tsc - asked > COARSE_TICKS) {
		answer = shoji_clock();
		asked = tsc;
	}
	return answer;
}

/* So that time() is at once no less than that. */
void shoji_set_time(time_t now)
{
	first_time = now - (time_t)(coarse_clock() / SECOND);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	uint64_t ns = shoji_clock();

	t->tv_sec = (time_t)(ns / SECOND);
	t->tv_nsec = (long)(ns % SECOND);
	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
		t->tv_sec += first_time;
	return 0;
}

time_t time(time_t *out)
{
	time_t now = first_time + (time_t)(coarse_clock() / SECOND);

	if (out)
		*out = now;
	return now;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	t->tv_sec = now.tv_sec;
	t->tv_usec = now.tv_nsec / 1000;
	return 0;
}

int getentropy(void *buf, size_t len)
{
	if (!shoji_random(buf, len))
		return 0;
	errno = EIO;
	return -1;
}

pid_t getpid(void)
{
	return 1;
}

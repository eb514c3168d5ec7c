/*
 * The guest's side of the SDK's buffer example: registers memory, has it turned
 * round there, looks, and asks for what must not work.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/guest/hyper.h"

#define SIZE	 300001 /* several pieces, from the middle of a page */
#define OFFSET	 123
#define REVERSE	 1
#define READ	 1
#define WRITE	 2
#define NO_SPACE 28 /* the example's status, PROGRAM_E... */
#define NOT_OURS 1
#define INVALID	 22

static uint8_t memory[16 << 20];
static int failed, program;

static void expect(const char *what, int64_t got, int64_t want)
{
	if (got == want) {
		printf("@@ ok %s\n", what);
		return;
	}
	printf("@@ FAIL %s: %lld, not %lld\n", what, (long long)got,
	       (long long)want);
	failed = 1;
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7 + (i >> 8));
}

static int64_t share(size_t size, uint64_t access)
{
	struct shoji_regs r = { .rbx = (uint64_t)(uintptr_t)memory + OFFSET,
				.rcx = size,
				.rdx = access };

	return hyper_call(SHOJI_REGISTER, &r);
}

static void forget(int64_t buffer)
{
	struct shoji_regs r = { .rbx = (uint64_t)buffer };

	expect("unregister", hyper_call(SHOJI_UNREGISTER, &r), 0);
}

/* The reply's length; the program's status in *@status. */
static int64_t ask(uint32_t type, int64_t buffer, uint64_t *sum,
		   uint64_t *status)
{
	struct hyper_message m = {
		.program = (uint32_t)program,
		.type = type,
		.reply = sum,
		.reply_size = sizeof(*sum),
		.buffer = (uint64_t)buffer,
	};
	int64_t len = hyper_send(&m);

	*status = m.status;
	return len;
}

static void turn_round(void)
{
	uint64_t status, sum = 0, want = 0;
	int64_t bad = 0, buffer = share(SIZE, READ | WRITE);

	for (size_t i = 0; i < sizeof(memory); i++)
		memory[i] = pattern(i);
	for (size_t i = 0; i < SIZE; i++)
		want += pattern(OFFSET + i);
	expect("reverse", ask(REVERSE, buffer, &sum, &status), 8);
	expect("status", (int64_t)status, 0);
	expect("sum", (int64_t)sum, (int64_t)want);
	for (size_t i = 0; i < sizeof(memory); i++) {
		size_t from = i >= OFFSET && i - OFFSET < SIZE
				      ? 2 * OFFSET + SIZE - 1 - i
				      : i;

		bad += memory[i] != pattern(from);
	}
	expect("wrong bytes", bad, 0);
	forget(buffer);
}

static void refused(const char *what, uint32_t type, size_t size,
		    uint64_t access, uint64_t want)
{
	uint64_t status, sum;
	int64_t buffer = share(size, access);

	expect(what, ask(type, buffer, &sum, &status), 0);
	expect(what, (int64_t)status, (int64_t)want);
	forget(buffer);
}

int main(void)
{
	static uint8_t before[sizeof(memory)];

	if (!hyper_present())
		return 3;
	program = hyper_find("buffer");
	turn_round();
	memcpy(before, memory, sizeof(memory));
	refused("another type", 2, SIZE, READ | WRITE, INVALID);
	refused("read-only", REVERSE, SIZE, READ, NOT_OURS);
	refused("write-only", REVERSE, SIZE, WRITE, NOT_OURS);
	refused("more than its heap", REVERSE, 8 << 20, READ | WRITE, NO_SPACE);
	expect("nothing has changed", memcmp(before, memory, sizeof(memory)),
	       0);
	turn_round();
	return failed;
}

/*
 * What messages cost: out of ring 3, from the call to the reply. The time stamp
 * counter counts instructions if the emulator is told so (-icount shift=0).
 */
#include "call.h"

static u8 out[65536], in[65536] __attribute__((aligned(4096)));
static u64 length, count, ticks, calls;
static int64_t wrong;

static void rounds(void)
{
	u64 begin = rdtsc();

	calls = 0;
	wrong = 0;
	for (u64 i = 0; i < count; i++) {
		struct shoji_regs r = {
			.rcx = (u64)out,
			.rdx = length,
			.rsi = (u64)in,
			.rdi = length,
			.r8 = ORDER_ECHO,
		};
		int64_t rc = call(SHOJI_SEND, &r);

		for (calls++; rc == -SHOJI_EAGAIN; calls++) {
			r.rbx = r.rdx;
			rc = call(SHOJI_WAIT, &r);
		}
		if (rc != (int64_t)length)
			wrong = rc;
	}
	ticks = rdtsc() - begin;
	__asm__ volatile("int %0" ::"i"(DONE));
}

static u64 exits(void)
{
	static struct shoji_stat stat;
	struct shoji_regs r = { .rbx = (u64)&stat, .rcx = sizeof(stat) };
	u64 n = 0;

	call(SHOJI_STAT, &r);
	for (u32 i = 0; i < stat.kinds; i++)
		n += stat.exits[i];
	return n;
}

static void measure(u64 bytes, u64 times)
{
	u64 before;
	u32 vector;

	length = bytes;
	count = times;
	before = exits();
	run->gpr[RSP] = STACK_3 - 8; /* as after a call */
	vector = run_at(MODE_LONG, 1, (u64)rounds);
	check(vector == DONE && !wrong && !memcmp(in, out, bytes), "rounds",
	      "%s %lu", vector_name(vector), (u64)-wrong);
	/* the second question's exit is one of them */
	say("@@ rounds %lu bytes %lu times %lu ticks %lu calls %lu exits\n",
	    bytes, times, ticks, calls, exits() - before - 1);
}

void test_rounds(void)
{
	call_init();
	for (u32 i = 0; i < sizeof(out); i++)
		out[i] = (u8)(i * 7 + (i >> 8));
	count = 1;
	run_at(MODE_LONG, 1, (u64)rounds); /* the program starts */
	measure(0, 1000);
	measure(65536, 200);
}

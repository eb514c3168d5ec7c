/* Callers that misbehave: handles and buffers that are not theirs, wild calls. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caller.h"
#include "orders.h"

static u64 hold_one(u32 to)
{
	struct shoji_regs r = { .rbx = to, .r8 = ORDER_HOLD };

	return hypercall(SHOJI_SEND, &r) == -SHOJI_EAGAIN ? r.rdx : 0;
}

static int in_child(int (*fn)(u64), u64 arg)
{
	int status = 0;
	pid_t child = fork();

	if (!child)
		_exit(fn(arg));
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int steal(u64 handle)
{
	return by_handle(SHOJI_WAIT, handle) == -SHOJI_ENOENT &&
	       by_handle(SHOJI_CANCEL, handle) == -SHOJI_ENOENT;
}

static int hold_and_die(u64 count)
{
	int n = 0;

	for (u64 i = 0; i < count; i++)
		n += hold_one(1) != 0;
	return n;
}

/* In the middle of a program's work in its memory. */
static int lend_and_die(u64 to)
{
	static u8 mine[1 << 20];
	struct shoji_regs r = { .rbx = (u64)mine,
				.rcx = sizeof(mine),
				.rdx = 3 };
	int64_t id;

	memset(mine, 1, sizeof(mine));
	id = hypercall(SHOJI_REGISTER, &r);
	r = (struct shoji_regs){ .rbx = to, .r8 = ORDER_BUFFER, .r9 = (u64)id };
	return id > 0 && hypercall(SHOJI_SEND, &r) == -SHOJI_EAGAIN;
}

/* What an echo gives when there is room for it. */
static int64_t order_at_last(u32 to)
{
	u64 begin = now_ns();
	int64_t status, rc;

	do {
		rc = order(to, ORDER_ECHO, 1, &status);
		if (rc == -SHOJI_EBUSY)
			usleep(100000);
	} while (rc == -SHOJI_EBUSY && now_ns() - begin < 30000000000);
	return rc;
}

void test_callers(void)
{
	struct shoji_program p;
	int64_t status = 0;
	u64 handle = hold_one(0), begin;
	int held = 0;

	check(handle > 0, "hold", " ");
	EQUAL(in_child(steal, handle), 1, "handle-of-another");
	EQUAL(by_handle(SHOJI_CANCEL, handle), 0, "cancel");
	EQUAL(by_handle(SHOJI_WAIT, handle), -SHOJI_ENOENT, "cancelled");
	EQUAL(by_handle(SHOJI_WAIT, handle ^ 0x100), -SHOJI_ENOENT, "forged");
	EQUAL(order(2, ORDER_ECHO, 1, &status), -SHOJI_EPERM, "kernel-only");

	/* one caller has half, then others fill the rest and die */
	EQUAL(in_child(hold_and_die, 20), 4, "half-of-the-buffers");
	for (int i = 0; i < 20; i++)
		held += in_child(hold_and_die, 20);
	printf("%d more were held\n", held);
	begin = now_ns();
	EQUAL(order_at_last(1), 8, "after-the-dead");
	printf("free after %llu ms\n",
	       (unsigned long long)(now_ns() - begin) / 1000000);
	program_state(1, &p);
	printf("%u open, %u waiting\n", p.open, p.waiting);
	/* one that takes several messages, and one that takes a single one */
	for (u32 to = 1; to < 4; to += 2) {
		EQUAL(in_child(lend_and_die, to), 1, "lend-and-die");
		EQUAL(order_at_last(to), 8, "after-the-lender");
	}
	EQUAL(order(0, ORDER_FLOOD, 0, &status), 0, "flood");
	check(status <= 4 && status >= 0, "flood-by-program", "%lld",
	      (long long)status);
}

static const u64 wild[] = {
	0,
	1,
	8,
	0xfff,
	0x1000,
	0x10000,
	0x100000,
	0xee00000,
	0xfee00000,
	0x7fffffff,
	0xffffffff,
	0x7fffffffe000,
	0x7fffffffffff,
	0x800000000000,
	0xffff800000000000,
	0xffff888000000000,
	0xffffffff81000000,
	0xffffffffffffffff,
};
#define WILD (sizeof(wild) / sizeof(*wild))

static u64 next_random(u64 *seed)
{
	u64 z = *seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* Every number with every wild value, and at random; in a child, since what
 * is its own memory may be written to. */
static int wild_calls(u64 seed)
{
	static u8 own[1 << 20];
	volatile u64 signals = 0;

	for (volatile u64 i = 0; i < 20000; i++) {
		u64 v[7];
		struct shoji_regs r;

		for (int k = 0; k < 7; k++) {
			u64 z = next_random(&seed);

			v[k] = z & 1   ? wild[z / 2 % WILD]
			       : z & 2 ? (u64)own + z / 4 % sizeof(own)
				       : z >> (z >> 58);
		}
		if (v[0] % 3 == 0)
			v[0] %= 4;
		r = (struct shoji_regs){ 0,    v[0], v[1], v[2],
					 v[3], v[4], v[5], v[6] };
		if (signal_of(SHOJI_MAGIC | (next_random(&seed) % 14), &r))
			signals++;
	}
	return signals > 10 ? 7 : 8;
}

void test_wild(void)
{
	struct shoji_regs r = { .rbx = 0x1000, .rcx = 64 };
	int64_t status;

	EQUAL(signal_of(SHOJI_MAGIC | SHOJI_STATUS, &r), SIGSEGV, "wild-null");
	r = (struct shoji_regs){ .rbx = 0xffffffff81000000, .rcx = 64 };
	EQUAL(signal_of(SHOJI_MAGIC | SHOJI_STATUS, &r), SIGSEGV,
	      "wild-kernel");
	r = (struct shoji_regs){ .rbx = 0x800000000000, .rcx = 64 };
	EQUAL(signal_of(SHOJI_MAGIC | SHOJI_STATUS, &r), SIGSEGV,
	      "wild-not-canonical");
	r = (struct shoji_regs){ 0 };
	EQUAL(signal_of(0x12340000, &r), SIGILL, "no-magic");
	EQUAL(signal_of(SHOJI_MAGIC | 1ULL << 32, &r), SIGILL, "wide-magic");
	for (u64 seed = 1; seed < 4; seed++)
		EQUAL(in_child(wild_calls, seed), 7, "wild-calls");
	EQUAL(order(1, ORDER_ECHO, 1, &status), 8, "wild-echo");
}

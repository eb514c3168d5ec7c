/* The guest's side of the tests of programs: a static Linux program. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/program/abi.h"
#include "core/program/hypercall.h"

#include "orders.h"

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint8_t u8;

static int vmmcall;
static sigjmp_buf trapped;

/* ---- one call -------------------------------------------------------------- */

static void on_signal(int number)
{
	siglongjmp(trapped, number);
}

static void find_vendor(void)
{
	u32 a = 0, b, c, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	vmmcall = b == 0x68747541;
	signal(SIGILL, on_signal);
	signal(SIGSEGV, on_signal);
	signal(SIGBUS, on_signal);
}

static int64_t hypercall(u32 number, struct shoji_regs *r)
{
	r->rax = SHOJI_MAGIC | number;
	return shoji_hypercall(vmmcall, r);
}

/* The signal that ends the call, or 0. */
static int signal_of(u64 rax, struct shoji_regs *r)
{
	int number = sigsetjmp(trapped, 1);

	if (number)
		return number;
	r->rax = rax;
	shoji_hypercall(vmmcall, r);
	return 0;
}

static u64 calls; /* SHOJI_SEND and SHOJI_WAIT that it took */

static int64_t until_done(struct shoji_regs *r, void *reply, u64 size,
			  int64_t *status)
{
	int64_t rc = (int64_t)r->rax;

	while (rc == -SHOJI_EAGAIN) {
		u64 handle = r->rdx;

		if (r->rcx)
			usleep((useconds_t)r->rcx);
		*r = (struct shoji_regs){ .rbx = handle,
					  .rsi = (u64)reply,
					  .rdi = size };
		rc = hypercall(SHOJI_WAIT, r);
		calls++;
	}
	if (status)
		*status = (int64_t)r->rdx;
	return rc;
}

static int64_t send_buffer(u32 to, u32 type, const void *request, u64 len,
			   void *reply, u64 size, u64 buffer, int64_t *status)
{
	struct shoji_regs r = {
		.rbx = to,
		.rcx = (u64)request,
		.rdx = len,
		.rsi = (u64)reply,
		.rdi = size,
		.r8 = type,
		.r9 = buffer,
	};

	hypercall(SHOJI_SEND, &r);
	calls = 1;
	return until_done(&r, reply, size, status);
}

static int64_t order(u32 to, u32 type, u64 value, int64_t *status)
{
	static u8 reply[65536];

	return send_buffer(to, type, &value, sizeof(value), reply,
			   sizeof(reply), 0, status);
}

/* ---- checks ---------------------------------------------------------------- */

static int failed;

static void check(int good, const char *name, const char *format, ...)
{
	va_list ap;

	printf(good ? "@@ ok %s" : "@@ FAIL %s: ", name);
	va_start(ap, format);
	if (!good)
		vprintf(format, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	failed |= !good;
}

#define EQUAL(got, want, name)                                             \
	do {                                                               \
		long long got_ = (long long)(got);                         \
		long long want_ = (long long)(want);                       \
		check(got_ == want_, name, "%lld, not %lld", got_, want_); \
	} while (0)

static void program_state(u32 i, struct shoji_program *p)
{
	struct shoji_regs r = { .rbx = (u64)p, .rcx = sizeof(*p), .rdx = i };

	memset(p, 0, sizeof(*p));
	EQUAL(hypercall(SHOJI_PROGRAM, &r), sizeof(*p), "program-query");
}

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

/* ---- what works ------------------------------------------------------------ */

static void test_query(void)
{
	struct shoji_regs r = { 0 };
	struct shoji_status st;
	static struct shoji_stat stat;

	EQUAL(hypercall(SHOJI_QUERY, &r), 0, "query");
	check(r.rbx == SHOJI_SIGNATURE, "signature", "%llx",
	      (unsigned long long)r.rbx);
	EQUAL(r.rcx, SHOJI_ABI_VERSION, "abi");
	r = (struct shoji_regs){ .rbx = (u64)&st, .rcx = sizeof(st) };
	EQUAL(hypercall(SHOJI_STATUS, &r), sizeof(st), "status");
	printf("%s %s, %u CPUs, up %llu ns, %u volumes, %u programs\n",
	       st.version, st.back_end, st.cpus,
	       (unsigned long long)st.uptime_ns, st.volumes, st.programs);
	check(st.cpus == (u32)sysconf(_SC_NPROCESSORS_ONLN), "cpus", "%u",
	      st.cpus);
	r = (struct shoji_regs){ .rbx = (u64)&stat, .rcx = sizeof(stat) };
	EQUAL(hypercall(SHOJI_STAT, &r), sizeof(stat), "stat");
	check(stat.exits[1] > 0, "cpuid-exits", "none");
	r = (struct shoji_regs){ .rbx = (u64)&stat, .rcx = 8, .rdx = 99 };
	EQUAL(hypercall(SHOJI_STAT, &r), -SHOJI_ENOENT, "stat-end");
	for (u32 n = SHOJI_NUMBERS; n < 65536; n += n < 100 ? 1 : 997) {
		r = (struct shoji_regs){ .rbx = 1 };
		if (hypercall(n, &r) != -SHOJI_ENOSYS)
			check(0, "undefined", "%u", n);
	}
}

static void test_log(void)
{
	static char text[65536];
	struct shoji_regs r = { .rbx = (u64)text, .rcx = sizeof(text) - 1 };
	u64 n = 0;
	int64_t rc;

	do {
		r.rcx = sizeof(text) - 1 - n < 700 ? sizeof(text) - 1 - n : 700;
		r.rbx = (u64)text + n;
		rc = hypercall(SHOJI_LOG, &r);
		n += rc > 0 ? (u64)rc : 0;
	} while (rc > 0);
	EQUAL(rc, 0, "log");
	check(strstr(text, "shoji: Shoji ") && strstr(text, "first: ready"),
	      "log-text", "%.200s", text);
}

static void test_echo(void)
{
	static u8 out[65536], in[65536];
	int64_t status = 0;

	for (u64 n = 0; n < sizeof(out); n++)
		out[n] = (u8)(n * 7 + (n >> 8));
	EQUAL(send_buffer(0, ORDER_ECHO, out, 5, in, sizeof(in), 0, &status), 5,
	      "echo");
	EQUAL(status, 5, "echo-status");
	check(!memcmp(out, in, 5), "echo-data", " ");
	memset(in, 0, sizeof(in));
	EQUAL(send_buffer(0, ORDER_ECHO, out, 65536, in, 65536, 0, &status),
	      65536, "echo-64k");
	check(!memcmp(out, in, 65536), "echo-64k-data", " ");
	EQUAL(send_buffer(0, ORDER_ECHO, out, 0, 0, 0, 0, &status), 0,
	      "echo-empty");
	EQUAL(send_buffer(0, ORDER_ECHO, out, 65537, in, 65536, 0, &status),
	      -SHOJI_EINVAL, "echo-too-long");
	EQUAL(send_buffer(9, ORDER_ECHO, out, 1, in, 1, 0, &status),
	      -SHOJI_ENOENT, "echo-nobody");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} tests[] = {
		{ "query", test_query },
		{ "log", test_log },
		{ "echo", test_echo },
	};
	struct shoji_regs r = { 0 };

	find_vendor();
	if (signal_of(SHOJI_MAGIC, &r)) {
		printf("not running under Shoji\n");
		return 2;
	}
	for (int a = 1; a < argc; a++)
		for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
			if (!strcmp(argv[a], tests[i].name))
				tests[i].fn();
	(void)now_ns;
	(void)order;
	(void)program_state;
	return failed;
}

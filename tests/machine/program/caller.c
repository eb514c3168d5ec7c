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

#include "caller.h"
#include "orders.h"

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

int64_t hypercall(u32 number, struct shoji_regs *r)
{
	r->rax = SHOJI_MAGIC | number;
	return shoji_hypercall(vmmcall, r);
}

int signal_of(u64 rax, struct shoji_regs *r)
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

int64_t order(u32 to, u32 type, u64 value, int64_t *status)
{
	static u8 reply[65536];

	return send_buffer(to, type, &value, sizeof(value), reply,
			   sizeof(reply), 0, status);
}

int64_t by_handle(u32 number, u64 handle)
{
	struct shoji_regs r = { .rbx = handle };

	return hypercall(number, &r);
}

/* ---- checks ---------------------------------------------------------------- */

static int failed;

void check(int good, const char *name, const char *format, ...)
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

void program_state(u32 i, struct shoji_program *p)
{
	struct shoji_regs r = { .rbx = (u64)p, .rcx = sizeof(*p), .rdx = i };

	memset(p, 0, sizeof(*p));
	EQUAL(hypercall(SHOJI_PROGRAM, &r), sizeof(*p), "program-query");
}

u64 now_ns(void)
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
	u64 total = 0;

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
	for (u64 n = 0; n < 500; n++) {
		send_buffer(0, ORDER_ECHO, out, 0, 0, 0, 0, &status);
		total += calls;
	}
	printf("500 empty messages took %llu exits from user mode\n",
	       (unsigned long long)total);
	check(total <= 1000, "round-trip", "%llu", (unsigned long long)total);
}

/* ---- what must not work ---------------------------------------------------- */

/* Sends an order that is program @to's end; then it has to be there again. */
static void breach_of(u32 to, u32 type, u64 value, const char *name,
		      const char *why)
{
	struct shoji_program before, after;
	int64_t status = 0, rc;

	program_state(to, &before);
	rc = order(to, type, value, &status);
	program_state(to, &after);
	check(rc == -SHOJI_EIO && after.restarts == before.restarts + 1 &&
		      !strncmp(after.stopped, why, strlen(why)),
	      name, "%lld, status %lld, %u restarts, \"%s\", not \"%s\"",
	      (long long)rc, (long long)status,
	      after.restarts - before.restarts, after.stopped, why);
	rc = order(to, ORDER_ECHO, 1, &status);
	if (rc != 8)
		check(0, "echo-after", "%s: %lld", name, (long long)rc);
}

static void breach(u32 type, u64 value, const char *name, const char *why)
{
	breach_of(0, type, value, name, why);
}

static void breach_at(u32 type, u64 at, const char *name, const char *what)
{
	char why[64];

	snprintf(why, sizeof(why), "stopped: %s 0x%llx", what,
		 (unsigned long long)at);
	breach(type, at, name, why);
}

static void test_memory(void)
{
	struct shoji_status st;
	struct shoji_regs r = { .rbx = (u64)&st, .rcx = sizeof(st) };
	u64 direct = 0xffff800000000000, hidden;

	hypercall(SHOJI_STATUS, &r);
	hidden = st.hidden_start;
	breach_at(ORDER_READ, hidden, "read-hidden", "read of");
	breach_at(ORDER_WRITE, hidden, "write-hidden", "write of");
	breach_at(ORDER_READ, 0, "read-null", "read of");
	breach_at(ORDER_READ, 0x100000, "read-guest", "read of");
	breach_at(ORDER_WRITE, 0x100000, "write-guest", "write of");
	breach_at(ORDER_EXECUTE, 0x100000, "execute-guest", "execution of");
	breach_at(ORDER_READ, PROGRAM_SPACE, "read-tables", "access to");
	breach_at(ORDER_WRITE, PROGRAM_SPACE + 0x1000, "write-tables",
		  "access to");
	breach_at(ORDER_READ, 0xffffffff80000000, "read-image", "access to");
	breach_at(ORDER_WRITE, direct + hidden, "write-direct", "access to");
	breach(ORDER_READ, 0x800000000000, "read-not-canonical",
	       "stopped: exception 13");
	breach_at(ORDER_WRITE, 0x401000, "write-code", "write of");
	breach_at(ORDER_EXECUTE, PROGRAM_START, "execute-start",
		  "execution of");
	breach_at(ORDER_EXECUTE, PROGRAM_MAIL, "execute-mail", "execution of");
	breach_at(ORDER_EXECUTE_HEAP, PROGRAM_HEAP, "execute-heap",
		  "execution of");
	breach(ORDER_EXECUTE_STACK, 0, "execute-stack",
	       "stopped: execution of 0x3eff");
	breach_at(ORDER_READ, PROGRAM_MAIL + 0x10000, "read-past-mail",
		  "read of");
	breach(ORDER_STACK, 0, "stack-overflow", "stopped: write of 0x3efe");
	breach(ORDER_HEAP, 0, "heap-exhaustion", "stopped: write of 0x2");
}

static void test_instructions(void)
{
	struct shoji_program p;
	int64_t status = 0, rc;
	u32 n = 0, lived = 0;

	for (;; n++) {
		rc = order(0, ORDER_INSTRUCTION, n, &status);
		if (rc != -SHOJI_EIO && status == -1)
			break;
		program_state(0, &p);
		printf("instruction %u: %lld, %s\n", n, (long long)rc,
		       p.stopped);
		lived += rc != -SHOJI_EIO;
	}
	EQUAL(n, 35, "instructions");
	EQUAL(lived, 0, "instructions-lived");
}

static void test_syscalls(void)
{
	int64_t status = -2;

	EQUAL(order(0, ORDER_UNDEFINED, 0, &status), 0, "undefined");
	EQUAL(status, 0, "undefined-refused");
	EQUAL(order(0, ORDER_WILD, 0, &status), 0, "wild");
	EQUAL(status, 0, "wild-refused");
	for (u64 seed = 1; seed < 6; seed++) {
		int64_t rc = order(0, ORDER_CHAOS, seed, &status);

		/* its own start page and stack are not safe from it */
		check(!rc || rc == -SHOJI_EIO || rc == -SHOJI_ENOENT, "chaos",
		      "%lld", (long long)rc);
		EQUAL(order(0, ORDER_ECHO, 1, &status), 8, "chaos-echo");
	}
}

static void test_time(void)
{
	u64 begin = now_ns();

	breach_of(1, ORDER_LOOP, 0, "loop", "stopped: over its time");
	printf("the loop took %llu ms, %llu calls\n",
	       (unsigned long long)(now_ns() - begin) / 1000000,
	       (unsigned long long)calls);
}

/* ---- time, randomness, registers ------------------------------------------- */

static void test_services(void)
{
	static u8 a[64], b[64], none[64];
	struct program_start start;
	int64_t status = -2;
	u64 t;

	EQUAL(send_buffer(0, ORDER_RANDOM, a, 0, a, 64, 0, &status), 64,
	      "random");
	EQUAL(status, 0, "random-status");
	send_buffer(0, ORDER_RANDOM, b, 0, b, 64, 0, &status);
	check(memcmp(a, b, 64) && memcmp(a, none, 64) && memcmp(b, none, 64),
	      "random-data", " ");
	order(0, ORDER_CLOCK, 0, &status);
	t = (u64)status;
	EQUAL(order(0, ORDER_SLEEP, 50000000, &status), 0, "sleep");
	check(status >= 50000000 && calls < 500, "sleep-time",
	      "%lld ns, %llu calls", (long long)status,
	      (unsigned long long)calls);
	order(0, ORDER_CLOCK, 0, &status);
	check((u64)status - t >= 50000000, "clock", "%lld", (long long)status);
	EQUAL(send_buffer(0, ORDER_START, a, 0, &start, sizeof(start), 0,
			  &status),
	      sizeof(start), "start");
	check(start.self == PROGRAM_START && !start.id && start.canary &&
		      start.slots == 8 && start.slot_size == 65536 &&
		      !strcmp(start.name, "first") && start.memory == 1 << 20 &&
		      start.heap == PROGRAM_HEAP,
	      "start-block", "%s", start.name);
	EQUAL(order(0, ORDER_RELAY, 77, &status), 8, "relay");
	EQUAL(status, 8, "relay-status");
	EQUAL(order(1, ORDER_RELAY, 77, &status), 0, "relay-not-granted");
	EQUAL(status, -PROGRAM_EPERM, "relay-refused");
}

static void test_vectors(void)
{
	int64_t status = -2;
	u64 got[2] = { 0 };

	EQUAL(order(0, ORDER_VECTORS, 0, &status), 0, "vectors");
	EQUAL(status, 0, "vectors-kept");
	for (int i = 0; i < 200; i++) {
		u64 value = 0x0a0b0c0d00000000 + (u64)i, request = 0;
		struct shoji_regs r = {
			.rax = SHOJI_MAGIC | SHOJI_SEND,
			.rbx = i & 1,
			.rcx = (u64)&request,
			.rdx = 8,
			.rsi = (u64)&request,
			.rdi = 8,
			.r8 = ORDER_ECHO,
		};

		__asm__ volatile(
			"movq %0, %%xmm7\n movq %0, %%xmm15" ::"r"(value)
			: "xmm7", "xmm15");
		shoji_hypercall(vmmcall, &r);
		__asm__ volatile("movq %%xmm7, %0\n movq %%xmm15, %1"
				 : "=r"(got[0]), "=r"(got[1]));
		if (got[0] != value || got[1] != value)
			check(0, "vectors-guest", "%llx %llx",
			      (unsigned long long)got[0],
			      (unsigned long long)got[1]);
		until_done(&r, &request, 8, &status);
	}
}

/* What one program has done to its segments another one does not see. */
static void test_selectors(void)
{
	int64_t status;

	for (u32 to = 0; to < 2; to++) {
		EQUAL(order(to, ORDER_SELECTORS, 0, &status), 0, "selectors");
		EQUAL(status, 0x001b001b001b001b, "selectors-of-the-start");
	}
}

static volatile u64 ticks;

static void on_tick(int number)
{
	(void)number;
	ticks++;
}

/* How many turns of ORDER_WORK take a CPU that long. The quickest of many tries
 * tells, in which the host has had no other work. */
static u64 turns_in(u64 ns)
{
	const u64 turns = 10000;
	u64 least = ~0ULL;

	for (int n = 0; n < 50; n++) {
		u64 begin = now_ns(), took;

		for (volatile u64 i = 0; i < turns; i++)
			;
		took = now_ns() - begin;
		least = took < least ? took : least;
	}
	return ns * turns / least;
}

/* The guest's timer goes on while a program computes. */
static void test_interrupts(void)
{
	const u64 work_ns = 500000000, turns = turns_in(work_ns);
	struct sigaction a = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
	struct itimerspec every = { .it_interval.tv_nsec = 10000000,
				    .it_value.tv_nsec = 10000000 };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL,
				  .sigev_signo = SIGALRM };
	int64_t status = 0;
	u64 begin, took;
	timer_t timer;

	sigaction(SIGALRM, &a, NULL);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	ticks = 0;
	begin = now_ns();
	timer_settime(timer, 0, &every, NULL);
	EQUAL(order(0, ORDER_WORK, turns, &status), 0, "work");
	took = now_ns() - begin;
	timer_delete(timer);
	printf("%llu ticks of 10 ms in %llu ms, %llu calls\n",
	       (unsigned long long)ticks, (unsigned long long)took / 1000000,
	       (unsigned long long)calls);
	check(ticks >= work_ns / 10000000 / 2, "ticks", "%llu",
	      (unsigned long long)ticks);
	check(calls > 1, "slices", "%llu", (unsigned long long)calls);
}

/* ---- the background -------------------------------------------------------- */

enum guest_does {
	NOTHING,
	COMPUTES,
	EXITS,
};

/* What a program has begun goes on without a call. */
static void unasked(enum guest_does what, const char *name)
{
	const u64 count = 2000000;
	u64 value = count, begin = now_ns();
	struct shoji_regs r = {
		.rcx = (u64)&value,
		.rdx = sizeof(value),
		.r8 = ORDER_WORK,
	};
	struct shoji_program before, after;
	u32 leaf = 0;

	program_state(0, &before);
	EQUAL(hypercall(SHOJI_SEND, &r), -SHOJI_EAGAIN, "unasked-send");
	if (what == NOTHING)
		sleep(3);
	while (now_ns() - begin < 3000000000)
		if (what == EXITS)
			__asm__ volatile("cpuid"
					 : "+a"(leaf)
					 :
					 : "rbx", "rcx", "rdx");
	program_state(0, &after);
	r = (struct shoji_regs){ .rbx = r.rdx };
	EQUAL(hypercall(SHOJI_WAIT, &r), 0, name);
	printf("%llu slices, %llu us\n",
	       (unsigned long long)(after.slices - before.slices),
	       (unsigned long long)(after.run_ns - before.run_ns) / 1000);
}

static void test_background(void)
{
	unasked(NOTHING, "unasked-idle");
	unasked(COMPUTES, "unasked-busy");
}

static void test_exits(void)
{
	unasked(EXITS, "unasked-exits");
}

/* ---- buffers --------------------------------------------------------------- */

static int64_t register_buffer(void *p, u64 size, u64 access)
{
	struct shoji_regs r = { .rbx = (u64)p, .rcx = size, .rdx = access };

	return hypercall(SHOJI_REGISTER, &r);
}

static int64_t use_buffer(int64_t id, int64_t *status)
{
	return send_buffer(0, ORDER_BUFFER, NULL, 0, NULL, 0, (u64)id, status);
}

static void test_buffers(void)
{
	const u64 size = 200000;
	u8 *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	int64_t id, status = -2, bad = 0;

	memset(p, 0x41, 1 << 20);
	id = register_buffer(p, size, 3);
	check(id > 0, "register", "%lld", (long long)id);
	EQUAL(use_buffer(id, &status), 0, "buffer");
	EQUAL(status, size, "buffer-status");
	for (u64 i = 0; i < 1 << 20; i++)
		bad += p[i] != (i < size ? 0x42 : 0x41);
	EQUAL(bad, 0, "buffer-data");
	EQUAL(by_handle(SHOJI_UNREGISTER, (u64)id), 0, "unregister");
	EQUAL(use_buffer(id, &status), -SHOJI_EINVAL, "unregistered");
	id = register_buffer(p, size, 1);
	EQUAL(use_buffer(id, &status), 0, "read-only");
	EQUAL(status, -PROGRAM_EPERM, "read-only-refused");
	mprotect(p, 1 << 20, PROT_NONE);
	EQUAL(use_buffer(id, &status), 0, "no-access");
	EQUAL(status, -PROGRAM_EFAULT, "no-access-refused");
	id = register_buffer((void *)0xffff888000000000, size, 3);
	EQUAL(use_buffer(id, &status), 0, "kernel-memory");
	EQUAL(status, -PROGRAM_EFAULT, "kernel-memory-refused");
	EQUAL(register_buffer(p, 0, 3), -SHOJI_EINVAL, "register-nothing");
	EQUAL(register_buffer(p, 17 << 20, 3), -SHOJI_EINVAL, "register-much");
	EQUAL(register_buffer((void *)~0ULL, 16, 3), -SHOJI_EINVAL,
	      "register-wrapping");
	register_buffer(p, 1, 1);
	register_buffer(p, 1, 1);
	EQUAL(register_buffer(p, 1, 1), -SHOJI_EBUSY, "register-many");
}

/* ---- secrets --------------------------------------------------------------- */

static volatile u64 secret_low = SECRET_LOW, secret_mask = SECRET_MASK;

/* All of RAM, as /dev/mem has it; where the map has a hole, too. */
static u64 search(void)
{
	u64 found = 0, low = secret_low, mask = secret_mask, end = 256 << 20;
	int fd = open("/dev/mem", O_RDONLY | O_SYNC);

	for (u64 at = 0x100000; at < end; at += 1 << 20) {
		const volatile u64 *p = mmap(NULL, 1 << 20, PROT_READ,
					     MAP_SHARED, fd, (off_t)at);

		if (p == MAP_FAILED)
			continue;
		for (u64 i = 0; i < (1 << 20) / 8; i++)
			found += (p[i] ^ mask) == low;
		munmap((void *)p, 1 << 20);
	}
	close(fd);
	return found;
}

/* The host has looked at the memory: it says so in the disk's last sector. */
static void wait_for_host(u8 turn)
{
	static u8 sector[512] __attribute__((aligned(512)));
	int fd = open("/dev/sda", O_RDONLY | O_DIRECT);
	off_t at = lseek(fd, -512, SEEK_END);

	while (sector[0] != turn) {
		usleep(100000);
		if (pread(fd, sector, 512, at) != 512) {
			check(0, "the host's sector", "%d", errno);
			break;
		}
	}
	close(fd);
}

static void test_secret(void)
{
	int64_t status = -2;

	EQUAL(order(0, ORDER_SECRET, 0, &status), 0, "secret");
	EQUAL(search(), 0, "secret-hidden");
	printf("@@ secret held\n");
	fflush(stdout);
	wait_for_host(1);
	breach(ORDER_SECRET, 1, "secret-exit", "exit with status 1");
	EQUAL(search(), 0, "secret-gone");
	printf("@@ secret gone\n");
	fflush(stdout);
	wait_for_host(2);
}

/* ---- two CPUs -------------------------------------------------------------- */

static int echo_many(u64 arg)
{
	static u8 out[20000], in[20000];
	u32 cpu = arg & 1, to = arg >> 1 & 1;
	cpu_set_t set;
	int64_t status;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	for (u32 i = 0; i < 100; i++) {
		u64 n = i * 199;

		memset(out, (int)(i + arg * 50), sizeof(out));
		memset(in, 0, sizeof(in));
		if (send_buffer(to, ORDER_ECHO, out, n, in, sizeof(in), 0,
				&status) != (int64_t)n ||
		    memcmp(out, in, n))
			return 1;
	}
	return 0;
}

static void both(u64 a, u64 b, const char *name)
{
	int status_a = 0, status_b = 0;
	pid_t first = fork(), second;

	if (!first)
		_exit(echo_many(a));
	second = fork();
	if (!second)
		_exit(echo_many(b));
	waitpid(first, &status_a, 0);
	waitpid(second, &status_b, 0);
	check(!status_a && !status_b, name, "%x %x", status_a, status_b);
}

static void test_both(void)
{
	both(0, 3, "two-programs");
	both(0, 1, "one-program");
}

static void test_exit(void)
{
	struct shoji_program p;
	int64_t status = 0;

	EQUAL(order(1, ORDER_EXIT, 0, &status), -SHOJI_EIO, "exit");
	program_state(1, &p);
	EQUAL(p.state, SHOJI_PROGRAM_STOPPED, "exit-state");
	EQUAL(order(1, ORDER_ECHO, 0, &status), -SHOJI_ENOENT, "exit-gone");
	EQUAL(order(0, ORDER_RELAY, 0, &status), 0, "exit-relay");
	EQUAL(status, -PROGRAM_ENOENT, "exit-relay-refused");
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
		{ "memory", test_memory },
		{ "instructions", test_instructions },
		{ "syscalls", test_syscalls },
		{ "time", test_time },
		{ "services", test_services },
		{ "vectors", test_vectors },
		{ "selectors", test_selectors },
		{ "interrupts", test_interrupts },
		{ "background", test_background },
		{ "exits", test_exits },
		{ "callers", test_callers },
		{ "wild", test_wild },
		{ "buffers", test_buffers },
		{ "secret", test_secret },
		{ "both", test_both },
		{ "exit", test_exit },
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
	return failed;
}

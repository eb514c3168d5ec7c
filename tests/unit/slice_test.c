/*
 * Slices, and what is left of a program that was stopped.
 *
 * units: core/program/run.c core/program/load.c core/program/region.c core/program/syscall.c core/program/mail.c core/program/space.c core/program/elf.c core/lib/fmt.c
 * libs: -include tests/unit/fake_slice.h
 */
#include "core/program/program.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu/clock.h"
#include "core/cpu/fpu.h"
#include "core/lib/errors.h"
#include "core/lib/panic.h"
#include "core/lib/string.h"
#include "core/mm/pool.h"
#include "core/program/abi.h"
#include "core/program/barrier.h"
#include "core/virt/guest.h"
#include "crypto/sha256.h"
#include "tests/unit/test.h"

#define PIECE	65536
#define MEMORY	(1024 * 1024)
#define PATTERN 0x5a

u64 fake_now;
static struct programs all;
static struct cpu cpus[2];
static struct vcpu vcpus[2];
static u8 *pages; /* what pool_alloc_run() has given, all in one */
static u64 pages_used;
static u64 most; /* bytes wiped in one go */
static u64 ids;

/* ---- stand-ins ------------------------------------------------------------ */

void wipe(void *p, size_t n)
{
	most = n > most ? n : most;
	memset(p, 0, n);
}

void *pool_alloc_run(size_t count)
{
	u8 *p = pages + pages_used;

	pages_used += count * PAGE_SIZE;
	return p;
}

hpa_t virt_to_phys(const void *p)
{
	return (hpa_t)(uintptr_t)p;
}

u64 clock_ns(void)
{
	return fake_now;
}

u64 clock_to_ns(u64 ticks)
{
	return ticks;
}

u64 clock_to_ticks(u64 ns)
{
	return ns;
}

u32 fpu_size(void)
{
	return 1024;
}

void fpu_save(void *area)
{
	/* nobody else may load it before */
	for (u32 i = 0; i < all.count; i++)
		EXPECT(all.program[i].xstate != area || all.program[i].holder);
	memset(area, PATTERN, 1024);
}

static char order[32]; /* of what is done to the extended state */

static void note(char what)
{
	size_t n = strlen(order);

	if (n < sizeof(order) - 1)
		order[n] = what;
}

void fpu_begin(void)
{
	note('(');
}

void fpu_end(void)
{
	note(')');
}

void fpu_load(const void *area)
{
	(void)area;
	note('l');
}

void fpu_reset(void *area)
{
	(void)area;
}

static u64 switch_ns; /* how long it takes */

void barrier_switch(void)
{
	fake_now += switch_ns;
	note('|');
}

void random_seed(struct random *r)
{
	(void)r;
}

void random_bytes(struct random *r, void *out, size_t len)
{
	(void)r;
	memset(out, 0x77, len);
}

void sha256(const void *data, size_t len, u8 out[32])
{
	(void)data;
	(void)len;
	memset(out, 0, 32);
}

int table_init(struct table *t, const struct table_format *format)
{
	(void)format;
	t->root = (u64 *)pages;
	return 0;
}

static struct { /* the last one */
	u64 va, len, attr;
} mapped;

int table_map(struct table *t, u64 va, u64 pa, u64 len, u64 attr)
{
	(void)t, (void)pa;
	mapped.va = va;
	mapped.len = len;
	mapped.attr = attr;
	return 0;
}

void log_line(const char *format, ...)
{
	(void)format;
}

static char logged[256];

void log_limited(struct log_limit *limit, const char *format, ...)
{
	va_list args;

	(void)limit;
	va_start(args, format);
	vsnprintf(logged, sizeof(logged), format, args);
	va_end(args);
}

void panic(const char *format, ...)
{
	printf("panic: %s\n", format);
	abort();
}

static struct { /* the last one */
	u64 address, len;
	void *data;
	bool write;
	int rc;
} copied;

int caller_copy(struct vcpu *v, u64 address, void *data, u64 len, bool write,
		struct guest_mem_fault *fault)
{
	(void)v, (void)fault;
	copied.address = address;
	copied.data = data;
	copied.len = len;
	copied.write = write;
	return copied.rc;
}

u64 program_new_id(struct programs *a, const struct program *p, u32 slot)
{
	(void)a;
	return ++ids << 8 | p->id << 4 | slot;
}

struct program *program_of_id(struct programs *a, u64 id)
{
	return &a->program[id >> 4 & 15];
}

/* ---- a machine with two programs ------------------------------------------- */

static const struct table_format *nested_format(void)
{
	return NULL;
}

static u64 nested_attr(unsigned int access, enum mem_type type)
{
	(void)type;
	return access;
}

/* What a program does when it runs next, and for how long. */
static struct {
	enum vmexit_kind exit;
	struct vmexit told; /* of it, besides */
	u64 ns;
	u32 runs;
	void (*meanwhile)(void);
	u32 leaf; /* of CPUID */
	u64 ticks;
	bool flush;
} next;

static void program_run(struct vcpu *v, struct virt_program *p, u64 ticks,
			struct vmexit *exit)
{
	struct program *q = &all.program[p->index];

	EXPECT(q->state == SHOJI_PROGRAM_RUNNING && !q->poked);
	EXPECT_EQ(q->holder, v->cpu->index + 1);
	EXPECT_EQ(all.lock.next, all.lock.serving);
	next.ticks = ticks;
	next.flush = p->flush;
	memset(q->memory + PIECE, PATTERN, MEMORY - PIECE);
	memset(p->gpr, PATTERN, sizeof(p->gpr));
	p->gpr[GPR_RAX] = next.leaf;
	next.runs++;
	fake_now += next.ns;
	*exit = next.told;
	exit->kind = next.exit;
	if (next.meanwhile)
		next.meanwhile();
}

static const struct virt_ops ops = {
	.nested_format = nested_format,
	.nested_attr = nested_attr,
	.program_run = program_run,
};

/* One segment of 3 pages at 401000h, 80h bytes of them from the file, at an
 * offset of 40h in the first. */
static const struct file {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
	u32 ptype, pflags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
	u8 body[0x80];
} plain = {
	.ident = { 0x7f, 'E', 'L', 'F', 2, 1, 1 },
	.type = 2,
	.machine = 62,
	.entry = 0x401040,
	.phoff = 64,
	.phentsize = 56,
	.phnum = 1,
	.ptype = 1,
	.pflags = 5,
	.offset = 120,
	.vaddr = 0x401040,
	.filesz = 0x80,
	.memsz = 0x2fc0,
};
static struct file file; /* which the end wipes, too */

static void start(u8 restart)
{
	struct program_manifest m[2] = { { .memory_kib = MEMORY / 1024,
					   .stack_kib = 64,
					   .message_kib = 64,
					   .slice_us = 500,
					   .time_ms = 1000,
					   .messages = 4,
					   .restart = restart } };
	static const struct program_region regions[] = { { "shared", 128, 0 },
							 { "other", 64, 0 } };
	const struct program_config config = { .manifests = m,
					       .count = 2,
					       .regions = regions,
					       .region_count = 2 };
	const struct program_file f = { (u8 *)&file, sizeof(file), "file" };

	m[1] = m[0];
	m[0].regions = 3;
	m[0].writes = 2;
	m[1].regions = 5;
	m[1].writes = 1;
	strcpy(m[1].name, "second");
	copied.len = 0;
	copied.rc = -EFAULT;
	file = plain;
	memset(file.body, 0x11, sizeof(file.body));
	pages = realloc(pages, 4 * MEMORY);
	memset(pages, 0, 4 * MEMORY);
	memset(&all, 0, sizeof(all));
	pages_used = 0;
	programs_init(&all, &config, &ops, &f, 1);
	cpus[1].index = 1;
	for (int i = 0; i < 2; i++)
		vcpus[i].cpu = &cpus[i];
	vcpus[0].rflags = vcpus[1].rflags = RFLAGS_FIXED | RFLAGS_IF;
	vcpus[0].timer = vcpus[1].timer = true;
	vcpus[0].deadline = vcpus[1].deadline = 1;
	next.exit = VMEXIT_INTR;
	next.told = (struct vmexit){ 0 };
	next.ns = 1000;
	next.runs = 0;
	next.meanwhile = NULL;
	fake_now = 1000000000;
	most = 0;
}

static struct mail_slot *post(struct program *p)
{
	struct mail_slot m = { .id = program_new_id(&all, p, 0),
			       .sender = { PROGRAM_FROM_USER, 1 } };
	int i = mail_take(&p->mail, &m.sender, fake_now);

	mail_post(&p->mail, i, &m, fake_now);
	return &p->mail.slot[i];
}

/* One call of CPU @cpu that waits for the message in @slot; true: an INIT. */
static bool call(u32 cpu, struct program *p, const struct mail_slot *slot)
{
	struct slice s = { .all = &all,
			   .v = &vcpus[cpu],
			   .end = fake_now + 500000 };

	lock_acquire(&all.lock);
	slice_run(&s, p, slot, slot ? slot->id : 0);
	slice_end(&s);
	lock_release(&all.lock);
	return s.init;
}

static u64 count(const void *memory, u64 size, u8 value)
{
	const u8 *p = memory;
	u64 n = 0;

	for (u64 i = 0; i < size; i++)
		n += p[i] == value;
	return n;
}

static bool as_at_the_start(const struct program *p)
{
	const struct program_start *s = (struct program_start *)p->start;

	return count(p->memory, 0x40, 0) == 0x40 &&
	       count(p->memory + 0x40, 0x80, 0x11) == 0x80 &&
	       count(p->memory + 0xc0, 0x2f40, 0) == 0x2f40 &&
	       s->self == PROGRAM_START && s->restarts == p->restarts &&
	       count(p->start + sizeof(*s), MEMORY - 0x3000 - sizeof(*s), 0) ==
		       MEMORY - 0x3000 - sizeof(*s);
}

/* ---- what is left of a program --------------------------------------------- */

/* The first program has run, and its end is @why. */
static struct mail_slot *crash(struct program *p, enum vmexit_kind why)
{
	struct mail_slot *slot = post(p);

	next.exit = why;
	call(0, p, slot);
	EXPECT_EQ(next.runs, 1);
	EXPECT(p->dirty && p->state == SHOJI_PROGRAM_STOPPED);
	return slot;
}

TEST(started)
{
	struct program *p = &all.program[0];

	start(1);
	EXPECT(p->file && as_at_the_start(p));
	call(0, p, post(p));
	EXPECT_EQ(next.runs, 1);
	EXPECT(!p->holder && p->state == SHOJI_PROGRAM_READY);
}

/* The state of one is put away, then what it has left, then the next comes. */
TEST(nothing_is_left_behind)
{
	start(1);
	call(0, &all.program[0], NULL);
	memset(order, 0, sizeof(order));
	next.exit = VMEXIT_CPUID;
	next.ns = 400000;
	call(0, &all.program[0], NULL);
	EXPECT(!strcmp(order, "(|l|)"));
}

/* The guest has to run, or the program is stopped and comes again. */
TEST(what_an_exit_means)
{
	const struct vmexit exec = { .fault = { .gpa = 0x1234, .exec = true } };
	const struct vmexit write = { .fault = { .gpa = 0x1234,
						 .write = true } };
	const struct vmexit read = { .fault = { .gpa = 0x1234 } };
	const struct vmexit pf = { .exception = { .vector = 14 },
				   .info = 0x5678 };
	const struct vmexit gp = { .exception = { .vector = 13, .error = 7 },
				   .info = 0x5678 };
	const struct {
		enum vmexit_kind kind;
		const struct vmexit *told;
		const char *stopped;
	} cases[] = {
		{ VMEXIT_INIT, &read, NULL },
		{ VMEXIT_INTR, &read, NULL },
		{ VMEXIT_NMI, &read, NULL },
		{ VMEXIT_DEADLINE, &read, NULL },
		{ VMEXIT_HANDLED, &read, NULL },
		{ VMEXIT_NESTED_FAULT, &exec, "execution of 0x1234" },
		{ VMEXIT_NESTED_FAULT, &write, "write of 0x1234" },
		{ VMEXIT_NESTED_FAULT, &read, "read of 0x1234" },
		{ VMEXIT_EXCEPTION, &pf, "access to 0x5678" },
		{ VMEXIT_EXCEPTION, &gp, "exception 13 (0x7)" },
		{ VMEXIT_RDMSR, &pf, "exit 2, 0x0 0x5678" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct program *p = &all.program[0];

		start(1);
		next.exit = cases[i].kind;
		next.told = *cases[i].told;
		EXPECT_EQ(call(0, p, NULL), cases[i].kind == VMEXIT_INIT);
		EXPECT_EQ(all.cpu[0].wanted, cases[i].kind == VMEXIT_INTR);
		EXPECT(next.runs == 1 || cases[i].stopped);
		EXPECT(p->dirty == !!cases[i].stopped && p->again == p->dirty);
		EXPECT(!p->dirty || strstr(p->stopped, cases[i].stopped));
	}
}

/* Until the end of the slice, and at all. */
TEST(no_longer_than_its_slice)
{
	start(1);
	call(0, &all.program[0], NULL);
	EXPECT_EQ(next.ticks, 500000);
	switch_ns = 100000;
	call(0, &all.program[0], NULL);
	EXPECT_EQ(next.ticks, 400000);
	switch_ns = 500000;
	call(0, &all.program[0], NULL);
	EXPECT_EQ(next.ticks, 1);
	switch_ns = 0;
}

/* Once on each CPU that may know the pages that it has no more. */
TEST(forgets_what_it_has_no_more)
{
	struct program *p = &all.program[0];

	start(1);
	p->stale = 6;
	for (u32 i = 0; i < 4; i++) {
		call(i % 2, p, NULL);
		EXPECT_EQ(next.flush, i == 1);
	}
	EXPECT_EQ(p->stale, 4);
}

static void gets_it(void)
{
	mail_receive(&all.program[0].mail, fake_now);
}

static void answers_it(void)
{
	EXPECT_EQ(mail_reply(&all.program[0].mail.slot[0], 8, 0, fake_now), 0);
}

static void loses_it(void)
{
	all.program[0].mail.slot[0].id++;
}

/* And no longer, whatever else it has to do. */
TEST(until_its_message_is_answered)
{
	struct program *p = &all.program[0];
	struct mail_slot *slot;

	start(1);
	slot = post(p);
	next.exit = VMEXIT_CPUID;
	next.ns = 100000;
	call(0, p, slot);
	EXPECT_EQ(next.runs, 5);
	next.meanwhile = gets_it;
	call(0, p, slot);
	EXPECT_EQ(next.runs, 10);
	next.meanwhile = loses_it;
	call(0, p, slot);
	EXPECT_EQ(next.runs, 11);
	next.meanwhile = answers_it;
	call(0, p, slot);
	EXPECT_EQ(next.runs, 12);
	next.meanwhile = NULL;
	call(0, p, slot);
	EXPECT_EQ(next.runs, 12);
	/* its own memory has to go first */
	p->dirty = true;
	call(0, p, slot);
	EXPECT_EQ(p->clean, PIECE);
}

static void ask_to_sleep(struct program *p, u64 until)
{
	p->cpu.gpr[GPR_RAX] = PROGRAM_SLEEP;
	p->cpu.gpr[GPR_RDI] = until;
}

/* The only one that there is, for so long. */
static void asleep(struct program *p, u64 ns)
{
	start(1);
	all.program[1].file = NULL;
	p->state = SHOJI_PROGRAM_WAITING;
	p->wake = fake_now + ns;
	ask_to_sleep(p, p->wake);
}

static void second_sleeps(void)
{
	ask_to_sleep(&all.program[1], PROGRAM_FOREVER);
	next.meanwhile = NULL;
}

/* One waits, the other one goes on in the same slice, with its own state. */
TEST(another_ones_turn)
{
	struct program *p = &all.program[0], *q = &all.program[1];

	start(1);
	memset(order, 0, sizeof(order));
	next.exit = VMEXIT_HYPERCALL;
	next.leaf = PROGRAM_CALLS; /* there is no such call */
	next.ns = 200000;
	next.meanwhile = second_sleeps;
	call(0, q, NULL);
	EXPECT(!strcmp(order, "(|l|l|)"));
	EXPECT(q->slices == 1 && p->slices == 1 && next.runs == 3);
	EXPECT_EQ(q->state, SHOJI_PROGRAM_WAITING);
	EXPECT(!p->holder && !q->holder);
	EXPECT_EQ(count(p->xstate, 1024, PATTERN), 1024);
	EXPECT_EQ(count(q->xstate, 1024, PATTERN), 1024);
	EXPECT(p->run_ns == 400000 && q->run_ns == 200000);
	EXPECT(all.cpu[0].ns == 600000 && all.cpu[0].slices == 1);
	/* where nobody can go on, nothing has happened */
	memset(order, 0, sizeof(order));
	p->file = NULL;
	call(0, q, NULL);
	EXPECT(!order[0] && next.runs == 3);
}

/* It looks again, once, and waits on. */
TEST(woken_for_nothing)
{
	struct program *p = &all.program[0];

	asleep(p, 1);
	p->poked = true;
	call(0, p, NULL);
	EXPECT(!p->poked && !p->holder && next.runs == 0);
	EXPECT_EQ(p->state, SHOJI_PROGRAM_WAITING);
	fake_now++;
	call(0, p, NULL);
	EXPECT_EQ(next.runs, 1);
}

/* It would not help who waits for a program that another CPU runs. */
TEST(no_other_instead)
{
	start(1);
	all.program[0].holder = 2;
	call(0, &all.program[0], NULL);
	EXPECT_EQ(next.runs, 0);
	call(0, &all.program[1], NULL);
	EXPECT_EQ(next.runs, 1);
	call(1, &all.program[0], NULL);
	EXPECT_EQ(all.program[0].slices, 1);
}

/* Of a CPU that has everything. */
static struct cpuid asks_cpuid(u32 leaf)
{
	struct program *p = &all.program[0];
	u64 rip = p->cpu.rip;

	next.exit = VMEXIT_CPUID;
	next.ns = 500000;
	next.leaf = leaf;
	call(0, p, NULL);
	EXPECT_EQ(p->cpu.rip, rip + 2);
	return (struct cpuid){ p->cpu.gpr[GPR_RAX], p->cpu.gpr[GPR_RBX],
			       p->cpu.gpr[GPR_RCX], p->cpu.gpr[GPR_RDX] };
}

TEST(does_not_know_where_it_is)
{
	static const u32 topology[] = { 0x0b, 0x1f, 0x8000001e, 0x80000026 };
	struct cpuid id;

	start(1);
	for (size_t i = 0; i < ARRAY_SIZE(topology); i++) {
		id = asks_cpuid(topology[i]);
		EXPECT(!(id.eax | id.ebx | id.ecx | id.edx));
	}
	id = asks_cpuid(1); /* no APIC ID; no VMX, SMX, MONITOR, hypervisor */
	EXPECT(id.ebx == 0xffffff && id.ecx == 0x7fffff97 && !~id.edx);
	id = asks_cpuid(7); /* no FSGSBASE, no SGX, vectors only */
	EXPECT(id.ebx == 0xfffffffa && id.ecx == 0x5f42 && !id.edx);
	id = asks_cpuid(0x80000001); /* no SVM, MONITORX, SYSCALL, RDTSCP */
	EXPECT(id.ecx == 0xdffffffb && id.edx == 0xf7fff7ff);
	id = asks_cpuid(0x80000008); /* no RDPRU */
	EXPECT(id.ebx == 0xffffffef && !~id.eax);
	id = asks_cpuid(0x8000001d);
	EXPECT(!~(id.eax & id.ebx & id.ecx & id.edx));
}

TEST(wiped_in_pieces)
{
	struct program *p = &all.program[0];
	struct mail_slot *slot, *done;
	u64 n;

	start(1);
	all.program[1].file = NULL; /* or it would run instead */
	done = post(p);
	EXPECT_EQ(mail_reply(mail_receive(&p->mail, 1), 9, 0, 1), 0);
	slot = crash(p, VMEXIT_SHUTDOWN);
	/* the registers are gone at once */
	EXPECT_EQ(count(&p->cpu, sizeof(p->cpu), PATTERN), 0);
	EXPECT_EQ(count(p->xstate, 1024, PATTERN), 0);
	most = 0;
	for (n = 1; p->dirty && n < 100; n++) {
		EXPECT(!slot->failed && !done->failed);
		EXPECT_EQ(count(p->memory, MEMORY, PATTERN),
			  MEMORY - n * PIECE);
		call(n % 2, p, n % 3 ? slot : done);
	}
	EXPECT_EQ(n, MEMORY / PIECE);
	EXPECT_EQ(most, PIECE);
	EXPECT(slot->failed && done->failed);
	EXPECT_EQ(next.runs, 1);
	EXPECT(p->restarts == 1 && as_at_the_start(p));
	EXPECT(p->state == SHOJI_PROGRAM_READY && !p->holder);
	next.exit = VMEXIT_INTR;
	call(0, p, NULL); /* not so soon */
	EXPECT_EQ(next.runs, 1);
	fake_now += 200000000;
	call(0, p, NULL);
	EXPECT_EQ(next.runs, 2);
}

TEST(stopped_for_good)
{
	struct program *p = &all.program[0];
	struct mail_slot *slot;

	start(0);
	all.program[1].file = NULL;
	slot = crash(p, VMEXIT_SHUTDOWN);
	for (u32 n = 0; n < MEMORY / PIECE; n++)
		call(0, p, slot);
	EXPECT(!p->dirty && slot->failed);
	EXPECT_EQ(count(p->memory, MEMORY, 0), MEMORY);
	EXPECT_EQ(p->state, SHOJI_PROGRAM_STOPPED);
	call(0, p, NULL);
	EXPECT_EQ(next.runs, 1);
}

static bool unasked; /* in the background */

static struct mail_sender caller; /* for whom it runs */

/* A system call of the second program. */
static s64 asks(u64 number, u64 a, u64 b, u64 c, u64 d)
{
	struct slice s = { .all = &all,
			   .v = &vcpus[0],
			   .caller = caller,
			   .background = unasked };
	struct program *p = &all.program[1];

	p->cpu.gpr[GPR_RAX] = number;
	p->cpu.gpr[GPR_RDI] = a;
	p->cpu.gpr[GPR_RSI] = b;
	p->cpu.gpr[GPR_RDX] = c;
	p->cpu.gpr[10] = d;
	p->state = SHOJI_PROGRAM_READY;
	program_syscall(&s, p);
	return (s64)p->cpu.gpr[GPR_RAX];
}

TEST(seen_by_another_program)
{
	struct program *p = &all.program[0], *q = &all.program[1];
	const u64 reply = PROGRAM_STACK_TOP - 64;
	s64 id;

	start(1);
	q->m.sends = 1;
	id = asks(PROGRAM_SEND, 0, 7, reply, 8);
	EXPECT(id > 0);
	EXPECT_EQ(mail_reply(mail_receive(&p->mail, 1), 8, 0, 1), 0);
	(void)crash(p, VMEXIT_SHUTDOWN);
	/* the reply was there, but is being wiped */
	EXPECT_EQ(asks(PROGRAM_WAIT, (u64)id, reply, 8, fake_now), -EAGAIN);
	EXPECT_EQ(asks(PROGRAM_SEND, 0, 7, reply, 8), -EBUSY);
	asks(PROGRAM_WAIT, (u64)id, reply, 8, fake_now + 9);
	EXPECT_EQ(q->state, SHOJI_PROGRAM_WAITING);
	EXPECT_EQ(q->wake, fake_now + 9);
	q->poked = false;
	while (p->dirty)
		call(0, p, NULL);
	EXPECT(q->poked);
	EXPECT_EQ(asks(PROGRAM_WAIT, (u64)id, reply, 8, 0), -EIO);
	EXPECT_EQ(asks(PROGRAM_WAIT, (u64)id, reply, 8, 0), -ENOENT);
}

/* ---- what a program may ask for --------------------------------------------- */

#define CODE 0x401000ULL /* three pages that it cannot write to */

struct asked {
	u64 number, arg[4];
	s64 want;
};

static void all_refused(const struct asked *a, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		s64 got = asks(a[i].number, a[i].arg[0], a[i].arg[1],
			       a[i].arg[2], a[i].arg[3]);

		if (got != a[i].want)
			printf("the %zuth:\n", i);
		EXPECT_EQ(got, a[i].want);
	}
}

TEST(lines_and_random_bytes)
{
	static const struct asked refused[] = {
		{ PROGRAM_LOG, { CODE, PROGRAM_LOG_MAX + 1 }, -EINVAL },
		{ PROGRAM_LOG, { CODE - 1, 2 }, -EFAULT },
		{ PROGRAM_LOG, { CODE + 0x2fff, 2 }, -EFAULT },
		{ PROGRAM_RANDOM, { PROGRAM_HEAP, 4097 }, -EINVAL },
		{ PROGRAM_RANDOM, { CODE, 8 }, -EFAULT },
		{ PROGRAM_RANDOM, { PROGRAM_STACK_TOP - 4, 8 }, -EFAULT },
		{ PROGRAM_RANDOM, { PROGRAM_HEAP, 8 }, -EIO },
		{ PROGRAM_CALLS, { 0 }, -ENOSYS },
	};
	u8 *heap;

	start(1);
	all_refused(refused, ARRAY_SIZE(refused));
	heap = space_find(&all.program[1].space, PROGRAM_HEAP, 4096, ELF_W);
	memcpy(heap, "\n\x1f \x7f~\x80", 6);
	EXPECT_EQ(asks(PROGRAM_LOG, PROGRAM_HEAP, 6, 0, 0), 0);
	EXPECT(!strcmp(logged, "second: ?? ?~?"));
	EXPECT_EQ(asks(PROGRAM_LOG, CODE + 0x40, 1, 0, 0), 0);
	EXPECT(!strcmp(logged, "second: ?"));
	memset(heap, 'b', PROGRAM_LOG_MAX);
	EXPECT_EQ(asks(PROGRAM_LOG, PROGRAM_HEAP, PROGRAM_LOG_MAX, 0, 0), 0);
	EXPECT_EQ(strlen(logged), 8 + PROGRAM_LOG_MAX);
	all.random.seeded = true;
	EXPECT_EQ(asks(PROGRAM_RANDOM, PROGRAM_HEAP, 4096, 0, 0), 0);
	EXPECT_EQ(count(heap, 4096, 0x77), 4096);
}

TEST(sends_to_whom_it_may)
{
	struct program *p = &all.program[0], *q = &all.program[1];
	const struct asked refused[] = {
		{ PROGRAM_SEND, { 1, 7, PROGRAM_HEAP, 8 }, -EPERM },
		{ PROGRAM_SEND, { 2, 7, PROGRAM_HEAP, 8 }, -EPERM },
		{ PROGRAM_SEND, { 64, 7, PROGRAM_HEAP, 8 }, -EPERM },
		{ PROGRAM_SEND, { 0, 7, PROGRAM_HEAP, 65537 }, -EINVAL },
		{ PROGRAM_SEND, { 0, 7, CODE + 0x2ff9, 8 }, -EFAULT },
		{ PROGRAM_WAIT, { 1, PROGRAM_HEAP, 8, 0 }, -ENOENT },
	};
	struct mail_slot *slot;
	s64 id;

	start(1);
	EXPECT_EQ(p->slot_size, 65536);
	q->m.sends = 5;
	all_refused(refused, ARRAY_SIZE(refused));
	EXPECT_EQ(mail_count(&p->mail, MAIL_FREE), 4);
	(void)asks(PROGRAM_SEND, 0, 7, CODE, 8);
	id = asks(PROGRAM_SEND, 0, 8, CODE + 0x40, 0x80);
	EXPECT(id > 0 && p->poked);
	EXPECT_EQ(asks(PROGRAM_WAIT, (u64)id, PROGRAM_HEAP, 0x80, 0), -EAGAIN);
	EXPECT_EQ(count(p->slots + p->slot_size, 0x80, 0x11), 0x80);
	EXPECT_EQ(asks(PROGRAM_SEND, 0, 9, CODE, 8), -EBUSY);
	mail_receive(&p->mail, 1);
	slot = mail_receive(&p->mail, 1);
	EXPECT(slot->type == 8 && slot->length == 0x80);
	EXPECT_EQ(slot->sender.kind, 1);
	/* its reply has to fit, and where it goes has to be its own */
	EXPECT_EQ(mail_reply(slot, 0x80, 3, 1), 0);
	memset(p->slots + p->slot_size, 0x33, 0x80);
	EXPECT_EQ(asks(PROGRAM_WAIT, (u64)id, PROGRAM_HEAP, 0x7f, 0), -ENOSPC);
	EXPECT_EQ(q->cpu.gpr[GPR_RDX], 0x80);
	EXPECT_EQ(asks(PROGRAM_WAIT, (u64)id, CODE, 0x80, 0), -EFAULT);
	EXPECT_EQ(asks(PROGRAM_WAIT, (u64)id, PROGRAM_HEAP, 0x80, 0), 0x80);
	EXPECT_EQ(q->cpu.gpr[GPR_RDX], 3);
	EXPECT_EQ(count(space_find(&q->space, PROGRAM_HEAP, 0x80, ELF_W), 0x80,
			0x33),
		  0x80);
	EXPECT_EQ(asks(PROGRAM_WAIT, (u64)id, PROGRAM_HEAP, 0x80, 0), -ENOENT);
	id = asks(PROGRAM_SEND, 0, 7, CODE, 8);
	EXPECT_EQ(asks(PROGRAM_CANCEL, (u64)id, 0, 0, 0), 0);
	EXPECT_EQ(asks(PROGRAM_CANCEL, (u64)id, 0, 0, 0), -ENOENT);
	EXPECT(asks(PROGRAM_SEND, 0, 7, PROGRAM_HEAP, 65536) > 0);
	q->m.sends = 2; /* to itself */
	EXPECT_EQ(asks(PROGRAM_SEND, 0, 7, CODE, 8), -EPERM);
	EXPECT(asks(PROGRAM_SEND, 1, 7, CODE, 8) > 0);
	q->m.sends = 1;
	p->state = SHOJI_PROGRAM_STOPPED;
	EXPECT_EQ(asks(PROGRAM_SEND, 0, 7, CODE, 8), -ENOENT);
	p->file = NULL;
	p->state = SHOJI_PROGRAM_READY;
	EXPECT_EQ(asks(PROGRAM_SEND, 0, 7, CODE, 8), -ENOENT);
}

/* ---- the background -------------------------------------------------------- */

static bool background(u32 cpu)
{
	u32 runs = next.runs;

	EXPECT(!slice_background(&all, &vcpus[cpu]));
	EXPECT(all.lock.next == all.lock.serving);
	return next.runs != runs;
}

TEST(goes_on)
{
	u64 run = 0, begin;

	start(1);
	begin = fake_now;
	next.ns = 400000;
	for (u32 exit = 0; exit < 1000; exit++) {
		if (background(0))
			run += next.ns;
		fake_now += 10000;
		/* a third for the programs, at most */
		EXPECT(run <= (fake_now - begin) / 3 + next.ns);
		EXPECT(vcpus[0].deadline == all.cpu[0].rest);
		EXPECT(!all.program[0].holder && !all.program[1].holder);
	}
	EXPECT(run >= (fake_now - begin) * 3 / 10);
	EXPECT_EQ(all.program[0].slices + all.program[1].slices, next.runs);
	/* in turn */
	EXPECT(all.program[0].slices - all.program[1].slices + 1 <= 2);
}

TEST(at_least_a_slice_for_the_guest)
{
	start(1);
	EXPECT(background(0));
	EXPECT_EQ(vcpus[0].deadline, fake_now + 500000);
	fake_now += 499999;
	EXPECT(!background(0));
	EXPECT(background(1)); /* each CPU has its own */
	fake_now += 1;
	EXPECT(background(0));
}

/* An interrupt has ended what a hypercall ran: it is delivered, then the
 * background goes on. */
TEST(interrupt_first)
{
	start(1);
	next.exit = VMEXIT_INTR;
	call(0, &all.program[0], NULL);
	EXPECT_EQ(next.runs, 1);
	EXPECT(!background(0));
	EXPECT_EQ(vcpus[0].deadline, fake_now + 500000);
	EXPECT(background(0));
	/* which is not wanted less for having been ended so itself */
	fake_now += 500000;
	EXPECT(background(0));
}

TEST(an_init_ends_it)
{
	start(1);
	next.exit = VMEXIT_INIT;
	EXPECT(slice_background(&all, &vcpus[0]));
	EXPECT_EQ(next.runs, 1);
}

TEST(until_a_deadline)
{
	struct program *p = &all.program[0];

	asleep(p, 3000000);
	EXPECT(!background(0));
	EXPECT_EQ(vcpus[0].deadline, fake_now + 3000000);
	fake_now += 3000000;
	EXPECT(background(0));
	/* any time is good */
	p->state = SHOJI_PROGRAM_WAITING;
	p->cpu.gpr[GPR_RDI] = p->wake = ~0ULL - 1;
	fake_now += 1000000;
	EXPECT(!background(0));
	EXPECT_EQ(vcpus[0].deadline, fake_now + 1000000000);
	/* what nobody will wake has no deadline */
	p->state = SHOJI_PROGRAM_STOPPED;
	EXPECT(!background(0));
	EXPECT_EQ(vcpus[0].deadline, 0);
}

static void sleeps(void)
{
	ask_to_sleep(&all.program[0], fake_now + 1000);
}

static u64 wakes_at;

static void sleeps_until(void)
{
	ask_to_sleep(&all.program[0], wakes_at);
}

/* No deadline: others' turn. One that is over: on at once. */
TEST(sleeps_not_at_all)
{
	struct program *p = &all.program[0];

	start(1);
	all.program[1].file = NULL;
	next.exit = VMEXIT_HYPERCALL;
	next.ns = 100000;
	next.meanwhile = sleeps_until;
	call(0, p, NULL);
	EXPECT_EQ(next.runs, 1);
	EXPECT(p->state == SHOJI_PROGRAM_READY && !p->cpu.gpr[GPR_RAX]);
	wakes_at = fake_now;
	call(0, p, NULL);
	EXPECT_EQ(next.runs, 6); /* all of a slice */
	EXPECT(p->state == SHOJI_PROGRAM_READY && !p->cpu.gpr[GPR_RAX]);
	wakes_at = 0;
}

/* Its time is over also if it sleeps just before a slice ends. */
TEST(over_its_time)
{
	struct program *p = &all.program[0];

	start(0);
	all.program[1].file = NULL;
	next.exit = VMEXIT_HYPERCALL;
	next.ns = 400000;
	next.meanwhile = sleeps;
	for (int i = 0; i < 2501 && !p->dirty; i++) {
		EXPECT_EQ(p->used_ns, i * next.ns);
		call(0, p, NULL);
		fake_now += 2000;
	}
	EXPECT_EQ(next.runs, 2501);
	EXPECT(p->dirty && strstr(p->stopped, "over its time"));
	EXPECT_EQ(p->run_ns, 2501 * next.ns);
	start(1);
	next.ns = 1000000001;
	call(0, p, NULL);
	EXPECT(p->again && strstr(p->stopped, "over its time"));
	start(1);
	next.exit = VMEXIT_SHUTDOWN;
	next.ns = 1000000001;
	call(0, p, NULL);
	EXPECT(p->again && strstr(p->stopped, "exit"));
}

TEST(not_there)
{
	start(1);
	vcpus[0].waiting_sipi = true;
	EXPECT(!background(0) && !vcpus[0].deadline);
	vcpus[0].waiting_sipi = false;
	all.program[0].holder = all.program[1].holder = 2;
	EXPECT(!background(0) && !vcpus[0].deadline);
}

/* Answers @id and takes the next message into the stack. */
static s64 answers(u64 id, u64 length, u64 deadline)
{
	all.program[1].cpu.gpr[8] = 5;
	return asks(PROGRAM_RECEIVE, PROGRAM_STACK_TOP - 64, deadline, id,
		    length);
}

TEST(answers_and_receives)
{
	struct program *p = &all.program[1];
	struct mail_slot *a, *b;

	start(1);
	a = post(p);
	EXPECT_EQ(answers(0, 0, 0), 0);
	b = post(p);
	p->used_ns = 1;
	/* refused: nothing is done */
	EXPECT_EQ(answers(a->id, p->slot_size + 1, 0), -EINVAL);
	EXPECT_EQ(asks(PROGRAM_RECEIVE, 0, 0, a->id, 8), -EFAULT);
	EXPECT_EQ(asks(PROGRAM_RECEIVE, CODE, 0, a->id, 8), -EFAULT);
	EXPECT(a->state == MAIL_OPEN && b->state == MAIL_WAITING);
	EXPECT(p->used_ns == 1 && p->messages == 0);
	EXPECT_EQ(answers(a->id, p->slot_size, 0), 0);
	EXPECT(a->state == MAIL_DONE && a->length == p->slot_size);
	EXPECT_EQ(a->status, 5);
	EXPECT(b->state == MAIL_OPEN && p->used_ns == 0 && p->messages == 1);
	/* the reply is out although none comes, and only once */
	EXPECT_EQ(answers(b->id, 8, fake_now), -EAGAIN);
	EXPECT(b->state == MAIL_DONE && p->messages == 2);
}

TEST(a_message_as_the_program_sees_it)
{
	struct program *p = &all.program[0], *q = &all.program[1];
	struct program_message *m;
	struct mail_slot *a, *b;
	u64 rip;

	start(1);
	m = space_find(&q->space, PROGRAM_STACK_TOP - 64, sizeof(*m), ELF_W);
	a = post(q);
	b = post(q);
	b->sender = (struct mail_sender){ .kind = p->id };
	a->buffer = 7;
	a->type = 9;
	a->length = 10;
	all.buffer[0] =
		(struct buffer){ .id = 7, .owner = a->sender, .length = 64 };
	rip = q->cpu.rip;
	EXPECT_EQ(answers(0, 0, 0), 0);
	EXPECT_EQ(q->cpu.rip, rip + 3); /* behind VMCALL */
	EXPECT(m->id == a->id && m->type == 9 && m->length == 10);
	EXPECT(m->sender == PROGRAM_FROM_USER && m->caller == 1);
	EXPECT_EQ(m->buffer_size, 64);
	EXPECT_EQ(m->data, PROGRAM_MAIL);
	EXPECT_EQ(answers(0, 0, 0), 0);
	EXPECT(m->id == b->id && m->buffer_size == 0);
	EXPECT(space_find(&q->space, m->data, q->slot_size, ELF_W) ==
	       q->slots + q->slot_size);
	EXPECT_EQ(asks(PROGRAM_REPLY, 1, 8, 5, 0), -ENOENT);
	EXPECT_EQ(asks(PROGRAM_REPLY, b->id, 8, 5, 0), 0);
	EXPECT(b->state == MAIL_DONE && b->length == 8 && b->status == 5);
	EXPECT(p->poked);
}

/* The sender has given up: no more than that. */
TEST(answers_nobody)
{
	struct program *p = &all.program[1];
	struct mail_slot *a, *b;

	start(1);
	a = post(p);
	b = post(p);
	EXPECT_EQ(answers(0, 0, 0), 0);
	mail_drop(a, 1);
	EXPECT_EQ(answers(a->id, 8, 0), 0);
	EXPECT(a->state == MAIL_FREE && b->state == MAIL_OPEN);
	mail_drop(b, 1);
	EXPECT_EQ(asks(PROGRAM_REPLY, b->id, 8, 5, 0), -ENOENT);
	EXPECT_EQ(b->state, MAIL_FREE);
}

/* It waits in the same call, which is made again when a message has come. */
TEST(answers_and_waits)
{
	struct program *p = &all.program[1];
	struct mail_slot *a, *b;

	start(1);
	a = post(p);
	EXPECT_EQ(answers(0, 0, 0), 0);
	answers(a->id, 8, fake_now + 9);
	EXPECT(p->state == SHOJI_PROGRAM_WAITING && a->state == MAIL_DONE);
	EXPECT_EQ(p->wake, fake_now + 9);
	b = post(p);
	p->poked = true;
	next.exit = VMEXIT_INTR;
	call(0, p, b);
	EXPECT_EQ(next.runs, 1);
	EXPECT(a->state == MAIL_DONE && b->state == MAIL_OPEN);
	EXPECT_EQ(p->messages, 1);
}

/* A message that @p has got, with a buffer. */
static struct mail_slot *lend(struct program *p)
{
	struct mail_slot *slot = post(p);

	slot->buffer = 7;
	mail_receive(&p->mail, fake_now);
	all.buffer[0] = (struct buffer){
		.id = 7, .owner = slot->sender, .length = 64, .access = 3
	};
	return slot;
}

/* A buffer of the guest's is there in the calls of its owner only. */
TEST(waits_for_the_owner)
{
	struct program *p = &all.program[1];
	struct mail_slot *slot;

	start(1);
	slot = lend(p);
	/* in another one's, or in none */
	for (int i = 0; i < 2; i++) {
		unasked = i;
		asks(PROGRAM_BUFFER_READ, slot->id, 0, PROGRAM_HEAP, 8);
		EXPECT_EQ(p->state, SHOJI_PROGRAM_WAITING);
		EXPECT_EQ(p->cpu.gpr[GPR_RAX], PROGRAM_BUFFER_READ);
	}
	unasked = false;
}

/* What lies between kind and space does not count. */
TEST(the_owner_is_known)
{
	struct program *p = &all.program[1];
	struct mail_slot *slot;

	start(1);
	slot = lend(p);
	memset(&all.buffer[0].owner, PATTERN, sizeof(struct mail_sender));
	all.buffer[0].owner.kind = slot->sender.kind;
	all.buffer[0].owner.space = slot->sender.space;
	caller = slot->sender;
	EXPECT_EQ(asks(PROGRAM_BUFFER_READ, slot->id, 0, PROGRAM_HEAP, 8),
		  -EFAULT); /* of caller_copy() above */
	caller = (struct mail_sender){ 0 };
}

/* A number that has been given out anew is another buffer. */
TEST(not_another_ones)
{
	struct program *p = &all.program[1];
	struct mail_slot *slot;
	struct program_message m;

	start(1);
	slot = post(p);
	slot->buffer = 7;
	caller = (struct mail_sender){ PROGRAM_FROM_USER, 2 };
	all.buffer[0] = (struct buffer){
		.id = 7, .owner = caller, .length = 64, .access = 3
	};
	EXPECT_EQ(answers(0, 0, 0), 0);
	memcpy(&m, space_find(&p->space, PROGRAM_STACK_TOP - 64, sizeof(m), 0),
	       sizeof(m));
	EXPECT_EQ(m.id, slot->id);
	EXPECT_EQ(m.buffer_size, 0);
	EXPECT_EQ(asks(PROGRAM_BUFFER_READ, slot->id, 0, PROGRAM_HEAP, 8),
		  -ENOENT);
	/* nor what is left of one, if a message comes without */
	caller = all.buffer[0].owner = slot->sender;
	slot->buffer = all.buffer[0].id = 0;
	EXPECT_EQ(asks(PROGRAM_BUFFER_READ, slot->id, 0, PROGRAM_HEAP, 8),
		  -ENOENT);
	caller = (struct mail_sender){ 0 };
}

TEST(the_buffer_has_bounds_and_rights)
{
	struct program *p = &all.program[1];
	struct buffer *b = &all.buffer[0];
	const u64 heap = PROGRAM_HEAP;
	u64 id;

	start(1);
	id = lend(p)->id;
	caller = b->owner;
	copied.rc = 0;
	b->address = 0x5000;
	b->access = 1;
	EXPECT_EQ(asks(PROGRAM_BUFFER_READ, 1, 0, heap, 8), -ENOENT);
	EXPECT_EQ(asks(PROGRAM_BUFFER_WRITE, id, 0, heap, 8), -EPERM);
	EXPECT_EQ(asks(PROGRAM_BUFFER_READ, id, 57, heap, 8), -EINVAL);
	EXPECT_EQ(asks(PROGRAM_BUFFER_READ, id, ~0ULL, heap, 8), -EINVAL);
	EXPECT_EQ(asks(PROGRAM_BUFFER_READ, id, 0, CODE, 8), -EFAULT);
	EXPECT_EQ(copied.len, 0);
	EXPECT_EQ(asks(PROGRAM_BUFFER_READ, id, 56, heap + 16, 8), 0);
	EXPECT(copied.address == 0x5038 && copied.len == 8 && !copied.write);
	EXPECT(copied.data == space_find(&p->space, heap + 16, 8, ELF_W));
	EXPECT_EQ(b->since, fake_now);
	b->access = 2;
	b->length = 1 << 20;
	EXPECT_EQ(asks(PROGRAM_BUFFER_READ, id, 0, heap, 8), -EPERM);
	EXPECT_EQ(asks(PROGRAM_BUFFER_WRITE, id, 0, heap, 65537), -EINVAL);
	EXPECT_EQ(asks(PROGRAM_BUFFER_WRITE, id, 0, CODE + 0x2ff9, 8), -EFAULT);
	EXPECT_EQ(asks(PROGRAM_BUFFER_WRITE, id, 0, CODE, 8), 0);
	EXPECT(copied.write);
	EXPECT_EQ(asks(PROGRAM_BUFFER_WRITE, id, 0, heap, 65536), 0);
	b->id = 8; /* the guest has taken it back */
	EXPECT_EQ(asks(PROGRAM_BUFFER_WRITE, id, 0, CODE, 8), -ENOENT);
	caller = (struct mail_sender){ 0 };
}

/* And not after it has given up: its memory is its own again, and the program
 * would wait for ever. */
TEST(lent_no_longer)
{
	struct program *p = &all.program[1];
	struct mail_slot *slot;

	start(1);
	slot = lend(p);
	fake_now += SHOJI_STALE_MS * 1000000ULL - 1;
	asks(PROGRAM_BUFFER_READ, slot->id, 0, PROGRAM_HEAP, 8);
	EXPECT_EQ(p->state, SHOJI_PROGRAM_WAITING);
	fake_now++;
	EXPECT_EQ(asks(PROGRAM_BUFFER_READ, slot->id, 0, PROGRAM_HEAP, 8),
		  -ENOENT);
	slot = lend(p);
	mail_drop(slot, fake_now);
	EXPECT_EQ(slot->state, MAIL_DEAD);
	EXPECT_EQ(asks(PROGRAM_BUFFER_WRITE, slot->id, 0, PROGRAM_HEAP, 8),
		  -ENOENT);
}

/* Nobody else need come for it to go on. */
TEST(the_sender_is_gone)
{
	struct program *p = &all.program[1];
	struct mail_slot *slot;

	start(1);
	all.program[0].file = NULL;
	slot = lend(p);
	fake_now += 1000;
	asks(PROGRAM_BUFFER_READ, slot->id, 0, PROGRAM_HEAP, 8);
	EXPECT_EQ(p->state, SHOJI_PROGRAM_WAITING);
	fake_now = slot->since + SHOJI_STALE_MS * 1000000ULL - 1;
	EXPECT(!background(0));
	fake_now++;
	EXPECT(background(0));
}

TEST(the_sender_gives_up)
{
	struct program *p = &all.program[1];
	struct mail_slot *slot;

	start(1);
	all.program[0].file = NULL;
	slot = lend(p);
	asks(PROGRAM_BUFFER_READ, slot->id, 0, PROGRAM_HEAP, 8);
	EXPECT(!background(0));
	EXPECT_EQ(program_cancel(&all, slot->id, &slot->sender), 0);
	EXPECT(background(0));
}

/* ---- memory that programs share --------------------------------------------- */

static s64 maps(const char *name, u64 length)
{
	struct program *q = &all.program[1];

	strcpy(space_find(&q->space, PROGRAM_HEAP, 64, ELF_W), name);
	return asks(PROGRAM_MAP, PROGRAM_HEAP, length, 0, 0);
}

TEST(a_region_and_its_rights)
{
	struct program *p = &all.program[0], *q = &all.program[1];
	struct region *region = &all.region[0];
	u8 *memory;

	start(1);
	EXPECT_EQ(maps("shared", 32), -ENOENT);
	EXPECT_EQ(maps("share", 5), -ENOENT);
	EXPECT_EQ(maps("other", 5), -ENOENT);
	EXPECT_EQ(asks(PROGRAM_MAP, CODE - 1, 6, 0, 0), -EFAULT);
	EXPECT(!space_find(&q->space, PROGRAM_REGIONS, 1, ELF_R));
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(maps("shared", 6), (s64)PROGRAM_REGIONS);
		EXPECT_EQ(q->cpu.gpr[GPR_RDX], 128 * 1024);
	}
	EXPECT_EQ(mapped.attr, NESTED_R | NESTED_W);
	region_map(&all, p, region);
	EXPECT_EQ(mapped.attr, NESTED_R);
	EXPECT(mapped.va == PROGRAM_REGIONS && mapped.len == 128 * 1024);
	EXPECT_EQ(region->holders, 3);
	memory = space_find(&q->space, PROGRAM_REGIONS, 128 * 1024, ELF_W);
	EXPECT(memory);
	EXPECT(!space_find(&q->space, PROGRAM_REGIONS, 128 * 1024 + 1, ELF_R));
	EXPECT(space_find(&p->space, PROGRAM_REGIONS, 8, ELF_R) == memory);
	EXPECT(!space_find(&p->space, PROGRAM_REGIONS, 8, ELF_W));
	memset(memory, PATTERN, 128 * 1024);
	/* one goes: it has it no more, the other keeps what is there */
	regions_unmap(&all, p);
	EXPECT_EQ(mapped.attr, 0);
	EXPECT(!space_find(&p->space, PROGRAM_REGIONS, 8, ELF_R));
	EXPECT(space_find(&p->space, CODE, 8, ELF_R));
	EXPECT(region->holders == 2 && !region->wiper && p->stale);
	EXPECT(!regions_clean(&all, p));
	EXPECT_EQ(count(memory, 128 * 1024, PATTERN), 128 * 1024);
	/* with the last one its contents go, before anybody has it again */
	regions_unmap(&all, q);
	EXPECT(!space_find(&q->space, PROGRAM_REGIONS, 8, ELF_R));
	EXPECT(!region->holders);
	lock_acquire(&all.lock);
	EXPECT(!regions_clean(&all, p));
	EXPECT(regions_clean(&all, q));
	EXPECT_EQ(count(memory, 128 * 1024, 0), PIECE);
	maps("shared", 6);
	EXPECT_EQ(q->state, SHOJI_PROGRAM_WAITING);
	EXPECT_EQ(q->wake, fake_now + 100000);
	EXPECT(regions_clean(&all, q));
	EXPECT(!regions_clean(&all, q));
	lock_release(&all.lock);
	EXPECT_EQ(count(memory, 128 * 1024, 0), 128 * 1024);
	EXPECT_EQ(maps("shared", 6), (s64)PROGRAM_REGIONS);
	memory[5] = PATTERN; /* and the next time, too */
	regions_unmap(&all, q);
	lock_acquire(&all.lock);
	EXPECT(regions_clean(&all, q));
	lock_release(&all.lock);
	EXPECT_EQ(memory[5], 0);
	memory[5] = PATTERN;
	regions_wipe(&all);
	EXPECT_EQ(memory[5], 0);
}

TEST(names_and_ends)
{
	struct program *q = &all.program[1];
	char *heap;

	start(1);
	heap = space_find(&q->space, PROGRAM_HEAP, 64, ELF_W);
	strcpy(all.program[0].m.name, "first");
	strcpy(heap, "first");
	EXPECT_EQ(asks(PROGRAM_FIND, PROGRAM_HEAP, 5, 0, 0), 0);
	EXPECT_EQ(asks(PROGRAM_FIND, PROGRAM_HEAP, 0, 0, 0), -ENOENT);
	EXPECT_EQ(asks(PROGRAM_FIND, CODE, 6, 0, 0), -ENOENT);
	strcpy(heap, "second one");
	EXPECT_EQ(asks(PROGRAM_FIND, PROGRAM_HEAP, 6, 0, 0), 1);
	EXPECT_EQ(asks(PROGRAM_FIND, PROGRAM_HEAP, 5, 0, 0), -ENOENT);
	EXPECT_EQ(asks(PROGRAM_FIND, PROGRAM_HEAP, 10, 0, 0), -ENOENT);
	EXPECT_EQ(asks(PROGRAM_FIND, CODE - 1, 6, 0, 0), -EFAULT);
	EXPECT_EQ(asks(PROGRAM_CLOCK, 0, 0, 0, 0), 1000000000);
	fake_now--;
	EXPECT_EQ(asks(PROGRAM_CLOCK, 0, 0, 0, 0), 1000000000);
	asks(PROGRAM_EXIT, 0, 0, 0, 0);
	EXPECT(q->state == SHOJI_PROGRAM_STOPPED && !q->again);
	start(1);
	asks(PROGRAM_EXIT, 3, 0, 7, 0);
	EXPECT_EQ(count(&q->cpu, sizeof(q->cpu), 0), sizeof(q->cpu));
	EXPECT(q->state == SHOJI_PROGRAM_STOPPED && q->again);
	EXPECT(strstr(q->stopped, "status 3"));
}

/* Interrupts would be late, or, without a timer, end no slice. */
TEST(not_with_interrupts_off)
{
	start(1);
	vcpus[0].rflags = RFLAGS_FIXED;
	EXPECT(!background(0));
	EXPECT_EQ(vcpus[0].deadline, fake_now + 500000); /* looks again */
	vcpus[0].rflags |= RFLAGS_IF;
	EXPECT(background(0));
}

/* What is left of a program goes, with interrupts off, too. */
TEST(wiped_meanwhile)
{
	struct program *p = &all.program[0];

	start(1);
	vcpus[0].rflags = vcpus[1].rflags = RFLAGS_FIXED;
	EXPECT(!background(0));
	(void)crash(p, VMEXIT_SHUTDOWN);
	for (u32 n = 1; p->dirty && n < 100; n++) {
		EXPECT_EQ(count(p->memory, MEMORY, PATTERN),
			  MEMORY - n * PIECE);
		EXPECT(!background(n % 2));
		fake_now += 500000;
	}
	EXPECT(as_at_the_start(p));
	EXPECT_EQ(next.runs, 1);
	/* another CPU may have been faster: nothing runs instead */
	for (u32 i = 0; i < 2; i++) {
		struct slice s = { .all = &all,
				   .v = &vcpus[0],
				   .end = fake_now + 1,
				   .background = true };

		lock_acquire(&all.lock);
		slice_run(&s, &all.program[i], NULL, 0);
		lock_release(&all.lock);
	}
	EXPECT_EQ(next.runs, 1);
}

/* ---- the end of Shoji ------------------------------------------------------- */

void cpu_pause(void)
{
}

static u64 left(void)
{
	u64 n = 0;

	for (u32 i = 0; i < all.count; i++)
		n += count(all.program[i].memory, MEMORY, PATTERN) +
		     count(all.program[i].xstate, 1024, PATTERN) +
		     count(&all.program[i].cpu, sizeof(struct virt_program),
			   PATTERN);
	return n;
}

/* A reset or a panic while a program is half wiped. */
TEST(wiped_at_the_end)
{
	struct program *p = &all.program[0];

	start(1);
	(void)crash(p, VMEXIT_SHUTDOWN);
	call(0, p, NULL);
	EXPECT(p->dirty && left());
	programs_wipe(&all);
	EXPECT_EQ(left(), 0);
	EXPECT_EQ(count(p->memory, MEMORY, 0), MEMORY);
	call(0, p, NULL);
	EXPECT_EQ(count(p->memory, MEMORY, 0), MEMORY);
	EXPECT(!p->holder);
}

/* ... and of one that was refused there is nothing. */
TEST(nothing_to_be_wiped)
{
	start(1);
	all.program[1].file = NULL;
	all.program[1].xstate = NULL;
	programs_wipe(&all);
	EXPECT_EQ(count(all.program[0].memory, MEMORY, 0), MEMORY);
}

/* ... and when a CPU is just about to run one. */
TEST(closed_in_between)
{
	struct program *p = &all.program[1];

	start(1);
	programs_wipe(&all);
	call(0, p, NULL);
	EXPECT(!next.runs && !p->holder && !left());
}

TEST_MAIN(CASE(started), CASE(nothing_is_left_behind), CASE(another_ones_turn),
	  CASE(what_an_exit_means), CASE(woken_for_nothing),
	  CASE(until_its_message_is_answered), CASE(no_longer_than_its_slice),
	  CASE(forgets_what_it_has_no_more), CASE(no_other_instead),
	  CASE(does_not_know_where_it_is), CASE(wiped_in_pieces),
	  CASE(stopped_for_good), CASE(seen_by_another_program), CASE(goes_on),
	  CASE(at_least_a_slice_for_the_guest), CASE(interrupt_first),
	  CASE(an_init_ends_it), CASE(until_a_deadline), CASE(over_its_time),
	  CASE(sleeps_not_at_all), CASE(not_there),
	  CASE(not_with_interrupts_off), CASE(answers_and_receives),
	  CASE(answers_nobody), CASE(answers_and_waits),
	  CASE(waits_for_the_owner), CASE(the_owner_is_known),
	  CASE(not_another_ones), CASE(lent_no_longer),
	  CASE(the_sender_is_gone), CASE(the_sender_gives_up),
	  CASE(wiped_meanwhile), CASE(wiped_at_the_end),
	  CASE(nothing_to_be_wiped), CASE(closed_in_between),
	  CASE(a_message_as_the_program_sees_it), CASE(lines_and_random_bytes),
	  CASE(sends_to_whom_it_may), CASE(the_buffer_has_bounds_and_rights),
	  CASE(a_region_and_its_rights), CASE(names_and_ends))

/*
 * Hypercalls: who may make them, whose messages and buffers are whose, and what
 * is left of a call that comes to nothing.
 *
 * units: core/program/hypercall.c core/program/syscall.c core/program/mail.c core/program/space.c
 * libs: -include tests/unit/fake_slice.h
 */
#include "core/program/program.h"

#include <stdlib.h>
#include <string.h>

#include "core/cpu/clock.h"
#include "core/lib/errors.h"
#include "core/lib/panic.h"
#include "core/lib/string.h"
#include "core/mm/pool.h"
#include "core/program/abi.h"
#include "core/virt/guest.h"
#include "crypto/disk/disk.h"
#include "tests/unit/test.h"

#define SLOT_SIZE 4096
#define SLOTS	  4
#define PROGRAMS  3

/* The guest's memory, from address 0. Behind it there is nothing. */
#define REQUEST	  0x1000
#define REPLY	  0x2000
#define READ_ONLY 0x3000
#define DEVICE	  0x4000
#define NOTHING	  0x6000

u64 fake_now;
static u8 memory[NOTHING] __attribute__((aligned(8)));
static bool reply_gone;
static struct programs all;
static struct guest guest;
static struct cpu cpu = { .index = 1 };
static struct vcpu *const v = &guest.vcpu[1];
static u64 vreg[VREG_COUNT];
static u8 bits;
static u8 slots[PROGRAMS][SLOTS * SLOT_SIZE];
static u64 random_value;

static struct { /* what has come of a call */
	u32 skips, traps, inits, runs, ends;
	u64 end;
} seen;

/* What the program does in its slice. */
static void (*turn)(struct slice *s, struct program *p);
static bool background_init; /* what comes in one of the background */

/* ---- stand-ins -------------------------------------------------------------- */

void wipe(void *p, size_t n)
{
	memset(p, 0, n);
}

void panic(const char *format, ...)
{
	printf("panic: %s\n", format);
	abort();
}

void log_limited(struct log_limit *limit, const char *format, ...)
{
}

#define LOG_END 100000

void log_range(u64 *start, u64 *end)
{
	*start = 7;
	*end = LOG_END;
}

size_t log_read(u64 *position, char *dst, size_t size)
{
	size_t n = size < LOG_END - *position ? size : LOG_END - *position;

	for (size_t i = 0; i < n; i++)
		dst[i] = (char)((*position)++ % 100);
	return n;
}

u64 clock_ns(void)
{
	return fake_now;
}

u64 clock_to_ticks(u64 ns)
{
	return ns;
}

const struct hidden *pool_hidden(void)
{
	static const struct hidden h = { 0x10000000, 0x2000000 };

	return &h;
}

struct disk_counters disk_counters(size_t volume)
{
	return (struct disk_counters){ 5 + volume, 9 };
}

void random_bytes(struct random *r, void *out, size_t len)
{
	memcpy(out, &random_value, len);
	random_value += 0x400;
}

void random_seed(struct random *r)
{
}

void program_stop(struct programs *programs, struct program *p, bool restart,
		  const char *format, ...)
{
}

struct region *region_find(struct programs *programs, const struct program *p,
			   const char *name)
{
	return NULL;
}

void region_map(struct programs *programs, struct program *p, struct region *r)
{
}

u8 guest_code_bits(struct vcpu *cpu_)
{
	return bits;
}

void guest_skip(struct vcpu *cpu_, const struct vmexit *exit)
{
	seen.skips++;
}

void guest_inject_mem_fault(struct vcpu *cpu_,
			    const struct guest_mem_fault *fault)
{
	EXPECT_EQ(fault->vector, VECTOR_PF);
	seen.traps++;
}

void startup_init_signal(struct vcpu *cpu_)
{
	/* whatever else the call does is done, and nobody waits for it */
	EXPECT_EQ(seen.skips + seen.traps, !background_init);
	EXPECT_EQ(all.lock.next, all.lock.serving);
	seen.inits++;
}

int caller_copy(struct vcpu *cpu_, u64 address, void *data, u64 len, bool write,
		struct guest_mem_fault *fault)
{
	for (u64 i = 0; i < len; i++) {
		u64 at = address + i;

		if (at / PAGE_SIZE == DEVICE / PAGE_SIZE)
			return -EFAULT;
		if (at >= NOTHING ||
		    (write && at / PAGE_SIZE == READ_ONLY / PAGE_SIZE) ||
		    (reply_gone && at / PAGE_SIZE == REPLY / PAGE_SIZE)) {
			fault->vector = VECTOR_PF;
			return CALLER_TRAP;
		}
		if (data && write)
			memory[at] = ((u8 *)data)[i];
		else if (data)
			((u8 *)data)[i] = memory[at];
	}
	return 0;
}

void slice_run(struct slice *s, struct program *first,
	       const struct mail_slot *done, u64 id)
{
	EXPECT(first->poked);
	EXPECT(s->all == &all && s->v == v);
	seen.runs++;
	seen.end = s->end;
	if (turn)
		turn(s, first);
}

void slice_end(struct slice *s)
{
	seen.ends++;
}

bool slice_background(struct programs *programs, struct vcpu *cpu_)
{
	EXPECT(programs == &all && cpu_ == v);
	return background_init;
}

/* ---- a caller and three programs ------------------------------------------- */

static u64 get(struct vcpu *cpu_, enum vreg reg)
{
	return vreg[reg];
}

/* The first is for everybody, the second for the kernel, the third is none. */
static void start(void)
{
	static const struct virt_ops ops = { .name = "back end", .get = get };
	static const struct volume volumes[] = {
		{ .name = "root", .first = 63, .last = 99, .key_len = 32 },
		{ .name = "data", .first = 100, .last = ~0ULL, .key_len = 64 },
	};

	memset(&all, 0, sizeof(all));
	memset(vreg, 0, sizeof(vreg));
	memset(memory, 0xee, sizeof(memory));
	memset(slots, 0, sizeof(slots));
	memset(v->gpr, 0x5a, sizeof(v->gpr));
	v->gpr[9] = 0;
	turn = NULL;
	reply_gone = false;
	fake_now = 1000000000;
	random_value = ~0ULL - 0x10000;
	bits = 64;
	guest.ops = &ops;
	guest.cpus = 2;
	v->guest = &guest;
	v->cpu = &cpu;
	all.ops = &ops;
	all.count = PROGRAMS;
	all.config = (struct program_config){ .version = "1.2",
					      .allow = HYPERCALL_USER,
					      .volumes = volumes,
					      .volume_count = 2 };
	for (u32 i = 0; i < PROGRAMS; i++) {
		struct program *p = &all.program[i];

		p->m.slice_us = 500;
		p->m.user = i != 1;
		p->id = i;
		p->file = i < 2 ? slots[i] : NULL;
		p->slots = slots[i];
		p->slot_size = SLOT_SIZE;
		p->state = SHOJI_PROGRAM_READY;
		p->mail.slots = SLOTS;
		p->mail.stale_ns = SHOJI_STALE_MS * 1000000ULL;
	}
	programs_attach(&all);
}

static void caller(unsigned int cpl, u64 cr3)
{
	vreg[VREG_CPL] = cpl;
	vreg[VREG_CR3] = cr3;
}

static bool try_call(u64 rax)
{
	const struct vmexit exit = { .kind = VMEXIT_HYPERCALL };
	bool is_one;

	memset(&seen, 0, sizeof(seen));
	v->gpr[GPR_RAX] = rax;
	is_one = programs_hypercall(v, &exit);
	EXPECT_EQ(all.lock.next, all.lock.serving);
	EXPECT_EQ(seen.skips + seen.traps, is_one);
	EXPECT_EQ(seen.ends, is_one);
	return is_one;
}

#define TRAPPED (-1000)

static s64 call(u32 number, u64 rbx, u64 rcx, u64 rdx)
{
	v->gpr[GPR_RBX] = rbx;
	v->gpr[GPR_RCX] = rcx;
	v->gpr[GPR_RDX] = rdx;
	EXPECT(try_call(SHOJI_MAGIC | number));
	return seen.traps ? TRAPPED : (s64)v->gpr[GPR_RAX];
}

static s64 send_from(u64 to, u64 request, u64 len, u64 reply, u64 room)
{
	v->gpr[GPR_RSI] = reply;
	v->gpr[GPR_RDI] = room;
	v->gpr[8] = 0x77;
	return call(SHOJI_SEND, to, request, len);
}

static s64 send_to(u64 to)
{
	v->gpr[9] = 0;
	return send_from(to, REQUEST, 8, REPLY, 64);
}

static s64 wait_for(u64 handle, u64 reply, u64 room)
{
	v->gpr[GPR_RSI] = reply;
	v->gpr[GPR_RDI] = room;
	return call(SHOJI_WAIT, handle, 0, 0);
}

static u32 messages(u32 program)
{
	const struct mailbox *b = &all.program[program].mail;

	return b->slots - mail_count(b, MAIL_FREE);
}

/* Answers with 5 bytes. */
static void reply(struct slice *s, struct program *p)
{
	struct mail_slot *slot = mail_receive(&p->mail, fake_now);

	if (!slot)
		return;
	memcpy(program_slot(p, slot - p->mail.slot), "reply", 5);
	EXPECT_EQ(mail_reply(slot, 5, -3, fake_now), 0);
}

/* ---- who may ------------------------------------------------------------------ */

/* For the others there is no Shoji: #UD. */
TEST(not_for_everybody)
{
	static const struct {
		enum hypercall_allow allow;
		u8 cpl, code_bits;
		u64 rax;
		bool answered;
	} cases[] = {
		{ HYPERCALL_USER, 3, 64, SHOJI_MAGIC, true },
		{ HYPERCALL_USER, 0, 64, SHOJI_MAGIC, true },
		{ HYPERCALL_KERNEL, 0, 64, SHOJI_MAGIC, true },
		{ HYPERCALL_KERNEL, 3, 64, SHOJI_MAGIC, false },
		{ HYPERCALL_KERNEL, 1, 64, SHOJI_MAGIC, false },
		{ HYPERCALL_NONE, 0, 64, SHOJI_MAGIC, false },
		{ HYPERCALL_NONE, 3, 64, SHOJI_MAGIC, false },
		{ HYPERCALL_USER, 0, 32, SHOJI_MAGIC, false },
		{ HYPERCALL_USER, 0, 16, SHOJI_MAGIC, false },
		{ HYPERCALL_USER, 0, 64, 0x5a, false },
		{ HYPERCALL_USER, 0, 64, SHOJI_MAGIC | BIT(32), false },
		{ HYPERCALL_USER, 0, 64, SHOJI_MAGIC | 0xffff, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 before[16];

		start();
		all.config.allow = cases[i].allow;
		caller(cases[i].cpl, 0x1000);
		bits = cases[i].code_bits;
		v->gpr[GPR_RAX] = cases[i].rax;
		memcpy(before, v->gpr, sizeof(before));
		EXPECT_EQ(try_call(cases[i].rax), cases[i].answered);
		EXPECT_EQ(!memcmp(before, v->gpr, sizeof(before)),
			  !cases[i].answered);
	}
	programs_attach(NULL);
	EXPECT(!try_call(SHOJI_MAGIC));
}

TEST(numbers_that_are_none)
{
	start();
	EXPECT_EQ(call(SHOJI_NUMBERS, 1, 2, 3), -ENOSYS);
	EXPECT_EQ(call(0xffff, 1, 2, 3), -ENOSYS);
	EXPECT_EQ(v->gpr[GPR_RBX], 1);
	EXPECT_EQ(call(SHOJI_QUERY, 0, 0, 0), 0);
	EXPECT_EQ(v->gpr[GPR_RBX], SHOJI_SIGNATURE);
	EXPECT_EQ(v->gpr[GPR_RCX], 1);
}

TEST(programs_for_the_kernel)
{
	start();
	caller(3, 0x1000);
	EXPECT_EQ(send_to(1), -EPERM);
	EXPECT_EQ(messages(1), 0);
	EXPECT_EQ(send_to(0), -EAGAIN);
	caller(0, 0x1000);
	EXPECT_EQ(send_to(1), -EAGAIN);
}

TEST(programs_that_are_not_there)
{
	start();
	EXPECT_EQ(send_to(2), -ENOENT); /* never loaded */
	EXPECT_EQ(send_to(3), -ENOENT);
	EXPECT_EQ(send_to(PROGRAM_MAX), -ENOENT);
	EXPECT_EQ(send_to(BIT(63)), -ENOENT);
	all.program[0].state = SHOJI_PROGRAM_STOPPED;
	EXPECT_EQ(send_to(0), -ENOENT);
	all.count = 1;
	EXPECT_EQ(send_to(1), -ENOENT);
	EXPECT_EQ(seen.runs, 0);
}

/* ---- messages ----------------------------------------------------------------- */

TEST(a_message_and_its_reply)
{
	const struct mail_slot *slot = &all.program[0].mail.slot[0];

	start();
	caller(3, 0x1000);
	memcpy(memory + REQUEST, "request!", 8);
	turn = reply;
	EXPECT_EQ(send_to(0), 5);
	EXPECT_EQ(v->gpr[GPR_RDX], -3ULL);
	EXPECT(!memcmp(memory + REPLY, "reply\xee", 6));
	EXPECT_EQ(slot->type, 0x77);
	EXPECT_EQ(slot->sender.kind, PROGRAM_FROM_USER);
	EXPECT_EQ(slot->sender.space, 0x1000);
	EXPECT_EQ(messages(0), 0);
	EXPECT_EQ(seen.end, fake_now + 500000);
	turn = NULL;
	EXPECT_EQ(send_to(0), -EAGAIN);
	EXPECT(!memcmp(slots[0] + SLOT_SIZE, "request!", 8));
	EXPECT_EQ(slot[1].length, 8);
	EXPECT_EQ(v->gpr[GPR_RCX], 0);
}

/* By privilege and page tables, whatever the tags in CR3 say. */
TEST(a_handle_is_its_senders)
{
	u64 handle;

	start();
	caller(3, 0x1000);
	EXPECT_EQ(send_to(0), -EAGAIN);
	handle = v->gpr[GPR_RDX];
	EXPECT((s64)handle > 0);
	caller(3, 0x2000);
	EXPECT_EQ(wait_for(handle, REPLY, 64), -ENOENT);
	EXPECT_EQ(call(SHOJI_CANCEL, handle, 0, 0), -ENOENT);
	caller(0, 0x1000);
	EXPECT_EQ(wait_for(handle, REPLY, 64), -ENOENT);
	EXPECT_EQ(call(SHOJI_CANCEL, handle, 0, 0), -ENOENT);
	EXPECT_EQ(seen.runs, 0);
	caller(3, 0x1000 | BIT(63) | 0x005);
	EXPECT_EQ(wait_for(handle ^ 1, REPLY, 64), -ENOENT);
	EXPECT_EQ(wait_for(handle | 0xf0, REPLY, 64), -ENOENT);
	EXPECT_EQ(call(SHOJI_CANCEL, handle | 0xf0, 0, 0), -ENOENT);
	EXPECT_EQ(wait_for(handle, REPLY, 64), -EAGAIN);
	EXPECT_EQ(v->gpr[GPR_RDX], handle);
	turn = reply;
	EXPECT_EQ(wait_for(handle, REPLY, 64), 5);
	EXPECT_EQ(wait_for(handle, REPLY, 64), -ENOENT);
	EXPECT_EQ(send_to(0), 5);
	turn = NULL;
	EXPECT_EQ(send_to(0), -EAGAIN);
	EXPECT_EQ(call(SHOJI_CANCEL, v->gpr[GPR_RDX], 0, 0), 0);
	EXPECT_EQ(messages(0), 0);
}

TEST(ids_of_no_program)
{
	start();
	for (u64 i = 0; i < 16; i++)
		EXPECT(program_of_id(&all, BIT(62) | i << 4) ==
		       (i < 2 ? &all.program[i] : NULL));
	EXPECT_EQ(program_new_id(&all, &all.program[1], 15) & 0xff, 0x1f);
	EXPECT_EQ(program_new_id(&all, &all.program[1], 15) >> 62, 1);
	random_value = ~0ULL;
	EXPECT_EQ(program_new_id(&all, &all.program[1], 3) & 0xff, 0x13);
	random_value = 0;
	EXPECT_EQ(program_new_id(&all, &all.program[1], 3), BIT(62) | 0x13);
	EXPECT(program_new_id(&all, &all.program[1], 3) !=
	       program_new_id(&all, &all.program[1], 3));
	all.count = 1;
	EXPECT(!program_of_id(&all, BIT(62) | 1 << 4));
}

/* Before a message goes out: nothing has happened, and the guest's kernel may
 * bring the page in. */
TEST(pages_that_are_not_there)
{
	u64 gpr[16];

	start();
	v->gpr[9] = 0;
	EXPECT_EQ(send_from(0, REQUEST, 8, NOTHING - 8, 9), TRAPPED);
	memcpy(gpr, v->gpr, sizeof(gpr));
	EXPECT_EQ(send_from(0, REQUEST, 8, NOTHING - 8, 9), TRAPPED);
	EXPECT(!memcmp(gpr, v->gpr, sizeof(gpr)));
	EXPECT_EQ(send_from(0, REQUEST, 8, READ_ONLY, 1), TRAPPED);
	EXPECT_EQ(send_from(0, NOTHING, 8, REPLY, 64), TRAPPED);
	EXPECT_EQ(send_from(0, DEVICE, 8, REPLY, 64), -EFAULT);
	EXPECT_EQ(send_from(0, REQUEST, 8, DEVICE, 64), -EFAULT);
	EXPECT_EQ(messages(0), 0);
	EXPECT_EQ(seen.runs, 0);
	/* no reply is longer than a message */
	EXPECT_EQ(send_from(0, READ_ONLY, 8, REPLY, ~0ULL), -EAGAIN);
}

TEST(reply_without_its_page)
{
	u64 handle;

	start();
	turn = reply;
	EXPECT_EQ(send_from(0, REQUEST, 8, 0, 0), -ENOSPC);
	EXPECT_EQ(v->gpr[GPR_RCX], 5);
	handle = v->gpr[GPR_RDX];
	EXPECT_EQ(wait_for(handle, REPLY, 4), -ENOSPC);
	EXPECT_EQ(v->gpr[GPR_RDX], handle);
	EXPECT_EQ(wait_for(handle, READ_ONLY, 5), TRAPPED);
	EXPECT_EQ(v->gpr[GPR_RBX], handle);
	EXPECT_EQ(wait_for(handle, DEVICE, 5), -EFAULT);
	EXPECT_EQ(memory[REPLY], 0xee);
	EXPECT_EQ(wait_for(handle, REPLY, 5), 5);
}

static void reply_and_take_away(struct slice *s, struct program *p)
{
	reply(s, p);
	reply_gone = true;
}

TEST(a_message_is_not_sent_twice)
{
	u64 handle;

	start();
	turn = reply_and_take_away;
	EXPECT_EQ(send_to(0), -EAGAIN);
	EXPECT_EQ(v->gpr[GPR_RCX], 0);
	handle = v->gpr[GPR_RDX];
	EXPECT_EQ(messages(0), 1);
	EXPECT_EQ(wait_for(handle, REPLY, 64), TRAPPED);
	reply_gone = false;
	turn = NULL;
	EXPECT_EQ(wait_for(handle, REPLY, 64), 5);
}

static void cancel(struct slice *s, struct program *p)
{
	struct mail_slot *slot = mail_receive(&p->mail, fake_now);
	struct mail_slot other = { .id = slot->id + 0x100 };

	mail_drop(slot, fake_now);
	EXPECT_EQ(mail_reply(slot, 5, 0, fake_now), -ENOENT);
	if (v->gpr[8])
		return;
	/* somebody else has the slot by now */
	mail_post(&p->mail, slot - p->mail.slot, &other, fake_now);
	EXPECT_EQ(mail_reply(mail_receive(&p->mail, fake_now), 6, 0, fake_now),
		  0);
}

/* By another CPU, while this one runs the program. */
TEST(cancelled_meanwhile)
{
	start();
	turn = cancel;
	EXPECT_EQ(send_to(0), -ENOENT);
	v->gpr[8] = 0;
	v->gpr[GPR_RSI] = REPLY;
	v->gpr[GPR_RDI] = 64;
	EXPECT_EQ(call(SHOJI_SEND, 0, REQUEST, 8), -ENOENT);
	EXPECT_EQ(memory[REPLY], 0xee);
}

static void stop(struct slice *s, struct program *p)
{
	mail_fail(&p->mail, fake_now);
}

/* Nothing comes in or out while its memory is wiped. */
TEST(program_that_was_stopped)
{
	struct program *p = &all.program[0];
	u64 handle;

	start();
	turn = reply;
	EXPECT_EQ(send_from(0, REQUEST, 8, 0, 0), -ENOSPC);
	handle = v->gpr[GPR_RDX];
	p->dirty = true;
	p->state = SHOJI_PROGRAM_STOPPED;
	EXPECT_EQ(wait_for(handle, REPLY, 64), -EAGAIN);
	EXPECT_EQ(memory[REPLY], 0xee);
	EXPECT_EQ(send_to(0), -EBUSY);
	EXPECT_EQ(v->gpr[GPR_RCX], 1000);
	EXPECT_EQ(seen.runs, 1); /* it has to go on */
	EXPECT_EQ(messages(0), 1);
	p->dirty = false;
	p->state = SHOJI_PROGRAM_READY;
	turn = stop;
	EXPECT_EQ(wait_for(handle, REPLY, 64), -EIO);
	EXPECT_EQ(messages(0), 0);
	EXPECT_EQ(memory[REPLY], 0xee);
}

TEST(no_more_than_there_is_room_for)
{
	start();
	EXPECT_EQ(send_from(0, REQUEST, SLOT_SIZE + 1, REPLY, 64), -EINVAL);
	EXPECT_EQ(send_from(0, 0, SLOT_SIZE, REPLY, 64), -EAGAIN);
	EXPECT_EQ(send_to(0), -EAGAIN);
	EXPECT_EQ(send_to(0), -EBUSY);
	EXPECT_EQ(v->gpr[GPR_RCX], 1000);
	EXPECT_EQ(seen.runs, 1);
	caller(0, 0x2000);
	EXPECT_EQ(send_to(0), -EAGAIN);
}

/* Who need not come back soon is told so. */
TEST(nobody_spins)
{
	struct program *p = &all.program[0];
	u64 handle;

	start();
	EXPECT_EQ(send_to(0), -EAGAIN);
	handle = v->gpr[GPR_RDX];
	EXPECT_EQ(v->gpr[GPR_RCX], 0);
	p->holder = 1; /* the other CPU */
	EXPECT_EQ(wait_for(handle, REPLY, 64), -EAGAIN);
	EXPECT_EQ(v->gpr[GPR_RCX], 100);
	p->holder = 2; /* this one */
	p->not_before = fake_now + 5000;
	EXPECT_EQ(wait_for(handle, REPLY, 64), -EAGAIN);
	EXPECT_EQ(v->gpr[GPR_RCX], 6);
	p->not_before = fake_now + 5000000000;
	EXPECT_EQ(wait_for(handle, REPLY, 64), -EAGAIN);
	EXPECT_EQ(v->gpr[GPR_RCX], 1000);
	p->not_before = fake_now;
	p->wake = PROGRAM_FOREVER; /* of when it waited last */
	EXPECT_EQ(wait_for(handle, REPLY, 64), -EAGAIN);
	EXPECT_EQ(v->gpr[GPR_RCX], 0);
}

static void sleep_on(struct slice *s, struct program *p)
{
	p->poked = false;
	p->state = SHOJI_PROGRAM_WAITING;
}

static void sleep_and_be_poked(struct slice *s, struct program *p)
{
	sleep_on(s, p);
	p->poked = true;
}

TEST(program_that_waits_itself)
{
	struct program *p = &all.program[0];

	start();
	turn = sleep_on;
	p->wake = fake_now + 3000;
	EXPECT_EQ(send_to(0), -EAGAIN);
	EXPECT_EQ(v->gpr[GPR_RCX], 4);
	p->wake = PROGRAM_FOREVER;
	EXPECT_EQ(wait_for(v->gpr[GPR_RDX], REPLY, 64), -EAGAIN);
	EXPECT_EQ(v->gpr[GPR_RCX], 1000);
	p->wake = fake_now;
	EXPECT_EQ(wait_for(v->gpr[GPR_RDX], REPLY, 64), -EAGAIN);
	EXPECT_EQ(v->gpr[GPR_RCX], 0);
	turn = sleep_and_be_poked;
	p->wake = PROGRAM_FOREVER;
	EXPECT_EQ(wait_for(v->gpr[GPR_RDX], REPLY, 64), -EAGAIN);
	EXPECT_EQ(v->gpr[GPR_RCX], 0);
}

static void get_init(struct slice *s, struct program *p)
{
	s->init = true;
}

TEST(an_init_is_not_lost)
{
	start();
	turn = get_init;
	EXPECT_EQ(send_to(0), -EAGAIN);
	EXPECT_EQ(seen.inits, 1);
	turn = NULL;
	EXPECT_EQ(send_to(0), -EAGAIN);
	EXPECT_EQ(seen.inits, 0);
	memset(&seen, 0, sizeof(seen));
	programs_background(v);
	EXPECT_EQ(seen.inits, 0);
	background_init = true;
	programs_background(v);
	background_init = false;
	EXPECT_EQ(seen.inits, 1);
}

/* ---- buffers -------------------------------------------------------------------- */

static s64 lend(u64 address, u64 length, u64 access)
{
	return call(SHOJI_REGISTER, address, length, access);
}

TEST(a_buffer_has_bounds)
{
	const struct mail_sender owner = { PROGRAM_FROM_USER, 0x7000 };
	const struct buffer *b;

	start();
	EXPECT_EQ(lend(0x1000, 0, 1), -EINVAL);
	EXPECT_EQ(lend(0x1000, SHOJI_BUFFER_MAX + 1, 1), -EINVAL);
	EXPECT_EQ(lend(0x1000, 8, 0), -EINVAL);
	EXPECT_EQ(lend(0x1000, 8, 4), -EINVAL);
	EXPECT_EQ(lend(~0ULL - 7, 8, 1), -EINVAL);
	for (int i = 0; i < BUFFERS_MAX; i++)
		EXPECT_EQ(all.buffer[i].id, 0);
	caller(3, 0x7000);
	EXPECT_EQ(lend(0x1234, SHOJI_BUFFER_MAX, 3), 1);
	b = program_buffer(&all, 1, &owner);
	if (!b) {
		EXPECT(b);
		return;
	}
	EXPECT_EQ(b->address, 0x1234);
	EXPECT_EQ(b->length, SHOJI_BUFFER_MAX);
	EXPECT_EQ(b->access, 3);
	EXPECT_EQ(b->since, fake_now);
	EXPECT_EQ(lend(~0ULL - 8, 8, 1), 2);
	all.next_buffer = 0x7ffffffe;
	EXPECT_EQ(lend(0x1000, 8, 2), 0x7fffffff);
	EXPECT_EQ(lend(0x1000, 8, 2), 1); /* never 0 */
}

TEST(a_buffer_is_its_owners)
{
	s64 id;

	start();
	caller(3, 0x1000);
	id = lend(0x1000, 8, 3);
	v->gpr[9] = (u64)id;
	caller(3, 0x2000);
	EXPECT_EQ(send_from(0, REQUEST, 8, REPLY, 64), -EINVAL);
	EXPECT_EQ(call(SHOJI_UNREGISTER, (u64)id, 0, 0), -ENOENT);
	caller(0, 0x1000);
	EXPECT_EQ(send_from(0, REQUEST, 8, REPLY, 64), -EINVAL);
	EXPECT_EQ(call(SHOJI_UNREGISTER, (u64)id, 0, 0), -ENOENT);
	EXPECT_EQ(messages(0), 0);
	caller(3, 0x1000);
	EXPECT_EQ(send_from(0, REQUEST, 8, REPLY, 64), -EAGAIN);
	EXPECT_EQ(all.program[0].mail.slot[0].buffer, (u64)id);
	EXPECT_EQ(call(SHOJI_UNREGISTER, (u64)id, 0, 0), 0);
	EXPECT_EQ(call(SHOJI_UNREGISTER, (u64)id, 0, 0), -ENOENT);
	EXPECT_EQ(send_from(0, REQUEST, 8, REPLY, 64), -EINVAL);
}

/* One caller has 4 of them; what was not used for long goes first. */
TEST(buffers_for_all)
{
	start();
	for (u64 who = 0; who < 4; who++) {
		caller(3, who << 12);
		for (int i = 0; i < 4; i++)
			EXPECT(lend(0x1000, 8, 1) > 0);
		EXPECT_EQ(lend(0x1000, 8, 1), -EBUSY);
	}
	caller(3, 0x9000);
	EXPECT_EQ(lend(0x1000, 8, 1), -EBUSY);
	fake_now += SHOJI_STALE_MS * 1000000ULL;
	for (int i = 0; i < BUFFERS_MAX; i++)
		if (i != 7)
			all.buffer[i].since = fake_now;
	all.buffer[7].since++;
	EXPECT_EQ(lend(0x1000, 8, 1), -EBUSY);
	all.buffer[7].since--;
	EXPECT_EQ(lend(0x1000, 8, 1), 17);
	EXPECT_EQ(all.buffer[7].id, 17);
	/* a clock that is ahead does not make one old */
	all.buffer[3].since = fake_now + 5;
	EXPECT_EQ(lend(0x1000, 8, 1), -EBUSY);
	/* what is free is taken before what is only old */
	caller(3, 0);
	EXPECT_EQ(call(SHOJI_UNREGISTER, 3, 0, 0), 0);
	all.buffer[1].since = all.buffer[14].since = 0;
	EXPECT_EQ(lend(0x1000, 8, 1), 18);
	EXPECT(all.buffer[1].id != 18 && all.buffer[14].id != 18);
}

/* ---- what Shoji says of itself --------------------------------------------------- */

/* Not a byte more than there is room for. */
TEST(as_much_as_there_is_room_for)
{
	static const u32 numbers[] = { SHOJI_STATUS, SHOJI_VOLUME, SHOJI_STAT,
				       SHOJI_PROGRAM };
	static const u32 sizes[] = { 120, 72, 280, 152 };

	for (int i = 0; i < 4; i++) {
		start();
		EXPECT_EQ(call(numbers[i], REPLY, 9, 1), sizes[i]);
		EXPECT_EQ(memory[REPLY + 9], 0xee);
		EXPECT_EQ(call(numbers[i], NOTHING, 0, 1), sizes[i]);
		EXPECT_EQ(call(numbers[i], READ_ONLY, 9, 1), TRAPPED);
		EXPECT_EQ(call(numbers[i], REPLY, ~0ULL, 1), sizes[i]);
		EXPECT_EQ(memory[REPLY + sizes[i]], 0xee);
		EXPECT_EQ(call(numbers[i], REPLY, 9, i == 3 ? 3 : 2),
			  i ? -ENOENT : (s64)sizes[i]);
		EXPECT_EQ(call(numbers[i], REPLY, 9, BIT(32)),
			  i ? -ENOENT : (s64)sizes[i]);
	}
}

TEST(what_they_say)
{
	const struct shoji_status *st = (void *)(memory + REPLY);
	const struct shoji_volume *vol = (void *)(memory + REPLY);
	const struct shoji_stat *stat = (void *)(memory + REPLY);
	const struct shoji_program *p = (void *)(memory + REPLY);

	start();
	call(SHOJI_STATUS, REPLY, 4096, 0);
	EXPECT(st->abi == 1 && st->cpus == 2 && st->volumes == 2 &&
	       st->programs == PROGRAMS && st->uptime_ns == fake_now);
	EXPECT(!strcmp(st->version, "1.2") &&
	       !strcmp(st->back_end, "back end"));
	EXPECT(st->hidden_start == 0x10000000 && st->hidden_size == 0x2000000);
	EXPECT(st->log_start == 7 && st->log_end == LOG_END);
	all.config.version = "a version that is longer than its field";
	call(SHOJI_STATUS, REPLY, 4096, 0);
	EXPECT_EQ(strlen(st->version), sizeof(st->version) - 1);
	call(SHOJI_VOLUME, REPLY, 4096, 1);
	EXPECT(!strcmp(vol->name, "data") && vol->first == 100 &&
	       vol->last == ~0ULL && vol->key_bits == 256);
	EXPECT(vol->read == 6 && vol->written == 9 && vol->zero == 0);
	v->exits[VMEXIT_KINDS - 1] = 5;
	all.cpu[1].slices = 3;
	all.cpu[1].ns = 4;
	call(SHOJI_STAT, REPLY, 4096, 1);
	EXPECT(stat->cpu == 1 && stat->kinds == VMEXIT_KINDS &&
	       stat->exits[VMEXIT_KINDS - 1] == 5 && stat->slices == 3 &&
	       stat->program_ns == 4);
	strcpy(all.program[0].m.name, "first");
	strcpy(all.program[0].stopped, "why");
	all.program[0].restarts = 6;
	all.program[0].run_ns = 7;
	all.program[0].memory_size = 8;
	all.program[0].messages = 9;
	all.program[0].slices = 10;
	send_to(0);
	call(SHOJI_PROGRAM, REPLY, 4096, 0);
	EXPECT(!strcmp(p->name, "first") && p->restarts == 6 && p->run_ns == 7);
	EXPECT(p->memory == 8 && p->messages == 9 && p->slices == 10);
	EXPECT(p->state == SHOJI_PROGRAM_READY && p->waiting == 1 && !p->open &&
	       p->for_user == 1 && p->message_max == SLOT_SIZE);
	EXPECT(!strcmp(p->stopped, "why"));
	mail_receive(&all.program[0].mail, fake_now);
	call(SHOJI_PROGRAM, REPLY, 4096, 0);
	EXPECT(p->waiting == 0 && p->open == 1);
	call(SHOJI_PROGRAM, REPLY, 4096, 2); /* never loaded */
	EXPECT_EQ(p->state, SHOJI_PROGRAM_STOPPED);
}

TEST(the_log_in_pieces)
{
	start();
	EXPECT_EQ(call(SHOJI_LOG, REPLY, 700, 33), 700);
	EXPECT_EQ(v->gpr[GPR_RDX], 733);
	for (u32 i = 0; i < 700; i++)
		EXPECT_EQ(memory[REPLY + i], (i + 33) % 100);
	EXPECT_EQ(memory[REPLY + 700], 0xee);
	EXPECT_EQ(call(SHOJI_LOG, 0, 20000, 0), TRAPPED);
	EXPECT_EQ(v->gpr[GPR_RDX], 0);
	EXPECT_EQ(call(SHOJI_LOG, DEVICE, 16, 0), -EFAULT);
	EXPECT_EQ(call(SHOJI_LOG, REPLY, 700, LOG_END - 5), 5);
	EXPECT_EQ(call(SHOJI_LOG, REPLY, 700, LOG_END), 0);
	EXPECT_EQ(call(SHOJI_LOG, REPLY, 0, 5), 0);
	EXPECT_EQ(v->gpr[GPR_RDX], 5);
}

TEST_MAIN(CASE(not_for_everybody), CASE(numbers_that_are_none),
	  CASE(programs_for_the_kernel), CASE(programs_that_are_not_there),
	  CASE(a_message_and_its_reply), CASE(a_handle_is_its_senders),
	  CASE(ids_of_no_program), CASE(pages_that_are_not_there),
	  CASE(reply_without_its_page), CASE(a_message_is_not_sent_twice),
	  CASE(cancelled_meanwhile), CASE(program_that_was_stopped),
	  CASE(no_more_than_there_is_room_for), CASE(nobody_spins),
	  CASE(program_that_waits_itself), CASE(an_init_is_not_lost),
	  CASE(a_buffer_has_bounds), CASE(a_buffer_is_its_owners),
	  CASE(buffers_for_all), CASE(as_much_as_there_is_room_for),
	  CASE(what_they_say), CASE(the_log_in_pieces))

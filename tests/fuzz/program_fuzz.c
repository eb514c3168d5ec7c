/*
 * Hypercalls and system calls, with the message layer under them: callers of
 * the guest and two programs do what the input says, in turns. Each buffer has
 * its own allocation, so that nothing reaches past it; and the states stay in
 * order.
 *
 * units: core/program/hypercall.c core/program/syscall.c core/program/mail.c core/program/space.c core/program/random.c core/program/region.c
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu/clock.h"
#include "core/lib/errors.h"
#include "core/lib/panic.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/mm/pool.h"
#include "core/program/abi.h"
#include "core/program/program.h"
#include "core/virt/guest.h"
#include "crypto/disk/disk.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define PROGRAMS  2
#define REGIONS	  2
#define SLOTS	  4
#define SLOT_SIZE 8192
#define HEAP_SIZE 8192
#define GUEST	  0x10000 /* bytes of the guest's memory, from address 0 */

static const u8 *input;
static size_t left;
static u64 now;
static struct programs all;
static struct guest guest;
static struct cpu cpu;
static u64 vreg[VREG_COUNT];
static u8 *guest_memory;
static u64 known[8]; /* ids that were given out */
static u32 traps, skips;
static u64 regions_mapped[PROGRAMS]; /* in its nested table */

static void check(bool ok)
{
	if (!ok)
		abort();
}

static u64 take(unsigned int bytes)
{
	u64 v = 0;

	for (; bytes; bytes--) {
		v = v << 8 | (left ? *input : 0);
		if (left) {
			input++;
			left--;
		}
	}
	return v;
}

/* A number that may mean something: an address, a length, an id ... */
static u64 take_value(void)
{
	static const u64 fixed[] = {
		0,
		1,
		2,
		3,
		4,
		8,
		48,
		64,
		4096,
		8192,
		8193,
		PROGRAM_HEAP,
		PROGRAM_HEAP + HEAP_SIZE - 8,
		PROGRAM_MAIL,
		PROGRAM_LOW,
		PROGRAM_MAIL + SLOT_SIZE + PAGE_SIZE,
		PROGRAM_FOREVER,
		PROGRAM_REGIONS,
		PROGRAM_REGIONS + PROGRAM_REGION_STEP + 4096 - 8,
	};
	u64 kind = take(1);

	if (kind < 0x80)
		return fixed[kind % ARRAY_SIZE(fixed)];
	if (kind < 0xc0)
		return known[kind % ARRAY_SIZE(known)];
	return take(kind & 7);
}

/* ---- what they stand on --------------------------------------------------- */

void wipe(void *p, size_t n)
{
	memset(p, 0, n);
}

void panic(const char *format, ...)
{
	(void)format;
	abort();
}

void log_limited(struct log_limit *limit, const char *format, ...)
{
	char text[LOG_LINE_MAX];
	va_list args;

	(void)limit;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
}

void log_range(u64 *start, u64 *end)
{
	*start = 0;
	*end = 1000;
}

size_t log_read(u64 *position, char *dst, size_t size)
{
	size_t n = *position < 1000 ? min_u64(size, 1000 - *position) : 0;

	memset(dst, 'x', n);
	*position += n;
	return n;
}

u64 clock_ns(void)
{
	return now;
}

u64 clock_to_ticks(u64 ns)
{
	return ns;
}

const struct hidden *pool_hidden(void)
{
	static const struct hidden h = { 0x1000000, 0x1000000 };

	return &h;
}

struct disk_counters disk_counters(size_t volume)
{
	(void)volume;
	return (struct disk_counters){ 1, 2 };
}

u8 guest_code_bits(struct vcpu *v)
{
	(void)v;
	return 64;
}

void guest_skip(struct vcpu *v, const struct vmexit *exit)
{
	(void)v;
	(void)exit;
	skips++;
}

void guest_inject_mem_fault(struct vcpu *v, const struct guest_mem_fault *fault)
{
	(void)v;
	check(fault->vector == VECTOR_PF);
	traps++;
}

void startup_init_signal(struct vcpu *v)
{
	(void)v;
}

/* One page in four is not there, one of the others is a device. */
static int reach(u64 address, u64 len, struct guest_mem_fault *fault)
{
	for (u64 at = address; len && at - address < len;
	     at = align_down(at, PAGE_SIZE) + PAGE_SIZE) {
		if (at >= GUEST || at / PAGE_SIZE % 4 == 3) {
			*fault =
				(struct guest_mem_fault){ .vector = VECTOR_PF };
			return CALLER_TRAP;
		}
		if (at / PAGE_SIZE == 6)
			return -EFAULT;
	}
	return 0;
}

int caller_copy(struct vcpu *v, u64 address, void *data, u64 len, bool write,
		struct guest_mem_fault *fault)
{
	int rc = reach(address, len, fault);

	(void)v;
	if (rc || !len || !data)
		return rc;
	if (write)
		memcpy(guest_memory + address, data, len);
	else
		memcpy(data, guest_memory + address, len);
	return 0;
}

int table_map(struct table *t, u64 va, u64 pa, u64 len, u64 attr)
{
	static const u8 zeroes[PAGE_SIZE];
	u64 *mapped = &regions_mapped[t == &all.program[1].nested];
	u64 bit = BIT((va - PROGRAM_REGIONS) / PROGRAM_REGION_STEP);

	/* what was nobody's is zeroed */
	if (attr && !((regions_mapped[0] | regions_mapped[1]) & bit))
		check(!memcmp((const void *)pa, zeroes, len));
	check(va >= PROGRAM_REGIONS && bit < BIT(REGIONS) && len);
	check(!attr == !!(*mapped & bit)); /* in turns */
	*mapped ^= bit;
	return 0;
}

static u64 nested_attr(unsigned int access, enum mem_type type)
{
	(void)type;
	check(!(access & NESTED_X));
	return access;
}

void *pool_alloc_run(size_t pages)
{
	return calloc(pages, PAGE_SIZE);
}

hpa_t virt_to_phys(const void *p)
{
	return (hpa_t)p;
}

void program_stop(struct programs *programs, struct program *p, bool restart,
		  const char *format, ...)
{
	(void)format;
	for (u32 i = 0; i < PROGRAMS; i++)
		mail_forget(&programs->program[i].mail, &p->self, now);
	regions_unmap(programs, p);
	mail_fail(&p->mail, now);
	p->state = restart ? SHOJI_PROGRAM_READY : SHOJI_PROGRAM_STOPPED;
}

static void remember(u64 id)
{
	known[id >> 8 & 7] = id;
}

/* Of all messages, 3 bits each. */
static u64 states(void)
{
	u64 v = 0;

	for (u32 i = 0; i < PROGRAMS; i++)
		for (u32 k = 0; k < SLOTS; k++)
			v = v << 3 | all.program[i].mail.slot[k].state;
	return v;
}

/* Instead of running it: system calls out of the input. */
void slice_run(struct slice *s, struct program *first,
	       const struct mail_slot *done, u64 id)
{
	u64 n = take(1) % 8;

	(void)done;
	(void)id;
	while (n-- && first->state != SHOJI_PROGRAM_STOPPED) {
		u64 *gpr = first->cpu.gpr, rip = first->cpu.rip, before;
		bool refused;

		if (take(1) & 1)
			regions_clean(s->all, &all.program[take(1) % 2]);
		first->state = SHOJI_PROGRAM_READY;
		gpr[GPR_RAX] = take(1) % 16;
		gpr[GPR_RDI] = take_value();
		gpr[GPR_RSI] = take_value();
		gpr[GPR_RDX] = take_value();
		gpr[10] = take_value();
		gpr[8] = take_value();
		before = states();
		program_syscall(s, first);
		refused = (s64)gpr[GPR_RAX] == -EFAULT ||
			  (s64)gpr[GPR_RAX] == -EINVAL;
		check(!refused || states() == before);
		check(first->cpu.rip == rip ||
		      first->state == SHOJI_PROGRAM_READY);
		if ((s64)gpr[GPR_RAX] > 255)
			remember(gpr[GPR_RAX]);
		now += take(1);
	}
}

void slice_end(struct slice *s)
{
	(void)s;
}

bool slice_background(struct programs *programs, struct vcpu *v)
{
	struct slice s = { .all = programs, .v = v, .background = true };

	lock_acquire(&programs->lock);
	slice_run(&s, &programs->program[take(1) % PROGRAMS], NULL, 0);
	slice_end(&s);
	lock_release(&programs->lock);
	return now & 1;
}

/* ---- the world ------------------------------------------------------------ */

static u64 get(struct vcpu *v, enum vreg reg)
{
	(void)v;
	return vreg[reg];
}

static u8 *area(struct program *p, u64 start, u64 size, u8 access)
{
	u8 *host = calloc(1, size);

	space_add(&p->space, start, size, access, host);
	return host;
}

static void make_program(u32 i, u8 *slots)
{
	struct program *p = &all.program[i];

	*p = (struct program){
		.m = { .name = "p", .slice_us = 500, .time_ms = 100 },
		.id = i,
		.self = { .kind = i },
		.file = slots,
		.slots = slots,
		.slot_size = SLOT_SIZE,
		.state = SHOJI_PROGRAM_READY,
		.mail = { .slots = SLOTS, .stale_ns = 2000 },
	};
	p->m.name[1] = (char)('0' + i);
	p->m.user = i == 0;
	p->m.sends = i == 0 ? 2 : 0;
	p->m.regions = i == 0 ? 3 : 1;
	p->m.writes = 2;
	area(p, PROGRAM_LOW, PAGE_SIZE, ELF_R | ELF_X);
	memcpy(area(p, PROGRAM_HEAP, HEAP_SIZE, ELF_R | ELF_W), "r0r1", 4);
	for (u32 k = 0; k < SLOTS; k++)
		space_add(&p->space, PROGRAM_MAIL + k * (SLOT_SIZE + PAGE_SIZE),
			  SLOT_SIZE, ELF_R | ELF_W, slots + k * SLOT_SIZE);
}

static void check_state(void)
{
	check(all.lock.next == all.lock.serving);
	for (u32 i = 0; i < PROGRAMS; i++)
		for (u32 k = 0; k < SLOTS; k++) {
			const struct mail_slot *s =
				&all.program[i].mail.slot[k];

			check(s->state <= MAIL_DONE);
			check(s->state == MAIL_FREE || s->length <= SLOT_SIZE);
			check(s->state == MAIL_FREE || (s64)s->id > 0);
		}
	for (u32 i = 0; i < REGIONS; i++)
		for (u32 k = 0; k < PROGRAMS; k++)
			check((all.region[i].holders >> k & 1) ==
			      (regions_mapped[k] >> i & 1));
	for (u32 i = 0; i < REGIONS; i++)
		check(!all.region[i].wiper || !all.region[i].holders);
	check(!(regions_mapped[1] & 2));
}

static void one_hypercall(struct vcpu *v)
{
	const struct vmexit exit = { .kind = VMEXIT_HYPERCALL };
	u8 how = (u8)take(1);
	u32 before = traps + skips;

	vreg[VREG_CPL] = how & 1 ? 3 : 0;
	vreg[VREG_CR3] = (how & 6) << 12;
	v->gpr[GPR_RAX] = SHOJI_MAGIC | take(1) % 13;
	v->gpr[GPR_RBX] = take_value();
	v->gpr[GPR_RCX] = take_value();
	v->gpr[GPR_RDX] = take_value();
	v->gpr[GPR_RSI] = take_value();
	v->gpr[GPR_RDI] = take_value();
	v->gpr[8] = take(1);
	v->gpr[9] = take(1) % 4;
	check(programs_hypercall(v, &exit));
	check(traps + skips == before + 1);
	if ((s64)v->gpr[GPR_RDX] > 255)
		remember(v->gpr[GPR_RDX]);
	now += take(1);
	check_state();
	if (how & 8) {
		programs_background(v);
		check_state();
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const struct virt_ops ops = { .name = "fuzz",
					     .get = get,
					     .nested_attr = nested_attr };
	static const struct program_region regions[REGIONS] = {
		{ .name = "r0", .size_kib = 4 }, { .name = "r1", .size_kib = 4 }
	};
	static const struct volume volume = { .name = "v", .key_len = 32 };
	struct vcpu v = { .cpu = &cpu, .guest = &guest };
	u8 *slots[PROGRAMS];

	input = data;
	left = size;
	now = 1;
	memset(&all, 0, sizeof(all));
	memset(known, 0, sizeof(known));
	memset(regions_mapped, 0, sizeof(regions_mapped));
	guest.ops = &ops;
	guest.cpus = 1;
	all.ops = &ops;
	all.count = PROGRAMS;
	all.config = (struct program_config){ .version = "1",
					      .allow = HYPERCALL_USER,
					      .volumes = &volume,
					      .volume_count = 1,
					      .regions = regions,
					      .region_count = REGIONS };
	all.random.seeded = true;
	guest_memory = calloc(1, GUEST);
	for (u32 i = 0; i < PROGRAMS; i++) {
		slots[i] = calloc(SLOTS, SLOT_SIZE);
		make_program(i, slots[i]);
	}
	check(!regions_init(&all));
	for (u32 i = 0; i < PROGRAMS; i++)
		check(!regions_prepare(&all, &all.program[i]));
	programs_attach(&all);
	while (left)
		one_hypercall(&v);
	for (u32 i = 0; i < REGIONS; i++)
		free(all.region[i].memory);
	for (u32 i = 0; i < PROGRAMS; i++) {
		free(all.program[i].space.area[0].host);
		free(all.program[i].space.area[1].host);
		free(slots[i]);
	}
	free(guest_memory);
	return 0;
}

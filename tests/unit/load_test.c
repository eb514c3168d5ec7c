/*
 * From files to programs: the pages that each one has, how it starts, also again,
 * and what is refused.
 *
 * units: core/program/load.c core/program/region.c core/program/elf.c core/program/space.c core/program/mail.c core/lib/fmt.c
 * libs: -include tests/unit/fake_slice.h
 */
#include "core/program/program.h"

#include <elf.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/arch/regs.h"
#include "core/cpu/clock.h"
#include "core/cpu/fpu.h"
#include "core/lib/errors.h"
#include "core/lib/panic.h"
#include "core/lib/string.h"
#include "core/mm/pool.h"
#include "core/program/abi.h"
#include "crypto/sha256.h"
#include "tests/unit/test.h"

#define POOL	(4 << 20)
#define PIECE	0x10000
#define PATTERN 0x5a

u64 fake_now = 1000000000;
static struct programs all;
static u8 *pool; /* what pool_alloc_run() gives, from its start on */
static u64 pool_used;
/* Allocations and tables that there are, and another one that there is not. */
static u32 left, missing;
static char logged[256];
static u32 refused; /* lines in the log */
static bool fpu_ours;
static void (*paused)(void);

/* What the nested tables say. */
static struct mapping {
	const struct table *table;
	u64 va, pa, len, attr;
} mapped[128];
static u32 mappings;

/* ---- stand-ins ------------------------------------------------------------ */

static bool none_left(void)
{
	if (!left || !--missing)
		return true;
	left--;
	return false;
}

void wipe(void *p, size_t n)
{
	memset(p, 0, n);
}

void *pool_alloc_run(size_t count)
{
	u8 *p = pool + pool_used;

	if (none_left())
		return NULL;
	pool_used += count * PAGE_SIZE;
	return p;
}

hpa_t virt_to_phys(const void *p)
{
	return (hpa_t)((const u8 *)p - pool) + POOL;
}

int table_init(struct table *t, const struct table_format *format)
{
	t->root = pool_alloc_run(1);
	return t->root ? 0 : -ENOMEM;
}

int table_map(struct table *t, u64 va, u64 pa, u64 len, u64 attr)
{
	struct mapping *m = mapped;

	while (m < mapped + mappings && (m->table != t || m->va != va))
		m++;
	if (m == mapped + mappings) {
		if (none_left())
			return -ENOMEM;
		mappings++;
	}
	*m = (struct mapping){ t, va, pa, len, attr };
	return 0;
}

u64 clock_ns(void)
{
	return fake_now;
}

u32 fpu_size(void)
{
	return 5000;
}

void fpu_begin(void)
{
	fpu_ours = true;
}

void fpu_end(void)
{
	fpu_ours = false;
}

void fpu_reset(void *area)
{
	memset(area, 0x11, fpu_size());
}

void random_seed(struct random *r)
{
	r->seeded = true;
}

void random_bytes(struct random *r, void *out, size_t len)
{
	memset(out, 0x77, len);
}

/* The last byte is enough to tell them apart. */
void sha256(const void *data, size_t len, u8 out[32])
{
	EXPECT(fpu_ours);
	memset(out, 0, 32);
	out[31] = ((const u8 *)data)[len - 1];
}

void log_line(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(logged, sizeof(logged), format, args);
	va_end(args);
	refused += strstr(logged, "refused") || strstr(logged, "does not run");
}

void log_limited(struct log_limit *limit, const char *format, ...)
{
}

void panic(const char *format, ...)
{
	printf("panic: %s\n", format);
	abort();
}

void cpu_pause(void)
{
	if (paused)
		paused();
}

/* ---- a machine with two programs ------------------------------------------ */

static const struct table_format *nested_format(void)
{
	return NULL;
}

static u64 nested_attr(unsigned int access, enum mem_type type)
{
	EXPECT_EQ(type, MEM_WB);
	return access;
}

static const struct virt_ops ops = {
	.vmmcall = true,
	.nested_format = nested_format,
	.nested_attr = nested_attr,
};

/* A PIE: 3 pages of code, 20 of data that is more than a piece, 2 of constants
 * around a page's end. */
static const struct file {
	Elf64_Ehdr head;
	Elf64_Phdr ph[3];
	u8 body[0x13000];
	u8 tag;
} plain = {
	.head = { .e_ident = { 0x7f, 'E', 'L', 'F', 2, 1, 1 },
		  .e_type = ET_DYN,
		  .e_machine = EM_X86_64,
		  .e_entry = 0x10040,
		  .e_phoff = sizeof(Elf64_Ehdr),
		  .e_phentsize = sizeof(Elf64_Phdr),
		  .e_phnum = 3 },
	.ph = { { PT_LOAD, PF_R | PF_X, 232, 0x10040, 0, 0x80, 0x2fc0, 0 },
		{ PT_LOAD, PF_R | PF_W, 400, 0x20000, 0, 0x12345, 0x14000, 0 },
		{ PT_LOAD, PF_R, 300, 0x40ff0, 0, 0x20, 0x20, 0 } },
};
static struct file file;
static u32 copies; /* of it that GRUB loads */
static struct program_manifest manifests[2];
static const struct program_region regions[] = { { "one", 128, 0 },
						 { "two", 68, 0 } };

static void prepare(void)
{
	file = plain;
	for (size_t i = 0; i < sizeof(file.body); i++)
		file.body[i] = (u8)(i % 251 + 1);
	file.tag = 1;
	copies = 1;
	manifests[0] = (struct program_manifest){
		.name = "first",
		.sha256 = { [31] = 1 },
		.memory_kib = 1024,
		.stack_kib = 64,
		.message_kib = 64,
		.slice_us = 500,
		.messages = 4,
		.restart = 1,
		.regions = 3,
		.writes = 2,
	};
	manifests[1] = manifests[0];
	manifests[1].regions = 2;
	manifests[1].writes = 0;
	left = missing = ~0U;
}

static void load(void)
{
	const struct program_config config = { .manifests = manifests,
					       .count = 2,
					       .regions = regions,
					       .region_count = 2 };
	const struct program_file f = { (u8 *)&file,
					offsetof(struct file, tag) + 1,
					"a file" };

	pool = realloc(pool, POOL);
	memset(pool, 0, POOL);
	memset(&all, 0, sizeof(all));
	pool_used = refused = mappings = 0;
	paused = NULL;
	logged[0] = '\0';
	programs_init(&all, &config, &ops,
		      (const struct program_file[]){ f, f }, copies);
	EXPECT(!fpu_ours && pool_used <= POOL);
}

static const struct mapping *mapping(const struct program *p, u64 va)
{
	for (u32 i = 0; i < mappings; i++)
		if (mapped[i].table == &p->nested && va >= mapped[i].va &&
		    va - mapped[i].va < mapped[i].len)
			return &mapped[i];
	return NULL;
}

#define NOTHING 0xff

/* What @p can do there. */
static u64 access(const struct program *p, u64 va)
{
	const struct mapping *m = mapping(p, va);

	return m ? m->attr : NOTHING;
}

/* ---- the pages that it has ------------------------------------------------ */

#define R  NESTED_R
#define RW (NESTED_R | NESTED_W)
#define RX (NESTED_R | NESTED_X)

/* The first and the last byte of each area, and those around it; where in its
 * memory they are. */
TEST(only_its_own_pages)
{
	static const struct {
		u64 va, access, at;
	} want[] = {
		{ 0, NOTHING, 0 },
		{ 0x40ffff, NOTHING, 0 },
		{ 0x410000, RX, 0 },
		{ 0x412fff, RX, 0x2fff },
		{ 0x413000, NOTHING, 0 },
		{ 0x41ffff, NOTHING, 0 },
		{ 0x420000, RW, 0x3000 },
		{ 0x433fff, RW, 0x16fff },
		{ 0x434000, NOTHING, 0 },
		{ 0x440000, R, 0x17000 },
		{ 0x441fff, R, 0x18fff },
		{ 0x442000, NOTHING, 0 },
		{ 0x1fffffff, NOTHING, 0 },
		{ 0x20000000, RW, 0x6a000 }, /* heap */
		{ 0x20095fff, RW, 0xfffff },
		{ 0x20096000, NOTHING, 0 },
		{ 0x2fffffff, NOTHING, 0 },
		{ 0x30000000, RW, 0x2a000 }, /* messages */
		{ 0x3000ffff, RW, 0x39fff },
		{ 0x30010000, NOTHING, 0 },
		{ 0x30010fff, NOTHING, 0 },
		{ 0x30011000, RW, 0x3a000 },
		{ 0x30042fff, RW, 0x69fff },
		{ 0x30043000, NOTHING, 0 },
		{ 0x3dffffff, NOTHING, 0 },
		{ 0x3e000000, RW, 0x19000 }, /* start page */
		{ 0x3e000fff, RW, 0x19fff },
		{ 0x3e001000, NOTHING, 0 },
		{ 0x3efeffff, NOTHING, 0 },
		{ 0x3eff0000, RW, 0x1a000 }, /* stack */
		{ 0x3effffff, RW, 0x29fff },
		{ 0x3f000000, NOTHING, 0 },
	};

	prepare();
	load();
	for (u32 i = 0; i < 2; i++) {
		struct program *p = &all.program[i];

		EXPECT(p->file);
		for (size_t n = 0; n < ARRAY_SIZE(want); n++) {
			u64 va = want[n].va;
			const struct mapping *m = mapping(p, va);
			void *host = want[n].access == NOTHING
					     ? NULL
					     : p->memory + want[n].at;

			EXPECT_EQ(access(p, va), want[n].access);
			EXPECT(!m || pool + m->pa - POOL + va - m->va == host);
			EXPECT(space_find(&p->space, va, 1, ELF_R) == host);
			EXPECT(space_find(&p->space, va, 1, ELF_W) ==
			       (want[n].access == RW ? host : NULL));
		}
	}
	EXPECT(all.program[1].memory >= all.program[0].memory + (1 << 20));
}

/* Behind all of that lie the page tables, equal addresses for ring 3, A and D
 * set. */
TEST(the_page_tables_of_all)
{
	const struct mapping *m;
	const u64 *t;

	prepare();
	load();
	for (u32 i = 0; i < 2; i++) {
		m = mapping(&all.program[i], PROGRAM_SPACE);
		EXPECT(m && m->pa == all.paging && m->len == 0x3000);
		EXPECT(m && m->attr == RW);
		EXPECT_EQ(access(&all.program[i], PROGRAM_SPACE - 1), NOTHING);
	}
	t = (u64 *)(pool + all.paging - POOL);
	EXPECT_EQ(t[0], 0x40001027);
	EXPECT_EQ(t[512], 0x40002027);
	for (u64 i = 1; i < 512; i++)
		EXPECT(!t[i] && !t[512 + i]);
	for (u64 i = 0; i < 512; i++)
		EXPECT_EQ(t[1024 + i], i * 0x200000 + 0xe7);
	EXPECT(all.region[0].memory == (u8 *)(t + 1536) && !t[1536]);
}

/* ---- how it starts -------------------------------------------------------- */

static void check_start(const struct program *p, u32 restarts)
{
	const struct program_start *s = (struct program_start *)p->start;
	u64 gpr[16] = { [GPR_RSP] = 0x3f000000, [GPR_RDI] = 0x3e000000 };

	EXPECT(p->state == SHOJI_PROGRAM_READY && !p->poked && !p->used_ns);
	EXPECT_EQ(p->cpu.rip, 0x410040);
	EXPECT_EQ(p->cpu.rflags, 0x202);
	EXPECT_EQ(p->cpu.fs_base, 0x3e000000);
	EXPECT_EQ(p->cpu.cr3, 0x40000000);
	EXPECT_EQ(p->cpu.nested_root, virt_to_phys(p->nested.root));
	EXPECT_EQ(p->cpu.index, p->id);
	EXPECT(!memcmp(p->cpu.gpr, gpr, sizeof(gpr)));
	EXPECT_EQ(((u8 *)p->xstate)[fpu_size() - 1], 0x11);

	EXPECT(s->self == 0x3e000000 && s->version == 1 && s->vmmcall == 1);
	EXPECT(s->bias == 0x400000 && s->canary == 0x7777777777777700);
	EXPECT(s->heap == 0x20000000 && s->heap_size == 0x96000);
	EXPECT(s->mail == 0x30000000 && s->slots == 4);
	EXPECT(s->slot_size == 0x10000 && s->stack_size == 0x10000);
	EXPECT(s->slice_ns == 500000 && s->memory == 1 << 20);
	EXPECT(s->id == p->id && s->restarts == restarts);
	EXPECT(!strcmp(s->name, "first"));
}

/* What is not in the file is zero. */
static void check_memory(const struct program *p)
{
	const u8 *from = (const u8 *)&file;
	u8 *want = calloc(1, 1 << 20);

	memcpy(want + 0x40, from + 232, 0x80);
	memcpy(want + 0x3000, from + 400, 0x12345);
	memcpy(want + 0x17ff0, from + 300, 0x20);
	memcpy(want + 0x19000, p->start, sizeof(struct program_start));
	EXPECT(!memcmp(p->memory, want, 1 << 20));
	free(want);
}

TEST(the_first_instruction)
{
	prepare();
	load();
	for (u32 i = 0; i < 2; i++) {
		EXPECT_EQ(all.program[i].self.kind, i);
		check_start(&all.program[i], 0);
		check_memory(&all.program[i]);
	}
	EXPECT(all.random.seeded);
}

static void clean(struct program *p)
{
	lock_acquire(&all.lock);
	for (u32 n = 0; p->dirty && n < 100; n++)
		program_clean(&all, p);
	lock_release(&all.lock);
	EXPECT(!p->dirty);
}

/* Whatever it has left. */
TEST(starts_again_as_before)
{
	struct program *p = &all.program[0];

	prepare();
	load();
	for (u32 restarts = 1; restarts < 3; restarts++) {
		memset(p->memory, PATTERN, 1 << 20);
		memset(&p->cpu, PATTERN, sizeof(p->cpu));
		p->used_ns = 5;
		p->poked = true;
		program_stop(&all, p, true, "why");
		EXPECT(!strcmp(p->stopped, "why"));
		clean(p);
		check_start(p, restarts);
		check_memory(p);
		EXPECT_EQ(p->not_before, fake_now + 100000000);
		EXPECT_EQ(p->restarts, restarts);
	}
	program_stop(&all, p, false, "why");
	clean(p);
	EXPECT(p->state == SHOJI_PROGRAM_STOPPED && p->restarts == 2);
}

/* Its last piece is a short one: what follows is somebody else's. */
TEST(wiped_to_its_end)
{
	struct program *p = &all.program[0], *q = &all.program[1];

	prepare();
	manifests[0].memory_kib = 1028;
	load();
	p->memory[1028 * 1024 - 1] = PATTERN;
	EXPECT(q->memory - p->memory < 1088 * 1024);
	q->memory[0] = PATTERN;
	program_stop(&all, p, true, "why");
	clean(p);
	EXPECT_EQ(p->memory[1028 * 1024 - 1], 0);
	EXPECT_EQ(q->memory[0], PATTERN);
}

/* ---- what they need, and where it is not there ----------------------------- */

TEST(what_they_need)
{
	prepare();
	EXPECT_EQ(programs_memory(manifests, 2), 2 * (1024 + 256) * 1024);
	EXPECT_EQ(programs_memory(manifests, 0), 0);
	EXPECT_EQ(regions_memory(regions, 2), (128 + 68 + 2 * 128) * 1024);
	load();
	EXPECT(pool_used <=
	       programs_memory(manifests, 2) + regions_memory(regions, 2));
}

/* Wherever it ends, or just one thing is too large: such a program is not there,
 * and the next one may be. */
TEST(too_little_memory)
{
	u32 n, most;

	prepare();
	load();
	most = ~0U - left;
	EXPECT_EQ(refused, 0);
	for (n = 0; n < 2 * most; n++) {
		u32 there = 0;

		prepare();
		if (n < most)
			left = n;
		else
			missing = n - most + 1;
		load();
		for (u32 i = 0; i < all.count; i++)
			there += all.program[i].file != NULL;
		EXPECT(there < 2 && refused);
		programs_wipe(&all);
	}
}

TEST(memory_that_is_just_enough)
{
	const struct program_start *s;

	prepare();
	manifests[0].memory_kib = 424;
	manifests[1].memory_kib = 420;
	load();
	EXPECT(all.program[0].file && !all.program[1].file);
	EXPECT_EQ(refused, 2); /* refused, and does not run */
	s = (struct program_start *)all.program[0].start;
	EXPECT_EQ(s->heap_size, 0);
	EXPECT_EQ(access(&all.program[0], PROGRAM_HEAP), NOTHING);
}

TEST(files_that_nobody_has_asked_for)
{
	prepare();
	manifests[1].sha256[0] = 1;
	load();
	EXPECT(all.program[0].file && !all.program[1].file);
	EXPECT(strstr(logged, "does not run"));
	prepare();
	file.tag = 2;
	load();
	EXPECT(!all.program[0].file && !all.program[1].file);
	EXPECT_EQ(refused, 3);
	prepare();
	file.head.e_machine = EM_386;
	load();
	EXPECT(!all.program[0].file && !all.program[0].memory);
	EXPECT_EQ(refused, 4);
	prepare();
	file.head.e_type = ET_EXEC;
	file.ph[0].p_vaddr = PROGRAM_LOW - 1;
	load();
	EXPECT(!all.program[0].file && !all.program[0].memory);
	prepare();
	copies = 2;
	load();
	check_start(&all.program[0], 0);
	EXPECT_EQ(refused, 1);
}

/* ---- regions --------------------------------------------------------------- */

/* Tables are there from the start, pages only where a grant has been used. */
TEST(regions_come_and_go)
{
	struct program *p = &all.program[0], *q = &all.program[1];
	const u64 one = 0x34000000, two = 0x35000000;
	struct region *r = &all.region[1];
	char name[PROGRAM_NAME_MAX] = "two";

	prepare();
	load();
	EXPECT(access(p, one) == 0 && access(p, one + 0x1ffff) == 0);
	EXPECT_EQ(access(p, one + 0x20000), NOTHING);
	EXPECT(access(p, two) == 0 && access(q, two + 0x10fff) == 0);
	EXPECT(access(q, one) == NOTHING && access(q, two - 1) == NOTHING);
	EXPECT_EQ(access(q, two + 0x11000), NOTHING);
	EXPECT(all.region[0].memory + 0x20000 == r->memory);
	EXPECT(region_find(&all, p, name) == r);
	EXPECT(region_find(&all, q, name) == r);
	strcpy(name, "one");
	EXPECT(region_find(&all, p, name) == &all.region[0]);
	EXPECT(!region_find(&all, q, name));

	region_map(&all, p, r);
	EXPECT(access(p, two) == RW && access(q, two) == 0);
	EXPECT_EQ(access(p, one), 0);
	region_map(&all, q, r);
	EXPECT_EQ(access(q, two), R);
	EXPECT_EQ(mapping(p, two)->pa, virt_to_phys(r->memory));
	EXPECT_EQ(mapping(q, two)->pa, virt_to_phys(r->memory));
	EXPECT_EQ(r->holders, 3);
	program_stop(&all, p, true, "why");
	EXPECT(access(p, two) == 0 && access(q, two) == R);
	EXPECT(!space_find(&p->space, two, 1, ELF_R));
	EXPECT(r->holders == 2 && !r->wiper);
	EXPECT(p->stale == ~0ULL && q->stale == 0);
	clean(p);
	program_stop(&all, p, true, "why"); /* one that had none */
	clean(p);
	EXPECT(space_find(&p->space, PROGRAM_HEAP, 1, ELF_W));
	EXPECT_EQ(r->holders, 2);
	memset(r->memory, PATTERN, r->size + 1);
	program_stop(&all, q, true, "why");
	EXPECT_EQ(r->wiper, 2);
	lock_acquire(&all.lock);
	program_clean(&all, q); /* one piece, of the region */
	lock_release(&all.lock);
	EXPECT(r->clean == PIECE && q->clean == 0 && !p->poked);
	clean(q);
	EXPECT(p->poked); /* it may wait for a reply */
	EXPECT(!r->wiper && !r->memory[0] && !r->memory[r->size - 1]);
	EXPECT_EQ(r->memory[r->size], PATTERN);
}

/* ---- the end of Shoji ------------------------------------------------------ */

static u32 pauses;
static struct program *held;

/* What another CPU holds is not touched before it lets go. */
static void lets_go(void)
{
	EXPECT(all.closed && held->memory[0] == PATTERN);
	if (++pauses == 5)
		held->holder = 0;
}

TEST(waits_for_the_other_cpu)
{
	for (int i = 0; i < 2; i++) {
		prepare();
		load();
		held = &all.program[i];
		memset(held->memory, PATTERN, 1 << 20);
		all.region[1].memory[0x10fff] = PATTERN;
		held->holder = 2;
		pauses = i * 5; /* one that has stopped never does */
		paused = lets_go;
		programs_wipe(&all);
		EXPECT(pauses == (i ? 10000005 : 5));
		EXPECT(!held->memory[0] && !held->memory[(1 << 20) - 1]);
		EXPECT(!held->cpu.rip && !held->cpu.gpr[GPR_RSP]);
		EXPECT(!((u8 *)held->xstate)[0]);
		EXPECT(!file.body[0] && !file.tag);
		EXPECT(!all.region[1].memory[0x10fff]);
	}
}

TEST_MAIN(CASE(only_its_own_pages), CASE(the_page_tables_of_all),
	  CASE(the_first_instruction), CASE(starts_again_as_before),
	  CASE(wiped_to_its_end), CASE(what_they_need), CASE(too_little_memory),
	  CASE(memory_that_is_just_enough),
	  CASE(files_that_nobody_has_asked_for), CASE(regions_come_and_go),
	  CASE(waits_for_the_other_cpu))

#include "core/program/program.h"

#include <stdarg.h>

#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/cpu/clock.h"
#include "core/cpu/fpu.h"
#include "core/lib/errors.h"
#include "core/lib/fmt.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/mm/pool.h"
#include "core/program/abi.h"
#include "crypto/sha256.h"

#define KIB	      1024ULL
#define MS	      1000000ULL
#define WIPE_PATIENCE 10000000 /* turns: far more than a slice */
#define RESTART_NS    (100 * MS)
#define PAGING_PAGES  3
#define LARGE	      (2ULL << 20)
/* Nested tables, extended state and what else comes to each. */
#define OVERHEAD_KIB 256ULL

/* ---- paging --------------------------------------------------------------- */

/* [0, 1 GiB) to itself, for ring 3, with A and D set, so that the CPU never
 * writes there; the nested table says what is really there. */
static int make_paging(struct programs *all)
{
	const u64 attr = PTE_P | PTE_W | PTE_U | PTE_A;
	u64 *table = pool_alloc_run(PAGING_PAGES);

	if (!table)
		return -ENOMEM;
	table[0] = (PROGRAM_SPACE + PAGE_SIZE) | attr;
	table[512] = (PROGRAM_SPACE + 2 * PAGE_SIZE) | attr;
	for (u64 i = 0; i < 512; i++)
		table[1024 + i] = i * LARGE | attr | PTE_D | PTE_PS;
	all->paging = virt_to_phys(table);
	return 0;
}

static unsigned int nested_access(u8 access)
{
	return NESTED_R | (access & ELF_W ? NESTED_W : 0) |
	       (access & ELF_X ? NESTED_X : 0);
}

static int map(struct programs *all, struct program *p, u64 start, hpa_t pa,
	       u64 size, unsigned int access)
{
	return table_map(&p->nested, start, pa, size,
			 all->ops->nested_attr(access, MEM_WB));
}

/* The walk of page tables counts as a write for NPT (APM vol. 2, 15.25.5). */
static int make_nested(struct programs *all, struct program *p)
{
	int rc = table_init(&p->nested, all->ops->nested_format());

	if (!rc)
		rc = map(all, p, PROGRAM_SPACE, all->paging,
			 PAGING_PAGES * PAGE_SIZE, NESTED_R | NESTED_W);
	for (u32 i = 0; i < p->space.count && !rc; i++) {
		const struct space_area *a = &p->space.area[i];

		rc = map(all, p, a->start, virt_to_phys(a->host), a->size,
			 nested_access(a->access));
	}
	return rc ? rc : regions_prepare(all, p);
}

/* ---- the layout ----------------------------------------------------------- */

static u8 *add(struct program *p, u8 **next, u64 start, u64 size, u8 access)
{
	u8 *host = *next;

	space_add(&p->space, start, size, access, host);
	*next += size;
	return host;
}

/* Segments, start page, stack and messages; the heap has what is left. */
static const char *lay_out(struct program *p)
{
	const struct program_manifest *m = &p->m;
	u64 stack = m->stack_kib * KIB, used;
	u8 *next = p->memory;

	p->slot_size = m->message_kib * KIB;
	used = p->elf.pages * PAGE_SIZE + PAGE_SIZE + stack +
	       m->messages * p->slot_size;
	if (used > p->memory_size)
		return "its memory is too small for its segments";
	for (u32 i = 0; i < p->elf.count; i++)
		add(p, &next, p->elf.segment[i].start,
		    p->elf.segment[i].pages * PAGE_SIZE,
		    p->elf.segment[i].access);
	p->start = add(p, &next, PROGRAM_START, PAGE_SIZE, ELF_R | ELF_W);
	add(p, &next, PROGRAM_STACK_TOP - stack, stack, ELF_R | ELF_W);
	p->slots = next;
	for (u32 i = 0; i < m->messages; i++)
		add(p, &next, PROGRAM_MAIL + i * (p->slot_size + PAGE_SIZE),
		    p->slot_size, ELF_R | ELF_W);
	if (used < p->memory_size)
		add(p, &next, PROGRAM_HEAP, p->memory_size - used,
		    ELF_R | ELF_W);
	return NULL;
}

/* ---- start and stop ------------------------------------------------------- */

/* What lies in [off, off + len) of its memory, which is zeroed, at the start:
 * the segments come first. */
static void fill(struct program *p, u64 off, u64 len)
{
	u64 at = 0;

	for (u32 i = 0; i < p->elf.count; i++) {
		const struct elf_segment *s = &p->elf.segment[i];
		u64 first = at + s->skip;
		u64 from = max_u64(first, off);
		u64 to = min_u64(first + s->file_size, off + len);

		if (from < to)
			memcpy(p->memory + from,
			       p->file + s->offset + (from - first), to - from);
		at += s->pages * PAGE_SIZE;
	}
}

static void fill_start(struct programs *all, struct program *p)
{
	struct program_start *s = (struct program_start *)p->start;
	const struct space_area *last = &p->space.area[p->space.count - 1];

	*s = (struct program_start){
		.self = PROGRAM_START,
		.version = PROGRAM_ABI_VERSION,
		.vmmcall = all->ops->vmmcall,
		.bias = p->elf.bias,
		.heap = PROGRAM_HEAP,
		.heap_size = last->start == PROGRAM_HEAP ? last->size : 0,
		.mail = PROGRAM_MAIL,
		.slots = p->m.messages,
		.slot_size = p->slot_size,
		.stack_size = p->m.stack_kib * KIB,
		.slice_ns = p->m.slice_us * 1000ULL,
		.memory = p->memory_size,
		.id = p->id,
		.restarts = p->restarts,
	};
	random_bytes(&all->random, &s->canary, sizeof(s->canary));
	s->canary &= ~0xffULL; /* a string function's NUL does not pass it */
	memcpy(s->name, p->m.name, sizeof(s->name));
}

/* Its memory is filled. */
static void start(struct programs *all, struct program *p)
{
	fill_start(all, p);
	fpu_reset(p->xstate);
	p->cpu = (struct virt_program){
		.rip = p->elf.entry,
		.rflags = RFLAGS_FIXED | RFLAGS_IF,
		.fs_base = PROGRAM_START,
		.cr3 = PROGRAM_SPACE,
		.nested_root = virt_to_phys(p->nested.root),
		.index = p->id,
	};
	p->cpu.gpr[GPR_RSP] = PROGRAM_STACK_TOP;
	p->cpu.gpr[GPR_RDI] = PROGRAM_START;
	p->used_ns = 0;
	p->poked = false;
	p->state = SHOJI_PROGRAM_READY;
}

static void wipe_registers(struct program *p)
{
	wipe(p->xstate, fpu_size());
	wipe(&p->cpu, sizeof(p->cpu));
}

/* Nobody waits for what it has sent. */
static void forget_messages(struct programs *all, const struct program *p)
{
	u64 now = clock_ns();

	for (u32 i = 0; i < all->count; i++)
		mail_forget(&all->program[i].mail, &p->self, now);
}

void program_stop(struct programs *all, struct program *p, bool restart,
		  const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fmt_vprint(p->stopped, sizeof(p->stopped), format, args);
	va_end(args);
	log_limited(&p->stop_limit, "program %s: %s, rip 0x%llx", p->m.name,
		    p->stopped, (unsigned long long)p->cpu.rip);
	wipe_registers(p);
	forget_messages(all, p);
	regions_unmap(all, p);
	p->state = SHOJI_PROGRAM_STOPPED;
	p->dirty = true;
	p->again = restart && p->m.restart;
	p->clean = 0;
}

static void cleaned(struct programs *all, struct program *p)
{
	p->dirty = false;
	mail_fail(&p->mail, clock_ns());
	for (u32 i = 0; i < all->count; i++)
		all->program[i].poked = true; /* it may wait for a reply */
	if (!p->again)
		return;
	p->restarts++;
	start(all, p);
	p->not_before = clock_ns() + RESTART_NS;
}

void program_clean(struct programs *all, struct program *p)
{
	u64 n = min_u64(PROGRAM_PIECE, p->memory_size - p->clean);

	if (regions_clean(all, p))
		return;
	lock_release(&all->lock);
	wipe(p->memory + p->clean, n);
	if (p->again)
		fill(p, p->clean, n);
	lock_acquire(&all->lock);
	p->clean += n;
	if (p->clean == p->memory_size)
		cleaned(all, p);
}

static bool someone_runs(const struct programs *all)
{
	for (u32 i = 0; i < all->count; i++)
		if (__atomic_load_n(&all->program[i].holder, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

/* A CPU that panic() has stopped keeps what it holds in registers. */
void programs_wipe(struct programs *all)
{
	__atomic_store_n(&all->closed, 1, __ATOMIC_SEQ_CST);
	for (u32 i = 0; i < WIPE_PATIENCE && someone_runs(all); i++)
		cpu_pause();
	for (u32 i = 0; i < all->count; i++)
		if (all->program[i].file) {
			wipe(all->program[i].memory,
			     all->program[i].memory_size);
			wipe(all->program[i].file, all->program[i].file_size);
			wipe_registers(&all->program[i]);
		}
	regions_wipe(all);
}

/* ---- at boot -------------------------------------------------------------- */

u64 programs_memory(const struct program_manifest *manifests, u32 count)
{
	u64 size = 0;

	for (u32 i = 0; i < count; i++)
		size += (manifests[i].memory_kib + OVERHEAD_KIB) * KIB;
	return size;
}

static const char *create(struct programs *all, struct program *p,
			  const struct program_file *f)
{
	const char *why = elf_parse(f->data, f->size, PROGRAM_LOW, PROGRAM_HEAP,
				    PROGRAM_PIE_BASE, &p->elf);

	if (why)
		return why;
	p->memory_size = p->m.memory_kib * KIB;
	p->memory = pool_alloc_run(p->memory_size / PAGE_SIZE);
	p->xstate = pool_alloc_run(align_up(fpu_size(), PAGE_SIZE) / PAGE_SIZE);
	if (!p->memory || !p->xstate)
		return "there is too little memory";
	why = lay_out(p);
	if (why)
		return why;
	if (make_nested(all, p))
		return "there is too little memory for its tables";
	p->mail.slots = p->m.messages;
	p->mail.stale_ns = SHOJI_STALE_MS * MS;
	p->file = f->data;
	p->file_size = f->size;
	fill(p, 0, p->memory_size);
	start(all, p);
	return NULL;
}

static void take_file(struct programs *all, const struct program_file *f)
{
	bool wanted = false;
	u8 hash[32];

	fpu_begin();
	sha256(f->data, f->size, hash);
	fpu_end();
	for (u32 i = 0; i < all->count; i++) {
		struct program *p = &all->program[i];
		const char *why;

		if (memcmp(hash, p->m.sha256, sizeof(hash)) || p->file)
			continue;
		wanted = true;
		why = create(all, p, f);
		if (why)
			log_line("program %s: refused: %s", p->m.name, why);
		else
			log_line("program %s: %u KiB, %llu KiB of file",
				 p->m.name, p->m.memory_kib,
				 (unsigned long long)(f->size / KIB));
	}
	if (!wanted)
		log_line("%s: refused: no program of the configuration has "
			 "this hash, %02x%02x%02x%02x...",
			 f->name, hash[0], hash[1], hash[2], hash[3]);
}

void programs_init(struct programs *all, const struct program_config *config,
		   const struct virt_ops *ops, const struct program_file *files,
		   u32 file_count)
{
	all->config = *config;
	all->ops = ops;
	all->count = config->count;
	random_seed(&all->random);
	for (u32 i = 0; i < all->count; i++) {
		all->program[i].m = config->manifests[i];
		all->program[i].id = all->program[i].self.kind = i;
	}
	if (all->count && (make_paging(all) || regions_init(all))) {
		log_line("programs: there is too little memory");
		all->count = 0;
	}
	for (u32 i = 0; i < file_count; i++)
		take_file(all, &files[i]);
	for (u32 i = 0; i < all->count; i++)
		if (!all->program[i].file)
			log_line("program %s: does not run",
				 all->program[i].m.name);
}

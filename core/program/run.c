#include "core/program/program.h"

#include "core/arch/cpuid.h"
#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/cpu/clock.h"
#include "core/cpu/fpu.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/program/barrier.h"

#define US	  1000ULL
#define MS	  1000000ULL
#define NEVER	  (~0ULL)
#define FAR_NS	  1000000000ULL /* a program may wait for any time */
#define CPUID_LEN 2

/* ---- whose turn it is ----------------------------------------------------- */

/* From when on, in ns, there is something to do for @p on this CPU. */
static u64 due(const struct program *p, u32 cpu)
{
	if (!p->file || (p->holder && p->holder != cpu + 1))
		return NEVER;
	if (p->dirty)
		return 0;
	if (p->state == SHOJI_PROGRAM_READY)
		return p->not_before;
	if (p->state == SHOJI_PROGRAM_WAITING)
		return max_u64(p->poked ? 0 : p->wake, p->not_before);
	return NEVER;
}

/* May it have a slice that the guest has not asked for? Not where interrupts are
 * off: those that come would be late by it. */
static bool may_run(const struct program *p, const struct vcpu *v)
{
	return p->dirty || v->rflags & RFLAGS_IF;
}

static bool can_run(const struct slice *s, const struct program *p, u64 now)
{
	return due(p, s->v->cpu->index) <= now &&
	       (!s->background || may_run(p, s->v));
}

/* @first if it can, else the next one in turn; but none while @first runs on
 * another CPU: that would not help. */
static struct program *choose(struct slice *s, struct program *first)
{
	struct programs *all = s->all;
	u32 cpu = s->v->cpu->index;
	u64 now = clock_ns();

	if (can_run(s, first, now))
		return first;
	if (first->holder && first->holder != cpu + 1)
		return NULL;
	for (u32 i = 0; i < all->count; i++) {
		struct program *p = &all->program[++all->turn % all->count];

		if (can_run(s, p, now))
			return p;
	}
	return NULL;
}

/* ---- this CPU's registers ------------------------------------------------- */

static void unload(struct slice *s)
{
	if (!s->loaded)
		return;
	fpu_save(s->loaded->xstate);
	__atomic_store_n(&s->loaded->holder, 0, __ATOMIC_RELEASE);
	s->loaded = NULL;
}

static void load(struct slice *s, struct program *p)
{
	if (s->loaded == p)
		return;
	if (!s->began) {
		fpu_begin();
		s->began = true;
	}
	unload(s);
	barrier_switch();
	fpu_load(p->xstate);
	s->loaded = p;
	p->slices++;
}

void slice_end(struct slice *s)
{
	unload(s);
	if (!s->began)
		return;
	s->began = false;
	barrier_switch();
	fpu_end();
}

/* ---- exits ---------------------------------------------------------------- */

/* Bits that are cleared: what is off here or says where this is. */
static const struct {
	u32 leaf;
	struct cpuid hidden;
} masks[] = {
	{ CPUID_FEATURES,
	  { .ebx = 0xff000000,
	    .ecx = CPUID_01_ECX_VMX | CPUID_01_ECX_SMX | CPUID_01_ECX_MONITOR |
		   CPUID_01_ECX_HYPERVISOR } },
	{ CPUID_STRUCTURED,
	  { .ebx = CPUID_07_EBX_FSGSBASE | CPUID_07_EBX_SGX,
	    .ecx = ~(u32)CPUID_07_ECX_VECTOR,
	    .edx = ~0U } },
	{ CPUID_TOPOLOGY, { ~0U, ~0U, ~0U, ~0U } },
	{ CPUID_TOPOLOGY_2, { ~0U, ~0U, ~0U, ~0U } },
	{ CPUID_EXT_FEATURES,
	  { .ecx = CPUID_80000001_ECX_SVM | CPUID_80000001_ECX_MONITORX,
	    .edx = CPUID_80000001_EDX_SYSCALL | CPUID_80000001_EDX_RDTSCP } },
	{ CPUID_ADDR_SIZES, { .ebx = CPUID_80000008_EBX_RDPRU } },
	{ CPUID_EXT_TOPOLOGY, { ~0U, ~0U, ~0U, ~0U } },
	{ CPUID_EXT_TOPOLOGY_2, { ~0U, ~0U, ~0U, ~0U } },
};

static void emulate_cpuid(struct virt_program *c)
{
	u32 leaf = c->gpr[GPR_RAX];
	struct cpuid id = cpuid_count(leaf, c->gpr[GPR_RCX]), hidden = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(masks); i++)
		if (masks[i].leaf == leaf)
			hidden = masks[i].hidden;
	c->gpr[GPR_RAX] = id.eax & ~hidden.eax;
	c->gpr[GPR_RBX] = id.ebx & ~hidden.ebx;
	c->gpr[GPR_RCX] = id.ecx & ~hidden.ecx;
	c->gpr[GPR_RDX] = id.edx & ~hidden.edx;
	c->rip += CPUID_LEN;
}

static void stop_fault(struct slice *s, struct program *p,
		       const struct vmexit *e)
{
	program_stop(s->all, p, true, "stopped: %s of 0x%llx",
		     e->fault.exec    ? "execution"
		     : e->fault.write ? "write"
				      : "read",
		     (unsigned long long)e->fault.gpa);
}

static void stop_exception(struct slice *s, struct program *p,
			   const struct vmexit *e)
{
	if (e->exception.vector == VECTOR_PF)
		program_stop(s->all, p, true, "stopped: access to 0x%llx",
			     (unsigned long long)e->info);
	else
		program_stop(s->all, p, true, "stopped: exception %u (0x%x)",
			     e->exception.vector, e->exception.error);
}

static void handle(struct slice *s, struct program *p, const struct vmexit *e)
{
	switch (e->kind) {
	case VMEXIT_HYPERCALL:
		program_syscall(s, p);
		return;
	case VMEXIT_CPUID:
		emulate_cpuid(&p->cpu);
		return;
	case VMEXIT_INIT:
		s->init = true;
		s->over = true;
		return;
	case VMEXIT_INTR:
		s->all->cpu[s->v->cpu->index].wanted = true;
		s->over = true;
		return;
	case VMEXIT_NMI:
	case VMEXIT_DEADLINE:
	case VMEXIT_HANDLED:
		s->over = true;
		return;
	case VMEXIT_NESTED_FAULT:
		stop_fault(s, p, e);
		return;
	case VMEXIT_EXCEPTION:
		stop_exception(s, p, e);
		return;
	default:
		program_stop(s->all, p, true, "stopped: exit %u, 0x%llx 0x%llx",
			     e->kind, (unsigned long long)e->raw,
			     (unsigned long long)e->info);
	}
}

/* ---- the slice ------------------------------------------------------------ */

/* It waits in a system call, whose time may have come. */
static bool resume(struct slice *s, struct program *p)
{
	if (p->state != SHOJI_PROGRAM_WAITING)
		return true;
	p->poked = false;
	p->state = SHOJI_PROGRAM_READY;
	program_syscall(s, p);
	return p->state == SHOJI_PROGRAM_READY;
}

static void run_once(struct slice *s, struct program *p)
{
	struct programs *all = s->all;
	u32 cpu = s->v->cpu->index;
	struct vmexit exit;
	u64 begin, ns;

	p->state = SHOJI_PROGRAM_RUNNING;
	p->poked = false;
	p->cpu.flush = p->stale >> cpu & 1;
	p->stale &= ~BIT(cpu);
	lock_release(&all->lock);
	load(s, p);
	begin = rdtsc();
	all->ops->program_run(s->v, &p->cpu,
			      s->end > begin ? s->end - begin : 1, &exit);
	ns = clock_to_ns(rdtsc() - begin);
	lock_acquire(&all->lock);
	p->run_ns += ns;
	p->used_ns += ns;
	all->cpu[cpu].ns += ns;
	p->state = SHOJI_PROGRAM_READY;
	handle(s, p, &exit);
	if (!p->dirty && p->used_ns > p->m.time_ms * MS)
		program_stop(all, p, true, "stopped: over its time");
	/* What it had in registers is of no use. */
	if (p->dirty)
		s->loaded = NULL;
}

/* The interrupts that have come meanwhile do not wait for the next piece. */
static void clean_once(struct slice *s, struct program *p)
{
	program_clean(s->all, p);
	s->over = true;
}

/* From here to release() programs_wipe() waits for this CPU, or it has been
 * before. */
static bool claim(struct slice *s, struct program *p)
{
	__atomic_store_n(&p->holder, s->v->cpu->index + 1, __ATOMIC_SEQ_CST);
	return !__atomic_load_n(&s->all->closed, __ATOMIC_SEQ_CST);
}

static void release(struct slice *s, struct program *p)
{
	if (s->loaded != p)
		__atomic_store_n(&p->holder, 0, __ATOMIC_RELEASE);
}

static bool answered(const struct program *p, const struct mail_slot *slot,
		     u64 id)
{
	return slot && !p->dirty &&
	       (slot->id != id ||
		(slot->state != MAIL_WAITING && slot->state != MAIL_OPEN));
}

void slice_run(struct slice *s, struct program *first,
	       const struct mail_slot *done, u64 id)
{
	struct program *p;

	s->all->cpu[s->v->cpu->index].slices++;
	while (!s->over && rdtsc() < s->end && !answered(first, done, id)) {
		p = choose(s, first);
		if (!p)
			break;
		if (!claim(s, p))
			s->over = true;
		else if (p->dirty)
			clean_once(s, p);
		else if (resume(s, p))
			run_once(s, p);
		release(s, p);
	}
}

/* ---- the background -------------------------------------------------------- */

/* The next one, and when. Looks without the lock: what changes meanwhile is seen
 * at the next exit. */
static u64 next_due(struct programs *all, struct vcpu *v, struct program **next)
{
	u32 cpu = v->cpu->index;
	u64 at = NEVER;

	for (u32 i = 1; i <= all->count && !v->waiting_sipi; i++) {
		struct program *p = &all->program[(all->turn + i) % all->count];
		u64 when = due(p, cpu);

		if (all->cpu[cpu].wanted || !may_run(p, v)) /* look again */
			when = max_u64(when, clock_ns() + p->m.slice_us * US);
		if (when < at)
			*next = p;
		at = min_u64(at, when);
	}
	return max_u64(at, all->cpu[cpu].rest);
}

bool slice_background(struct programs *all, struct vcpu *v)
{
	struct slice s = { .all = all, .v = v, .background = true };
	u64 now = clock_ns(), slice, *rest = &all->cpu[v->cpu->index].rest;
	struct program *first = NULL;
	u64 at = next_due(all, v, &first);

	if (at <= now) {
		slice = first->m.slice_us * US;
		s.end = rdtsc() + clock_to_ticks(slice);
		lock_acquire(&all->lock);
		all->turn = first->id;
		slice_run(&s, first, NULL, 0);
		slice_end(&s);
		lock_release(&all->lock);
		at = clock_ns();
		*rest = at + max_u64(2 * (at - now), slice);
		now = at;
		at = *rest;
	}
	all->cpu[v->cpu->index].wanted = false;
	at = at == NEVER ? 0 : min_u64(at - now, FAR_NS);
	v->deadline = at ? rdtsc() + clock_to_ticks(at) : 0;
	return s.init;
}

/*
 * The nested page table: guest-physical is physical, but for the hidden region
 * (a page of ones, read-only) and for what the MMIO hooks hold back.
 */
#include "core/virt/guest.h"

#include "core/arch/cpuid.h"
#include "core/arch/msr.h"
#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/cpu/apic.h"
#include "core/lib/errors.h"
#include "core/lib/log.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/mm/gmem.h"
#include "core/mm/pool.h"
#include "core/virt/mtrr.h"
#include "core/virt/power.h"

#define NESTED_BITS   48       /* of an address in a table of four levels */
#define DEAF_PATIENCE 10000000 /* turns: some seconds at most */

/* For mmio_set_trap_fn(), which has no argument for it. */
static struct guest *guest;

struct piece { /* [pa, end) is mapped in one way */
	hpa_t target;
	unsigned int access;
	enum mem_type type;
	gpa_t end;
};

/* Narrows @p by the range [start, start + len): true if @gpa is inside. */
static bool narrow(struct piece *p, gpa_t gpa, gpa_t start, u64 len)
{
	if (gpa < start) {
		p->end = min_u64(p->end, start);
		return false;
	}
	if (gpa - start >= len)
		return false;
	p->end = min_u64(p->end, start + len);
	return true;
}

static void policy(struct guest *g, const struct mtrr *m, gpa_t gpa,
		   struct piece *p)
{
	const struct hidden *h = pool_hidden();

	p->target = gpa;
	p->access = NESTED_R | NESTED_W | NESTED_X;
	p->end = BIT(g->maxphyaddr);
	p->type = MEM_WB;
	if (g->ops->nested_types)
		p->type = mtrr_type(m, g->maxphyaddr, gpa, &p->end);
	if (narrow(p, gpa, h->start, h->size)) {
		p->target = g->hole_page;
		p->access = NESTED_R | NESTED_X;
		p->end = gpa + PAGE_SIZE;
		return;
	}
	for (u32 i = 0; i < g->trap_count; i++) {
		if (!narrow(p, gpa, g->traps[i].start, g->traps[i].len))
			continue;
		if (g->traps[i].trap == MMIO_TRAP_ALL)
			p->access = 0;
		else if (g->traps[i].trap == MMIO_TRAP_WRITES)
			p->access &= ~(unsigned int)NESTED_W;
	}
}

/* Brings the table in line with the policy for [gpa, end). */
static int apply(struct guest *g, gpa_t gpa, gpa_t end)
{
	struct mtrr m;
	struct piece p;
	int rc = 0;

	if (g->ops->nested_types)
		mtrr_read(&m);
	while (gpa < end && !rc) {
		policy(g, &m, gpa, &p);
		p.end = min_u64(p.end, end);
		rc = table_map(&g->nested, gpa, p.target, p.end - gpa,
			       g->ops->nested_attr(p.access, p.type));
		gpa = p.end;
	}
	return rc;
}

/* ---- other CPUs --------------------------------------------------------- */

static bool flushes(const struct vcpu *v)
{
	return !__atomic_load_n(&v->in_guest, __ATOMIC_SEQ_CST) ||
	       !__atomic_load_n(&v->flush_request, __ATOMIC_SEQ_CST);
}

/* Does no kick reach it, for want of a local APIC here or there? */
static bool unreachable(const struct vcpu *v)
{
	return __atomic_load_n(&v->deaf, __ATOMIC_SEQ_CST) ||
	       apic_mode() == APIC_OFF;
}

/* A guest that switches a local APIC off to change its mode will soon be back;
 * for one that does not, this is its end. */
static void wait_for(const struct vcpu *v)
{
	for (u32 turns = 0; !flushes(v); cpu_pause()) {
		if (!unreachable(v) || ++turns < DEAF_PATIENCE)
			continue;
		log_line("guest CPU %u cannot be stopped, resetting",
			 v->cpu->index);
		power_reset();
	}
}

/* Every other CPU has left the guest, or will flush before it enters. */
static void flush_others(struct guest *g, const struct vcpu *self)
{
	for (u32 i = 0; i < g->cpus; i++) {
		struct vcpu *v = &g->vcpu[i];

		if (v == self || !v->hw)
			continue;
		__atomic_store_n(&v->flush_request, 1, __ATOMIC_SEQ_CST);
		__atomic_store_n(&v->kick, 1, __ATOMIC_SEQ_CST);
		/* It looks before it runs the guest. Without a hardware state
		 * for it, waiting for SIPI is the guest's code as well. */
		if (!__atomic_load_n(&v->in_guest, __ATOMIC_SEQ_CST) ||
		    (__atomic_load_n(&v->waiting_sipi, __ATOMIC_SEQ_CST) &&
		     __atomic_load_n(&v->waits_in_hw, __ATOMIC_SEQ_CST)))
			continue;
		guest_kick(v);
		wait_for(v);
	}
}

static struct nested_trap *find_trap(struct guest *g, gpa_t start, u64 len)
{
	for (u32 i = 0; i < g->trap_count; i++)
		if (g->traps[i].start == start && g->traps[i].len == len)
			return &g->traps[i];
	return NULL;
}

/* Ranges are whole pages; mmio.c names the same range to trap and to free. */
static int set_trap(gpa_t start, u64 len, enum mmio_trap trap)
{
	struct guest *g = guest;
	struct vcpu *self = cpu_self()->vcpu;
	struct nested_trap *t;
	int rc = -ENOSPC;

	lock_acquire(&g->nested_lock);
	t = find_trap(g, start, len);
	if (!t && g->trap_count < GUEST_TRAPS_MAX)
		t = &g->traps[g->trap_count++];
	if (t) {
		*t = (struct nested_trap){ start, len, trap };
		if (trap == MMIO_TRAP_NONE)
			*t = g->traps[--g->trap_count];
		rc = apply(g, start, start + len);
	}
	lock_release(&g->nested_lock);
	if (self && self->hw)
		g->ops->flush_nested(self);
	flush_others(g, self);
	return rc;
}

void nested_update_types(struct vcpu *v)
{
	static struct log_limit limit;
	struct guest *g = v->guest;

	lock_acquire(&g->nested_lock);
	if (apply(g, 0, g->nested_top))
		log_limited(&limit, "no page left to follow the guest's MTRRs");
	lock_release(&g->nested_lock);
	g->ops->flush_nested(v);
}

/* ---- faults ------------------------------------------------------------- */

/* Maps what lies above the RAM that was mapped at the start. */
static bool map_late(struct vcpu *v, gpa_t gpa)
{
	struct guest *g = v->guest;
	u64 step = g->nested.format->max_level == 3 ? BIT(30) : BIT(21);
	unsigned int level;
	int rc = 0;

	if (gpa < g->nested_top || gpa >> min_u64(g->maxphyaddr, NESTED_BITS))
		return false;
	gpa = align_down(gpa, step);
	lock_acquire(&g->nested_lock);
	if (!table_lookup(&g->nested, gpa, &level))
		rc = apply(g, gpa, gpa + step);
	lock_release(&g->nested_lock);
	return !rc;
}

/* Does the table allow it by now? Then this CPU's TLB was older. */
static bool allowed(struct guest *g, const struct vmexit *exit)
{
	struct piece p;
	struct mtrr m = { 0 };

	if (exit->fault.gpa >= g->nested_top)
		return false;
	policy(g, &m, align_down(exit->fault.gpa, PAGE_SIZE), &p);
	return p.access & NESTED_R &&
	       (!exit->fault.write || p.access & NESTED_W) &&
	       (!exit->fault.exec || p.access & NESTED_X);
}

void guest_nested_fault(struct vcpu *v, const struct vmexit *exit)
{
	static struct log_limit limit;
	gpa_t gpa = exit->fault.gpa;
	bool access = !exit->fault.exec && !exit->fault.table &&
		      !exit->delivering.valid; /* an instruction's own */
	bool hooked = mmio_hooked(gpa);
	bool apic = align_down(gpa, PAGE_SIZE) == v->guest->apic_base;

	if (!(hooked && access) && allowed(v->guest, exit)) {
		v->guest->ops->flush_nested(v);
		return;
	}
	if (!hooked && map_late(v, gpa))
		return;
	/* No instruction did this: an event's frame does not fit the stack, or
	 * its gate cannot be read. Never again for the same event. */
	if (exit->delivering.valid) {
		guest_fault(v, VECTOR_DF);
		return;
	}
	/* An emulated instruction cannot fetch from, or keep its page tables
	 * in, a device that is mediated. */
	if (!access) {
		log_limited(&limit, "fetch or walk on gpa 0x%llx: #GP",
			    (unsigned long long)gpa);
		guest_fault(v, VECTOR_GP);
		return;
	}
	/* Nobody writes to the local APIC many times in a row. */
	if (!guest_emulate_ahead(v, gpa % PAGE_SIZE, !apic))
		guest_emulate(v, exit);
}

/* ---- start -------------------------------------------------------------- */

/*
 * The bits of a physical address. Where memory is encrypted the uppermost of
 * them choose a key: with one of those set all memory, the hidden region too,
 * would have a second address.
 */
static u8 physical_bits(void)
{
	u8 bits = cpuid(CPUID_ADDR_SIZES).eax & 0xff;

	if (cpuid(CPUID_EXT_MAX).eax >= CPUID_ENCRYPTION &&
	    cpuid(CPUID_ENCRYPTION).eax & CPUID_8000001F_EAX_SME &&
	    rdmsr(MSR_SYSCFG) & SYSCFG_SMEE)
		bits -= (cpuid(CPUID_ENCRYPTION).ebx &
			 CPUID_8000001F_EBX_BITS) >>
			6;
	if (cpuid(CPUID_VENDOR).eax >= CPUID_STRUCTURED &&
	    cpuid(CPUID_STRUCTURED).ecx & CPUID_07_ECX_TME &&
	    rdmsr(MSR_TME_ACTIVATE) & TME_ACTIVATE_ENABLE)
		bits -= (rdmsr(MSR_TME_ACTIVATE) & TME_ACTIVATE_KEYID_BITS) >>
			32;
	return bits;
}

int nested_init(struct guest *g)
{
	void *hole = pool_alloc(1);
	int rc;

	if (!hole)
		return -ENOMEM;
	memset(hole, 0xff, PAGE_SIZE);
	g->hole_page = virt_to_phys(hole);
	g->maxphyaddr = physical_bits();
	rc = table_init(&g->nested, g->ops->nested_format());
	if (rc)
		return rc;
	guest = g;
	mmio_set_trap_fn(set_trap);
	return apply(g, 0, g->nested_top);
}

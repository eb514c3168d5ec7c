/* The guest's paging (SDM vol. 3, 4.3 to 4.8). Protection keys and shadow
 * stacks are not looked at: the CPU itself did before it trapped, and running
 * ahead keeps away from them. */
#include "core/mm/walk.h"

#include "core/arch/regs.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/mm/gmem.h"

/* An entry that another CPU keeps changing is walked this many times. */
#define RETRY_MAX  16

#define WALK_AGAIN 2

/* An entry as it was, and with the flags that it gets. */
struct step {
	void *at;
	u64 old, value;
};

struct walk {
	const struct walk_cpu *cpu;
	u64 linear;
	unsigned int access;

	/* The tables of this mode. A level is named by the lowest bit of the
	 * linear address that picks its entry. */
	gpa_t root;
	unsigned int top, top_page; /* the first level, the first with pages */
	u64 reserved;		    /* in every entry, */
	u64 reserved_table;	    /* in one of a table, */
	u64 reserved_page;	    /* in one of a page, below its address */

	u64 all, any; /* bits that all entries have, that any has */
	struct step step[WALK_LEVELS_MAX];
	unsigned int steps;
	gpa_t gpa;
	u32 error;
};

static int fault(struct walk *w, u32 error)
{
	const struct walk_cpu *cpu = w->cpu;
	bool nxe = cpu->cr4 & CR4_PAE && cpu->efer & EFER_NXE;

	if (w->access & WALK_WRITE)
		error |= PF_W;
	if (cpu->user)
		error |= PF_U;
	if (w->access & WALK_FETCH && (nxe || cpu->cr4 & CR4_SMEP))
		error |= PF_I;
	w->error = error;
	return WALK_FAULT;
}

/* SDM vol. 3, table 4-4, with PSE-36 up to 40 bits. */
static void use_32_bit(struct walk *w)
{
	w->root = w->cpu->cr3 & BITS(31, 12);
	w->top = 22;
	w->top_page = w->cpu->cr4 & CR4_PSE ? 22 : PAGE_SHIFT;
	w->reserved = 0;
	w->reserved_table = 0;
	w->reserved_page = ~0ULL << (min_u64(w->cpu->maxphyaddr, 40) - 19);
}

/* Tables 4-14 to 4-20. */
static void use_64_bit(struct walk *w)
{
	w->root = w->cpu->cr3 & PTE_ADDR;
	w->top = w->cpu->cr4 & CR4_LA57 ? 48 : 39;
	w->top_page = 30;
	w->reserved = BIT(52) - BIT(w->cpu->maxphyaddr);
	if (!(w->cpu->efer & EFER_NXE))
		w->reserved |= PTE_NX;
	w->reserved_table = PTE_PS;
	w->reserved_page = ~BITS(12, 0);
}

/* Tables 4-8 to 4-11: the same below four entries without rights and flags. */
static int use_pae(struct walk *w)
{
	gpa_t at = (w->cpu->cr3 & BITS(31, 5)) + (w->linear >> 30) * 8;
	const u64 *p = gmem_ptr(at, 8);
	u64 entry;

	if (!p)
		return -EFAULT;
	entry = __atomic_load_n(p, __ATOMIC_RELAXED);
	w->root = entry & PTE_ADDR;
	w->top = 21;
	w->reserved |= BITS(62, 52);
	if (!(entry & PTE_P))
		return fault(w, 0);
	/* Bit 5 is reserved too, but QEMU sets it, as an A flag. */
	if (entry & (w->reserved | BIT(63) | BITS(8, 6) | BITS(2, 1)))
		return fault(w, PF_P | PF_RSVD);
	return 0;
}

static void went(struct walk *w, void *at, u64 entry, u64 flags)
{
	w->step[w->steps++] = (struct step){ at, entry, entry | flags };
}

/* Down to the page's own entry. Compiled once for either @size of entries: a
 * walk is part of many exits. */
__attribute__((always_inline)) static inline int descend(struct walk *w,
							 unsigned int size)
{
	u64 reserved_table = w->reserved | w->reserved_table;
	u64 table = w->root, entry, offset;
	unsigned int level = w->top;
	void *at;

	for (;; level -= size == 8 ? 9 : 10) {
		u64 slot = (w->linear >> level) * size & (PAGE_SIZE - 1);

		at = gmem_ptr(table + slot, size);
		if (!at)
			return -EFAULT;
		entry = size == 8
				? __atomic_load_n((u64 *)at, __ATOMIC_RELAXED)
				: __atomic_load_n((u32 *)at, __ATOMIC_RELAXED);
		if (!(entry & PTE_P))
			return fault(w, 0);
		w->all &= entry;
		w->any |= entry;
		if (level == PAGE_SHIFT ||
		    (entry & PTE_PS && level <= w->top_page))
			break;
		if (entry & reserved_table)
			return fault(w, PF_P | PF_RSVD);
		went(w, at, entry, PTE_A);
		table = entry & PTE_ADDR;
	}
	offset = BIT(level) - 1;
	if (entry & (w->reserved | (w->reserved_page & offset)))
		return fault(w, PF_P | PF_RSVD);
	went(w, at, entry, w->access & WALK_WRITE ? PTE_A | PTE_D : PTE_A);
	/* PSE-36 has the address's bits 39:32 at 20:13, else they are clear. */
	w->gpa = (entry & PTE_ADDR & ~offset) |
		 (entry & offset & BITS(20, 13)) << (32 - 13) |
		 (w->linear & offset);
	return 0;
}

/* SDM vol. 3, 4.6.1. */
static bool supervisor_may(const struct walk *w)
{
	const struct walk_cpu *cpu = w->cpu;
	bool user_page = w->all & PTE_U;
	bool data = !(w->access & WALK_FETCH) || w->access & WALK_WRITE;

	if (data && user_page && cpu->cr4 & CR4_SMAP &&
	    !(cpu->rflags & RFLAGS_AC))
		return false;
	if (w->access & WALK_WRITE && !(w->all & PTE_W) && cpu->cr0 & CR0_WP)
		return false;
	if (w->access & WALK_FETCH && user_page && cpu->cr4 & CR4_SMEP)
		return false;
	return true;
}

static bool may(const struct walk *w)
{
	if (w->access & WALK_FETCH && w->any & PTE_NX)
		return false;
	if (!w->cpu->user)
		return supervisor_may(w);
	return w->all & PTE_U && (!(w->access & WALK_WRITE) || w->all & PTE_W);
}

/* SDM vol. 3, 4.8. */
static int set_flags(struct walk *w, unsigned int size)
{
	for (struct step *s = w->step; s < w->step + w->steps; s++) {
		u32 old = s->old;
		bool done;

		if (s->old == s->value)
			continue;
		if (size == 8)
			done = __atomic_compare_exchange_n(
				(u64 *)s->at, &s->old, s->value, false,
				__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		else
			done = __atomic_compare_exchange_n(
				(u32 *)s->at, &old, (u32)s->value, false,
				__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		if (!done)
			return WALK_AGAIN;
	}
	return 0;
}

static int walk_once(struct walk *w)
{
	bool pae = w->cpu->cr4 & CR4_PAE;
	int rc = 0;

	w->all = ~0ULL;
	w->any = 0;
	w->steps = 0;
	if (pae)
		use_64_bit(w);
	else
		use_32_bit(w);
	if (pae && !(w->cpu->efer & EFER_LMA))
		rc = use_pae(w);
	if (!rc)
		rc = pae ? descend(w, 8) : descend(w, 4);
	if (!rc && !may(w))
		rc = fault(w, PF_P);
	return rc ? rc : set_flags(w, pae ? 8 : 4);
}

static void leave(const struct walk *w, struct walk_trail *trail)
{
	trail->entries = w->steps;
	for (unsigned int i = 0; i < w->steps; i++) {
		trail->entry[i].at = w->step[i].at;
		trail->entry[i].value = w->step[i].value;
	}
}

bool walk_same(const struct walk_trail *trail)
{
	for (unsigned int i = 0; i < trail->entries; i++)
		if (__atomic_load_n(trail->entry[i].at, __ATOMIC_RELAXED) !=
		    trail->entry[i].value)
			return false;
	return true;
}

int walk_linear(const struct walk_cpu *cpu, u64 linear, unsigned int access,
		gpa_t *gpa, u32 *error_code, struct walk_trail *trail)
{
	struct walk w;
	int rc = WALK_AGAIN;

	if (!(cpu->efer & EFER_LMA))
		linear &= BITS(31, 0);
	if (!(cpu->cr0 & CR0_PG)) {
		if (trail)
			trail->entries = 0;
		*gpa = linear;
		return 0;
	}
	w.cpu = cpu;
	w.linear = linear;
	w.access = access;
	for (int i = 0; i < RETRY_MAX && rc == WALK_AGAIN; i++)
		rc = walk_once(&w);
	if (rc == WALK_AGAIN)
		return -EFAULT;
	if (rc == WALK_FAULT)
		*error_code = w.error;
	else if (!rc)
		*gpa = w.gpa;
	if (!rc && trail)
		leave(&w, trail);
	return rc;
}

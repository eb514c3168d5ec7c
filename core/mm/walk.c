/* The guest's paging (SDM vol. 3, 4.3 to 4.8). Protection keys and shadow
 * stacks are not looked at: the CPU itself did before it trapped. */
#include "core/mm/walk.h"

#include "core/arch/regs.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"

#define LEVELS_MAX 5

/* An entry that another CPU keeps changing is walked this many times. */
#define RETRY_MAX     16

#define WALK_AGAIN    2
#define NOT_IN_MEMORY (~0ULL)

struct walk {
	const struct walk_cpu *cpu;
	const struct walk_mem *mem;
	u64 linear;
	unsigned int access;
	bool pae; /* 8-byte entries: PAE and 4-level */
	bool lma;
	/* what was used, top first; PDPTEs have no A flag to set */
	unsigned int count;
	u64 entry[LEVELS_MAX];
	gpa_t at[LEVELS_MAX];
	u64 rights; /* PTE_W and PTE_U if all levels grant it, PTE_NX if one
		     * takes it */
	gpa_t gpa;
	u32 error;
};

static int fault(struct walk *w, u32 error)
{
	const struct walk_cpu *cpu = w->cpu;
	bool nxe = w->pae && cpu->efer & EFER_NXE;

	if (w->access & WALK_WRITE)
		error |= PF_W;
	if (cpu->user)
		error |= PF_U;
	if (w->access & WALK_FETCH && (nxe || cpu->cr4 & CR4_SMEP))
		error |= PF_I;
	w->error = error;
	return WALK_FAULT;
}

static bool is_pdpte(const struct walk *w, unsigned int level)
{
	return level == 3 && !w->lma;
}

/* Is @entry a page's, above level 1? */
static bool is_large(const struct walk *w, unsigned int level, u64 entry)
{
	if (!(entry & PTE_PS) || is_pdpte(w, level))
		return false;
	if (!w->pae)
		return level == 2 && w->cpu->cr4 & CR4_PSE;
	return level == 2 || level == 3;
}

static unsigned int level_shift(const struct walk *w, unsigned int level)
{
	return PAGE_SHIFT + (level - 1) * (w->pae ? 9 : 10);
}

/* SDM vol. 3, table 4-4, with PSE-36 up to 40 bits. */
static u64 reserved_32(const struct walk *w, unsigned int level, u64 entry)
{
	u64 width = min_u64(max_u64(w->cpu->maxphyaddr, 32), 40);

	return is_large(w, level, entry) ? BITS(21, width - 19) : 0;
}

/* Tables 4-8 to 4-11 and 4-14 to 4-20. */
static u64 reserved_64(const struct walk *w, unsigned int level, u64 entry)
{
	u64 width = min_u64(max_u64(w->cpu->maxphyaddr, 32), 52);
	u64 high = width < 52 ? BITS(51, width) : 0;

	if (!w->lma)
		high |= BITS(62, 52);
	/* Bit 5 is reserved too, but QEMU sets it, as an A flag. */
	if (is_pdpte(w, level))
		return high | BIT(63) | BITS(8, 6) | BITS(2, 1);
	if (!(w->cpu->efer & EFER_NXE))
		high |= PTE_NX;
	if (level > 3)
		high |= PTE_PS;
	if (is_large(w, level, entry))
		high |= BITS(level_shift(w, level) - 1, 13);
	return high;
}

static u64 reserved(const struct walk *w, unsigned int level, u64 entry)
{
	return w->pae ? reserved_64(w, level, entry)
		      : reserved_32(w, level, entry);
}

/* Reads the entry of @level from @table into the next of w->entry. */
static int read_entry(struct walk *w, unsigned int level, gpa_t table)
{
	u64 index = w->linear >> level_shift(w, level);
	unsigned int size = w->pae ? 8 : 4, i = w->count++;
	gpa_t at;
	int error;

	index &= is_pdpte(w, level) ? 3 : w->pae ? 511 : 1023;
	w->at[i] = NOT_IN_MEMORY;
	w->entry[i] = 0;
	at = table + index * size;
	error = w->mem->read(w->mem->ctx, at, &w->entry[i], size);
	if (error)
		return -EFAULT;
	if (!is_pdpte(w, level))
		w->at[i] = at;
	return 0;
}

static void take_rights(struct walk *w, unsigned int level, u64 entry)
{
	if (is_pdpte(w, level))
		return;
	w->rights &= entry | ~(PTE_W | PTE_U);
	w->rights |= entry & (w->pae ? PTE_NX : 0);
}

static gpa_t page_address(const struct walk *w, unsigned int level, u64 entry)
{
	u64 offset_mask = BIT(level_shift(w, level)) - 1;
	u64 page = entry & PTE_ADDR & ~offset_mask;

	if (!w->pae && level == 2)
		page |= (entry & BITS(20, 13)) << (32 - 13);
	return page | (w->linear & offset_mask);
}

/* Down to the page's own entry. */
static int descend(struct walk *w)
{
	unsigned int level = 2;
	u64 table = w->cpu->cr3 & BITS(31, 12), entry;
	int error;

	if (w->lma) {
		level = w->cpu->cr4 & CR4_LA57 ? 5 : 4;
		table = w->cpu->cr3 & PTE_ADDR;
	} else if (w->pae) {
		level = 3;
		table = w->cpu->cr3 & BITS(31, 5);
	}
	for (;; level--) {
		error = read_entry(w, level, table);
		if (error)
			return error;
		entry = w->entry[w->count - 1];
		if (!(entry & PTE_P))
			return fault(w, 0);
		if (entry & reserved(w, level, entry))
			return fault(w, PF_P | PF_RSVD);
		take_rights(w, level, entry);
		if (level == 1 || is_large(w, level, entry))
			break;
		table = entry & PTE_ADDR;
	}
	w->gpa = page_address(w, level, entry);
	return 0;
}

/* SDM vol. 3, 4.6.1. */
static bool supervisor_may(const struct walk *w)
{
	const struct walk_cpu *cpu = w->cpu;
	bool user_page = w->rights & PTE_U;
	bool data = !(w->access & WALK_FETCH) || w->access & WALK_WRITE;

	if (data && user_page && cpu->cr4 & CR4_SMAP &&
	    !(cpu->rflags & RFLAGS_AC))
		return false;
	if (w->access & WALK_WRITE && !(w->rights & PTE_W) && cpu->cr0 & CR0_WP)
		return false;
	if (w->access & WALK_FETCH && user_page && cpu->cr4 & CR4_SMEP)
		return false;
	return true;
}

static bool may(const struct walk *w)
{
	if (w->access & WALK_FETCH && w->rights & PTE_NX)
		return false;
	if (!w->cpu->user)
		return supervisor_may(w);
	return w->rights & PTE_U &&
	       (!(w->access & WALK_WRITE) || w->rights & PTE_W);
}

/* SDM vol. 3, 4.8. */
static int set_accessed_dirty(struct walk *w)
{
	for (unsigned int i = 0; i < w->count; i++) {
		bool leaf = i == w->count - 1;
		u64 old = w->entry[i], entry = old | PTE_A;
		int rc;

		if (leaf && w->access & WALK_WRITE)
			entry |= PTE_D;
		if (w->at[i] == NOT_IN_MEMORY || entry == old)
			continue;
		rc = w->mem->cmpxchg(w->mem->ctx, w->at[i], old, entry,
				     w->pae ? 8 : 4);
		if (rc)
			return rc > 0 ? WALK_AGAIN : -EFAULT;
	}
	return 0;
}

static int walk_once(struct walk *w)
{
	int rc;

	w->count = 0;
	w->rights = PTE_W | PTE_U;
	rc = descend(w);
	if (rc)
		return rc;
	if (!may(w))
		return fault(w, PF_P);
	return set_accessed_dirty(w);
}

int walk_linear(const struct walk_cpu *cpu, const struct walk_mem *mem,
		u64 linear, unsigned int access, gpa_t *gpa, u32 *error_code)
{
	struct walk w = {
		.cpu = cpu,
		.mem = mem,
		.access = access,
		.lma = cpu->efer & EFER_LMA,
		.pae = cpu->cr4 & CR4_PAE,
	};
	int rc = WALK_AGAIN;

	w.linear = w.lma ? linear : linear & BITS(31, 0);
	if (!(cpu->cr0 & CR0_PG)) {
		*gpa = w.linear;
		return 0;
	}
	for (int i = 0; i < RETRY_MAX && rc == WALK_AGAIN; i++)
		rc = walk_once(&w);
	if (rc == WALK_AGAIN)
		return -EFAULT;
	if (rc == WALK_FAULT)
		*error_code = w.error;
	else if (!rc)
		*gpa = w.gpa;
	return rc;
}

#include "core/virt/mtrr.h"

#include "core/arch/msr.h"
#include "core/lib/range.h"

/* The fixed ranges: three sizes from 0 to 1 MiB (11.11.2.2). */
static enum mem_type fixed_type(const struct mtrr *m, hpa_t pa, hpa_t *end)
{
	unsigned int n, shift;

	if (pa < 0x80000) {
		shift = 16;
		n = pa >> 16;
	} else if (pa < 0xc0000) {
		shift = 14;
		n = 8 + ((pa - 0x80000) >> 14);
	} else {
		shift = 12;
		n = 24 + ((pa - 0xc0000) >> 12);
	}
	*end = ((pa >> shift) + 1) << shift;
	return m->fixed[n / 8] >> n % 8 * 8 & 7;
}

/* Where ranges overlap (11.11.4.1): UC wins, WT wins over WB; the rest is
 * undefined and taken as UC. */
static enum mem_type combine(enum mem_type a, enum mem_type b)
{
	if (a == b)
		return a;
	if ((a == MEM_WT && b == MEM_WB) || (a == MEM_WB && b == MEM_WT))
		return MEM_WT;
	return MEM_UC;
}

enum mem_type mtrr_type(const struct mtrr *m, u8 maxphyaddr, hpa_t pa,
			hpa_t *end)
{
	enum mem_type type = m->default_type;
	bool found = false;
	u64 all = BITS(maxphyaddr - 1, 12);

	*end = BIT(maxphyaddr);
	if (!m->enabled)
		return MEM_UC;
	if (pa < 0x100000 && m->fixed_enabled)
		return fixed_type(m, pa, end);
	for (unsigned int i = 0; i < m->vars; i++) {
		u64 mask = m->var[i].mask & all, base, block;
		enum mem_type t = m->var[i].base & 7;

		/* Some firmware knows only the 36 bits that every CPU has, or
		 * not all of the others. */
		if (mask >> 35)
			mask |= all & -(BIT(63) >> __builtin_clzll(mask));
		base = m->var[i].base & mask;
		block = mask & -mask;
		/* A mask with gaps (11.11.3 advises against) is left out: its
		 * many small pieces would keep the host busy. */
		if (!(m->var[i].mask & MTRR_PHYSMASK_VALID) || !mask ||
		    mask != (all & ~(block - 1)))
			continue;
		if ((pa & mask) == base) {
			*end = min_u64(*end, base + block);
			type = found ? combine(type, t) : t;
			found = true;
		} else if (base > pa) {
			*end = min_u64(*end, base);
		}
	}
	return type;
}

static bool page_combines(const struct mtrr *m, u64 all, hpa_t pa)
{
	bool found = false;

	for (unsigned int i = 0; i < m->vars; i++) {
		u64 base = m->var[i].base, mask = m->var[i].mask;

		if (!(mask & MTRR_PHYSMASK_VALID) || (pa ^ base) & mask & all)
			continue;
		if ((base & 7) == MEM_WC)
			return true;
		found = true;
	}
	return !found && m->default_type == MEM_WC;
}

bool mtrr_combines(const struct mtrr *m, u8 maxphyaddr, hpa_t pa, u64 len)
{
	u64 all = BITS(maxphyaddr - 1, 12);

	for (u64 at = 0; m->enabled && at < len; at += PAGE_SIZE)
		if (page_combines(m, all, pa + at))
			return true;
	return false;
}

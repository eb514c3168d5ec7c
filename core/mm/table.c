#include "core/mm/table.h"
#include "core/lib/errors.h"
#include "core/mm/pool.h"

#define ENTRIES	   512
#define ENTRY_ADDR BITS(51, 12)
#define TOP_LEVEL  4

static u64 level_size(unsigned int level)
{
	return PAGE_SIZE << (9 * (level - 1));
}

static u64 *entry_of(u64 *table, u64 va, unsigned int level)
{
	return &table[va >> (PAGE_SHIFT + 9 * (level - 1)) & (ENTRIES - 1)];
}

static bool is_leaf(const struct table *t, u64 entry, unsigned int level)
{
	return level == 1 || (entry & t->format->large);
}

static u64 make_leaf(const struct table *t, u64 pa, u64 attr,
		     unsigned int level)
{
	if (!attr)
		return 0;
	return pa | attr | (level > 1 ? t->format->large : 0);
}

static void set_entry(u64 *entry, u64 value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

/* The table that @entry of @level is to point to; what it maps so far as one
 * large page is mapped the same way by the new table. */
static int make_table(struct table *t, u64 *entry, unsigned int level)
{
	u64 old = *entry;
	u64 *lower = pool_alloc(1);

	if (!lower)
		return -ENOMEM;
	if (old & t->format->present) {
		u64 step = level_size(level - 1);
		u64 pa = old & ENTRY_ADDR;
		u64 attr = old & ~(ENTRY_ADDR | t->format->large);

		for (unsigned int i = 0; i < ENTRIES; i++)
			lower[i] = make_leaf(t, pa + i * step, attr, level - 1);
	}
	set_entry(entry, virt_to_phys(lower) | t->format->nonleaf);
	return 0;
}

/*
 * The entry for @va of *@level, or of the level below which there is no table:
 * what was split stays so, since its page could not be used again. NULL in
 * *@found if that would take a new table just to unmap what is not mapped.
 */
static int find_entry(struct table *t, u64 va, unsigned int *level, bool unmap,
		      u64 **found)
{
	u64 *table = t->root;

	for (unsigned int l = TOP_LEVEL;; l--) {
		u64 *entry = entry_of(table, va, l);
		bool present = *entry & t->format->present;
		bool points = present && !is_leaf(t, *entry, l);

		if (l <= *level && !points) {
			*level = l;
			*found = entry;
			return 0;
		}
		if (!present && unmap) {
			*found = NULL;
			return 0;
		}
		if (!points) {
			int err = make_table(t, entry, l);

			if (err)
				return err;
		}
		table = phys_to_virt(*entry & ENTRY_ADDR);
	}
}

static unsigned int largest_level(const struct table *t, u64 bits, u64 len)
{
	unsigned int level = t->format->max_level;

	while (level > 1 &&
	       ((bits & (level_size(level) - 1)) || len < level_size(level)))
		level--;
	return level;
}

int table_init(struct table *t, const struct table_format *format)
{
	t->format = format;
	t->root = pool_alloc(1);
	return t->root ? 0 : -ENOMEM;
}

int table_map(struct table *t, u64 va, u64 pa, u64 len, u64 attr)
{
	while (len) {
		unsigned int level = largest_level(t, va | pa, len);
		u64 *entry, size;
		int err = find_entry(t, va, &level, !attr, &entry);

		if (err)
			return err;
		if (entry)
			set_entry(entry, make_leaf(t, pa, attr, level));
		size = level_size(level);
		va += size;
		pa += size;
		len -= size;
	}
	return 0;
}

u64 table_lookup(const struct table *t, u64 va, unsigned int *level)
{
	const u64 *table = t->root;

	for (unsigned int l = TOP_LEVEL; l >= 1; l--) {
		u64 entry = *entry_of((u64 *)table, va, l);

		if (!(entry & t->format->present))
			break;
		if (is_leaf(t, entry, l)) {
			*level = l;
			return entry;
		}
		table = phys_to_virt(entry & ENTRY_ADDR);
	}
	*level = 0;
	return 0;
}

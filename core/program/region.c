#include "core/program/program.h"

#include "core/lib/errors.h"
#include "core/lib/panic.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/mm/pool.h"
#include "core/program/abi.h"

#define KIB 1024ULL
/* Nested tables for it, in every program. */
#define TABLES_KIB (16 * PROGRAM_MAX)

u64 regions_memory(const struct program_region *regions, u32 count)
{
	u64 size = 0;

	for (u32 i = 0; i < count; i++)
		size += (regions[i].size_kib + TABLES_KIB) * KIB;
	return size;
}

int regions_init(struct programs *all)
{
	for (u32 i = 0; i < all->config.region_count; i++) {
		struct region *r = &all->region[i];

		r->start = PROGRAM_REGIONS + i * PROGRAM_REGION_STEP;
		r->size = all->config.regions[i].size_kib * KIB;
		r->memory = pool_alloc_run(r->size / PAGE_SIZE);
		if (!r->memory)
			return -ENOMEM;
	}
	return 0;
}

static int set(struct programs *all, struct program *p, const struct region *r,
	       unsigned int access)
{
	return table_map(&p->nested, r->start, virt_to_phys(r->memory), r->size,
			 all->ops->nested_attr(access, MEM_WB));
}

/* Tables stay once they are there. */
int regions_prepare(struct programs *all, struct program *p)
{
	int rc = 0;

	for (u32 i = 0; i < all->config.region_count && !rc; i++)
		if (p->m.regions >> i & 1)
			rc = set(all, p, &all->region[i], NESTED_R)
				     ?: set(all, p, &all->region[i], 0);
	return rc;
}

struct region *region_find(struct programs *all, const struct program *p,
			   const char *name)
{
	for (u32 i = 0; i < all->config.region_count; i++)
		if (p->m.regions >> i & 1 &&
		    !memcmp(all->config.regions[i].name, name,
			    PROGRAM_NAME_MAX))
			return &all->region[i];
	return NULL;
}

void region_map(struct programs *all, struct program *p, struct region *r)
{
	bool write = p->m.writes >> (r - all->region) & 1;

	if (r->holders >> p->id & 1)
		return;
	if (set(all, p, r, NESTED_R | (write ? NESTED_W : 0)))
		panic("no table for a region");
	space_add(&p->space, r->start, r->size, ELF_R | (write ? ELF_W : 0),
		  r->memory);
	r->holders |= BIT(p->id);
}

void regions_unmap(struct programs *all, struct program *p)
{
	for (u32 i = 0; i < all->config.region_count; i++) {
		struct region *r = &all->region[i];

		if (!(r->holders >> p->id & 1))
			continue;
		if (set(all, p, r, 0))
			panic("no table for a region");
		p->space.count--; /* they are the last ones */
		p->stale = ~0ULL;
		r->holders &= ~BIT(p->id);
		r->clean = 0;
		r->wiper = r->holders ? 0 : p->id + 1;
	}
}

bool regions_clean(struct programs *all, const struct program *p)
{
	for (u32 i = 0; i < all->config.region_count; i++) {
		struct region *r = &all->region[i];
		u64 n = min_u64(PROGRAM_PIECE, r->size - r->clean);

		if (r->wiper != p->id + 1)
			continue;
		lock_release(&all->lock);
		wipe(r->memory + r->clean, n);
		lock_acquire(&all->lock);
		r->clean += n;
		if (r->clean == r->size)
			r->wiper = 0;
		return true;
	}
	return false;
}

void regions_wipe(struct programs *all)
{
	for (u32 i = 0; i < all->config.region_count; i++)
		if (all->region[i].memory)
			wipe(all->region[i].memory, all->region[i].size);
}

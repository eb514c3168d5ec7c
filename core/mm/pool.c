#include "core/mm/pool.h"
#include "core/lib/lock.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/mm/host.h"

#define POOL_ALIGN_MAX 65536

/*
 * Single pages are taken from the bottom and aligned runs from the top, so
 * that alignment costs little.
 */
static struct {
	struct lock lock;
	struct hidden hidden;
	hpa_t bottom, top; /* what is free between them */
} pool;

void pool_init(hpa_t start, u64 size, u64 used)
{
	pool.hidden = (struct hidden){ start, size };
	pool.bottom = start + align_up(used, PAGE_SIZE);
	pool.top = start + size;
}

const struct hidden *pool_hidden(void)
{
	return &pool.hidden;
}

static u64 alignment(size_t pages)
{
	u64 align = PAGE_SIZE;

	while ((pages >>= 1) && align < POOL_ALIGN_MAX)
		align <<= 1;
	return align;
}

static hpa_t take(size_t pages, bool aligned)
{
	u64 len = pages * PAGE_SIZE;
	hpa_t at;

	if (!pages || pages > (pool.top - pool.bottom) / PAGE_SIZE)
		return 0;
	if (pages == 1 || !aligned) {
		at = pool.bottom;
		pool.bottom += len;
		return at;
	}
	at = align_down(pool.top - len, alignment(pages));
	if (at < pool.bottom)
		return 0;
	pool.top = at;
	return at;
}

static void *alloc(size_t pages, bool aligned)
{
	hpa_t at;

	lock_acquire(&pool.lock);
	at = take(pages, aligned);
	lock_release(&pool.lock);
	if (!at)
		return NULL;
	return memset(phys_to_virt(at), 0, pages * PAGE_SIZE);
}

void *pool_alloc(size_t pages)
{
	return alloc(pages, true);
}

void *pool_alloc_run(size_t pages)
{
	return alloc(pages, false);
}

hpa_t virt_to_phys(const void *p)
{
	u64 va = (u64)p;

	if (va >= (u64)image_start)
		return pool.hidden.start + (va - (u64)image_start);
	return va - HOST_DIRECT;
}

void *phys_to_virt(hpa_t pa)
{
	return (void *)(HOST_DIRECT + pa);
}

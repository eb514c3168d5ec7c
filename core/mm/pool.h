/*
 * Hidden memory: the region at the top of RAM below 4 GiB that Shoji lives
 * in, and its page pool. Pages are taken at boot (and by drivers when they
 * attach a device) and never given back.
 */
#ifndef CORE_MM_POOL_H
#define CORE_MM_POOL_H

#include "core/lib/types.h"

/* The hidden region: [start, start + size), both multiples of 2 MiB. */
struct hidden {
	hpa_t start;
	u64 size;
};
const struct hidden *pool_hidden(void);

/* Once, in boot: the first @used bytes of the region hold the image. */
void pool_init(hpa_t start, u64 size, u64 used);

/*
 * @pages consecutive, zeroed pages below 4 GiB, aligned to their size rounded
 * down to a power of two (so 4 pages are 16 KiB aligned), or to the 64 KiB that
 * a PCI device's list may want. NULL if none left.
 */
void *pool_alloc(size_t pages) must_check;

/* The same without the alignment, which is that of a page. */
void *pool_alloc_run(size_t pages) must_check;

/* Between the direct map, the image's own addresses and physical memory. */
hpa_t virt_to_phys(const void *p);
void *phys_to_virt(hpa_t pa);

#endif

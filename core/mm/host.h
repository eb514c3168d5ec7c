/*
 * The host's own address space, built once at boot:
 *
 *   HOST_DIRECT  all of physical memory, read and write, no execute; the
 *		  image's code and constants are read-only here too.
 *   HOST_DEVICE  the same addresses for MMIO, without the hidden region: never
 *		  cached, whatever the guest writes to the MTRRs.
 *   HOST_IMAGE   the image, at the address it is linked for: code can be
 *		  executed, constants read, data written, and never two of it.
 *
 * Nothing is mapped for user mode and nothing below 2^47.
 */
#ifndef CORE_MM_HOST_H
#define CORE_MM_HOST_H

#include "core/lib/types.h"
#include "core/mm/table.h"

#define HOST_DIRECT 0xffff800000000000ULL
#define HOST_DEVICE 0xffffc00000000000ULL
#define HOST_IMAGE  0xffffffff80000000ULL

/* boot/shoji.ld: all page aligned; in this order. */
extern const char image_start[];
extern const char text_end[];
extern const char rodata_end[];
extern const char stack_guard[]; /* one page of .bss that stays unmapped */
extern const char image_end[];

/*
 * Builds the tables with pages from the pool for an image that lies at the
 * start of the hidden region, with the direct map up to @phys_end, at least
 * 4 GiB. *@root is what CR3 shall be. -ENOMEM if the pool is too small.
 */
int host_build(u64 phys_end, hpa_t *root) must_check;

/* Does the direct map reach all of [pa, pa + len)? */
bool host_maps(hpa_t pa, u64 len);

/* The device's register at @pa; one that host_maps() and is not hidden. */
static inline volatile void *host_device(hpa_t pa)
{
	return (volatile void *)(HOST_DEVICE + pa);
}

/* Takes one page out of the direct map (a guard below a stack, say). The
 * caller flushes TLBs, or has not used the page yet. */
int host_unmap_page(const void *page) must_check;

#endif

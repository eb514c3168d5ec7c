/*
 * Memory for devices: descriptors that the guest wrote, and pages of our own
 * that a device is pointed to instead of the guest's.
 */
#ifndef CORE_IO_DMA_H
#define CORE_IO_DMA_H

#include "core/lib/types.h"

/* Copies from guest RAM. -EFAULT, with nothing copied, unless all is RAM. */
int dma_copy_in(gpa_t gpa, void *dst, size_t len) must_check;

/*
 * @pages consecutive zeroed hidden pages below 4 GiB, aligned as pool_alloc()
 * does, kept for ever; their physical address in *@pa. NULL if none are left.
 */
void *dma_alloc(size_t pages, hpa_t *pa) must_check;

#endif

/*
 * The allocator behind a program's malloc(): one region of memory, cut into
 * pages of 4 KiB. Sizes up to HEAP_SMALL come from pages of equal slots, each
 * page with a free list of its own, larger ones from runs of pages that merge
 * with their neighbours when freed. No locks: a program has one thread.
 *
 * Pure: all state is in the struct and in the region.
 */
#ifndef TOOLS_SDK_LIBC_HEAP_H
#define TOOLS_SDK_LIBC_HEAP_H

#include "core/lib/types.h"

#define HEAP_SMALL   2048
#define HEAP_CLASSES 21
#define HEAP_BINS    32

struct heap_page;

struct heap {
	u8 *base; /* of page 0 */
	struct heap_page *page;
	u32 pages;
	u32 live; /* allocations that were not freed */
	u64 used; /* bytes in pages that are not free */
	struct heap_page *slots[HEAP_CLASSES]; /* pages with a free slot */
	struct heap_page *runs[HEAP_BINS]; /* free runs, by log2 of length */
	u8 class_of[HEAP_SMALL / 16 + 1];  /* by size / 16, rounded up */
};

/*
 * Takes over @size bytes at @region, which must be zero or garbage that
 * nobody needs. False if that is too little for anything.
 */
must_check bool heap_init(struct heap *h, void *region, size_t size);

/* 16-byte aligned; of HEAP_SMALL bytes and more, page aligned where @size is
 * over HEAP_SMALL. NULL when there is no room. heap_alloc(0) is one byte. */
void *heap_alloc(struct heap *h, size_t size);

/* False if @p is no live allocation as far as can be seen cheaply; then
 * nothing has changed. @p is not NULL. */
must_check bool heap_free(struct heap *h, void *p);

/* As realloc() with a @p that is not NULL and a @size that is not 0. */
void *heap_resize(struct heap *h, void *p, size_t size);

/* What can be stored at @p, at least what was asked for; 0 as heap_free(). */
size_t heap_room(const struct heap *h, const void *p);

#endif

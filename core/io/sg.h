/*
 * Scatter lists of guest memory, copied from the guest's descriptors and
 * checked: every segment is guest RAM when sg_check() has said so.
 */
#ifndef CORE_IO_SG_H
#define CORE_IO_SG_H

#include "core/lib/types.h"

struct sg_seg {
	gpa_t gpa;
	u32 len;
};

struct sg_list {
	struct sg_seg *seg;
	u32 count;
};

u64 sg_bytes(const struct sg_list *sg);

/* -EFAULT if a byte of a segment is not guest RAM. */
int sg_check(const struct sg_list *sg) must_check;

/* Copies @len bytes, or what fits, into a checked list. */
void sg_write(const struct sg_list *sg, const void *src, u64 len);

/*
 * The host's pointer to a piece of guest RAM, for as long as the machine
 * runs; NULL unless all of it is guest RAM. The guest writes there at will.
 */
void *sg_ptr(gpa_t gpa, u32 len);

#endif

/* A program's address space: its areas, and what lies where in Shoji's own
 * memory. Pure. */
#ifndef CORE_PROGRAM_SPACE_H
#define CORE_PROGRAM_SPACE_H

#include "core/lib/types.h"
#include "core/program/elf.h"
#include "core/program/manifest.h"

/* Segments, one for each message buffer, heap, start page, stack, regions. */
#define SPACE_AREAS_MAX (ELF_SEGMENTS_MAX + PROGRAM_SLOT_MAX + 3 + REGION_MAX)

struct space_area {
	u64 start, size; /* whole pages */
	u8 access;	 /* enum elf_access */
	u8 *host;
};

struct space {
	u32 count;
	struct space_area area[SPACE_AREAS_MAX];
};

void space_add(struct space *s, u64 start, u64 size, u8 access, u8 *host);

/* Where [va, va + len) is, or NULL unless one area that allows @access has all
 * of it. @len 0 is never NULL. */
void *space_find(const struct space *s, u64 va, u64 len, u8 access);

#endif

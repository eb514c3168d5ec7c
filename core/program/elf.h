/*
 * The ELF64 files of programs: what is loaded where. Pure. Follows the System V
 * ABI's generic part (chapters 4 and 5) and the x86-64 supplement.
 */
#ifndef CORE_PROGRAM_ELF_H
#define CORE_PROGRAM_ELF_H

#include "core/lib/types.h"

#define ELF_SEGMENTS_MAX 8

enum elf_access { /* p_flags */
	ELF_X = 1,
	ELF_W = 2,
	ELF_R = 4
};

struct elf_segment {
	u64 start; /* page aligned, moved by the bias */
	u64 pages;
	u64 skip;   /* bytes of the first page before the segment's first */
	u64 offset; /* in the file, of file_size bytes; the rest is zeros */
	u64 file_size;
	u8 access; /* never writable and executable */
};

struct elf_image {
	u64 entry;
	u64 bias; /* of ET_DYN */
	u64 pages;
	u32 count;
	struct elf_segment segment[ELF_SEGMENTS_MAX];
};

/*
 * Checks all of the file that is used. Segments lie in [@low, @high), which are
 * whole pages, share no page, and the entry point is in one that can be
 * executed. ET_DYN is moved up by @bias, a multiple of 4 KiB. NULL, or one clear
 * sentence.
 */
const char *elf_parse(const void *file, u64 size, u64 low, u64 high, u64 bias,
		      struct elf_image *out) must_check;

#endif

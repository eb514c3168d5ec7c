/*
 * ELF files of programs: whatever is accepted can be loaded as core/program
 * does it, inside its bounds, and nothing is writable and executable.
 *
 * units: core/program/elf.c
 */
#include <stdlib.h>
#include <string.h>

#include "core/lib/range.h"
#include "core/program/elf.h"

#define LOW   0x10000ULL
#define HIGH  0x20000000ULL
#define BIAS  0x400000ULL
#define PAGES 4096 /* what a load of it may copy */

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void check_segment(const struct elf_image *e, u32 i, size_t size)
{
	const struct elf_segment *s = &e->segment[i];

	check(!(s->start % PAGE_SIZE) && s->pages);
	check(s->start >= LOW &&
	      range_ok(s->start, s->pages * PAGE_SIZE, HIGH));
	check(range_ok(s->offset, s->file_size, size));
	check(range_ok(s->skip, s->file_size, s->pages * PAGE_SIZE));
	check((s->access & (ELF_W | ELF_X)) != (ELF_W | ELF_X));
	for (u32 k = 0; k < i; k++)
		check(!range_overlap(s->start, s->pages * PAGE_SIZE,
				     e->segment[k].start,
				     e->segment[k].pages * PAGE_SIZE));
}

static void load(const struct elf_image *e, const u8 *data)
{
	u8 *memory = malloc(e->pages * PAGE_SIZE), *to = memory;

	for (u32 i = 0; i < e->count; i++) {
		const struct elf_segment *s = &e->segment[i];

		memcpy(to + s->skip, data + s->offset, s->file_size);
		to += s->pages * PAGE_SIZE;
	}
	free(memory);
}

/* The first byte asks for a header that is right. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u8 ident[] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };
	struct elf_image e;
	u8 *file;

	if (!size)
		return 0;
	file = malloc(size);
	memcpy(file, data + 1, --size);
	if (data[0] & 1 && size >= 64) {
		memcpy(file, ident, sizeof(ident));
		file[16] = data[0] & 2 ? 3 : 2;
		file[17] = 0;
		memcpy(file + 18, "\x3e", 2);
		memcpy(file + 32, "\x40\0\0\0\0\0\0", 8);
		memcpy(file + 54, "\x38", 2);
		memcpy(file + 56, (u8[]){ data[0] >> 4, 0 }, 2);
	}
	if (!elf_parse(file, size, LOW, HIGH, BIAS, &e)) {
		check(e.count <= ELF_SEGMENTS_MAX);
		for (u32 i = 0; i < e.count; i++)
			check_segment(&e, i, size);
		if (e.pages < PAGES)
			load(&e, file);
	}
	free(file);
	return 0;
}

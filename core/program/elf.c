#include "core/program/elf.h"

#include "core/lib/range.h"
#include "core/lib/string.h"

struct elf_header {
	u8 ident[16];
	le16 type;
	le16 machine;
	le32 version;
	le64 entry;
	le64 phoff;
	le64 shoff;
	le32 flags;
	le16 ehsize;
	le16 phentsize;
	le16 phnum;
	le16 shentsize;
	le16 shnum;
	le16 shstrndx;
};
static_assert(sizeof(struct elf_header) == 64, "Elf64_Ehdr");

struct elf_phdr {
	le32 type;
	le32 flags;
	le64 offset;
	le64 vaddr;
	le64 paddr;
	le64 filesz;
	le64 memsz;
	le64 align;
};
static_assert(sizeof(struct elf_phdr) == 56, "Elf64_Phdr");

enum {
	ET_EXEC = 2,
	ET_DYN = 3
};
enum {
	EM_X86_64 = 62
};
enum {
	PT_LOAD = 1,
	PT_INTERP = 3
};
#define PT_GNU_STACK 0x6474e551

/* ELFMAG, ELFCLASS64, ELFDATA2LSB, EV_CURRENT */
static const u8 ident[] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };

static const char *check_header(const struct elf_header *h, u64 size)
{
	if (memcmp(h->ident, ident, sizeof(ident)))
		return "it is not an ELF64 file";
	if (h->machine != EM_X86_64)
		return "it is not for x86-64";
	if (h->type != ET_EXEC && h->type != ET_DYN)
		return "it is not a program";
	if (h->phentsize != sizeof(struct elf_phdr) ||
	    !range_ok(h->phoff, (u64)h->phnum * sizeof(struct elf_phdr), size))
		return "its program headers are not in the file";
	return NULL;
}

static const char *add_segment(const struct elf_phdr *p, u64 size, u64 low,
			       u64 high, struct elf_image *out)
{
	struct elf_segment *s = &out->segment[out->count];
	u64 first = p->vaddr + out->bias, start, end;

	if (out->count == ELF_SEGMENTS_MAX)
		return "it has too many segments";
	if (p->filesz > p->memsz || !range_ok(p->offset, p->filesz, size))
		return "a segment is not in the file";
	if (p->flags & ELF_W && p->flags & ELF_X)
		return "a segment is writable and executable";
	if (p->vaddr > high || first < low || !range_ok(first, p->memsz, high))
		return "a segment lies too low or too high";
	start = align_down(first, PAGE_SIZE);
	end = align_up(first + p->memsz, PAGE_SIZE);
	for (u32 i = 0; i < out->count; i++)
		if (range_overlap(start, end - start, out->segment[i].start,
				  out->segment[i].pages * PAGE_SIZE))
			return "two segments share a page";
	*s = (struct elf_segment){
		.start = start,
		.pages = (end - start) / PAGE_SIZE,
		.skip = first - start,
		.offset = p->offset,
		.file_size = p->filesz,
		.access = (p->flags & (ELF_W | ELF_X)) | ELF_R,
	};
	out->pages += s->pages;
	out->count++;
	return NULL;
}

static const char *check_phdr(const struct elf_phdr *p, u64 size, u64 low,
			      u64 high, struct elf_image *out)
{
	switch (p->type) {
	case PT_LOAD:
		return p->memsz ? add_segment(p, size, low, high, out) : NULL;
	case PT_INTERP:
		return "it wants a dynamic linker";
	case PT_GNU_STACK:
		return p->flags & ELF_X ? "it wants an executable stack" : NULL;
	default: /* notes, RELRO, what the program reads itself */
		return NULL;
	}
}

static bool entry_ok(const struct elf_image *e)
{
	for (u32 i = 0; i < e->count; i++) {
		const struct elf_segment *s = &e->segment[i];

		if (s->access & ELF_X && e->entry >= s->start &&
		    e->entry - s->start < s->pages * PAGE_SIZE)
			return true;
	}
	return false;
}

const char *elf_parse(const void *file, u64 size, u64 low, u64 high, u64 bias,
		      struct elf_image *out)
{
	struct elf_header h;
	struct elf_phdr p;
	const char *why;

	memset(out, 0, sizeof(*out));
	if (size < sizeof(h))
		return "it is too short";
	memcpy(&h, file, sizeof(h));
	why = check_header(&h, size);
	if (why)
		return why;
	out->bias = h.type == ET_DYN ? bias : 0;
	out->entry = h.entry + out->bias;
	for (u32 i = 0; i < h.phnum; i++) {
		memcpy(&p, (const u8 *)file + h.phoff + i * sizeof(p),
		       sizeof(p));
		why = check_phdr(&p, size, low, high, out);
		if (why)
			return why;
	}
	return entry_ok(out) ? NULL : "its entry point is not in its code";
}

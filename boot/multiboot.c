#include "boot/multiboot.h"
#include "core/lib/bytes.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/lib/string.h"

enum { /* 3.6, types of tags */
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_MODULE = 3,
	TAG_BOOTDEV = 5,
	TAG_MMAP = 6,
};

#define TAG_HEADER  8 /* type, size with this header */
#define MMAP_HEADER 8 /* entry_size, entry_version */
#define MMAP_ENTRY  24
#define FIRST_DISK  0x80

/* A string that the tag need not have ended, for a log: printable or '?'. */
static int parse_string(const u8 *body, u32 len, char *dst, size_t room)
{
	size_t i;

	for (i = 0; i < len && i + 1 < room && body[i]; i++)
		dst[i] =
			body[i] >= 0x20 && body[i] < 0x7f ? (char)body[i] : '?';
	dst[i] = '\0';
	return 0;
}

/* 3.6.6: mod_start, mod_end, a string. */
static int parse_module(const u8 *body, u32 len, struct boot_info *info)
{
	struct boot_module *m;
	u32 start, end;

	if (len < 8)
		return -EINVAL;
	start = load_le32(body);
	end = load_le32(body + 4);
	if (end < start)
		return -EINVAL;
	if (info->modules++ >= BOOT_MODULES_MAX)
		return 0;
	m = &info->module[info->modules - 1];
	m->start = start;
	m->size = end - start;
	return parse_string(body + 8, len - 8, m->name, sizeof(m->name));
}

static int parse_bootdev(const u8 *body, u32 len, struct boot_info *info)
{
	u32 drive;

	if (len < 12)
		return -EINVAL;
	drive = load_le32(body);
	if (drive <= 0xff)
		info->boot_drive = (u8)drive;
	return 0;
}

static int parse_entry(const u8 *p, struct boot_info *info)
{
	struct e820_entry *e = &info->map[info->map_count];

	if (info->map_count == E820_MAX)
		return -ENOSPC;
	e->base = load_le64(p);
	e->len = load_le64(p + 8);
	e->type = load_le32(p + 16);
	if (!e->len)
		return 0;
	if (e->len > ~0ULL - e->base)
		return -EINVAL;
	info->map_count++;
	return 0;
}

static int parse_mmap(const u8 *body, u32 len, struct boot_info *info)
{
	u32 step;

	if (len < MMAP_HEADER)
		return -EINVAL;
	step = load_le32(body);
	if (step < MMAP_ENTRY || step % 8)
		return -EINVAL;
	for (u32 at = MMAP_HEADER; range_ok(at, step, len); at += step) {
		int err = parse_entry(body + at, info);

		if (err)
			return err;
	}
	return 0;
}

static int parse_tag(u32 type, const u8 *body, u32 len, struct boot_info *info)
{
	switch (type) {
	case TAG_CMDLINE:
		return parse_string(body, len, info->cmdline,
				    sizeof(info->cmdline));
	case TAG_MODULE:
		return parse_module(body, len, info);
	case TAG_BOOTDEV:
		return parse_bootdev(body, len, info);
	case TAG_MMAP:
		return parse_mmap(body, len, info);
	default: /* nothing that we need */
		return 0;
	}
}

static int parse_tags(const u8 *p, u32 size, struct boot_info *info)
{
	for (u64 at = 8; range_ok(at, TAG_HEADER, size);) {
		u32 type = load_le32(p + at);
		u32 len = load_le32(p + at + 4);
		int err;

		if (len < TAG_HEADER || !range_ok(at, len, size))
			return -EINVAL;
		if (type == TAG_END)
			return 0;
		err = parse_tag(type, p + at + TAG_HEADER, len - TAG_HEADER,
				info);
		if (err)
			return err;
		at += align_up(len, 8);
	}
	return -EINVAL; /* the end tag is missing */
}

int multiboot_parse(const void *data, size_t limit, struct boot_info *info)
{
	u32 size;
	int err;

	memset(info, 0, sizeof(*info));
	info->boot_drive = FIRST_DISK;
	if (limit < 8)
		return -EINVAL;
	size = load_le32(data);
	if (size > limit)
		return -EINVAL;
	err = parse_tags(data, size, info);
	if (!err && !info->map_count)
		err = -ENOENT;
	return err;
}

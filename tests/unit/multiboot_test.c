/*
 * Boot information (Multiboot2 2.0, 3.6), well formed and not.
 * units: boot/multiboot.c
 */
#include <string.h>

#include "boot/multiboot.h"
#include "core/lib/errors.h"
#include "tests/unit/test.h"

static u8 buf[8192] __attribute__((aligned(8)));
static u32 size;
static struct boot_info info;

static void put32(u32 v)
{
	memcpy(buf + size, &v, 4);
	size += 4;
}

static void put64(u64 v)
{
	memcpy(buf + size, &v, 8);
	size += 8;
}

static void begin(void)
{
	memset(buf, 0xee, sizeof(buf));
	size = 0;
	put32(0);
	put32(0);
}

static void put_tag(u32 type, u32 len)
{
	size = (size + 7) & ~7U;
	put32(type);
	put32(len);
}

static void put_text(u32 type, const char *text)
{
	put_tag(type, 8 + strlen(text) + 1);
	memcpy(buf + size, text, strlen(text) + 1);
	size += strlen(text) + 1;
}

static void put_entry(u64 base, u64 len, u32 type)
{
	put64(base);
	put64(len);
	put32(type);
	put32(0);
}

static void put_map(void)
{
	put_tag(6, 16 + 2 * 24);
	put32(24);
	put32(0);
	put_entry(0, 0x9fc00, 1);
	put_entry(0x100000, 0x1ff00000, 1);
}

static int end(void)
{
	put_tag(0, 8);
	memcpy(buf, &size, 4);
	return multiboot_parse(buf, size, &info);
}

TEST(all_tags)
{
	begin();
	put_text(1, "one two");
	put_text(2, "GRUB 2.06");
	put_tag(5, 20); /* boot device */
	put32(0x81);
	put32(0);
	put32(~0U);
	put_map();
	put_text(3, "12345678 a module");
	put_tag(21, 12); /* image load base: not ours */
	put32(1);
	EXPECT_EQ(end(), 0);
	EXPECT(!strcmp(info.cmdline, "one two"));
	EXPECT_EQ(info.boot_drive, 0x81);
	EXPECT_EQ(info.modules, 1);
	EXPECT_EQ(info.map_count, 2);
	EXPECT_EQ(info.map[0].len, 0x9fc00);
	EXPECT_EQ(info.map[1].base, 0x100000);
	EXPECT_EQ(info.map[1].len, 0x1ff00000);
	EXPECT_EQ(info.map[1].type, 1);
}

static void put_module(u32 start, u32 stop, const char *name)
{
	put_tag(3, 16 + (u32)strlen(name) + 1);
	put32(start);
	put32(stop);
	memcpy(buf + size, name, strlen(name) + 1);
	size += (u32)strlen(name) + 1;
}

TEST(modules)
{
	begin();
	put_map();
	put_module(0x1000000, 0x1002345, "sign.elf and a name longer than 31");
	for (u32 i = 1; i < BOOT_MODULES_MAX + 3; i++)
		put_module(0x2000000 * i, 0x2000000 * i, "");
	EXPECT_EQ(end(), 0);
	EXPECT_EQ(info.modules, BOOT_MODULES_MAX + 3);
	EXPECT_EQ(info.module[0].start, 0x1000000);
	EXPECT_EQ(info.module[0].size, 0x2345);
	EXPECT(!strcmp(info.module[0].name, "sign.elf and a name longer than"));
	EXPECT_EQ(info.module[BOOT_MODULES_MAX - 1].start,
		  0x2000000 * (BOOT_MODULES_MAX - 1));
	begin();
	put_map();
	put_module(0x2000000, 0x1000000, "backwards");
	EXPECT_EQ(end(), -EINVAL);
	begin();
	put_map();
	put_tag(3, 12);
	put32(0x1000000);
	EXPECT_EQ(end(), -EINVAL);
}

TEST(defaults)
{
	begin();
	put_map();
	EXPECT_EQ(end(), 0);
	EXPECT_EQ(info.boot_drive, 0x80);
	EXPECT_EQ(info.cmdline[0], 0);
	EXPECT_EQ(info.modules, 0);
}

/* GRUB says ~0 when its root is no BIOS drive. */
TEST(no_bios_drive)
{
	begin();
	put_tag(5, 20);
	put32(~0U);
	put32(~0U);
	put32(~0U);
	put_map();
	EXPECT_EQ(end(), 0);
	EXPECT_EQ(info.boot_drive, 0x80);
}

TEST(strings_are_made_safe)
{
	char text[600];

	memset(text, 'x', sizeof(text));
	text[599] = 0;
	begin();
	put_text(1, text);
	put_map();
	EXPECT_EQ(end(), 0);
	EXPECT_EQ(strlen(info.cmdline), 255);
	begin();
	put_text(1, "a\x1b[2J\nb");
	put_map();
	EXPECT_EQ(end(), 0);
	EXPECT(!strcmp(info.cmdline, "a?[2J?b"));
}

TEST(string_without_end)
{
	begin();
	put_tag(1, 8 + 3);
	memcpy(buf + size, "abcdefgh", 8);
	size += 3;
	put_map();
	EXPECT_EQ(end(), 0);
	EXPECT(!strcmp(info.cmdline, "abc"));
}

TEST(larger_entries)
{
	begin();
	put_tag(6, 16 + 2 * 32);
	put32(32);
	put32(0);
	put_entry(0, 4096, 1);
	put64(0);
	put_entry(4096, 4096, 3);
	put64(0);
	EXPECT_EQ(end(), 0);
	EXPECT_EQ(info.map_count, 2);
	EXPECT_EQ(info.map[1].base, 4096);
	EXPECT_EQ(info.map[1].type, 3);
}

static int parse_one_entry(u64 base, u64 len)
{
	begin();
	put_tag(6, 16 + 24);
	put32(24);
	put32(0);
	put_entry(base, len, 1);
	return end();
}

TEST(entry_bounds)
{
	EXPECT_EQ(parse_one_entry(~0ULL - 1, 1), 0);
	EXPECT_EQ(info.map_count, 1);
	EXPECT_EQ(parse_one_entry(~0ULL, 1), -EINVAL);
	EXPECT_EQ(parse_one_entry(1, ~0ULL), -EINVAL);
	EXPECT_EQ(parse_one_entry(4096, 0), -ENOENT);
}

TEST(no_map)
{
	begin();
	put_text(1, "x");
	EXPECT_EQ(end(), -ENOENT);
}

TEST(too_many_entries)
{
	for (u32 n = E820_MAX; n <= E820_MAX + 1; n++) {
		begin();
		put_tag(6, 16 + n * 24);
		put32(24);
		put32(0);
		for (u32 i = 0; i < n; i++)
			put_entry(i * 4096, 4096, 1);
		EXPECT_EQ(end(), n == E820_MAX ? 0 : -ENOSPC);
		EXPECT_EQ(info.map_count, E820_MAX);
	}
}

static int parse_entry_size(u32 entry_size)
{
	begin();
	put_tag(6, 16 + 24);
	put32(entry_size);
	put32(0);
	put_entry(0, 4096, 1);
	return end();
}

TEST(bad_entry_sizes)
{
	EXPECT_EQ(parse_entry_size(0), -EINVAL);
	EXPECT_EQ(parse_entry_size(16), -EINVAL);
	EXPECT_EQ(parse_entry_size(28), -EINVAL);
	EXPECT_EQ(parse_entry_size(0xfffffff8), -ENOENT);
	EXPECT_EQ(parse_entry_size(24), 0);
}

static int parse_tag_size(u32 type, u32 len)
{
	begin();
	put_tag(type, len);
	put64(0);
	return end();
}

TEST(bad_tag_sizes)
{
	EXPECT_EQ(parse_tag_size(1, 0), -EINVAL);
	EXPECT_EQ(parse_tag_size(1, 7), -EINVAL);
	EXPECT_EQ(parse_tag_size(1, 0xffffffff), -EINVAL);
	EXPECT_EQ(parse_tag_size(5, 16), -EINVAL);
	EXPECT_EQ(parse_tag_size(6, 8), -EINVAL);
	EXPECT_EQ(parse_tag_size(99, 16), -ENOENT);
}

TEST(every_cut)
{
	u32 whole;

	begin();
	put_map();
	EXPECT_EQ(end(), 0);
	whole = size;
	for (u32 n = 0; n < whole; n++) {
		EXPECT_EQ(multiboot_parse(buf, n, &info), -EINVAL);
		if (n < 8)
			continue;
		memcpy(buf, &n, 4); /* the structure itself ends early */
		EXPECT_EQ(multiboot_parse(buf, whole, &info), -EINVAL);
		memcpy(buf, &whole, 4);
	}
}

TEST_MAIN(CASE(all_tags), CASE(modules), CASE(defaults), CASE(no_bios_drive),
	  CASE(strings_are_made_safe), CASE(string_without_end),
	  CASE(larger_entries), CASE(entry_bounds), CASE(no_map),
	  CASE(too_many_entries), CASE(bad_entry_sizes), CASE(bad_tag_sizes),
	  CASE(every_cut))

/*
 * The guest's memory map and INT 15h.
 * units: core/virt/bios.c
 */
#include <string.h>

#include "core/lib/errors.h"
#include "core/virt/bios.h"
#include "tests/unit/test.h"

/* SeaBIOS, 512 MiB. */
static const struct e820 machine[] = {
	{ 0, 0x9fc00, 1, 1 },	       { 0x9fc00, 0x400, 2, 1 },
	{ 0xf0000, 0x10000, 2, 1 },    { 0x100000, 0x1fee0000, 1, 1 },
	{ 0x1ffe0000, 0x20000, 2, 1 }, { 0xfffc0000, 0x40000, 2, 1 },
};
static const struct e820 hide[] = {
	{ 0x1f000000, 0xc00000, 0, 0 },
	{ 0x9e000, 0x1000, 0, 0 },
};

static void build(struct bios_map *map)
{
	EXPECT_EQ(bios_map_build(map, machine, 6, hide, 2), 0);
}

static void expect_map(const struct bios_map *map, const struct e820 *want,
		       u32 count)
{
	EXPECT_EQ(map->count, count);
	for (u32 i = 0; i < count && i < map->count; i++) {
		EXPECT_EQ(map->e[i].base, want[i].base);
		EXPECT_EQ(map->e[i].len, want[i].len);
		EXPECT_EQ(map->e[i].type, want[i].type);
		EXPECT_EQ(map->e[i].attr, want[i].attr);
	}
}

TEST(hidden_is_reserved)
{
	static const struct e820 want[] = {
		{ 0, 0x9e000, 1, 1 },		{ 0x9e000, 0x1000, 2, 1 },
		{ 0x9f000, 0xc00, 1, 1 },	{ 0x9fc00, 0x400, 2, 1 },
		{ 0xf0000, 0x10000, 2, 1 },	{ 0x100000, 0x1ef00000, 1, 1 },
		{ 0x1f000000, 0xc00000, 2, 1 }, { 0x1fc00000, 0x3e0000, 1, 1 },
		{ 0x1ffe0000, 0x20000, 2, 1 },	{ 0xfffc0000, 0x40000, 2, 1 },
	};
	struct bios_map map;

	build(&map);
	expect_map(&map, want, 10);
	EXPECT_EQ(map.entry_size, 20);
}

TEST(nothing_hidden_changes_nothing)
{
	struct bios_map map;

	EXPECT_EQ(bios_map_build(&map, machine, 6, NULL, 0), 0);
	expect_map(&map, machine, 6);
}

TEST(sorted_and_without_overlap)
{
	static const struct e820 mess[] = {
		{ 0x5000, 0x1000, 4, 1 }, { 0x1000, 0x3000, 1, 1 },
		{ 0x2000, 0x1000, 3, 1 }, { 0x3000, 0x1000, 1, 1 },
		{ 0x8000, 0, 2, 1 },	  { 0x4000, 0x800, 1, 1 },
	};
	static const struct e820 want[] = {
		{ 0x1000, 0x1000, 1, 1 }, { 0x2000, 0x1000, 3, 1 },
		{ 0x3000, 0x1000, 1, 1 }, { 0x4000, 0x800, 1, 1 },
		{ 0x5000, 0x1000, 4, 1 },
	};
	struct bios_map map;

	EXPECT_EQ(bios_map_build(&map, mess, 6, NULL, 0), 0);
	expect_map(&map, want, 5);
}

/* A hidden range is reserved also where the machine says nothing, and beyond
 * what is RAM it hides nothing else. */
TEST(hidden_at_borders)
{
	static const struct e820 in[] = { { 0x1000, 0x1000, 1, 0 } };
	static const struct e820 h[] = { { 0x1800, 0x1000, 0, 0 } };
	static const struct e820 want[] = {
		{ 0x1000, 0x800, 1, 0 },
		{ 0x1800, 0x1000, 2, 1 },
	};
	struct bios_map map;

	EXPECT_EQ(bios_map_build(&map, in, 1, h, 1), 0);
	expect_map(&map, want, 2);
}

TEST(too_many_entries)
{
	static struct e820 many[129];
	const struct e820 one = { 0x800, 0x100, 0, 0 };
	struct bios_map map;

	for (u32 i = 0; i < 129; i++)
		many[i] = (struct e820){ i * 0x2000, 0x1000, 1, 1 };
	EXPECT_EQ(bios_map_build(&map, many, 129, NULL, 0), -ENOSPC);
	EXPECT_EQ(bios_map_build(&map, many, 128, NULL, 0), 0);
	EXPECT_EQ(map.count, 128);
	EXPECT_EQ(bios_map_build(&map, many, 128, &one, 1), -ENOSPC);
}

/* ---- INT 15h ---- */

static u8 guest[64];
static unsigned int written;

static int store(void *ctx, u16 seg, u16 off, const void *src, size_t len)
{
	if (seg != 0x1234 || off + len > sizeof(guest))
		return -EFAULT;
	memcpy(guest + off, src, len);
	written = (unsigned int)len;
	return 0;
}

static struct bios_regs call(u32 eax, u32 ebx, u32 ecx)
{
	static struct bios_map map;
	struct bios_regs r = { eax,	   ebx,	   ecx, 0x534d4150,
			       0xffff0008, 0x1234, true };

	build(&map);
	written = 0;
	EXPECT(bios_int15(&r, &map, store, NULL));
	return r;
}

TEST(e820_walks_the_map)
{
	u32 ebx = 0;
	u32 n = 0;

	do {
		struct bios_regs r = call(0xe820, ebx, 20);

		EXPECT(!r.carry);
		EXPECT_EQ(r.eax, 0x534d4150);
		EXPECT_EQ(r.edx, 0x534d4150);
		EXPECT_EQ(r.ecx, 20);
		EXPECT_EQ(written, 20);
		ebx = r.ebx;
		n++;
	} while (ebx && n < 50);
	EXPECT_EQ(n, 10);
	/* the last one: FFFC0000, 40000, reserved */
	EXPECT(!memcmp(guest + 8,
		       "\x00\x00\xfc\xff\0\0\0\0\x00\x00\x04\x00\0\0\0\0\x02"
		       "\0\0\0",
		       20));
}

TEST(e820_entry_sizes)
{
	struct bios_regs r = call(0xe820, 0, 24);
	struct bios_map map;

	EXPECT_EQ(r.ecx, 20); /* the firmware has no longer form */
	build(&map);
	map.entry_size = 24;
	r = (struct bios_regs){ 0xe820, 0, 0x100, 0x534d4150, 8, 0x1234, true };
	EXPECT(bios_int15(&r, &map, store, NULL));
	EXPECT_EQ(r.ecx, 24);
	EXPECT_EQ(written, 24);
	EXPECT_EQ(guest[8 + 20], 1);
	r = (struct bios_regs){ 0xe820, 0, 23, 0x534d4150, 8, 0x1234, true };
	EXPECT(bios_int15(&r, &map, store, NULL));
	EXPECT_EQ(r.ecx, 20);
}

TEST(e820_errors)
{
	struct bios_map map;
	struct bios_regs r = call(0xe820, 0, 19);

	EXPECT(r.carry);
	EXPECT_EQ(r.eax, 0x8620);
	EXPECT_EQ(written, 0);
	r = call(0xe820, 10, 20);
	EXPECT(r.carry);
	r = call(0xe820, 0xffffffff, 20);
	EXPECT(r.carry);
	build(&map);
	r = (struct bios_regs){ 0x1e820, 0, 20, 0x50414d53, 8, 0x1234, false };
	EXPECT(bios_int15(&r, &map, store, NULL));
	EXPECT(r.carry);
	EXPECT_EQ(r.eax, 0x18620);
	r = (struct bios_regs){ 0xe820, 3, 20, 0x534d4150, 60, 0x1234, false };
	EXPECT(bios_int15(&r, &map, store, NULL));
	EXPECT(r.carry);
	EXPECT_EQ(r.ebx, 3);
}

TEST(sizes_from_the_trimmed_map)
{
	struct bios_regs r = call(0x7777e801, 0x11110000, 0x22220000);

	EXPECT(!r.carry);
	EXPECT_EQ(r.eax, 0x77773c00);
	EXPECT_EQ(r.ecx, 0x22223c00);
	EXPECT_EQ(r.ebx, 0x11111e00); /* 1F000000 - 1000000 */
	EXPECT_EQ(r.edx, 0x534d1e00);
	r = call(0x7777e881, 0x11110000, 0x22220000);
	EXPECT_EQ(r.eax, 0x3c00);
	EXPECT_EQ(r.ebx, 0x1e00);
	EXPECT_EQ(r.ecx, 0x3c00);
	EXPECT_EQ(r.edx, 0x1e00);
	r = call(0x55558842, 1, 2);
	EXPECT(!r.carry);
	EXPECT_EQ(r.eax, 0x5555fc00);
	EXPECT_EQ(r.ebx, 1);
}

TEST(small_and_odd_machines)
{
	static const struct e820 small[] = { { 0x100000, 0x700000, 1, 1 } };
	static const struct e820 hole[] = { { 0x100000, 0xe00000, 1, 1 },
					    { 0x1000000, 0x400000, 1, 1 } };
	static const struct e820 split[] = { { 0x100000, 0x400000, 1, 1 },
					     { 0x500000, 0x400000, 1, 1 } };
	struct bios_map map;
	struct bios_regs r = { .eax = 0xe801 };

	EXPECT_EQ(bios_map_build(&map, small, 1, NULL, 0), 0);
	EXPECT(bios_int15(&r, &map, store, NULL));
	EXPECT_EQ(r.eax, 0x1c00);
	EXPECT_EQ(r.ebx, 0);
	EXPECT_EQ(bios_map_build(&map, hole, 2, NULL, 0), 0);
	r.eax = 0xe801;
	EXPECT(bios_int15(&r, &map, store, NULL));
	EXPECT_EQ(r.eax, 0x3800);
	EXPECT_EQ(r.ebx, 0x40);
	EXPECT_EQ(bios_map_build(&map, split, 2, NULL, 0), 0);
	r.eax = 0x8800;
	EXPECT(bios_int15(&r, &map, store, NULL));
	EXPECT_EQ(r.eax, 0x2000);
	map.count = 0;
	r.eax = 0x8800;
	EXPECT(bios_int15(&r, &map, store, NULL));
	EXPECT_EQ(r.eax, 0);
}

TEST(other_services_are_the_machines)
{
	struct bios_map map;
	struct bios_regs r = { .eax = 0xe8ff, .ebx = 5, .carry = true };

	build(&map);
	EXPECT(!bios_int15(&r, &map, store, NULL));
	r.eax = 0x2401; /* A20 */
	EXPECT(!bios_int15(&r, &map, store, NULL));
	EXPECT_EQ(r.eax, 0x2401);
	EXPECT(r.carry);
}

/* Random maps and hidden ranges, fixed seed: each address is told right. */
TEST(random_maps)
{
	u64 seed = 0x243f6a8885a308d3;
	struct bios_map map;

	for (int round = 0; round < 3000; round++) {
		struct e820 in[12];
		struct e820 h[2];
		u8 want[64] = { 0 };

		for (int i = 0; i < 14; i++) {
			struct e820 *e = i < 12 ? &in[i] : &h[i - 12];

			seed = seed * 6364136223846793005 + 1442695040888963407;
			e->base = seed >> 40 & 31;
			e->len = seed >> 48 & 15;
			e->type = i < 12 ? 1 + (seed >> 56 & 3) : 0;
			e->attr = 1;
			for (u64 a = e->base; a < e->base + e->len; a++)
				want[a] = i >= 12	      ? 2
					  : e->type > want[a] ? (u8)e->type
							      : want[a];
		}
		EXPECT_EQ(bios_map_build(&map, in, 12, h, 2), 0);
		for (u32 i = 0; i < map.count; i++) {
			EXPECT(map.e[i].len);
			EXPECT(!i || map.e[i - 1].base + map.e[i - 1].len <=
					     map.e[i].base);
			for (u64 k = 0; k < map.e[i].len; k++) {
				u64 a = map.e[i].base + k;

				EXPECT(a < 64 && want[a] == map.e[i].type);
				want[a] = 0;
			}
		}
		for (int a = 0; a < 64; a++)
			EXPECT_EQ(want[a], 0);
	}
}

TEST_MAIN(CASE(hidden_is_reserved), CASE(nothing_hidden_changes_nothing),
	  CASE(sorted_and_without_overlap), CASE(hidden_at_borders),
	  CASE(too_many_entries), CASE(e820_walks_the_map),
	  CASE(e820_entry_sizes), CASE(e820_errors),
	  CASE(sizes_from_the_trimmed_map), CASE(small_and_odd_machines),
	  CASE(other_services_are_the_machines), CASE(random_maps))

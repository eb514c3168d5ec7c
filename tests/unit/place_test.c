/*
 * Where Shoji goes in RAM, and how much it takes.
 * units: boot/place.c
 */
#include <string.h>

#include "boot/boot.h"
#include "tests/unit/test.h"

#define KIB  (1ULL << 10)
#define MIB  (1ULL << 20)
#define GIB  (1ULL << 30)
#define SIZE (12 * MIB)

static u64 place(u32 count, const struct e820_entry *map, u64 floor)
{
	struct boot_info info = { .map_count = count };

	memcpy(info.map, map, count * sizeof(*map));
	return place_find(&info, SIZE, floor);
}

/* As SeaBIOS gives it for 512 MiB. */
TEST(top_of_ram)
{
	static const struct e820_entry map[] = {
		{ 0, 0x9fc00, 1 },	    { 0x9fc00, 0x400, 2 },
		{ 0xf0000, 0x10000, 2 },    { 0x100000, 0x1fee0000, 1 },
		{ 0x1ffe0000, 0x20000, 2 }, { 0xfffc0000, 0x40000, 2 },
	};

	EXPECT_EQ(place(6, map, 4 * MIB), 0x1f200000);
}

TEST(below_4g_only)
{
	static const struct e820_entry map[] = {
		{ 0x100000, 3 * GIB - MIB, 1 },
		{ 4 * GIB, 8 * GIB, 1 },
	};
	static const struct e820_entry across[] = { { MIB, 8 * GIB, 1 } };

	EXPECT_EQ(place(2, map, 4 * MIB), 3 * GIB - SIZE);
	EXPECT_EQ(place(1, across, 4 * MIB), 4 * GIB - SIZE);
	EXPECT_EQ(place(1, map + 1, 4 * MIB), 0);
}

/* A small piece at the top does not do; one that is overlaid neither. */
TEST(skips_what_does_not_fit)
{
	static const struct e820_entry map[] = {
		{ 0x100000, 255 * MIB, 1 },
		{ 512 * MIB, 8 * MIB, 1 },
		{ 250 * MIB, 4096, 4 },
	};

	EXPECT_EQ(place(3, map, 4 * MIB), 238 * MIB);
}

/* GRUB's modules are still to be copied when the image moves. */
TEST(keeps_off_modules)
{
	struct boot_info info = {
		.map_count = 1,
		.map = { { MIB, 255 * MIB, 1 } },
		.modules = 2,
		.module = { { .start = 5 * MIB, .size = MIB },
			    { .start = 250 * MIB, .size = 1 } },
	};

	EXPECT_EQ(place_find(&info, SIZE, 4 * MIB), 238 * MIB);
	info.modules = 1;
	EXPECT_EQ(place_find(&info, SIZE, 4 * MIB), 244 * MIB);
	info.modules = 1000;
	EXPECT_EQ(place_find(&info, SIZE, 4 * MIB), 238 * MIB);
}

TEST(respects_the_image)
{
	static const struct e820_entry map[] = { { MIB, 15 * MIB, 1 } };

	EXPECT_EQ(place(1, map, 4 * MIB), 4 * MIB);
	EXPECT_EQ(place(1, map, 4 * MIB + 1), 0);
}

TEST(too_little)
{
	static const struct e820_entry none[] = { { MIB, GIB, 2 } };
	static const struct e820_entry tiny[] = { { 0, 4096, 1 } };
	static const struct e820_entry end[] = { { -4096ULL, 4096, 1 } };

	EXPECT_EQ(place(0, none, 0), 0);
	EXPECT_EQ(place(1, none, 0), 0);
	EXPECT_EQ(place(1, tiny, 0), 0);
	EXPECT_EQ(place(1, end, 0), 0);
}

TEST(ram_end)
{
	struct boot_info info = {
		.map_count = 4,
		.map = { { 0, GIB, 1 },
			 { 4 * GIB, GIB, 1 },
			 { 5 * GIB, MIB, 3 },
			 { 1012 * GIB, 12 * GIB, 2 } },
	};

	EXPECT_EQ(place_ram_end(&info), 5 * GIB + MIB);
}

static u64 low_page(u32 count, const struct e820_entry *map, u32 kib)
{
	struct boot_info info = { .map_count = count };

	memcpy(info.map, map, count * sizeof(*map));
	return place_low_page(&info, kib);
}

/* As SeaBIOS gives it: 639 KiB, then the EBDA. */
TEST(low_page_below_the_ebda)
{
	static const struct e820_entry map[] = {
		{ 0, 0x9fc00, 1 },
		{ 0x9fc00, 0x400, 2 },
		{ 0x100000, GIB, 1 },
	};

	EXPECT_EQ(low_page(3, map, 639), 0x9e000);
	EXPECT_EQ(low_page(3, map, 300), 0x4a000);
}

/* The BIOS's own word may say more than its map. */
TEST(low_page_in_usable_memory_only)
{
	static const struct e820_entry map[] = {
		{ 0, 0x9d800, 1 },
		{ 0x9d800, 0x2800, 2 },
	};
	static const struct e820_entry overlaid[] = {
		{ 0, 0xa0000, 1 },
		{ 0x58000, 0x48000, 2 },
	};

	EXPECT_EQ(low_page(2, map, 640), 0x9c000);
	EXPECT_EQ(low_page(2, overlaid, 640), 0x57000);
	EXPECT_EQ(low_page(1, map + 1, 640), 0);
}

TEST(no_low_page)
{
	static const struct e820_entry map[] = { { 0, GIB, 1 } };

	EXPECT_EQ(low_page(1, map, 0), 0);
	EXPECT_EQ(low_page(1, map, 259), 0);
	EXPECT_EQ(low_page(1, map, 260), 256 * KIB);
	EXPECT_EQ(low_page(1, map, 640), 636 * KIB);
	EXPECT_EQ(low_page(1, map, 641), 0);
	EXPECT_EQ(low_page(1, map, 0xffff), 0);
}

static u64 pieces[8];
static u32 count_of_pieces;

static void take_piece(u64 start, u64 end)
{
	pieces[count_of_pieces++] = start;
	pieces[count_of_pieces++] = end;
}

/* Nothing else may be wiped: an EBDA, the firmware's tables, devices. */
TEST(usable_pieces)
{
	struct boot_info info = {
		.map_count = 5,
		.map = { { 0, 0x9d800, 1 },
			 { 0x9d800, 0x2800, 2 },
			 { MIB, 15 * MIB, 1 },
			 { 16 * MIB, MIB, 3 },
			 { 17 * MIB, 8 * GIB, 1 } },
	};

	count_of_pieces = 0;
	place_usable(&info, 4096, 0xa0000, take_piece);
	EXPECT_EQ(count_of_pieces, 2);
	EXPECT_EQ(pieces[0], 4096);
	EXPECT_EQ(pieces[1], 0x9d800);
	count_of_pieces = 0;
	place_usable(&info, 2 * MIB, 4 * GIB, take_piece);
	EXPECT_EQ(count_of_pieces, 4);
	EXPECT_EQ(pieces[0], 2 * MIB);
	EXPECT_EQ(pieces[1], 16 * MIB);
	EXPECT_EQ(pieces[2], 17 * MIB);
	EXPECT_EQ(pieces[3], 4 * GIB);
}

/* The figures that README.md gives. */
TEST(size)
{
	struct place_needs n = { .image = 768 * KIB,
				 .ram_end = 5 * GIB,
				 .cpus = 1 };

	EXPECT_EQ(place_size(&n), 4 * MIB);
	n.devices = 1;
	EXPECT_EQ(place_size(&n), 6 * MIB);
	n.cpus = 8;
	EXPECT_EQ(place_size(&n), 6 * MIB);
	n.cpus = 64;
	EXPECT_EQ(place_size(&n), 16 * MIB);
	n.cpus = 1;
	n.bounce_kib = 64; /* IDE needs more */
	EXPECT_EQ(place_size(&n), 6 * MIB);
	n.bounce_kib = 4096;
	EXPECT_EQ(place_size(&n), 8 * MIB);
	n.bounce_kib = 0;
	n.devices = 16;
	EXPECT_EQ(place_size(&n), 40 * MIB);
	n.programs = 8 * MIB;
	EXPECT_EQ(place_size(&n), 48 * MIB);
	n.programs = 0;
	n.devices = 1;
	n.ram_end = 1024 * GIB;
	EXPECT_EQ(place_size(&n), 18 * MIB);
}

TEST_MAIN(CASE(top_of_ram), CASE(below_4g_only), CASE(skips_what_does_not_fit),
	  CASE(keeps_off_modules), CASE(respects_the_image), CASE(too_little),
	  CASE(ram_end), CASE(low_page_below_the_ebda),
	  CASE(low_page_in_usable_memory_only), CASE(no_low_page),
	  CASE(usable_pieces), CASE(size))

/*
 * What counts as the guest's memory.
 * units: core/mm/gmem.c
 */
#include <string.h>

#include "boot/boot_info.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/mm/gmem.h"
#include "core/mm/host.h"
#include "core/mm/pool.h"
#include "tests/unit/test.h"

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)

static u8 memory[2 * MIB];
static struct hidden hidden;

void *phys_to_virt(hpa_t pa)
{
	/* only compared, but for the first pages */
	return (void *)((uintptr_t)memory + pa);
}

const struct hidden *pool_hidden(void)
{
	return &hidden;
}

static u64 direct_end = 6 * GIB;

bool host_maps(hpa_t pa, u64 len)
{
	return range_ok(pa, len, direct_end);
}

/* SeaBIOS with 512 MiB and another GiB above 4 GiB. */
static struct boot_info info = {
	.map = { { 0, 0x9fc00, E820_TYPE_USABLE },
		 { 0x9fc00, 0x400, E820_TYPE_RESERVED },
		 { 0xf0000, 0x10000, E820_TYPE_RESERVED },
		 { 0x100000, 0x1fee0000, E820_TYPE_USABLE },
		 { 0x1ffe0000, 0x20000, E820_TYPE_RESERVED },
		 { 0xfffc0000, 0x40000, E820_TYPE_RESERVED },
		 { 4 * GIB, GIB, E820_TYPE_USABLE } },
	.map_count = 7,
	.hidden_start = 0x1f200000,
	.hidden_size = 12 * MIB,
};

static bool is_guest(gpa_t gpa, u64 len)
{
	void *p = gmem_ptr(gpa, len);

	EXPECT(!p || p == (void *)((uintptr_t)memory + gpa));
	return p;
}

TEST(ram)
{
	gmem_init(&info);
	EXPECT(is_guest(0, 0xa0000));
	EXPECT(is_guest(0x9f800, 0x800));
	EXPECT(is_guest(0xc0000, 0x1f140000)); /* BIOS area and on to hidden */
	EXPECT(is_guest(4 * GIB, GIB));
	EXPECT(is_guest(5 * GIB - 1, 1));
	EXPECT(is_guest(0x1ffe0000, 0x20000)); /* behind RAM */
	EXPECT(is_guest(0x1fe00000, 0x200000));
}

TEST(not_ram)
{
	gmem_init(&info);
	EXPECT(!is_guest(0xa0000, 1)); /* VGA */
	EXPECT(!is_guest(0x9ffff, 2));
	EXPECT(!is_guest(0xbffff, 2));
	EXPECT(!is_guest(0x20000000, 1));
	EXPECT(!is_guest(0x1fffffff, 2));
	EXPECT(!is_guest(0xfee00000, 4));
	EXPECT(!is_guest(0xfffc0000, 4)); /* flash */
	EXPECT(!is_guest(5 * GIB, 1));
	EXPECT(!is_guest(5 * GIB - 1, 2));
	EXPECT(!is_guest(~0ULL, 1));
	EXPECT(!is_guest(0, ~0ULL));
	EXPECT(!is_guest(4 * GIB, ~0ULL));
}

TEST(not_hidden)
{
	gmem_init(&info);
	hidden = (struct hidden){ 0x1f200000, 12 * MIB };
	EXPECT(!is_guest(0x1f200000, 1));
	EXPECT(!is_guest(0x1f1fffff, 2));
	EXPECT(is_guest(0x1f1fffff, 1));
	EXPECT(!is_guest(0x1fdfffff, 1));
	EXPECT(is_guest(0x1fe00000, 1));
	EXPECT(!is_guest(0x1f000000, 16 * MIB));
	EXPECT(!gmem_hidden(0x1f1fffff, 1));
	EXPECT(gmem_hidden(0x1f1fffff, 2));
	EXPECT(gmem_hidden(0x1fdfffff, 1));
	EXPECT(!gmem_hidden(0x1fe00000, GIB));
}

/* Reserved ranges that are large, alone or low stay out; overlapping and
 * unsorted entries come together; odd borders shrink to pages. */
TEST(odd_maps)
{
	struct boot_info odd = {
		.map = { { 16 * MIB, 16 * MIB, E820_TYPE_ACPI },
			 { 33 * MIB, MIB, E820_TYPE_RESERVED },
			 { 8 * MIB, 8 * MIB, E820_TYPE_USABLE },
			 { 32 * MIB, 256 * MIB, E820_TYPE_RESERVED },
			 { 4 * MIB + 1, 4 * MIB + 100, E820_TYPE_NVS },
			 { 512 * MIB, 0x1800, E820_TYPE_USABLE },
			 { ~0ULL - 4095, 4096, E820_TYPE_USABLE },
			 { 0, 0xa0000, E820_TYPE_USABLE },
			 { 0xa0000, 0x20000, E820_TYPE_RESERVED },
			 { 520 * MIB, MIB, E820_TYPE_USABLE },
			 { 521 * MIB, MIB, 5 /* unusable */ },
			 { 600 * MIB + 16, 32, E820_TYPE_USABLE },
			 { GIB, GIB, E820_TYPE_USABLE } /* past the end */ },
		.map_count = 12,
		.hidden_start = 12 * MIB,
		.hidden_size = 2 * MIB,
	};

	gmem_init(&odd);
	EXPECT(is_guest(4 * MIB + 4096, 8 * MIB - 4096));
	EXPECT(!is_guest(4 * MIB + 4095, 2));
	EXPECT(is_guest(14 * MIB, 18 * MIB));
	EXPECT(!is_guest(32 * MIB, 1));
	EXPECT(!is_guest(33 * MIB, 1));
	EXPECT(is_guest(512 * MIB, 4096));
	EXPECT(!is_guest(512 * MIB + 4096, 1));
	EXPECT(!is_guest(0xa0000, 1));
	EXPECT(!is_guest(MIB, 1));
	EXPECT(is_guest(520 * MIB, MIB));
	EXPECT(!is_guest(521 * MIB, 1));
	EXPECT(!is_guest(600 * MIB, 1));
	EXPECT(!is_guest(700 * MIB, 1));
	EXPECT(!is_guest(GIB, 1));
}

/* Hidden memory at the start of a range, at its end, all of it. */
TEST(hidden_borders)
{
	struct boot_info one = {
		.map = { { 16 * MIB, 16 * MIB, E820_TYPE_USABLE } },
		.map_count = 1,
		.hidden_start = 16 * MIB,
		.hidden_size = 4 * MIB,
	};

	gmem_init(&one);
	EXPECT(!is_guest(16 * MIB, 1));
	EXPECT(!is_guest(20 * MIB - 1, 1));
	EXPECT(is_guest(20 * MIB, 12 * MIB));
	one.hidden_start = 28 * MIB;
	gmem_init(&one);
	EXPECT(is_guest(16 * MIB, 12 * MIB));
	EXPECT(!is_guest(28 * MIB, 1));
	EXPECT(!is_guest(32 * MIB, 1));
	one.hidden_start = 16 * MIB;
	one.hidden_size = 17 * MIB;
	gmem_init(&one);
	EXPECT(!is_guest(16 * MIB, 1));
	EXPECT(!is_guest(40 * MIB, 1));
	EXPECT(!is_guest(32 * MIB - 1, 1));
	EXPECT(is_guest(0, 0xa0000));
}

/* All of one range and the end of another, whichever is looked at first. */
TEST(hidden_over_two_ranges)
{
	struct boot_info two = {
		.map = { { 24 * MIB, 8 * MIB, E820_TYPE_USABLE },
			 { MIB, 19 * MIB, E820_TYPE_USABLE } },
		.map_count = 2,
		.hidden_start = 16 * MIB,
		.hidden_size = 16 * MIB,
	};

	gmem_init(&two);
	EXPECT(is_guest(0xc0000, 16 * MIB - 0xc0000));
	EXPECT(!is_guest(16 * MIB, 1));
	EXPECT(!is_guest(20 * MIB - 1, 1));
	EXPECT(!is_guest(24 * MIB, 1));
}

/* As many ranges as a map can have, and one of them in two. */
TEST(full_map)
{
	static struct boot_info full = {
		.map_count = E820_MAX,
		.hidden_start = 16 * MIB + 0x1000,
		.hidden_size = 0x1000,
	};

	for (u32 i = 0; i < E820_MAX; i++)
		full.map[i] = (struct e820_entry){ (16 + i) * MIB, 0x3000,
						   E820_TYPE_USABLE };
	gmem_init(&full);
	EXPECT(is_guest(16 * MIB, 0x1000) && !is_guest(16 * MIB, 0x1001));
	EXPECT(is_guest(16 * MIB + 0x2000, 0x1000));
	EXPECT(is_guest((15 + E820_MAX) * MIB, 0x3000));
	EXPECT(is_guest(0, 0xa0000) && is_guest(0xc0000, 0x40000));
}

/* The host's own map ends with RAM, rounded up to a GiB: a pointer behind that
 * would be a page fault of Shoji's. */
TEST(behind_ram_no_further_than_the_host_maps)
{
	struct boot_info tail = {
		.map = { { 4 * GIB, GIB, E820_TYPE_USABLE },
			 { 5 * GIB, 8 * MIB, E820_TYPE_RESERVED } },
		.map_count = 2,
	};

	gmem_init(&tail);
	EXPECT(is_guest(5 * GIB, 8 * MIB));
	tail.map[1].len = 16 * MIB; /* as large as a window of devices */
	gmem_init(&tail);
	EXPECT(!is_guest(5 * GIB, 1));
	tail.map[1].len = 16 * MIB - PAGE_SIZE;
	gmem_init(&tail);
	EXPECT(is_guest(5 * GIB, 16 * MIB - PAGE_SIZE));
	direct_end = 5 * GIB;
	gmem_init(&tail);
	EXPECT(!is_guest(5 * GIB, 1));
	EXPECT(is_guest(5 * GIB - 1, 1));
}

TEST(copies)
{
	u8 got[4];

	gmem_init(&info);
	memcpy(memory + 0x1000, "abcd", 4);
	EXPECT_EQ(gmem_read(0x1000, got, 4), 0);
	EXPECT(!memcmp(got, "abcd", 4));
	EXPECT_EQ(gmem_read(0x9fffe, got, 4), -EFAULT);
	EXPECT(!memcmp(got, "abcd", 4));
}

TEST_MAIN(CASE(ram), CASE(not_ram), CASE(not_hidden), CASE(odd_maps),
	  CASE(hidden_borders), CASE(hidden_over_two_ranges), CASE(full_map),
	  CASE(behind_ram_no_further_than_the_host_maps), CASE(copies))

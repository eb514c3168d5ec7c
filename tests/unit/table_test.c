/*
 * The page-table builder, in the host's format and in EPT's, over a pretended
 * physical memory.
 * units: core/mm/table.c
 */
#include <stdlib.h>
#include <string.h>

#include "core/lib/errors.h"
#include "core/mm/pool.h"
#include "core/mm/table.h"
#include "tests/unit/test.h"

#define MIB	(1ULL << 20)
#define GIB	(1ULL << 30)
#define PAGES	64
#define BASE_PA 0x123456000ULL

static u8 memory[PAGES][4096] __attribute__((aligned(4096)));
static unsigned int used, limit = PAGES;

hpa_t virt_to_phys(const void *p)
{
	return BASE_PA + (hpa_t)((const u8 *)p - memory[0]);
}

void *phys_to_virt(hpa_t pa)
{
	if (pa < BASE_PA || pa - BASE_PA >= sizeof(memory) || pa & 0xfff)
		abort();
	return memory[0] + (pa - BASE_PA);
}

/* The @n-th that is taken; the one before it lies right behind it. */
static u64 *page(unsigned int n)
{
	return (u64 *)memory[PAGES - 1 - n];
}

void *pool_alloc(size_t pages)
{
	if (pages != 1 || used >= limit)
		return NULL;
	return memset(page(used++), 0, 4096);
}

#define RW 0x8000000000000003ULL /* P, W, NX */
#define RO 0x8000000000000001ULL

static const struct table_format host = {
	.nonleaf = 3,
	.present = 1,
	.large = 0x80,
	.max_level = 3,
};

/* SDM vol. 3, tables 29-1 to 29-7: any of RWX is present */
static const struct table_format ept = {
	.nonleaf = 7,
	.present = 7,
	.large = 0x80,
	.max_level = 2,
};

static struct table make(const struct table_format *format)
{
	struct table t;

	used = 0;
	limit = PAGES;
	EXPECT_EQ(table_init(&t, format), 0);
	return t;
}

static void expect_leaf(const struct table *t, u64 va, u64 want,
			unsigned int want_level)
{
	unsigned int level = 99;

	EXPECT_EQ(table_lookup(t, va, &level), want);
	EXPECT_EQ(level, want_level);
}

TEST(largest_pages)
{
	struct table t = make(&host);
	u64 va = 0xffff800000000000;

	EXPECT_EQ(table_map(&t, va, 0, 4 * GIB, RW), 0);
	EXPECT_EQ(used, 2);
	expect_leaf(&t, va, RW | 0x80, 3);
	expect_leaf(&t, va + 3 * GIB + 5, 3 * GIB | RW | 0x80, 3);
	expect_leaf(&t, va + 4 * GIB, 0, 0);
	expect_leaf(&t, 0, 0, 0);
}

/* 4 KiB, then 2 MiB, then 4 KiB pages, as the alignment changes. */
TEST(ragged_ends)
{
	struct table t = make(&host);

	EXPECT_EQ(table_map(&t, 2 * MIB - 4096, 2 * MIB - 4096, 2 * MIB + 8192,
			    RW),
		  0);
	EXPECT_EQ(used, 5);
	expect_leaf(&t, 2 * MIB - 8192, 0, 0);
	expect_leaf(&t, 2 * MIB - 4096, (2 * MIB - 4096) | RW, 1);
	expect_leaf(&t, 2 * MIB, 2 * MIB | RW | 0x80, 2);
	expect_leaf(&t, 4 * MIB, 4 * MIB | RW, 1);
	expect_leaf(&t, 4 * MIB + 4096, 0, 0);
}

/* Both addresses have to be aligned for a large page. */
TEST(different_alignment)
{
	struct table t = make(&host);

	EXPECT_EQ(table_map(&t, 2 * MIB, 4096, 2 * MIB, RW), 0);
	expect_leaf(&t, 2 * MIB, 4096 | RW, 1);
	expect_leaf(&t, 4 * MIB - 1, 2 * MIB | RW, 1);
}

TEST(splits_1g_to_4k)
{
	struct table t = make(&host);

	EXPECT_EQ(table_map(&t, 0, 0, 2 * GIB, RW), 0);
	EXPECT_EQ(used, 2);
	EXPECT_EQ(table_map(&t, GIB + 4096, GIB + 4096, 4096, RO), 0);
	EXPECT_EQ(used, 4);
	expect_leaf(&t, 0, RW | 0x80, 3);
	expect_leaf(&t, GIB, GIB | RW, 1);
	expect_leaf(&t, GIB + 4096, (GIB + 4096) | RO, 1);
	expect_leaf(&t, GIB + 8192, (GIB + 8192) | RW, 1);
	expect_leaf(&t, GIB + 2 * MIB, (GIB + 2 * MIB) | RW | 0x80, 2);
	expect_leaf(&t, 2 * GIB - 1, (2 * GIB - 2 * MIB) | RW | 0x80, 2);
}

TEST(unmaps)
{
	struct table t = make(&ept);

	EXPECT_EQ(table_map(&t, 0, 0, 8 * MIB, 0x37), 0);
	EXPECT_EQ(table_map(&t, 4 * MIB, 0, 2 * MIB, 0), 0);
	EXPECT_EQ(used, 3);
	expect_leaf(&t, 4 * MIB, 0, 0);
	EXPECT_EQ(page(2)[2], 0); /* no address is left for speculation */
	expect_leaf(&t, 2 * MIB, 2 * MIB | 0xb7, 2);
	EXPECT_EQ(table_map(&t, 2 * MIB + 4096, 0, 4096, 0), 0);
	expect_leaf(&t, 2 * MIB, 2 * MIB | 0x37, 1);
	expect_leaf(&t, 2 * MIB + 4096, 0, 0);
	expect_leaf(&t, 2 * MIB + 8192, (2 * MIB + 8192) | 0x37, 1);
}

/* What is not mapped is unmapped without spending a page. */
TEST(unmaps_nothing)
{
	struct table t = make(&ept);

	EXPECT_EQ(table_map(&t, 5 * MIB + 4096, 0, 3 * GIB, 0), 0);
	EXPECT_EQ(used, 1);
}

/* Execute-only EPT entries are present though bit 0 is clear. */
TEST(execute_only)
{
	struct table t = make(&ept);

	EXPECT_EQ(table_map(&t, 0, 0, 2 * MIB, 0x34), 0);
	expect_leaf(&t, 4096, 0xb4, 2);
	EXPECT_EQ(table_map(&t, 0, 0, 4096, 0x37), 0);
	expect_leaf(&t, 4096, 4096 | 0x34, 1);
}

/* Mapped in small and in large pieces for ever, it takes the pages once. */
TEST(keeps_what_is_split)
{
	struct table t = make(&host);

	for (int i = 0; i < 1000; i++) {
		EXPECT_EQ(table_map(&t, 0, 4096, 2 * MIB, RW), 0);
		EXPECT_EQ(table_map(&t, 0, 0, GIB, RO), 0);
		EXPECT_EQ(table_map(&t, 0, 0, GIB, 0), 0);
	}
	EXPECT_EQ(used, 4);
	EXPECT_EQ(table_map(&t, 0, 0, GIB, RO), 0);
	expect_leaf(&t, 8192, 8192 | RO, 1);
	expect_leaf(&t, 4 * MIB, 4 * MIB | RO | 0x80, 2);
}

TEST(crosses_tables)
{
	struct table t = make(&host);

	/* the border between two entries of the root */
	EXPECT_EQ(table_map(&t, 512 * GIB - 4096, 0, 8192, RW), 0);
	EXPECT_EQ(used, 7);
	expect_leaf(&t, 512 * GIB - 1, RW, 1);
	expect_leaf(&t, 512 * GIB, 4096 | RW, 1);
	/* and the last page of all */
	EXPECT_EQ(table_map(&t, -4096ULL, 0x7000, 4096, RW), 0);
	expect_leaf(&t, ~0ULL, 0x7000 | RW, 1);
}

TEST(out_of_pages)
{
	struct table t = make(&host);

	limit = 3;
	EXPECT_EQ(table_map(&t, 0, 4096, 4096, RW), -ENOMEM);
	limit = 4;
	EXPECT_EQ(table_map(&t, 0, 4096, 4096, RW), 0);
	limit = used;
	EXPECT_EQ(table_map(&t, 2 * MIB, 2 * MIB, 2 * MIB, RW), 0);
	/* a split that fails leaves the mapping as it is */
	EXPECT_EQ(table_map(&t, 2 * MIB, 0, 4096, RO), -ENOMEM);
	expect_leaf(&t, 2 * MIB, 2 * MIB | RW | 0x80, 2);
	limit = 0;
	used = 0;
	EXPECT_EQ(table_init(&t, &host), -ENOMEM);
}

TEST_MAIN(CASE(largest_pages), CASE(ragged_ends), CASE(different_alignment),
	  CASE(splits_1g_to_4k), CASE(unmaps), CASE(unmaps_nothing),
	  CASE(execute_only), CASE(keeps_what_is_split), CASE(crosses_tables),
	  CASE(out_of_pages))

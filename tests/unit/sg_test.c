/*
 * Scatter lists and memory for devices.
 * units: core/io/sg.c core/io/dma.c
 */
#include <string.h>

#include "core/io/dma.h"
#include "core/io/sg.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/mm/gmem.h"
#include "core/mm/pool.h"
#include "tests/unit/test.h"

/* A machine with RAM at 1000h to 3000h, and one hidden page. */
static u8 ram[0x2000];
static u8 page[PAGE_SIZE];

void *gmem_ptr(gpa_t gpa, u64 len)
{
	if (gpa < 0x1000 || !range_ok(gpa - 0x1000, len, sizeof(ram)))
		return NULL;
	return ram + (gpa - 0x1000);
}

int gmem_read(gpa_t gpa, void *dst, size_t len)
{
	void *p = gmem_ptr(gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(dst, p, len);
	return 0;
}

void *pool_alloc(size_t pages)
{
	return pages == 1 ? page : NULL;
}

hpa_t virt_to_phys(const void *p)
{
	return p == page ? 0x7ff000 : 0;
}

TEST(bytes_do_not_wrap)
{
	struct sg_seg seg[] = { { 0, 0xffffffff },
				{ 0, 0xffffffff },
				{ 0, 2 } };
	struct sg_list sg = { seg, 3 };

	EXPECT_EQ(sg_bytes(&sg), 0x200000000);
	sg.count = 0;
	EXPECT_EQ(sg_bytes(&sg), 0);
}

TEST(check_finds_what_is_not_ram)
{
	struct sg_seg seg[] = { { 0x1000, 0x2000 }, { 0x2fff, 1 }, { 9, 0 } };
	struct sg_list sg = { seg, 3 };

	EXPECT_EQ(sg_check(&sg), 0);
	seg[1].len = 2;
	EXPECT_EQ(sg_check(&sg), -EFAULT);
	seg[1].len = 1;
	seg[0].gpa = 0xfff;
	EXPECT_EQ(sg_check(&sg), -EFAULT);
	seg[0] = (struct sg_seg){ ~0ULL, 2 };
	EXPECT_EQ(sg_check(&sg), -EFAULT);
}

TEST(pointers_and_copies)
{
	u8 b[2] = { 0 };
	hpa_t pa = 0;

	ram[0x1ffe] = 0x12;
	ram[0x1fff] = 0x34;
	EXPECT(sg_ptr(0x1000, 0x2000) == ram);
	EXPECT(sg_ptr(0x1001, 0x2000) == NULL);
	EXPECT_EQ(dma_copy_in(0x2ffe, b, 2), 0);
	EXPECT_EQ(b[1], 0x34);
	EXPECT_EQ(dma_copy_in(0x2fff, b, 2), -EFAULT);
	EXPECT(dma_alloc(1, &pa) == page);
	EXPECT_EQ(pa, 0x7ff000);
	EXPECT(dma_alloc(2, &pa) == NULL);
}

TEST(write_ends_with_the_list_or_the_data)
{
	struct sg_seg seg[] = { { 0x1010, 3 }, { 0x1020, 0 }, { 0x1030, 5 } };
	struct sg_list sg = { seg, 3 };

	sg_write(&sg, "abcdef", 6);
	EXPECT(!memcmp(ram + 0x10, "abc", 4));
	EXPECT(!memcmp(ram + 0x30, "def", 4));
	memset(ram, 0, 0x40);
	sg.count = 2;
	sg_write(&sg, "abcdef", 6);
	EXPECT(!memcmp(ram + 0x10, "abc", 4));
	EXPECT_EQ(ram[0x30], 0);
}

TEST_MAIN(CASE(bytes_do_not_wrap), CASE(check_finds_what_is_not_ram),
	  CASE(pointers_and_copies), CASE(write_ends_with_the_list_or_the_data))

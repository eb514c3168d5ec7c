/*
 * The host's own address space, over a pretended physical memory: what is
 * mapped where, and how.
 * units: core/mm/host.c core/mm/table.c
 */
#include <stdlib.h>
#include <string.h>

#include "core/arch/regs.h"
#include "core/lib/errors.h"
#include "core/mm/host.h"
#include "core/mm/pool.h"
#include "tests/unit/test.h"

#define MIB    (1ULL << 20)
#define GIB    (1ULL << 30)
#define PAGES  64
#define HIDDEN 0x7fc00000ULL

/* The image: three pages of code, two of constants, four of data, of which the
 * second is the guard. */
u8 image[9 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
__asm__(".globl image_start, text_end, rodata_end, stack_guard, image_end\n"
	".set image_start, image\n"
	".set text_end, image + 3 * 4096\n"
	".set rodata_end, image + 5 * 4096\n"
	".set stack_guard, image + 6 * 4096\n"
	".set image_end, image + 9 * 4096\n");

static u8 memory[PAGES][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static unsigned int used, limit;
static const struct hidden hidden = { HIDDEN, 4 * MIB };

const struct hidden *pool_hidden(void)
{
	return &hidden;
}

/* Tables come behind the image in the hidden region. */
#define TABLES (HIDDEN + MIB)

hpa_t virt_to_phys(const void *p)
{
	u64 va = (u64)p;

	if (va >= (u64)memory && va < (u64)memory + sizeof(memory))
		return TABLES + (va - (u64)memory);
	return HIDDEN + (va - (u64)image_start);
}

void *phys_to_virt(hpa_t pa)
{
	if (pa < TABLES || pa - TABLES >= sizeof(memory))
		abort();
	return memory[0] + (pa - TABLES);
}

void *pool_alloc(size_t pages)
{
	if (pages != 1 || used >= limit)
		return NULL;
	return memset(memory[used++], 0, PAGE_SIZE);
}

static hpa_t root;

static int build(u64 phys_end)
{
	used = 0;
	limit = PAGES;
	return host_build(phys_end, &root);
}

/* The leaf for @va without the bits that the CPU sets, or 0; *@pa is where it
 * leads. */
static u64 leaf(u64 va, u64 *pa)
{
	static const struct table_format format = {
		.present = PTE_P,
		.large = PTE_PS,
		.max_level = 3,
	};
	const struct table t = { &format, phys_to_virt(root) };
	unsigned int level;
	u64 entry = table_lookup(&t, va, &level), size;

	if (!entry)
		return 0;
	size = PAGE_SIZE << 9 * (level - 1);
	*pa = (entry & PTE_ADDR & ~(size - 1)) + (va & (size - 1));
	return entry & (PTE_P | PTE_W | PTE_U | PTE_PWT | PTE_PCD | PTE_NX);
}

#define CODE	  PTE_P
#define CONSTANTS (PTE_P | PTE_NX)
#define WRITABLE  (PTE_P | PTE_W | PTE_NX)
#define UNCACHED  (WRITABLE | PTE_PCD | PTE_PWT)

#define EXPECT_LEAF(va, at, attr)                    \
	do {                                         \
		u64 pa_ = 0;                         \
		EXPECT_EQ(leaf((va), &pa_), (attr)); \
		EXPECT_EQ(pa_, (at));                \
	} while (0)

#define EXPECT_NOTHING(va)                      \
	do {                                    \
		u64 pa_;                        \
		EXPECT_EQ(leaf((va), &pa_), 0); \
	} while (0)

TEST(memory_is_written_and_never_executed)
{
	EXPECT_EQ(build(8 * GIB), 0);
	EXPECT_LEAF(HOST_DIRECT, 0, WRITABLE);
	EXPECT_LEAF(HOST_DIRECT + HIDDEN + 4 * MIB, HIDDEN + 4 * MIB, WRITABLE);
	EXPECT_LEAF(HOST_DIRECT + 8 * GIB - 1, 8 * GIB - 1, WRITABLE);
	EXPECT(host_maps(8 * GIB - 1, 1));
}

TEST(image_is_never_written_and_executed)
{
	u64 at = (u64)image_start;

	EXPECT_EQ(build(8 * GIB), 0);
	EXPECT_LEAF(at, HIDDEN, CODE);
	EXPECT_LEAF((u64)text_end - 1, HIDDEN + ((u64)text_end - at) - 1, CODE);
	EXPECT_LEAF((u64)text_end, HIDDEN + ((u64)text_end - at), CONSTANTS);
	EXPECT_LEAF((u64)rodata_end, HIDDEN + ((u64)rodata_end - at), WRITABLE);
	EXPECT_NOTHING((u64)stack_guard);
	EXPECT_NOTHING((u64)image_end);
	EXPECT_LEAF(HOST_DIRECT + HIDDEN, HIDDEN, CONSTANTS);
	EXPECT_LEAF(HOST_DIRECT + HIDDEN + ((u64)rodata_end - at),
		    HIDDEN + ((u64)rodata_end - at), WRITABLE);
}

/* What the guest writes to the MTRRs does not count. */
TEST(devices_are_never_cached)
{
	EXPECT_EQ(build(8 * GIB), 0);
	EXPECT_LEAF(HOST_DEVICE + 0xb8000, 0xb8000, UNCACHED);
	EXPECT_LEAF(HOST_DEVICE + 0xfee00300, 0xfee00300, UNCACHED);
	EXPECT_LEAF(HOST_DEVICE + 8 * GIB - 1, 8 * GIB - 1, UNCACHED);
	EXPECT_EQ((u64)host_device(0xfee00000), HOST_DEVICE + 0xfee00000);
}

TEST(no_device_lies_in_the_hidden_region)
{
	EXPECT_EQ(build(8 * GIB), 0);
	EXPECT_LEAF(HOST_DEVICE + HIDDEN - 1, HIDDEN - 1, UNCACHED);
	for (u64 at = 0; at < hidden.size; at += PAGE_SIZE)
		EXPECT_NOTHING(HOST_DEVICE + HIDDEN + at);
	EXPECT_LEAF(HOST_DEVICE + HIDDEN + hidden.size, HIDDEN + hidden.size,
		    UNCACHED);
}

TEST(nothing_is_mapped_low)
{
	EXPECT_EQ(build(4 * GIB), 0);
	for (u64 at = 0; at < 1ULL << 47; at += 1ULL << 39)
		if (at != ((u64)image_start & ~((1ULL << 39) - 1)))
			EXPECT_NOTHING(at);
}

TEST(four_gib_at_least)
{
	EXPECT_EQ(build(64 * MIB), 0);
	EXPECT(host_maps(4 * GIB - 1, 1));
	EXPECT_LEAF(HOST_DEVICE + 4 * GIB - 1, 4 * GIB - 1, UNCACHED);
}

TEST(each_missing_page_is_an_error)
{
	unsigned int all;

	EXPECT_EQ(build(4 * GIB), 0);
	all = used;
	for (unsigned int n = 0; n < all; n++) {
		used = 0;
		limit = n;
		EXPECT_EQ(host_build(4 * GIB, &root), -ENOMEM);
	}
}

TEST(guard_pages)
{
	EXPECT_EQ(build(4 * GIB), 0);
	EXPECT_EQ(host_unmap_page((void *)(HOST_DIRECT + HIDDEN + MIB)), 0);
	EXPECT_NOTHING(HOST_DIRECT + HIDDEN + MIB);
	EXPECT_LEAF(HOST_DIRECT + HIDDEN + MIB - 1, HIDDEN + MIB - 1, WRITABLE);
}

TEST_MAIN(CASE(memory_is_written_and_never_executed),
	  CASE(image_is_never_written_and_executed),
	  CASE(devices_are_never_cached),
	  CASE(no_device_lies_in_the_hidden_region),
	  CASE(nothing_is_mapped_low), CASE(four_gib_at_least),
	  CASE(each_missing_page_is_an_error), CASE(guard_pages))

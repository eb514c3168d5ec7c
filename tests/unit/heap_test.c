/*
 * The program SDK's allocator.
 * units: tools/sdk/libc/heap.c
 */
#include <stdlib.h>
#include <string.h>

#include "tools/sdk/libc/heap.h"
#include "tests/unit/test.h"

#define REGION (4UL << 20)

static u8 region[REGION] __attribute__((aligned(4096)));
static struct heap h;

static void fresh(size_t size)
{
	memset(region, 0xa5, sizeof(region));
	EXPECT(heap_init(&h, region, size));
}

TEST(init)
{
	EXPECT(!heap_init(&h, region, 0));
	EXPECT(!heap_init(&h, region, 4095));
	EXPECT(!heap_init(&h, region, 4096));
	EXPECT(heap_init(&h, region, 8192));
	EXPECT(heap_alloc(&h, 4096) == region + 4096);
	EXPECT(!heap_alloc(&h, 1));
	/* neither end on a page */
	EXPECT(heap_init(&h, region + 1, 3 * 4096));
	EXPECT_EQ(h.pages, 1);
}

TEST(sizes)
{
	fresh(REGION);
	for (size_t size = 0; size <= 20000; size += size < 3000 ? 1 : 97) {
		u8 *p = heap_alloc(&h, size);

		EXPECT(p && (uintptr_t)p % 16 == 0);
		EXPECT(heap_room(&h, p) >= size);
		memset(p, 0xff, heap_room(&h, p));
		EXPECT(heap_free(&h, p));
	}
	EXPECT_EQ(h.live, 0);
	EXPECT_EQ(h.class_of[0], 0);
	EXPECT_EQ(h.class_of[1], 0);
	EXPECT_EQ(heap_room(&h, heap_alloc(&h, 17)), 32);
	EXPECT_EQ(heap_room(&h, heap_alloc(&h, 513)), 672);
	EXPECT_EQ(heap_room(&h, heap_alloc(&h, 2048)), 2048);
	EXPECT_EQ(heap_room(&h, heap_alloc(&h, 2049)), 4096);
}

/* Everything can be had as one run again after everything was freed. */
TEST(exhaust)
{
	static void *got[REGION / 16];
	u64 most;

	fresh(REGION);
	most = (u64)h.pages * PAGE_SIZE;
	for (size_t size = 16; size <= 65536; size = size * 3 / 2 + 16) {
		size_t n = 0;

		while ((got[n] = heap_alloc(&h, size)))
			n++;
		EXPECT(n >= most / (size + size / 4 + 4096));
		for (size_t i = 0; i < n; i += 2)
			EXPECT(heap_free(&h, got[i]));
		for (size_t i = 1; i < n; i += 2)
			EXPECT(heap_free(&h, got[i]));
		EXPECT_EQ(h.live, 0);
		/* one page of each small size used so far may be kept */
		EXPECT(h.used <= HEAP_CLASSES * PAGE_SIZE);
	}
	EXPECT(!heap_alloc(&h, most + 1));
	EXPECT(!heap_alloc(&h, SIZE_MAX));
	fresh(REGION);
	got[0] = heap_alloc(&h, most);
	EXPECT(got[0] && !heap_alloc(&h, 1));
	EXPECT(heap_free(&h, got[0]));
	EXPECT(heap_alloc(&h, most));
}

TEST(resize)
{
	u8 *p, *q;

	fresh(REGION);
	p = heap_alloc(&h, 10);
	memcpy(p, "0123456789", 10);
	EXPECT(heap_resize(&h, p, 16) == p);
	for (size_t size = 17; size < REGION / 2; size = size * 5 / 4 + 1) {
		p = heap_resize(&h, p, size);
		EXPECT(p && !memcmp(p, "0123456789", 10));
	}
	EXPECT_EQ(h.live, 1);
	/* a run grows where it is, also by what is left exactly */
	fresh(REGION);
	p = heap_alloc(&h, 5000);
	EXPECT(heap_resize(&h, p, (size_t)h.pages * 4096) == p);
	EXPECT(!heap_resize(&h, p, (size_t)h.pages * 4096 + 1));
	EXPECT(!heap_resize(&h, p, SIZE_MAX));
	q = heap_resize(&h, p, 100);
	/* no room for the copy: it stays */
	EXPECT(q == p);
	EXPECT(heap_free(&h, q));
	p = heap_alloc(&h, 100000);
	q = heap_resize(&h, p, 100);
	EXPECT(q && q != p);
	EXPECT_EQ(heap_room(&h, q), 112);
}

TEST(wrong_pointers)
{
	u8 *small, *large;
	int other;

	fresh(REGION);
	small = heap_alloc(&h, 100);
	EXPECT(heap_alloc(&h, 100));
	large = heap_alloc(&h, 10000);
	EXPECT(!heap_free(&h, &other));
	EXPECT(!heap_free(&h, small + 1));
	EXPECT(!heap_free(&h, large + 16));
	EXPECT(!heap_free(&h, large + 4096));
	EXPECT(!heap_free(&h, region + REGION - 4096));
	EXPECT(!heap_free(&h, region));
	EXPECT(heap_free(&h, small));
	EXPECT(!heap_free(&h, small));
	EXPECT(heap_free(&h, large));
	EXPECT(!heap_free(&h, large));
	EXPECT_EQ(heap_room(&h, large), 0);
	EXPECT(!heap_resize(&h, large, 5));
	EXPECT_EQ(h.live, 1);
}

struct block {
	u8 *p;
	size_t size;
	u8 mark;
};

static bool whole(const struct block *b)
{
	for (size_t i = 0; i < b->size; i++)
		if (b->p[i] != b->mark)
			return false;
	return true;
}

static size_t any_size(void)
{
	size_t bits = (size_t)rand() % 15;

	return (size_t)rand() % ((size_t)1 << bits) + 1;
}

static void change(struct block *b, u8 mark)
{
	u8 *p;

	if (b->p && rand() % 3) {
		EXPECT(whole(b) && heap_free(&h, b->p));
		b->p = NULL;
		return;
	}
	p = b->p ? NULL : heap_alloc(&h, b->size = any_size());
	if (b->p) {
		size_t size = any_size();

		p = heap_resize(&h, b->p, size);
		if (!p)
			return;
		b->size = size < b->size ? size : b->size;
		b->p = p;
		EXPECT(whole(b));
		b->size = size;
	}
	b->p = p;
	b->mark = mark;
	if (p)
		memset(p, mark, b->size);
}

/* A random mix: no two allocations share a byte, nothing leaks. */
TEST(storm)
{
	static struct block blocks[400];

	fresh(REGION / 4);
	srand(1);
	for (int i = 0; i < 200000 && !test_failures; i++)
		change(&blocks[rand() % 400], (u8)i);
	for (int i = 0; i < 400; i++)
		if (blocks[i].p)
			EXPECT(whole(&blocks[i]) && heap_free(&h, blocks[i].p));
	EXPECT_EQ(h.live, 0);
	EXPECT(h.used <= HEAP_CLASSES * PAGE_SIZE);
	EXPECT(heap_alloc(&h, (h.pages - HEAP_CLASSES - 1) / 2 * PAGE_SIZE));
}

TEST_MAIN(CASE(init), CASE(sizes), CASE(exhaust), CASE(resize),
	  CASE(wrong_pointers), CASE(storm))

/*
 * Pairs of malloc and free per second: the SDK's allocator against glibc's, in
 * the mix of sizes that libcrypto asks for when it signs (mostly 8 to 512
 * bytes, now and then a few KiB), with up to LIVE blocks alive at a time.
 *
 *     alloc [PAIRS]
 *
 * units: tools/sdk/libc/heap.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tools/sdk/libc/heap.h"

#define LIVE   256
#define ORDER  4096
#define REGION (8UL << 20)

static u16 sizes[ORDER];
static u16 victims[ORDER];
static u32 pairs = 20000000;
static u8 region[REGION] __attribute__((aligned(4096)));

static void make_order(void)
{
	static const u16 most[] = { 32, 32, 64, 64, 128, 256, 512, 4096 };

	srand(1);
	for (int i = 0; i < ORDER; i++) {
		sizes[i] = (u16)(rand() % most[rand() % 8] + 1);
		victims[i] = (u16)(rand() % LIVE);
	}
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#define MEASURE(rate, alloc, release)                         \
	do {                                                  \
		static void *live[LIVE];                      \
		double start = cpu_seconds();                 \
		for (unsigned int i = 0; i < pairs; i++) {    \
			void **p = &live[victims[i % ORDER]]; \
			if (*p)                               \
				release(*p);                  \
			*p = alloc(sizes[i % ORDER]);         \
			*(volatile u8 *)*p = 1;               \
		}                                             \
		rate = pairs / (cpu_seconds() - start);       \
	} while (0)

static struct heap heap;

static void *ours_alloc(size_t size)
{
	return heap_alloc(&heap, size);
}

static void ours_free(void *p)
{
	if (!heap_free(&heap, p))
		abort();
}

int main(int argc, char **argv)
{
	double ours, glibc;

	if (argc == 2)
		pairs = (u32)atoi(argv[1]);
	make_order();
	if (!heap_init(&heap, region, REGION))
		return 1;
	MEASURE(glibc, malloc, free);
	MEASURE(ours, ours_alloc, ours_free);
	printf("malloc/free pairs: SDK %.1f M/s, glibc %.1f M/s, ratio %.2f\n",
	       ours / 1e6, glibc / 1e6, ours / glibc);
	return 0;
}

/*
 * What the models of disk controllers stand on: guest RAM and hidden memory
 * above it, for core/mm/gmem.h and core/io/dma.h; a log that goes nowhere;
 * random numbers; the image of a disk.
 */
#ifndef TESTS_UNIT_MODEL_MEMORY_H
#define TESTS_UNIT_MODEL_MEMORY_H

#include "core/lib/bytes.h"

#define MODEL_LOW   4096ULL	   /* sectors kept from LBA 0 on ... */
#define MODEL_HIGH  (BIT(28) - 64) /* ... and as many from here on */
#define MODEL_IMAGE (2 * MODEL_LOW * 512)

/*
 * The first @ram of @size bytes are the guest's. All hidden memory is free
 * again, and the same random numbers come. @wipe: what is allocated is zeroed;
 * else it is as it was left, for a fuzzer that has much of it.
 */
void model_memory_init(u8 *memory, u32 ram, u32 size, bool wipe);
u32 model_random(void);
/* The place of a sector of @size bytes in an image; NULL if none is kept. */
u8 *model_image_sector(u8 *image, u32 size, u64 lba);

/* Word @n of what IDENTIFY returns. */
static inline void put_word(u8 *buf, int n, u16 v)
{
	store_le16(buf + 2 * n, v);
}

#endif

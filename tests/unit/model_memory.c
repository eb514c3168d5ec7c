#include "tests/unit/model_memory.h"

#include <string.h>

#include "core/io/dma.h"
#include "core/lib/errors.h"
#include "core/lib/log.h"
#include "core/lib/range.h"
#include "core/mm/gmem.h"

static struct {
	u8 *base;
	u32 ram, size, used; /* used: the guest's and what was allocated */
	bool wipe;
} memory;
static u64 seed;

void model_memory_init(u8 *base, u32 ram, u32 size, bool wipe)
{
	memory.base = base;
	memory.ram = memory.used = ram;
	memory.size = size;
	memory.wipe = wipe;
	seed = 88172645463325252ULL;
}

u32 model_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (u32)(seed >> 16);
}

u8 *model_image_sector(u8 *image, u32 size, u64 lba)
{
	u64 half = MODEL_IMAGE / 2 / size;

	if (lba < half)
		return image + lba * size;
	if (lba >= MODEL_HIGH && lba - MODEL_HIGH < half)
		return image + (lba - MODEL_HIGH + half) * size;
	return NULL;
}

void *gmem_ptr(gpa_t gpa, u64 len)
{
	return range_ok(gpa, len, memory.ram) ? memory.base + gpa : NULL;
}

int dma_copy_in(gpa_t gpa, void *dst, size_t len)
{
	if (!gmem_ptr(gpa, len))
		return -EFAULT;
	memcpy(dst, memory.base + gpa, len);
	return 0;
}

void *dma_alloc(size_t pages, hpa_t *pa)
{
	u32 align = PAGE_SIZE, at;

	while (align * 2 <= pages * PAGE_SIZE)
		align *= 2;
	at = (u32)align_up(memory.used, align);
	if (!range_ok(at, pages * PAGE_SIZE, memory.size))
		return NULL;
	memory.used = at + (u32)(pages * PAGE_SIZE);
	*pa = at;
	if (memory.wipe)
		memset(memory.base + at, 0, pages * PAGE_SIZE);
	return memory.base + at;
}

void log_line(const char *format, ...)
{
}

void log_limited(struct log_limit *limit, const char *format, ...)
{
	limit->count++;
}

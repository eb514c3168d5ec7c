#include "core/io/sg.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/mm/gmem.h"

u64 sg_bytes(const struct sg_list *sg)
{
	u64 sum = 0;

	for (u32 i = 0; i < sg->count; i++)
		sum += sg->seg[i].len;
	return sum;
}

int sg_check(const struct sg_list *sg)
{
	for (u32 i = 0; i < sg->count; i++) {
		const struct sg_seg *seg = &sg->seg[i];

		if (seg->len && !gmem_ptr(seg->gpa, seg->len))
			return -EFAULT;
	}
	return 0;
}

void *sg_ptr(gpa_t gpa, u32 len)
{
	return gmem_ptr(gpa, len);
}

void sg_write(const struct sg_list *sg, const void *src, u64 len)
{
	const u8 *p = src;

	for (u32 i = 0; i < sg->count && len; i++) {
		u32 n = (u32)min_u64(sg->seg[i].len, len);

		memcpy(sg_ptr(sg->seg[i].gpa, n), p, n);
		p += n;
		len -= n;
	}
}

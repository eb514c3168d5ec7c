#include "core/program/space.h"

#include "core/lib/panic.h"
#include "core/lib/range.h"

void space_add(struct space *s, u64 start, u64 size, u8 access, u8 *host)
{
	assert(s->count < SPACE_AREAS_MAX);
	s->area[s->count++] = (struct space_area){ start, size, access, host };
}

void *space_find(const struct space *s, u64 va, u64 len, u8 access)
{
	if (!len)
		return s->area[0].host;
	for (u32 i = 0; i < s->count; i++) {
		const struct space_area *a = &s->area[i];

		if (va >= a->start && range_ok(va - a->start, len, a->size))
			return (a->access & access) == access
				       ? a->host + (va - a->start)
				       : NULL;
	}
	return NULL;
}

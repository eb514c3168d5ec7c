#include "core/cpu/symbols.h"

#include "core/lib/string.h"

const char *symbols_find(const struct symbols *s, u64 address, u64 *offset)
{
	const char *name = s->names;
	u64 at = address - s->base;
	u64 i = 0;

	if (!s->count || address < s->base || at < s->offset[0] ||
	    at >= s->offset[s->count])
		return NULL;
	for (; at >= s->offset[i + 1]; i++)
		name += strlen(name) + 1;
	*offset = at - s->offset[i];
	return name;
}

#include "core/io/dma.h"
#include "core/mm/gmem.h"
#include "core/mm/pool.h"

int dma_copy_in(gpa_t gpa, void *dst, size_t len)
{
	return gmem_read(gpa, dst, len);
}

void *dma_alloc(size_t pages, hpa_t *pa)
{
	void *p = pool_alloc(pages);

	if (p)
		*pa = virt_to_phys(p);
	return p;
}

#include "core/program/program.h"

#include "core/io/mmio.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/mm/gmem.h"
#include "core/virt/guest.h"

/* The host's pointer to the first bytes of [@address, +@len) that lie in one
 * page, *@n of them. */
static int page_of(struct vcpu *v, u64 address, u64 len, bool write, u8 **page,
		   u64 *n, struct guest_mem_fault *fault)
{
	unsigned int access = write ? WALK_WRITE : WALK_READ;
	u64 linear;
	gpa_t gpa;

	*n = min_u64(len, PAGE_SIZE - address % PAGE_SIZE);
	if (guest_linear(v, SEG_DS, address, *n, access, &linear, fault) ||
	    guest_translate(v, linear, access, &gpa, fault))
		return CALLER_TRAP;
	*page = mmio_hooked(gpa) ? NULL : gmem_ptr(gpa, *n);
	return *page ? 0 : -EFAULT;
}

int caller_copy(struct vcpu *v, u64 address, void *data, u64 len, bool write,
		struct guest_mem_fault *fault)
{
	u8 *page;
	u64 n;
	int rc;

	for (u64 done = 0; done < len; done += n) {
		rc = page_of(v, address + done, len - done, write, &page, &n,
			     fault);
		if (rc)
			return rc;
		if (data && write)
			memcpy(page, (u8 *)data + done, n);
		else if (data)
			memcpy((u8 *)data + done, page, n);
	}
	return 0;
}

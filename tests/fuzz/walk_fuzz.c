/*
 * Any page tables, control registers and accesses: it ends, an address lies
 * within the width it may have, and a fault writes nothing.
 *
 * units: core/mm/walk.c
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/arch/regs.h"
#include "core/lib/range.h"
#include "core/mm/walk.h"

#define HEADER 51 /* registers, linear address, three bytes of choices */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct space {
	bool changed; /* an entry was not what the walk had read */
	u8 ram[4096];
	unsigned int writes, reads;
	u8 fail_at;
};

/* All of physical memory is this one page, over and over. */
static int mem_read(void *ctx, gpa_t at, void *dst, size_t len)
{
	struct space *s = ctx;

	if ((len != 4 && len != 8) || at & (len - 1) || at >> 52 ||
	    s->reads > 100)
		abort();
	if (++s->reads == s->fail_at)
		return -EFAULT;
	memcpy(dst, s->ram + at % sizeof(s->ram), len);
	return 0;
}

static int mem_cmpxchg(void *ctx, gpa_t at, u64 old, u64 new_value,
		       unsigned int size)
{
	struct space *s = ctx;
	u64 now = 0;

	if (size != 4 && size != 8)
		abort();
	memcpy(&now, s->ram + at % sizeof(s->ram), size);
	if (now != old) {
		s->changed = true;
		return 1;
	}
	if ((old ^ new_value) & ~(PTE_A | PTE_D))
		abort();
	memcpy(s->ram + at % sizeof(s->ram), &new_value, size);
	s->writes++;
	return 0;
}

static void check_fault(const struct space *s, const struct walk_cpu *cpu,
			unsigned int access, u32 error)
{
	/* A table that is its own upper level too changes as A and D are set,
	 * and may fault when the walk begins anew. */
	if ((s->writes && !s->changed) ||
	    error & ~(PF_P | PF_W | PF_U | PF_RSVD | PF_I))
		abort();
	if (!!(error & PF_U) != cpu->user ||
	    !!(error & PF_W) != !!(access & WALK_WRITE))
		abort();
	if (error & PF_RSVD && !(error & PF_P))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct space s = { .writes = 0 };
	struct walk_mem mem = { mem_read, mem_cmpxchg, &s };
	struct {
		struct walk_cpu cpu;
		u64 linear;
		u8 access, bools, fail_at;
	} in;
	u32 error = 0;
	gpa_t gpa = 0;
	int rc;

	memset(&in, 0, sizeof(in));
	if (size < HEADER)
		return 0;
	memcpy(&in.cpu.cr0, data, 5 * 8);
	memcpy(&in.linear, data + 40, 8);
	in.access = data[48] & 3;
	in.cpu.user = data[48] & 4;
	s.fail_at = data[49] & 31;
	in.cpu.maxphyaddr = 32 + data[50] % 21;
	in.cpu.cr0 |= data[48] & 16 ? 0 : CR0_PG;
	in.cpu.cr4 |= in.cpu.efer & EFER_LMA ? CR4_PAE : 0;
	size -= HEADER;
	memcpy(s.ram, data + HEADER, min_u64(size, sizeof(s.ram)));
	for (size_t i = size; size && i < sizeof(s.ram); i++)
		s.ram[i] = s.ram[i - size];

	rc = walk_linear(&in.cpu, &mem, in.linear, in.access, &gpa, &error);
	if (rc == WALK_FAULT)
		check_fault(&s, &in.cpu, in.access, error);
	else if (rc && rc != -EFAULT)
		abort();
	else if (!rc && gpa >> max_u64(in.cpu.maxphyaddr, 40) &&
		 in.cpu.cr0 & CR0_PG)
		abort();
	return 0;
}

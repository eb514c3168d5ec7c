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
#include "core/mm/gmem.h"
#include "core/mm/walk.h"

#define HEADER 51 /* registers, linear address, three bytes of choices */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All of physical memory is this one page, over and over. */
static struct {
	_Alignas(8) u8 ram[4096];
	gpa_t first;
	unsigned int calls, passes;
	u8 fail_at;
} space;

void *gmem_ptr(gpa_t at, u64 len)
{
	if ((len != 4 && len != 8) || at & (len - 1) || at >> 52 ||
	    space.calls > 100)
		abort();
	if (!space.calls)
		space.first = at;
	space.passes += at == space.first;
	if (++space.calls == space.fail_at)
		return NULL;
	return space.ram + at % sizeof(space.ram);
}

/* Only accessed and dirty flags are set, in whole bytes of an entry. */
static unsigned int check_writes(const u8 *before)
{
	unsigned int writes = 0;

	for (size_t i = 0; i < sizeof(space.ram); i++) {
		u8 changed = space.ram[i] ^ before[i];

		writes += changed != 0;
		if (changed & ~(PTE_A | PTE_D) || changed & before[i] ||
		    (changed && i % 4))
			abort();
	}
	return writes;
}

static void check_fault(unsigned int writes, const struct walk_cpu *cpu,
			unsigned int access, u32 error)
{
	/* A table that is its own upper level too changes as A and D are set,
	 * and may fault when the walk begins anew. */
	if ((writes && space.passes < 2) ||
	    error & ~(PF_P | PF_W | PF_U | PF_RSVD | PF_I))
		abort();
	if (!!(error & PF_U) != cpu->user ||
	    !!(error & PF_W) != !!(access & WALK_WRITE))
		abort();
	if (error & PF_RSVD && !(error & PF_P))
		abort();
}

/* Once a bit may have changed: what is said to be the same leads to the
 * same page, and nothing has to be set. */
static void check_same(const struct walk_cpu *cpu, u64 linear,
		       unsigned int access, gpa_t gpa,
		       const struct walk_trail *trail, u8 where)
{
	u8 before[sizeof(space.ram)];
	gpa_t again = ~gpa;
	u32 error;

	if (!(cpu->efer & EFER_LMA))
		return;
	if (where & 1 && trail->entries)
		*trail->entry[where / 2 % trail->entries].at ^= BIT(where / 4);
	if (!walk_same(trail))
		return;
	space.fail_at = 0;
	space.calls = 0;
	memcpy(before, space.ram, sizeof(before));
	if (walk_linear(cpu, linear, access, &again, &error, NULL) ||
	    again != gpa || memcmp(before, space.ram, sizeof(before)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	u8 before[sizeof(space.ram)];
	struct {
		struct walk_cpu cpu;
		u64 linear;
		u8 access, bools, fail_at;
	} in;
	struct walk_trail trail;
	unsigned int writes;
	u32 error = 0;
	gpa_t gpa = 0;
	int rc;

	memset(&in, 0, sizeof(in));
	memset(&space, 0, sizeof(space));
	if (size < HEADER)
		return 0;
	memcpy(&in.cpu.cr0, data, 5 * 8);
	memcpy(&in.linear, data + 40, 8);
	in.access = data[48] & 3;
	in.cpu.user = data[48] & 4;
	space.fail_at = data[49] & 31;
	in.cpu.maxphyaddr = 32 + data[50] % 21;
	in.cpu.cr0 |= data[48] & 16 ? 0 : CR0_PG;
	in.cpu.cr4 |= in.cpu.efer & EFER_LMA ? CR4_PAE : 0;
	size -= HEADER;
	memcpy(space.ram, data + HEADER, min_u64(size, sizeof(space.ram)));
	for (size_t i = size; size && i < sizeof(space.ram); i++)
		space.ram[i] = space.ram[i - size];

	memcpy(before, space.ram, sizeof(before));
	rc = walk_linear(&in.cpu, in.linear, in.access, &gpa, &error, &trail);
	writes = check_writes(before);
	if (rc == WALK_FAULT)
		check_fault(writes, &in.cpu, in.access, error);
	else if (rc && rc != -EFAULT)
		abort();
	else if (!rc && gpa >> max_u64(in.cpu.maxphyaddr, 40) &&
		 in.cpu.cr0 & CR0_PG)
		abort();
	else if (!rc)
		check_same(&in.cpu, in.linear, in.access, gpa, &trail,
			   data[49]);
	return 0;
}

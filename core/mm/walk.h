/*
 * A walk of the guest's own page tables (SDM vol. 3, 4; APM vol. 2, 5): not
 * paged, 32-bit with PSE-36, PAE, 4- and 5-level. PAE's four upper entries are
 * read at each walk; an Intel CPU keeps those that it found when CR3 was loaded.
 * Pure but for the accesses it asks for.
 */
#ifndef CORE_MM_WALK_H
#define CORE_MM_WALK_H

#include "core/arch/regs.h"
#include "core/lib/types.h"

struct walk_cpu {
	u64 cr0, cr3, cr4, efer, rflags;
	bool user;     /* CPL 3 */
	u8 maxphyaddr; /* of the CPU, CPUID 80000008h: 32 to 52 */
};

#define WALK_LEVELS_MAX 5

enum walk_access {
	WALK_READ = 0,
	WALK_WRITE = 1,
	WALK_FETCH = 2
};

#define WALK_FAULT 1

/* What a walk read, top down, with the flags that it set. */
struct walk_trail {
	unsigned int entries;
	struct {
		u64 *at, value;
	} entry[WALK_LEVELS_MAX];
};

static inline bool walk_canonical(const struct walk_cpu *cpu, u64 linear)
{
	unsigned int unused = cpu->cr4 & CR4_LA57 ? 7 : 16;

	return (s64)(linear << unused) >> unused == (s64)linear;
}

/*
 * Translates @linear, which is canonical, for @access (access bits may be
 * combined) and, unless it faults, sets the accessed and dirty flags. For what
 * the CPU itself does (descriptors, TSS), @user and RFLAGS.AC are clear. 0 and
 * *@gpa; WALK_FAULT and *@error_code, the #PF error code (SDM vol. 3, 4.7); or
 * -EFAULT when a table lies outside of memory. @trail may be NULL.
 */
int walk_linear(const struct walk_cpu *cpu, u64 linear, unsigned int access,
		gpa_t *gpa, u32 *error_code,
		struct walk_trail *trail) must_check;

/* In long mode, with a @cpu that holds what it held: would the walk that left
 * @trail go the same way? */
bool walk_same(const struct walk_trail *trail) must_check;

#endif

/*
 * Memory types by the MTRRs (SDM vol. 3, 11.11). Pure: works on a copy of the
 * registers.
 */
#ifndef CORE_VIRT_MTRR_H
#define CORE_VIRT_MTRR_H

#include "core/lib/types.h"
#include "core/virt/virt.h"

#define MTRR_VAR_MAX 16

struct mtrr {
	bool enabled;
	bool fixed_enabled;
	u8 default_type;
	u8 vars;
	u64 fixed[11]; /* 64K, two 16K, eight 4K registers, 8 types each */
	struct {
		u64 base;
		u64 mask;
	} var[MTRR_VAR_MAX];
};

/* This CPU's registers. */
void mtrr_read(struct mtrr *m);

/*
 * The type at @pa, and *@end: up to where it is known to be the same. @pa is
 * 4 KiB aligned, @maxphyaddr the CPU's.
 */
enum mem_type mtrr_type(const struct mtrr *m, u8 maxphyaddr, hpa_t pa,
			hpa_t *end);

/*
 * Could any page of [pa, pa + len), which lies above 1 MiB, be write-combining?
 * So it could where ranges overlap of which one is.
 */
bool mtrr_combines(const struct mtrr *m, u8 maxphyaddr, hpa_t pa, u64 len);

#endif

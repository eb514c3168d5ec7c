#include "core/virt/mtrr.h"

#include "core/arch/msr.h"
#include "core/arch/x86.h"
#include "core/lib/range.h"

void mtrr_read(struct mtrr *m)
{
	u64 cap = rdmsr(MSR_MTRRCAP), def = rdmsr(MSR_MTRR_DEF_TYPE);

	m->enabled = def & MTRR_DEF_TYPE_E;
	m->fixed_enabled = cap & MTRRCAP_FIX && def & MTRR_DEF_TYPE_FE;
	m->default_type = def & 7;
	m->vars = min_u64(cap & MTRRCAP_VCNT, MTRR_VAR_MAX);
	for (unsigned int i = 0; i < m->vars; i++) {
		m->var[i].base = rdmsr(MSR_MTRR_PHYSBASE(i));
		m->var[i].mask = rdmsr(MSR_MTRR_PHYSMASK(i));
	}
	if (!(cap & MTRRCAP_FIX))
		return;
	m->fixed[0] = rdmsr(MSR_MTRR_FIX64K_00000);
	m->fixed[1] = rdmsr(MSR_MTRR_FIX16K_80000);
	m->fixed[2] = rdmsr(MSR_MTRR_FIX16K_A0000);
	for (unsigned int i = 0; i < 8; i++)
		m->fixed[3 + i] = rdmsr(MSR_MTRR_FIX4K_C0000 + i);
}

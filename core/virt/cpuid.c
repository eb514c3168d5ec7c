/* What the guest sees of CPUID: the CPU as it is, but for virtualisation. */
#include "core/virt/guest.h"

#include "core/arch/cpuid.h"
#include "core/arch/regs.h"
#include "core/arch/x86.h"

#define ANY (~0U)

/*
 * Bits that are cleared. SVM's and VMX's own leaves read as zero. Processor
 * trace would write to physical memory past the nested table, the debug store
 * and architectural PEBS to linear addresses in host mode. INVLPGB, RDMSRLIST
 * and WRMSRLIST are #UD in a guest. The events that Shoji injects are none of
 * FRED's.
 */
static const struct {
	u32 leaf, subleaf;
	struct cpuid hidden;
} masks[] = {
	{ CPUID_FEATURES,
	  ANY,
	  { .ecx = CPUID_01_ECX_VMX | CPUID_01_ECX_SMX | CPUID_01_ECX_DTES64 |
		   CPUID_01_ECX_DS_CPL,
	    .edx = CPUID_01_EDX_DS } },
	{ CPUID_STRUCTURED, 0, { .ebx = CPUID_07_EBX_PT } },
	{ CPUID_STRUCTURED,
	  1,
	  { .eax = CPUID_071_EAX_FRED | CPUID_071_EAX_MSRLIST } },
	{ CPUID_XSTATE, 1, { .ecx = CPUID_0D1_ECX_PT } },
	{ 0x14, ANY, { ~0U, ~0U, ~0U, ~0U } }, /* processor trace */
	{ CPUID_PERFMON, 0, { .eax = CPUID_23_EAX_PEBS } },
	{ CPUID_PERFMON, 4, { ~0U, ~0U, ~0U, ~0U } }, /* PEBS */
	{ CPUID_PERFMON, 5, { ~0U, ~0U, ~0U, ~0U } },
	{ CPUID_EXT_FEATURES,
	  ANY,
	  { .ecx = CPUID_80000001_ECX_SVM | CPUID_80000001_ECX_SKINIT } },
	{ CPUID_ADDR_SIZES, ANY, { .ebx = CPUID_80000008_EBX_INVLPGB } },
	{ CPUID_SVM, ANY, { ~0U, ~0U, ~0U, ~0U } },
	{ CPUID_ENCRYPTION, ANY, { ~0U, ~0U, ~0U, ~0U } },
};

/* Bits that mirror CR4, which is the host's while we execute CPUID. */
static u32 mirror(u32 reg, u32 bit, bool set)
{
	return set ? reg | bit : reg & ~bit;
}

void guest_cpuid(struct vcpu *v, const struct vmexit *exit)
{
	u32 leaf = v->gpr[GPR_RAX], subleaf = v->gpr[GPR_RCX];
	struct cpuid r = cpuid_count(leaf, subleaf);
	u64 cr4 = v->guest->ops->get(v, VREG_CR4);

	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		if (masks[i].leaf != leaf ||
		    (masks[i].subleaf != ANY && masks[i].subleaf != subleaf))
			continue;
		r.eax &= ~masks[i].hidden.eax;
		r.ebx &= ~masks[i].hidden.ebx;
		r.ecx &= ~masks[i].hidden.ecx;
		r.edx &= ~masks[i].hidden.edx;
	}
	if (leaf == CPUID_FEATURES)
		r.ecx = mirror(r.ecx, CPUID_01_ECX_OSXSAVE, cr4 & CR4_OSXSAVE);
	if (leaf == CPUID_STRUCTURED && subleaf == 0)
		r.ecx = mirror(r.ecx, CPUID_07_ECX_OSPKE, cr4 & CR4_PKE);
	v->gpr[GPR_RAX] = r.eax;
	v->gpr[GPR_RBX] = r.ebx;
	v->gpr[GPR_RCX] = r.ecx;
	v->gpr[GPR_RDX] = r.edx;
	guest_skip(v, exit);
}

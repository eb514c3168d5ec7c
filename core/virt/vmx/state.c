/* The guest's registers, as the guest sees them. */
#include "core/virt/vmx/vmx.h"

#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/mm/gmem.h"
#include "core/virt/vmx/vmcs.h"

#define PDPTE_RESERVED (BITS(2, 1) | BITS(8, 5) | BITS(63, 52))

/* Those that are simply a field. */
static const u16 fields[VREG_COUNT] = {
	[VREG_CR3] = GUEST_CR3,
	[VREG_EFER] = GUEST_IA32_EFER,
	[VREG_DR7] = GUEST_DR7,
	[VREG_PAT] = GUEST_IA32_PAT,
	[VREG_SYSENTER_CS] = GUEST_IA32_SYSENTER_CS,
	[VREG_SYSENTER_ESP] = GUEST_IA32_SYSENTER_ESP,
	[VREG_SYSENTER_EIP] = GUEST_IA32_SYSENTER_EIP,
};

static u64 shadowed(u64 real, u64 shadow, u64 mask)
{
	return (real & ~mask) | (shadow & mask);
}

u64 vmx_get(struct vcpu *v, enum vreg reg)
{
	switch (reg) {
	case VREG_CR0:
		return shadowed(vmread(GUEST_CR0), vmread(CR0_READ_SHADOW),
				vmx_caps->cr0_mask);
	case VREG_CR4:
		return shadowed(vmread(GUEST_CR4), vmread(CR4_READ_SHADOW),
				vmx_caps->cr4_mask);
	case VREG_CR2: /* neither of these two is switched */
		return read_cr2();
	case VREG_DR6:
		return read_dr6();
	case VREG_CPL:
		return (vmread(GUEST_SS_ACCESS_RIGHTS) & VSEG_DPL) >> 5;
	case VREG_INTERRUPTIBILITY:
		return !!(vmread(GUEST_INTERRUPTIBILITY) &
			  (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
	default:
		return reg < VREG_COUNT ? vmread(fields[reg]) : 0;
	}
}

/*
 * The four PDPTEs are the guest's registers (SDM vol. 3, 4.4.1). An entry on
 * which MOV to CR3 would fault, or the VM entry, counts as not present.
 */
static void load_pdptes(u64 cr3)
{
	u64 pdpte[4];
	u64 reserved = PDPTE_RESERVED;

	if (gmem_read(cr3 & BITS(31, 5), pdpte, sizeof(pdpte)))
		for (unsigned int i = 0; i < 4; i++)
			pdpte[i] = 0;
	if (vmx_caps->maxphyaddr < 52)
		reserved |= BITS(51, vmx_caps->maxphyaddr);
	for (unsigned int i = 0; i < 4; i++) {
		if (pdpte[i] & reserved)
			pdpte[i] = 0;
		vmwrite(GUEST_PDPTE0 + 2 * i, pdpte[i]);
	}
}

/* After a change of CR0, CR3, CR4 or EFER: makes LMA and the entry's mode
 * follow (SDM vol. 3, 9.8.5), loads the PDPTEs, forgets translations. */
static void update_paging(struct vmx_cpu *x)
{
	u64 cr0 = vmread(GUEST_CR0);
	u64 efer = vmread(GUEST_IA32_EFER) & ~EFER_LMA;
	u64 entry = vmread(ENTRY_CONTROLS) & ~ENTRY_IA32E;

	if (cr0 & CR0_PG && efer & EFER_LME) {
		efer |= EFER_LMA;
		entry |= ENTRY_IA32E;
	} else if (cr0 & CR0_PG && vmread(GUEST_CR4) & CR4_PAE) {
		load_pdptes(vmread(GUEST_CR3));
	}
	vmwrite(GUEST_IA32_EFER, efer);
	vmwrite(ENTRY_CONTROLS, entry);
	x->flush_linear = true;
}

/* Neither entry nor exit switches CD and NW (SDM vol. 3, 26.3.2.1): they are
 * the guest's all the time. */
static void set_cr0(u64 value)
{
	const u64 cache = CR0_CD | CR0_NW;
	u64 now = read_cr0();

	if ((now ^ value) & cache)
		write_cr0((now & ~cache) | (value & cache));
	vmwrite(CR0_READ_SHADOW, value);
	vmwrite(GUEST_CR0, value | vmx_caps->cr0_mask);
}

static void set_cr4(u64 value)
{
	vmwrite(CR4_READ_SHADOW, value);
	vmwrite(GUEST_CR4, (value & ~vmx_caps->cr4_mask) | vmx_caps->cr4_fixed);
}

void vmx_set(struct vcpu *v, enum vreg reg, u64 value)
{
	switch (reg) {
	case VREG_CR0:
		set_cr0(value);
		break;
	case VREG_CR4:
		set_cr4(value);
		break;
	case VREG_CR2:
		write_cr2(value);
		return;
	case VREG_DR6:
		write_dr6(value);
		return;
	case VREG_INTERRUPTIBILITY:
		vmwrite(GUEST_INTERRUPTIBILITY,
			vmread(GUEST_INTERRUPTIBILITY) &
				~(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
		return;
	default:
		if (reg < VREG_COUNT && fields[reg])
			vmwrite(fields[reg], value);
		if (reg != VREG_CR3 && reg != VREG_EFER)
			return;
		break;
	}
	update_paging(v->hw);
}

/*
 * Fields of a segment: GDTR and IDTR continue the bases and limits, but have
 * no selector and no rights. Access rights keep the descriptor's gap of four
 * bits (SDM vol. 3, table 24-2).
 */

static u16 from_rights(u32 ar)
{
	u16 attr = (ar & 0xff) | (ar >> 4 & 0xf00);

	return ar & AR_UNUSABLE ? attr & ~VSEG_P : attr;
}

static u32 to_rights(unsigned int seg, u16 attr)
{
	u32 ar = (attr & 0xff) | (attr & 0xf00) << 4;

	if (attr & VSEG_P || seg == SEG_TR)
		return ar;
	return ar | AR_UNUSABLE;
}

void vmx_get_seg(struct vcpu *v, unsigned int seg, struct vseg *s)
{
	*s = (struct vseg){
		.limit = vmread(GUEST_ES_LIMIT + 2 * seg),
		.base = vmread(GUEST_ES_BASE + 2 * seg),
	};
	if (seg >= SEG_GDTR)
		return;
	s->selector = vmread(GUEST_ES_SELECTOR + 2 * seg);
	s->attr = from_rights(vmread(GUEST_ES_ACCESS_RIGHTS + 2 * seg));
}

void vmx_set_seg(struct vcpu *v, unsigned int seg, const struct vseg *s)
{
	vmwrite(GUEST_ES_LIMIT + 2 * seg, s->limit);
	vmwrite(GUEST_ES_BASE + 2 * seg, s->base);
	if (seg >= SEG_GDTR)
		return;
	vmwrite(GUEST_ES_SELECTOR + 2 * seg, s->selector);
	vmwrite(GUEST_ES_ACCESS_RIGHTS + 2 * seg, to_rights(seg, s->attr));
}

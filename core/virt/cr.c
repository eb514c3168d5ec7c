/* Control-register writes that the back end had to stop, and XSETBV. */
#include "core/virt/guest.h"

#include "core/arch/regs.h"
#include "core/cpu/traps.h"

#define TYPE_BUSY_TSS16 3

/* SDM vol. 2, MOV to control registers: what gives #GP. */
static bool cr0_valid(struct vcpu *v, u64 value)
{
	const struct virt_ops *ops = v->guest->ops;
	u64 cr4 = ops->get(v, VREG_CR4), efer = ops->get(v, VREG_EFER);
	struct vseg cs, tr;

	if (value >> 32)
		return false;
	if (value & CR0_PG && !(value & CR0_PE))
		return false;
	if (value & CR0_NW && !(value & CR0_CD))
		return false;
	if (cr4 & CR4_CET && !(value & CR0_WP))
		return false;
	ops->get_seg(v, SEG_CS, &cs);
	ops->get_seg(v, SEG_TR, &tr);
	/* SDM vol. 3, 9.8.5 */
	if (value & CR0_PG && efer & EFER_LME &&
	    !(ops->get(v, VREG_CR0) & CR0_PG))
		return cr4 & CR4_PAE && !(cs.attr & VSEG_L) &&
		       (tr.attr & VSEG_TYPE) != TYPE_BUSY_TSS16;
	if (value & CR0_PG)
		return true;
	return !(cr4 & CR4_PCIDE) && !(efer & EFER_LMA && cs.attr & VSEG_L);
}

/* A write of CR4 only exits if it sets VMXE or SMXE, bits that this guest's CPU
 * does not have. */
void guest_cr_write(struct vcpu *v, const struct vmexit *exit)
{
	u64 value = v->gpr[exit->cr.gpr];

	if (guest_code_bits(v) != 64)
		value = (u32)value;
	if (exit->cr.cr != 0 || !cr0_valid(v, value)) {
		guest_fault(v, VECTOR_GP);
		return;
	}
	v->guest->ops->set(v, VREG_CR0, value | CR0_ET);
	guest_skip(v, exit);
}

/* XCR0 is not switched: what the guest sets is set. */
void guest_xsetbv(struct vcpu *v, const struct vmexit *exit)
{
	u64 value = v->gpr[GPR_RDX] << 32 | (u32)v->gpr[GPR_RAX];

	if (!(v->guest->ops->get(v, VREG_CR4) & CR4_OSXSAVE)) {
		guest_fault(v, VECTOR_UD);
		return;
	}
	if (v->guest->ops->get(v, VREG_CPL) != 0 ||
	    !xsetbv_safe(v->gpr[GPR_RCX], value)) {
		guest_fault(v, VECTOR_GP);
		return;
	}
	guest_skip(v, exit);
}

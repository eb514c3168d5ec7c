#include "core/virt/svm/svm.h"

#include "core/arch/regs.h"
#include "core/lib/panic.h"

/* EFER.SVME has to be set while the guest runs; the guest does not see it. */
u64 svm_get(struct vcpu *v, enum vreg reg)
{
	const struct vmcb *b = vmcb_of(v);

	switch (reg) {
	case VREG_CR0:
		return b->cr0;
	case VREG_CR2:
		return b->cr2;
	case VREG_CR3:
		return b->cr3;
	case VREG_CR4:
		return b->cr4;
	case VREG_EFER:
		return b->efer & ~EFER_SVME;
	case VREG_DR6:
		return b->dr6;
	case VREG_DR7:
		return b->dr7;
	case VREG_PAT:
		return b->g_pat;
	case VREG_SYSENTER_CS:
		return b->sysenter_cs;
	case VREG_SYSENTER_ESP:
		return b->sysenter_esp;
	case VREG_SYSENTER_EIP:
		return b->sysenter_eip;
	case VREG_CPL:
		return b->cpl;
	case VREG_INTERRUPTIBILITY:
		return b->interrupt_shadow & 1;
	case VREG_COUNT:
		break;
	}
	panic("svm_get: no register %d", reg);
}

void svm_set(struct vcpu *v, enum vreg reg, u64 value)
{
	struct vmcb *b = vmcb_of(v);

	switch (reg) {
	case VREG_CR0:
		b->cr0 = value;
		return;
	case VREG_CR2:
		b->cr2 = value;
		return;
	case VREG_CR3:
		b->cr3 = value;
		return;
	case VREG_CR4:
		b->cr4 = value;
		return;
	case VREG_EFER:
		b->efer = value | EFER_SVME;
		return;
	case VREG_DR6:
		b->dr6 = value;
		return;
	case VREG_DR7:
		b->dr7 = value;
		return;
	case VREG_PAT:
		b->g_pat = value;
		return;
	case VREG_SYSENTER_CS:
		b->sysenter_cs = value;
		return;
	case VREG_SYSENTER_ESP:
		b->sysenter_esp = value;
		return;
	case VREG_SYSENTER_EIP:
		b->sysenter_eip = value;
		return;
	case VREG_INTERRUPTIBILITY:
		b->interrupt_shadow = value & 1;
		return;
	case VREG_CPL:
	case VREG_COUNT:
		break;
	}
	panic("svm_set: register %d cannot be set", reg);
}

static struct vmcb_seg *segment(struct vmcb *b, unsigned int seg)
{
	switch (seg) {
	case SEG_LDTR:
		return &b->ldtr;
	case SEG_TR:
		return &b->tr;
	case SEG_GDTR:
		return &b->gdtr;
	case SEG_IDTR:
		return &b->idtr;
	default:
		assert(seg <= SEG_GS);
		return &b->seg[seg];
	}
}

void svm_get_seg(struct vcpu *v, unsigned int seg, struct vseg *s)
{
	const struct vmcb_seg *from = segment(vmcb_of(v), seg);

	*s = (struct vseg){
		.selector = from->selector,
		.attr = from->attr,
		.limit = from->limit,
		.base = from->base,
	};
}

/* The CPL lies in a field of its own and follows SS (APM vol. 2, 15.5.1). */
void svm_set_seg(struct vcpu *v, unsigned int seg, const struct vseg *s)
{
	struct vmcb *b = vmcb_of(v);

	*segment(b, seg) = (struct vmcb_seg){
		.selector = s->selector,
		.attr = s->attr,
		.limit = s->limit,
		.base = s->base,
	};
	if (seg == SEG_SS)
		b->cpl = (s->attr & VSEG_DPL) >> 5;
}

#include "core/virt/svm/svm.h"

#include "core/arch/regs.h"
#include "core/lib/panic.h"

/* Those that are simply a field, of 64 bits. */
static const u16 fields[VREG_COUNT] = {
	[VREG_CR0] = offsetof(struct vmcb, cr0),
	[VREG_CR2] = offsetof(struct vmcb, cr2),
	[VREG_CR3] = offsetof(struct vmcb, cr3),
	[VREG_CR4] = offsetof(struct vmcb, cr4),
	[VREG_DR6] = offsetof(struct vmcb, dr6),
	[VREG_DR7] = offsetof(struct vmcb, dr7),
	[VREG_PAT] = offsetof(struct vmcb, g_pat),
	[VREG_SYSENTER_CS] = offsetof(struct vmcb, sysenter_cs),
	[VREG_SYSENTER_ESP] = offsetof(struct vmcb, sysenter_esp),
	[VREG_SYSENTER_EIP] = offsetof(struct vmcb, sysenter_eip),
};

static le64 *field(struct vmcb *b, enum vreg reg)
{
	assert(reg < VREG_COUNT && fields[reg]);
	return (le64 *)((u8 *)b + fields[reg]);
}

/* EFER.SVME has to be set while the guest runs; the guest does not see it. */
u64 svm_get(struct vcpu *v, enum vreg reg)
{
	struct vmcb *b = vmcb_of(v);

	switch (reg) {
	case VREG_EFER:
		return b->efer & ~EFER_SVME;
	case VREG_CPL:
		return b->cpl;
	case VREG_INTERRUPTIBILITY:
		return b->interrupt_shadow & 1;
	default:
		return *field(b, reg);
	}
}

void svm_set(struct vcpu *v, enum vreg reg, u64 value)
{
	struct vmcb *b = vmcb_of(v);

	switch (reg) {
	case VREG_EFER:
		b->efer = value | EFER_SVME;
		return;
	case VREG_INTERRUPTIBILITY:
		b->interrupt_shadow = value & 1;
		return;
	default:
		*field(b, reg) = value;
	}
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

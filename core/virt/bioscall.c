/* INT 15h of the guest's BIOS, asked through the stub (boot/stub.h). */
#include "core/virt/guest.h"

#include "boot/stub.h"
#include "core/arch/regs.h"
#include "core/lib/errors.h"
#include "core/mm/gmem.h"
#include "core/virt/bios.h"

#define HYPERCALL_LEN 3

static int write_real(void *ctx, u16 seg, u16 off, const void *src, size_t len)
{
	(void)ctx;
	return gmem_write((u32)seg * 16 + off, src, len);
}

static u64 low32(u64 reg, u32 value)
{
	return (reg & ~0xffffffffULL) | value;
}

bool guest_bios_call(struct vcpu *v)
{
	const struct virt_ops *ops = v->guest->ops;
	struct bios_regs r;
	struct vseg cs, ss, es;
	gpa_t flags_at;
	u16 flags;

	ops->get_seg(v, SEG_CS, &cs);
	if (ops->get(v, VREG_CR0) & CR0_PE ||
	    cs.base + v->rip != v->guest->stub + STUB_HYPERCALL_IP)
		return false;
	ops->get_seg(v, SEG_SS, &ss);
	ops->get_seg(v, SEG_ES, &es);
	r = (struct bios_regs){
		.eax = v->gpr[GPR_RAX],
		.ebx = v->gpr[GPR_RBX],
		.ecx = v->gpr[GPR_RCX],
		.edx = v->gpr[GPR_RDX],
		.edi = v->gpr[GPR_RDI],
		.es = es.selector,
	};
	/* The INT has pushed FLAGS, CS and IP. */
	flags_at = ss.base + (u16)(v->gpr[GPR_RSP] + 4);
	if (gmem_read(flags_at, &flags, sizeof(flags)))
		return false;
	if (!bios_int15(&r, &v->guest->bios_map, write_real, NULL)) {
		r.eax = (r.eax & ~0xff00U) | 0x8600;
		r.carry = true;
	}
	flags = (flags & ~RFLAGS_CF) | (r.carry ? RFLAGS_CF : 0);
	if (gmem_write(flags_at, &flags, sizeof(flags)))
		return false;
	v->gpr[GPR_RAX] = low32(v->gpr[GPR_RAX], r.eax);
	v->gpr[GPR_RBX] = low32(v->gpr[GPR_RBX], r.ebx);
	v->gpr[GPR_RCX] = low32(v->gpr[GPR_RCX], r.ecx);
	v->gpr[GPR_RDX] = low32(v->gpr[GPR_RDX], r.edx);
	v->gpr[GPR_RDI] = low32(v->gpr[GPR_RDI], r.edi);
	v->rip += HYPERCALL_LEN;
	return true;
}

/* INT 15h of the guest's BIOS, asked through the stub (boot/stub.h): in real
 * mode, and in virtual-8086 mode by a DOS behind a memory manager. */
#include "core/virt/guest.h"

#include "boot/stub.h"
#include "core/arch/regs.h"
#include "core/lib/errors.h"
#include "core/mm/walk.h"
#include "core/virt/bios.h"

#define HYPERCALL_LEN 3

struct call {
	struct vcpu *v;
	struct guest_mem_fault fault;
};

/* 0 or -EFAULT, as the INT's own instructions would access it. */
static int access(struct call *c, u64 linear, void *data, size_t len,
		  unsigned int how)
{
	return guest_mem(c->v, (u32)linear, data, (u32)len, how, &c->fault)
		       ? -EFAULT
		       : 0;
}

static int write_guest(void *ctx, u16 seg, u16 off, const void *src, size_t len)
{
	return access(ctx, (u32)seg * 16 + off, (void *)src, len, WALK_WRITE);
}

static u64 low32(u64 reg, u32 value)
{
	return (reg & ~0xffffffffULL) | value;
}

static bool from_stub(struct vcpu *v)
{
	const struct virt_ops *ops = v->guest->ops;
	struct vseg cs;

	ops->get_seg(v, SEG_CS, &cs);
	return (!(ops->get(v, VREG_CR0) & CR0_PE) || v->rflags & RFLAGS_VM) &&
	       cs.base + v->rip == v->guest->stub + STUB_HYPERCALL_IP;
}

/* The answer, with carry in the FLAGS that the INT has pushed before CS and
 * IP. */
static int answer(struct call *c, struct bios_regs *r)
{
	struct vcpu *v = c->v;
	struct vseg ss;
	u64 flags_at;
	u16 flags;

	v->guest->ops->get_seg(v, SEG_SS, &ss);
	flags_at = ss.base + (u16)(v->gpr[GPR_RSP] + 4);
	if (access(c, flags_at, &flags, sizeof(flags), WALK_READ))
		return -EFAULT;
	if (!bios_int15(r, &v->guest->bios_map, write_guest, c)) {
		r->eax = (r->eax & ~0xff00U) | 0x8600;
		r->carry = true;
	}
	if (c->fault.vector)
		return -EFAULT;
	flags = (flags & ~RFLAGS_CF) | (r->carry ? RFLAGS_CF : 0);
	return access(c, flags_at, &flags, sizeof(flags), WALK_WRITE);
}

bool guest_bios_call(struct vcpu *v)
{
	struct call c = { .v = v };
	struct bios_regs r;
	struct vseg es;

	if (!from_stub(v))
		return false;
	v->guest->ops->get_seg(v, SEG_ES, &es);
	r = (struct bios_regs){
		.eax = v->gpr[GPR_RAX],
		.ebx = v->gpr[GPR_RBX],
		.ecx = v->gpr[GPR_RCX],
		.edx = v->gpr[GPR_RDX],
		.edi = v->gpr[GPR_RDI],
		.es = es.selector,
	};
	if (answer(&c, &r)) {
		guest_inject_mem_fault(v, &c.fault);
		return true;
	}
	v->gpr[GPR_RAX] = low32(v->gpr[GPR_RAX], r.eax);
	v->gpr[GPR_RBX] = low32(v->gpr[GPR_RBX], r.ebx);
	v->gpr[GPR_RCX] = low32(v->gpr[GPR_RCX], r.ecx);
	v->gpr[GPR_RDX] = low32(v->gpr[GPR_RDX], r.edx);
	v->gpr[GPR_RDI] = low32(v->gpr[GPR_RDI], r.edi);
	v->rip += HYPERCALL_LEN;
	v->rflags &= ~(u64)RFLAGS_RF;
	guest_retired(v);
	return true;
}

/* IN, OUT, INS and OUTS on hooked ports (SDM vol. 1, 19). */
#include "core/virt/guest.h"

#include "core/arch/regs.h"
#include "core/emul/insn.h"
#include "core/io/port.h"
#include "core/lib/bytes.h"
#include "core/lib/range.h"

void guest_io_access(struct vcpu *v, u16 port, u8 size, bool write)
{
	u32 value = v->gpr[GPR_RAX] & mask_bytes(size);
	struct port_io io = {
		.port = port,
		.size = size,
		.write = write,
		.count = 1,
		.data = &value,
	};

	port_access(&io);
	if (!write)
		gpr_set(&v->gpr[GPR_RAX], size, value);
}

static void simple_io(struct vcpu *v, const struct vmexit *exit)
{
	u64 rip = v->rip;

	guest_io_access(v, exit->io.port, exit->io.size, exit->io.write);
	guest_skip(v, exit);
	guest_run_ahead(v, rip, exit->io.port);
}

/*
 * How many elements one go may take: up to the end of the page, of the buffer
 * and of the repetition. With DF or TF set, one at a time.
 */
static u32 burst_count(struct vcpu *v, const struct vmexit *exit, u64 offset,
		       u64 linear, u64 left, u8 addr_size)
{
	u8 size = exit->io.size;
	u64 n = min_u64(left, PORT_BURST_MAX / size);

	if (v->rflags & (RFLAGS_DF | RFLAGS_TF))
		return 1;
	n = min_u64(n, (PAGE_SIZE - linear % PAGE_SIZE) / size);
	if (addr_size < 8)
		n = min_u64(n, (mask_bytes(addr_size) + 1 - offset) / size);
	return max_u64(n, 1);
}

/* Moves one burst between the ports and the guest; returns its elements, 0 if
 * @fault is to be injected. */
static u32 burst(struct vcpu *v, const struct vmexit *exit,
		 const struct insn *in, u64 left, struct guest_mem_fault *fault)
{
	u8 data[PORT_BURST_MAX];
	unsigned int seg = exit->io.write ? in->mem.seg : SEG_ES;
	unsigned int access = exit->io.write ? WALK_READ : WALK_WRITE;
	unsigned int reg = exit->io.write ? GPR_RSI : GPR_RDI;
	u64 offset = v->gpr[reg] & mask_bytes(in->addr_size), linear;
	struct port_io io = {
		.port = exit->io.port,
		.size = exit->io.size,
		.write = exit->io.write,
		.data = data,
	};

	if (guest_linear(v, seg, offset, io.size, access, &linear, fault))
		return 0;
	io.count = burst_count(v, exit, offset, linear, left, in->addr_size);
	/* The segment's limit may end inside the burst. */
	if (guest_linear(v, seg, offset, io.count * io.size, access, &linear,
			 fault))
		io.count = 1;
	/* The device loses what is read from it: look before. */
	if (io.write
		    ? guest_mem(v, linear, data, io.count * io.size, access,
				fault)
		    : guest_probe(v, linear, io.count * io.size, access, fault))
		return 0;
	port_access(&io);
	if (!io.write &&
	    guest_mem(v, linear, data, io.count * io.size, access, fault))
		return 0;
	return io.count;
}

static void string_io(struct vcpu *v, const struct vmexit *exit)
{
	struct insn in = { .addr_size = exit->io.addr_size,
			   .mem.seg = exit->io.seg };
	struct guest_mem_fault fault = { 0 };
	u64 left = 1;
	u64 *at = &v->gpr[exit->io.write ? GPR_RSI : GPR_RDI];
	u64 *count = &v->gpr[GPR_RCX];
	u32 n;
	s64 step;

	/* What the back end does not tell is in the instruction; if that has
	 * changed since, the guest tries again. */
	if ((!in.addr_size || (exit->io.write && in.mem.seg == 0xff)) &&
	    guest_decode(v, &in))
		return;
	if (exit->io.rep)
		left = *count & mask_bytes(in.addr_size);
	if (!left) {
		guest_skip(v, exit);
		return;
	}
	n = burst(v, exit, &in, left, &fault);
	if (!n) {
		guest_inject_mem_fault(v, &fault);
		return;
	}
	step = (s64)n * exit->io.size * (v->rflags & RFLAGS_DF ? -1 : 1);
	gpr_set(at, in.addr_size, *at + step);
	if (exit->io.rep)
		gpr_set(count, in.addr_size, *count - n);
	/* What is left is done when the guest executes it again. */
	if (n == left) {
		guest_skip(v, exit);
	} else {
		v->rflags |= RFLAGS_RF;
		guest_retired(v);
	}
}

void guest_io(struct vcpu *v, const struct vmexit *exit)
{
	if (exit->io.string)
		string_io(v, exit);
	else
		simple_io(v, exit);
}

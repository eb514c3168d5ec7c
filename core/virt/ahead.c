/*
 * Running ahead: after an access to a hooked port, the few instructions up to
 * the next one are executed here instead of by another entry and exit. A disk
 * driver writes a command's registers one after the other; this turns six
 * exits into one.
 *
 * Only kernel code in 64-bit mode without CET, only instructions that the
 * executor knows, only hooked ports and ordinary memory. Whatever else comes is left to the CPU: stopping is
 * always right, since each step is complete in itself.
 */
#include "core/virt/guest.h"

#include "core/arch/regs.h"
#include "core/emul/insn.h"
#include "core/io/mmio.h"
#include "core/io/port.h"
#include "core/lib/bytes.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/mm/gmem.h"

#define STEPS_MAX  64  /* without an access to a port */
#define TOTAL_MAX  256 /* steps in one go: a few microseconds */
#define PAGES	   8
#define FAILURES   4 /* in a row, before a place is left alone for a while */
#define SKIP_TIMES 64

/* Translations, kept for one go as a TLB would keep them. */
struct page {
	u64 linear;
	unsigned int access;
	u8 *host; /* NULL: unused */
};

struct ahead {
	struct vcpu *v;
	struct page pages[PAGES];
	unsigned int next;
};

/* The host's pointer to [linear, linear + size) in one page of RAM. */
static u8 *find(struct ahead *a, u64 linear, u32 size, unsigned int access)
{
	u64 page = align_down(linear, PAGE_SIZE), offset = linear - page;
	struct guest_mem_fault fault;
	struct page *p;
	gpa_t gpa;
	u8 *host;

	if (!range_ok(offset, size, PAGE_SIZE))
		return NULL;
	for (p = a->pages; p < a->pages + PAGES; p++)
		if (p->host && p->linear == page && p->access == access)
			return p->host + offset;
	if (guest_translate(a->v, page, access, &gpa, &fault) ||
	    mmio_hooked(gpa))
		return NULL;
	host = gmem_ptr(gpa, PAGE_SIZE);
	if (!host)
		return NULL;
	a->pages[a->next++ % PAGES] = (struct page){ page, access, host };
	return host + offset;
}

static u8 *operand(struct ahead *a, unsigned int seg, u64 offset, u32 size,
		   unsigned int access)
{
	struct guest_mem_fault fault;
	u64 linear;

	if (guest_linear(a->v, seg, offset, size, access, &linear, &fault))
		return NULL;
	return find(a, linear, size, access);
}

static int ahead_read(void *ctx, unsigned int seg, u64 offset, void *dst,
		      unsigned int size)
{
	const u8 *p = operand(ctx, seg, offset, size, WALK_READ);

	if (!p)
		return EMUL_MEM_FAULT;
	copy_whole(dst, p, size);
	return 0;
}

static int ahead_write(void *ctx, unsigned int seg, u64 offset, const void *src,
		       unsigned int size)
{
	u8 *p = operand(ctx, seg, offset, size, WALK_WRITE);

	if (!p)
		return EMUL_MEM_FAULT;
	copy_whole(p, src, size);
	return 0;
}

static int ahead_probe(void *ctx, unsigned int seg, u64 offset,
		       unsigned int size)
{
	return operand(ctx, seg, offset, size, WALK_WRITE) ? 0 : EMUL_MEM_FAULT;
}

/* An access to another port is the CPU's: it may call the firmware (SMI). */
static int step_io(struct vcpu *v, const struct insn *in)
{
	bool out = in->op == INSN_OUT;
	const struct insn_operand *where = out ? &in->dst : &in->src;
	u16 port = where->kind == OPND_IMM ? in->imm & 0xff : v->gpr[GPR_RDX];

	if (!(port_bitmap()[port / 8] & 1 << port % 8))
		return -1;
	guest_io_access(v, port, in->size, out);
	v->rip += in->length;
	return 1;
}

/* One step: <0 to stop, 1 if it was an access to a port. */
static int step(struct ahead *a, const struct emul_mem *mem)
{
	struct vcpu *v = a->v;
	struct emul_cpu cpu = {
		.rip = v->rip,
		.rflags = v->rflags,
		.bits = 64,
		.stack_bits = 64,
	};
	u32 n = min_u64(INSN_MAX, PAGE_SIZE - v->rip % PAGE_SIZE);
	const u8 *code = find(a, v->rip, n, WALK_FETCH);
	u8 bytes[INSN_MAX];
	struct insn in;

	if (!code)
		return -1;
	memcpy(bytes, code, n);
	/* XCHG with memory is locked without a prefix. */
	if (insn_decode(&in, bytes, n, 64) || in.rep || in.lock ||
	    in.op == INSN_XCHG)
		return -1;
	if (in.op == INSN_IN || in.op == INSN_OUT)
		return step_io(v, &in);
	memcpy(cpu.gpr, v->gpr, sizeof(cpu.gpr));
	if (emul_step(&cpu, bytes, n, mem))
		return -1;
	memcpy(v->gpr, cpu.gpr, sizeof(cpu.gpr));
	v->rip = cpu.rip;
	v->rflags = cpu.rflags;
	return 0;
}

static bool run(struct vcpu *v)
{
	struct ahead a = { .v = v };
	struct emul_mem mem = { ahead_read, ahead_write, ahead_probe, &a };
	bool useful = false;
	unsigned int since = 0, total = 0;

	while (since++ < STEPS_MAX && total++ < TOTAL_MAX) {
		int rc = step(&a, &mem);

		if (rc < 0)
			break;
		if (rc == 0)
			continue;
		useful = true;
		since = 0;
	}
	return useful;
}

static bool possible(struct vcpu *v)
{
	const struct virt_ops *ops = v->guest->ops;

	return !v->event.valid && !v->nmi_pending && !(v->rflags & RFLAGS_TF) &&
	       guest_code_bits(v) == 64 && ops->get(v, VREG_CPL) == 0 &&
	       !(ops->get(v, VREG_DR7) & DR7_ENABLES) &&
	       !(ops->get(v, VREG_CR4) & CR4_CET);
}

void guest_run_ahead(struct vcpu *v, u64 rip, u16 port)
{
	u8 *skip = &v->ahead_skip[(rip ^ rip >> 8 ^ port) % AHEAD_PLACES];

	if (*skip > FAILURES) {
		--*skip;
		return;
	}
	if (!possible(v))
		return;
	if (run(v))
		*skip = 0;
	else if (++*skip > FAILURES)
		*skip = FAILURES + SKIP_TIMES;
}

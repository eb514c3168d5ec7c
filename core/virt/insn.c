/* The guest's memory as its own instructions see it, and the execution of an
 * instruction whose access was trapped. */
#include "core/virt/guest.h"

#include "core/arch/regs.h"
#include "core/emul/insn.h"
#include "core/io/mmio.h"
#include "core/lib/bytes.h"
#include "core/lib/errors.h"
#include "core/lib/log.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/mm/gmem.h"

static u64 get(struct vcpu *v, enum vreg reg)
{
	return v->guest->ops->get(v, reg);
}

static bool protected_mode(struct vcpu *v)
{
	return get(v, VREG_CR0) & CR0_PE && !(v->rflags & RFLAGS_VM);
}

u8 guest_code_bits(struct vcpu *v)
{
	struct vseg cs;

	if (!protected_mode(v))
		return 16;
	v->guest->ops->get_seg(v, SEG_CS, &cs);
	if (get(v, VREG_EFER) & EFER_LMA && cs.attr & VSEG_L)
		return 64;
	return cs.attr & VSEG_DB ? 32 : 16;
}

/* ---- paging ------------------------------------------------------------- */

struct walk_cpu guest_paging(struct vcpu *v)
{
	return (struct walk_cpu){
		.cr0 = get(v, VREG_CR0),
		.cr3 = get(v, VREG_CR3),
		.cr4 = get(v, VREG_CR4),
		.efer = get(v, VREG_EFER),
		.rflags = v->rflags,
		.user = get(v, VREG_CPL) == 3,
		.maxphyaddr = v->guest->maxphyaddr,
	};
}

int guest_translate(struct vcpu *v, u64 linear, unsigned int access, gpa_t *gpa,
		    struct guest_mem_fault *fault)
{
	struct walk_cpu cpu = guest_paging(v);
	u32 error = 0;
	int rc;

	if (access & GUEST_SYSTEM) {
		cpu.user = false;
		cpu.rflags &= ~RFLAGS_AC;
		access &= ~(unsigned int)GUEST_SYSTEM;
	}
	rc = walk_linear(&cpu, linear, access, gpa, &error, NULL);
	if (!rc)
		return 0;
	/* Tables outside of memory read as ones: reserved bits are set. */
	if (rc != WALK_FAULT)
		error = PF_P | PF_RSVD | (access & WALK_WRITE ? PF_W : 0) |
			(cpu.user ? PF_U : 0);
	*fault = (struct guest_mem_fault){ VECTOR_PF, error, linear };
	return EMUL_MEM_FAULT;
}

/* ---- physical accesses -------------------------------------------------- */

void guest_mmio(gpa_t gpa, u8 *data, u32 size, bool write)
{
	while (size) {
		struct mmio_io io = { .gpa = gpa, .size = 8, .write = write };

		while (io.size > size || gpa & (io.size - 1))
			io.size >>= 1;
		if (write)
			memcpy(&io.value, data, io.size);
		/* Nothing there: reads all ones, writes are lost. */
		if (mmio_access(&io))
			io.value = ~0ULL;
		if (!write)
			memcpy(data, &io.value, io.size);
		gpa += io.size;
		data += io.size;
		size -= io.size;
	}
}

static void access_page(gpa_t gpa, void *data, u32 size, bool write)
{
	void *ram = mmio_hooked(gpa) ? NULL : gmem_ptr(gpa, size);

	if (!ram)
		guest_mmio(gpa, data, size, write);
	else if (write)
		copy_whole(ram, data, size);
	else
		copy_whole(data, ram, size);
}

/* How much of [linear, linear + size) is in its first page. */
static u32 first_part(u64 linear, u32 size)
{
	return min_u64(size, PAGE_SIZE - linear % PAGE_SIZE);
}

/* Both pages, before anything is done to the first. */
static int translate_both(struct vcpu *v, u64 linear, u32 size,
			  unsigned int access, gpa_t gpa[2],
			  struct guest_mem_fault *fault)
{
	u32 n = first_part(linear, size);

	if (guest_translate(v, linear, access, &gpa[0], fault))
		return EMUL_MEM_FAULT;
	if (n == size)
		return 0;
	return guest_translate(v, linear + n, access, &gpa[1], fault);
}

int guest_mem(struct vcpu *v, u64 linear, void *data, u32 size,
	      unsigned int access, struct guest_mem_fault *fault)
{
	u32 n = first_part(linear, size);
	bool write = access & WALK_WRITE;
	gpa_t gpa[2];

	if (translate_both(v, linear, size, access, gpa, fault))
		return EMUL_MEM_FAULT;
	access_page(gpa[0], data, n, write);
	if (n < size)
		access_page(gpa[1], (u8 *)data + n, size - n, write);
	return 0;
}

int guest_probe(struct vcpu *v, u64 linear, u32 size, unsigned int access,
		struct guest_mem_fault *fault)
{
	gpa_t gpa[2];

	return translate_both(v, linear, size, access, gpa, fault);
}

/* ---- segmentation ------------------------------------------------------- */

static int seg_fault(unsigned int seg, struct guest_mem_fault *fault)
{
	*fault =
		(struct guest_mem_fault){ seg == SEG_SS ? VECTOR_SS : VECTOR_GP,
					  0, 0 };
	return EMUL_MEM_FAULT;
}

/* Is the access inside the limit? SDM vol. 3, 5.3. */
static bool in_limit(const struct vseg *s, u64 offset, u32 size)
{
	bool expand_down = s->attr & VSEG_S && (s->attr & 0xc) == 0x4;
	u64 top;

	if (!expand_down)
		return range_ok(offset, size, (u64)s->limit + 1);
	top = s->attr & VSEG_DB ? 0x100000000 : 0x10000;
	return offset > s->limit && range_ok(offset, size, top);
}

/* Does the type allow it? SDM vol. 3, 5.5. */
static bool type_allows(const struct vseg *s, unsigned int access)
{
	bool code = s->attr & 8, rw = s->attr & 2;

	if (!(s->attr & VSEG_P) || !(s->attr & VSEG_S))
		return false;
	if (access & WALK_WRITE)
		return !code && rw;
	return !code || rw;
}

/* In 64-bit code segments have neither type nor limit. */
static int linear64(struct vcpu *v, unsigned int seg, u64 offset, u32 size,
		    u64 *linear, struct guest_mem_fault *fault)
{
	struct walk_cpu cpu = { .cr4 = get(v, VREG_CR4) };
	struct vseg s = { 0 };

	if (seg == SEG_FS || seg == SEG_GS)
		v->guest->ops->get_seg(v, seg, &s);
	*linear = offset + s.base;
	if (!walk_canonical(&cpu, *linear) ||
	    !walk_canonical(&cpu, *linear + size - 1))
		return seg_fault(seg, fault);
	return 0;
}

int guest_linear(struct vcpu *v, unsigned int seg, u64 offset, u32 size,
		 unsigned int access, u64 *linear,
		 struct guest_mem_fault *fault)
{
	struct vseg s;

	if (guest_code_bits(v) == 64)
		return linear64(v, seg, offset, size, linear, fault);
	v->guest->ops->get_seg(v, seg, &s);
	if (!in_limit(&s, offset, size) ||
	    (protected_mode(v) && !type_allows(&s, access)))
		return seg_fault(seg, fault);
	*linear = (u32)(s.base + offset);
	return 0;
}

/* ---- the executor's callbacks ------------------------------------------- */

struct emul_ctx {
	struct vcpu *v;
	struct guest_mem_fault fault;
};

static int emul_access(struct emul_ctx *c, unsigned int seg, u64 offset,
		       void *data, unsigned int size, unsigned int access)
{
	u64 linear;

	if (guest_linear(c->v, seg, offset, size, access, &linear, &c->fault))
		return EMUL_MEM_FAULT;
	return guest_mem(c->v, linear, data, size, access, &c->fault);
}

static int emul_read(void *ctx, unsigned int seg, u64 offset, void *dst,
		     unsigned int size)
{
	return emul_access(ctx, seg, offset, dst, size, WALK_READ);
}

static int emul_write(void *ctx, unsigned int seg, u64 offset, const void *src,
		      unsigned int size)
{
	/* What is written stays as it is. */
	return emul_access(ctx, seg, offset, (void *)src, size, WALK_WRITE);
}

static int emul_probe(void *ctx, unsigned int seg, u64 offset,
		      unsigned int size)
{
	struct emul_ctx *c = ctx;
	u64 linear;

	if (guest_linear(c->v, seg, offset, size, WALK_WRITE, &linear,
			 &c->fault))
		return EMUL_MEM_FAULT;
	return guest_probe(c->v, linear, size, WALK_WRITE, &c->fault);
}

/* ---- fetching and executing --------------------------------------------- */

size_t guest_fetch(struct vcpu *v, u8 *bytes)
{
	struct guest_mem_fault fault;
	struct vseg cs;
	u64 linear = v->rip;
	size_t n, done = 0;
	gpa_t gpa;

	if (guest_code_bits(v) != 64) {
		v->guest->ops->get_seg(v, SEG_CS, &cs);
		linear = (u32)(cs.base + v->rip);
	}
	while (done < INSN_MAX) {
		n = min_u64(INSN_MAX - done,
			    PAGE_SIZE - (linear + done) % PAGE_SIZE);
		if (guest_translate(v, linear + done, WALK_FETCH, &gpa,
				    &fault) ||
		    gmem_read(gpa, bytes + done, n))
			break;
		done += n;
	}
	return done;
}

int guest_decode(struct vcpu *v, struct insn *in)
{
	u8 bytes[INSN_MAX];

	return insn_decode(in, bytes, guest_fetch(v, bytes),
			   guest_code_bits(v));
}

void guest_inject_mem_fault(struct vcpu *v, const struct guest_mem_fault *fault)
{
	if (fault->vector == VECTOR_PF)
		v->guest->ops->set(v, VREG_CR2, fault->cr2);
	guest_fault_error(v, fault->vector, fault->error);
}

static u8 stack_bits(struct vcpu *v)
{
	struct vseg ss;

	v->guest->ops->get_seg(v, SEG_SS, &ss);
	return ss.attr & VSEG_DB ? 32 : 16;
}

void guest_emulate(struct vcpu *v, const struct vmexit *exit)
{
	static struct log_limit limit;
	struct emul_ctx ctx = { .v = v };
	struct emul_mem mem = { emul_read, emul_write, emul_probe, &ctx };
	struct emul_cpu cpu = {
		.rip = v->rip,
		.rflags = v->rflags,
		.bits = guest_code_bits(v),
		.stack_bits = stack_bits(v),
	};
	u8 bytes[INSN_MAX] = { 0 }; /* the log has some of them */
	size_t len = exit->fault.n_bytes;
	int rc;

	/* The CPU may have stopped at the end of a page, in the instruction. */
	if (len == INSN_MAX)
		memcpy(bytes, exit->fault.bytes, sizeof(bytes));
	else
		len = guest_fetch(v, bytes);
	memcpy(cpu.gpr, v->gpr, sizeof(cpu.gpr));
	rc = emul_step(&cpu, bytes, len, &mem);
	if (rc < 0) {
		log_limited(&limit,
			    "no executor for %02x %02x %02x %02x %02x %02x at "
			    "rip 0x%llx on gpa 0x%llx: #UD",
			    bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
			    bytes[5], (unsigned long long)v->rip,
			    (unsigned long long)exit->fault.gpa);
		guest_fault(v, VECTOR_UD);
		return;
	}
	/* After a fault these are the iterations that were completed. */
	memcpy(v->gpr, cpu.gpr, sizeof(cpu.gpr));
	v->rip = cpu.rip;
	v->rflags = cpu.rflags;
	if (rc)
		guest_inject_mem_fault(v, &ctx.fault);
	else
		guest_retired(v);
}

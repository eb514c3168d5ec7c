/*
 * Running ahead: an access to a hooked port or page, and then the few
 * instructions up to the next one are executed here instead of by another entry
 * and exit. A disk driver writes a command's registers one after the other;
 * this turns six exits into one.
 *
 * Only kernel code in 64-bit mode without CET, only pages without protection
 * keys and where LASS lets a supervisor go, only instructions that the executor
 * knows, RDTSC(P), ports of drivers, reads of others, ordinary memory, and
 * moves to and from hooked pages. Whatever else comes is left to the CPU:
 * stopping is always right, since each step is complete in itself. It stops
 * behind the last access that there was the time before. A driver's delay of
 * 10 us between two accesses is run through.
 */
#include "core/virt/guest.h"

#include "core/arch/cpuid.h"
#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/emul/insn.h"
#include "core/io/mmio.h"
#include "core/io/port.h"
#include "core/lib/bytes.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/mm/gmem.h"
#include "core/mm/pool.h"

#define STEPS_MAX    1024 /* without an access to a hook */
#define TOTAL_MAX    2048 /* steps in one go: tens of microseconds */
#define SETS	     32
#define DECODED	     1024
#define PLACES	     128
#define FAILURES     4 /* in a row, before a place is left alone for a while */
#define TIMES	     64
#define ACCESSES_MAX 255
#define PAGE_VALID   0x800 /* neither address nor access */

/* A translation, kept for one go as a TLB would keep it. Another go looks
 * whether the tables still say so. */
struct page {
	u64 key;  /* its linear address, access and PAGE_VALID; or 0 */
	u8 *host; /* NULL: a hooked page */
	gpa_t gpa;
	u64 go; /* that has looked */
	struct walk_trail trail;
};

/* Where a go began, and what came of it. */
struct place {
	u8 accesses; /* to hooks; 0: it was of no use */
	u8 failures; /* goes in a row without any */
	u8 times;    /* that this is believed, before it is looked at anew */
};

/* Instructions of 64-bit code, found again by their bytes. One that is unused
 * is all zeros: what it is found for, 15 bytes of 0, ends in INSN_NONE. */
struct decoded {
	u64 first, last; /* its bytes 0 to 7 and 7 to 14 */
	struct insn in;
};

struct ahead {
	struct vcpu *v;
	struct emul_cpu cpu; /* what v holds, up to date between two goes */
	struct emul_mem mem;
	struct walk_cpu paging;
	struct page pages[SETS][2];
	struct page none;  /* never a valid one */
	struct page *code; /* where the last instruction was */
	u64 go, since;	   /* this one; the first with this paging */
	u64 fs, gs;	   /* bases */
	bool has_rdtscp;
	unsigned int steps; /* of this go, complete */
	bool moves;	    /* the instruction is a MOV */
	bool touched;	    /* it has been to a hooked page */
	struct place places[PLACES];
	struct decoded decoded[DECODED];
};

/* ---- memory ------------------------------------------------------------- */

static bool translate(struct ahead *a, struct page *p, u64 linear,
		      unsigned int access)
{
	bool device;
	u32 error;

	p->key = 0;
	if (!walk_canonical(&a->paging, linear) ||
	    (a->paging.cr4 & CR4_LASS && !(linear >> 63)) ||
	    walk_linear(&a->paging, linear, access, &p->gpa, &error, &p->trail))
		return false;
	device = mmio_hooked(p->gpa);
	p->host = device ? NULL : gmem_ptr(p->gpa, PAGE_SIZE);
	if (!p->host && !device)
		return false;
	p->key = linear | access | PAGE_VALID;
	p->go = a->go;
	return true;
}

/* Is it good in this go? */
static bool holds(struct ahead *a, struct page *p)
{
	if (p->go == a->go)
		return true;
	if (p->go < a->since || mmio_hooked(p->gpa) == !!p->host ||
	    !walk_same(&p->trail))
		return false;
	p->go = a->go;
	return true;
}

/* What may be written may be read. */
static inline bool is_of(const struct page *p, u64 linear, unsigned int access)
{
	u64 key = align_down(linear, PAGE_SIZE) | access | PAGE_VALID;

	return p->key == key || p->key == (key | WALK_WRITE);
}

static inline bool has(struct ahead *a, struct page *p, u64 linear,
		       unsigned int access)
{
	return is_of(p, linear, access) && holds(a, p);
}

/* The page in which [linear, linear + size) lies, or NULL. */
static inline struct page *find(struct ahead *a, u64 linear, u32 size,
				unsigned int access)
{
	u64 n = linear / PAGE_SIZE;
	struct page *p = a->pages[(n ^ n / SETS ^ n / SETS / SETS) % SETS];

	if (!range_ok(linear % PAGE_SIZE, size, PAGE_SIZE))
		return NULL;
	if (has(a, p, linear, access))
		return p;
	if (has(a, p + 1, linear, access))
		return p + 1;
	/* The one that this go has not used, if there is one. */
	p += p->go == a->go;
	if (!translate(a, p, align_down(linear, PAGE_SIZE), access))
		return NULL;
	return p;
}

/* A move has one access to memory, and what follows it cannot fail. */
static int access_device(struct ahead *a, gpa_t gpa, void *data, u32 size,
			 bool write)
{
	if (!a->moves || gpa & (size - 1))
		return EMUL_MEM_FAULT;
	guest_mmio(gpa, data, size, write);
	a->touched = true;
	return 0;
}

static struct page *operand(struct ahead *a, unsigned int seg, u64 offset,
			    u32 size, unsigned int access, u64 *linear)
{
	*linear = offset + (seg == SEG_GS ? a->gs : seg == SEG_FS ? a->fs : 0);
	return find(a, *linear, size, access);
}

static int ahead_read(void *ctx, unsigned int seg, u64 offset, void *dst,
		      unsigned int size)
{
	u64 linear;
	struct page *p = operand(ctx, seg, offset, size, WALK_READ, &linear);

	if (!p)
		return EMUL_MEM_FAULT;
	linear %= PAGE_SIZE;
	if (!p->host)
		return access_device(ctx, p->gpa + linear, dst, size, false);
	copy_whole(dst, p->host + linear, size);
	return 0;
}

static int ahead_write(void *ctx, unsigned int seg, u64 offset, const void *src,
		       unsigned int size)
{
	u64 linear;
	struct page *p = operand(ctx, seg, offset, size, WALK_WRITE, &linear);

	if (!p)
		return EMUL_MEM_FAULT;
	linear %= PAGE_SIZE;
	if (!p->host)
		return access_device(ctx, p->gpa + linear, (void *)src, size,
				     true);
	copy_whole(p->host + linear, src, size);
	return 0;
}

static int ahead_probe(void *ctx, unsigned int seg, u64 offset,
		       unsigned int size)
{
	u64 linear;
	struct page *p = operand(ctx, seg, offset, size, WALK_WRITE, &linear);

	return p && p->host ? 0 : EMUL_MEM_FAULT;
}

/* ---- instructions ------------------------------------------------------- */

static bool allowed(const struct insn *in)
{
	/* XCHG with memory is locked without a prefix; PAUSE is F3 NOP. */
	return (!in->rep || in->op == INSN_NOP) && !in->lock &&
	       in->op != INSN_XCHG;
}

/* The code at RIP; *@len: up to where it is on the same page. It is @copy, with
 * zeros behind it, if that is less than INSN_MAX. NULL if it is a device. */
static const u8 *fetch(struct ahead *a, u8 *copy, size_t *len)
{
	u64 rip = a->cpu.rip, at = rip % PAGE_SIZE;

	if (!is_of(a->code, rip, WALK_FETCH)) {
		struct page *p = find(a, rip, 1, WALK_FETCH);

		if (!p)
			return NULL;
		a->code = p;
	}
	if (!a->code->host)
		return NULL;
	*len = min_u64(INSN_MAX, PAGE_SIZE - at);
	if (*len == INSN_MAX)
		return a->code->host + at;
	memset(copy, 0, INSN_MAX);
	memcpy(copy, a->code->host + at, *len);
	return copy;
}

/* The instruction at RIP if it can be executed here, or NULL. */
static const struct insn *decode(struct ahead *a)
{
	u64 rip = a->cpu.rip, first, last;
	struct decoded *d = &a->decoded[(rip ^ rip >> 10) % DECODED];
	u8 bytes[INSN_MAX];
	size_t len;
	const u8 *code = fetch(a, bytes, &len);

	if (!code)
		return NULL;
	first = load_le64(code);
	last = load_le64(code + INSN_MAX - 8);
	if (d->first == first && d->last == last)
		return d->in.length <= len ? &d->in : NULL;
	/* Another CPU may change them: what is decoded is what was compared. */
	store_le64(bytes, first);
	store_le64(bytes + INSN_MAX - 8, last);
	if (insn_decode(&d->in, bytes, len, 64) || !allowed(&d->in)) {
		*d = (struct decoded){ 0 };
		return NULL;
	}
	d->first = first;
	d->last = last;
	return &d->in;
}

/*
 * A write to a port that no driver knows is the CPU's: it may call the
 * firmware (SMI), which looks at registers.
 */
static int step_io(struct ahead *a, const struct insn *in)
{
	bool out = in->op == INSN_OUT;
	const struct insn_operand *where = out ? &in->dst : &in->src;
	u8 size = out ? in->src.size : in->dst.size;
	u16 port =
		where->kind == OPND_IMM ? in->imm & 0xff : a->cpu.gpr[GPR_RDX];
	bool hooked = port_bitmap()[port / 8] & 1 << port % 8;

	if (out && !hooked && !port_known(port))
		return -1;
	a->v->gpr[GPR_RAX] = a->cpu.gpr[GPR_RAX];
	guest_io_access(a->v, port, size, out);
	a->cpu.gpr[GPR_RAX] = a->v->gpr[GPR_RAX];
	a->cpu.rip += in->length;
	return hooked;
}

/* The guest's TSC has no offset, and TSC_AUX is its own. */
static int step_tsc(struct ahead *a, const struct insn *in)
{
	u32 aux = a->cpu.gpr[GPR_RCX];
	u64 tsc;

	if (in->op == INSN_RDTSCP && !a->has_rdtscp)
		return -1;
	tsc = in->op == INSN_RDTSCP ? rdtscp(&aux) : rdtsc();
	if (in->op == INSN_RDTSCP)
		a->cpu.gpr[GPR_RCX] = aux;
	a->cpu.gpr[GPR_RAX] = (u32)tsc;
	a->cpu.gpr[GPR_RDX] = tsc >> 32;
	a->cpu.rip += in->length;
	return 0;
}

static int step_system(struct ahead *a, const struct insn *in)
{
	switch (in->op) {
	case INSN_IN:
	case INSN_OUT:
		return step_io(a, in);
	case INSN_RDTSC:
	case INSN_RDTSCP:
		return step_tsc(a, in);
	default:
		return -1;
	}
}

/* One step: <0 to stop, 1 if it was an access to a hook. */
static int step(struct ahead *a)
{
	const struct insn *in = decode(a);

	if (!in)
		return -1;
	if (in->op >= INSN_FIRST_SYSTEM)
		return step_system(a, in);
	a->moves = in->op == INSN_MOV || in->op == INSN_MOVZX;
	a->touched = false;
	return insn_execute(in, &a->cpu, &a->mem) ? -1 : a->touched;
}

/* ---- goes --------------------------------------------------------------- */

void guest_ahead_init(struct vcpu *v)
{
	struct ahead *a = pool_alloc_run(
		align_up(sizeof(*v->ahead), PAGE_SIZE) / PAGE_SIZE);

	v->ahead = a;
	if (!a)
		return;
	a->v = v;
	a->cpu.bits = a->cpu.stack_bits = 64;
	a->mem = (struct emul_mem){ ahead_read, ahead_write, ahead_probe, a };
	a->has_rdtscp =
		cpuid(CPUID_EXT_FEATURES).edx & CPUID_80000001_EDX_RDTSCP;
}

static u64 segment_base(struct vcpu *v, unsigned int seg)
{
	struct vseg s;

	v->guest->ops->get_seg(v, seg, &s);
	return s.base;
}

/* What was found with other registers is forgotten. */
static void use_paging(struct ahead *a, struct walk_cpu p)
{
	struct walk_cpu *old = &a->paging;

	p.rflags &= RFLAGS_AC;
	/* The walk does not look at keys: it refuses what may have one. */
	if (p.cr4 & CR4_PKE) {
		p.cr4 |= CR4_SMAP;
		p.rflags = 0;
	}
	if (p.cr0 != old->cr0 || p.cr3 != old->cr3 || p.cr4 != old->cr4 ||
	    p.efer != old->efer || p.rflags != old->rflags)
		a->since = a->go;
	*old = p;
}

static void take_state(struct ahead *a, struct vcpu *v,
		       const struct walk_cpu *paging)
{
	a->cpu.rip = v->rip;
	a->cpu.rflags = v->rflags;
	memcpy(a->cpu.gpr, v->gpr, sizeof(v->gpr));
	a->fs = segment_base(v, SEG_FS);
	a->gs = segment_base(v, SEG_GS);
	a->go++;
	use_paging(a, *paging);
	a->code = &a->none;
}

static void put_state(const struct ahead *a, struct vcpu *v)
{
	memcpy(v->gpr, a->cpu.gpr, sizeof(v->gpr));
	v->rip = a->cpu.rip;
	v->rflags = a->cpu.rflags;
}

static bool wanted(struct vcpu *v)
{
	return __atomic_load_n(&v->kick, __ATOMIC_SEQ_CST);
}

/* Returns the accesses to hooks, at most @limit. One of them may have asked
 * something of this CPU. */
static unsigned int run(struct ahead *a, unsigned int limit)
{
	unsigned int end = STEPS_MAX, accesses = 0;

	a->steps = 0;
	while (a->steps < end) {
		int rc = step(a);

		if (rc < 0)
			break;
		a->steps++;
		if (rc == 0)
			continue;
		if (++accesses == limit || wanted(a->v))
			break;
		end = min_u64(a->steps + STEPS_MAX, TOTAL_MAX);
	}
	return accesses;
}

/* True and *@paging, or not now or not in this mode. */
static bool possible(struct vcpu *v, struct walk_cpu *paging)
{
	const struct virt_ops *ops = v->guest->ops;
	struct vseg cs;

	if (!v->ahead || wanted(v) || v->event.valid || v->nmi_pending ||
	    v->rflags & RFLAGS_TF)
		return false;
	*paging = guest_paging(v);
	if (!(paging->efer & EFER_LMA) || ops->get(v, VREG_CPL) ||
	    paging->cr4 & (CR4_CET | CR4_PKS))
		return false;
	ops->get_seg(v, SEG_CS, &cs);
	return cs.attr & VSEG_L && !(ops->get(v, VREG_DR7) & DR7_ENABLES);
}

/* What a go of @n accesses says of its place. One go may have been cut short by
 * chance: the number comes down by one at a time. */
static void learn(struct place *p, unsigned int n)
{
	if (n) {
		p->failures = 0;
		if (p->times) {
			p->times--;
			return;
		}
	} else if (p->failures < FAILURES) {
		p->failures++;
		return;
	}
	p->accesses = n ? max_u64(n, p->accesses ? p->accesses - 1 : 0) : 0;
	p->times = TIMES;
}

static struct place *place(struct vcpu *v, u64 rip, u16 where)
{
	u64 hash = rip ^ rip >> 7 ^ where ^ v->gpr[GPR_RSP] >> 3;

	return &v->ahead->places[hash % PLACES];
}

/* The accesses to run to from there, as far as is known. */
static unsigned int expected(const struct place *p)
{
	return p->times ? p->accesses : ACCESSES_MAX;
}

void guest_run_ahead(struct vcpu *v, u64 rip, u16 where)
{
	struct ahead *a = v->ahead;
	struct walk_cpu paging;
	struct place *p;

	if (!possible(v, &paging))
		return;
	p = place(v, rip, where);
	if (!expected(p)) {
		p->times--;
		return;
	}
	take_state(a, v, &paging);
	learn(p, run(a, expected(p)));
	put_state(a, v);
}

bool guest_emulate_ahead(struct vcpu *v, u16 where, bool further)
{
	struct ahead *a = v->ahead;
	unsigned int more, n;
	struct walk_cpu paging;
	struct place *p;

	if (!possible(v, &paging))
		return false;
	p = place(v, v->rip, where);
	more = further ? expected(p) : 0;
	take_state(a, v, &paging);
	n = run(a, 1 + more);
	if (!a->steps)
		return false;
	put_state(a, v);
	guest_retired(v);
	if (more)
		learn(p, max_u64(n, 1) - 1);
	else if (further)
		p->times--;
	return true;
}

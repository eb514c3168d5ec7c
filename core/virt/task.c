/* Step numbers are those of SDM vol. 3, 7.3; the checks are its table 7-1. */
#include "core/virt/task.h"

#include "core/arch/regs.h"
#include "core/lib/bytes.h"
#include "core/lib/range.h"

#define SELECTOR_TI  4
#define SELECTOR_RPL 3

/* Types of VSEG_TYPE */
#define TYPE_LDT       2
#define TYPE_BUSY      2 /* of a TSS: this bit is set */
#define TYPE_ACCESSED  1 /* code and data */
#define TYPE_WRITABLE  2 /* data; of code: readable */
#define TYPE_CONFORM   4 /* code */
#define TYPE_CODE      8

#define ERROR_EXT      1
#define DR6_BT	       BIT(15)
#define DR7_LOCAL      (BIT(0) | BIT(2) | BIT(4) | BIT(6) | BIT(8))
#define RFLAGS_DEFINED 0x3f7fd5

#define TSS_MAX	       104

/* SDM vol. 3, figures 7-2 and 7-10. */
struct tss_layout {
	u8 size;
	u8 width; /* of a register in it */
	u8 cr3;	  /* 0: none */
	u8 eip, eflags;
	u8 gpr; /* EAX to EDI */
	u8 seg; /* ES, CS, SS, DS and perhaps FS, GS */
	u8 segs;
	u8 ldt;
	u8 trap; /* 0: none */
};

static const struct tss_layout tss_16 = {
	.size = 44,
	.width = 2,
	.eip = 14,
	.eflags = 16,
	.gpr = 18,
	.seg = 34,
	.segs = 4,
	.ldt = 42,
};
static const struct tss_layout tss_32 = {
	.size = TSS_MAX,
	.width = 4,
	.cr3 = 28,
	.eip = 32,
	.eflags = 36,
	.gpr = 40,
	.seg = 72,
	.segs = 6,
	.ldt = 96,
	.trap = 100,
};

struct descriptor {
	u32 linear; /* where it lies */
	struct vseg seg;
};

struct task {
	struct vcpu *v;
	const struct virt_ops *ops;
	const struct task_request *req;
	struct guest_mem_fault *fault;
	struct vseg old_tr;
	struct descriptor old, new; /* of the two TSS */
	const struct tss_layout *old_layout, *layout;
	u8 tss[TSS_MAX]; /* the new task's */
	unsigned int cpl;
};

/* ---- faults and memory -------------------------------------------------- */

static int raise(struct task *t, u8 vector, u16 selector)
{
	u32 error = selector & ~SELECTOR_RPL;

	*t->fault = (struct guest_mem_fault){
		.vector = vector,
		.error = error | (t->req->external ? ERROR_EXT : 0),
	};
	return EMUL_MEM_FAULT;
}

/* Tables and TSS are accessed as the CPU itself does it, through the CR3 of the
 * moment. */
static int mem_read(struct task *t, u32 linear, void *dst, u32 size)
{
	return guest_mem(t->v, linear, dst, size, WALK_READ | GUEST_SYSTEM,
			 t->fault);
}

static int mem_write(struct task *t, u32 linear, const void *src, u32 size)
{
	return guest_mem(t->v, linear, (void *)src, size,
			 WALK_WRITE | GUEST_SYSTEM, t->fault);
}

static int mem_probe(struct task *t, u32 linear, u32 size)
{
	return guest_probe(t->v, linear, size, WALK_WRITE | GUEST_SYSTEM,
			   t->fault);
}

static void get_seg(struct task *t, unsigned int seg, struct vseg *s)
{
	t->ops->get_seg(t->v, seg, s);
}

static void set_seg(struct task *t, unsigned int seg, const struct vseg *s)
{
	t->ops->set_seg(t->v, seg, s);
}

/* ---- descriptors (SDM vol. 3, 3.4.5) ------------------------------------ */

static void parse_descriptor(struct vseg *s, u16 selector, u64 raw)
{
	s->selector = selector;
	s->attr = (raw >> 40 & 0xff) | (raw >> 52 & 15) << 8;
	s->base = (raw >> 16 & 0xffffff) | (raw >> 56) << 24;
	s->limit = (u32)((raw & 0xffff) | (raw >> 48 & 15) << 16);
	if (s->attr & VSEG_G)
		s->limit = s->limit << 12 | 0xfff;
}

/* @vector if @selector points to nothing. */
static int read_descriptor(struct task *t, u16 selector, u8 vector,
			   struct descriptor *d)
{
	bool local = selector & SELECTOR_TI;
	u32 offset = selector & ~7U;
	struct vseg table;
	u64 raw = 0;

	get_seg(t, local ? SEG_LDTR : SEG_GDTR, &table);
	if ((local && !(table.attr & VSEG_P)) ||
	    !range_ok(offset, 8, (u64)table.limit + 1))
		return raise(t, vector, selector);
	d->linear = (u32)(table.base + offset);
	if (mem_read(t, d->linear, &raw, sizeof(raw)))
		return EMUL_MEM_FAULT;
	parse_descriptor(&d->seg, selector, raw);
	return 0;
}

/* Its byte with type, S, DPL and P. */
static int write_access_byte(struct task *t, const struct descriptor *d,
			     u8 byte)
{
	return mem_write(t, d->linear + 5, &byte, 1);
}

static unsigned int seg_type(const struct vseg *s)
{
	return s->attr & VSEG_TYPE;
}

static unsigned int seg_dpl(const struct vseg *s)
{
	return (s->attr & VSEG_DPL) >> 5;
}

static bool is_null(u16 selector)
{
	return !(selector & ~SELECTOR_RPL);
}

/* The layout of a TSS, busy or not; NULL if it is none. */
static const struct tss_layout *tss_layout(const struct vseg *s)
{
	if (s->attr & VSEG_S)
		return NULL;
	switch (seg_type(s) & ~TYPE_BUSY) {
	case 1:
		return &tss_16;
	case 9:
		return &tss_32;
	}
	return NULL;
}

/* ---- steps 1 to 5: checks in the old task ------------------------------- */

static int check_new_tss(struct task *t)
{
	bool iret = t->req->source == TASK_IRET;
	u16 selector = t->req->selector;
	u8 vector = iret ? VECTOR_TS : VECTOR_GP;
	const struct vseg *s = &t->new.seg;
	int error;

	if (is_null(selector) || selector & SELECTOR_TI)
		return raise(t, vector, selector);
	error = read_descriptor(t, selector, vector, &t->new);
	if (error)
		return error;
	t->layout = tss_layout(s);
	if (!t->layout || iret != !!(seg_type(s) & TYPE_BUSY))
		return raise(t, vector, selector);
	if (!(s->attr & VSEG_P))
		return raise(t, VECTOR_NP, selector);
	if (s->limit < t->layout->size - 1U)
		return raise(t, VECTOR_TS, selector);
	return 0;
}

static int check_old_tss(struct task *t)
{
	u16 selector = t->old_tr.selector;

	t->old_layout = tss_layout(&t->old_tr);
	if (!t->old_layout || t->old_tr.limit < t->old_layout->size - 1U)
		return raise(t, VECTOR_TS, selector);
	return read_descriptor(t, selector, VECTOR_TS, &t->old);
}

static bool nests(const struct task *t)
{
	return t->req->source == TASK_CALL || t->req->source == TASK_GATE;
}

/* Step 5: what will be written can be. */
static int check_memory(struct task *t)
{
	const struct tss_layout *l = t->old_layout;
	u32 new = (u32)t->new.seg.base;
	int error = mem_probe(t, (u32)t->old_tr.base + l->eip, l->ldt - l->eip);

	if (!error)
		error = mem_read(t, new, t->tss, t->layout->size);
	if (!error && nests(t))
		error = mem_probe(t, new, 2);
	if (!error && !nests(t))
		error = mem_probe(t, t->old.linear + 5, 1);
	if (!error && t->req->source != TASK_IRET)
		error = mem_probe(t, t->new.linear + 5, 1);
	return error;
}

static int check(struct task *t)
{
	int error;

	if (t->ops->get(t->v, VREG_EFER) & EFER_LMA)
		return raise(t, VECTOR_GP, t->req->selector);
	error = check_new_tss(t);
	if (!error)
		error = check_old_tss(t);
	if (!error)
		error = check_memory(t);
	return error;
}

/* ---- steps 6 to 10: the tables and the old task's TSS ------------------- */

static void put(u8 *p, u64 value, unsigned int width)
{
	if (width == 2)
		store_le16(p, (u16)value);
	else
		store_le32(p, (u32)value);
}

static u32 pick(const u8 *p, unsigned int width)
{
	return width == 2 ? load_le16(p) : load_le32(p);
}

/* What lies between the fields stays; CR3 and LDT are never saved. */
static int save_old(struct task *t)
{
	const struct tss_layout *l = t->old_layout;
	const struct vcpu *v = t->v;
	u64 flags = v->rflags;
	u32 linear = (u32)t->old_tr.base + l->eip;
	u32 size = l->ldt - l->eip;
	u8 image[TSS_MAX];
	struct vseg s;

	if (mem_read(t, linear, image + l->eip, size))
		return EMUL_MEM_FAULT;
	if (t->req->source == TASK_IRET)
		flags &= ~RFLAGS_NT; /* step 7 */
	put(image + l->eip, v->rip + t->req->insn_len, l->width);
	put(image + l->eflags, flags, l->width);
	for (unsigned int i = 0; i < 8; i++)
		put(image + l->gpr + i * l->width, v->gpr[i], l->width);
	for (unsigned int i = 0; i < l->segs; i++) {
		get_seg(t, i, &s);
		store_le16(image + l->seg + i * l->width, s.selector);
	}
	return mem_write(t, linear, image + l->eip, size);
}

static int mark_busy(struct task *t)
{
	int error = 0;
	u8 byte;

	if (!nests(t)) {
		byte = (u8)(t->old.seg.attr & ~TYPE_BUSY);
		error = write_access_byte(t, &t->old, byte);
	}
	if (!error && t->req->source != TASK_IRET) {
		byte = (u8)(t->new.seg.attr | TYPE_BUSY);
		error = write_access_byte(t, &t->new, byte);
	}
	return error;
}

/* Then the new TSS is read anew: it can be the old one. */
static int leave_old(struct task *t)
{
	u32 base = (u32)t->new.seg.base;
	int error = save_old(t);
	u8 link[2];

	store_le16(link, t->old_tr.selector);
	if (!error && nests(t))
		error = mem_write(t, base, link, sizeof(link));
	if (!error)
		error = mark_busy(t);
	if (!error)
		error = mem_read(t, base, t->tss, t->layout->size);
	return error;
}

/* ---- steps 11 to 13: the new task --------------------------------------- */

static u16 new_selector(const struct task *t, unsigned int seg)
{
	const struct tss_layout *l = t->layout;

	/* A 16-bit TSS has no FS and GS. */
	return seg < l->segs ? load_le16(t->tss + l->seg + seg * l->width) : 0;
}

/* CS before it is loaded: a fault has to find a state that can be entered (SDM
 * vol. 3, 26.3.1.2). */
static void set_cs_invalid(struct task *t, unsigned int cpl)
{
	struct vseg s = {
		.selector =
			(u16)((new_selector(t, SEG_CS) & ~SELECTOR_RPL) | cpl),
		.attr = (u16)(cpl << 5 | VSEG_P | VSEG_S | TYPE_CODE |
			      TYPE_WRITABLE | TYPE_ACCESSED),
		.limit = 0xffff,
	};

	set_seg(t, SEG_CS, &s);
}

/* The CPL is 3 until SS is loaded: so the handler of a fault, at another
 * level, gets a stack from the TSS. */
static void set_segs_invalid(struct task *t)
{
	for (unsigned int i = SEG_ES; i <= SEG_GS; i++) {
		struct vseg s = { .selector = new_selector(t, i) };

		if (i == SEG_SS)
			s.attr = VSEG_DPL;
		set_seg(t, i, &s);
	}
	set_cs_invalid(t, 3);
}

/* SDM vol. 3, 20.1.1 */
static void set_segs_virtual_8086(struct task *t)
{
	for (unsigned int i = SEG_ES; i <= SEG_GS; i++) {
		struct vseg s = {
			.selector = new_selector(t, i),
			.attr = VSEG_P | VSEG_DPL | VSEG_S | TYPE_WRITABLE |
				TYPE_ACCESSED,
			.limit = 0xffff,
		};

		s.base = (u64)s.selector << 4;
		set_seg(t, i, &s);
	}
}

static void load_registers(struct task *t)
{
	const struct tss_layout *l = t->layout;
	struct vcpu *v = t->v;
	u64 flags = pick(t->tss + l->eflags, l->width);

	v->rip = pick(t->tss + l->eip, l->width);
	v->rflags = (flags & RFLAGS_DEFINED) | RFLAGS_FIXED;
	if (nests(t))
		v->rflags |= RFLAGS_NT;
	for (unsigned int i = 0; i < 8; i++)
		v->gpr[i] = pick(t->tss + l->gpr + i * l->width, l->width);
}

static void load_control(struct task *t)
{
	u64 cr0 = t->ops->get(t->v, VREG_CR0);
	u8 cr3 = t->layout->cr3;
	struct vseg tr = t->new.seg;

	tr.attr |= TYPE_BUSY;
	set_seg(t, SEG_TR, &tr);
	if (cr3 && cr0 & CR0_PG)
		t->ops->set(t->v, VREG_CR3, load_le32(t->tss + cr3));
	t->ops->set(t->v, VREG_CR0, cr0 | CR0_TS);
	t->ops->set(t->v, VREG_DR7, t->ops->get(t->v, VREG_DR7) & ~DR7_LOCAL);
	t->ops->set(t->v, VREG_INTERRUPTIBILITY, 0);
}

/* All that cannot fail. */
static void enter_new(struct task *t)
{
	struct vseg ldt = {
		.selector = load_le16(t->tss + t->layout->ldt),
	};

	load_control(t);
	load_registers(t);
	set_seg(t, SEG_LDTR, &ldt);
	if (t->v->rflags & RFLAGS_VM) {
		t->cpl = 3;
		set_segs_virtual_8086(t);
	} else {
		t->cpl = new_selector(t, SEG_CS) & SELECTOR_RPL;
		set_segs_invalid(t);
	}
}

static int load_ldt(struct task *t)
{
	u16 selector = load_le16(t->tss + t->layout->ldt);
	struct descriptor d;
	int error;

	if (is_null(selector))
		return 0;
	if (selector & SELECTOR_TI)
		return raise(t, VECTOR_TS, selector);
	error = read_descriptor(t, selector, VECTOR_TS, &d);
	if (error)
		return error;
	if ((d.seg.attr & (VSEG_S | VSEG_TYPE | VSEG_P)) != (TYPE_LDT | VSEG_P))
		return raise(t, VECTOR_TS, selector);
	set_seg(t, SEG_LDTR, &d.seg);
	return 0;
}

/* The privilege and type rules; which of them a segment has to satisfy is the
 * only thing that differs between CS, SS and the rest. */
static bool code_ok(const struct task *t, const struct vseg *s)
{
	if (!(seg_type(s) & TYPE_CODE))
		return false;
	return seg_type(s) & TYPE_CONFORM ? seg_dpl(s) <= t->cpl
					  : seg_dpl(s) == t->cpl;
}

static bool stack_ok(const struct task *t, const struct vseg *s)
{
	return (seg_type(s) & (TYPE_CODE | TYPE_WRITABLE)) == TYPE_WRITABLE &&
	       seg_dpl(s) == t->cpl && (s->selector & SELECTOR_RPL) == t->cpl;
}

static bool data_ok(const struct task *t, const struct vseg *s)
{
	unsigned int type = seg_type(s), rpl = s->selector & SELECTOR_RPL;
	bool code = type & TYPE_CODE;

	if (code && !(type & TYPE_WRITABLE))
		return false;
	if (code && type & TYPE_CONFORM)
		return true;
	return seg_dpl(s) >= t->cpl && seg_dpl(s) >= rpl;
}

static int load_seg(struct task *t, unsigned int seg)
{
	u16 selector = new_selector(t, seg);
	struct descriptor d;
	bool ok;
	int error;

	if (is_null(selector))
		return seg == SEG_CS || seg == SEG_SS
			       ? raise(t, VECTOR_TS, selector)
			       : 0;
	error = read_descriptor(t, selector, VECTOR_TS, &d);
	if (error)
		return error;
	ok = seg == SEG_CS   ? code_ok(t, &d.seg)
	     : seg == SEG_SS ? stack_ok(t, &d.seg)
			     : data_ok(t, &d.seg);
	if (!(d.seg.attr & VSEG_S) || !ok)
		return raise(t, VECTOR_TS, selector);
	if (!(d.seg.attr & VSEG_P))
		return raise(t, seg == SEG_SS ? VECTOR_SS : VECTOR_NP,
			     selector);
	if (!(d.seg.attr & TYPE_ACCESSED)) {
		d.seg.attr |= TYPE_ACCESSED;
		error = write_access_byte(t, &d, (u8)d.seg.attr);
		if (error)
			return error;
	}
	set_seg(t, seg, &d.seg);
	if (seg == SEG_SS)
		set_cs_invalid(t, t->cpl);
	return 0;
}

static int load_segs(struct task *t)
{
	static const u8 order[] = { SEG_SS, SEG_CS, SEG_DS,
				    SEG_ES, SEG_FS, SEG_GS };
	int error = load_ldt(t);

	if (t->v->rflags & RFLAGS_VM)
		return error;
	for (size_t i = 0; i < ARRAY_SIZE(order) && !error; i++)
		error = load_seg(t, order[i]);
	return error;
}

/* ---- after the switch --------------------------------------------------- */

/* An exception's error code, as wide as the TSS (SDM vol. 3, 7.3). The new
 * task has a stack of its own choice: it is written with that task's rights. */
static int push_error(struct task *t)
{
	u32 width = t->layout->width, mask, offset;
	u8 image[4];
	struct vseg ss;
	u64 linear;

	get_seg(t, SEG_SS, &ss);
	mask = ss.attr & VSEG_DB ? ~0U : 0xffff;
	offset = (u32)(t->v->gpr[GPR_RSP] - width) & mask;
	put(image, t->req->error, width);
	if (guest_linear(t->v, SEG_SS, offset, width, WALK_WRITE, &linear,
			 t->fault))
		return raise(t, VECTOR_SS, 0);
	if (guest_mem(t->v, linear, image, width, WALK_WRITE, t->fault))
		return EMUL_MEM_FAULT;
	t->v->gpr[GPR_RSP] = (t->v->gpr[GPR_RSP] & ~(u64)mask) | offset;
	return 0;
}

static int debug_trap(struct task *t)
{
	u8 trap = t->layout->trap;

	if (!trap || !(t->tss[trap] & 1))
		return 0;
	t->ops->set(t->v, VREG_DR6, t->ops->get(t->v, VREG_DR6) | DR6_BT);
	*t->fault = (struct guest_mem_fault){ .vector = VECTOR_DB };
	return EMUL_MEM_FAULT;
}

int task_switch(struct vcpu *v, const struct task_request *req,
		struct guest_mem_fault *fault)
{
	struct task t = {
		.v = v,
		.ops = v->guest->ops,
		.req = req,
		.fault = fault,
	};
	int error;

	get_seg(&t, SEG_TR, &t.old_tr);
	error = check(&t);
	if (!error)
		error = leave_old(&t);
	if (error)
		return error;
	enter_new(&t);
	error = load_segs(&t);
	if (!error && req->has_error)
		error = push_error(&t);
	if (!error)
		error = debug_trap(&t);
	return error;
}

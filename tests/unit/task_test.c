/*
 * Task switches over a model of memory and CPU: what is saved and loaded, busy
 * bits and back links, and each check of SDM vol. 3, table 7-1.
 *
 * units: core/virt/task.c
 */
#include <stdlib.h>
#include <string.h>

#include "core/arch/regs.h"
#include "core/lib/bytes.h"
#include "core/virt/task.h"
#include "tests/unit/test.h"

/* Where things lie in the model's memory, linear addresses. */
enum {
	GDT = 0x1000,
	LDT = 0x1800,
	OLD = 0x2000, /* TSS */
	NEW = 0x3000,
	OLD16 = 0x4000,
	NEW16 = 0x5000,
	STACK = 0x8000,
	RAM_SIZE = 0x10000,
};

/* Selectors */
enum {
	S_CODE = 0x08,
	S_DATA = 0x10,
	S_OLD = 0x18,
	S_NEW = 0x20,
	S_OLD16 = 0x28,
	S_NEW16 = 0x30,
	S_LDT = 0x38,
	S_UCODE = 0x43,
	S_UDATA = 0x4b,
	S_SPARE = 0x50,
	S_BEYOND = 0x58,
	S_LOCAL = 0x04, /* in the LDT */
};

struct model {
	u8 ram[RAM_SIZE];
	struct vseg seg[VSEG_COUNT];
	u64 reg[VREG_COUNT];
	struct vcpu cpu;
};

static struct model m, before;
static struct task_request req;
static struct guest_mem_fault got;
static u32 absent, absent_size;	      /* pages that fault */
static u32 read_only, read_only_size; /* that fault on writes */
static unsigned int pushes;

static int page_fault(struct guest_mem_fault *f, u32 linear, u32 error)
{
	*f = (struct guest_mem_fault){ VECTOR_PF, error, linear };
	return 1;
}

static int access(u32 linear, u32 size, bool write, struct guest_mem_fault *f)
{
	u64 end = (u64)linear + size;

	if (end > RAM_SIZE ||
	    (absent_size && end > absent && linear < absent + absent_size))
		return page_fault(f, linear, write ? PF_W : 0);
	if (write && read_only_size && end > read_only &&
	    linear < read_only + read_only_size)
		return page_fault(f, linear, PF_P | PF_W);
	return 0;
}

int guest_mem(struct vcpu *v, u64 linear, void *data, u32 size,
	      unsigned int how, struct guest_mem_fault *f)
{
	bool write = how & WALK_WRITE;

	if (access((u32)linear, size, write, f))
		return 1;
	pushes += !(how & GUEST_SYSTEM);
	if (write)
		memcpy(m.ram + linear, data, size);
	else
		memcpy(data, m.ram + linear, size);
	return 0;
}

int guest_probe(struct vcpu *v, u64 linear, u32 size, unsigned int how,
		struct guest_mem_fault *f)
{
	return access((u32)linear, size, how & WALK_WRITE, f);
}

int guest_linear(struct vcpu *v, unsigned int seg, u64 offset, u32 size,
		 unsigned int how, u64 *linear, struct guest_mem_fault *f)
{
	const struct vseg *ss = &m.seg[seg];
	u64 end = offset + size;
	bool down = ss->attr & 4;

	if (down ? offset <= ss->limit || end > 0x100000000
		 : end > (u64)ss->limit + 1) {
		*f = (struct guest_mem_fault){ VECTOR_SS, 0, 0 };
		return 1;
	}
	*linear = (u32)(ss->base + offset);
	return 0;
}

static u64 op_get(struct vcpu *v, enum vreg reg)
{
	return m.reg[reg];
}

static void op_set(struct vcpu *v, enum vreg reg, u64 value)
{
	m.reg[reg] = value;
}

static void op_get_seg(struct vcpu *v, unsigned int seg, struct vseg *s)
{
	*s = m.seg[seg];
}

static void op_set_seg(struct vcpu *v, unsigned int seg, const struct vseg *s)
{
	m.seg[seg] = *s;
}

static const struct virt_ops ops = {
	.get = op_get,
	.set = op_set,
	.get_seg = op_get_seg,
	.set_seg = op_set_seg,
};
static struct guest guest = { .ops = &ops };

/* ---- building ----------------------------------------------------------- */

static u64 descriptor(u32 base, u32 limit, u16 attr)
{
	if (attr & VSEG_G)
		limit >>= 12;
	return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 |
	       (u64)(attr & 0xff) << 40 | (u64)(limit >> 16 & 15) << 48 |
	       (u64)(attr >> 8) << 52 | (u64)(base >> 24) << 56;
}

static void put_descriptor(u16 selector, u32 base, u32 limit, u16 attr)
{
	u32 table = selector & 4 ? LDT : GDT;

	store_le64(m.ram + table + (selector & ~7),
		   descriptor(base, limit, attr));
}

static u8 type_of(u16 selector)
{
	return m.ram[GDT + (selector & ~7) + 5] & 15;
}

/* A TSS whose registers are told apart by @tag; flat kernel segments. */
static void put_tss32(u32 at, u32 tag)
{
	static const u16 segs[6] = { S_DATA, S_CODE, S_DATA, S_DATA, 0, 0 };

	store_le32(m.ram + at + 28, tag << 12);		/* CR3 */
	store_le32(m.ram + at + 32, tag << 16 | 0x100); /* EIP */
	store_le32(m.ram + at + 36, RFLAGS_CF | RFLAGS_IF);
	for (u32 i = 0; i < 8; i++)
		store_le32(m.ram + at + 40 + 4 * i, tag << 24 | i);
	store_le32(m.ram + at + 56, STACK);
	for (u32 i = 0; i < 6; i++)
		store_le32(m.ram + at + 72 + 4 * i, segs[i]);
	store_le32(m.ram + at + 96, S_LDT);
}

static void put_tss16(u32 at, u16 tag)
{
	static const u16 segs[4] = { S_DATA, S_CODE, S_DATA, S_DATA };

	store_le16(m.ram + at + 14, tag << 8);
	store_le16(m.ram + at + 16, RFLAGS_IF);
	for (u32 i = 0; i < 8; i++)
		store_le16(m.ram + at + 18 + 2 * i, (u16)(tag << 8 | i));
	store_le16(m.ram + at + 26, STACK);
	for (u32 i = 0; i < 4; i++)
		store_le16(m.ram + at + 34 + 2 * i, segs[i]);
	store_le16(m.ram + at + 42, S_LDT);
}

static void set_tr(u16 selector, u32 base, u32 limit, u16 attr)
{
	m.seg[SEG_TR] = (struct vseg){ selector, attr, limit, base };
}

static void put_gdt(void)
{
	m.seg[SEG_GDTR] = (struct vseg){ 0, 0, S_BEYOND - 1, GDT };
	put_descriptor(S_CODE, 0, 0xffffffff, 0xc9a); /* not yet accessed */
	put_descriptor(S_DATA, 0, 0xffffffff, 0xc93);
	put_descriptor(S_OLD, OLD, 103, 0x08b);
	put_descriptor(S_NEW, NEW, 103, 0x089);
	put_descriptor(S_OLD16, OLD16, 43, 0x083);
	put_descriptor(S_NEW16, NEW16, 43, 0x081);
	put_descriptor(S_LDT, LDT, 15, 0x082);
	put_descriptor(S_UCODE, 0, 0xffffffff, 0xcfb);
	put_descriptor(S_UDATA, 0, 0xffffffff, 0xcf3);
	put_descriptor(S_LOCAL, 0x6000, 0xfff, 0x093);
}

static void reset(enum task_source source)
{
	memset(&m, 0, sizeof(m));
	memset(&got, 0, sizeof(got));
	m.cpu.guest = &guest;
	absent_size = read_only_size = pushes = 0;
	req = (struct task_request){ .selector = S_NEW,
				     .source = source,
				     .insn_len = 2 };
	put_gdt();
	put_tss32(OLD, 0x11);
	put_tss32(NEW, 0x22);
	put_tss16(OLD16, 0x33);
	put_tss16(NEW16, 0x44);
	set_tr(S_OLD, OLD, 103, 0x08b);
	for (int i = SEG_ES; i <= SEG_GS; i++)
		m.seg[i] = (struct vseg){ (u16)(0x100 + 8 * i), 0xc93,
					  0xffffffff, 0 };
	m.reg[VREG_CR0] = CR0_PE | CR0_PG;
	m.reg[VREG_DR7] = 0x7ff;
	m.reg[VREG_INTERRUPTIBILITY] = 1;
	for (int i = 0; i < 16; i++)
		m.cpu.gpr[i] = 0xaaaa0000 + (u64)i;
	m.cpu.rip = 0x5000;
	m.cpu.rflags = RFLAGS_FIXED | RFLAGS_NT | RFLAGS_ZF;
	if (source == TASK_IRET)
		put_descriptor(S_NEW, NEW, 103, 0x08b);
}

/* ---- running ------------------------------------------------------------ */

/* SDM vol. 3, 26.3.1.2 and 26.3.1.4, for an unrestricted guest. */
static bool seg_enterable(unsigned int i, unsigned int cpl)
{
	const struct vseg *s = &m.seg[i];
	u32 type = s->attr & VSEG_TYPE, dpl = (s->attr & VSEG_DPL) >> 5;
	bool used = s->attr & VSEG_P;

	if (m.cpu.rflags & RFLAGS_VM)
		return s->base == (u64)s->selector << 4 && s->limit == 0xffff &&
		       s->attr == 0xf3;
	if (i == SEG_CS && (!used || (type & 9) != 9))
		return false;
	if (i == SEG_CS && (type & 4 ? dpl > cpl : dpl != cpl))
		return false;
	if (i == SEG_SS && used && type != 3 && type != 7)
		return false;
	if (!used)
		return true;
	if (!(type & 1) || !(s->attr & VSEG_S) ||
	    ((type & 8) && !(type & 2) && i != SEG_CS))
		return false;
	return s->attr & VSEG_G ? (s->limit & 0xfff) == 0xfff
				: s->limit < 0x100000;
}

static void expect_enterable(void)
{
	unsigned int cpl = (m.seg[SEG_SS].attr & VSEG_DPL) >> 5;
	u32 tr_type = m.seg[SEG_TR].attr & 0x1f;
	u64 reserved = ~0x3f7fd7ULL;

	for (unsigned int i = SEG_ES; i <= SEG_GS; i++)
		EXPECT(seg_enterable(i, cpl));
	EXPECT(m.seg[SEG_TR].attr & VSEG_P);
	EXPECT(tr_type == 11 || tr_type == 3);
	EXPECT_EQ(m.seg[SEG_TR].selector & 4, 0);
	if (m.seg[SEG_LDTR].attr & VSEG_P)
		EXPECT_EQ(m.seg[SEG_LDTR].attr & 0x1f, 2);
	EXPECT_EQ(m.cpu.rflags & reserved, 0);
	EXPECT_EQ(m.cpu.rflags & 2, 2);
	EXPECT_EQ(m.cpu.rip >> 32, 0);
}

static int run(void)
{
	before = m;
	return task_switch(&m.cpu, &req, &got);
}

/* A fault that finds the old task as it was. */
static void expect_old_fault(u8 vector, u32 error)
{
	EXPECT_EQ(run(), EMUL_MEM_FAULT);
	EXPECT_EQ(got.vector, vector);
	EXPECT_EQ(got.error, error);
	EXPECT(!memcmp(&m, &before, sizeof(m)));
}

/* A fault of the new task before its first instruction. */
static void expect_new_fault(u8 vector, u32 error)
{
	EXPECT_EQ(run(), EMUL_MEM_FAULT);
	EXPECT_EQ(got.vector, vector);
	EXPECT_EQ(got.error, error);
	EXPECT_EQ(m.cpu.rip, 0x220100);
	EXPECT_EQ(m.seg[SEG_TR].selector, S_NEW);
	expect_enterable();
}

/* ---- switches ----------------------------------------------------------- */

static void expect_saved_32(u32 flags)
{
	const u8 *t = m.ram + OLD;

	EXPECT_EQ(load_le32(t + 28), 0x11000); /* CR3 is not saved */
	EXPECT_EQ(load_le32(t + 32), 0x5002);
	EXPECT_EQ(load_le32(t + 36), flags);
	for (u32 i = 0; i < 8; i++)
		EXPECT_EQ(load_le32(t + 40 + 4 * i), 0xaaaa0000 + i);
	for (u32 i = 0; i < 6; i++)
		EXPECT_EQ(load_le16(t + 72 + 4 * i), 0x100 + 8 * i);
	EXPECT_EQ(load_le32(t + 96), S_LDT); /* nor the LDT */
}

static void expect_loaded_32(void)
{
	EXPECT_EQ(m.cpu.rip, 0x220100);
	EXPECT_EQ(m.cpu.gpr[GPR_RAX], 0x22000000);
	EXPECT_EQ(m.cpu.gpr[GPR_RDI], 0x22000007);
	EXPECT_EQ(m.cpu.gpr[GPR_RSP], STACK);
	EXPECT_EQ(m.reg[VREG_CR3], 0x22000);
	EXPECT_EQ(m.seg[SEG_TR].selector, S_NEW);
	EXPECT_EQ(m.seg[SEG_TR].base, NEW);
	EXPECT_EQ(m.seg[SEG_TR].attr, 0x08b);
	EXPECT_EQ(m.seg[SEG_LDTR].base, LDT);
	EXPECT_EQ(m.seg[SEG_LDTR].limit, 15);
	EXPECT_EQ(m.seg[SEG_CS].selector, S_CODE);
	EXPECT_EQ(m.seg[SEG_CS].attr, 0xc9b);
	EXPECT_EQ(m.seg[SEG_CS].limit, 0xffffffff);
	EXPECT_EQ(type_of(S_CODE), 11); /* accessed, in the table too */
	EXPECT_EQ(m.seg[SEG_SS].attr, 0xc93);
	EXPECT_EQ(m.seg[SEG_FS].attr, 0);
	EXPECT_EQ(m.reg[VREG_CR0], CR0_PE | CR0_PG | CR0_TS);
	EXPECT_EQ(m.reg[VREG_DR7], 0x7ff & ~0x155);
	EXPECT_EQ(m.reg[VREG_INTERRUPTIBILITY], 0);
	expect_enterable();
}

TEST(jump_32)
{
	reset(TASK_JMP);
	EXPECT_EQ(run(), 0);
	expect_saved_32(RFLAGS_FIXED | RFLAGS_NT | RFLAGS_ZF);
	expect_loaded_32();
	EXPECT_EQ(m.cpu.rflags, RFLAGS_FIXED | RFLAGS_CF | RFLAGS_IF);
	EXPECT_EQ(type_of(S_OLD), 9);
	EXPECT_EQ(type_of(S_NEW), 11);
	EXPECT_EQ(load_le16(m.ram + NEW), 0);
}

TEST(call_32)
{
	reset(TASK_CALL);
	EXPECT_EQ(run(), 0);
	expect_saved_32(RFLAGS_FIXED | RFLAGS_NT | RFLAGS_ZF);
	expect_loaded_32();
	EXPECT_EQ(m.cpu.rflags,
		  RFLAGS_FIXED | RFLAGS_CF | RFLAGS_IF | RFLAGS_NT);
	EXPECT_EQ(type_of(S_OLD), 11);
	EXPECT_EQ(type_of(S_NEW), 11);
	EXPECT_EQ(load_le16(m.ram + NEW), S_OLD);
}

TEST(iret_32)
{
	reset(TASK_IRET);
	EXPECT_EQ(run(), 0);
	expect_saved_32(RFLAGS_FIXED | RFLAGS_ZF); /* NT is cleared */
	expect_loaded_32();
	EXPECT_EQ(m.cpu.rflags, RFLAGS_FIXED | RFLAGS_CF | RFLAGS_IF);
	EXPECT_EQ(type_of(S_OLD), 9);
	EXPECT_EQ(type_of(S_NEW), 11);
}

/* From all parts of its descriptor. */
TEST(all_of_a_segment)
{
	reset(TASK_JMP);
	store_le16(m.ram + NEW + 72, S_UDATA); /* ES */
	put_descriptor(S_UDATA, 0x89abcdef, 0x54321, 0x5f3);
	EXPECT_EQ(run(), 0);
	EXPECT_EQ(m.seg[SEG_ES].selector, S_UDATA);
	EXPECT_EQ(m.seg[SEG_ES].base, 0x89abcdef);
	EXPECT_EQ(m.seg[SEG_ES].limit, 0x54321);
	EXPECT_EQ(m.seg[SEG_ES].attr, 0x5f3);
	reset(TASK_JMP);
	store_le16(m.ram + NEW + 72, S_UDATA);
	put_descriptor(S_UDATA, 0x01000000, 0xffffffff, 0xcf3);
	EXPECT_EQ(run(), 0);
	EXPECT_EQ(m.seg[SEG_ES].base, 0x01000000);
	EXPECT_EQ(m.seg[SEG_ES].limit, 0xffffffff);
}

TEST(call_and_return)
{
	reset(TASK_CALL);
	EXPECT_EQ(run(), 0);
	for (int i = SEG_ES; i <= SEG_GS; i++) /* loadable ones */
		store_le16(m.ram + OLD + 72 + 4 * i,
			   i == SEG_CS ? S_CODE : S_DATA);
	req.source = TASK_IRET;
	req.selector = load_le16(m.ram + NEW);
	req.insn_len = 1;
	EXPECT_EQ(run(), 0);
	EXPECT_EQ(m.cpu.rip, 0x5002);
	EXPECT_EQ(m.cpu.gpr[GPR_RSI], 0xaaaa0006);
	EXPECT_EQ(m.seg[SEG_TR].selector, S_OLD);
	EXPECT_EQ(load_le32(m.ram + NEW + 32), 0x220101);
	EXPECT_EQ(load_le32(m.ram + NEW + 36),
		  RFLAGS_FIXED | RFLAGS_CF | RFLAGS_IF);
	EXPECT_EQ(type_of(S_NEW), 9);
	EXPECT_EQ(type_of(S_OLD), 11);
}

TEST(gate_pushes_error_code)
{
	reset(TASK_GATE);
	req.insn_len = 0;
	req.external = true;
	req.has_error = true;
	req.error = 0x12345678;
	EXPECT_EQ(run(), 0);
	EXPECT_EQ(load_le32(m.ram + OLD + 32), 0x5000);
	EXPECT_EQ(m.cpu.gpr[GPR_RSP], STACK - 4);
	EXPECT_EQ(load_le32(m.ram + STACK - 4), 0x12345678);
	EXPECT_EQ(pushes, 1);
	EXPECT_EQ(load_le16(m.ram + NEW), S_OLD);
	EXPECT_EQ(m.cpu.rflags & RFLAGS_NT, RFLAGS_NT);
}

TEST(error_code_outside_of_stack)
{
	reset(TASK_GATE);
	req.has_error = true;
	put_descriptor(S_DATA, 0, 0x7ffa, 0x493);
	store_le32(m.ram + NEW + 56, 0x7fff);
	expect_new_fault(VECTOR_SS, 0);
	EXPECT_EQ(m.cpu.gpr[GPR_RSP], 0x7fff);
	reset(TASK_GATE);
	req.has_error = req.external = true;
	put_descriptor(S_DATA, 0, 0x7ffa, 0x493);
	store_le32(m.ram + NEW + 56, 0x7fff);
	expect_new_fault(VECTOR_SS, 1); /* EXT */
	reset(TASK_GATE); /* expand-down: what lies above the limit */
	req.has_error = true;
	put_descriptor(S_DATA, 0, 0x7ffa, 0x497);
	store_le32(m.ram + NEW + 56, 0x7fff);
	EXPECT_EQ(run(), 0);
	reset(TASK_GATE);
	req.has_error = true;
	put_descriptor(S_DATA, 0, 0x7ffb, 0x497);
	store_le32(m.ram + NEW + 56, 0x7fff);
	expect_new_fault(VECTOR_SS, 0);
}

TEST(to_16_bits)
{
	reset(TASK_CALL);
	req.selector = S_NEW16;
	EXPECT_EQ(run(), 0);
	expect_saved_32(RFLAGS_FIXED | RFLAGS_NT | RFLAGS_ZF);
	EXPECT_EQ(m.cpu.rip, 0x4400);
	EXPECT_EQ(m.cpu.gpr[GPR_RDX], 0x4402);
	EXPECT_EQ(m.cpu.rflags, RFLAGS_FIXED | RFLAGS_IF | RFLAGS_NT);
	EXPECT_EQ(m.reg[VREG_CR3], 0);
	EXPECT_EQ(m.seg[SEG_TR].attr, 0x083);
	EXPECT_EQ(m.seg[SEG_FS].selector, 0);
	EXPECT_EQ(m.seg[SEG_LDTR].selector, S_LDT);
	EXPECT_EQ(load_le16(m.ram + NEW16), S_OLD);
	EXPECT_EQ(type_of(S_NEW16), 3);
	expect_enterable();
}

TEST(from_16_bits)
{
	reset(TASK_JMP);
	set_tr(S_OLD16, OLD16, 43, 0x083);
	EXPECT_EQ(run(), 0);
	expect_loaded_32();
	EXPECT_EQ(load_le16(m.ram + OLD16 + 14), 0x5002);
	EXPECT_EQ(load_le16(m.ram + OLD16 + 16),
		  RFLAGS_FIXED | RFLAGS_NT | RFLAGS_ZF);
	EXPECT_EQ(load_le16(m.ram + OLD16 + 18 + 14), 7);
	EXPECT_EQ(load_le16(m.ram + OLD16 + 34 + 6), 0x118);
	EXPECT_EQ(load_le16(m.ram + OLD16 + 42), S_LDT);
	EXPECT_EQ(type_of(S_OLD16), 1);
}

TEST(error_code_16)
{
	reset(TASK_GATE);
	req.selector = S_NEW16;
	req.has_error = true;
	req.error = 0x1234;
	EXPECT_EQ(run(), 0);
	EXPECT_EQ(m.cpu.gpr[GPR_RSP], STACK - 2);
	EXPECT_EQ(load_le16(m.ram + STACK - 2), 0x1234);
}

TEST(user_task_with_local_segment)
{
	reset(TASK_JMP);
	store_le16(m.ram + NEW + 76, S_UCODE);
	store_le16(m.ram + NEW + 80, S_UDATA);
	store_le16(m.ram + NEW + 72, S_UDATA);
	store_le16(m.ram + NEW + 84, S_LOCAL | 3);
	put_descriptor(S_LOCAL, 0x6000, 0xfff, 0x0f2);
	EXPECT_EQ(run(), 0);
	EXPECT_EQ(m.seg[SEG_DS].selector, S_LOCAL | 3);
	EXPECT_EQ(m.seg[SEG_DS].base, 0x6000);
	EXPECT_EQ(m.seg[SEG_DS].limit, 0xfff);
	EXPECT_EQ(m.ram[LDT + 5], 0xf3);
	EXPECT_EQ(m.seg[SEG_SS].attr, 0xcf3);
	expect_enterable();
}

TEST(conforming_code)
{
	reset(TASK_JMP);
	put_descriptor(S_SPARE, 0, 0xfffff, 0x49e); /* DPL 0 */
	store_le16(m.ram + NEW + 76, S_SPARE | 3);
	store_le16(m.ram + NEW + 80, S_UDATA);
	store_le16(m.ram + NEW + 72, S_UDATA);
	store_le16(m.ram + NEW + 84, S_SPARE | 3); /* as data as well */
	EXPECT_EQ(run(), 0);
	EXPECT_EQ(m.seg[SEG_CS].attr, 0x49f);
	expect_enterable();
}

TEST(virtual_8086)
{
	reset(TASK_IRET);
	store_le32(m.ram + NEW + 36, RFLAGS_VM | RFLAGS_IOPL);
	store_le16(m.ram + NEW + 76, 0xf000);
	store_le16(m.ram + NEW + 88, 0x1234);
	EXPECT_EQ(run(), 0);
	EXPECT_EQ(m.cpu.rflags, RFLAGS_FIXED | RFLAGS_VM | RFLAGS_IOPL);
	EXPECT_EQ(m.seg[SEG_CS].base, 0xf0000);
	EXPECT_EQ(m.seg[SEG_FS].base, 0x12340);
	EXPECT_EQ(m.seg[SEG_FS].attr, 0xf3);
	expect_enterable();
	reset(TASK_IRET); /* enterable in a fault, too */
	store_le32(m.ram + NEW + 36, RFLAGS_VM);
	store_le16(m.ram + NEW + 96, S_DATA);
	expect_new_fault(VECTOR_TS, S_DATA);
}

TEST(reserved_flags)
{
	reset(TASK_JMP);
	store_le32(m.ram + NEW + 36, ~(u32)RFLAGS_VM);
	EXPECT_EQ(run(), 0);
	EXPECT_EQ(m.cpu.rflags, 0x3f7fd7 & ~RFLAGS_VM);
}

TEST(debug_trap)
{
	reset(TASK_CALL);
	m.ram[NEW + 100] = 1;
	EXPECT_EQ(run(), EMUL_MEM_FAULT);
	EXPECT_EQ(got.vector, VECTOR_DB);
	EXPECT_EQ(m.reg[VREG_DR6], BIT(15));
	expect_loaded_32();
}

TEST(cr3)
{
	reset(TASK_JMP);
	m.reg[VREG_CR0] &= ~CR0_PG;
	EXPECT_EQ(run(), 0);
	EXPECT_EQ(m.reg[VREG_CR3], 0);
}

/* ---- faults in the old task --------------------------------------------- */

TEST(new_tss_selector)
{
	static const u16 bad[] = { 0,	   3,	  S_NEW | 4, S_BEYOND,
				   S_DATA, S_LDT, S_OLD /* busy */ };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		reset(TASK_JMP);
		req.selector = bad[i];
		expect_old_fault(VECTOR_GP, bad[i] & ~3U);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad) - 1; i++) {
		reset(TASK_IRET);
		req.selector = bad[i];
		expect_old_fault(VECTOR_TS, bad[i] & ~3U);
	}
	reset(TASK_IRET);
	put_descriptor(S_NEW, NEW, 103, 0x089); /* not busy */
	expect_old_fault(VECTOR_TS, S_NEW);
	reset(TASK_GATE);
	req.external = true;
	req.selector = S_DATA;
	expect_old_fault(VECTOR_GP, S_DATA | 1);
}

TEST(new_tss_descriptor)
{
	reset(TASK_JMP);
	put_descriptor(S_NEW, NEW, 103, 0x009);
	expect_old_fault(VECTOR_NP, S_NEW);
	reset(TASK_JMP);
	put_descriptor(S_NEW, NEW, 102, 0x089);
	expect_old_fault(VECTOR_TS, S_NEW);
	reset(TASK_JMP);
	put_descriptor(S_NEW16, NEW16, 42, 0x081);
	req.selector = S_NEW16;
	expect_old_fault(VECTOR_TS, S_NEW16);
	reset(TASK_JMP);
	m.reg[VREG_EFER] = EFER_LMA;
	expect_old_fault(VECTOR_GP, S_NEW);
}

TEST(old_tss)
{
	reset(TASK_JMP);
	set_tr(S_OLD, OLD, 102, 0x08b);
	expect_old_fault(VECTOR_TS, S_OLD);
	reset(TASK_JMP);
	set_tr(S_BEYOND, OLD, 103, 0x08b);
	expect_old_fault(VECTOR_TS, S_BEYOND);
}

TEST(page_faults)
{
	reset(TASK_JMP);
	absent = NEW + 60;
	absent_size = 4;
	expect_old_fault(VECTOR_PF, 0);
	EXPECT_EQ(got.cr2, NEW);
	reset(TASK_JMP);
	read_only = OLD + 90;
	read_only_size = 1;
	expect_old_fault(VECTOR_PF, PF_P | PF_W);
	reset(TASK_JMP);
	absent = GDT + S_NEW;
	absent_size = 8;
	expect_old_fault(VECTOR_PF, 0);
	EXPECT_EQ(got.cr2, GDT + S_NEW);
	reset(TASK_JMP); /* both busy bits, the back link */
	read_only = GDT + S_OLD;
	read_only_size = 8;
	expect_old_fault(VECTOR_PF, PF_P | PF_W);
	read_only = GDT + S_NEW;
	expect_old_fault(VECTOR_PF, PF_P | PF_W);
	reset(TASK_CALL);
	read_only = NEW;
	read_only_size = 2;
	expect_old_fault(VECTOR_PF, PF_P | PF_W);
	reset(TASK_CALL); /* the old one stays busy: not written */
	read_only = GDT + S_OLD;
	read_only_size = 8;
	EXPECT_EQ(run(), 0);
}

/* ---- faults in the new task --------------------------------------------- */

TEST(segments_of_the_new_task)
{
	static const struct {
		u8 at; /* in the TSS */
		u16 selector;
		u16 attr; /* of S_SPARE, 0: not used */
		u8 vector;
	} rows[] = {
		{ 96, S_NEW16, 0, VECTOR_TS }, /* LDT: not one */
		{ 96, S_LOCAL, 0, VECTOR_TS },
		{ 96, S_BEYOND, 0, VECTOR_TS },
		{ 96, S_SPARE, 0x002, VECTOR_TS }, /* not present */
		{ 76, 0, 0, VECTOR_TS },	   /* CS */
		{ 76, S_BEYOND, 0, VECTOR_TS },
		{ 76, S_DATA, 0, VECTOR_TS },
		{ 76, S_LDT, 0, VECTOR_TS },
		{ 76, S_UCODE & ~3, 0, VECTOR_TS }, /* DPL 3, RPL 0 */
		{ 76, S_SPARE, 0x0fe, VECTOR_TS },  /* conforming, DPL > RPL */
		{ 76, S_SPARE, 0x01a, VECTOR_NP },
		{ 80, 0, 0, VECTOR_TS }, /* SS */
		{ 80, S_BEYOND, 0, VECTOR_TS },
		{ 80, S_CODE, 0, VECTOR_TS },
		{ 80, S_SPARE, 0x090, VECTOR_TS }, /* read-only */
		{ 80, S_DATA | 3, 0, VECTOR_TS },  /* RPL */
		{ 80, S_SPARE, 0x0f2, VECTOR_TS }, /* DPL */
		{ 80, S_SPARE, 0x012, VECTOR_SS },
		{ 84, S_BEYOND, 0, VECTOR_TS }, /* DS */
		{ 84, S_LDT, 0, VECTOR_TS },
		{ 84, S_SPARE, 0x098, VECTOR_TS }, /* execute-only */
		{ 84, S_SPARE, 0x012, VECTOR_NP },
		{ 84, S_DATA | 3, 0, VECTOR_TS },     /* RPL > DPL */
		{ 72, S_LOCAL + 0x10, 0, VECTOR_TS }, /* ES: LDT's limit */
		{ 88, S_SPARE, 0x012, VECTOR_NP },    /* FS */
		{ 92, S_SPARE, 0x098, VECTOR_TS },    /* GS */
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		reset(TASK_CALL);
		if (rows[i].attr)
			put_descriptor(S_SPARE, 0, 0xfff, rows[i].attr);
		store_le16(m.ram + NEW + rows[i].at, rows[i].selector);
		expect_new_fault(rows[i].vector, rows[i].selector & ~3U);
	}
}

TEST(code_of_another_level)
{
	reset(TASK_CALL);
	store_le16(m.ram + NEW + 76, S_CODE | 3);
	store_le16(m.ram + NEW + 80, S_UDATA);
	expect_new_fault(VECTOR_TS, S_CODE);
}

/* A fault before SS is loaded is one of CPL 3, so that its handler, at another
 * level, has a stack. */
TEST(stack_of_a_fault)
{
	reset(TASK_CALL);
	store_le16(m.ram + NEW + 80, S_BEYOND);
	expect_new_fault(VECTOR_TS, S_BEYOND);
	EXPECT_EQ(m.seg[SEG_SS].attr & VSEG_DPL, VSEG_DPL);
	reset(TASK_CALL);
	store_le16(m.ram + NEW + 76, S_BEYOND);
	expect_new_fault(VECTOR_TS, S_BEYOND);
	EXPECT_EQ(m.seg[SEG_SS].attr & VSEG_DPL, 0);
	EXPECT(m.seg[SEG_SS].attr & VSEG_P);
}

TEST(no_ldt)
{
	reset(TASK_JMP);
	store_le16(m.ram + NEW + 96, 0);
	EXPECT_EQ(run(), 0);
	EXPECT_EQ(m.seg[SEG_LDTR].attr, 0);
	reset(TASK_JMP);
	store_le16(m.ram + NEW + 96, 0);
	store_le16(m.ram + NEW + 84, S_LOCAL);
	expect_new_fault(VECTOR_TS, S_LOCAL);
}

TEST(page_faults_in_the_new_task)
{
	reset(TASK_JMP);
	absent = GDT + S_CODE;
	absent_size = 8;
	expect_new_fault(VECTOR_PF, 0);
	EXPECT_EQ(got.cr2, GDT + S_CODE);
	reset(TASK_JMP); /* the accessed bit */
	read_only = GDT + S_CODE;
	read_only_size = 8;
	expect_new_fault(VECTOR_PF, PF_P | PF_W);
	reset(TASK_GATE);
	req.has_error = true;
	absent = STACK - 4;
	absent_size = 4;
	expect_new_fault(VECTOR_PF, PF_W);
}

/* Random tables: whatever comes of it, the state can be entered. */
TEST(random_tables)
{
	static const u16 selectors[] = {
		0,	 S_CODE, S_DATA, S_UCODE, S_UDATA, S_LDT,    S_LOCAL,
		S_SPARE, S_OLD,	 S_NEW,	 S_OLD16, S_NEW16, S_BEYOND, 3,
	};
	unsigned int done = 0, faults = 0;

	srandom(1);
	for (int i = 0; i < 60000; i++) {
		reset(random() % 4);
		for (int j = random() % 4; j > 0; j--)
			put_descriptor(selectors[random() % 13],
				       random() % RAM_SIZE, random() & 0xfffff,
				       random() & 0x4ff);
		for (int j = random() % 4; j > 0; j--)
			store_le16(m.ram + NEW + 72 + 4 * (random() % 7),
				   selectors[random() % 14] | (random() & 3));
		if (random() % 8 == 0)
			store_le32(m.ram + NEW + 36, (u32)random());
		if (random() % 8 == 0)
			req.selector = selectors[random() % 14];
		req.has_error = random() & 1;
		if (random() % 8 == 0) {
			absent = random() % RAM_SIZE;
			absent_size = 64;
		}
		if (run() == 0)
			done++;
		else
			faults++;
		if (memcmp(&m.cpu, &before.cpu, sizeof(m.cpu)))
			expect_enterable();
	}
	EXPECT(done > 5000);
	EXPECT(faults > 5000);
}

TEST_MAIN(CASE(jump_32), CASE(call_32), CASE(iret_32), CASE(all_of_a_segment),
	  CASE(call_and_return), CASE(gate_pushes_error_code),
	  CASE(error_code_outside_of_stack), CASE(to_16_bits),
	  CASE(from_16_bits), CASE(error_code_16),
	  CASE(user_task_with_local_segment), CASE(conforming_code),
	  CASE(virtual_8086), CASE(reserved_flags), CASE(debug_trap), CASE(cr3),
	  CASE(new_tss_selector), CASE(new_tss_descriptor), CASE(old_tss),
	  CASE(page_faults), CASE(segments_of_the_new_task),
	  CASE(code_of_another_level), CASE(stack_of_a_fault), CASE(no_ldt),
	  CASE(page_faults_in_the_new_task), CASE(random_tables))

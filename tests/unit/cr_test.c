/*
 * Control-register writes that exit: what of them the CPU would refuse.
 * units: tests/unit/fake_guest.c core/virt/cr.c core/virt/run.c core/virt/insn.c core/mm/walk.c core/emul/decode.c core/emul/exec.c core/emul/flow.c core/emul/string.c
 * libs: -include tests/unit/fake_guest.h
 */
#include "core/arch/regs.h"
#include "core/cpu/traps.h"
#include "tests/unit/test.h"

static u64 xcr0;

bool xsetbv_safe(u32 index, u64 value)
{
	if (index || !(value & 1))
		return false;
	xcr0 = value;
	return true;
}

/* MOV from RBX: 0, or the vector of the fault. */
static u8 write_cr(struct vcpu *v, u8 cr, u64 value)
{
	const struct vmexit exit = { .insn_len = 3,
				     .cr = { .cr = cr, .gpr = GPR_RBX } };

	v->gpr[GPR_RBX] = value;
	v->event.valid = false;
	guest_cr_write(v, &exit);
	return v->event.valid ? v->event.vector : 0;
}

static struct vcpu *start(unsigned int bits)
{
	struct vcpu *v = fake_start();

	fake_mode(v, bits, 0);
	fake.seg[0][SEG_TR].attr = 0x8b; /* busy, 32 or 64 bits */
	return v;
}

TEST(combinations_of_cr0)
{
	struct vcpu *v = start(32);

	EXPECT_EQ(write_cr(v, 0, 0x21), 0);
	EXPECT_EQ(fake.reg[0][VREG_CR0], 0x31); /* ET stays */
	EXPECT_EQ(v->rip, 0x1003);
	EXPECT_EQ(write_cr(v, 0, 0x80000020), VECTOR_GP); /* PG without PE */
	EXPECT_EQ(write_cr(v, 0, 0x20000021), VECTOR_GP); /* NW without CD */
	EXPECT_EQ(write_cr(v, 0, 0x60000021), 0);
	EXPECT_EQ(write_cr(v, 4, 0x2000), VECTOR_GP);
	fake.reg[0][VREG_CR4] = CR4_CET;
	EXPECT_EQ(write_cr(v, 0, 0x21), VECTOR_GP); /* without WP */
	EXPECT_EQ(write_cr(v, 0, 0x10021), 0);
	v = start(64);
	fake.reg[0][VREG_CR0] |= CR0_PG;
	EXPECT_EQ(write_cr(v, 0, 0x80000021), 0);
	EXPECT_EQ(write_cr(v, 0, 0x180000021), VECTOR_GP);
}

/* What the checks are not about. */
TEST(without_long_mode)
{
	struct vcpu *v = start(32);

	EXPECT_EQ(write_cr(v, 0, 0x20), 0);	  /* to real mode */
	EXPECT_EQ(write_cr(v, 0, 0x80000021), 0); /* without PAE */
	fake.seg[0][SEG_CS].attr |= VSEG_L;
	EXPECT_EQ(write_cr(v, 0, 0x21), 0);
	/* a register has 32 bits */
	EXPECT_EQ(write_cr(v, 0, 0x100000021), 0);
	EXPECT_EQ(fake.reg[0][VREG_CR0], 0x31);
}

/* SDM vol. 3, 9.8.5: what long mode cannot be entered with; the VM entry would
 * be refused. */
TEST(into_long_mode)
{
	struct vcpu *v = start(32);

	fake.reg[0][VREG_EFER] = EFER_LME;
	EXPECT_EQ(write_cr(v, 0, 0x80000021), VECTOR_GP); /* without PAE */
	fake.reg[0][VREG_CR4] = CR4_PAE;
	fake.seg[0][SEG_CS].attr |= VSEG_L;
	EXPECT_EQ(write_cr(v, 0, 0x80000021), VECTOR_GP);
	fake.seg[0][SEG_CS].attr &= (u16)~VSEG_L;
	fake.seg[0][SEG_TR].attr = 0x83; /* a 16-bit TSS */
	EXPECT_EQ(write_cr(v, 0, 0x80000021), VECTOR_GP);
	EXPECT_EQ(fake.reg[0][VREG_CR0] & CR0_PG, 0);
	fake.seg[0][SEG_TR].attr = 0x8b;
	EXPECT_EQ(write_cr(v, 0, 0x80000021), 0);
}

TEST(out_of_long_mode)
{
	struct vcpu *v = start(64);

	fake.reg[0][VREG_CR0] |= CR0_PG;
	EXPECT_EQ(write_cr(v, 0, 0x21), VECTOR_GP); /* from 64-bit code */
	fake.seg[0][SEG_CS].attr &= (u16)~VSEG_L;
	fake.reg[0][VREG_CR4] = CR4_PCIDE;
	EXPECT_EQ(write_cr(v, 0, 0x21), VECTOR_GP);
	fake.reg[0][VREG_CR4] = 0;
	EXPECT_EQ(write_cr(v, 0, 0x21), 0);
}

static u8 set_xcr(struct vcpu *v, u32 index, u64 value)
{
	const struct vmexit exit = { .insn_len = 3 };

	v->gpr[GPR_RCX] = index;
	v->gpr[GPR_RAX] = 0xabcd00000000 | (u32)value;
	v->gpr[GPR_RDX] = value >> 32;
	v->event.valid = false;
	guest_xsetbv(v, &exit);
	return v->event.valid ? v->event.vector : 0;
}

TEST(xsetbv)
{
	struct vcpu *v = start(64);

	EXPECT_EQ(set_xcr(v, 0, 7), VECTOR_UD);
	EXPECT_EQ(xcr0, 0);
	EXPECT_EQ(v->rip, 0x1000);
	fake.reg[0][VREG_CR4] = CR4_OSXSAVE;
	EXPECT_EQ(set_xcr(v, 0, 0x600000007), 0);
	EXPECT_EQ(xcr0, 0x600000007);
	EXPECT_EQ(v->rip, 0x1003);
	EXPECT_EQ(set_xcr(v, 1, 7), VECTOR_GP);
	EXPECT_EQ(v->rip, 0x1003);
	EXPECT_EQ(set_xcr(v, 0, 2), VECTOR_GP);
	fake.reg[0][VREG_CPL] = 3;
	EXPECT_EQ(set_xcr(v, 0, 7), VECTOR_GP);
	EXPECT_EQ(xcr0, 0x600000007);
}

TEST_MAIN(CASE(combinations_of_cr0), CASE(into_long_mode),
	  CASE(without_long_mode), CASE(out_of_long_mode), CASE(xsetbv))

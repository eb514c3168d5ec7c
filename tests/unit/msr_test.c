/*
 * The policy for MSRs.
 * units: tests/unit/fake_guest.c core/virt/msr.c core/virt/mtrr.c core/virt/run.c core/virt/insn.c core/mm/walk.c core/emul/decode.c core/emul/exec.c core/emul/flow.c core/emul/string.c
 * libs: -include tests/unit/fake_guest.h
 */
#include "core/arch/msr.h"
#include "core/arch/regs.h"
#include "core/cpu/traps.h"
#include "core/mm/pool.h"
#include "core/virt/mtrr.h"
#include "tests/unit/test.h"

static struct {
	u32 index;
	u64 value, ignored; /* bits that it does not take */
	bool read, written, fails;
} hw;
static struct virt_ops ops;
static struct {
	u32 index;
	u8 access; /* 1: reads, 2: writes */
} traps[256];
static u32 trapped;
static bool apic_base_ok;
static struct mtrr mtrrs; /* as they are after the write */
static const struct hidden hidden = { 2 << 20, 2 << 20 };
static u32 types_updated;

bool startup_apic_base_ok(struct vcpu *v, u64 value)
{
	return apic_base_ok;
}

const struct hidden *pool_hidden(void)
{
	return &hidden;
}

static bool icr_taken;
static u64 icr;

bool startup_icr(struct vcpu *v, u64 value)
{
	icr = value;
	return icr_taken;
}

void mtrr_read(struct mtrr *m)
{
	*m = mtrrs;
}

void nested_update_types(struct vcpu *v)
{
	types_updated++;
}

bool rdmsr_safe(u32 index, u64 *value)
{
	hw.index = index;
	hw.read = true;
	*value = hw.value;
	return !hw.fails;
}

bool wrmsr_safe(u32 index, u64 value)
{
	hw.index = index;
	hw.written = true;
	hw.value = value & ~hw.ignored;
	return !hw.fails;
}

void wrmsr(u32 index, u64 value)
{
	EXPECT(wrmsr_safe(index, value));
}

static void trap(u32 index, bool read, bool write)
{
	traps[trapped].index = index;
	traps[trapped++].access = read | write << 1;
}

static struct vcpu *start(bool intel)
{
	struct vcpu *v = fake_start();

	ops = *fake.guest.ops;
	ops.nested_types = intel;
	ops.trap_msr = trap;
	fake.guest.ops = &ops;
	fake_mode(v, 64, 0);
	hw.read = hw.written = hw.fails = false;
	hw.ignored = 0;
	hw.value = 0x1122334455667788;
	return v;
}

static const struct vmexit exit2 = { .insn_len = 2 };

/* True if it gave #GP(0). */
static bool reads_gp(struct vcpu *v, u32 index, u64 *value)
{
	v->gpr[GPR_RCX] = 0xffffffff00000000 | index;
	v->gpr[GPR_RAX] = v->gpr[GPR_RDX] = ~0ULL;
	v->event.valid = false;
	v->rip = 0x1000;
	guest_rdmsr(v, &exit2);
	*value = v->gpr[GPR_RDX] << 32 | v->gpr[GPR_RAX];
	EXPECT_EQ(v->rip, v->event.valid ? 0x1000 : 0x1002);
	return v->event.valid && v->event.vector == VECTOR_GP;
}

static bool writes_gp(struct vcpu *v, u32 index, u64 value)
{
	v->gpr[GPR_RCX] = index;
	v->gpr[GPR_RAX] = 0xabcd00000000 | (u32)value;
	v->gpr[GPR_RDX] = 0xabcd00000000 | value >> 32;
	v->event.valid = false;
	v->rip = 0x1000;
	guest_wrmsr(v, &exit2);
	EXPECT_EQ(v->rip, v->event.valid ? 0x1000 : 0x1002);
	return v->event.valid && v->event.vector == VECTOR_GP;
}

/* What is not in the table is the hardware's, its #GP too. */
TEST(passes)
{
	struct vcpu *v = start(false);
	u64 value;

	EXPECT(!reads_gp(v, 0x12345678, &value));
	EXPECT_EQ(value, 0x1122334455667788);
	EXPECT(!writes_gp(v, 0x12345678, 0x99));
	EXPECT_EQ(hw.value, 0x99);
	hw.fails = true;
	EXPECT(reads_gp(v, 0x12345678, &value));
	EXPECT(writes_gp(v, 0x12345678, 0));
}

TEST(hides_vmx)
{
	struct vcpu *v = start(true);
	u64 value;

	EXPECT(!reads_gp(v, MSR_FEATURE_CONTROL, &value));
	EXPECT_EQ(value, 1);
	EXPECT(writes_gp(v, MSR_FEATURE_CONTROL, 5));
	EXPECT(reads_gp(v, MSR_VMX_BASIC, &value));
	EXPECT(reads_gp(v, MSR_RTIT_CTL, &value));
	EXPECT(writes_gp(v, MSR_DS_AREA, 0xffff800000000000));
	EXPECT(writes_gp(v, MSR_PEBS_ENABLE, 1));
	EXPECT(!hw.read && !hw.written);
}

TEST(hides_svm)
{
	struct vcpu *v = start(false);
	u64 value;

	EXPECT(!reads_gp(v, MSR_VM_CR, &value));
	EXPECT_EQ(value, 0x18);
	EXPECT(reads_gp(v, MSR_VM_HSAVE_PA, &value));
	EXPECT(writes_gp(v, MSR_VM_HSAVE_PA, 0x1000));
	EXPECT(reads_gp(v, 0xc0000104, &value)); /* the TSC's ratio in guests */
	EXPECT(writes_gp(v, 0xc0000104, 0x200000000));
	EXPECT(!writes_gp(v, MSR_SYSCFG, 0));
	EXPECT(!writes_gp(v, MSR_TOP_MEM, 0));
	EXPECT(!writes_gp(v, MSR_IORR_MASK(1), 0));
	EXPECT(!writes_gp(v, MSR_MMIO_CFG_BASE, 0));
	EXPECT(!hw.read && !hw.written);
}

/* An index of one vendor means another thing, or nothing, to the other. */
TEST(by_vendor)
{
	struct vcpu *v = start(false);
	u64 value;

	EXPECT(!writes_gp(v, MSR_BIOS_UPDT_TRIG, 1));
	EXPECT(hw.written);
	v = start(true);
	EXPECT(!writes_gp(v, MSR_BIOS_UPDT_TRIG, 1));
	EXPECT(!hw.written);
	EXPECT(!reads_gp(v, MSR_VM_CR, &value));
	EXPECT(hw.read);
}

/* The fake's APIC is not in x2APIC mode: the hardware's #GP. */
TEST(x2apic_icr_in_xapic_mode)
{
	struct vcpu *v = start(false);

	hw.fails = icr_taken = true;
	EXPECT(writes_gp(v, MSR_X2APIC_ICR, 0x1000004500));
	EXPECT(hw.written);
}

TEST(x2apic_icr_is_watched)
{
	struct vcpu *v = start(false);

	fake.apic = APIC_X2APIC;
	icr_taken = true;
	EXPECT(!writes_gp(v, MSR_X2APIC_ICR, 0x1000004500));
	EXPECT(icr == 0x1000004500 && !hw.written);
	icr_taken = false;
	EXPECT(!writes_gp(v, MSR_X2APIC_ICR, 0x10000000f1));
	EXPECT(hw.written && hw.value == 0x10000000f1);
}

/* #GP, or as if it had happened; never the hardware's. */
TEST(writes_that_do_not_arrive)
{
	static const struct {
		u32 index;
		bool intel, gp;
	} cases[] = {
		{ MSR_SMM_MONITOR_CTL, true, true },
		{ MSR_VMX_EXIT_CTLS2, true, true },
		{ MSR_PEBS_INDEX, true, true },
		{ 0x560, true, true },
		{ 0x561, true, true },
		{ 0x587, true, true },
		{ MSR_PMG_IO_CAPTURE, true, false },
		{ 0xed, true, true },
		{ 0xee, true, true },
		{ 0xef, true, true },
		{ MSR_TME_ACTIVATE, true, false },
		{ MSR_PATCH_LOADER, false, false },
		{ MSR_IORR_BASE(0), false, false },
		{ MSR_TOP_MEM2, false, false },
		{ MSR_CSTATE_BASE, false, false },
		{ MSR_SMM_BASE, false, false },
		{ 0xc0010113, false, false },
		{ MSR_VM_CR, false, true },
		{ MSR_SMM_CTL, false, true },
		{ MSR_SVM_KEY, false, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vcpu *v = start(cases[i].intel);

		EXPECT_EQ(writes_gp(v, cases[i].index, 1), cases[i].gp);
		EXPECT(!hw.read && !hw.written);
	}
}

/* BTS and PEBS as absent, where there is a debug store at all. */
TEST(no_debug_store)
{
	struct vcpu *v = start(true);
	u64 value;

	hw.value = 0x400850081;
	EXPECT(!reads_gp(v, MSR_MISC_ENABLE, &value));
	EXPECT_EQ(value, 0x400850081);
	fake.features = ~(1U << 21);
	EXPECT(!reads_gp(v, MSR_MISC_ENABLE, &value));
	EXPECT_EQ(value, 0x400850081);
	fake.features = 1U << 21;
	EXPECT(!reads_gp(v, MSR_MISC_ENABLE, &value));
	EXPECT_EQ(value, 0x400851881);
	/* what the guest writes back are the bits that there are */
	EXPECT(!writes_gp(v, MSR_MISC_ENABLE, value & ~1ULL));
	EXPECT_EQ(hw.value, 0x850080);
	hw.value = 0x850881;
	EXPECT(!writes_gp(v, MSR_MISC_ENABLE, 0x850081));
	EXPECT_EQ(hw.value, 0x850881);
	hw.fails = true;
	EXPECT(reads_gp(v, MSR_MISC_ENABLE, &value));
	hw.written = false;
	EXPECT(writes_gp(v, MSR_MISC_ENABLE, 1));
	EXPECT(!hw.written);
}

TEST(execute_disable_stays)
{
	struct vcpu *v = start(true);

	hw.value = 0x400850081;
	EXPECT(!writes_gp(v, MSR_MISC_ENABLE, 1ULL << 34 | 1));
	EXPECT_EQ(hw.value, 1);
}

/* Which are requested by physical memory. */
TEST(no_remote_actions)
{
	struct vcpu *v = start(true);
	u64 value;

	hw.value = 0x3e;
	EXPECT(!reads_gp(v, 0xcf, &value));
	EXPECT_EQ(value, 0x3c);
	EXPECT(reads_gp(v, 0xf0, &value));
	hw.fails = true;
	EXPECT(reads_gp(v, 0xcf, &value));
}

/* Split locks may fault, Shoji has none; locks of uncached memory may not. */
TEST(locks_of_uncached_memory)
{
	struct vcpu *v = start(true);

	EXPECT(!writes_gp(v, 0x33, 3ULL << 28));
	EXPECT_EQ(hw.index, 0x33);
	EXPECT_EQ(hw.value, 1ULL << 29);
	hw.fails = true;
	EXPECT(writes_gp(v, 0x33, 0));
}

/* What the hardware would write to physical memory, or take from Shoji. */
TEST(reaches_past_the_nested_table)
{
	struct vcpu *v = start(true);

	EXPECT(writes_gp(v, MSR_XSS, 0x100));
	EXPECT(writes_gp(v, MSR_HW_FEEDBACK_PTR, FAKE_HIDDEN | 1));
	EXPECT(writes_gp(v, MSR_HW_FEEDBACK_PTR, FAKE_HIDDEN - 0xf000));
	EXPECT(writes_gp(v, 0x3f4, 0xffff800000000000)); /* PEBS */
	EXPECT(!writes_gp(v, 0x13c, 3));		 /* lost */
	EXPECT(!writes_gp(v, 0x80, FAKE_HIDDEN | 1));	 /* lost: a trace */
	EXPECT(!hw.written);
	EXPECT(!writes_gp(v, MSR_HW_FEEDBACK_PTR, FAKE_HIDDEN - 0x10000 + 1));
	EXPECT_EQ(hw.value, FAKE_HIDDEN - 0x10000 + 1);
	EXPECT(!writes_gp(v, MSR_XSS, 0x1800));
	EXPECT_EQ(hw.value, 0x1800);
}

/* The CPU's own bus cycles to ports that are mediated. */
TEST(writes_past_the_port_hooks)
{
	struct vcpu *v = start(false);

	for (u32 n = 0; n < 5; n++)
		EXPECT(!writes_gp(v, MSR_IO_TRAP(n), 0x1f7));
	EXPECT(!writes_gp(v, MSR_SMI_IO_CYCLE, 0x2ca01f7));
	EXPECT(!hw.written);
	/* FreeBSD and others switch C1E off. */
	hw.value = 0x10ff0cf9;
	EXPECT(!writes_gp(v, MSR_INT_PENDING, 0x06ca01f7));
	EXPECT_EQ(hw.value, 0x00ff0cf9);
	hw.value = 0;
	EXPECT(!writes_gp(v, MSR_INT_PENDING, ~0ULL));
	EXPECT_EQ(hw.value, 0);
	hw.fails = true;
	hw.written = false;
	EXPECT(writes_gp(v, MSR_INT_PENDING, 0));
	EXPECT(!hw.written);
}

TEST(efer)
{
	struct vcpu *v = start(false);
	u64 value;

	/* SYSCALL, NX, long mode */
	fake.id[0].edx = 1U << 11 | 1U << 20 | 1U << 29;
	fake.id[1].ebx = 1U << 20; /* no LMSLE */
	fake.reg[0][VREG_EFER] = EFER_LMA | EFER_LME;
	fake.reg[0][VREG_CR0] |= CR0_PG;
	EXPECT(!writes_gp(v, MSR_EFER, EFER_LME | EFER_SCE | EFER_NXE));
	EXPECT(!reads_gp(v, MSR_EFER, &value));
	EXPECT_EQ(value, 0xd01);		  /* LMA stays */
	EXPECT(writes_gp(v, MSR_EFER, EFER_SCE)); /* LME with paging on */
	EXPECT(writes_gp(v, MSR_EFER, EFER_LME | EFER_SVME));
	EXPECT(writes_gp(v, MSR_EFER, EFER_LME | EFER_LMSLE));
	EXPECT(writes_gp(v, MSR_EFER, EFER_LME | EFER_FFXSR));
	EXPECT(writes_gp(v, MSR_EFER, EFER_LME | 1ULL << 63));
	EXPECT_EQ(fake.reg[0][VREG_EFER], 0xd01);
	EXPECT(!writes_gp(v, MSR_EFER, EFER_LME));
	EXPECT_EQ(fake.reg[0][VREG_EFER], 0x500); /* all but LMA go */
	fake.reg[0][VREG_CR0] &= ~CR0_PG;
	fake.reg[0][VREG_EFER] = 0;
	EXPECT(!writes_gp(v, MSR_EFER, EFER_LME | EFER_LMA));
	EXPECT_EQ(fake.reg[0][VREG_EFER], 0x100); /* nor does it come */
	fake.id[1].ebx = 1U << 12;		  /* IBPB: says nothing */
	hw.fails = true; /* LMSLE by CPUID, but not by the MSR itself */
	EXPECT(writes_gp(v, MSR_EFER, EFER_LME | EFER_LMSLE));
	hw.fails = false;
	hw.ignored = EFER_LMSLE; /* or it takes no notice */
	hw.value = EFER_SVME;
	EXPECT(writes_gp(v, MSR_EFER, EFER_LME | EFER_LMSLE));
	hw.ignored = 0;
	EXPECT(!writes_gp(v, MSR_EFER, EFER_LME | EFER_LMSLE));
	EXPECT(hw.index == MSR_EFER && hw.value == EFER_SVME);
	fake.id[2].eax = 1U << 8; /* automatic IBRS */
	EXPECT(!writes_gp(v, MSR_EFER, EFER_LME | EFER_AIBRSE));
}

/* APM vol. 3, appendix E */
TEST(efer_bits_of_this_cpu)
{
	static const struct {
		u8 leaf; /* of fake.id */
		u8 bit;	 /* of EAX, EBX, ECX, EDX */
		u64 efer;
	} cases[] = {
		{ 0, 96 + 11, 1 << 0 },	 { 0, 96 + 20, 1 << 11 },
		{ 0, 96 + 25, 1 << 14 }, { 0, 96 + 29, 1 << 8 },
		{ 0, 64 + 17, 1 << 15 }, { 1, 32 + 8, 1 << 17 },
		{ 1, 32 + 13, 1 << 18 }, { 2, 0 + 7, 1 << 20 },
		{ 2, 0 + 8, 1 << 21 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vcpu *v = start(false);
		u32 id[4] = { 0 };
		u8 bit = cases[i].bit;

		fake.id[1].ebx = 1U << 20; /* no LMSLE */
		EXPECT(writes_gp(v, MSR_EFER, cases[i].efer));
		id[bit / 32] = 1U << bit % 32;
		fake.id[cases[i].leaf].eax |= id[0];
		fake.id[cases[i].leaf].ebx |= id[1];
		fake.id[cases[i].leaf].ecx |= id[2];
		fake.id[cases[i].leaf].edx |= id[3];
		for (u64 efer = 1; efer < 1ULL << 24; efer <<= 1)
			EXPECT_EQ(!writes_gp(v, MSR_EFER, efer),
				  efer == cases[i].efer ||
					  (efer == EFER_LMA &&
					   cases[i].efer == EFER_LME));
		EXPECT(!hw.written);
	}
}

TEST(apic_base_where_it_can_be_watched)
{
	struct vcpu *v = start(false);

	apic_base_ok = false;
	EXPECT(writes_gp(v, MSR_APIC_BASE, 0xfee00900));
	EXPECT(!hw.written);
	apic_base_ok = true;
	EXPECT(!writes_gp(v, MSR_APIC_BASE, 0xfee00900));
	EXPECT(hw.written && hw.value == 0xfee00900);
	EXPECT(!v->deaf);
	hw.fails = true;
	EXPECT(writes_gp(v, MSR_APIC_BASE, 0xfee00100));
	EXPECT(!v->deaf);
	hw.fails = false;
	EXPECT(!writes_gp(v, MSR_APIC_BASE, 0xfee00100));
	EXPECT(v->deaf);
	/* an NMI that was sent then is lost, and the next one has to be sent */
	v->kick_nmi = 1;
	EXPECT(!writes_gp(v, MSR_APIC_BASE, 0xfee00d00));
	EXPECT(!v->deaf && !v->kick_nmi);
	v->kick_nmi = 1;
	EXPECT(!writes_gp(v, MSR_APIC_BASE, 0xfee00d00));
	EXPECT(v->kick_nmi);
}

/* What the hardware has taken is the nested table's, too. */
TEST(memory_types)
{
	struct vcpu *v = start(true);

	types_updated = 0;
	EXPECT(!writes_gp(v, MSR_MTRR_DEF_TYPE, 0xc06));
	EXPECT(hw.value == 0xc06 && types_updated == 1);
	hw.fails = true;
	EXPECT(writes_gp(v, MSR_MTRR_PHYSMASK(15), 1));
	EXPECT_EQ(types_updated, 1);
	v = start(false); /* AMD's hardware does it */
	EXPECT(!writes_gp(v, MSR_MTRR_DEF_TYPE, 0xc06));
	EXPECT(hw.written && types_updated == 1);
}

/* ... and Shoji's memory has one as well. */
TEST(memory_type_of_the_hidden_region)
{
	for (int intel = 0; intel < 2; intel++) {
		struct vcpu *v = start(intel);

		types_updated = 0;
		mtrrs.enabled = true;
		mtrrs.default_type = MEM_WC;
		EXPECT(writes_gp(v, MSR_MTRR_DEF_TYPE, 0x801));
		EXPECT_EQ(hw.index, MSR_MTRR_DEF_TYPE);
		EXPECT_EQ(hw.value, 0x1122334455667788);
		EXPECT_EQ(types_updated, 0);
		mtrrs.default_type = MEM_UC;
		EXPECT(!writes_gp(v, MSR_MTRR_DEF_TYPE, 0x800));
		EXPECT_EQ(hw.value, 0x800);
		EXPECT_EQ(types_updated, intel);
	}
	mtrrs.enabled = false;
}

static u8 trap_of(u32 index)
{
	u8 access = 0;

	for (u32 i = 0; i < trapped; i++)
		if (traps[i].index == index)
			access |= traps[i].access;
	return access;
}

/* The first and the last of each range; what passes does so without an exit. */
TEST(what_traps)
{
	static const struct {
		u32 index;
		u8 amd, intel;
	} want[] = {
		{ MSR_APIC_BASE, 2, 2 },
		{ MSR_MEMORY_CTRL, 0, 2 },
		{ MSR_FEATURE_CONTROL, 0, 3 },
		{ MSR_MTRR_PHYSBASE(0), 2, 2 },
		{ MSR_MTRR_PHYSMASK(15), 2, 2 },
		{ MSR_MTRR_FIX64K_00000, 2, 2 },
		{ MSR_MTRR_FIX4K_F8000, 2, 2 },
		{ MSR_MTRR_DEF_TYPE, 2, 2 },
		{ MSR_VMX_BASIC, 0, 3 },
		{ MSR_VMX_EXIT_CTLS2, 0, 3 },
		{ MSR_DS_AREA, 0, 3 },
		{ 0x560, 0, 3 },
		{ 0x561, 0, 3 },
		{ MSR_RTIT_CTL, 0, 3 },
		{ 0x587, 0, 3 },
		{ MSR_SMM_MONITOR_CTL, 0, 3 },
		{ MSR_BIOS_UPDT_TRIG, 0, 2 },
		{ MSR_PMG_IO_CAPTURE, 0, 2 },
		{ 0xcf, 0, 1 },
		{ 0xed, 0, 3 },
		{ 0xf0, 0, 3 },
		{ MSR_CSTATE_BASE, 2, 0 },
		{ MSR_FEATURE_CONFIG, 0, 2 },
		{ MSR_MISC_ENABLE, 0, 3 },
		{ MSR_PEBS_ENABLE, 0, 3 },
		{ MSR_PEBS_INDEX, 0, 3 },
		{ MSR_TRACE_HUB_BASE, 0, 2 },
		{ MSR_TME_ACTIVATE, 0, 2 },
		{ MSR_XSS, 0, 2 },
		{ MSR_HW_FEEDBACK_PTR, 0, 2 },
		{ MSR_X2APIC_ICR, 2, 0 },
		{ MSR_EFER, 3, 0 },
		{ MSR_SYSCFG, 2, 0 },
		{ MSR_IORR_BASE(0), 2, 0 },
		{ MSR_IORR_MASK(1), 2, 0 },
		{ MSR_TOP_MEM, 2, 0 },
		{ MSR_TOP_MEM2, 2, 0 },
		{ MSR_TSC_RATIO, 3, 0 },
		{ MSR_PATCH_LOADER, 2, 0 },
		{ MSR_INT_PENDING, 2, 0 },
		{ MSR_SMI_IO_CYCLE, 2, 0 },
		{ MSR_IO_TRAP(0), 2, 0 },
		{ MSR_IO_TRAP(4), 2, 0 },
		{ MSR_MMIO_CFG_BASE, 2, 0 },
		{ MSR_SMM_BASE, 2, 0 },
		{ 0xc0010113, 2, 0 },
		{ MSR_VM_CR, 3, 0 },
		{ MSR_SMM_CTL, 3, 0 },
		{ MSR_SVM_KEY, 3, 0 },
		{ 0x10, 0, 0 },
		{ 0x277, 0, 0 },
		{ 0xc0000100, 0, 0 },
	};

	for (int intel = 0; intel < 2; intel++) {
		trapped = 0;
		guest_msr_init(start(intel)->guest);
		EXPECT_EQ(trapped, intel ? 134 : 93); /* no other */
		for (size_t i = 0; i < ARRAY_SIZE(want); i++)
			EXPECT_EQ(trap_of(want[i].index),
				  intel ? want[i].intel : want[i].amd);
	}
}

TEST_MAIN(CASE(passes), CASE(hides_vmx), CASE(hides_svm), CASE(by_vendor),
	  CASE(x2apic_icr_in_xapic_mode), CASE(x2apic_icr_is_watched),
	  CASE(writes_that_do_not_arrive), CASE(no_debug_store),
	  CASE(efer_bits_of_this_cpu), CASE(execute_disable_stays),
	  CASE(no_remote_actions), CASE(locks_of_uncached_memory),
	  CASE(reaches_past_the_nested_table), CASE(writes_past_the_port_hooks),
	  CASE(efer), CASE(apic_base_where_it_can_be_watched),
	  CASE(memory_types), CASE(memory_type_of_the_hidden_region),
	  CASE(what_traps))

/*
 * INIT and SIPI where the ICR is watched: what reaches which CPU, and what
 * does not reach the hardware.
 * units: tests/unit/fake_guest.c core/virt/startup.c core/virt/run.c core/virt/insn.c core/mm/walk.c core/emul/decode.c core/emul/exec.c core/emul/flow.c core/emul/string.c
 * libs: -include tests/unit/fake_guest.h
 */
#include <string.h>

#include "boot/stub.h"
#include "core/arch/regs.h"
#include "tests/unit/test.h"

#define INIT	     0x4500
#define NMI	     0x4400
#define SIPI(vector) (0x4600 | (vector))
#define SELF	     0x40000
#define ALL	     0x80000
#define OTHERS	     0xc0000

/* APIC IDs are 0, 2 and 4. */
static struct vcpu *start(void)
{
	struct vcpu *v = fake_start();

	fake.guest.stub = 0x9f000;
	EXPECT_EQ(startup_init(&fake.guest, true), 0);
	return v;
}

static enum verdict write_apic(u32 offset, u8 size, u64 value)
{
	struct mmio_io io = { 0xfee00000 + offset, size, true, value };

	return fake.hook->fn(fake.hook->ctx, &io);
}

static enum verdict icr(u32 dest, u32 low)
{
	fake.icr_high = dest << 24;
	return write_apic(APIC_ICR, 4, low);
}

TEST(init_sipi)
{
	struct vcpu *v = start();

	fake.reg[1][VREG_CR0] = CR0_PE | CR0_PG | CR0_CD | CR0_ET;
	fake.reg[1][VREG_EFER] = EFER_LME | EFER_LMA;
	v[1].event.valid = true;
	EXPECT_EQ(icr(2, INIT), DONE);
	EXPECT_EQ(fake.nmis_to, 1 << 2);
	EXPECT_EQ(v[2].startup_request, 0);
	EXPECT(v[1].kick);
	startup_requests(&v[1]);
	EXPECT(v[1].waiting_sipi);
	EXPECT(!v[1].event.valid);
	EXPECT_EQ(fake.apic_inits, 1);
	EXPECT_EQ(fake.reg[1][VREG_CR0], CR0_CD | CR0_ET);
	EXPECT_EQ(fake.reg[1][VREG_EFER], 0);
	EXPECT_EQ(fake.seg[1][SEG_CS].base, 0x9f000);
	EXPECT_EQ(v[1].rip, STUB_PARK_IP);
	EXPECT_EQ(v[1].gpr[GPR_RDX], 0x800f12);
	EXPECT(fake.flushes[1]);

	EXPECT_EQ(icr(2, SIPI(0x9b)), DONE);
	startup_requests(&v[1]);
	EXPECT(!v[1].waiting_sipi);
	EXPECT_EQ(fake.seg[1][SEG_CS].selector, 0x9b00);
	EXPECT_EQ(fake.seg[1][SEG_CS].base, 0x9b000);
	EXPECT_EQ(v[1].rip, 0);
	/* the second SIPI finds it running */
	v[1].rip = 0x1234;
	EXPECT_EQ(icr(2, SIPI(0x10)), DONE);
	startup_requests(&v[1]);
	EXPECT_EQ(v[1].rip, 0x1234);
}

static void expect_seg(unsigned int seg, u16 selector, u16 attr, u64 base)
{
	const struct vseg *s = &fake.seg[1][seg];

	EXPECT_EQ(s->selector, selector);
	EXPECT_EQ(s->attr, attr);
	EXPECT_EQ(s->limit, 0xffff);
	EXPECT_EQ(s->base, base);
}

/* SDM vol. 3, table 9-1. What is left of 64-bit mode could end the guest at the
 * next entry. */
TEST(init_leaves_nothing_of_the_mode_before)
{
	static const struct {
		enum vreg reg;
		u64 value;
	} after[] = {
		{ VREG_CR0, CR0_CD | CR0_NW | CR0_ET },
		{ VREG_CR2, 0 },
		{ VREG_CR3, 0 },
		{ VREG_CR4, 0 },
		{ VREG_EFER, 0 },
		{ VREG_DR6, 0xffff0ff0 },
		{ VREG_DR7, 0x400 },
		{ VREG_INTERRUPTIBILITY, 0 },
	};
	struct vcpu *v = start();

	memset(fake.reg[1], 0xff, sizeof(fake.reg[1]));
	memset(fake.seg[1], 0xff, sizeof(fake.seg[1]));
	memset(v[1].gpr, 0xff, sizeof(v[1].gpr));
	v[1].rflags = ~0ULL;
	v[1].nmi_pending = true;
	startup_init_signal(&v[1]);
	for (size_t i = 0; i < ARRAY_SIZE(after); i++)
		EXPECT_EQ(fake.reg[1][after[i].reg], after[i].value);
	for (int i = 0; i < 16; i++)
		EXPECT_EQ(v[1].gpr[i], i == GPR_RDX ? 0x800f12 : 0);
	EXPECT_EQ(v[1].rflags, RFLAGS_FIXED);
	EXPECT(!v[1].nmi_pending);
	for (unsigned int i = SEG_ES; i <= SEG_GS; i++)
		if (i != SEG_CS)
			expect_seg(i, 0, 0x93, 0);
	expect_seg(SEG_CS, 0x9f00, 0x9b, 0x9f000);
	expect_seg(SEG_LDTR, 0, 0x82, 0);
	expect_seg(SEG_TR, 0, 0x8b, 0);
	EXPECT_EQ(fake.seg[1][SEG_GDTR].base, 0);
	EXPECT_EQ(fake.seg[1][SEG_GDTR].limit, 0xffff);
	EXPECT_EQ(fake.seg[1][SEG_IDTR].base, 0);
	EXPECT_EQ(fake.seg[1][SEG_IDTR].limit, 0xffff);
}

TEST(begins_in_the_stub)
{
	struct vcpu *v = start();

	v->rflags = ~0ULL;
	startup_begin(v);
	EXPECT_EQ(v->rflags, RFLAGS_FIXED);
	EXPECT_EQ(fake.seg[0][SEG_CS].base, 0x9f000);
	EXPECT_EQ(v->rip, STUB_START_IP);
	EXPECT(!v->waiting_sipi);
}

TEST(shorthands)
{
	struct vcpu *v = start();

	EXPECT_EQ(icr(0, INIT | OTHERS), DONE);
	EXPECT_EQ(v[0].startup_request, 0);
	EXPECT(v[1].startup_request);
	EXPECT(v[2].startup_request);
	v = start();
	EXPECT_EQ(icr(2, NMI | SELF), DONE);
	EXPECT_EQ(fake.nmis_to, 1 << 0);
	v = start();
	EXPECT_EQ(icr(2, NMI | ALL), DONE);
	EXPECT_EQ(fake.nmis_to, 1 << 0 | 1 << 2 | 1 << 4);
	v = start();
	EXPECT_EQ(icr(0xff, INIT), DONE); /* broadcast */
	EXPECT(v[2].startup_request);
	v = start();
	EXPECT_EQ(icr(6, INIT), DONE); /* nobody */
	EXPECT_EQ(icr(2, INIT | APIC_ICR_LOGICAL), DONE);
	EXPECT_EQ(fake.nmis_to, 0);
	/* level, de-assert */
	EXPECT_EQ(icr(2, 0x8500), DONE);
	EXPECT_EQ(fake.nmis_to, 0);
	/* level, assert */
	EXPECT_EQ(icr(2, 0xc500), DONE);
	EXPECT_EQ(fake.nmis_to, 1 << 2);
	/* an edge has no level */
	EXPECT_EQ(icr(4, 0x500), DONE);
	EXPECT_EQ(fake.nmis_to, 1 << 2 | 1 << 4);
}

/* A second one would be the guest's. */
TEST(one_nmi_for_a_kick)
{
	struct vcpu *v = start();

	icr(2, INIT);
	v[1].kick = 0; /* it has looked, the NMI is still on its way */
	icr(2, SIPI(1));
	EXPECT(v[1].kick);
	EXPECT_EQ(fake.nmis, 1);
	v[1].kick_nmi = 0;
	icr(2, NMI);
	EXPECT_EQ(fake.nmis, 2);
	/* none can be sent: none will come */
	v = start();
	fake.apic = APIC_OFF;
	guest_kick(&v[1]);
	EXPECT(v[1].kick);
	EXPECT(!v[1].kick_nmi);
	EXPECT_EQ(fake.nmis, 0);
}

TEST(x2apic_destinations)
{
	struct vcpu *v = start();

	fake.apic = APIC_X2APIC;
	EXPECT(startup_icr(v, 2ULL << 32 | INIT));
	EXPECT_EQ(fake.nmis_to, 1 << 2);
	EXPECT(startup_icr(v, 0xffULL << 32 | INIT)); /* nobody */
	EXPECT_EQ(fake.nmis_to, 1 << 2);
	EXPECT(startup_icr(v, 0xffffffffULL << 32 | NMI));
	EXPECT_EQ(fake.nmis_to, 1 << 0 | 1 << 2 | 1 << 4);
}

/* Its INITs and SIPIs are real ones, but for an INIT that would end the guest's
 * run again and again; and the watch ends with the last SIPI. */
TEST(hardware_that_waits_for_sipi)
{
	struct vcpu *v = start();

	fake.wait_sipi = true;
	startup_init_signal(&v[1]);
	startup_init_signal(&v[2]);
	EXPECT_EQ(v[1].rip, 0xfff0); /* where a CPU begins after INIT */
	EXPECT_EQ(icr(2, INIT), DONE);
	EXPECT_EQ(icr(0, INIT | OTHERS), DONE);
	EXPECT_EQ(icr(0, INIT | ALL), PASS);
	EXPECT_EQ(icr(6, INIT), PASS); /* nobody */
	EXPECT_EQ(icr(2, SIPI(1)), PASS);
	EXPECT_EQ(icr(2, NMI), PASS);
	startup_sipi(&v[1], 1);
	EXPECT_EQ(fake.hook->size, PAGE_SIZE);
	EXPECT_EQ(icr(2, INIT), PASS);
	EXPECT_EQ(icr(4, INIT), DONE);
	EXPECT_EQ(icr(0, INIT | OTHERS), PASS);
	startup_sipi(&v[2], 1);
	EXPECT_EQ(fake.hook->size, 0);
	EXPECT_EQ(v[1].startup_request | v[2].startup_request, 0);
	EXPECT_EQ(fake.nmis, 0);
}

/* INIT, SIPI, INIT: it waits for a new SIPI. */
TEST(init_takes_back_sipi)
{
	struct vcpu *v = start();

	icr(2, INIT);
	icr(2, SIPI(1));
	icr(2, INIT);
	startup_requests(&v[1]);
	EXPECT(v[1].waiting_sipi);
}

/* All of it taken at once: the CPU starts where the first SIPI says, and an
 * NMI from before the INIT is gone. */
TEST(requests_in_order)
{
	struct vcpu *v = start();

	icr(2, NMI);
	icr(2, INIT);
	icr(2, SIPI(0x30));
	icr(2, SIPI(0x31));
	startup_requests(&v[1]);
	EXPECT(!v[1].waiting_sipi);
	EXPECT(!v[1].nmi_pending);
	EXPECT_EQ(fake.seg[1][SEG_CS].base, 0x30000);
	icr(2, INIT);
	icr(2, NMI);
	startup_requests(&v[1]);
	EXPECT(v[1].waiting_sipi);
	EXPECT(v[1].nmi_pending);
	startup_requests(&v[1]);
	EXPECT(v[1].waiting_sipi);
}

/* It does not come as an NMI, which could be taken for a kick. */
TEST(nmi_is_a_request)
{
	struct vcpu *v = start();

	EXPECT_EQ(icr(0, NMI | OTHERS), DONE);
	EXPECT_EQ(fake.nmis_to, 1 << 2 | 1 << 4);
	startup_requests(&v[0]);
	startup_requests(&v[1]);
	EXPECT(!v[0].nmi_pending);
	EXPECT(v[1].nmi_pending);
	EXPECT_EQ(icr(2, NMI | APIC_ICR_LOGICAL), PASS);
}

TEST(boot_processor_resets)
{
	struct vcpu *v = start();

	EXPECT_EQ(icr(0, INIT), DONE);
	EXPECT(RESETS(startup_requests(&v[0])));
}

/* Everything else is the hardware's. */
TEST(passes)
{
	start();
	EXPECT_EQ(icr(2, 0x40fe), PASS);
	EXPECT_EQ(write_apic(APIC_EOI, 4, 0), PASS);
	EXPECT_EQ(write_apic(APIC_ICR_HIGH, 4, 0x02000000), PASS);
	/* NMI and INIT of an interrupt of its own */
	EXPECT_EQ(write_apic(APIC_LVT_LINT1, 4, NMI), PASS);
	EXPECT_EQ(write_apic(APIC_LVT_LINT0, 4, INIT), PASS);
	EXPECT_EQ(fake.nmis, 0);
}

/* Ways to the ICR that are none on paper, and the ID. */
TEST(odd_writes_are_lost)
{
	static const struct {
		u16 offset;
		u8 size;
	} cases[] = {
		{ 0x304, 4 },	{ 0x308, 4 }, { 0x30c, 4 }, { 0x300, 8 },
		{ 0x2f8, 8 },	{ 0x300, 2 }, { 0x301, 1 }, { 0x0b4, 4 },
		{ APIC_ID, 4 }, { 0x000, 4 }, { 0x010, 4 },
	};

	start();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		EXPECT_EQ(write_apic(cases[i].offset, cases[i].size,
				     0x450000004500),
			  DONE);
	EXPECT_EQ(fake.nmis_to, 0);
}

TEST(base_stays)
{
	struct vcpu *v = start();

	EXPECT(startup_apic_base_ok(v, 0xfee00d00));
	EXPECT(!startup_apic_base_ok(v, 0xfed00900));
}

TEST(the_page_is_watched_only_where_it_has_to_be)
{
	start();
	EXPECT_EQ(fake.hook->start, 0xfee00000);
	EXPECT_EQ(fake.hook->size, PAGE_SIZE);
	EXPECT(fake.hook->writes_only);
	fake_start();
	EXPECT_EQ(startup_init(&fake.guest, false), 0);
	EXPECT_EQ(fake.guest.apic_base, 0xfee00000);
	EXPECT(!fake.hook);
}

TEST_MAIN(CASE(init_sipi), CASE(init_leaves_nothing_of_the_mode_before),
	  CASE(begins_in_the_stub), CASE(one_nmi_for_a_kick),
	  CASE(x2apic_destinations), CASE(hardware_that_waits_for_sipi),
	  CASE(the_page_is_watched_only_where_it_has_to_be), CASE(shorthands),
	  CASE(init_takes_back_sipi), CASE(requests_in_order),
	  CASE(nmi_is_a_request), CASE(boot_processor_resets), CASE(passes),
	  CASE(odd_writes_are_lost), CASE(base_stays))

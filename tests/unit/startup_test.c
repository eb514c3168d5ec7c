/*
 * INIT and SIPI where the ICR is watched: what reaches which CPU, and what
 * does not reach the hardware.
 * units: tests/unit/fake_guest.c core/virt/startup.c core/virt/run.c core/virt/insn.c core/mm/walk.c core/emul/decode.c core/emul/exec.c core/emul/flow.c core/emul/string.c
 * libs: -include tests/unit/fake_guest.h
 */
#include <string.h>

#include "boot/stub.h"
#include "core/arch/regs.h"
#include "core/cpu/apic.h"
#include "tests/unit/test.h"

#define INIT	     0x4500
#define NMI	     0x4400
#define SIPI(vector) (0x4600 | (vector))
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
	startup_requests(&v[1]);
	EXPECT(v[1].waiting_sipi);
	EXPECT(!v[1].event.valid);
	EXPECT_EQ(fake.reg[1][VREG_CR0], CR0_CD | CR0_ET);
	EXPECT_EQ(fake.reg[1][VREG_EFER], 0);
	EXPECT_EQ(fake.seg[1][SEG_CS].base, 0x9f000);
	EXPECT_EQ(v[1].rip, STUB_PARK_IP);
	EXPECT_EQ(v[1].gpr[GPR_RDX], 0x800f12);
	EXPECT(fake.flushes[1]);

	EXPECT_EQ(icr(2, SIPI(0x9a)), DONE);
	startup_requests(&v[1]);
	EXPECT(!v[1].waiting_sipi);
	EXPECT_EQ(fake.seg[1][SEG_CS].selector, 0x9a00);
	EXPECT_EQ(fake.seg[1][SEG_CS].base, 0x9a000);
	EXPECT_EQ(v[1].rip, 0);
	/* the second SIPI finds it running */
	v[1].rip = 0x1234;
	EXPECT_EQ(icr(2, SIPI(0x10)), DONE);
	startup_requests(&v[1]);
	EXPECT_EQ(v[1].rip, 0x1234);
}

TEST(shorthands)
{
	struct vcpu *v = start();

	EXPECT_EQ(icr(0, INIT | OTHERS), DONE);
	EXPECT_EQ(v[0].startup_request, 0);
	EXPECT(v[1].startup_request);
	EXPECT(v[2].startup_request);
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

TEST_MAIN(CASE(init_sipi), CASE(shorthands), CASE(init_takes_back_sipi),
	  CASE(requests_in_order), CASE(nmi_is_a_request),
	  CASE(boot_processor_resets), CASE(passes), CASE(odd_writes_are_lost),
	  CASE(base_stays))

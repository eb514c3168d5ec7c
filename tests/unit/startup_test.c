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

/* As the loop of that CPU does it. */
static void take(struct vcpu *v)
{
	u32 sipi = v->sipi_request;

	if (v->init_request)
		startup_init_signal(v);
	v->init_request = v->sipi_request = 0;
	if (sipi)
		startup_sipi(v, sipi - 1);
}

TEST(init_sipi)
{
	struct vcpu *v = start();

	fake.reg[1][VREG_CR0] = CR0_PE | CR0_PG | CR0_CD | CR0_ET;
	fake.reg[1][VREG_EFER] = EFER_LME | EFER_LMA;
	v[1].event.valid = true;
	EXPECT_EQ(icr(2, INIT), DONE);
	EXPECT_EQ(fake.nmis_to, 1 << 2);
	EXPECT_EQ(v[1].init_request, 1);
	EXPECT_EQ(v[2].init_request, 0);
	take(&v[1]);
	EXPECT(v[1].waiting_sipi);
	EXPECT(!v[1].event.valid);
	EXPECT_EQ(fake.reg[1][VREG_CR0], CR0_CD | CR0_ET);
	EXPECT_EQ(fake.reg[1][VREG_EFER], 0);
	EXPECT_EQ(fake.seg[1][SEG_CS].base, 0x9f000);
	EXPECT_EQ(v[1].rip, STUB_PARK_IP);
	EXPECT_EQ(v[1].gpr[GPR_RDX], 0x800f12);
	EXPECT(fake.flushes[1]);

	EXPECT_EQ(icr(2, SIPI(0x9a)), DONE);
	take(&v[1]);
	EXPECT(!v[1].waiting_sipi);
	EXPECT_EQ(fake.seg[1][SEG_CS].selector, 0x9a00);
	EXPECT_EQ(fake.seg[1][SEG_CS].base, 0x9a000);
	EXPECT_EQ(v[1].rip, 0);
	/* the second SIPI finds it running */
	v[1].rip = 0x1234;
	EXPECT_EQ(icr(2, SIPI(0x10)), DONE);
	take(&v[1]);
	EXPECT_EQ(v[1].rip, 0x1234);
}

TEST(shorthands)
{
	struct vcpu *v = start();

	EXPECT_EQ(icr(0, INIT | OTHERS), DONE);
	EXPECT_EQ(v[0].init_request, 0);
	EXPECT_EQ(v[1].init_request, 1);
	EXPECT_EQ(v[2].init_request, 1);
	v = start();
	EXPECT_EQ(icr(0xff, INIT), DONE); /* broadcast */
	EXPECT_EQ(v[2].init_request, 1);
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
	take(&v[1]);
	EXPECT(v[1].waiting_sipi);
}

TEST(boot_processor_resets)
{
	struct vcpu *v = start();

	EXPECT_EQ(icr(0, INIT), DONE);
	EXPECT(RESETS(take(&v[0])));
}

/* Everything else is the hardware's. */
TEST(passes)
{
	start();
	EXPECT_EQ(icr(2, 0x40fe), PASS);
	EXPECT_EQ(icr(2, 0x4400), PASS);
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
		{ 0x304, 4 }, { 0x308, 4 }, { 0x30c, 4 },
		{ 0x300, 8 }, { 0x2f8, 8 }, { 0x300, 2 },
		{ 0x301, 1 }, { 0x0b4, 4 }, { APIC_ID, 4 },
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
	  CASE(boot_processor_resets), CASE(passes), CASE(odd_writes_are_lost),
	  CASE(base_stays))

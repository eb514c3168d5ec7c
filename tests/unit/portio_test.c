/*
 * IN, OUT, INS and OUTS on hooked ports.
 * units: tests/unit/fake_guest.c core/virt/portio.c core/virt/ahead.c core/virt/run.c core/virt/insn.c core/io/port.c core/mm/walk.c core/emul/decode.c core/emul/exec.c core/emul/flow.c core/emul/string.c
 * libs: -include tests/unit/fake_guest.h
 */
#include "core/mm/pool.h"
#include "tests/unit/fake_port.h"
#include "tests/unit/test.h"

/* Without memory for it there is no running ahead. */
void *pool_alloc_run(size_t pages)
{
	return NULL;
}

/* ---- IN and OUT ---- */

TEST(in_keeps_the_rest_of_rax)
{
	static const struct {
		u8 size;
		u64 rax;
	} cases[] = {
		{ 1, 0x1122334455667700 },
		{ 2, 0x1122334455660100 },
		{ 4, 0x03020100 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vcpu *v = start(16);
		struct vmexit exit = io_exit(cases[i].size, false, false, 0);

		v->gpr[GPR_RAX] = 0x1122334455667788;
		guest_io(v, &exit);
		EXPECT_EQ(v->gpr[GPR_RAX], cases[i].rax);
		EXPECT_EQ(v->rip, 0x1002);
	}
}

TEST(out_gives_the_low_bytes)
{
	struct vcpu *v = start(32);
	struct vmexit exit = io_exit(2, true, false, 0);

	v->gpr[GPR_RAX] = 0x1122334455667788;
	guest_io(v, &exit);
	EXPECT_EQ(device.last, 0x7788);
	EXPECT_EQ(device.size, 2);
}

/* ---- INS and OUTS ---- */

TEST(burst_of_a_sector)
{
	struct vcpu *v = start(64);
	struct vmexit exit = io_exit(2, false, true, 8);

	v->gpr[GPR_RDI] = 0x5000;
	v->gpr[GPR_RCX] = 256;
	guest_io(v, &exit);
	EXPECT_EQ(device.accesses, 1);
	EXPECT_EQ(device.elements, 256);
	EXPECT_EQ(v->gpr[GPR_RDI], 0x5200);
	EXPECT_EQ(v->gpr[GPR_RCX], 0);
	EXPECT_EQ(v->rip, 0x1002);
	EXPECT_EQ(fake.ram[0x51ff], 0xff);
}

/* Up to the end of the page; an element across it goes alone. */
TEST(burst_ends_with_the_page)
{
	struct vcpu *v = start(64);
	struct vmexit exit = io_exit(4, false, true, 8);

	v->gpr[GPR_RDI] = 0x5ff6;
	v->gpr[GPR_RCX] = 5;
	guest_io(v, &exit);
	EXPECT_EQ(device.elements, 2);
	EXPECT_EQ(v->rip, 0x1000);
	guest_io(v, &exit);
	EXPECT_EQ(device.elements, 3);
	guest_io(v, &exit);
	EXPECT_EQ(device.elements, 5);
	EXPECT_EQ(v->gpr[GPR_RDI], 0x600a);
	EXPECT_EQ(v->rip, 0x1002);
}

TEST(nothing_to_repeat)
{
	struct vcpu *v = start(32);
	struct vmexit exit = io_exit(2, false, true, 4);

	v->gpr[GPR_RCX] = 0x100000000; /* ECX is 0 */
	guest_io(v, &exit);
	EXPECT_EQ(device.accesses, 0);
	EXPECT_EQ(v->rip, 0x1002);
}

/* 16-bit addresses wrap and leave the upper parts alone. */
TEST(address_size_16)
{
	struct vcpu *v = start(16);
	struct vmexit exit = io_exit(1, false, true, 2);

	v->gpr[GPR_RDI] = 0xabcd1234fffe;
	v->gpr[GPR_RCX] = 0xabcd12340003;
	guest_io(v, &exit);
	EXPECT_EQ(device.elements, 2);
	EXPECT_EQ(v->gpr[GPR_RDI], 0xabcd12340000);
	guest_io(v, &exit);
	EXPECT_EQ(v->gpr[GPR_RDI], 0xabcd12340001);
	EXPECT_EQ(v->gpr[GPR_RCX], 0xabcd12340000);
	EXPECT_EQ(fake.ram[0], 2);
	EXPECT_EQ(fake.ram[0x10000], 0);
}

/* 32-bit addresses in 64-bit code clear the upper half. */
TEST(address_size_32)
{
	struct vcpu *v = start(64);
	struct vmexit exit = io_exit(2, true, true, 4);

	v->gpr[GPR_RSI] = 0xffffffff00005000;
	v->gpr[GPR_RCX] = 0xffffffff00000002;
	fake.ram[0x5002] = 0x34;
	fake.ram[0x5003] = 0x12;
	guest_io(v, &exit);
	EXPECT_EQ(device.last, 0x1234);
	EXPECT_EQ(v->gpr[GPR_RSI], 0x5004);
	EXPECT_EQ(v->gpr[GPR_RCX], 0);
}

TEST(downwards)
{
	struct vcpu *v = start(32);
	struct vmexit exit = io_exit(2, false, true, 4);

	v->rflags |= RFLAGS_DF;
	v->gpr[GPR_RDI] = 0x5002;
	v->gpr[GPR_RCX] = 2;
	guest_io(v, &exit);
	EXPECT_EQ(v->rip, 0x1000);
	guest_io(v, &exit);
	EXPECT_EQ(v->rip, 0x1002);
	EXPECT_EQ(v->gpr[GPR_RDI], 0x4ffe);
	EXPECT_EQ(fake.ram[0x5002], 0);
	EXPECT_EQ(fake.ram[0x5000], 2);
}

TEST(segment_limit_in_the_burst)
{
	struct vcpu *v = start(32);
	struct vmexit exit = io_exit(2, false, true, 4);

	fake.seg[0][SEG_ES].limit = 0x5003;
	v->gpr[GPR_RDI] = 0x5000;
	v->gpr[GPR_RCX] = 3;
	guest_io(v, &exit);
	guest_io(v, &exit);
	EXPECT_EQ(device.elements, 2);
	guest_io(v, &exit);
	EXPECT_EQ(device.elements, 2);
	EXPECT_EQ(v->event.vector, VECTOR_GP);
	EXPECT_EQ(v->gpr[GPR_RCX], 1);
	EXPECT_EQ(v->rip, 0x1000);
}

/* The device loses what is read: the fault has to come first. */
TEST(page_fault_before_the_device)
{
	struct vcpu *v = start(64);
	struct vmexit exit = io_exit(2, false, true, 8);

	fake_page(0x5000, 0x5000 | PTE_P);
	fake.reg[0][VREG_CR0] |= CR0_WP;
	v->gpr[GPR_RDI] = 0x5010;
	v->gpr[GPR_RCX] = 16;
	guest_io(v, &exit);
	EXPECT_EQ(device.accesses, 0);
	EXPECT_EQ(v->event.vector, VECTOR_PF);
	EXPECT_EQ(v->event.error, PF_P | PF_W);
	EXPECT_EQ(fake.reg[0][VREG_CR2], 0x5010);
	EXPECT_EQ(v->gpr[GPR_RCX], 16);
}

/* What the back end does not tell is in the instruction. */
TEST(prefixes)
{
	static const u8 outs[] = { 0xf3, 0x67, 0x64, 0x66, 0x6f };
	struct vcpu *v = start(32);
	struct vmexit exit = io_exit(2, true, true, 4);

	exit.io.addr_size = 0;
	exit.io.seg = 0xff;
	memcpy(fake.ram + 0x1000, outs, sizeof(outs));
	fake.seg[0][SEG_FS].base = 0x4000;
	v->gpr[GPR_RSI] = 0x10010;
	v->gpr[GPR_RCX] = 0x10001;
	fake.ram[0x4010] = 0x77;
	guest_io(v, &exit);
	EXPECT_EQ(device.last, 0x77);
	EXPECT_EQ(v->gpr[GPR_RSI], 0x10012);
	EXPECT_EQ(v->gpr[GPR_RCX], 0x10000);
}

/* One element, whatever is in RCX; and all of it gets there. */
TEST(without_rep)
{
	struct vcpu *v = start(32);
	struct vmexit exit = io_exit(4, true, false, 4);

	v->gpr[GPR_RSI] = 0x5000;
	v->gpr[GPR_RCX] = 3;
	store_le32(fake.ram + 0x5000, 0x12345678);
	guest_io(v, &exit);
	EXPECT_EQ(device.elements, 1);
	EXPECT_EQ(device.last, 0x12345678);
	EXPECT_EQ(v->gpr[GPR_RSI], 0x5004);
	EXPECT_EQ(v->gpr[GPR_RCX], 3);
	exit.io.rep = true;
	v->rip = 0x1000;
	store_le32(fake.ram + 0x500c, 0x87654321);
	guest_io(v, &exit);
	EXPECT_EQ(device.elements, 4);
	EXPECT_EQ(device.last, 0x87654321);
}

/* Without a limit that would stop it there. */
TEST(address_size_16_in_a_flat_segment)
{
	struct vcpu *v = start(32);
	struct vmexit exit = io_exit(1, false, true, 2);

	v->gpr[GPR_RDI] = 0xfffe;
	v->gpr[GPR_RCX] = 3;
	fake.seg[0][SEG_ES].base = 8;
	guest_io(v, &exit);
	EXPECT_EQ(device.elements, 2);
	guest_io(v, &exit);
	EXPECT_EQ(device.elements, 3);
	EXPECT_EQ(v->gpr[GPR_RDI], 1);
	EXPECT_EQ(fake.ram[8], 2);
	EXPECT_EQ(fake.ram[0x10008], 0);
}

/* Of the two only the segment is not told. */
TEST(a_prefix_and_a_known_address_size)
{
	static const u8 outs[] = { 0x64, 0x6e };
	struct vcpu *v = start(32);
	struct vmexit exit = io_exit(1, true, false, 4);

	exit.io.seg = 0xff;
	memcpy(fake.ram + 0x1000, outs, sizeof(outs));
	fake.seg[0][SEG_FS].base = 0x4000;
	v->gpr[GPR_RSI] = 0x10;
	fake.ram[0x4010] = 0x77;
	guest_io(v, &exit);
	EXPECT_EQ(device.last, 0x77);
	/* another CPU has changed it: the guest tries again */
	fake.ram[0x1000] = 0x0f;
	fake.ram[0x1001] = 0x0b;
	v->rip = 0x1000;
	guest_io(v, &exit);
	EXPECT_EQ(device.elements, 1);
	EXPECT_EQ(v->rip, 0x1000);
	EXPECT(!v->event.valid);
}

/* Without effect in 64-bit code, also behind one that has. */
TEST(prefixes_in_64_bit_code)
{
	static const u8 outs[] = { 0x65, 0x2e, 0x66, 0x6f };
	struct vcpu *v = start(64);
	struct vmexit exit = io_exit(2, true, false, 8);

	exit.io.addr_size = 0;
	exit.io.seg = 0xff;
	memcpy(fake.ram + 0x1000, outs, sizeof(outs));
	fake.seg[0][SEG_GS].base = 0x4000;
	v->gpr[GPR_RSI] = 0x10;
	fake.ram[0x4010] = 0x77;
	guest_io(v, &exit);
	EXPECT_EQ(device.last, 0x77);
}

/* Each iteration is a step, and RF stays set between them (SDM vol. 3,
 * 17.3.1.1). */
TEST(single_step)
{
	struct vcpu *v = start(32);
	struct vmexit exit = io_exit(2, false, true, 4);

	v->rflags |= RFLAGS_TF;
	v->gpr[GPR_RDI] = 0x5000;
	v->gpr[GPR_RCX] = 2;
	fake.reg[0][VREG_INTERRUPTIBILITY] = 1;
	guest_io(v, &exit);
	EXPECT_EQ(v->gpr[GPR_RCX], 1);
	EXPECT_EQ(v->rip, 0x1000);
	EXPECT(v->event.valid);
	EXPECT_EQ(v->event.vector, VECTOR_DB);
	EXPECT_EQ(fake.reg[0][VREG_DR6], DR6_BS);
	EXPECT_EQ(fake.reg[0][VREG_INTERRUPTIBILITY], 0);
	EXPECT(v->rflags & RFLAGS_RF);
	v->event.valid = false;
	guest_io(v, &exit);
	EXPECT_EQ(v->rip, 0x1002);
	EXPECT(v->event.valid);
	EXPECT(!(v->rflags & RFLAGS_RF));
}

TEST_MAIN(CASE(single_step), CASE(in_keeps_the_rest_of_rax),
	  CASE(out_gives_the_low_bytes), CASE(burst_of_a_sector),
	  CASE(burst_ends_with_the_page), CASE(nothing_to_repeat),
	  CASE(address_size_16), CASE(address_size_32), CASE(downwards),
	  CASE(segment_limit_in_the_burst), CASE(page_fault_before_the_device),
	  CASE(without_rep), CASE(address_size_16_in_a_flat_segment),
	  CASE(a_prefix_and_a_known_address_size), CASE(prefixes),
	  CASE(prefixes_in_64_bit_code))

/*
 * INT 15h asked through the stub, in real and in virtual-8086 mode: where the
 * answer goes, and what faults instead.
 * units: tests/unit/fake_guest.c core/virt/bioscall.c core/virt/bios.c core/virt/run.c core/virt/insn.c core/mm/walk.c core/emul/decode.c core/emul/exec.c core/emul/flow.c core/emul/string.c
 * libs: -include tests/unit/fake_guest.h
 */
#include <string.h>

#include "boot/stub.h"
#include "core/arch/regs.h"
#include "core/lib/bytes.h"
#include "core/virt/bios.h"
#include "tests/unit/test.h"

#define STUB	   0x9000
#define STACK	   0x8000 /* IP, CS and FLAGS of the INT */
#define BUFFER	   0x7654
#define SMAP	   0x534d4150
#define KIB	   0x400ULL
#define DIRECTORY  0x30000
#define PAGE_TABLE 0x31000
#define PF_VECTOR  14

static struct vcpu *start(u32 eax)
{
	struct vcpu *v = fake_start();
	static const struct e820 machine[] = { { 0, 640 * KIB, BIOS_RAM, 1 },
					       { 0x100000, 4096 * KIB, BIOS_RAM,
						 1 } };

	EXPECT_EQ(bios_map_build(&v->guest->bios_map, machine, 2, NULL, 0), 0);
	v->guest->stub = STUB;
	fake.seg[0][SEG_CS].selector = STUB >> 4;
	fake.seg[0][SEG_CS].base = STUB;
	fake.seg[0][SEG_ES].selector = 0x700;
	fake.seg[0][SEG_ES].base = 0x7000;
	v->rip = STUB_HYPERCALL_IP;
	v->gpr[GPR_RSP] = STACK;
	v->gpr[GPR_RAX] = eax;
	v->gpr[GPR_RDX] = SMAP;
	v->gpr[GPR_RCX] = 20;
	v->gpr[GPR_RDI] = BUFFER - 0x7000;
	store_le16(fake.ram + STACK + 4, RFLAGS_FIXED | RFLAGS_CF);
	return v;
}

/* Each of the first 4 MiB where it is, for user mode. */
static void page(u32 at, u32 entry)
{
	store_le32(fake.ram + PAGE_TABLE + at / PAGE_SIZE * 4, entry);
}

static struct vcpu *start_v86(u32 eax)
{
	struct vcpu *v = start(eax);

	v->rflags |= RFLAGS_VM;
	fake.reg[0][VREG_CPL] = 3;
	fake.reg[0][VREG_CR0] |= CR0_PE | CR0_PG | CR0_WP;
	fake.reg[0][VREG_CR3] = DIRECTORY;
	store_le32(fake.ram + DIRECTORY, PAGE_TABLE | PTE_P | PTE_W | PTE_U);
	for (u32 at = 0; at < FAKE_RAM; at += PAGE_SIZE)
		page(at, at | PTE_P | PTE_W | PTE_U);
	return v;
}

static u16 flags(void)
{
	return load_le16(fake.ram + STACK + 4);
}

static void expect_e820(struct vcpu *v)
{
	struct e820 e;

	EXPECT(guest_bios_call(v));
	EXPECT_EQ(v->rip, STUB_HYPERCALL_IP + 3);
	EXPECT_EQ(v->gpr[GPR_RAX], SMAP);
	EXPECT_EQ(v->gpr[GPR_RBX], 1);
	EXPECT_EQ(flags(), RFLAGS_FIXED);
	memcpy(&e, fake.ram + BUFFER, sizeof(e));
	EXPECT_EQ(e.len, 640 * KIB);
	EXPECT_EQ(e.type, BIOS_RAM);
}

static void expect_page_fault(struct vcpu *v, u64 at, u32 error)
{
	struct vcpu before = *v;

	EXPECT(guest_bios_call(v));
	EXPECT(v->event.valid);
	EXPECT_EQ(v->event.vector, PF_VECTOR);
	EXPECT_EQ(v->event.error, error);
	EXPECT_EQ(fake.reg[0][VREG_CR2], at);
	EXPECT_EQ(v->rip, before.rip);
	EXPECT(!memcmp(v->gpr, before.gpr, sizeof(v->gpr)));
	EXPECT_EQ(flags(), RFLAGS_FIXED | RFLAGS_CF);
}

TEST(real_mode)
{
	expect_e820(start(0xe820));
}

TEST(v86_mode)
{
	expect_e820(start_v86(0xe820));
}

TEST(sizes_in_v86_mode)
{
	struct vcpu *v = start_v86(0x8800);

	EXPECT(guest_bios_call(v));
	EXPECT_EQ(v->gpr[GPR_RAX], 4096);
	EXPECT_EQ(flags(), RFLAGS_FIXED);
}

TEST(pages_of_v86_mode_lie_elsewhere)
{
	struct vcpu *v = start_v86(0xe820);

	page(BUFFER, 0x20000 | PTE_P | PTE_W | PTE_U);
	EXPECT(guest_bios_call(v));
	EXPECT_EQ(load_le32(fake.ram + 0x20000 + BUFFER % PAGE_SIZE + 8),
		  640 * KIB);
	EXPECT_EQ(load_le32(fake.ram + BUFFER + 8), 0);
}

TEST(buffer_that_is_swapped_out)
{
	struct vcpu *v = start_v86(0xe820);

	page(BUFFER, 0);
	expect_page_fault(v, BUFFER, PF_W | PF_U);
}

TEST(stack_that_is_read_only)
{
	struct vcpu *v = start_v86(0x8800);

	page(STACK, STACK | PTE_P | PTE_U);
	expect_page_fault(v, STACK + 4, PF_P | PF_W | PF_U);
}

TEST(memory_of_the_supervisor)
{
	struct vcpu *v = start_v86(0xe820);

	page(BUFFER, 0x7000 | PTE_P | PTE_W);
	expect_page_fault(v, BUFFER, PF_P | PF_W | PF_U);
}

TEST(unknown_services_are_unsupported)
{
	struct vcpu *v = start(0xc000);

	store_le16(fake.ram + STACK + 4, RFLAGS_FIXED);
	EXPECT(guest_bios_call(v));
	EXPECT_EQ(v->gpr[GPR_RAX], 0x8600);
	EXPECT_EQ(flags(), RFLAGS_FIXED | RFLAGS_CF);
}

TEST(only_from_the_stub)
{
	struct vcpu *v = start(0x8800);

	v->rip++;
	EXPECT(!guest_bios_call(v));
	v = start_v86(0x8800);
	fake.seg[0][SEG_CS].base += 0x10;
	EXPECT(!guest_bios_call(v));
	EXPECT_EQ(flags(), RFLAGS_FIXED | RFLAGS_CF);
}

TEST(not_from_protected_mode)
{
	struct vcpu *v = start(0x8800);

	fake.reg[0][VREG_CR0] |= CR0_PE;
	EXPECT(!guest_bios_call(v));
	EXPECT_EQ(v->gpr[GPR_RAX], 0x8800);
}

/* The hypercall is an instruction as any other. */
TEST(ends_as_an_instruction)
{
	struct vcpu *v = start(0xe820);

	v->rflags |= RFLAGS_RF;
	fake.reg[0][VREG_INTERRUPTIBILITY] = 1;
	expect_e820(v);
	EXPECT_EQ(fake.reg[0][VREG_INTERRUPTIBILITY], 0);
	EXPECT_EQ(v->rflags, RFLAGS_FIXED);
	EXPECT(!v->event.valid);
	v = start(0xe820);
	v->rflags |= RFLAGS_TF;
	expect_e820(v);
	EXPECT(v->event.valid && v->event.vector == 1);
	EXPECT_EQ(fake.reg[0][VREG_DR6], 1 << 14);
}

TEST_MAIN(CASE(ends_as_an_instruction), CASE(real_mode), CASE(v86_mode),
	  CASE(sizes_in_v86_mode), CASE(pages_of_v86_mode_lie_elsewhere),
	  CASE(buffer_that_is_swapped_out), CASE(stack_that_is_read_only),
	  CASE(memory_of_the_supervisor),
	  CASE(unknown_services_are_unsupported), CASE(only_from_the_stub),
	  CASE(not_from_protected_mode))

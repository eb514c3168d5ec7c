/*
 * What every exit may need: faults and how they combine, the end of an
 * instruction, the guest's memory through segments and paging.
 * units: tests/unit/fake_guest.c core/virt/run.c core/virt/insn.c core/mm/walk.c core/emul/decode.c core/emul/exec.c core/emul/flow.c core/emul/string.c
 * libs: -include tests/unit/fake_guest.h
 */
#include <string.h>

#include "core/arch/regs.h"
#include "tests/unit/test.h"

/* ---- faults ---- */

static void delivering(struct vcpu *v, u8 type, u8 vector)
{
	v->event = (struct vevent){ .valid = true,
				    .type = type,
				    .vector = vector };
}

/* SDM vol. 3, table 6-5. */
TEST(double_faults)
{
	static const struct {
		u8 first, second, becomes;
	} cases[] = {
		{ VECTOR_GP, VECTOR_GP, VECTOR_DF },
		{ VECTOR_DE, VECTOR_NP, VECTOR_DF },
		{ VECTOR_GP, VECTOR_PF, VECTOR_PF },
		{ VECTOR_PF, VECTOR_PF, VECTOR_DF },
		{ VECTOR_PF, VECTOR_SS, VECTOR_DF },
		{ VECTOR_PF, VECTOR_UD, VECTOR_UD },
		{ VECTOR_UD, VECTOR_GP, VECTOR_GP },
		{ VECTOR_DB, VECTOR_PF, VECTOR_PF },
		{ VECTOR_GP, VECTOR_DB, VECTOR_DB },
		{ VECTOR_CP, VECTOR_GP, VECTOR_DF },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vcpu *v = fake_start();

		fake_mode(v, 32, 0);
		delivering(v, VEVENT_EXCEPTION, cases[i].first);
		guest_fault_error(v, cases[i].second, 0x18);
		EXPECT(v->event.valid);
		EXPECT_EQ(v->event.vector, cases[i].becomes);
		EXPECT_EQ(v->event.type, VEVENT_EXCEPTION);
		EXPECT_EQ(v->event.error,
			  cases[i].becomes == VECTOR_DF ? 0 : 0x18);
	}
}

TEST(third_fault_resets)
{
	struct vcpu *v = fake_start();

	fake_mode(v, 32, 0);
	delivering(v, VEVENT_EXCEPTION, VECTOR_DF);
	EXPECT(RESETS(guest_fault(v, VECTOR_GP)));
}

/* What is no exception does not combine; an NMI comes back. */
TEST(fault_over_interrupt)
{
	struct vcpu *v = fake_start();

	fake_mode(v, 32, 0);
	delivering(v, VEVENT_INTR, VECTOR_GP);
	guest_fault(v, VECTOR_GP);
	EXPECT_EQ(v->event.vector, VECTOR_GP);
	EXPECT(!v->nmi_pending);
	delivering(v, VEVENT_NMI, VECTOR_NMI);
	guest_fault(v, VECTOR_PF);
	EXPECT_EQ(v->event.vector, VECTOR_PF);
	EXPECT(v->nmi_pending);
}

TEST(error_codes)
{
	struct vcpu *v = fake_start();

	guest_fault(v, VECTOR_GP);
	EXPECT(!v->event.has_error); /* real mode */
	EXPECT(v->rflags & RFLAGS_RF);
	v = fake_start();
	fake_mode(v, 64, 0);
	guest_fault(v, VECTOR_GP);
	EXPECT(v->event.has_error);
	EXPECT_EQ(v->event.error, 0);
	v->event.valid = false;
	guest_fault(v, VECTOR_UD);
	EXPECT(!v->event.has_error);
}

/* VT-x refuses an entry with a shadow and TF, but for the trap that it holds
 * off. */
TEST(fault_ends_a_shadow)
{
	struct vcpu *v = fake_start();

	v->rflags |= RFLAGS_TF;
	fake.reg[0][VREG_INTERRUPTIBILITY] = 1;
	guest_fault(v, VECTOR_UD);
	EXPECT_EQ(fake.reg[0][VREG_INTERRUPTIBILITY], 0);
	EXPECT_EQ(v->event.vector, VECTOR_UD);
}

/* ---- the end of an instruction ---- */

TEST(skip)
{
	static const u8 cpuid_insn[] = { 0x66, 0x0f, 0xa2 };
	struct vcpu *v = fake_start();
	struct vmexit exit = { .insn_len = 2 };

	fake.reg[0][VREG_INTERRUPTIBILITY] = 1;
	v->rflags |= RFLAGS_RF;
	guest_skip(v, &exit);
	EXPECT_EQ(v->rip, 0x1002);
	EXPECT_EQ(v->rflags, RFLAGS_FIXED);
	EXPECT_EQ(fake.reg[0][VREG_INTERRUPTIBILITY], 0);
	EXPECT(!v->event.valid);

	/* the length is not known */
	exit.insn_len = 0;
	memcpy(fake.ram + 0x1002, cpuid_insn, sizeof(cpuid_insn));
	guest_skip(v, &exit);
	EXPECT_EQ(v->rip, 0x1005);
	/* and the instruction is another one by now, or none: again */
	fake.ram[0x1005] = 0x90;
	guest_skip(v, &exit);
	EXPECT_EQ(v->rip, 0x1005);
	fake.ram[0x1005] = 0x82;
	fake_mode(v, 64, 0);
	guest_skip(v, &exit);
	EXPECT_EQ(v->rip, 0x1005);

	/* nothing above 4 GiB but in 64-bit mode */
	fake_mode(v, 32, 0);
	v->rip = 0xffffffff;
	exit.insn_len = 2;
	guest_skip(v, &exit);
	EXPECT_EQ(v->rip, 1);
	fake_mode(v, 64, 0);
	v->rip = 0xffffffff;
	guest_skip(v, &exit);
	EXPECT_EQ(v->rip, 0x100000001);
}

TEST(single_step)
{
	struct vcpu *v = fake_start();
	const struct vmexit exit = { .insn_len = 2 };

	v->rflags |= RFLAGS_TF;
	guest_skip(v, &exit);
	EXPECT(v->event.valid);
	EXPECT_EQ(v->event.vector, VECTOR_DB);
	EXPECT_EQ(fake.reg[0][VREG_DR6] & DR6_BS, DR6_BS);
	EXPECT(!(v->rflags & RFLAGS_RF)); /* a trap */
}

/* ---- segments ---- */

static int linear(struct vcpu *v, unsigned int seg, u64 offset, u32 size,
		  unsigned int access, u64 *out)
{
	struct guest_mem_fault fault = { 0 };
	int rc = guest_linear(v, seg, offset, size, access, out, &fault);

	return rc ? fault.vector : 0;
}

TEST(segment_limits)
{
	struct vcpu *v = fake_start();
	u64 at;

	fake.seg[0][SEG_DS].base = 0x20;
	EXPECT_EQ(linear(v, SEG_DS, 0xfffe, 2, WALK_READ, &at), 0);
	EXPECT_EQ(at, 0x1001e);
	EXPECT_EQ(linear(v, SEG_DS, 0xffff, 2, WALK_READ, &at), VECTOR_GP);
	EXPECT_EQ(linear(v, SEG_SS, 0xffff, 2, WALK_READ, &at), VECTOR_SS);

	fake_mode(v, 32, 0);
	EXPECT_EQ(linear(v, SEG_DS, 0xfffffffe, 4, WALK_READ, &at), VECTOR_GP);
	EXPECT_EQ(linear(v, SEG_CS, 0, 4, WALK_WRITE, &at), VECTOR_GP);
	fake.seg[0][SEG_ES].attr &= ~2; /* read only */
	EXPECT_EQ(linear(v, SEG_ES, 0, 4, WALK_WRITE, &at), VECTOR_GP);
	EXPECT_EQ(linear(v, SEG_ES, 0, 4, WALK_READ, &at), 0);
	/* expand down: above the limit, here up to 4 GiB */
	fake.seg[0][SEG_FS].attr |= 4;
	fake.seg[0][SEG_FS].limit = 0xfff;
	EXPECT_EQ(linear(v, SEG_FS, 0xfff, 1, WALK_READ, &at), VECTOR_GP);
	EXPECT_EQ(linear(v, SEG_FS, 0x1000, 4, WALK_READ, &at), 0);
	EXPECT_EQ(linear(v, SEG_FS, 0xfffffffd, 4, WALK_READ, &at), VECTOR_GP);
}

TEST(canonical_addresses)
{
	struct vcpu *v = fake_start();
	u64 at;

	fake_mode(v, 64, 0);
	fake.seg[0][SEG_DS].base = 0x1000; /* does not count */
	fake.seg[0][SEG_GS].base = 0x1000;
	EXPECT_EQ(linear(v, SEG_DS, 5, 4, WALK_READ, &at), 0);
	EXPECT_EQ(at, 5);
	EXPECT_EQ(linear(v, SEG_GS, 5, 4, WALK_READ, &at), 0);
	EXPECT_EQ(at, 0x1005);
	EXPECT_EQ(linear(v, SEG_DS, 0x7ffffffffffd, 4, WALK_READ, &at),
		  VECTOR_GP);
	EXPECT_EQ(linear(v, SEG_SS, 0xff11000000000000, 4, WALK_READ, &at),
		  VECTOR_SS);
	fake.reg[0][VREG_CR4] |= CR4_LA57;
	EXPECT_EQ(linear(v, SEG_SS, 0xff11000000000000, 4, WALK_READ, &at), 0);
}

/* ---- paging ---- */

TEST(memory_across_pages)
{
	struct vcpu *v = fake_start();
	struct guest_mem_fault fault = { 0 };
	u8 data[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	fake_mode(v, 64, 3);
	fake_paging(v);
	fake_page(0x5000, 0x9000 | PTE_P | PTE_W | PTE_U);
	EXPECT_EQ(guest_mem(v, 0x4ffd, data, 8, WALK_WRITE, &fault), 0);
	EXPECT_EQ(fake.ram[0x4fff], 3);
	EXPECT_EQ(fake.ram[0x9000], 4);
	EXPECT_EQ(fake.ram[0x5000], 0);

	fake_page(0x5000, 0x9000 | PTE_P | PTE_U);
	EXPECT_EQ(guest_probe(v, 0x4ffd, 8, WALK_WRITE, &fault),
		  EMUL_MEM_FAULT);
	EXPECT_EQ(fault.vector, VECTOR_PF);
	EXPECT_EQ(fault.cr2, 0x5000);
	EXPECT_EQ(fault.error, PF_P | PF_W | PF_U);
	EXPECT_EQ(guest_probe(v, 0x4ffd, 3, WALK_WRITE, &fault), 0);
}

/* Neither RAM nor hooked: nothing is there. */
TEST(memory_that_is_none)
{
	struct vcpu *v = fake_start();
	struct guest_mem_fault fault = { 0 };
	u32 data = 0;

	fake_mode(v, 64, 0);
	fake_paging(v);
	fake_page(0x5000, 0xfffff00000 | PTE_P | PTE_W);
	fake_page(0x6000, FAKE_DEVICE | PTE_P | PTE_W);
	EXPECT_EQ(guest_mem(v, 0x5000, &data, 4, WALK_READ, &fault), 0);
	EXPECT_EQ(data, 0xffffffff);
	EXPECT_EQ(guest_mem(v, 0x5000, &data, 4, WALK_WRITE, &fault), 0);
	EXPECT_EQ(guest_mem(v, 0x6000, &data, 4, WALK_READ, &fault), 0);
	EXPECT_EQ(data, 0xd5d5d5d5);
	/* a table outside of memory: reserved bits are set */
	fake.reg[0][VREG_CR3] = 0xffff000000;
	EXPECT_EQ(guest_mem(v, 0x5000, &data, 4, WALK_READ, &fault),
		  EMUL_MEM_FAULT);
	EXPECT_EQ(fault.error, PF_P | PF_RSVD);
}

/* ---- emulation ---- */

TEST(emulated_store)
{
	static const u8 mov[] = { 0x89, 0x07 }; /* mov %eax, (%rdi) */
	static const u8 movaps[] = { 0x0f, 0x29, 0x07 };
	struct vcpu *v = fake_start();
	const struct vmexit exit = { 0 };

	fake_mode(v, 64, 0);
	v->gpr[GPR_RDI] = FAKE_DEVICE;
	memcpy(fake.ram + 0x1000, mov, sizeof(mov));
	guest_emulate(v, &exit);
	EXPECT_EQ(v->rip, 0x1002);
	EXPECT_EQ(fake.device_writes, 1);
	EXPECT(!v->event.valid);

	memcpy(fake.ram + 0x1002, movaps, sizeof(movaps));
	guest_emulate(v, &exit);
	EXPECT_EQ(v->rip, 0x1002);
	EXPECT_EQ(v->event.vector, VECTOR_UD);
	EXPECT_EQ(fake.device_writes, 1);
}

/* Of two pages both are looked at before one is touched: what faults has done
 * nothing, and a device does not see it twice. */
TEST(store_across_pages)
{
	static const u8 mov[] = { 0x89, 0x07 }; /* mov %eax, (%rdi) */
	struct vcpu *v = fake_start();
	const struct vmexit exit = { 0 };

	fake_mode(v, 64, 0);
	fake_paging(v);
	fake_page(0x6000, FAKE_DEVICE | PTE_P | PTE_W);
	fake_page(0x7000, 0);
	fake_page(0x9000, 0);
	memcpy(fake.ram + 0x1000, mov, sizeof(mov));
	v->gpr[GPR_RAX] = 0x11223344;
	v->gpr[GPR_RDI] = 0x6ffe;
	guest_emulate(v, &exit);
	EXPECT_EQ(fake.device_writes, 0);
	EXPECT_EQ(v->event.vector, VECTOR_PF);
	EXPECT_EQ(v->event.error, PF_W);
	EXPECT_EQ(fake.reg[0][VREG_CR2], 0x7000);
	v->event.valid = false;
	v->gpr[GPR_RDI] = 0x8ffe;
	guest_emulate(v, &exit);
	EXPECT_EQ(v->event.vector, VECTOR_PF);
	EXPECT_EQ(fake.ram[0x8ffe], 0);
	EXPECT_EQ(v->rip, 0x1000);
	v->event.valid = false;
	fake_page(0x9000, 0xa000 | PTE_P | PTE_W);
	guest_emulate(v, &exit);
	EXPECT(!v->event.valid);
	EXPECT_EQ(fake.ram[0x8fff], 0x33);
	EXPECT_EQ(fake.ram[0xa000], 0x22);
	EXPECT_EQ(fake.ram[0x9000], 0);
	EXPECT_EQ(v->rip, 0x1002);
}

/* RF stays until the last iteration of a REP. */
TEST(emulated_rep)
{
	static const u8 stos[] = { 0xf3, 0xaa };
	struct vcpu *v = fake_start();
	const struct vmexit exit = { 0 };

	fake_mode(v, 64, 0);
	v->gpr[GPR_RDI] = FAKE_DEVICE;
	v->gpr[GPR_RCX] = EMUL_REP_MAX + 1;
	v->rflags |= RFLAGS_RF;
	memcpy(fake.ram + 0x1000, stos, sizeof(stos));
	guest_emulate(v, &exit);
	EXPECT_EQ(v->rip, 0x1000);
	EXPECT(v->rflags & RFLAGS_RF);
	guest_emulate(v, &exit);
	EXPECT_EQ(v->rip, 0x1002);
	EXPECT(!(v->rflags & RFLAGS_RF));
}

/* Of what the CPU has fetched only all that an instruction can be is of use. */
TEST(bytes_of_the_exit)
{
	struct vcpu *v = fake_start();
	struct vmexit exit = { .fault = { .n_bytes = INSN_MAX } };

	fake_mode(v, 64, 0);
	v->rip = 0x1ffd;
	v->gpr[GPR_RDI] = FAKE_DEVICE;
	memcpy(fake.ram + 0x1ffd, "\xc7\x47\x04\x01\x02\x03\x04", 7);
	memcpy(exit.fault.bytes, "\x89\x07", 2);
	guest_emulate(v, &exit);
	EXPECT_EQ(v->rip, 0x1fff);
	v->rip = 0x1ffd;
	exit.fault.n_bytes = 3;
	memcpy(exit.fault.bytes, "\xc7\x47\x04", 3);
	guest_emulate(v, &exit);
	EXPECT_EQ(v->rip, 0x2004);
	EXPECT_EQ(fake.device_writes, 2);
	EXPECT(!v->event.valid);
}

/* What a function before left on the stack. */
static __attribute__((noinline)) void fill_stack(void)
{
	volatile u8 secret[2048];

	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = 0x5e;
}

/* The guest reads the log: of an instruction at the end of its memory nothing
 * else is in there. */
TEST(log_has_fetched_bytes_only)
{
	static const u8 movaps[] = { 0x0f, 0x29, 0x07 };
	struct vcpu *v = fake_start();
	const struct vmexit exit = { 0 };

	fake_mode(v, 64, 0);
	fake_paging(v);
	fake_page(0x2000, 0);
	v->rip = 0x1ffd;
	memcpy(fake.ram + 0x1ffd, movaps, sizeof(movaps));
	fill_stack();
	guest_emulate(v, &exit);
	EXPECT_EQ(v->event.vector, VECTOR_UD);
	EXPECT(strstr(fake.log, " 0f 29 07 00 00 00 "));
}

TEST_MAIN(CASE(log_has_fetched_bytes_only), CASE(bytes_of_the_exit),
	  CASE(emulated_rep), CASE(store_across_pages), CASE(double_faults),
	  CASE(third_fault_resets), CASE(fault_over_interrupt),
	  CASE(error_codes), CASE(fault_ends_a_shadow), CASE(skip),
	  CASE(single_step), CASE(segment_limits), CASE(canonical_addresses),
	  CASE(memory_across_pages), CASE(memory_that_is_none),
	  CASE(emulated_store))

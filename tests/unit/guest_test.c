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

/* ---- modes, rights and pieces ---- */

TEST(code_segments)
{
	struct vcpu *v = fake_start();

	EXPECT_EQ(guest_code_bits(v), 16);
	fake_mode(v, 32, 0);
	EXPECT_EQ(guest_code_bits(v), 32);
	fake.seg[0][SEG_CS].attr |= VSEG_L; /* only long mode looks at it */
	EXPECT_EQ(guest_code_bits(v), 32);
	v->rflags |= RFLAGS_VM;
	EXPECT_EQ(guest_code_bits(v), 16);
	v->rflags &= ~RFLAGS_VM;
	fake.reg[0][VREG_EFER] = EFER_LME | EFER_LMA;
	EXPECT_EQ(guest_code_bits(v), 64);
	fake.seg[0][SEG_CS].attr &= (u16) ~(VSEG_L | VSEG_DB);
	EXPECT_EQ(guest_code_bits(v), 16);
}

/* SDM vol. 3, 4.6.1: the CPU's own accesses are a supervisor's, whatever CPL
 * and AC are. */
TEST(system_accesses)
{
	struct vcpu *v = fake_start();
	struct guest_mem_fault fault;
	gpa_t gpa = 0;

	fake_mode(v, 64, 3);
	fake_paging(v);
	fake_page(0x2000, 0x5000 | PTE_P | PTE_W);
	EXPECT(guest_translate(v, 0x2010, WALK_READ, &gpa, &fault));
	EXPECT_EQ(fault.error, PF_P | PF_U);
	EXPECT_EQ(guest_translate(v, 0x2010, WALK_READ | GUEST_SYSTEM, &gpa,
				  &fault),
		  0);
	EXPECT_EQ(gpa, 0x5010);
	fake.reg[0][VREG_CR4] |= CR4_SMAP;
	v->rflags |= RFLAGS_AC;
	EXPECT(guest_translate(v, 0x3000, WALK_READ | GUEST_SYSTEM, &gpa,
			       &fault));
	EXPECT_EQ(fault.error, PF_P);
	EXPECT_EQ(guest_translate(v, 0x3000, WALK_READ, &gpa, &fault), 0);
}

TEST(tables_outside_of_memory)
{
	struct vcpu *v = fake_start();
	struct guest_mem_fault fault = { 0 };
	gpa_t gpa;

	fake_mode(v, 64, 0);
	fake_paging(v);
	fake.reg[0][VREG_CR3] = FAKE_RAM;
	EXPECT(guest_translate(v, 0x2010, WALK_READ, &gpa, &fault));
	EXPECT_EQ(fault.vector, VECTOR_PF);
	EXPECT_EQ(fault.error, PF_P | PF_RSVD);
	EXPECT_EQ(fault.cr2, 0x2010);
	fake.reg[0][VREG_CPL] = 3;
	EXPECT(guest_translate(v, 0x2010, WALK_WRITE, &gpa, &fault));
	EXPECT_EQ(fault.error, PF_P | PF_RSVD | PF_W | PF_U);
}

/* SDM vol. 3, 5.3 and 5.5. */
TEST(segment_types)
{
	static const struct {
		u8 attr; /* P, S and the type */
		u64 offset;
		bool read, write;
	} cases[] = {
		{ 0x93, 0x10, true, true },    { 0x91, 0x10, true, false },
		{ 0x9b, 0x10, true, false },   { 0x99, 0x10, false, false },
		{ 0x13, 0x10, false, false },  { 0x83, 0x10, false, false },
		{ 0x97, 0xff, false, false },  { 0x97, 0x100, true, true },
		{ 0x97, 0xfffc, true, true },  { 0x97, 0xfffd, false, false },
		{ 0x95, 0xfffc, true, false }, { 0x93, 0xfc, true, true },
		{ 0x93, 0xfd, false, false },
	};
	struct vcpu *v = fake_start();
	struct guest_mem_fault fault;
	u64 linear;

	fake_mode(v, 32, 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake.seg[0][SEG_DS] = (struct vseg){ .attr = cases[i].attr,
						     .limit = 0xff,
						     .base = 0x1000 };
		EXPECT_EQ(guest_linear(v, SEG_DS, cases[i].offset, 4, WALK_READ,
				       &linear, &fault),
			  cases[i].read ? 0 : EMUL_MEM_FAULT);
		EXPECT(!cases[i].read || linear == 0x1000 + cases[i].offset);
		EXPECT_EQ(guest_linear(v, SEG_DS, cases[i].offset, 4,
				       WALK_WRITE, &linear, &fault),
			  cases[i].write ? 0 : EMUL_MEM_FAULT);
		EXPECT(cases[i].write || fault.vector == VECTOR_GP);
		EXPECT(cases[i].write || (!fault.error && !fault.cr2));
	}
}

TEST(fetched_code)
{
	struct vcpu *v = fake_start();
	u8 bytes[INSN_MAX];

	for (unsigned int i = 0; i < FAKE_RAM / 2; i++)
		fake.ram[i] = (u8)(i * 7 + i / PAGE_SIZE);
	fake.seg[0][SEG_CS].base = 0x10000;
	v->rip = 0x10;
	EXPECT_EQ(guest_fetch(v, bytes), INSN_MAX);
	EXPECT(!memcmp(bytes, fake.ram + 0x10010, INSN_MAX));

	/* no base in 64-bit mode; over two pages, the other one elsewhere */
	fake_mode(v, 64, 0);
	fake.seg[0][SEG_CS].base = 0x10000;
	fake_paging(v);
	fake_page(0x3000, 0x5000 | PTE_P);
	v->rip = 0x2ff8;
	EXPECT_EQ(guest_fetch(v, bytes), INSN_MAX);
	EXPECT(!memcmp(bytes, fake.ram + 0x2ff8, 8));
	EXPECT(!memcmp(bytes + 8, fake.ram + 0x5000, 7));
	fake_page(0x3000, 0);
	EXPECT_EQ(guest_fetch(v, bytes), 8);
	/* not memory: nothing is fetched from there */
	fake_page(0x3000, FAKE_DEVICE | PTE_P);
	EXPECT_EQ(guest_fetch(v, bytes), 8);
}

/* As many aligned accesses as it takes. */
TEST(device_in_pieces)
{
	struct vcpu *v = fake_start();
	struct guest_mem_fault fault;
	u64 data = 0;

	EXPECT_EQ(guest_mem(v, FAKE_DEVICE + 1, &data, 8, WALK_READ, &fault),
		  0);
	EXPECT_EQ(data, 0xd5d5d5d5d5d5d5d5);
	EXPECT_EQ(guest_mem(v, FAKE_DEVICE + 1, &data, 8, WALK_WRITE, &fault),
		  0);
	EXPECT_EQ(fake.device_writes, 4); /* 1, 2, 4 and 1 */
}

/* SS tells how much of RSP counts. */
TEST(emulated_push)
{
	static const u8 push_eax[] = { 0x50 };
	struct vcpu *v = fake_start();
	const struct vmexit exit = { 0 };
	u32 value;

	fake_mode(v, 32, 0);
	memcpy(fake.ram + 0x1000, push_eax, sizeof(push_eax));
	v->gpr[GPR_RAX] = 0x11223344;
	v->gpr[GPR_RSP] = 0x18000;
	fake.reg[0][VREG_INTERRUPTIBILITY] = 1;
	guest_emulate(v, &exit);
	EXPECT_EQ(v->gpr[GPR_RSP], 0x17ffc);
	memcpy(&value, fake.ram + 0x17ffc, 4);
	EXPECT_EQ(value, 0x11223344);
	EXPECT_EQ(v->rip, 0x1001);
	EXPECT_EQ(fake.reg[0][VREG_INTERRUPTIBILITY], 0); /* it has retired */

	fake.seg[0][SEG_SS].attr &= (u16)~VSEG_DB;
	v->rip = 0x1000;
	guest_emulate(v, &exit);
	EXPECT_EQ(v->gpr[GPR_RSP], 0x17ff8);
	memcpy(&value, fake.ram + 0x7ff8, 4);
	EXPECT_EQ(value, 0x11223344);
}

/* An address that is none stops an instruction before it does anything. */
TEST(emulated_fault)
{
	static const u8 code[][2] = {
		{ 0x89, 0x07 }, /* mov [rdi], eax */
		{ 0x01, 0x07 }, /* add [rdi], eax */
		{ 0x8b, 0x07 }, /* mov eax, [rdi] */
	};
	const struct vmexit exit = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(code); i++) {
		struct vcpu *v = fake_start();

		fake_mode(v, 64, 0);
		memcpy(fake.ram + 0x1000, code[i], 2);
		v->gpr[GPR_RAX] = 5;
		v->gpr[GPR_RDI] = BIT(63);
		guest_emulate(v, &exit);
		EXPECT(v->event.valid);
		EXPECT_EQ(v->event.vector, VECTOR_GP);
		EXPECT_EQ(v->rip, 0x1000);
		EXPECT_EQ(v->gpr[GPR_RAX], 5);
	}
}

TEST_MAIN(CASE(code_segments), CASE(system_accesses),
	  CASE(tables_outside_of_memory), CASE(segment_types),
	  CASE(fetched_code), CASE(device_in_pieces), CASE(emulated_push),
	  CASE(emulated_fault), CASE(log_has_fetched_bytes_only),
	  CASE(bytes_of_the_exit), CASE(emulated_rep), CASE(store_across_pages),
	  CASE(double_faults), CASE(third_fault_resets),
	  CASE(fault_over_interrupt), CASE(error_codes),
	  CASE(fault_ends_a_shadow), CASE(skip), CASE(single_step),
	  CASE(segment_limits), CASE(canonical_addresses),
	  CASE(memory_across_pages), CASE(memory_that_is_none),
	  CASE(emulated_store))

/*
 * Task switches on the guest itself: a user's task whose exception has a task
 * gate.
 * units: tests/unit/fake_guest.c core/virt/taskio.c core/virt/task.c core/virt/run.c core/virt/insn.c core/mm/walk.c core/emul/decode.c core/emul/exec.c core/emul/flow.c core/emul/string.c
 * libs: -include tests/unit/fake_guest.h
 */
#include <string.h>

#include "core/arch/regs.h"
#include "core/lib/bytes.h"
#include "tests/unit/test.h"

enum {
	GDT = 0x2000,
	OLD = 0x3000, /* TSS */
	NEW = 0x4000,
	STACK = 0x9000, /* its page ends there */
	PD = 0x20000,
	PT = 0x21000,
};

/* Selectors */
enum {
	S_OLD = 0x08,
	S_NEW = 0x10,
	S_UCODE = 0x1b,
	S_UDATA = 0x23,
};

static void put_descriptor(u16 selector, u64 base, u64 limit, u64 attr)
{
	store_le64(fake.ram + GDT + (selector & ~7),
		   base << 16 | limit | (attr & 0xff) << 40 |
			   (attr >> 8) << 52);
}

static void put_page(u32 linear, u32 entry)
{
	store_le32(fake.ram + PT + linear / PAGE_SIZE * 4, entry);
}

/* Two tasks at CPL 3 in paged memory that is the user's. */
static struct vcpu *start(void)
{
	struct vcpu *v = fake_start();
	u8 *tss = fake.ram + NEW;

	fake_mode(v, 32, 3);
	store_le32(fake.ram + PD, PT | PTE_P | PTE_W | PTE_U);
	for (u32 at = 0; at < FAKE_RAM; at += PAGE_SIZE)
		put_page(at, at | PTE_P | PTE_W | PTE_U);
	fake.reg[0][VREG_CR3] = PD;
	fake.reg[0][VREG_CR0] |= CR0_PG;
	put_descriptor(S_OLD, OLD, 103, 0x08b);
	put_descriptor(S_NEW, NEW, 103, 0x089);
	put_descriptor(S_UCODE, 0, 0xffff, 0xcfb);
	put_descriptor(S_UDATA, 0, 0xffff, 0xcf3);
	fake.seg[0][SEG_GDTR] = (struct vseg){ .base = GDT, .limit = 0xff };
	fake.seg[0][SEG_TR] = (struct vseg){ S_OLD, 0x08b, 103, OLD };
	store_le32(tss + 28, PD);
	store_le32(tss + 32, 0x5000); /* EIP */
	store_le32(tss + 56, STACK);
	store_le16(tss + 72, S_UDATA);
	store_le16(tss + 76, S_UCODE);
	store_le16(tss + 80, S_UDATA);
	store_le16(tss + 84, S_UDATA);
	return v;
}

/* The event's gate is the new task's. */
static void deliver(struct vcpu *v, struct vevent event)
{
	const struct vmexit exit = {
		.kind = VMEXIT_TASK_SWITCH,
		.delivering = event,
		.task = { S_NEW, TASK_GATE },
	};

	v->event = event;
	guest_task_switch(v, &exit);
}

static struct vevent exception(u8 vector, bool has_error)
{
	return (struct vevent){ .valid = true,
				.vector = vector,
				.type = VEVENT_EXCEPTION,
				.has_error = has_error,
				.error = 0x18 };
}

TEST(error_code_on_the_stack)
{
	struct vcpu *v = start();

	deliver(v, exception(VECTOR_GP, true));
	EXPECT(!v->event.valid);
	EXPECT_EQ(v->rip, 0x5000);
	EXPECT_EQ(v->gpr[GPR_RSP], STACK - 4);
	EXPECT_EQ(load_le32(fake.ram + STACK - 4), 0x18);
	EXPECT_EQ(fake.seg[0][SEG_TR].selector, S_NEW);
}

/* What a user's task calls its stack is not the way into the kernel's pages. */
TEST(stack_that_is_the_kernels)
{
	struct vcpu *v = start();

	put_page(STACK - PAGE_SIZE, (STACK - PAGE_SIZE) | PTE_P | PTE_W);
	deliver(v, exception(VECTOR_GP, true));
	EXPECT_EQ(load_le32(fake.ram + STACK - 4), 0);
	EXPECT(v->event.valid);
	EXPECT_EQ(v->event.vector, VECTOR_PF);
	EXPECT_EQ(v->event.error, PF_P | PF_W | PF_U);
	EXPECT_EQ(fake.reg[0][VREG_CR2], STACK - 4);
	EXPECT_EQ(v->gpr[GPR_RSP], STACK);
	EXPECT_EQ(v->rip, 0x5000);
}

/* With the switch the event is delivered: the trap of the TSS comes after it,
 * is no third fault, and brings no second NMI. */
TEST(trap_after_the_event)
{
	struct vcpu *v = start();
	const struct vevent nmi = { .valid = true,
				    .vector = VECTOR_NMI,
				    .type = VEVENT_NMI };

	fake.ram[NEW + 100] = 1;
	EXPECT(!RESETS(deliver(v, exception(VECTOR_DF, true))));
	EXPECT(v->event.valid);
	EXPECT_EQ(v->event.vector, VECTOR_DB);
	v = start();
	fake.ram[NEW + 100] = 1;
	deliver(v, nmi);
	EXPECT_EQ(v->event.vector, VECTOR_DB);
	EXPECT(!v->nmi_pending);
}

/* A fault on the way is one of the delivery. */
TEST(fault_in_the_delivery)
{
	struct vcpu *v = start();

	store_le16(fake.ram + NEW + 84, 0x28); /* DS: nothing */
	deliver(v, exception(VECTOR_GP, true));
	EXPECT_EQ(v->event.vector, VECTOR_DF);
	v = start();
	store_le16(fake.ram + NEW + 84, 0x28);
	EXPECT(RESETS(deliver(v, exception(VECTOR_DF, true))));
}

TEST_MAIN(CASE(error_code_on_the_stack), CASE(stack_that_is_the_kernels),
	  CASE(trap_after_the_event), CASE(fault_in_the_delivery))

/*
 * The end of an NMI handler on AMD-V: its IRET in a single step.
 * units: core/virt/svm/step.c
 */
#include "core/virt/svm/svm.h"
#include "tests/unit/test.h"

static struct vmcb vmcb;
static struct svm svm;
static const struct vevent none;

/* The IRET of @cpl is next. */
static void start(u64 rflags, u8 cpl)
{
	vmcb = (struct vmcb){
		.rflags = rflags,
		.cpl = cpl,
		.dr6 = 0xffff0ff0,
		.intercept_exceptions = 1U << 13,
	};
	svm = (struct svm){
		.vmcb = &vmcb,
		.nmi_masked = true,
		.iret_step = true,
	};
	svm_step_begin(&svm, &none);
}

static enum vmexit_kind end(enum vmexit_kind kind, u8 vector)
{
	struct vmexit exit = { .kind = kind, .exception.vector = vector };

	svm_step_end(&svm, &exit);
	EXPECT_EQ(vmcb.intercept_exceptions, 1U << 13);
	return exit.kind;
}

/* TF is on; all exceptions exit, but the bit of the NMI, whose effect is
 * undefined (APM vol. 2, 15.12.3), is not set. */
TEST(begins)
{
	start(0x202, 0);
	EXPECT_EQ(vmcb.rflags, 0x102);
	EXPECT_EQ(vmcb.intercept_exceptions, 0xfffffffb);
	start(0x202, 3); /* it may not load IF */
	EXPECT_EQ(vmcb.rflags, 0x302);
	start(0x3202, 3);
	EXPECT_EQ(vmcb.rflags, 0x3102);
}

TEST(ends)
{
	start(0x202, 0);
	vmcb.rflags = 0x246; /* that it has loaded */
	vmcb.dr6 = 0xffff4ff0;
	EXPECT_EQ(end(VMEXIT_EXCEPTION, 1), VMEXIT_WINDOW);
	EXPECT_EQ(vmcb.rflags, 0x246);
	EXPECT_EQ(vmcb.dr6, 0xffff0ff0);
	EXPECT(!svm.nmi_masked && !svm.iret_step);
}

/* A trap that the guest has asked for, and a breakpoint, are the guest's. */
TEST(ends_in_a_trap_of_the_guest)
{
	start(0x302, 0);
	vmcb.dr6 = 0xffff4ff0;
	EXPECT_EQ(end(VMEXIT_EXCEPTION, 1), VMEXIT_EXCEPTION);
	EXPECT_EQ(vmcb.dr6, 0xffff4ff0);
	start(0x202, 0);
	vmcb.dr6 = 0xffff4ff1;
	EXPECT_EQ(end(VMEXIT_EXCEPTION, 1), VMEXIT_EXCEPTION);
	EXPECT_EQ(vmcb.dr6, 0xffff0ff1);
	EXPECT(!svm.nmi_masked);
	start(0x202, 0); /* before it */
	vmcb.dr6 = 0xffff0ff1;
	EXPECT_EQ(end(VMEXIT_EXCEPTION, 1), VMEXIT_EXCEPTION);
	EXPECT_EQ(vmcb.rflags, 0x202);
}

TEST(faults)
{
	start(0x202, 0);
	vmcb.exitinfo2 = 0x12345;
	EXPECT_EQ(end(VMEXIT_EXCEPTION, 14), VMEXIT_EXCEPTION);
	EXPECT_EQ(vmcb.cr2, 0x12345);
	EXPECT_EQ(vmcb.rflags, 0x202);
	EXPECT(!svm.nmi_masked && !svm.iret_step);
	start(0x202, 0);
	EXPECT_EQ(end(VMEXIT_EXCEPTION, 13), VMEXIT_EXCEPTION);
	EXPECT_EQ(vmcb.cr2, 0);
}

/* An exit that comes first: it is still the next instruction, unless an event
 * has come of it. */
TEST(goes_on)
{
	const struct vevent event = { .valid = true, .vector = 6 };

	start(0x202, 0);
	EXPECT_EQ(end(VMEXIT_NESTED_FAULT, 0), VMEXIT_NESTED_FAULT);
	EXPECT_EQ(vmcb.rflags, 0x202);
	EXPECT(svm.nmi_masked && svm.iret_step);
	svm_step_begin(&svm, &event);
	EXPECT_EQ(vmcb.rflags, 0x202);
	EXPECT(!svm.nmi_masked && !svm.iret_step);
}

TEST_MAIN(CASE(begins), CASE(ends), CASE(ends_in_a_trap_of_the_guest),
	  CASE(faults), CASE(goes_on))

/*
 * The loop of one CPU: what comes to the guest at an entry, what is asked of
 * the CPU before it, and where an exit goes.
 * units: tests/unit/fake_guest.c core/virt/run.c core/virt/insn.c core/mm/walk.c core/emul/decode.c core/emul/exec.c core/emul/flow.c core/emul/string.c
 * libs: -include tests/unit/fake_guest.h
 */
#include <string.h>

#include "core/arch/regs.h"
#include "tests/unit/test.h"

/* ---- a CPU whose exits are the test's ---- */

static struct {
	struct virt_ops ops;
	struct vmexit exit[4];
	unsigned int exits, entries;
	struct vevent event[5];	 /* at each entry */
	void (*meanwhile)(void); /* in the guest */
	bool blocked;		 /* NMIs */
	const char *called;
	u8 vector; /* of a SIPI */
} loop;

static void enter(struct vcpu *v, struct vmexit *exit)
{
	loop.event[loop.entries] = v->event;
	EXPECT(v->in_guest);
	if (loop.entries == loop.exits)
		longjmp(fake.after_reset, 1);
	*exit = loop.exit[loop.entries++];
	if (loop.meanwhile)
		loop.meanwhile();
}

static bool nmi_blocked(struct vcpu *v)
{
	return loop.blocked;
}

/* In 64-bit mode, without anything to run. */
static struct vcpu *start(void)
{
	struct vcpu *v = fake_start();

	memset(&loop, 0, sizeof(loop));
	fake_mode(v, 64, 0);
	loop.ops = *fake.guest.ops;
	loop.ops.run = enter;
	loop.ops.nmi_blocked = nmi_blocked;
	fake.guest.ops = &loop.ops;
	v->cpu->nmi_seen = 0;
	return v;
}

/* One more exit, and up to the entry behind it; true if that was not reached. */
static bool leaves(struct vcpu *v, struct vmexit exit)
{
	loop.exit[loop.exits++] = exit;
	loop.called = "";
	return RESETS(guest_run(v)) || fake.stopped;
}

static bool leaves_by(struct vcpu *v, enum vmexit_kind kind)
{
	return leaves(v, (struct vmexit){ .kind = kind, .insn_len = 3 });
}

/* ---- what it calls ---- */

#define HANDLER(name)                                        \
	void name(struct vcpu *v, const struct vmexit *exit) \
	{                                                    \
		EXPECT(!v->in_guest);                        \
		loop.called = #name;                         \
	}
HANDLER(guest_cpuid)
HANDLER(guest_rdmsr)
HANDLER(guest_wrmsr)
HANDLER(guest_cr_write)
HANDLER(guest_xsetbv)
HANDLER(guest_io)
HANDLER(guest_task_switch)
HANDLER(guest_nested_fault)

void startup_init_signal(struct vcpu *v)
{
	loop.called = "INIT";
}

void startup_sipi(struct vcpu *v, u8 vector)
{
	loop.called = "SIPI";
	loop.vector = vector;
}

void startup_requests(struct vcpu *v)
{
	loop.called = "requests";
}

/* ---- NMIs ---- */

static bool has_nmi(unsigned int entry)
{
	const struct vevent *e = &loop.event[entry];

	return e->valid && e->type == VEVENT_NMI && e->vector == VECTOR_NMI;
}

TEST(an_nmi_is_the_guests)
{
	struct vcpu *v = start();

	v->cpu->nmi_seen = 1;
	leaves_by(v, VMEXIT_HANDLED);
	EXPECT(has_nmi(0));
	EXPECT(!loop.event[1].valid);
	EXPECT(!v->nmi_pending);
}

TEST(the_nmi_of_a_kick_is_not)
{
	struct vcpu *v = start();

	v->cpu->nmi_seen = 1;
	v->kick_nmi = 1;
	leaves_by(v, VMEXIT_NMI);
	EXPECT(!loop.event[0].valid && !loop.event[1].valid);
	EXPECT(!v->kick_nmi);
	/* two have come */
	v = start();
	v->cpu->nmi_seen = 2;
	v->kick_nmi = 1;
	leaves_by(v, VMEXIT_NMI);
	EXPECT(has_nmi(0) && !loop.event[1].valid);
	/* it has not come yet */
	v = start();
	v->kick_nmi = 1;
	leaves_by(v, VMEXIT_NMI);
	EXPECT(v->kick_nmi);
	EXPECT(!loop.event[0].valid);
}

TEST(an_nmi_waits_for_its_time)
{
	struct vcpu *v = start();

	v->nmi_pending = true;
	loop.blocked = true;
	leaves_by(v, VMEXIT_HANDLED);
	EXPECT(!loop.event[0].valid && v->nmi_pending);
	loop.blocked = false;
	v->waiting_sipi = true;
	leaves_by(v, VMEXIT_HANDLED);
	EXPECT(!loop.event[1].valid && v->nmi_pending);
	v->waiting_sipi = false;
	leaves_by(v, VMEXIT_WINDOW);
	EXPECT(has_nmi(2) && !v->nmi_pending);
}

/* What an exit has cut short comes again, once. */
TEST(what_was_being_delivered_comes_again)
{
	const struct vevent event = { .valid = true,
				      .vector = 0x31,
				      .type = VEVENT_INTR };
	struct vcpu *v = start();

	leaves(v, (struct vmexit){ .kind = VMEXIT_NESTED_FAULT,
				   .delivering = event });
	EXPECT_EQ(loop.event[1].valid, true);
	EXPECT_EQ(loop.event[1].vector, 0x31);
	leaves_by(v, VMEXIT_HANDLED);
	EXPECT(!loop.event[2].valid);
}

/* ---- requests ---- */

static void ask(void)
{
	struct vcpu *v = fake.guest.vcpu;

	v->flush_request = 1;
	v->kick = 1;
	loop.meanwhile = NULL;
}

TEST(requests_are_taken_before_the_entry)
{
	struct vcpu *v = start();

	v->flush_request = 1; /* but nobody has kicked yet */
	leaves_by(v, VMEXIT_HANDLED);
	EXPECT_EQ(fake.flushes[0], 0);
	EXPECT(!strcmp(loop.called, ""));
	v->flush_request = 0;
	loop.meanwhile = ask;
	leaves_by(v, VMEXIT_NMI);
	EXPECT_EQ(fake.flushes[0], 1);
	EXPECT(!strcmp(loop.called, "requests"));
	EXPECT(!v->kick && !v->flush_request);
	leaves_by(v, VMEXIT_HANDLED);
	EXPECT_EQ(fake.flushes[0], 1);
}

static void panics(void)
{
	fake.panic = true;
}

TEST(no_guest_after_a_panic)
{
	struct vcpu *v = start();

	fake.panic = true;
	EXPECT(leaves_by(v, VMEXIT_CPUID));
	EXPECT_EQ(loop.entries, 0);
	v = start();
	loop.meanwhile = panics;
	EXPECT(leaves_by(v, VMEXIT_CPUID));
	EXPECT_EQ(loop.entries, 1);
	EXPECT(!strcmp(loop.called, "")); /* the exit is no longer looked at */
}

static void background(struct vcpu *v)
{
	EXPECT(!v->in_guest);
	v->deadline++;
}

TEST(background_before_each_entry)
{
	struct vcpu *v = start();

	fake.guest.background = background;
	leaves_by(v, VMEXIT_HANDLED);
	EXPECT_EQ(v->deadline, 2);
}

/* ---- exits ---- */

/* A kind without a handler would be our end. */
TEST(each_exit_has_its_handler)
{
	static const struct {
		enum vmexit_kind kind;
		const char *handler;
	} cases[] = {
		{ VMEXIT_CPUID, "guest_cpuid" },
		{ VMEXIT_RDMSR, "guest_rdmsr" },
		{ VMEXIT_WRMSR, "guest_wrmsr" },
		{ VMEXIT_IO, "guest_io" },
		{ VMEXIT_NESTED_FAULT, "guest_nested_fault" },
		{ VMEXIT_CR_WRITE, "guest_cr_write" },
		{ VMEXIT_XSETBV, "guest_xsetbv" },
		{ VMEXIT_TASK_SWITCH, "guest_task_switch" },
		{ VMEXIT_INIT, "INIT" },
		{ VMEXIT_SIPI, "SIPI" },
		{ VMEXIT_NMI, "" },
		{ VMEXIT_WINDOW, "" },
		{ VMEXIT_DEADLINE, "" },
		{ VMEXIT_HANDLED, "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vcpu *v = start();
		u64 before = v->exits[cases[i].kind];

		EXPECT(!leaves(v, (struct vmexit){ .kind = cases[i].kind,
						   .sipi_vector = 0x9a }));
		EXPECT(!strcmp(loop.called, cases[i].handler));
		EXPECT(!v->event.valid);
		EXPECT_EQ(v->exits[cases[i].kind], before + 1);
		EXPECT_EQ(loop.vector, cases[i].kind == VMEXIT_SIPI ? 0x9a : 0);
	}
}

/* As on a CPU that has no such instruction. */
TEST(what_is_refused_is_undefined)
{
	static const enum vmexit_kind kinds[] = {
		VMEXIT_UNKNOWN,	  VMEXIT_CR_READ,   VMEXIT_DR,
		VMEXIT_VIRT_INSN, VMEXIT_HYPERCALL, VMEXIT_INTR,
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct vcpu *v = start();

		EXPECT(!leaves_by(v, kinds[i]));
		EXPECT(loop.event[1].valid);
		EXPECT_EQ(loop.event[1].vector, VECTOR_UD);
		EXPECT_EQ(v->rip, 0x1000);
	}
}

TEST(the_guests_end)
{
	EXPECT(leaves_by(start(), VMEXIT_SHUTDOWN));
	EXPECT(leaves_by(start(), VMEXIT_INVALID));
}

TEST(invd_goes_on_behind_it)
{
	struct vcpu *v = start();

	leaves_by(v, VMEXIT_INVD);
	EXPECT_EQ(v->rip, 0x1003);
	EXPECT(!v->event.valid);
}

static bool answers(struct vcpu *v, const struct vmexit *exit)
{
	loop.called = "hypercall";
	return v->gpr[GPR_RAX];
}

TEST(hypercalls)
{
	struct vcpu *v = start();

	fake.guest.hypercall = answers;
	v->gpr[GPR_RAX] = 1;
	leaves_by(v, VMEXIT_HYPERCALL);
	EXPECT(!strcmp(loop.called, "hypercall"));
	EXPECT(!loop.event[1].valid);
	v->gpr[GPR_RAX] = 0;
	leaves_by(v, VMEXIT_HYPERCALL);
	EXPECT_EQ(loop.event[2].vector, VECTOR_UD);
	/* those that replace INT 15h do not go to programs */
	v->gpr[GPR_RAX] = 1;
	fake.bios_calls = true;
	leaves_by(v, VMEXIT_HYPERCALL);
	EXPECT(!strcmp(loop.called, ""));
	EXPECT(!loop.event[3].valid);
}

static u8 vector_after(const u8 code[3], u8 vector, bool delivering)
{
	struct vcpu *v = start();

	memcpy(fake.ram + 0x1000, code, 3);
	EXPECT(!leaves(v, (struct vmexit){ .kind = VMEXIT_EXCEPTION,
					   .exception = { .vector = vector,
							  .error = 0x18 },
					   .delivering = { .valid = delivering,
							   .vector = 0x31 } }));
	EXPECT_EQ(loop.event[1].type, VEVENT_EXCEPTION);
	EXPECT_EQ(loop.event[1].error,
		  loop.event[1].vector == VECTOR_UD ? 0 : 0x18);
	return loop.event[1].vector;
}

/* SVM's instructions are none, and do not say that SVM is on. */
TEST(exceptions_of_the_guest)
{
	static const u8 clgi[] = { 0x0f, 0x01, 0xdd },
			nop[] = { 0x90, 0x90, 0x90 };

	EXPECT_EQ(vector_after(clgi, VECTOR_GP, false), VECTOR_UD);
	EXPECT_EQ(vector_after(nop, VECTOR_GP, false), VECTOR_GP);
	EXPECT_EQ(vector_after(clgi, VECTOR_GP, true), VECTOR_GP);
	EXPECT_EQ(vector_after(clgi, VECTOR_AC, false), VECTOR_AC);
}

TEST_MAIN(CASE(an_nmi_is_the_guests), CASE(the_nmi_of_a_kick_is_not),
	  CASE(an_nmi_waits_for_its_time),
	  CASE(what_was_being_delivered_comes_again),
	  CASE(requests_are_taken_before_the_entry),
	  CASE(no_guest_after_a_panic), CASE(background_before_each_entry),
	  CASE(each_exit_has_its_handler), CASE(what_is_refused_is_undefined),
	  CASE(the_guests_end), CASE(invd_goes_on_behind_it), CASE(hypercalls),
	  CASE(exceptions_of_the_guest))

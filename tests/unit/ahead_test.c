/*
 * Running ahead: behind an access to a port, and from a trapped access on.
 * units: tests/unit/fake_guest.c core/virt/portio.c core/virt/ahead.c core/virt/run.c core/virt/insn.c core/io/port.c core/mm/walk.c core/emul/decode.c core/emul/exec.c core/emul/flow.c core/emul/string.c
 * libs: -include tests/unit/fake_guest.h
 */
#include "core/arch/cpuid.h"
#include "tests/unit/fake_port.h"
#include "tests/unit/test.h"

/* ---- behind an access ---- */

static u8 state[0x40000] __attribute__((aligned(8)));
static bool no_memory;

void *pool_alloc_run(size_t pages)
{
	if (no_memory || pages * PAGE_SIZE > sizeof(state))
		return NULL;
	return memset(state, 0, sizeof(state));
}

/* What follows OUT at 1000h; returns RIP at the end, from 1002h. */
static u64 ahead(struct vcpu *v, const u8 *code, size_t len)
{
	struct vmexit exit = io_exit(1, true, false, 0);

	memset(fake.ram + 0x1000, 0xcc, 64); /* INT3: the CPU's */
	memcpy(fake.ram + 0x1002, code, len);
	v->gpr[GPR_RDX] = PORT;
	v->gpr[GPR_RDI] = 0x5000;
	v->rip = 0x1000;
	if (!v->ahead)
		guest_ahead_init(v);
	guest_io(v, &exit);
	return v->rip - 0x1002;
}

TEST(runs_to_the_next_access)
{
	static const u8 code[] = {
		0xff, 0xc2, /* inc %edx */
		0xb0, 0x12, /* mov $0x12, %al */
		0x88, 0x07, /* mov %al, (%rdi) */
		0xee,	    /* out %al, (%dx) */
	};
	struct vcpu *v = start(64);

	EXPECT_EQ(ahead(v, code, sizeof(code)), 7);
	EXPECT_EQ(device.accesses, 2);
	EXPECT_EQ(device.last, 0x12);
	EXPECT_EQ(fake.ram[0x5000], 0x12);
	EXPECT(!v->event.valid);
}

/* Each stops it before the instruction, with nothing changed by it: a PUSH has
 * written RSP when its stack turns out to be a device. */
TEST(stops)
{
	static const struct {
		const char *what;
		u8 code[8];
		u64 at;
	} cases[] = {
		{ "device", { 0x90, 0x20, 0x06 }, 1 },	/* and %al, (%rsi) */
		{ "push", { 0x90, 0x50 }, 1 },		/* push %rax */
		{ "unknown", { 0x90, 0xff, 0x36 }, 1 }, /* push (%rsi) */
		{ "across", { 0x90, 0x8b, 0x46, 0x02 }, 1 }, /* 2(%rsi) */
		/* mov %eax, 0xffe(%rdi): what follows may be another's page */
		{ "page end", { 0x90, 0x89, 0x87, 0xfe, 0x0f }, 1 },
		{ "hidden", { 0x90, 0x88, 0x45, 0x00 }, 1 }, /* 0(%rbp) */
		{ "fault", { 0x90, 0x88, 0x03 }, 1 }, /* mov %al, (%rbx) */
		{ "lock", { 0x90, 0xf0, 0xff, 0x07 }, 1 },
		{ "xchg", { 0x90, 0x87, 0x07 }, 1 },
		{ "other port", { 0x90, 0xe6, 0xb2 }, 1 },
		{ "cli", { 0x90, 0xfa }, 1 },
		{ "rep", { 0x90, 0xf3, 0xaa }, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vcpu *v = start(64);
		u8 before[0x2000];
		u64 gpr[16];

		v->gpr[GPR_RSI] = 0x6000;
		v->gpr[GPR_RSP] = 0x6010;
		v->gpr[GPR_RBX] = 0x7000;
		v->gpr[GPR_RBP] = 0x8000;
		v->gpr[GPR_RDX] = PORT;
		v->gpr[GPR_RDI] = 0x5000;
		fake_page(0x6000, FAKE_DEVICE | PTE_P | PTE_W);
		fake_page(0x7000, 0);
		fake_page(0x8000, FAKE_HIDDEN | PTE_P | PTE_W);
		memcpy(before, fake.ram + 0x5000, sizeof(before));
		memcpy(gpr, v->gpr, sizeof(gpr));
		if (ahead(v, cases[i].code, sizeof(cases[i].code)) !=
		    cases[i].at)
			printf("%s:\n", cases[i].what);
		EXPECT_EQ(v->rip - 0x1002, cases[i].at);
		EXPECT_EQ(device.accesses, 1);
		EXPECT_EQ(fake.device_writes, 0);
		EXPECT(!v->event.valid);
		EXPECT(!memcmp(before, fake.ram + 0x5000, sizeof(before)));
		EXPECT(!memcmp(gpr, v->gpr, sizeof(gpr)));
	}
}

/* What has been changed by one that does not come to its end would count twice:
 * the CPU adds the carry that it finds. */
TEST(stops_before_flags_are_changed)
{
	static const u8 adc[] = { 0x11, 0x07 }; /* adc %eax, (%rdi) */
	struct vcpu *v = start(64);

	fake.reg[0][VREG_CR0] |= CR0_WP;
	fake_page(0x5000, 0x5000 | PTE_P);
	memset(fake.ram + 0x5000, 0xff, 4);
	v->rflags |= RFLAGS_CF;
	v->gpr[GPR_RAX] = 0x12;
	EXPECT_EQ(ahead(v, adc, sizeof(adc)), 0);
	EXPECT_EQ(v->rflags, RFLAGS_FIXED | RFLAGS_CF);
	v->gpr[GPR_RAX] = 0;
	v->rflags &= ~RFLAGS_CF;
	EXPECT_EQ(ahead(v, adc, sizeof(adc)), 0);
	EXPECT_EQ(v->rflags, RFLAGS_FIXED);
}

/* All of it, each time: flags, and what FS and GS are now. */
TEST(begins_where_the_guest_is)
{
	static const u8 code[] = {
		0x83, 0xd3, 0x00,	/* adc $0, %ebx */
		0x65, 0x88, 0x5f, 0x08, /* mov %bl, %gs:8(%rdi) */
		0x64, 0x8a, 0x4f, 0x10, /* mov %fs:16(%rdi), %cl */
	};
	struct vcpu *v = start(64);

	for (u64 i = 1; i < 4; i++) {
		fake.seg[0][SEG_GS].base = i * 0x1000;
		fake.seg[0][SEG_FS].base = (i + 4) * 0x1000;
		fake.ram[0x9010 + i * 0x1000] = (u8)(0x70 + i);
		v->gpr[GPR_RBX] = 0x40 + i;
		v->rflags = RFLAGS_FIXED | (i & 1 ? RFLAGS_CF : 0);
		EXPECT_EQ(ahead(v, code, sizeof(code)), sizeof(code));
		EXPECT_EQ(fake.ram[0x5008 + i * 0x1000], 0x40 + i + (i & 1));
		EXPECT_EQ(v->gpr[GPR_RCX] & 0xff, 0x70 + i);
	}
}

/* A jump into a device. */
TEST(executes_no_device)
{
	static const u8 jump[] = { 0xff, 0xe6 }; /* jmp *%rsi */
	struct vcpu *v = start(64);

	v->gpr[GPR_RSI] = 0x6010;
	fake_page(0x6000, FAKE_DEVICE | PTE_P | PTE_W);
	ahead(v, jump, sizeof(jump));
	EXPECT_EQ(v->rip, 0x6010);
}

TEST(does_without_memory)
{
	static const u8 nop[] = { 0x90 };
	struct vcpu *v = start(64);

	no_memory = true;
	EXPECT_EQ(ahead(v, nop, 1), 0);
	EXPECT_EQ(device.accesses, 1);
	no_memory = false;
}

/* What a driver does between two accesses: it looks at another port, at the
 * time, and waits. */
TEST(passes)
{
	static const u8 code[] = {
		0xb2, 0x80,	  /* mov $0x80, %dl: not hooked */
		0xec,		  /* in (%dx), %al */
		0x88, 0xc3,	  /* mov %al, %bl */
		0x0f, 0x31,	  /* rdtsc */
		0x89, 0xd6,	  /* mov %edx, %esi */
		0x0f, 0xae, 0xe8, /* lfence */
		0xf3, 0x90,	  /* pause */
		0x0f, 0x01, 0xf9, /* rdtscp */
		0xf0, 0x90,
	};
	struct vcpu *v = start(64);

	EXPECT_EQ(ahead(v, code, sizeof(code)), 14); /* no RDTSCP */
	v = start(64);
	fake.id[0].edx = CPUID_80000001_EDX_RDTSCP;
	EXPECT_EQ(ahead(v, code, sizeof(code)), 17);
	EXPECT_EQ(v->gpr[GPR_RBX] & 0xff, 0xff);
	EXPECT_EQ(v->gpr[GPR_RSI], 0x12);
	EXPECT_EQ(v->gpr[GPR_RAX], 0x3456789a);
	EXPECT_EQ(v->gpr[GPR_RCX], 7);
	EXPECT_EQ(device.accesses, 1);
}

/* A driver's port that is not watched now: it is written on the way, but is
 * nothing to run to. */
TEST(passes_known_ports)
{
	static struct port_hook hook = { .first = 0x300,
					 .count = 1,
					 .fn = device_fn };
	static const u8 code[] = {
		0x66, 0xba, 0x00, 0x03, /* mov $0x300, %dx */
		0xee,			/* out %al, (%dx) */
		0xff, 0xc3,		/* inc %ebx */
	};
	struct vcpu *v = start(64);

	EXPECT_EQ(ahead(v, code, sizeof(code)), 4);
	port_hook_add(&hook);
	port_hook_watch(&hook, false);
	EXPECT_EQ(ahead(v, code, sizeof(code)), 7);
	EXPECT_EQ(device.accesses, 3);
	for (int i = 0; i < 5; i++)
		ahead(v, code, sizeof(code));
	EXPECT_EQ(ahead(v, code, sizeof(code)), 0);
	port_hook_move(&hook, 0, 0);
}

/* One port, and not the first of a byte in the bitmap. */
TEST(counts_accesses_to_a_port)
{
	static struct port_hook hook = { .first = 0x61,
					 .count = 1,
					 .fn = device_fn };
	static const u8 out[] = { 0xe6, 0x61 };
	struct vcpu *v = start(64);

	port_hook_add(&hook);
	for (u32 i = 1; i <= 10; i++) {
		EXPECT_EQ(ahead(v, out, sizeof(out)), 2);
		EXPECT_EQ(device.accesses, 2 * i);
	}
	port_hook_move(&hook, 0, 0);
}

/* To read the time is no access to a hook. */
TEST(time_alone_is_of_no_use)
{
	static const u8 rdtsc[] = { 0x0f, 0x31 };
	struct vcpu *v = start(64);

	for (int i = 0; i < 5; i++)
		EXPECT_EQ(ahead(v, rdtsc, sizeof(rdtsc)), 2);
	EXPECT_EQ(ahead(v, rdtsc, sizeof(rdtsc)), 0);
}

/* Behind a port in the instruction is all of EAX, as behind DX. */
TEST(size_of_a_port)
{
	static struct port_hook hook = { .first = 0x60,
					 .count = 4,
					 .fn = device_fn };
	static const u8 out[] = { 0xe7, 0x60 }, in[] = { 0xe5, 0x60 };
	static const u8 word[] = { 0x66, 0xe7, 0x60 };
	struct vcpu *v = start(64);

	port_hook_add(&hook);
	v->gpr[GPR_RAX] = 0x12345678;
	EXPECT_EQ(ahead(v, out, sizeof(out)), 2);
	EXPECT_EQ(device.size, 4);
	EXPECT_EQ(device.last, 0x12345678);
	EXPECT_EQ(ahead(v, word, sizeof(word)), 3);
	EXPECT_EQ(device.last, 0x5678);
	EXPECT_EQ(ahead(v, in, sizeof(in)), 2);
	EXPECT_EQ(device.size, 4);
	port_hook_move(&hook, 0, 0);
}

/* Moves to and from hooked pages count, as if they were ports. */
TEST(moves_to_devices)
{
	static const u8 code[] = {
		0x8b, 0x1e,	  /* mov (%rsi), %ebx */
		0x0f, 0xb6, 0x0e, /* movzbl (%rsi), %ecx */
		0x89, 0x06,	  /* mov %eax, (%rsi) */
		0x90,
	};
	struct vcpu *v = start(64);

	v->gpr[GPR_RSI] = 0x6000;
	fake_page(0x6000, FAKE_DEVICE | PTE_P | PTE_W);
	EXPECT_EQ(ahead(v, code, sizeof(code)), sizeof(code));
	EXPECT_EQ(v->gpr[GPR_RBX], 0xd5d5d5d5);
	EXPECT_EQ(v->gpr[GPR_RCX], 0xd5);
	EXPECT_EQ(fake.device_writes, 1);
	EXPECT_EQ(ahead(v, code, sizeof(code)), sizeof(code) - 1);
	EXPECT_EQ(fake.device_writes, 2);
}

/* What an access asks of this CPU comes before the next instruction. */
TEST(stops_for_requests)
{
	static const u8 code[] = { 0x90, 0xee };
	struct vcpu *v = start(64);

	v->kick = 1;
	EXPECT_EQ(ahead(v, code, sizeof(code)), 0);
	v->kick = 0;
	EXPECT_EQ(ahead(v, code, sizeof(code)), 2);
}

/* Not a step past the last access of the time before; but now and then it
 * looks whether there is another one. */
TEST(learns_where_to_stop)
{
	static const u8 one[] = { 0xee, 0x90, 0x90, 0xcc };
	static const u8 two[] = { 0xee, 0x90, 0xee, 0x90 };
	struct vcpu *v = start(64);
	u64 at = 0;

	EXPECT_EQ(ahead(v, one, sizeof(one)), 3);
	for (int i = 0; i < 64; i++)
		EXPECT_EQ(ahead(v, i % 2 ? one : two, sizeof(two)), 1);
	EXPECT_EQ(ahead(v, two, sizeof(two)), 4);
	EXPECT_EQ(ahead(v, two, sizeof(two)), 3);
	for (int i = 0; i < 70 && at != 1; i++)
		at = ahead(v, one, sizeof(one));
	EXPECT_EQ(at, 1);
}

/* What it has decoded it does not keep when the code has changed. */
TEST(changed_code)
{
	static const u8 one[] = { 0xb0, 0x12, 0xee };
	static const u8 two[] = { 0xb0, 0x34, 0xee };
	u8 longer[] = { 0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8 }; /* movabs */
	struct vcpu *v = start(64);

	EXPECT_EQ(ahead(v, one, sizeof(one)), 3);
	EXPECT_EQ(device.last, 0x12);
	EXPECT_EQ(ahead(v, two, sizeof(two)), 3);
	EXPECT_EQ(device.last, 0x34);
	ahead(v, longer, sizeof(longer));
	EXPECT_EQ(v->gpr[GPR_RAX], 0x0807060504030201);
	longer[9] = 9;
	ahead(v, longer, sizeof(longer));
	EXPECT_EQ(v->gpr[GPR_RAX], 0x0907060504030201);
}

/* What could not be decoded is forgotten: not what 15 bytes of 0 stand for. */
TEST(undecodable_code)
{
	static const u8 group[] = { 0x82 }, zeros[16] = { 0 };
	static const u8 rep[] = { 0xf3, 0xaa };
	struct vcpu *v = start(64);

	EXPECT_EQ(ahead(v, group, sizeof(group)), 0);
	EXPECT_EQ(ahead(v, zeros, sizeof(zeros)), 0);
	v->gpr[GPR_RCX] = 5;
	EXPECT_EQ(ahead(v, rep, sizeof(rep)), 0);
	EXPECT_EQ(ahead(v, zeros, sizeof(zeros)), 0);
	EXPECT_EQ(v->gpr[GPR_RCX], 5);
}

/* Not for users, other modes, single steps, breakpoints, CET. */
TEST(does_not_begin)
{
	static const u8 nop[] = { 0x90 };
	struct vcpu *v = start(64);

	EXPECT_EQ(ahead(v, nop, 1), 1);
	v = start(64);
	fake.reg[0][VREG_CPL] = 3;
	EXPECT_EQ(ahead(v, nop, 1), 0);
	v = start(64);
	fake.reg[0][VREG_CPL] = 1; /* a supervisor, but not to ports */
	EXPECT_EQ(ahead(v, nop, 1), 0);
	v = start(64);
	v->rflags |= RFLAGS_TF;
	EXPECT_EQ(ahead(v, nop, 1), 0);
	v = start(64);
	fake.reg[0][VREG_DR7] = 1;
	EXPECT_EQ(ahead(v, nop, 1), 0);
	v = start(64);
	fake.reg[0][VREG_CR4] |= CR4_CET;
	EXPECT_EQ(ahead(v, nop, 1), 0);
	v = start(64);
	fake.reg[0][VREG_CR4] |= CR4_PKS;
	EXPECT_EQ(ahead(v, nop, 1), 0);
	v = start(64);
	v->nmi_pending = true;
	EXPECT_EQ(ahead(v, nop, 1), 0);
	v = start(64); /* 32-bit code under a 64-bit kernel */
	fake.seg[0][SEG_CS].attr ^= VSEG_L | VSEG_DB;
	EXPECT_EQ(ahead(v, nop, 1), 0);
	v = start(32);
	EXPECT_EQ(ahead(v, nop, 1), 0);
	fake.seg[0][SEG_CS].attr |= VSEG_L; /* means nothing there */
	EXPECT_EQ(ahead(v, nop, 1), 0);
}

/* A user's page may have a key by which even the kernel may not touch it. */
TEST(leaves_users_memory_with_keys)
{
	static const u8 store[] = { 0x88, 0x06 }; /* mov %al, (%rsi) */
	struct vcpu *v = start(64);

	fake_page(0x5000, 0x5000 | PTE_P | PTE_W);
	fake_page(0x6000, 0x5000 | PTE_P | PTE_W | PTE_U);
	v->gpr[GPR_RSI] = 0x6000;
	EXPECT_EQ(ahead(v, store, sizeof(store)), 2);
	fake.reg[0][VREG_CR4] |= CR4_PKE | CR4_SMAP;
	v->rflags |= RFLAGS_AC;
	EXPECT_EQ(ahead(v, store, sizeof(store)), 0);
	v->gpr[GPR_RSI] = 0x5000;
	EXPECT_EQ(ahead(v, store, sizeof(store)), 2);
	fake.reg[0][VREG_CR4] &= ~CR4_SMAP;
	EXPECT_EQ(ahead(v, store, sizeof(store)), 2);
	v->gpr[GPR_RSI] = 0x6000;
	EXPECT_EQ(ahead(v, store, sizeof(store)), 0);
}

/* With LASS a supervisor has no business in the lower half, whatever the
 * tables say. */
TEST(leaves_the_lower_half_with_lass)
{
	static const u8 store[] = { 0x88, 0x06 }; /* mov %al, (%rsi) */
	const u64 upper = 0xffff800000000000;
	struct vcpu *v = start(64);

	memcpy(fake.ram + fake.reg[0][VREG_CR3] + 256 * 8,
	       fake.ram + fake.reg[0][VREG_CR3], 8);
	ahead(v, store, sizeof(store));
	fake.reg[0][VREG_CR4] |= CR4_LASS | CR4_SMAP;
	for (u64 page = 0; page < FAKE_RAM; page += PAGE_SIZE)
		fake_page(page, page | PTE_P | PTE_W);
	EXPECT_EQ(ahead(v, store, sizeof(store)), 0);
	for (int i = 0; i < 2; i++) {
		v->gpr[GPR_RSI] = i ? upper | 0x5000 : 0x5000;
		v->rip = upper | 0x1002;
		guest_run_ahead(v, 0, i);
		EXPECT_EQ(v->rip, upper | (i ? 0x1004 : 0x1002));
	}
}

/* A loop without an access to a port ends, too. */
TEST(ends)
{
	static const u8 loop[] = { 0xff, 0xc0, 0xeb, 0xfc };
	struct vcpu *v = start(64);

	ahead(v, loop, sizeof(loop));
	EXPECT_EQ(v->gpr[GPR_RAX], 512);
	EXPECT_EQ(v->rip, 0x1002);
}

/* ... and one with, for the guest's interrupts. */
TEST(ends_between_accesses)
{
	static const u8 loop[] = {
		0xff, 0xc3, 0xff, 0xc3, 0xff, 0xc3, 0xff, 0xc3, 0xff, 0xc3,
		0xff, 0xc3, 0xff, 0xc3, 0xff, 0xc3, 0xee, 0xeb, 0xed
	}; /* 8 times inc %ebx; out; jmp */
	struct vcpu *v = start(64);

	ahead(v, loop, sizeof(loop));
	EXPECT_EQ(v->gpr[GPR_RBX], 8 * 205);
	EXPECT_EQ(device.accesses, 1 + 204);
}

/* Drivers wait between two reads of a status. */
TEST(runs_through_a_delay)
{
	static const u8 code[] = {
		0xb9, 0x2c, 0x01, 0x00, 0x00, /* mov $300, %ecx */
		0xf3, 0x90,		      /* 1: pause */
		0xff, 0xc9,		      /* dec %ecx */
		0x75, 0xfa,		      /* jnz 1b */
		0xee,			      /* out %al, (%dx) */
	};
	struct vcpu *v = start(64);

	EXPECT_EQ(ahead(v, code, sizeof(code)), sizeof(code));
	EXPECT_EQ(device.accesses, 2);
}

/* Where it fails now and then it is tried each time; where it fails five
 * times in a row it is tried every 65th time, until it is of use again. */
TEST(left_alone)
{
	static const u8 nop[] = { 0x90 }, out[] = { 0xee };
	struct vcpu *v = start(64);

	for (int i = 0; i < 20; i++)
		EXPECT_EQ(ahead(v, i % 5 == 4 ? out : nop, 1), 1);
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(ahead(v, nop, 1), 1);
	for (int i = 0; i < 64; i++)
		EXPECT_EQ(ahead(v, nop, 1), 0);
	EXPECT_EQ(ahead(v, nop, 1), 1);
	EXPECT_EQ(ahead(v, nop, 1), 0);
	for (int i = 1; i < 64; i++)
		ahead(v, out, 1);
	EXPECT_EQ(ahead(v, out, 1), 1);
	EXPECT_EQ(ahead(v, nop, 1), 1);
}

/* ---- pages, from one go to the next ---- */

#define OTHER_TABLES 0x20000

/* Tables like those of fake_paging(), but for the page at 5000h. */
static void other_tables(u64 entry)
{
	u64 from = fake.reg[0][VREG_CR3];

	for (u64 level = 0; level < 3; level++) {
		u64 next = OTHER_TABLES + (level + 1) * PAGE_SIZE;

		next |= PTE_P | PTE_W | PTE_U;
		memcpy(fake.ram + OTHER_TABLES + level * PAGE_SIZE, &next, 8);
	}
	memcpy(fake.ram + OTHER_TABLES + 3 * PAGE_SIZE,
	       fake.ram + from + 3 * PAGE_SIZE, PAGE_SIZE);
	memcpy(fake.ram + OTHER_TABLES + 3 * PAGE_SIZE + 5 * 8, &entry, 8);
}

/* Where a store to 5000h arrives, or 0. */
static u64 stored(struct vcpu *v)
{
	static const u8 store[] = { 0x88, 0x07, 0xee }; /* mov %al, (%rdi) */
	u64 found = 0, at;

	for (at = 0x5000; at < 0x8000; at += 0x1000)
		fake.ram[at] = 0;
	v->gpr[GPR_RAX] = 1;
	ahead(v, store, sizeof(store));
	for (at = 0x5000; at < 0x8000; at += 0x1000)
		found |= fake.ram[at] ? at : 0;
	return found;
}

/* A page is where the tables have it now, or nowhere. */
TEST(follows_the_tables)
{
	struct vcpu *v = start(64);

	EXPECT_EQ(stored(v), 0x5000);
	EXPECT_EQ(stored(v), 0x5000);
	fake_page(0x5000, 0x6000 | PTE_P | PTE_W);
	EXPECT_EQ(stored(v), 0x6000);
	other_tables(0x7000 | PTE_P | PTE_W);
	EXPECT_EQ(stored(v), 0x6000);
	fake.reg[0][VREG_CR3] = OTHER_TABLES;
	EXPECT_EQ(stored(v), 0x7000);
	fake.reg[0][VREG_CR0] |= CR0_WP;
	EXPECT_EQ(stored(v), 0x7000);
	other_tables(0x7000 | PTE_P);
	EXPECT_EQ(stored(v), 0);
	other_tables(0);
	EXPECT_EQ(stored(v), 0);
}

/* The same tables mean something else. */
TEST(follows_the_registers)
{
	struct vcpu *v = start(64);

	fake_page(0x5000, 0x5000 | PTE_P);
	EXPECT_EQ(stored(v), 0x5000);
	fake.reg[0][VREG_CR0] |= CR0_WP;
	EXPECT_EQ(stored(v), 0);
	fake_page(0x5000, 0x5000 | PTE_P | PTE_W | PTE_U);
	EXPECT_EQ(stored(v), 0x5000);
	fake.reg[0][VREG_CR4] |= CR4_SMAP;
	EXPECT_EQ(stored(v), 0);
	v->rflags |= RFLAGS_AC;
	EXPECT_EQ(stored(v), 0x5000);
	v->rflags &= ~RFLAGS_AC;
	EXPECT_EQ(stored(v), 0);
	fake.reg[0][VREG_CR4] &= ~CR4_SMAP;
	fake_page(0x5000, 0x5000 | PTE_P | PTE_W | PTE_NX);
	EXPECT_EQ(stored(v), 0); /* reserved */
	fake.reg[0][VREG_EFER] |= EFER_NXE;
	EXPECT_EQ(stored(v), 0x5000);
	fake.reg[0][VREG_EFER] &= ~EFER_NXE;
	EXPECT_EQ(stored(v), 0);
}

TEST(follows_the_hooks)
{
	struct vcpu *v = start(64);

	EXPECT_EQ(stored(v), 0x5000);
	fake.hooked = 0x5000;
	EXPECT_EQ(stored(v), 0);
	EXPECT_EQ(fake.device_writes, 1);
	fake.hooked = 0;
	EXPECT_EQ(stored(v), 0x5000);
	EXPECT_EQ(fake.device_writes, 1);
}

/* What has been read cannot be written for that, but the other way round. */
TEST(rights_of_a_page)
{
	static const u8 code[] = {
		0x8a, 0x1f, /* mov (%rdi), %bl */
		0x88, 0x07, /* mov %al, (%rdi) */
		0x8a, 0x0f, /* mov (%rdi), %cl */
		0x88, 0x0e, /* mov %cl, (%rsi) */
	};
	struct vcpu *v = start(64);

	v->gpr[GPR_RAX] = 0x12;
	v->gpr[GPR_RSI] = 0x6000;
	EXPECT_EQ(ahead(v, code, sizeof(code)), 8);
	EXPECT_EQ(fake.ram[0x6000], 0x12);
	v = start(64);
	fake.reg[0][VREG_CR0] |= CR0_WP;
	v->gpr[GPR_RSI] = 0x6000;
	fake_page(0x5000, 0x5000 | PTE_P);
	EXPECT_EQ(ahead(v, code, sizeof(code)), 2);
}

/* Three pages, the code's among them, for two places. */
TEST(pages_for_one_place)
{
	static const u8 code[] = {
		0x8a, 0x1e, /* mov (%rsi), %bl */
		0x8a, 0x0f, /* mov (%rdi), %cl */
		0x02, 0x1e, /* add (%rsi), %bl */
		0x02, 0x0f, /* add (%rdi), %cl */
	};
	struct vcpu *v = start(64);

	ahead(v, code, 0);
	fake_page(0x43000, 0x6000 | PTE_P | PTE_W);
	fake.ram[0x20000] = 0x11;
	fake.ram[0x6000] = 0x22;
	memcpy(fake.ram + 0x1002, code, sizeof(code));
	v->gpr[GPR_RSI] = 0x20000;
	v->gpr[GPR_RDI] = 0x43000;
	for (int i = 0; i < 2; i++) {
		struct vmexit exit = io_exit(1, true, false, 0);

		v->rip = 0x1000;
		guest_io(v, &exit);
		EXPECT_EQ(v->rip, 0x100a);
		EXPECT_EQ(v->gpr[GPR_RBX], 0x22);
		EXPECT_EQ(v->gpr[GPR_RCX], 0x44);
	}
}

/* ---- the trapped access itself ---- */

/* @code at 1000h, its device at (%rsi); returns RIP at the end, from there. */
static u64 trapped(struct vcpu *v, const u8 *code, size_t len, bool further)
{
	memset(fake.ram + 0x1000, 0xcc, 64);
	memcpy(fake.ram + 0x1000, code, len);
	fake_page(0x6000, FAKE_DEVICE | PTE_P | PTE_W);
	v->gpr[GPR_RSI] = 0x6000;
	v->rip = 0x1000;
	if (!v->ahead)
		guest_ahead_init(v);
	v->rflags |= RFLAGS_RF;
	fake.reg[0][VREG_INTERRUPTIBILITY] = 1;
	if (!guest_emulate_ahead(v, 0, further))
		return ~0ULL;
	EXPECT_EQ(v->rflags & RFLAGS_RF, 0);
	EXPECT_EQ(fake.reg[0][VREG_INTERRUPTIBILITY], 0);
	return v->rip - 0x1000;
}

TEST(executes_the_trapped_access)
{
	static const u8 code[] = {
		0x89, 0x06, /* mov %eax, (%rsi) */
		0xff, 0xc0, /* inc %eax */
		0x89, 0x06,
	};
	struct vcpu *v = start(64);

	EXPECT_EQ(trapped(v, code, sizeof(code), false), 2);
	EXPECT_EQ(fake.device_writes, 1);
	EXPECT_EQ(v->gpr[GPR_RAX], 0);
	EXPECT_EQ(trapped(v, code, sizeof(code), true), 6);
	EXPECT_EQ(fake.device_writes, 3);
	EXPECT_EQ(v->gpr[GPR_RAX], 1);
}

/* It learns of what follows, and goes on with the access alone. */
TEST(nothing_follows_the_trapped_access)
{
	static const u8 code[] = { 0x89, 0x06, 0x90 };
	struct vcpu *v = start(64);

	for (int i = 0; i < 5; i++)
		EXPECT_EQ(trapped(v, code, sizeof(code), true), 3);
	for (int i = 0; i < 64; i++)
		EXPECT_EQ(trapped(v, code, sizeof(code), true), 2);
	EXPECT_EQ(trapped(v, code, sizeof(code), true), 3);
	EXPECT_EQ(fake.device_writes, 70);
}

/* What is not for it has not been begun. */
TEST(leaves_the_trapped_access)
{
	static const u8 move[] = { 0x89, 0x06 }, and[] = { 0x21, 0x06 };
	static const u8 rep[] = { 0xf3, 0xaa };
	static const u8 system[] = { 0x0f, 0xa2 }; /* cpuid */
	struct vcpu *v = start(64);

	EXPECT_EQ(trapped(v, and, sizeof(and), true), ~0ULL);
	EXPECT_EQ(trapped(v, rep, sizeof(rep), true), ~0ULL);
	EXPECT_EQ(trapped(v, system, sizeof(system), true), ~0ULL);
	v->rflags |= RFLAGS_TF;
	EXPECT_EQ(trapped(v, move, sizeof(move), true), ~0ULL);
	v->rflags &= ~RFLAGS_TF;
	v->event.valid = true;
	EXPECT_EQ(trapped(v, move, sizeof(move), true), ~0ULL);
	v->event.valid = false;
	v->kick = 1;
	EXPECT_EQ(trapped(v, move, sizeof(move), true), ~0ULL);
	v = start(32);
	EXPECT_EQ(trapped(v, move, sizeof(move), true), ~0ULL);
	EXPECT_EQ(v->rip, 0x1000);
	EXPECT_EQ(fake.device_writes, 0);
}

/* The last instruction of a page is executed, one that leaves it is not: also
 * when one of the same bytes, with zeros behind them, has been decoded. */
TEST(end_of_a_page)
{
	static const u8 add[] = { 0x48, 0x05, 0x12, 0x34, 0, 0 };
	static const u8 store[] = { 0x89, 0x06 };
	struct vcpu *v = start(64);

	trapped(v, store, sizeof(store), false);
	memset(fake.ram + 0x1ff0, 0, 32);
	memcpy(fake.ram + 0x1ffe, store, sizeof(store));
	v->rip = 0x1ffe;
	EXPECT(guest_emulate_ahead(v, 0, false));
	EXPECT_EQ(v->rip, 0x2000);
	EXPECT_EQ(fake.device_writes, 2);
	memset(fake.ram + 0x1ff0, 0, 16);
	memcpy(fake.ram + 0x1ffc, add, 4);
	v->rip = 0x17fe; /* kept at the same place as 1ffch */
	memcpy(fake.ram + v->rip, add, sizeof(add));
	memset(fake.ram + v->rip + 6, 0, 16);
	EXPECT(guest_emulate_ahead(v, 0, false));
	EXPECT_EQ(v->gpr[GPR_RAX], 0x3412);
	v->rip = 0x1ffc;
	EXPECT(!guest_emulate_ahead(v, 0, false));
	EXPECT_EQ(v->rip, 0x1ffc);
}

TEST_MAIN(CASE(runs_to_the_next_access), CASE(stops), CASE(passes),
	  CASE(stops_before_flags_are_changed), CASE(begins_where_the_guest_is),
	  CASE(executes_no_device), CASE(does_without_memory),
	  CASE(ends_between_accesses), CASE(passes_known_ports),
	  CASE(runs_through_a_delay), CASE(counts_accesses_to_a_port),
	  CASE(time_alone_is_of_no_use), CASE(size_of_a_port),
	  CASE(learns_where_to_stop), CASE(moves_to_devices),
	  CASE(stops_for_requests), CASE(changed_code), CASE(undecodable_code),
	  CASE(does_not_begin), CASE(leaves_users_memory_with_keys),
	  CASE(leaves_the_lower_half_with_lass), CASE(ends), CASE(left_alone),
	  CASE(follows_the_tables), CASE(follows_the_registers),
	  CASE(follows_the_hooks), CASE(rights_of_a_page),
	  CASE(pages_for_one_place), CASE(executes_the_trapped_access),
	  CASE(nothing_follows_the_trapped_access),
	  CASE(leaves_the_trapped_access), CASE(end_of_a_page))

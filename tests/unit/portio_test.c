/*
 * IN, OUT, INS and OUTS on hooked ports, and running ahead: behind them, and
 * from a trapped access on.
 * units: tests/unit/fake_guest.c core/virt/portio.c core/virt/ahead.c core/virt/run.c core/virt/insn.c core/io/port.c core/mm/walk.c core/emul/decode.c core/emul/exec.c core/emul/flow.c core/emul/string.c
 * libs: -include tests/unit/fake_guest.h
 */
#include <string.h>

#include "core/arch/cpuid.h"
#include "core/arch/regs.h"
#include "core/io/port.h"
#include "tests/unit/test.h"

#define PORT 0x1f0

/* What the device has seen, and what it gives: bytes that count up. */
static struct {
	u32 accesses, elements;
	u32 last;
	u8 size, next;
} device;

static enum verdict device_fn(void *ctx, const struct port_io *io)
{
	u8 *p = io->data;

	device.accesses++;
	device.elements += io->count;
	device.size = io->size;
	if (io->write)
		device.last = port_io_get(io, io->count - 1);
	for (u32 i = 0; !io->write && i < io->count * io->size; i++)
		p[i] = device.next++;
	return DONE;
}

u32 hw_in(u16 port, u8 size)
{
	return 0xffffffff;
}

void hw_out(u16 port, u8 size, u32 value)
{
}

void hw_ins(u16 port, u8 size, void *dst, u32 count)
{
}

void hw_outs(u16 port, u8 size, const void *src, u32 count)
{
}

static struct vcpu *start(unsigned int bits)
{
	static struct port_hook hook = {
		.first = PORT, .count = 8, .fn = device_fn, .ctx = NULL
	};
	struct vcpu *v = fake_start();

	if (!hook.range)
		port_hook_add(&hook);
	memset(&device, 0, sizeof(device));
	if (bits != 16)
		fake_mode(v, bits, 0);
	if (bits == 64)
		fake_paging(v);
	return v;
}

static struct vmexit io_exit(u8 size, bool write, bool rep, u8 addr_size)
{
	return (struct vmexit){
		.kind = VMEXIT_IO,
		.insn_len = 2,
		.io = { .port = PORT,
			.size = size,
			.write = write,
			.string = addr_size != 0,
			.rep = rep,
			.addr_size = addr_size,
			.seg = SEG_DS },
	};
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

/* ---- running ahead ---- */

static u8 state[0x40000] __attribute__((aligned(8)));

void *pool_alloc_run(size_t pages)
{
	if (pages * PAGE_SIZE > sizeof(state))
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
		{ "fault", { 0x90, 0x88, 0x03 }, 1 }, /* mov %al, (%rbx) */
		{ "lock", { 0x90, 0xf0, 0xff, 0x07 }, 1 },
		{ "xchg", { 0x90, 0x87, 0x07 }, 1 },
		{ "other port", { 0x90, 0xe6, 0xb2 }, 1 },
		{ "cli", { 0x90, 0xfa }, 1 },
		{ "rep", { 0x90, 0xf3, 0xaa }, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vcpu *v = start(64);
		u8 before[16];
		u64 gpr[16];

		v->gpr[GPR_RSI] = 0x6000;
		v->gpr[GPR_RSP] = 0x6010;
		v->gpr[GPR_RBX] = 0x7000;
		v->gpr[GPR_RDX] = PORT;
		v->gpr[GPR_RDI] = 0x5000;
		fake_page(0x6000, FAKE_DEVICE | PTE_P | PTE_W);
		fake_page(0x7000, 0);
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
	struct vcpu *v = start(64);

	EXPECT_EQ(ahead(v, one, sizeof(one)), 3);
	EXPECT_EQ(device.last, 0x12);
	EXPECT_EQ(ahead(v, two, sizeof(two)), 3);
	EXPECT_EQ(device.last, 0x34);
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
	v = start(32);
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
}

/* A loop without an access to a port ends, too. */
TEST(ends)
{
	static const u8 loop[] = { 0xff, 0xc0, 0xeb, 0xfc };
	struct vcpu *v = start(64);

	ahead(v, loop, sizeof(loop));
	EXPECT_EQ(v->gpr[GPR_RAX], 96);
	EXPECT_EQ(v->rip, 0x1002);
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
	struct vcpu *v = start(64);

	EXPECT_EQ(trapped(v, and, sizeof(and), true), ~0ULL);
	EXPECT_EQ(trapped(v, rep, sizeof(rep), true), ~0ULL);
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

TEST_MAIN(CASE(in_keeps_the_rest_of_rax), CASE(out_gives_the_low_bytes),
	  CASE(burst_of_a_sector), CASE(burst_ends_with_the_page),
	  CASE(nothing_to_repeat), CASE(address_size_16), CASE(address_size_32),
	  CASE(downwards), CASE(segment_limit_in_the_burst),
	  CASE(page_fault_before_the_device), CASE(prefixes),
	  CASE(prefixes_in_64_bit_code), CASE(runs_to_the_next_access),
	  CASE(stops), CASE(passes), CASE(passes_known_ports),
	  CASE(learns_where_to_stop), CASE(moves_to_devices),
	  CASE(stops_for_requests), CASE(changed_code), CASE(undecodable_code),
	  CASE(does_not_begin), CASE(leaves_users_memory_with_keys), CASE(ends),
	  CASE(left_alone), CASE(executes_the_trapped_access),
	  CASE(nothing_follows_the_trapped_access),
	  CASE(leaves_the_trapped_access), CASE(end_of_a_page))

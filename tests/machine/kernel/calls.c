/*
 * Random hypercalls, from a seed, out of ring 0 and ring 3: numbers, pointers,
 * lengths, handles and messages. Only where Shoji may write is not random: it
 * would be this kernel.
 */
#include "call.h"

/* In the first 2 MiB, mapped in 4-KiB pages; what follows each is not there. */
#define READ_ONLY  0x43000
#define BUFFER	   0x45000
#define SUPER	   0x47000 /* ring 0's */
#define WINDOW	   0x50000
#define WINDOW_LEN 0x20000

#define NOT_MAPPED (1ULL << 40)
#define APIC	   0xfee00000ULL
#define VGA	   0xa0000ULL
#define REPLY_MAX  65536
#define LOG_ONCE   16384
#define HANDLES	   4
#define FAULTS_MAX 20
#define TRIES	   200000
#define ROUND	   250 /* calls, after which the programs have to be themselves */

static u64 table[512] __attribute__((aligned(4096)));
static u64 start, size;
/* On AMD-V only an interrupt ends an endless loop, and here are none. */
static u32 loops;
static u32 bad, good[SHOJI_NUMBERS], unknown, other, traps;

/* Messages under way and buffers: what has made them has to end them. */
static struct made {
	u64 id;
	u32 ring;
} handles[HANDLES], buffers[HANDLES];

static void map(void)
{
	for (u64 i = 0; i < 512; i++)
		table[i] = i << 12 | 7;
	for (u64 i = 0; i < 5; i++)
		table[i] = 0;
	table[READ_ONLY / 4096] = READ_ONLY | 5;
	table[READ_ONLY / 4096 + 1] = 0;
	table[BUFFER / 4096 + 1] = 0;
	table[SUPER / 4096] = SUPER | 3;
	table[SUPER / 4096 + 1] = 0;
	table[(WINDOW + WINDOW_LEN) / 4096] = 0;
	pds[0] = (u64)table | 7;
	__asm__ volatile("mov %%cr3, %%rax; mov %%rax, %%cr3\n\t"
			 "mov %%cr0, %%rax; bts $16, %%rax; mov %%rax, %%cr0"
			 :
			 :
			 : "rax"); /* WP: for ring 0, too */
}

/* ---- what a register holds ---- */

/* Where a write does no harm, whatever its length. */
static u64 address(void)
{
	u64 r = random64(), some = r >> 48;

	switch (r % 16) {
	case 0:
		return some & 0xfff;
	case 1:
		return READ_ONLY + (some & 0xfff);
	case 2:
		return BUFFER + 4096 - (some & 255);
	case 3:
		return SUPER + (some & 0xfff);
	case 4:
		return start + (r >> 8) % size;
	case 5:
		return start - (some & 0xfff) - 1;
	case 6:
		return start + size - (some & 15) - 1;
	case 7: /* not canonical */
		return (r >> 8 | 1ULL << 50) & ~(1ULL << 63);
	case 8:
		return NOT_MAPPED | (r >> 32);
	case 9: /* where Shoji's own lie */
		return 0xffff800000000000 | (start + (r >> 8) % size);
	case 10:
		return 0xffffffff80000000 | (r >> 8 & 0xffffff);
	case 11:
		return APIC + (some & 0xfff);
	case 12:
		return VGA + (some & 0xffff);
	case 13:
		return (r & 256 ? 0x100000000 : 0) - (some & 31);
	default:
		return WINDOW + (r & 256 ? 0 : some);
	}
}

static u64 length(void)
{
	static const u64 some[] = {
		0,	    1,		7,	    8,		48,
		120,	    152,	280,	    4096,	65535,
		65536,	    65537,	0x100000,   0x1000000,	0x1000001,
		1ULL << 31, 1ULL << 32, 1ULL << 63, ~0ULL - 15, ~0ULL,
	};
	u64 r = random64();

	return r >> 62 ? some[(r >> 8) % 20] : r >> (r & 63);
}

static u64 handle(void)
{
	u64 r = random64(), id = handles[r % HANDLES].id;

	if (r >> 32 & 1)
		id = buffers[r % HANDLES].id;
	return r >> 33 & 7 ? id : id ^ 1ULL << (r >> 40 & 63);
}

/* Any of them, and no address of memory but what address() gives. */
static u64 any(void)
{
	u64 r = random64(), v;

	switch (r >> 60) {
	case 0:
	case 1:
		v = length();
		break;
	case 2:
		v = random64();
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		v = handle();
		break;
	case 7:
	case 8:
	case 9:
		return r & 3;
	default:
		return address();
	}
	return v < 4096 || v >> 32 ? v : v | NOT_MAPPED;
}

/* Not what would keep a program busy or asleep for good. */
static u32 message_type(u64 r)
{
	static const u8 orders[] = {
		ORDER_ECHO,	    ORDER_ECHO,	       ORDER_ECHO,
		ORDER_RANDOM,	    ORDER_CLOCK,       ORDER_BUFFER,
		ORDER_BUFFER,	    ORDER_BUFFER,      ORDER_RELAY,
		ORDER_HOLD,	    ORDER_HOLD,	       ORDER_FLOOD,
		ORDER_START,	    ORDER_ECHO,	       0,
		ORDER_READ,	    ORDER_WRITE,       ORDER_EXECUTE,
		ORDER_EXECUTE_HEAP, ORDER_INSTRUCTION, ORDER_SECRET,
		ORDER_STACK,	    ORDER_HEAP,	       ORDER_LOOP,
	};

	/* one in 8 may end it: there are 100 ms before it starts again */
	return orders[r >> 16 & 7 ? r % 15 : r % (23 + loops)];
}

static void registers(u32 number, u64 r)
{
	for (int i = 0; i < 16; i++)
		run->gpr[i] = random64();
	run->gpr[RSP] = 0;
	run->gpr[RAX] = SHOJI_MAGIC | number;
	run->gpr[RBX] = any();
	run->gpr[RCX] = r & 1 ? length() : address();
	run->gpr[RDX] = r & 2 ? length() : r >> 32 & 3;
	run->gpr[RSI] = address();
	run->gpr[RDI] = length();
	run->gpr[9] = r & 12 ? 0 : any();
	if (number >= SHOJI_STATUS && number <= SHOJI_LOG && r >> 40 & 1)
		run->gpr[RBX] = address();
	if (number == SHOJI_REGISTER && r >> 40 & 3) {
		run->gpr[RBX] = address();
		run->gpr[RCX] = r >> 44 & 0x3ffff;
		run->gpr[RDX] = r >> 62;
	}
	if ((number == SHOJI_WAIT || number == SHOJI_SEND) && r >> 52 & 3) {
		run->gpr[RSI] = WINDOW + (r >> 44 & 0xfff);
		run->gpr[RDI] = r >> 54 & 7 ? 65536 : r >> 57;
	}
	if (number != SHOJI_SEND)
		return;
	run->gpr[8] = message_type(r >> 20);
	if (r >> 40 & 3) {
		run->gpr[RBX] = r >> 42 & 1;
		run->gpr[RCX] = WINDOW + (r >> 44 & 0xfff);
		run->gpr[RDX] &= 0xffff;
		run->gpr[9] = run->gpr[9] ? buffers[r % HANDLES].id : 0;
	}
}

/* ---- what has to come of it ---- */

static u64 before[16];

static void wrong(const char *what, u32 mode, u32 ring)
{
	if (bad++ < FAULTS_MAX)
		check(false, mode_name(mode, ring),
		      "%s: rax 0x%lx rbx 0x%lx rcx 0x%lx rdx 0x%lx rsi 0x%lx "
		      "rdi 0x%lx: %s rip 0x%lx rax 0x%lx",
		      what, before[RAX], before[RBX], before[RCX], before[RDX],
		      before[RSI], before[RDI], vector_name(run->vector),
		      run->rip, run->gpr[RAX]);
}

/* All registers but those of the set @but. */
static bool kept(u32 but)
{
	for (u32 i = 0; i < 16; i++)
		if (i != RSP && !(but >> i & 1) && run->gpr[i] != before[i])
			return false;
	return true;
}

static bool may_result(u32 number, int64_t rc)
{
	static const u64 errors = 1ULL << SHOJI_EPERM | 1ULL << SHOJI_ENOENT |
				  1ULL << SHOJI_EIO | 1ULL << SHOJI_EAGAIN |
				  1ULL << SHOJI_EFAULT | 1ULL << SHOJI_EBUSY |
				  1ULL << SHOJI_EINVAL | 1ULL << SHOJI_ENOSPC;

	if (rc < 0)
		return rc > -64 && errors >> -rc & 1;
	switch (number) {
	case SHOJI_STATUS:
		return rc == sizeof(struct shoji_status);
	case SHOJI_VOLUME:
		return rc == sizeof(struct shoji_volume);
	case SHOJI_STAT:
		return rc == sizeof(struct shoji_stat);
	case SHOJI_PROGRAM:
		return rc == sizeof(struct shoji_program);
	case SHOJI_LOG:
		return rc <= LOG_ONCE;
	case SHOJI_SEND:
	case SHOJI_WAIT:
		return rc <= REPLY_MAX;
	case SHOJI_REGISTER:
		return rc > 0 && rc <= 0x7fffffff;
	default:
		return !rc;
	}
}

static bool in_hidden(u64 address, u64 length)
{
	return length && address < start + size && address + length > start;
}

/* Has a call that went well read or written hidden memory? */
static bool reached_hidden(u32 number, int64_t rc)
{
	if (number >= SHOJI_STATUS && number <= SHOJI_PROGRAM)
		return in_hidden(before[RBX],
				 before[RCX] < (u64)rc ? before[RCX] : (u64)rc);
	if (number == SHOJI_LOG)
		return in_hidden(before[RBX], (u64)rc);
	if (number != SHOJI_SEND && number != SHOJI_WAIT)
		return false;
	return in_hidden(before[RSI], (u64)rc) ||
	       (number == SHOJI_SEND && in_hidden(before[RCX], before[RDX]));
}

/* The registers that hold results, as hypercall.h says. */
static u32 results(u32 number, int64_t rc)
{
	if (number == SHOJI_QUERY)
		return 1 << RBX | 1 << RCX;
	if (number == SHOJI_LOG && rc >= 0)
		return 1 << RDX;
	if (number != SHOJI_SEND && number != SHOJI_WAIT)
		return 0;
	if (rc == -SHOJI_EAGAIN || rc == -SHOJI_ENOSPC)
		return 1 << RCX | 1 << RDX;
	if (rc == -SHOJI_EBUSY)
		return 1 << RCX;
	return rc >= 0 ? 1 << RDX : 0;
}

static void judge(u32 number, u32 ring)
{
	int64_t rc = (int64_t)run->gpr[RAX];

	if (run->vector != DONE) {
		traps++;
		if ((run->vector != PF && run->vector != GP) ||
		    run->rip != SNIPPET || !kept(0) || number >= SHOJI_NUMBERS)
			wrong("trap", MODE_LONG, ring);
		return;
	}
	if (number >= SHOJI_NUMBERS) {
		unknown++;
		if (rc != -SHOJI_ENOSYS || !kept(1 << RAX))
			wrong("unknown", MODE_LONG, ring);
		return;
	}
	good[number] += rc >= 0;
	if (rc >= 0 && reached_hidden(number, rc))
		wrong("hidden memory", MODE_LONG, ring);
	if (!may_result(number, rc))
		wrong("result", MODE_LONG, ring);
	if (!kept(1 << RAX | results(number, rc)))
		wrong("registers", MODE_LONG, ring);
}

/* ---- the calls ---- */

static u32 one(u32 mode, u32 ring, bool vmmcall)
{
	static const u8 code[2][3] = { { 0x0f, 0x01, 0xc1 },
				       { 0x0f, 0x01, 0xd9 } };

	for (int i = 0; i < 16; i++)
		before[i] = run->gpr[i];
	return run_code(mode, ring, code[vmmcall], 3);
}

static void end(u32 number, u64 id, u32 ring)
{
	for (int i = 0; i < 16; i++)
		run->gpr[i] = 0;
	run->gpr[RAX] = SHOJI_MAGIC | number;
	run->gpr[RBX] = id;
	one(MODE_LONG, ring, call_vmmcall);
}

static void keep(struct made *m, u32 number, u64 id, u32 ring)
{
	end(number, m->id, m->ring);
	m->id = id;
	m->ring = ring;
}

static void remember(u32 number, u32 ring)
{
	static u32 nexth, nextb;
	int64_t rc = (int64_t)run->gpr[RAX];
	u64 id = run->gpr[RDX];

	if (run->vector != DONE)
		return;
	if (number == SHOJI_SEND &&
	    (rc == -SHOJI_EAGAIN || rc == -SHOJI_ENOSPC))
		keep(&handles[nexth++ % HANDLES], SHOJI_CANCEL, id, ring);
	else if (number == SHOJI_REGISTER && rc > 0)
		keep(&buffers[nextb++ % HANDLES], SHOJI_UNREGISTER, (u64)rc,
		     ring);
}

/* Not a call at all: other modes, another magic, the other instruction. */
static void no_call(u64 r)
{
	u32 mode = r >> 8 & 1 ? MODE_LONG : (r >> 9) % MODES;
	u32 ring = mode == MODE_REAL ? 0 : r >> 16 & 1;
	bool vmmcall = call_vmmcall;

	registers(r >> 32 & 15, r);
	if (mode != MODE_LONG)
		;
	else if (r >> 17 & 1)
		vmmcall = !vmmcall;
	else
		run->gpr[RAX] ^= 1ULL << (16 + (r >> 18) % 48);
	other++;
	if (one(mode, ring, vmmcall) != UD ||
	    run->rip != (mode == MODE_REAL ? 0 : SNIPPET))
		wrong("no call", mode, ring);
}

/* A handle or a buffer that is there, by who has made it. */
static u32 use_made(u32 number, u64 i, u32 ring)
{
	const struct made *m = &handles[i];

	if (number == SHOJI_UNREGISTER)
		m = &buffers[i];
	else if (number != SHOJI_WAIT && number != SHOJI_CANCEL)
		return ring;
	if (!m->id)
		return ring;
	run->gpr[RBX] = m->id;
	return m->ring;
}

static void some_call(u64 r)
{
	u32 number = r >> 8 & 3 ? r >> 16 & 15 : SHOJI_SEND, ring = r & 1;

	if (!(r >> 20 & 15))
		number = r >> 24 & 0xffff;
	registers(number, random64());
	if (r >> 40 & 3)
		ring = use_made(number, (r >> 48) % HANDLES, ring);
	one(MODE_LONG, ring, call_vmmcall);
	judge(number, ring);
	remember(number, ring);
}

/* Programs that were stopped start again; then they do what they are told. */
static void echo(u64 to)
{
	u64 request = random64(), reply = 0, tries = TRIES;
	struct shoji_program p = { 0 };
	struct shoji_regs r = { .rbx = (u64)&p, .rcx = sizeof(p), .rdx = to };
	int64_t rc;

	do
		rc = call_send(to, ORDER_ECHO, &request, 8, &reply, 8);
	while (rc < 0 && rc != -SHOJI_EAGAIN && --tries);
	if (rc == 8 && reply == request)
		return;
	pds[0] = 0x87;
	call(SHOJI_PROGRAM, &r);
	check(false, p.name,
	      "no echo: %lu; state %u, %u open, %u waiting, %lu messages, "
	      "%lu us",
	      (u64)-rc, p.state, p.open, p.waiting, p.messages,
	      p.run_ns / 1000);
	check_end();
}

static void settle(void)
{
	for (u32 i = 0; i < HANDLES; i++) {
		end(SHOJI_CANCEL, handles[i].id, handles[i].ring);
		end(SHOJI_UNREGISTER, buffers[i].id, buffers[i].ring);
	}
	echo(0);
	echo(1);
}

static bool all_ones(void)
{
	for (u64 at = start; at < start + size; at += 8)
		if (*(volatile u64 *)at != ~0ULL)
			return false;
	return true;
}

void test_calls(void)
{
	u64 count = option("count", 10000), go = option("go", 0);
	u32 successes = 0;

	call_init();
	loops = !call_vmmcall;
	check(find_hidden(&start, &size), "hidden", " ");
	map();
	say("@@ calls before\n");
	disk_wait_for(go, 1);
	for (u64 i = 0; i < count; i++) {
		u64 r = random64();

		for (u32 k = 0; k < 64; k++)
			((u64 *)WINDOW)[k] = random64() >> (random64() & 63);
		if (r >> 60)
			some_call(r);
		else
			no_call(r);
		if (i % ROUND == ROUND - 1)
			settle();
	}
	for (u32 i = 0; i < SHOJI_NUMBERS; i++)
		successes += good[i] != 0;
	say("@@ calls %u traps, %u unknown, %u none; good:", traps, unknown,
	    other);
	for (u32 i = 0; i < SHOJI_NUMBERS; i++)
		say(" %u", good[i]);
	say("\n");
	check(!bad, "calls", "%u", bad);
	check(successes == SHOJI_NUMBERS, "successes", "%u", successes);
	check(traps && unknown && other, "failures", " ");
	check(all_ones(), "hidden-memory", " ");
	say("@@ calls after\n");
	disk_wait_for(go, 2);
	pds[0] = 0x87;
}

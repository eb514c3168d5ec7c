/* A protected program that does what it is told, however wrong. Freestanding, to
 * have nothing in it that is not here. */
#include "core/program/abi.h"

#include "orders.h"

typedef uint64_t u64;
typedef uint8_t u8;

static const struct program_start *start;
static volatile u64 secret_low = SECRET_LOW, secret_mask = SECRET_MASK;

static int64_t call(u64 number, u64 a, u64 b, u64 c, u64 d)
{
	return program_call5(start->vmmcall, number, a, b, c, d, 0, 0);
}

/* Answers the message of that id, if there is one, and takes the next. */
static int64_t next(u64 to, u64 until, u64 id, u64 length, u64 status)
{
	return program_call5(start->vmmcall, PROGRAM_RECEIVE, to, until, id,
			     length, status, 0);
}

static void say(const char *text)
{
	u64 n = 0;

	while (text[n])
		n++;
	call(PROGRAM_LOG, (u64)text, n, 0, 0);
}

static u64 number_in(const struct program_message *m)
{
	return m->length >= 8 ? *(const u64 *)m->data : 0;
}

static int run(u64 address)
{
	return ((int (*)(void))address)();
}

static int execute_copy(u8 *to)
{
	to[0] = 0xc3;
	return run((u64)to);
}

/* Code cannot be written: it is built from what the linker has left, so an
 * instruction is looked for in a table. */
__asm__(".section .text.table, \"ax\"\n"
	".balign 16\n"
	"table:\n"
	".macro one insn:vararg\n"
	".balign 16\n"
	"\\insn\n"
	"ret\n"
	".endm\n"
	"one in $0x60, %al\n"
	"one out %al, $0x80\n"
	"one hlt\n"
	"one cli\n"
	"one sti\n"
	"one mov %cr0, %rax\n"
	"one mov %cr3, %rax\n"
	"one mov %rax, %cr3\n"
	"one mov %dr7, %rax\n"
	"one rdmsr\n"
	"one wrmsr\n"
	"one lgdt (%rsp)\n"
	"one lidt (%rsp)\n"
	"one ltr %ax\n"
	"one mov %ax, %ds\n"
	"one wbinvd\n"
	"one invlpg (%rsp)\n"
	"one rdpmc\n"
	"one xsetbv\n"
	"one monitor\n"
	"one mwait\n"
	"one syscall\n"
	"one sysenter\n"
	"one int $0x80\n"
	"one int3\n"
	"one ud2\n"
	"one .byte 0xf1\n"
	"one iretq\n"
	"one wrfsbase %rax\n"
	"one swapgs\n"
	"one vmxoff\n"
	"one vmrun\n"
	"one clgi\n"
	"one insb\n"
	".balign 16\n"
	"pushfq\n"
	"orl $0x100, (%rsp)\n"
	"popfq\n"
	"nop\n"
	"ret\n"
	"table_end:\n"
	".text\n");
extern const u8 table[], table_end[];

static int instruction(u64 n)
{
	if (n >= (u64)(table_end - table + 15) / 16)
		return -1;
	return run((u64)table + 16 * n);
}

static u64 undefined(void)
{
	u64 bad = 0;

	for (u64 n = PROGRAM_CALLS; n < 5000; n++)
		bad += call(n, 1, 2, 3, 4) != -PROGRAM_ENOSYS;
	for (u64 n = 63; n >= 16; n--)
		bad += call(1ULL << n, 1, 2, 3, 4) != -PROGRAM_ENOSYS;
	return bad;
}

/* 0, what Shoji uses, what is read-only, what lies over an end. */
static const u64 wild_pointers[] = {
	0,
	1,
	0xfff,
	0x1000,
	0x200000,
	PROGRAM_PIE_BASE,
	PROGRAM_HEAP - 1,
	PROGRAM_MAIL - 1,
	PROGRAM_START + 0xfff,
	PROGRAM_STACK_TOP - 1,
	PROGRAM_STACK_TOP,
	PROGRAM_SPACE,
	PROGRAM_SPACE + 0x1000,
	0x100000000,
	0x7fffffffffff,
	0x800000000000,
	0xffff800000000000,
	0xffffffff80000000,
	0xffffffffffffffff,
};
static const u64 wild_lengths[] = {
	2,
	48,
	0x1001,
	0x10000,
	0x7fffffff,
	0xffffffff,
	0x7fffffffffffffff,
	0xfffffffffffffff0,
	0xffffffffffffffff,
};
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static u64 wild(const struct program_message *m)
{
	u64 good = 0;

	for (u64 i = 0; i < COUNT(wild_pointers); i++)
		for (u64 k = 0; k < COUNT(wild_lengths); k++) {
			u64 p = wild_pointers[i], n = wild_lengths[k];

			good += call(PROGRAM_RANDOM, p, n, 0, 0) >= 0;
			good += next(p, 0, m->id, 0, n) >= 0;
			good += next((u64)m, 0, m->id, n | 0x100000, p) >= 0;
			good += call(PROGRAM_REPLY, m->id, n | 0x100000, 0,
				     0) >= 0;
			good += call(PROGRAM_REPLY, p, n, 0, 0) >= 0;
			good += call(PROGRAM_SEND, p, n, p, n) >= 0;
			good += call(PROGRAM_SEND, n, p, p, n) >= 0;
			good += call(PROGRAM_WAIT, p, p, n, 0) >= 0;
			good += call(PROGRAM_CANCEL, p, n, 0, 0) >= 0;
			good += call(PROGRAM_BUFFER_READ, m->id, n, p, n) >= 0;
			good += call(PROGRAM_BUFFER_WRITE, m->id, p, p, n) >= 0;
			good += call(PROGRAM_FIND, p, n, 0, 0) >= 0;
			good += call(PROGRAM_MAP, p, n, 0, 0) >= 0;
			/* what is readable may be logged: only the rest */
			if (p < PROGRAM_LOW || p >= PROGRAM_SPACE)
				good += call(PROGRAM_LOG, p, n, 0, 0) >= 0;
		}
	return good;
}

static u64 chaos(u64 seed)
{
	static const u64 interesting[] = {
		0,
		1,
		8,
		48,
		4096,
		PROGRAM_HEAP,
		PROGRAM_MAIL,
		PROGRAM_START,
		PROGRAM_STACK_TOP - 4096,
		PROGRAM_SPACE,
		~0ULL,
	};
	u64 arg[4];

	for (u64 i = 0; i < 20000; i++) {
		for (int k = 0; k < 4; k++) {
			seed = seed * 6364136223846793005ULL +
			       1442695040888963407ULL;
			arg[k] = seed >> 62 ? seed >> (seed >> 58)
					    : interesting[(seed >> 40) % 11];
		}
		/* not EXIT, not a wait for ever */
		switch ((seed >> 33) % 16) {
		case PROGRAM_EXIT:
		case PROGRAM_LOG:
		case PROGRAM_SLEEP:
			continue;
		case PROGRAM_RANDOM: /* would hit its own stack */
			arg[0] = PROGRAM_HEAP + (arg[0] & 0xfff);
			break;
		case PROGRAM_RECEIVE:
			arg[0] = PROGRAM_HEAP;
			arg[1] = 0;
			break;
		case PROGRAM_WAIT:
			arg[1] = PROGRAM_HEAP;
			arg[3] = 0;
			break;
		case PROGRAM_BUFFER_READ:
			arg[2] = PROGRAM_HEAP;
			break;
		default:
			break;
		}
		call((seed >> 33) % 16, arg[0], arg[1], arg[2], arg[3]);
	}
	return 0;
}

static int deeper(volatile u8 *above)
{
	volatile u8 here[512];

	here[0] = above[0];
	return deeper(here) + here[0];
}

static u64 fill_heap(u64 size, u64 value)
{
	for (u64 at = start->heap; at < start->heap + size; at += 8)
		*(volatile u64 *)at = value;
	return 0;
}

static volatile u64 kept[512];

/* In every kind of its memory, and in its registers. */
static void keep(u64 value)
{
	volatile u64 stack[512];

	for (int i = 0; i < 512; i++)
		kept[i] = stack[i] = value;
	fill_heap(start->heap_size, value);
	__asm__ volatile(".irp n, 6,7,8,9,10,11,12,13,14,15\n"
			 "movq %0, %%xmm\\n\n"
			 ".endr\n" ::"r"(value)
			 : "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
			   "xmm12", "xmm13", "xmm14", "xmm15");
}

static u64 clock_now(void)
{
	return (u64)call(PROGRAM_CLOCK, 0, 0, 0, 0);
}

static u64 sleep_for(u64 ns)
{
	u64 begin = clock_now();

	call(PROGRAM_SLEEP, begin + ns, 0, 0, 0);
	return clock_now() - begin;
}

/* Fills xmm0-15, lets others run, and looks. */
static u64 vectors(void)
{
	u64 fill = 0x7e57000000000000 + start->id, bad = 0, got[16][2];

	__asm__ volatile("movq %1, %%xmm0; punpcklqdq %%xmm0, %%xmm0\n"
			 ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
			 "movdqa %%xmm0, %%xmm\\n\n"
			 ".endr\n"
			 "1: .rept 64\n"
			 "cpuid\n"
			 ".endr\n"
			 "mov $20000000, %%ecx\n"
			 "2: dec %%ecx; jnz 2b\n"
			 ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
			 "movdqu %%xmm\\n, 16*\\n(%0)\n"
			 ".endr\n"
			 :
			 : "r"(got), "S"(fill)
			 : "rax", "rbx", "rcx", "rdx", "memory", "xmm0", "xmm1",
			   "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
			   "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
			   "xmm14", "xmm15");
	for (int i = 0; i < 16; i++)
		bad += got[i][0] != fill || got[i][1] != fill;
	return bad;
}

static u64 selectors(void)
{
	u64 ds, es, fs, gs;

	__asm__ volatile("mov %%ds, %0\n mov %%es, %1\n"
			 "mov %%fs, %2\n mov %%gs, %3\n"
			 "mov %4, %%ds\n mov %4, %%es\n"
			 "mov %4, %%fs\n mov %4, %%gs\n"
			 : "=&r"(ds), "=&r"(es), "=&r"(fs), "=&r"(gs)
			 : "r"(3));
	return (ds & 0xffff) << 48 | (es & 0xffff) << 32 | (fs & 0xffff) << 16 |
	       (gs & 0xffff);
}

static int64_t buffer(const struct program_message *m)
{
	u64 size = m->buffer_size, n;
	u8 *own = (u8 *)start->heap;
	int64_t rc;

	for (u64 at = 0; at < size; at += n) {
		n = size - at < 32768 ? size - at : 32768;
		rc = call(PROGRAM_BUFFER_READ, m->id, at, (u64)own, n);
		for (u64 i = 0; !rc && i < n; i++)
			own[i]++;
		if (!rc)
			rc = call(PROGRAM_BUFFER_WRITE, m->id, at, (u64)own, n);
		if (rc)
			return rc;
	}
	return (int64_t)size;
}

static int64_t second(void)
{
	return call(PROGRAM_FIND, (u64) "second", 6, 0, 0);
}

static u64 flood(void)
{
	int64_t to = second();
	u64 n = 0;

	while (n < 1000 && call(PROGRAM_SEND, (u64)to, ORDER_HOLD, 0, 0) > 0)
		n++;
	return n;
}

static int64_t relay(const struct program_message *m, int64_t *status)
{
	int64_t id = call(PROGRAM_SEND, (u64)second(), ORDER_ECHO, m->data,
			  m->length);
	u64 result = 0;

	if (id < 0)
		return id;
	id = program_call5(start->vmmcall, PROGRAM_WAIT, (u64)id, m->data,
			   start->slot_size, PROGRAM_FOREVER, 0, &result);
	*status = (int64_t)result;
	return id;
}

static u64 map_region(const struct program_message *m, int64_t *status)
{
	int64_t *reply = (int64_t *)m->data;
	u64 size = 0, end;

	*status = program_call5(start->vmmcall, PROGRAM_MAP, m->data, m->length,
				0, 0, 0, &size);
	if (*status < 0)
		return 0;
	end = (u64)*status + size;
	reply[0] = (int64_t)size;
	reply[1] = call(PROGRAM_RANDOM, end - 8, 8, 0, 0);
	reply[2] = call(PROGRAM_RANDOM, end - 8, 9, 0, 0);
	return 24;
}

static u64 work(u64 turns)
{
	for (volatile u64 i = 0; i < turns; i++)
		;
	return turns;
}

/* The reply's length; the status in *@status. */
static u64 obey(const struct program_message *m, int64_t *status)
{
	u64 n = number_in(m), length = 0;
	int64_t rc;
	u8 here[16];

	switch (m->type) {
	case ORDER_ECHO:
		*status = (int64_t)m->length;
		return m->length;
	case ORDER_READ:
		*status = *(volatile u8 *)n;
		break;
	case ORDER_WRITE:
		*(volatile u8 *)n = 1;
		break;
	case ORDER_EXECUTE:
		*status = run(n);
		break;
	case ORDER_EXECUTE_HEAP:
		*status = execute_copy((u8 *)start->heap);
		break;
	case ORDER_EXECUTE_STACK:
		*status = execute_copy(here);
		break;
	case ORDER_INSTRUCTION:
		*status = instruction(n);
		break;
	case ORDER_UNDEFINED:
		*status = (int64_t)undefined();
		break;
	case ORDER_WILD:
		*status = (int64_t)wild(m);
		break;
	case ORDER_LOOP:
		for (;;)
			__asm__ volatile("");
	case ORDER_STACK:
		here[0] = 0;
		*status = deeper(here);
		break;
	case ORDER_HEAP:
		fill_heap(start->heap_size, 1);
		fill_heap(start->heap_size + 8, 1);
		break;
	case ORDER_SECRET:
		keep(secret_low ^ secret_mask);
		if (n)
			call(PROGRAM_EXIT, 1, 0, 0, 0);
		break;
	case ORDER_RANDOM:
		*status = call(PROGRAM_RANDOM, m->data, 64, 0, 0);
		return 64;
	case ORDER_CLOCK:
		*status = (int64_t)clock_now();
		break;
	case ORDER_SLEEP:
		*status = (int64_t)sleep_for(n);
		break;
	case ORDER_WORK:
		*status = (int64_t)work(n);
		break;
	case ORDER_VECTORS:
		*status = (int64_t)vectors();
		break;
	case ORDER_SELECTORS:
		*status = (int64_t)selectors();
		break;
	case ORDER_BUFFER:
		*status = buffer(m);
		break;
	case ORDER_FLOOD:
		*status = (int64_t)flood();
		break;
	case ORDER_RELAY:
		rc = relay(m, status);
		if (rc < 0)
			*status = rc;
		return rc < 0 ? 0 : (u64)rc;
	case ORDER_EXIT:
		call(PROGRAM_EXIT, n, 0, 0, 0);
		break;
	case ORDER_START:
		__builtin_memcpy((void *)m->data, start, sizeof(*start));
		return sizeof(*start);
	case ORDER_MAP:
		return map_region(m, status);
	case ORDER_CHAOS:
		*status = (int64_t)chaos(n);
		break;
	default:
		*status = -1;
	}
	return length;
}

#define HOLD_NS 300000000

static u64 hold[64];
static u64 held;

void program_main(const struct program_start *s);

void program_main(const struct program_start *s)
{
	struct program_message m = { 0 };
	int64_t status = 0;
	u64 length = 0;

	start = s;
	say("ready");
	for (;;) {
		u64 until = held ? clock_now() + HOLD_NS : PROGRAM_FOREVER;

		if (next((u64)&m, until, m.id, length, (u64)status)) {
			while (held)
				call(PROGRAM_REPLY, hold[--held], 0, 0, 0);
			continue;
		}
		if (m.type == ORDER_HOLD) {
			hold[held++] = m.id;
			m.id = 0;
			continue;
		}
		status = 0;
		length = obey(&m, &status);
	}
}

__asm__(".text\n"
	".globl _start\n"
	"_start:\n"
	"xor %ebp, %ebp\n"
	"call program_main\n"
	"ud2\n");

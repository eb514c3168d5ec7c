/* The hidden memory: read, written and executed in every mode, and by DMA. */
#include "kernel.h"

#define PAGE 4096

/* clang-format off */
#define SNIPPETS(X)                                                        \
	X(read)                                                            \
	X(write)                                                           \
	X(stos)                                                            \
	X(movs)                                                            \
	X(lods)                                                            \
	X(movb)                                                            \
	X(movw)                                                            \
	X(cross) X(and) X(lock_inc) X(lock_add) X(xchg) X(xadd) X(cmpxchg) \
		X(cmpxchg8b) X(btr) X(pushm) X(sgdt)
/* clang-format on */

#define DECLARE(name) extern const u8 name##_16[], name##_32[], name##_64[];
SNIPPETS(DECLARE)

#define INDEX(name) S_##name,
enum {
	SNIPPETS(INDEX) SNIPPET_COUNT
};

#define ENTRY(name) { #name, { name##_16, name##_32, name##_64 } },
static const struct {
	const char *name;
	const u8 *code[3];
} snippets[] = { SNIPPETS(ENTRY) };

static u64 start, size;

static u32 step(u32 mode, u32 ring, u32 which)
{
	unsigned int bits = mode == MODE_REAL ? 0 : mode == MODE_LONG ? 2 : 1;

	run->gpr[RSP] = 0;
	return run_code(mode, ring, snippets[which].code[bits], 64);
}

/* All of it, in steps of @by; the address of what is not ones, or 0. */
static u64 not_ones(u32 mode, u32 ring, u32 by)
{
	run->gpr[RSI] = start;
	run->gpr[RDI] = start + size;
	run->gpr[RBX] = by;
	if (step(mode, ring, S_read) != DONE)
		return ~0ULL;
	return run->gpr[RSI] == start + size ? 0 : run->gpr[RSI];
}

static void all_ones(u32 mode, u32 ring, const char *when)
{
	u64 bad = not_ones(mode, ring, PAGE);

	if (bad)
		check(false, mode_name(mode, ring), "%s: not ones at 0x%lx: %s",
		      when, bad, vector_name(run->vector));
}

static void strings(u32 mode, u32 ring)
{
	static u32 buffer[1024];
	u32 other = 0, vector[3];

	run->gpr[RDI] = start + 0x123;
	run->gpr[RCX] = 0x3000;
	run->gpr[RAX] = 0x12345678;
	vector[0] = step(mode, ring, S_stos);

	memset(buffer, 0, sizeof(buffer));
	run->gpr[RSI] = start + size - sizeof(buffer);
	run->gpr[RDI] = (u64)buffer;
	run->gpr[RCX] = 1024;
	vector[1] = step(mode, ring, S_movs);
	for (u32 i = 0; i < 1024; i++)
		other += buffer[i] != ~0u;

	memset(buffer, 0, sizeof(buffer));
	run->gpr[RSI] = (u64)buffer;
	run->gpr[RDI] = start + PAGE - 16;
	run->gpr[RCX] = 1024;
	vector[2] = step(mode, ring, S_movs);
	if (other || vector[0] != DONE || vector[1] != DONE ||
	    vector[2] != DONE)
		check(false, mode_name(mode, ring),
		      "strings: %s %s %s, %u not ones", vector_name(vector[0]),
		      vector_name(vector[1]), vector_name(vector[2]), other);
}

/* Writes of every kind: lost, or #UD if Shoji does not execute them. */
static void writes(u32 mode, u32 ring)
{
	for (u32 s = S_movb; s < SNIPPET_COUNT; s++) {
		u32 vector;

		for (int r = 0; r < 8; r++)
			run->gpr[r] = 0x33333333;
		run->gpr[RSI] = start + 5 * PAGE;
		vector = step(mode, ring, s);
		if (vector != DONE && vector != UD)
			check(false, mode_name(mode, ring), "%s: %s, 0x%x",
			      snippets[s].name, vector_name(vector),
			      run->error);
		else if (s <= S_xchg && vector != DONE)
			check(false, mode_name(mode, ring),
			      "%s is not executed", snippets[s].name);
	}
	run->gpr[RSI] = start;
	run->gpr[RDI] = start + size;
	run->gpr[RBX] = mode == MODE_LONG ? PAGE : 31 * PAGE;
	run->gpr[RAX] = 0x44444444;
	if (step(mode, ring, S_write) != DONE)
		check(false, mode_name(mode, ring), "writes: %s",
		      vector_name(run->vector));
}

/* FF FF is no instruction. */
static void executes(u32 mode, u32 ring)
{
	for (u64 at = start; at < start + size; at += 61 * PAGE) {
		u32 vector;

		run->gpr[RSP] = 0;
		vector = run_at(mode, ring, at + 16);
		if (vector != UD || run->rip != at + 16)
			check(false, mode_name(mode, ring),
			      "executed 0x%lx: %s at 0x%lx", at,
			      vector_name(vector), run->rip);
	}
}

/* A page directory, table or page-directory-pointer table in it: ones are
 * entries with reserved bits. */
static void tables(void)
{
	const u64 linear = 0x40000000; /* the second GiB: nothing of ours */
	u64 old = pdpt[1];
	u32 a, b, old32;

	pdpt[1] = start + 7;
	run->gpr[RSI] = linear;
	a = step(MODE_LONG, 0, S_lods);
	pdpt[1] = old;
	old = pds[512];
	pds[512] = start + 0x3000 + 7;
	run->gpr[RSI] = linear;
	b = step(MODE_LONG, 1, S_lods);
	pds[512] = old;
	check((a == PF || a == GP) && (b == PF || b == GP), "tables-long",
	      "%s %s", vector_name(a), vector_name(b));

	old = pdpt_pae[1];
	pdpt_pae[1] = start + 1;
	run->gpr[RSI] = linear;
	a = step(MODE_PAE, 0, S_lods);
	pdpt_pae[1] = old;
	check(a == PF || a == GP, "tables-pae", "%s", vector_name(a));

	old32 = pd32[256];
	pd32[256] = (u32)start + 7;
	run->gpr[RSI] = linear;
	a = step(MODE_PG32, 0, S_lods);
	pd32[256] = old32;
	/* ones are a present page at the top */
	say("@@ tables-pg32 %s\n", vector_name(a));
}

void disk_hidden(u64 hidden, u64 len);

void wait_for_key(void)
{
	while (in8(0x64) & 1)
		in8(0x60);
	say("@@ key\n");
	do { /* bit 7: that the key of the time before is let go */
		while (!(in8(0x64) & 1))
			;
	} while (in8(0x60) & 0x80);
}

void test_memory(void)
{
	if (!find_hidden(&start, &size)) {
		say("@@ nothing hidden\n");
		return;
	}
	say("@@ hidden %lu MiB at 0x%lx\n", size >> 20, start);
	if (option("keys", 0))
		wait_for_key();
	for (u32 mode = 0; mode < MODES; mode++)
		for (u32 ring = 0; ring < (mode == MODE_REAL ? 1 : 2); ring++) {
			all_ones(mode, ring, "before");
			writes(mode, ring);
			strings(mode, ring);
			if (mode != MODE_REAL)
				executes(mode, ring);
			all_ones(mode, ring, "after");
			check(true, mode_name(mode, ring), " ");
		}
	tables();
	if (option("disk", 0))
		disk_hidden(start, size);
	if (option("keys", 0))
		wait_for_key();
}

/* No machine survives this one; Shoji's resets. */
void test_cr3(void)
{
	static const u8 code[] = { 0x0f, 0x22, 0xd8 }; /* mov %rax, %cr3 */

	if (!find_hidden(&start, &size))
		return;
	run->gpr[RAX] = start;
	run->gpr[RSP] = 0;
	say("@@ cr3\n");
	run_code(option("mode", MODE_LONG), 0, code, sizeof(code));
	check(false, "cr3", "%s", vector_name(run->vector));
}

/*
 * Call traces: the chain of frames and the names of addresses.
 *
 * units: core/cpu/trace.c core/cpu/symbols.c
 */
#include "core/cpu/symbols.h"
#include "core/cpu/trace.h"
#include "tests/unit/test.h"

#include <string.h>

static u64 stack[16];

static u64 at(unsigned int i)
{
	return (u64)&stack[i];
}

static void fill(void)
{
	memset(stack, 0xee, sizeof(stack));
	stack[2] = at(6);
	stack[3] = 0x1111;
	stack[6] = at(14);
	stack[7] = 0x2222;
	stack[14] = 0;
	stack[15] = 0x3333;
}

TEST(follows_the_chain)
{
	u64 pc[8];

	fill();
	EXPECT_EQ(trace_walk(at(2), at(0), at(16), pc, 8), 3);
	EXPECT_EQ(pc[0], 0x1111);
	EXPECT_EQ(pc[1], 0x2222);
	EXPECT_EQ(pc[2], 0x3333);
	EXPECT_EQ(trace_walk(at(2), at(0), at(16), pc, 2), 2);
	EXPECT_EQ(trace_walk(at(2), at(0), at(16), pc, 0), 0);
}

TEST(stays_on_the_stack)
{
	u64 pc[8];

	fill();
	/* the first frame below, across and above the end */
	EXPECT_EQ(trace_walk(at(2), at(3), at(16), pc, 8), 0);
	EXPECT_EQ(trace_walk(at(15), at(0), at(16), pc, 8), 0);
	EXPECT_EQ(trace_walk(at(16), at(0), at(16), pc, 8), 0);
	EXPECT_EQ(trace_walk(at(2) + 1, at(0), at(16), pc, 8), 0);
	EXPECT_EQ(trace_walk(0, at(0), at(16), pc, 8), 0);
	EXPECT_EQ(trace_walk(~0ULL - 7, at(0), at(16), pc, 8), 0);
	/* the last frame is cut off */
	EXPECT_EQ(trace_walk(at(2), at(0), at(15), pc, 8), 2);
	EXPECT_EQ(trace_walk(at(2), at(0), at(14), pc, 8), 2);
	EXPECT_EQ(trace_walk(at(2), at(0), at(4), pc, 8), 1);
}

TEST(never_goes_down_or_round)
{
	u64 pc[8];

	fill();
	stack[6] = at(2);
	EXPECT_EQ(trace_walk(at(2), at(0), at(16), pc, 8), 2);
	stack[6] = at(6);
	EXPECT_EQ(trace_walk(at(2), at(0), at(16), pc, 8), 2);
	stack[6] = at(7);
	EXPECT_EQ(trace_walk(at(2), at(0), at(16), pc, 8), 2);
	stack[6] = 0x6b6b6b6b6b6b6b6bULL; /* no frame pointer at all */
	EXPECT_EQ(trace_walk(at(2), at(0), at(16), pc, 8), 2);
	stack[7] = 0; /* where a stack begins */
	EXPECT_EQ(trace_walk(at(2), at(0), at(16), pc, 8), 1);
}

static const u32 offsets[] = { 0x10, 0x20, 0x28, 0x100 };
static const struct symbols table = {
	.base = 0xffffffff80200000,
	.count = 3,
	.offset = offsets,
	.names = "first\0b\0the_third",
};

static const char *find(u64 offset, u64 *in)
{
	const char *name;

	*in = 0;
	name = symbols_find(&table, table.base + offset, in);
	return name ? name : "";
}

TEST(finds_names)
{
	u64 in;

	EXPECT(!strcmp(find(0x10, &in), "first"));
	EXPECT_EQ(in, 0);
	EXPECT(!strcmp(find(0x1f, &in), "first"));
	EXPECT_EQ(in, 0xf);
	EXPECT(!strcmp(find(0x20, &in), "b"));
	EXPECT(!strcmp(find(0x28, &in), "the_third"));
	EXPECT(!strcmp(find(0xff, &in), "the_third"));
	EXPECT_EQ(in, 0xd7);
}

TEST(finds_nothing_outside)
{
	static const u32 zero = 0;
	const struct symbols empty = { .base = 0,
				       .offset = &zero,
				       .names = "" };
	u64 in;

	EXPECT(!strcmp(find(0xf, &in), ""));
	EXPECT(!strcmp(find(0x100, &in), ""));
	EXPECT(!strcmp(find(0x110000010, &in), ""));
	EXPECT(!strcmp(find(-1ULL, &in), ""));
	EXPECT(!symbols_find(&table, 0, &in));
	EXPECT(!symbols_find(&empty, 0, &in));
}

TEST_MAIN(CASE(follows_the_chain), CASE(stays_on_the_stack),
	  CASE(never_goes_down_or_round), CASE(finds_names),
	  CASE(finds_nothing_outside))

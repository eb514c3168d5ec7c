/*
 * Memory types by the MTRRs.
 * units: core/virt/mtrr.c
 */
#include "core/virt/mtrr.h"
#include "tests/unit/test.h"

#define MIB   (1ULL << 20)
#define GIB   (1ULL << 30)
#define BITS_ 36
#define VALID 0x800

static struct mtrr make(void)
{
	return (struct mtrr){ .enabled = true,
			      .fixed_enabled = true,
			      .default_type = MEM_WB,
			      .vars = 8 };
}

static void var(struct mtrr *m, unsigned int n, u64 base, u64 size, u8 type)
{
	m->var[n].base = base | type;
	m->var[n].mask = ((1ULL << BITS_) - size) | VALID;
}

static void expect(const struct mtrr *m, u64 pa, enum mem_type type, u64 end)
{
	u64 got = 0;

	EXPECT_EQ(mtrr_type(m, BITS_, pa, &got), type);
	EXPECT_EQ(got, end);
}

TEST(off)
{
	struct mtrr m = make();

	m.enabled = false;
	expect(&m, 0, MEM_UC, 64 * GIB);
	m = make();
	expect(&m, MIB, MEM_WB, 64 * GIB);
	m.default_type = MEM_UC;
	expect(&m, 5 * GIB, MEM_UC, 64 * GIB);
}

/* SDM vol. 3, table 11-9. */
TEST(fixed)
{
	struct mtrr m = make();

	m.fixed[0] = 0x0600000000000006;  /* 00000h and 70000h */
	m.fixed[1] = 0x0500000000000004;  /* 80000h and 9C000h */
	m.fixed[2] = 0x0000000000000001;  /* A0000h */
	m.fixed[3] = 0x0000000000000005;  /* C0000h */
	m.fixed[10] = 0x0600000000000000; /* FF000h */
	expect(&m, 0, MEM_WB, 0x10000);
	expect(&m, 0x1f000, MEM_UC, 0x20000);
	expect(&m, 0x70000, MEM_WB, 0x80000);
	expect(&m, 0x80000, MEM_WT, 0x84000);
	expect(&m, 0x9f000, MEM_WP, 0xa0000);
	expect(&m, 0xa0000, MEM_WC, 0xa4000);
	expect(&m, 0xc0000, MEM_WP, 0xc1000);
	expect(&m, 0xff000, MEM_WB, 0x100000);
	m.fixed_enabled = false;
	expect(&m, 0x1f000, MEM_WB, 64 * GIB);
}

TEST(variable)
{
	struct mtrr m = make();

	m.default_type = MEM_UC;
	var(&m, 0, 0, 2 * GIB, MEM_WB);
	var(&m, 3, 3 * GIB, 256 * MIB, MEM_WC);
	expect(&m, MIB, MEM_WB, 2 * GIB);
	expect(&m, 2 * GIB, MEM_UC, 3 * GIB);
	expect(&m, 3 * GIB + 4096, MEM_WC, 3 * GIB + 256 * MIB);
	expect(&m, 4 * GIB, MEM_UC, 64 * GIB);
	m.var[3].mask &= ~(u64)VALID;
	expect(&m, 3 * GIB, MEM_UC, 64 * GIB);
}

/* SDM vol. 3, 11.11.4.1. */
TEST(overlap)
{
	struct mtrr m = make();

	m.default_type = MEM_UC;
	var(&m, 0, 0, 4 * GIB, MEM_WB);
	var(&m, 1, 3 * GIB, GIB, MEM_UC);
	var(&m, 2, GIB, GIB, MEM_WT);
	expect(&m, MIB, MEM_WB, GIB);
	expect(&m, GIB, MEM_WT, 2 * GIB);
	expect(&m, 2 * GIB, MEM_WB, 3 * GIB);
	expect(&m, 3 * GIB, MEM_UC, 4 * GIB);
	var(&m, 3, GIB, 4096, MEM_WC); /* not defined: uncached */
	expect(&m, GIB, MEM_UC, GIB + 4096);
}

/* A mask with gaps is not followed; bits past the CPU's width do not count. */
TEST(masks)
{
	struct mtrr m = make();

	m.var[0].base = MEM_UC;
	m.var[0].mask = 0x5000 | VALID;
	expect(&m, MIB, MEM_WB, 64 * GIB);
	m.var[0].mask = VALID;
	expect(&m, MIB, MEM_WB, 64 * GIB);
	m.var[0].base = 1ULL << 40 | 4 * GIB | MEM_UC;
	m.var[0].mask = ~0ULL << 30 | VALID;
	expect(&m, 4 * GIB, MEM_UC, 5 * GIB);
}

/* Firmware for CPUs of 36 bits, on one of 46. */
TEST(short_masks)
{
	struct mtrr m = make();
	u64 end;

	m.default_type = MEM_UC;
	var(&m, 0, 0, 2 * GIB, MEM_WB);
	EXPECT_EQ(mtrr_type(&m, 46, MIB, &end), MEM_WB);
	EXPECT_EQ(end, 2 * GIB);
	EXPECT_EQ(mtrr_type(&m, 46, 2 * GIB, &end), MEM_UC);
	m.var[0].mask = 0x7f80000000 | VALID; /* of 39 bits */
	EXPECT_EQ(mtrr_type(&m, 46, MIB, &end), MEM_WB);
	m.var[0].mask = 0x780000000 | VALID; /* bit 35 is missing, too */
	EXPECT_EQ(mtrr_type(&m, 46, MIB, &end), MEM_UC);
	m.var[0].mask = 0x3f0000000000 | VALID; /* of 1 TiB, complete */
	EXPECT_EQ(mtrr_type(&m, 46, MIB, &end), MEM_WB);
	EXPECT_EQ(end, 1024 * GIB);
}

/* From piece to piece it always gets on, and to the end. */
TEST(ends)
{
	struct mtrr m = make();
	unsigned int pieces = 0;

	for (unsigned int i = 0; i < 8; i++)
		var(&m, i, (u64)i << 32 | i << 20, 4096ULL << i, i % 2 ? 0 : 4);
	for (u64 pa = 0, end; pa < 64 * GIB; pa = end) {
		mtrr_type(&m, BITS_, pa, &end);
		EXPECT(end > pa && end % 4096 == 0);
		if (end <= pa)
			break;
		pieces++;
	}
	EXPECT(pieces < 150);
}

/* Any page of the range by any register, also one with gaps in its mask. */
TEST(write_combining)
{
	struct mtrr m = make();
	u64 at = GIB, len = 4 * MIB;

	EXPECT(!mtrr_combines(&m, BITS_, at, len));
	m.default_type = MEM_WC;
	EXPECT(mtrr_combines(&m, BITS_, at, len));
	var(&m, 1, GIB, GIB, MEM_WB);
	EXPECT(!mtrr_combines(&m, BITS_, at, len));
	EXPECT(mtrr_combines(&m, BITS_, at - 4096, len));
	EXPECT(mtrr_combines(&m, BITS_, 2 * GIB - 4096, len));
	var(&m, 7, GIB + len, 4096, MEM_WC);
	EXPECT(!mtrr_combines(&m, BITS_, at, len));
	EXPECT(mtrr_combines(&m, BITS_, at, len + 4096));
	var(&m, 7, GIB + len - 4096, 4096, MEM_WC);
	EXPECT(mtrr_combines(&m, BITS_, at, len));
	m.enabled = false;
	EXPECT(!mtrr_combines(&m, BITS_, at, len));
	m.enabled = true;
	m.var[7].mask &= ~(u64)VALID;
	EXPECT(!mtrr_combines(&m, BITS_, at, len));
	m.var[7].base = 1ULL << 40 | MEM_WC; /* every second page */
	m.var[7].mask = 1ULL << 40 | 4096 | VALID;
	EXPECT(mtrr_combines(&m, BITS_, at, len));
	EXPECT(!mtrr_combines(&m, BITS_, at + 4096, 4096));
	m.vars = 7;
	EXPECT(!mtrr_combines(&m, BITS_, at, len));
}

TEST_MAIN(CASE(off), CASE(fixed), CASE(variable), CASE(overlap), CASE(masks),
	  CASE(short_masks), CASE(ends), CASE(write_combining))

/*
 * Which extended state is saved around crypto.
 *
 * units: core/cpu/fpu.c
 */
#include "core/cpu/cpu.h"
#include "core/cpu/fpu.h"
#include "core/mm/pool.h"
#include "tests/unit/test.h"

/* What fpu_init and fpu_begin would ask; they need ring 0 and do not run. */
struct cpu *cpu_self(void)
{
	return NULL;
}

void *pool_alloc(size_t pages)
{
	return NULL;
}

TEST(mask)
{
	EXPECT_EQ(fpu_xcr0_mask(0x3), 0x3);
	EXPECT_EQ(fpu_xcr0_mask(0x7), 0x7);
	EXPECT_EQ(fpu_xcr0_mask(0xe7), 0xe7);
	/* MPX, PKRU, AMX are the guest's alone */
	EXPECT_EQ(fpu_xcr0_mask(0x602ff), 0xe7);
	EXPECT_EQ(fpu_xcr0_mask(0x21f), 0x7);
	/* AVX-512 needs all of its parts, and AVX */
	EXPECT_EQ(fpu_xcr0_mask(0x67), 0x7);
	EXPECT_EQ(fpu_xcr0_mask(0xa7), 0x7);
	EXPECT_EQ(fpu_xcr0_mask(0xe3), 0x3);
}

TEST_MAIN(CASE(mask))

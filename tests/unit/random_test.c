/*
 * Where random bytes come from, and when there are none.
 *
 * units: core/program/random.c
 * libs: -include tests/unit/fake_random.h
 */
#include "core/program/random.h"

#include <string.h>

#include "core/lib/string.h"
#include "tests/unit/test.h"

/* A generator of the CPU's: whether it is there, what it says, and its next
 * number, which grows by @step. */
struct generator {
	bool there, good;
	u64 next, step;
};

static struct generator seed, rand_;

static bool give(struct generator *g, u64 *v)
{
	*v = g->good ? g->next : 0;
	g->next += g->step;
	return g->good;
}

bool rdseed64(u64 *v)
{
	return give(&seed, v);
}

bool rdrand64(u64 *v)
{
	return give(&rand_, v);
}

struct cpuid cpuid(u32 leaf)
{
	if (leaf == 0)
		return (struct cpuid){ .eax = 7 };
	return leaf == 1 ? (struct cpuid){ .ecx = (u32)rand_.there << 30 }
			 : (struct cpuid){ .ebx = (u32)seed.there << 18 };
}

u64 rdtsc(void)
{
	return 0x1234;
}

void wipe(void *p, size_t n)
{
	memset(p, 0, n);
}

static bool seeded(struct generator from_seed, struct generator from_rand)
{
	struct random r = { 0 };

	seed = from_seed;
	rand_ = from_rand;
	random_seed(&r);
	return r.seeded;
}

static const struct generator good = { true, true, 5, 7 };
static const struct generator none = { 0 };
static const struct generator dry = { true, false, 5, 7 };
static const struct generator ones = { true, true, ~0ULL, 0 };
static const struct generator zeros = { true, true, 0, 0 };

TEST(one_of_two)
{
	EXPECT(seeded(good, none) && seeded(none, good));
	EXPECT(seeded(dry, good) && seeded(good, dry));
	EXPECT(!seeded(none, none) && !seeded(dry, none) && !seeded(dry, dry));
}

/* As some CPUs do after sleep, or with old microcode. */
TEST(ones_and_zeros_are_no_good)
{
	EXPECT(!seeded(none, ones) && !seeded(ones, none));
	EXPECT(!seeded(none, zeros) && !seeded(ones, zeros));
	EXPECT(seeded(ones, good));
}

TEST(once_seeded)
{
	struct random r = { 0 };
	u64 a, b;

	seed = none;
	rand_ = good;
	random_seed(&r);
	rand_ = dry;
	random_bytes(&r, &a, 8);
	random_seed(&r);
	random_bytes(&r, &b, 8);
	EXPECT(r.seeded && a != b);
}

TEST_MAIN(CASE(one_of_two), CASE(ones_and_zeros_are_no_good), CASE(once_seeded))

/*
 * MMIO hooks: traps of pages, verdicts, moves.
 * units: core/io/mmio.c
 */
#include <pthread.h>
#include <string.h>

#include "core/io/mmio.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/mm/gmem.h"
#include "tests/unit/test.h"

/* RAM at 0 to 4000h, hidden from 4000h to 6000h, a device from FE000000h. */
static u8 ram[0x4000];
static u8 device[0x8000];
static enum mmio_trap traps[0x100]; /* of 100h pages from FE000000h */
static unsigned int trap_calls;
static int trap_error;

void *gmem_ptr(gpa_t gpa, u64 len)
{
	return range_ok(gpa, len, sizeof(ram)) ? ram + gpa : NULL;
}

bool gmem_hidden(gpa_t gpa, u64 len)
{
	return range_overlap(gpa, len, 0x4000, 0x2000);
}

u64 hw_mmio_read(hpa_t pa, u8 size)
{
	u64 v = 0;

	memcpy(&v, device + (pa - 0xfe000000), size);
	return v;
}

void hw_mmio_write(hpa_t pa, u8 size, u64 value)
{
	memcpy(device + (pa - 0xfe000000), &value, size);
}

static int set_trap(gpa_t start, u64 len, enum mmio_trap trap)
{
	EXPECT_EQ(start % 4096, 0);
	EXPECT_EQ(len % 4096, 0);
	EXPECT(len > 0);
	trap_calls++;
	if (trap_error)
		return trap_error;
	if (start < 0xfe000000)
		return 0;
	for (u64 i = 0; i < len / 4096; i++)
		traps[(start - 0xfe000000) / 4096 + i] = trap;
	return 0;
}

struct probe {
	enum verdict verdict;
	unsigned int calls;
	struct mmio_io last;
};

static enum verdict probe_fn(void *ctx, struct mmio_io *io)
{
	struct probe *p = ctx;

	p->calls++;
	p->last = *io;
	if (p->verdict == DONE && !io->write)
		io->value = 0x1122334455667788;
	return p->verdict;
}

static u64 read_at(gpa_t gpa, u8 size)
{
	struct mmio_io io = { gpa, size, false, 0xdddddddddddddddd };

	EXPECT_EQ(mmio_access(&io), 0);
	return io.value;
}

static void write_at(gpa_t gpa, u8 size, u64 value)
{
	struct mmio_io io = { gpa, size, true, value };

	EXPECT_EQ(mmio_access(&io), 0);
}

TEST(without_hooks)
{
	struct mmio_io io = { 0x4000, 4, false, 0 };

	mmio_set_trap_fn(set_trap);
	ram[0x3ffc] = 0x42;
	EXPECT_EQ(read_at(0x3ffc, 4), 0x42);
	write_at(0x10, 2, 0xabcdef);
	EXPECT(ram[0x10] == 0xef && ram[0x11] == 0xcd && !ram[0x12]);
	EXPECT_EQ(mmio_access(&io), -EFAULT);
	io.gpa = 0x3ffe;
	EXPECT_EQ(mmio_access(&io), -EFAULT);
	write_at(0xfe000008, 8, 0x0102030405060708);
	EXPECT_EQ(read_at(0xfe000008, 8), 0x0102030405060708);
	EXPECT_EQ(read_at(0xfe000009, 1), 7);
}

TEST(verdicts)
{
	static struct probe p = { .verdict = DONE };
	static struct mmio_hook h = { 0xfe001010, 0x10, false,
				      probe_fn,	  &p,	NULL };

	EXPECT_EQ(mmio_hook_add(&h), 0);
	EXPECT_EQ(traps[1], MMIO_TRAP_ALL);
	EXPECT_EQ(traps[0], MMIO_TRAP_NONE);
	EXPECT_EQ(traps[2], MMIO_TRAP_NONE);
	EXPECT(mmio_hooked(0xfe001fff) && !mmio_hooked(0xfe002000));
	EXPECT_EQ(read_at(0xfe001010, 8), 0x1122334455667788);
	p.verdict = DENY;
	EXPECT_EQ(read_at(0xfe001018, 4), 0xffffffff);
	EXPECT_EQ(read_at(0xfe001018, 8), 0xffffffffffffffff);
	write_at(0xfe001010, 4, 0x55);
	EXPECT_EQ(device[0x1010], 0);
	p.verdict = PASS;
	write_at(0xfe001010, 4, 0x55);
	EXPECT_EQ(device[0x1010], 0x55);
	EXPECT_EQ(p.calls, 5);
	write_at(0xfe001000, 4, 0x66); /* beside the hook, in its page */
	EXPECT_EQ(p.calls, 5);
	EXPECT_EQ(device[0x1000], 0x66);
	EXPECT_EQ(mmio_hook_move(&h, 0, 0), 0);
	EXPECT_EQ(traps[1], MMIO_TRAP_NONE);
	EXPECT(!mmio_hooked(0xfe001010));
}

TEST(split_at_a_border)
{
	static struct probe p = { .verdict = DENY };
	static struct mmio_hook h = {
		0xfe003002, 4, false, probe_fn, &p, NULL
	};

	EXPECT_EQ(mmio_hook_add(&h), 0);
	memcpy(device + 0x3000, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
	EXPECT_EQ(read_at(0xfe003000, 8), 0x0807ffffffff0201);
	EXPECT_EQ(p.calls, 4);
	EXPECT_EQ(p.last.size, 1);
	write_at(0xfe003004, 4, 0xaabbccdd);
	EXPECT_EQ(p.last.value, 0xcc);
	EXPECT(!memcmp(device + 0x3004, "\x05\x06\xbb\xaa", 4));
	p.verdict = DONE; /* with more than was asked for */
	EXPECT_EQ(read_at(0xfe003000, 4), 0x88880201);
	EXPECT_EQ(mmio_hook_move(&h, 0, 0), 0);
}

TEST(split_beside_hidden_memory)
{
	static struct probe p = { .verdict = DENY };
	static struct mmio_hook h = { 0x6000, 4, false, probe_fn, &p, NULL };
	struct mmio_io io = { 0x5ffe, 4, false, 0x77 };

	EXPECT_EQ(mmio_hook_add(&h), 0);
	EXPECT_EQ(mmio_access(&io), -EFAULT);
	EXPECT_EQ(io.value, 0x77);
	io.write = true;
	EXPECT_EQ(mmio_access(&io), -EFAULT);
	EXPECT_EQ(p.calls, 0);
	EXPECT_EQ(mmio_hook_move(&h, 0, 0), 0);
}

TEST(writes_only)
{
	static struct probe p = { .verdict = DENY };
	static struct mmio_hook w = { 0xfe004000, 0x1000, true,
				      probe_fn,	  &p,	  NULL };
	static struct mmio_hook all = {
		0xfe004ffc, 8, false, probe_fn, &p, NULL
	};
	static struct mmio_hook w2 = { 0xfe004000, 0x1000, true,
				       probe_fn,   &p,	   NULL };

	EXPECT_EQ(mmio_hook_add(&w), 0);
	EXPECT_EQ(traps[4], MMIO_TRAP_WRITES);
	device[0x4300] = 9;
	EXPECT_EQ(read_at(0xfe004300, 4), 9);
	write_at(0xfe004300, 4, 1);
	EXPECT_EQ(device[0x4300], 9);
	EXPECT_EQ(p.calls, 1);

	EXPECT_EQ(mmio_hook_add(&all), 0);
	EXPECT_EQ(traps[4], MMIO_TRAP_ALL);
	EXPECT_EQ(traps[5], MMIO_TRAP_ALL);
	EXPECT_EQ(mmio_hook_move(&w, 0, 0), 0);
	EXPECT_EQ(mmio_hook_add(&w2), 0); /* the other order */
	EXPECT_EQ(traps[4], MMIO_TRAP_ALL);
	EXPECT_EQ(mmio_hook_move(&all, 0, 0), 0);
	EXPECT_EQ(traps[4], MMIO_TRAP_WRITES);
	EXPECT_EQ(traps[5], MMIO_TRAP_NONE);
	EXPECT_EQ(mmio_hook_move(&w2, 0, 0), 0);
	EXPECT_EQ(traps[4], MMIO_TRAP_NONE);
}

TEST(moves)
{
	static struct probe a = { .verdict = DENY };
	static struct probe b = { .verdict = DENY };
	static struct mmio_hook ha = { 0xfe010000, 0x20000, false,
				       probe_fn,   &a,	    NULL };
	static struct mmio_hook hb = { 0xfe018000, 0x2000, true,
				       probe_fn,   &b,	   NULL };
	static struct mmio_hook hc = { 0xfe050000, 0x1000, false,
				       probe_fn,   &b,	   NULL };

	trap_calls = 0;
	EXPECT_EQ(mmio_hook_add(&ha), 0);
	EXPECT_EQ(trap_calls, 1); /* 32 pages in one call */
	EXPECT_EQ(mmio_hook_add(&hb), 0);
	write_at(0xfe019000, 1, 0);
	EXPECT(a.calls == 0 && b.calls == 1);
	trap_calls = 0;
	EXPECT_EQ(mmio_hook_move(&ha, 0xfe020000, 0x20000), 0);
	EXPECT_EQ(traps[0x10], MMIO_TRAP_NONE);
	EXPECT_EQ(traps[0x18], MMIO_TRAP_WRITES);
	EXPECT_EQ(traps[0x19], MMIO_TRAP_WRITES);
	EXPECT_EQ(traps[0x1a], MMIO_TRAP_NONE);
	EXPECT_EQ(traps[0x20], MMIO_TRAP_ALL);
	EXPECT_EQ(traps[0x3f], MMIO_TRAP_ALL);
	EXPECT_EQ(traps[0x40], MMIO_TRAP_NONE);

	trap_error = -ENOMEM;
	EXPECT_EQ(mmio_hook_add(&hc), -ENOMEM);
	EXPECT(!mmio_hooked(0xfe050000));
	EXPECT_EQ(mmio_hook_move(&ha, 0xfe050000, 0x1000), -ENOMEM);
	trap_error = 0;
	EXPECT_EQ(ha.start, 0xfe020000);
	EXPECT_EQ(ha.size, 0x20000);
	EXPECT(mmio_hooked(0xfe020000) && !mmio_hooked(0xfe050000));
}

#define MOVES 100000

static unsigned int looks;

static void *move_it(void *ctx)
{
	for (int i = 0;
	     i < MOVES || __atomic_load_n(&looks, __ATOMIC_RELAXED) < MOVES;
	     i++) {
		EXPECT_EQ(mmio_hook_move(ctx, 0xfe080000, 0x8000), 0);
		EXPECT_EQ(mmio_hook_move(ctx, 0xfe090000, 0x1000), 0);
	}
	__atomic_store_n((bool *)((struct mmio_hook *)ctx)->ctx, true,
			 __ATOMIC_RELEASE);
	return NULL;
}

/* Nobody finds it at the one place with the size of the other. */
TEST(moves_meanwhile)
{
	static bool over;
	static struct mmio_hook h = { 0xfe090000, 0x1000, false,
				      probe_fn,	  &over,  NULL };
	unsigned long found = 0;
	pthread_t other;

	EXPECT_EQ(mmio_hook_add(&h), 0);
	EXPECT_EQ(pthread_create(&other, NULL, move_it, &h), 0);
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		found += mmio_hooked(0xfe094000);
		__atomic_add_fetch(&looks, 1, __ATOMIC_RELAXED);
	}
	EXPECT_EQ(pthread_join(other, NULL), 0);
	EXPECT_EQ(found, 0);
	EXPECT(mmio_hooked(0xfe090000) && !mmio_hooked(0xfe080000));
}

TEST(places)
{
	/* hidden, RAM, hooked by the test before, and free */
	EXPECT(!mmio_place_free(0x5000, 0x1000));
	EXPECT(!mmio_place_free(0x3000, 0x1000));
	EXPECT(!mmio_place_free(0x3800, 0x10000));
	EXPECT(!mmio_place_free(0xfe01f800, 0x1000));
	EXPECT(!mmio_place_free(0xfe01f001, 0x1000));
	EXPECT(mmio_place_free(0xfe01f000, 0x1000));
	EXPECT(mmio_place_free(0x5000, 0));
	EXPECT(mmio_place_free(0xfe060000, 0x8000));
}

TEST_MAIN(CASE(without_hooks), CASE(verdicts), CASE(split_at_a_border),
	  CASE(split_beside_hidden_memory), CASE(writes_only), CASE(moves),
	  CASE(moves_meanwhile), CASE(places))

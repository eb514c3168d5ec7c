/*
 * The nested table's policy, and faults on it.
 * units: tests/unit/fake_guest.c core/virt/nested.c core/virt/mtrr.c core/mm/table.c core/virt/run.c core/virt/insn.c core/mm/walk.c core/emul/decode.c core/emul/exec.c core/emul/flow.c core/emul/string.c
 * libs: -include tests/unit/fake_guest.h
 */
#include <string.h>

#include "core/arch/regs.h"
#include "core/lib/lock.h"
#include "core/mm/pool.h"
#include "core/virt/mtrr.h"
#include "tests/unit/test.h"

#define PAGES	   64
#define TABLE_BASE 0x7000000

static u8 memory[PAGES][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u32 used;

void *pool_alloc(size_t pages)
{
	if (pages != 1 || used == PAGES)
		return NULL;
	return memset(memory[used++], 0, PAGE_SIZE);
}

hpa_t virt_to_phys(const void *p)
{
	return TABLE_BASE + (hpa_t)((const u8 *)p - memory[0]);
}

void *phys_to_virt(hpa_t pa)
{
	return memory[0] + (pa - TABLE_BASE);
}

const struct hidden *pool_hidden(void)
{
	static const struct hidden hidden = { FAKE_HIDDEN, PAGE_SIZE };

	return &hidden;
}

void mtrr_read(struct mtrr *m)
{
	*m = (struct mtrr){ 0 };
}

void mmio_set_trap_fn(int (*fn)(gpa_t start, u64 len, enum mmio_trap trap))
{
}

void guest_kick(struct vcpu *target)
{
}

static const struct table_format *format(void)
{
	static const struct table_format npt = { 7, 1, 0x80, 2 };

	return &npt;
}

static u64 attr(unsigned int access, enum mem_type type)
{
	return access & NESTED_R ? 1 | (access & NESTED_W) : 0;
}

static struct virt_ops ops;

/* A CPU of 48 address bits, with @encryption and RAM up to 4 MiB. */
static struct vcpu *start(u32 sme, u32 bits, u32 tme, u64 msr)
{
	struct vcpu *v = fake_start();

	ops = *fake.guest.ops;
	ops.nested_format = format;
	ops.nested_attr = attr;
	fake.guest.ops = &ops;
	fake.guest.nested_top = 0x400000;
	fake.id[1].eax = 48;
	fake.encryption = (struct cpuid){ .eax = sme, .ebx = bits };
	fake.structured.ecx = tme;
	fake.encryption_msr = msr;
	used = 0;
	EXPECT_EQ(nested_init(&fake.guest), 0);
	return v;
}

static u64 entry(gpa_t gpa)
{
	unsigned int level;

	return table_lookup(&fake.guest.nested, gpa, &level);
}

/* True if a read there maps it. */
static bool maps(struct vcpu *v, gpa_t gpa)
{
	struct vmexit exit = { .kind = VMEXIT_NESTED_FAULT };

	exit.fault.gpa = gpa;
	exit.fault.read = true;
	guest_nested_fault(v, &exit);
	return entry(gpa);
}

TEST(hidden_region)
{
	start(0, 0, 0, 0);
	EXPECT_EQ(entry(FAKE_HIDDEN - PAGE_SIZE) & ~0xfffULL,
		  FAKE_HIDDEN - PAGE_SIZE);
	EXPECT_EQ(entry(FAKE_HIDDEN - PAGE_SIZE) & 3, 3);
	EXPECT_EQ(entry(FAKE_HIDDEN), fake.guest.hole_page | 1);
	EXPECT_EQ(entry(FAKE_HIDDEN + PAGE_SIZE) & 3, 3);
}

TEST(maps_devices_late)
{
	struct vcpu *v = start(0, 0, 0, 0);

	EXPECT(!entry(0xf0000000));
	EXPECT(maps(v, 0xf0000000));
	EXPECT(maps(v, 1ULL << 47));
	EXPECT_EQ(fake.guest.maxphyaddr, 48);
}

/* Address bits that choose a key would give all memory a second address: APM
 * vol. 2, 7.10; the Intel architecture for memory encryption, 4. */
TEST(no_second_addresses)
{
	const gpa_t hidden = FAKE_HIDDEN;
	struct vcpu *v = start(1, 5 << 6 | 47, 0, 1 << 23);

	EXPECT_EQ(fake.guest.maxphyaddr, 43);
	EXPECT(!maps(v, 1ULL << 47 | hidden));
	EXPECT(!maps(v, 1ULL << 43 | hidden));
	EXPECT(maps(v, 1ULL << 42));
	v = start(1, 5 << 6 | 47, 0, 0); /* firmware has left it off */
	EXPECT_EQ(fake.guest.maxphyaddr, 48);

	v = start(0, 0, 1 << 13, 0x600000003);
	EXPECT_EQ(fake.guest.maxphyaddr, 42);
	EXPECT(!maps(v, 1ULL << 42 | hidden));
	v = start(0, 0, 1 << 13, 0x600000001);
	EXPECT_EQ(fake.guest.maxphyaddr, 48);
}

TEST_MAIN(CASE(hidden_region), CASE(maps_devices_late),
	  CASE(no_second_addresses))

/*
 * The nested table's policy, and faults on it.
 * units: tests/unit/fake_guest.c core/virt/nested.c core/virt/mtrr.c core/mm/table.c core/virt/run.c core/virt/insn.c core/mm/walk.c core/emul/decode.c core/emul/exec.c core/emul/flow.c core/emul/string.c
 * libs: -include tests/unit/fake_guest.h
 */
#include <string.h>

#include "core/arch/msr.h"
#include "core/arch/regs.h"
#include "core/lib/errors.h"
#include "core/lib/lock.h"
#include "core/mm/pool.h"
#include "core/virt/mtrr.h"
#include "tests/unit/test.h"

#define PAGES	    64
#define TABLE_BASE  0x7000000

#define HIDDEN_SIZE 0x3000 /* from FAKE_HIDDEN */

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
	static const struct hidden hidden = { FAKE_HIDDEN, HIDDEN_SIZE };

	return &hidden;
}

static struct mtrr mtrr;

void mtrr_read(struct mtrr *m)
{
	*m = mtrr;
}

static int (*trap)(gpa_t start, u64 len, enum mmio_trap trap);

void mmio_set_trap_fn(int (*fn)(gpa_t start, u64 len, enum mmio_trap trap))
{
	trap = fn;
}

static u32 kicked;  /* CPUs by bit */
static bool leaves; /* a CPU that is kicked: it runs no more of the guest */
static bool stays;  /* it does not hear of it */

void guest_kick(struct vcpu *target)
{
	kicked |= 1U << (target - fake.guest.vcpu);
	if (stays)
		return;
	if (leaves)
		target->in_guest = 0;
	else
		target->flush_request = 0;
}

static struct {
	bool refuses;
	u32 calls;
	u16 where;
	bool further;
} ahead;

bool guest_emulate_ahead(struct vcpu *v, u16 where, bool further)
{
	ahead.calls++;
	ahead.where = where;
	ahead.further = further;
	return !ahead.refuses;
}

static const struct table_format *format(void)
{
	static const struct table_format npt = { 7, 1, 0x80, 2 };

	return &npt;
}

/* Types and the right to execute in bits that are ignored. */
static u64 attr(unsigned int access, enum mem_type type)
{
	return access & NESTED_R ? (u64)type << 9 | 1 | (access & NESTED_W) |
					   (u64)(access & NESTED_X) << 50
				 : 0;
}

#define RO    (MEM_WB << 9 | 1 | 1ULL << 52)
#define RW    (RO | 2)
#define LARGE 0x80ULL

static struct virt_ops ops;
static bool types;

/* A CPU of 48 address bits, with @encryption and RAM up to 4 MiB. */
static struct vcpu *start(u32 sme, u32 bits, u32 tme, u64 msr)
{
	struct vcpu *v = fake_start();

	ops = *fake.guest.ops;
	ops.nested_format = format;
	ops.nested_attr = attr;
	ops.nested_types = types;
	fake.guest.ops = &ops;
	fake.guest.nested_top = 0x400000;
	fake.id[1].eax = 48;
	fake.encryption = (struct cpuid){ .eax = sme, .ebx = bits };
	fake.structured.ecx = tme;
	fake.encryption_msr = msr;
	used = 0;
	kicked = 0;
	memset(&ahead, 0, sizeof(ahead));
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
	const u8 *hole;

	start(0, 0, 0, 0);
	EXPECT_EQ(entry(FAKE_HIDDEN - PAGE_SIZE),
		  (FAKE_HIDDEN - PAGE_SIZE) | RW);
	for (gpa_t at = 0; at < HIDDEN_SIZE; at += PAGE_SIZE)
		EXPECT_EQ(entry(FAKE_HIDDEN + at), fake.guest.hole_page | RO);
	EXPECT_EQ(entry(FAKE_HIDDEN + HIDDEN_SIZE),
		  (FAKE_HIDDEN + HIDDEN_SIZE) | RW);
	hole = phys_to_virt(fake.guest.hole_page);
	for (size_t i = 0; i < PAGE_SIZE; i++)
		EXPECT_EQ(hole[i], 0xff);
	/* whatever is asked of it */
	EXPECT_EQ(trap(FAKE_HIDDEN, PAGE_SIZE, MMIO_TRAP_WRITES), 0);
	EXPECT_EQ(entry(FAKE_HIDDEN), fake.guest.hole_page | RO);
	EXPECT_EQ(trap(FAKE_HIDDEN, PAGE_SIZE, MMIO_TRAP_NONE), 0);
	EXPECT_EQ(entry(FAKE_HIDDEN), fake.guest.hole_page | RO);
}

TEST(what_hooks_hold_back)
{
	struct vcpu *v = start(0, 0, 0, 0);

	EXPECT_EQ(trap(0x200000, 0x2000, MMIO_TRAP_ALL), 0);
	EXPECT_EQ(entry(0x1ff000), 0x1ff000 | RW);
	EXPECT_EQ(entry(0x200000), 0);
	EXPECT_EQ(entry(0x201000), 0);
	EXPECT_EQ(entry(0x202000), 0x202000 | RW);
	EXPECT_EQ(trap(0x200000, 0x2000, MMIO_TRAP_WRITES), 0);
	EXPECT_EQ(entry(0x200000), 0x200000 | RO);
	EXPECT_EQ(entry(0x201000), 0x201000 | RO);
	/* where two meet, the stricter one counts */
	EXPECT_EQ(trap(0x201000, 0x2000, MMIO_TRAP_ALL), 0);
	EXPECT_EQ(entry(0x200000), 0x200000 | RO);
	EXPECT_EQ(entry(0x201000), 0);
	EXPECT_EQ(trap(0x200000, 0x2000, MMIO_TRAP_NONE), 0);
	EXPECT_EQ(entry(0x200000), 0x200000 | RW);
	EXPECT_EQ(entry(0x201000), 0);
	EXPECT_EQ(entry(0x202000), 0);
	EXPECT_EQ(entry(0x203000), 0x203000 | RW);
	/* what is mapped later keeps to it */
	EXPECT_EQ(trap(0xfe001000, 0x1000, MMIO_TRAP_ALL), 0);
	EXPECT(maps(v, 0xfe002000));
	EXPECT_EQ(entry(0xfe000000), 0xfe000000 | RW);
	EXPECT_EQ(entry(0xfe001000), 0);
	EXPECT_EQ(entry(0xfe002000), 0xfe002000 | RW);
}

TEST(more_traps_than_fit)
{
	start(0, 0, 0, 0);
	for (u64 i = 0; i < GUEST_TRAPS_MAX; i++)
		EXPECT_EQ(trap(0x8000 * i, PAGE_SIZE, MMIO_TRAP_ALL), 0);
	EXPECT_EQ(trap(0x3ff000, PAGE_SIZE, MMIO_TRAP_ALL), -ENOSPC);
	EXPECT_EQ(trap(0x8000, PAGE_SIZE, MMIO_TRAP_WRITES), 0);
	EXPECT_EQ(trap(0x8000, PAGE_SIZE, MMIO_TRAP_NONE), 0);
	EXPECT_EQ(entry(0x8000), 0x8000 | RW);
	EXPECT_EQ(entry(0x8000 * 31), 0);
	used = PAGES;
	EXPECT_EQ(trap(0x3ff000, PAGE_SIZE, MMIO_TRAP_ALL), -ENOMEM);
}

/* No CPU may go on with what it remembers of the table. */
TEST(every_cpu_forgets)
{
	struct vcpu *v = start(0, 0, 0, 0);

	v[0].hw = v[1].hw = v;
	v[0].in_guest = v[1].in_guest = v[2].in_guest = 1;
	EXPECT_EQ(trap(0x200000, PAGE_SIZE, MMIO_TRAP_ALL), 0);
	EXPECT_EQ(fake.flushes[0], 1);
	EXPECT_EQ(kicked, 2);
	EXPECT_EQ(v[1].kick, 1);
	EXPECT(!v[0].kick && !v[0].flush_request);
	EXPECT(!v[2].kick && !v[2].flush_request); /* not started */
	leaves = true;
	v[2].hw = v;
	v[2].waiting_sipi = v[2].waits_in_hw = true; /* runs nothing */
	EXPECT_EQ(trap(0x200000, PAGE_SIZE, MMIO_TRAP_NONE), 0);
	EXPECT_EQ(kicked, 2);
	EXPECT(v[1].flush_request && v[2].flush_request && v[2].kick);
	/* waits in code of the guest's */
	v[2].waits_in_hw = false;
	EXPECT_EQ(trap(0x200000, PAGE_SIZE, MMIO_TRAP_ALL), 0);
	EXPECT_EQ(kicked, 6);
	/* before there are virtual CPUs */
	leaves = false;
	cpu_self()->vcpu = NULL;
	kicked = v[0].in_guest = v[1].kick = v[1].flush_request = 0;
	EXPECT_EQ(trap(0x200000, PAGE_SIZE, MMIO_TRAP_NONE), 0);
	EXPECT(v[1].kick && v[1].flush_request);
	EXPECT_EQ(kicked, 0);
	EXPECT_EQ(fake.flushes[0], 3);
}

/* Where no kick arrives, nobody waits for ever. */
TEST(a_cpu_without_apic)
{
	struct vcpu *v = start(0, 0, 0, 0);

	stays = true;
	v[0].hw = v[1].hw = v;
	v[1].in_guest = v[1].deaf = 1;
	EXPECT(RESETS((void)trap(0x200000, PAGE_SIZE, MMIO_TRAP_ALL)));
	EXPECT_EQ(kicked, 2);
	EXPECT_EQ(entry(0x200000), 0);
	v[1].deaf = 0;
	fake.apic = APIC_OFF; /* or no kick can be sent */
	EXPECT(RESETS((void)trap(0x200000, PAGE_SIZE, MMIO_TRAP_ALL)));
	v[1].in_guest = 0; /* it looks before it enters */
	EXPECT(!RESETS((void)trap(0x200000, PAGE_SIZE, MMIO_TRAP_NONE)));
	stays = leaves = false;
	v[1].in_guest = 1; /* it has been on the way out */
	EXPECT(!RESETS((void)trap(0x200000, PAGE_SIZE, MMIO_TRAP_ALL)));
}

TEST(memory_types_follow_the_mtrrs)
{
	struct vcpu *v;

	types = true;
	mtrr = (struct mtrr){ .enabled = true, .vars = 1 };
	mtrr.var[0].base = MEM_WB;
	mtrr.var[0].mask = BITS(47, 21) | MTRR_PHYSMASK_VALID;
	v = start(0, 0, 0, 0);
	EXPECT_EQ(entry(0x1000), 0x1000 | RW);
	EXPECT_EQ(entry(0x3ff000) >> 9 & 7, MEM_UC);
	EXPECT(maps(v, 0xfe000000));
	EXPECT_EQ(entry(0xfe000000) >> 9 & 7, MEM_UC);
	mtrr.default_type = MEM_WT;
	nested_update_types(v);
	EXPECT_EQ(fake.flushes[0], 1);
	EXPECT_EQ(entry(0x1000), 0x1000 | RW);
	EXPECT_EQ(entry(0x3ff000) >> 9 & 7, MEM_WT);
	EXPECT_EQ(fake.log[0], 0);
	mtrr.var[0].mask = BITS(47, 12) | MTRR_PHYSMASK_VALID;
	mtrr.var[0].base |= 0x201000;
	used = PAGES;
	nested_update_types(v);
	EXPECT(!strncmp(fake.log, "no page", 7));
	types = false;
}

/* What becomes of a fault; the traps are two pages from 200000h, one where
 * writes are watched, one where everything is. */
static const struct {
	gpa_t gpa;
	bool write, exec, table, delivering, hooked;
	bool flushed, emulated;
	u8 vector;
} faults[] = {
	/* the table allows it: the TLB was older */
	{ .gpa = 0x1008, .flushed = true },
	{ .gpa = 0x1008, .write = true, .flushed = true },
	{ .gpa = 0x1008, .exec = true, .delivering = true, .flushed = true },
	{ .gpa = FAKE_HIDDEN + 8, .exec = true, .flushed = true },
	{ .gpa = 0x200ff8, .exec = true, .hooked = true, .flushed = true },
	{ .gpa = 0x200ff8, .table = true, .hooked = true, .flushed = true },
	/* it does not */
	{ .gpa = FAKE_HIDDEN + 8, .write = true, .emulated = true },
	{ .gpa = 0x200ff8, .hooked = true, .emulated = true },
	{ .gpa = 0x200ff8, .write = true, .hooked = true, .emulated = true },
	{ .gpa = 0x201ff8, .emulated = true }, /* not any more */
	{ .gpa = 0x201ff8, .exec = true, .vector = VECTOR_GP },
	{ .gpa = 0x201ff8, .exec = true, .hooked = true, .vector = VECTOR_GP },
	{ .gpa = 0x201ff8, .table = true, .hooked = true, .vector = VECTOR_GP },
	{ .gpa = 0x200ff8,
	  .write = true,
	  .table = true,
	  .hooked = true,
	  .vector = VECTOR_GP },
	{ .gpa = 0x201ff8,
	  .delivering = true,
	  .hooked = true,
	  .vector = VECTOR_DF },
	{ .gpa = FAKE_HIDDEN + 8,
	  .write = true,
	  .delivering = true,
	  .vector = VECTOR_DF },
	/* no address */
	{ .gpa = BIT(48) | 8, .emulated = true },
	{ .gpa = BIT(48) | 8, .exec = true, .vector = VECTOR_GP },
	/* above the RAM, where nothing is mapped yet */
	{ .gpa = 0xfe000008, .hooked = true, .emulated = true },
	{ .gpa = 0xfe000008, .exec = true },
	{ .gpa = 0xfe000008, .write = true },
};

TEST(what_becomes_of_a_fault)
{
	struct vcpu *v = start(0, 0, 0, 0);

	EXPECT_EQ(trap(0x200000, PAGE_SIZE, MMIO_TRAP_WRITES), 0);
	EXPECT_EQ(trap(0x201000, PAGE_SIZE, MMIO_TRAP_ALL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		struct vmexit exit = { .kind = VMEXIT_NESTED_FAULT };

		exit.fault.gpa = faults[i].gpa;
		exit.fault.read = !faults[i].write && !faults[i].exec;
		exit.fault.write = faults[i].write;
		exit.fault.exec = faults[i].exec;
		exit.fault.table = faults[i].table;
		exit.delivering.valid = faults[i].delivering;
		fake.hooked = faults[i].hooked ? faults[i].gpa : 0;
		fake.flushes[0] = 0;
		v->event.valid = false;
		v->event.vector = 0;
		memset(&ahead, 0, sizeof(ahead));
		guest_nested_fault(v, &exit);
		EXPECT_EQ(fake.flushes[0], faults[i].flushed);
		EXPECT_EQ(ahead.calls, faults[i].emulated);
		EXPECT_EQ(v->event.vector, faults[i].vector);
	}
	EXPECT_EQ(entry(0xfe000000), 0xfe000000 | LARGE | RW);
}

/* Several writes to a device are one exit; to the local APIC there are never
 * several. */
TEST(what_is_emulated_at_once)
{
	struct vcpu *v = start(0, 0, 0, 0);
	struct vmexit exit = { .kind = VMEXIT_NESTED_FAULT };

	exit.fault.gpa = fake.hooked = 0xfee00300;
	exit.fault.write = true;
	guest_nested_fault(v, &exit);
	EXPECT_EQ(ahead.where, 0x300);
	EXPECT(ahead.further);
	fake.guest.apic_base = 0xfee00000;
	guest_nested_fault(v, &exit);
	EXPECT(!ahead.further);
	EXPECT(!v->event.valid);
	/* what that leaves to the executor; it does not know this one */
	ahead.refuses = true;
	memcpy(fake.ram + 0x1000, "\x0f\x0b", 2);
	guest_nested_fault(v, &exit);
	EXPECT_EQ(v->event.vector, VECTOR_UD);
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

TEST(no_pages_no_table)
{
	start(0, 0, 0, 0);
	for (u32 n = 0; n < 4; n++) {
		used = PAGES - n;
		EXPECT_EQ(nested_init(&fake.guest), -ENOMEM);
	}
}

TEST_MAIN(CASE(hidden_region), CASE(what_hooks_hold_back),
	  CASE(more_traps_than_fit), CASE(every_cpu_forgets),
	  CASE(a_cpu_without_apic), CASE(memory_types_follow_the_mtrrs),
	  CASE(what_becomes_of_a_fault), CASE(what_is_emulated_at_once),
	  CASE(maps_devices_late), CASE(no_second_addresses),
	  CASE(no_pages_no_table))

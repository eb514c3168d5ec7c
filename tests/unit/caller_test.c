/*
 * A hypercall's buffers: the guest's memory by the caller's addresses and with
 * its rights.
 *
 * units: core/program/caller.c tests/unit/fake_guest.c core/virt/run.c core/virt/insn.c core/mm/walk.c core/emul/decode.c core/emul/exec.c core/emul/flow.c core/emul/string.c
 * libs: -include tests/unit/fake_guest.h
 */
#include "core/program/program.h"

#include <string.h>

#include "core/arch/regs.h"
#include "core/lib/errors.h"
#include "tests/unit/test.h"

#define BUFFER 0x10000 /* three pages of the caller's, each somewhere else */
#define FIRST  0x20000
#define SECOND 0x15000
#define THIRD  0x30000
#define USER   (PTE_P | PTE_W | PTE_U)

static struct guest_mem_fault fault;
static u8 data[3 * PAGE_SIZE];

/* A process of the guest's. */
static struct vcpu *start(void)
{
	struct vcpu *v = fake_start();

	fake_mode(v, 64, 3);
	fake_paging(v);
	fake_page(BUFFER, FIRST | USER);
	fake_page(BUFFER + PAGE_SIZE, SECOND | USER);
	fake_page(BUFFER + 2 * PAGE_SIZE, THIRD | USER);
	memset(&fault, 0, sizeof(fault));
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (u8)(i / 2 + i % 2 * 7);
	return v;
}

static int put(struct vcpu *v, u64 address, u64 len)
{
	return caller_copy(v, address, data, len, true, &fault);
}

static int get(struct vcpu *v, u64 address, u64 len)
{
	return caller_copy(v, address, data, len, false, &fault);
}

TEST(page_by_page)
{
	const u64 len = 2 * PAGE_SIZE + 2;
	struct vcpu *v = start();
	u8 copy[sizeof(data)];

	memcpy(copy, data, sizeof(data));
	EXPECT_EQ(put(v, BUFFER + 0xfff, len), 0);
	EXPECT_EQ(fake.ram[FIRST + 0xffe], 0);
	EXPECT_EQ(fake.ram[FIRST + 0xfff], data[0]);
	EXPECT(!memcmp(fake.ram + SECOND, data + 1, PAGE_SIZE));
	EXPECT(!memcmp(fake.ram + THIRD, data + 1 + PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(fake.ram[FIRST + PAGE_SIZE], 0);
	memset(data, 0x99, sizeof(data));
	EXPECT_EQ(get(v, BUFFER + 0xfff, len - 2), 0);
	EXPECT(!memcmp(data, copy, len - 2));
	EXPECT_EQ(data[len - 2], 0x99);
	EXPECT_EQ(put(v, ~0ULL, 0), 0);
}

/* What its own instructions could not do. */
TEST(with_the_callers_rights)
{
	static const struct {
		u64 entry;
		u8 cpl;
		bool reads, writes;
		u32 error; /* of what does not, but for W */
	} cases[] = {
		{ SECOND | PTE_P | PTE_W | PTE_U, 3, true, true, 0 },
		{ SECOND | PTE_P | PTE_U, 3, true, false, 5 },
		{ SECOND | PTE_P | PTE_W, 3, false, false, 5 },
		{ SECOND | PTE_P | PTE_W, 0, true, true, 0 },
		{ SECOND | PTE_W | PTE_U, 3, false, false, 4 },
		{ SECOND | PTE_W | PTE_U, 0, false, false, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (int write = 0; write < 2; write++) {
			struct vcpu *v = start();
			bool ok = write ? cases[i].writes : cases[i].reads;

			fake_mode(v, 64, cases[i].cpl);
			fake_page(BUFFER + PAGE_SIZE, cases[i].entry);
			EXPECT_EQ(caller_copy(v, BUFFER + 0xff8, data, 16,
					      write, &fault),
				  ok ? 0 : CALLER_TRAP);
			if (ok)
				continue;
			EXPECT_EQ(fault.vector, VECTOR_PF);
			EXPECT_EQ(fault.cr2, BUFFER + PAGE_SIZE);
			EXPECT_EQ(fault.error, cases[i].error | write << 1);
			EXPECT_EQ(fake.ram[SECOND], 0);
		}
}

TEST(addresses_that_are_none)
{
	struct vcpu *v = start();

	EXPECT_EQ(get(v, 0x800000000000, 8), CALLER_TRAP);
	EXPECT_EQ(fault.vector, VECTOR_GP);
	EXPECT_EQ(get(v, ~0ULL - 3, 8), CALLER_TRAP);
}

/* Devices, what Shoji looks at itself, its own memory, and where nothing is. */
TEST(only_ordinary_memory)
{
	static const u64 other[] = { FAKE_DEVICE, 0x8000, FAKE_HIDDEN,
				     FAKE_RAM };

	for (size_t i = 0; i < ARRAY_SIZE(other); i++)
		for (int write = 0; write < 2; write++) {
			struct vcpu *v = start();

			fake.hooked = 0x8000;
			fake_page(BUFFER + PAGE_SIZE, other[i] | USER);
			EXPECT_EQ(caller_copy(v, BUFFER + 0xff8, data, 16,
					      write, &fault),
				  -EFAULT);
			EXPECT_EQ(fake.ram[0x8000], 0);
			EXPECT_EQ(fake.device_writes, 0);
		}
}

/* The same answers, and nothing is written. */
TEST(asks_before_it_copies)
{
	struct vcpu *v = start();

	EXPECT_EQ(caller_copy(v, BUFFER, NULL, 3 * PAGE_SIZE, true, &fault), 0);
	EXPECT_EQ(caller_copy(v, BUFFER, NULL, PAGE_SIZE, false, &fault), 0);
	EXPECT_EQ(fake.ram[FIRST], 0);
	fake_page(BUFFER + 2 * PAGE_SIZE, THIRD | PTE_P | PTE_U);
	EXPECT_EQ(caller_copy(v, BUFFER, NULL, 2 * PAGE_SIZE, true, &fault), 0);
	EXPECT_EQ(caller_copy(v, BUFFER, NULL, 2 * PAGE_SIZE + 1, true, &fault),
		  CALLER_TRAP);
	EXPECT_EQ(fault.cr2, BUFFER + 2 * PAGE_SIZE);
}

TEST_MAIN(CASE(page_by_page), CASE(with_the_callers_rights),
	  CASE(addresses_that_are_none), CASE(only_ordinary_memory),
	  CASE(asks_before_it_copies))

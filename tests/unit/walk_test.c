/*
 * Paging of the guest, each mode, right and flag (SDM vol. 3, 4).
 *
 * units: core/mm/walk.c
 */
#include <errno.h>
#include <string.h>

#include "core/arch/regs.h"
#include "core/mm/gmem.h"
#include "core/mm/walk.h"
#include "tests/unit/test.h"

#define PWU (PTE_P | PTE_W | PTE_U)

static u8 ram[0x10000] __attribute__((aligned(8)));
static struct walk_cpu cpu;
static gpa_t gpa;
static u32 error_code;
static struct walk_trail trail;
/* Another CPU changes the entry here as often, once it has been read. */
static gpa_t race_at;
static unsigned int races;
static unsigned int race_byte; /* 1 or 6: bits 11:9, 54:52 are ignored */

void *gmem_ptr(gpa_t at, u64 len)
{
	if (at > sizeof(ram) - len)
		return NULL;
	if (races && at >= race_at + PAGE_SIZE) {
		races--;
		ram[race_at + race_byte] ^= race_byte == 6 ? 0x70 : 0x0e;
	}
	return ram + at;
}

static void put(gpa_t at, u64 entry)
{
	memcpy(ram + at, &entry, 8);
}

static u64 entry_at(gpa_t at)
{
	u64 entry;

	memcpy(&entry, ram + at, 8);
	return entry;
}

static void put32(gpa_t at, u32 entry)
{
	memcpy(ram + at, &entry, 4);
}

static u32 entry32_at(gpa_t at)
{
	u32 entry;

	memcpy(&entry, ram + at, 4);
	return entry;
}

static int walk(u64 linear, unsigned int access)
{
	gpa = ~0ULL;
	error_code = ~0U;
	return walk_linear(&cpu, linear, access, &gpa, &error_code, &trail);
}

static void reset(u64 cr4, u64 efer)
{
	memset(ram, 0, sizeof(ram));
	races = 0;
	race_byte = 1;
	cpu = (struct walk_cpu){ .cr0 = CR0_PG | CR0_PE | CR0_WP,
				 .cr3 = 0x1000,
				 .cr4 = cr4,
				 .efer = efer,
				 .maxphyaddr = 40 };
}

/* 4-level: 0x8040201000 + x uses entry 1 of each table; the page is at
 * 0x5000. */
#define LINEAR 0x8040201000ULL

static void reset_long(u64 leaf)
{
	reset(CR4_PAE, EFER_LMA | EFER_LME | EFER_NXE);
	put(0x1008, 0x2000 | PWU);
	put(0x2008, 0x3000 | PWU);
	put(0x3008, 0x4000 | PWU);
	put(0x4008, leaf);
}

TEST(not_paged)
{
	reset(0, 0);
	cpu.cr0 = CR0_PE;
	EXPECT_EQ(walk(0x123456789, WALK_WRITE), 0);
	EXPECT_EQ(gpa, 0x23456789);
}

TEST(two_levels)
{
	reset(CR4_PGE, 0);
	put32(0x1000 + 4 * 0x301, 0x2000 | PWU | PTE_PS); /* ignored: no PSE */
	put32(0x2000 + 4 * 0x2a5, 0xabcde000 | PWU);
	put32(0x1000 + 4 * 0x302, 0xdeadb000); /* the next ones stay apart */
	put32(0x2000 + 4 * 0x2a6, 0xdeadb000);
	EXPECT_EQ(walk(0xffffffffc06a5123, WALK_READ), 0);
	EXPECT_EQ(gpa, 0xabcde123);
	EXPECT_EQ(entry32_at(0x1000 + 4 * 0x301), 0x20a7);
	EXPECT_EQ(entry32_at(0x2000 + 4 * 0x2a5), 0xabcde027);
	EXPECT_EQ(walk(0xc06a5123, WALK_WRITE), 0);
	EXPECT_EQ(entry32_at(0x1000 + 4 * 0x301), 0x20a7);
	EXPECT_EQ(entry32_at(0x2000 + 4 * 0x2a5), 0xabcde067);
	EXPECT_EQ(walk(0xc0700000, WALK_READ), WALK_FAULT);
	EXPECT_EQ(error_code, 0);
	EXPECT_EQ(walk(0x1000, WALK_WRITE), WALK_FAULT);
	EXPECT_EQ(error_code, PF_W);
	cpu.efer = EFER_NXE; /* means nothing to entries of 4 bytes */
	EXPECT_EQ(walk(0x1000, WALK_FETCH), WALK_FAULT);
	EXPECT_EQ(error_code, 0);
	cpu.cr3 |= 0x818; /* PWT, PCD, and one that is ignored */
	EXPECT_EQ(walk(0xffffffffc06a5123, WALK_READ), 0);
	EXPECT_EQ(gpa, 0xabcde123);
}

TEST(pse_36)
{
	reset(CR4_PSE, 0);
	/* bits 20:13 are the address's bits 39:32 */
	put32(0x1004, 0x00c00000 | 0xa5 << 13 | PWU | PTE_PS);
	EXPECT_EQ(walk(0x00712345, WALK_WRITE), 0);
	EXPECT_EQ(gpa, 0xa500f12345);
	EXPECT_EQ(entry32_at(0x1004), 0x00c00000 | 0xa5 << 13 | 0xe7);
	put32(0x1004, 0x00c00000 | BIT(21) | PWU | PTE_PS);
	EXPECT_EQ(walk(0x00712345, WALK_READ), WALK_FAULT);
	EXPECT_EQ(error_code, PF_P | PF_RSVD);
	cpu.maxphyaddr = 36; /* bits 21:17 are reserved then */
	put32(0x1004, 0x00c00000 | 1 << 17 | PWU | PTE_PS);
	EXPECT_EQ(walk(0x00712345, WALK_READ), WALK_FAULT);
	put32(0x1004, 0x00c00000 | 1 << 16 | PWU | PTE_PS);
	EXPECT_EQ(walk(0x00712345, WALK_READ), 0);
	EXPECT_EQ(gpa, 0x800f12345);
}

TEST(pae)
{
	reset(CR4_PAE, 0);
	cpu.cr3 = 0x100001038; /* 32-byte aligned; PWT, PCD; bit 32 */
	put(0x1020 + 3 * 8, 0x2000 | PTE_P);
	put(0x2000 + 8, 0x3000 | PWU);
	put(0x3000 + 8, 0x9876543000 | PWU);
	EXPECT_EQ(walk(0xc0201456, WALK_WRITE), 0);
	EXPECT_EQ(gpa, 0x9876543456);
	EXPECT_EQ(entry_at(0x1038), 0x2001); /* has no A flag */
	EXPECT_EQ(entry_at(0x2008), 0x3027);
	EXPECT_EQ(entry_at(0x3008), 0x9876543067);
	put(0x2008, 0x80600000 | PWU | PTE_PS);
	EXPECT_EQ(walk(0xc0201456, WALK_READ), 0);
	EXPECT_EQ(gpa, 0x80601456);
	put(0x2008, 0x80600000 | BIT(13) | PWU | PTE_PS);
	EXPECT_EQ(walk(0xc0201456, WALK_READ), WALK_FAULT);
	EXPECT_EQ(error_code, PF_P | PF_RSVD);
	put(0x2008, 0x80600000 | BIT(52) | PWU | PTE_PS);
	EXPECT_EQ(walk(0xc0201456, WALK_READ), WALK_FAULT);
	put(0x2008, 0x80600000 | BIT(40) | PWU | PTE_PS);
	EXPECT_EQ(walk(0xc0201456, WALK_READ), WALK_FAULT);
	put(0x2008, 0x80600000 | PTE_NX | PWU | PTE_PS); /* no EFER.NXE */
	EXPECT_EQ(walk(0xc0201456, WALK_READ), WALK_FAULT);
	EXPECT_EQ(error_code, PF_P | PF_RSVD);
	cpu.efer = EFER_NXE;
	EXPECT_EQ(walk(0xc0201456, WALK_READ), 0);
	EXPECT_EQ(walk(0xc0201456, WALK_FETCH), WALK_FAULT);
	EXPECT_EQ(error_code, PF_P | PF_I);
}

TEST(upper_pae)
{
	static const u64 reserved[] = { PTE_W,	 PTE_U,	  BIT(6),  BIT(7),
					BIT(8),	 BIT(40), BIT(51), BIT(52),
					BIT(62), BIT(63) };

	reset(CR4_PAE, EFER_NXE);
	put(0x2008, 0x80600000 | PWU | PTE_PS);
	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
		put(0x1018, 0x2000 | PTE_P | reserved[i]);
		EXPECT_EQ(walk(0xc0201456, WALK_READ), WALK_FAULT);
		EXPECT_EQ(error_code, PF_P | PF_RSVD);
	}
	put(0x1018, 0x2000 | PTE_P | PTE_A | BITS(4, 3) | BITS(11, 9));
	EXPECT_EQ(walk(0xc0201456, WALK_READ), 0);
	put(0x1018, 0x2000);
	EXPECT_EQ(walk(0xc0201456, WALK_FETCH), WALK_FAULT);
	EXPECT_EQ(error_code, PF_I);
	cpu.cr3 = 0x7f000000;
	EXPECT_EQ(walk(0xc0201456, WALK_READ), -EFAULT);
}

TEST(four_levels)
{
	reset_long(0x5000 | PWU | BITS(58, 52));
	EXPECT_EQ(walk(LINEAR + 0xabc, WALK_WRITE), 0);
	EXPECT_EQ(gpa, 0x5abc);
	EXPECT_EQ(entry_at(0x1008), 0x2027);
	EXPECT_EQ(entry_at(0x2008), 0x3027);
	EXPECT_EQ(entry_at(0x3008), 0x4027);
	EXPECT_EQ(entry_at(0x4008), 0x5067 | BITS(58, 52));
	put(0x3008, 0x600000 | PWU | PTE_PS | PTE_PAT_LARGE);
	EXPECT_EQ(walk(LINEAR + 0xabc, WALK_READ), 0);
	EXPECT_EQ(gpa, 0x601abc);
	put(0x2008, 0xc0000000 | PWU | PTE_PS);
	EXPECT_EQ(walk(LINEAR + 0xabc, WALK_READ), 0);
	EXPECT_EQ(gpa, 0xc0201abc);
	put(0x2008, 0xc0000000 | BIT(29) | PWU | PTE_PS);
	EXPECT_EQ(walk(LINEAR + 0xabc, WALK_READ), WALK_FAULT);
	EXPECT_EQ(error_code, PF_P | PF_RSVD);
	put(0x1008, PWU | PTE_PS);
	EXPECT_EQ(walk(LINEAR + 0xabc, WALK_READ), WALK_FAULT);
	EXPECT_EQ(error_code, PF_P | PF_RSVD);
	reset_long(BIT(40) | PWU); /* beyond MAXPHYADDR */
	EXPECT_EQ(walk(LINEAR, WALK_READ), WALK_FAULT);
	EXPECT_EQ(error_code, PF_P | PF_RSVD);
	cpu.maxphyaddr = 52;
	cpu.cr3 |= 0x123; /* PCID */
	EXPECT_EQ(walk(LINEAR, WALK_READ), 0);
	EXPECT_EQ(gpa, BIT(40));
}

TEST(upper_half_and_five_levels)
{
	reset(CR4_PAE | CR4_LA57, EFER_LMA);
	put(0x1000 + 511 * 8, 0x2000 | PWU);
	put(0x2000 + 511 * 8, 0x3000 | PWU);
	put(0x3000 + 511 * 8, 0x40000000 | PWU | PTE_PS);
	EXPECT_EQ(walk(0xfffffffffffff123, WALK_READ), 0);
	EXPECT_EQ(gpa, 0x7ffff123);
	cpu.cr4 &= ~CR4_LA57;
	put(0x3000 + 511 * 8, 0x200000 | PWU | PTE_PS);
	EXPECT_EQ(walk(0xfffffffffffff123, WALK_READ), 0);
	EXPECT_EQ(gpa, 0x3ff123);
}

TEST(user_rights)
{
	reset_long(0x5000 | PTE_P | PTE_U);
	cpu.user = true;
	EXPECT_EQ(walk(LINEAR, WALK_READ), 0);
	EXPECT_EQ(walk(LINEAR, WALK_WRITE), WALK_FAULT);
	EXPECT_EQ(error_code, PF_P | PF_W | PF_U);
	EXPECT_EQ(entry_at(0x4008) & PTE_D, 0);
	cpu.cr0 &= ~CR0_WP; /* means nothing to the user */
	EXPECT_EQ(walk(LINEAR, WALK_WRITE), WALK_FAULT);
	put(0x4008, 0x5000 | PTE_P | PTE_W);
	EXPECT_EQ(walk(LINEAR, WALK_READ), WALK_FAULT);
	EXPECT_EQ(error_code, PF_P | PF_U);
	put(0x4008, 0x5000 | PWU); /* every level has to grant it */
	put(0x2008, 0x3000 | PTE_P | PTE_W);
	EXPECT_EQ(walk(LINEAR, WALK_READ), WALK_FAULT);
	put(0x2008, 0x3000 | PTE_P | PTE_U);
	EXPECT_EQ(walk(LINEAR, WALK_READ), 0);
	EXPECT_EQ(walk(LINEAR, WALK_WRITE), WALK_FAULT);
	EXPECT_EQ(walk(LINEAR, WALK_FETCH), 0);
	EXPECT_EQ(entry_at(0x4008) & PTE_D, 0);
	put(0x4008, 0x5000 | PTE_W | PTE_U); /* not present */
	EXPECT_EQ(walk(LINEAR, WALK_FETCH), WALK_FAULT);
	EXPECT_EQ(error_code, PF_U | PF_I);
}

TEST(write_protect)
{
	reset_long(0x5000 | PTE_P);
	EXPECT_EQ(walk(LINEAR, WALK_WRITE), WALK_FAULT);
	EXPECT_EQ(error_code, PF_P | PF_W);
	cpu.cr0 &= ~CR0_WP;
	EXPECT_EQ(walk(LINEAR, WALK_WRITE), 0);
	EXPECT_EQ(entry_at(0x4008), 0x5000 | PTE_P | PTE_A | PTE_D);
}

TEST(no_execute)
{
	reset_long(0x5000 | PWU);
	put(0x1008, 0x2000 | PWU | PTE_NX); /* any level takes it away */
	EXPECT_EQ(walk(LINEAR, WALK_READ), 0);
	EXPECT_EQ(walk(LINEAR, WALK_WRITE), 0);
	EXPECT_EQ(walk(LINEAR, WALK_FETCH), WALK_FAULT);
	EXPECT_EQ(error_code, PF_P | PF_I);
	cpu.efer &= ~EFER_NXE;
	EXPECT_EQ(walk(LINEAR, WALK_FETCH), WALK_FAULT);
	EXPECT_EQ(error_code, PF_P | PF_RSVD); /* no PF_I then */
}

TEST(smep)
{
	reset_long(0x5000 | PWU);
	EXPECT_EQ(walk(LINEAR, WALK_FETCH), 0);
	cpu.cr4 |= CR4_SMEP;
	EXPECT_EQ(walk(LINEAR, WALK_FETCH), WALK_FAULT);
	EXPECT_EQ(error_code, PF_P | PF_I);
	cpu.efer &= ~EFER_NXE;
	EXPECT_EQ(walk(LINEAR, WALK_FETCH), WALK_FAULT);
	EXPECT_EQ(error_code, PF_P | PF_I);
	EXPECT_EQ(walk(LINEAR, WALK_READ), 0);
	EXPECT_EQ(walk(LINEAR, WALK_WRITE), 0);
	cpu.user = true;
	EXPECT_EQ(walk(LINEAR, WALK_FETCH), 0);
	cpu.user = false;
	put(0x4008, 0x5000 | PTE_P);
	EXPECT_EQ(walk(LINEAR, WALK_FETCH), 0);
}

TEST(smap)
{
	reset_long(0x5000 | PWU);
	cpu.cr4 |= CR4_SMAP;
	EXPECT_EQ(walk(LINEAR, WALK_READ), WALK_FAULT);
	EXPECT_EQ(error_code, PF_P);
	EXPECT_EQ(walk(LINEAR, WALK_WRITE), WALK_FAULT);
	EXPECT_EQ(error_code, PF_P | PF_W);
	EXPECT_EQ(walk(LINEAR, WALK_FETCH), 0);
	EXPECT_EQ(walk(LINEAR, WALK_FETCH | WALK_WRITE), WALK_FAULT);
	cpu.rflags = ~(u64)RFLAGS_AC;
	EXPECT_EQ(walk(LINEAR, WALK_READ), WALK_FAULT);
	cpu.rflags = RFLAGS_AC;
	EXPECT_EQ(walk(LINEAR, WALK_WRITE), 0);
	cpu.rflags = 0;
	cpu.user = true;
	EXPECT_EQ(walk(LINEAR, WALK_READ), 0);
	cpu.user = false;
	put(0x3008, 0x4000 | PTE_P); /* a supervisor's page by any level */
	EXPECT_EQ(walk(LINEAR, WALK_READ), 0);
}

TEST(tables_outside_of_memory)
{
	reset_long(0x5000 | PWU);
	put(0x2008, 0x20000 | PWU);
	EXPECT_EQ(walk(LINEAR, WALK_READ), -EFAULT);
	cpu.cr3 = 0x7f0000000;
	EXPECT_EQ(walk(LINEAR, WALK_READ), -EFAULT);
}

/* Any level may change, and a flag is a change. */
TEST(the_same_way)
{
	reset_long(0x5000 | PWU);
	EXPECT_EQ(walk(LINEAR, WALK_READ), 0);
	EXPECT_EQ(trail.entries, 4);
	EXPECT(walk_same(&trail));
	for (gpa_t at = 0x1008; at < 0x5000; at += PAGE_SIZE) {
		u64 entry = entry_at(at);

		put(at, entry ^ BIT(9));
		EXPECT(!walk_same(&trail));
		put(at, entry & ~PTE_A);
		EXPECT(!walk_same(&trail));
		put(at, entry);
		EXPECT(walk_same(&trail));
	}
	EXPECT_EQ(walk(LINEAR, WALK_WRITE), 0);
	EXPECT(walk_same(&trail));
	put(0x4008, entry_at(0x4008) & ~PTE_D);
	EXPECT(!walk_same(&trail));
	put(0x3008, 0x600000 | PWU | PTE_PS);
	EXPECT_EQ(walk(LINEAR, WALK_READ), 0);
	EXPECT_EQ(trail.entries, 3);
	EXPECT(walk_same(&trail));
	cpu.cr0 &= ~CR0_PG;
	EXPECT_EQ(walk(LINEAR, WALK_READ), 0);
	EXPECT_EQ(trail.entries, 0);
}

TEST(races_of_other_cpus)
{
	reset_long(0x5000 | PWU);
	race_at = 0x3008;
	races = 3;
	EXPECT_EQ(walk(LINEAR, WALK_WRITE), 0);
	EXPECT_EQ(races, 0);
	EXPECT_EQ(entry_at(0x3008), 0x4e27); /* keeps what the other wrote */
	EXPECT_EQ(entry_at(0x4008), 0x5067);
	reset_long(0x5000 | PWU);
	races = 1000; /* hostile */
	EXPECT_EQ(walk(LINEAR, WALK_WRITE), -EFAULT);
	reset_long(0x5000 | PWU);
	races = 1;
	race_byte = 6;
	EXPECT_EQ(walk(LINEAR, WALK_READ), 0);
	EXPECT_EQ(entry_at(0x3008), 0x0070000000004027);
	EXPECT(walk_same(&trail));
	reset(0, 0);
	put32(0x1004, 0x2000 | PWU);
	put32(0x2004, 0x5000 | PWU);
	race_at = 0x1004;
	races = 1;
	EXPECT_EQ(walk(0x401000, WALK_READ), 0);
	EXPECT_EQ(races, 0);
	EXPECT_EQ(entry32_at(0x1004), 0x2e27);
	EXPECT_EQ(entry32_at(0x2004), 0x5027);
}

TEST(tables_at_zero)
{
	reset(0, 0);
	cpu.cr3 = 0;
	put32(0, 0x1000 | PWU);
	put32(0x1000, 0x3000 | PWU);
	EXPECT_EQ(walk(0x10, WALK_WRITE), 0);
	EXPECT_EQ(gpa, 0x3010);
	EXPECT_EQ(entry32_at(0), 0x1027);
}

TEST_MAIN(CASE(not_paged), CASE(two_levels), CASE(pse_36), CASE(pae),
	  CASE(upper_pae), CASE(four_levels), CASE(upper_half_and_five_levels),
	  CASE(user_rights), CASE(write_protect), CASE(no_execute), CASE(smep),
	  CASE(smap), CASE(tables_outside_of_memory), CASE(the_same_way),
	  CASE(races_of_other_cpus), CASE(tables_at_zero))

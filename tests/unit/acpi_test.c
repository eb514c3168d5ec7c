/*
 * ACPI tables, against a machine's memory built byte by byte.
 * units: core/io/acpi.c
 */
#include <string.h>

#include "core/io/acpi.h"
#include "core/lib/bytes.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "tests/unit/test.h"

static u8 ram[0x100000]; /* physical memory from 0 */
static u8 high[0x1000];	 /* and from 7FFE0000h */

static int ram_read(void *ctx, u64 pa, void *dst, size_t len)
{
	if (range_ok(pa, len, sizeof(ram)))
		memcpy(dst, ram + pa, len);
	else if (pa >= 0x7ffe0000 &&
		 range_ok(pa - 0x7ffe0000, len, sizeof(high)))
		memcpy(dst, high + (pa - 0x7ffe0000), len);
	else
		return -EFAULT;
	return 0;
}

static const struct acpi_mem mem = { ram_read, NULL };

static u8 *at(u64 pa)
{
	return pa < sizeof(ram) ? ram + pa : high + (pa - 0x7ffe0000);
}

static void seal(u8 *p, u32 len, u32 where)
{
	p[where] = 0;
	for (u32 i = 0; i < len; i++)
		if (i != where)
			p[where] = (u8)(p[where] - p[i]);
}

static void table(u64 pa, const char *sig, const void *body, u32 len)
{
	u8 *p = at(pa);

	memset(p, 0, 36);
	memcpy(p, sig, 4);
	store_le32(p + 4, 36 + len);
	memcpy(p + 36, body, len);
	seal(p, 36 + len, 9);
}

static void rsdp(u64 pa, u8 revision, u32 rsdt, u64 xsdt)
{
	u8 *p = at(pa);

	memcpy(p, "RSD PTR ", 8);
	p[15] = revision;
	store_le32(p + 16, rsdt);
	store_le32(p + 20, 36);
	store_le64(p + 24, xsdt);
	seal(p, 20, 8);
	seal(p, 36, 32);
}

/* As SeaBIOS for -machine q35 -smp 2, shortened. */
static const u8 dsdt[] = {
	0x10, 0x05, 0x5f, 0x53, 0x42, 0x5f,		/* some scope */
	0x08, '_',  'S',  '3',	'_',  0x12, 0x06, 0x04, /* Name (_S3, Package */
	0x01, 0x01, 0x00, 0x00, 0x08, '_',  'S',  '4',	'_',  0x12, 0x08,
	0x04, 0x0a, 0x02, 0x0a, 0x02, 0x00, 0x00, 0x08, 0x5c, '_',  'S',
	'5',  '_',  0x12, 0x06, 0x04, 0x00, 0x00, 0x00, 0x00,
};

static u8 fadt[244 - 36];

static void machine_with(u8 revision)
{
	static const u8 madt[] = {
		0, 0,  0xe0, 0xfe, 1, 0, 0,    0, /* APIC at FEE00000 */
		0, 8,  0,    0,	   1, 0, 0,    0, /* CPU 0 */
		0, 8,  1,    4,	   1, 0, 0,    0, /* CPU 1 is APIC 4 */
		0, 8,  2,    5,	   0, 0, 0,    0, /* disabled */
		1, 12, 0,    0,	   0, 0, 0xc0, 0xfe, 0, 0, 0, 0, /* I/O APIC */
		9, 16, 0,    0,	   0, 1, 0,    0,    1, 0, 0, 0,
		3, 0,  0,    0, /* 100h */
		9, 16, 0,    0,	   4, 0, 0,    0,    1, 0, 0, 0,
		1, 0,  0,    0, /* again */
		9, 16, 0,    0,	   9, 0, 0,    0,    0, 0, 0, 0,
		4, 0,  0,    0, /* off */
	};
	static const u8 mcfg[] = {
		0, 0, 0, 0, 0, 0, 0, 0,	  0, 0, 0, 0xc0, 0, 0,
		0, 0, 1, 0, 0, 7, 0, 0,	  0, 0, 0, 0,	 0, 0xb0,
		0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0,
	};
	u8 list[4 * 8] = { 0 };
	u32 size = revision ? 8 : 4;

	memset(ram, 0, sizeof(ram));
	memset(high, 0, sizeof(high));
	table(0x7ffe0000, "DSDT", dsdt, sizeof(dsdt));
	memset(fadt, 0, sizeof(fadt));
	store_le32(fadt + 40 - 36, 0x7ffe0000);
	store_le32(fadt + 56 - 36, 0x600);
	store_le32(fadt + 64 - 36, 0x604);
	store_le32(fadt + 112 - 36, 0x84a5 | 1 << 10);
	memcpy(fadt + 116 - 36, "\x01\x08\x00\x00\xf9\x0c\0\0\0\0\0\0\x0f", 13);
	table(0x7ffe0400, "FACP", fadt, sizeof(fadt));
	table(0x7ffe0600, "APIC", madt, sizeof(madt));
	table(0x7ffe0800, "MCFG", mcfg, sizeof(mcfg));
	for (u32 i = 0; i < 3; i++)
		store_le32(list + size * i, 0x7ffe0400 + 0x200 * i);
	table(0x7ffe0a00, "XSDT", list, 8 * 3);
	table(0x7ffe0b00, "RSDT", list, 4 * 3);
	rsdp(0xf5a40, revision, revision ? 0 : 0x7ffe0b00,
	     revision ? 0x7ffe0a00 : 0);
}

static void expect_machine(const struct acpi *a)
{
	EXPECT_EQ(a->cpu_count, 3);
	EXPECT_EQ(a->cpus_left_out, 0);
	EXPECT_EQ(a->apic_ids[0], 0);
	EXPECT_EQ(a->apic_ids[1], 4);
	EXPECT_EQ(a->apic_ids[2], 0x100);
	EXPECT_EQ(a->ecam_base, 0xb0000000);
	EXPECT_EQ(a->ecam_first_bus, 0);
	EXPECT_EQ(a->ecam_last_bus, 255);
	EXPECT_EQ(a->pm1a_evt, 0x600);
	EXPECT_EQ(a->pm1a_cnt, 0x604);
	EXPECT_EQ(a->pm1b_cnt, 0);
	EXPECT(a->reset_valid);
	EXPECT_EQ(a->reset.space, ACPI_SPACE_IO);
	EXPECT_EQ(a->reset.address, 0xcf9);
	EXPECT_EQ(a->reset_value, 0x0f);
	EXPECT(a->sleep[3].valid && a->sleep[4].valid && a->sleep[5].valid);
	EXPECT(!a->sleep[0].valid && !a->sleep[1].valid);
	EXPECT_EQ(a->sleep[3].typ_a, 1);
	EXPECT_EQ(a->sleep[3].typ_b, 1);
	EXPECT_EQ(a->sleep[4].typ_a, 2);
	EXPECT_EQ(a->sleep[4].typ_b, 2);
	EXPECT_EQ(a->sleep[5].typ_a, 0);
}

TEST(revision_2)
{
	struct acpi a;

	machine_with(2);
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	expect_machine(&a);
}

TEST(revision_0)
{
	struct acpi a;

	machine_with(0);
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	expect_machine(&a);
}

TEST(rsdp_places)
{
	struct acpi a;

	machine_with(2);
	memset(at(0xf5a40), 0, 36);
	EXPECT_EQ(acpi_parse(&mem, &a), -ENOENT);
	EXPECT_EQ(a.cpu_count, 0);
	store_le16(at(0x40e), 0x9fc0);
	rsdp(0x9fc30, 2, 0, 0x7ffe0a00);
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	expect_machine(&a);
	at(0x9fc30)[8]++;
	EXPECT_EQ(acpi_parse(&mem, &a), -ENOENT);
}

/* As for OSes: a table that one of them uses is one that we know. */
TEST(wrong_checksums_count)
{
	struct acpi a;

	machine_with(2);
	for (u64 pa = 0x7ffe0000; pa <= 0x7ffe0a00; pa += 0x200)
		at(pa)[9] ^= 1;
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	expect_machine(&a);
}

TEST(the_root_is_what_it_says)
{
	struct acpi a;

	machine_with(2);
	at(0x7ffe0a00)[0] ^= 1; /* XSDT, and there is no RSDT */
	EXPECT_EQ(acpi_parse(&mem, &a), -EINVAL);
	rsdp(0xf5a40, 2, 0x7ffe0b00, 0x7ffe0a00);
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	EXPECT_EQ(a.pm1a_cnt, 0x604); /* the first entry of the RSDT */
}

TEST(lengths_are_bounded)
{
	static const u8 endless[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	static const u8 cut[] = { 0, 0, 0, 0, 0, 0, 0, 0, 9, 16, 0, 0, 7, 0 };
	struct acpi a;

	machine_with(2);
	table(0x7ffe0600, "APIC", endless, sizeof(endless));
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	table(0x7ffe0600, "APIC", cut, sizeof(cut));
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	EXPECT_EQ(a.cpu_count, 0);
	store_le32(at(0x7ffe0600) + 4, 0xffffffff);
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	store_le32(at(0x7ffe0600) + 4, 8);
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	EXPECT_EQ(a.ecam_base, 0xb0000000);
}

TEST(more_cpus_than_we_take)
{
	static u8 madt[8 + 70 * 8];
	struct acpi a;

	machine_with(2);
	for (u32 i = 0; i < 70; i++)
		memcpy(madt + 8 + 8 * i,
		       (u8[]){ 0, 8, 0, (u8)(2 * i), 1, 0, 0, 0 }, 8);
	table(0x7ffe0600, "APIC", madt, 0x1d0);
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	EXPECT_EQ(a.cpu_count, 57);
	memmove(at(0x7ffe0a00) + 36 + 8, (u64[]){ 0x10000 }, 8);
	seal(at(0x7ffe0a00), 60, 9);
	table(0x10000, "APIC", madt, sizeof(madt));
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	EXPECT_EQ(a.cpu_count, 64);
	EXPECT_EQ(a.cpus_left_out, 6);
	EXPECT_EQ(a.apic_ids[63], 126);
}

TEST(extended_fadt_fields)
{
	struct acpi a;

	machine_with(2);
	memcpy(fadt + 172 - 36, "\x01\x10\x00\x00\x04\x18\0\0\0\0\0\0", 12);
	memcpy(fadt + 184 - 36, "\x00\x10\x00\x00\x00\x00\x00\xfe\0\0\0\0", 12);
	store_le64(fadt + 140 - 36, 0x20000);
	table(0x7ffe0400, "FACP", fadt, sizeof(fadt));
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	EXPECT_EQ(a.pm1a_cnt, 0x1804);
	EXPECT_EQ(a.pm1b_cnt, 0); /* not a port */
	EXPECT(!a.sleep[5].valid);

	/* An ACPI 1.0 FADT has no reset register. */
	table(0x7ffe0400, "FACP", fadt, 116 - 36);
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	EXPECT_EQ(a.pm1a_cnt, 0x604);
	EXPECT(!a.reset_valid);
	EXPECT(a.sleep[5].valid);
}

/* 5.2.9: with HW_REDUCED_ACPI OSes use neither of the PM1 blocks, whatever the
 * FADT says of them, but sleep by registers of another kind. */
TEST(reduced_hardware_has_no_pm1)
{
	struct acpi a;

	machine_with(2);
	store_le32(fadt + 68 - 36, 0x704);
	store_le32(fadt + 112 - 36, 1 << 20 | 1 << 10);
	memcpy(fadt + 172 - 36, "\x01\x10\x00\x00\x04\x18\0\0\0\0\0\0", 12);
	table(0x7ffe0400, "FACP", fadt, sizeof(fadt));
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	EXPECT_EQ(a.pm1a_evt, 0);
	EXPECT_EQ(a.pm1a_cnt, 0);
	EXPECT_EQ(a.pm1b_cnt, 0);
	EXPECT(a.reset_valid);
}

TEST(sleep_packages)
{
	static const u8 forms[] = {
		/* one integer with both bytes */
		0x08,
		'_',
		'S',
		'1',
		'_',
		0x12,
		0x05,
		0x01,
		0x0b,
		0x03,
		0x05,
		/* two-byte PkgLength, dword */
		0x08,
		'_',
		'S',
		'3',
		'_',
		0x12,
		0x40,
		0x01,
		0x02,
		0x0c,
		5,
		0,
		0,
		0,
		0x0a,
		6,
		/* a second definition does not count */
		0x08,
		'_',
		'S',
		'3',
		'_',
		0x12,
		0x04,
		0x02,
		0x00,
		0x00,
		/* not integers, a method */
		0x08,
		'_',
		'S',
		'4',
		'_',
		0x12,
		0x06,
		0x02,
		0x0d,
		'a',
		0,
		0,
		0x14,
		0x08,
		'_',
		'S',
		'5',
		'_',
		0x00,
		0xa4,
		0x00,
		/* cut off by the table's end */
		0x08,
		'_',
		'S',
		'5',
		'_',
		0x12,
		0x06,
		0x02,
		0x0a,
		0x07,
		0x0b,
		7,
	};
	static u8 big[0x1000];
	struct acpi a;

	machine_with(2);
	table(0x7ffe0000, "DSDT", forms, sizeof(forms));
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	EXPECT(a.sleep[1].valid && a.sleep[3].valid);
	EXPECT_EQ(a.sleep[1].typ_a, 3);
	EXPECT_EQ(a.sleep[1].typ_b, 5);
	EXPECT_EQ(a.sleep[3].typ_a, 5);
	EXPECT_EQ(a.sleep[3].typ_b, 6);
	EXPECT(!a.sleep[4].valid && !a.sleep[5].valid);

	/* Wherever it lies in a table, also across our reads. */
	store_le32(fadt + 40 - 36, 0x30000);
	table(0x7ffe0400, "FACP", fadt, sizeof(fadt));
	for (u32 off = 200; off < 600; off++) {
		memset(big, 0xa3, sizeof(big));
		memcpy(big + off, dsdt + 30, 13); /* _S5 */
		table(0x30000, "DSDT", big, sizeof(big));
		EXPECT_EQ(acpi_parse(&mem, &a), 0);
		EXPECT(a.sleep[5].valid);
	}
}

TEST(sleep_in_an_ssdt)
{
	struct acpi a;

	machine_with(2);
	table(0x7ffe0000, "DSDT", dsdt, 6);
	table(0x7ffe0800, "SSDT", dsdt, sizeof(dsdt));
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	EXPECT(a.sleep[4].valid);
	EXPECT_EQ(a.sleep[4].typ_a, 2);
	EXPECT_EQ(a.ecam_base, 0);
}

/* What is none, is switched off or too short for one is no CPU: overrides of
 * interrupts may have odd numbers where CPUs have their flags. */
TEST(what_is_no_cpu)
{
	static const struct {
		u8 len;
		u8 bytes[16];
	} entry[] = {
		{ 8, { 0, 0, 0xe0, 0xfe, 1 } },
		{ 10, { 2, 10, 0, 9, 9, 0, 0, 0, 0xd } }, /* IRQ 9 */
		{ 16, { 16, 16, 0, 0, 1, 0, 0, 0, 1 } },
		{ 8, { 0, 8, 1, 6, 2 } }, /* may come later */
		{ 7, { 0, 7, 2, 7, 1 } },
		{ 15, { 9, 15, 0, 0, 8, 0, 0, 0, 1 } },
		{ 16, { 9, 16, 0, 0, 9, 0, 0, 0, 2 } },
		{ 2, { 3, 2 } },
		{ 8, { 0, 8, 5, 10, 1 } }, /* the only one */
		{ 1, { 0 } },		   /* ends the list */
		{ 9, { 1, 0, 8, 6, 11, 1 } },
	};
	u8 madt[128];
	u32 len = 0;
	struct acpi a;

	for (size_t i = 0; i < ARRAY_SIZE(entry); len += entry[i++].len)
		memcpy(madt + len, entry[i].bytes, entry[i].len);
	machine_with(2);
	table(0x7ffe0600, "APIC", madt, len);
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	EXPECT_EQ(a.cpu_count, 1);
	EXPECT_EQ(a.apic_ids[0], 10);
}

/* The first of segment 0 whose buses are in order. */
TEST(the_configuration_window_that_counts)
{
	u8 mcfg[8 + 4 * 16] = { 0 };
	static const struct {
		u64 base;
		u8 segment, first, last;
	} entry[] = {
		{ 0xa0000000, 1, 0, 255 },
		{ 0xb0000000, 0, 8, 7 },
		{ 0x1c0000000, 0, 7, 7 },
		{ 0xd0000000, 0, 0, 255 },
	};
	struct acpi a;

	for (u32 i = 0; i < 4; i++) {
		store_le64(mcfg + 8 + 16 * i, entry[i].base);
		mcfg[8 + 16 * i + 8] = entry[i].segment;
		mcfg[8 + 16 * i + 10] = entry[i].first;
		mcfg[8 + 16 * i + 11] = entry[i].last;
	}
	machine_with(2);
	table(0x7ffe0800, "MCFG", mcfg, sizeof(mcfg));
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	EXPECT_EQ(a.ecam_base, 0x1c0000000);
	EXPECT_EQ(a.ecam_first_bus, 7);
	EXPECT_EQ(a.ecam_last_bus, 7);
}

static u32 cpus_by_length(u32 len)
{
	struct acpi a;

	machine_with(2);
	store_le32(at(0x7ffe0600) + 4, len);
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	return a.cpu_count;
}

/* One with a length that nobody has is no table. */
TEST(believable_lengths)
{
	EXPECT_EQ(cpus_by_length(44 + 8 + 8), 2);
	EXPECT_EQ(cpus_by_length(0x400000), 3);
	EXPECT_EQ(cpus_by_length(0x400001), 0);
	EXPECT_EQ(cpus_by_length(0xffffffff), 0);
	EXPECT_EQ(cpus_by_length(35), 0);
	EXPECT_EQ(cpus_by_length(0), 0);
}

/* Whatever was read before: a package that the table's end cuts off is none. */
TEST(a_package_to_the_end_of_its_table)
{
	const u8 *name = dsdt + sizeof(dsdt) - 13;
	u8 body[256 + 13];
	struct acpi a;

	for (u32 n = 1; n < 13; n++) {
		machine_with(2);
		memset(body, 0xa3, sizeof(body));
		memcpy(body, name, 13);
		memset(body, 0xa3, n);
		memcpy(body + 256, name, n);
		table(0x7ffe0000, "DSDT", body, 256 + n);
		EXPECT_EQ(acpi_parse(&mem, &a), 0);
		/* Two of the four integers are looked at. */
		EXPECT_EQ(a.sleep[5].valid, n >= 11);
	}
}

/* A FADT with one register, and what became of it. */
static struct acpi with_register(u32 at_, const char *gas)
{
	struct acpi a;

	machine_with(2);
	memcpy(fadt + at_ - 36, gas, 12);
	table(0x7ffe0400, "FACP", fadt, sizeof(fadt));
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	return a;
}

TEST(registers_of_sleep)
{
	struct acpi a;

	a = with_register(148, "\x01\x20\0\0\0\x18\0\0\0\0\0\0");
	EXPECT_EQ(a.pm1a_evt, 0x1800);
	a = with_register(184, "\x01\x10\0\0\x04\x19\0\0\0\0\0\0");
	EXPECT_EQ(a.pm1b_cnt, 0x1904);
	a = with_register(172, "\x01\x10\0\0\xff\xff\0\0\0\0\0\0");
	EXPECT_EQ(a.pm1a_cnt, 0xffff);
	a = with_register(172, "\x01\x10\0\0\0\0\x01\0\0\0\0\0");
	EXPECT_EQ(a.pm1a_cnt, 0); /* past the last port */
	a = with_register(172, "\x00\x10\0\0\x04\x18\0\0\0\0\0\0");
	EXPECT_EQ(a.pm1a_cnt, 0); /* in memory */
	machine_with(2);
	store_le32(fadt + 68 - 36, 0x704);
	store_le32(fadt + 112 - 36, 0x80a5); /* no reset register */
	table(0x7ffe0400, "FACP", fadt, sizeof(fadt));
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	EXPECT_EQ(a.pm1b_cnt, 0x704);
	EXPECT(!a.reset_valid);
}

/* Nothing but Name, root or none, and _S0_ to _S5_; of a type three bits. */
TEST(names_of_sleep_states)
{
	static const struct {
		char name[6];
		bool is_one;
	} names[] = {
		{ "\x08_S5_", true },  { "\x08_S0_", true },
		{ "\x08_S6_", false }, { "\x08_S/_", false },
		{ "\x08_T5_", false }, { "\x08XS5_", false },
		{ "\x08_S5X", false }, { "\x14_S5_", false },
	};
	struct acpi a;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		u8 body[12] = { 0, 0, 0, 0, 0, 0x12, 6, 4, 0x0a, 13, 0x0a, 14 };
		bool found = false;

		memcpy(body, names[i].name, 5);
		machine_with(2);
		table(0x7ffe0000, "DSDT", body, sizeof(body));
		EXPECT_EQ(acpi_parse(&mem, &a), 0);
		for (u32 state = 0; state <= 5; state++) {
			if (!a.sleep[state].valid)
				continue;
			found = true;
			EXPECT_EQ(a.sleep[state].typ_a, 5);
			EXPECT_EQ(a.sleep[state].typ_b, 6);
		}
		EXPECT_EQ(found, names[i].is_one);
		EXPECT_EQ(a.sleep[0].valid, i == 1);
	}
	machine_with(2);
	at(0x7ffe0000)[0] = 'X'; /* not where the FADT says */
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	EXPECT(!a.sleep[5].valid);
}

/* Its extension has a sum of its own: without it only the RSDT counts. */
TEST(a_half_good_rsdp)
{
	struct acpi a;

	machine_with(2);
	rsdp(0xf5a40, 2, 0x7ffe0b00, 0x7ffe0a00);
	at(0xf5a40)[33]++;
	table(0x7ffe0a00, "XSDT", "", 0);
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	EXPECT_EQ(a.pm1a_cnt, 0x604);
	at(0xf5a40)[33]--;
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	EXPECT_EQ(a.pm1a_cnt, 0);
	rsdp(0xf5a40, 1, 0x7ffe0b00, 0x7ffe0a00); /* what follows is not its */
	at(0xf5a40)[33]++;
	EXPECT_EQ(acpi_parse(&mem, &a), 0);
	EXPECT_EQ(a.pm1a_cnt, 0x604);
}

TEST_MAIN(CASE(revision_2), CASE(revision_0), CASE(rsdp_places),
	  CASE(wrong_checksums_count), CASE(the_root_is_what_it_says),
	  CASE(lengths_are_bounded), CASE(more_cpus_than_we_take),
	  CASE(extended_fadt_fields), CASE(reduced_hardware_has_no_pm1),
	  CASE(sleep_packages), CASE(sleep_in_an_ssdt), CASE(what_is_no_cpu),
	  CASE(the_configuration_window_that_counts), CASE(believable_lengths),
	  CASE(a_package_to_the_end_of_its_table), CASE(registers_of_sleep),
	  CASE(names_of_sleep_states), CASE(a_half_good_rsdp))

/*
 * units: drivers/ata/command.c drivers/ata/identify.c
 */
#include <string.h>

#include "drivers/ata/identify.h"
#include "tests/unit/test.h"

/* Every code that may address user data, with its class: ATA-7, table 9. */
static const struct {
	u8 code, class;
	bool ext;
} user[] = {
	{ 0x20, ATA_PIO_IN, false },  { 0x21, ATA_PIO_IN, false },
	{ 0x24, ATA_PIO_IN, true },   { 0x25, ATA_DMA_IN, true },
	{ 0x29, ATA_PIO_IN, true },   { 0x30, ATA_PIO_OUT, false },
	{ 0x31, ATA_PIO_OUT, false }, { 0x34, ATA_PIO_OUT, true },
	{ 0x35, ATA_DMA_OUT, true },  { 0x39, ATA_PIO_OUT, true },
	{ 0x3C, ATA_PIO_OUT, false }, { 0x3D, ATA_DMA_OUT, true },
	{ 0x40, ATA_NONDATA, false }, { 0x41, ATA_NONDATA, false },
	{ 0x42, ATA_NONDATA, true },  { 0xC4, ATA_PIO_IN, false },
	{ 0xC5, ATA_PIO_OUT, false }, { 0xC8, ATA_DMA_IN, false },
	{ 0xC9, ATA_DMA_IN, false },  { 0xCA, ATA_DMA_OUT, false },
	{ 0xCB, ATA_DMA_OUT, false }, { 0xCE, ATA_PIO_OUT, true },
};

TEST(user_data_commands)
{
	u32 n = 0;

	for (u32 i = 0; i < 256; i++)
		n += ata_command(i)->policy == ATA_USER;
	EXPECT_EQ(n, ARRAY_SIZE(user));
	for (u32 i = 0; i < ARRAY_SIZE(user); i++) {
		const struct ata_command *c = ata_command(user[i].code);

		EXPECT_EQ(c->policy, ATA_USER);
		EXPECT_EQ(c->class, user[i].class);
		EXPECT_EQ(c->ext, user[i].ext);
	}
}

static enum ata_policy decide(u8 code, u8 features, bool queued)
{
	static const struct ata_options options;
	struct ata_taskfile tf = { .cur[ATA_FEATURES] = features };

	return ata_decide(&tf, code, &options, queued);
}

/* All that passes, by code; subcommand D0h is one of SMART's. Only logs and
 * lists of zones move any data, none of it the user's. */
TEST(passed_commands)
{
	static const u8 passed[] = {
		0x00, 0x03, 0x06, 0x08, 0x0B, 0x10, 0x27, 0x2F, 0x4A,
		0x70, 0x90, 0x91, 0x94, 0x95, 0x97, 0x98, 0x99, 0xB0,
		0xC6, 0xDA, 0xDE, 0xDF, 0xE0, 0xE1, 0xE2, 0xE3, 0xE5,
		0xE6, 0xE7, 0xEA, 0xEF, 0xF5, 0xF8,
	};
	u32 n = 0;

	for (u32 i = 0; i < 256; i++) {
		const struct ata_command *c = ata_command(i);

		if (decide(i, 0xD0, true) == ATA_PASS) {
			EXPECT(memchr(passed, (int)i, sizeof(passed)));
			n++;
		}
		if (c->policy == ATA_PASS && i != 0x2F && i != 0x4A)
			EXPECT_EQ(c->class, ATA_NONDATA);
		if (c->class == ATA_UNKNOWN)
			EXPECT_EQ(c->policy, ATA_REFUSE);
	}
	EXPECT_EQ(n, sizeof(passed));
}

/* SMART: no log pages out; SET FEATURES: no address offset; NCQ NON-DATA:
 * what aborts commands, or gives them a deadline, alone. */
TEST(subcommands)
{
	static const struct {
		u8 code, features, policy;
	} cases[] = {
		{ 0xB0, 0xCF, ATA_REFUSE }, { 0xB0, 0xD0, ATA_PASS },
		{ 0xB0, 0xD5, ATA_PASS },   { 0xB0, 0xD6, ATA_REFUSE },
		{ 0xB0, 0xD7, ATA_REFUSE }, { 0xB0, 0xD8, ATA_PASS },
		{ 0xB0, 0xDB, ATA_PASS },   { 0xB0, 0xDC, ATA_REFUSE },
		{ 0xEF, 0x09, ATA_REFUSE }, { 0xEF, 0x89, ATA_REFUSE },
		{ 0xEF, 0x0A, ATA_PASS },   { 0xEF, 0x8A, ATA_PASS },
		{ 0x63, 0x00, ATA_QUEUED }, { 0x63, 0x11, ATA_QUEUED },
		{ 0x63, 0x02, ATA_REFUSE },
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++)
		EXPECT_EQ(decide(cases[i].code, cases[i].features, true),
			  cases[i].policy);
	EXPECT_EQ(decide(0x63, 0, false), ATA_REFUSE);
	EXPECT_EQ(decide(0x60, 0, false), ATA_REFUSE);
	EXPECT_EQ(decide(0x60, 0, true), ATA_QUEUED);
}

TEST(options)
{
	static const u8 erase[] = { 0x9F, 0xB4, 0xF1, 0xF2, 0xF3, 0xF4, 0xF6 };
	const struct ata_options allow = { .erase = true };
	const struct ata_options no_trim = { .no_trim = true };
	struct ata_taskfile tf = { .cur = { 0 } };

	for (u32 i = 0; i < sizeof(erase); i++) {
		EXPECT_EQ(decide(erase[i], 0, false), ATA_REFUSE);
		EXPECT_EQ(ata_decide(&tf, erase[i], &allow, false), ATA_PASS);
	}
	EXPECT_EQ(decide(0x06, 0, false), ATA_PASS);
	EXPECT_EQ(ata_decide(&tf, 0x06, &no_trim, false), ATA_REFUSE);
}

/* A device shall not be told to begin a queued transfer at an offset: no HBA
 * of AHCI knows of any. */
TEST(no_offsets_of_dma)
{
	const struct ata_options options = { 0 };
	struct ata_taskfile tf = { .cur = { 0, 0x10, 0x01 } };

	EXPECT_EQ(ata_decide(&tf, 0xEF, &options, true), ATA_REFUSE);
	tf.cur[ATA_COUNT] = 0x02;
	EXPECT_EQ(ata_decide(&tf, 0xEF, &options, true), ATA_PASS);
	tf.cur[ATA_COUNT] = 0x01;
	tf.cur[ATA_FEATURES] = 0x90;
	EXPECT_EQ(ata_decide(&tf, 0xEF, &options, true), ATA_PASS);
}

TEST(ranges)
{
	struct ata_geometry g = { 16, 63 };
	struct ata_taskfile tf = {
		.cur = { 0, 0, 0x02, 0x33, 0x22, 0x11, 0xE4 },
		.hob = { 0, 0, 0x01, 0x66, 0x55, 0x44, 0 },
	};
	u64 lba;
	u32 count;

	EXPECT_EQ(ata_range(&tf, false, &g, &lba, &count), 0);
	EXPECT_EQ(lba, 0x4112233);
	EXPECT_EQ(count, 2);
	EXPECT_EQ(ata_range(&tf, true, &g, &lba, &count), 0);
	EXPECT_EQ(lba, 0x445566112233);
	EXPECT_EQ(count, 0x102);
	tf.cur[ATA_COUNT] = tf.hob[ATA_COUNT] = 0;
	EXPECT_EQ(ata_range(&tf, false, &g, &lba, &count), 0);
	EXPECT_EQ(count, 256);
	EXPECT_EQ(ata_range(&tf, true, &g, &lba, &count), 0);
	EXPECT_EQ(count, 65536);
}

/* ATA-7, 6.2.1: there is no address after the last one. */
TEST(ranges_that_end_too_late)
{
	struct ata_geometry g = { 16, 255 };
	struct ata_taskfile tf = {
		.cur = { 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xEF },
		.hob = { 0, 0, 0, 0xFF, 0xFF, 0xFF, 0 },
	};
	u64 lba;
	u32 count;

	EXPECT_EQ(ata_range(&tf, false, &g, &lba, &count), 0);
	EXPECT_EQ(lba, BIT(28) - 1);
	EXPECT_EQ(ata_range(&tf, true, &g, &lba, &count), 0);
	EXPECT_EQ(lba, BIT(48) - 1);
	tf.cur[ATA_COUNT] = 2;
	EXPECT(ata_range(&tf, false, &g, &lba, &count));
	EXPECT(ata_range(&tf, true, &g, &lba, &count));
	tf.cur[ATA_DEVICE] = 0xAF; /* the last cylinder; as a disk lies */
	EXPECT_EQ(ata_range(&tf, false, &g, &lba, &count), 0);
	g.heads = 0xFFFF;
	EXPECT(ata_range(&tf, false, &g, &lba, &count));
}

TEST(cylinder_head_sector)
{
	struct ata_geometry g = { 16, 63 }, none = { 0, 0 };
	struct ata_taskfile tf = { .cur = { 0, 0, 1, 1, 0, 0, 0xA0 } };
	u64 lba;
	u32 count;

	EXPECT_EQ(ata_range(&tf, false, &g, &lba, &count), 0);
	EXPECT_EQ(lba, 0);
	tf.cur[ATA_LBA_LOW] = 63;
	tf.cur[ATA_LBA_MID] = 0xFF;
	tf.cur[ATA_LBA_HIGH] = 0x3F; /* cylinder 16383 */
	tf.cur[ATA_DEVICE] = 0xAF;
	EXPECT_EQ(ata_range(&tf, false, &g, &lba, &count), 0);
	EXPECT_EQ(lba, 16384 * 16 * 63 - 1);
	EXPECT(ata_range(&tf, false, &none, &lba, &count));
	tf.cur[ATA_LBA_LOW] = 64;
	EXPECT(ata_range(&tf, false, &g, &lba, &count));
	tf.cur[ATA_LBA_LOW] = 0;
	EXPECT(ata_range(&tf, false, &g, &lba, &count));
	tf.cur[ATA_LBA_LOW] = 1;
	g.heads = 15;
	EXPECT(ata_range(&tf, false, &g, &lba, &count));
}

TEST(set_range_is_the_inverse)
{
	static const u64 lbas[] = { 0, BIT(28) - 256, 0xABCDEF12345,
				    BIT(48) - 65536 };
	struct ata_geometry g = { 0, 0 };
	struct ata_taskfile tf = { .cur[ATA_DEVICE] = 0xBF };
	u64 lba;
	u32 count;

	for (u32 i = 0; i < 4; i++) {
		ata_set_range(&tf, i > 1, lbas[i], i > 1 ? 65536 : 256);
		EXPECT_EQ(ata_range(&tf, i > 1, &g, &lba, &count), 0);
		EXPECT_EQ(lba, lbas[i]);
		EXPECT_EQ(count, i > 1 ? 65536 : 256);
		EXPECT_EQ(tf.cur[ATA_DEVICE] & 0x50, 0x50);
	}
}

static void put(u8 *data, u32 word, u16 v)
{
	data[2 * word] = (u8)v;
	data[2 * word + 1] = (u8)(v >> 8);
}

TEST(identity)
{
	u8 data[512] = { 0 };
	struct ata_identity id;

	memset(data + 54, ' ', 40);
	memcpy(data + 54, "EQUMH RADDSI K\1", 15);
	memset(data + 20, ' ', 20);
	memcpy(data + 20, "  MQ0000", 8);
	put(data, 1, 10);
	put(data, 3, 16);
	put(data, 6, 63);
	ata_identify_parse(data, &id);
	EXPECT(!strcmp(id.model, "QEMU HARDDISK"));
	EXPECT(!strcmp(id.serial, "QM0000"));
	EXPECT_EQ(id.sectors, 10 * 16 * 63);
	EXPECT_EQ(id.sector_size, 512);
	put(data, 49, 0x200);
	put(data, 60, 0x1234);
	put(data, 61, 0x0ABC);
	ata_identify_parse(data, &id);
	EXPECT_EQ(id.sectors, 0x0ABC1234);
	put(data, 83, 0x4400);
	put(data, 102, 1);
	put(data, 106, 0x5000);
	put(data, 117, 2048);
	ata_identify_parse(data, &id);
	EXPECT_EQ(id.sectors, BIT(32));
	EXPECT_EQ(id.sector_size, 4096);
	put(data, 117, 2049);
	ata_identify_parse(data, &id);
	EXPECT_EQ(id.sector_size, 0);
}

TEST(long_strings_fit)
{
	u8 data[512];
	struct ata_identity id;

	memset(data, 'x', sizeof(data));
	ata_identify_parse(data, &id);
	EXPECT_EQ(strlen(id.model), 40);
	EXPECT_EQ(strlen(id.serial), 20);
}

/* Zeros that the device gives after a TRIM come out of the cipher as noise. */
TEST(no_zeros_after_trim)
{
	const struct ata_options options = { 0 };
	u8 data[512] = { 0 };

	put(data, 69, 0x4020);
	put(data, 169, 1);
	ata_identify_adjust(data, &options, true);
	EXPECT_EQ(data[2 * 69] | data[2 * 69 + 1] << 8, 0x4000);
	EXPECT_EQ(data[2 * 169], 1);
}

TEST_MAIN(CASE(user_data_commands), CASE(passed_commands), CASE(subcommands),
	  CASE(options), CASE(no_offsets_of_dma), CASE(ranges),
	  CASE(ranges_that_end_too_late), CASE(cylinder_head_sector),
	  CASE(set_range_is_the_inverse), CASE(identity),
	  CASE(long_strings_fit), CASE(no_zeros_after_trim))

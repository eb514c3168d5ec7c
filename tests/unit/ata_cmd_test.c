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

#define has(codes, code) (memchr(codes, (int)(code), sizeof(codes)) != NULL)

/* ATA-7, table 9; ACS-2 and ACS-4. A device without a rule has all of them. */
TEST(what_each_command_moves)
{
	static const u8 pio_in[] = { 0x20, 0x21, 0x22, 0x23, 0x24,
				     0x29, 0x2B, 0x2F, 0x5C, 0x87,
				     0xA1, 0xB0, 0xC4, 0xE4, 0xEC };
	static const u8 pio_out[] = { 0x30, 0x31, 0x32, 0x33, 0x34, 0x38,
				      0x39, 0x3B, 0x3C, 0x3F, 0x50, 0x5E,
				      0x92, 0xB1, 0xC5, 0xCD, 0xCE, 0xE8,
				      0xF1, 0xF2, 0xF4, 0xF6 };
	static const u8 dma_in[] = { 0x25, 0x26, 0x2A, 0x47, 0x4A, 0x5D, 0x60,
				     0x65, 0xC7, 0xC8, 0xC9, 0xE9, 0xEE };
	static const u8 dma_out[] = { 0x06, 0x35, 0x36, 0x3A, 0x3D, 0x3E,
				      0x57, 0x5F, 0x61, 0x64, 0x93, 0xB6,
				      0xCA, 0xCB, 0xCC, 0xEB };
	static const u8 none[] = { 0x00, 0x03, 0x08, 0x0B, 0x10, 0x27, 0x37,
				   0x40, 0x41, 0x42, 0x45, 0x51, 0x5B, 0x63,
				   0x70, 0x90, 0x91, 0x94, 0x95, 0x96, 0x97,
				   0x98, 0x99, 0x9F, 0xB4, 0xC6, 0xDA, 0xDE,
				   0xDF, 0xE0, 0xE1, 0xE2, 0xE3, 0xE5, 0xE6,
				   0xE7, 0xEA, 0xEF, 0xF3, 0xF5, 0xF8, 0xF9 };

	for (u32 i = 0; i < 256; i++) {
		u8 class = ata_command(i)->class;

		EXPECT_EQ(class == ATA_NONDATA, has(none, i));
		EXPECT_EQ(class == ATA_PIO_IN, has(pio_in, i));
		EXPECT_EQ(class == ATA_PIO_OUT, has(pio_out, i));
		EXPECT_EQ(class == ATA_DMA_IN, has(dma_in, i));
		EXPECT_EQ(class == ATA_DMA_OUT, has(dma_out, i));
		EXPECT_EQ(class == ATA_PACKET, i == 0xA0 || i == 0xA2);
	}
}

/* The 48-bit feature set and what came after it. */
TEST(registers_two_deep)
{
	static const u8 ext[] = {
		0x06, 0x0B, 0x24, 0x25, 0x26, 0x27, 0x29, 0x2A, 0x2B, 0x2F,
		0x34, 0x35, 0x36, 0x37, 0x39, 0x3A, 0x3B, 0x3D, 0x3E, 0x3F,
		0x42, 0x45, 0x47, 0x4A, 0x51, 0x57, 0x60, 0x61, 0x63, 0x64,
		0x65, 0x96, 0x9F, 0xB4, 0xB6, 0xCE, 0xEA,
	};

	for (u32 i = 0; i < 256; i++)
		EXPECT_EQ(ata_command(i)->ext, has(ext, i));
}

/* SMART: no log pages out; SET FEATURES: no address offset, no PIO by bytes;
 * NCQ NON-DATA: what aborts commands, or gives them a deadline, alone. */
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
		{ 0xEF, 0x01, ATA_REFUSE }, { 0xEF, 0x81, ATA_PASS },
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
	static const struct {
		u64 lba;
		u32 count;
		bool ext;
		u8 device;
	} ranges[] = {
		{ 0, 256, false, 0xF0 },
		{ BIT(28) - 256, 256, false, 0xFF },
		{ 0x5A12345, 0x12, false, 0xF5 },
		{ 0xABCDEF12345, 0x1234, true, 0xF0 },
		{ BIT(48) - 65536, 65536, true, 0xF0 },
	};
	struct ata_geometry g = { 0, 0 };
	struct ata_taskfile tf = { .cur[ATA_DEVICE] = 0xBF };
	u64 lba;
	u32 count;

	for (u32 i = 0; i < ARRAY_SIZE(ranges); i++) {
		ata_set_range(&tf, ranges[i].ext, ranges[i].lba,
			      ranges[i].count);
		EXPECT_EQ(ata_range(&tf, ranges[i].ext, &g, &lba, &count), 0);
		EXPECT_EQ(lba, ranges[i].lba);
		EXPECT_EQ(count, ranges[i].count);
		EXPECT_EQ(tf.cur[ATA_DEVICE], ranges[i].device);
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
	ata_identify_parse(data, false, &id);
	EXPECT(!strcmp(id.model, "QEMU HARDDISK"));
	EXPECT(!strcmp(id.serial, "QM0000"));
	EXPECT_EQ(id.sectors, 10 * 16 * 63);
	EXPECT_EQ(id.sector_size, 512);
	put(data, 49, 0x200);
	put(data, 60, 0x1234);
	put(data, 61, 0x0ABC);
	ata_identify_parse(data, false, &id);
	EXPECT_EQ(id.sectors, 0x0ABC1234);
	put(data, 83, 0x4400);
	put(data, 102, 1);
	put(data, 106, 0x5000);
	put(data, 117, 2048);
	ata_identify_parse(data, false, &id);
	EXPECT_EQ(id.sectors, BIT(32));
	EXPECT_EQ(id.sector_size, 4096);
	put(data, 117, 2049);
	ata_identify_parse(data, false, &id);
	EXPECT_EQ(id.sector_size, 0);
}

TEST(long_strings_fit)
{
	u8 data[512];
	struct ata_identity id;

	memset(data, 'x', sizeof(data));
	memset(data + 20, 's', 20);
	memset(data + 54, 'm', 40);
	ata_identify_parse(data, false, &id);
	EXPECT(!strcmp(id.model, "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm"));
	EXPECT(!strcmp(id.serial, "ssssssssssssssssssss"));
}

TEST(what_makes_a_packet_device)
{
	static const struct {
		u16 word;
		u8 bytes;
		bool cd_dvd;
	} cases[] = {
		{ 0x8580, 12, true },  { 0x8581, 16, true },
		{ 0x8582, 12, true },  { 0x8583, 12, true },
		{ 0x8080, 12, false }, { 0x8481, 16, false },
		{ 0x9580, 12, false }, { 0xE580, 12, true },
	};
	u8 data[512] = { 0 };
	struct ata_identity id;

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		put(data, 0, cases[i].word);
		ata_identify_parse(data, true, &id);
		EXPECT_EQ(id.packet, cases[i].bytes);
		EXPECT_EQ(id.cd_dvd, cases[i].cd_dvd);
		EXPECT_EQ(id.lba, cases[i].cd_dvd);
		EXPECT_EQ(id.sector_size, 512);
	}
}

/* Words 83 and 106 count only if bits 15 and 14 are 0 and 1. */
TEST(sizes)
{
	static const struct {
		u16 word106;
		u32 words, bytes;
	} cases[] = {
		{ 0x5000, 256, 512 },	{ 0x5000, 1024, 2048 },
		{ 0x5000, 2304, 0 },	{ 0x5000, 128, 0 },
		{ 0x5000, 0, 0 },	{ 0x5000, 0x10100, 0 },
		{ 0x7FFF, 2048, 4096 }, { 0x4000, 2048, 512 },
		{ 0xD000, 2048, 512 },	{ 0x1000, 2048, 512 },
	};
	u8 data[512] = { 0 };
	struct ata_identity id;

	put(data, 49, 0x200);
	put(data, 55, 16);
	put(data, 56, 63);
	put(data, 60, 5);
	for (u32 i = 0; i < 4; i++)
		put(data, 100 + i, 0xFFFF);
	ata_identify_parse(data, false, &id);
	EXPECT(id.lba);
	EXPECT_EQ(id.geometry.heads, 16);
	EXPECT_EQ(id.geometry.sectors, 63);
	EXPECT_EQ(id.sectors, 5);
	put(data, 83, 0xC400);
	ata_identify_parse(data, false, &id);
	EXPECT_EQ(id.sectors, 5);
	put(data, 83, 0x7FFF);
	put(data, 49, 0xFDFF);
	ata_identify_parse(data, false, &id);
	EXPECT(!id.lba);
	EXPECT_EQ(id.sectors, BIT(48) - 1);
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		put(data, 106, cases[i].word106);
		put(data, 117, (u16)cases[i].words);
		put(data, 118, (u16)(cases[i].words >> 16));
		ata_identify_parse(data, false, &id);
		EXPECT_EQ(id.sector_size, cases[i].bytes);
	}
}

/* ACS-2, 7.18.7: bits of what is refused, of what passes if it may erase, of
 * NCQ and of TRIM. */
static const struct {
	u8 word;
	u16 refused, erase, ncq, trim;
} offers[] = {
	{ .word = 48, .refused = 0x0001 },
	{ .word = 59, .erase = 0xF000 },
	{ .word = 69, .refused = 0x0F28 },
	{ .word = 75, .ncq = 0xFFFF },
	{ .word = 76, .refused = 0x9800, .ncq = 0x0100 },
	{ .word = 77, .refused = 0x00F0 },
	{ .word = 78, .refused = 0x0002 },
	{ .word = 79, .refused = 0x0002 },
	{ .word = 82, .refused = 0x3400, .erase = 0x0002 },
	{ .word = 83, .refused = 0x0907 },
	{ .word = 84, .refused = 0x0690 },
	{ .word = 85, .refused = 0x3400, .erase = 0x0002 },
	{ .word = 86, .refused = 0x0907 },
	{ .word = 87, .refused = 0x0690 },
	{ .word = 119, .refused = 0x011C },
	{ .word = 120, .refused = 0x011C },
	{ .word = 128, .erase = 0xFFFF },
	{ .word = 169, .trim = 0x0001 },
	{ .word = 206, .refused = 0xFFFF },
	{ .word = 214, .refused = 0xFFFF },
};

TEST(nothing_is_offered_that_is_refused)
{
	for (u32 how = 0; how < 8; how++) {
		struct ata_options options = { .erase = how & 1,
					       .no_trim = how & 2 };
		u8 data[512], want[512];

		memset(data, 0xFF, sizeof(data));
		memset(want, 0xFF, sizeof(want));
		for (u32 i = 0; i < ARRAY_SIZE(offers); i++)
			put(want, offers[i].word,
			    (u16) ~(offers[i].refused |
				    (how & 1 ? 0 : offers[i].erase) |
				    (how & 2 ? offers[i].trim : 0) |
				    (how & 4 ? offers[i].ncq : 0)));
		ata_identify_adjust(data, &options, !(how & 4));
		EXPECT(!memcmp(data, want, sizeof(data)));
		if (!(how & 4))
			continue;
		data[2 * 49 + 1] = 0xFF;
		want[2 * 49 + 1] = 0x9F; /* overlap, queued commands */
		ata_identify_adjust_packet(data, &options);
		EXPECT(!memcmp(data, want, sizeof(data)));
	}
}

/* ACS-2, 7.18.7.86: all bytes add up to 0, if there is a checksum. */
TEST(the_checksum_is_right_again)
{
	const struct ata_options options = { 0 };
	u8 data[512], sum = 0;

	memset(data, 0x3D, sizeof(data));
	data[510] = 0xA5;
	ata_identify_adjust(data, &options, true);
	for (u32 i = 0; i < 512; i++)
		sum += data[i];
	EXPECT_EQ(sum, 0);
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

TEST_MAIN(CASE(user_data_commands), CASE(passed_commands),
	  CASE(what_each_command_moves), CASE(registers_two_deep),
	  CASE(subcommands), CASE(options), CASE(no_offsets_of_dma),
	  CASE(ranges), CASE(ranges_that_end_too_late),
	  CASE(cylinder_head_sector), CASE(set_range_is_the_inverse),
	  CASE(identity), CASE(long_strings_fit), CASE(no_zeros_after_trim),
	  CASE(what_makes_a_packet_device), CASE(sizes),
	  CASE(nothing_is_offered_that_is_refused),
	  CASE(the_checksum_is_right_again))

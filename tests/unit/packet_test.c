/*
 * PACKET commands: MMC-6 and SPC-4.
 *
 * units: drivers/ata/packet.c drivers/ata/command.c
 */
#include <string.h>

#include "drivers/ata/packet.h"
#include "tests/unit/test.h"

static struct packet decide(const char *hex)
{
	u8 cdb[PACKET_CDB_MAX] = { 0 };
	struct packet p;
	unsigned int byte;
	int n;

	for (int i = 0; sscanf(hex, "%2x%n", &byte, &n) == 1; hex += n)
		cdb[i++] = (u8)byte;
	packet_decide(cdb, &p);
	return p;
}

TEST(user_data)
{
	/* form, direction, LBA and sectors of 2,048 bytes */
	static const struct {
		const char *cdb;
		u8 direction;
		u32 lba, count;
	} user[] = {
		{ "28 00 00012345 00 0001 00", PACKET_IN, 0x12345, 1 },
		{ "28 08 3FFFFFFF 00 4000 00", PACKET_IN, 0x3FFFFFFF, 0x4000 },
		/* byte 6 belongs to the length in READ CD, not here */
		{ "28 00 00000010 1F 0001 00", PACKET_IN, 16, 1 },
		{ "A8 00 00000010 00000020 80 00", PACKET_IN, 16, 32 },
		{ "A8 00 00000010 00004000 00 00", PACKET_IN, 16, 0x4000 },
		{ "2A 00 01020304 00 0102 00", PACKET_OUT, 0x1020304, 0x102 },
		{ "AA 00 01020304 00000102 00", PACKET_OUT, 0x1020304, 0x102 },
		{ "2E 00 01020304 00 0102 00", PACKET_OUT, 0x1020304, 0x102 },
		{ "BE 08 00000010 000003 10 00 00", PACKET_IN, 16, 3 },
		{ "BE 10 00000010 000103 10 00 00", PACKET_IN, 16, 0x103 },
		/* a logical unit (SFF-8020i), and bits that are reserved */
		{ "BE 28 00000010 000003 10 F8 00", PACKET_IN, 16, 3 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(user); i++) {
		struct packet p = decide(user[i].cdb);

		EXPECT_EQ(p.policy, PACKET_USER);
		EXPECT_EQ(p.direction, user[i].direction);
		EXPECT_EQ(p.lba, user[i].lba * 4ULL);
		EXPECT_EQ(p.count, user[i].count * 4);
	}
}

TEST(refused_forms)
{
	static const struct {
		const char *cdb;
		u8 asc;
	} refused[] = {
		{ "28 01 00000010 00 0001 00", 0x24 }, /* RELADR */
		{ "28 00 40000000 00 0001 00", 0x21 },
		{ "2A 00 FFFFFF6A 00 0001 00", 0x21 }, /* lead-in */
		{ "28 00 00000010 00 4001 00", 0x24 }, /* over 32 MiB */
		{ "A8 00 00000010 40000001 00", 0x24 },
		{ "BE 08 00000010 010001 10 00", 0x24 },
		{ "BE 00 00000010 000001 10 00", 0x64 }, /* any type */
		{ "BE 04 00000010 000001 10 00", 0x64 }, /* audio */
		{ "BE 0C 00000010 000001 10 00", 0x64 }, /* mode 2 */
		{ "BE 14 00000010 000001 10 00", 0x64 }, /* form 2 */
		{ "BE 08 00000010 000001 F8 00", 0x24 }, /* raw */
		{ "BE 08 00000010 000001 18 00", 0x24 }, /* with ECC */
		{ "BE 08 00000010 000001 12 00", 0x24 }, /* with C2 */
		{ "BE 08 00000010 000001 10 01", 0x24 }, /* sub-channel */
		{ "BE 08 00000010 000001 00 00", 0x24 },
		{ "2F 02 00000010 00 0001 00", 0x24 }, /* sends data */
		{ "B9 08 00 000200 000300 10 00", 0x20 },
		{ "08 00 0010 01", 0x20 },
		{ "0A 00 0010 01", 0x20 },
		{ "04 10", 0x20 },
		{ "A1 01", 0x20 },
		{ "3B 00", 0x20 },
		{ "3C 00", 0x20 },
		{ "A3 00", 0x20 },
		{ "5D 00", 0x20 },
		{ "88 00", 0x20 },
		{ "D8 00", 0x20 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct packet p = decide(refused[i].cdb);

		EXPECT_EQ(p.policy, PACKET_REFUSE);
		EXPECT_EQ(p.direction, PACKET_NONE);
		EXPECT_EQ(p.sense.key, 5);
		EXPECT_EQ(p.sense.asc, refused[i].asc);
	}
}

/* No transfer, whatever the table says of the command. */
TEST(no_sectors)
{
	EXPECT_EQ(decide("28 00 00000010 00 0000").policy, PACKET_PASS);
	EXPECT_EQ(decide("28 00 00000010 00 0000").direction, PACKET_NONE);
	EXPECT_EQ(decide("AA 00 00000010 00000000").policy, PACKET_PASS);
	EXPECT_EQ(decide("AA 00 00000010 00000000").direction, PACKET_NONE);
}

/* All that passes, by code; everything else is user data or refused. */
TEST(passed)
{
	static const u8 in[] = { 0x12, 0x1A, 0x23, 0x25, 0x42, 0x43, 0x44,
				 0x46, 0x4A, 0x4D, 0x51, 0x52, 0x5A, 0x5C,
				 0xA0, 0xA4, 0xAC, 0xAD, 0xBD };
	static const u8 out[] = { 0x15, 0x54, 0x55, 0xB6 };
	static const u8 none[] = { 0x00, 0x01, 0x1B, 0x1E, 0x2B, 0x2F, 0x35,
				   0x45, 0x47, 0x4B, 0x4E, 0x53, 0x58, 0x5B,
				   0xA5, 0xA6, 0xA7, 0xBA, 0xBB };
	u32 n = 0;

	for (u32 i = 0; i < 256; i++) {
		u8 cdb[PACKET_CDB_MAX] = { (u8)i, 0, 0, 0, 0, 0, 0, 1, 1, 1 };
		struct packet p;

		packet_decide(cdb, &p);
		if (p.policy != PACKET_PASS)
			continue;
		n++;
		if (p.direction == PACKET_IN)
			EXPECT(memchr(in, (int)i, sizeof(in)));
		else if (p.direction == PACKET_OUT)
			EXPECT(memchr(out, (int)i, sizeof(out)));
		else
			EXPECT(memchr(none, (int)i, sizeof(none)));
	}
	EXPECT_EQ(n, sizeof(in) + sizeof(out) + sizeof(none));
	EXPECT_EQ(decide("03 00 00 00 12").policy, PACKET_SENSE);
}

/* Vital product data, descriptors, and what need not be waited for. */
TEST(bit_0_of_other_commands)
{
	EXPECT_EQ(decide("03 01 00 00 12").policy, PACKET_SENSE);
	EXPECT_EQ(decide("12 01 80 00 24").policy, PACKET_PASS);
	EXPECT_EQ(decide("1B 01 00 00 02").policy, PACKET_PASS);
	EXPECT_EQ(decide("55 11 00000000 00 003C").policy, PACKET_PASS);
	EXPECT_EQ(decide("2F 01 00000010 00 0001").policy, PACKET_PASS);
}

TEST(replacement_is_refused_itself)
{
	u8 cdb[PACKET_CDB_MAX];
	struct packet p;

	memset(cdb, 0xFF, sizeof(cdb));
	packet_replace(cdb);
	packet_decide(cdb, &p);
	EXPECT_EQ(p.policy, PACKET_REFUSE);
	EXPECT_EQ(p.sense.asc, 0x20);
	for (int i = 1; i < PACKET_CDB_MAX; i++)
		EXPECT_EQ(cdb[i], 0);
}

static enum ata_policy ata_policy_of(u8 code)
{
	static const struct ata_options options;
	static const struct ata_taskfile tf;

	return packet_ata_policy(code, ata_decide(&tf, code, &options, true));
}

TEST(ata_commands)
{
	EXPECT_EQ(ata_policy_of(0xA0), ATA_CDB);
	EXPECT_EQ(ata_policy_of(0xA1), ATA_IDENTIFY);
	EXPECT_EQ(ata_policy_of(0xA2), ATA_REFUSE); /* SERVICE */
	EXPECT_EQ(ata_policy_of(0x20), ATA_REFUSE);
	EXPECT_EQ(ata_policy_of(0xCA), ATA_REFUSE);
	EXPECT_EQ(ata_policy_of(0x60), ATA_REFUSE);
	EXPECT_EQ(ata_policy_of(0xFA), ATA_REFUSE);
	EXPECT_EQ(ata_policy_of(0xEC), ATA_IDENTIFY);
	EXPECT_EQ(ata_policy_of(0xEF), ATA_PASS);
	EXPECT_EQ(ata_policy_of(0x08), ATA_PASS);
}

TEST(sense_fixed_format)
{
	static const struct packet_sense ours = { 0x0B, 0x64, 0x03 };
	u8 sense[18] = { 0xF0, 0, 0x25, 1, 2, 3, 4, 10, [12] = 0x20 };
	u8 others[][18] = {
		{ 0x70, 0, 0x06, [7] = 10, [12] = 0x28 },
		{ 0x70, 0, 0x06, [7] = 10, [12] = 0x20 },
		{ 0x70, 0, 0x05, [7] = 10, [12] = 0x21 },
		{ 0x71, 0, 0x05, [7] = 10, [12] = 0x20 }, /* deferred */
	};
	u8 was[18];

	packet_sense_fix(&ours, sense, 18);
	EXPECT_EQ(sense[0], 0xF0);
	EXPECT_EQ(sense[2], 0x2B);
	EXPECT_EQ(sense[12], 0x64);
	EXPECT_EQ(sense[13], 0x03);
	EXPECT_EQ(sense[7], 10);
	/* another reason, or not enough to tell */
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		memcpy(was, others[i], 18);
		packet_sense_fix(&ours, others[i], 18);
		EXPECT(!memcmp(was, others[i], 18));
	}
	memset(sense, 0, sizeof(sense));
	sense[0] = 0x70;
	sense[2] = 5;
	sense[12] = 0x20;
	packet_sense_fix(&ours, sense, 13);
	EXPECT_EQ(sense[2], 5);
	packet_sense_fix(&ours, sense + 18, 0);
	sense[13] = 1;
	packet_sense_fix(&ours, sense, 18);
	EXPECT_EQ(sense[2], 5);
	sense[13] = 0;
	sense[2] = 0xE5; /* with what is told of tapes */
	packet_sense_fix(&(struct packet_sense){ 2, 0x3A, 1 }, sense, 14);
	EXPECT_EQ(sense[2], 0xE2);
	EXPECT_EQ(sense[12], 0x3A);
	EXPECT_EQ(sense[13], 1);
}

TEST(sense_descriptor_format)
{
	static const struct packet_sense ours = { 0x05, 0x24, 0x00 };
	u8 sense[8] = { 0x72, 0x05, 0x20, 0 };

	packet_sense_fix(&ours, sense, 3);
	EXPECT_EQ(sense[2], 0x20);
	packet_sense_fix(&ours, sense, 4);
	EXPECT_EQ(sense[1], 0x05);
	EXPECT_EQ(sense[2], 0x24);
	/* deferred, of another command; and of a maker's own format */
	for (u8 code = 0x71; code < 0x80; code++) {
		if (code == 0x72)
			continue;
		sense[0] = code;
		sense[2] = 0x20;
		packet_sense_fix(&ours, sense, 8);
		EXPECT_EQ(sense[2], 0x20);
	}
}

TEST(ends_and_limits)
{
	EXPECT(packet_moved(0x10)); /* RECOVERED ERROR */
	EXPECT(packet_moved(0x34));
	EXPECT(packet_moved(0x54));
	EXPECT(!packet_moved(0x24));
	EXPECT(!packet_moved(0x64));
	EXPECT_EQ(packet_limit(0), 0);
	EXPECT_EQ(packet_limit(96), 96);
	EXPECT_EQ(packet_limit(511), 511);
	EXPECT_EQ(packet_limit(512), 512);
	EXPECT_EQ(packet_limit(2047), 1536);
	EXPECT_EQ(packet_limit(2048), 2048);
	EXPECT_EQ(packet_limit(0xFFFE), 0xFE00);
	EXPECT_EQ(packet_limit(0xFFFF), 0xFE00);
}

TEST_MAIN(CASE(user_data), CASE(refused_forms), CASE(no_sectors), CASE(passed),
	  CASE(bit_0_of_other_commands), CASE(replacement_is_refused_itself),
	  CASE(ata_commands), CASE(sense_fixed_format),
	  CASE(sense_descriptor_format), CASE(ends_and_limits))

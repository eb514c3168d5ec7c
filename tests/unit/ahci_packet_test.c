/*
 * A protected CD drive at an AHCI port, against the model: as ide_packet_test
 * on IDE.
 *
 * units: drivers/ata/command.c drivers/ata/identify.c drivers/ata/ahci_command.c drivers/ata/ahci_done.c drivers/ata/ahci_identify.c drivers/ata/ahci_packet.c drivers/ata/packet.c drivers/ata/ahci_port.c core/io/sg.c tests/unit/ahci_model.c tests/unit/model_memory.c tests/unit/toy_filter.c
 */
#include <string.h>

#include "core/io/mmio.h"
#include "core/lib/bytes.h"
#include "core/lib/range.h"
#include "drivers/ata/ahci.h"
#include "tests/unit/ahci_model.h"
#include "tests/unit/test.h"
#include "tests/unit/toy_filter.h"

/* The guest's memory. */
#define LIST	0x4000u
#define FRAMES	0x5000u
#define TABLE	0x10000u
#define DATA	0x100000u
#define KEEP	0x300000u
#define SECTORS 1000
#define FIRST	200 /* protected from here on, in units */

static struct ahci_port port, *const p = &port;
static struct lock attach_lock;
static struct ata_options options = { .bounce_kib = 64 };
static struct model_disk *const drive = &model.port[0].disk;
static u8 plain[SECTORS * 2048];
static struct block_id seen;

static struct block_dev dev = { 512, FIRST, ~0ULL, ~0ULL };
static struct block_filter filter;

static u8 key(u64 lba, u32 i)
{
	return xor_key(&dev, lba, i);
}

static struct block_dev *attach(const struct block_id *id)
{
	seen = *id;
	return &dev;
}

/* ---- the machine and its guest ---- */

static u32 in(u32 reg)
{
	return ahci_port_read(p, reg);
}

static void out(u32 reg, u32 v)
{
	ahci_port_write(p, reg, v);
}

static void start(void)
{
	out(PxCMD, PxCMD_FRE);
	for (int i = 0; i < 1000 && in(PxCMD)&PxCMD_CR; i++)
		;
	out(PxCLB, LIST);
	out(PxFB, FRAMES);
	out(PxIS, ~0u);
	out(PxCMD, PxCMD_FRE | PxCMD_ST);
}

static void machine(void)
{
	model_init();
	drive->atapi = true;
	drive->sector = 2048;
	model.port[0].sig = PxSIG_ATAPI;
	for (u32 i = 0; i < sizeof(plain); i++) {
		plain[i] = (u8)model_random();
		drive->data[i] = plain[i] ^ key(i / 512, i % 512);
	}
	memset(p, 0, sizeof(*p));
	filter = xor_filter;
	filter.attach = attach;
	p->filter = &filter;
	p->options = &options;
	p->attach_lock = &attach_lock;
	p->id = (struct block_id){ .bus = "ahci" };
	p->wide = p->queues = true;
	p->slots = 32;
	p->spins = 100000;
	p->base = MODEL_ABAR + HBA_PORT0;
	EXPECT_EQ(ahci_port_start(p), 0);
	EXPECT(p->identified && p->dev);
	start();
}

struct command {
	u8 cdb[12];
	bool write;
	u32 bytes, most; /* the longest piece of memory */
	bool gaps;	 /* between the pieces */
};

static u32 make_list(const struct command *c)
{
	u32 n = 0, at = DATA, left = c->bytes;

	while (left) {
		u32 len = 2 +
			  model_random() % (c->most ? c->most : 60000) / 2 * 2;
		u8 *prd = model.memory + TABLE + 0x80 + 16 * n++;

		len = c->bytes < 64 ? left : (u32)min_u64(len, left);
		store_le64(prd, at);
		store_le32(prd + 8, 0);
		store_le32(prd + 12, len - 1);
		at += len + (c->gaps ? 2 : 0);
		left -= len;
	}
	return n;
}

static void issue(const struct command *c)
{
	u8 *h = model.memory + LIST, *t = model.memory + TABLE;

	memset(h, 0, 32);
	memset(t, 0, 0x80);
	h[0] = (u8)(5 | 0x20 | c->write << 6);
	store_le16(h + 2, (u16)make_list(c));
	store_le32(h + 8, TABLE);
	t[0] = 0x27;
	t[1] = 0x80;
	t[2] = 0xA0;
	t[3] = 1 | 4 | 2; /* by DMA; overlapped, too, which does not pass */
	store_le16(t + 5, 0x1234);
	memcpy(t + 0x40, c->cdb, 12);
	out(PxCI, 1);
}

/* The error register; all ones if the command does not end. The port goes on
 * as after an OS's recovery. */
static u32 run(const struct command *c)
{
	u32 tfd = 0;
	int i;

	issue(c);
	for (i = 0; i < 100000 && in(PxCI)&1; i++)
		if ((tfd = in(PxTFD)) & 1)
			break;
	tfd = in(PxTFD);
	start();
	return i == 100000 ? ~0u : tfd & 1 ? tfd >> 8 & 0xFF : 0;
}

static struct command transfer(u8 code, u32 lba, u32 count)
{
	struct command c = {
		.cdb = { code, [4] = (u8)(lba >> 8), [5] = (u8)lba },
	};

	c.cdb[code == 0xA8 || code == 0xAA ? 9 : 8] = (u8)count;
	if (code == 0xBE) {
		c.cdb[1] = 0x08;
		c.cdb[9] = 0x10;
	}
	c.write = code == 0x2A || code == 0xAA;
	c.bytes = count * 2048;
	return c;
}

static u8 *place(const struct command *c)
{
	return plain + (c->cdb[4] << 8 | c->cdb[5]) * 2048;
}

static void fill(u32 bytes)
{
	for (u32 i = 0; i < bytes; i++)
		model.memory[DATA + i] = (u8)model_random();
	memcpy(model.memory + KEEP, model.memory + DATA, bytes);
}

static bool disc_right(void)
{
	for (u32 i = 0; i < sizeof(plain); i++)
		if (drive->data[i] != (plain[i] ^ key(i / 512, i % 512)))
			return false;
	return !model.stopping && !model.mixed;
}

/* Key, ASC and ASCQ as one number. */
static u32 sense(void)
{
	struct command c = { .cdb = { 0x03, [4] = 18 }, .bytes = 18 };
	u8 *data = model.memory + DATA;

	EXPECT_EQ(run(&c), 0);
	return data[2] << 16 | data[12] << 8 | data[13];
}

/* ---- the tests ---- */

TEST(who_it_is)
{
	machine();
	EXPECT(!strcmp(seen.model, "MODEL DISK"));
	EXPECT_EQ(seen.sector_size, 512);
	EXPECT_EQ(seen.sectors, 0);
	EXPECT_EQ(p->sector_size, 512);
}

TEST(user_data_all_forms)
{
	static const u8 codes[] = { 0x28, 0xA8, 0xBE, 0x2A, 0xAA };

	machine();
	for (int i = 0; i < 300 && !test_failures; i++) {
		u32 count = 1 + model_random() % 30;
		u32 lba =
			i % 3 ? model_random() % (SECTORS - 30) : FIRST / 4 - 1;
		struct command c =
			transfer(codes[model_random() % 5], lba, count);

		c.most = i % 2 ? 1000 : 0;
		fill(c.bytes);
		if (c.write)
			memcpy(place(&c), model.memory + DATA, c.bytes);
		EXPECT_EQ(run(&c), 0);
		EXPECT(!memcmp(place(&c), model.memory + DATA, c.bytes));
		EXPECT_EQ(load_le32(model.memory + LIST + 4), c.bytes);
	}
	EXPECT(disc_right());
}

static u32 refused(const char *cdb)
{
	struct command c = { .bytes = 4096 };

	memcpy(c.cdb, cdb, 12);
	fill(4096);
	EXPECT_EQ(run(&c), 0x54);
	EXPECT_EQ(drive->cdb[0], 0x1F);
	EXPECT(!memcmp(model.memory + KEEP, model.memory + DATA, 4096));
	return sense();
}

TEST(refused_with_sense)
{
	machine();
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(refused("\xD8\0\0\0\0\x50\0\0\0\1\0\0"), 0x052000);
		EXPECT_EQ(refused("\xBE\0\0\0\0\x50\0\0\1\xF8\0\0"), 0x052400);
		EXPECT_EQ(refused("\xBE\4\0\0\0\x50\0\0\1\x10\0\0"), 0x056400);
		EXPECT_EQ(refused("\x2A\0\xFF\xFF\xFF\x6A\0\0\1\0\0\0"),
			  0x052100);
		EXPECT_EQ(sense(), 0); /* once only */
		model.lax = true;
	}
	EXPECT(disc_right());
}

/* What looks like sense data lies where an earlier command had its list. */
TEST(a_request_sense_without_data)
{
	struct command c = { .cdb = { 0x03, [4] = 18 }, .bytes = 18 };
	u8 *data = model.memory + DATA;

	machine();
	EXPECT_EQ(refused("\xBE\0\0\0\0\x50\0\0\1\xF8\0\0"), 0x052400);
	EXPECT_EQ(run(&(struct command){ .cdb = { 0xBE, [9] = 0xF8 } }), 0x54);
	memset(data, 0, 18);
	data[0] = 0x70;
	data[2] = 5;
	data[7] = 10;
	data[12] = 0x20;
	c.cdb[4] = c.bytes = 0;
	EXPECT_EQ(run(&c), 0);
	EXPECT_EQ(data[12], 0x20);
}

TEST(what_passes)
{
	struct command c = { .cdb = { 0x12, [4] = 36 },
			     .bytes = 96,
			     .most = 2 };

	machine();
	fill(96);
	EXPECT_EQ(run(&c), 0);
	for (u32 i = 0; i < 36; i++)
		EXPECT_EQ(model.memory[DATA + i], 0x12);
	EXPECT(!memcmp(model.memory + KEEP + 36, model.memory + DATA + 36, 60));
	c = (struct command){ .cdb = { 0x00 }, .bytes = 96 };
	EXPECT_EQ(run(&c), 0);
	EXPECT_EQ(model.port[0].slot[0].prds, 0); /* it has no data */
	c = (struct command){ .cdb = { 0x46, [8] = 8 }, .bytes = 8 };
	EXPECT_EQ(run(&c), 0x54); /* by the drive itself */
	EXPECT_EQ(drive->cdb[0], 0x46);
	EXPECT_EQ(sense(), 0x052000);
	EXPECT_EQ(drive->features, 5);
	EXPECT_EQ(drive->limit, 0x1234);
	/* also after one that was refused with another reason */
	EXPECT_EQ(run(&(struct command){ .cdb = { 0xBE, [9] = 0xF8 } }), 0x54);
	EXPECT_EQ(run(&c), 0x54);
	EXPECT_EQ(sense(), 0x052000);
}

TEST(media_change_is_told_first)
{
	struct command c = transfer(0x28, 80, 4);

	machine();
	drive->attention = true;
	fill(c.bytes);
	EXPECT_EQ(run(&c), 0x64);
	EXPECT(!memcmp(model.memory + KEEP, model.memory + DATA, c.bytes));
	EXPECT_EQ(sense(), 0x062800);
	EXPECT_EQ(run(&c), 0);
	EXPECT(!memcmp(place(&c), model.memory + DATA, c.bytes));
}

/* What is before the bad sector is good, what is after is as it was. */
TEST(media_errors)
{
	struct command c = transfer(0x28, 90, 10);

	machine();
	drive->bad_lba = 95;
	for (int i = 0; i < 60; i++) {
		model.lax = i & 1;
		c.most = i & 2 ? 700 : 0;
		fill(c.bytes);
		EXPECT_EQ(run(&c), 0x34);
		EXPECT(!memcmp(place(&c), model.memory + DATA, 5 * 2048));
		EXPECT(!memcmp(model.memory + KEEP + 5 * 2048,
			       model.memory + DATA + 5 * 2048, 5 * 2048));
		EXPECT_EQ(sense(), 0x031100);
	}
	c = transfer(0x2A, 90, 10);
	fill(c.bytes);
	memcpy(place(&c), model.memory + DATA, 5 * 2048);
	EXPECT_EQ(run(&c), 0x34);
	EXPECT(disc_right());
}

TEST(lists_that_cannot_be_used)
{
	struct command c = transfer(0x2A, 80, 40); /* more than the bounce */

	machine();
	EXPECT_EQ(run(&c), 0x54);
	EXPECT_EQ(sense(), 0x0B4B00);
	c = transfer(0x28, 80, 4);
	c.most = 2;
	c.gaps = true; /* more pieces than a list of ours has */
	EXPECT_EQ(run(&c), 0x54);
	EXPECT_EQ(sense(), 0x0B4B00);
	c.bytes = 2048; /* too short */
	c.most = c.gaps = 0;
	EXPECT_EQ(run(&c), 0x54);
	EXPECT_EQ(sense(), 0x0B4B00);
	EXPECT(disc_right());
}

/* After a stop nothing of the command touches memory any more. */
TEST(stopped_in_the_middle)
{
	struct command c = transfer(0x28, 80, 20);

	machine();
	for (int i = 0; i < 60; i++) {
		model.lax = i & 2;
		issue(&c);
		for (u32 n = model_random() % 12; n; n--)
			model_tick();
		start();
		fill(c.bytes);
		for (int n = 0; n < 100; n++)
			in(i & 1 ? PxIS : PxCI);
		EXPECT(!memcmp(model.memory + KEEP, model.memory + DATA,
			       c.bytes));
		EXPECT_EQ(run(&c), 0);
		EXPECT(!memcmp(place(&c), model.memory + DATA, c.bytes));
	}
}

TEST(ata_commands_are_refused)
{
	static const u8 codes[] = { 0x20, 0x25, 0xCA, 0x60, 0xA2, 0x92 };
	struct command c = { .bytes = 512 };

	machine();
	for (size_t i = 0; i < sizeof(codes); i++) {
		issue(&(struct command){ .cdb = { 0 } });
		start();
		make_list(&c);
		model.memory[LIST + 2] = 1;
		model.memory[TABLE + 2] = codes[i];
		model.commands = 0;
		out(PxCI, 1);
		for (int n = 0; n < 2000 && !(in(PxTFD)&1); n++)
			;
		EXPECT_EQ(in(PxTFD), 0x451);
		EXPECT_EQ(model.port[0].slot[0].code, 0);
		start();
	}
}

/* Its sectors would be of another size, and nothing says which. */
TEST(a_packet_device_that_is_no_cd_drive)
{
	struct command c = transfer(0x28, 80, 4);

	machine();
	drive->no_disc = true;
	model_plug(0, true, "ZIP");
	out(PxSERR, ~0u);
	EXPECT_EQ(run(&c), 0x54);
	EXPECT_EQ(drive->cdb[0], 0x1F);
	EXPECT_EQ(sense(), 0x052400);
	EXPECT_EQ(p->sector_size, 0);
}

/* No overlap and no queues. */
TEST(identify_is_adjusted)
{
	struct command c = { .bytes = 512 };

	machine();
	EXPECT_EQ(run(&(struct command){ .cdb = { 0 } }), 0);
	make_list(&c);
	model.memory[LIST + 2] = 1;
	model.memory[TABLE + 2] = 0xA1;
	out(PxCI, 1);
	for (int n = 0; n < 2000 && in(PxCI); n++)
		;
	EXPECT_EQ(in(PxCI), 0);
	EXPECT_EQ(load_le16(model.memory + DATA), 0x85C0);
	EXPECT_EQ(load_le16(model.memory + DATA + 2 * 49), 0x0B00);
	EXPECT_EQ(load_le16(model.memory + DATA + 2 * 75), 0);
}

TEST_MAIN(CASE(who_it_is), CASE(user_data_all_forms), CASE(refused_with_sense),
	  CASE(a_request_sense_without_data), CASE(what_passes),
	  CASE(media_change_is_told_first), CASE(media_errors),
	  CASE(lists_that_cannot_be_used), CASE(stopped_in_the_middle),
	  CASE(ata_commands_are_refused),
	  CASE(a_packet_device_that_is_no_cd_drive), CASE(identify_is_adjusted))

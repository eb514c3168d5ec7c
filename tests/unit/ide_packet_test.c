/*
 * A protected CD drive against the model: the disc holds ciphertext, the guest
 * sees what it wrote, and what may not reach the drive does not. Writing is
 * shown only here: the emulators' drives read.
 *
 * units: drivers/ata/command.c drivers/ata/packet.c drivers/ata/identify.c drivers/ata/ide_channel.c drivers/ata/ide_dma.c drivers/ata/ide_pio.c drivers/ata/ide_packet.c core/io/port.c core/io/sg.c tests/unit/ide_model.c tests/unit/model_memory.c tests/unit/ide_model_packet.c tests/unit/toy_filter.c
 */
#include <stdlib.h>
#include <string.h>

#include "core/lib/range.h"
#include "drivers/ata/ide.h"
#include "tests/unit/ide_model.h"
#include "tests/unit/test.h"
#include "tests/unit/toy_filter.h"

#define PRDS	0x1000
#define DATA	0x20000
#define SECTORS 1000 /* of the disc that are used */
#define FIRST	200  /* protected from here on, in units */
#define UNITS	(SECTORS * 4)

static struct ide_channel *ch;
static struct model_device *drive;
static u8 plain[SECTORS * 2048];

static struct block_dev dev = { 512, FIRST, ~0ULL, ~0ULL };

static u8 key(u64 lba, u32 i)
{
	return xor_key(&dev, lba, i);
}

/* ---- the machine and its guest ---- */

static void machine(void)
{
	model_init();
	model.strict = true;
	if (ch) { /* hooks are for ever: switch the old ones off */
		ch->dma.armed = IDE_IDLE;
		ide_channel_place(ch, 0, 0, 0);
	}
	ch = calloc(1, sizeof(*ch));
	ch->filter = &xor_filter;
	ch->spins = 10000;
	ch->unit[0].dev = &dev;
	ch->unit[0].sector_size = 512;
	ch->unit[0].packet = 12;
	drive = &model.dev[0];
	drive->atapi = true;
	drive->sector = 2048;
	model.dev[1].present = false;
	for (u32 i = 0; i < sizeof(plain); i++) {
		plain[i] = (u8)model_random();
		drive->disk[i] = plain[i] ^ key(i / 512, i % 512);
	}
	if (ide_channel_start(ch))
		abort();
	ide_channel_place(ch, MODEL_BASE, MODEL_CTL, MODEL_BM);
}

static void access_port(u16 port, u8 size, bool write, u32 count, void *data)
{
	struct port_io io = { port, size, write, count, data };

	if (port_bitmap()[port / 8] >> port % 8 & 1)
		port_access(&io);
	else if (write)
		hw_outs(port, size, data, count);
	else
		hw_ins(port, size, data, count);
}

static u32 in(u16 port, u8 size)
{
	u32 v = 0;

	access_port(port, size, false, 1, &v);
	return v;
}

static void out(u16 port, u8 size, u32 v)
{
	access_port(port, size, true, 1, &v);
}

static u8 wait(u8 mask, u8 want)
{
	u8 st = 0;

	for (int i = 0; i < 3000; i++) {
		st = (u8)in(MODEL_CTL, 1);
		if ((st & mask) == want)
			break;
	}
	return st;
}

struct command {
	u8 cdb[12];
	bool dma, write;
	u8 features; /* beside DMA */
	u16 limit;
	u32 bytes; /* of the guest's buffer at DATA */
	bool late; /* the PRD pointer comes after the CDB */
	bool small;
};

static void make_list(const struct command *c)
{
	u32 base = DATA, at = PRDS, left = c->bytes;

	while (left) {
		u32 n = c->small ? 2 + model_random() % 700 * 2 : 0xF000;
		u8 *p = model.memory + at;

		n = (u32)min_u64(n, left);
		left -= n;
		memcpy(p, &base, 4);
		p[4] = (u8)n;
		p[5] = (u8)(n >> 8);
		p[6] = 0;
		p[7] = left ? 0 : 0x80;
		base += n;
		at += 8;
	}
}

/* All before the data: PACKET and the CDB. */
static void begin(const struct command *c)
{
	make_list(c);
	out(MODEL_BM + 2, 1, 6);
	if (c->dma && !c->late)
		out(MODEL_BM + 4, 4, PRDS);
	out(MODEL_BASE + 6, 1, 0xA0);
	out(MODEL_BASE + 1, 1, c->dma | c->features);
	out(MODEL_BASE + 4, 1, c->limit & 0xFF);
	out(MODEL_BASE + 5, 1, c->limit >> 8);
	out(MODEL_BASE + 7, 1, 0xA0);
	wait(0x88, 8);
	access_port(MODEL_BASE, 2, true, 6, (void *)c->cdb);
	if (c->dma) {
		if (c->late)
			out(MODEL_BM + 4, 4, PRDS);
		out(MODEL_BM, 1, c->write ? 1 : 9);
	}
}

/* The DRQ blocks, as the byte count says; the status at the end. */
static u8 pio(const struct command *c)
{
	u8 *data = model.memory + DATA;
	u32 done = 0;

	for (;;) {
		u8 st = wait(0x80, 0);
		u32 n = in(MODEL_BASE + 4, 1) | in(MODEL_BASE + 5, 1) << 8;

		if (!(st & 8))
			return (u8)in(MODEL_BASE + 7, 1);
		EXPECT_EQ(in(MODEL_BASE + 2, 1), c->write ? 0 : 2);
		EXPECT(n && n <= c->limit && done + n <= c->bytes);
		if (test_failures)
			return 0xFF;
		for (u32 at = 0; at < n;) {
			u32 part = (u32)min_u64(n - at, 4096);

			access_port(MODEL_BASE, 2, c->write, (part + 1) / 2,
				    data + done + at);
			at += part;
		}
		done += n;
	}
}

static u8 dma(const struct command *c)
{
	for (int i = 0; i < 20000 && !(in(MODEL_BM + 2, 1) & 4); i++)
		;
	in(MODEL_BM, 1);
	out(MODEL_BM, 1, c->write ? 0 : 8);
	out(MODEL_BM + 2, 1, 6);
	return (u8)in(MODEL_BASE + 7, 1);
}

static u8 run(const struct command *c)
{
	begin(c);
	return c->dma ? dma(c) : pio(c);
}

static struct command transfer(u8 code, u32 lba, u32 count)
{
	struct command c = {
		.cdb = { code, [4] = (u8)(lba >> 8), [5] = (u8)lba }
	};

	if (code == 0xA8 || code == 0xAA) {
		c.cdb[8] = (u8)(count >> 8);
		c.cdb[9] = (u8)count;
	} else {
		c.cdb[7] = (u8)(count >> 8);
		c.cdb[8] = (u8)count;
	}
	if (code == 0xBE) {
		c.cdb[1] = 0x08;
		c.cdb[9] = 0x10;
	}
	c.write = code == 0x2A || code == 0xAA || code == 0x2E;
	c.bytes = count * 2048;
	c.limit = 0xFFFE;
	return c;
}

static struct command random_transfer(void)
{
	static const u8 codes[] = { 0x28, 0xA8, 0xBE, 0x2A, 0xAA, 0x2E };
	static const u16 limits[] = { 512,  513,   1024,  2047,	 2048,
				      3000, 63488, 64512, 65534, 65535 };
	u32 count = 1 + model_random() % 40;
	struct command c = transfer(codes[model_random() % 6],
				    model_random() % (SECTORS - 40), count);

	if (model_random() % 3 == 0) /* across the border */
		c = transfer(c.cdb[0], FIRST / 4 - 1, count);
	c.dma = model_random() % 2;
	c.limit = limits[model_random() % ARRAY_SIZE(limits)];
	c.late = model_random() % 2;
	c.small = model_random() % 2;
	return c;
}

static u8 *place(const struct command *c)
{
	return plain + (c->cdb[4] << 8 | c->cdb[5]) * 2048;
}

static void fill(u32 bytes)
{
	u8 v = (u8)model_random();

	for (u32 i = 0; i < bytes; i++)
		model.memory[DATA + i] = (u8)(v + i % 251);
}

static bool disc_right(void)
{
	for (u32 i = 0; i < sizeof(plain); i++)
		if (drive->disk[i] != (plain[i] ^ key(i / 512, i % 512)))
			return false;
	return !model.hidden_written && !model.wrong_direction;
}

/* REQUEST SENSE as libata sends it: key, ASC and ASCQ as one number. */
static u32 sense(bool by_dma)
{
	struct command c = { .cdb = { 0x03, [4] = 18 },
			     .dma = by_dma,
			     .limit = 96,
			     .bytes = 18 };
	u8 *data = model.memory + DATA;

	EXPECT_EQ(run(&c) & 1, 0);
	EXPECT_EQ(data[0], 0x70);
	return data[2] << 16 | data[12] << 8 | data[13];
}

/* ---- what passes the filter ---- */

TEST(user_data_all_forms)
{
	machine();
	for (int i = 0; i < 400 && !test_failures; i++) {
		struct command c = random_transfer();

		fill(c.bytes);
		if (c.write)
			memcpy(place(&c), model.memory + DATA, c.bytes);
		EXPECT_EQ(run(&c), 0x40);
		EXPECT(!memcmp(place(&c), model.memory + DATA, c.bytes));
		if (test_failures)
			printf("round %d: %02x dma %d late %d limit %u\n", i,
			       c.cdb[0], c.dma, c.late, c.limit);
	}
	EXPECT(disc_right());
	EXPECT_EQ(model.ignored, 0);
}

TEST(inquiry_passes)
{
	struct command c = { .cdb = { 0x12, [4] = 36 },
			     .limit = 36,
			     .bytes = 36 };

	machine();
	for (int i = 0; i < 2; i++) {
		memset(model.memory + DATA, 0, 36);
		c.dma = i;
		EXPECT_EQ(run(&c), 0x40);
		EXPECT(!memcmp(model.memory + DATA + 8, "MODEL   DRIVE", 13));
	}
}

TEST(settings_pass)
{
	struct command c = { .cdb = { 0x55, [8] = 60 },
			     .write = true,
			     .limit = 60,
			     .bytes = 60 };

	machine();
	for (int i = 0; i < 2; i++) {
		fill(60);
		c.dma = i;
		EXPECT_EQ(run(&c), 0x40);
		EXPECT(!memcmp(drive->buf, model.memory + DATA, 60));
	}
	EXPECT(disc_right());
}

TEST(identify_is_adjusted)
{
	u8 id[512];

	machine();
	out(MODEL_BASE + 6, 1, 0xA0);
	out(MODEL_BASE + 7, 1, 0xA1);
	wait(0x88, 8);
	access_port(MODEL_BASE, 2, false, 256, id);
	EXPECT_EQ(id[99], 0x0B); /* no overlap, no queue; DMA and LBA */
	EXPECT_EQ(id[1], 0x85);
	EXPECT_EQ(in(MODEL_BASE + 7, 1), 0x40);
}

/* ---- refusals ---- */

static u32 refused(const char *cdb, bool by_dma)
{
	struct command c = { .dma = by_dma, .limit = 0xFFFE, .bytes = 4096 };
	u32 before = drive->cdbs, interrupts;

	memcpy(c.cdb, cdb, 12);
	interrupts = model.interrupts;
	EXPECT_EQ(run(&c), 0x41);
	EXPECT_EQ(in(MODEL_BASE + 1, 1), 0x54);
	EXPECT_EQ(in(MODEL_BASE + 2, 1), 3);
	EXPECT_EQ(model.interrupts, interrupts + 1);
	EXPECT_EQ(drive->cdbs, before + 1);
	EXPECT_EQ(drive->cdb[0], 0x1F);
	return sense(by_dma);
}

TEST(refused_with_sense)
{
	machine();
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(refused("\xD8\0\0\0\0\x50\0\0\0\1\0\0", i & 1),
			  0x052000);
		EXPECT_EQ(refused("\xBE\0\0\0\0\x50\0\0\1\xF8\0\0", i & 1),
			  0x052400);
		EXPECT_EQ(refused("\xBE\4\0\0\0\x50\0\0\1\x10\0\0", i & 1),
			  0x056400);
		EXPECT_EQ(refused("\x2A\0\xFF\xFF\xFF\x6A\0\0\1\0\0\0", i & 1),
			  0x052100);
		EXPECT_EQ(refused("\x04\x10\0\0\0\0\0\0\0\0\0\0", i & 1),
			  0x052000);
		/* once only */
		EXPECT_EQ(sense(i & 1), 0);
	}
	EXPECT(disc_right());
}

/* A drive that is no CD drive moves no user data; the rest it does. */
TEST(other_drives)
{
	struct command c = transfer(0x28, 0, 1);

	machine();
	ch->unit[0].sector_size = 0;
	for (int i = 0; i < 4; i++) {
		c.dma = i & 1;
		EXPECT_EQ(run(&c) & 1, 1);
		EXPECT_EQ(sense(i & 2), 0x052400);
	}
}

TEST(sense_is_of_the_last_command)
{
	struct command ready = { { 0x00 }, .limit = 8 };

	machine();
	refused("\xBE\0\0\0\0\x50\0\0\1\xF8\0\0", false);
	begin(&(struct command){ { 0xBE, [9] = 0xF8 }, .limit = 2048 });
	EXPECT_EQ(pio(&ready), 0x41);
	EXPECT_EQ(run(&ready), 0x40); /* takes the sense data away */
	EXPECT_EQ(sense(false), 0);
	/* the drive's own refusal stays the drive's */
	refused("\xBE\0\0\0\0\x50\0\0\1\xF8\0\0", false);
	begin(&(struct command){ .cdb = { 0xBE, [9] = 0xF8 }, .limit = 2048 });
	EXPECT_EQ(pio(&ready), 0x41);
	begin(&(struct command){ .cdb = { 0x46 }, .limit = 2048 });
	EXPECT_EQ(pio(&ready), 0x41);
	EXPECT_EQ(drive->cdb[0], 0x46);
	EXPECT_EQ(sense(false), 0x052000);
	drive->capacity = 500;
	begin(&(struct command){ { 0x28, [4] = 2, [8] = 1 }, .limit = 2048 });
	EXPECT_EQ(pio(&ready), 0x41);
	EXPECT_EQ(sense(false), 0x052100);
}

/* By PIO its last byte comes as a word. */
TEST(sense_of_odd_length)
{
	struct command ready = { { 0x00 }, .limit = 8 };

	machine();
	for (u8 n = 1; n < 18; n += 16) {
		struct command c = { { 0x03, [4] = n },
				     .limit = 96,
				     .bytes = n };

		begin(&(struct command){ { 0xBE, [9] = 0xF8 }, .limit = 2048 });
		EXPECT_EQ(pio(&ready), 0x41);
		EXPECT_EQ(run(&c), 0x40);
		EXPECT_EQ(model.memory[DATA], 0x70);
		EXPECT(n == 1 || model.memory[DATA + 12] == 0x24);
	}
}

/* Not what looks like sense data and is not. */
TEST(only_sense_data_is_changed)
{
	static const u8 like[18] = { 0x70, 0, 5, [7] = 10, [12] = 0x20 };
	struct command c = transfer(0x28, 0, 1);

	machine();
	memcpy(plain, like, sizeof(like)); /* not protected */
	memcpy(drive->disk, like, sizeof(like));
	for (int i = 0; i < 4; i++) {
		c.dma = i & 1;
		refused("\xBE\0\0\0\0\x50\0\0\1\xF8\0\0", i & 2);
		begin(&(struct command){ { 0xBE, [9] = 0xF8 }, .limit = 2048 });
		EXPECT_EQ(wait(0x80, 0), 0x41);
		EXPECT_EQ(run(&c), 0x40);
		EXPECT(!memcmp(plain, model.memory + DATA, 2048));
	}
}

/* Some guests say DMA with each packet; none of these starts the engine. */
TEST(no_data_by_dma)
{
	struct command c = { .features = 1, .limit = 8 };

	machine();
	EXPECT_EQ(run(&c), 0x40);
	c.cdb[0] = 0x28; /* of no sectors */
	EXPECT_EQ(run(&c), 0x40);
	EXPECT_EQ(drive->cdbs, 2);
	EXPECT_EQ(drive->cdb[0], 0x28);
}

/* The data port is not the drive's while the engine moves data. */
TEST(nothing_comes_after_the_cdb)
{
	struct command c = transfer(0x28, 80, 100);

	machine();
	c.dma = true;
	begin(&c);
	while (in(MODEL_CTL, 1) & 0x88)
		out(MODEL_BASE, 2, 0x28);
	EXPECT_EQ(dma(&c), 0x40);
	EXPECT(!memcmp(place(&c), model.memory + DATA, c.bytes));
	EXPECT_EQ(drive->cdbs, 1);
	EXPECT_EQ(model.stray, 0);
}

TEST(media_change_is_told_first)
{
	struct command c = transfer(0xBE, 80, 1);

	machine();
	c.cdb[9] = 0xF8;
	drive->attention = true;
	EXPECT_EQ(run(&c), 0x41);
	EXPECT_EQ(in(MODEL_BASE + 1, 1), 0x64);
	EXPECT_EQ(sense(false), 0x062800);
	EXPECT_EQ(run(&c), 0x41);
	EXPECT_EQ(sense(false), 0x052400);
	c = transfer(0x28, 80, 4);
	c.dma = drive->attention = true;
	fill(c.bytes);
	memcpy(model.memory + 0x80000, model.memory + DATA, c.bytes);
	EXPECT_EQ(run(&c), 0x41);
	EXPECT(!memcmp(model.memory + 0x80000, model.memory + DATA, c.bytes));
	EXPECT_EQ(sense(true), 0x062800);
	EXPECT_EQ(run(&c), 0x40);
	EXPECT(!memcmp(place(&c), model.memory + DATA, c.bytes));
}

/* A limit below a unit of the cipher, blocks that are not as was asked. */
TEST(odd_blocks)
{
	struct command c = transfer(0x28, 80, 4);
	u8 *data = model.memory + DATA;

	machine();
	c.limit = 511;
	EXPECT_EQ(run(&c), 0x41);
	EXPECT_EQ(sense(false), 0x052400);
	c.features = 4; /* a direction alone is no DMA */
	EXPECT_EQ(run(&c), 0x41);
	EXPECT_EQ(sense(false), 0x052400);
	c.dma = true; /* then there are no blocks */
	EXPECT_EQ(run(&c), 0x40);
	EXPECT(!memcmp(place(&c), data, c.bytes));
	c = transfer(0x28, 0, 1); /* not protected */
	c.limit = 96;
	EXPECT_EQ(run(&c), 0x40);
	EXPECT(!memcmp(place(&c), data, 2048));
	c.limit = 97;
	begin(&c);
	wait(0x88, 8);
	EXPECT_EQ(in(MODEL_BASE + 4, 1), 97);
	EXPECT_EQ(pio(&c), 0x40);
	for (int i = 0; i < 2; i++) {
		c = transfer(i ? 0x2A : 0x28, 80, 1);
		drive->odd_blocks = 700;
		memset(data, 0x11, 2048);
		begin(&c);
		wait(0x88, 8);
		for (u32 n = 0; n < 2048; n += 256)
			access_port(MODEL_BASE, 2, i, 128, data + n);
		if (!i) {
			EXPECT(!memcmp(data, place(&c), 512));
			for (u32 n = 512; n < 2048; n++)
				EXPECT_EQ(data[n], 0xFF);
		} else {
			u8 *disc = model_sector(drive, 80);

			for (u32 n = 0; n < 2048; n++)
				EXPECT(disc[n] ==
				       (place(&c)[n] ^
					key(320 + n / 512, n % 512)));
		}
		EXPECT_EQ(in(MODEL_BASE + 7, 1) & 0x89, 8); /* never ends */
		out(MODEL_BASE + 7, 1, 8);
		drive->odd_blocks = 0;
	}
	c = transfer(0x28, 80, 1);
	EXPECT_EQ(run(&c), 0x40);
	EXPECT(!memcmp(place(&c), data, 2048));
}

/* ---- errors ---- */

/* What is before the bad sector is good; an OS relies on it. */
TEST(media_errors)
{
	machine();
	for (int i = 0; i < 20; i++) {
		struct command c = transfer(0x28, 90, 10);

		drive->bad_lba = 95;
		c.dma = i & 1;
		c.limit = i & 2 ? 2048 : 0xFFFE;
		fill(c.bytes);
		memcpy(model.memory + 0x80000, model.memory + DATA, c.bytes);
		EXPECT_EQ(run(&c), 0x41);
		if (c.dma || i & 2)
			EXPECT(!memcmp(place(&c), model.memory + DATA,
				       5 * 2048));
		if (!c.dma) /* PIO never writes past what came */
			EXPECT(!memcmp(model.memory + 0x80000 + 5 * 2048,
				       model.memory + DATA + 5 * 2048,
				       5 * 2048));
		EXPECT_EQ(sense(i & 1), 0x031100);
		c = transfer(0x2A, 90, 10);
		c.dma = i & 1;
		fill(c.bytes);
		memcpy(place(&c), model.memory + DATA, 5 * 2048);
		EXPECT_EQ(run(&c), 0x41);
		EXPECT_EQ(sense(i & 1), 0x030C00);
	}
	EXPECT(disc_right());
}

static void reset(bool soft)
{
	if (soft) {
		out(MODEL_CTL, 1, 4);
		out(MODEL_CTL, 1, 0);
	} else {
		out(MODEL_BASE + 6, 1, 0xA0);
		out(MODEL_BASE + 7, 1, 8);
	}
	out(MODEL_BM, 1, 0);
	out(MODEL_BM + 2, 1, 6);
}

/* A unit that a broken-off write touched holds the old data or the new. */
static void settle(const struct command *c)
{
	u32 first = (c->cdb[4] << 8 | c->cdb[5]) * 4;

	for (u32 n = first; n < first + c->bytes / 512; n++) {
		u8 *old = plain + n * 512, *disc = drive->disk + n * 512;
		u8 *data = model.memory + DATA + (n - first) * 512;
		bool is_new = true, is_old = true;

		for (u32 i = 0; i < 512; i++) {
			is_new &= disc[i] == (data[i] ^ key(n, i));
			is_old &= disc[i] == (old[i] ^ key(n, i));
		}
		EXPECT(is_new || is_old);
		if (is_new)
			memcpy(old, data, 512);
	}
}

TEST(aborts_at_every_step)
{
	machine();
	for (int i = 0; i < 250 && !test_failures; i++) {
		struct command c = random_transfer();
		u32 steps = model_random() % 12, moved = 0;

		fill(c.bytes);
		begin(&c);
		for (u32 n = 0; n < steps; n++) {
			if (model_random() % 2)
				model_tick();
			else if (c.dma)
				in(MODEL_BASE + 7, 1);
			else if (wait(0x88, 8) & 8 && moved < c.bytes) {
				access_port(MODEL_BASE, 2, c.write, 256,
					    model.memory + DATA + moved);
				moved += 512;
			}
		}
		reset(i & 1);
		if (c.write)
			access_port(MODEL_BASE, 2, true, 32,
				    model.memory + DATA);
		settle(&c);
		c = random_transfer();
		c.write = false;
		c.cdb[0] = 0x28;
		c.cdb[7] = 0;
		c.cdb[8] = (u8)(c.bytes / 2048);
		EXPECT_EQ(run(&c), 0x40);
		EXPECT(!memcmp(place(&c), model.memory + DATA, c.bytes));
	}
	EXPECT(disc_right());
}

/* What the drive was at is forgotten; what its sibling is at is not. */
TEST(device_reset_ends_a_command)
{
	static const struct command late = { { 0x28, [8] = 1 }, .limit = 2048 };
	struct command c = transfer(0x28, 80, 30);

	machine();
	begin(&c);
	wait(0x88, 8);
	reset(false);
	EXPECT_EQ(ch->pio.kind, PIO_NONE);
	out(MODEL_BASE + 1, 1, 1);
	out(MODEL_BASE + 7, 1, 0xA0);
	wait(0x88, 8);
	access_port(MODEL_BASE, 2, true, 6, (void *)late.cdb);
	EXPECT_EQ(ch->dma.armed, IDE_ARMED_COMMAND);
	out(MODEL_BASE + 7, 1, 8);
	EXPECT_EQ(ch->dma.armed, IDE_IDLE);
	EXPECT_EQ(drive->cdbs, 1);
}

/* It arrives although the sibling, which no rule protects, is busy. */
TEST(device_reset_beside_plain_dma)
{
	struct command read = { .bytes = 512 };

	machine();
	model.dev[1].present = true;
	model.heeds = true;
	make_list(&read);
	out(MODEL_BM + 4, 4, PRDS);
	out(MODEL_BASE + 6, 1, 0xF0);
	out(MODEL_BASE + 2, 1, 1);
	out(MODEL_BASE + 7, 1, 0xC8);
	out(MODEL_BASE + 6, 1, 0xA0);
	drive->status = 0x80; /* it hangs */
	out(MODEL_BASE + 7, 1, 8);
	EXPECT_EQ(drive->status, 0);
	EXPECT_EQ(model.dev[1].phase, M_DMA_IN);
	EXPECT(ch->dma.active);
}

/* After a reset the memory of a read may be in other use. */
TEST(reset_read_leaves_memory_alone)
{
	struct command c = transfer(0x28, 80, 30);

	machine();
	c.dma = true;
	for (int i = 0; i < 20; i++) {
		begin(&c);
		for (u32 n = model_random() % 3; n; n--)
			model_tick();
		if (!drive->phase)
			continue;
		reset(i & 1);
		memset(model.memory + DATA, 0x77, c.bytes);
		in(MODEL_BASE + 7, 1);
		out(MODEL_BASE + 1, 1, 0);
		for (u32 n = 0; n < c.bytes; n++)
			if (model.memory[DATA + n] != 0x77) {
				EXPECT(false);
				return;
			}
	}
}

/* ---- hostile use ---- */

TEST(lists_into_hidden_memory)
{
	struct command c = transfer(0x28, 80, 1);
	u32 bad[] = { MODEL_RAM, MODEL_RAM - 1024, 0xFFFFF000 };

	machine();
	for (int i = 0; i < 12; i++) {
		c = transfer(i & 1 ? 0x2A : 0x28, 80, 1);
		c.dma = true;
		c.late = i & 2;
		c.bytes = 0;
		memcpy(model.memory + PRDS, &bad[i / 4], 4);
		memcpy(model.memory + PRDS + 4, "\0\x08\0\x80", 4);
		EXPECT_EQ(run(&c), 0x41);
		c.bytes = 18;
		make_list(&c);
		EXPECT_EQ(sense(true), 0x0B4B00);
	}
	EXPECT(disc_right());
}

/* What does not fit in Shoji's buffer is refused: the parts of an ATA write
 * are commands of their own, those of a CDB could not be. */
TEST(the_largest_write_by_dma)
{
	struct command c = transfer(0x2A, 80, 640);

	machine();
	c.dma = true;
	fill(c.bytes);
	memcpy(place(&c), model.memory + DATA, c.bytes);
	EXPECT_EQ(run(&c), 0x40);
	c = transfer(0x2A, 80, 641);
	c.dma = true;
	EXPECT_EQ(run(&c), 0x41);
	EXPECT_EQ(sense(true), 0x0B4B00);
	EXPECT(disc_right());
}

/* What was decided is what is executed, and nothing goes past the CDB. */
TEST(cdb_in_pieces)
{
	struct command c = transfer(0x28, 80, 1);

	machine();
	model.max_busy = 1000;
	out(MODEL_BASE + 6, 1, 0xA0);
	out(MODEL_BASE + 1, 1, 2 | 4); /* overlapped; the direction of DMA */
	out(MODEL_BASE + 2, 1, 0x28);  /* and a tag */
	out(MODEL_BASE + 4, 1, 0);
	out(MODEL_BASE + 5, 1, 8);
	out(MODEL_BASE + 7, 1, 0xA0);
	EXPECT_EQ(drive->status, 0x80);
	EXPECT_EQ(drive->cur[2], 0);
	model.max_busy = 3;
	wait(0x88, 8);
	EXPECT_EQ(drive->cur[1], 4);
	for (int i = 0; i < 12; i += 2) {
		out(MODEL_BASE + 6, 1, 0xB0); /* a busy device does not heed */
		out(MODEL_BASE + 1, 1, 1);
		out(MODEL_BASE + 5, 1, 0xFF);
		EXPECT_EQ(drive->cdbs, 0);
		EXPECT_EQ(in(MODEL_BASE, 2), 0xFFFF);
		EXPECT_EQ(model.stray, 0);
		access_port(MODEL_BASE, 2, true, 1, c.cdb + i);
	}
	EXPECT_EQ(drive->cdbs, 1);
	EXPECT(!memcmp(drive->cdb, c.cdb, 12));
	EXPECT_EQ(pio(&c), 0x40);
	EXPECT(!memcmp(place(&c), model.memory + DATA, 2048));
	/* a longer burst: the rest is lost */
	memset(model.memory + DATA, 0, 64);
	for (u32 i = 0; i < 2; i++) {
		out(MODEL_BASE + 7, 1, 0xA0);
		wait(0x88, 8);
		access_port(MODEL_BASE, 2, true, i, model.memory + DATA);
		access_port(MODEL_BASE, 4, true, 16, model.memory + DATA);
		EXPECT_EQ(drive->cdbs, 2 + i);
		EXPECT_EQ(model.stray, 0);
		EXPECT_EQ(wait(0x80, 0), 0x40);
	}
}

/* Nobody takes what comes before the drive asks for it. */
TEST(cdb_out_of_turn)
{
	struct command c = transfer(0x28, 80, 1), other = transfer(0x28, 0, 1);

	machine();
	out(MODEL_BASE + 6, 1, 0xA0);
	out(MODEL_BASE + 1, 1, 0);
	out(MODEL_BASE + 5, 1, 8);
	out(MODEL_BASE + 7, 1, 0xA0);
	drive->status = 0x80;
	drive->busy = 50;
	access_port(MODEL_BASE, 2, true, 6, other.cdb);
	EXPECT_EQ(model.stray, 0);
	wait(0x88, 8);
	access_port(MODEL_BASE, 2, true, 6, c.cdb);
	EXPECT(!memcmp(drive->cdb, c.cdb, 12));
	EXPECT_EQ(pio(&c), 0x40);
	EXPECT(!memcmp(place(&c), model.memory + DATA, 2048));
}

/* A CDB that waits for the engine's start is the drive's: it gets no other one
 * and no word less, and is asked for nothing else until then. */
TEST(cdb_before_a_late_start)
{
	struct command c = transfer(0x2A, 10, 1), other = transfer(0x2A, 80, 1);

	machine();
	fill(2048);
	make_list(&c);
	memcpy(place(&c), model.memory + DATA, 2048);
	out(MODEL_BASE + 6, 1, 0xA0);
	out(MODEL_BASE + 1, 1, 1);
	out(MODEL_BASE + 7, 1, 0xA0);
	wait(0x88, 8);
	access_port(MODEL_BASE, 2, true, 6, c.cdb);
	for (u16 reg = 1; reg < 7; reg++)
		out(MODEL_BASE + reg, 1, 0xB0); /* not heeded */
	EXPECT_EQ(drive->disturbed, 0);
	EXPECT_EQ(in(MODEL_BASE, 2), 0xFFFF);
	EXPECT_EQ(model.stray, 0);
	access_port(MODEL_BASE, 2, true, 6, other.cdb);
	EXPECT_EQ(drive->cdbs, 0);
	model.off = true; /* it would not hear of a refusal */
	out(MODEL_BM + 4, 4, MODEL_RAM);
	out(MODEL_BM, 1, 1);
	EXPECT(!model.running);
	model.off = false;
	out(MODEL_BASE + 6, 1, 0xB0);
	access_port(MODEL_BASE, 2, true, 6, other.cdb);
	EXPECT_EQ(drive->cdbs, 0);
	drive->status = 0x40; /* seems to be ready, for an instant */
	out(MODEL_BASE + 6, 1, 0xB0);
	drive->status = 0x48;
	model.device = 0xA0;
	access_port(MODEL_BASE, 2, true, 6, other.cdb);
	EXPECT_EQ(drive->cdbs, 0);
	out(MODEL_BM + 4, 4, PRDS);
	out(MODEL_BM, 1, 1);
	EXPECT_EQ(model.stray, 0);
	EXPECT_EQ(drive->cdbs, 1);
	EXPECT(!memcmp(drive->cdb, c.cdb, 12));
	EXPECT_EQ(dma(&c), 0x40);
	EXPECT(disc_right());
}

TEST(ata_commands_are_refused)
{
	static const u8 codes[] = { 0x20, 0x30, 0xC8, 0xCA, 0x25, 0xA2, 0x92 };

	machine();
	for (size_t i = 0; i < sizeof(codes); i++) {
		out(MODEL_BASE + 6, 1, 0xA0);
		out(MODEL_BASE + 7, 1, codes[i]);
		EXPECT_EQ(wait(0x80, 0), 0x41);
		EXPECT_EQ(drive->command, 0);
	}
	out(MODEL_BASE + 7, 1, 0xEF);
	EXPECT_EQ(wait(0x80, 0), 0x40);
}

TEST_MAIN(CASE(user_data_all_forms), CASE(inquiry_passes), CASE(settings_pass),
	  CASE(identify_is_adjusted), CASE(refused_with_sense),
	  CASE(other_drives), CASE(sense_is_of_the_last_command),
	  CASE(sense_of_odd_length), CASE(media_change_is_told_first),
	  CASE(odd_blocks), CASE(media_errors), CASE(aborts_at_every_step),
	  CASE(device_reset_ends_a_command),
	  CASE(device_reset_beside_plain_dma), CASE(only_sense_data_is_changed),
	  CASE(no_data_by_dma), CASE(nothing_comes_after_the_cdb),
	  CASE(reset_read_leaves_memory_alone), CASE(lists_into_hidden_memory),
	  CASE(the_largest_write_by_dma), CASE(cdb_in_pieces),
	  CASE(cdb_out_of_turn), CASE(cdb_before_a_late_start),
	  CASE(ata_commands_are_refused))

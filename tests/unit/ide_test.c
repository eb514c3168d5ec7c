/*
 * The IDE driver against a model of the hardware: the disk holds ciphertext
 * in the protected ranges and nothing else, the guest reads what it wrote.
 *
 * units: drivers/ata/command.c drivers/ata/identify.c drivers/ata/ide_channel.c drivers/ata/ide_packet.c drivers/ata/packet.c drivers/ata/ide_dma.c drivers/ata/ide_pio.c core/io/port.c core/io/sg.c tests/unit/ide_model.c tests/unit/model_memory.c tests/unit/ide_model_packet.c tests/unit/toy_filter.c
 */
#include <stdlib.h>
#include <string.h>

#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "drivers/ata/ide.h"
#include "tests/unit/ide_model.h"
#include "tests/unit/test.h"
#include "tests/unit/toy_filter.h"

#define PRDS 0x1000 /* the guest's lists, of 64 KiB */
#define DATA 0x20000

static struct ide_channel *ch;
static u16 bus_master = MODEL_BM;
static u8 plain[2][MODEL_IMAGE]; /* as the guest sees its disks */
static u32 exits, dma_exits;
static u8 bm_end; /* the bus master's status at a command's end */

static struct block_dev devs[2] = {
	[0 ... 1] = { 512, 100, 3000, MODEL_HIGH + 100 },
};

static u8 key(u64 lba, u32 i)
{
	return xor_key(&devs[0], lba, i);
}

/* ---- the machine and its guest ---- */

static void machine(bool protect0, bool protect1, u32 sector)
{
	u16 off = 0;

	model_init();
	model.strict = true;
	memset(plain, 0, sizeof(plain));
	if (ch) { /* hooks are for ever: switch the old ones off */
		port_hook_move(&ch->command_hook, off, 0);
		port_hook_move(&ch->control_hook, off, 0);
		port_hook_move(&ch->start_hook, off, 0);
		port_hook_move(&ch->prd_hook, off, 0);
	}
	ch = calloc(1, sizeof(*ch)); /* in the list of hooks for ever */
	ch->filter = &xor_filter;
	ch->spins = 10000;
	ch->unit[0].dev = protect0 ? &devs[0] : NULL;
	ch->unit[1].dev = protect1 ? &devs[1] : NULL;
	for (int i = 0; i < 2; i++) {
		struct model_device *d = &model.dev[i];

		d->sector = devs[i].sector = sector;
		ch->unit[i].sector_size = sector;
		ch->unit[i].geometry = (struct ata_geometry){ 16, 63 };
		for (u64 n = 0; n < 2 * MODEL_LOW * 512 / sector; n++) {
			u64 half = MODEL_LOW * 512 / sector;
			u64 lba = n < half ? n : MODEL_HIGH + n - half;

			if (ch->unit[i].dev)
				for (u32 b = 0; b < sector; b++)
					d->disk[n * sector + b] = key(lba, b);
		}
	}
	if (ide_channel_start(ch))
		abort();
	ide_channel_place(ch, MODEL_BASE, MODEL_CTL, bus_master);
}

static bool hooked(u16 port, u8 size)
{
	for (; size; size--, port++)
		if (port_bitmap()[port / 8] >> port % 8 & 1)
			return true;
	return false;
}

static void access_port(u16 port, u8 size, bool write, u32 count, void *data)
{
	struct port_io io = { port, size, write, count, data };

	exits += hooked(port, size);
	if (hooked(port, size))
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

static void burst(u16 port, u8 size, bool write, u8 *data, u32 bytes)
{
	while (bytes) {
		u32 n = (u32)min_u64(bytes, PORT_BURST_MAX);

		access_port(port, size, write, n / size, data);
		data += n;
		bytes -= n;
	}
}

enum flow {
	LINUX,
	FREEBSD,
	EARLY,
	STICKY,
	POLLED,
	FLOWS
};

struct op {
	int unit;
	u64 lba;
	u32 count;
	u8 code;
	bool write, ext, chs;
	enum flow flow;
};

static u8 alt_wait(u8 mask, u8 want)
{
	u8 st = 0;

	for (int i = 0; i < 2000; i++) {
		st = (u8)in(MODEL_CTL, 1);
		if ((st & mask) == want)
			break;
	}
	return st;
}

static void taskfile(const struct op *op)
{
	u8 dev = op->unit ? 0xF0 : 0xE0;
	u64 a = op->lba;

	if (op->chs) {
		u32 s = 63, h = 16;

		a = (op->lba % s + 1) | op->lba / (s * h) << 8;
		dev = (dev & ~0x4F) | (op->lba / s % h);
		in(MODEL_BASE + 7, 1);
		out(MODEL_BASE + 6, 1, dev);
		out(MODEL_BASE + 1, 1, 0);
		out(MODEL_BASE + 2, 1, op->count & 0xFF);
		for (int i = 0; i < 3; i++)
			out(MODEL_BASE + 3 + i, 1, a >> 8 * i & 0xFF);
		return;
	}
	in(MODEL_BASE + 7, 1);
	out(MODEL_BASE + 6, 1, dev);
	in(MODEL_CTL, 1);
	in(MODEL_BASE + 7, 1);
	if (op->ext) {
		out(MODEL_BASE + 1, 1, 0);
		out(MODEL_BASE + 2, 1, op->count >> 8 & 0xFF);
		for (int i = 0; i < 3; i++)
			out(MODEL_BASE + 3 + i, 1, a >> (24 + 8 * i) & 0xFF);
	} else {
		dev |= a >> 24 & 0xF;
	}
	out(MODEL_BASE + 1, 1, 0);
	out(MODEL_BASE + 2, 1, op->count & 0xFF);
	for (int i = 0; i < 3; i++)
		out(MODEL_BASE + 3 + i, 1, a >> 8 * i & 0xFF);
	out(MODEL_BASE + 6, 1, dev);
	in(MODEL_BASE + 7, 1);
}

static void put_prd(u32 at, u32 base, u32 bytes, bool last)
{
	u8 *p = model.memory + at;

	memcpy(p, &base, 4);
	p[4] = (u8)bytes;
	p[5] = (u8)(bytes >> 8);
	p[6] = 0;
	p[7] = last ? 0x80 : 0;
}

/* A list of random pieces, each within 64 KiB, over consecutive memory. */
static u32 make_list(u32 at, u32 base, u32 bytes, bool small)
{
	u32 n = 0;

	while (bytes) {
		u32 room = 0x10000 - (base & 0xFFFF);
		u32 len = small ? 2 + model_random() % 700 * 2
				: 2 + model_random() % 0x10000 / 2 * 2;

		len = (u32)min_u64(min_u64(len, room), bytes);
		put_prd(at + 8 * n++, base, len, len == bytes);
		base += len;
		bytes -= len;
	}
	return n;
}

static u32 op_bytes(const struct op *op)
{
	return op->count * model.dev[op->unit].sector;
}

static void start_engine(bool write)
{
	in(MODEL_BM, 1);
	out(MODEL_BM, 1, write ? 1 : 9);
}

static u8 dma_finish(const struct op *op)
{
	u8 st;

	if (op->flow == POLLED) {
		for (int i = 0; i < 4000; i++)
			if (!((st = (u8)in(MODEL_BASE + 7, 1)) & 0x88))
				break;
	} else {
		for (int i = 0; i < 4000; i++)
			if (in(MODEL_BM + 2, 1) & 4)
				break;
	}
	bm_end = (u8)in(MODEL_BM + 2, 1);
	in(MODEL_BM, 1);
	out(MODEL_BM, 1, op->write ? 0 : 8);
	in(MODEL_CTL, 1);
	st = (u8)in(MODEL_BASE + 7, 1);
	out(MODEL_BM + 2, 1, 6);
	return st;
}

static u8 dma_code(const struct op *op)
{
	if (op->ext)
		return op->write ? model_random() % 2 ? 0x35 : 0x3D : 0x25;
	return (op->write ? 0xCA : 0xC8) | model_random() % 2;
}

/* Issues a DMA command, all but waiting for its end. */
static void dma_issue(const struct op *op)
{
	u32 prd = PRDS + model_random() % 16 * 4;

	make_list(prd, DATA + model_random() % 2 * 2, op_bytes(op),
		  op_bytes(op) < 0x8000 && model_random() % 2);
	out(MODEL_BM + 2, 1, 6);
	exits = 0;
	if (op->flow == STICKY && model.bm_status)
		out(MODEL_BM + 4, 4, prd); /* once would do */
	switch (op->flow) {
	case FREEBSD:
		taskfile(op);
		out(MODEL_BASE + 7, 1, dma_code(op));
		out(MODEL_BM, 1, op->write ? 0 : 8);
		out(MODEL_BM + 4, 4, prd);
		start_engine(op->write);
		break;
	case EARLY:
		for (u16 i = 0; i < 4; i++)
			out(MODEL_BM + 4 + i, 1, prd >> 8 * i & 0xFF);
		start_engine(op->write);
		taskfile(op);
		out(MODEL_BASE + 7, 1, dma_code(op));
		break;
	default:
		taskfile(op);
		out(MODEL_BM + 4, 2, prd & 0xFFFF);
		out(MODEL_BM + 6, 2, prd >> 16);
		EXPECT_EQ(in(MODEL_BM + 4, 4), prd);
		exits -= 2; /* beside what an OS does */
		out(MODEL_BASE + 7, 1, dma_code(op));
		start_engine(op->write);
	}
}

static gpa_t list_base(void)
{
	gpa_t gpa;

	memcpy(&gpa, model.memory + (in(MODEL_BM + 4, 4) & ~3u), 4);
	return (u32)gpa;
}

static u8 pio_code(const struct op *op, bool multiple)
{
	if (op->ext)
		return op->write ? (multiple ? 0x39 : 0x34)
				 : (multiple ? 0x29 : 0x24);
	return op->write ? (multiple ? 0xC5 : 0x30) : (multiple ? 0xC4 : 0x20);
}

/* The device is not ready for data yet. */
static void still_busy(u32 ticks)
{
	model.dev[0].status = 0x80;
	model.dev[0].busy = ticks;
}

/* All of a PIO command; the status at its end. */
static u8 pio(const struct op *op, u8 *data)
{
	static const u8 sizes[] = { 2, 4, 2, 4 };
	bool multiple = model_random() % 2;
	u8 width = sizes[model_random() % 4];
	u32 size = model.dev[op->unit].sector;
	u32 left = op->count;
	u8 st;

	taskfile(op);
	out(MODEL_BASE + 7, 1, pio_code(op, multiple));
	while (left) {
		u32 n = multiple ? (u32)min_u64(left, 8) : 1;

		st = alt_wait(0x80, 0);
		st = (u8)in(MODEL_BASE + 7, 1);
		if (!(st & 8))
			return st;
		burst(MODEL_BASE, width, op->write, data, n * size);
		data += n * size;
		left -= n;
	}
	alt_wait(0x80, 0);
	return (u8)in(MODEL_BASE + 7, 1);
}

/* ---- what must hold ---- */

static u8 *plain_sector(int unit, u64 lba)
{
	return plain[unit] +
	       (model_sector(&model.dev[unit], lba) - model.dev[unit].disk);
}

static bool sector_right(int unit, u64 lba, const u8 *expect)
{
	const u8 *disk = model_sector(&model.dev[unit], lba);
	bool crypted = ch->unit[unit].dev;

	for (u32 i = 0; i < model.dev[unit].sector; i++)
		if (disk[i] != (expect[i] ^ (crypted ? key(lba, i) : 0)))
			return false;
	return true;
}

static bool disks_right(void)
{
	for (int unit = 0; unit < 2; unit++) {
		u64 half = MODEL_LOW * 512 / model.dev[unit].sector;

		for (u64 n = 0; n < 2 * half; n++) {
			u64 lba = n < half ? n : MODEL_HIGH + n - half;

			if (!sector_right(unit, lba, plain_sector(unit, lba)))
				return false;
		}
	}
	return !model.hidden_written && !model.wrong_direction;
}

static void fill(u8 *p, u32 bytes)
{
	u8 v = (u8)model_random();

	for (u32 i = 0; i < bytes; i++)
		p[i] = (u8)(v + i % 251);
}

static void remember(const struct op *op, const u8 *data)
{
	memcpy(plain_sector(op->unit, op->lba), data, op_bytes(op));
}

static bool same_as_plain(const struct op *op, const u8 *data)
{
	return !memcmp(plain_sector(op->unit, op->lba), data, op_bytes(op));
}

static bool failed(const struct op *op, u8 st)
{
	printf("%s unit %d lba %llx count %u ext %d chs %d flow %d: "
	       "status %02x error %02x%s\n",
	       op->write ? "write" : "read", op->unit,
	       (unsigned long long)op->lba, op->count, op->ext, op->chs,
	       op->flow, st, model.dev[op->unit].error,
	       op->write || same_as_plain(op, model.memory + DATA) ? ""
								   : " data");
	return false;
}

static bool do_dma(const struct op *op)
{
	u8 *data = model.memory + DATA;
	u8 st;

	fill(data, op_bytes(op) + 2);
	dma_issue(op);
	data = model.memory + list_base();
	exits--;
	if (op->write)
		remember(op, data);
	st = dma_finish(op);
	dma_exits = exits;
	EXPECT_EQ(bm_end & 3, 0); /* all of the list, no error */
	if (st == 0x40 && (op->write || same_as_plain(op, data)))
		return true;
	return failed(op, st);
}

static bool do_pio(const struct op *op)
{
	u8 *data = model.memory + DATA;
	u8 st;

	fill(data, op_bytes(op));
	if (op->write)
		remember(op, data);
	st = pio(op, data);
	EXPECT(st != 0x40 || !hooked(MODEL_CTL, 1));
	if (st == 0x40 && (op->write || same_as_plain(op, data)))
		return true;
	return failed(op, st);
}

static struct op random_op(u32 most)
{
	struct op op = { 0 };
	u64 half = MODEL_LOW * 512 / model.dev[0].sector;

	op.unit = model_random() % 4 == 0;
	op.count = 1 + model_random() % most;
	op.lba = model_random() % (half - op.count);
	if (model_random() % 3 == 0)
		op.lba = 100 - min_u64(100, op.count / 2);
	op.write = model_random() % 2;
	op.ext = model_random() % 2;
	if (op.ext && model_random() % 2)
		op.lba = MODEL_HIGH + model_random() % (half - op.count);
	if (op.count > 256)
		op.ext = true;
	op.chs = !op.ext && model_random() % 4 == 0;
	op.flow = model_random() % FLOWS;
	return op;
}

TEST(pio_all_forms)
{
	machine(true, false, 512);
	for (int i = 0; i < 400; i++) {
		struct op op = random_op(20);

		EXPECT(do_pio(&op));
		if (test_failures)
			return;
	}
	EXPECT(disks_right());
	EXPECT_EQ(model.ignored, 0);
}

/* Also across the sectors of a block. */
TEST(pio_in_pieces)
{
	struct op op = { 0, 90, 24, 0, false, false, false, LINUX };
	u8 *data = model.memory + DATA;

	machine(true, false, 512);
	for (int i = 0; i < 20; i++) {
		op.write = i & 1;
		fill(data, op_bytes(&op));
		if (op.write)
			remember(&op, data);
		taskfile(&op);
		out(MODEL_BASE + 7, 1, pio_code(&op, true));
		for (u32 at = 0, n; at < op_bytes(&op); at += n) {
			n = 2 + model_random() % 700 * 2;
			n = (u32)min_u64(n, 4096 - at % 4096);
			alt_wait(0x88, 8);
			burst(MODEL_BASE, 2, op.write, data + at, n);
		}
		EXPECT_EQ(alt_wait(0x80, 0), 0x40);
		EXPECT(same_as_plain(&op, data));
	}
	EXPECT(disks_right());
}

/* A command to write a sector; returns its data, which the device does not ask
 * for yet. */
static u8 *early_write(void)
{
	struct op op = { 0, 200, 1, 0, true, false, false, LINUX };
	u8 *data = model.memory + DATA;

	machine(true, false, 512);
	fill(data, 512);
	remember(&op, data);
	taskfile(&op);
	out(MODEL_BASE + 7, 1, 0x30);
	still_busy(50);
	return data;
}

/* Nobody takes what comes before the device asks for it. */
TEST(data_out_of_turn)
{
	u8 *data = early_write();

	burst(MODEL_BASE, 2, true, data + 100, 6);
	alt_wait(0x88, 8);
	burst(MODEL_BASE, 2, true, data, 512);
	EXPECT_EQ(alt_wait(0x80, 0), 0x40);
	burst(MODEL_BASE, 2, true, data, 6); /* nor when it is over */
	EXPECT_EQ(model.stray, 0);
	EXPECT(disks_right());
}

/* The guest may switch interrupts off at any time. */
TEST(no_interrupts_while_busy)
{
	u8 *data = early_write();

	out(MODEL_CTL, 1, 2);
	alt_wait(0x88, 8);
	burst(MODEL_BASE, 2, true, data, 512);
	EXPECT_EQ(alt_wait(0x80, 0), 0x40);
	EXPECT(disks_right());
}

TEST(dma_all_forms)
{
	machine(true, true, 512);
	for (int i = 0; i < 800; i++) {
		struct op op = random_op(40);

		EXPECT(do_dma(&op));
		if (test_failures)
			return;
	}
	EXPECT(disks_right());
	EXPECT_EQ(model.ignored, 0);
}

TEST(mixed_with_plain_sibling)
{
	machine(true, false, 512);
	for (int i = 0; i < 800; i++) {
		struct op op = random_op(20);

		EXPECT(model_random() % 2 ? do_pio(&op) : do_dma(&op));
		if (test_failures)
			return;
	}
	EXPECT(disks_right());
}

TEST(large_sectors)
{
	machine(true, true, 4096);
	for (int i = 0; i < 200; i++) {
		struct op op = random_op(8);

		op.chs = false;
		EXPECT(model_random() % 2 ? do_pio(&op) : do_dma(&op));
		if (test_failures)
			return;
	}
	EXPECT(disks_right());
}

TEST(split_writes)
{
	machine(true, false, 512);
	for (int i = 0; i < 6; i++) {
		struct op op = { 0,    50 + i, 2561 + 250 * i, 0,
				 true, true,   false,	       i % FLOWS };

		model.commands = 0;
		EXPECT(do_dma(&op));
		EXPECT_EQ(model.commands, 2);
		op.write = false;
		EXPECT(do_dma(&op));
		EXPECT_EQ(model.commands, 3);
	}
	EXPECT(disks_right());
}

/* Only what writes plain sectors beside protected ones has more. */
TEST(exits_of_a_command)
{
	static const struct {
		struct op op;
		bool more;
	} ops[] = {
		{ { 0, 200, 8, 0, false, false, false, LINUX }, false },
		{ { 0, 90, 20, 0, false, false, false, LINUX }, false },
		{ { 0, 10, 8, 0, true, false, false, LINUX }, false },
		{ { 0, 100, 8, 0, true, false, false, LINUX }, false },
		{ { 0, 2992, 8, 0, true, false, false, LINUX }, false },
		{ { 0, 99, 2, 0, true, false, false, LINUX }, true },
		{ { 0, 2999, 2, 0, true, false, false, LINUX }, true },
		{ { 1, 10, 8, 0, true, false, false, LINUX }, false },
	};

	machine(true, false, 512);
	model.max_busy = 1;
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		EXPECT(do_dma(&ops[i].op));
		/* device twice, status four times, five other registers, PRD
		 * pointer, command */
		EXPECT(ops[i].more ? dma_exits > 13 : dma_exits == 13);
	}
	/* the engine is watched until its start only */
	dma_issue(&(struct op){ 0, 200, 8, .flow = FREEBSD });
	EXPECT(!hooked(MODEL_BM, 1));
}

/* ---- errors, aborts and hostile use ---- */

TEST(media_errors)
{
	machine(true, false, 512);
	model.dev[0].bad_lba = 210;
	for (int i = 0; i < 40; i++) {
		struct op op = {
			0, 205, 10, 0, i & 1, i & 2, false, i % FLOWS
		};
		gpa_t data;

		fill(model.memory + DATA, op_bytes(&op) + 2);
		dma_issue(&op);
		if (op.write)
			memcpy(plain_sector(0, 205), model.memory + list_base(),
			       5 * 512);
		data = list_base();
		EXPECT(dma_finish(&op) & 1);
		EXPECT(in(MODEL_BASE + 1, 1) & 0x50);
		op.count = 5;
		/* an OS uses what was read before the sector that failed */
		EXPECT(same_as_plain(&op, model.memory + data));
		EXPECT(do_pio(&op));
	}
	EXPECT(disks_right());
}

TEST(error_in_a_split_write)
{
	struct op op = { 0, 1500, 5200, 0, true, true, false, LINUX };

	machine(true, false, 512);
	fill(model.memory + DATA, op_bytes(&op) + 2);
	dma_issue(&op);
	memcpy(plain_sector(0, 1500), model.memory + list_base(),
	       (MODEL_LOW - 1500) * 512); /* beyond, sectors are bad */
	EXPECT(dma_finish(&op) & 1);
	EXPECT_EQ(model.commands, 2);
	EXPECT(disks_right());
}

static void device_end(void)
{
	while (model.dev[0].phase)
		model_tick();
}

/* They are taken back, but for one that the guest has seen; the bits of the
 * BIOS stay. */
TEST(interrupts_of_a_split_write)
{
	struct op op = { 0, 50, 3000, 0, true, true, false, LINUX };

	machine(true, false, 512);
	for (int i = 0; i < 2; i++) {
		fill(model.memory + DATA, op_bytes(&op) + 2);
		dma_issue(&op);
		remember(&op, model.memory + list_base());
		device_end();
		out(MODEL_BM + 2, 1, i ? 0x64 : 0x60);
		EXPECT_EQ(in(MODEL_BASE + 7, 1), 0x40);
		EXPECT_EQ(in(MODEL_BM + 2, 1), i ? 0x60 : 0x64);
		EXPECT_EQ(in(MODEL_BM, 1), 0);
		out(MODEL_BM, 1, 0);
	}
	EXPECT(disks_right());
}

/* It does not fail, and none of it is forgotten, if a part takes long. */
TEST(slow_split_write)
{
	struct op op = { 0, 50, 4000, 0, true, true, false, POLLED };

	machine(true, false, 512);
	model.max_busy = 100;
	for (int i = 0; i < 20; i++) {
		ch->spins = 1 + model_random() % 100;
		EXPECT(do_dma(&op));
	}
	EXPECT(disks_right());
	/* nobody waits for ever */
	dma_issue(&op);
	device_end();
	model.max_busy = ~0u;
	EXPECT_EQ(in(MODEL_BASE + 7, 1), 0x80);
}

static void soft_reset(void)
{
	out(MODEL_CTL, 1, 4);
	out(MODEL_CTL, 1, 0);
	alt_wait(0x80, 0);
}

/* What is left of it may be in other use. */
TEST(a_reset_ends_a_split_write)
{
	struct op op = { 0, 100, 2700, 0, true, true, false, LINUX };

	for (int i = 0; i < 2; i++) {
		machine(true, false, 512);
		dma_issue(&op);
		if (!i)
			device_end();
		model.off = i; /* it does not arrive */
		soft_reset();
		model.off = false;
		device_end();
		EXPECT_EQ(in(MODEL_BASE + 7, 1), 0x40);
		EXPECT_EQ(model.commands, 1);
	}
}

/* A sector that a broken-off write touched holds the old data or the new. */
static void settle(const struct op *op, const u8 *data)
{
	u32 size = model.dev[op->unit].sector;

	for (u32 i = 0; i < op->count; i++) {
		u8 *old = plain_sector(op->unit, op->lba + i);

		if (sector_right(op->unit, op->lba + i, old))
			continue;
		EXPECT(sector_right(op->unit, op->lba + i, data + i * size));
		memcpy(old, data + i * size, size);
	}
}

static void break_off_dma(void)
{
	struct op op = random_op(model_random() % 8 ? 30 : 2700);
	u32 steps = model_random() % 12;

	if (op.count > 1000)
		op.lba = op.lba % 1000;
	op.write = true;
	fill(model.memory + DATA, op_bytes(&op) + 2);
	dma_issue(&op);
	for (u32 i = 0; i < steps; i++)
		model_random() % 2 ? model_tick() : (void)in(MODEL_BASE + 7, 1);
	if (model_random() % 2)
		out(MODEL_BM, 1, 0);
	if (model_random() % 2)
		in(MODEL_BASE + 7, 1);
	soft_reset();
	out(MODEL_BM, 1, 0);
	out(MODEL_BM + 2, 1, 6);
	settle(&op, model.memory + list_base());
}

static void break_off_pio(void)
{
	struct op op = random_op(20);
	u8 *data = model.memory + DATA;
	u32 bytes = model_random() % (op_bytes(&op) / 2 + 1) * 2;

	op.write = true;
	fill(data, op_bytes(&op));
	taskfile(&op);
	out(MODEL_BASE + 7, 1, pio_code(&op, false));
	for (u32 done = 0; done < bytes; done += 512) {
		alt_wait(0x88, 8);
		burst(MODEL_BASE, 2, true, data + done,
		      (u32)min_u64(bytes - done, 512));
	}
	if (model_random() % 4 == 0) /* the device does not heed this */
		out(MODEL_BASE + 6, 1, 0xF0);
	if (model_random() % 4 == 0)
		burst(MODEL_BASE, 2, true, data + bytes, 64);
	soft_reset();
	burst(MODEL_BASE, 2, true, data, 64);
	settle(&op, data);
}

TEST(aborts_at_every_step)
{
	machine(true, false, 512);
	for (int i = 0; i < 250; i++) {
		struct op op = random_op(10);

		model_random() % 2 ? break_off_dma() : break_off_pio();
		EXPECT(model_random() % 2 ? do_pio(&op) : do_dma(&op));
		if (test_failures) {
			printf("round %d\n", i);
			return;
		}
	}
	EXPECT(disks_right());
}

/* Nobody waits for an engine whose device has been reset under it. */
TEST(reset_without_a_stop)
{
	struct op op = { 0, 200, 200, 0, false, false, false, LINUX };

	machine(true, false, 512);
	dma_issue(&op);
	EXPECT(model.dev[0].phase);
	soft_reset();
	EXPECT(model.running);
	model.polls = 0;
	EXPECT_EQ(in(MODEL_BASE + 7, 1), 0x40);
	EXPECT_EQ(model.polls, 0);
	out(MODEL_BM, 1, 0);
	EXPECT(do_dma(&op));
}

/* After a reset the memory of a read may be in other use. */
TEST(reset_read_leaves_memory_alone)
{
	struct op op = { 0, 200, 40, 0, false, false, false, LINUX };

	machine(true, false, 512);
	for (int i = 0; i < 20; i++) {
		dma_issue(&op);
		for (u32 n = model_random() % 3; n; n--)
			model_tick();
		out(MODEL_BM, 1, 8);
		if (!model.dev[0].phase) /* it has ended in time */
			continue;
		soft_reset();
		memset(model.memory + DATA, 0x77, op_bytes(&op));
		if (i & 1)
			in(MODEL_BASE + 7, 1);
		else if (i & 2)
			out(MODEL_BASE + 2, 1, 5);
		taskfile(&op);
		for (u32 n = 0; n < op_bytes(&op); n++)
			if (model.memory[DATA + n] != 0x77) {
				EXPECT(false);
				return;
			}
	}
}

/* What the guest sees after it is its sibling, which has been selected. */
TEST(reset_of_the_second_device)
{
	struct op op = { 1, 200, 4, 0, false, false, false, LINUX };
	u8 before[0x1000];

	for (int i = 0; i < 3; i++) {
		machine(false, true, 512);
		dma_issue(&op);
		out(MODEL_BM, 1, 8);
		model.dev[0].atapi = i == 1;
		model.dev[0].present = i != 2;
		soft_reset();
		memset(model.memory + DATA, 0x77, 0x1000);
		in(MODEL_BASE + 7, 1);
		memset(before, 0x77, sizeof(before));
		EXPECT(!memcmp(before, model.memory + DATA, sizeof(before)));
	}
}

/* Of sector 1 the registers are as after a reset. */
TEST(reads_of_sector_1)
{
	struct op op = { 0, 1, 1, 0, false, false, false, LINUX };

	devs[0].first = 0;
	machine(true, false, 512);
	model.max_busy = 1;
	dma_issue(&op);
	while (model.dev[0].phase)
		model_tick();
	model.dev[0].error = 1;
	EXPECT_EQ(dma_finish(&op), 0x40);
	EXPECT(same_as_plain(&op, model.memory + list_base()));
	/* but once the guest has looked, its reset is seen */
	model.max_busy = 100;
	dma_issue(&op);
	EXPECT(in(MODEL_BASE + 7, 1) & 0x80);
	out(MODEL_BM, 1, 8);
	soft_reset();
	EXPECT(!hooked(MODEL_CTL, 1));
	memset(model.memory + DATA, 0x77, 1024);
	model.polls = 0;
	in(MODEL_BASE + 7, 1);
	EXPECT_EQ(model.polls, 0);
	for (u32 n = 0; n < 1024; n++)
		EXPECT_EQ(model.memory[DATA + n], 0x77);
	devs[0].first = 100;
}

/* What the device does not read is not decrypted. */
TEST(a_read_that_is_refused)
{
	struct op op = {
		0, MODEL_HIGH + MODEL_LOW - 4, 8, 0, false, true, false, LINUX
	};

	machine(true, false, 512);
	make_list(PRDS, DATA, 4096, false);
	memset(model.memory + DATA, 0x77, 4096);
	taskfile(&op);
	out(MODEL_BM + 4, 4, PRDS);
	out(MODEL_BASE + 7, 1, 0x25);
	start_engine(false);
	EXPECT_EQ(dma_finish(&op), 0x41);
	for (u32 n = 0; n < 4096; n++)
		EXPECT_EQ(model.memory[DATA + n], 0x77);
}

/* Nor is it if not all of it has come. */
TEST(a_read_with_an_error_of_the_engine)
{
	struct op op = { 0, 200, 4, 0, false, false, false, LINUX };
	u8 before[2048];

	machine(true, false, 512);
	dma_issue(&op);
	device_end();
	memcpy(before, model.memory + list_base(), sizeof(before));
	model.bm_status |= 2;
	EXPECT_EQ(in(MODEL_BASE + 7, 1), 0x40);
	EXPECT(!memcmp(before, model.memory + list_base(), sizeof(before)));
}

/* Started again, the engine would bring sector 90 to where 100 belongs. */
TEST(no_second_start_across_a_border)
{
	struct op op = { 0, 90, 40, 0, true, false, false, LINUX };
	u8 *data = model.memory + DATA;

	machine(true, false, 512);
	model.max_busy = 1;
	dma_issue(&op);
	out(MODEL_BM, 1, 1); /* is no second one */
	remember(&op, model.memory + list_base());
	EXPECT_EQ(dma_finish(&op), 0x40);
	for (int i = 0; i < 40; i++) {
		op.flow = i % FLOWS;
		fill(data, op_bytes(&op) + 2);
		dma_issue(&op);
		data = model.memory + list_base();
		model_tick();
		out(MODEL_BM + 2, 1, 0x60);
		EXPECT_EQ(model.bm_status & 0x60, 0x60);
		out(MODEL_BM, 1, 0);
		out(MODEL_BM, 1, 1);
		EXPECT_EQ(in(MODEL_BM, 1), 0);
		out(MODEL_BM, 2, 0);
		out(MODEL_BM, 2, 1);
		for (int n = 0; n < 50; n++)
			model_tick();
		soft_reset();
		for (u32 n = 0; n < 30; n++)
			for (u32 m = 0; m < 10; m++)
				EXPECT(memcmp(
					model_sector(&model.dev[0], 100 + n),
					data + m * 512, 512));
		settle(&op, data);
		EXPECT(do_dma(&op));
	}
	EXPECT(disks_right());
}

static void start_unseen(void)
{
	if (!hooked(MODEL_BM, 1) && !(model.bm_command & 1))
		hw_out(MODEL_BM, 1, 1);
}

/* Another CPU starts the engine whenever nobody looks. */
TEST(no_start_slips_in)
{
	struct op op = { 0, 90, 40, 0, true, false, false, LINUX };

	machine(true, false, 512);
	for (int i = 0; i < 20; i++) {
		fill(model.memory + DATA, op_bytes(&op) + 2);
		model.on_engine = start_unseen;
		dma_issue(&op);
		model.on_engine = NULL;
		remember(&op, model.memory + list_base());
		EXPECT_EQ(dma_finish(&op), 0x40);
		EXPECT(disks_right());
	}
}

/* The list of the command before is used again. */
TEST(a_start_before_the_command_and_no_list)
{
	struct op op = { 0, 90, 40, 0, true, false, false, LINUX };
	u8 *data;

	machine(true, false, 512);
	EXPECT(do_dma(&op));
	data = model.memory + list_base();
	fill(data, op_bytes(&op));
	remember(&op, data);
	start_engine(true);
	taskfile(&op);
	out(MODEL_BASE + 7, 1, 0xCA);
	EXPECT_EQ(dma_finish(&op), 0x40);
	EXPECT(disks_right());
}

static u8 command_status(u8 dev, u8 code)
{
	out(MODEL_BASE + 6, 1, dev);
	out(MODEL_BASE + 7, 1, code);
	alt_wait(0x80, 0);
	return (u8)in(MODEL_BASE + 7, 1);
}

/* By whose CHS addresses sectors are found from then on. */
TEST(geometry_of_the_guest)
{
	machine(true, false, 512);
	out(MODEL_BASE + 2, 1, 32);
	EXPECT_EQ(command_status(0xA7, 0x91), 0x40);
	model.dev[0].heads = 4; /* what is decided is what is executed */
	out(MODEL_BASE + 2, 1, 1);
	out(MODEL_BASE + 3, 1, 5);
	out(MODEL_BASE + 4, 1, 2);
	out(MODEL_BASE + 5, 1, 0);
	out(MODEL_BASE + 6, 1, 0xA3);
	out(MODEL_BASE + 7, 1, 0x20);
	EXPECT_EQ(model.dev[0].lba - 1, (2 * 8 + 3) * 32 + 4);
}

/* It is not that of the next one. */
TEST(a_list_for_an_unknown_command)
{
	struct op op = { 0, 200, 4, 0, true, false, false, FREEBSD };

	machine(true, false, 512);
	put_prd(PRDS + 0x8000, MODEL_RAM, 2048, true);
	out(MODEL_BM + 4, 4, PRDS + 0x8000);
	EXPECT_EQ(command_status(0xF0, 0x80), 0x41);
	EXPECT(do_dma(&op));
	EXPECT(disks_right());
}

/* Of a code that is not known, the registers may be two deep. */
TEST(registers_of_an_unknown_command)
{
	machine(true, false, 512);
	out(MODEL_BASE + 6, 1, 0xF0);
	for (u16 reg = 1; reg < 6; reg++) {
		out(MODEL_BASE + reg, 1, 0x10 + reg);
		out(MODEL_BASE + reg, 1, 0x20 + reg);
	}
	out(MODEL_BASE + 7, 1, 0x78); /* SET ACCESSIBLE MAX ADDRESS EXT */
	EXPECT_EQ(model.dev[1].command, 0x78);
	for (u16 reg = 1; reg < 6; reg++) {
		EXPECT_EQ(model.dev[1].hob[reg], 0x10 + reg);
		EXPECT_EQ(model.dev[1].cur[reg], 0x20 + reg);
	}
}

static void no_mark_protected(u64 lba, const u8 *data)
{
	for (u32 i = 0; i < 512 && toy_covered(&devs[0], lba); i++)
		EXPECT(data[i] != MARK);
}

/* A device that takes half of each word would get the data of sector 3000 and
 * on, which is plain, while it is still at the sectors before. */
TEST(no_narrow_data_across_a_border)
{
	struct op op = { 0, 2990, 40, 0x30, true, false, false, LINUX };
	static u8 data[40 * 512];

	machine(true, false, 512);
	model.dev[0].on_write = no_mark_protected;
	memset(data, MARK, sizeof(data));
	out(MODEL_BASE + 1, 1, 0x01);
	command_status(0xE0, 0xEF);
	taskfile(&op);
	out(MODEL_BASE + 7, 1, op.code);
	for (u32 i = 0; i < op.count; i++) {
		alt_wait(0x88, 0x08);
		burst(MODEL_BASE, 2, true, data + i * 512, 512);
	}
	EXPECT(!memcmp(model_sector(&model.dev[0], 3000), data, 512));
}

TEST(refused_commands)
{
	static const u8 codes[] = { 0x22, 0x32, 0x3F, 0x37, 0x38, 0x45, 0x57,
				    0x5E, 0x61, 0x80, 0x92, 0xA0, 0xB1, 0xB4,
				    0xC0, 0xE8, 0xE9, 0xF1, 0xF4, 0xF9, 0xFF };
	u32 before;

	machine(true, false, 512);
	for (size_t i = 0; i < sizeof(codes); i++) {
		before = model.interrupts;
		out(MODEL_BASE + 1, 1, 1);
		EXPECT_EQ(command_status(0xE0, codes[i]), 0x41);
		EXPECT_EQ(in(MODEL_BASE + 1, 1), 0x04);
		EXPECT_EQ(model.dev[0].cur[1], 0); /* NOP without a meaning */
		EXPECT_EQ(model.interrupts, before + 1);
		EXPECT_EQ(model.dev[0].command, 0);
	}
	command_status(0xF0, 0x92); /* the sibling decides for itself */
	EXPECT_EQ(model.dev[1].command, 0x92);
	out(MODEL_BASE + 1, 1, 0xD6);
	command_status(0xE0, 0xB0);
	EXPECT_EQ(model.dev[0].command, 0);
	out(MODEL_BASE + 1, 1, 0xD7);
	command_status(0xE0, 0xB0);
	EXPECT_EQ(model.dev[0].command, 0);
	out(MODEL_BASE + 1, 1, 0xD0);
	command_status(0xE0, 0xB0);
	EXPECT_EQ(model.dev[0].command, 0xB0);
}

TEST(lists_into_hidden_memory)
{
	struct op op = { 0, 200, 4, 0, false, false, false, LINUX };
	static const struct {
		u32 base, bytes;
	} bad[] = { { MODEL_RAM, 2048 },
		    { MODEL_RAM - 1024, 2048 },
		    { 0xFFFFF000, 2048 },
		    { 0xFEE00000, 0 } };
	u32 base;

	machine(true, false, 512);
	for (int unit = 0; unit < 2; unit++)
		for (int i = 0; i < 4 * FLOWS; i++) {
			op.unit = unit;
			op.flow = i % FLOWS;
			op.write = i & 1;
			dma_issue(&op);
			soft_reset();
			out(MODEL_BM, 1, 0);
			put_prd(PRDS, bad[i / FLOWS].base, bad[i / FLOWS].bytes,
				true);
			taskfile(&op);
			out(MODEL_BM + 4, 4, PRDS);
			out(MODEL_BASE + 7, 1, dma_code(&op));
			start_engine(op.write);
			EXPECT_EQ(dma_finish(&op), 0x41);
		}
	/* A list that is not RAM itself, and one without an end. */
	for (int i = 0; i < 4; i++) {
		for (u32 n = 0; n < 9000; n++)
			put_prd(0x100008 + 8 * n, DATA, 2, false);
		op.unit = i & 1;
		op.count = 128;
		taskfile(&op);
		out(MODEL_BM + 4, 4, i & 2 ? 0x100008 : MODEL_RAM + 0x1000);
		out(MODEL_BASE + 7, 1, 0xC8);
		start_engine(false);
		EXPECT_EQ(dma_finish(&op), 0x41);
		EXPECT(ch->dma.sg.count <= IDE_PRD_MAX);
	}
	EXPECT_EQ(model.hidden_written, 0);
	/* What is in the engine now ends after two bytes behind it. */
	EXPECT_EQ(model.bm_prd, ch->dma.empty_pa);
	memcpy(&base, model.memory + ch->dma.empty_pa, 4);
	EXPECT_EQ(base, ch->dma.empty_pa + 8);
	EXPECT_EQ(model.memory[ch->dma.empty_pa + 4], 2);
	EXPECT_EQ(model.memory[ch->dma.empty_pa + 7], 0x80);
}

TEST(list_at_the_end_of_ram)
{
	struct op op = { 0, 200, 4, 0, true, false, false, LINUX };

	machine(true, false, 512);
	fill(model.memory + DATA, 2048);
	put_prd(MODEL_RAM - 8, DATA, 2048, true);
	remember(&op, model.memory + DATA);
	taskfile(&op);
	out(MODEL_BM + 4, 4, MODEL_RAM - 8);
	out(MODEL_BASE + 7, 1, 0xCA);
	start_engine(true);
	EXPECT_EQ(dma_finish(&op), 0x40);
	EXPECT(disks_right());
}

/* The engine takes the second half of this entry from the next page. */
TEST(an_entry_across_a_page)
{
	struct op op = { 0, 200, 4, 0, true, false, false, LINUX };

	machine(true, false, 512);
	fill(model.memory + DATA, 2048);
	put_prd(0x1FFC, DATA, 2048, true);
	remember(&op, model.memory + DATA);
	taskfile(&op);
	out(MODEL_BM + 4, 4, 0x1FFC);
	out(MODEL_BASE + 7, 1, 0xCA);
	start_engine(true);
	EXPECT_EQ(dma_finish(&op), 0x40);
	EXPECT(disks_right());
}

static u8 read_by_list(const struct op *op, u32 list)
{
	memset(model.memory + DATA, 0x77, 0x20000);
	taskfile(op);
	out(MODEL_BM + 4, 4, list);
	out(MODEL_BASE + 7, 1, 0xC8);
	start_engine(false);
	return dma_finish(op);
}

/* Pieces of memory of 2048 bytes, with as many between them. */
static u8 read_pieces(const struct op *op, u32 pieces)
{
	for (u32 i = 0; i < pieces; i++)
		put_prd(PRDS + 8 * i, DATA + 4096 * i, 2048, i == pieces - 1);
	return read_by_list(op, PRDS);
}

/* Of the pieces of a list, just those are touched that the data is for, also
 * if lists before it had more. */
TEST(memory_beyond_the_data)
{
	struct op op = { 0, 200, 16, 0, false, false, false, LINUX };

	machine(true, false, 512);
	EXPECT_EQ(read_pieces(&op, 4), 0x40);
	EXPECT_EQ(read_pieces(&op, 2), 0x48);
	for (u32 i = 0x2000; i < 0x8000; i++)
		EXPECT_EQ(model.memory[DATA + i], 0x77);
	soft_reset();
	op.count = 4;
	EXPECT_EQ(read_pieces(&op, 4), 0x40);
	EXPECT(same_as_plain(&op, model.memory + DATA));
	for (u32 i = 0x1000; i < 0x8000; i++)
		EXPECT_EQ(model.memory[DATA + i], 0x77);
}

/* Reserved bits, and entries that the data does not reach. */
TEST(what_the_engine_does_not_heed)
{
	struct op op = { 0, 200, 4, 0, false, false, false, LINUX };

	machine(true, false, 512);
	put_prd(PRDS, DATA | 1, 1024 | 1, false);
	memcpy(model.memory + PRDS + 6, "\xFF\x7F", 2);
	put_prd(PRDS + 8, DATA + 1024, 512, false);
	put_prd(PRDS + 16, DATA + 1536, 4096, false);
	put_prd(PRDS + 24, MODEL_RAM, 512, true);
	EXPECT_EQ(read_by_list(&op, PRDS | 3), 0x40);
	EXPECT_EQ(bm_end & 1, 0);
	EXPECT(same_as_plain(&op, model.memory + DATA));
	for (u32 i = 2048; i < 0x2000; i++)
		EXPECT_EQ(model.memory[DATA + i], 0x77);
	EXPECT_EQ(model.hidden_written, 0);
}

TEST(lists_as_large_as_can_be)
{
	struct op op = { 0, 200, 256, 0, false, false, false, LINUX };

	machine(true, false, 512);
	put_prd(PRDS, DATA, 0x10000, false);
	put_prd(PRDS + 8, DATA + 0x10000, 0x10000, true);
	EXPECT_EQ(read_by_list(&op, PRDS), 0x40);
	EXPECT(same_as_plain(&op, model.memory + DATA));
	for (u32 n = IDE_PRD_MAX; n <= IDE_PRD_MAX + 1; n++) {
		for (u32 i = 0; i < n; i++)
			put_prd(0x100000 + 8 * i, DATA + 2 * i, 2, i == n - 1);
		op.count = IDE_PRD_MAX / 256 + (n > IDE_PRD_MAX);
		EXPECT_EQ(read_by_list(&op, 0x100000),
			  n > IDE_PRD_MAX ? 0x41 : 0x40);
		EXPECT(n > IDE_PRD_MAX ||
		       same_as_plain(&op, model.memory + DATA));
	}
}

/* Longer lists are cut; with shorter ones the device waits for ever. */
TEST(list_longer_or_shorter)
{
	struct op op = { 0, 200, 4, 0, true, false, false, LINUX };

	machine(true, false, 512);
	for (u32 bytes = 600; bytes <= 4096; bytes += 3496) {
		fill(model.memory + DATA, 4096);
		put_prd(PRDS, DATA, bytes, true);
		taskfile(&op);
		out(MODEL_BM + 4, 4, PRDS);
		out(MODEL_BASE + 7, 1, 0xCA);
		start_engine(true);
		EXPECT_EQ(dma_finish(&op), bytes > 600 ? 0x40 : 0x48);
		soft_reset();
		memcpy(plain_sector(0, 200), model.memory + DATA,
		       bytes > 600 ? 2048 : 512);
	}
	for (int i = 0; i < 2; i++) { /* there is no such command */
		put_prd(PRDS, DATA, 510, true);
		taskfile(&op);
		out(MODEL_BM + 4, 4, PRDS);
		out(MODEL_BASE + 7, 1, i ? 0xCA : 0xC8);
		start_engine(i);
		EXPECT_EQ(dma_finish(&op), 0x41);
	}
	/* Of a command in parts the last one's would be missing. */
	op = (struct op){ 0, 50, 4000, 0, true, true, false, LINUX };
	dma_issue(&op);
	soft_reset();
	make_list(PRDS, DATA, 3500 * 512, false);
	taskfile(&op);
	out(MODEL_BM + 4, 4, PRDS);
	out(MODEL_BASE + 7, 1, 0x35);
	EXPECT_EQ(dma_finish(&op), 0x41);
}

TEST(atapi_sibling)
{
	struct op write = { 0, 200, 4, 0, true, false, false, LINUX };
	u8 cdb[12] = { 0x28, [8] = 1 };
	u32 i;

	machine(true, false, 512);
	model.dev[1].atapi = true;
	model.dev[1].sector = 2048;
	memset(model.dev[1].disk, 0x5A, 4096);
	for (i = 0; i < 6; i++) {
		bool bad = i >= 4;

		put_prd(PRDS, bad ? MODEL_RAM + 4096 : DATA, 2048, true);
		memset(model.memory + DATA, 0, 2048);
		out(MODEL_BASE + 6, 1, 0xB0);
		out(MODEL_BASE + 1, 1, 1);
		if (!(i & 1))
			out(MODEL_BM + 4, 4, PRDS);
		out(MODEL_BASE + 7, 1, 0xA0);
		alt_wait(0x88, 8);
		burst(MODEL_BASE, 2, true, cdb, 12);
		if (i & 1)
			out(MODEL_BM + 4, 4, PRDS);
		start_engine(false);
		for (int n = 0; n < 500; n++)
			in(MODEL_CTL, 1);
		if (bad) {
			EXPECT_EQ(model.running, false);
			EXPECT_EQ(model.bm_prd, ch->dma.empty_pa);
			put_prd(PRDS, DATA, 2048, true); /* a better one */
			start_engine(false);
			for (int n = 0; n < 500; n++)
				in(MODEL_CTL, 1);
		}
		EXPECT_EQ(model.memory[DATA + 2047], 0x5A);
		out(MODEL_BM, 1, 0);
		out(MODEL_BASE + 7, 1, 0x08);
	}
	model.dev[1].status = 0x80; /* it hangs */
	model.commands = 0;
	out(MODEL_BASE + 7, 1, 0x08);
	EXPECT_EQ(model.dev[1].status, 0);
	EXPECT_EQ(model.commands, 1);
	/* The engine still runs, with the list of another command. */
	EXPECT(do_dma(&write));
	out(MODEL_BM, 1, 9);
	out(MODEL_BASE + 6, 1, 0xB0);
	out(MODEL_BASE + 1, 1, 1);
	out(MODEL_BASE + 7, 1, 0xA0);
	alt_wait(0x88, 8);
	burst(MODEL_BASE, 2, true, cdb, 12);
	for (int n = 0; n < 500; n++)
		in(MODEL_CTL, 1);
	EXPECT_EQ(model.hidden_written, 0);
}

TEST(identify_is_adjusted)
{
	u8 id[512], sum = 0;

	machine(true, false, 512);
	out(MODEL_BASE + 6, 1, 0xA0);
	out(MODEL_BASE + 7, 1, 0xEC);
	EXPECT(hooked(MODEL_CTL, 1));
	EXPECT(!hooked(MODEL_CTL + 1, 1)); /* the floppy controller's */
	EXPECT(!hooked(MODEL_BASE + 8, 1));
	alt_wait(0x88, 8);
	burst(MODEL_BASE, 2, false, id, 256);
	EXPECT_EQ(in(MODEL_BASE + 7, 1), 0x48);
	EXPECT_EQ(in(MODEL_CTL, 1), 0x48);
	EXPECT_EQ(model.control, 0);
	out(MODEL_CTL, 2, 0);
	EXPECT_EQ(model.elsewhere, 0);
	burst(MODEL_BASE, 4, false, id + 256, 256);
	EXPECT_EQ(in(MODEL_BASE + 7, 1), 0x40);
	EXPECT(!hooked(MODEL_CTL, 1));
	for (int i = 0; i < 512; i++)
		sum += id[i];
	EXPECT_EQ(sum, 0);
	EXPECT_EQ(id[49 * 2 + 1], 0x2B);  /* DMA, LBA, standby timer */
	EXPECT_EQ(id[76 * 2 + 1] & 1, 0); /* NCQ */
	EXPECT_EQ(id[83 * 2] & 3, 0);	  /* microcode, queued */
	EXPECT_EQ(id[83 * 2 + 1] & 4, 4); /* 48-bit stays */
}

/* It is forgotten, and was never the sibling's. */
TEST(a_command_after_half_a_sector)
{
	struct op op = { 0, 200, 4, 0, false, false, false, LINUX };
	u8 id[256], *data;

	machine(true, false, 512);
	EXPECT(do_dma(&op));
	data = model.memory + list_base();
	out(MODEL_BASE + 6, 1, 0xA0);
	out(MODEL_BASE + 7, 1, 0xEC);
	alt_wait(0x88, 8);
	burst(MODEL_BASE, 2, false, id, sizeof(id));
	out(MODEL_BASE + 6, 1, 0xB0);
	EXPECT_EQ(in(MODEL_BASE + 7, 1), 0x40);
	EXPECT_EQ(in(MODEL_CTL, 1), 0x40);
	EXPECT_EQ(in(MODEL_BASE, 2), 0xFFFF);
	out(MODEL_BASE + 6, 1, 0xA0);
	EXPECT_EQ(in(MODEL_BASE + 7, 1), 0x48);
	EXPECT_EQ(command_status(0xA0, 0xE7), 0x40);
	EXPECT_EQ(in(MODEL_BASE, 2), 0xFFFF);
	EXPECT_EQ(ch->pio.kind, PIO_NONE);
	EXPECT(same_as_plain(&op, data)); /* decrypted once only */
}

/* EXECUTE DEVICE DIAGNOSTIC selects the first device. */
TEST(a_command_after_a_diagnostic)
{
	machine(true, false, 512);
	command_status(0xF0, 0x90);
	out(MODEL_BASE + 7, 1, 0xE7);
	EXPECT_EQ(model.dev[0].command, 0xE7);
	EXPECT_EQ(model.device, 0);
}

/* A reset selects the first device; a command is for the one that the guest
 * has selected, if that is ready. */
TEST(a_command_after_a_reset)
{
	machine(true, false, 512);
	out(MODEL_BASE + 6, 1, 0xF0);
	soft_reset();
	model.dev[1].status = 0x80;
	out(MODEL_BASE + 7, 1, 0xE7);
	EXPECT_EQ(model.ignored, 0);
	EXPECT_EQ(model.commands, 0);
	model.dev[1].status = 0x40;
	out(MODEL_BASE + 7, 1, 0xE7);
	EXPECT_EQ(model.dev[1].command, 0xE7);
	EXPECT_EQ(model.dev[0].command, 0);
}

/* The end of one by DMA may be seen first when the next one comes. */
TEST(a_command_without_a_look_at_the_last)
{
	struct op op = { 0, 200, 4, 0, false, false, false, LINUX };

	machine(true, false, 512);
	dma_issue(&op);
	device_end();
	out(MODEL_BASE + 7, 1, 0xE7);
	EXPECT_EQ(model.dev[0].command, 0xE7);
	EXPECT(same_as_plain(&op, model.memory + list_base()));
}

TEST(more_data_than_sectors)
{
	struct op op = { 0, 200, 1, 0, true, false, false, LINUX };

	machine(true, false, 512);
	fill(model.memory + DATA, 1024);
	remember(&op, model.memory + DATA);
	taskfile(&op);
	out(MODEL_BASE + 7, 1, 0x30);
	alt_wait(0x88, 8);
	burst(MODEL_BASE, 2, true, model.memory + DATA, 1024);
	EXPECT_EQ(alt_wait(0x80, 0), 0x40);
	EXPECT_EQ(ch->pio.kind, PIO_NONE);
	EXPECT(disks_right());
}

TEST(sectors_are_verified)
{
	struct op op = { 0, 200, 4, 0, false, false, false, LINUX };

	machine(true, false, 512);
	taskfile(&op);
	out(MODEL_BASE + 7, 1, 0x40);
	EXPECT_EQ(in(MODEL_BASE + 7, 1), 0x40);
	EXPECT_EQ(model.dev[0].lba, 200);
	EXPECT_EQ(model.dev[0].left, 4);
	EXPECT(!hooked(MODEL_CTL, 1)); /* no data is waited for */
}

TEST(a_log_is_not_adjusted)
{
	struct op op = { 0, 200, 4, 0, false, false, false, LINUX };
	u8 log[512];

	machine(true, false, 512);
	model.dev[0].bad_lba = 202;
	EXPECT_EQ(pio(&op, model.memory + DATA), 0x41); /* it is over, too */
	out(MODEL_BASE + 6, 1, 0xE0);
	out(MODEL_BASE + 7, 1, 0x2F);
	EXPECT_EQ(ch->pio.kind, PIO_NONE);
	EXPECT(!hooked(MODEL_CTL, 1));
	alt_wait(0x88, 8);
	burst(MODEL_BASE, 2, false, log, 512);
	for (u32 i = 0; i < 512; i++)
		EXPECT_EQ(log[i], 0x2F);
	EXPECT_EQ(in(MODEL_BASE + 7, 1), 0x40);
}

TEST(wide_register_access)
{
	machine(true, false, 512);
	out(MODEL_BASE + 6, 4, 0xFFFF10E0); /* beyond them there is nothing */
	EXPECT_EQ(model.elsewhere, 0);
	EXPECT_EQ(in(MODEL_BASE + 6, 4) >> 16, 0xFFFF);
	out(MODEL_BASE + 2, 4, 0x00030201); /* count 1, LBA 000302h */
	out(MODEL_BASE + 6, 2, 0x20E0);
	alt_wait(0x88, 8);
	EXPECT_EQ(model.dev[0].lba, 0x303);
	EXPECT_EQ(model.dev[0].phase, M_PIO_IN);
}

TEST(command_while_busy)
{
	struct op op = { 0, 200, 1, 0, true, false, false, LINUX };

	machine(true, false, 512);
	taskfile(&op);
	out(MODEL_BASE + 7, 1, 0x30);
	alt_wait(0x88, 8);
	out(MODEL_BASE + 6, 1, 0xF0);
	out(MODEL_BASE + 7, 1, 0x30);
	memset(model.memory + DATA, 0x11, 512);
	burst(MODEL_BASE, 2, true, model.memory + DATA, 512);
	memset(plain_sector(0, 200), 0x11, 512);
	EXPECT(disks_right());
}

/* They tell where the rest of the data goes. */
TEST(registers_stay_while_busy)
{
	struct op op = { 0, 90, 4, 0, true, false, true, LINUX };

	machine(true, false, 512);
	taskfile(&op);
	out(MODEL_BASE + 7, 1, 0x30);
	for (int i = 0; i < 2; i++) {
		if (!i)
			still_busy(100);
		else
			alt_wait(0x88, 8);
		for (u16 reg = 1; reg < 7; reg++)
			out(MODEL_BASE + reg, 1, 0xF5);
		out(MODEL_BASE + 7, 1, 0x30);
		out(MODEL_BASE + 7, 1, 0x08); /* no packet device */
		EXPECT_EQ(model.dev[0].status, i ? 0x48 : 0x80);
		EXPECT_EQ(model.dev[0].disturbed, 0);
	}
	soft_reset();
	make_list(PRDS, DATA, op_bytes(&op), false);
	taskfile(&op);
	out(MODEL_BM + 4, 4, PRDS);
	out(MODEL_BASE + 7, 1, 0xCA);
	for (u16 reg = 1; reg < 7; reg++)
		out(MODEL_BASE + reg, 1, 0xF5);
	out(MODEL_BASE + 7, 1, 0x30);
	EXPECT_EQ(model.dev[0].disturbed, 0);
	start_engine(true);
	remember(&op, model.memory + DATA);
	EXPECT_EQ(dma_finish(&op), 0x40);
	EXPECT(disks_right());
}

/* The other device has been selected when the engine's start sends a command
 * that waited for it. */
TEST(selection_before_a_late_start)
{
	struct op op = { 0, 200, 200, 0, true, false, false, LINUX };

	machine(true, false, 512);
	model.max_busy = 1;
	make_list(PRDS, DATA, op_bytes(&op), false);
	taskfile(&op);
	out(MODEL_BASE + 7, 1, 0xCA);
	out(MODEL_BASE + 6, 1, 0xF0);
	model.dev[1].atapi = true;
	out(MODEL_BASE + 7, 1, 0x08); /* is the other's alone */
	out(MODEL_BM + 4, 4, PRDS);
	start_engine(true);
	EXPECT_EQ(model.dev[0].phase, M_DMA_OUT);
	burst(MODEL_BASE, 2, true, model.memory + DATA, 64);
	EXPECT_EQ(model.stray, 0);
	out(MODEL_BASE + 3, 1, 90);
	out(MODEL_BASE + 7, 1, 0x08);
	EXPECT_EQ(model.dev[0].disturbed, 0);
}

/* The engine is that of the sibling until it is through. */
TEST(a_command_beside_plain_dma)
{
	struct op op = { 1, 200, 200, 0, true, false, false, LINUX };

	machine(true, false, 512);
	model.heeds = true;
	dma_issue(&op);
	remember(&op, model.memory + list_base());
	out(MODEL_BASE + 6, 1, 0xE0);
	EXPECT_EQ(model.device, 0xE0);
	EXPECT_EQ(in(MODEL_BASE + 7, 1), 0x40);
	out(MODEL_BASE + 2, 1, 1);
	out(MODEL_BASE + 7, 1, 0xE7);
	EXPECT_EQ(model.commands, 1);
	EXPECT_EQ(model.ignored, 0);
	out(MODEL_BASE + 6, 1, 0xF0);
	EXPECT_EQ(dma_finish(&op), 0x40);
	EXPECT(disks_right());
}

TEST(a_late_start_that_is_refused)
{
	struct op op = { 0, 200, 4, 0, true, false, false, LINUX };

	machine(true, false, 512);
	put_prd(PRDS, MODEL_RAM, op_bytes(&op), true);
	taskfile(&op);
	out(MODEL_BASE + 7, 1, 0xCA);
	out(MODEL_BASE + 6, 1, 0xF0);
	out(MODEL_BM + 4, 4, PRDS);
	start_engine(true);
	EXPECT_EQ(model.dev[0].status, 0x41);
	EXPECT_EQ(model.dev[1].status, 0x40);
}

/* ATA-7 volume 2, 5.2.3: the status tells of a command after 400 ns only. */
TEST(status_just_after_a_command)
{
	struct op op = { 0, 200, 4, 0, true, false, false, LINUX };

	machine(true, false, 512);
	model.delay = 4;
	model.max_busy = 1;
	dma_issue(&op);
	EXPECT(in(MODEL_BASE + 7, 1) & 0x88);
	EXPECT(ch->dma.active);
	remember(&op, model.memory + list_base());
	EXPECT_EQ(dma_finish(&op), 0x40);
	EXPECT(disks_right());
}

/* ATA-7 volume 2, 5.2.7: not by PIO. The device does not heed the selection
 * of its sibling, for which data would pass. */
TEST(pio_beside_dma)
{
	struct op op = { 0, 200, 8, 0, true, false, false, LINUX };

	machine(true, false, 512);
	model.max_busy = 1;
	dma_issue(&op);
	out(MODEL_BASE + 6, 1, 0xF0);
	burst(MODEL_BASE, 2, true, model.memory + DATA, 512);
	EXPECT_EQ(in(MODEL_BASE, 4), 0xFFFFFFFF);
	EXPECT_EQ(model.stray, 0);
	out(MODEL_BASE + 6, 1, 0xE0);
	remember(&op, model.memory + list_base());
	EXPECT_EQ(dma_finish(&op), 0x40);
	EXPECT(disks_right());
}

/* Words that are read could be missing in what is written. */
TEST(reads_beside_a_write)
{
	struct op op = { 0, 200, 1, 0, true, false, false, LINUX };

	machine(true, false, 512);
	taskfile(&op);
	out(MODEL_BASE + 7, 1, 0x30);
	alt_wait(0x88, 8);
	EXPECT_EQ(in(MODEL_BASE, 2), 0xFFFF);
	EXPECT_EQ(model.stray, 0);
	fill(model.memory + DATA, 512);
	burst(MODEL_BASE, 2, true, model.memory + DATA, 512);
	remember(&op, model.memory + DATA);
	EXPECT_EQ(alt_wait(0x80, 0), 0x40);
	EXPECT(disks_right());
}

TEST(ports_that_move)
{
	struct op op = { 0, 200, 4, 0, true, false, false, LINUX };

	machine(true, false, 512);
	ide_channel_place(ch, 0, 0, 0);
	exits = 0;
	in(MODEL_BASE + 7, 1);
	in(MODEL_BM + 4, 4);
	EXPECT_EQ(exits, 0);
	/* no engine: a command for it would never end */
	bus_master = 0;
	machine(true, false, 512);
	bus_master = MODEL_BM;
	taskfile(&op);
	out(MODEL_BASE + 7, 1, 0xCA);
	EXPECT_EQ(in(MODEL_BASE + 7, 1), 0x41);
	out(MODEL_BASE + 1, 1, 1);
	EXPECT_EQ(command_status(0xF0, 0xA0), 0x41);
	EXPECT_EQ(model.elsewhere, 0);
	ide_channel_place(ch, MODEL_BASE, MODEL_CTL, MODEL_BM);
	EXPECT(do_dma(&op));
	EXPECT(disks_right());
	out(MODEL_BM + 4, 4, 0xFFFFFFFC); /* each bit of it */
	out(MODEL_BM + 4, 4, 0);
	EXPECT_EQ(in(MODEL_BM + 4, 4), 0);
	out(MODEL_BM + 7, 2, 0x5A12); /* and nothing beyond */
	EXPECT_EQ(in(MODEL_BM + 4, 4), 0x12000000);
	ide_channel_place(ch, MODEL_BASE ^ 0x80, MODEL_CTL, MODEL_BM + 8);
	EXPECT(!hooked(MODEL_BASE, 8));
	EXPECT(!hooked(MODEL_BM, 8));
	EXPECT(hooked(MODEL_BASE ^ 0x80, 1));
	EXPECT(hooked(MODEL_BM + 12, 1));
}

static enum verdict late_access(const struct port_hook *hook, u16 port)
{
	u8 value = 4;
	struct port_io io = { port, 1, true, 1, &value };

	return hook->fn(hook->ctx, &io);
}

/* Another CPU may have moved a hook when an access comes to it. */
TEST(ports_that_have_moved_since)
{
	machine(true, false, 512);
	out(MODEL_BM + 4, 4, PRDS);
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(late_access(&ch->command_hook, MODEL_BASE + 8), DENY);
		EXPECT_EQ(late_access(&ch->control_hook, MODEL_CTL + 1), DENY);
		EXPECT_EQ(late_access(&ch->start_hook, MODEL_BM + 8), DENY);
		EXPECT_EQ(late_access(&ch->prd_hook, MODEL_BM - 1), DENY);
		ide_channel_place(ch, 0, 0, 0);
		EXPECT_EQ(late_access(&ch->command_hook, 1), DENY);
		EXPECT_EQ(late_access(&ch->control_hook, 0), DENY);
		EXPECT_EQ(late_access(&ch->prd_hook, 5), DENY);
	}
	EXPECT_EQ(model.elsewhere, 0);
	EXPECT_EQ(ch->dma.prd, PRDS);
}

/* While its ports are off, what answers there is another device. */
TEST(ports_of_another_device)
{
	static struct model_device ours;
	struct op op = { 0, 200, 4, 0, true, false, false, LINUX };
	struct op other = { 0, 10, 4, 0, true, false, false, LINUX };

	machine(true, false, 512);
	for (int i = 0; i < 4; i++) {
		fill(model.memory + DATA, op_bytes(&op));
		make_list(PRDS, DATA, op_bytes(&op), false);
		taskfile(&op);
		out(MODEL_BM + 4, 4, PRDS);
		out(MODEL_BASE + 7, 1, i & 1 ? 0x30 : 0xCA);
		alt_wait(0x88, 8);
		ide_channel_place(ch, MODEL_BASE, i & 2 ? 0 : MODEL_CTL,
				  i & 2 ? MODEL_BM : 0);
		ours = model.dev[0];
		model.dev[0] = model.dev[1];
		EXPECT_EQ(in(MODEL_BASE + 7, 1), 0xFF);
		soft_reset();
		taskfile(&other);
		out(MODEL_BASE + 7, 1, 0x30);
		out(MODEL_BASE + 6, 1, 0xF0);
		out(MODEL_BASE + 1, 1, 1);
		out(MODEL_BASE + 7, 1, i & 1 ? 0x30 : 0xA0);
		model.dev[0] = ours;
		model.device = 0xE0;
		ide_channel_place(ch, MODEL_BASE, MODEL_CTL, MODEL_BM);
		start_engine(true);
		out(MODEL_BASE + 6, 1, 0xF0);
		burst(MODEL_BASE, 2, true, model.memory + DATA, 512);
		for (int n = 0; n < 500; n++)
			model_tick();
		out(MODEL_BM, 1, 0);
		soft_reset();
		settle(&op, model.memory + DATA);
		EXPECT(do_dma(&op));
	}
	EXPECT(disks_right());
}

/* The chipset's decoder is off; the device goes on with what it does. */
TEST(a_reset_that_does_not_arrive)
{
	struct op op = { 0, 90, 40, 0, true, false, false, LINUX };

	machine(true, false, 512);
	model.max_busy = 1;
	for (int i = 0; i < 4; i++) {
		fill(model.memory + DATA, op_bytes(&op));
		make_list(PRDS, DATA, op_bytes(&op), false);
		taskfile(&op);
		out(MODEL_BM + 4, 4, PRDS);
		out(MODEL_BASE + 7, 1, i & 1 ? 0x30 : 0xCA);
		alt_wait(0x88, 8);
		model.off = i & 2;
		model.deaf = !model.off;
		soft_reset();
		model.off = model.deaf = false;
		for (int n = 0; n < 20; n++) {
			out(MODEL_BM, 1, 1);
			model_tick();
			out(MODEL_BM, 1, 0);
		}
		out(MODEL_BASE + 6, 1, 0xF0); /* a busy device does not heed */
		for (int n = 0; n < 20; n++) {
			alt_wait(0x80, 0);
			burst(MODEL_BASE, 2, true,
			      model.memory + DATA + 512 * n, 512);
		}
		soft_reset();
		settle(&op, model.memory + DATA);
	}
	EXPECT(disks_right());
}

/* The device still waits for it, and takes what comes next for it: that is
 * encrypted as the sector's data, although it was meant for a plain one. */
TEST(a_sector_that_does_not_arrive)
{
	struct op op = { 0, 150, 2, 0, true, false, false, LINUX };
	u8 *data = model.memory + DATA;
	u64 last = devs[0].last;

	machine(true, false, 512);
	devs[0].last = 151;
	fill(data, 1024);
	taskfile(&op);
	out(MODEL_BASE + 7, 1, 0x30);
	alt_wait(0x88, 8);
	burst(MODEL_BASE, 2, true, data, 510);
	model.off = true;
	burst(MODEL_BASE, 2, true, data + 510, 2);
	model.off = false;
	burst(MODEL_BASE, 2, true, data + 512, 512);
	EXPECT(memcmp(model_sector(&model.dev[0], 150), data + 512, 512));
	EXPECT(sector_right(0, 150, data + 512));
	soft_reset();
	devs[0].last = last;
}

TEST(not_enough_memory)
{
	static const u32 sizes[] = { 0, PAGE_SIZE, 0x100000, 0x240000 };

	machine(true, false, 512);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		model_memory_init(model.memory, MODEL_RAM, MODEL_RAM + sizes[i],
				  false);
		EXPECT_EQ(ide_channel_start(ch), -ENOMEM);
	}
}

static void reset_function(void)
{
	ide_channel_place(ch, 0, 0, 0);
	model.bm_prd = PRDS;
	model.bm_command = model.running = 0;
	ide_channel_place(ch, MODEL_BASE, MODEL_CTL, MODEL_BM);
}

/* A reset of the PCI function, between a command and the engine's start. */
TEST(engine_that_was_reset)
{
	struct op op = { 0, 200, 4, 0, true, false, false, LINUX };

	machine(true, false, 512);
	for (int i = 0; i < 2; i++) {
		make_list(PRDS, i ? MODEL_RAM : DATA, op_bytes(&op), false);
		if (!i) {
			taskfile(&op);
			out(MODEL_BM + 4, 4, PRDS);
			out(MODEL_BASE + 7, 1, 0xCA);
		}
		reset_function();
		start_engine(true);
		EXPECT(!model.running);
		soft_reset();
	}
	EXPECT(do_dma(&op));
	put_prd(PRDS, MODEL_RAM, 2048, true);
	out(MODEL_BM + 4, 4, PRDS);
	reset_function(); /* SERVICE: what had released the bus goes on */
	EXPECT_EQ(command_status(0xF0, 0xA2), 0x41);
	start_engine(false);
	EXPECT(!model.running);
	EXPECT(do_dma(&op));
	/* a list that may be, and a command that waits for one */
	reset_function();
	start_engine(true);
	EXPECT(model.running);
	EXPECT_EQ(model.bm_prd, ch->dma.table_pa);
	out(MODEL_BM, 1, 0);
	taskfile(&op);
	out(MODEL_BASE + 7, 1, 0xCA);
	reset_function();
	start_engine(true);
	EXPECT_EQ(dma_finish(&op), 0x40);
	EXPECT(disks_right());
}

TEST_MAIN(CASE(pio_all_forms), CASE(pio_in_pieces), CASE(data_out_of_turn),
	  CASE(no_interrupts_while_busy), CASE(dma_all_forms),
	  CASE(mixed_with_plain_sibling), CASE(large_sectors),
	  CASE(split_writes), CASE(exits_of_a_command), CASE(media_errors),
	  CASE(error_in_a_split_write), CASE(interrupts_of_a_split_write),
	  CASE(slow_split_write), CASE(a_reset_ends_a_split_write),
	  CASE(aborts_at_every_step), CASE(reset_without_a_stop),
	  CASE(reset_read_leaves_memory_alone),
	  CASE(reset_of_the_second_device), CASE(reads_of_sector_1),
	  CASE(a_read_that_is_refused),
	  CASE(a_read_with_an_error_of_the_engine),
	  CASE(no_second_start_across_a_border),
	  CASE(no_narrow_data_across_a_border), CASE(no_start_slips_in),
	  CASE(a_start_before_the_command_and_no_list),
	  CASE(a_list_for_an_unknown_command), CASE(geometry_of_the_guest),
	  CASE(registers_of_an_unknown_command), CASE(refused_commands),
	  CASE(lists_into_hidden_memory), CASE(list_at_the_end_of_ram),
	  CASE(an_entry_across_a_page), CASE(memory_beyond_the_data),
	  CASE(what_the_engine_does_not_heed), CASE(lists_as_large_as_can_be),
	  CASE(list_longer_or_shorter), CASE(atapi_sibling),
	  CASE(identify_is_adjusted), CASE(a_command_after_half_a_sector),
	  CASE(a_command_after_a_diagnostic), CASE(a_command_after_a_reset),
	  CASE(a_command_without_a_look_at_the_last),
	  CASE(more_data_than_sectors), CASE(sectors_are_verified),
	  CASE(a_log_is_not_adjusted), CASE(wide_register_access),
	  CASE(command_while_busy), CASE(registers_stay_while_busy),
	  CASE(selection_before_a_late_start),
	  CASE(a_late_start_that_is_refused), CASE(a_command_beside_plain_dma),
	  CASE(status_just_after_a_command), CASE(pio_beside_dma),
	  CASE(reads_beside_a_write), CASE(ports_that_move),
	  CASE(ports_that_have_moved_since), CASE(ports_of_another_device),
	  CASE(a_reset_that_does_not_arrive),
	  CASE(a_sector_that_does_not_arrive), CASE(not_enough_memory),
	  CASE(engine_that_was_reset))

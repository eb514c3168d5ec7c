/*
 * A guest that does anything to the ports of a channel with a protected CD
 * drive and a plain disk beside it. All it ever has in memory or writes is one
 * byte value; a unit of the disc's protected range that is written with it has
 * leaked. The drive must get no CDB that the table refuses, nothing may be
 * written into hidden memory.
 *
 * units: drivers/ata/command.c drivers/ata/packet.c drivers/ata/identify.c drivers/ata/ide_channel.c drivers/ata/ide_dma.c drivers/ata/ide_pio.c drivers/ata/ide_packet.c core/io/port.c core/io/sg.c tests/unit/ide_model.c tests/unit/ide_model_packet.c
 */
#include <stdlib.h>
#include <string.h>

#include "core/lib/range.h"
#include "drivers/ata/ide.h"
#include "tests/unit/ide_model.h"

#define MARK 0xA5
#define SAFE 0x5A
#define PRDS 0x3FF000 /* the last page of the guest's RAM */

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static bool covers(const struct block_dev *dev, u64 lba, u32 count)
{
	return lba + count > 16;
}

/* Not a cipher: what is encrypted is SAFE, what is decrypted is MARK. */
static void encode(const struct block_dev *dev, u64 lba, u32 count,
		   const void *src, void *dst)
{
	memmove(dst, src, count * 512ULL);
	for (u32 i = 0; i < count; i++)
		if (covers(dev, lba + i, 1))
			memset((u8 *)dst + i * 512, SAFE, 512);
}

static void decode(const struct block_dev *dev, u64 lba, u32 count,
		   const void *src, void *dst)
{
	memset(dst, MARK, count * 512ULL);
}

static void decode_sg(const struct block_dev *dev, u64 lba, u32 count,
		      const struct sg_list *sg, u64 offset)
{
	u64 left = count * 512ULL;

	for (u32 i = 0; i < sg->count && left; i++) {
		u32 n = (u32)min_u64(sg->seg[i].len, left);

		memset(model.memory + sg->seg[i].gpa, MARK, n);
		left -= n;
	}
	if (left)
		abort();
}

static void encode_sg(const struct block_dev *dev, u64 lba, u32 count,
		      const struct sg_list *sg, u64 offset, void *dst)
{
	if (sg_bytes(sg) < offset + count * 512ULL)
		abort();
	memset(dst, MARK, count * 512ULL);
	encode(dev, lba, count, dst, dst);
}

static const struct block_filter filter = {
	.covers = covers,
	.decode = decode,
	.encode = encode,
	.decode_sg = decode_sg,
	.encode_sg = encode_sg,
};

static void check_write(u64 lba, const u8 *data)
{
	if (!covers(NULL, lba, 1))
		return;
	for (u32 i = 0; i < 512; i++)
		if (data[i] == MARK)
			abort();
}

/* Hooks stay in the list for ever: the channel is used again. */
static struct ide_channel *new_channel(void)
{
	static struct ide_channel channel;
	struct ide_channel *ch = &channel;
	struct port_hook command, control, engine, prd;

	channel.dma.armed = IDE_IDLE;
	ide_channel_place(ch, 0, 0, 0);
	command = ch->command_hook;
	control = ch->control_hook;
	engine = ch->start_hook;
	prd = ch->prd_hook;
	memset(ch, 0, sizeof(*ch));
	ch->command_hook = command;
	ch->control_hook = control;
	ch->start_hook = engine;
	ch->prd_hook = prd;
	return ch;
}

static void start(void)
{
	static bool hooked;
	struct ide_channel *ch = new_channel();

	model.max_busy = 2;
	ch->filter = &filter;
	ch->spins = 20;
	ch->unit[0].dev = (struct block_dev *)ch;
	ch->unit[0].sector_size = PACKET_UNIT;
	ch->unit[0].packet = 12;
	if (hooked ? ide_dma_init(ch) : ide_channel_start(ch))
		abort();
	hooked = true;
	model.scratch = (u32)ch->dma.empty_pa + 8;
	ide_channel_place(ch, MODEL_BASE, MODEL_CTL, MODEL_BM);
}

static void port(u8 which, u8 size, bool write, u32 count, u32 value)
{
	static const u16 ports[] = {
		MODEL_BASE,	MODEL_BASE + 1, MODEL_BASE + 2, MODEL_BASE + 3,
		MODEL_BASE + 4, MODEL_BASE + 5, MODEL_BASE + 6, MODEL_BASE + 7,
		MODEL_BM,	MODEL_BM,	MODEL_BM + 2,	MODEL_BM + 4,
		MODEL_BM + 6,	MODEL_CTL,	MODEL_BASE + 7, MODEL_CTL,
	};
	static u8 buf[PORT_BURST_MAX];
	struct port_io io = { ports[which & 15], size, write, count, buf };

	memset(buf, MARK, sizeof(buf));
	if ((which & 15) != 0)
		memcpy(buf, &value, 4);
	port_access(&io);
}

static void move(bool by_dma, bool out)
{
	if (by_dma)
		port(8, 1, true, 1, out ? 1 : 9);
	for (u32 i = 0; i < 20; i++) {
		model_tick();
		if (!by_dma)
			port(0, 2, out, 256, 0);
	}
}

/* PACKET, the way it is meant: @p[1] says how, the CDB is made of the rest. */
static void packet(const u8 *p)
{
	static const u8 codes[] = { 0x28, 0x2A, 0xA8, 0xAA, 0x2E, 0xBE,
				    0x55, 0x03, 0x12, 0x00, 0x46 };
	u8 cdb[12] = { p[2], p[3] & 0x0B, [5] = p[4] };
	bool wide, out;
	struct port_io io = { MODEL_BASE, 2, true, 6, cdb };

	if (p[1] & 0x80)
		cdb[0] = codes[p[2] % sizeof(codes)];
	wide = cdb[0] == 0xA8 || cdb[0] == 0xAA;
	out = cdb[0] != 0x28 && cdb[0] != 0xA8;
	cdb[wide ? 9 : 8] = p[5] & 0x3F;
	if (cdb[0] == 0x03 || cdb[0] == 0x12)
		cdb[4] = p[5];
	if (cdb[0] == 0xBE)
		cdb[9] = p[6] & 1 ? 0x10 : p[6];
	if (p[1] & 4)
		port(11, 4, true, 1, PRDS);
	port(6, 1, true, 1, 0xA0);
	port(1, 1, true, 1, p[1] & 3);
	port(4, 1, true, 1, p[6]);
	port(5, 1, true, 1, p[7]);
	port(7, 1, true, 1, 0xA0);
	for (u32 i = 0; i < 4; i++)
		model_tick();
	if (p[1] & 0x40) /* in two pieces, the registers written in between */
		io.count = 3;
	port_access(&io);
	if (io.count == 3) {
		port(p[6], 1, true, 1, p[7]);
		io.data = cdb + 6;
		port_access(&io);
	}
	if (p[1] & 8) /* the data, too */
		move(p[1] & 1, out);
}

static void step(const u8 *p)
{
	u32 value;

	memcpy(&value, p + 4, 4);
	switch (p[0] & 7) {
	case 0:
	case 1:
		packet(p);
		break;
	case 2: /* a PRD */
		value &= p[1] & 1 ? 0x3FFFFF : 0xFFFFFFFF;
		memcpy(model.memory + PRDS + (p[1] >> 1) * 8, &value, 4);
		memcpy(model.memory + PRDS + (p[1] >> 1) * 8 + 4, p + 2, 2);
		model.memory[PRDS + (p[1] >> 1) * 8 + 7] = p[0] & 0x80;
		break;
	case 3:
		port(11, 4, true, 1, PRDS + (value & 0xFF8));
		port(8, 1, true, 1, p[1] & 9);
		break;
	case 4:
	case 5: /* a burst of data */
		port(0, p[1] & 1 ? 4 : 2, p[1] & 2, 1 + (value & 1023), 0);
		break;
	default:
		port(p[1], (u8)(1u << p[2] % 3), p[0] & 8, 1 + (p[3] & 1),
		     value);
	}
	for (u32 i = 0; i < (p[0] >> 4 & 3); i++)
		model_tick();
}

/* All of the guest's memory is MARK but what the last run has changed. */
static void clean(void)
{
	u32 from = model.dirty_from, to = (u32)min_u64(model.dirty_to, PRDS);

	if (!model.dirty_to && !from)
		to = PRDS;
	if (from < to)
		memset(model.memory + from, MARK, to - from);
	memset(model.memory + PRDS, MARK, MODEL_RAM - PRDS);
	memcpy(model.memory + PRDS, "\0\0\2\0\0\0\0\x80", 8);
}

static void check_cdb(const struct model_device *drive)
{
	struct packet p;

	packet_decide(drive->cdb, &p);
	if (drive->cdbs && p.policy == PACKET_REFUSE && drive->cdb[0] != 0x1F)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct model_device *drive = &model.dev[0];

	clean();
	model_power_on();
	drive->atapi = true;
	drive->sector = 2048;
	drive->on_write = check_write;
	if (size)
		drive->odd_blocks = data[0] == 1 ? 700 : 0;
	start();
	for (; size >= 8 && size < 0x10000; data += 8, size -= 8) {
		step(data);
		check_cdb(drive);
	}
	if (model.hidden_written)
		abort();
	return 0;
}

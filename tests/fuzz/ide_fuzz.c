/*
 * A guest that does anything to the ports of a channel with one protected
 * disk. All it ever has in memory or writes is one byte value; a sector of the
 * protected range that is written with it has leaked. Nothing may be written
 * into hidden memory.
 *
 * units: drivers/ata/command.c drivers/ata/identify.c drivers/ata/ide_channel.c drivers/ata/ide_packet.c drivers/ata/packet.c drivers/ata/ide_dma.c drivers/ata/ide_pio.c core/io/port.c core/io/sg.c tests/unit/ide_model.c tests/unit/ide_model_packet.c
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
	return lba < 4096 && lba + count > 16;
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
	u64 end = offset + count * 512ULL, pos = 0;

	for (u32 i = 0; i < sg->count; pos += sg->seg[i++].len) {
		u64 from = max_u64(pos, offset);
		u64 to = min_u64(pos + sg->seg[i].len, end);

		if (from < to)
			memcpy((u8 *)dst + (from - offset),
			       model.memory + sg->seg[i].gpa + (from - pos),
			       to - from);
	}
	if (pos < end)
		abort();
	for (u32 i = 0; i < count; i++)
		if (covers(dev, lba + i, 1))
			memset((u8 *)dst + i * 512, SAFE, 512);
}

static const struct block_filter filter = {
	NULL, covers, decode, encode, decode_sg, encode_sg, NULL,
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
	ch->unit[0].sector_size = 512;
	ch->unit[0].geometry = (struct ata_geometry){ 16, 63 };
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
	if ((which & 15) != 0 || count == 1)
		memcpy(buf, &value, 4);
	if (io.port == MODEL_BASE)
		memset(buf, MARK, sizeof(buf));
	port_access(&io);
}

/* What only a task file and a command make: the usual way in. */
static void command(const u8 *p)
{
	for (int r = 1; r < 6; r++) {
		port(r, 1, true, 1, 0);
		port(r, 1, true, 1, p[r] & (r == 1 || r > 3 ? 0 : 31));
	}
	port(6, 1, true, 1, p[6] & 0x10 ? 0xF0 : 0xE0);
	port(7, 1, true, 1, p[7]);
}

static void step(const u8 *p)
{
	u32 value;

	memcpy(&value, p + 4, 4);
	switch (p[0] & 7) {
	case 0:
		command(p);
		break;
	case 1: /* a PRD */
		value &= p[1] & 1 ? 0x3FFFFF : 0xFFFFFFFF;
		memcpy(model.memory + PRDS + (p[1] >> 1) * 8, &value, 4);
		memcpy(model.memory + PRDS + (p[1] >> 1) * 8 + 4, p + 2, 2);
		model.memory[PRDS + (p[1] >> 1) * 8 + 7] = p[0] & 0x80;
		break;
	case 2:
		port(11, 4, true, 1, PRDS + (value & 0xFF8));
		port(8, 1, true, 1, p[1] & 9);
		break;
	case 3: /* a burst of data */
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
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	clean();
	model_power_on();
	model.dev[0].on_write = check_write;
	start();
	for (; size >= 8 && size < 0x10000; data += 8, size -= 8)
		step(data);
	if (model.hidden_written)
		abort();
	return 0;
}

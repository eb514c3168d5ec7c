/*
 * One DMA command with any PRD list, on a disk that is protected as a whole.
 * What arrives is compared with a walk of the guest's list that is done here
 * a byte at a time; hidden memory must stay as it is.
 *
 * units: drivers/ata/command.c drivers/ata/identify.c drivers/ata/ide_channel.c drivers/ata/ide_dma.c drivers/ata/ide_pio.c drivers/ata/ide_packet.c drivers/ata/packet.c core/io/port.c core/io/sg.c tests/unit/ide_model.c tests/unit/model_memory.c tests/unit/ide_model_packet.c tests/unit/toy_filter.c
 */
#include <stdlib.h>
#include <string.h>

#include "core/lib/bytes.h"
#include "core/lib/range.h"
#include "drivers/ata/ide.h"
#include "tests/unit/ide_model.h"
#include "tests/unit/toy_filter.h"

#define SECTORS 64
#define BYTES	(SECTORS * 512)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct ide_channel channel;
static struct block_dev dev = { 512, 0, ~0ULL, ~0ULL };

static void start(void)
{
	static bool started;
	struct ide_channel *ch = &channel;

	if (!started) {
		model_init();
		ch->filter = &xor_filter;
		ch->spins = 20;
		ch->unit[0].dev = &dev;
		ch->unit[0].sector_size = 512;
		if (ide_channel_start(ch))
			abort();
		ide_channel_place(ch, MODEL_BASE, MODEL_CTL, MODEL_BM);
		started = true;
	}
	model_power_on();
	ch->dma.active = ch->dma.fresh = false;
	model.scratch = (u32)ch->dma.empty_pa + 8;
}

static void out(u16 port, u8 size, u32 v)
{
	port_access(&(struct port_io){ port, size, true, 1, &v });
}

static u8 in(u16 port)
{
	u8 v = 0;

	port_access(&(struct port_io){ port, 1, false, 1, &v });
	return v;
}

/*
 * The addresses of the bytes of the list, up to @max; how many there are.
 * *@good: the hardware may be let at the list, each byte is there once.
 */
UNTOLD static u32 walk(u32 at, u32 *address, u32 max, bool *good)
{
	static u32 seen[MODEL_RAM], run;
	u32 n = 0;

	*good = false;
	run++;
	for (u32 entries = 0; n < max; entries++, at += 8) {
		u32 base, len;

		if (entries == 8192 || at > MODEL_RAM - 8)
			return n;
		base = load_le32(model.memory + at) & ~1u;
		len = load_le16(model.memory + at + 4) & 0xFFFE;
		for (len = len ? len : 65536; len && n < max; len--, base++) {
			if (base >= MODEL_RAM || seen[base] == run)
				return n;
			seen[base] = run;
			address[n++] = base;
		}
		if (model.memory[at + 7] & 0x80)
			break;
	}
	*good = true;
	return n;
}

static u8 run(bool write, u32 count, u32 prd)
{
	out(MODEL_BASE + 6, 1, 0xE0);
	out(MODEL_BASE + 2, 1, count);
	for (int r = 3; r < 6; r++)
		out(MODEL_BASE + r, 1, 0);
	out(MODEL_BM + 4, 4, prd);
	out(MODEL_BASE + 7, 1, write ? 0xCA : 0xC8);
	out(MODEL_BM, 1, write ? 1 : 9);
	for (int i = 0; i < 200; i++)
		model_tick();
	out(MODEL_BM, 1, write ? 0 : 8);
	return in(MODEL_BASE + 7);
}

/* After a read as after a write: the memory is the disk, decrypted. */
UNTOLD static void compare(const u32 *address, u32 bytes)
{
	for (u32 i = 0; i < bytes; i++)
		if (model.dev[0].disk[i] != (model.memory[address[i]] ^
					     xor_key(&dev, i / 512, i % 512)))
			abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static u32 address[BYTES];
	bool write, good;
	u32 count, prd, n;
	u8 st;

	if (size < 6 || size > 0x8000)
		return 0;
	start();
	write = data[0] & 1;
	count = 1 + (data[0] >> 1) % SECTORS;
	prd = load_le32(data + 1) & (data[5] & 1 ? 0x3FFFFC : ~3u);
	if (range_ok(prd, size - 6, MODEL_RAM))
		memcpy(model.memory + prd, data + 6, size - 6);
	if (data[5] & 2 && range_ok(prd, size - 6, MODEL_RAM)) /* in RAM */
		for (u32 i = 3; i < size - 6; i += 8) {
			model.memory[prd + i - 1] &= 0x3F;
			model.memory[prd + i] = 0;
		}
	n = walk(prd, address, count * 512, &good);
	st = run(write, count, prd);
	if (model.hidden_written || model.wrong_direction)
		abort();
	if (good && n == count * 512 && st != 0x40)
		abort();
	if (good && n == count * 512)
		compare(address, n);
	return 0;
}

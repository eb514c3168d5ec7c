/*
 * A guest that does anything to the ports of a channel with one protected
 * disk. All it ever has in memory or writes is one byte value; a sector of the
 * protected range that is written with it has leaked. Nothing may be written
 * into hidden memory.
 *
 * units: drivers/ata/command.c drivers/ata/identify.c drivers/ata/ide_channel.c drivers/ata/ide_packet.c drivers/ata/packet.c drivers/ata/ide_dma.c drivers/ata/ide_pio.c core/io/port.c core/io/sg.c tests/unit/ide_model.c tests/unit/model_memory.c tests/unit/ide_model_packet.c tests/unit/toy_filter.c tests/fuzz/ide_guest.c
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/ide_guest.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* What only a task file and a command make: the usual way in. */
static void command(const u8 *p)
{
	for (int r = 1; r < 6; r++) {
		guest_port(r, 1, true, 1, 0);
		guest_port(r, 1, true, 1, p[r] & (r == 1 || r > 3 ? 0 : 31));
	}
	guest_port(6, 1, true, 1, p[6] & 0x10 ? 0xF0 : 0xE0);
	guest_port(7, 1, true, 1, p[7]);
}

static struct block_dev dev = { 512, 16, 4096, ~0ULL };

static const struct ide_guest guest = {
	.unit = { .dev = &dev, .sector_size = 512, .geometry = { 16, 63 } },
	.command = command,
	.acts = { GUEST_COMMAND, GUEST_PRD, GUEST_ENGINE, GUEST_BURST,
		  GUEST_PORT, GUEST_PORT, GUEST_PORT, GUEST_SWITCH },
};

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	guest_power_on();
	guest_start(&guest);
	for (; size >= 8 && size < 0x10000; data += 8, size -= 8)
		guest_step(&guest, data);
	if (model.hidden_written)
		abort();
	return 0;
}

/*
 * A guest that does anything to the ports of a channel with a protected CD
 * drive and a plain disk beside it. All it ever has in memory or writes is one
 * byte value; a unit of the disc's protected range that is written with it has
 * leaked. The drive must get no CDB that the table refuses, nothing may be
 * written into hidden memory.
 *
 * units: drivers/ata/command.c drivers/ata/packet.c drivers/ata/identify.c drivers/ata/ide_channel.c drivers/ata/ide_dma.c drivers/ata/ide_pio.c drivers/ata/ide_packet.c core/io/port.c core/io/sg.c tests/unit/ide_model.c tests/unit/model_memory.c tests/unit/ide_model_packet.c tests/unit/toy_filter.c tests/fuzz/ide_guest.c
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/ide_guest.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void move(bool by_dma, bool out)
{
	if (by_dma)
		guest_port(8, 1, true, 1, out ? 1 : 9);
	for (u32 i = 0; i < 20; i++) {
		model_tick();
		if (!by_dma)
			guest_port(0, 2, out, 256, 0);
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
		guest_port(11, 4, true, 1, PRDS);
	guest_port(6, 1, true, 1, 0xA0);
	guest_port(1, 1, true, 1, p[1] & 3);
	guest_port(4, 1, true, 1, p[6]);
	guest_port(5, 1, true, 1, p[7]);
	guest_port(7, 1, true, 1, 0xA0);
	for (u32 i = 0; i < 4; i++)
		model_tick();
	if (p[1] & 0x40) /* in two pieces, the registers written in between */
		io.count = 3;
	guest_access(&io);
	if (io.count == 3) {
		guest_port(p[6], 1, true, 1, p[7]);
		io.data = cdb + 6;
		guest_access(&io);
	}
	if (p[1] & 8) /* the data, too */
		move(p[1] & 1, out);
}

static struct block_dev dev = { PACKET_UNIT, 16, ~0ULL, ~0ULL };

static const struct ide_guest guest = {
	.unit = { .dev = &dev, .sector_size = PACKET_UNIT, .packet = 12 },
	.command = packet,
	.acts = { GUEST_COMMAND, GUEST_COMMAND, GUEST_PRD, GUEST_ENGINE,
		  GUEST_BURST, GUEST_SWITCH, GUEST_PORT, GUEST_PORT },
};

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

	guest_power_on();
	memcpy(model.memory + PRDS, "\0\0\2\0\0\0\0\x80", 8);
	drive->atapi = true;
	drive->sector = 2048;
	if (size)
		drive->odd_blocks = data[0] == 1 ? 700 : 0;
	guest_start(&guest);
	for (; size >= 8 && size < 0x10000; data += 8, size -= 8) {
		guest_step(&guest, data);
		check_cdb(drive);
	}
	if (model.hidden_written)
		abort();
	return 0;
}

/*
 * The shipped IDE path as ahci.c has AHCI's: reads by bus-master DMA from a
 * protected disk, from the guest's port accesses to the cipher. The controller
 * is a set of variables: it ends each command at once and moves nothing.
 *
 *     ide BYTES COUNT    reads so much so often, to be counted
 *
 * units: drivers/ata/command.c drivers/ata/identify.c drivers/ata/ide_channel.c drivers/ata/ide_dma.c drivers/ata/ide_pio.c drivers/ata/ide_packet.c drivers/ata/packet.c core/io/port.c core/io/sg.c tests/bench/path.c crypto/disk/disk.c crypto/xts.c crypto/selftest.c
 * libs: -l:libcrypto.a -ldl -lpthread
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/lib/bytes.h"
#include "crypto/disk/disk.h"
#include "drivers/ata/ide.h"
#include "tests/bench/path.h"

enum {
	BASE = 0x1f0,
	CONTROL = 0x3f6,
	BM = 0xc000,
	PRDS = 0x3000,
	SECTOR = 2048,
	READY = 0x50
};

static struct ide_channel channel;
static u8 reg[8];

/* ---- the controller ---- */

u32 hw_in(u16 port, u8 size)
{
	if (port == CONTROL || port == BASE + ATA_COMMAND)
		return READY;
	if (port == BM + BMISX)
		return BMISX_INTR;
	return port >= BASE && port < BASE + 8 ? reg[port - BASE] : 0;
}

void hw_out(u16 port, u8 size, u32 value)
{
	if (port >= BASE && port < BASE + 8)
		reg[port - BASE] = (u8)value;
}

void hw_ins(u16 port, u8 size, void *dst, u32 count)
{
	abort();
}

void hw_outs(u16 port, u8 size, const void *src, u32 count)
{
	abort();
}

/* ---- a guest's driver, as Linux' does it ---- */

static u32 access_port(u16 port, u8 size, bool write, u32 value)
{
	struct port_io io = { port, size, write, 1, &value };

	if (port_bitmap()[port / 8] & 1 << port % 8)
		port_access(&io);
	else if (!write)
		value = hw_in(port, size);
	return value;
}

static void out(u16 port, u8 size, u32 value)
{
	access_port(port, size, true, value);
}

static void read_dma(u32 bytes)
{
	static const u8 hob[] = { 0, 0, 0, 0, 0, 0 };
	const u8 cur[] = {
		0, 0, (u8)(bytes / 512), (u8)SECTOR, SECTOR >> 8, 0
	};

	out(BASE + ATA_DEVICE, 1, 0xe0);
	access_port(BASE + ATA_COMMAND, 1, false, 0);
	for (u16 r = ATA_COUNT; r <= ATA_LBA_HIGH; r++)
		out(BASE + r, 1, r == ATA_COUNT ? bytes / 512 >> 8 : hob[r]);
	for (u16 r = ATA_COUNT; r <= ATA_LBA_HIGH; r++)
		out(BASE + r, 1, cur[r]);
	out(BM + BMIDTPX, 4, PRDS);
	out(BM + BMICX, 1, 8);
	out(BASE + ATA_COMMAND, 1, 0x25); /* READ DMA EXT */
	out(BM + BMICX, 1, 9);
	access_port(BM + BMISX, 1, false, 0);
	if (access_port(BASE + ATA_COMMAND, 1, false, 0) & 0xff & ~READY ||
	    channel.dma.active)
		exit(1);
	out(BM + BMISX, 1, BMISX_INTR);
}

static void set_up(void)
{
	static struct block_id id = { .bus = "ide",
				      .sector_size = 512,
				      .sectors = 1 << 30 };
	u8 *ram = path_ram();

	path_volume("ide", 1 << 20);
	channel.filter = disk_filter();
	channel.spins = 10;
	channel.unit[0].dev = channel.filter->attach(&id);
	channel.unit[0].sector_size = 512;
	if (!channel.unit[0].dev || ide_channel_start(&channel))
		exit(1);
	ide_channel_place(&channel, BASE, CONTROL, BM);
	for (u32 i = 0; i < 32; i++) {
		store_le32(ram + PRDS + 8 * i, PATH_DATA + PATH_STEP * i);
		store_le32(ram + PRDS + 8 * i + 4,
			   4096 | (i == 31 ? BIT(31) : 0));
	}
}

/* The guest is given what the cipher alone makes of it. */
static void check(u32 bytes)
{
	const u8 *filled = path_fill(bytes);

	read_dma(bytes);
	path_expect(SECTOR, bytes, filled);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	set_up();
	check((u32)atoi(argv[1]));
	for (int i = atoi(argv[2]); i > 0; i--)
		read_dma((u32)atoi(argv[1]));
	return 0;
}

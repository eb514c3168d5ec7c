/*
 * A guest that does anything to the registers and the memory of an AHCI port
 * with a protected disk, or a CD drive in its place. All it ever has in its
 * buffers is one byte value; a sector of the protected range that is written
 * with it has leaked. A drive must get no CDB that the table refuses. The port
 * may read and write the guest's memory and what the driver has for it, and
 * nothing else.
 *
 * runs: 20000
 * units: drivers/ata/command.c drivers/ata/identify.c drivers/ata/ahci_command.c drivers/ata/ahci_done.c drivers/ata/ahci_identify.c drivers/ata/ahci_packet.c drivers/ata/packet.c drivers/ata/ahci_port.c core/io/sg.c tests/unit/ahci_model.c tests/unit/model_memory.c tests/unit/toy_filter.c
 */
#include <stdlib.h>
#include <string.h>

#include "core/io/mmio.h"
#include "core/lib/bytes.h"
#include "core/lib/range.h"
#include "drivers/ata/ahci.h"
#include "tests/unit/ahci_model.h"
#include "tests/unit/toy_filter.h"

#define LIST	 0x1000u
#define FRAMES	 0x2000u
#define TABLE(n) (0x3000u + (n) % 32 * 0x200u)
#define ENTRIES	 24
#define REPLACED 0x1Fu	  /* what the driver sends for what it refuses */
#define LOWEST	 0x10000u /* of the buffers, up to the end of RAM */

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct ahci_port port;
static struct lock attach_lock;
static const struct ata_options options = { .bounce_kib = 64 };

static struct block_dev dev = { 512, 16, 4096, ~0ULL };
static struct block_filter filter;

static struct block_dev *attach(const struct block_id *id)
{
	return strncmp(id->serial, "SECRET", 6) ? NULL : &dev;
}

static void check_write(struct model_disk *disk, u64 lba, const u8 *data)
{
	u32 n = disk->sector / dev.sector; /* a disc's sectors are larger */

	if (strcmp(disk->serial, "SECRET"))
		return;
	for (u32 i = 0; i < n; i++)
		mark_check_write(&dev, lba * n + i, data + i * dev.sector);
}

static void check_cdb(const struct model_disk *disk)
{
	struct packet p;

	packet_decide(disk->cdb, &p);
	if (!strcmp(disk->serial, "SECRET") && p.policy == PACKET_REFUSE &&
	    disk->cdb[0] != REPLACED)
		abort();
}

static bool inside(u64 addr, u32 len, hpa_t start, u64 size)
{
	return addr >= start && range_ok(addr - start, len, size);
}

static void check_dma(u32 n, u64 addr, u32 len, bool write)
{
	if (n || port.mode == AHCI_PLAIN)
		return;
	if (inside(addr, len, 0, MODEL_RAM) ||
	    inside(addr, len, port.page_pa, sizeof(*port.page)))
		return;
	if (port.table &&
	    (inside(addr, len, port.bounce_pa, port.bounce_pages * PAGE_SIZE) ||
	     (!write && inside(addr, len, port.table_pa,
			       port.slots * sizeof(*port.table)))))
		return;
	abort();
}

static void power_on(void)
{
	model_power_on();
	model.on_write = check_write;
	model.on_dma = check_dma;
	memset(&port, 0, sizeof(port));
	filter = mark_filter;
	filter.attach = attach;
	port.filter = &filter;
	port.options = &options;
	port.attach_lock = &attach_lock;
	port.id.bus = "ahci";
	port.wide = port.queues = true;
	port.slots = 32;
	port.spins = 2000;
	port.base = MODEL_ABAR + HBA_PORT0;
	if (ahci_port_start(&port) || !port.dev)
		abort();
}

static void start(void)
{
	ahci_port_write(&port, PxCMD, 0);
	for (u32 i = 0; i < 4; i++)
		ahci_port_read(&port, PxCMD);
	ahci_port_write(&port, PxCLB, LIST);
	ahci_port_write(&port, PxCLBU, 0);
	ahci_port_write(&port, PxFB, FRAMES);
	ahci_port_write(&port, PxFBU, 0);
	ahci_port_write(&port, PxSERR, ~0u);
	ahci_port_write(&port, PxIS, ~0u);
	ahci_port_write(&port, PxCMD, PxCMD_FRE | PxCMD_ST);
}

static void header(const u8 *p, u32 value)
{
	u8 *h = model.memory + LIST + (p[1] & 31) * 32;

	h[0] = p[2] & 0x80 ? p[3] : 5;
	h[1] = p[2] & 0x40 ? p[3] : 0;
	store_le16(h + 2, p[2] % (ENTRIES + 1));
	store_le32(h + 8, p[2] & 0x20 && !(p[3] & 7) ? value : TABLE(p[3]));
}

static void frame(const u8 *p)
{
	static const u8 codes[] = { 0x60, 0x61, 0x25, 0x35, 0x60, 0x61, 0xC8,
				    0xCA, 0xEC, 0xEA, 0x06, 0x2F, 0xA0 };
	u8 *f = model.memory + TABLE(p[1]);

	memset(f, 0, 20);
	f[0] = 0x27;
	f[1] = p[7] & 0xF0 ? 0x80 : p[7] << 4;
	f[2] = p[2] & 0x80 ? p[2] : codes[p[2] % sizeof(codes)];
	f[3] = f[12] = p[3];
	f[4] = p[4];
	f[5] = p[5] & 31;
	f[7] = p[6] & 7 ? 0x40 : p[6];
	f[15] = p[6];
}

static void entry(const u8 *p, u32 value)
{
	u8 *e = model.memory + TABLE(p[1]) + 0x80 + p[2] % ENTRIES * 16;
	u32 at = (value & 0x8000 ? MODEL_RAM - 0x8000 : LOWEST) +
		 (value & 0x7FFF);

	store_le64(e, p[3] & 0x80 ? value : at);
	store_le32(e + 12, (p[3] & 0x20	  ? 0x7FFF
			    : p[3] & 0x40 ? 511
					  : p[3]) |
				   1);
}

static void cdb(const u8 *p)
{
	static const u8 codes[] = { 0x28, 0x2A, 0xA8, 0xAA, 0x2E, 0xBE,
				    0x55, 0x03, 0x12, 0x00, 0x46 };
	u8 *c = model.memory + TABLE(p[2]) + 0x40;

	memset(c, 0, 16);
	c[0] = p[3] & 0x80 ? p[3] : codes[p[3] % sizeof(codes)];
	c[1] = p[7];
	c[4] = c[8] = c[9] = p[5]; /* one of them is the length */
	c[5] = p[4];
}

static u8 next[2]; /* what is plugged in, or will be */

static void plug(u32 n, u32 reg)
{
	static const char *const serials[] = { "SECRET", "OTHER", "SECRET" };
	struct model_disk *disk = &model.port[0].disk;

	model.on_read = NULL;
	disk->atapi = next[1] & 1;
	disk->sector = disk->atapi ? 2048 : 512;
	memset(disk->cdb, 0, sizeof(disk->cdb));
	model_plug(0, next[0] & 3, serials[next[0] % 3]);
}

static void event(const u8 *p)
{
	switch (p[1] & 15) {
	case 0:
	case 4: /* in the middle of the next access */
		memcpy(next, p + 2, sizeof(next));
		model.on_read = plug;
		if (!(p[1] & 4))
			plug(0, 0);
		break;
	case 1:
		ahci_port_reset(&port);
		hw_mmio_write(MODEL_ABAR + HBA_GHC, 4, GHC_AE | GHC_HR);
		break;
	case 2:
		hw_mmio_write(MODEL_ABAR + HBA_GHC, 4, GHC_AE | GHC_HR);
		break;
	case 3:
		model.lax = p[2] & 1;
		break;
	case 5:
		cdb(p);
		break;
	case 6:
		model.port[0].disk.bad_lba = load_le16(p + 2);
		break;
	default:
		for (u32 i = 0; i < p[2]; i++)
			model_tick();
	}
}

static void step(const u8 *p)
{
	u32 value = load_le32(p + 4);

	switch (p[0] & 7) {
	case 0:
		ahci_port_write(&port, p[1] & 0x7C, value);
		break;
	case 1:
		header(p, value);
		break;
	case 2:
		frame(p);
		break;
	case 3:
		entry(p, value);
		break;
	case 4:
		ahci_port_write(&port, PxSACT, value);
		ahci_port_write(&port, PxCI, value);
		break;
	case 5:
		start();
		break;
	case 6:
		event(p);
		break;
	default:
		for (u32 i = 0; i <= p[2]; i++)
			ahci_port_read(&port, p[1] & 0x7C);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	memset(model.memory + LIST, 0, LOWEST - LIST);
	memset(model.memory + LOWEST, MARK, 0x8000);
	memset(model.memory + MODEL_RAM - 0x8000, MARK, 0x8000);
	power_on();
	for (u32 n = 0; n < 32; n++)
		store_le32(model.memory + LIST + n * 32 + 8, TABLE(n));
	start();
	for (; size >= 8 && size < 0x4000; data += 8, size -= 8) {
		step(data);
		check_cdb(&model.port[0].disk);
	}
	return 0;
}

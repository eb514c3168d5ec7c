#include "drivers/ata/ide_controller.h"

#include "core/io/pci.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "drivers/ata/identify.h"
#include "drivers/ata/ide.h"
#include "drivers/ata/kept.h"

#define IDE_MAX 8
/* Five seconds and more: a port read takes about a microsecond. */
#define IDE_SPINS    5000000

#define PCI_COMMAND  0x04
#define PCI_REVISION 0x08
#define PCI_PROG_IF  0x09
#define PCI_BAR0     0x10
#define PCI_IO_ON    0x01
#define PCI_MEM_ON   0x02
#define BUS_MASTER   4 /* the BAR */

/* Bits that let the ports of a channel answer, also in compatibility mode. */
static const struct {
	u16 vendor;
	u8 reg, bits;
} enables[] = {
	{ VENDOR_INTEL, 0x41, 0x80 }, /* PIIX4: IDETIM */
	{ VENDOR_INTEL, 0x43, 0x80 }, /* of the second */
	{ 0x1022, 0x40, 0x03 },	      /* AMD */
	{ 0x1106, 0x40, 0x03 },	      /* VIA */
	{ 0x10DE, 0x50, 0x03 },	      /* nVidia */
	{ 0x1039, 0x4A, 0x06 },	      /* SiS */
	{ VENDOR_CMD, 0x51, 0x0C },   /* CMD */
};

struct ide_controller {
	struct pci_claim claim;
	u8 enables[ARRAY_SIZE(enables)]; /* as firmware has set them */
	struct ide_channel channel[2];
};

static struct {
	struct pci_addr addr[IDE_MAX];
	struct pci_id id[IDE_MAX];
	u32 found;
	struct ide_controller controller[IDE_MAX];
} ide;

/* Ports of one channel; 0: not there. */
struct ide_ports {
	u16 base, control, bm;
};

/* Bits 0 and 2 of the programming interface: native mode. */
static bool is_native(const struct pci_id *id, unsigned int channel)
{
	return id->class >> (2 * channel) & 1;
}

static u16 bar_port(const struct pci_bar *bar)
{
	return bar->io && bar->enabled ? (u16)bar->base : 0;
}

/* PCI IDE Controller Specification, 2.1 and 2.2: BARs 0 and 2 are command
 * blocks; 1 and 3 control blocks, with the register at offset 2. */
static struct ide_ports ports_of(const struct pci_id *id,
				 const struct pci_bar *bars, unsigned int n)
{
	u16 control = bar_port(&bars[2 * n + 1]);
	u16 bm = bar_port(&bars[BUS_MASTER]);
	struct ide_ports ports = { 0x1F0, 0x3F6, 0 };

	if (n)
		ports = (struct ide_ports){ 0x170, 0x376, 0 };
	if (is_native(id, n)) {
		ports.base = bar_port(&bars[2 * n]);
		ports.control = control ? control + 2 : 0;
	}
	if (bm)
		ports.bm = bm + 8 * n;
	return ports;
}

/* ---- identification at boot, by polling ---- */

enum answer {
	NO_DEVICE,
	NO_ANSWER,
	IDENTIFIED,
};

/* The status, with BSY if it has waited in vain; 0: there is no device. */
static u8 wait_ready(const struct ide_ports *p)
{
	u8 st = 0;

	for (int i = 0; i < 4; i++) /* 400 ns */
		st = (u8)hw_in(p->control, 1);
	/* Without a device the bus floats or is pulled up; or down, to 0. */
	if (st == 0xFF || st == 0x7F)
		return 0;
	for (u32 i = 0; i < IDE_SPINS && st & ATA_BSY; i++)
		st = (u8)hw_in(p->control, 1);
	return st;
}

static bool command(const struct ide_ports *p, u8 code)
{
	u8 st;

	hw_out(p->base + ATA_COMMAND, 1, code);
	st = wait_ready(p);
	if ((st & (ATA_BSY | ATA_DRQ | ATA_ERR | ATA_DF)) == ATA_DRQ)
		return true;
	hw_in(p->base + ATA_COMMAND, 1);
	return false;
}

/* ATA-7 volume 2, 9.12: also the status is 0 after a reset. */
static bool packet_signature(const struct ide_ports *p)
{
	return hw_in(p->base + ATA_LBA_MID, 1) == 0x14 &&
	       hw_in(p->base + ATA_LBA_HIGH, 1) == 0xEB;
}

/* A packet device aborts IDENTIFY DEVICE and shows its signature. */
static enum answer identify(const struct ide_ports *p, u8 unit, u8 *data,
			    bool *packet)
{
	u8 device = unit ? 0xA0 | ATA_DEV1 : 0xA0, st;

	hw_out(p->base + ATA_DEVICE, 1, device);
	st = wait_ready(p);
	/* With data to move it, or its sibling, has not heard of this. */
	if (st & (ATA_BSY | ATA_DRQ))
		return NO_ANSWER;
	if ((!st && !packet_signature(p)) ||
	    (hw_in(p->base + ATA_DEVICE, 1) ^ device) & ATA_DEV1)
		return NO_DEVICE;
	*packet = !command(p, ATA_IDENTIFY_DEVICE);
	if (*packet &&
	    (!packet_signature(p) || !command(p, ATA_IDENTIFY_PACKET)))
		return NO_ANSWER;
	hw_ins(p->base, 2, data, ATA_IDENTIFY_BYTES / 2);
	hw_in(p->base + ATA_COMMAND, 1); /* takes the interrupt back */
	return IDENTIFIED;
}

static void unit_attach(struct ide_channel *ch, struct block_id *block,
			const u8 *data, bool packet)
{
	struct ide_unit *unit = &ch->unit[block->unit];
	struct ata_identity id;

	ata_identify_parse(data, packet, &id);
	ata_identify_block(&id, block);
	unit->packet = packet ? id.packet : 0;
	unit->geometry = id.geometry;
	/* Commands are sent with LBA addresses only. */
	unit->sector_size = id.lba ? id.sector_size : 0;
	unit->dev = ch->filter->attach(block);
	if (unit->dev && !unit->sector_size)
		log_line("ide: %s: no sectors that can be used", id.model);
}

/* It may answer later, when nobody looks which one it is: then it is closed,
 * where a volume could be. */
static void unit_close(struct ide_channel *ch, const struct block_id *place)
{
	struct block_id id = {
		.bus = place->bus,
		.controller = place->controller,
		.channel = place->channel,
		.unit = place->unit,
		.silent = true,
	};
	struct ide_unit *unit = &ch->unit[id.unit];

	unit->dev = ch->filter->attach(&id);
	if (unit->dev)
		log_line("ide: %u.%u.%u does not say what it is, closed",
			 id.controller, id.channel, id.unit);
}

/* True if a device of the channel is protected. */
static bool channel_probe(struct ide_channel *ch, const struct ide_ports *p,
			  struct block_id *block)
{
	u8 data[ATA_IDENTIFY_BYTES];
	bool packet;
	u8 device;

	if (!p->base || !p->control || hw_in(p->control, 1) == 0xFF)
		return false;
	device = (u8)hw_in(p->base + ATA_DEVICE, 1);
	hw_out(p->control, 1, IDE_CTL_NIEN | 8);
	for (block->unit = 0; block->unit < 2; block->unit++) {
		enum answer a = identify(p, block->unit, data, &packet);

		if (a == IDENTIFIED)
			unit_attach(ch, block, data, packet);
		else if (a == NO_ANSWER)
			unit_close(ch, block);
	}
	hw_out(p->base + ATA_DEVICE, 1, device);
	hw_out(p->control, 1, 8);
	ch->tf.cur[ATA_DEVICE] = device;
	return ch->unit[0].dev || ch->unit[1].dev;
}

/* ---- the guest's changes to configuration space ---- */

static const struct kept_range kept[] = {
	/* The class: a channel keeps the mode it had at boot, as on controllers
	 * that have only one. AMD's become AHCI when it is written, by Linux
	 * for example. */
	{ 0, PCI_REVISION, 4 },
	{ VENDOR_JMICRON, JMICRON_CONTROL, 4 },
	{ VENDOR_JMICRON, JMICRON_CONTROL5, 4 },
	/* CMD 646 to SiI 680: the bus masters once more, but for what is
	 * beside: MRDMODE, UDIDETCR0 and UDIDETCR1. */
	{ VENDOR_CMD, 0x70, 1 },
	{ VENDOR_CMD, 0x74, 5 },
	{ VENDOR_CMD, 0x7C, 4 },
};

/* @value at register @reg with the channels as firmware has set them. Where one
 * is off, another device may answer, and what it says must not be taken for a
 * command's end. */
static u32 with_enables(const struct ide_controller *c, u16 reg, u8 size,
			u32 value)
{
	for (u32 i = 0; i < ARRAY_SIZE(enables); i++) {
		u32 at = 8u * (enables[i].reg - reg);

		if (enables[i].vendor != c->claim.id.vendor ||
		    !range_overlap(reg, size, enables[i].reg, 1))
			continue;
		value &= ~((u32)enables[i].bits << at);
		value |= (u32)c->enables[i] << at;
	}
	return value;
}

static void enables_restore(const struct ide_controller *c)
{
	for (u32 i = 0; i < ARRAY_SIZE(enables); i++) {
		u16 reg = enables[i].reg;
		u32 old, new;

		if (enables[i].vendor != c->claim.id.vendor)
			continue;
		old = pci_config_read(c->claim.addr, reg, 1);
		new = with_enables(c, reg, 1, old);
		if (new != old)
			pci_config_write(c->claim.addr, reg, 1, new);
	}
}

static bool mode_is_kept(const struct ide_controller *c)
{
	return pci_config_read(c->claim.addr, PCI_REVISION, 4) >> 8 ==
	       c->claim.id.class;
}

/* By a reset (FLR), which switches the function off, it may have got another
 * mode than firmware had chosen. */
static bool mode_restore(const struct ide_controller *c)
{
	enables_restore(c);
	if (!mode_is_kept(c))
		pci_config_write(c->claim.addr, PCI_PROG_IF, 1,
				 c->claim.id.class & 0xFF);
	return mode_is_kept(c);
}

static bool has_memory(const struct ide_controller *c)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(c->claim.bars); i++)
		if (c->claim.bars[i].size && !c->claim.bars[i].io)
			return true;
	return false;
}

/* Registers in memory may be the channels' once more (SiI 680), or AHCI's
 * (SB600): there are none. */
static enum verdict config_access(void *ctx, struct pci_io *io)
{
	struct ide_controller *c = ctx;
	u16 bar = (u16)(io->reg - PCI_BAR0) / 4;

	if (bar < ARRAY_SIZE(c->claim.bars) && !c->claim.bars[bar].io) {
		io->value = 0;
		return DONE;
	}
	if (!io->write)
		return PASS;
	if (kept_touches(kept, ARRAY_SIZE(kept), c->claim.id.vendor, io))
		return DONE;
	io->value = with_enables(c, io->reg, io->size, io->value);
	if (io->reg == PCI_COMMAND && has_memory(c))
		io->value &= ~(u32)PCI_MEM_ON;
	if (io->reg == PCI_COMMAND && io->value & PCI_IO_ON && !mode_restore(c))
		io->value &= ~(u32)PCI_IO_ON;
	return PASS;
}

static void controller_place(struct ide_controller *c)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct ide_channel *ch = &c->channel[i];
		struct ide_ports p = ports_of(&c->claim.id, c->claim.bars, i);

		if (ch->unit[0].dev || ch->unit[1].dev)
			ide_channel_place(ch, p.base, p.control, p.bm);
	}
}

static void hold(void *ctx, bool on)
{
	struct ide_controller *c = ctx;

	for (unsigned int i = 0; i < ARRAY_SIZE(c->channel); i++)
		(on ? lock_acquire : lock_release)(&c->channel[i].lock);
}

/* Does the driver hook anything there? */
static bool is_used(const struct ide_controller *c, unsigned int n)
{
	return c->claim.bars[n].io &&
	       (n == BUS_MASTER ||
		(n < BUS_MASTER && is_native(&c->claim.id, n / 2)));
}

/* The hook of another would no longer be asked of the ports that are its; at
 * port 0 ours would be taken for switched off. */
static bool place_free(const struct pci_bar *bar)
{
	for (u64 i = 0; i < bar->size; i++)
		if (port_known((u16)(bar->base + i)))
			return false;
	return (u16)bar->base;
}

static int bar_changed(void *ctx, unsigned int n)
{
	struct ide_controller *c = ctx;
	struct pci_bar *bar = &c->claim.bars[n];
	bool enabled = bar->enabled;

	bar->enabled = false;
	controller_place(c);
	if (enabled && is_used(c, n) && !place_free(bar))
		return -EEXIST;
	bar->enabled = enabled;
	controller_place(c);
	return 0;
}

/* ---- start ---- */

struct map_scan {
	struct pci_addr addr;
	int err;
};

/* The function beside may have the register. */
static void guard_map(void *ctx, struct pci_addr addr, const struct pci_id *id)
{
	struct map_scan *s = ctx;

	u16 reg = id->vendor == VENDOR_INTEL	 ? ICH_MAP
		  : id->vendor == VENDOR_JMICRON ? JMICRON_CONTROL
						 : 0;

	if (reg && id->class >> 16 == 1 && addr.bus == s->addr.bus &&
	    addr.dev == s->addr.dev && !s->err)
		s->err = pci_guard(addr, reg, 4);
}

static int controller_claim(struct ide_controller *c, u32 n)
{
	u32 command = pci_config_read(ide.addr[n], PCI_COMMAND, 2);
	struct map_scan maps = { ide.addr[n], 0 };
	int err;

	for (unsigned int i = 0; i < 2; i++) {
		struct ide_channel *ch = &c->channel[i];

		if (!ch->unit[0].dev && !ch->unit[1].dev)
			continue;
		err = ide_channel_start(ch);
		if (err)
			return err;
	}
	for (u32 i = 0; i < ARRAY_SIZE(enables); i++)
		c->enables[i] = enables[i].bits &
				pci_config_read(ide.addr[n], enables[i].reg, 1);
	c->claim.addr = ide.addr[n];
	c->claim.config = config_access;
	c->claim.bar_changed = bar_changed;
	c->claim.hold = hold;
	c->claim.ctx = c;
	err = pci_claim(&c->claim);
	if (err)
		return err;
	if (has_memory(c))
		pci_config_write(ide.addr[n], PCI_COMMAND, 2,
				 command & ~(u32)PCI_MEM_ON);
	controller_place(c);
	pci_scan(guard_map, &maps);
	return maps.err;
}

/* True if a volume may lie on a device of the nth controller. */
static bool is_expected(const struct block_filter *filter, u32 n)
{
	struct block_id id = { .bus = "ide", .controller = (u8)n };
	bool expected = false;

	for (u8 i = 0; i < 4; i++) {
		id.channel = i / 2;
		id.unit = i % 2;
		expected |= filter->expects(&id);
	}
	return expected;
}

static int controller_start(u32 n, const struct block_filter *filter,
			    const struct ata_options *options)
{
	struct ide_controller *c = &ide.controller[n];
	struct pci_bar bars[6] = { 0 };
	bool protected = false;

	/* Firmware has not switched it on; nobody shall, without us. */
	if (!(pci_config_read(ide.addr[n], PCI_COMMAND, 2) & PCI_IO_ON))
		return is_expected(filter, n) ? pci_conceal(ide.addr[n]) : 0;
	for (u16 i = 0; i < 6; i++) {
		u32 raw = pci_config_read(ide.addr[n], PCI_BAR0 + 4 * i, 4);

		bars[i] = (struct pci_bar){ raw & 1, true, raw & ~3u, 0 };
	}
	for (u8 i = 0; i < 2; i++) {
		struct ide_ports p = ports_of(&ide.id[n], bars, i);
		struct block_id block = {
			.bus = "ide",
			.controller = (u8)n,
			.channel = i,
		};

		c->channel[i].filter = filter;
		c->channel[i].options = *options;
		c->channel[i].spins = IDE_SPINS;
		protected |= channel_probe(&c->channel[i], &p, &block);
	}
	return protected ? controller_claim(c, n) : 0;
}

static void controller_found(void *ctx, struct pci_addr addr,
			     const struct pci_id *id)
{
	if (id->class >> 8 != 0x0101)
		return;
	if (ide.found < IDE_MAX) {
		ide.addr[ide.found] = addr;
		ide.id[ide.found] = *id;
	}
	ide.found++;
}

int ide_start(const struct block_filter *filter,
	      const struct ata_options *options)
{
	int err = 0;

	pci_scan(controller_found, NULL);
	if (ide.found > IDE_MAX)
		return -ENOSPC;
	for (u32 n = 0; n < ide.found && !err; n++)
		err = controller_start(n, filter, options);
	return err;
}

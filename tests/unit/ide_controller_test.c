/*
 * Discovery: which devices are offered to the filter, and what is hooked.
 *
 * units: drivers/ata/ide_controller.c drivers/ata/command.c drivers/ata/identify.c drivers/ata/ide_channel.c drivers/ata/ide_packet.c drivers/ata/packet.c drivers/ata/ide_dma.c drivers/ata/ide_pio.c core/io/port.c core/io/sg.c tests/unit/ide_model.c tests/unit/model_memory.c tests/unit/ide_model_packet.c
 * libs: -lpthread
 */
#include <stdlib.h>
#include <string.h>

#include "core/io/dma.h"
#include "core/io/pci.h"
#include "core/lib/errors.h"
#include "drivers/ata/ide.h"
#include "drivers/ata/ide_controller.h"
#include "tests/unit/child.h"
#include "tests/unit/held.h"
#include "tests/unit/ide_model.h"

/* ---- one PCI function ---- */

static struct pci_id function = { 0x8086, 0x7010, 0x010180 };
static u32 bars[6] = { 0, 0, 0, 0, MODEL_BM | 1, 0 };
static struct pci_claim *claimed;
static u32 command = 5, copies = 1;
static u16 vendor = 0x8086; /* of the functions beside */
static bool concealed;

void pci_scan(void (*found)(void *ctx, struct pci_addr addr,
			    const struct pci_id *id),
	      void *ctx)
{
	struct pci_id bridge = { 0x8086, 0x7000, 0x060100 };
	struct pci_id sibling = { vendor, 0x2922, 0x010601 };
	struct pci_id other = { 0x1002, 0x4390, 0x010601 };

	found(ctx, (struct pci_addr){ 0, 0, 1, 0 }, &bridge);
	for (u32 i = 0; i < copies; i++)
		found(ctx, (struct pci_addr){ 0, 0, 1, 1 }, &function);
	found(ctx, (struct pci_addr){ 0, 0, 1, 2 }, &sibling);
	found(ctx, (struct pci_addr){ 0, 0, 1, 3 }, &other);
	found(ctx, (struct pci_addr){ 0, 0, 2, 0 }, &sibling);
	found(ctx, (struct pci_addr){ 0, 1, 1, 4 }, &sibling);
}

static u32 guarded; /* functions of device 1 */
static bool guards_fail;

int pci_guard(struct pci_addr addr, u16 reg, u16 len)
{
	guarded |= 1u << (addr.dev - 1) * 8 << addr.fn;
	EXPECT_EQ(reg, vendor == 0x8086 ? 0x90 : 0x40);
	return len == 4 && !guards_fail ? 0 : -1;
}

static u32 claims_fail;

int pci_claim(struct pci_claim *claim)
{
	if (claims_fail) {
		claims_fail--;
		return -1;
	}
	claimed = claim;
	claim->id = function;
	for (int i = 0; i < 6; i++)
		claim->bars[i] =
			(struct pci_bar){ bars[i] & 1, true, bars[i] & ~3u,
					  bars[i] ? 16 : 0 };
	return 0;
}

static bool mode_sticks;
static u8 timing[0x40]; /* 40h and on */

u32 pci_config_read(struct pci_addr addr, u16 reg, u8 size)
{
	if (reg >= 0x40)
		return timing[reg - 0x40];
	EXPECT_EQ(size, reg == 4 ? 2 : 4);
	EXPECT_EQ(reg & 3, 0);
	if (reg == 8)
		return function.class << 8 | 3;
	return reg == 4 ? command : bars[(reg - 0x10) / 4];
}

void pci_config_write(struct pci_addr addr, u16 reg, u8 size, u32 value)
{
	EXPECT_EQ(size, reg == 4 ? 2 : 1);
	EXPECT_EQ(value >> 8 * size, 0);
	if (reg >= 0x40)
		timing[reg - 0x40] = (u8)value;
	if (reg == 4)
		command = value;
	if (reg == 9 && !mode_sticks)
		function.class = (function.class & ~0xFFu) | value;
}

int pci_conceal(struct pci_addr addr)
{
	concealed = true;
	return 0;
}

/* ---- a filter that takes what the test says ---- */

static struct block_id seen[16];
static int seen_count, wanted = -1, expected = -1;

static struct block_dev *attach(const struct block_id *id)
{
	seen[seen_count++] = *id;
	return id->unit == wanted ? (struct block_dev *)seen : NULL;
}

static bool covers(const struct block_dev *dev, u64 lba, u32 count)
{
	return true;
}

static u32 decoded;

static void decode_sg(const struct block_dev *dev, u64 lba, u32 count,
		      const struct sg_list *sg, u64 offset)
{
	decoded += count;
}

static bool expects(const struct block_id *id)
{
	return !strcmp(id->bus, "ide") &&
	       id->channel * 2 + id->unit == expected;
}

static const struct block_filter filter = {
	.attach = attach,
	.expects = expects,
	.covers = covers,
	.decode_sg = decode_sg,
};

static struct ata_options options;

static void guest_out(u16 reg, u8 v)
{
	port_access(&(struct port_io){ MODEL_BASE + reg, 1, true, 1, &v });
}

static void guest_command(u8 code)
{
	guest_out(ATA_COMMAND, code);
}

static bool hooked(u16 port)
{
	return port_bitmap()[port / 8] >> port % 8 & 1;
}

static void machine(void)
{
	model_init();
	model.strict = true;
}

CHILD_TEST(machine, says_who_the_disk_is)
{
	model.dev[1].present = false;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen_count, 1);
	EXPECT(!strcmp(seen[0].bus, "ide"));
	EXPECT(!strcmp(seen[0].model, "MODEL DISK1"));
	EXPECT(!strcmp(seen[0].serial, "1S32"));
	EXPECT_EQ(seen[0].channel, 0);
	EXPECT_EQ(seen[0].unit, 0);
	EXPECT_EQ(seen[0].sector_size, 512);
	EXPECT_EQ(seen[0].sectors, MODEL_HIGH + MODEL_LOW);
	EXPECT(!claimed);
	for (u16 port = 0; port < 0xFFFF; port++)
		EXPECT(!hooked(port));
	EXPECT_EQ(model.interrupts, 0);
	EXPECT_EQ(model.control, 8);
	EXPECT_EQ(model.device & 0x10, 0);
}

CHILD_TEST(machine, offers_both_units)
{
	wanted = 1;
	model.device = 0xB0;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen_count, 2);
	EXPECT_EQ(seen[1].unit, 1);
	EXPECT_EQ(model.device, 0xB0);
	/* the guest may go on with the one that firmware has selected */
	guest_command(0xE7);
	EXPECT_EQ(model.dev[0].command, 0xEC);
	EXPECT_EQ(model.dev[1].command, 0xE7);
	guest_command(0x92);
	EXPECT_EQ(model.dev[1].command, 0);
}

CHILD_TEST(machine, offers_packet_devices)
{
	model.dev[0].atapi = true;
	model.dev[1].atapi = true;
	model.dev[1].status = 0x40;
	model.dev[0].status = 0; /* as after a reset */
	model.dev[0].cur[4] = 0x14;
	model.dev[0].cur[5] = 0xEB;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen_count, 2);
	for (u8 i = 0; i < 2; i++) {
		EXPECT_EQ(seen[i].unit, i);
		EXPECT(!strcmp(seen[i].model, "MODEL DISK1"));
		EXPECT_EQ(seen[i].sector_size, 512);
		EXPECT_EQ(seen[i].sectors, 0);
	}
	EXPECT(!claimed);
}

/* It has no name by which a volume could be found. */
CHILD_TEST(machine, a_disk_that_does_not_say_who_it_is)
{
	/* an error, a fault, with and without data, and no data at all */
	static const u8 ends[] = { 0x41, 0x60, 0x40, 0x49, 0x68 };

	for (u32 i = 0; i < sizeof(ends); i++) {
		model.dev[0].mute = ends[i];
		seen_count = 0;
		EXPECT_EQ(ide_start(&filter, &options), 0);
		EXPECT_EQ(model.dev[0].command, 0xEC);
		model.dev[0].status = 0x50;
		/* the other cannot be asked while the first has data */
		EXPECT_EQ(seen_count, (i + 1) * 2);
		for (int k = 0; k < seen_count; k++)
			EXPECT_EQ(seen[k].silent,
				  seen[k].unit == 0 || ends[i] & 8);
	}
	EXPECT(!claimed);
}

/* It may be the protected disk, and have recovered when the guest asks it. */
CHILD_TEST(machine, a_silent_disk_is_closed)
{
	static const u8 codes[] = { 0x20, 0x30, 0xC8, 0xCA, 0xA0 };

	wanted = 0;
	model.dev[0].mute = 0x41;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT(claimed);
	EXPECT(seen[0].silent && !strcmp(seen[0].bus, "ide"));
	EXPECT(!seen[0].model[0] && !seen[0].serial[0]);
	EXPECT(!seen[1].silent && seen[1].model[0]);
	model.dev[0].mute = 0;
	for (u32 i = 0; i < sizeof(codes); i++) {
		guest_out(ATA_DEVICE, 0xE0);
		guest_command(codes[i]);
		EXPECT_EQ(model.dev[0].status, 0x41);
		EXPECT_EQ(model.dev[0].command, 0);
	}
	guest_command(0xEC);
	EXPECT_EQ(model.dev[0].command, 0xEC);
}

/* Its sibling cannot be asked then, and may be the protected disk, too. */
CHILD_TEST(machine, a_disk_behind_a_silent_one_is_closed)
{
	wanted = 1;
	model.dev[0].mute = 0x49;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen_count, 2);
	EXPECT(seen[1].silent && seen[1].unit == 1);
	model.dev[0].status = 0x50;
	guest_out(ATA_DEVICE, 0xF0);
	guest_command(0xCA);
	EXPECT_EQ(model.dev[1].status, 0x41);
	EXPECT_EQ(model.dev[1].command, 0);
}

/* After a reset, with half of the signature, it is what has no disk. */
CHILD_TEST(machine, a_signature_that_is_none)
{
	for (int i = 0; i < 2; i++) {
		model.dev[0].status = 0;
		model.dev[0].cur[4] = i ? 0x14 : 0x15;
		model.dev[0].cur[5] = i ? 0xEA : 0xEB;
		EXPECT_EQ(ide_start(&filter, &options), 0);
		EXPECT_EQ(model.dev[0].command, 0);
	}
}

/* Device 0 answers for device 1, which is not there. Other bits of the
 * register are obsolete, and read as they like. */
CHILD_TEST(machine, a_device_alone)
{
	model.zeros = 0xA0;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen_count, 2);
	model.zeros = 0xB0;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen_count, 4);
	EXPECT_EQ(seen[2].unit, 0);
	EXPECT_EQ(seen[3].unit, 0);
}

/* What Shoji has asked is no business of the guest's. */
CHILD_TEST(machine, no_interrupt_is_left)
{
	EXPECT_EQ(ide_start(&filter, &options), 0);
	model.dev[0].mute = 0x41;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(model.interrupts, 0);
	EXPECT(!model.dev[0].pending && !model.dev[1].pending);
}

/* Sectors are counted in the filter's units; a drive has none of a disk's. */
CHILD_TEST(machine, a_drive_beside_a_disk)
{
	model.dev[0].sector = 4096;
	model.dev[1].atapi = true;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen[0].sector_size, 4096);
	EXPECT_EQ(seen[0].sectors, MODEL_HIGH + MODEL_LOW);
	EXPECT_EQ(seen[1].sector_size, 512);
	EXPECT_EQ(seen[1].sectors, 0);
}

/* READ(10) of one sector: what the drive is sent. */
static u8 guest_packet(void)
{
	guest_out(ATA_DEVICE, 0xA0);
	guest_out(ATA_LBA_HIGH, 8);
	guest_command(0xA0);
	while (!(hw_in(MODEL_CTL, 1) & 8))
		;
	port_access(&(struct port_io){ MODEL_BASE, 2, true, 6,
				       (u8[12]){ 0x28, [8] = 1 } });
	return model.dev[0].cdb[0];
}

CHILD_TEST(machine, protected_drive)
{
	wanted = 0;
	model.dev[0].atapi = true;
	model.dev[0].sector = 2048;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(guest_packet(), 0x28);
}

CHILD_TEST(machine, packet_device_of_another_kind)
{
	wanted = 0;
	model.dev[0].atapi = true;
	model.dev[0].type = 0; /* a Zip drive or the like */
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT(claimed); /* READ(10) is refused */
	EXPECT_EQ(guest_packet(), 0x1F);
	EXPECT_EQ(model.dev[0].status, 0x41);
}

CHILD_TEST(machine, sees_an_empty_channel)
{
	model.dev[0].present = model.dev[1].present = false;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen_count, 0);
	EXPECT_EQ(model.control, 0);
	EXPECT(!claimed);
}

/* Without a device the bus may float, or be pulled up or down. */
CHILD_TEST(machine, a_status_that_is_none)
{
	static const u8 none[] = { 0x00, 0x7F, 0xFF };

	model.dev[1].status = 0x50;
	for (u32 i = 0; i < sizeof(none); i++) {
		model.dev[0].status = none[i];
		EXPECT_EQ(ide_start(&filter, &options), 0);
		EXPECT_EQ(model.dev[0].command | model.ignored, 0);
	}
	for (int i = 0; i < seen_count; i++)
		EXPECT(!seen[i].silent);
}

CHILD_TEST(machine, a_device_that_stays_busy)
{
	model.dev[0].status = 0x80;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(model.ignored, 0);
	EXPECT(seen[0].unit == 0 && seen[0].silent);
	model.dev[0].status = 0x50;
	model.max_busy = 1000; /* and one that needs its time */
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen[seen_count - 2].unit, 0);
	EXPECT_EQ(seen[seen_count - 1].unit, 1);
}

/* @start: the engine's is watched, too, and resets. */
static void expect_hooks(u16 base, u16 bm, bool start)
{
	for (u16 i = 0; i < 8; i++) {
		EXPECT(hooked(base + i));
		EXPECT_EQ(hooked(bm + i), start || i >= 4);
		EXPECT(!hooked(bm + 8 + i)); /* the other channel */
		EXPECT(!hooked(0x170 + i));
	}
	EXPECT_EQ(hooked(MODEL_CTL), start);
}

static enum verdict config_write(u16 reg, u8 size, u32 value)
{
	struct pci_io io = { claimed->addr, reg, size, true, value };

	return claimed->config(claimed->ctx, &io);
}

CHILD_TEST(machine, hooks_a_protected_channel)
{
	wanted = 0;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT(claimed);
	EXPECT_EQ(claimed->addr.fn, 1);
	expect_hooks(MODEL_BASE, MODEL_BM, false);
	claimed->bars[4].base = 0xD000;
	claimed->bar_changed(claimed->ctx, 4);
	expect_hooks(MODEL_BASE, 0xD000, true);
	EXPECT(!hooked(MODEL_BM + 4));
	claimed->bars[4].enabled = false;
	claimed->bar_changed(claimed->ctx, 4);
	EXPECT(!hooked(0xD004));
	EXPECT(hooked(MODEL_BASE));
	/* the mode stays as it is */
	EXPECT_EQ(config_write(0x09, 1, 0x8F), DONE);
	EXPECT_EQ(config_write(0x08, 4, 0x01018F00), DONE);
	EXPECT_EQ(config_write(0x0B, 1, 1), DONE);
	EXPECT_EQ(config_write(0x28, 4, 0), PASS);
	EXPECT_EQ(config_write(0x04, 2, 7), PASS);
	EXPECT_EQ(config_write(0x20, 4, 0xD001), PASS);
	EXPECT_EQ(guarded, 6);
	EXPECT_EQ(config_write(0x40, 4, 0x80008000), PASS);
	EXPECT_EQ(config_write(0x06, 2, 0xF900), PASS);
	EXPECT_EQ(config_write(0x0C, 1, 8), PASS);
}

CHILD_TEST(machine, the_function_beside)
{
	wanted = 0;
	function.vendor = vendor = 0x197B;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(guarded, 6);
}

/* Else another function's register could switch the ports to AHCI. */
CHILD_TEST(machine, registers_that_cannot_be_guarded)
{
	wanted = 0;
	guards_fail = true;
	EXPECT(ide_start(&filter, &options));
	EXPECT_EQ(guarded, 2); /* no other is tried */
}

CHILD_TEST(machine, no_bus_master)
{
	wanted = 0;
	model.secondary = true;
	bars[4] = 0;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT(hooked(0x170));
	for (u16 port = 0; port < 0x170; port++)
		EXPECT(!hooked(port));
}

CHILD_TEST(machine, no_bus_master_of_the_primary_channel)
{
	wanted = 0;
	bars[4] = MODEL_BM; /* in memory */
	EXPECT_EQ(ide_start(&filter, &options), 0);
	for (u32 port = 0; port < 0x10000; port++)
		EXPECT_EQ(hooked((u16)port), (port & ~7u) == MODEL_BASE);
}

/* A volume on one more could not be found. */
CHILD_TEST(machine, too_many_controllers)
{
	copies = 8;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen_count, 16);
	EXPECT_EQ(seen[15].controller, 7);
}

CHILD_TEST(machine, one_controller_too_many)
{
	copies = 9;
	EXPECT_EQ(ide_start(&filter, &options), -ENOSPC);
	EXPECT_EQ(seen_count, 0);
}

CHILD_TEST(machine, what_is_configured)
{
	wanted = 0;
	options.no_trim = true;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	guest_command(0x06);
	EXPECT_EQ(model.dev[0].command, 0);
	EXPECT_EQ(model.dev[0].status, 0x41);
}

/* Commands are sent with LBA addresses. */
CHILD_TEST(machine, a_disk_without_them)
{
	wanted = 0;
	model.dev[0].no_lba = true;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT(claimed);
	guest_out(ATA_COUNT, 1);
	guest_out(ATA_LBA_LOW, 1);
	guest_out(ATA_DEVICE, 0xA0);
	guest_out(ATA_LBA_LOW, 1);
	guest_command(0x20);
	EXPECT_EQ(model.dev[0].status, 0x41);
	EXPECT_EQ(model.dev[0].command, 0);
}

static u32 config_command(u32 value)
{
	struct pci_io io = { claimed->addr, 4, 2, true, value };

	EXPECT_EQ(claimed->config(claimed->ctx, &io), PASS);
	return io.value;
}

/* AMD's SATA functions take another class, and Linux gives them AHCI's; what
 * is in memory then, or at any time, is out of reach. */
CHILD_TEST(machine, stays_what_it_was)
{
	struct pci_io io = { .reg = 0x24, .size = 4, .value = 0xFEB00000 };

	wanted = 0;
	command = 7;
	bars[5] = 0xFEB00000;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(command, 5);
	EXPECT_EQ(config_write(0x0A, 1, 6), DONE);
	EXPECT_EQ(config_command(7), 5);
	EXPECT_EQ(claimed->config(claimed->ctx, &io), DONE);
	EXPECT_EQ(io.value, 0);
	EXPECT_EQ(config_write(0x24, 4, 0xFEC00000), DONE);
	for (u16 reg = 0; reg < 0x24; reg += 4) {
		io = (struct pci_io){ .reg = reg, .size = 4, .value = 7 };
		EXPECT_EQ(claimed->config(claimed->ctx, &io),
			  reg >= 0x10 && reg < 0x20 ? DONE : PASS);
	}
	io = (struct pci_io){ claimed->addr, 0x20, 4, true, 0xD003 };
	EXPECT_EQ(claimed->config(claimed->ctx, &io), PASS);
	EXPECT_EQ(io.value, 0xD003);
}

CHILD_TEST(machine, the_first_bar_in_memory)
{
	wanted = 0;
	command = 7;
	bars[0] = 0xFEB00000;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(command, 5);
}

/* A bit that opens nothing is the guest's. */
CHILD_TEST(machine, without_registers_in_memory)
{
	wanted = 0;
	command = 7;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(command, 7);
	EXPECT_EQ(config_command(7), 7);
}

/* A function that has been reset may have gone back to the other mode. */
CHILD_TEST(machine, mode_after_a_reset)
{
	struct pci_io io;

	wanted = 0;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	function.class = 0x01018F;
	EXPECT_EQ(config_command(4), 4);
	EXPECT_EQ(function.class, 0x01018F);
	EXPECT_EQ(config_command(5), 5);
	EXPECT_EQ(function.class, 0x010180);
	mode_sticks = true;
	function.class = 0x01018F;
	EXPECT_EQ(config_command(5), 4);
	io = (struct pci_io){ claimed->addr, 0x20, 4, true, 0xD001 };
	EXPECT_EQ(claimed->config(claimed->ctx, &io), PASS);
	EXPECT_EQ(io.value, 0xD001);
}

CHILD_TEST(machine, native_mode_after_a_reset)
{
	wanted = 0;
	function.class = 0x01018F;
	bars[0] = MODEL_BASE | 1;
	bars[1] = (MODEL_CTL - 2) | 1;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	function.class = 0x01018A;
	EXPECT_EQ(config_command(5), 5);
	EXPECT_EQ(function.class, 0x01018F);
}

/* CMD 646: PRD pointers and commands of the engines; what is beside sets the
 * speed. JMicron: ports change functions. */
CHILD_TEST(machine, registers_of_other_makers)
{
	wanted = 0;
	function.vendor = 0x1095;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	for (u16 reg = 0x70; reg < 0x80; reg++)
		EXPECT_EQ(config_write(reg, 1, 0),
			  (reg & 7) && (reg & 7) < 4 ? PASS : DONE);
	EXPECT_EQ(config_write(0x90, 1, 0), PASS);
	EXPECT_EQ(config_write(0x80, 1, 0), PASS);
	claimed->id.vendor = 0x197B;
	for (u16 reg = 0x3C; reg < 0x90; reg++)
		EXPECT_EQ(config_write(reg, 1, 0),
			  (reg & ~3) == 0x40 || (reg & ~3) == 0x80 ? DONE
								   : PASS);
}

static u32 config_value(u16 reg, u8 size, u32 value)
{
	struct pci_io io = { claimed->addr, reg, size, true, value };

	EXPECT_EQ(claimed->config(claimed->ctx, &io), PASS);
	return io.value;
}

/* Where a channel has none, another device may be made to answer. */
CHILD_TEST(machine, a_channel_keeps_its_ports)
{
	wanted = 0;
	timing[0x01] = 0xA3; /* IDETIM; the second channel is off */
	timing[0x03] = 0x23;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(config_value(0x40, 4, 0x80770077), 0x00778077);
	EXPECT_EQ(config_value(0x40, 2, 0x2377), 0xA377);
	EXPECT_EQ(config_value(0x41, 1, 0x00), 0x80);
	EXPECT_EQ(config_value(0x43, 1, 0xFF), 0x7F);
	EXPECT_EQ(config_value(0x40, 1, 0x00), 0x00);
	EXPECT_EQ(config_value(0x44, 4, 0x55AA55AA), 0x55AA55AA);
	/* what a reset has made of it, before the ports are on */
	timing[0x01] = 0x23;
	timing[0x03] = 0x80;
	EXPECT_EQ(config_value(4, 2, 4), 4);
	EXPECT_EQ(timing[0x01], 0x23);
	EXPECT_EQ(config_value(4, 2, 5), 5);
	EXPECT_EQ(timing[0x01], 0xA3);
	EXPECT_EQ(timing[0x03], 0);
}

CHILD_TEST(machine, channels_of_other_makers)
{
	static const struct {
		u16 vendor, reg;
		u8 bits;
	} maker[] = {
		{ 0x1022, 0x40, 3 }, { 0x1106, 0x40, 3 },  { 0x10DE, 0x50, 3 },
		{ 0x1039, 0x4A, 6 }, { 0x1095, 0x51, 12 },
	};

	wanted = 0;
	memset(timing, 0xFF, sizeof(timing));
	EXPECT_EQ(ide_start(&filter, &options), 0);
	for (u32 i = 0; i < sizeof(maker) / sizeof(*maker); i++) {
		claimed->id.vendor = maker[i].vendor;
		EXPECT_EQ(config_value(maker[i].reg, 1, 0), maker[i].bits);
		EXPECT_EQ(config_value(maker[i].reg + 1, 1, 0), 0);
	}
}

CHILD_TEST(machine, native_mode)
{
	wanted = 1;
	function.class = 0x01018F;
	bars[0] = MODEL_BASE | 1;
	bars[1] = (MODEL_CTL - 2) | 1;
	bars[2] = 0xE001;
	bars[3] = 0xE101;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen_count, 2);
	expect_hooks(MODEL_BASE, MODEL_BM, false);
	claimed->bars[0].base = 0xE200;
	claimed->bar_changed(claimed->ctx, 0);
	expect_hooks(0xE200, MODEL_BM, false);
	EXPECT(!hooked(MODEL_BASE));
}

/* Neither without a control block nor with one in memory is there a channel. */
CHILD_TEST(machine, native_mode_without_ports)
{
	function.class = 0x01018F;
	bars[0] = MODEL_BASE | 1;
	bars[2] = 0xE001;
	bars[3] = 0xFEB0E100;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	bars[1] = 0xFEB00000 | (MODEL_CTL - 2);
	EXPECT_EQ(ide_start(&filter, &options), 0);
	bars[0] = 0xFEB00000 | MODEL_BASE;
	bars[1] = (MODEL_CTL - 2) | 1;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen_count, 0);
	EXPECT_EQ(model.commands, 0);
	EXPECT_EQ(model.elsewhere, 0);
}

CHILD_TEST(machine, secondary_channel)
{
	wanted = 0;
	model.secondary = true;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen_count, 2);
	EXPECT_EQ(seen[0].channel, 1);
	port_access(&(struct port_io){ 0x177, 1, true, 1, (u8[]){ 0x92 } });
	EXPECT_EQ(model.dev[0].command, 0);
	EXPECT_EQ(model.dev[0].status, 0x41);
	for (u16 i = 0; i < 8; i++) {
		EXPECT(hooked(0x170 + i));
		EXPECT(!hooked(MODEL_BASE + i));
		EXPECT_EQ(hooked(MODEL_BM + 8 + i), i >= 4);
	}
}

CHILD_TEST(machine, secondary_channel_in_native_mode)
{
	wanted = 0;
	function.class = 0x01018F;
	bars[2] = MODEL_BASE | 1;
	bars[3] = (MODEL_CTL - 2) | 1;
	bars[4] = (MODEL_BM - 8) | 1;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen_count, 2);
	EXPECT_EQ(seen[0].channel, 1);
	expect_hooks(MODEL_BASE, MODEL_BM, false);
	/* nothing was asked of the channel that has no ports */
	EXPECT_EQ(model.elsewhere, 0);
}

CHILD_TEST(machine, no_memory)
{
	hpa_t pa;

	wanted = 0;
	EXPECT(dma_alloc(1024, &pa));
	EXPECT(ide_start(&filter, &options));
	EXPECT(!claimed);
}

/* The guest could move its ports away. */
CHILD_TEST(machine, a_controller_that_is_not_ours)
{
	wanted = 0;
	claims_fail = 1;
	copies = 2; /* the other one could be */
	EXPECT(ide_start(&filter, &options));
}

/* CHS addresses before the guest says which it uses. */
CHILD_TEST(machine, geometry_of_the_disk)
{
	static const u8 read[] = { 1, 2, 1, 0, 0xA3, 0x20 };

	wanted = 0;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	for (u16 i = 0; i < sizeof(read); i++)
		port_access(&(struct port_io){ MODEL_BASE + 2 + i, 1, true, 1,
					       (void *)&read[i] });
	EXPECT_EQ(model.dev[0].lba - 1, (1 * 16 + 3) * 63 + 1);
}

static unsigned int asked;

static enum verdict sleep_fn(void *ctx, const struct port_io *io)
{
	asked++;
	return DONE;
}

CHILD_TEST(machine, reads_by_dma)
{
	static const u8 prd[8] = { 0, 0x20, 0, 0, 0, 2, 0, 0x80 };
	u32 list = 0x1000;
	u8 start = 9;

	wanted = 0;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	memcpy(model.memory + list, prd, sizeof(prd));
	port_access(&(struct port_io){ MODEL_BM + 4, 4, true, 1, &list });
	guest_out(ATA_COUNT, 1);
	guest_out(ATA_DEVICE, 0xE0);
	guest_command(0xC8);
	hw_out(MODEL_BM, 1, start);
	while (hw_in(MODEL_CTL, 1) & 0x88)
		;
	port_access(&(struct port_io){ MODEL_BASE + 7, 1, false, 1, &start });
	EXPECT_EQ(start, 0x40);
	EXPECT_EQ(decoded, 1);
}

/* Ports that another hook keeps from the hardware, and none at all. */
CHILD_TEST(machine, no_place_for_a_bar)
{
	struct port_hook sleep = { .first = 0xD004,
				   .count = 2,
				   .fn = sleep_fn };

	port_hook_add(&sleep);
	wanted = 0;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	claimed->bars[4].base = 0xD006; /* behind it; just before; the last */
	EXPECT_EQ(claimed->bar_changed(claimed->ctx, 4), 0);
	claimed->bars[4].base = 0xD004 - 16;
	EXPECT_EQ(claimed->bar_changed(claimed->ctx, 4), 0);
	claimed->bars[4].base = 0xD004 - 15;
	EXPECT(claimed->bar_changed(claimed->ctx, 4));
	claimed->bars[4].base = 0xD005;
	claimed->bars[4].enabled = true;
	EXPECT(claimed->bar_changed(claimed->ctx, 4));
	claimed->bars[4].base = 0xD000;
	claimed->bars[4].enabled = false; /* for as long as that is so */
	EXPECT_EQ(claimed->bar_changed(claimed->ctx, 4), 0);
	claimed->bars[4].enabled = true;
	EXPECT(claimed->bar_changed(claimed->ctx, 4));
	EXPECT(!hooked(MODEL_BM + 4));
	EXPECT(!hooked(0xD006));
	port_access(&(struct port_io){ 0xD005, 1, true, 1, (u8[]){ 0x20 } });
	EXPECT_EQ(asked, 1);
	claimed->bars[4].base = 0;
	claimed->bars[4].enabled = true;
	EXPECT(claimed->bar_changed(claimed->ctx, 4));
	claimed->bars[4].base = MODEL_BM;
	claimed->bars[4].enabled = true;
	for (int i = 0; i < 2; i++) /* its own hooks are there */
		EXPECT_EQ(claimed->bar_changed(claimed->ctx, 4), 0);
	expect_hooks(MODEL_BASE, MODEL_BM, true);
	/* In compatibility mode it means nothing. */
	claimed->bars[0] = (struct pci_bar){ true, true, 0xD004, 8 };
	EXPECT_EQ(claimed->bar_changed(claimed->ctx, 0), 0);
	claimed->bars[5] = claimed->bars[0];
	EXPECT_EQ(claimed->bar_changed(claimed->ctx, 5), 0);
	claimed->id.class =
		0x010184; /* the secondary channel alone is native */
	claimed->bars[2] = (struct pci_bar){ true, true, 0xD000, 8 };
	EXPECT(claimed->bar_changed(claimed->ctx, 2));
	claimed->bars[3] = (struct pci_bar){ true, true, 0xD004, 4 };
	EXPECT(claimed->bar_changed(claimed->ctx, 3));
	claimed->bars[0].enabled = true;
	EXPECT_EQ(claimed->bar_changed(claimed->ctx, 0), 0);
}

CHILD_TEST(machine, sector_size_not_handled)
{
	wanted = 0;
	model.dev[0].sector = 520;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT(claimed); /* protected all the same: user data is refused */
	EXPECT_EQ(seen[0].sector_size, 512);
	guest_out(ATA_DEVICE, 0xE0);
	guest_command(0x20);
	EXPECT_EQ(model.dev[0].status, 0x41);
	EXPECT_EQ(model.dev[0].command, 0);
}

/* One that firmware has left off could be switched on by the guest. */
CHILD_TEST(machine, switched_off)
{
	command = 6;
	for (expected = -1; expected < 5; expected++) {
		concealed = false;
		EXPECT_EQ(ide_start(&filter, &options), 0);
		EXPECT_EQ(concealed, expected >= 0 && expected < 4);
	}
	EXPECT_EQ(seen_count, 0);
}

static void check_power_mode(void)
{
	u16 port = (model.secondary ? 0x170 : MODEL_BASE) + ATA_COMMAND;

	port_access(&(struct port_io){ port, 1, true, 1, (u8[]){ 0xE5 } });
}

/* Else a part of a command were lost, and what is executed is another. */
CHILD_TEST(machine, held_while_ports_are_off)
{
	wanted = 0;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	held_try(claimed, &model.off, check_power_mode);
	EXPECT_EQ(model.lost, 0);
}

/* An access that is held does not end. */
CHILD_TEST(machine, the_secondary_channel_is_held)
{
	int status;

	wanted = 0;
	model.secondary = true;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	if (!fork()) {
		claimed->hold(claimed->ctx, true);
		ualarm(20000, 0);
		check_power_mode();
		_exit(0);
	}
	EXPECT(wait(&status) > 0 && WIFSIGNALED(status));
	claimed->hold(claimed->ctx, true);
	claimed->hold(claimed->ctx, false);
	check_power_mode();
}

TEST_MAIN(CASE(says_who_the_disk_is), CASE(offers_both_units),
	  CASE(offers_packet_devices), CASE(a_drive_beside_a_disk),
	  CASE(protected_drive), CASE(a_signature_that_is_none),
	  CASE(a_device_alone), CASE(no_interrupt_is_left),
	  CASE(packet_device_of_another_kind), CASE(sees_an_empty_channel),
	  CASE(hooks_a_protected_channel), CASE(native_mode),
	  CASE(native_mode_without_ports),
	  CASE(no_bus_master_of_the_primary_channel), CASE(no_place_for_a_bar),
	  CASE(secondary_channel), CASE(secondary_channel_in_native_mode),
	  CASE(no_memory), CASE(a_controller_that_is_not_ours),
	  CASE(geometry_of_the_disk), CASE(reads_by_dma),
	  CASE(a_disk_that_does_not_say_who_it_is),
	  CASE(a_silent_disk_is_closed),
	  CASE(a_disk_behind_a_silent_one_is_closed),
	  CASE(sector_size_not_handled), CASE(switched_off),
	  CASE(stays_what_it_was), CASE(without_registers_in_memory),
	  CASE(mode_after_a_reset), CASE(native_mode_after_a_reset),
	  CASE(the_first_bar_in_memory), CASE(registers_of_other_makers),
	  CASE(a_channel_keeps_its_ports), CASE(channels_of_other_makers),
	  CASE(a_status_that_is_none), CASE(a_device_that_stays_busy),
	  CASE(the_function_beside), CASE(registers_that_cannot_be_guarded),
	  CASE(no_bus_master), CASE(too_many_controllers),
	  CASE(one_controller_too_many), CASE(what_is_configured),
	  CASE(a_disk_without_them), CASE(held_while_ports_are_off),
	  CASE(the_secondary_channel_is_held))

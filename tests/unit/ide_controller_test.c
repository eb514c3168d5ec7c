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
static bool concealed;

void pci_scan(void (*found)(void *ctx, struct pci_addr addr,
			    const struct pci_id *id),
	      void *ctx)
{
	struct pci_id bridge = { 0x8086, 0x7000, 0x060100 };
	struct pci_id sibling = { 0x8086, 0x2922, 0x010601 };
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
	return reg == 0x90 && len == 4 && !guards_fail ? 0 : -1;
}

static bool claims_fail;

int pci_claim(struct pci_claim *claim)
{
	if (claims_fail)
		return -1;
	claimed = claim;
	claim->id = function;
	for (int i = 0; i < 6; i++)
		claim->bars[i] =
			(struct pci_bar){ bars[i] & 1, true, bars[i] & ~3u,
					  bars[i] ? 16 : 0 };
	return 0;
}

static bool mode_sticks;

u32 pci_config_read(struct pci_addr addr, u16 reg, u8 size)
{
	if (reg == 8)
		return function.class << 8 | 3;
	return reg == 4 ? command : bars[(reg - 0x10) / 4];
}

void pci_config_write(struct pci_addr addr, u16 reg, u8 size, u32 value)
{
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

static bool expects(const struct block_id *id)
{
	return !strcmp(id->bus, "ide") &&
	       id->channel * 2 + id->unit == expected;
}

static const struct block_filter filter = {
	.attach = attach,
	.expects = expects,
	.covers = covers,
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

CHILD_TEST(model_init, says_who_the_disk_is)
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
	EXPECT_EQ(model.control & 6, 0);
	EXPECT_EQ(model.device & 0x10, 0);
}

CHILD_TEST(model_init, offers_both_units)
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
}

CHILD_TEST(model_init, offers_packet_devices)
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
CHILD_TEST(model_init, a_disk_that_does_not_say_who_it_is)
{
	model.dev[0].mute = true;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen_count, 1);
	EXPECT_EQ(seen[0].unit, 1);
}

CHILD_TEST(model_init, packet_device_of_another_kind)
{
	wanted = 0;
	model.dev[0].atapi = true;
	model.dev[0].type = 0; /* a Zip drive or the like */
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT(claimed); /* READ(10) is refused */
	hw_out(MODEL_BASE + 6, 1, 0xA0);
	port_access(
		&(struct port_io){ MODEL_BASE + 5, 1, true, 1, (u8[]){ 8 } });
	port_access(&(struct port_io){ MODEL_BASE + 7, 1, true, 1,
				       (u8[]){ 0xA0 } });
	while (!(hw_in(MODEL_CTL, 1) & 8))
		;
	port_access(&(struct port_io){ MODEL_BASE, 2, true, 6,
				       (u8[12]){ 0x28, [8] = 1 } });
	EXPECT_EQ(model.dev[0].cdb[0], 0x1F);
	EXPECT_EQ(model.dev[0].status, 0x41);
}

CHILD_TEST(model_init, sees_an_empty_channel)
{
	model.dev[0].present = model.dev[1].present = false;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen_count, 0);
	EXPECT_EQ(model.control, 0);
}

/* Without a device the bus may float, or be pulled up or down. */
CHILD_TEST(model_init, a_status_that_is_none)
{
	static const u8 none[] = { 0x00, 0x7F, 0xFF };

	model.dev[1].status = 0x50;
	for (u32 i = 0; i < sizeof(none); i++) {
		model.dev[0].status = none[i];
		EXPECT_EQ(ide_start(&filter, &options), 0);
		EXPECT_EQ(model.dev[0].command | model.ignored, 0);
	}
}

CHILD_TEST(model_init, a_device_that_stays_busy)
{
	model.dev[0].status = 0x80;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(model.ignored, 0);
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

CHILD_TEST(model_init, hooks_a_protected_channel)
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
	EXPECT_EQ(config_write(0x04, 2, 7), PASS);
	EXPECT_EQ(config_write(0x20, 4, 0xD001), PASS);
	EXPECT_EQ(guarded, 6);
	EXPECT_EQ(config_write(0x40, 4, 0x80008000), PASS);
	EXPECT_EQ(config_write(0x06, 2, 0xF900), PASS);
	EXPECT_EQ(config_write(0x0C, 1, 8), PASS);
}

/* Else another function's register could switch the ports to AHCI. */
CHILD_TEST(model_init, registers_that_cannot_be_guarded)
{
	wanted = 0;
	guards_fail = true;
	EXPECT(ide_start(&filter, &options));
	EXPECT_EQ(guarded, 2); /* no other is tried */
}

CHILD_TEST(model_init, no_bus_master)
{
	wanted = 0;
	model.secondary = true;
	bars[4] = 0;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT(hooked(0x170));
	for (u16 port = 0; port < 0x170; port++)
		EXPECT(!hooked(port));
}

/* A volume on one more could not be found. */
CHILD_TEST(model_init, too_many_controllers)
{
	copies = 8;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen_count, 16);
	EXPECT_EQ(seen[15].controller, 7);
}

CHILD_TEST(model_init, one_controller_too_many)
{
	copies = 9;
	EXPECT_EQ(ide_start(&filter, &options), -ENOSPC);
	EXPECT_EQ(seen_count, 0);
}

CHILD_TEST(model_init, what_is_configured)
{
	wanted = 0;
	options.no_trim = true;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	guest_command(0x06);
	EXPECT_EQ(model.dev[0].command, 0);
	EXPECT_EQ(model.dev[0].status, 0x41);
}

/* Commands are sent with LBA addresses. */
CHILD_TEST(model_init, a_disk_without_them)
{
	wanted = 0;
	model.dev[0].no_lba = true;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT(claimed);
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
CHILD_TEST(model_init, stays_what_it_was)
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
	io = (struct pci_io){ .reg = 0x20, .size = 4 };
	EXPECT_EQ(claimed->config(claimed->ctx, &io), PASS);
}

/* A bit that opens nothing is the guest's. */
CHILD_TEST(model_init, without_registers_in_memory)
{
	wanted = 0;
	command = 7;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(command, 7);
	EXPECT_EQ(config_command(7), 7);
}

/* A function that has been reset may have gone back to the other mode. */
CHILD_TEST(model_init, mode_after_a_reset)
{
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
}

/* CMD 646: PRD pointers and commands of the engines; what is beside sets the
 * speed. JMicron: ports change functions. */
CHILD_TEST(model_init, registers_of_other_makers)
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

CHILD_TEST(model_init, native_mode)
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

CHILD_TEST(model_init, secondary_channel)
{
	wanted = 0;
	model.secondary = true;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT_EQ(seen_count, 2);
	EXPECT_EQ(seen[0].channel, 1);
	for (u16 i = 0; i < 8; i++) {
		EXPECT(hooked(0x170 + i));
		EXPECT(!hooked(MODEL_BASE + i));
		EXPECT_EQ(hooked(MODEL_BM + 8 + i), i >= 4);
	}
}

CHILD_TEST(model_init, secondary_channel_in_native_mode)
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

CHILD_TEST(model_init, no_memory)
{
	hpa_t pa;

	wanted = 0;
	EXPECT(dma_alloc(1024, &pa));
	EXPECT(ide_start(&filter, &options));
	EXPECT(!claimed);
}

/* The guest could move its ports away. */
CHILD_TEST(model_init, a_controller_that_is_not_ours)
{
	wanted = 0;
	claims_fail = true;
	EXPECT(ide_start(&filter, &options));
}

/* CHS addresses before the guest says which it uses. */
CHILD_TEST(model_init, geometry_of_the_disk)
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

/* Ports that another hook keeps from the hardware, and none at all. */
CHILD_TEST(model_init, no_place_for_a_bar)
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
	claimed->bars[3] = (struct pci_bar){ true, true, 0xD004, 4 };
	EXPECT(claimed->bar_changed(claimed->ctx, 3));
	claimed->bars[0].enabled = true;
	EXPECT_EQ(claimed->bar_changed(claimed->ctx, 0), 0);
}

CHILD_TEST(model_init, sector_size_not_handled)
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
CHILD_TEST(model_init, switched_off)
{
	command = 6;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT(!concealed);
	expected = 3;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	EXPECT(concealed);
	EXPECT_EQ(seen_count, 0);
}

static void check_power_mode(void)
{
	guest_out(7, 0xE5);
}

/* Else a part of a command were lost, and what is executed is another. */
CHILD_TEST(model_init, held_while_ports_are_off)
{
	wanted = 0;
	EXPECT_EQ(ide_start(&filter, &options), 0);
	held_try(claimed, &model.off, check_power_mode);
	EXPECT_EQ(model.lost, 0);
}

TEST_MAIN(CASE(says_who_the_disk_is), CASE(offers_both_units),
	  CASE(offers_packet_devices), CASE(packet_device_of_another_kind),
	  CASE(sees_an_empty_channel), CASE(hooks_a_protected_channel),
	  CASE(native_mode), CASE(no_place_for_a_bar), CASE(secondary_channel),
	  CASE(secondary_channel_in_native_mode), CASE(no_memory),
	  CASE(a_controller_that_is_not_ours), CASE(geometry_of_the_disk),
	  CASE(a_disk_that_does_not_say_who_it_is),
	  CASE(sector_size_not_handled), CASE(switched_off),
	  CASE(stays_what_it_was), CASE(without_registers_in_memory),
	  CASE(mode_after_a_reset), CASE(registers_of_other_makers),
	  CASE(a_status_that_is_none), CASE(a_device_that_stays_busy),
	  CASE(registers_that_cannot_be_guarded), CASE(no_bus_master),
	  CASE(too_many_controllers), CASE(one_controller_too_many),
	  CASE(what_is_configured), CASE(a_disk_without_them),
	  CASE(held_while_ports_are_off))

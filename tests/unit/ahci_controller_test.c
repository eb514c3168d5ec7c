/*
 * HBAs: which ports are mediated, the registers they share, and the ways
 * around them.
 *
 * units: drivers/ata/ahci_controller.c core/io/pci_cap.c drivers/ata/command.c drivers/ata/identify.c drivers/ata/ahci_command.c drivers/ata/ahci_done.c drivers/ata/ahci_identify.c drivers/ata/ahci_packet.c drivers/ata/packet.c drivers/ata/ahci_port.c core/io/sg.c tests/unit/ahci_model.c tests/unit/model_memory.c
 * libs: -lpthread
 */
#include <stdlib.h>
#include <string.h>

#include "core/io/dma.h"
#include "core/io/mmio.h"
#include "core/io/pci.h"
#include "core/lib/bytes.h"
#include "core/lib/errors.h"
#include "drivers/ata/ahci.h"
#include "drivers/ata/ahci_controller.h"
#include "tests/unit/ahci_model.h"
#include "tests/unit/child.h"
#include "tests/unit/held.h"

/* ---- one PCI function, its registers and the map of hooks ---- */

static u8 config[256];
static struct pci_claim *claimed;
static struct mmio_hook *hook;
static bool concealed, place_taken;
static u32 hbas = 1, claim_fails, hook_fails;

void pci_scan(void (*found)(void *ctx, struct pci_addr addr,
			    const struct pci_id *id),
	      void *ctx)
{
	struct pci_id ide = { 0x8086, 0x7010, 0x010180 };
	struct pci_id id = { 0x8086, 0x2922, 0x010601 };

	found(ctx, (struct pci_addr){ 0, 0, 1, 1 }, &ide);
	for (u32 i = 0; i < hbas; i++)
		found(ctx, (struct pci_addr){ 0, 0, 31, 2 }, &id);
}

u32 pci_config_read(struct pci_addr addr, u16 reg, u8 size)
{
	EXPECT_EQ(addr.fn, 2);
	return load_le32(config + reg) & (u32)mask_bytes(size);
}

void pci_config_write(struct pci_addr addr, u16 reg, u8 size, u32 value)
{
	memcpy(config + reg, &value, size);
}

int pci_claim(struct pci_claim *claim)
{
	EXPECT_EQ(claim->addr.fn, 2);
	if (claim_fails) {
		claim_fails--;
		return -EINVAL;
	}
	claimed = claim;
	claim->id = (struct pci_id){ 0x8086, 0x2922, 0x010601 };
	claim->bars[5] = (struct pci_bar){ false, true, MODEL_ABAR, 0x1000 };
	return 0;
}

int pci_conceal(struct pci_addr addr)
{
	concealed = true;
	return 0;
}

int mmio_hook_add(struct mmio_hook *h)
{
	if (hook_fails && !--hook_fails)
		return -ENOSPC;
	hook = h;
	return 0;
}

int mmio_hook_move(struct mmio_hook *h, gpa_t start, u64 size)
{
	if (hook_fails && !--hook_fails)
		return -ENOMEM;
	h->start = start;
	h->size = size;
	return 0;
}

bool mmio_place_free(gpa_t start, u64 size)
{
	return !place_taken;
}

/* ---- a filter ---- */

static int expected = 0, attached;
static u8 command_then;

static struct block_dev *attach(const struct block_id *id)
{
	attached++;
	command_then = config[0x04];
	EXPECT(!strcmp(id->bus, "ahci"));
	return strcmp(id->serial, "SECRET") ? NULL : (struct block_dev *)id;
}

static bool expects(const struct block_id *id)
{
	return expected < 0 ? id->channel >= -expected - 1
			    : id->channel == expected;
}

static bool covers(const struct block_dev *dev, u64 lba, u32 count)
{
	return false;
}

static const struct block_filter filter = {
	.attach = attach,
	.expects = expects,
	.covers = covers,
};
static const struct ata_options options = { .bounce_kib = 64 };

static void machine(void)
{
	model_init();
	memset(config, 0, sizeof(config));
	config[0x04] = 0x07;
	config[0x06] = 0x10;
	store_le32(config + 0x24, (u32)MODEL_ABAR);
	config[0x34] = 0x80; /* MSI with 64 bits, then SATA */
	config[0x80] = 0x05;
	config[0x81] = 0xA8;
	config[0x82] = 0x80;
	config[0xA8] = 0x12;
}

static void start(void)
{
	EXPECT_EQ(ahci_start(&filter, &options), 0);
}

/* ---- what a guest does ---- */

static enum verdict verdict;

static u64 access_hba(u32 off, u8 size, bool write, u64 value)
{
	struct mmio_io io = { hook->start + off, size, write, value };

	verdict = hook->fn(hook->ctx, &io);
	return io.value;
}

static u64 in(u32 off, u8 size)
{
	return access_hba(off, size, false, 0);
}

static void out(u32 off, u8 size, u64 value)
{
	access_hba(off, size, true, value);
}

static enum verdict config_write(u16 reg, u8 size, u32 *value)
{
	struct pci_io io = { claimed->addr, reg, size, true, *value };
	enum verdict v = claimed->config(claimed->ctx, &io);

	*value = io.value;
	return v;
}

static bool config_lost(u16 reg, u8 size, u32 value)
{
	return config_write(reg, size, &value) == DONE;
}

CHILD_TEST(machine, no_volume_expected)
{
	expected = 9;
	start();
	EXPECT(!claimed && !hook && !attached);
	EXPECT_EQ(config[0x04], 0x07);
	EXPECT_EQ(model.commands, 0);
}

CHILD_TEST(machine, mediates_where_one_is)
{
	start();
	EXPECT(claimed && hook);
	EXPECT_EQ(attached, 1); /* the other port is not asked */
	EXPECT_EQ(hook->start, MODEL_ABAR);
	EXPECT_EQ(hook->size, 0x1000);
	EXPECT_EQ(config[0x04], 0x06);
	out(0x100, 4, 0x123400);
	EXPECT_EQ(verdict, DONE);
	EXPECT_EQ(in(0x100, 4), 0x123400);
	EXPECT(model.port[0].clb != 0x123400);
	out(0x180, 4, 0x123400);
	EXPECT_EQ(verdict, PASS);
	in(0x08, 4);
	EXPECT_EQ(verdict, PASS);
	in(0x20, 4);
	EXPECT_EQ(verdict, PASS);
	out(0xA0, 4, 1); /* vendor specific */
	EXPECT_EQ(verdict, DENY);
	in(0xA0, 4);
	EXPECT_EQ(verdict, PASS);
	out(0x08, 4, 1);
	EXPECT_EQ(verdict, PASS);
	out(0x28, 4, 1);
	EXPECT_EQ(verdict, PASS);
	out(0x28, 8, 1); /* and its second half */
	EXPECT_EQ(verdict, DENY);
	claimed->bars[5].size = 0x2000;
	out(0x1100, 4, 1); /* behind the last port */
	EXPECT_EQ(verdict, PASS);
}

CHILD_TEST(machine, a_port_without_a_volume)
{
	expected = -2; /* port 1 and all after it */
	start();
	EXPECT(claimed);
	out(0x180, 4, 0x123400); /* known, and without a volume */
	EXPECT_EQ(model.port[1].clb, 0x123400);
	EXPECT_EQ(in(0x180, 4), 0x123400);
}

CHILD_TEST(machine, all_ports_that_are_expected)
{
	expected = -1;
	start();
	EXPECT_EQ(attached, 2);
	for (u32 port = 0x100; port <= 0x180; port += 0x80) {
		out(port, 4, 0x123400);
		EXPECT_EQ(verdict, DONE);
		EXPECT_EQ(in(port, 4), 0x123400);
	}
}

/* Word 76 of what the disk says of itself: bit 8 is NCQ. */
static u32 queue_of_the_disk(void)
{
	u8 *h = model.memory + 0x4000, *t = model.memory + 0x5000;

	start();
	h[0] = 5;
	store_le16(h + 2, 1);
	store_le32(h + 8, 0x5000);
	memcpy(t, "\x27\x80\xEC", 3);
	store_le32(t + 0x80, 0x6000);
	store_le32(t + 0x8C, 511);
	out(0x100, 4, 0x4000);
	out(0x130, 4, ~0u);
	out(0x118, 4, 0x11);
	out(0x138, 4, 1);
	for (u32 i = 0; i < 1000 && in(0x138, 4); i++)
		;
	return load_le16(model.memory + 0x6000 + 2 * 76);
}

CHILD_TEST(machine, a_queue_in_the_hba)
{
	EXPECT_EQ(queue_of_the_disk(), 0x6706);
}

CHILD_TEST(machine, no_queue_in_the_hba)
{
	model.cap &= ~(u32)BIT(30);
	EXPECT_EQ(queue_of_the_disk(), 0x6606);
}

CHILD_TEST(machine, accesses_of_any_width)
{
	start();
	out(0x100, 8, 0x0000000512345678);
	EXPECT_EQ(in(0x100, 4), 0x12345400);
	EXPECT_EQ(in(0x104, 4), 5);
	EXPECT_EQ(in(0x100, 8), 0x0000000512345400);
	out(0x102, 1, 0x77);
	EXPECT_EQ(in(0x100, 4), 0x12775400);
	EXPECT_EQ(in(0x102, 2), 0x1277);
	model.port[0].is = 0x00400001;
	out(0x112, 2, 0x40);
	EXPECT_EQ(model.port[0].is, 1);
	in(0x102, 4);
	EXPECT_EQ(verdict, DENY);
	out(0x0FC, 8, ~0ULL);
	EXPECT_EQ(verdict, DENY);
	EXPECT_EQ(in(0x100, 4), 0x12775400);
}

CHILD_TEST(machine, registers_of_the_hba)
{
	start();
	EXPECT_EQ(in(0x00, 4) & (BIT(16) | BIT(17)), 0);
	EXPECT(model.cap & BIT(17));
	EXPECT_EQ(in(0x00, 4) & BIT(31), BIT(31));
	out(0x04, 4, 2); /* the legacy interface stays off */
	EXPECT_EQ(in(0x04, 4), BIT(31) | 2);
	out(0x07, 1, 0);
	EXPECT_EQ(in(0x04, 4) & BIT(31), BIT(31));
	out(0x118, 4, 0x11);
	EXPECT_EQ(model.port[0].cmd & 0x11, 0x11);
	out(0x04, 4, 1);
	EXPECT_EQ(model.port[0].cmd & 0x11, 0);
	out(0x118, 4, PxCMD_PMA | PxCMD_FBSCP);
	EXPECT_EQ(in(0x118, 4) & (PxCMD_PMA | PxCMD_FBSCP), 0);
	EXPECT_EQ(model.port[0].cmd & (PxCMD_PMA | PxCMD_FBSCP), 0);
	model.port[0].serr = 0;
	out(0x140, 4, ~0u);
	EXPECT_EQ(in(0x140, 4), 0);
}

/* A change of another bit stops nothing; a reset ends all commands. */
CHILD_TEST(machine, commands_and_a_reset)
{
	model.cap = (model.cap & ~0x1F00u) | 3 << 8; /* four slots */
	start();
	out(0x130, 4, ~0u);
	out(0x118, 4, 0x11);
	out(0x04, 4, 2);
	model.lazy = 100000;
	out(0x138, 4, ~0u);
	EXPECT_EQ(in(0x138, 4), 0xF);
	out(0x04, 4, 2);
	out(0x00, 4, 3); /* CAP is read-only */
	EXPECT_EQ(in(0x138, 4), 0xF);
	EXPECT_EQ(model.port[0].cmd & 0x11, 0x11);
	out(0x04, 4, 3);
	EXPECT_EQ(in(0x138, 4), 0);
}

/* What was not written to is not cleared. */
CHILD_TEST(machine, a_part_of_a_register)
{
	start();
	out(0x100, 4, 0x7F7F7C00);
	out(0x102, 1, 0xFFFFFF81);
	EXPECT_EQ(in(0x100, 4), 0x7F817C00);
	EXPECT_EQ(in(0x101, 1), 0x7C);
	EXPECT_EQ(in(0x103, 1), 0x7F);
	model.port[0].serr = 0x00010302;
	out(0x131, 1, 1);
	EXPECT_EQ(model.port[0].serr, 0x00010202);
}

CHILD_TEST(machine, narrow_addresses)
{
	model.cap &= ~(u32)BIT(31);
	start();
	out(0x104, 4, 5);
	EXPECT_EQ(in(0x104, 4), 0);
}

/* The interface of AHCI is on, the function decodes and is a master while its
 * devices are asked, and ports of I/O are off for ever. */
CHILD_TEST(machine, firmware_that_left_it_off)
{
	config[0x04] = 0x01;
	config[0x24] |= 8;
	expected = 1;
	model.ghc = 0;
	model.port[1].ie = ~0u;
	start();
	EXPECT_EQ(command_then & 6, 6);
	EXPECT_EQ(config[0x04], 0);
	EXPECT(model.ghc & BIT(31));
	EXPECT_EQ(model.is, 0);
}

CHILD_TEST(machine, side_doors)
{
	u32 v = 0x0007;

	start();
	EXPECT_EQ(config_write(0x04, 2, &v), PASS);
	EXPECT_EQ(v, 6);
	v = 1;
	EXPECT_EQ(config_write(0x04, 1, &v), PASS);
	EXPECT_EQ(v, 0);
	EXPECT(config_lost(0x90, 1, 0));
	EXPECT(config_lost(0x09, 1, 0x8F));
	EXPECT(config_lost(0x08, 4, 0));
	EXPECT(config_lost(0x0A, 1, 0x01));
	EXPECT(config_lost(0x0B, 1, 0x01));
	EXPECT(!config_lost(0x0C, 1, 0x10));
	EXPECT(config_lost(0x91, 1, 0));
	EXPECT(config_lost(0x92, 2, 0));
	EXPECT(!config_lost(0x94, 4, 0));
	EXPECT(config_lost(0xB0, 4, 0));
	EXPECT(config_lost(0xB4, 1, 0));
	EXPECT(config_lost(0xB7, 1, 0));
	EXPECT(!config_lost(0xB8, 4, 0));
	EXPECT(!config_lost(0xAC, 4, 0));
	/* interrupt messages */
	EXPECT(!config_lost(0x84, 4, 0xFEE01000));
	EXPECT(config_lost(0x84, 4, 0x00100000));
	EXPECT(config_lost(0x86, 2, 0xFEE0));
	EXPECT(config_lost(0x87, 1, 0xFE));
	EXPECT(config_lost(0x88, 4, 1));
	EXPECT(config_lost(0x8B, 1, 1));
	EXPECT(!config_lost(0x88, 4, 0));
	EXPECT(!config_lost(0x8C, 4, 0x41));
	EXPECT(!config_lost(0x24, 4, 0xFEC00000));
	config[0x82] = 1; /* 32 bits: data is there */
	EXPECT(!config_lost(0x88, 4, 0x41));
	claimed->id.vendor = 0x1022;
	EXPECT(!config_lost(0x90, 1, 0));
}

/* Else another function has the ports, for which nobody looks. */
CHILD_TEST(machine, ports_stay_with_their_function)
{
	start();
	claimed->id.vendor = 0x197B;
	for (u16 reg = 0x3C; reg < 0x84; reg++)
		EXPECT_EQ(config_lost(reg, 1, 0),
			  (reg & ~3) == 0x40 || (reg & ~3) == 0x80);
	EXPECT(config_lost(0x40, 4, 0x00C2A1B3));
	EXPECT(!config_lost(0x90, 1, 0));
}

CHILD_TEST(machine, reads_of_configuration_space)
{
	struct pci_io io = { .reg = 0x90, .size = 4 };

	start();
	EXPECT_EQ(claimed->config(claimed->ctx, &io), PASS);
}

CHILD_TEST(machine, no_capabilities)
{
	config[0x06] = 0x0F;
	start();
	EXPECT(!config_lost(0x04, 2, 6));
	EXPECT(!config_lost(0x0C, 4, 0x10));
	EXPECT(!config_lost(0x84, 4, 0x00100000));
	EXPECT(!config_lost(0xB0, 4, 0));
}

CHILD_TEST(machine, capabilities_in_a_ring)
{
	config[0x34] = 0x83; /* bits 0 and 1 are reserved */
	config[0x81] = 0xAB;
	config[0xA8] = 0x01;
	config[0xA9] = 0x82;
	start();
	EXPECT(config_lost(0x84, 4, 0x00100000));
	EXPECT(!config_lost(0xB0, 4, 0));
}

CHILD_TEST(machine, registers_that_move)
{
	struct mmio_io late = { MODEL_ABAR + 0x100, 4, true, 0x123400 };

	start();
	claimed->bars[5].enabled = false;
	EXPECT_EQ(claimed->bar_changed(claimed->ctx, 5), 0);
	EXPECT_EQ(hook->size, 0);
	claimed->bars[5].enabled = true;
	place_taken = true;
	EXPECT_EQ(claimed->bar_changed(claimed->ctx, 5), -EEXIST);
	EXPECT_EQ(hook->size, 0);
	/* an access that was on its way meanwhile: the registers may be there
	 * again when it is made */
	EXPECT_EQ(hook->fn(hook->ctx, &late), DENY);
	place_taken = false;
	EXPECT_EQ(claimed->bar_changed(claimed->ctx, 5), 0);
	EXPECT_EQ(hook->size, 0x1000);
	EXPECT_EQ(in(0x124, 4), 0x101);
	model.abar += 0x10000; /* another place */
	claimed->bars[5].base = model.abar;
	EXPECT_EQ(claimed->bar_changed(claimed->ctx, 5), 0);
	EXPECT_EQ(hook->start, model.abar);
	EXPECT_EQ(in(0x124, 4), 0x101);
	EXPECT_EQ(in(0x00, 4) & BIT(31), BIT(31));
	claimed->bars[5].base = 0;
	EXPECT_EQ(claimed->bar_changed(claimed->ctx, 5), -EEXIST);
	claimed->bars[5].base = model.abar;
	late.gpa = model.abar + 0x100;
	for (u32 i = 1; i < 3; i++) {
		hook_fails = i;
		EXPECT_EQ(claimed->bar_changed(claimed->ctx, 5), -ENOMEM);
		EXPECT_EQ(hook->fn(hook->ctx, &late), DENY);
	}
}

CHILD_TEST(machine, more_than_are_kept)
{
	hbas = 5;
	EXPECT_EQ(ahci_start(&filter, &options), -ENOSPC);
	EXPECT(!claimed && !attached);
}

/* What fails for one is not forgotten over the next. */
CHILD_TEST(machine, one_that_cannot_be_claimed)
{
	hbas = 2;
	claim_fails = 1;
	EXPECT_EQ(ahci_start(&filter, &options), -EINVAL);
}

CHILD_TEST(machine, one_that_cannot_be_hooked)
{
	hbas = 2;
	hook_fails = 1;
	EXPECT_EQ(ahci_start(&filter, &options), -ENOSPC);
}

CHILD_TEST(machine, one_that_cannot_be_trapped)
{
	hbas = 2;
	hook_fails = 3;
	EXPECT_EQ(ahci_start(&filter, &options), -ENOMEM);
}

CHILD_TEST(machine, as_many_as_are_kept)
{
	hbas = 4;
	start();
	EXPECT_EQ(attached, 4);
}

static void memory_left(u32 pages)
{
	hpa_t pa;

	EXPECT(dma_alloc(2048, &pa));
	for (u32 n = 512; n >= pages; n /= 2) /* of 1,024 */
		EXPECT(dma_alloc(n, &pa));
}

CHILD_TEST(machine, no_memory)
{
	hpa_t pa;

	memory_left(1);
	EXPECT(dma_alloc(1, &pa));
	EXPECT_EQ(ahci_start(&filter, &options), -ENOMEM);
}

CHILD_TEST(machine, memory_for_one_port_only)
{
	expected = -1;
	memory_left(16); /* enough for the second, which has no volume */
	EXPECT_EQ(ahci_start(&filter, &options), -ENOMEM);
	EXPECT(!claimed);
}

/* A buffer is as large as it was asked for. */
CHILD_TEST(machine, memory_for_a_buffer)
{
	hpa_t pa;

	start();
	EXPECT(dma_alloc(1, &pa));
	EXPECT(pa < MODEL_RAM + 0x100000);
}

CHILD_TEST(machine, not_set_up_by_firmware)
{
	store_le32(config + 0x24, 0);
	start();
	EXPECT(concealed && !claimed);
}

CHILD_TEST(machine, not_set_up_nor_expected)
{
	store_le32(config + 0x24, 0);
	expected = 40; /* nowhere */
	start();
	EXPECT(!concealed && !claimed);
}

static void read_port_and_hba(void)
{
	in(0x124, 4);
	in(0x04, 4);
}

CHILD_TEST(machine, held_while_registers_are_off)
{
	start();
	held_try(claimed, &model.off, read_port_and_hba);
	EXPECT_EQ(model.lost, 0);
}

TEST_MAIN(CASE(no_volume_expected), CASE(mediates_where_one_is),
	  CASE(a_port_without_a_volume), CASE(accesses_of_any_width),
	  CASE(registers_of_the_hba), CASE(commands_and_a_reset),
	  CASE(a_part_of_a_register), CASE(narrow_addresses),
	  CASE(firmware_that_left_it_off), CASE(side_doors),
	  CASE(ports_stay_with_their_function),
	  CASE(reads_of_configuration_space), CASE(no_capabilities),
	  CASE(capabilities_in_a_ring), CASE(registers_that_move),
	  CASE(more_than_are_kept), CASE(one_that_cannot_be_claimed),
	  CASE(one_that_cannot_be_hooked), CASE(as_many_as_are_kept),
	  CASE(all_ports_that_are_expected), CASE(a_queue_in_the_hba),
	  CASE(no_queue_in_the_hba), CASE(one_that_cannot_be_trapped),
	  CASE(no_memory), CASE(memory_for_one_port_only),
	  CASE(memory_for_a_buffer), CASE(not_set_up_by_firmware),
	  CASE(not_set_up_nor_expected), CASE(held_while_registers_are_off))

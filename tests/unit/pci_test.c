/*
 * PCI configuration space: scan, claims, BARs, concealment, both ways in.
 * units: core/io/pci.c core/io/pci_bar.c core/io/pci_cap.c core/io/pci_bridge.c core/io/port.c core/io/mmio.c
 * libs: -lpthread
 *
 * The machine is one for all tests: q35-like, with an IDE function at 0:1.1,
 * a NIC with I/O, 32- and 64-bit BARs at 0:3.0, a function to be concealed at
 * 0:5.0, a plain one at 0:6.0 and a bridge at 0:1c.0 to bus 1 with one device.
 */
#include <pthread.h>

#include "core/io/pci.h"
#include "core/lib/errors.h"
#include "tests/unit/child.h"
#include "tests/unit/fake_pci.h"

static struct fake_fn *host, *ide, *nic, *hidden, *plain, *bridge, *behind;

static struct event {
	unsigned int n;
	struct pci_bar bar;
	bool decoded; /* the hardware decoded the BAR at that moment */
} events[16];
static unsigned int event_count;
static int place_error;	 /* what the driver says of a BAR's place */
static int refused = -1; /* the one BAR that it says so of */
static bool told[6];	 /* the driver knows the BAR to be decoded */
static unsigned int holds;
static bool held;
static u8 held_command[2]; /* of the hardware, at its end and at its begin */

static struct pci_claim ide_claim;
static struct pci_claim nic_claim;
static enum verdict config_verdict;
static struct pci_io config_io;

static int bar_changed(void *ctx, unsigned int n)
{
	struct pci_claim *c = ctx;
	struct fake_fn *f = fake_find(c->addr.bus, c->addr.dev, c->addr.fn);
	struct event *e = &events[event_count++ % 16];

	EXPECT(held);
	e->n = n;
	e->bar = c->bars[n];
	e->decoded = f->config[4] & (c->bars[n].io ? 1 : 2);
	told[n] = c->bars[n].enabled && refused != (int)n;
	return c->bars[n].enabled && refused == (int)n ? -EEXIST : place_error;
}

static void hold(void *ctx, bool on)
{
	struct pci_claim *c = ctx;

	EXPECT_EQ(held, !on);
	held = on;
	holds += on;
	held_command[on] =
		fake_find(c->addr.bus, c->addr.dev, c->addr.fn)->config[4];
}

static enum verdict config(void *ctx, struct pci_io *io)
{
	EXPECT_EQ(held, io->write);
	config_io = *io;
	if (config_verdict == DONE && !io->write)
		io->value = 0x12345678;
	return config_verdict;
}

static void make_machine(void)
{
	host = fake_add(0, 0, 0, 0x29c08086, 0x060000, 0);
	ide = fake_add(0, 1, 1, 0x70108086, 0x010180, 0x80);
	fake_add(0, 1, 0, 0x70008086, 0x060100, 0x80);
	nic = fake_add(0, 3, 0, 0x100e8086, 0x020000, 0);
	hidden = fake_add(0, 5, 0, 0x11111af4, 0x088000, 0);
	plain = fake_add(0, 6, 0, 0x22221af4, 0x088000, 0);
	bridge = fake_add(0, 0x1c, 0, 0x244e8086, 0x060400, 0x81);
	behind = fake_add(1, 2, 0, 0x33331af4, 0x010000, 0);
	bridge->config[0x19] = 1;
	bridge->config[0x1a] = 1;

	ide->config[4] = 5; /* I/O and bus master */
	ide->bar_mask[4] = 0xfff0;
	store_le32(ide->config + 0x20, 0xc041);

	nic->config[4] = 7;
	nic->config[6] = 0x10;
	nic->config[0x34] = 0xdc;
	nic->config[0xdc] = 1; /* power management */
	nic->config[0xdd] = 0xe4;
	nic->config[0xe4] = 0x10; /* PCI Express */
	nic->config[0xe5] = 0xf0;
	nic->config[0xf0] = 0x13; /* advanced features */
	nic->bar_mask[0] = 0xfffe0000;
	store_le32(nic->config + 0x10, 0xfeb80000);
	nic->bar_mask[1] = 0xffffffc0;
	store_le32(nic->config + 0x14, 0xc001);
	nic->bar_mask[2] = 0xffffc000;
	nic->bar_mask[3] = 0xffffffff;
	store_le32(nic->config + 0x18, 0xfebf000c);
	store_le32(nic->config + 0x1c, 0x00000001);
}

static u32 order[16];
static unsigned int order_count;

static void found(void *ctx, struct pci_addr a, const struct pci_id *id)
{
	EXPECT_EQ(a.segment, 0);
	order[order_count++] = (u32)a.bus << 16 | (u32)a.dev << 8 | a.fn;
	if (a.dev == 1 && a.fn == 1) {
		EXPECT_EQ(id->vendor, 0x8086);
		EXPECT_EQ(id->device, 0x7010);
		EXPECT_EQ(id->class, 0x010180);
	}
}

TEST(scan_in_order)
{
	static const u32 want[] = { 0,	   0x100, 0x101,  0x300,
				    0x500, 0x600, 0x1c00, 0x10200 };

	make_machine();
	pci_scan(found, NULL);
	EXPECT_EQ(order_count, 8);
	EXPECT(!memcmp(order, want, sizeof(want)));
	EXPECT_EQ(port_bitmap()[0xcf8 / 8], 0); /* nothing hooked yet */
}

static void as_made(void)
{
}

/* A window that firmware tells of in no table is not switched on either. */
CHILD_TEST(as_made, no_window_of_the_guest)
{
	EXPECT_EQ(pci_conceal((struct pci_addr){ 0, 0, 5, 0 }), 0);
	guest_write(0, 0, 0x60, 4, 0xe0000001);
	EXPECT_EQ(load_le32(host->config + 0x60), 0);
}

/* Bridges to the last two buses, the last device of the last one; a function 7;
 * one function that answers to all numbers; a device that is no bridge, with
 * a 7 where bridges have their bus; and a bus that no bridge leads to. */
static void as_large_as_can_be(void)
{
	plain->dev = 1;
	plain->fn = 7;
	plain->config[0x19] = 7;
	nic->echoes = true;
	store_le16(hidden->config, 0); /* not a vendor */
	bridge->config[0x19] = bridge->config[0x1a] = 0xff;
	behind->bus = 0xff;
	behind->dev = 31;
	fake_add(0, 0x1d, 0, 0x24508086, 0x060400, 1)->config[0x19] = 0xfe;
	fake_add(0xfe, 2, 0, 0x33331af4, 0x010000, 0);
	fake_add(7, 0, 0, 0x44441af4, 0x088000, 0);
}

CHILD_TEST(as_large_as_can_be, scan_of_all_buses)
{
	static const u32 want[] = { 0,	    0x100,  0x101,    0x107,   0x300,
				    0x1c00, 0x1d00, 0xfe0200, 0xff1f00 };

	order_count = 0;
	pci_scan(found, NULL);
	EXPECT_EQ(order_count, 9);
	EXPECT(!memcmp(order, want, sizeof(want)));
}

static void as_with_a_window(void)
{
	fake_ecam = 0xb0000000;
	mmio_set_trap_fn(fake_trap);
	pci_set_ecam(fake_ecam, 0, 255);
}

/* Who cannot watch one of two bridges does not say that it is done. */
CHILD_TEST(as_with_a_window, bridges_that_cannot_be_watched)
{
	struct fake_fn *other = fake_add(0, 0x1d, 0, 0x24508086, 0x060400, 1);

	other->config[0x19] = other->config[0x1a] = 1;
	EXPECT_EQ(pci_guard((struct pci_addr){ 0, 1, 2, 0 }, 0x40, 4), 0);
	EXPECT_EQ(pci_guard((struct pci_addr){ 0, 0, 0x1d, 0 }, 0x40, 4), 0);
	EXPECT_EQ(pci_guard((struct pci_addr){ 0, 0, 0, 0 }, 0x40, 4), 0);
	fake_trap_error = -ENOMEM;
	EXPECT_EQ(pci_conceal((struct pci_addr){ 0, 1, 2, 0 }), -ENOMEM);
}

/* What is done to one function is not done to those beside it. */
CHILD_TEST(as_with_a_window, neighbours_stay)
{
	struct pci_claim claim = { .addr = { 0, 0, 1, 1 } };
	u64 page = 0xb0000000 + (6 << 15);

	EXPECT_EQ(pci_guard((struct pci_addr){ 0, 0, 1, 0 }, 0x40, 4), 0);
	EXPECT_EQ(guest_read(1, 1, 0, 4), 0x70108086);
	ide->config[0x0e] = 0; /* only function 0's says that there are more */
	EXPECT_EQ(pci_claim(&claim), 0);
	EXPECT_EQ(guest_read(1, 0, 0, 4), 0x70008086);
	EXPECT_EQ(guest_read(1, 1, 0, 4), 0x70108086);
	EXPECT_EQ(pci_guard((struct pci_addr){ 0, 0, 6, 0 }, 0x40, 4), 0);
	EXPECT(mmio_hooked(page) && !mmio_hooked(page + (1 << 12)));
}

static void as_of_amd(void)
{
	store_le16(host->config, 0x1022);
}

/* There these registers are something else. */
CHILD_TEST(as_of_amd, other_bridges_have_no_window)
{
	EXPECT_EQ(pci_conceal((struct pci_addr){ 0, 0, 5, 0 }), 0);
	guest_write(0, 0, 0x60, 4, 0xe0000001);
	EXPECT_EQ(load_le32(host->config + 0x60), 0xe0000001);
}

CHILD_TEST(as_made, a_guard_alone)
{
	guest_out(0xcf8, 4, guest_cf8(0, 6, 0, 0));
	EXPECT_EQ(pci_guard((struct pci_addr){ 0, 0, 6, 0 }, 0x40, 4), 0);
	EXPECT_EQ(guest_in(0xcfc, 4), 0x22221af4);
	guest_write(6, 0, 0x40, 4, 0x1111);
	EXPECT_EQ(load_le32(plain->config + 0x40), 0);
}

CHILD_TEST(as_made, one_function_by_any_number)
{
	struct pci_claim claim = { .addr = { 0, 0, 3, 0 } };
	u64 page = 0xb0000000 + (3 << 15) + (7 << 12);

	fake_ecam = 0xb0000000;
	mmio_set_trap_fn(fake_trap);
	pci_set_ecam(fake_ecam, 0, 255);
	nic->echoes = true;
	EXPECT_EQ(guest_read(3, 5, 0, 4), 0x100e8086);
	EXPECT_EQ(pci_claim(&claim), 0);
	EXPECT_EQ(guest_read(3, 0, 0, 4), 0x100e8086);
	EXPECT_EQ(guest_read(3, 5, 0, 4), 0xffffffff);
	guest_write(3, 1, 0x14, 4, 0xd000);
	EXPECT_EQ(load_le32(nic->config + 0x14), 0xc001);
	EXPECT(mmio_hooked(page));
	EXPECT(!mmio_hooked(page + (1 << 12)));
}

static struct pci_claim far_claim = { .addr = { 0, 1, 2, 0 } };

static void claim_behind(u32 window)
{
	behind->config[4] = 7;
	behind->bar_mask[0] = 0xfff0;
	store_le32(behind->config + 0x10, 0xd001);
	behind->bar_mask[5] = 0xfffff000;
	store_le32(behind->config + 0x24, 0xfe100000);
	bridge->config[4] = 7;
	bridge->config[6] = 0x10;
	bridge->config[0x34] = 0x40;
	bridge->config[0x40] = 1; /* power management */
	store_le32(bridge->config + 0x1c, 0xd1d1);
	store_le32(bridge->config + 0x20, window);
	store_le32(bridge->config + 0x24, 0x0001fff1);
	EXPECT_EQ(pci_claim(&far_claim), 0);
}

static void as_behind_a_bridge(void)
{
	claim_behind(0xfe10fe10);
}

static void as_behind_no_window(void)
{
	claim_behind(0x0000fff0);
}

/* What the guest writes to the bridge, and whether it is lost. */
static bool bridge_lost(u16 reg, u8 size, u32 value)
{
	u8 before[4];

	memcpy(before, bridge->config + reg, 4);
	guest_write(0x1c, 0, reg, size, value);
	return !memcmp(before, bridge->config + reg, 4);
}

static void far_write(u16 reg, u8 size, u32 value)
{
	guest_out(0xcf8, 4, guest_cf8(1, 2, 0, reg));
	guest_out(0xcfc, size, value);
}

CHILD_TEST(as_behind_a_bridge, a_bridge_does_not_cut_off)
{
	EXPECT(bridge_lost(4, 2, 5));
	EXPECT(bridge_lost(4, 1, 6));
	EXPECT(!bridge_lost(4, 2, 3));
	/* ports */
	EXPECT(bridge_lost(0x1c, 2, 0xe1e1));
	EXPECT(bridge_lost(0x1c, 1, 0xe1));
	EXPECT(bridge_lost(0x1d, 1, 0xc1));
	EXPECT(bridge_lost(0x30, 4, 0x00010001));
	EXPECT(!bridge_lost(0x1c, 2, 0xf1c1));
	EXPECT(!bridge_lost(0x30, 4, 0x00010000));
	EXPECT(!bridge_lost(0x1c, 2, 0xd0d0)); /* 16 bits */
	/* memory */
	EXPECT(bridge_lost(0x20, 4, 0xfe20fe20));
	EXPECT(bridge_lost(0x22, 2, 0xfe00));
	EXPECT(!bridge_lost(0x20, 4, 0xfe20fe00));
	/* where memory may be prefetched */
	EXPECT(!bridge_lost(0x24, 4, 0xfe11fe11));
	EXPECT(!bridge_lost(0x20, 4, 0x0000fff0));
	EXPECT(bridge_lost(0x28, 4, 1));
	EXPECT(!bridge_lost(0x2c, 4, 1));
	EXPECT(bridge_lost(0x24, 4, 0x0001fff1));
	/* the first 256 of 1,024 ports */
	EXPECT(!bridge_lost(0x3e, 2, 4));
	EXPECT(!bridge_lost(0x3e, 2, 0));
	far_write(0x10, 4, 0xd101);
	EXPECT(bridge_lost(0x3e, 2, 4));
	EXPECT(!bridge_lost(0x3e, 2, 8));
	EXPECT(bridge_lost(0x44, 2, 3));
	EXPECT(!bridge_lost(0x44, 2, 0x100));
	EXPECT(!bridge_lost(0x48, 4, 3));
	/* what is not decoded, or is behind no window already */
	far_write(4, 2, 5);
	EXPECT(!bridge_lost(0x24, 4, 0x0001fff1));
	EXPECT(bridge_lost(4, 1, 2));
	far_write(0x10, 4, 0xe001);
	EXPECT(!bridge_lost(4, 1, 2));
	EXPECT(!bridge_lost(0x44, 2, 3));
}

/* Nor is one in the way of what is switched on: off, the windows may move. */
CHILD_TEST(as_behind_a_bridge, what_no_bridge_passes_stays_off)
{
	far_write(4, 2, 5);
	EXPECT(!bridge_lost(0x20, 4, 0x0000fff0));
	far_write(4, 2, 7);
	EXPECT_EQ(behind->config[4], 5);
	EXPECT(far_claim.bars[0].enabled && !far_claim.bars[5].enabled);
	EXPECT(!bridge_lost(0x20, 4, 0xfe10fe10));
	far_write(4, 2, 7);
	EXPECT_EQ(behind->config[4], 7);
	EXPECT(far_claim.bars[5].enabled);
	EXPECT(bridge_lost(0x20, 4, 0x0000fff0));
	far_write(0x24, 4, 0xfe200000);
	EXPECT_EQ(load_le32(behind->config + 0x24), 0xfe200000);
	EXPECT_EQ(behind->config[4], 5);
	EXPECT(!far_claim.bars[5].enabled);
	far_write(0x10, 4, 0xe001);
	EXPECT_EQ(behind->config[4], 4);
	EXPECT(!bridge_lost(0x44, 2, 3));
	far_write(0x10, 4, 0xd001);
	far_write(4, 2, 5);
	EXPECT_EQ(behind->config[4], 4); /* it sleeps */
}

/* Some bridges let through, too, what nobody else answers to. */
CHILD_TEST(as_behind_no_window, what_firmware_had_behind_no_window_goes_on)
{
	far_write(4, 2, 0);
	far_write(4, 2, 7);
	EXPECT_EQ(behind->config[4], 7);
	EXPECT(far_claim.bars[5].enabled);
	far_write(0x10, 4, 0xe001);
	EXPECT_EQ(behind->config[4], 6);
}

/* Switched off or not, it would come back as nobody has set it up. */
CHILD_TEST(as_behind_a_bridge, a_bridge_does_not_reset)
{
	bridge->config[0x41] = 0x50;
	bridge->config[0x50] = 0x10;
	far_write(4, 2, 0);
	EXPECT(bridge_lost(0x3e, 2, 0x40));
	EXPECT(bridge_lost(0x3c, 4, 0x00400000));
	EXPECT(!bridge_lost(0x3e, 2, 0x80));
	EXPECT(!bridge_lost(0x3c, 1, 0x40));
	EXPECT(bridge_lost(0x60, 2, 0x10));
	EXPECT(!bridge_lost(0x60, 2, 0x20));
	EXPECT(!bridge_lost(0x62, 2, 0x10));
}

/* Whatever else there is behind it, and a bridge to elsewhere. */
CHILD_TEST(as_behind_a_bridge, other_bridges_open_and_close)
{
	struct fake_fn *other = fake_add(0, 0x1d, 0, 0x24508086, 0x060400, 1);

	other->config[4] = 7;
	other->config[0x19] = other->config[0x1a] = 2;
	store_le32(other->config + 0x20, 0xfe10fe10);
	EXPECT_EQ(pci_guard((struct pci_addr){ 0, 0, 0x1d, 0 }, 0x40, 4), 0);
	guest_write(0x1d, 0, 4, 2, 0);
	EXPECT_EQ(other->config[4], 0);
	EXPECT_EQ(pci_conceal((struct pci_addr){ 0, 1, 3, 0 }), -ENODEV);
	guest_write(0x1d, 0, 0x20, 4, 0);
	EXPECT_EQ(load_le32(other->config + 0x20), 0);
}

TEST(claim_sizes_the_bars)
{
	struct pci_claim none = { .addr = { 0, 0, 9, 0 } };

	fake_ecam = 0xb0000000;
	mmio_set_trap_fn(fake_trap);
	pci_set_ecam(fake_ecam, 0, 255);

	EXPECT_EQ(pci_claim(&none), -ENODEV);
	ide_claim = (struct pci_claim){ .addr = { 0, 0, 1, 1 },
					.bar_changed = bar_changed,
					.ctx = &ide_claim };
	nic_claim = (struct pci_claim){ .addr = { 0, 0, 3, 0 },
					.config = config,
					.bar_changed = bar_changed,
					.hold = hold,
					.ctx = &nic_claim };
	EXPECT_EQ(pci_claim(&ide_claim), 0);
	EXPECT_EQ(pci_claim(&ide_claim), -EEXIST);
	EXPECT_EQ(pci_claim(&nic_claim), 0);
	EXPECT_EQ(port_bitmap()[0xcf8 / 8], 0xff);
	EXPECT_EQ(port_bitmap()[0xd00 / 8], 0);
	guest_out(0xcf8, 4, 0x80001234);
	EXPECT_EQ(pci_config_read(ide_claim.addr, 0, 2), 0x8086);
	EXPECT_EQ(fake_cf8, 0x80001234); /* as the guest left it */

	EXPECT_EQ(ide_claim.id.device, 0x7010);
	EXPECT_EQ(ide_claim.bars[0].size, 0);
	EXPECT(ide_claim.bars[4].io && ide_claim.bars[4].enabled);
	EXPECT_EQ(ide_claim.bars[4].base, 0xc040);
	EXPECT_EQ(ide_claim.bars[4].size, 16);
	EXPECT_EQ(load_le32(ide->config + 0x20), 0xc041);
	EXPECT_EQ(ide->config[4], 5);

	EXPECT_EQ(nic_claim.bars[0].base, 0xfeb80000);
	EXPECT_EQ(nic_claim.bars[0].size, 0x20000);
	EXPECT(!nic_claim.bars[0].io && nic_claim.bars[0].enabled);
	EXPECT_EQ(nic_claim.bars[1].size, 0x40);
	EXPECT(nic_claim.bars[1].io);
	EXPECT_EQ(nic_claim.bars[2].base, 0x1febf0000);
	EXPECT_EQ(nic_claim.bars[2].size, 0x4000);
	EXPECT_EQ(nic_claim.bars[3].size, 0);
	EXPECT_EQ(nic->config[6], 0x10); /* status untouched */
	EXPECT_EQ(event_count, 0);
	EXPECT_EQ(fake_hazards, 0);
}

TEST(unclaimed_passes)
{
	EXPECT_EQ(guest_read(6, 0, 0, 4), 0x22221af4);
	EXPECT_EQ(guest_in(0xcf8, 4), 0x80003000);
	guest_write(6, 0, 0x42, 1, 0x77);
	EXPECT_EQ(plain->config[0x42], 0x77);
	EXPECT_EQ(guest_read(7, 0, 0, 4), 0xffffffff);
	/* without the enable bit CFC is a port like any other */
	guest_out(0xcf8, 4, 0x00000908);
	guest_out(0xcfc, 1, 0x5c);
	EXPECT_EQ(fake_ports[0xcfc], 0x5c);
	EXPECT_EQ(guest_in(0xcfc, 1), 0x5c);
	/* and so is a part of CF8 */
	guest_out(0xcf9, 1, 0x02);
	EXPECT_EQ(fake_ports[0xcf9], 0x02);
	guest_out(0xcf8, 2, 0x1234);
	EXPECT_EQ(load_le16(fake_ports + 0xcf8), 0x1234);
	EXPECT_EQ(fake_cf8, 0x908);
}

TEST(sizing_does_not_move)
{
	event_count = 0;
	guest_write(1, 1, 0x20, 4, 0xffffffff);
	EXPECT_EQ(guest_read(1, 1, 0x20, 4), 0xfff1);
	EXPECT_EQ(guest_read(1, 1, 0x21, 1), 0xff);
	EXPECT_EQ(load_le32(ide->config + 0x20), 0xc041);
	guest_write(1, 1, 0x20, 4, 0xc041);
	EXPECT_EQ(guest_read(1, 1, 0x20, 4), 0xc041);
	EXPECT_EQ(event_count, 1); /* told again, at the same place */
	EXPECT_EQ(events[0].bar.base, 0xc040);

	guest_write(3, 0, 0x1c, 4, 0xffffffff);
	EXPECT_EQ(guest_read(3, 0, 0x1c, 4), 0xffffffff);
	EXPECT_EQ(load_le32(nic->config + 0x1c), 1);
	EXPECT_EQ(guest_read(3, 0, 0x10, 4), 0xfeb80000);
	guest_write(3, 0, 0x1c, 4, 1);
	EXPECT_EQ(nic_claim.bars[2].base, 0x1febf0000);
	EXPECT_EQ(guest_read(1, 1, 0x10, 4), 0); /* not implemented */
	guest_write(1, 1, 0x10, 4, 0xffffffff);
	EXPECT_EQ(guest_read(1, 1, 0x10, 4), 0);
	EXPECT_EQ(guest_read(1, 1, 0x28, 4), 0); /* behind the last */
	/* nor is any other register the command */
	event_count = 0;
	guest_write(1, 1, 0x40, 4, 0);
	EXPECT_EQ(event_count, 0);
}

TEST(sizing_of_many_at_once)
{
	event_count = 0;
	for (u16 reg = 0x10; reg < 0x20; reg += 4)
		guest_write(3, 0, reg, 4, 0xffffffff);
	EXPECT_EQ(guest_read(3, 0, 0x10, 4), 0xfffe0000);
	EXPECT_EQ(guest_read(3, 0, 0x12, 2), 0xfffe);
	EXPECT_EQ(guest_read(3, 0, 0x14, 4), 0xffffffc1);
	EXPECT_EQ(guest_read(3, 0, 0x18, 4), 0xffffc00c);
	EXPECT_EQ(guest_read(3, 0, 0x1c, 4), 0xffffffff);
	guest_write(3, 0, 0x14, 4, 0xc000);
	guest_write(3, 0, 0x15, 1, 0xc1);
	EXPECT_EQ(guest_read(3, 0, 0x14, 4), 0xc101);
	EXPECT_EQ(guest_read(3, 0, 0x10, 4), 0xfffe0000);
	EXPECT_EQ(guest_read(3, 0, 0x18, 4), 0xffffc00c);
	EXPECT_EQ(event_count, 2);
	EXPECT_EQ(load_le32(nic->config + 0x10), 0xfeb80000);
	EXPECT_EQ(load_le32(nic->config + 0x18), 0xfebf000c);
	guest_write(3, 0, 0x10, 4, 0xfeb80000);
	guest_write(3, 0, 0x14, 4, 0xc000);
	guest_write(3, 0, 0x18, 4, 0xfebf0000);
	guest_write(3, 0, 0x1c, 4, 1);
	EXPECT_EQ(nic_claim.bars[2].base, 0x1febf0000);
}

TEST(moving_while_enabled)
{
	event_count = 0;
	guest_write(1, 1, 0x20, 4, 0xd000);
	EXPECT_EQ(event_count, 1);
	EXPECT_EQ(events[0].n, 4);
	EXPECT_EQ(events[0].bar.base, 0xd000);
	EXPECT(events[0].bar.enabled);
	EXPECT(!events[0].decoded);
	EXPECT_EQ(load_le32(ide->config + 0x20), 0xd001);
	EXPECT_EQ(ide->config[4], 5);

	/* half a register */
	guest_write(1, 1, 0x21, 1, 0xe1);
	EXPECT_EQ(events[1].bar.base, 0xe100);
	EXPECT_EQ(load_le32(ide->config + 0x20), 0xe101);
	guest_write(1, 1, 0x20, 1, 0x40);
	guest_write(1, 1, 0x21, 1, 0xd2);
	EXPECT_EQ(load_le32(ide->config + 0x20), 0xd241);
	guest_write(1, 1, 0x20, 4, 0xffffffff);
	EXPECT_EQ(guest_read(1, 1, 0x20, 4), 0xfff1);
	guest_write(1, 1, 0x20, 4, 0xe100);

	event_count = 0;
	guest_write(3, 0, 0x10, 4, 0xfeb60000);
	EXPECT_EQ(event_count, 1);
	EXPECT_EQ(events[0].n, 0);
	EXPECT_EQ(events[0].bar.base, 0xfeb60000);

	/* the upper half of a 64-bit BAR */
	event_count = 0;
	guest_write(3, 0, 0x1c, 4, 2);
	EXPECT_EQ(event_count, 1);
	EXPECT_EQ(events[0].n, 2);
	EXPECT_EQ(events[0].bar.base, 0x2febf0000);
	EXPECT(!events[0].decoded);
	EXPECT_EQ(nic->config[4], 7);
	EXPECT_EQ(fake_hazards, 0);
}

TEST(enable_bits)
{
	event_count = 0;
	guest_write(3, 0, 4, 2, 7); /* as it is */
	EXPECT_EQ(event_count, 0);
	guest_write(3, 0, 4, 2, 6);
	EXPECT_EQ(event_count, 1);
	EXPECT_EQ(events[0].n, 1);
	guest_write(3, 0, 4, 2, 7);
	event_count = 0;
	guest_write(3, 0, 4, 2, 4);
	EXPECT_EQ(event_count, 3);
	for (int i = 0; i < 3; i++) {
		EXPECT(!events[i].bar.enabled);
		EXPECT(!events[i].decoded);
	}
	EXPECT_EQ(nic->config[4], 4);

	/* moved while off: told when switched on, before it decodes */
	event_count = 0;
	guest_write(3, 0, 0x14, 4, 0xc200);
	EXPECT_EQ(event_count, 0);
	guest_write(3, 0, 4, 4, 0x00000005);
	EXPECT_EQ(event_count, 1);
	EXPECT_EQ(events[0].n, 1);
	EXPECT_EQ(events[0].bar.base, 0xc200);
	EXPECT(events[0].bar.enabled);
	EXPECT(!events[0].decoded);
	EXPECT_EQ(nic->config[4], 5);
	EXPECT_EQ(nic->config[6], 0x10);

	/* status bits are still cleared by the guest's own ones */
	guest_write(3, 0, 6, 2, 0x0010);
	EXPECT_EQ(nic->config[6], 0);

	/* a reset behind our back */
	memset(nic->config + 0x14, 0, 4);
	nic->config[0x14] = 1;
	nic->config[4] = 0;
	event_count = 0;
	guest_write(3, 0, 4, 1, 1);
	EXPECT_EQ(event_count, 1);
	EXPECT_EQ(events[0].bar.base, 0);
	guest_write(3, 0, 0x14, 4, 0xc000);
	EXPECT_EQ(events[1].bar.base, 0xc000);
	memset(nic->config + 0x10, 0, 4);
	event_count = 0;
	guest_write(3, 0, 4, 1, 3);
	EXPECT_EQ(event_count, 2);
	EXPECT(events[0].n == 0 && events[0].bar.base == 0);
}

/* Whatever the register: the chipset may have another that switches decoding. */
TEST(held_while_written)
{
	guest_write(3, 0, 4, 2, 5);
	holds = 0;
	guest_write(3, 0, 4, 2, 7);
	EXPECT_EQ(holds, 1);
	EXPECT(held_command[true] == 5 && held_command[false] == 7);
	guest_write(3, 0, 0x40, 4, 0);
	EXPECT_EQ(holds, 2);
	guest_write(3, 0, 0x10, 4, 0xfeb80000);
	EXPECT_EQ(holds, 3);
	guest_write(1, 1, 0x40, 4, 0); /* another's, at the same hub */
	EXPECT_EQ(holds, 4);
	guest_read(3, 0, 4, 4);
	EXPECT_EQ(holds, 4);
	EXPECT(!held);
}

/* A place that the driver cannot watch is not decoded. */
TEST(place_refused)
{
	guest_write(1, 1, 4, 2, 5);
	place_error = -ENOMEM;
	guest_write(1, 1, 0x20, 4, 0xd200);
	EXPECT_EQ(load_le32(ide->config + 0x20), 0xd201);
	EXPECT_EQ(ide->config[4], 4);
	guest_write(1, 1, 4, 2, 5);
	EXPECT_EQ(ide->config[4], 4);
	guest_write(1, 1, 4, 4, 7);
	EXPECT_EQ(ide->config[4] & 1, 0);
	guest_write(3, 0, 4, 2, 0);
	guest_write(3, 0, 4, 2, 7);
	EXPECT_EQ(nic->config[4], 4); /* neither ports nor memory */
	place_error = 0;
	guest_write(3, 0, 4, 2, 1);
	guest_write(1, 1, 4, 2, 5);
	EXPECT_EQ(ide->config[4], 5);
	EXPECT_EQ(events[(event_count - 1) % 16].bar.base, 0xd200);
}

/* The others of its kind are not decoded either, and the driver knows. */
TEST(one_place_refused)
{
	guest_write(3, 0, 4, 2, 0);
	refused = 2;
	guest_write(3, 0, 4, 2, 7);
	EXPECT_EQ(nic->config[4], 5);
	EXPECT(!told[0] && told[1] && !told[2]);
	refused = -1;
	guest_write(3, 0, 4, 2, 7);
	EXPECT_EQ(nic->config[4], 7);
	EXPECT(told[0] && told[1] && told[2]);
	refused = 0;
	guest_write(3, 0, 0x10, 4, 0xfeb40000);
	EXPECT_EQ(nic->config[4], 5);
	EXPECT(!told[0] && told[1] && !told[2]);
	refused = -1;
	guest_write(3, 0, 0x10, 4, 0xfeb80000);
	EXPECT(!told[0]);
	guest_write(3, 0, 4, 2, 7);
	EXPECT(told[0] && told[1] && told[2]);
}

/* In D3 it would decode nothing, and in a state that it has not it would go on,
 * whatever is written. */
TEST(stays_awake)
{
	guest_write(3, 0, 4, 2, 7);
	event_count = 0;
	for (u32 state = 0; state < 4; state++) {
		guest_write(3, 0, 0xe0, 2, 0x0100 | state);
		EXPECT_EQ(load_le16(nic->config + 0xe0), 0x0100);
		guest_write(3, 0, 0xe0, 1, 4 | state);
		EXPECT_EQ(load_le16(nic->config + 0xe0), 0x0104);
		guest_write(3, 0, 0xe0, 4, state << 24 | state);
		EXPECT_EQ(load_le32(nic->config + 0xe0), state << 24);
	}
	guest_write(3, 0, 0xe1, 1, 3);
	EXPECT_EQ(nic->config[0xe1], 3);
	guest_write(3, 0, 0xe4, 4, 3);
	EXPECT_EQ(nic->config[0xe4], 3);
	EXPECT_EQ(event_count, 0);
	EXPECT(told[0] && told[1] && told[2]);
}

/* PCIe 3.0, 6.6.2: by a reset of its own it would cease to decode, unseen. */
TEST(is_not_reset)
{
	guest_write(3, 0, 0xec, 2, 0x8001);
	EXPECT_EQ(load_le16(nic->config + 0xec), 0x0001);
	guest_write(3, 0, 0xed, 1, 0x81);
	EXPECT_EQ(load_le16(nic->config + 0xec), 0x0101);
	guest_write(3, 0, 0xec, 4, 0x8000ffff);
	EXPECT_EQ(load_le32(nic->config + 0xec), 0x80007fff);
	guest_write(3, 0, 0xf4, 1, 3);
	EXPECT_EQ(nic->config[0xf4], 2);
	guest_write(3, 0, 0xf4, 4, 0x0101);
	EXPECT_EQ(load_le32(nic->config + 0xf4), 0x0100);
}

TEST(driver_decides)
{
	config_verdict = DENY;
	EXPECT_EQ(guest_read(3, 0, 0, 4), 0xffffffff);
	EXPECT_EQ(guest_read(3, 0, 1, 1), 0xff);
	guest_write(3, 0, 0x40, 4, 1);
	EXPECT_EQ(load_le32(nic->config + 0x40), 0);
	EXPECT(config_io.write && config_io.value == 1 &&
	       config_io.reg == 0x40);
	config_verdict = DONE;
	EXPECT_EQ(guest_read(3, 0, 0x40, 4), 0x12345678);
	config_verdict = PASS;
	guest_write(3, 0, 0x40, 4, 0xa1b2c3d4);
	EXPECT_EQ(load_le32(nic->config + 0x40), 0xa1b2c3d4);
}

TEST(odd_accesses)
{
	u8 data[8] = { 0 };
	struct port_io twice = { 0xcfc, 4, false, 2, data };

	/* a word at an odd register: two bytes to the driver */
	guest_out(0xcf8, 4, guest_cf8(0, 3, 0, 0x40));
	EXPECT_EQ(guest_in(0xcfd, 2), 0xb2c3);
	EXPECT_EQ(config_io.size, 1);
	guest_out(0xcfd, 2, 0xc3b2);
	EXPECT_EQ(config_io.value, 0xc3);
	EXPECT_EQ(load_le32(nic->config + 0x40), 0xa1c3b2d4);
	guest_out(0xcfd, 2, 0xb2c3);
	config_verdict = DONE;
	EXPECT_EQ(guest_in(0xcfd, 2), 0x7878);
	config_verdict = PASS;
	/* REP INSD and OUTSD */
	port_access(&twice);
	EXPECT(load_le32(data) == 0xa1b2c3d4 && !memcmp(data, data + 4, 4));
	twice.write = true;
	data[4] = 0xd5;
	port_access(&twice);
	EXPECT_EQ(nic->config[0x40], 0xd5);
	nic->config[0x40] = 0xd4;
	/* past CFF there is nothing */
	EXPECT_EQ(guest_in(0xcff, 2), 0xffa1);
	EXPECT_EQ(guest_in(0xcfe, 4), 0xffffa1b2);
	/* a dword at CF9 reaches into CFC: no way round the policy */
	guest_out(0xcf8, 4, guest_cf8(0, 5, 0, 0x40));
	EXPECT_EQ(pci_conceal(ide_claim.addr), 0);
	guest_out(0xcf8, 4, guest_cf8(0, 1, 1, 0x40));
	guest_out(0xcf9, 4, 0x99000000);
	EXPECT_EQ(ide->config[0x40], 0);
	guest_out(0xcf8, 4, guest_cf8(0, 3, 0, 0x40));
	guest_out(0xcf9, 4, 0x5e332211);
	EXPECT(!memcmp(fake_ports + 0xcf9, "\x11\x22\x33\x5c", 4));
	EXPECT(config_io.write && config_io.reg == 0x40 && config_io.size == 1);
	EXPECT_EQ(nic->config[0x40], 0x5e);
	EXPECT_EQ(nic->config[0x3d], 0);
	/* reserved bits of CF8 do not make it another register */
	guest_out(0xcf8, 4, guest_cf8(0, 3, 0, 0x14) | 0x01000000);
	guest_out(0xcfc, 4, 0xdddd0000);
	EXPECT_EQ(load_le32(nic->config + 0x14), 0xc001);
	EXPECT_EQ(guest_in(0xcfc, 4), 0xffffffff);
}

TEST(concealed)
{
	struct mmio_io io = { 0xb0000000 + (5 << 15), 4, false, 0 };
	unsigned int before;

	EXPECT_EQ(guest_read(5, 0, 0, 4), 0x11111af4);
	EXPECT_EQ(pci_conceal((struct pci_addr){ 0, 0, 5, 0 }), 0);
	before = hidden->accesses;
	EXPECT_EQ(guest_read(5, 0, 0, 4), 0xffffffff);
	EXPECT_EQ(guest_read(5, 0, 2, 2), 0xffff);
	EXPECT_EQ(guest_read(5, 0, 0x0e, 1), 0xff);
	guest_write(5, 0, 4, 2, 7);
	EXPECT_EQ(mmio_access(&io), 0);
	EXPECT_EQ(io.value, 0xffffffff);
	EXPECT_EQ(hidden->accesses, before);
	/* another bus's is not meant */
	fake_add(1, 5, 0, 0x44441af4, 0x088000, 0);
	guest_out(0xcf8, 4, guest_cf8(1, 5, 0, 0));
	EXPECT_EQ(guest_in(0xcfc, 4), 0x44441af4);
	/* the driver still reaches it */
	EXPECT_EQ(pci_config_read((struct pci_addr){ 0, 0, 5, 0 }, 0, 4),
		  0x11111af4);
}

TEST(window)
{
	u64 nic_page = 0xb0000000 + (3 << 15);
	struct mmio_io io = { nic_page, 4, false, 0 };

	EXPECT(mmio_hooked(nic_page));
	EXPECT(!mmio_hooked(0xb0000000 + (6 << 15))); /* exit-free */
	EXPECT(mmio_hooked(0xb0000000 + (1 << 15) + (1 << 12)));
	EXPECT(!mmio_hooked(0xb0000000 + (1 << 15)));
	EXPECT_EQ(mmio_access(&io), 0);
	EXPECT_EQ(io.value, 0x100e8086);
	io = (struct mmio_io){ nic_page, 8, false, 0 };
	EXPECT_EQ(mmio_access(&io), 0);
	EXPECT_EQ(io.value & 0xffffffff, 0x100e8086);

	event_count = 0;
	io = (struct mmio_io){ nic_page + 0x14, 4, true, 0xc400 };
	EXPECT_EQ(mmio_access(&io), 0);
	EXPECT_EQ(event_count, 1);
	EXPECT_EQ(events[0].bar.base, 0xc400);
	EXPECT(!events[0].decoded);

	io = (struct mmio_io){ nic_page + 0x104, 4, true, 0xfeedf00d };
	EXPECT_EQ(mmio_access(&io), 0);
	EXPECT_EQ(load_le32(nic->config + 0x104), 0xfeedf00d);
	EXPECT_EQ(config_io.reg, 0x104);
	io = (struct mmio_io){ nic_page + 0x108, 8, true, 0x1122334455667788 };
	EXPECT_EQ(mmio_access(&io), 0);
	EXPECT_EQ(load_le64(nic->config + 0x108), 0x1122334455667788);
	EXPECT_EQ(pci_config_read(nic_claim.addr, 0x104, 4), 0xfeedf00d);
}

TEST(the_way_to_a_function_stays)
{
	struct fake_fn *after, *unset;

	/* PCIEXBAR of the host bridge */
	guest_write(0, 0, 0x60, 4, 0xe0000001);
	EXPECT_EQ(load_le32(host->config + 0x60), 0);
	guest_write(0, 0, 0x67, 1, 1);
	EXPECT_EQ(load_le32(host->config + 0x64), 0);
	guest_write(0, 0, 0x68, 4, 1);
	EXPECT_EQ(load_le32(host->config + 0x68), 1);
	guest_write(0, 0, 0x5f, 1, 1);
	EXPECT_EQ(host->config[0x5f], 1);
	/* bridges to other buses, and to none yet */
	after = fake_add(0, 0x1d, 0, 0x24508086, 0x060400, 1);
	after->config[0x19] = after->config[0x1a] = 2;
	unset = fake_add(0, 0x1e, 0, 0x24508086, 0x060400, 1);
	/* no function on bus 1 is mediated yet */
	guest_write(0x1c, 0, 0x19, 1, 5);
	EXPECT_EQ(bridge->config[0x19], 5);
	guest_write(0x1c, 0, 0x19, 1, 1);
	EXPECT_EQ(pci_conceal((struct pci_addr){ 0, 1, 2, 0 }), 0);
	guest_write(0x1c, 0, 0x19, 1, 5);
	guest_write(0x1c, 0, 0x18, 4, 0x00050500);
	guest_write(0x1c, 0, 0x1a, 1, 5);
	EXPECT_EQ(load_le32(bridge->config + 0x18), 0x00010100);
	guest_write(0x1c, 0, 0x1b, 1, 0x40); /* a timer */
	EXPECT_EQ(bridge->config[0x1b], 0x40);
	guest_write(0x1c, 0, 0x1c, 2, 0xf1f1);
	EXPECT_EQ(bridge->config[0x1c], 0xf1);
	guest_write(0x1d, 0, 0x19, 1, 7);
	EXPECT_EQ(after->config[0x19], 7);
	guest_write(0x1e, 0, 0x19, 1, 3);
	EXPECT_EQ(unset->config[0x19], 3);
	EXPECT_EQ(behind->config[4], 0);
	/* and both ways to the function behind it are watched */
	EXPECT(mmio_hooked(0xb0000000 + (1 << 20) + (2 << 15)));
	guest_out(0xcf8, 4, guest_cf8(1, 2, 0, 0));
	EXPECT_EQ(guest_in(0xcfc, 4), 0xffffffff);
	/* what is no bridge keeps its BARs */
	guest_write(3, 0, 0x18, 4, 0xfebb0000);
	EXPECT_EQ(load_le32(nic->config + 0x18), 0xfebb000c);
}

/* Neither the ports nor the window lead there: nothing is found. */
TEST(no_way_to_a_function)
{
	const struct pci_addr far = { 0, 1, 2, 0 }, other = { 1, 0, 3, 0 };

	store_le32(behind->config + 0x100, 0x55);
	EXPECT_EQ(pci_config_read(far, 0x100, 4), 0x55);
	EXPECT_EQ(pci_config_read(other, 0, 4), 0xffffffff);
	EXPECT_EQ(pci_config_read(other, 0x104, 2), 0xffff);
	pci_set_ecam(fake_ecam, 0, 0);
	EXPECT_EQ(pci_config_read(far, 0x100, 4), 0xffffffff);
	pci_config_write(far, 0x100, 4, 0x66);
	EXPECT_EQ(load_le32(behind->config + 0x100), 0x55);
	pci_set_ecam(fake_ecam, 1, 1);
	EXPECT_EQ(pci_config_read(far, 0x100, 4), 0x55);
	EXPECT_EQ(pci_config_read(nic_claim.addr, 0x104, 4), 0xffffffff);
	pci_set_ecam(fake_ecam, 0, 255);
}

/* Some registers of a function that is the guest's otherwise. */
TEST(guarded)
{
	guest_write(1, 0, 0x40, 4, 0x1111);
	EXPECT_EQ(pci_guard((struct pci_addr){ 0, 0, 1, 0 }, 0x40, 4), 0);
	guest_write(1, 0, 0x40, 4, 0x2222);
	guest_write(1, 0, 0x43, 1, 0x22);
	EXPECT_EQ(guest_read(1, 0, 0x40, 4), 0x1111);
	guest_write(1, 0, 0x44, 4, 0x3333);
	EXPECT_EQ(guest_read(1, 0, 0x44, 4), 0x3333);
	EXPECT_EQ(guest_read(1, 0, 0, 4), 0x70008086);
}

/* Of four ports, two with a second half, one of them of 8 GiB, and one that says
 * it has a second half behind the last register. */
TEST(other_shapes_of_bars)
{
	static struct pci_claim c = { .addr = { 0, 0, 6, 0 },
				      .bar_changed = bar_changed,
				      .ctx = &c };

	plain->bar_mask[0] = 0xfffffffc;
	store_le32(plain->config + 0x10, 0xc501);
	plain->bar_mask[1] = 0xfff00000;
	plain->bar_mask[2] = 0xffffffff;
	store_le32(plain->config + 0x14, 0xc0000004);
	store_le32(plain->config + 0x18, 0x03);
	plain->bar_mask[4] = 0xfffffffe;
	store_le32(plain->config + 0x1c, 0x04);
	store_le32(plain->config + 0x20, 0x20);
	plain->bar_mask[5] = 0xfffff000;
	store_le32(plain->config + 0x24, 0xfeb00004);
	EXPECT_EQ(pci_claim(&c), 0);
	EXPECT(c.bars[0].io && c.bars[0].base == 0xc500);
	EXPECT_EQ(c.bars[0].size, 4);
	EXPECT_EQ(c.bars[1].base, 0x3c0000000);
	EXPECT_EQ(c.bars[1].size, 0x100000);
	EXPECT_EQ(c.bars[3].base, 0x2000000000);
	EXPECT_EQ(c.bars[3].size, 0x200000000);
	EXPECT_EQ(c.bars[5].base, 0xfeb00000);
	EXPECT_EQ(c.bars[5].size, 0x1000);

	event_count = 0;
	guest_write(6, 0, 4, 2, 2);
	EXPECT_EQ(event_count, 3);
	EXPECT(events[0].n == 1 && events[1].n == 3 && events[2].n == 5);
	guest_write(6, 0, 0x24, 4, 0xfeb11000);
	EXPECT(events[3].n == 5 && events[3].bar.base == 0xfeb11000);
	guest_write(6, 0, 0x20, 4, 0x40);
	EXPECT(events[4].n == 3 && events[4].bar.base == 0x4000000000);
	memset(plain->config + 0x24, 0, 4); /* reset */
	guest_write(6, 0, 4, 2, 0);
	guest_write(6, 0, 4, 2, 2);
	EXPECT_EQ(c.bars[5].base, 0);
}

/* Bridges have two BARs, what is neither device nor bridge none. */
TEST(fewer_bars)
{
	static struct pci_claim c = { .addr = { 0, 0, 0x1c, 0 } };
	static struct pci_claim d = { .addr = { 0, 1, 5, 0 } };

	fake_find(1, 5, 0)->config[0x0e] = 2;
	EXPECT_EQ(pci_claim(&c), 0);
	EXPECT_EQ(pci_claim(&d), 0);
	EXPECT_EQ(bridge->config[0x18], 0);
	EXPECT_EQ(c.bars[1].size, 4);
	EXPECT_EQ(c.bars[2].size, 0);
	EXPECT_EQ(d.bars[0].size, 0);
}

/* Who cannot watch the window does not say that it is done. */
TEST(windows_that_cannot_be_watched)
{
	fake_trap_error = -ENOMEM;
	EXPECT_EQ(pci_guard((struct pci_addr){ 0, 0, 6, 0 }, 0x40, 4), -ENOMEM);
	EXPECT_EQ(pci_conceal((struct pci_addr){ 0, 1, 5, 0 }), -ENOMEM);
	fake_trap_error = 0;
}

TEST(more_functions_than_fit)
{
	struct pci_addr a = { 0, 0, 9, 0 };
	int err = 0;

	EXPECT_EQ(pci_conceal(a), -ENODEV);
	for (; a.dev < 20 && !err; a.dev++)
		for (a.fn = 0; a.fn < 8 && !err; a.fn++)
			err = pci_guard(a, 0, 4);
	EXPECT_EQ(err, -ENOSPC);
}

static unsigned int driver_reads;

static void *driver(void *stop)
{
	unsigned int bad = 0;

	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED)) {
		bad += pci_config_read(nic_claim.addr, 0, 4) != 0x100e8086;
		__atomic_add_fetch(&driver_reads, 1, __ATOMIC_RELAXED);
	}
	return (void *)(uintptr_t)bad;
}

TEST(drivers_and_guest_at_once)
{
	bool stop = false;
	unsigned int bad = 0;
	void *driver_bad;
	pthread_t thread;

	pthread_create(&thread, NULL, driver, &stop);
	for (int i = 0; i < 4000 ||
			__atomic_load_n(&driver_reads, __ATOMIC_RELAXED) < 4000;
	     i++)
		bad += guest_read(6, 0, 0, 4) != 0x22221af4;
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, &driver_bad);
	EXPECT_EQ(bad, 0);
	EXPECT_EQ((uintptr_t)driver_bad, 0);
}

TEST_MAIN(CASE(scan_in_order), CASE(scan_of_all_buses),
	  CASE(no_window_of_the_guest), CASE(bridges_that_cannot_be_watched),
	  CASE(neighbours_stay), CASE(other_bridges_have_no_window),
	  CASE(a_guard_alone), CASE(one_function_by_any_number),
	  CASE(a_bridge_does_not_cut_off), CASE(a_bridge_does_not_reset),
	  CASE(what_no_bridge_passes_stays_off),
	  CASE(what_firmware_had_behind_no_window_goes_on),
	  CASE(other_bridges_open_and_close), CASE(claim_sizes_the_bars),
	  CASE(unclaimed_passes), CASE(sizing_does_not_move),
	  CASE(sizing_of_many_at_once), CASE(moving_while_enabled),
	  CASE(enable_bits), CASE(held_while_written), CASE(place_refused),
	  CASE(one_place_refused), CASE(stays_awake), CASE(is_not_reset),
	  CASE(driver_decides), CASE(odd_accesses), CASE(concealed),
	  CASE(window), CASE(the_way_to_a_function_stays),
	  CASE(no_way_to_a_function), CASE(guarded),
	  CASE(drivers_and_guest_at_once), CASE(windows_that_cannot_be_watched),
	  CASE(other_shapes_of_bars), CASE(fewer_bars),
	  CASE(more_functions_than_fit))

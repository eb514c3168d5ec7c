/* HBAs: their PCI functions, their own registers, and what leads to them. */
#include "drivers/ata/ahci_controller.h"

#include "core/io/dma.h"
#include "core/io/mmio.h"
#include "core/io/pci.h"
#include "core/lib/bytes.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "drivers/ata/ahci.h"
#include "drivers/ata/kept.h"

#define AHCI_MAX 4
/* The specification gives a port 500 ms to stop, and a device longer to become
 * ready; a register read takes about a microsecond. */
#define AHCI_SPINS  5000000

#define PCI_COMMAND 0x04
#define PCI_CLASS   0x09 /* 3 bytes, programming interface first */
#define PCI_BAR5    0x24
#define PCI_IO_ON   0x1
#define PCI_MEM_ON  0x2
#define PCI_MASTER  0x4
#define ABAR	    5

#define CAP_MSI	    0x05
#define CAP_SATA    0x12
#define MSI_AREA    0xFEE /* bits 31 to 20 of an address that is an interrupt */

struct ahci_controller {
	struct lock lock; /* global registers, and abar */
	struct pci_claim claim;
	struct mmio_hook hook;
	hpa_t abar;    /* 0: not decoded */
	u16 msi, sata; /* offsets of the capabilities, or 0 */
	struct ahci_port *port[AHCI_PORTS]; /* NULL: none of our business */
};

static struct {
	struct pci_addr addr[AHCI_MAX];
	u32 found;
	struct lock attach_lock;
	struct ata_options options;
	struct ahci_controller controller[AHCI_MAX];
} ahci;

static u32 hba_read(struct ahci_controller *c, u32 reg)
{
	return (u32)hw_mmio_read(c->abar + reg, 4);
}

static void hba_write(struct ahci_controller *c, u32 reg, u32 value)
{
	hw_mmio_write(c->abar + reg, 4, value);
}

/* ---- registers ---- */

/* AHCI 1.3.1, 10.4.3. The legacy interface stays off. */
static void ghc_write(struct ahci_controller *c, u32 v)
{
	for (u32 i = 0; i < AHCI_PORTS && v & GHC_HR; i++) {
		struct ahci_port *p = c->port[i];

		if (!p)
			continue;
		lock_acquire(&p->lock);
		ahci_port_reset(p);
		lock_release(&p->lock);
	}
	hba_write(c, HBA_GHC, v | (u32)GHC_AE);
}

static u32 global_access(struct ahci_controller *c, u32 reg, bool write, u32 v)
{
	if (reg == HBA_GHC && write) /* CAP is read-only */
		ghc_write(c, v);
	return hba_read(c, reg) &
	       ~(u32)(reg == HBA_CAP ? CAP_SPM | CAP_FBSS : 0);
}

static u32 register_access(struct ahci_controller *c, struct ahci_port *p,
			   u32 reg, bool write, u32 v)
{
	if (!p)
		return global_access(c, reg, write, v);
	if (!write)
		return ahci_port_read(p, reg);
	ahci_port_write(p, reg, v);
	return 0;
}

/* A port's registers where a one that is written does something; none has the
 * number of GHC. */
static bool takes_ones(u32 reg)
{
	return reg == PxIS || reg == PxSERR || reg == PxSACT || reg == PxCI ||
	       reg == PxSNTF;
}

/* A part of a register is the register. */
static void dword_access(struct ahci_controller *c, struct ahci_port *p,
			 u32 off, struct mmio_io *io)
{
	u32 shift = 8 * (off & 3), reg = off & ~3u, v = 0;
	u32 mask = (u32)mask_bytes(io->size) << shift;

	if (!io->write || (io->size < 4 && !takes_ones(reg)))
		v = register_access(c, p, reg, false, 0);
	if (io->write)
		register_access(c, p, reg, true,
				(v & ~mask) | ((u32)io->value << shift & mask));
	else
		io->value = (v & mask) >> shift;
}

/* The place may have moved since the exit. */
static enum verdict locked_access(struct ahci_controller *c,
				  struct ahci_port *p, struct mmio_io *io)
{
	struct lock *lock = p ? &p->lock : &c->lock;
	struct mmio_io half = *io;
	u64 off, value = 0;

	lock_acquire(lock);
	off = io->gpa - (p ? p->base : c->abar);
	if (!(p ? p->base : c->abar) ||
	    !range_ok(off, io->size, p ? AHCI_PORT_SIZE : HBA_PORT0)) {
		lock_release(lock);
		return DENY;
	}
	half.size = (u8)min_u64(io->size, 4);
	for (u32 i = 0; i < io->size; i += 4) {
		half.value = io->value >> 8 * i;
		dword_access(c, p, (u32)off + i, &half);
		value |= half.value << 8 * i;
	}
	io->value = value;
	lock_release(lock);
	return DONE;
}

static enum verdict abar_access(void *ctx, struct mmio_io *io)
{
	struct ahci_controller *c = ctx;
	u64 off = io->gpa - __atomic_load_n(&c->abar, __ATOMIC_RELAXED);
	u64 n = (off - HBA_PORT0) / AHCI_PORT_SIZE;

	/* Out of range: the place has moved since the exit. */
	if (off % io->size || off >= c->claim.bars[ABAR].size)
		return DENY;
	if (off >= HBA_PORT0)
		return n < AHCI_PORTS && c->port[n]
			       ? locked_access(c, c->port[n], io)
			       : PASS;
	if (off < HBA_IS)
		return locked_access(c, NULL, io);
	return io->write && off + io->size > HBA_VENDOR ? DENY : PASS;
}

/* ---- the guest's changes to configuration space ---- */

static const struct kept_range kept[] = {
	{ 0, PCI_CLASS, 3 },
	{ VENDOR_INTEL, ICH_MAP, 4 },
	{ VENDOR_JMICRON, JMICRON_CONTROL, 4 },
	{ VENDOR_JMICRON, JMICRON_CONTROL5, 4 },
};

/*
 * I/O ports stay off: they are the legacy interface, or an index and a data
 * register through which all others can be reached. Those may also be in
 * configuration space (SATA capability: Serial ATA AHCI 1.3.1, 2.4). An
 * interrupt message goes to an APIC, not to memory.
 */
static enum verdict config_access(void *ctx, struct pci_io *io)
{
	struct ahci_controller *c = ctx;

	if (!io->write)
		return PASS;
	if (io->reg == PCI_COMMAND)
		io->value &= ~(u32)PCI_IO_ON;
	if (kept_touches(kept, ARRAY_SIZE(kept), c->claim.id.vendor, io) ||
	    (c->sata && range_overlap(io->reg, io->size, c->sata + 8, 8)))
		return DONE;
	if (c->msi && range_overlap(io->reg, io->size, c->msi + 4, 4) &&
	    (io->size != 4 || io->value >> 20 != MSI_AREA))
		return DONE;
	if (c->msi && range_overlap(io->reg, io->size, c->msi + 8, 4) &&
	    pci_config_read(c->claim.addr, c->msi + 2, 2) & 0x80 && io->value)
		return DONE;
	return PASS;
}

static void controller_place(struct ahci_controller *c, hpa_t abar)
{
	__atomic_store_n(&c->abar, abar, __ATOMIC_RELAXED);
	for (u32 i = 0; i < AHCI_PORTS; i++) {
		struct ahci_port *p = c->port[i];

		if (p)
			p->base = abar ? abar + HBA_PORT0 + i * AHCI_PORT_SIZE
				       : 0;
	}
}

/* In the order of ghc_write(). */
static void hold(void *ctx, bool on)
{
	struct ahci_controller *c = ctx;

	(on ? lock_acquire : lock_release)(&c->lock);
	for (u32 i = 0; i < AHCI_PORTS; i++)
		if (c->port[i])
			(on ? lock_acquire : lock_release)(&c->port[i]->lock);
}

static int bar_changed(void *ctx, unsigned int n)
{
	struct ahci_controller *c = ctx;
	struct pci_bar bar = c->claim.bars[ABAR];
	int err;

	if (n != ABAR)
		return 0;
	controller_place(c, 0);
	err = mmio_hook_move(&c->hook, 0, 0);
	if (err || !bar.enabled)
		return err;
	if (!bar.base || !mmio_place_free(bar.base, bar.size))
		return -EEXIST;
	err = mmio_hook_move(&c->hook, bar.base, bar.size);
	if (!err)
		controller_place(c, bar.base);
	return err;
}

/* ---- start ---- */

static int port_add(struct ahci_controller *c, const struct block_id *id,
		    const struct block_filter *filter)
{
	size_t pages = (sizeof(struct ahci_port) - 1) / PAGE_SIZE + 1;
	u32 cap = hba_read(c, HBA_CAP);
	struct ahci_port *p;
	hpa_t pa;
	int err;

	p = dma_alloc(pages, &pa);
	if (!p)
		return -ENOMEM;
	p->filter = filter;
	p->options = &ahci.options;
	p->attach_lock = &ahci.attach_lock;
	p->id = *id;
	p->wide = cap & CAP_S64A;
	p->queues = cap & CAP_SNCQ;
	p->slots = (cap >> 8 & 31) + 1;
	p->spins = AHCI_SPINS;
	p->base = c->abar + HBA_PORT0 + id->channel * AHCI_PORT_SIZE;
	err = ahci_port_start(p);
	hba_write(c, HBA_IS, 1u << id->channel);
	c->port[id->channel] = p;
	return err;
}

/* Ports at which a volume is expected, by bit. */
static u32 ports_expected(const struct block_filter *filter, u32 n)
{
	struct block_id id = { .bus = "ahci", .controller = (u8)n };
	u32 ports = 0;

	for (u32 i = 0; i < AHCI_PORTS; i++) {
		id.channel = (u8)i;
		ports |= (u32)filter->expects(&id) << i;
	}
	return ports;
}

/* -ENODEV if none of @expected is there. */
static int ports_start(struct ahci_controller *c, u32 n, u32 expected,
		       const struct block_filter *filter)
{
	struct block_id id = { .bus = "ahci", .controller = (u8)n };
	int err = -ENODEV;

	expected &= hba_read(c, HBA_PI);
	for (; expected; expected &= expected - 1) {
		id.channel = (u8)__builtin_ctz(expected);
		if (err)
			hba_write(c, HBA_GHC,
				  hba_read(c, HBA_GHC) | (u32)GHC_AE);
		err = port_add(c, &id, filter);
		if (err)
			break;
	}
	return err;
}

static int controller_claim(struct ahci_controller *c, u32 n)
{
	int err;

	c->claim.addr = ahci.addr[n];
	c->claim.config = config_access;
	c->claim.bar_changed = bar_changed;
	c->claim.hold = hold;
	c->claim.ctx = c;
	c->msi = pci_capability(ahci.addr[n], CAP_MSI);
	c->sata = pci_capability(ahci.addr[n], CAP_SATA);
	err = pci_claim(&c->claim);
	if (err)
		return err;
	c->hook.fn = abar_access;
	c->hook.ctx = c;
	err = mmio_hook_add(&c->hook);
	return err ? err : bar_changed(c, ABAR);
}

static int controller_start(u32 n, const struct block_filter *filter)
{
	struct ahci_controller *c = &ahci.controller[n];
	struct pci_addr addr = ahci.addr[n];
	u32 command = pci_config_read(addr, PCI_COMMAND, 2);
	u32 bar = pci_config_read(addr, PCI_BAR5, 4) & ~0xFu;
	u32 expected = ports_expected(filter, n);
	int err;

	if (!expected)
		return 0;
	/* Firmware has not set it up; nobody shall, without us. */
	if (!bar)
		return pci_conceal(addr);
	c->abar = bar;
	pci_config_write(addr, PCI_COMMAND, 2,
			 command | PCI_MEM_ON | PCI_MASTER);
	err = ports_start(c, n, expected, filter);
	command &= err == -ENODEV ? ~0u : ~(u32)PCI_IO_ON;
	pci_config_write(addr, PCI_COMMAND, 2, command);
	if (err == -ENODEV)
		return 0;
	return err ? err : controller_claim(c, n);
}

static void controller_found(void *ctx, struct pci_addr addr,
			     const struct pci_id *id)
{
	if (id->class != 0x010601)
		return;
	if (ahci.found < AHCI_MAX)
		ahci.addr[ahci.found] = addr;
	ahci.found++;
}

int ahci_start(const struct block_filter *filter,
	       const struct ata_options *options)
{
	int err = 0;

	ahci.options = *options;
	pci_scan(controller_found, NULL);
	if (ahci.found > AHCI_MAX)
		return -ENOSPC;
	for (u32 n = 0; n < ahci.found && !err; n++)
		err = controller_start(n, filter);
	return err;
}

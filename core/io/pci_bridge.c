/* PCI-to-PCI Bridge Architecture Specification 1.2, 3.2.5. */
#include "core/io/pci_bridge.h"

#include "core/io/pci_bar.h"
#include "core/lib/range.h"

#define IO_WINDOW      0x1C
#define MEMORY_WINDOW  0x20
#define PREFETCHABLE   0x24
#define PREF_BASE_HIGH 0x28
#define PREF_LAST_HIGH 0x2C
#define IO_WINDOW_HIGH 0x30
#define CONTROL	       0x3C /* its upper half */
#define ISA_ENABLE     0x00040000
#define BUS_RESET      0x00400000
#define LINK_CONTROL   0x10 /* PCIe 3.0, 7.8.7 */
#define LINK_DISABLE   0x10

struct window { /* first to last; none if they are the other way around */
	u64 first, last;
};

struct bridge {
	u16 command;
	bool asleep;
	bool resets; /* what is below */
	bool isa;    /* of each 1 KiB of ports, only the first 256 pass */
	struct window ports, memory, prefetchable;
};

/* A register of 4 bytes, as @io makes it if that is not NULL. */
static u32 reg_read(struct pci_addr addr, u16 reg, const struct pci_io *io)
{
	u32 v = pci_config_read(addr, reg, 4);

	return io && io->reg / 4 == reg / 4 ? pci_merge(v, io) : v;
}

static void ports_read(struct bridge *b, u32 low, u32 high)
{
	b->ports.first = (low & 0xF0) << 8;
	b->ports.last = (low & 0xF000) | 0xFFF;
	if (low & 0xF) { /* 32 bits */
		b->ports.first |= (high & 0xFFFF) << 16;
		b->ports.last |= high & 0xFFFF0000;
	}
}

static struct window memory_window(u32 low, u32 base_high, u32 last_high)
{
	struct window w = { (low & 0xFFF0) << 16,
			    (low & 0xFFF00000) | 0xFFFFF };

	if (low & 0xF) { /* 64 bits */
		w.first |= (u64)base_high << 32;
		w.last |= (u64)last_high << 32;
	}
	return w;
}

static void bridge_read(struct pci_addr addr, const struct pci_io *io,
			struct bridge *b)
{
	u16 power = pci_capability(addr, PCI_CAP_POWER);
	u16 link = pci_capability(addr, PCI_CAP_EXPRESS);
	u32 control = reg_read(addr, CONTROL, io);

	b->command = (u16)reg_read(addr, PCI_COMMAND, io);
	b->asleep = power && reg_read(addr, power + PCI_POWER_CONTROL, io) &
				     PCI_POWER_STATE;
	b->isa = control & ISA_ENABLE;
	b->resets = control & BUS_RESET ||
		    (link &&
		     reg_read(addr, link + LINK_CONTROL, io) & LINK_DISABLE);
	ports_read(b, reg_read(addr, IO_WINDOW, io),
		   reg_read(addr, IO_WINDOW_HIGH, io));
	b->memory = memory_window(reg_read(addr, MEMORY_WINDOW, io), 0, 0);
	b->prefetchable = memory_window(reg_read(addr, PREFETCHABLE, io),
					reg_read(addr, PREF_BASE_HIGH, io),
					reg_read(addr, PREF_LAST_HIGH, io));
}

static bool holds(const struct window *w, const struct pci_bar *bar)
{
	return w->first <= bar->base && bar->base <= w->last &&
	       bar->size - 1 <= w->last - bar->base;
}

static bool passes(const struct bridge *b, const struct pci_bar *bar)
{
	if (b->asleep)
		return false;
	if (bar->io)
		return b->command & PCI_COMMAND_IO && holds(&b->ports, bar) &&
		       !(b->isa && bar->base & 0x300);
	return b->command & PCI_COMMAND_MEMORY &&
	       (holds(&b->memory, bar) || holds(&b->prefetchable, bar));
}

bool pci_bridge_passes(struct pci_addr addr, const struct pci_bar *bar)
{
	struct bridge b;

	bridge_read(addr, NULL, &b);
	return passes(&b, bar);
}

bool pci_bridge_cuts_off(const struct pci_io *io, const struct pci_claim *c)
{
	struct bridge now, then;

	bridge_read(io->addr, NULL, &now);
	bridge_read(io->addr, io, &then);
	if (then.resets && !now.resets)
		return true;
	for (u32 n = 0; n < ARRAY_SIZE(c->bars); n++)
		if (c->bars[n].size && c->bars[n].enabled &&
		    passes(&now, &c->bars[n]) && !passes(&then, &c->bars[n]))
			return true;
	return false;
}

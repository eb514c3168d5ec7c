/*
 * Base address registers: where a claimed function decodes, kept in step with
 * the driver's hooks.
 *
 * A BAR to which all ones are written is being sized (PCI 3.0, 6.2.5.1): the
 * hardware is not told, it stays where it is, and reads give the size. Any
 * other change is made while the function does not decode.
 */
#include "core/io/pci_bar.h"

#define BAR_IO	    0x1u
#define BAR_TYPE    0x6u
#define BAR_TYPE_64 0x4u
#define DECODE	    (PCI_COMMAND_IO | PCI_COMMAND_MEMORY)

/* Bits in capabilities' registers that stay 0. In D0 alone a function decodes
 * anything, and which states it has only the hardware knows: it ignores the
 * others. By a reset of its own (PCIe 3.0, 6.6.2) it would cease to decode. */
static const struct {
	u8 cap, reg;
	u16 bits;
} kept[] = {
	{ PCI_CAP_POWER, PCI_POWER_CONTROL, PCI_POWER_STATE },
	{ PCI_CAP_EXPRESS, 8, 0x8000 },
	{ 0x13, 4, 0x0001 }, /* Advanced Capabilities, an ECN of PCI 3.0 */
};
static_assert(ARRAY_SIZE(kept) == ARRAY_SIZE(((struct pci_claim *)0)->kept),
	      "one place for each");

static u16 command_read(const struct pci_claim *c)
{
	return (u16)pci_config_read(c->addr, PCI_COMMAND, 2);
}

/* Two bytes: the status register beside it clears what is written as one. */
static void command_write(const struct pci_claim *c, u16 command)
{
	pci_config_write(c->addr, PCI_COMMAND, 2, command);
}

static u16 bar_reg(unsigned int n)
{
	return (u16)(PCI_BAR0 + 4 * n);
}

static bool is_high(const struct pci_claim *c, unsigned int n)
{
	return c->high >> n & 1;
}

static bool is_64(const struct pci_claim *c, unsigned int n)
{
	return is_high(c, n + 1);
}

static u16 bar_decode(const struct pci_bar *bar)
{
	return bar->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
}

/* BAR @n as the registers and @command have it. */
static void bar_update(struct pci_claim *c, unsigned int n, u16 command)
{
	struct pci_bar *bar = &c->bars[n];

	bar->base = c->raw[n] & c->mask[n];
	if (is_64(c, n))
		bar->base |= (u64)(c->raw[n + 1] & c->mask[n + 1]) << 32;
	bar->enabled = command & bar_decode(bar);
}

/* ---- start ---- */

static u32 bar_probe(const struct pci_claim *c, unsigned int n)
{
	u32 old = pci_config_read(c->addr, bar_reg(n), 4);
	u32 ones;

	pci_config_write(c->addr, bar_reg(n), 4, ~0u);
	ones = pci_config_read(c->addr, bar_reg(n), 4);
	pci_config_write(c->addr, bar_reg(n), 4, old);
	return ones;
}

/* Sizes BAR @n; returns how many registers it takes. */
static unsigned int bar_size(struct pci_claim *c, unsigned int n,
			     unsigned int count)
{
	u32 ones = bar_probe(c, n);
	bool io = ones & BAR_IO;
	u64 mask;

	c->mask[n] = ones & (io ? ~0x3u : ~0xfu);
	mask = c->mask[n] | 0xffffffff00000000;
	if (io)
		mask |= 0xffff0000; /* there may be 16 address bits */
	if (!io && (ones & BAR_TYPE) == BAR_TYPE_64 && n + 1 < count) {
		c->mask[n + 1] = bar_probe(c, n + 1);
		c->high |= (u8)(1u << (n + 1));
		mask = (u64)c->mask[n + 1] << 32 | c->mask[n];
	} else if (!c->mask[n]) {
		mask = 0;
	}
	c->bars[n].io = io;
	c->bars[n].size = -mask; /* 0 if nothing can be written */
	return is_64(c, n) ? 2 : 1;
}

static unsigned int bar_count(const struct pci_claim *c)
{
	static const u8 counts[] = { 6, 2 }; /* a device, a bridge */
	u8 type = pci_config_read(c->addr, PCI_HEADER_TYPE, 1) & 0x7f;

	return type < ARRAY_SIZE(counts) ? counts[type] : 0;
}

void pci_bar_init(struct pci_claim *c)
{
	unsigned int count = bar_count(c);
	u16 command = command_read(c);

	for (u32 i = 0; i < ARRAY_SIZE(kept); i++) {
		u16 cap = pci_capability(c->addr, kept[i].cap);

		c->kept[i] = cap ? cap + kept[i].reg : 0;
	}
	command_write(c, command & ~DECODE);
	for (unsigned int n = 0; n < count;)
		n += bar_size(c, n, count);
	for (unsigned int n = 0; n < count; n++)
		c->raw[n] = pci_config_read(c->addr, bar_reg(n), 4);
	command_write(c, command);
	for (unsigned int n = 0; n < count; n++)
		if (c->bars[n].size)
			bar_update(c, n, command);
}

/* ---- the guest's writes ---- */

static u32 bar_visible(const struct pci_claim *c, unsigned int n)
{
	if (c->sizing >> n & 1)
		return c->raw[n] | c->mask[n];
	return c->raw[n];
}

/* Tells of BAR @n; true if it must not be decoded. What no bridge lets through
 * would be answered by another device, and be taken for the function's. */
static bool tell(struct pci_claim *c, unsigned int n)
{
	if (c->bars[n].enabled && !(c->outside >> n & 1) &&
	    !pci_reaches(c, &c->bars[n]))
		return true;
	return c->bar_changed && c->bar_changed(c->ctx, n);
}

/* Tells of all BARs that @bits of the command register switch; returns the
 * bits that must not be set. */
static u16 tell_switched(struct pci_claim *c, u16 bits, u16 command)
{
	u16 refused = 0;

	for (unsigned int n = 0; n < 6; n++) {
		if (!c->bars[n].size || !(bits & bar_decode(&c->bars[n])))
			continue;
		bar_update(c, n, command);
		if (tell(c, n))
			refused |= bar_decode(&c->bars[n]);
	}
	return refused;
}

/* Writes BAR register @n, which belongs to BAR @low, with decoding off. */
static void bar_move(struct pci_claim *c, unsigned int n, unsigned int low)
{
	u16 command = command_read(c);
	u16 decode = bar_decode(&c->bars[low]);
	bool on = command & decode;

	if (on)
		command_write(c, command & ~decode);
	bar_update(c, low, command);
	if (on && tell(c, low)) {
		command &= ~decode;
		tell_switched(c, decode, command);
	}
	pci_config_write(c->addr, bar_reg(n), 4, c->raw[n]);
	if (on)
		command_write(c, command);
}

static void bar_write(struct pci_claim *c, unsigned int n,
		      const struct pci_io *io)
{
	u8 bit = (u8)(1u << n);
	u32 value = pci_merge(bar_visible(c, n), io) & c->mask[n];

	if (value == c->mask[n]) {
		c->sizing |= bit;
		return;
	}
	c->sizing &= (u8)~bit;
	c->raw[n] = (c->raw[n] & ~c->mask[n]) | value;
	bar_move(c, n, is_high(c, n) ? n - 1 : n);
}

/* The same, and nothing of a kind that is refused will be decoded: the driver
 * that watches the others is not to take what answers there for its own. */
static u16 switch_decoding(struct pci_claim *c, u16 bits, u16 command)
{
	u16 refused = tell_switched(c, bits, command);

	if (refused)
		tell_switched(c, refused, command & ~refused);
	return refused;
}

static void guest_command(struct pci_claim *c, const struct pci_io *io)
{
	u16 old = command_read(c);
	u16 new = (u16)pci_merge(old, io);
	u32 value = io->value;

	/* A reset may have cleared the BARs behind our back. */
	for (unsigned int n = 0; n < 6; n++)
		c->raw[n] = pci_config_read(c->addr, bar_reg(n), 4);
	/* The two bits can only have changed in the register's first byte. */
	value &= ~(u32)switch_decoding(c, new & ~old, new);
	pci_config_write(c->addr, io->reg, io->size, value);
	tell_switched(c, old & ~new, new);
}

/* The BAR register that the access is to, or -1. */
static int bar_of(const struct pci_claim *c, const struct pci_io *io)
{
	int n = (io->reg - PCI_BAR0) / 4;

	if (io->reg < PCI_BAR0 || n >= 6 || !c->mask[n])
		return -1;
	return n;
}

void pci_bar_access(struct pci_claim *c, struct pci_io *io)
{
	int n = bar_of(c, io);

	for (u32 i = 0; i < ARRAY_SIZE(kept); i++)
		if (io->write && c->kept[i] && io->reg / 4 == c->kept[i] / 4)
			io->value &= ~((u32)kept[i].bits >> 8 * (io->reg % 4));
	if (n >= 0 && io->write)
		bar_write(c, (unsigned int)n, io);
	else if (n >= 0 && (c->sizing >> n & 1))
		io->value =
			bar_visible(c, (unsigned int)n) >> 8 * (io->reg % 4);
	else if (io->write && io->reg / 4 == PCI_COMMAND / 4)
		guest_command(c, io);
	else if (io->write)
		pci_config_write(c->addr, io->reg, io->size, io->value);
	else
		io->value = pci_config_read(c->addr, io->reg, io->size);
}

/* The base address and command registers of a claimed function (PCI 3.0,
 * 6.2.2 and 6.2.5). Called with the configuration lock held. */
#ifndef CORE_IO_PCI_BAR_H
#define CORE_IO_PCI_BAR_H

#include "core/io/pci.h"
#include "core/lib/bytes.h"

enum pci_reg {
	PCI_VENDOR = 0x00,
	PCI_COMMAND = 0x04,
	PCI_REVISION = 0x08,
	PCI_HEADER_TYPE = 0x0e,
	PCI_BAR0 = 0x10,
	PCI_BRIDGE_BUSES = 0x18, /* primary, secondary, subordinate */
};
#define PCI_COMMAND_IO	   0x1
#define PCI_COMMAND_MEMORY 0x2

/* PCI Power Management 1.2, 3.2 */
#define PCI_CAP_POWER	  0x01
#define PCI_POWER_CONTROL 4    /* its register, of 4 bytes */
#define PCI_POWER_STATE	  0x3u /* 0: D0, where alone a function decodes BARs */

#define PCI_CAP_EXPRESS	  0x10 /* PCIe 3.0, 7.8 */

/* What a register of 4 bytes becomes by the write @io. */
static inline u32 pci_merge(u32 old, const struct pci_io *io)
{
	unsigned int shift = 8 * (io->reg % 4);
	u32 mask = (u32)mask_bytes(io->size) << shift;

	return (old & ~mask) | (io->value << shift & mask);
}

/* Whether all bridges above let through what is for @bar (pci.c). */
bool pci_reaches(const struct pci_claim *claim, const struct pci_bar *bar);

/* Sizes the function's BARs and fills claim->bars. */
void pci_bar_init(struct pci_claim *claim);

/* The guest's access to any register, after the driver has let it pass. */
void pci_bar_access(struct pci_claim *claim, struct pci_io *io);

#endif

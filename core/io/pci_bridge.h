/* The windows of a bridge above a claimed function. Called with the
 * configuration lock held. */
#ifndef CORE_IO_PCI_BRIDGE_H
#define CORE_IO_PCI_BRIDGE_H

#include "core/io/pci.h"

/*
 * True if @io, a write to a bridge on the way to @claim, takes out of its
 * windows a BAR that is decoded: then another device could be made to answer
 * in the function's place. Or one that resets the function, which may come
 * back with other ports and disks than firmware has given it.
 */
bool pci_bridge_cuts_off(const struct pci_io *io,
			 const struct pci_claim *claim);

/* Whether the bridge at @addr lets through what is for @bar, if it decodes. */
bool pci_bridge_passes(struct pci_addr addr, const struct pci_bar *bar);

#endif

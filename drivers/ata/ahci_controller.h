/* AHCI host bus adapters: PCI class 010601. */
#ifndef DRIVERS_ATA_AHCI_CONTROLLER_H
#define DRIVERS_ATA_AHCI_CONTROLLER_H

#include "core/io/block.h"
#include "drivers/ata/command.h"

/*
 * Identifies the devices at all ports where @filter expects one, and mediates
 * those ports from now on; HBAs without such a port are left alone. Once, at
 * boot, while nothing else uses them. @options are kept. -ENOSPC, -ENOMEM or
 * what PCI says.
 */
int ahci_start(const struct block_filter *filter,
	       const struct ata_options *options) must_check;

#endif

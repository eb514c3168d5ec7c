/* IDE controllers: PCI class 0101xx (PCI IDE Controller Specification 1.0). */
#ifndef DRIVERS_ATA_IDE_CONTROLLER_H
#define DRIVERS_ATA_IDE_CONTROLLER_H

#include "core/io/block.h"
#include "drivers/ata/command.h"

/*
 * Identifies the disks of all controllers and protects the channels of those
 * that @filter takes; the others are not touched again. Once, at boot, while
 * nothing else uses them. -ENOSPC, -ENOMEM or what PCI says.
 */
int ide_start(const struct block_filter *filter,
	      const struct ata_options *options) must_check;

#endif

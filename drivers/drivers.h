/* The list of drivers. */
#ifndef DRIVERS_DRIVERS_H
#define DRIVERS_DRIVERS_H

#include "core/io/block.h"
#include "drivers/ata/command.h"

/*
 * Once, on the boot CPU before the guest starts: asks the devices who they
 * are, offers them to @filter (kept for ever) and hooks what it takes. On an
 * error a protected device could not be secured: the guest must not start.
 */
int drivers_start(const struct block_filter *filter,
		  const struct ata_options *ata) must_check;

#endif

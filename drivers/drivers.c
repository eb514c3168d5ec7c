#include "drivers/drivers.h"

#include "drivers/ata/ahci_controller.h"
#include "drivers/ata/ide_controller.h"

int drivers_start(const struct block_filter *filter,
		  const struct ata_options *ata)
{
	int err = ide_start(filter, ata);

	return err ? err : ahci_start(filter, ata);
}

#include "drivers/drivers.h"

#include "drivers/ata/ide_controller.h"

int drivers_start(const struct block_filter *filter,
		  const struct ata_options *ata)
{
	return ide_start(filter, ata);
}

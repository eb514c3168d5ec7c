#include "drivers/drivers.h"

#include "drivers/ata/ide_controller.h"

int drivers_start(const struct block_filter *filter)
{
	return ide_start(filter);
}

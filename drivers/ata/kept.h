/* Registers in the configuration space of controllers that the guest's writes
 * do not reach. */
#ifndef DRIVERS_ATA_KEPT_H
#define DRIVERS_ATA_KEPT_H

#include "core/io/pci.h"
#include "core/lib/range.h"

#define VENDOR_INTEL   0x8086
#define VENDOR_CMD     0x1095
#define VENDOR_JMICRON 0x197B

/* Which function has which ports, in which mode, also of the functions beside:
 * an ICH's MAP (6 Series, 5.16), and JMicron's, which Linux writes. */
#define ICH_MAP		 0x90
#define JMICRON_CONTROL	 0x40
#define JMICRON_CONTROL5 0x80

struct kept_range {
	u16 vendor; /* 0: any */
	u16 reg, len;
};

/* True if the access touches one of the @count ranges of @table. */
static inline bool kept_touches(const struct kept_range *table, size_t count,
				u16 vendor, const struct pci_io *io)
{
	for (size_t i = 0; i < count; i++)
		if ((!table[i].vendor || table[i].vendor == vendor) &&
		    range_overlap(io->reg, io->size, table[i].reg,
				  table[i].len))
			return true;
	return false;
}

#endif

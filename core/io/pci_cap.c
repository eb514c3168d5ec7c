/* PCI 3.0, 6.7: the list of capabilities. */
#include "core/io/pci.h"

#define STATUS	    0x06
#define STATUS_CAPS 0x10
#define CAPS	    0x34

u16 pci_capability(struct pci_addr addr, u8 id)
{
	u16 at;

	if (!(pci_config_read(addr, STATUS, 2) & STATUS_CAPS))
		return 0;
	at = (u16)(pci_config_read(addr, CAPS, 1) & 0xFC);
	for (u32 i = 0; i < 48 && at >= 0x40; i++) {
		if (pci_config_read(addr, at, 1) == id)
			return at;
		at = (u16)(pci_config_read(addr, at + 1, 1) & 0xFC);
	}
	return 0;
}

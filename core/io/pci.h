/*
 * PCI configuration space mediation (PCI 3.0, 3.2.2 and 6; PCIe 7.2.2):
 * ports CF8/CFC and the memory-mapped window, one policy for both.
 *
 * Nothing is hooked until a driver claims a function or a rule conceals one.
 */
#ifndef CORE_IO_PCI_H
#define CORE_IO_PCI_H

#include "core/io/verdict.h"
#include "core/lib/types.h"

struct pci_addr {
	u16 segment;
	u8 bus;
	u8 dev;
	u8 fn;
};

struct pci_id {
	u16 vendor;
	u16 device;
	u32 class; /* class, subclass, programming interface: 0xCCSSPP */
};

struct pci_io {
	struct pci_addr addr;
	u16 reg;
	u8 size; /* 1, 2 or 4, naturally aligned */
	bool write;
	u32 value;
};

struct pci_bar {
	bool io; /* ports, else memory */
	bool enabled; /* the function's command register decodes it */
	u64 base;
	u64 size;
};

struct pci_claim {
	struct pci_addr addr;
	struct pci_id id;
	struct pci_bar bars[6]; /* size 0: not implemented */
	/*
	 * Asked before an access to the function's configuration space.
	 * May be NULL. Called with the configuration lock held.
	 */
	enum verdict (*config)(void *ctx, struct pci_io *io);
	/*
	 * The guest has moved, enabled or disabled BAR @n; bars[n] is new.
	 * Called before the hardware sees the write, with the lock held, so
	 * that no access escapes the driver's hooks.
	 */
	void (*bar_changed)(void *ctx, unsigned int n);
	void *ctx;
	/* private */
	struct pci_claim *next;
};

/* Calls @found for each function of the machine, in ascending order. */
void pci_scan(void (*found)(void *ctx, struct pci_addr addr,
			    const struct pci_id *id), void *ctx);

/* Fills id and bars of @claim from the hardware (bars are sized while decoding
 * is off) and mediates the function from now on. */
int pci_claim(struct pci_claim *claim) must_check;

/* The guest sees no function there: reads all ones, writes are lost. */
int pci_conceal(struct pci_addr addr) must_check;

/* The hardware's configuration space, for drivers. */
u32 pci_config_read(struct pci_addr addr, u16 reg, u8 size);
void pci_config_write(struct pci_addr addr, u16 reg, u8 size, u32 value);

/* The memory-mapped window (MCFG), if the machine has one; call before any
 * claim. */
void pci_set_ecam(hpa_t base, u8 first_bus, u8 last_bus);

#endif

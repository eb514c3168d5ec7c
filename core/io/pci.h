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
	bool io;      /* ports, else memory */
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
	 * The guest has moved, enabled or disabled BAR @n; bars[n] is new. May
	 * be NULL. Called with the lock held and at a moment when the hardware
	 * decodes the BAR neither at its old nor at its new place, so that no
	 * access escapes the driver's hooks. A BAR that moves while it is off
	 * is told of when it is switched on; one that is only being sized (all
	 * ones written) does not move at all. On an error the place is none
	 * that the driver can watch: then the function does not decode it, nor
	 * any other of that kind.
	 */
	int (*bar_changed)(void *ctx, unsigned int n);
	/*
	 * Around each write of the guest to a mediated function: this one, or
	 * one that may decide whether this one decodes, as a bridge above it.
	 * What a driver wrote to registers that are not decoded would be lost.
	 * So no other CPU may be in the driver from hold(true), which waits for
	 * its end, to hold(false). May be NULL.
	 */
	void (*hold)(void *ctx, bool on);
	void *ctx;
	/* private, see pci_bar.c; zero before */
	u32 raw[6];
	u32 mask[6];
	u8 high;
	u8 sizing;
	u8 outside;  /* BARs that firmware has behind no bridge's window */
	u16 kept[3]; /* registers with bits that stay 0; 0: none */
};

/* Calls @found for each function of the machine, in ascending order. */
void pci_scan(void (*found)(void *ctx, struct pci_addr addr,
			    const struct pci_id *id),
	      void *ctx);

/*
 * Fills id and bars of @claim from the hardware (bars are sized while decoding
 * is off) and mediates the function from now on. The caller keeps it alive for
 * ever and does this before the guest runs. -ENODEV if there is no such
 * function, -EEXIST if it is claimed, -ENOSPC if there are too many, -ENOMEM.
 *
 * A guest cannot take a mediated function away from its address: the bus
 * numbers of the bridges above it, and the place of the memory-mapped window
 * where a register of the host bridge tells it, can no longer be changed. Nor
 * do those bridges cut it off from where it decodes, and it decodes nothing
 * that they do not let through.
 */
int pci_claim(struct pci_claim *claim) must_check;

/* The guest sees no function there: reads all ones, writes are lost. Errors as
 * of pci_claim(). */
int pci_conceal(struct pci_addr addr) must_check;

/*
 * The guest's writes to the registers [reg, reg + len) of a function are lost;
 * one such range for each function. Errors as of pci_claim().
 */
int pci_guard(struct pci_addr addr, u16 reg, u16 len) must_check;

/* The hardware's configuration space, for drivers; also within their calls. */
u32 pci_config_read(struct pci_addr addr, u16 reg, u8 size);
void pci_config_write(struct pci_addr addr, u16 reg, u8 size, u32 value);

/* Where the function has the capability @id; 0: it has none. */
u16 pci_capability(struct pci_addr addr, u8 id);

/* The memory-mapped window (MCFG), if the machine has one; call before any
 * claim. */
void pci_set_ecam(hpa_t base, u8 first_bus, u8 last_bus);

#endif

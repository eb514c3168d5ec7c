/*
 * A model of AHCI ports with a disk each, at register level, written from AHCI
 * 1.3.1 and ACS-3. It stands in for hw_mmio_read() and its like, for guest
 * memory and for hidden memory.
 *
 * Time passes in model_tick(), and by one tick at each read of a register. In
 * a tick a port fetches a command, moves a few bytes, or ends something: which
 * one is drawn, so queued commands end in any order.
 */
#ifndef TESTS_UNIT_AHCI_MODEL_H
#define TESTS_UNIT_AHCI_MODEL_H

#include "tests/unit/model_memory.h"

#define MODEL_ABAR   0xFEB00000ULL
#define MODEL_RAM    0x800000 /* guest RAM is below, hidden memory above */
#define MODEL_MEMORY 0x1400000
#define MODEL_PORTS  2

struct model_disk {
	bool present;
	bool atapi;
	bool no_disc; /* a packet device of another type */
	char serial[8];
	u8 revision; /* a letter in its model's name, or 0 */
	u32 sector;
	u64 capacity;
	u64 bad_lba; /* fails there; ~0: nowhere */
	u8 *data;    /* MODEL_IMAGE bytes */
	/* a packet device */
	u8 key, asc;	/* sense data */
	bool attention; /* UNIT ATTENTION is to be told */
	u8 cdb[16];	/* the last one */
	u8 features;	/* of its PACKET, */
	u16 limit;	/* and its byte count */
	u8 reply[64];	/* what is sent that is no sector */
};

struct model_command {
	bool taken, queued, out, user;
	u8 code;
	u64 lba;
	u32 bytes, done; /* to move, and moved */
	u32 prd, prds, offset;
	u64 table;
	u8 buf[4096]; /* one sector */
};

struct model_port {
	struct model_disk disk;
	u32 clb, clbu, fb, fbu, is, ie, cmd, tfd, sig, ssts, sctl, serr, sact,
		ci;
	struct model_command slot[32];
	bool halted;
	bool reset_seen;   /* first half of a device reset */
	u32 identify_fail; /* so many IDENTIFYs to come */
};

struct model {
	struct model_port port[MODEL_PORTS];
	u64 abar;
	bool off; /* the registers are not to be accessed */
	u32 lost; /* accesses while that was so */
	u32 cap, ghc, is;
	/* as QEMU: a command that fails clears PxCI, and the port goes on; a
	 * stop clears neither PxCI nor PxSACT */
	bool lax;
	u32 lazy; /* a tick does something once in so many times */
	/* what a test wants to know */
	u32 mixed;     /* a command beside a queued one, or two at once */
	u32 commands;  /* that devices have taken */
	bool fetching; /* a table, not data */
	u32 stopping;  /* registers written too early or too late */
	u32 unknown;   /* registers written that the model has not */
	void (*on_write)(struct model_disk *disk, u64 lba, const u8 *data);
	/* A register of a port has been read. */
	void (*on_read)(u32 port, u32 reg);
	/* Each access by a port. */
	void (*on_dma)(u32 port, u64 addr, u32 len, bool write);
	u8 memory[MODEL_MEMORY] __attribute__((aligned(4096)));
};

extern struct model model;

void model_init(void);
/* The same, but for what is in memory and on the disks. */
void model_power_on(void);
void model_tick(void);
/* Another device in the place of the one there; or none. */
void model_plug(u32 port, bool present, const char *serial);
/* The place of a sector in the image; NULL if none is kept. */
u8 *model_sector(struct model_disk *disk, u64 lba);

#endif

/*
 * One port of an AHCI host bus adapter that a volume may lie behind (AHCI
 * 1.3.1; Serial ATA 3.x for the frames).
 *
 * The guest's driver drives the port: it writes commands into its memory and
 * sees interrupts, registers and received frames. A port is in one of two
 * modes. In AHCI_PLAIN, the device is known and has no volume: the guest's
 * addresses are in the registers and nothing is looked at but what could
 * bring another device. In AHCI_SHADOW the port only ever has addresses of
 * ours: each command of the guest is copied once, decided and written into a
 * command table of ours when its turn comes; its end is noticed when the guest
 * looks at a register, and data, received frames and byte counts are put into
 * the guest's memory before it is told.
 *
 * A port begins in AHCI_SHADOW and stays closed to the guest until its device
 * has answered an IDENTIFY of ours; so again whenever it may be another one.
 */
#ifndef DRIVERS_ATA_AHCI_H
#define DRIVERS_ATA_AHCI_H

#include "core/io/block.h"
#include "core/lib/lock.h"
#include "core/lib/log.h"
#include "drivers/ata/command.h"
#include "drivers/ata/packet.h"

#define AHCI_PORTS     32
#define AHCI_SLOTS     32
#define AHCI_PORT_SIZE 0x80

/* Entries of a list of ours. A list whose every piece has two bytes takes one
 * sector of 512 bytes at a time. */
#define AHCI_PRDS      504
#define AHCI_PRD_BYTES 0x400000

enum ahci_reg { /* AHCI 1.3.1, 3.1 */
	HBA_CAP = 0x00,
	HBA_GHC = 0x04,
	HBA_IS = 0x08,
	HBA_PI = 0x0C,
	HBA_VENDOR = 0x2C, /* reserved, and vendor specific */
	HBA_PORT0 = 0x100,
};

#define CAP_FBSS BIT(16)
#define CAP_SPM	 BIT(17)
#define CAP_SNCQ BIT(30)
#define CAP_S64A BIT(31)
#define GHC_HR	 BIT(0)
#define GHC_AE	 BIT(31)

enum ahci_port_reg { /* 3.3 */
	PxCLB = 0x00,
	PxCLBU = 0x04,
	PxFB = 0x08,
	PxFBU = 0x0C,
	PxIS = 0x10,
	PxIE = 0x14,
	PxCMD = 0x18,
	PxTFD = 0x20,
	PxSIG = 0x24,
	PxSSTS = 0x28,
	PxSCTL = 0x2C,
	PxSERR = 0x30,
	PxSACT = 0x34,
	PxCI = 0x38,
	PxSNTF = 0x3C,
	PxFBS = 0x40,
	PxDEVSLP = 0x44,
};

#define PxCMD_ST    BIT(0)
#define PxCMD_FRE   BIT(4)
#define PxCMD_FR    BIT(14)
#define PxCMD_CR    BIT(15)
#define PxCMD_PMA   BIT(17)
#define PxCMD_FBSCP BIT(22)
#define PxSERR_X    BIT(26) /* a device has announced itself */
#define PxSCTL_DET  0xF
#define PxSIG_ATAPI 0xEB140101

struct ahci_header { /* 4.2.2 */
	le16 flags;
	le16 prdtl;
	le32 prdbc;
	le64 ctba;
	le32 reserved[4];
};
static_assert(sizeof(struct ahci_header) == 32, "AHCI 1.3.1, 4.2.2");

#define HEADER_CFL   0x001F /* dwords of the command's frame */
#define HEADER_ATAPI BIT(5)
#define HEADER_WRITE BIT(6)
#define HEADER_RESET BIT(8)
#define HEADER_BIST  BIT(9)
#define HEADER_CLEAR BIT(10)
#define HEADER_PMP   0xF000

struct ahci_prd { /* 4.2.3.3 */
	le64 dba;
	le32 reserved;
	le32 dbc; /* bytes - 1; bit 31: interrupt */
};
static_assert(sizeof(struct ahci_prd) == 16, "AHCI 1.3.1, 4.2.3.3");

#define ATA_SECTOR  512 /* of what is no user data */
#define FIS_BYTES   20	/* register frame, host to device */
#define FIS_H2D	    0x27
#define FIS_COMMAND 0x80 /* in byte 1; else the control register changes */
#define FIS_CONTROL 15	 /* where that is */
#define TABLE_CDB   0x40 /* offsets: of the CDB, */
#define TABLE_PRD   0x80 /* and of the list */

struct ahci_table { /* 4.2.3 */
	u8 fis[64];
	u8 cdb[PACKET_CDB_MAX];
	u8 reserved[48];
	struct ahci_prd prd[AHCI_PRDS];
};
static_assert(offsetof(struct ahci_table, prd) == TABLE_PRD, "4.2.3");
static_assert(sizeof(struct ahci_table) == 8192, "two pages");

/* What the port needs to find out who its device is. */
struct ahci_page {
	struct ahci_header list[AHCI_SLOTS];
	u8 received[256]; /* 4.2.1 */
	u8 reserved[256];
	u8 table[256]; /* with one entry */
	u8 pad[256];
	u8 identify[512];
};
static_assert(offsetof(struct ahci_page, received) % 256 == 0, "4.2.1");
static_assert(offsetof(struct ahci_page, table) % 128 == 0, "4.2.3");
static_assert(sizeof(struct ahci_page) <= PAGE_SIZE, "one page");

enum ahci_kind {
	AHCI_NEW,      /* not yet copied from the guest */
	AHCI_REFUSE,   /* a NOP in its place, which the device aborts */
	AHCI_CONTROL,  /* a device reset */
	AHCI_PASS,     /* as it is, with a checked list */
	AHCI_USER,     /* sectors that stay as they are */
	AHCI_READ,     /* sectors to be decrypted */
	AHCI_WRITE,    /* sectors that are encrypted */
	AHCI_IDENTIFY, /* data that is adjusted */
};

struct ahci_place { /* in the guest's list */
	u32 prd;
	u32 offset;
};

struct ahci_slot {
	enum ahci_kind kind;
	bool queued; /* NCQ */
	bool out;
	bool data;
	bool packet; /* the command is the CDB */
	u8 fis[FIS_BYTES];
	u8 cdb[PACKET_CDB_MAX];
	/* What the guest shall find: in the answer to REQUEST SENSE, or there
	 * after this command is refused; none: PACKET_BAD_LIST. */
	struct packet_sense sense;
	u16 flags; /* of the header */
	u64 lba;
	u32 left;  /* sectors not yet done */
	u32 chunk; /* of them, with the device now */
	gpa_t list;
	u32 prds;
	struct ahci_place at;
	u32 moved;	  /* bytes of earlier chunks */
	u32 bounce, need; /* pages: the first, and how many */
};

enum ahci_mode {
	AHCI_SHADOW,
	AHCI_PLAIN
};

struct ahci_port {
	struct lock lock;
	/* set before ahci_port_start(), and constant */
	const struct block_filter *filter;
	const struct ata_options *options;
	struct lock *attach_lock; /* of all ports: around filter->attach() */
	struct block_id id;
	bool wide;   /* the HBA has 64-bit addresses, */
	bool queues; /* and NCQ */
	u32 slots;
	u32 spins; /* bound of a wait, in register reads */

	hpa_t base; /* of the port's registers; 0: not decoded */
	enum ahci_mode mode;
	bool identified;
	bool known;  /* dev and id are of a device that was here before */
	bool packet; /* the device has the signature of a packet device */
	bool asking; /* our IDENTIFY is in slot 0 */
	bool stuck;  /* nothing is sent until the guest starts the port again */
	bool started, receives; /* PxCMD.ST, PxCMD.FRE */
	gpa_t clb, fb;		/* as the guest wrote them */
	u32 ci, sact;		/* as the guest sees them */
	u32 active;		/* slots that the device has */
	u32 ncq;		/* of them, queued */
	u8 queue[AHCI_SLOTS];	/* slots that wait, in order */
	u32 waiting;
	struct ahci_slot slot[AHCI_SLOTS];

	struct block_dev *dev;	   /* NULL: none identified, or no rule */
	u32 sector_size;	   /* 0: user data is refused */
	struct packet_sense sense; /* of the last CDB, if it was refused */
	struct ahci_page *page;
	hpa_t page_pa;
	/* only when a device has been protected here */
	struct ahci_table *table; /* one for each slot */
	hpa_t table_pa;
	struct sg_list sg; /* of AHCI_PRDS */
	u8 *bounce;
	hpa_t bounce_pa;
	u32 bounce_pages;
	struct log_limit refused, waits, trouble;
};

/*
 * Takes the port at boot, @port->base set: identifies a device that is there
 * and leaves the port as the firmware had it, with the guest's addresses if
 * there is no volume. -ENOMEM.
 */
int ahci_port_start(struct ahci_port *port) must_check;

/* ---- the lock is held ---- */

/* The guest's access to a register; @reg is a multiple of 4. */
u32 ahci_port_read(struct ahci_port *port, u32 reg);
void ahci_port_write(struct ahci_port *port, u32 reg, u32 value);

/* The HBA is about to be reset. */
void ahci_port_reset(struct ahci_port *port);

/* ---- between the port's own files ---- */

u32 ahci_read(struct ahci_port *port, u32 reg);
void ahci_write(struct ahci_port *port, u32 reg, u32 value);

/* The guest's addresses as the HBA takes them. */
static inline gpa_t ahci_address(const struct ahci_port *port, u64 value)
{
	return port->wide ? value : (u32)value;
}

/* ahci_port.c */
/* The device may be another from now on; what it has in hand does not count. */
void ahci_port_forget(struct ahci_port *port);
/* Gives the registers our addresses or the guest's, with the port stopped for
 * that moment. */
void ahci_port_switch(struct ahci_port *port, enum ahci_mode mode);

/* ahci_identify.c */
/* Asks the device who it is; nothing is active. */
void ahci_identify_begin(struct ahci_port *port);
/* If the answer is there, takes or leaves the device. */
void ahci_identify_end(struct ahci_port *port);

/* ahci_command.c */
/* Sends what can be sent of the commands that wait. */
void ahci_run(struct ahci_port *port);
/* Writes the header of a slot and tells the HBA. */
void ahci_issue(struct ahci_port *port, u32 n, u16 flags, u16 prds,
		hpa_t table);
/* Takes @bytes, or all there are, from the guest's list at the slot's place
 * into port->sg, and moves the place. 0 if a piece is no guest RAM. */
u64 ahci_gather(struct ahci_port *port, struct ahci_slot *slot,
		u64 bytes) must_check;

/* ahci_packet.c */
/* Copies the CDB of the slot and decides it. */
enum ahci_kind ahci_packet_decide(struct ahci_port *port,
				  struct ahci_slot *slot);
/* The CDB shall be one that the device refuses. */
void ahci_packet_refuse(struct ahci_port *port, struct ahci_slot *slot);
/* The frame of PACKET. */
void ahci_packet_frame(const struct ahci_slot *slot, u8 *fis);
/* The command has ended well; port->sg is its list. */
void ahci_packet_sense(struct ahci_port *port, const struct ahci_slot *slot);

/* ahci_done.c */
/* Notices what has ended, and sends what has waited for it. */
void ahci_sync(struct ahci_port *port);
/* The same before the guest stops the port. */
void ahci_sync_stop(struct ahci_port *port);

#endif

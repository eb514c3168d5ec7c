/*
 * PACKET commands (ATAPI): what each command descriptor block moves, and what
 * becomes of it on a protected drive. Pure; shared by every ATA transport.
 *
 * Blocks follow MMC-6 and SPC-4, with the retired ones that CD software still
 * sends (SFF-8020i). A block is 12 bytes long, 16 on some devices. Sectors of
 * a disc have 2,048 bytes; here they are counted in units of 512 bytes, as
 * the filter counts a device with that sector size: then a transfer can be
 * cut wherever a unit ends, and the tweak of a disc's sector is its LBA * 4.
 */
#ifndef DRIVERS_ATA_PACKET_H
#define DRIVERS_ATA_PACKET_H

#include "core/lib/types.h"
#include "drivers/ata/command.h"

#define PACKET_CDB_MAX 16
#define PACKET_UNIT    512 /* bytes */

enum packet_direction {
	PACKET_NONE, /* no data */
	PACKET_IN,
	PACKET_OUT,
};

enum packet_policy {
	PACKET_REFUSE, /* answered with CHECK CONDITION */
	PACKET_PASS,   /* carries no user data */
	PACKET_USER,   /* moves user data: through the filter */
	PACKET_SENSE,  /* REQUEST SENSE: passes, see packet_sense_fix() */
};

/* SPC-4, 4.5.6; all 0: none. */
struct packet_sense {
	u8 key;
	u8 asc;
	u8 ascq;
};

/* The DMA list of a command cannot be used: DATA PHASE ERROR. */
#define PACKET_BAD_LIST ((struct packet_sense){ 0x0B, 0x4B, 0x00 })
/* INVALID FIELD IN CDB */
#define PACKET_BAD_FIELD ((struct packet_sense){ 0x05, 0x24, 0x00 })

struct packet {
	enum packet_policy policy;
	enum packet_direction direction;
	u64 lba;		   /* of PACKET_USER, in units */
	u32 count;		   /* 1 to 65536 units */
	struct packet_sense sense; /* of PACKET_REFUSE */
};

/* Decides a block of at least 12 bytes. */
void packet_decide(const u8 *cdb, struct packet *p);

/* What becomes of an ATA command on a packet device, of which ata_decide()
 * says @policy; ATA_CDB for PACKET itself. */
enum ata_policy packet_ata_policy(u8 code, enum ata_policy policy);

/*
 * Makes of @cdb a command that no device knows. A refused one is replaced by
 * it: the device itself ends it with CHECK CONDITION (or with a condition
 * that it has to tell first), by its own registers and interrupt, and keeps
 * sense data of its own, ILLEGAL REQUEST, INVALID COMMAND OPERATION CODE.
 */
void packet_replace(u8 cdb[PACKET_CDB_MAX]);

/*
 * @data: what REQUEST SENSE returned, @len bytes. If these are the sense data
 * of a command that packet_replace() made, puts @sense there.
 */
void packet_sense_fix(const struct packet_sense *sense, u8 *data, u32 len);

/*
 * True if data may have been moved by a read that ended with CHECK CONDITION
 * and this error register: it is good up to the sector that failed, or all of
 * it (RECOVERED ERROR), and is used by an OS.
 */
bool packet_moved(u8 error);

/*
 * The byte count limit for a PIO command of which the guest wants at most
 * @limit bytes in a DRQ block: blocks shall be of whole units.
 */
u16 packet_limit(u16 limit);

#endif

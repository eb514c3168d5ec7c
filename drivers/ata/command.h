/*
 * ATA commands: what each code moves, and what becomes of it on a protected
 * device. Pure; shared by every ATA transport.
 *
 * Codes follow ATA-7 (INCITS 397) and ACS-2 (INCITS 482), with the retired
 * ones of ATA-1 to ATA-3 where software still knows them.
 */
#ifndef DRIVERS_ATA_COMMAND_H
#define DRIVERS_ATA_COMMAND_H

#include "core/lib/types.h"

enum ata_class {
	ATA_UNKNOWN, /* vendor specific, reserved: could do anything */
	ATA_NONDATA,
	ATA_PIO_IN,
	ATA_PIO_OUT,
	ATA_DMA_IN,
	ATA_DMA_OUT,
	ATA_PACKET,
};

enum ata_policy {
	ATA_REFUSE,   /* answered with ABRT */
	ATA_PASS,     /* carries no user data */
	ATA_USER,     /* addresses user data: through the filter */
	ATA_QUEUED,   /* NCQ: as ATA_USER where there is NCQ */
	ATA_IDENTIFY, /* IDENTIFY DEVICE: the answer is adjusted */
	ATA_CHECK,    /* passed but for some subcommands */
	ATA_TRIM,     /* by configuration: passed by default */
	ATA_ERASE,    /* by configuration: refused by default */
	ATA_CDB,      /* PACKET to a packet device: see packet.h */
};

#define ATA_BOUNCE_KIB 2048 /* for a bounce_kib of 0 */

/* What the configuration says of protected devices; all 0: the default. */
struct ata_options {
	bool no_trim; /* sectors are never given back to the device */
	bool erase;   /* sanitize, security and zone commands are passed */
	/* for the writes in flight of one AHCI port; at most 4,096 */
	u32 bounce_kib;
};

struct ata_command {
	u8 class;
	u8 policy;
	bool ext; /* 48-bit feature set: the task file is two deep */
};

const struct ata_command *ata_command(u8 code);

/* Registers of the command block, by offset (ATA-7 volume 2, table 7). */
enum ata_reg {
	ATA_DATA,
	ATA_FEATURES, /* error register when read */
	ATA_COUNT,
	ATA_LBA_LOW,
	ATA_LBA_MID,
	ATA_LBA_HIGH,
	ATA_DEVICE,
	ATA_COMMAND, /* status register when read */
};

enum ata_status {
	ATA_ERR = 0x01,
	ATA_DRQ = 0x08,
	ATA_DF = 0x20,
	ATA_DRDY = 0x40,
	ATA_BSY = 0x80,
};

#define ATA_UNC 0x40 /* in the error register: uncorrectable data */

enum ata_device {
	ATA_DEV1 = 0x10,
	ATA_LBA = 0x40,
};

/* The codes that the drivers themselves name. */
enum ata_code {
	ATA_NOP = 0x00, /* always ends with ABRT (ATA-7, 6.22) */
	ATA_DEVICE_RESET = 0x08,
	ATA_DIAGNOSTIC = 0x90,
	ATA_INIT_PARAMETERS = 0x91,
	ATA_PACKET_CMD = 0xA0,
	ATA_IDENTIFY_PACKET = 0xA1,
	ATA_SERVICE = 0xA2,
	ATA_IDENTIFY_DEVICE = 0xEC,
};

/* What was written to the registers, hob[] before cur[]; data, features and
 * command are not kept here. */
struct ata_taskfile {
	u8 cur[8];
	u8 hob[8];
};

/* The current CHS translation; 0 if not known. */
struct ata_geometry {
	u16 heads;
	u16 sectors;
};

/*
 * What becomes of the command @code on a protected device, with what @options
 * and subcommands leave open decided: none of ATA_CHECK, ATA_TRIM, ATA_ERASE.
 * @queued: the transport has NCQ; else ATA_QUEUED is refused.
 */
enum ata_policy ata_decide(const struct ata_taskfile *tf, u8 code,
			   const struct ata_options *options, bool queued);

/*
 * The sectors a user-data command addresses: @count is 1 to 65536. -EINVAL if
 * it uses CHS and the address does not exist in @geometry, or if the last one
 * has no address of the command's 28 or 48 bits.
 */
int ata_range(const struct ata_taskfile *tf, bool ext,
	      const struct ata_geometry *geometry, u64 *lba,
	      u32 *count) must_check;

/*
 * Writes a range into @tf as an LBA address; @lba below 2^28 and @count up to
 * 256 unless @ext, then below 2^48 and up to 65536.
 */
void ata_set_range(struct ata_taskfile *tf, bool ext, u64 lba, u32 count);

#endif

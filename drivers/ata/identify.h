/*
 * IDENTIFY DEVICE data (ATA-7 volume 1, 6.17; ACS-2, 7.18): 256 words, little
 * endian. Pure; shared by every ATA transport.
 */
#ifndef DRIVERS_ATA_IDENTIFY_H
#define DRIVERS_ATA_IDENTIFY_H

#include "core/lib/types.h"

#include "core/io/block.h"
#include "drivers/ata/command.h"

#define ATA_IDENTIFY_BYTES 512

struct ata_identity {
	char model[41];
	char serial[21];
	u32 sector_size; /* 0 if it is none that we handle */
	u64 sectors;
	struct ata_geometry geometry; /* the current one; 0 if none */
	bool lba;
	/* Of IDENTIFY PACKET DEVICE data only. */
	u8 packet;   /* bytes of a CDB: 12 or 16 */
	bool cd_dvd; /* the command set is MMC's */
};

/* @packet: of IDENTIFY PACKET DEVICE. A disc may come and go and is of any size;
 * its sectors are counted as packet.h says, and those of other media not at all:
 * lba says which. */
void ata_identify_parse(const u8 *data, bool packet, struct ata_identity *id);

/* What the filter is told of such a device. */
void ata_identify_block(const struct ata_identity *id, struct block_id *block);

/* Takes out what a protected device refuses, so that no OS tries it. @queued:
 * there is NCQ. */
void ata_identify_adjust(u8 *data, const struct ata_options *options,
			 bool queued);

/* The same of IDENTIFY PACKET DEVICE data (ATA-7 volume 1, 6.18). */
void ata_identify_adjust_packet(u8 *data, const struct ata_options *options);

#endif

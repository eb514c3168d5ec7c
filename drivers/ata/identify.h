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

void ata_identify_parse(const u8 *data, struct ata_identity *id);

/* Takes out what a protected device refuses, so that no OS tries it. @queued:
 * there is NCQ. */
void ata_identify_adjust(u8 *data, const struct ata_options *options,
			 bool queued);

/* The same of IDENTIFY PACKET DEVICE data (ATA-7 volume 1, 6.18). */
void ata_identify_adjust_packet(u8 *data, const struct ata_options *options);

#endif

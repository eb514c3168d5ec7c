#include "drivers/ata/command.h"

#include "core/lib/errors.h"
#include "core/lib/range.h"

#define PASS_NONDATA                         \
	{                                    \
		ATA_NONDATA, ATA_PASS, false \
	}
#define PASS_EXT                            \
	{                                   \
		ATA_NONDATA, ATA_PASS, true \
	}
#define USER(class)                          \
	{                                    \
		ATA_##class, ATA_USER, false \
	}
#define USER_EXT(class)                     \
	{                                   \
		ATA_##class, ATA_USER, true \
	}
#define REFUSE(class)                          \
	{                                      \
		ATA_##class, ATA_REFUSE, false \
	}
#define REFUSE_EXT(class)                     \
	{                                     \
		ATA_##class, ATA_REFUSE, true \
	}

/*
 * What is not listed is unknown and refused: reserved and vendor specific
 * codes (80-8F, 9A, C0-C3, F0, F7, FA-FF and others).
 *
 * A refused code has its true class all the same, for devices that no rule
 * protects: their DMA is looked at too.
 */
static const struct ata_command commands[256] = {
	[0x00] = PASS_NONDATA, /* NOP */
	[0x03] = PASS_NONDATA, /* CFA REQUEST EXTENDED ERROR */
	[0x06] = { ATA_DMA_OUT, ATA_TRIM, true }, /* DATA SET MANAGEMENT */
	[0x08] = PASS_NONDATA,			  /* DEVICE RESET */
	[0x0B] = PASS_EXT,			  /* REQUEST SENSE DATA EXT */
	[0x10] = PASS_NONDATA,			  /* RECALIBRATE */
	[0x20] = USER(PIO_IN),			  /* READ SECTORS */
	[0x21] = USER(PIO_IN),			  /* ... without retries */
	[0x22] = REFUSE(PIO_IN),		  /* READ LONG */
	[0x23] = REFUSE(PIO_IN),
	[0x24] = USER_EXT(PIO_IN),		 /* READ SECTORS EXT */
	[0x25] = USER_EXT(DMA_IN),		 /* READ DMA EXT */
	[0x26] = REFUSE_EXT(DMA_IN),		 /* READ DMA QUEUED EXT */
	[0x27] = PASS_EXT,			 /* READ NATIVE MAX EXT */
	[0x29] = USER_EXT(PIO_IN),		 /* READ MULTIPLE EXT */
	[0x2A] = REFUSE_EXT(DMA_IN),		 /* READ STREAM DMA EXT */
	[0x2B] = REFUSE_EXT(PIO_IN),		 /* READ STREAM EXT */
	[0x2F] = { ATA_PIO_IN, ATA_PASS, true }, /* READ LOG EXT */
	[0x30] = USER(PIO_OUT),			 /* WRITE SECTORS */
	[0x31] = USER(PIO_OUT),			 /* ... without retries */
	[0x32] = REFUSE(PIO_OUT),		 /* WRITE LONG */
	[0x33] = REFUSE(PIO_OUT),
	[0x34] = USER_EXT(PIO_OUT),		   /* WRITE SECTORS EXT */
	[0x35] = USER_EXT(DMA_OUT),		   /* WRITE DMA EXT */
	[0x36] = REFUSE_EXT(DMA_OUT),		   /* WRITE DMA QUEUED EXT */
	[0x37] = REFUSE_EXT(NONDATA),		   /* SET MAX ADDRESS EXT */
	[0x38] = REFUSE(PIO_OUT),		   /* CFA WRITE W/O ERASE */
	[0x39] = USER_EXT(PIO_OUT),		   /* WRITE MULTIPLE EXT */
	[0x3A] = REFUSE_EXT(DMA_OUT),		   /* WRITE STREAM DMA EXT */
	[0x3B] = REFUSE_EXT(PIO_OUT),		   /* WRITE STREAM EXT */
	[0x3C] = USER(PIO_OUT),			   /* WRITE VERIFY */
	[0x3D] = USER_EXT(DMA_OUT),		   /* WRITE DMA FUA EXT */
	[0x3E] = REFUSE_EXT(DMA_OUT),		   /* ... QUEUED FUA EXT */
	[0x3F] = REFUSE_EXT(PIO_OUT),		   /* WRITE LOG EXT (SCT) */
	[0x40] = USER(NONDATA),			   /* READ VERIFY SECTORS */
	[0x41] = USER(NONDATA),			   /* ... without retries */
	[0x42] = USER_EXT(NONDATA),		   /* READ VERIFY SECTORS EXT */
	[0x45] = REFUSE_EXT(NONDATA),		   /* WRITE UNCORRECTABLE EXT */
	[0x47] = REFUSE_EXT(DMA_IN),		   /* READ LOG DMA EXT */
	[0x4A] = { ATA_DMA_IN, ATA_PASS, true },   /* ZAC MANAGEMENT IN */
	[0x50] = REFUSE(PIO_OUT),		   /* FORMAT TRACK */
	[0x51] = REFUSE_EXT(NONDATA),		   /* CONFIGURE STREAM */
	[0x57] = REFUSE_EXT(DMA_OUT),		   /* WRITE LOG DMA EXT */
	[0x5B] = REFUSE(NONDATA),		   /* TRUSTED NON-DATA */
	[0x5C] = REFUSE(PIO_IN),		   /* TRUSTED RECEIVE */
	[0x5D] = REFUSE(DMA_IN),		   /* TRUSTED RECEIVE DMA */
	[0x5E] = REFUSE(PIO_OUT),		   /* TRUSTED SEND */
	[0x5F] = REFUSE(DMA_OUT),		   /* TRUSTED SEND DMA */
	[0x60] = { ATA_DMA_IN, ATA_QUEUED, true }, /* READ FPDMA QUEUED */
	[0x61] = { ATA_DMA_OUT, ATA_QUEUED, true }, /* WRITE FPDMA QUEUED */
	[0x63] = { ATA_NONDATA, ATA_QUEUED, true }, /* NCQ NON-DATA */
	[0x64] = REFUSE_EXT(DMA_OUT),		    /* SEND FPDMA QUEUED */
	[0x65] = REFUSE_EXT(DMA_IN),		    /* RECEIVE FPDMA QUEUED */
	[0x70] = PASS_NONDATA,			    /* SEEK */
	[0x87] = REFUSE(PIO_IN),		    /* CFA TRANSLATE SECTOR */
	[0x90] = PASS_NONDATA,	      /* EXECUTE DEVICE DIAGNOSTIC */
	[0x91] = PASS_NONDATA,	      /* INIT DEVICE PARAMETERS */
	[0x92] = REFUSE(PIO_OUT),     /* DOWNLOAD MICROCODE */
	[0x93] = REFUSE(DMA_OUT),     /* DOWNLOAD MICROCODE DMA */
	[0x94] = PASS_NONDATA,	      /* STANDBY IMMEDIATE, retired */
	[0x95] = PASS_NONDATA,	      /* IDLE IMMEDIATE, retired */
	[0x96] = REFUSE_EXT(NONDATA), /* MUTATE EXT; STANDBY, retired */
	[0x97] = PASS_NONDATA,	      /* IDLE, retired */
	[0x98] = PASS_NONDATA,	      /* CHECK POWER MODE, retired */
	[0x99] = PASS_NONDATA,	      /* SLEEP, retired */
	[0x9F] = { ATA_NONDATA, ATA_ERASE, true }, /* ZAC MANAGEMENT OUT */
	[0xA0] = REFUSE(PACKET),		   /* PACKET */
	[0xA1] = REFUSE(PIO_IN),		   /* IDENTIFY PACKET DEVICE */
	[0xA2] = REFUSE(PACKET),		   /* SERVICE */
	[0xB0] = { ATA_PIO_IN, ATA_CHECK, false }, /* SMART */
	[0xB1] = REFUSE(PIO_OUT),		   /* DEVICE CONFIGURATION */
	[0xB4] = { ATA_NONDATA, ATA_ERASE, true }, /* SANITIZE DEVICE */
	[0xB6] = REFUSE_EXT(DMA_OUT),		   /* NV CACHE */
	[0xC4] = USER(PIO_IN),			   /* READ MULTIPLE */
	[0xC5] = USER(PIO_OUT),			   /* WRITE MULTIPLE */
	[0xC6] = PASS_NONDATA,			   /* SET MULTIPLE MODE */
	[0xC7] = REFUSE(DMA_IN),		   /* READ DMA QUEUED */
	[0xC8] = USER(DMA_IN),			   /* READ DMA */
	[0xC9] = USER(DMA_IN),			   /* ... without retries */
	[0xCA] = USER(DMA_OUT),			   /* WRITE DMA */
	[0xCB] = USER(DMA_OUT),			   /* ... without retries */
	[0xCC] = REFUSE(DMA_OUT),		   /* WRITE DMA QUEUED */
	[0xCD] = REFUSE(PIO_OUT),   /* CFA WRITE MULTIPLE W/O ERASE */
	[0xCE] = USER_EXT(PIO_OUT), /* WRITE MULTIPLE FUA EXT */
	[0xDA] = PASS_NONDATA,	    /* GET MEDIA STATUS */
	[0xDE] = PASS_NONDATA,	    /* MEDIA LOCK */
	[0xDF] = PASS_NONDATA,	    /* MEDIA UNLOCK */
	[0xE0] = PASS_NONDATA,	    /* STANDBY IMMEDIATE */
	[0xE1] = PASS_NONDATA,	    /* IDLE IMMEDIATE */
	[0xE2] = PASS_NONDATA,	    /* STANDBY */
	[0xE3] = PASS_NONDATA,	    /* IDLE */
	[0xE4] = REFUSE(PIO_IN),    /* READ BUFFER */
	[0xE5] = PASS_NONDATA,	    /* CHECK POWER MODE */
	[0xE6] = PASS_NONDATA,	    /* SLEEP */
	[0xE7] = PASS_NONDATA,	    /* FLUSH CACHE */
	[0xE8] = REFUSE(PIO_OUT),   /* WRITE BUFFER */
	[0xE9] = REFUSE(DMA_IN),    /* READ BUFFER DMA, WRITE SAME */
	[0xEA] = PASS_EXT,	    /* FLUSH CACHE EXT */
	[0xEB] = REFUSE(DMA_OUT),   /* WRITE BUFFER DMA */
	[0xEC] = { ATA_PIO_IN, ATA_IDENTIFY, false }, /* IDENTIFY DEVICE */
	[0xEE] = REFUSE(DMA_IN),		      /* IDENTIFY DEVICE DMA */
	[0xEF] = { ATA_NONDATA, ATA_CHECK, false },   /* SET FEATURES */
	[0xF1] = { ATA_PIO_OUT, ATA_ERASE, false }, /* SECURITY SET PASSWORD */
	[0xF2] = { ATA_PIO_OUT, ATA_ERASE, false }, /* SECURITY UNLOCK */
	[0xF3] = { ATA_NONDATA, ATA_ERASE, false }, /* SECURITY ERASE PREPARE */
	[0xF4] = { ATA_PIO_OUT, ATA_ERASE, false }, /* SECURITY ERASE UNIT */
	[0xF5] = PASS_NONDATA,			    /* SECURITY FREEZE LOCK */
	[0xF6] = { ATA_PIO_OUT, ATA_ERASE,
		   false },	  /* SECURITY DISABLE PASSWORD */
	[0xF8] = PASS_NONDATA,	  /* READ NATIVE MAX ADDRESS */
	[0xF9] = REFUSE(NONDATA), /* SET MAX */
};

const struct ata_command *ata_command(u8 code)
{
	return &commands[code];
}

/* ACS-2, 7.52 and 7.45: no log pages out (SCT), no thresholds (retired, D7h);
 * no address offset. Serial ATA 3.x: no offset in a DMA set-up frame (feature
 * 10h, 01h), where an HBA of AHCI would begin at the start of its list. ACS-4,
 * 7.20: of NCQ NON-DATA, what is about commands alone. ATA-2 and CF+: no PIO
 * by bytes (feature 01h), where of each word half would be lost. */
static bool subcommand_refused(u8 code, const struct ata_taskfile *tf)
{
	u8 features = tf->cur[ATA_FEATURES];

	switch (code) {
	case 0xB0:
		return features < 0xD0 || features > 0xDB ||
		       (features & ~1) == 0xD6;
	case 0xEF:
		return features == 0x01 || features == 0x09 ||
		       features == 0x89 ||
		       (features == 0x10 && tf->cur[ATA_COUNT] == 0x01);
	case 0x63:
		return (features & 0xF) > 1;
	default:
		return false;
	}
}

enum ata_policy ata_decide(const struct ata_taskfile *tf, u8 code,
			   const struct ata_options *options, bool queued)
{
	enum ata_policy policy = commands[code].policy;

	if (subcommand_refused(code, tf))
		return ATA_REFUSE;
	switch (policy) {
	case ATA_QUEUED:
		return queued ? ATA_QUEUED : ATA_REFUSE;
	case ATA_TRIM:
		return options->no_trim ? ATA_REFUSE : ATA_PASS;
	case ATA_ERASE:
		return options->erase ? ATA_PASS : ATA_REFUSE;
	case ATA_CHECK:
		return ATA_PASS;
	default:
		return policy;
	}
}

static u32 lba24(const u8 *reg)
{
	return reg[ATA_LBA_LOW] | reg[ATA_LBA_MID] << 8 |
	       (u32)reg[ATA_LBA_HIGH] << 16;
}

/* ATA-5, 6.2: sectors count from 1, heads and cylinders from 0. */
static int chs_to_lba(const u8 *reg, const struct ata_geometry *g, u64 *lba)
{
	u32 cylinder = reg[ATA_LBA_MID] | reg[ATA_LBA_HIGH] << 8;
	u32 head = reg[ATA_DEVICE] & 0xF;
	u32 sector = reg[ATA_LBA_LOW];

	if (!sector || sector > g->sectors || head >= g->heads)
		return -EINVAL;
	*lba = ((u64)cylinder * g->heads + head) * g->sectors + sector - 1;
	return 0;
}

int ata_range(const struct ata_taskfile *tf, bool ext,
	      const struct ata_geometry *geometry, u64 *lba, u32 *count)
{
	u64 end = ext ? BIT(48) : BIT(28);

	*count = tf->cur[ATA_COUNT] | (ext ? tf->hob[ATA_COUNT] << 8 : 0);
	if (!*count)
		*count = ext ? 65536 : 256;
	*lba = lba24(tf->cur);
	if (ext)
		*lba |= (u64)lba24(tf->hob) << 24;
	else if (tf->cur[ATA_DEVICE] & ATA_LBA)
		*lba |= (u32)(tf->cur[ATA_DEVICE] & 0xF) << 24;
	else if (chs_to_lba(tf->cur, geometry, lba))
		return -EINVAL;
	return range_ok(*lba, *count, end) ? 0 : -EINVAL;
}

static void set_lba24(u8 *reg, u32 lba)
{
	reg[ATA_LBA_LOW] = lba & 0xFF;
	reg[ATA_LBA_MID] = lba >> 8 & 0xFF;
	reg[ATA_LBA_HIGH] = lba >> 16 & 0xFF;
}

void ata_set_range(struct ata_taskfile *tf, bool ext, u64 lba, u32 count)
{
	tf->cur[ATA_COUNT] = count & 0xFF;
	set_lba24(tf->cur, (u32)(lba & 0xFFFFFF));
	tf->cur[ATA_DEVICE] = (tf->cur[ATA_DEVICE] & 0xF0) | ATA_LBA;
	if (ext) {
		tf->hob[ATA_COUNT] = count >> 8 & 0xFF;
		set_lba24(tf->hob, (u32)(lba >> 24 & 0xFFFFFF));
	} else {
		tf->cur[ATA_DEVICE] |= lba >> 24 & 0xF;
	}
}

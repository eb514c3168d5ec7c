#include "drivers/ata/packet.h"

#include "core/lib/bytes.h"
#include "core/lib/string.h"

/* How the LBA and the number of sectors are written in the block. */
enum form {
	PLAIN,
	BLOCKS16, /* LBA in bytes 2-5, count in 7-8: READ(10) and its like */
	BLOCKS32, /* LBA in bytes 2-5, count in 6-9: READ(12) and its like */
	READ_CD,  /* MMC-6, 6.19: LBA in bytes 2-5, count in 6-8 */
};

struct entry {
	u8 policy;
	u8 direction;
	u8 form;
	u8 none; /* bits of byte 1 that must be clear */
};

#define PASS(direction)                               \
	{                                             \
		PACKET_PASS, PACKET_##direction, 0, 0 \
	}
#define USER(direction, form)                                 \
	{                                                     \
		PACKET_USER, PACKET_##direction, form, RELADR \
	}
#define RELADR 0x01 /* SBC: relative to the last search */
#define BYTCHK 0x06 /* compares with data that is sent */

/*
 * What is not listed is refused: vendor specific and reserved codes, and
 *  - other ways to data and to the drive's buffer: READ and WRITE(6), READ CD
 *    MSF (B9), READ MASTER CUE (59), READ and WRITE BUFFER (3C, 3B: microcode,
 *    too), RECEIVE and SEND DIAGNOSTIC (1C, 1D), LOG SELECT (4C), SECURITY
 *    PROTOCOL IN and OUT (A2, B5), WRITE AND VERIFY(12) (AE);
 *  - what brings data to the disc beside its sectors, or sectors of another
 *    form: SEND CUE SHEET (5D), SEND DISC STRUCTURE (BF);
 *  - what destroys the data of a whole disc: FORMAT UNIT (04), BLANK (A1),
 *    ERASE(10) (2C);
 *  - SEND KEY (A3): sets the drive's region for ever, or agrees on a cipher
 *    between drive and host under which sectors are no longer those on disc.
 * MODE SELECT, SEND OPC and SET STREAMING pass although they send data: a few
 * settings for writing without which no disc can be written. If they choose
 * sectors of another size, transfers come out at the wrong length and fail;
 * what reaches the disc is still encrypted.
 */
static const struct entry entries[256] = {
	[0x00] = PASS(NONE), /* TEST UNIT READY */
	[0x01] = PASS(NONE), /* REZERO UNIT, retired */
	[0x03] = { PACKET_SENSE, PACKET_IN, 0, 0 },
	[0x12] = PASS(IN),	      /* INQUIRY */
	[0x15] = PASS(OUT),	      /* MODE SELECT(6) */
	[0x1A] = PASS(IN),	      /* MODE SENSE(6) */
	[0x1B] = PASS(NONE),	      /* START STOP UNIT */
	[0x1E] = PASS(NONE),	      /* PREVENT ALLOW MEDIUM REMOVAL */
	[0x23] = PASS(IN),	      /* READ FORMAT CAPACITIES */
	[0x25] = PASS(IN),	      /* READ CAPACITY */
	[0x28] = USER(IN, BLOCKS16),  /* READ(10) */
	[0x2A] = USER(OUT, BLOCKS16), /* WRITE(10) */
	[0x2B] = PASS(NONE),	      /* SEEK(10) */
	[0x2E] = USER(OUT, BLOCKS16), /* WRITE AND VERIFY(10) */
	[0x2F] = { PACKET_PASS, PACKET_NONE, PLAIN, BYTCHK }, /* VERIFY(10) */
	[0x35] = PASS(NONE),	      /* SYNCHRONIZE CACHE */
	[0x42] = PASS(IN),	      /* READ SUB-CHANNEL */
	[0x43] = PASS(IN),	      /* READ TOC/PMA/ATIP */
	[0x44] = PASS(IN),	      /* READ HEADER, retired: an address */
	[0x45] = PASS(NONE),	      /* PLAY AUDIO(10) */
	[0x46] = PASS(IN),	      /* GET CONFIGURATION */
	[0x47] = PASS(NONE),	      /* PLAY AUDIO MSF */
	[0x4A] = PASS(IN),	      /* GET EVENT STATUS NOTIFICATION */
	[0x4B] = PASS(NONE),	      /* PAUSE/RESUME */
	[0x4D] = PASS(IN),	      /* LOG SENSE */
	[0x4E] = PASS(NONE),	      /* STOP PLAY/SCAN */
	[0x51] = PASS(IN),	      /* READ DISC INFORMATION */
	[0x52] = PASS(IN),	      /* READ TRACK INFORMATION */
	[0x53] = PASS(NONE),	      /* RESERVE TRACK */
	[0x54] = PASS(OUT),	      /* SEND OPC INFORMATION */
	[0x55] = PASS(OUT),	      /* MODE SELECT(10) */
	[0x58] = PASS(NONE),	      /* REPAIR TRACK */
	[0x5A] = PASS(IN),	      /* MODE SENSE(10) */
	[0x5B] = PASS(NONE),	      /* CLOSE TRACK SESSION */
	[0x5C] = PASS(IN),	      /* READ BUFFER CAPACITY */
	[0xA0] = PASS(IN),	      /* REPORT LUNS */
	[0xA4] = PASS(IN),	      /* REPORT KEY: the region, challenges */
	[0xA5] = PASS(NONE),	      /* PLAY AUDIO(12) */
	[0xA6] = PASS(NONE),	      /* LOAD/UNLOAD MEDIUM */
	[0xA7] = PASS(NONE),	      /* SET READ AHEAD */
	[0xA8] = USER(IN, BLOCKS32),  /* READ(12) */
	[0xAA] = USER(OUT, BLOCKS32), /* WRITE(12) */
	[0xAC] = PASS(IN),	      /* GET PERFORMANCE */
	[0xAD] = PASS(IN),	      /* READ DISC STRUCTURE */
	[0xB6] = PASS(OUT),	      /* SET STREAMING */
	[0xBA] = PASS(NONE),	      /* SCAN */
	[0xBB] = PASS(NONE),	      /* SET CD SPEED */
	[0xBD] = PASS(IN),	      /* MECHANISM STATUS */
	[0xBE] = USER(IN, READ_CD),
};

static void refuse(struct packet *p, u8 asc)
{
	p->policy = PACKET_REFUSE;
	p->direction = PACKET_NONE;
	p->sense = (struct packet_sense){ 0x05, asc, 0x00 };
}

/*
 * User data of 2,048 bytes and nothing beside: byte 9 selects user data only,
 * byte 10 no sub-channel; byte 1 says mode 1 or mode 2 form 1. Any type of
 * sector would be of any size. ILLEGAL MODE FOR THIS TRACK for the others.
 */
static u8 read_cd_refused(const u8 *cdb)
{
	u8 type = cdb[1] >> 2 & 7;

	if (cdb[9] != 0x10 || cdb[10] & 7)
		return 0x24;
	return type == 2 || type == 4 ? 0 : 0x64;
}

static u32 sectors(const u8 *cdb, u8 form)
{
	if (form == BLOCKS32)
		return load_be32(cdb + 6);
	return load_be16(cdb + 7) | (form == READ_CD ? (u32)cdb[6] << 16 : 0);
}

/* No disc reaches 2^30 sectors: negative addresses (lead-in) lie there. One
 * command moves 32 MiB at most, as the largest ATA command. */
static void decide_user(const u8 *cdb, const struct entry *e, struct packet *p)
{
	u32 lba = load_be32(cdb + 2), n = sectors(cdb, e->form);
	u8 asc = e->form == READ_CD ? read_cd_refused(cdb) : 0;

	if (asc) {
		refuse(p, asc);
	} else if (lba >= BIT(30)) {
		refuse(p, 0x21); /* LOGICAL BLOCK ADDRESS OUT OF RANGE */
	} else if (n > 65536 / 4) {
		refuse(p, 0x24);
	} else if (!n) {
		p->policy = PACKET_PASS;
		p->direction = PACKET_NONE;
	} else {
		p->lba = (u64)lba * 4;
		p->count = n * 4;
	}
}

void packet_decide(const u8 *cdb, struct packet *p)
{
	const struct entry *e = &entries[cdb[0]];

	*p = (struct packet){ .policy = e->policy, .direction = e->direction };
	if (e->policy == PACKET_REFUSE)
		refuse(p, 0x20); /* INVALID COMMAND OPERATION CODE */
	else if (cdb[1] & e->none)
		refuse(p, 0x24); /* INVALID FIELD IN CDB */
	else if (e->policy == PACKET_USER)
		decide_user(cdb, e, p);
}

/* A packet device aborts the commands that address sectors of a disk; to
 * IDENTIFY DEVICE it shows its signature. */
enum ata_policy packet_ata_policy(u8 code, enum ata_policy policy)
{
	if (code == ATA_PACKET_CMD)
		return ATA_CDB;
	if (code == ATA_IDENTIFY_PACKET)
		return ATA_IDENTIFY;
	return policy == ATA_PASS || policy == ATA_IDENTIFY ? policy
							    : ATA_REFUSE;
}

/* SPC-4, annex E, gives 1Fh to no type of device. */
void packet_replace(u8 cdb[PACKET_CDB_MAX])
{
	memset(cdb, 0, PACKET_CDB_MAX);
	cdb[0] = 0x1F;
}

/* SPC-4, 4.5.2 and 4.5.3: response codes 72h (descriptors) and 70h (fixed). */
void packet_sense_fix(const struct packet_sense *sense, u8 *data, u32 len)
{
	bool fixed = len && (data[0] & 0x7F) == 0x70;
	u8 *key = data + (fixed ? 2 : 1), *asc = data + (fixed ? 12 : 2);

	if (len < (fixed ? 14 : 4) || (!fixed && (data[0] & 0x7F) != 0x72) ||
	    (*key & 0xF) != 0x05 || asc[0] != 0x20 || asc[1])
		return;
	*key = (*key & 0xF0) | sense->key;
	asc[0] = sense->asc;
	asc[1] = sense->ascq;
}

/* The error register has the sense key in bits 7:4. NOT READY and UNIT
 * ATTENTION come before any data. */
bool packet_moved(u8 error)
{
	return error >> 4 != 0x02 && error >> 4 != 0x06;
}

/* Below a unit it stays: user data is refused then. */
u16 packet_limit(u16 limit)
{
	return limit < PACKET_UNIT ? limit : limit & ~(PACKET_UNIT - 1);
}

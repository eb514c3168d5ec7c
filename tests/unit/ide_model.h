/*
 * A model of a bus-master IDE channel with two devices, at register level,
 * written from ATA-7 volume 2 and the PIIX4 datasheet. It stands in for
 * hw_in() and its like, for guest memory and for hidden memory.
 *
 * Time passes in model_tick(), and by one tick at each read of a status.
 */
#ifndef TESTS_UNIT_IDE_MODEL_H
#define TESTS_UNIT_IDE_MODEL_H

#include "tests/unit/model_memory.h"

#define MODEL_BASE   0x1F0
#define MODEL_CTL    0x3F6
#define MODEL_BM     0xC000
#define MODEL_RAM    0x400000 /* guest RAM is below, hidden memory above */
#define MODEL_MEMORY 0x800000

enum model_phase {
	M_IDLE,
	M_PIO_IN,
	M_PIO_OUT,
	M_DMA_IN,
	M_DMA_OUT
};

struct model_device {
	bool present;
	bool atapi;
	u8 mute; /* IDENTIFY DEVICE ends with this status, if not 0 */
	bool no_lba;
	bool narrow; /* data goes by the lower half of the data port only */
	u32 sector;  /* bytes of a logical sector */
	u64 capacity;
	u8 heads, spt;
	u8 multiple;
	u64 bad_lba; /* fails there with UNC or IDNF; ~0: nowhere */
	u8 *disk;    /* MODEL_IMAGE bytes */
	/* Told of each sector before it is written, of 512 bytes if it is a
	 * packet device's. */
	void (*on_write)(u64 lba, const u8 *data);

	u8 cur[8], hob[8]; /* features to LBA high */
	u8 status, error;
	bool pending; /* an interrupt that the status has not been read for */
	u8 command;
	enum model_phase phase;
	u32 busy;      /* ticks until the device goes on */
	u32 disturbed; /* writes to its registers while it is busy */
	u32 stale;     /* reads of the status that tell the one before */
	u64 lba;
	u32 left;  /* sectors not yet in buf, or not yet on the disk */
	u32 block; /* sectors of a DRQ block */
	u32 pos, len;
	u8 buf[128 * 512];
	/* a packet device: ide_model_packet.c */
	u8 type;	 /* 5: CD or DVD */
	u8 key, asc;	 /* sense data */
	bool attention;	 /* UNIT ATTENTION is to be told */
	u16 odd_blocks;	 /* DRQ blocks of that many bytes, if not 0 */
	u8 cdb[12];	 /* the last one */
	u32 cdbs;	 /* how many there were */
	u32 total, done; /* bytes of the transfer */
	bool by_dma, reply;
};

struct model {
	struct model_device dev[2];
	u8 device; /* the device register */
	u8 zeros;  /* bits of it that cannot be set */
	u8 control;
	bool intrq;
	u32 interrupts;
	/* the bus master */
	u8 bm_command, bm_status;
	u32 bm_prd;
	bool running, last; /* last: the PRD in hand has the end bit */
	u32 next, addr, bytes;
	/* what a test wants to know */
	u32 ignored; /* commands written while busy */
	u32 wrong_direction;
	u32 scratch;	    /* two bytes of hidden memory that do not count */
	u32 hidden_written; /* bytes the engine wrote to the rest of it */
	u32 commands;
	/* words at the data port by DMA, the wrong way, or out of turn */
	u32 stray;
	u32 elsewhere; /* writes to ports that are not the channel's */
	u32 polls;     /* reads of the bus master's status */
	u32 dirty_from, dirty_to; /* where the engine wrote */
	u32 max_busy;
	bool off;	/* neither command block nor control block is decoded */
	u32 lost;	/* accesses to them while that was so */
	bool deaf;	/* the control register is not written */
	bool heeds;	/* a selection counts while a device is busy */
	bool secondary; /* at 170h, 376h and the second half of the bus master */
	u32 delay;	/* reads of a status until a command shows there */
	bool strict; /* an access that is not of its register's size aborts */
	void (*on_engine)(void); /* told of each write to the bus master */
	u8 memory[MODEL_MEMORY] __attribute__((aligned(4096)));
};

extern struct model model;

void model_init(void);
/* The same, but for what is in memory and on the disks. */
void model_power_on(void);
void model_tick(void);

/* ---- between the model's own files ---- */

void model_finish(struct model_device *d, u8 status, u8 error);
void model_go_busy(struct model_device *d);
bool model_sector_bad(struct model_device *d, u64 lba);
/* A CDB has come, a DRQ block begins, it has been moved. */
void model_cdb(struct model_device *d);
void model_block(struct model_device *d);
void model_block_moved(struct model_device *d);
/* CHECK CONDITION */
void model_check(struct model_device *d, u8 key, u8 asc);

/* The place of a sector in the image; NULL if none is kept. */
u8 *model_sector(struct model_device *dev, u64 lba);

#endif

/*
 * One IDE channel whose device a rule protects (ATA-7 volume 2; "Programming
 * Interface for Bus Master IDE Controller" 1.0; PIIX4 datasheet, 2.4).
 *
 * The guest's driver drives the controller; we see its accesses to the command
 * block and to the PRD pointer. The task file is kept as the guest wrote it;
 * a command is decided from that copy, and the copy is written to the device
 * again before the command: what is executed is what was decided, whatever a
 * device says of its registers.
 *
 * The control block and the rest of the bus master's registers are the
 * guest's own but for short times. That is safe because the bus master's PRD
 * pointer only ever holds a list of ours: of checked addresses, or an empty
 * one, and because every command that could use it passes through here.
 */
#ifndef DRIVERS_ATA_IDE_H
#define DRIVERS_ATA_IDE_H

#include "core/io/block.h"
#include "core/io/port.h"
#include "core/lib/lock.h"
#include "core/lib/log.h"
#include "drivers/ata/command.h"
#include "drivers/ata/packet.h"

/* A list must not cross a 64 KiB boundary: PIIX4, 2.4.1. */
#define IDE_PRD_MAX 8192
/* Data of one write in flight; larger commands are split. The largest that
 * Linux makes by default is not. */
#define IDE_BOUNCE_PAGES 320
#define IDE_SECTOR_MAX	 4096

enum ide_bm_reg {
	BMICX = 0,	/* command */
	BMISX = 2,	/* status */
	BMIDTPX = 4,	/* descriptor table pointer */
	BMICX_SSBM = 1, /* start */
	BMISX_ACTIVE = 1,
	BMISX_ERROR = 2, /* written 1: cleared */
	BMISX_INTR = 4,	 /* the same */
};

#define IDE_CTL_SRST 0x04
#define IDE_CTL_NIEN 0x02

struct ide_prd { /* PIIX4, 2.4.1 */
	le32 base;
	le16 bytes; /* 0: 65536 */
	le16 flags; /* bit 15: the last one */
};
static_assert(sizeof(struct ide_prd) == 8, "PIIX4, 2.4.1");

struct ide_unit {
	struct block_dev *dev; /* NULL: no rule, all passes */
	u32 sector_size;       /* 0: unknown, user data is refused */
	u8 packet;	       /* bytes of a CDB; 0: no packet device */
	struct ata_geometry geometry;
	struct packet_sense sense; /* of the last command, if it was refused */
};

/* A command as it was decided. */
struct ide_request {
	struct ata_taskfile tf;
	u8 code;
	u8 unit;
	u8 packet; /* the command is these bytes of cdb, for PACKET; or 0 */
	u8 cdb[PACKET_CDB_MAX];
	struct packet_sense sense; /* goes into what REQUEST SENSE returns */
	bool ext;
	bool out;
	bool mediated; /* data goes through the filter: lba, count count */
	u64 lba;
	u32 count;
};

enum ide_pio_kind {
	PIO_NONE,
	PIO_PLAIN_OUT, /* the guest's data goes to the device as it is */
	PIO_IDENTIFY,
	PIO_CDB, /* the device waits for the CDB of channel.packet */
	PIO_SENSE,
	PIO_READ,
	PIO_WRITE,
};

struct ide_pio {
	enum ide_pio_kind kind;
	u8 unit;
	u8 status; /* of the device when it gave what is in data[] */
	u64 lba;
	u32 left;  /* sectors that the device has yet to move */
	u32 block; /* of a packet device: bytes left of its DRQ block */
	u32 pos;   /* bytes the guest has read or written of data[] */
	u32 fill;  /* bytes in data[] for the guest to read */
	u8 data[IDE_SECTOR_MAX];
};

/* What a start of the engine means; unless idle, BMICX is hooked. */
enum ide_armed {
	IDE_IDLE,
	IDE_ARMED_COMMAND, /* dma.rq is sent first */
	IDE_ARMED_LIST,	   /* the list is looked at first */
	IDE_ARMED_ONCE,	   /* no second start for this command */
	IDE_ARMED_NEVER,   /* no start */
};

struct ide_dma {
	enum ide_armed armed;
	bool active; /* dma.rq has been sent and its end not been seen */
	bool watch;  /* a reset by the guest must be seen */
	bool fresh;  /* prd was written since the last command */
	u32 prd;     /* as the guest wrote it */
	struct ide_request rq;
	u32 length; /* sectors of rq that the guest's list holds */
	u32 sent;   /* of them, with the device now or before */
	struct sg_list sg;
	struct ide_prd *table;
	u8 *bounce;
	hpa_t table_pa, bounce_pa, empty_pa;
};

struct ide_channel {
	struct lock lock; /* all below; never held into core/io/pci.h */
	const struct block_filter *filter;
	struct ata_options options;
	u16 base, control, bm; /* ports; 0: not decoded */
	u32 spins;	       /* bound of a wait, in port reads */
	bool has_engine;       /* bm has been there */
	struct ide_unit unit[2];
	struct ata_taskfile tf;
	struct ide_request packet; /* PACKET, until the guest has sent a CDB */
	struct ide_pio pio;
	struct ide_dma dma;
	struct port_hook command_hook, control_hook, start_hook, prd_hook;
	struct log_limit refused, dropped;
};

/*
 * Protects the channel from now on. The caller has filled in filter, spins
 * and unit[], left the hooks 0, and keeps the channel for ever. -ENOMEM.
 */
int ide_channel_start(struct ide_channel *ch) must_check;

/* The channel's ports have moved. The lock is held, or the guest does not run
 * yet. */
void ide_channel_place(struct ide_channel *ch, u16 base, u16 control, u16 bm);

/* ---- between the channel's own files; the lock is held ---- */

static inline u8 ide_selected(const struct ide_channel *ch)
{
	return ch->tf.cur[ATA_DEVICE] & ATA_DEV1 ? 1 : 0;
}

/* Sets the hooks as the state asks. */
void ide_hooks_update(struct ide_channel *ch);

/* The whole task file and then the command; or the CDB. */
void ide_send(struct ide_channel *ch, const struct ide_request *rq);

/* Lets the device answer as to a command it does not know; @sense is the
 * reason if the command is a CDB. */
void ide_refuse(struct ide_channel *ch, const struct ide_request *rq,
		struct packet_sense sense);

/* ide_packet.c */
void ide_packet_begin(struct ide_channel *ch, struct ide_request *rq);

/* The CDB is in pio.data[]. */
void ide_packet_cdb(struct ide_channel *ch);

/* The bytes the device's DRQ block has left, at least @least; or 0. */
u32 ide_packet_block(struct ide_channel *ch, u32 least);

/* Puts dma.rq.sense into the sense data in guest memory. */
void ide_packet_sense(struct ide_channel *ch);

/* ide_pio.c */
void ide_pio_begin(struct ide_channel *ch, enum ide_pio_kind kind,
		   const struct ide_request *rq);
void ide_pio_data(struct ide_channel *ch, const struct port_io *io);

/* True while the guest is in the middle of data the device has delivered:
 * then the status is pio.status. */
static inline bool ide_pio_partial(const struct ide_channel *ch)
{
	return ch->pio.pos < ch->pio.fill && ch->pio.unit == ide_selected(ch);
}

/* True while a CDB that has come waits for the engine's start, and the device
 * for the CDB. */
static inline bool ide_cdb_waits(const struct ide_channel *ch)
{
	return ch->dma.armed == IDE_ARMED_COMMAND && ch->dma.rq.packet;
}

/* ide_dma.c */
int ide_dma_init(struct ide_channel *ch) must_check;

/* Sends the command of @rq, now or when the engine is started. */
void ide_dma_begin(struct ide_channel *ch, const struct ide_request *rq);

/* PACKET with DMA is about to be sent to a device without a rule. */
void ide_dma_packet(struct ide_channel *ch);

/* The engine is reached at other ports, or at the same again: it may have been
 * reset, and its pointer is any. */
void ide_dma_moved(struct ide_channel *ch);

/* A write to BMICX while armed. */
void ide_dma_start_write(struct ide_channel *ch, u8 value);

/*
 * The device of dma.rq shows status @st: does what is left to do if the
 * command has ended. Returns the status the guest shall see.
 */
u8 ide_dma_status(struct ide_channel *ch, u8 st);

#endif

/*
 * PACKET on a protected drive (ATA-7 volume 2, 9.8 and 9.9). The device is
 * told at once that a CDB will come; what the guest then writes is collected
 * and decided, and goes to the device as a whole. From there on the command
 * is as one of a disk, by PIO or DMA.
 *
 * By PIO a DRQ block ends with each interrupt, so the device's blocks have to
 * be the guest's: the limit that the guest sets for them is rounded to whole
 * units of the cipher. Blocks that are not of whole units all the same are
 * not moved, and the guest finds that the command does not end.
 */
#include "core/lib/string.h"
#include "drivers/ata/ide.h"

#define BY_DMA	0x01 /* features */
#define DMA_DIR 0x04

static u16 limit_of(const struct ide_request *rq)
{
	return rq->tf.cur[ATA_LBA_MID] | rq->tf.cur[ATA_LBA_HIGH] << 8;
}

/* Nothing that overlaps: no tag, no bus release. */
void ide_packet_begin(struct ide_channel *ch, struct ide_request *rq)
{
	u16 limit = packet_limit(limit_of(rq));

	rq->tf.cur[ATA_FEATURES] &= BY_DMA | DMA_DIR;
	rq->tf.cur[ATA_COUNT] = 0;
	rq->tf.cur[ATA_LBA_MID] = limit & 0xFF;
	rq->tf.cur[ATA_LBA_HIGH] = limit >> 8;
	ch->packet = *rq;
	ide_pio_begin(ch, PIO_CDB, rq);
	ide_send(ch, rq);
}

static void start_pio(struct ide_channel *ch, const struct ide_request *rq)
{
	enum ide_pio_kind kind = PIO_NONE;

	if (rq->mediated)
		kind = rq->out ? PIO_WRITE : PIO_READ;
	else if (rq->out)
		kind = PIO_PLAIN_OUT;
	else if (rq->sense.key)
		kind = PIO_SENSE;
	ide_pio_begin(ch, kind, rq);
	ide_send(ch, rq);
}

/* False if the user data cannot be moved. */
static bool take_range(struct ide_channel *ch, struct ide_request *rq,
		       const struct packet *p)
{
	const struct ide_unit *unit = &ch->unit[rq->unit];

	rq->lba = p->lba;
	rq->count = p->count;
	if (!unit->sector_size)
		return false;
	rq->mediated = ch->filter->covers(unit->dev, rq->lba, rq->count);
	return !rq->mediated || rq->tf.cur[ATA_FEATURES] & BY_DMA ||
	       limit_of(rq) >= PACKET_UNIT;
}

void ide_packet_cdb(struct ide_channel *ch)
{
	struct ide_request *rq = &ch->packet;
	struct ide_unit *unit = &ch->unit[rq->unit];
	struct packet p;

	rq->packet = unit->packet;
	memcpy(rq->cdb, ch->pio.data, sizeof(rq->cdb));
	packet_decide(rq->cdb, &p);
	rq->out = p.direction == PACKET_OUT;
	if (p.policy == PACKET_SENSE)
		rq->sense = unit->sense;
	unit->sense = (struct packet_sense){ 0 };
	ide_pio_begin(ch, PIO_NONE, rq);
	if (p.policy == PACKET_REFUSE)
		ide_refuse(ch, rq, p.sense);
	else if (p.policy == PACKET_USER && !take_range(ch, rq, &p))
		ide_refuse(ch, rq, PACKET_BAD_FIELD);
	else if (p.direction == PACKET_NONE)
		ide_send(ch, rq);
	else if (rq->tf.cur[ATA_FEATURES] & BY_DMA)
		ide_dma_begin(ch, rq);
	else
		start_pio(ch, rq);
}

/* The byte count is there from a block's start to its end. */
u32 ide_packet_block(struct ide_channel *ch, u32 least)
{
	struct ide_pio *pio = &ch->pio;

	if (!pio->block)
		pio->block = hw_in(ch->base + ATA_LBA_MID, 1) |
			     hw_in(ch->base + ATA_LBA_HIGH, 1) << 8;
	return pio->block < least ? 0 : pio->block;
}

void ide_packet_sense(struct ide_channel *ch)
{
	const struct sg_seg *seg = &ch->dma.sg.seg[0];

	packet_sense_fix(&ch->dma.rq.sense, sg_ptr(seg->gpa, seg->len),
			 seg->len);
}

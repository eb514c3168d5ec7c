/* PACKET at a port: the CDB lies beside the frame (AHCI 1.3.1, 4.2.3.2). */
#include "core/io/dma.h"
#include "core/lib/string.h"
#include "drivers/ata/ahci.h"

#define DMA_BITS 0x05 /* of the features: by DMA, and its direction */

enum ahci_kind ahci_packet_decide(struct ahci_port *p, struct ahci_slot *s)
{
	struct packet packet;

	s->packet = true;
	if (dma_copy_in(s->list - TABLE_PRD + TABLE_CDB, s->cdb,
			sizeof(s->cdb)))
		return AHCI_REFUSE;
	packet_decide(s->cdb, &packet);
	s->data = packet.direction != PACKET_NONE;
	s->out = packet.direction == PACKET_OUT;
	s->sense = packet.policy == PACKET_SENSE ? p->sense : packet.sense;
	p->sense = (struct packet_sense){ 0 };
	if (packet.policy == PACKET_REFUSE)
		return AHCI_REFUSE;
	if (packet.policy != PACKET_USER)
		return AHCI_PASS;
	s->sense = p->sector_size ? s->sense : PACKET_BAD_FIELD;
	if (!p->sector_size)
		return AHCI_REFUSE;
	s->lba = packet.lba;
	s->left = packet.count;
	if (!p->filter->covers(p->dev, s->lba, s->left))
		return AHCI_USER;
	return s->out ? AHCI_WRITE : AHCI_READ;
}

void ahci_packet_refuse(struct ahci_port *p, struct ahci_slot *s)
{
	p->sense = s->sense.key ? s->sense : PACKET_BAD_LIST;
	packet_replace(s->cdb);
}

/* The limit for DRQ blocks is the guest's: data is looked at as a whole. */
void ahci_packet_frame(const struct ahci_slot *s, u8 *fis)
{
	fis[2] = ATA_PACKET_CMD;
	fis[3] = s->fis[3] & DMA_BITS;
	fis[5] = s->fis[5];
	fis[6] = s->fis[6];
}

void ahci_packet_sense(struct ahci_port *p, const struct ahci_slot *s)
{
	if (s->sense.key && p->sg.count)
		packet_sense_fix(&s->sense,
				 sg_ptr(p->sg.seg[0].gpa, p->sg.seg[0].len),
				 p->sg.seg[0].len);
}

/*
 * PIO data of a protected device, a sector at a time, so that it does not
 * matter how many sectors the device moves per DRQ block: every sector is
 * taken from the device, or given to it, as a whole.
 */
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "drivers/ata/identify.h"
#include "drivers/ata/ide.h"

void ide_pio_begin(struct ide_channel *ch, enum ide_pio_kind kind,
		   const struct ide_request *rq)
{
	ch->pio.kind = kind;
	ch->pio.unit = rq->unit;
	ch->pio.lba = rq->lba;
	ch->pio.left =
		kind == PIO_IDENTIFY || kind == PIO_SENSE ? 1 : rq->count;
	ch->pio.block = 0;
	ch->pio.pos = 0;
	ide_hooks_update(ch);
}

static void pio_end(struct ide_channel *ch)
{
	ch->pio.kind = PIO_NONE;
	ide_hooks_update(ch);
}

static u32 unit_bytes(const struct ide_channel *ch)
{
	return ch->pio.kind == PIO_READ || ch->pio.kind == PIO_WRITE
		       ? ch->unit[ch->pio.unit].sector_size
		       : ATA_IDENTIFY_BYTES;
}

static bool is_packet(const struct ide_channel *ch)
{
	return ch->unit[ch->pio.unit].packet;
}

static bool device_wants_data(struct ide_channel *ch)
{
	enum ide_pio_kind kind = ch->pio.kind;

	ch->pio.status = (u8)hw_in(ch->control, 1);
	if ((ch->pio.status & (ATA_BSY | ATA_DRQ)) != ATA_DRQ)
		return false;
	return !is_packet(ch) || (kind != PIO_READ && kind != PIO_WRITE) ||
	       ide_packet_block(ch, unit_bytes(ch));
}

/* Makes of a piece from the device what the guest shall see. */
static void adjust(struct ide_channel *ch, u32 bytes)
{
	struct ide_pio *pio = &ch->pio;

	if (pio->kind == PIO_IDENTIFY && is_packet(ch))
		ata_identify_adjust_packet(pio->data, &ch->options);
	else if (pio->kind == PIO_IDENTIFY)
		ata_identify_adjust(pio->data, &ch->options, false);
	else if (pio->kind == PIO_SENSE)
		packet_sense_fix(&ch->packet.sense, pio->data, bytes);
	else
		ch->filter->decode(ch->unit[pio->unit].dev, pio->lba, 1,
				   pio->data, pio->data);
}

static bool fetch(struct ide_channel *ch)
{
	struct ide_pio *pio = &ch->pio;
	u32 bytes = unit_bytes(ch);

	if (!pio->left || !device_wants_data(ch))
		return false;
	if (pio->kind == PIO_SENSE)
		bytes = (u32)min_u64(ide_packet_block(ch, 1), bytes);
	hw_ins(ch->base, 2, pio->data, (bytes + 1) / 2);
	adjust(ch, bytes);
	pio->block -= (u32)min_u64(pio->block, bytes);
	pio->lba++;
	pio->left--;
	pio->pos = 0;
	pio->fill = bytes;
	return true;
}

static void pio_read(struct ide_channel *ch, u8 *dst, u32 len)
{
	struct ide_pio *pio = &ch->pio;

	while (len) {
		u32 n;

		if (pio->pos == pio->fill && !fetch(ch)) {
			memset(dst, 0xFF, len);
			return;
		}
		n = (u32)min_u64(len, pio->fill - pio->pos);
		memcpy(dst, pio->data + pio->pos, n);
		pio->pos += n;
		dst += n;
		len -= n;
	}
	if (!pio->left && pio->pos == pio->fill)
		pio_end(ch);
}

/* What the device does not hear of does not bring it to the next sector. */
static void flush(struct ide_channel *ch)
{
	struct ide_pio *pio = &ch->pio;
	u32 bytes = unit_bytes(ch);

	pio->pos = 0;
	if (!device_wants_data(ch))
		return;
	ch->filter->encode(ch->unit[pio->unit].dev, pio->lba, 1, pio->data,
			   pio->data);
	hw_outs(ch->base, 2, pio->data, bytes / 2);
	pio->block -= (u32)min_u64(pio->block, bytes);
	pio->lba++;
	pio->left--;
}

/* Data that the device does not wait for is lost, as on the hardware. */
static void pio_write(struct ide_channel *ch, const u8 *src, u32 len)
{
	struct ide_pio *pio = &ch->pio;

	while (len && pio->left) {
		u32 bytes = unit_bytes(ch);
		u32 n = (u32)min_u64(len, bytes - pio->pos);

		if (!pio->pos && !device_wants_data(ch))
			return;
		memcpy(pio->data + pio->pos, src, n);
		pio->pos += n;
		src += n;
		len -= n;
		if (pio->pos == bytes)
			flush(ch);
	}
	if (!pio->left)
		pio_end(ch);
}

static void cdb_write(struct ide_channel *ch, const u8 *src, u32 len)
{
	struct ide_pio *pio = &ch->pio;
	u32 bytes = ch->unit[pio->unit].packet;
	u32 n = (u32)min_u64(len, bytes - pio->pos);

	if (!device_wants_data(ch))
		return;
	memcpy(pio->data + pio->pos, src, n);
	pio->pos += n;
	if (pio->pos == bytes)
		ide_packet_cdb(ch);
}

/*
 * What the guest writes goes by the command in progress, not by the device
 * selected: a busy device does not heed a selection. Nothing is for a device
 * that transfers by DMA.
 */
static void data_out(struct ide_channel *ch, const struct port_io *io)
{
	u8 unit = ide_selected(ch);

	if (ch->pio.kind == PIO_WRITE)
		pio_write(ch, io->data, io->count * io->size);
	else if (ch->pio.kind == PIO_CDB)
		cdb_write(ch, io->data, io->count * io->size);
	else if (!ch->dma.active && !ide_cdb_waits(ch) &&
		 (!ch->unit[unit].dev ||
		  (ch->pio.kind == PIO_PLAIN_OUT && ch->pio.unit == unit)))
		hw_outs(ch->base, io->size, io->data, io->count);
}

/* A device that waits for data may take a word that is read for given. */
static void data_in(struct ide_channel *ch, const struct port_io *io)
{
	enum ide_pio_kind kind = ch->pio.kind;

	if ((kind == PIO_READ || kind == PIO_IDENTIFY || kind == PIO_SENSE) &&
	    ch->pio.unit == ide_selected(ch))
		pio_read(ch, io->data, io->count * io->size);
	else if (ch->dma.active || ide_cdb_waits(ch) || kind == PIO_WRITE ||
		 kind == PIO_CDB)
		memset(io->data, 0xFF, io->count * io->size);
	else
		hw_ins(ch->base, io->size, io->data, io->count);
}

void ide_pio_data(struct ide_channel *ch, const struct port_io *io)
{
	if (io->write)
		data_out(ch, io);
	else
		data_in(ch, io);
}

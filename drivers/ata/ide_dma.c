/*
 * Bus-master DMA. The guest's PRD list is copied once and checked; the engine
 * gets a list of ours. Data is read into the guest's memory and decrypted
 * there when the guest first sees the command's end; data to be written is
 * encrypted into a bounce buffer, larger commands a buffer at a time.
 *
 * A list that is shorter than its command leaves the device waiting, as on
 * the hardware; one that is longer is cut.
 */
#include "core/io/dma.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "drivers/ata/ide.h"

#define PRD_END 0x8000

int ide_dma_init(struct ide_channel *ch)
{
	struct ide_dma *dma = &ch->dma;
	size_t sg_pages =
		align_up(IDE_PRD_MAX * sizeof(struct sg_seg), PAGE_SIZE) /
		PAGE_SIZE;
	struct ide_prd *empty;
	hpa_t pa;

	empty = dma_alloc(1, &dma->empty_pa);
	dma->table = dma_alloc(IDE_PRD_MAX * sizeof(struct ide_prd) / PAGE_SIZE,
			       &dma->table_pa);
	dma->bounce = dma_alloc(IDE_BOUNCE_PAGES, &dma->bounce_pa);
	dma->sg.seg = dma_alloc(sg_pages, &pa);
	if (!empty || !dma->table || !dma->bounce || !dma->sg.seg)
		return -ENOMEM;
	/* No list is empty to the hardware: two bytes that nobody needs. */
	empty->base = (u32)dma->empty_pa + sizeof(*empty);
	empty->bytes = 2;
	empty->flags = PRD_END;
	return 0;
}

/* From here on a start by the guest, on any CPU, finds the empty list. What
 * BMICX was is returned. */
static u8 engine_stop(struct ide_channel *ch)
{
	u8 command;

	hw_out(ch->bm + BMIDTPX, 4, (u32)ch->dma.empty_pa);
	command = (u8)hw_in(ch->bm + BMICX, 1);
	hw_out(ch->bm + BMICX, 1, command & ~BMICX_SSBM);
	return command;
}

/* Bits 5 and 6 are the BIOS's; 1 and 2 are cleared by ones. */
static void engine_clear(struct ide_channel *ch)
{
	u8 st = (u8)hw_in(ch->bm + BMISX, 1);

	hw_out(ch->bm + BMISX, 1, (st & 0x60) | BMISX_ERROR | BMISX_INTR);
}

static void sg_add(struct sg_list *sg, const struct ide_prd *prd, u64 left)
{
	struct sg_seg *seg = &sg->seg[sg->count++];
	u32 len = prd->bytes & 0xFFFE;

	seg->gpa = prd->base & ~1u;
	seg->len = (u32)min_u64(len ? len : 0x10000, left);
}

/* The guest's list, cut to @limit bytes. */
static int list_copy(struct ide_channel *ch, u64 limit)
{
	struct sg_list *sg = &ch->dma.sg;
	struct ide_prd prd[32];
	u32 at = ch->dma.prd & ~3u;
	u64 bytes = 0;

	sg->count = 0;
	while (sg->count < IDE_PRD_MAX) {
		/* Not past the page: the list may be at the end of RAM. */
		u64 fit = (PAGE_SIZE - at % PAGE_SIZE) / sizeof(*prd);
		u32 n = (u32)min_u64(max_u64(fit, 1), ARRAY_SIZE(prd));

		n = (u32)min_u64(n, IDE_PRD_MAX - sg->count);
		if (dma_copy_in(at, prd, n * sizeof(*prd)))
			return -EFAULT;
		for (u32 i = 0; i < n; i++) {
			sg_add(sg, &prd[i], limit - bytes);
			bytes += sg->seg[sg->count - 1].len;
			if (prd[i].flags & PRD_END || bytes == limit)
				return sg_check(sg);
		}
		at += n * sizeof(*prd);
	}
	return -EINVAL;
}

static void table_from_list(struct ide_dma *dma)
{
	for (u32 i = 0; i < dma->sg.count; i++) {
		dma->table[i].base = (u32)dma->sg.seg[i].gpa;
		dma->table[i].bytes = (u16)dma->sg.seg[i].len;
		dma->table[i].flags = 0;
	}
	dma->table[dma->sg.count - 1].flags = PRD_END;
}

/* The first @bytes of the bounce buffer; it begins on a 64 KiB boundary. */
static void table_from_bounce(struct ide_dma *dma, u32 bytes)
{
	u32 n = 0;

	for (u32 off = 0; off < bytes; off += 0x10000, n++) {
		dma->table[n].base = (u32)dma->bounce_pa + off;
		dma->table[n].bytes = (u16)min_u64(bytes - off, 0x10000);
		dma->table[n].flags = 0;
	}
	dma->table[n - 1].flags = PRD_END;
}

/* Encrypts the next part of a write into the bounce buffer. */
static u32 chunk_prepare(struct ide_channel *ch)
{
	struct ide_dma *dma = &ch->dma;
	const struct ide_unit *unit = &ch->unit[dma->rq.unit];
	u32 size = unit->sector_size;
	u32 n = (u32)min_u64(dma->length - dma->sent,
			     IDE_BOUNCE_PAGES * PAGE_SIZE / size);

	ch->filter->encode_sg(unit->dev, dma->rq.lba + dma->sent, n, &dma->sg,
			      (u64)dma->sent * size, dma->bounce);
	table_from_bounce(dma, n * size);
	dma->sent += n;
	return n;
}

static int prepare_mediated(struct ide_channel *ch)
{
	struct ide_dma *dma = &ch->dma;
	u32 size = ch->unit[dma->rq.unit].sector_size;
	u32 n;

	if (list_copy(ch, (u64)dma->rq.count * size))
		return -EFAULT;
	dma->sent = 0;
	dma->length = (u32)(sg_bytes(&dma->sg) / size);
	if (!dma->length)
		return -EINVAL;
	if (!dma->rq.out) {
		table_from_list(dma);
		return 0;
	}
	n = chunk_prepare(ch);
	if (n == dma->length)
		return 0;
	/* Only 48-bit commands are that large. */
	if (dma->length < dma->rq.count || !dma->rq.ext)
		return -EINVAL;
	ata_set_range(&dma->rq.tf, true, dma->rq.lba, n);
	dma->watch = true;
	return 0;
}

/* The engine is stopped and has the empty list. */
static int dma_prepare(struct ide_channel *ch)
{
	if (ch->dma.rq.mediated)
		return prepare_mediated(ch);
	if (list_copy(ch, ~0ULL))
		return -EFAULT;
	table_from_list(&ch->dma);
	return 0;
}

/* True for a write with sectors that stay as they are. */
static bool writes_plain(struct ide_channel *ch)
{
	const struct ide_request *rq = &ch->dma.rq;

	if (!rq->mediated || !rq->out)
		return false;
	for (u32 i = 0; i < rq->count; i++)
		if (!ch->filter->covers(ch->unit[rq->unit].dev, rq->lba + i, 1))
			return true;
	return false;
}

/*
 * The engine is stopped and has the empty list. If it were started twice, the
 * device would get the first sectors' data for later sectors: that must not
 * bring plain data into a protected range.
 */
static void dma_send(struct ide_channel *ch)
{
	if (dma_prepare(ch)) {
		ide_refuse(ch, &ch->dma.rq, PACKET_BAD_LIST);
		return;
	}
	if (writes_plain(ch)) {
		ch->dma.armed = IDE_ARMED_ONCE;
		ide_hooks_update(ch);
		engine_stop(ch);
	}
	hw_out(ch->bm + BMIDTPX, 4, (u32)ch->dma.table_pa);
	ide_send(ch, &ch->dma.rq);
	ch->dma.active = true;
}

/* A write to BMICX, with the start only if there may be one. */
static void bm_command(struct ide_channel *ch, u8 value)
{
	enum ide_armed armed = ch->dma.armed;

	if (value & BMICX_SSBM) {
		if (armed == IDE_ARMED_ONCE)
			ch->dma.armed = IDE_ARMED_NEVER;
		else if (armed == IDE_ARMED_LIST ||
			 (armed == IDE_ARMED_NEVER &&
			  !(hw_in(ch->bm + BMICX, 1) & BMICX_SSBM)))
			value &= ~BMICX_SSBM;
	}
	hw_out(ch->bm + BMICX, 1, value);
}

/*
 * Some guests write the PRD pointer after the command, or never again: then
 * the command waits until the engine is started.
 */
void ide_dma_begin(struct ide_channel *ch, const struct ide_request *rq)
{
	u8 command;

	if (!ch->bm) {
		ide_refuse(ch, rq, PACKET_BAD_LIST);
		return;
	}
	command = engine_stop(ch);
	ch->dma.rq = *rq;
	if (ch->dma.fresh || command & BMICX_SSBM) {
		dma_send(ch);
		bm_command(ch, command);
	} else {
		ch->dma.armed = IDE_ARMED_COMMAND;
	}
	ch->dma.fresh = false;
	ide_hooks_update(ch);
}

void ide_dma_packet(struct ide_channel *ch)
{
	ch->dma.armed = IDE_ARMED_LIST;
	ch->dma.fresh = false;
	ide_hooks_update(ch);
	if (ch->bm)
		engine_stop(ch);
}

void ide_dma_moved(struct ide_channel *ch)
{
	if (ch->dma.active)
		ch->dma.armed = IDE_ARMED_NEVER;
	else if (ch->dma.armed == IDE_IDLE)
		ch->dma.armed = IDE_ARMED_LIST;
}

static void start_list(struct ide_channel *ch)
{
	if (list_copy(ch, ~0ULL)) {
		log_limited(&ch->refused, "ide: bad PRD list");
		ch->dma.armed = IDE_ARMED_LIST;
		return;
	}
	table_from_list(&ch->dma);
	hw_out(ch->bm + BMIDTPX, 4, (u32)ch->dma.table_pa);
}

void ide_dma_start_write(struct ide_channel *ch, u8 value)
{
	enum ide_armed armed = ch->dma.armed;

	/* While the chipset's decoder is off, the CDB would be lost, and the
	 * device would take the next one. */
	if (ide_cdb_waits(ch) &&
	    (hw_in(ch->control, 1) & (ATA_BSY | ATA_DRQ)) != ATA_DRQ)
		value &= ~BMICX_SSBM;
	if (value & BMICX_SSBM &&
	    (armed == IDE_ARMED_COMMAND || armed == IDE_ARMED_LIST)) {
		engine_stop(ch);
		ch->dma.armed = IDE_IDLE;
		ch->dma.fresh = false;
		if (armed == IDE_ARMED_COMMAND)
			dma_send(ch);
		else
			start_list(ch);
	}
	bm_command(ch, value);
	ide_hooks_update(ch);
}

/* The device's status once it is neither busy nor moving data. */
static u8 wait_end(struct ide_channel *ch)
{
	u8 st = ATA_BSY;

	for (u32 i = 0; i < ch->spins && st & (ATA_BSY | ATA_DRQ); i++)
		st = (u8)hw_in(ch->control, 1);
	return (u8)hw_in(ch->base + ATA_COMMAND, 1);
}

/*
 * The rest of a split write, with the guest waiting. Interrupts of these
 * commands are taken back at once: at worst the guest sees one more edge,
 * without a cause. A part that takes too long goes on as a busy device's
 * command does: the guest's next look at the status sees to what is left.
 */
static u8 write_rest(struct ide_channel *ch, u8 st)
{
	struct ide_dma *dma = &ch->dma;
	u8 before = (u8)hw_in(ch->bm + BMISX, 1);

	while (dma->sent < dma->length && !(st & (ATA_ERR | ATA_DF))) {
		u64 lba = dma->rq.lba + dma->sent;

		engine_stop(ch);
		engine_clear(ch);
		ata_set_range(&dma->rq.tf, true, lba, chunk_prepare(ch));
		hw_out(ch->bm + BMIDTPX, 4, (u32)dma->table_pa);
		ide_send(ch, &dma->rq);
		hw_out(ch->bm + BMICX, 1, BMICX_SSBM);
		st = wait_end(ch);
		if (st & (ATA_BSY | ATA_DRQ)) {
			log_limited(&ch->dropped, "ide: a write takes long");
			return st;
		}
	}
	engine_stop(ch);
	if (!(before & BMISX_INTR))
		engine_clear(ch);
	return st;
}

/* True once all that the engine had to move is in memory. */
static bool engine_done(struct ide_channel *ch)
{
	for (u32 i = 0; i < ch->spins; i++) {
		u8 st = (u8)hw_in(ch->bm + BMISX, 1);

		if (st & BMISX_ERROR)
			return false;
		if (st & BMISX_INTR || !(st & BMISX_ACTIVE))
			return true;
	}
	return false;
}

/*
 * True if the registers hold the signature of a reset that we did not see
 * (ATA-7 volume 2, 9.12), or are device 0's since: then the memory may be in
 * other use by now. A read of sector 1 may leave the same there.
 */
static bool was_reset(struct ide_channel *ch)
{
	const struct ide_request *rq = &ch->dma.rq;

	if (rq->unit && !(hw_in(ch->base + ATA_DEVICE, 1) & ATA_DEV1))
		return true;
	return hw_in(ch->base + ATA_FEATURES, 1) == 1 &&
	       hw_in(ch->base + ATA_COUNT, 1) == 1 &&
	       hw_in(ch->base + ATA_LBA_LOW, 1) == 1 &&
	       hw_in(ch->base + ATA_LBA_MID, 1) == (rq->packet ? 0x14 : 0) &&
	       hw_in(ch->base + ATA_LBA_HIGH, 1) == (rq->packet ? 0xEB : 0) &&
	       (rq->packet || rq->lba != 1 || rq->count != 1);
}

static void read_end(struct ide_channel *ch)
{
	const struct ide_dma *dma = &ch->dma;

	if (was_reset(ch) || !engine_done(ch))
		return;
	if (dma->rq.mediated)
		ch->filter->decode_sg(ch->unit[dma->rq.unit].dev, dma->rq.lba,
				      dma->length, &dma->sg, 0);
	else if (dma->rq.sense.key)
		ide_packet_sense(ch);
}

/* What a read has brought before the sector that failed is good, and an OS
 * uses it; what lies behind is undefined. */
static bool moved(struct ide_channel *ch, u8 st)
{
	u8 error;

	if (!(st & (ATA_ERR | ATA_DF)))
		return true;
	if (ch->dma.rq.out)
		return false;
	error = (u8)hw_in(ch->base + ATA_FEATURES, 1);
	return ch->dma.rq.packet ? packet_moved(error) : error & ATA_UNC;
}

u8 ide_dma_status(struct ide_channel *ch, u8 st)
{
	struct ide_dma *dma = &ch->dma;

	/* Looked at before its end: the guest may be about to reset it. */
	if (st & (ATA_BSY | ATA_DRQ)) {
		dma->watch = dma->rq.mediated || dma->rq.sense.key;
		ide_hooks_update(ch);
		return st;
	}
	if ((dma->rq.mediated || dma->rq.sense.key) && moved(ch, st)) {
		if (!dma->rq.out)
			read_end(ch);
		else if (dma->sent < dma->length)
			st = write_rest(ch, st);
	}
	dma->active = st & (ATA_BSY | ATA_DRQ);
	dma->watch = dma->active;
	if (!dma->active && dma->armed >= IDE_ARMED_ONCE)
		dma->armed = IDE_IDLE;
	ide_hooks_update(ch);
	return st;
}

/*
 * From the guest's command list to ours. A command is copied when its turn
 * comes and decided from the copy. Its list of memory is walked as the data
 * goes: a command with more pieces than a table of ours has entries, or with
 * more to write than fits into the bounce buffer, is sent in chunks of whole
 * sectors, each when the one before has ended.
 *
 * Commands are sent in the order in which they were issued; one that has to
 * wait holds back all after it, so that none is overtaken for ever. The HBA
 * never has a command that is not queued beside another one.
 */
#include "core/io/dma.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "drivers/ata/ahci.h"

/* ---- the guest's list of memory ---- */

/* One entry, or what is left of it. False if the list of ours is full, or if
 * nothing is left: the guest has changed an entry that was begun. */
static bool gather_prd(struct ahci_port *p, struct ahci_place *at,
		       const struct ahci_prd *prd, u64 *left)
{
	u32 whole = (prd->dbc & (AHCI_PRD_BYTES - 1) & ~1u) + 2;
	u32 len = whole - at->offset;
	u32 take = (u32)min_u64(len, *left);

	if (at->offset >= whole || p->sg.count == AHCI_PRDS)
		return false;
	p->sg.seg[p->sg.count++] =
		(struct sg_seg){ ahci_address(p, prd->dba & ~1ULL) + at->offset,
				 take };
	*left -= take;
	at->offset += take;
	if (take == len)
		*at = (struct ahci_place){ at->prd + 1, 0 };
	return true;
}

u64 ahci_gather(struct ahci_port *p, struct ahci_slot *s, u64 bytes)
{
	struct ahci_prd prd[32];
	u64 left = bytes;
	bool room = true;

	p->sg.count = 0;
	while (room && left && s->at.prd < s->prds) {
		u32 first = s->at.prd;
		u32 n = (u32)min_u64(s->prds - first, ARRAY_SIZE(prd));

		if (dma_copy_in(s->list + first * sizeof(*prd), prd,
				n * sizeof(*prd)))
			return 0;
		for (u32 i = 0; i < n && left && room; i++)
			room = gather_prd(p, &s->at, &prd[i], &left);
	}
	return sg_check(&p->sg) ? 0 : bytes - left;
}

/* ---- what the guest asks for ---- */

static void fis_to_taskfile(const u8 *fis, struct ata_taskfile *tf)
{
	*tf = (struct ata_taskfile){
		.cur = { 0, fis[3], fis[12], fis[4], fis[5], fis[6], fis[7] },
		.hob = { 0, fis[11], fis[13], fis[8], fis[9], fis[10] },
	};
}

static void taskfile_to_fis(const struct ata_taskfile *tf, u8 *fis)
{
	memcpy(fis + 4, tf->cur + ATA_LBA_LOW, 4);
	memcpy(fis + 8, tf->hob + ATA_LBA_LOW, 3);
	fis[3] = tf->cur[ATA_FEATURES];
	fis[11] = tf->hob[ATA_FEATURES];
	fis[12] = tf->cur[ATA_COUNT];
	fis[13] = tf->hob[ATA_COUNT];
}

/* A queued command has its count in the features (ACS-3, 7.23.3). */
static void swap_count(struct ata_taskfile *tf)
{
	u8 cur = tf->cur[ATA_COUNT], hob = tf->hob[ATA_COUNT];

	tf->cur[ATA_COUNT] = tf->cur[ATA_FEATURES];
	tf->hob[ATA_COUNT] = tf->hob[ATA_FEATURES];
	tf->cur[ATA_FEATURES] = cur;
	tf->hob[ATA_FEATURES] = hob;
}

/* There is no CHS on a port of AHCI. */
static enum ahci_kind user_decide(struct ahci_port *p, struct ahci_slot *s,
				  struct ata_taskfile *tf)
{
	static const struct ata_geometry none;
	bool ext = ata_command(s->fis[2])->ext;

	if (s->queued)
		swap_count(tf);
	if (!p->sector_size || ata_range(tf, ext, &none, &s->lba, &s->left))
		return AHCI_REFUSE;
	if (!s->data || !p->filter->covers(p->dev, s->lba, s->left))
		return s->data ? AHCI_USER : AHCI_PASS;
	return s->out ? AHCI_WRITE : AHCI_READ;
}

static enum ahci_kind command_decide(struct ahci_port *p, u32 n,
				     struct ahci_slot *s)
{
	const struct ata_command *command = ata_command(s->fis[2]);
	enum ata_policy policy;
	struct ata_taskfile tf;

	fis_to_taskfile(s->fis, &tf);
	policy = ata_decide(&tf, s->fis[2], p->options, p->queues);
	if (p->packet)
		policy = packet_ata_policy(s->fis[2], policy);
	s->data = command->class != ATA_NONDATA;
	s->out = command->class == ATA_PIO_OUT || command->class == ATA_DMA_OUT;
	switch (policy) {
	case ATA_PASS:
		return AHCI_PASS;
	case ATA_CDB:
		return ahci_packet_decide(p, s);
	case ATA_IDENTIFY:
		return AHCI_IDENTIFY;
	case ATA_QUEUED:
		s->queued = true;
		if (!(p->sact >> n & 1))
			return AHCI_REFUSE;
		if (!s->data)
			return AHCI_PASS;
		return user_decide(p, s, &tf);
	case ATA_USER:
		return user_decide(p, s, &tf);
	default:
		return AHCI_REFUSE;
	}
}

static enum ahci_kind slot_decide(struct ahci_port *p, u32 n,
				  struct ahci_slot *s)
{
	struct ahci_header h;
	gpa_t table;

	if (dma_copy_in(p->clb + n * sizeof(h), &h, sizeof(h)))
		return AHCI_REFUSE;
	table = ahci_address(p, h.ctba & ~0x7FULL);
	if (dma_copy_in(table, s->fis, FIS_BYTES))
		return AHCI_REFUSE;
	s->list = table + TABLE_PRD;
	s->prds = h.prdtl;
	if ((h.flags & HEADER_CFL) < FIS_BYTES / 4 || h.flags & HEADER_BIST ||
	    s->fis[0] != FIS_H2D)
		return AHCI_REFUSE;
	/* A reset for a port multiplier's own port resets the device there. */
	if (!(s->fis[1] & FIS_COMMAND)) {
		s->flags = h.flags & (HEADER_RESET | HEADER_CLEAR);
		return AHCI_CONTROL;
	}
	if (h.flags & HEADER_PMP || s->fis[1] != FIS_COMMAND)
		return AHCI_REFUSE;
	return command_decide(p, n, s);
}

static void refuse(struct ahci_port *p, struct ahci_slot *s)
{
	log_limited(&p->refused, "ahci: command %02x refused",
		    s->packet ? s->cdb[0] : s->fis[2]);
	if (s->packet)
		ahci_packet_refuse(p, s);
	s->kind = AHCI_REFUSE;
	s->queued = false;
	s->chunk = s->left = 0;
}

static void slot_read(struct ahci_port *p, u32 n)
{
	struct ahci_slot *s = &p->slot[n];

	memset(s, 0, sizeof(*s));
	s->kind = slot_decide(p, n, s);
	if (s->kind == AHCI_REFUSE)
		refuse(p, s);
}

/* ---- the bounce buffer ---- */

static bool bounce_is_free(struct ahci_port *p, u32 first, u32 pages)
{
	if (!range_ok(first, pages, p->bounce_pages))
		return false;
	for (u32 n = 0; n < p->slots; n++)
		if (range_overlap(first, pages, p->slot[n].bounce,
				  p->slot[n].need))
			return false;
	return true;
}

/* Consecutive pages: at the start, or where those of another slot end. */
static bool bounce_take(struct ahci_port *p, struct ahci_slot *s, u64 bytes)
{
	u32 pages = (u32)(align_up(bytes, PAGE_SIZE) / PAGE_SIZE);
	u32 first = 0;

	for (u32 n = 0; !bounce_is_free(p, first, pages); n++) {
		if (n == p->slots)
			return false;
		first = p->slot[n].bounce + p->slot[n].need;
	}
	s->bounce = first;
	s->need = pages;
	return true;
}

static void *bounce_of(struct ahci_port *p, const struct ahci_slot *s)
{
	return p->bounce + s->bounce * PAGE_SIZE;
}

/* ---- our tables ---- */

static int table_from_sg(struct ahci_port *p, struct ahci_table *t)
{
	for (u32 i = 0; i < p->sg.count; i++)
		t->prd[i] = (struct ahci_prd){ p->sg.seg[i].gpa, 0,
					       p->sg.seg[i].len - 1 };
	return (int)p->sg.count;
}

/* No bounce buffer is larger than an entry can be. */
static int table_from_bounce(struct ahci_port *p, const struct ahci_slot *s,
			     struct ahci_table *t, u32 bytes)
{
	t->prd[0] = (struct ahci_prd){ p->bounce_pa + s->bounce * PAGE_SIZE, 0,
				       bytes - 1 };
	return 1;
}

/* The pieces of the next chunk: its bytes, or -EINVAL if the list has no
 * whole sectors, or none any more. */
static s64 chunk_gather(struct ahci_port *p, struct ahci_slot *s)
{
	struct ahci_place start = s->at;
	u64 want = (u64)s->left * p->sector_size;
	u64 got;

	if (s->kind == AHCI_WRITE)
		want = min_u64(want, p->bounce_pages * PAGE_SIZE);
	got = ahci_gather(p, s, want);
	if (got % p->sector_size) {
		want = got - got % p->sector_size;
		s->at = start;
		got = ahci_gather(p, s, want);
	}
	return got && got % p->sector_size == 0 ? (s64)got : -EINVAL;
}

static int chunk_prepare(struct ahci_port *p, struct ahci_slot *s,
			 struct ahci_table *t)
{
	struct ahci_place start = s->at;
	s64 bytes = chunk_gather(p, s);

	if (bytes < 0)
		return -EINVAL;
	s->chunk = (u32)bytes / p->sector_size;
	if (s->packet && s->chunk < s->left)
		return -EINVAL;
	if (s->kind != AHCI_WRITE)
		return table_from_sg(p, t);
	if (!bounce_take(p, s, (u64)bytes)) {
		s->at = start;
		return -EBUSY;
	}
	p->filter->encode_sg(p->dev, s->lba, s->chunk, &p->sg, 0,
			     bounce_of(p, s));
	return table_from_bounce(p, s, t, (u32)bytes);
}

/* All of a list, for data that is no sectors; some SMART commands have none. */
static int pass_prepare(struct ahci_port *p, struct ahci_slot *s,
			struct ahci_table *t)
{
	if (!s->data || !s->prds)
		return 0;
	if (!ahci_gather(p, s, ~0ULL) || s->at.prd < s->prds)
		return -EINVAL;
	return table_from_sg(p, t);
}

/* The command's entries in @t. -EBUSY: it has to wait for memory. */
static int slot_prepare(struct ahci_port *p, struct ahci_slot *s,
			struct ahci_table *t)
{
	switch (s->kind) {
	case AHCI_PASS:
		return pass_prepare(p, s, t);
	case AHCI_IDENTIFY: /* alone: it has the buffer to itself */
		return table_from_bounce(p, s, t, ATA_SECTOR);
	case AHCI_USER:
	case AHCI_READ:
	case AHCI_WRITE:
		return chunk_prepare(p, s, t);
	default:
		return 0;
	}
}

/* What the device is sent: nothing that was not decided. */
static void fis_build(const struct ahci_slot *s, u32 n, u8 *fis)
{
	struct ata_taskfile tf;

	memset(fis, 0, FIS_BYTES);
	fis[0] = FIS_H2D;
	if (s->kind == AHCI_CONTROL) {
		fis[FIS_CONTROL] = s->fis[FIS_CONTROL];
		return;
	}
	fis[1] = FIS_COMMAND;
	if (s->packet)
		ahci_packet_frame(s, fis);
	if (s->packet || s->kind == AHCI_REFUSE)
		return;
	fis[2] = s->fis[2];
	fis_to_taskfile(s->fis, &tf);
	if (s->queued)
		swap_count(&tf);
	if (s->chunk)
		ata_set_range(&tf, ata_command(fis[2])->ext, s->lba, s->chunk);
	if (s->queued) {
		tf.cur[ATA_FEATURES] = (u8)(n << 3);
		tf.hob[ATA_FEATURES] = 0; /* no priority */
		swap_count(&tf);
	}
	taskfile_to_fis(&tf, fis);
}

void ahci_issue(struct ahci_port *p, u32 n, u16 flags, u16 prds, hpa_t table)
{
	p->page->list[n] = (struct ahci_header){
		.flags = flags | FIS_BYTES / 4,
		.prdtl = prds,
		.ctba = table,
	};
	p->active |= 1u << n;
	if (p->ncq >> n & 1)
		ahci_write(p, PxSACT, 1u << n);
	ahci_write(p, PxCI, 1u << n);
}

static int slot_send(struct ahci_port *p, u32 n)
{
	struct ahci_slot *s = &p->slot[n];
	struct ahci_table *t = &p->table[n];
	u16 flags = s->flags;
	int prds = slot_prepare(p, s, t);

	if (prds < 0)
		return prds;
	if (s->kind != AHCI_REFUSE && s->out)
		flags |= HEADER_WRITE;
	if (s->queued)
		p->ncq |= 1u << n;
	if (s->packet)
		flags |= HEADER_ATAPI;
	memcpy(t->cdb, s->cdb, sizeof(t->cdb));
	fis_build(s, n, t->fis);
	ahci_issue(p, n, flags, (u16)prds, p->table_pa + n * sizeof(*t));
	return 0;
}

/* True if the slot's command has gone, false if it must wait. */
static bool slot_try(struct ahci_port *p, u32 n)
{
	struct ahci_slot *s = &p->slot[n];
	int err = -EINVAL;

	if (s->kind == AHCI_NEW)
		slot_read(p, n);
	while (err) {
		if (p->active && !(s->queued && p->ncq == p->active))
			return false;
		err = slot_send(p, n);
		if (err == -EBUSY) {
			log_limited(&p->waits,
				    "ahci: a command waits for memory");
			return false;
		}
		if (err)
			refuse(p, s);
	}
	return true;
}

void ahci_run(struct ahci_port *p)
{
	while (p->waiting && !p->stuck) {
		if (!p->identified) {
			if (!p->active && !(ahci_read(p, PxSERR) & PxSERR_X))
				ahci_identify_begin(p);
			return;
		}
		if (!slot_try(p, p->queue[0]))
			return;
		p->waiting--;
		memmove(p->queue, p->queue + 1, p->waiting);
	}
}

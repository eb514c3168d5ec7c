/* The ends of commands, and the frames that the device has sent. */
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "drivers/ata/ahci.h"
#include "drivers/ata/identify.h"

/* AHCI 1.3.1, 4.2.1: DMA set-up, PIO set-up, register, set bits, unknown. */
static const struct {
	u8 offset, len;
} frames[] = {
	{ 0x00, 28 }, { 0x20, 20 }, { 0x40, 20 }, { 0x58, 8 }, { 0x60, 64 }
};

/*
 * A frame's type, its first byte, is never 0: cleared here, it says when the
 * HBA has written the frame again.
 */
static void frames_copy(struct ahci_port *p)
{
	u8 *dst = p->receives ? sg_ptr(p->fb, 256) : NULL;

	for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
		u8 *src = p->page->received + frames[i].offset;
		u8 type = __atomic_exchange_n(src, 0, __ATOMIC_SEQ_CST);

		if (!type || !dst)
			continue;
		memcpy(dst + frames[i].offset + 1, src + 1, frames[i].len - 1U);
		dst[frames[i].offset] = type;
	}
}

/* What the device was given to write to, from our own table. */
static void sg_from_table(struct ahci_port *p, u32 n)
{
	const struct ahci_table *t = &p->table[n];

	p->sg.count = p->page->list[n].prdtl;
	for (u32 i = 0; i < p->sg.count; i++)
		p->sg.seg[i] =
			(struct sg_seg){ t->prd[i].dba, t->prd[i].dbc + 1 };
}

static void identify_adjust(struct ahci_port *p, struct ahci_slot *s)
{
	u8 *data = p->bounce;

	if (p->packet)
		ata_identify_adjust_packet(data, p->options);
	else
		ata_identify_adjust(data, p->options, p->queues);
	if (ahci_gather(p, s, ATA_SECTOR))
		sg_write(&p->sg, data, ATA_SECTOR);
}

/* A read has brought @sectors of its chunk. */
static void read_end(struct ahci_port *p, u32 n, u32 sectors)
{
	sg_from_table(p, n);
	p->filter->decode_sg(p->dev, p->slot[n].lba, sectors, &p->sg, 0);
}

/* The chunk has been moved without an error. */
static void chunk_end(struct ahci_port *p, u32 n, struct ahci_slot *s)
{
	if (s->kind == AHCI_READ) {
		read_end(p, n, s->chunk);
	} else if (s->packet) {
		sg_from_table(p, n);
		ahci_packet_sense(p, s);
	} else if (s->kind == AHCI_IDENTIFY) {
		identify_adjust(p, s);
	}
	s->lba += s->chunk;
	s->left -= s->chunk;
}

/* The byte count in the guest's header. */
static void count_tell(struct ahci_port *p, u32 n, struct ahci_slot *s)
{
	u32 *prdbc = sg_ptr(p->clb + n * sizeof(struct ahci_header) +
				    offsetof(struct ahci_header, prdbc),
			    4);

	s->moved += p->page->list[n].prdbc;
	if (prdbc)
		*(volatile u32 *)prdbc = s->moved;
}

/* Goes on with the next chunk, before all that wait. */
static void slot_again(struct ahci_port *p, u32 n)
{
	memmove(p->queue + 1, p->queue, p->waiting++);
	p->queue[0] = (u8)n;
}

static void slot_end(struct ahci_port *p, u32 n, bool good)
{
	struct ahci_slot *s = &p->slot[n];

	if (good)
		chunk_end(p, n, s);
	count_tell(p, n, s);
	s->need = 0;
	if (good && s->chunk && s->left) {
		slot_again(p, n);
		return;
	}
	p->ci &= ~(1u << n);
	if (s->queued)
		p->sact &= ~(1u << n);
	s->kind = AHCI_NEW;
}

/* What a read has brought before the sector that failed is good, and an OS
 * uses it; what lies behind is undefined. */
static void read_failed(struct ahci_port *p, u32 n, u32 bytes)
{
	struct ahci_slot *s = &p->slot[n];

	if (s->kind != AHCI_READ)
		return;
	read_end(p, n, (u32)min_u64(bytes / p->sector_size, s->chunk));
	s->kind = AHCI_USER; /* not twice */
}

static bool has_failed(struct ahci_port *p)
{
	u32 bits = ATA_BSY | ATA_DRQ | ATA_ERR;

	return (ahci_read(p, PxTFD) & bits) == ATA_ERR;
}

/* A command that fails keeps its bit in PxCI until the port is stopped. It
 * has begun if data has been moved: then the status is its own. */
static void plain_check(struct ahci_port *p, u32 busy)
{
	u32 n = (u32)__builtin_ctz(busy);
	u32 bytes = p->page->list[n].prdbc;

	if (bytes && has_failed(p))
		read_failed(p, n, bytes);
}

/*
 * The HBA says that slots are free which had commands. An NCQ command that
 * fails keeps its bit in PxSACT, others theirs in PxCI; but some HBAs clear
 * the latter, so the device's status counts as well.
 */
static void slots_end(struct ahci_port *p, u32 done)
{
	bool error = done & ~p->ncq && ahci_read(p, PxTFD) & (ATA_ERR | ATA_DF);

	for (; done; done &= done - 1) {
		u32 n = (u32)__builtin_ctz(done), bit = 1u << n;

		if (error)
			read_failed(p, n, p->page->list[n].prdbc);
		slot_end(p, n, !error);
		p->active &= ~bit;
		p->ncq &= ~bit;
	}
}

/* In a stopped port, also if a reset behind our back has stopped it, nothing
 * has ended: the guest's memory may be in other use by now. */
static bool is_running(struct ahci_port *p)
{
	return ahci_read(p, PxCMD) & PxCMD_ST;
}

static void commands_check(struct ahci_port *p)
{
	u32 plain = p->active & ~p->ncq;
	u32 ci = plain || p->ci & p->ncq ? ahci_read(p, PxCI) : 0;
	u32 sact = p->ncq ? ahci_read(p, PxSACT) : 0;
	u32 done = (plain & ~ci) | (p->ncq & ~sact);

	if (done && !is_running(p))
		return;
	/* A queued command that the device has taken (5.6.4). */
	p->ci &= ~(p->ncq & ~ci);
	if (plain & ci)
		plain_check(p, plain & ci);
	if (done)
		slots_end(p, done);
}

void ahci_sync(struct ahci_port *p)
{
	if (p->asking)
		ahci_identify_end(p);
	else if (p->active)
		commands_check(p);
	frames_copy(p);
	ahci_run(p);
}

/* All that are queued end when one fails; which it was, and how far it had
 * come, only the device's log says. */
void ahci_sync_stop(struct ahci_port *p)
{
	ahci_sync(p);
	if (!p->ncq || !is_running(p) || !has_failed(p))
		return;
	for (u32 left = p->ncq; left; left &= left - 1)
		read_failed(p, (u32)__builtin_ctz(left), ~0u);
}

/* Who is at the port: asked by a command of our own, in memory of our own. */
#include "drivers/ata/identify.h"

#include "core/io/dma.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "drivers/ata/ahci.h"

#define SG_PAGES (AHCI_PRDS * sizeof(struct sg_seg) / PAGE_SIZE + 1)

void ahci_identify_begin(struct ahci_port *p)
{
	struct ahci_page *page = p->page;
	u8 *fis = page->table;

	p->packet = ahci_read(p, PxSIG) == PxSIG_ATAPI;
	memset(page->identify, 0, sizeof(page->identify));
	fis[0] = FIS_H2D;
	fis[1] = FIS_COMMAND;
	fis[2] = p->packet ? ATA_IDENTIFY_PACKET : ATA_IDENTIFY_DEVICE;
	*(struct ahci_prd *)(page->table + TABLE_PRD) =
		(struct ahci_prd){ p->page_pa +
					   offsetof(struct ahci_page, identify),
				   0, ATA_IDENTIFY_BYTES - 1 };
	p->asking = true;
	ahci_issue(p, 0, 0, 1, p->page_pa + offsetof(struct ahci_page, table));
}

/* Some HBAs clear PxCI when another device cuts the command off, which then
 * leaves a good status: no device says nothing but zeros. */
static bool has_answered(const struct ahci_port *p)
{
	for (size_t i = 0; i < sizeof(p->page->identify); i++)
		if (p->page->identify[i])
			return true;
	return false;
}

/* What a protected device needs. It is never given back, and is not taken
 * twice: a guest can have the device identified as often as it likes. */
static int protect(struct ahci_port *p)
{
	u32 kib = p->options->bounce_kib ? p->options->bounce_kib
					 : ATA_BOUNCE_KIB;
	hpa_t pa;

	if (p->table)
		return 0;
	p->bounce_pages = kib / 4;
	if (!p->bounce)
		p->bounce = dma_alloc(p->bounce_pages, &p->bounce_pa);
	if (!p->sg.seg)
		p->sg.seg = dma_alloc(SG_PAGES, &pa);
	if (p->bounce && p->sg.seg)
		p->table = dma_alloc(2 * p->slots, &p->table_pa);
	if (!p->table)
		return -ENOMEM;
	log_line("ahci: port %u.%u: %u KiB for writes in flight",
		 p->id.controller, p->id.channel, kib);
	return 0;
}

/* The same device as before keeps its place in the filter. */
static void attach(struct ahci_port *p)
{
	struct ata_identity id;
	struct block_id *b = &p->id;

	ata_identify_parse(p->page->identify, p->packet, &id);
	if (p->known && !strcmp(b->model, id.model) &&
	    !strcmp(b->serial, id.serial) && b->sectors == id.sectors &&
	    p->sector_size == (id.lba ? id.sector_size : 0))
		return;
	ata_identify_block(&id, b);
	p->sector_size = id.lba ? id.sector_size : 0;
	p->known = true;
	lock_acquire(p->attach_lock);
	p->dev = p->filter->attach(b);
	lock_release(p->attach_lock);
	if (p->dev && !p->sector_size)
		log_line("ahci: %s: no sectors that can be used", id.model);
}

/* The guest has the port to itself, with the commands it has issued: they stay
 * to be seen, also by a read of PxCI or PxSACT that has led here. */
static void release(struct ahci_port *p)
{
	ahci_port_switch(p, AHCI_PLAIN);
	if (p->mode == AHCI_SHADOW)
		return;
	p->waiting = 0;
	ahci_write(p, PxSACT, p->sact);
	ahci_write(p, PxCI, p->ci);
}

/* An IDENTIFY that fails looks to the guest as if its own command had: the
 * port has to be started again, and then the device is asked again. */
void ahci_identify_end(struct ahci_port *p)
{
	bool alive = ahci_read(p, PxCMD) & PxCMD_ST;

	if (ahci_read(p, PxCI) & 1)
		return;
	p->asking = false;
	p->active = 0;
	if (!alive)
		return;
	p->stuck = ahci_read(p, PxTFD) & (ATA_ERR | ATA_DF) || !has_answered(p);
	if (p->stuck)
		return;
	attach(p);
	p->stuck = p->dev && protect(p);
	p->identified = !p->stuck;
	if (p->stuck)
		log_limited(&p->trouble, "ahci: port %u.%u: no memory",
			    p->id.controller, p->id.channel);
	else if (!p->dev)
		release(p);
}

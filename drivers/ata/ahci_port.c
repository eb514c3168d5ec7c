/* The registers of a port, and how it is started and stopped. */
#include "core/io/dma.h"
#include "core/io/mmio.h"
#include "core/lib/errors.h"
#include "core/lib/string.h"
#include "drivers/ata/ahci.h"

#define SSTS_DET    0xF
#define DET_PRESENT 3

u32 ahci_read(struct ahci_port *p, u32 reg)
{
	return p->base ? (u32)hw_mmio_read(p->base + reg, 4) : ~0u;
}

void ahci_write(struct ahci_port *p, u32 reg, u32 value)
{
	if (p->base)
		hw_mmio_write(p->base + reg, 4, value);
}

/* ---- the engines: AHCI 1.3.1, 10.3 ---- */

/* Waits until none of @bits is set. */
static bool wait_clear(struct ahci_port *p, u32 reg, u32 bits)
{
	for (u32 i = 0; i < p->spins; i++)
		if (!(ahci_read(p, reg) & bits))
			return true;
	return false;
}

static bool engine_stop(struct ahci_port *p)
{
	u32 cmd = ahci_read(p, PxCMD) & ~(u32)PxCMD_ST;

	ahci_write(p, PxCMD, cmd);
	if (!wait_clear(p, PxCMD, PxCMD_CR))
		return false;
	ahci_write(p, PxCMD, cmd & ~(u32)PxCMD_FRE);
	return wait_clear(p, PxCMD, PxCMD_FR);
}

static void list_set(struct ahci_port *p)
{
	u64 clb = p->mode == AHCI_PLAIN ? p->clb : p->page_pa;

	ahci_write(p, PxCLB, (u32)clb);
	ahci_write(p, PxCLBU, (u32)(clb >> 32));
}

static void frames_set(struct ahci_port *p)
{
	u64 fb = p->page_pa + offsetof(struct ahci_page, received);

	if (p->mode == AHCI_PLAIN)
		fb = p->fb;
	ahci_write(p, PxFB, (u32)fb);
	ahci_write(p, PxFBU, (u32)(fb >> 32));
}

/* As @cmd was; both engines are stopped. Frames are received before a command
 * is sent: 10.3.1. */
static void engine_start(struct ahci_port *p, u32 cmd)
{
	list_set(p);
	frames_set(p);
	p->receives = cmd & PxCMD_FRE;
	p->started = cmd & PxCMD_ST;
	ahci_write(p, PxCMD, cmd & ~(u32)PxCMD_ST);
	ahci_write(p, PxCMD, cmd);
}

void ahci_port_switch(struct ahci_port *p, enum ahci_mode mode)
{
	u32 cmd = ahci_read(p, PxCMD);

	if (!engine_stop(p)) {
		p->mode = AHCI_SHADOW;
		log_limited(&p->trouble, "ahci: port %u.%u does not stop",
			    p->id.controller, p->id.channel);
		p->stuck = true;
		p->identified = false;
		return;
	}
	p->mode = mode;
	engine_start(p, cmd);
}

/* A slot whose bit an HBA has kept, or a guest's own, does nothing. */
static void list_clear(struct ahci_port *p)
{
	memset(p->page->table, 0, sizeof(p->page->table));
	p->page->table[0] = FIS_H2D;
	p->page->table[1] = FIS_COMMAND;
	for (u32 n = 0; n < AHCI_SLOTS; n++)
		p->page->list[n] = (struct ahci_header){
			.flags = FIS_BYTES / 4,
			.ctba = p->page_pa + offsetof(struct ahci_page, table),
		};
}

/* The port is stopped: nothing is under way, and nothing waits. */
static void slots_clear(struct ahci_port *p)
{
	p->ci = p->sact = p->waiting = 0;
	p->active = p->ncq = 0;
	p->asking = p->stuck = false;
	memset(p->slot, 0, sizeof(p->slot));
	list_clear(p);
}

/* ---- the guest's accesses ---- */

/*
 * Takes the port from the guest. What the HBA has not sent yet must not go to
 * another device: it is lost, and stays to be seen until the port is started
 * again.
 */
static void port_close(struct ahci_port *p)
{
	bool plain = p->mode == AHCI_PLAIN;
	u32 ci = plain ? ahci_read(p, PxCI) : p->ci;
	u32 sact = plain ? ahci_read(p, PxSACT) : p->sact;

	slots_clear(p);
	ahci_port_switch(p, AHCI_SHADOW);
	p->ci = ci;
	p->sact = sact;
	p->stuck |= ci != 0;
}

/* What was decided for one device does not go to another. */
void ahci_port_forget(struct ahci_port *p)
{
	p->identified = false;
	if (p->mode == AHCI_PLAIN || p->active)
		port_close(p);
}

/* The HBA forgets its commands now, but may still be moving data: memory is
 * not used again before the port is started. */
static void port_stops(struct ahci_port *p)
{
	if (p->mode == AHCI_SHADOW)
		ahci_sync_stop(p);
	p->ci = p->sact = p->waiting = 0;
}

void ahci_port_reset(struct ahci_port *p)
{
	port_stops(p);
	ahci_port_forget(p);
	p->ci = p->sact = 0;
	p->started = p->receives = false;
}

static void cmd_write(struct ahci_port *p, u32 v)
{
	u32 old = ahci_read(p, PxCMD);

	v &= ~(u32)(PxCMD_PMA | PxCMD_FBSCP);
	if (!(v & PxCMD_ST))
		port_stops(p);
	if (v & PxCMD_ST && !(old & PxCMD_ST)) {
		if (old & PxCMD_CR) {
			v &= ~(u32)PxCMD_ST;
		} else {
			slots_clear(p);
			list_set(p);
		}
	}
	if (v & PxCMD_FRE && !(old & (PxCMD_FRE | PxCMD_FR)))
		frames_set(p);
	p->started = v & PxCMD_ST;
	p->receives = v & PxCMD_FRE;
	ahci_write(p, PxCMD, v);
}

/* A slot that has a command, though the guest does not see it in PxCI any
 * more, takes no other. */
static void slot_issue(struct ahci_port *p, u32 n)
{
	if (n >= p->slots || p->slot[n].kind != AHCI_NEW)
		return;
	p->ci |= 1u << n;
	p->queue[p->waiting++] = (u8)n;
}

static void ci_write(struct ahci_port *p, u32 v)
{
	if (!p->started)
		return;
	if (ahci_read(p, PxSERR) & PxSERR_X)
		ahci_port_forget(p);
	if (p->mode == AHCI_PLAIN) {
		ahci_write(p, PxCI, v);
		return;
	}
	for (v &= ~p->ci; v; v &= v - 1)
		slot_issue(p, (u32)__builtin_ctz(v));
	ahci_run(p);
}

static void half_write(u64 *base, u32 reg, u32 v)
{
	u32 shift = reg % 8 * 8;

	*base = (*base & ~(0xFFFFFFFFULL << shift)) | (u64)v << shift;
}

static void base_write(struct ahci_port *p, u32 reg, u32 v)
{
	if (p->mode == AHCI_PLAIN)
		ahci_write(p, reg, v);
	if (!p->wide && reg % 8)
		return;
	if (reg < PxFB)
		half_write(&p->clb, reg, reg == PxCLB ? v & ~0x3FFu : v);
	else
		half_write(&p->fb, reg, reg == PxFB ? v & ~0xFFu : v);
}

static u32 base_read(const struct ahci_port *p, u32 reg)
{
	return (u32)((reg < PxFB ? p->clb : p->fb) >> reg % 8 * 8);
}

/*
 * AHCI 1.3.1, 10.4.2: a device that is reset may be another afterwards. And
 * one that has announced itself gets no commands until PxSERR.DIAG.X has been
 * cleared: by then the port is ours.
 */
static void sctl_write(struct ahci_port *p, u32 v)
{
	if (p->mode == AHCI_SHADOW)
		ahci_sync(p);
	if (v & PxSCTL_DET)
		ahci_port_forget(p);
	ahci_write(p, PxSCTL, v);
}

static void serr_write(struct ahci_port *p, u32 v)
{
	u32 seen = ahci_read(p, PxSERR) & PxSERR_X;

	if (v & seen)
		ahci_port_forget(p);
	/* One that has come since then is not hidden from us. */
	ahci_write(p, PxSERR, v & (~(u32)PxSERR_X | seen));
	if (p->mode == AHCI_SHADOW)
		ahci_run(p);
}

void ahci_port_write(struct ahci_port *p, u32 reg, u32 v)
{
	switch (reg) {
	case PxCLB:
	case PxCLBU:
	case PxFB:
	case PxFBU:
		base_write(p, reg, v);
		break;
	case PxCMD:
		cmd_write(p, v);
		break;
	case PxSCTL:
		sctl_write(p, v);
		break;
	case PxSERR:
		serr_write(p, v);
		break;
	case PxCI:
		ci_write(p, v);
		break;
	case PxSACT:
		if (p->mode == AHCI_PLAIN)
			ahci_write(p, reg, v);
		else if (p->started)
			p->sact |= v;
		break;
	case PxIS:
	case PxIE:
	case PxSNTF:
	case PxDEVSLP:
		ahci_write(p, reg, v);
		break;
	default: /* read-only, FIS-based switching, vendor specific */
		if (p->mode == AHCI_PLAIN && reg > PxFBS)
			ahci_write(p, reg, v);
	}
}

/* The register first: what it says has then been taken note of. */
static u32 shadow_read(struct ahci_port *p, u32 reg)
{
	u32 v;

	switch (reg) {
	case PxCLB:
	case PxCLBU:
	case PxFB:
	case PxFBU:
		return base_read(p, reg);
	case PxFBS:
		return 0;
	case PxSACT:
		ahci_sync(p);
		return p->sact;
	case PxCI:
		ahci_sync(p);
		return p->ci;
	case PxIS:
	case PxTFD:
		v = ahci_read(p, reg);
		ahci_sync(p);
		return v;
	default:
		return ahci_read(p, reg);
	}
}

u32 ahci_port_read(struct ahci_port *p, u32 reg)
{
	u32 v = p->mode == AHCI_PLAIN ? ahci_read(p, reg) : shadow_read(p, reg);

	if (reg == PxCMD)
		v &= ~(u32)(PxCMD_PMA | PxCMD_FBSCP);
	return v;
}

/* ---- start ---- */

/* Asks the device, if there is one. */
static void port_probe(struct ahci_port *p, u32 cmd)
{
	if ((ahci_read(p, PxSSTS) & SSTS_DET) != DET_PRESENT)
		return;
	engine_start(p, cmd | PxCMD_FRE);
	if (!wait_clear(p, PxTFD, ATA_BSY | ATA_DRQ))
		return;
	ahci_write(p, PxSERR, PxSERR_X);
	ahci_write(p, PxCMD, cmd | PxCMD_FRE | PxCMD_ST);
	ahci_identify_begin(p);
	for (u32 i = 0; i < p->spins && p->asking; i++)
		ahci_identify_end(p);
}

int ahci_port_start(struct ahci_port *p)
{
	u32 cmd = ahci_read(p, PxCMD);

	p->page = dma_alloc(1, &p->page_pa);
	if (!p->page)
		return -ENOMEM;
	p->clb = ahci_read(p, PxCLB) | (u64)ahci_read(p, PxCLBU) << 32;
	p->fb = ahci_read(p, PxFB) | (u64)ahci_read(p, PxFBU) << 32;
	cmd &= ~(u32)PxCMD_PMA;
	list_clear(p);
	if (engine_stop(p))
		port_probe(p, cmd & ~(u32)(PxCMD_ST | PxCMD_FRE));
	if (engine_stop(p)) {
		slots_clear(p);
		engine_start(p, cmd);
	} else {
		p->stuck = true;
	}
	ahci_write(p, PxIS, ~0u);
	return p->dev && !p->table ? -ENOMEM : 0;
}

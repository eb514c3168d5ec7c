#include "tests/unit/ahci_model.h"

#include <stdlib.h>
#include <string.h>

#include "core/io/mmio.h"
#include "core/lib/range.h"

#define ST    BIT(0)
#define CLO   BIT(3)
#define FRE   BIT(4)
#define FR    BIT(14)
#define CR    BIT(15)
#define DHRS  BIT(0)
#define SDBS  BIT(3)
#define TFES  BIT(30)
#define READY 0x50

struct model model;
static u8 images[MODEL_PORTS][MODEL_IMAGE];

static u32 number(struct model_port *p)
{
	return (u32)(p - model.port);
}

/* What a port reads and writes; nothing is there beyond all memory. */
static void dma(struct model_port *p, u64 addr, void *buf, u32 len, bool write)
{
	if (!(model.cap >> 31))
		addr = (u32)addr;
	if (model.on_dma)
		model.on_dma(number(p), addr, len, write);
	if (!range_ok(addr, len, MODEL_MEMORY)) {
		if (!write)
			memset(buf, 0xFF, len);
	} else if (write) {
		memcpy(model.memory + addr, buf, len);
	} else {
		memcpy(buf, model.memory + addr, len);
	}
}

/* ---- frames ---- */

static void frame(struct model_port *p, u32 offset, u8 *fis, u32 len)
{
	if (p->cmd & FRE)
		dma(p, ((u64)p->fbu << 32 | p->fb) + offset, fis, len, true);
}

static void frame_register(struct model_port *p, u8 status, u8 error)
{
	u8 fis[20] = { 0x34, 0x40, status, error };

	p->tfd = status | error << 8;
	frame(p, 0x40, fis, sizeof(fis));
	p->is |= DHRS;
	if (status & 1)
		p->is |= TFES;
}

static void frame_bits(struct model_port *p, u32 bits, u8 status, u8 error)
{
	u8 fis[8] = { 0xA1, 0x40, status, error };

	memcpy(fis + 4, &bits, 4);
	p->tfd = status | error << 8;
	frame(p, 0x58, fis, sizeof(fis));
	p->is |= SDBS;
	if (status & 1)
		p->is |= TFES;
}

static void signature(struct model_port *p)
{
	p->sig = p->disk.atapi ? 0xEB140101 : 0x101;
	p->tfd = READY;
}

/* ---- the disk ---- */

u8 *model_sector(struct model_disk *d, u64 lba)
{
	return model_image_sector(d->data, d->sector, lba);
}

static void identify(struct model_disk *d, u8 *buf)
{
	static const char text[] = "OMED LIDKS   ";

	memset(buf, 0, 512);
	if (d->atapi)
		put_word(buf, 0, d->no_disc ? 0x80C0 : 0x85C0);
	for (int i = 0; i < 40; i++)
		buf[54 + i] = i < 13 ? (u8)text[i] : ' ';
	buf[54 + 15] = d->revision;
	for (int i = 0; i < 20; i++)
		buf[20 + (i ^ 1)] =
			i < (int)strlen(d->serial) ? (u8)d->serial[i] : ' ';
	put_word(buf, 49, d->atapi ? 0x6B00 : 0x0B00);
	put_word(buf, 75, 31);
	put_word(buf, 76, 0xFF06);
	put_word(buf, 77, 0x0060);
	put_word(buf, 83, 0x7FFF);
	put_word(buf, 169, 1);
	for (int i = 0; i < 4; i++)
		put_word(buf, 100 + i, (u16)(d->capacity >> 16 * i));
	if (d->sector != 512) {
		put_word(buf, 106, 0x5000);
		put_word(buf, 117, (u16)(d->sector / 2));
	}
}

static bool is_ext(u8 c)
{
	return c == 0x24 || c == 0x25 || c == 0x29 || c == 0x34 || c == 0x35 ||
	       c == 0x39 || c == 0x3D || c == 0x42 || c == 0x60 || c == 0x61;
}

static bool is_out(u8 c)
{
	return c == 0x30 || c == 0x34 || c == 0x35 || c == 0x39 || c == 0x3D ||
	       c == 0xCA || c == 0x61 || c == 0x06;
}

static bool is_user(u8 c)
{
	return is_ext(c) || c == 0x20 || c == 0xC8 || c == 0x30 || c == 0xCA ||
	       c == 0x40;
}

/* False if the device knows no such command or has no such sectors. */
static bool command_decode(struct model_disk *d, struct model_command *c,
			   const u8 *fis)
{
	u32 count = fis[12] | fis[13] << 8;

	c->code = fis[2];
	c->queued = c->code == 0x60 || c->code == 0x61 || c->code == 0x63;
	c->out = is_out(c->code);
	c->user = is_user(c->code);
	c->bytes = 0;
	c->lba = fis[4] | fis[5] << 8 | (u64)fis[6] << 16;
	if (!c->user) {
		if (c->code == 0xEC || c->code == 0xA1 || c->code == 0x2F ||
		    c->code == 0x06)
			c->bytes = 512;
		return c->bytes || c->code == 0xEA || c->code == 0xE7 ||
		       c->code == 0xEF || c->code == 0x63 || c->code == 0xB0;
	}
	if (c->queued)
		count = fis[3] | fis[11] << 8;
	if (is_ext(c->code)) {
		c->lba |= (u64)fis[8] << 24 | (u64)fis[9] << 32 |
			  (u64)fis[10] << 40;
		count = count ? count : 65536;
	} else {
		c->lba |= (u64)(fis[7] & 15) << 24;
		count = fis[12] ? fis[12] : 256;
	}
	if (c->code != 0x40 && c->code != 0x42)
		c->bytes = count * d->sector;
	return fis[7] & 0x40 && range_ok(c->lba, count, d->capacity);
}

/* ---- packets: MMC-6, SPC-4 ---- */

static bool packet_check(struct model_disk *d, u8 key, u8 asc)
{
	d->key = key;
	d->asc = asc;
	return false;
}

static void packet_sectors(struct model_disk *d, struct model_command *c,
			   u32 count)
{
	c->user = true;
	c->out = d->cdb[0] == 0x2A || d->cdb[0] == 0xAA;
	c->lba = (u32)d->cdb[2] << 24 | d->cdb[3] << 16 | d->cdb[4] << 8 |
		 d->cdb[5];
	c->bytes = count * d->sector;
}

static void packet_reply(struct model_disk *d, struct model_command *c,
			 u32 bytes)
{
	c->bytes = bytes < d->cdb[4] ? bytes : d->cdb[4];
}

static bool packet_decode(struct model_disk *d, struct model_command *c)
{
	u8 sense[18] = { 0x70, 0, d->key, [7] = 10, [12] = d->asc };

	c->user = c->out = c->queued = false;
	c->bytes = 0;
	memset(d->reply, 0x12, sizeof(d->reply));
	if (d->cdb[0] == 0x03)
		memcpy(d->reply, sense, sizeof(sense));
	else if (d->cdb[0] != 0x12 && d->attention) {
		d->attention = false;
		return packet_check(d, 6, 0x28);
	}
	packet_check(d, 0, 0);
	switch (d->cdb[0]) {
	case 0x00:
		break;
	case 0x03:
		packet_reply(d, c, 18);
		break;
	case 0x12:
		packet_reply(d, c, 36);
		break;
	case 0x28:
	case 0x2A:
	case 0xBE:
		packet_sectors(d, c, d->cdb[7] << 8 | d->cdb[8]);
		break;
	case 0xA8:
	case 0xAA:
		packet_sectors(d, c, d->cdb[8] << 8 | d->cdb[9]);
		break;
	default:
		return packet_check(d, 5, 0x20);
	}
	return true;
}

/* ---- commands ---- */

static void command_fail(struct model_port *p, u32 n, u8 error)
{
	struct model_command *c = &p->slot[n];

	c->taken = false;
	p->halted = !model.lax;
	if (c->code == 0xA0)
		error = (u8)(p->disk.key << 4 | 4);
	if (!c->queued)
		dma(p, ((u64)p->clbu << 32 | p->clb) + n * 32 + 4, &c->done, 4,
		    true);
	if (c->queued) {
		/* all that are queued have ended, without their bits */
		for (u32 i = 0; i < 32; i++)
			p->slot[i].taken = false;
		frame_bits(p, 0, READY | 1, error);
		return;
	}
	if (model.lax)
		p->ci &= ~(1u << n);
	frame_register(p, READY | 1, error);
}

static void command_end(struct model_port *p, u32 n)
{
	struct model_command *c = &p->slot[n];
	u32 bit = 1u << n;

	c->taken = false;
	if (c->queued) {
		p->sact &= ~bit;
		frame_bits(p, bit, READY, 0);
		return;
	}
	dma(p, ((u64)p->clbu << 32 | p->clb) + n * 32 + 4, &c->done, 4, true);
	p->ci &= ~bit;
	frame_register(p, READY, 0);
}

/* 20 bytes of the frame, of which byte 15 is the control register. */
static void control(struct model_port *p, u32 n, const u8 *fis)
{
	p->ci &= ~(1u << n);
	if (fis[15] & 4) {
		p->reset_seen = true;
		for (u32 i = 0; i < 32; i++)
			p->slot[i].taken = false;
	} else if (p->reset_seen) {
		p->reset_seen = false;
		signature(p);
		frame_register(p, READY, 1);
	}
}

static bool others_taken(struct model_port *p, bool queued)
{
	for (u32 i = 0; i < 32; i++)
		if (p->slot[i].taken && !(queued && p->slot[i].queued))
			return true;
	return false;
}

static void command_fetch(struct model_port *p, u32 n)
{
	struct model_command *c = &p->slot[n];
	u8 header[32], fis[20];
	bool known;

	model.fetching = true;
	dma(p, ((u64)p->clbu << 32 | p->clb) + n * 32, header, 32, false);
	c->table = load_le64(header + 8);
	dma(p, c->table, fis, 20, false);
	model.fetching = false;
	if ((header[0] & 31) != 5 || fis[0] != 0x27)
		model.stopping++; /* 4.2.2: no frame of a command */
	c->prds = header[2] | header[3] << 8;
	c->prd = c->offset = c->done = 0;
	model.commands++;
	if (!(fis[1] & 0x80)) {
		control(p, n, fis);
		return;
	}
	known = command_decode(&p->disk, c, fis);
	if (p->disk.atapi && c->code == 0xA0 && header[0] & 0x20) {
		dma(p, c->table + 0x40, p->disk.cdb, 16, false);
		p->disk.features = fis[3];
		p->disk.limit = (u16)(fis[5] | fis[6] << 8);
		known = packet_decode(&p->disk, c);
	}
	if (others_taken(p, c->queued))
		model.mixed++;
	if (c->queued && !(p->sact >> n & 1))
		model.stopping++; /* 3.3.13: that is set first */
	if (fis[2] == (p->disk.atapi ? 0xEC : 0xA1))
		known = false; /* it is for the other kind */
	if (p->identify_fail && (fis[2] == 0xEC || fis[2] == 0xA1)) {
		p->identify_fail--;
		known = false;
	}
	if (!known) {
		command_fail(p, n, 4);
		return;
	}
	if ((header[0] >> 6 & 1) != (c->bytes && c->out))
		model.stopping++; /* the wrong direction */
	c->taken = true;
	if (c->queued)
		p->ci &= ~(1u << n);
	else
		p->tfd = 0x80;
}

/* Where the next byte of data is, and for how many more. */
static bool prd_here(struct model_port *p, struct model_command *c, u64 *addr,
		     u32 *len)
{
	u8 prd[16];
	u32 bytes;

	if (c->prd >= c->prds)
		return false;
	dma(p, c->table + 0x80 + c->prd * 16, prd, 16, false);
	bytes = ((load_le32(prd + 12) & 0x3FFFFF) | 1) + 1;
	*addr = load_le64(prd) + c->offset;
	*len = bytes - c->offset;
	return true;
}

static void sector_load(struct model_port *p, struct model_command *c)
{
	struct model_disk *d = &p->disk;
	u64 lba = c->lba + c->done / d->sector;

	if (c->code == 0xEC || c->code == 0xA1)
		identify(d, c->buf);
	else if (c->code == 0xA0 && !c->user)
		memcpy(c->buf, d->reply, sizeof(d->reply));
	else if (!c->user)
		memset(c->buf, 0x2F, 512);
	else if (model_sector(d, lba))
		memcpy(c->buf, model_sector(d, lba), d->sector);
	else
		memset(c->buf, 0, d->sector);
}

static void sector_store(struct model_port *p, struct model_command *c)
{
	struct model_disk *d = &p->disk;
	u64 lba = c->lba + c->done / d->sector - 1;

	if (!c->user)
		return;
	if (model.on_write)
		model.on_write(d, lba, c->buf);
	if (model_sector(d, lba))
		memcpy(model_sector(d, lba), c->buf, d->sector);
}

/* At most what is left of a sector and of a piece of memory. */
static void command_move(struct model_port *p, u32 n)
{
	struct model_command *c = &p->slot[n];
	u32 size = c->user			 ? p->disk.sector
		   : c->code == 0xA0 && c->bytes ? c->bytes
						 : 512;
	u32 at = c->done % size;
	u64 addr, lba = c->lba + c->done / size;
	u32 len;

	if (c->done == c->bytes) {
		command_end(p, n);
		return;
	}
	if (c->user && lba == p->disk.bad_lba) {
		packet_check(&p->disk, 3, 0x11);
		command_fail(p, n, 0x40);
		return;
	}
	if (!prd_here(p, c, &addr, &len)) {
		command_fail(p, n, 4);
		return;
	}
	if (!at && !c->out)
		sector_load(p, c);
	if (len > size - at) {
		len = size - at;
		c->offset += len;
	} else {
		c->offset = 0;
		c->prd++;
	}
	dma(p, addr, c->buf + at, len, !c->out);
	c->done += len;
	if (c->out && c->done % size == 0)
		sector_store(p, c);
}

static void port_tick(struct model_port *p)
{
	u32 n = model_random() % 32;

	if (!(p->cmd & ST))
		p->cmd &= ~(u32)CR;
	if (!(p->cmd & FRE))
		p->cmd &= ~(u32)FR;
	if (!(p->cmd & ST) || p->halted || !p->disk.present ||
	    p->serr & BIT(26))
		return;
	/* the next slot that has anything to do */
	for (u32 i = 0; i < 32; i++, n = (n + 1) % 32) {
		if (p->slot[n].taken) {
			for (u32 k = 1 + model_random() % 64; k; k--)
				if (p->slot[n].taken)
					command_move(p, n);
			return;
		}
		/* one at a time, but for queued ones */
		if (p->ci >> n & 1 && !others_taken(p, true)) {
			command_fetch(p, n);
			return;
		}
	}
}

void model_tick(void)
{
	if (model.lazy && model_random() % model.lazy)
		return;
	for (u32 i = 0; i < MODEL_PORTS; i++) {
		port_tick(&model.port[i]);
		if (model.port[i].is & model.port[i].ie)
			model.is |= 1u << i;
	}
}

/* ---- registers ---- */

static void slots_drop(struct model_port *p)
{
	for (u32 i = 0; i < 32; i++)
		p->slot[i].taken = false;
}

static void link_reset(struct model_port *p)
{
	slots_drop(p);
	p->ssts = p->disk.present ? 0x113 : 0;
	p->serr |= p->disk.present ? BIT(26) : 0;
	p->tfd = 0x7F;
	if (model.lax)
		p->sact = 0;
	if (p->disk.present)
		signature(p);
}

void model_plug(u32 n, bool present, const char *serial)
{
	struct model_port *p = &model.port[n];

	p->disk.present = present;
	strncpy(p->disk.serial, serial, sizeof(p->disk.serial) - 1);
	link_reset(p);
}

static void cmd_write(struct model_port *p, u32 v)
{
	u32 fixed = FR | CR | BIT(13);

	if (!(v & ST) && p->cmd & ST) {
		slots_drop(p);
		if (!model.lax)
			p->ci = p->sact = 0;
	}
	if (v & ST && !(p->cmd & ST)) {
		p->halted = false;
		if (p->cmd & CR || !(p->cmd & FRE))
			model.stopping++; /* 10.3.1 */
		p->cmd |= CR;
	}
	if (v & FRE)
		p->cmd |= FR;
	if (v & CLO)
		p->tfd &= ~0x88u;
	p->cmd = (p->cmd & fixed) | (v & ~fixed & ~(u32)CLO);
}

static u32 *plain_register(struct model_port *p, u32 reg)
{
	u32 *regs[] = { &p->clb,  &p->clbu, &p->fb,   &p->fbu,	&p->is,
			&p->ie,	  &p->cmd,  NULL,     &p->tfd,	&p->sig,
			&p->ssts, &p->sctl, &p->serr, &p->sact, &p->ci };

	return reg < sizeof(regs) / sizeof(*regs) * 4 ? regs[reg / 4] : NULL;
}

static void port_write(struct model_port *p, u32 reg, u32 v)
{
	switch (reg) {
	case 0x00:
	case 0x04:
		if (p->cmd & (ST | CR))
			model.stopping++;
		*plain_register(p, reg) = reg ? v : v & ~0x3FFu;
		break;
	case 0x08:
	case 0x0C:
		if (p->cmd & (FRE | FR))
			model.stopping++;
		*plain_register(p, reg) = reg == 8 ? v & ~0xFFu : v;
		break;
	case 0x10:
		p->is &= ~v;
		break;
	case 0x14:
		p->ie = v;
		break;
	case 0x18:
		cmd_write(p, v);
		break;
	case 0x2C:
		if ((p->sctl & 15) == 1 && !(v & 15))
			link_reset(p);
		else if (v & 15)
			p->ssts = 0;
		p->sctl = v;
		break;
	case 0x30:
		p->serr &= ~v;
		break;
	case 0x34:
		if (p->cmd & ST)
			p->sact |= v;
		break;
	case 0x38:
		if (p->cmd & ST)
			p->ci |= v;
		break;
	default:
		model.unknown++;
	}
}

static void hba_reset(void)
{
	for (u32 i = 0; i < MODEL_PORTS; i++) {
		struct model_port *p = &model.port[i];

		p->is = p->ie = p->sctl = p->ci = p->sact = 0;
		p->cmd = 0;
		p->halted = false;
		link_reset(p);
	}
	model.ghc = BIT(31);
	model.is = 0;
}

u64 hw_mmio_read(hpa_t pa, u8 size)
{
	u32 off = (u32)(pa - model.abar), n = (off - 0x100) / 0x80, *reg, v;

	if (pa < model.abar || off >= 0x1000 || size != 4)
		abort();
	model.lost += model.off;
	model_tick();
	switch (off) {
	case 0x00:
		return model.cap;
	case 0x04:
		return model.ghc;
	case 0x08:
		return model.is;
	case 0x0C:
		return (1u << MODEL_PORTS) - 1;
	default:
		if (off < 0x100 || n >= MODEL_PORTS)
			return 0;
		reg = plain_register(&model.port[n], off & 0x7F);
		v = reg ? *reg : 0;
		if (model.on_read)
			model.on_read(n, off & 0x7F);
		return v;
	}
}

void hw_mmio_write(hpa_t pa, u8 size, u64 value)
{
	u32 off = (u32)(pa - model.abar), n = (off - 0x100) / 0x80;

	if (pa < model.abar || off >= 0x1000 || size != 4)
		abort();
	model.lost += model.off;
	if (off == 0x04) {
		model.ghc = (u32)value & 0x80000002;
		if (value & 1)
			hba_reset();
	} else if (off == 0x08) {
		model.is &= ~(u32)value;
	} else if (off >= 0x100 && n < MODEL_PORTS) {
		port_write(&model.port[n], off & 0x7F, (u32)value);
		if ((off & 0x7F) == 0x38) /* what is there goes at once */
			model_tick();
	}
}

void model_init(void)
{
	memset(model.memory, 0, sizeof(model.memory));
	memset(images, 0, sizeof(images));
	model_power_on();
}

void model_power_on(void)
{
	memset(&model, 0, offsetof(struct model, memory));
	model_memory_init(model.memory, MODEL_RAM, MODEL_MEMORY, true);
	model.cap = BIT(31) | BIT(30) | 31 << 8 | BIT(17) | BIT(16) |
		    (MODEL_PORTS - 1);
	model.ghc = BIT(31);
	model.abar = MODEL_ABAR;
	for (u32 i = 0; i < MODEL_PORTS; i++) {
		struct model_port *p = &model.port[i];

		p->disk.present = true;
		p->disk.sector = 512;
		p->disk.capacity = MODEL_HIGH + MODEL_LOW;
		p->disk.bad_lba = ~0ULL;
		p->disk.data = images[i];
		strcpy(p->disk.serial, i ? "OTHER" : "SECRET");
		link_reset(p);
		p->serr = 0;
	}
}

#include "tests/unit/ide_model.h"

#include <stdlib.h>
#include <string.h>

#include "core/io/port.h"
#include "core/lib/range.h"

#define ERR 0x01
#define DRQ 0x08
#define RDY 0x40
#define BSY 0x80

struct model model;
static u8 images[2][MODEL_IMAGE];

/* ---- devices ---- */

u8 *model_sector(struct model_device *d, u64 lba)
{
	return model_image_sector(d->disk, d->sector, lba);
}

static struct model_device *selected(void)
{
	return &model.dev[model.device >> 4 & 1];
}

static void interrupt(struct model_device *d)
{
	d->pending = true;
	if (d != selected() || model.control & 2)
		return;
	model.intrq = true;
	model.interrupts++;
	model.bm_status |= 4;
}

void model_finish(struct model_device *d, u8 status, u8 error)
{
	d->phase = M_IDLE;
	d->status = status;
	d->error = error;
	interrupt(d);
}

static void abort_command(struct model_device *d)
{
	model_finish(d, RDY | ERR, 0x04);
}

static void identify(struct model_device *d)
{
	static const char text[] = "OMED LIDKS 1 ";
	u8 sum = 0;

	memset(d->buf, 0, 512);
	for (int i = 0; i < 40; i++)
		d->buf[54 + i] = i < 13 ? (u8)text[i] : ' ';
	memcpy(d->buf + 20, "  S123              ", 20);
	if (d->atapi)
		put_word(d->buf, 0, 0x80C0 | d->type << 8);
	put_word(d->buf, 1, 16383);
	put_word(d->buf, 3, d->heads);
	put_word(d->buf, 6, d->spt);
	put_word(d->buf, 48, 1);
	put_word(d->buf, 49, d->atapi ? 0x6B00 : d->no_lba ? 0x2900 : 0x2B00);
	put_word(d->buf, 55, d->heads);
	put_word(d->buf, 56, d->spt);
	put_word(d->buf, 59, 0x100 | d->multiple);
	put_word(d->buf, 60, 0xFFFF);
	put_word(d->buf, 61, 0x0FFF);
	put_word(d->buf, 76, 0x0706);
	put_word(d->buf, 82, 0x746B);
	put_word(d->buf, 83, 0x7FFF);
	put_word(d->buf, 84, 0x7FFF);
	put_word(d->buf, 85, 0x746B);
	put_word(d->buf, 86, 0xBFFF);
	put_word(d->buf, 87, 0x7FFF);
	for (int i = 0; i < 4; i++)
		put_word(d->buf, 100 + i, (u16)(d->capacity >> 16 * i));
	if (d->sector != 512) {
		put_word(d->buf, 106, 0x5000);
		put_word(d->buf, 117, (u16)(d->sector / 2));
	}
	d->buf[510] = 0xA5;
	for (int i = 0; i < 511; i++)
		sum += d->buf[i];
	d->buf[511] = (u8)-sum;
}

static bool is_ext(u8 c)
{
	return c == 0x24 || c == 0x25 || c == 0x29 || c == 0x34 || c == 0x35 ||
	       c == 0x39 || c == 0x3D || c == 0xCE || c == 0x42 || c == 0x06;
}

static bool is_multiple(u8 c)
{
	return c == 0xC4 || c == 0xC5 || c == 0x29 || c == 0x39 || c == 0xCE;
}

/* The address in the registers; false if it does not exist. */
static bool address(struct model_device *d, u8 c)
{
	u64 low = d->cur[3] | d->cur[4] << 8 | (u64)d->cur[5] << 16;

	d->left = d->cur[2] ? d->cur[2] : 256;
	d->lba = low | (u64)(model.device & 0xF) << 24;
	if (is_ext(c)) {
		d->left = d->cur[2] | d->hob[2] << 8;
		if (!d->left)
			d->left = 65536;
		d->lba = low | (u64)d->hob[3] << 24 | (u64)d->hob[4] << 32 |
			 (u64)d->hob[5] << 40;
	} else if (!(model.device & 0x40)) {
		if (!d->cur[3] || d->cur[3] > d->spt ||
		    (model.device & 0xF) >= d->heads)
			return false;
		d->lba = ((d->cur[4] | d->cur[5] << 8) * (u64)d->heads +
			  (model.device & 0xF)) *
				 d->spt +
			 d->cur[3] - 1;
	}
	return d->lba + d->left <= d->capacity;
}

static enum model_phase phase_of(u8 c)
{
	switch (c) {
	case 0x20:
	case 0x21:
	case 0x24:
	case 0x29:
	case 0xC4:
		return M_PIO_IN;
	case 0x30:
	case 0x31:
	case 0x34:
	case 0x39:
	case 0x3C:
	case 0xC5:
	case 0xCE:
		return M_PIO_OUT;
	case 0x25:
	case 0xC8:
	case 0xC9:
		return M_DMA_IN;
	case 0x35:
	case 0x3D:
	case 0xCA:
	case 0xCB:
		return M_DMA_OUT;
	default:
		return M_IDLE;
	}
}

void model_go_busy(struct model_device *d)
{
	d->status = BSY;
	d->busy = 1 + (model.max_busy ? model_random() % model.max_busy : 0);
}

static void start_transfer(struct model_device *d, u8 c)
{
	d->phase = phase_of(c);
	d->block = is_multiple(c) ? d->multiple : 1;
	d->pos = d->len = 0;
	if (is_multiple(c) && !d->multiple)
		abort_command(d);
	else if (!address(d, c))
		model_finish(d, RDY | ERR, 0x10);
	else
		model_go_busy(d);
}

static void reset_device(struct model_device *d)
{
	d->phase = M_IDLE;
	d->busy = d->total = 0;
	d->pending = false;
	d->status = d->present && !d->atapi ? RDY : 0;
	d->error = 1;
	d->cur[2] = d->cur[3] = 1;
	d->cur[4] = d->atapi ? 0x14 : 0;
	d->cur[5] = d->atapi ? 0xEB : 0;
}

static void command(struct model_device *d, u8 c)
{
	model.commands++;
	model.intrq = d->pending = false;
	d->stale = model.delay;
	d->command = c;
	d->error = 0;
	if (d->mute && c == 0xEC) {
		model_finish(d, d->mute, 0x04);
		return;
	}
	if (phase_of(c) != M_IDLE && !d->atapi) {
		start_transfer(d, c);
		return;
	}
	switch (d->atapi ? 0xA00 | c : c) {
	case 0xEC:
	case 0x2F:
		d->phase = M_PIO_IN;
		d->left = 0;
		model_go_busy(d);
		break;
	case 0x06:
		start_transfer(d, c);
		d->phase = M_DMA_OUT;
		break;
	case 0x40:
	case 0x41:
	case 0x42:
		model_finish(d, address(d, c) ? RDY : RDY | ERR,
			     address(d, c) ? 0 : 0x10);
		break;
	case 0x91:
		d->spt = d->cur[2];
		d->heads = (model.device & 0xF) + 1;
		model_finish(d, RDY, 0);
		break;
	case 0xC6:
		d->multiple = d->cur[2];
		model_finish(d, RDY, 0);
		break;
	case 0xEF:
		if ((d->cur[1] & 0x7F) == 1)
			d->narrow = d->cur[1] == 1;
		model_finish(d, RDY, 0);
		break;
	case 0xE7:
	case 0xEA:
	case 0x70:
	case 0x10:
		model_finish(d, RDY, 0);
		break;
	case 0x90:
		reset_device(&model.dev[0]);
		reset_device(&model.dev[1]);
		model.device = 0;
		break;
	case 0xA08:
		reset_device(d);
		break;
	case 0xAA0:
		d->by_dma = d->cur[1] & 1;
		d->phase = M_PIO_OUT;
		d->len = d->total = d->reply = 0;
		model_go_busy(d);
		break;
	case 0xAA1:
		d->phase = M_PIO_IN;
		d->left = 0;
		model_go_busy(d);
		break;
	case 0xAEF:
		model_finish(d, RDY, 0);
		break;
	case 0xAEC:
		d->cur[4] = 0x14;
		d->cur[5] = 0xEB;
		abort_command(d);
		break;
	default:
		abort_command(d);
	}
}

bool model_sector_bad(struct model_device *d, u64 lba)
{
	return lba == d->bad_lba || !model_sector(d, lba);
}

/* The next sectors into the buffer. */
static void load(struct model_device *d, u32 n)
{
	d->pos = 0;
	d->len = n * d->sector;
	for (u32 i = 0; i < n; i++, d->lba++, d->left--) {
		if (model_sector_bad(d, d->lba) && d->atapi) {
			model_check(d, 3, 0x11);
			return;
		}
		if (model_sector_bad(d, d->lba)) {
			model_finish(d, RDY | ERR, 0x40);
			return;
		}
		memcpy(d->buf + i * d->sector, model_sector(d, d->lba),
		       d->sector);
	}
}

/* What is in the buffer goes to the disk. */
static bool store(struct model_device *d)
{
	for (u32 i = 0; i * d->sector < d->len; i++, d->lba++, d->left--) {
		if (d->command == 0x06)
			continue;
		if (model_sector_bad(d, d->lba)) {
			if (d->atapi)
				model_check(d, 3, 0x0C);
			else
				model_finish(d, RDY | ERR, 0x10);
			return false;
		}
		for (u32 n = 0; d->on_write && n < d->sector; n += 512)
			if (d->atapi || !n)
				d->on_write(d->atapi ? d->lba * 4 + n / 512
						     : d->lba,
					    d->buf + i * d->sector + n);
		memcpy(model_sector(d, d->lba), d->buf + i * d->sector,
		       d->sector);
	}
	return true;
}

static void pio_in_ready(struct model_device *d)
{
	d->status = RDY | DRQ;
	if (d->command == 0xA0) {
		model_block(d);
	} else if (d->command == 0xEC || d->command == 0xA1) {
		identify(d);
		d->pos = 0;
		d->len = 512;
	} else if (d->command == 0x2F) {
		memset(d->buf, 0x2F, 512);
		d->pos = 0;
		d->len = 512;
	} else {
		load(d, (u32)min_u64(d->left, d->block));
	}
	if (d->phase == M_PIO_IN)
		interrupt(d);
}

/* The end of a busy time. */
static void go_on(struct model_device *d)
{
	switch (d->phase) {
	case M_PIO_IN:
		pio_in_ready(d);
		break;
	case M_PIO_OUT:
		if (d->len || d->total)
			interrupt(d);
		d->status = RDY | DRQ;
		d->pos = 0;
		if (d->command == 0xA0)
			model_block(d);
		else
			d->len = (u32)min_u64(d->left, d->block) * d->sector;
		break;
	case M_DMA_IN:
	case M_DMA_OUT:
		d->status = RDY | DRQ;
		break;
	case M_IDLE:
		break;
	}
}

static u16 pio_word_in(struct model_device *d)
{
	u16 v;

	model.stray += d->phase == M_PIO_OUT || d->phase == M_DMA_OUT;
	if (d->phase != M_PIO_IN || !(d->status & DRQ))
		return 0xFFFF;
	v = d->buf[d->pos] | d->buf[d->pos + 1] << 8;
	d->pos += 2;
	if (d->pos >= d->len) {
		if (d->command == 0xA0) {
			model_block_moved(d);
		} else if (d->left) {
			model_go_busy(d);
		} else {
			d->phase = M_IDLE;
			d->status = RDY;
		}
	}
	return v;
}

static void pio_word_out(struct model_device *d, u16 v)
{
	model.stray += d->phase == M_DMA_OUT || !(d->status & DRQ);
	if (d->phase != M_PIO_OUT || !(d->status & DRQ))
		return;
	d->buf[d->pos++] = (u8)v;
	if (!d->narrow)
		d->buf[d->pos++] = (u8)(v >> 8);
	if (d->pos < d->len)
		return;
	if (d->command == 0xA0) {
		model_block_moved(d);
	} else if (store(d)) {
		if (d->left)
			model_go_busy(d);
		else
			model_finish(d, RDY, 0);
	}
}

/* ---- the bus master ---- */

static bool fetch_prd(void)
{
	u8 *p = model.memory + model.next;

	if (model.bytes)
		return true;
	if (model.last || model.next + 8 > MODEL_MEMORY) {
		model.running = false;
		model.bm_status &= ~1;
		return false;
	}
	model.addr = p[0] | p[1] << 8 | p[2] << 16 | (u32)p[3] << 24;
	model.bytes = (p[4] | p[5] << 8) & 0xFFFE;
	if (!model.bytes)
		model.bytes = 0x10000;
	model.addr &= ~1u;
	model.last = p[7] & 0x80;
	model.next += 8;
	return true;
}

static void dma_end(struct model_device *d)
{
	if (d->atapi)
		d->cur[2] = 3;
	if (model.last && !model.bytes)
		fetch_prd();
	model_finish(d, RDY, 0);
}

static u8 *dma_address(u32 len)
{
	static u8 nowhere[0x10000];

	if (!range_ok(model.addr, len, MODEL_MEMORY))
		return nowhere;
	return model.memory + model.addr;
}

/* At most a sector from or to the memory. */
static void dma_move(struct model_device *d)
{
	u32 n;

	if (d->phase == M_DMA_IN && d->pos == d->len)
		load(d, 1);
	if (d->phase == M_DMA_OUT && d->pos == d->len) {
		d->pos = 0;
		d->len = d->sector;
	}
	if (d->phase == M_IDLE || !fetch_prd())
		return;
	n = (u32)min_u64(d->len - d->pos, model.bytes);
	if (d->phase == M_DMA_IN) {
		memcpy(dma_address(n), d->buf + d->pos, n);
		model.dirty_from = (u32)min_u64(model.dirty_from, model.addr);
		model.dirty_to = (u32)max_u64(model.dirty_to, model.addr + n);
		if (range_overlap(model.addr, n, MODEL_RAM,
				  MODEL_MEMORY - MODEL_RAM) &&
		    (model.addr != model.scratch || n > 2))
			model.hidden_written += n;
	} else {
		memcpy(d->buf + d->pos, dma_address(n), n);
	}
	d->pos += n;
	model.addr += n;
	model.bytes -= n;
	if (d->pos < d->len)
		return;
	if (d->phase == M_DMA_OUT && !d->reply && !store(d))
		return;
	if (!d->left)
		dma_end(d);
}

static void engine(struct model_device *d)
{
	bool in = d->phase == M_DMA_IN;

	if (!model.running || !(d->status & DRQ) ||
	    (!in && d->phase != M_DMA_OUT))
		return;
	if (in != (model.bm_command >> 3 & 1)) {
		model.wrong_direction++;
		return;
	}
	for (u32 n = 1 + model_random() % 16; n && model.running; n--)
		if (d->phase != M_IDLE)
			dma_move(d);
}

void model_tick(void)
{
	for (int i = 0; i < 2; i++) {
		struct model_device *d = &model.dev[i];

		if (d->busy && !--d->busy)
			go_on(d);
		engine(d);
	}
}

static void bm_write(u16 reg, u8 size, u32 v)
{
	if (reg == 0) {
		if (v & 1 && !(model.bm_command & 1)) {
			model.running = true;
			model.last = false;
			model.bytes = 0;
			model.next = model.bm_prd;
			model.bm_status |= 1;
		} else if (!(v & 1)) {
			model.running = false;
			model.bm_status &= ~1;
		}
		model.bm_command = v & 9;
	} else if (reg == 2) {
		model.bm_status &= ~(v & 6);
		model.bm_status = (model.bm_status & ~0x60) | (v & 0x60);
	} else if (reg >= 4) {
		for (u8 i = 0; i < size; i++) {
			model.bm_prd &= ~(0xFFu << 8 * (reg + i - 4));
			model.bm_prd |= (v >> 8 * i & 0xFF)
					<< 8 * (reg + i - 4);
		}
		model.bm_prd &= ~3u;
	}
	if (model.on_engine)
		model.on_engine();
}

static u32 bm_read(u16 reg, u8 size)
{
	u8 all[12] = { model.bm_command, 0, model.bm_status };
	u32 v = 0;

	memcpy(all + 4, &model.bm_prd, 4);
	memcpy(&v, all + reg, size);
	return v;
}

/* ---- the registers ---- */

static u8 status(struct model_device *d)
{
	if (!d->present)
		return model.dev[0].present ? 0 : 0xFF;
	if (d->stale) {
		d->stale--;
		return RDY;
	}
	return d->status;
}

static void control_write(u8 v)
{
	u8 was = model.control;

	model.control = v;
	if (was & 2 && selected()->pending)
		interrupt(selected());
	if (v & 4) {
		for (int i = 0; i < 2; i++) {
			u8 drq = model.dev[i].status & DRQ;

			reset_device(&model.dev[i]);
			model.dev[i].status = BSY | drq; /* means nothing */
		}
		model.device = 0;
		model.intrq = false;
	} else if (was & 4) {
		reset_device(&model.dev[0]);
		reset_device(&model.dev[1]);
	}
}

static void register_write(u16 reg, u8 v)
{
	struct model_device *d = selected();

	model.control &= 0x7F;
	if (reg == 7 && v == 8 && d->atapi) {
		command(d, v);
		return;
	}
	if (reg == 6 && model.heeds)
		model.device = v;
	if (d->present && d->status & (BSY | DRQ)) {
		model.ignored += reg == 7;
		d->disturbed += reg < 6 || (reg == 6 && v != model.device);
		return;
	}
	if (reg == 6) {
		model.device = v & ~model.zeros;
	} else if (reg == 7) {
		if (d->present)
			command(d, v);
	} else {
		for (int i = 0; i < 2; i++) {
			model.dev[i].hob[reg] = model.dev[i].cur[reg];
			model.dev[i].cur[reg] = v;
		}
	}
}

static u8 register_read(u16 reg)
{
	struct model_device *d = selected();

	if (reg == 7) {
		model_tick();
		model.intrq = d->pending = false;
		return status(d);
	}
	if (!d->present)
		return 0;
	if (reg == 6)
		return model.device;
	if (reg == 1)
		return d->error;
	return model.control & 0x80 ? d->hob[reg] : d->cur[reg];
}

static u32 data_in(u8 size)
{
	u32 v = pio_word_in(selected());

	return size == 4 ? v | (u32)pio_word_in(selected()) << 16 : v;
}

static void data_out(u8 size, u32 v)
{
	pio_word_out(selected(), (u16)v);
	if (size == 4)
		pio_word_out(selected(), (u16)(v >> 16));
}

/* The port of the primary channel that stands for it. */
static u16 of_primary(u16 port)
{
	return model.secondary ? port ^ (port < 0x1000 ? 0x80 : 8) : port;
}

/* Registers are bytes, but for the data and the engine's pointer. */
static void check_size(u16 port, u8 size)
{
	u8 most = port == MODEL_BASE || port == MODEL_BM + 4 ? 4 : 1;

	if (model.strict && (!size || size > most || size == 3))
		abort();
}

u32 hw_in(u16 port, u8 size)
{
	port = of_primary(port);
	check_size(port, size);
	if (model.off && port < MODEL_BM) {
		model.lost++;
		return 0xFFFFFFFF;
	}
	if (port == MODEL_CTL) {
		model_tick();
		return status(selected());
	}
	if (port >= MODEL_BM && port < MODEL_BM + 8) {
		if (port == MODEL_BM + 2) {
			model.polls++;
			model_tick();
		}
		return bm_read(port - MODEL_BM, size);
	}
	if (port == MODEL_BASE)
		return data_in(size);
	if (port > MODEL_BASE && port < MODEL_BASE + 8)
		return register_read(port - MODEL_BASE);
	return 0xFFFFFFFF;
}

void hw_out(u16 port, u8 size, u32 value)
{
	port = of_primary(port);
	check_size(port, size);
	if (model.off && port < MODEL_BM) {
		model.lost++;
		return;
	}
	if (port == MODEL_CTL && !model.deaf)
		control_write((u8)value);
	else if (port == MODEL_CTL)
		;
	else if (port >= MODEL_BM && port < MODEL_BM + 8)
		bm_write(port - MODEL_BM, size, value);
	else if (port == MODEL_BASE)
		data_out(size, value);
	else if (port > MODEL_BASE && port < MODEL_BASE + 8)
		register_write(port - MODEL_BASE, (u8)value);
	else
		model.elsewhere++;
}

void hw_ins(u16 port, u8 size, void *dst, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		u32 v = hw_in(port, size);

		memcpy((u8 *)dst + i * size, &v, size);
	}
}

void hw_outs(u16 port, u8 size, const void *src, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		u32 v = 0;

		memcpy(&v, (const u8 *)src + i * size, size);
		hw_out(port, size, v);
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
	model_memory_init(model.memory, MODEL_RAM, MODEL_MEMORY, false);
	model.max_busy = 3;
	model.dirty_from = MODEL_MEMORY;
	for (int i = 0; i < 2; i++) {
		struct model_device *d = &model.dev[i];

		d->present = true;
		d->sector = 512;
		d->capacity = MODEL_HIGH + MODEL_LOW;
		d->heads = 16;
		d->spt = 63;
		d->multiple = 8;
		d->bad_lba = ~0ULL;
		d->type = 5;
		d->disk = images[i];
		reset_device(d);
	}
}

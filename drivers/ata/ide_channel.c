/* The task file, the start of commands, and the hooks of one channel. */
#include "core/lib/errors.h"
#include "core/lib/string.h"
#include "drivers/ata/ide.h"

static void hook_set(struct port_hook *hook, u16 first, u16 count)
{
	if (!first)
		count = 0;
	if (hook->count != count || (count && hook->first != first))
		port_hook_move(hook, first, count);
}

static void hook_watch(struct port_hook *hook, bool on)
{
	if (hook->open == on)
		port_hook_watch(hook, on);
}

void ide_hooks_update(struct ide_channel *ch)
{
	bool armed = ch->dma.armed != IDE_IDLE;
	bool watch = armed || ch->dma.watch || ch->pio.kind > PIO_PLAIN_OUT;

	hook_set(&ch->command_hook, ch->base, 8);
	hook_set(&ch->control_hook, ch->control, 1);
	hook_watch(&ch->control_hook, watch);
	hook_set(&ch->start_hook, ch->bm, BMIDTPX);
	hook_watch(&ch->start_hook, armed);
	hook_set(&ch->prd_hook, ch->bm ? ch->bm + BMIDTPX : 0, 4);
}

/* 400 ns after a command or a selection: ATA-7 volume 2, 5.2.3. */
static u8 new_status(struct ide_channel *ch)
{
	u8 st = 0;

	for (int i = 0; i < 4; i++)
		st = (u8)hw_in(ch->control, 1);
	return st;
}

static u8 select_device(struct ide_channel *ch, u8 device)
{
	hw_out(ch->base + ATA_DEVICE, 1, device);
	return new_status(ch);
}

static void command_send(struct ide_channel *ch, const struct ide_request *rq)
{
	for (u16 r = ATA_FEATURES; r <= ATA_LBA_HIGH; r++) {
		if (rq->ext)
			hw_out(ch->base + r, 1, rq->tf.hob[r]);
		hw_out(ch->base + r, 1, rq->tf.cur[r]);
	}
	hw_out(ch->base + ATA_DEVICE, 1, rq->tf.cur[ATA_DEVICE]);
	hw_out(ch->base + ATA_COMMAND, 1, rq->code);
}

/* Nobody sees the status from before: it would tell of the command's end. */
void ide_send(struct ide_channel *ch, const struct ide_request *rq)
{
	if (rq->packet)
		hw_outs(ch->base, 2, rq->cdb, rq->packet / 2);
	else
		command_send(ch, rq);
	new_status(ch);
}

void ide_refuse(struct ide_channel *ch, const struct ide_request *rq,
		struct packet_sense sense)
{
	struct ide_request none = *rq;

	log_limited(&ch->refused, "ide: command %02x refused",
		    rq->packet ? rq->cdb[0] : rq->code);
	if (rq->packet) {
		ch->unit[rq->unit].sense = sense;
		packet_replace(none.cdb);
		ide_send(ch, &none);
		return;
	}
	hw_out(ch->base + ATA_DEVICE, 1, rq->tf.cur[ATA_DEVICE]);
	hw_out(ch->base + ATA_FEATURES, 1, 0);
	hw_out(ch->base + ATA_COMMAND, 1, ATA_NOP);
}

/* Forgets the command in progress: the device has been reset or has ended. */
static void channel_idle(struct ide_channel *ch)
{
	ch->pio.kind = PIO_NONE;
	ch->pio.fill = 0;
	ch->dma.armed = IDE_IDLE;
	ch->dma.active = false;
	ch->dma.watch = false;
	ide_hooks_update(ch);
}

/*
 * The guest has reset the device: the memory of its command may be in other
 * use by now. A device that still waits for data has not heard of it, and none
 * is there while the chipset's decoder is off: then the command goes on.
 */
static void reset_sent(struct ide_channel *ch)
{
	u8 st = new_status(ch);

	ch->dma.length = ch->dma.sent;
	if (st != 0xFF && (st & (ATA_BSY | ATA_DRQ)) != ATA_DRQ)
		channel_idle(ch);
}

/* What a command tells the device of later ones. */
static void command_note(struct ide_channel *ch, const struct ide_request *rq)
{
	struct ata_geometry *geometry = &ch->unit[rq->unit].geometry;

	if (rq->code == ATA_INIT_PARAMETERS) {
		geometry->heads = (rq->tf.cur[ATA_DEVICE] & 0xF) + 1;
		geometry->sectors = rq->tf.cur[ATA_COUNT];
	} else if (rq->code == ATA_DIAGNOSTIC) {
		ch->tf.cur[ATA_DEVICE] = 0;
	}
}

/* A command that does not touch a protected sector. */
static void start_plain(struct ide_channel *ch, const struct ide_request *rq)
{
	u8 class = ata_command(rq->code)->class;

	if (class == ATA_DMA_IN || class == ATA_DMA_OUT) {
		ide_dma_begin(ch, rq);
		return;
	}
	/* Features of PACKET, bit 0: by DMA. Unknown codes might use it, too,
	 * and SERVICE goes on with what does. */
	if (class == ATA_UNKNOWN || rq->code == ATA_SERVICE ||
	    (class == ATA_PACKET && rq->tf.cur[ATA_FEATURES] & 1))
		ide_dma_packet(ch);
	if (class == ATA_PIO_OUT)
		ide_pio_begin(ch, PIO_PLAIN_OUT, rq);
	ide_send(ch, rq);
	command_note(ch, rq);
}

/* Decides the range; CHS becomes LBA, so that only we translate. */
static int user_range(struct ide_channel *ch, struct ide_request *rq)
{
	const struct ide_unit *unit = &ch->unit[rq->unit];

	if (!unit->sector_size ||
	    ata_range(&ch->tf, rq->ext, &unit->geometry, &rq->lba, &rq->count))
		return -EINVAL;
	ata_set_range(&rq->tf, rq->ext, rq->lba, rq->count);
	rq->mediated = ch->filter->covers(unit->dev, rq->lba, rq->count);
	return 0;
}

static void start_user(struct ide_channel *ch, struct ide_request *rq)
{
	u8 class = ata_command(rq->code)->class;

	if (user_range(ch, rq)) {
		ide_refuse(ch, rq, PACKET_BAD_FIELD);
		return;
	}
	if (!rq->mediated || class == ATA_NONDATA) {
		start_plain(ch, rq);
	} else if (class == ATA_DMA_IN || class == ATA_DMA_OUT) {
		ide_dma_begin(ch, rq);
	} else {
		ide_pio_begin(ch, rq->out ? PIO_WRITE : PIO_READ, rq);
		ide_send(ch, rq);
	}
}

static void start_protected(struct ide_channel *ch, struct ide_request *rq)
{
	enum ata_policy policy =
		ata_decide(&rq->tf, rq->code, &ch->options, false);

	if (ch->unit[rq->unit].packet)
		policy = packet_ata_policy(rq->code, policy);
	if (policy == ATA_REFUSE) {
		ide_refuse(ch, rq, PACKET_BAD_FIELD);
	} else if (policy == ATA_CDB) {
		ide_packet_begin(ch, rq);
	} else if (policy == ATA_USER) {
		start_user(ch, rq);
	} else if (policy == ATA_IDENTIFY) {
		ide_pio_begin(ch, PIO_IDENTIFY, rq);
		ide_send(ch, rq);
	} else {
		start_plain(ch, rq);
	}
}

/* False while the device of an earlier DMA command is still at it. */
static bool dma_over(struct ide_channel *ch)
{
	u8 device = ch->dma.rq.tf.cur[ATA_DEVICE];

	if (ch->dma.active)
		ide_dma_status(ch, select_device(ch, device));
	return !ch->dma.active;
}

static void request_init(struct ide_channel *ch, struct ide_request *rq,
			 u8 code)
{
	const struct ata_command *command = ata_command(code);

	memset(rq, 0, sizeof(*rq));
	rq->tf = ch->tf;
	rq->code = code;
	rq->unit = ide_selected(ch);
	rq->ext = command->ext || command->class == ATA_UNKNOWN;
	rq->out =
		command->class == ATA_PIO_OUT || command->class == ATA_DMA_OUT;
}

/* Of a packet device, at any time; but its sibling's registers stay. */
static void device_reset(struct ide_channel *ch, const struct ide_request *rq)
{
	bool other = ch->dma.active && ch->dma.rq.unit != rq->unit;

	if (other && ch->unit[ch->dma.rq.unit].dev)
		return;
	ide_send(ch, rq);
	if (ch->unit[rq->unit].dev && !other)
		reset_sent(ch);
}

/*
 * What was decided must stay until the command's end: a busy device may take
 * a register that is written for the place of what comes next (ATA-7 volume 2,
 * 5.2: indeterminate), or its sibling for selected.
 */
static bool is_bound(struct ide_channel *ch)
{
	u8 unit = ide_selected(ch), st;
	bool dma = ch->dma.active &&
		   (ch->dma.rq.unit == unit || ch->unit[ch->dma.rq.unit].dev);

	if (!dma && !ide_cdb_waits(ch) &&
	    (ch->pio.kind == PIO_NONE || ch->pio.unit != unit))
		return false;
	st = (u8)hw_in(ch->control, 1);
	if (dma) {
		unit = ch->dma.rq.unit;
		/* Seldom before a command's end: after a timeout. */
		st = ide_dma_status(ch, st);
	}
	return ch->unit[unit].dev && st & (ATA_BSY | ATA_DRQ);
}

/* A busy device takes no command but a reset (ATA-7 volume 2, 6.1). */
static void command_write(struct ide_channel *ch, u8 code)
{
	struct ide_request rq;
	bool over = dma_over(ch);
	u8 st = ATA_BSY;

	if (!is_bound(ch))
		st = select_device(ch, ch->tf.cur[ATA_DEVICE]);
	request_init(ch, &rq, code);
	if (code == ATA_DEVICE_RESET &&
	    (!ch->unit[rq.unit].dev || ch->unit[rq.unit].packet)) {
		device_reset(ch, &rq);
		return;
	}
	if (!over || st & (ATA_BSY | ATA_DRQ)) {
		log_limited(&ch->dropped, "ide: command %02x while busy", code);
		return;
	}
	channel_idle(ch);
	if (ch->unit[rq.unit].dev)
		start_protected(ch, &rq);
	else
		start_plain(ch, &rq);
}

static void taskfile_write(struct ide_channel *ch, u16 reg, u8 value)
{
	if (is_bound(ch))
		return;
	ch->tf.hob[reg] = ch->tf.cur[reg];
	ch->tf.cur[reg] = value;
	hw_out(ch->base + reg, 1, value);
}

static u8 status_read(struct ide_channel *ch)
{
	u8 st;

	if (ide_pio_partial(ch))
		return ch->pio.status;
	st = (u8)hw_in(ch->base + ATA_COMMAND, 1);
	if (ch->dma.active && ch->dma.rq.unit == ide_selected(ch))
		st = ide_dma_status(ch, st);
	return st;
}

static void command_block(struct ide_channel *ch, u16 port, bool write, u8 *p)
{
	u16 reg = port - ch->base;

	if (reg == ATA_COMMAND && write)
		command_write(ch, *p);
	else if (reg == ATA_COMMAND)
		*p = status_read(ch);
	else if (write)
		taskfile_write(ch, reg, *p);
	else
		*p = (u8)hw_in(port, 1);
}

/* ATA-7 volume 2, 5.2.4. Hooked while a reset by the guest must be seen. */
static void control_block(struct ide_channel *ch, u16 port, bool write, u8 *p)
{
	if (!write) {
		*p = ide_pio_partial(ch) ? ch->pio.status : (u8)hw_in(port, 1);
		return;
	}
	hw_out(port, 1, *p);
	if (*p & IDE_CTL_SRST)
		reset_sent(ch);
}

static void bus_master(struct ide_channel *ch, u16 port, bool write, u8 *p)
{
	u16 reg = port - ch->bm;
	u32 shift = 8 * (reg & 3);

	if (reg >= BMIDTPX && write) {
		ch->dma.prd &= ~(0xFFu << shift);
		ch->dma.prd |= (u32)*p << shift;
		ch->dma.fresh = true;
	} else if (reg >= BMIDTPX) {
		*p = (u8)(ch->dma.prd >> shift);
	} else if (reg == BMICX && write) {
		ide_dma_start_write(ch, *p);
	} else if (write) {
		hw_out(port, 1, *p);
	} else {
		*p = (u8)hw_in(port, 1);
	}
}

typedef void byte_fn(struct ide_channel *ch, u16 port, bool write, u8 *p);

/* Registers are bytes: a wider access is one to each, in order. What it has
 * past the registers of the channel is lost. */
static void access_bytes(struct ide_channel *ch, const struct port_io *io,
			 u16 first, u16 end, byte_fn *fn)
{
	u8 *p = io->data;

	for (u32 n = 0; n < io->count; n++)
		for (u16 i = 0; i < io->size; i++, p++) {
			u16 port = io->port + i;

			if (port >= first && port < end)
				fn(ch, port, io->write, p);
			else if (!io->write)
				*p = 0xFF;
		}
}

/*
 * A function decodes all of its ports or none. Those of a compatible channel
 * keep their numbers while they are off: another device may answer there, and
 * what it says must not be taken for a command's end.
 */
static bool is_on(const struct ide_channel *ch)
{
	return ch->base && ch->control && (ch->bm || !ch->has_engine);
}

/* The hook may have moved away between the exit and the lock. */
static enum verdict command_access(void *ctx, const struct port_io *io)
{
	struct ide_channel *ch = ctx;
	enum verdict verdict = DONE;

	lock_acquire(&ch->lock);
	if (!is_on(ch) || (u16)(io->port - ch->base) > 7)
		verdict = DENY;
	else if (io->port == ch->base)
		ide_pio_data(ch, io);
	else
		access_bytes(ch, io, ch->base, ch->base + 8, command_block);
	lock_release(&ch->lock);
	return verdict;
}

static enum verdict control_access(void *ctx, const struct port_io *io)
{
	struct ide_channel *ch = ctx;
	enum verdict verdict = DONE;

	lock_acquire(&ch->lock);
	if (!is_on(ch) || io->port != ch->control)
		verdict = DENY;
	else
		access_bytes(ch, io, io->port, io->port + 1, control_block);
	lock_release(&ch->lock);
	return verdict;
}

static enum verdict bm_access(void *ctx, const struct port_io *io)
{
	struct ide_channel *ch = ctx;
	enum verdict verdict = DONE;

	lock_acquire(&ch->lock);
	if (!ch->bm || (u16)(io->port - ch->bm) > 7)
		verdict = DENY;
	else
		access_bytes(ch, io, ch->bm, ch->bm + 8, bus_master);
	lock_release(&ch->lock);
	return verdict;
}

static void hook_init(struct ide_channel *ch, struct port_hook *hook,
		      port_fn *fn)
{
	hook->fn = fn;
	hook->ctx = ch;
	port_hook_add(hook);
}

int ide_channel_start(struct ide_channel *ch)
{
	if (ide_dma_init(ch))
		return -ENOMEM;
	hook_init(ch, &ch->command_hook, command_access);
	hook_init(ch, &ch->control_hook, control_access);
	hook_init(ch, &ch->start_hook, bm_access);
	hook_init(ch, &ch->prd_hook, bm_access);
	return 0;
}

void ide_channel_place(struct ide_channel *ch, u16 base, u16 control, u16 bm)
{
	if (ch->bm && bm != ch->bm)
		ide_dma_moved(ch);
	ch->base = base;
	ch->control = control;
	ch->bm = bm;
	ch->has_engine |= bm != 0;
	ide_hooks_update(ch);
}

#include "tests/fuzz/ide_guest.h"

#include <stdlib.h>
#include <string.h>

#include "core/lib/range.h"

static const struct ide_unit *protected;
static struct ide_channel channel;
static bool off; /* the controller decodes nothing */

static void check_write(u64 lba, const u8 *data)
{
	mark_check_write(protected->dev, lba, data);
}

/* But what the last run has changed, memory is MARK already. */
void guest_power_on(void)
{
	u32 from = model.dirty_from, to = (u32)min_u64(model.dirty_to, PRDS);

	if (!model.dirty_to && !from)
		to = PRDS;
	if (from < to)
		memset(model.memory + from, MARK, to - from);
	memset(model.memory + PRDS, MARK, MODEL_RAM - PRDS);
	model_power_on();
	model.max_busy = 2;
	model.dev[0].on_write = check_write;
}

/* Hooks stay in the list for ever: the channel is used again. */
static struct ide_channel *new_channel(void)
{
	struct ide_channel *ch = &channel;
	struct port_hook command, control, engine, prd;

	channel.dma.armed = IDE_IDLE;
	ide_channel_place(ch, 0, 0, 0);
	command = ch->command_hook;
	control = ch->control_hook;
	engine = ch->start_hook;
	prd = ch->prd_hook;
	memset(ch, 0, sizeof(*ch));
	ch->command_hook = command;
	ch->control_hook = control;
	ch->start_hook = engine;
	ch->prd_hook = prd;
	return ch;
}

static void guest_switch(bool on)
{
	off = !on;
	ide_channel_place(&channel, on ? MODEL_BASE : 0, on ? MODEL_CTL : 0,
			  on ? MODEL_BM : 0);
}

void guest_start(const struct ide_guest *g)
{
	static bool hooked;
	struct ide_channel *ch = new_channel();

	protected = &g->unit;
	ch->filter = &mark_filter;
	ch->spins = 20;
	ch->unit[0] = g->unit;
	if (hooked ? ide_dma_init(ch) : ide_channel_start(ch))
		abort();
	hooked = true;
	model.scratch = (u32)ch->dma.empty_pa + 8;
	guest_switch(true);
}

void guest_access(const struct port_io *io)
{
	bool hooked = false;

	if (off)
		return;
	for (u16 port = io->port; port < io->port + io->size; port++)
		hooked |= port_bitmap()[port / 8] >> port % 8 & 1;
	if (hooked)
		port_access(io);
	else if (io->write)
		hw_outs(io->port, io->size, io->data, io->count);
	else
		hw_ins(io->port, io->size, io->data, io->count);
}

void guest_port(u8 which, u8 size, bool write, u32 count, u32 value)
{
	static const u16 ports[] = {
		MODEL_BASE,	MODEL_BASE + 1, MODEL_BASE + 2, MODEL_BASE + 3,
		MODEL_BASE + 4, MODEL_BASE + 5, MODEL_BASE + 6, MODEL_BASE + 7,
		MODEL_BM,	MODEL_BM,	MODEL_BM + 2,	MODEL_BM + 4,
		MODEL_BM + 6,	MODEL_CTL,	MODEL_BASE + 7, MODEL_CTL,
	};
	static u8 buf[PORT_BURST_MAX];
	struct port_io io = { ports[which & 15], size, write, count, buf };

	memset(buf, MARK, sizeof(buf));
	if ((which & 15) != 0)
		memcpy(buf, &value, 4);
	guest_access(&io);
}

static void write_prd(const u8 *p, u32 address)
{
	u8 *prd = model.memory + PRDS + (p[1] >> 1) * 8;

	address &= p[1] & 1 ? 0x3FFFFF : 0xFFFFFFFF;
	memcpy(prd, &address, 4);
	memcpy(prd + 4, p + 2, 2);
	prd[7] = p[0] & 0x80;
}

void guest_step(const struct ide_guest *g, const u8 *p)
{
	u32 value;

	memcpy(&value, p + 4, 4);
	switch (g->acts[p[0] & 7]) {
	case GUEST_COMMAND:
		g->command(p);
		break;
	case GUEST_PRD:
		write_prd(p, value);
		break;
	case GUEST_ENGINE:
		guest_port(11, 4, true, 1, PRDS + (value & 0xFF8));
		guest_port(8, 1, true, 1, p[1] & 9);
		break;
	case GUEST_BURST:
		guest_port(0, p[1] & 1 ? 4 : 2, p[1] & 2, 1 + (value & 1023),
			   0);
		break;
	case GUEST_SWITCH:
		guest_switch(p[1] & 1);
		if (off && p[1] & 2) { /* reset, too */
			model.bm_prd = 0;
			model.bm_command = model.running = 0;
		}
		break;
	default:
		guest_port(p[1], (u8)(1u << p[2] % 3), p[0] & 8, 1 + (p[3] & 1),
			   value);
	}
	for (u32 i = 0; i < (p[0] >> 4 & 3); i++)
		model_tick();
}

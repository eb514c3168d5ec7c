#include "core/virt/kbc.h"

#include "core/io/port.h"
#include "core/lib/lock.h"

#define PORT_DATA	 0x60
#define PORT_COMMAND	 0x64
#define PORT_CONTROL_A	 0x92

#define CMD_WRITE_OUTPUT 0xd1 /* the next data byte */
#define CMD_DISABLE_A20	 0xdd
#define CMD_PULSE	 0xf0 /* bits 0 to 3 of the output port, where 0 */

#define OUTPUT_NO_RESET	 0x01
#define OUTPUT_A20	 0x02
#define CONTROL_A_RESET	 0x01
#define CONTROL_A_A20	 0x02

static struct {
	struct lock lock; /* what was hooked and written last belong together */
	void (*wipe)(void);
	struct port_hook command, control_a;
	struct port_hook data; /* active while a byte for the output port is
				* awaited */
} kbc;

static void wipe_if(bool reset)
{
	if (reset && kbc.wipe)
		kbc.wipe();
}

static u32 data_byte(u32 value)
{
	if (!kbc.data.count)
		return value;
	port_hook_move(&kbc.data, PORT_DATA, 0);
	wipe_if(!(value & OUTPUT_NO_RESET));
	return value | OUTPUT_A20;
}

/* The reset comes when its bit becomes 1; without such a port all are 1. */
static u32 control_a(u32 value)
{
	wipe_if(value & ~hw_in(PORT_CONTROL_A, 1) & CONTROL_A_RESET);
	return value | CONTROL_A_A20;
}

static u32 command(u32 value)
{
	if ((value & 0xff) == CMD_WRITE_OUTPUT)
		port_hook_move(&kbc.data, PORT_DATA, 1);
	if ((value & 0xff) == CMD_DISABLE_A20)
		return value | 0xff; /* pulse nothing */
	if ((value & 0xf0) != CMD_PULSE)
		return value;
	wipe_if(!(value & OUTPUT_NO_RESET));
	return value | OUTPUT_A20;
}

/* The low byte of an access is the hooked port's. */
static enum verdict write_fn(void *ctx, const struct port_io *io)
{
	u32 (*change)(u32 value) = ctx;

	if (!io->write)
		return PASS;
	lock_acquire(&kbc.lock);
	for (u32 i = 0; i < io->count; i++)
		hw_out(io->port, io->size, change(port_io_get(io, i)));
	lock_release(&kbc.lock);
	return DONE;
}

static void hook(struct port_hook *h, u16 port, u16 count, u32 (*change)(u32))
{
	*h = (struct port_hook){
		.first = port, .count = count, .fn = write_fn, .ctx = change
	};
	port_hook_add(h);
}

void kbc_init(void (*wipe)(void))
{
	kbc.wipe = wipe;
	hook(&kbc.command, PORT_COMMAND, 1, command);
	hook(&kbc.control_a, PORT_CONTROL_A, 1, control_a);
	hook(&kbc.data, PORT_DATA, 0, data_byte);
}

/* A guest (fake_guest.h) with a device at eight hooked ports; all others read
 * as ones. */
#ifndef TESTS_UNIT_FAKE_PORT_H
#define TESTS_UNIT_FAKE_PORT_H

#include <string.h>

#include "core/arch/regs.h"
#include "core/io/port.h"

#define PORT 0x1f0

/* What the device has seen, and what it gives: bytes that count up. */
static struct {
	u32 accesses, elements;
	u32 last;
	u8 size, next;
} device;

static enum verdict device_fn(void *ctx, const struct port_io *io)
{
	u8 *p = io->data;

	device.accesses++;
	device.elements += io->count;
	device.size = io->size;
	if (io->write)
		device.last = port_io_get(io, io->count - 1);
	for (u32 i = 0; !io->write && i < io->count * io->size; i++)
		p[i] = device.next++;
	return DONE;
}

u32 hw_in(u16 port, u8 size)
{
	return 0xffffffff;
}

void hw_out(u16 port, u8 size, u32 value)
{
}

void hw_ins(u16 port, u8 size, void *dst, u32 count)
{
}

void hw_outs(u16 port, u8 size, const void *src, u32 count)
{
}

static struct vcpu *start(unsigned int bits)
{
	static struct port_hook hook = {
		.first = PORT, .count = 8, .fn = device_fn, .ctx = NULL
	};
	struct vcpu *v = fake_start();

	if (!hook.range)
		port_hook_add(&hook);
	memset(&device, 0, sizeof(device));
	if (bits != 16)
		fake_mode(v, bits, 0);
	if (bits == 64)
		fake_paging(v);
	return v;
}

static struct vmexit io_exit(u8 size, bool write, bool rep, u8 addr_size)
{
	return (struct vmexit){
		.kind = VMEXIT_IO,
		.insn_len = 2,
		.io = { .port = PORT,
			.size = size,
			.write = write,
			.string = addr_size != 0,
			.rep = rep,
			.addr_size = addr_size,
			.seg = SEG_DS },
	};
}

#endif

/* The real ports and devices; tests put a model in this file's place. */
#include "core/arch/x86.h"
#include "core/io/mmio.h"
#include "core/io/port.h"
#include "core/mm/host.h"

u32 hw_in(u16 port, u8 size)
{
	switch (size) {
	case 1:
		return inb(port);
	case 2:
		return inw(port);
	default:
		return inl(port);
	}
}

void hw_out(u16 port, u8 size, u32 value)
{
	switch (size) {
	case 1:
		outb(port, (u8)value);
		break;
	case 2:
		outw(port, (u16)value);
		break;
	default:
		outl(port, value);
		break;
	}
}

void hw_ins(u16 port, u8 size, void *dst, u32 count)
{
	switch (size) {
	case 1:
		insb(port, dst, count);
		break;
	case 2:
		insw(port, dst, count);
		break;
	default:
		insl(port, dst, count);
		break;
	}
}

void hw_outs(u16 port, u8 size, const void *src, u32 count)
{
	switch (size) {
	case 1:
		outsb(port, src, count);
		break;
	case 2:
		outsw(port, src, count);
		break;
	default:
		outsl(port, src, count);
		break;
	}
}

/* The guest can name any address; far above RAM and devices there is nothing.
 */
u64 hw_mmio_read(hpa_t pa, u8 size)
{
	const volatile void *p = host_device(pa);

	if (!host_maps(pa, size))
		return ~0ULL;
	switch (size) {
	case 1:
		return *(const volatile u8 *)p;
	case 2:
		return *(const volatile u16 *)p;
	case 4:
		return *(const volatile u32 *)p;
	default:
		return *(const volatile u64 *)p;
	}
}

void hw_mmio_write(hpa_t pa, u8 size, u64 value)
{
	volatile void *p = host_device(pa);

	if (!host_maps(pa, size))
		return;
	switch (size) {
	case 1:
		*(volatile u8 *)p = (u8)value;
		break;
	case 2:
		*(volatile u16 *)p = (u16)value;
		break;
	case 4:
		*(volatile u32 *)p = (u32)value;
		break;
	default:
		*(volatile u64 *)p = value;
		break;
	}
}

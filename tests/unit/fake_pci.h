/*
 * A PCI machine for tests: a few functions with real BARs behind CF8/CFC and,
 * if fake_ecam is not 0, a memory-mapped window.
 */
#ifndef TESTS_UNIT_FAKE_PCI_H
#define TESTS_UNIT_FAKE_PCI_H

#include <string.h>

#include "core/io/mmio.h"
#include "core/io/port.h"
#include "core/lib/bytes.h"
#include "core/lib/range.h"
#include "core/mm/gmem.h"

struct fake_fn {
	u8 bus, dev, fn;
	u8 config[4096];
	u32 bar_mask[6]; /* writable bits; flags are in config already */
	unsigned int accesses;
	const u8 *writable; /* the bits of 256 registers, if not NULL */
	bool echoes;	    /* answers to all numbers of functions */
};

static struct fake_fn fake_fns[11];
static unsigned int fake_count;
static u32 fake_cf8;
static u64 fake_ecam;
static u8 fake_ports[0x10000];
static int fake_trap_error;
static unsigned int fake_hazards; /* writes to BARs that are decoded */

static inline struct fake_fn *fake_find(u8 bus, u8 dev, u8 fn)
{
	for (unsigned int i = 0; i < fake_count; i++)
		if (fake_fns[i].bus == bus && fake_fns[i].dev == dev &&
		    (fake_fns[i].fn == fn || fake_fns[i].echoes))
			return &fake_fns[i];
	return NULL;
}

static inline struct fake_fn *fake_add(u8 bus, u8 dev, u8 fn, u32 id, u32 class,
				       u8 header)
{
	struct fake_fn *f = &fake_fns[fake_count++];

	memset(f, 0, sizeof(*f));
	f->bus = bus;
	f->dev = dev;
	f->fn = fn;
	store_le32(f->config, id);
	store_le32(f->config + 8, class << 8 | 0x03);
	f->config[0x0e] = header;
	return f;
}

static inline u32 fake_read(u8 bus, u8 dev, u8 fn, u16 reg, u8 size)
{
	struct fake_fn *f = fake_find(bus, dev, fn);
	u32 v = ~0u;

	if (f) {
		f->accesses++;
		memcpy(&v, f->config + reg, size);
	}
	return v & (u32)mask_bytes(size);
}

static inline bool fake_decodes(const struct fake_fn *f, u16 reg)
{
	u32 n = (reg - 0x10u) / 4;
	bool io;

	if (n >= 6 || !f->bar_mask[n])
		return false;
	io = f->config[0x10 + 4 * n] & 1 && !(f->bar_mask[n] & 1);
	return f->config[4] & (io ? 1 : 2);
}

static inline void fake_write_byte(struct fake_fn *f, u16 reg, u8 v)
{
	u8 mask = 0xff;

	fake_hazards += fake_decodes(f, reg);
	if (reg < 4 || (reg >= 8 && reg < 12) || reg == 0x0e)
		return; /* read-only */
	if (reg >= 0x10 && reg < 0x28 && (f->config[0x0e] & 0x7f) == 0)
		mask = (u8)(f->bar_mask[(reg - 0x10) / 4] >> 8 * (reg % 4));
	if (f->writable && reg < 256)
		mask &= f->writable[reg];
	if (reg == 6 || reg == 7) /* status: write one to clear */
		f->config[reg] &= (u8) ~(v & mask);
	else
		f->config[reg] = (f->config[reg] & (u8)~mask) | (v & mask);
}

static inline void fake_write(u8 bus, u8 dev, u8 fn, u16 reg, u8 size, u32 v)
{
	struct fake_fn *f = fake_find(bus, dev, fn);

	if (!f)
		return;
	f->accesses++;
	for (u8 i = 0; i < size; i++)
		fake_write_byte(f, (u16)(reg + i), (u8)(v >> 8 * i));
}

u32 hw_in(u16 port, u8 size)
{
	u32 v = 0;

	if (port == 0xcf8 && size == 4)
		return fake_cf8;
	if (port >= 0xcfc && port + size <= 0xd00 && fake_cf8 >> 31)
		return fake_read((u8)(fake_cf8 >> 16), fake_cf8 >> 11 & 31,
				 fake_cf8 >> 8 & 7,
				 (fake_cf8 & 0xfc) + (port & 3), size);
	for (u8 i = 0; i < size; i++)
		v |= (u32)fake_ports[(u16)(port + i)] << 8 * i;
	return v;
}

void hw_out(u16 port, u8 size, u32 value)
{
	if (port == 0xcf8 && size == 4)
		fake_cf8 = value;
	else if (port >= 0xcfc && port + size <= 0xd00 && fake_cf8 >> 31)
		fake_write((u8)(fake_cf8 >> 16), fake_cf8 >> 11 & 31,
			   fake_cf8 >> 8 & 7, (fake_cf8 & 0xfc) + (port & 3),
			   size, value);
	else
		for (u8 i = 0; i < size; i++)
			fake_ports[(u16)(port + i)] = (u8)(value >> 8 * i);
}

void hw_ins(u16 port, u8 size, void *dst, u32 count)
{
	memset(dst, 0, (size_t)size * count);
}

void hw_outs(u16 port, u8 size, const void *src, u32 count)
{
}

u64 hw_mmio_read(hpa_t pa, u8 size)
{
	u64 off = pa - fake_ecam;

	if (!fake_ecam || off >> 28)
		return mask_bytes(size);
	return fake_read((u8)(off >> 20), off >> 15 & 31, off >> 12 & 7,
			 off & 0xfff, size);
}

void hw_mmio_write(hpa_t pa, u8 size, u64 value)
{
	u64 off = pa - fake_ecam;

	if (fake_ecam && !(off >> 28))
		fake_write((u8)(off >> 20), off >> 15 & 31, off >> 12 & 7,
			   off & 0xfff, size, (u32)value);
}

void *gmem_ptr(gpa_t gpa, u64 len)
{
	return NULL;
}

bool gmem_hidden(gpa_t gpa, u64 len)
{
	return false;
}

static inline int fake_trap(gpa_t start, u64 len, enum mmio_trap trap)
{
	return fake_trap_error;
}

/* ---- what a guest does ---- */

static inline u32 guest_in(u16 port, u8 size)
{
	u8 data[4] = { 0 };
	struct port_io io = { port, size, false, 1, data };

	port_access(&io);
	return load_le32(data);
}

static inline void guest_out(u16 port, u8 size, u32 value)
{
	struct port_io io = { port, size, true, 1, &value };

	port_access(&io);
}

static inline u32 guest_cf8(u8 bus, u8 dev, u8 fn, u16 reg)
{
	return 0x80000000u | (u32)bus << 16 | (u32)dev << 11 | (u32)fn << 8 |
	       (reg & 0xfc);
}

static inline u32 guest_read(u8 dev, u8 fn, u16 reg, u8 size)
{
	guest_out(0xcf8, 4, guest_cf8(0, dev, fn, reg));
	return guest_in(0xcfc + reg % 4, size);
}

static inline void guest_write(u8 dev, u8 fn, u16 reg, u8 size, u32 v)
{
	guest_out(0xcf8, 4, guest_cf8(0, dev, fn, reg));
	guest_out(0xcfc + reg % 4, size, v);
}

#endif

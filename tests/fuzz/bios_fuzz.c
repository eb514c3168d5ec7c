/*
 * Memory maps of any content and INT 15h with any registers. The map comes out
 * sorted, without overlap, and no address that is hidden is told as RAM.
 * units: core/virt/bios.c
 */
#include <stdlib.h>
#include <string.h>

#include "core/lib/errors.h"
#include "core/virt/bios.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static int store(void *ctx, u16 seg, u16 off, const void *src, size_t len)
{
	static u8 sink[24];

	if (len != 20 && len != 24)
		abort();
	memcpy(sink, src, len);
	return seg & 1 ? -EFAULT : 0;
}

static void check(const struct bios_map *map, const struct e820 *hide, u32 n)
{
	for (u32 i = 0; i < map->count; i++) {
		const struct e820 *e = &map->e[i];

		if (!e->len || e->len > ~e->base)
			abort();
		if (i && e[-1].base + e[-1].len > e->base)
			abort();
		for (u32 k = 0; k < n && e->type == BIOS_RAM; k++)
			if (hide[k].len && hide[k].base < e->base + e->len &&
			    e->base < hide[k].base + hide[k].len)
				abort();
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct e820 e[BIOS_MAP_MAX];
	static struct bios_map map;
	struct bios_regs regs;
	u32 count;
	u32 hide;

	if (size < sizeof(regs))
		return 0;
	memcpy(&regs, data, offsetof(struct bios_regs, carry));
	regs.carry = false;
	data += sizeof(regs);
	size -= sizeof(regs);
	count = (u32)(size / sizeof(*e));
	count = count < BIOS_MAP_MAX ? count : BIOS_MAP_MAX;
	memcpy(e, data, count * sizeof(*e));
	/* the boot loader's have been checked */
	for (u32 i = 0; i < count; i++)
		if (e[i].len > ~e[i].base)
			e[i].len = ~e[i].base;
	hide = count < 2 ? count : 2;
	if (bios_map_build(&map, e + hide, count - hide, e, hide))
		return 0;
	check(&map, e, hide);
	map.entry_size = regs.es & 2 ? 24 : 20;
	if (regs.edi & 1)
		regs.edx = 0x534d4150;
	bios_int15(&regs, &map, store, NULL);
	return 0;
}

#include "core/virt/bios.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/lib/string.h"

/* ---- the map ---- */

struct sources {
	const struct e820 *machine;
	u32 count;
	const struct e820 *hide;
	u32 hide_count;
};

static bool entry_has(const struct e820 *e, u64 addr)
{
	return addr >= e->base && addr - e->base < e->len;
}

/* What covers @addr: a hidden range before all else, then the highest type,
 * then the first entry. */
static const struct e820 *source_at(const struct sources *s, u64 addr)
{
	const struct e820 *best = NULL;

	for (u32 i = 0; i < s->hide_count; i++)
		if (entry_has(&s->hide[i], addr))
			return &s->hide[i];
	for (u32 i = 0; i < s->count; i++) {
		const struct e820 *e = &s->machine[i];

		if (entry_has(e, addr) && (!best || e->type > best->type))
			best = e;
	}
	return best;
}

/* The first border of any entry above @addr, or 2^64 - 1. */
static u64 border_after(const struct sources *s, u64 addr)
{
	u64 next = ~0ULL;

	for (u32 i = 0; i < s->count + s->hide_count; i++) {
		const struct e820 *e =
			i < s->count ? &s->machine[i] : &s->hide[i - s->count];
		u64 end = e->base + e->len;

		if (e->len && e->base > addr)
			next = min_u64(next, e->base);
		if (e->len && end > addr)
			next = min_u64(next, end);
	}
	return next;
}

int bios_map_build(struct bios_map *map, const struct e820 *machine, u32 count,
		   const struct e820 *hide, u32 hide_count)
{
	struct sources s = { machine, count, hide, hide_count };
	const struct e820 *last = NULL; /* where map's last entry came from */
	u64 next;

	memset(map, 0, sizeof(*map));
	map->entry_size = 20;
	for (u64 at = 0; at != ~0ULL; at = next) {
		const struct e820 *src = source_at(&s, at);
		bool hidden = src >= hide && src < hide + hide_count;

		next = border_after(&s, at);
		if (src && src == last) {
			map->e[map->count - 1].len += next - at;
		} else if (src) {
			if (map->count == BIOS_MAP_MAX)
				return -ENOSPC;
			map->e[map->count++] = (struct e820){
				at,
				next - at,
				hidden ? BIOS_RESERVED : src->type,
				hidden ? 1 : src->attr,
			};
		}
		last = src;
	}
	return 0;
}

/* ---- INT 15h ---- */

#define SMAP	       0x534d4150
#define AH_UNSUPPORTED 0x86

static void set_ah(struct bios_regs *r, u8 ah)
{
	r->eax = (r->eax & ~0xff00u) | (u32)ah << 8;
}

static void set_low(u32 *reg, u32 value)
{
	*reg = (*reg & ~0xffffu) | (value & 0xffff);
}

/* Bytes of RAM without a gap from @addr on, up to @limit. */
static u64 ram_from(const struct bios_map *map, u64 addr, u64 limit)
{
	u64 at = addr;

	for (u32 i = 0; i < map->count && at < limit; i++)
		if (map->e[i].type == BIOS_RAM && entry_has(&map->e[i], at))
			at = map->e[i].base + map->e[i].len;
	return min_u64(at, limit) - addr;
}

static void int15_e820(struct bios_regs *r, const struct bios_map *map,
		       bios_write_fn *write, void *ctx)
{
	u32 len = r->ecx >= map->entry_size ? map->entry_size : 20;

	r->carry = true;
	if (r->edx != SMAP || r->ecx < 20 || r->ebx >= map->count ||
	    write(ctx, r->es, (u16)r->edi, &map->e[r->ebx], len)) {
		set_ah(r, AH_UNSUPPORTED);
		return;
	}
	r->carry = false;
	r->eax = SMAP;
	r->ecx = len;
	r->ebx = r->ebx + 1 < map->count ? r->ebx + 1 : 0;
}

/* KiB from 1 to 16 MiB, 64-KiB blocks from 16 MiB on. */
static void int15_e8x1(struct bios_regs *r, const struct bios_map *map,
		       bool wide)
{
	u32 kib = (u32)(ram_from(map, 0x100000, 0x1000000) >> 10);
	u32 blocks = (u32)(ram_from(map, 0x1000000, 0x100000000) >> 16);

	r->carry = false;
	if (wide)
		r->eax = r->ebx = r->ecx = r->edx = 0;
	set_low(&r->eax, kib);
	set_low(&r->ecx, kib);
	set_low(&r->ebx, blocks);
	set_low(&r->edx, blocks);
}

/* KiB from 1 MiB on, of at most 63 MiB as most machines have it. */
static void int15_88(struct bios_regs *r, const struct bios_map *map)
{
	r->carry = false;
	set_low(&r->eax, (u32)(ram_from(map, 0x100000, 0x4000000) >> 10));
}

bool bios_int15(struct bios_regs *regs, const struct bios_map *map,
		bios_write_fn *write, void *ctx)
{
	switch (regs->eax & 0xffff) {
	case 0xe820:
		int15_e820(regs, map, write, ctx);
		return true;
	case 0xe801:
		int15_e8x1(regs, map, false);
		return true;
	case 0xe881:
		int15_e8x1(regs, map, true);
		return true;
	}
	if ((regs->eax & 0xff00) != 0x8800)
		return false;
	int15_88(regs, map);
	return true;
}

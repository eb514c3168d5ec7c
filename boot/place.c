#include "boot/boot.h"
#include "core/lib/bytes.h"
#include "core/lib/range.h"
#include "core/lib/string.h"

#define GIB	     (1ULL << 30)
#define LARGE_PAGE   (2ULL << 20)
#define BDA_EBDA     0x40e /* its segment */
#define BIOS_AREA    0xe0000
#define RSDP_V1_SIZE 20

static bool is_clear(const struct boot_info *info, u64 start, u64 size)
{
	for (u32 i = 0; i < info->map_count; i++) {
		const struct e820_entry *e = &info->map[i];

		if (e->type != E820_TYPE_USABLE &&
		    range_overlap(start, size, e->base, e->len))
			return false;
	}
	for (u32 i = 0; i < min_u64(info->modules, BOOT_MODULES_MAX); i++)
		if (range_overlap(start, size, info->module[i].start,
				  info->module[i].size))
			return false;
	return true;
}

static hpa_t find_in(const struct boot_info *info, const struct e820_entry *e,
		     u64 size, u64 floor)
{
	u64 low = max_u64(e->base, floor);
	u64 high = min_u64(e->base + e->len, 4 * GIB);

	if (e->base >= 4 * GIB || high < size)
		return 0;
	for (u64 at = align_down(high - size, LARGE_PAGE); at >= low;
	     at -= LARGE_PAGE) {
		if (is_clear(info, at, size))
			return at;
		if (at < LARGE_PAGE)
			break;
	}
	return 0;
}

hpa_t place_find(const struct boot_info *info, u64 size, u64 floor)
{
	hpa_t best = 0;

	for (u32 i = 0; i < info->map_count; i++)
		if (info->map[i].type == E820_TYPE_USABLE)
			best = max_u64(best, find_in(info, &info->map[i], size,
						     floor));
	return best;
}

u64 place_ram_end(const struct boot_info *info)
{
	u64 end = 0;

	for (u32 i = 0; i < info->map_count; i++) {
		const struct e820_entry *e = &info->map[i];

		if (e->type == E820_TYPE_USABLE || e->type == E820_TYPE_ACPI ||
		    e->type == E820_TYPE_NVS)
			end = max_u64(end, e->base + e->len);
	}
	return end;
}

static bool is_rsdp(const u8 *p)
{
	u8 sum = 0;

	if (memcmp(p, "RSD PTR ", 8))
		return false;
	for (size_t i = 0; i < RSDP_V1_SIZE; i++)
		sum = (u8)(sum + p[i]);
	return !sum;
}

static hpa_t search_rsdp(const u8 *low, u32 from, u32 to)
{
	for (u32 at = from; at + RSDP_V1_SIZE <= to; at += 16)
		if (is_rsdp(low + at))
			return at;
	return 0;
}

hpa_t place_find_rsdp(const u8 *low)
{
	u32 ebda = (u32)load_le16(low + BDA_EBDA) << 4;
	hpa_t at = 0;

	if (ebda >= 0x400 && ebda < 0xa0000)
		at = search_rsdp(low, ebda, ebda + 0x400);
	return at ? at : search_rsdp(low, BIOS_AREA, 0x100000);
}

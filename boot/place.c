#include "boot/boot.h"
#include "core/lib/range.h"
#include "drivers/ata/command.h"

#define KIB	      1024ULL
#define GIB	      (1ULL << 30)
#define LARGE_PAGE    (2ULL << 20)

#define BASE_MEMORY   (1280 * KIB) /* tables of every machine */
#define CPU_MEMORY    (184 * KIB)  /* stacks, VMCB or VMCS, running ahead */
#define BOUNCE_MEMORY (ATA_BOUNCE_KIB * KIB) /* IDE needs no more */
#define DEVICE_MEMORY (320 * KIB) /* beside it: the lists of its commands */

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
		     u64 size, u64 low, u64 high)
{
	u64 step = min_u64(size, LARGE_PAGE);

	low = max_u64(low, e->base);
	high = min_u64(high, e->base + e->len);
	if (high < size)
		return 0;
	for (u64 at = align_down(high - size, step); at >= low; at -= step) {
		if (is_clear(info, at, size))
			return at;
		if (at < step)
			break;
	}
	return 0;
}

static hpa_t find(const struct boot_info *info, u64 size, u64 low, u64 high)
{
	hpa_t best = 0;

	for (u32 i = 0; i < info->map_count; i++)
		if (info->map[i].type == E820_TYPE_USABLE)
			best = max_u64(best, find_in(info, &info->map[i], size,
						     low, high));
	return best;
}

hpa_t place_find(const struct boot_info *info, u64 size, u64 floor)
{
	return find(info, size, floor, 4 * GIB);
}

hpa_t place_low_page(const struct boot_info *info, u32 kib)
{
	return kib > 640 ? 0 : find(info, PAGE_SIZE, 256 * KIB, kib * KIB);
}

void place_usable(const struct boot_info *info, u64 low, u64 high,
		  void (*fn)(u64 start, u64 end))
{
	for (u32 i = 0; i < info->map_count; i++) {
		const struct e820_entry *e = &info->map[i];
		u64 start = max_u64(low, e->base);
		u64 end = min_u64(high, e->base + e->len);

		if (e->type == E820_TYPE_USABLE && start < end)
			fn(start, end);
	}
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

u64 place_size(const struct place_needs *n)
{
	u64 bounce = max_u64(n->bounce_kib * KIB, BOUNCE_MEMORY);
	/* The host's two maps and the guest's, if there are no pages of 1 GiB. */
	u64 tables = 3 * (n->ram_end / GIB + 1) * PAGE_SIZE;

	return align_up(n->image + BASE_MEMORY + tables + n->programs +
				n->cpus * CPU_MEMORY +
				n->devices * (bounce + DEVICE_MEMORY),
			LARGE_PAGE);
}

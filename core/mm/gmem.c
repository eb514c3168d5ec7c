#include "core/mm/gmem.h"
#include "boot/boot_info.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/mm/host.h"
#include "core/mm/pool.h"

#define MIB (1ULL << 20)
/* Firmware's reserved memory right behind RAM; a PCIe configuration window
 * or another block of devices is at least this large. */
#define RESERVED_TAIL_MAX (16 * MIB)

struct ram {
	gpa_t start, end;
};

/* Disjoint, never adjoining, the largest first: that one is asked for most. */
static struct {
	struct ram ram[E820_MAX + 3];
	u32 count;
} gmem;

/* Adds a range, one with what it overlaps or adjoins. */
static void add(gpa_t start, gpa_t end)
{
	for (u32 i = 0; i < gmem.count;) {
		struct ram *r = &gmem.ram[i];

		if (end < r->start || r->end < start) {
			i++;
			continue;
		}
		start = min_u64(start, r->start);
		end = max_u64(end, r->end);
		*r = gmem.ram[--gmem.count];
	}
	gmem.ram[gmem.count++] = (struct ram){ start, end };
}

/* Takes a range out; splits at most one other in two. */
static void cut(gpa_t start, gpa_t end)
{
	for (u32 i = 0; i < gmem.count;) {
		struct ram *r = &gmem.ram[i];
		struct ram below = { r->start, min_u64(r->end, start) };
		struct ram above = { max_u64(r->start, end), r->end };

		if (below.start < below.end) {
			*r = below;
			if (above.start < above.end)
				gmem.ram[gmem.count++] = above;
		} else if (above.start < above.end) {
			*r = above;
		} else {
			*r = gmem.ram[--gmem.count];
			continue;
		}
		i++;
	}
}

static void sort_by_size(void)
{
	for (u32 i = 1; i < gmem.count; i++) {
		struct ram r = gmem.ram[i];
		u32 at = i;

		for (; at && gmem.ram[at - 1].end - gmem.ram[at - 1].start <
				     r.end - r.start;
		     at--)
			gmem.ram[at] = gmem.ram[at - 1];
		gmem.ram[at] = r;
	}
}

static bool is_ram(const struct e820_entry *e)
{
	return e->type == E820_TYPE_USABLE || e->type == E820_TYPE_ACPI ||
	       e->type == E820_TYPE_NVS;
}

static bool follows_ram(gpa_t at)
{
	for (u32 i = 0; i < gmem.count; i++)
		if (gmem.ram[i].end == at)
			return true;
	return false;
}

static gpa_t page_end(const struct e820_entry *e)
{
	u64 len = min_u64(e->len, ~0ULL - PAGE_SIZE - e->base);

	return align_down(e->base + len, PAGE_SIZE);
}

void gmem_init(const struct boot_info *info)
{
	const struct e820_entry *e, *end = info->map + info->map_count;

	gmem.count = 0;
	for (e = info->map; e < end; e++)
		if (is_ram(e) && align_up(e->base, PAGE_SIZE) < page_end(e))
			add(align_up(e->base, PAGE_SIZE), page_end(e));
	for (e = info->map; e < end; e++)
		if (e->type == E820_TYPE_RESERVED && e->base >= MIB &&
		    e->len < RESERVED_TAIL_MAX && follows_ram(e->base) &&
		    host_maps(e->base, e->len) && e->base < page_end(e))
			add(e->base, page_end(e));
	add(0, 0xa0000);
	add(0xc0000, MIB);
	cut(info->hidden_start, info->hidden_start + info->hidden_size);
	sort_by_size();
}

void *gmem_ptr(gpa_t gpa, u64 len)
{
	for (u32 i = 0; i < gmem.count; i++) {
		const struct ram *r = &gmem.ram[i];

		/* Below it the offset wraps, to past its end. */
		if (range_ok(gpa - r->start, len, r->end - r->start))
			return phys_to_virt(gpa);
	}
	return NULL;
}

int gmem_read(gpa_t gpa, void *dst, size_t len)
{
	const void *src = gmem_ptr(gpa, len);

	if (!src)
		return -EFAULT;
	memcpy(dst, src, len);
	return 0;
}

bool gmem_hidden(gpa_t gpa, u64 len)
{
	const struct hidden *h = pool_hidden();

	return range_overlap(gpa, len, h->start, h->size);
}

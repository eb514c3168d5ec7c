#include "core/mm/host.h"
#include "core/arch/cpuid.h"
#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/lib/range.h"
#include "core/mm/pool.h"

#define RX  (PTE_P | PTE_A)
#define RO  (PTE_P | PTE_A | PTE_NX)
#define RW  (PTE_P | PTE_A | PTE_D | PTE_W | PTE_NX)
#define UC  (RW | PTE_PCD | PTE_PWT) /* entry 3 of the PAT */

#define GIB (1ULL << 30)
/* With 1 GiB pages this much costs one table page: devices have their BARs
 * above RAM. */
#define EASY_DIRECT (512 * GIB)

static struct table_format format = {
	.nonleaf = PTE_P | PTE_W,
	.present = PTE_P,
	.large = PTE_PS,
	.max_level = 2,
};
static struct table tables;
static u64 direct_end;

static bool has_1g_pages(void)
{
	return cpuid(CPUID_EXT_FEATURES).edx & CPUID_80000001_EDX_1G;
}

static u64 direct_size(u64 phys_end)
{
	u64 size = max_u64(phys_end, 4 * GIB);
	unsigned int bits = 36;

	if (cpuid(CPUID_EXT_MAX).eax >= CPUID_ADDR_SIZES)
		bits = cpuid(CPUID_ADDR_SIZES).eax & 0xff;
	if (has_1g_pages())
		size = max_u64(size, EASY_DIRECT);
	size = align_up(size, GIB);
	/* At most 2^46 bytes: there HOST_DEVICE begins. */
	return min_u64(size, BIT(bits < 46 ? bits : 46));
}

static int map_image_part(const char *from, const char *to, u64 attr)
{
	return table_map(&tables, (u64)from, virt_to_phys(from),
			 (u64)(to - from), attr);
}

static int map_image(void)
{
	int err = map_image_part(image_start, text_end, RX);

	if (!err)
		err = map_image_part(text_end, rodata_end, RO);
	if (!err)
		err = map_image_part(rodata_end, image_end, RW);
	if (!err)
		err = table_map(&tables, (u64)stack_guard, 0, PAGE_SIZE, 0);
	return err;
}

static int map_direct(u64 phys_end)
{
	hpa_t code = virt_to_phys(image_start);
	int err;

	direct_end = direct_size(phys_end);
	err = table_map(&tables, HOST_DIRECT, 0, direct_end, RW);
	if (err)
		return err;
	return table_map(&tables, HOST_DIRECT + code, code,
			 (u64)(rodata_end - image_start), RO);
}

static int map_devices(void)
{
	const struct hidden *h = pool_hidden();
	int err = table_map(&tables, HOST_DEVICE, 0, direct_end, UC);

	if (err)
		return err;
	return table_map(&tables, HOST_DEVICE + h->start, 0, h->size, 0);
}

int host_build(u64 phys_end, hpa_t *root)
{
	int err;

	if (has_1g_pages())
		format.max_level = 3;
	err = table_init(&tables, &format);
	if (!err)
		err = map_direct(phys_end);
	if (!err)
		err = map_devices();
	if (!err)
		err = map_image();
	if (!err)
		*root = virt_to_phys(tables.root);
	return err;
}

bool host_maps(hpa_t pa, u64 len)
{
	return range_ok(pa, len, direct_end);
}

int host_unmap_page(const void *page)
{
	return table_map(&tables, (u64)page, 0, PAGE_SIZE, 0);
}

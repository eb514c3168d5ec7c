#include "boot/boot.h"
#include "boot/multiboot.h"
#include "core/arch/cpuid.h"
#include "core/arch/msr.h"
#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/config.h"
#include "core/cpu/apic.h"
#include "core/cpu/console.h"
#include "core/io/acpi.h"
#include "core/lib/bytes.h"
#include "core/lib/errors.h"
#include "core/lib/fmt.h"
#include "core/lib/log.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/mm/host.h"
#include "core/mm/pool.h"
#include "core/program/program.h"

#define MIB		 (1ULL << 20)
#define GIB		 (1ULL << 30)
#define MODULE_MAX	 (16 * MIB)
#define BDA_EQUIPMENT_KB 0x413 /* conventional memory in KiB */

/* boot/shoji.ld: where GRUB put all of it, physical. */
extern const char boot_end[];

static struct boot_info info;
static struct acpi acpi;
static struct config config;
static u32 conventional_end; /* as the BIOS had it: where the EBDA begins */

/* ---- when it cannot go on ------------------------------------------------ */

static noreturn void boot_stop(const char *sentence)
{
	console_vga_on();
	console_serial_on(config.serial_port);
	log_line("%s", sentence);
	for (;;)
		hlt();
}

/* ---- what the configuration, GRUB and the BIOS say ------------------------ */

/* A broken configuration asks for nothing, and stops Shoji later. */
static void read_config(void)
{
	const char *why;

	if (config_parse(config_blob, (u64)(config_blob_end - config_blob),
			 &config, &why))
		config = (struct config){ .serial_port = COM1 };
}

static void read_multiboot(u32 multiboot)
{
	switch (multiboot_parse(phys_to_virt(multiboot), MULTIBOOT_SIZE_MAX,
				&info)) {
	case 0:
		return;
	case -ENOENT:
		boot_stop("the boot loader gave no memory map");
	case -ENOSPC:
		boot_stop("the memory map has too many entries");
	default:
		boot_stop("the boot loader's information is malformed");
	}
}

static int read_physical(void *ctx, u64 pa, void *dst, size_t len)
{
	(void)ctx;
	if (!range_ok(pa, len, 4 * GIB))
		return -EFAULT;
	memcpy(dst, phys_to_virt(pa), len);
	return 0;
}

static void read_acpi(void)
{
	const struct acpi_mem mem = { .read = read_physical };

	if (acpi_parse(&mem, &acpi))
		log_line("no ACPI tables: one CPU, no sleep states");
	if (acpi.cpus_left_out)
		boot_stop("this machine has more than 64 CPUs");
	if (!acpi.cpu_count) {
		acpi.apic_ids[0] = apic_id();
		acpi.cpu_count = 1;
	}
}

static void take_low_page(void)
{
	u8 *low = phys_to_virt(0);
	u32 kib = load_le16(low + BDA_EQUIPMENT_KB);

	info.low_page = place_low_page(&info, kib);
	if (!info.low_page)
		boot_stop("the BIOS reports no usable conventional memory");
	conventional_end = kib * 1024;
	store_le16(low + BDA_EQUIPMENT_KB, (u16)(info.low_page / 1024));
}

/* ---- the move ------------------------------------------------------------ */

static void require_cpu(void)
{
	if (!(cpuid(CPUID_EXT_FEATURES).edx & CPUID_80000001_EDX_NX))
		boot_stop("this CPU has no no-execute pages, or firmware has "
			  "switched them off");
}

/* Beside the files in the image. */
static u64 program_memory(void)
{
	u64 size = 0;

	if (!config.program_count)
		return 0;
	for (u32 i = 0; i < min_u64(info.modules, BOOT_MODULES_MAX); i++)
		size += align_up(info.module[i].size, PAGE_SIZE);
	return size + programs_memory(config.programs, config.program_count) +
	       regions_memory(config.regions, config.region_count);
}

/* Volumes of one device stand for it in the same words. */
static u32 device_count(void)
{
	const struct volume *v = config.volumes;
	u32 n = 0;

	for (size_t i = 0, k; i < config.volume_count; i++) {
		for (k = 0;
		     memcmp(&v[k].match, &v[i].match, sizeof(v[k].match)); k++)
			;
		n += k == i;
	}
	return n;
}

/* Modules lie in what is about to become the guest's memory. */
static void keep_modules(void)
{
	for (u32 i = 0; i < min_u64(info.modules, BOOT_MODULES_MAX); i++) {
		struct boot_module *m = &info.module[i];
		u8 *to = NULL;

		if (m->size && m->size <= MODULE_MAX)
			to = pool_alloc_run(align_up(m->size, PAGE_SIZE) /
					    PAGE_SIZE);
		if (to)
			memcpy(to, phys_to_virt(m->start), m->size);
		else
			m->size = 0;
		m->start = to ? virt_to_phys(to) : 0;
	}
}

static noreturn void no_room(void)
{
	static char sentence[80];

	fmt_print(sentence, sizeof(sentence),
		  "not enough memory: %llu MiB of RAM in one piece below 4 GiB "
		  "are needed",
		  (unsigned long long)(info.hidden_size / MIB));
	boot_stop(sentence);
}

static hpa_t build_tables(void)
{
	const struct place_needs needs = {
		.image = (u64)(image_end - image_start),
		.ram_end = place_ram_end(&info),
		.cpus = acpi.cpu_count,
		.devices = device_count(),
		.bounce_kib = config.bounce_kib,
		.programs = program_memory(),
	};
	hpa_t root;

	info.hidden_size = place_size(&needs);
	info.hidden_start = place_find(&info, info.hidden_size, (u64)boot_end);
	if (!info.hidden_start)
		no_room();
	pool_init(info.hidden_start, info.hidden_size, needs.image);
	if (host_build(needs.ram_end, &root))
		boot_stop("not enough memory for the page tables");
	if (needs.programs)
		keep_modules();
	return root;
}

/* What operating systems have set, too: where a guest's CR4 differs from this
 * one in paging, QEMU forgets all translations once more at each transition. */
static void set_control_registers(void)
{
	u64 cr4 = read_cr4() | CR4_PSE | CR4_PGE;
	struct cpuid id = { 0 };

	if (cpuid(CPUID_VENDOR).eax >= CPUID_STRUCTURED)
		id = cpuid(CPUID_STRUCTURED);
	if (id.ebx & CPUID_07_EBX_SMEP)
		cr4 |= CR4_SMEP;
	if (id.ebx & CPUID_07_EBX_SMAP)
		cr4 |= CR4_SMAP;
	write_cr4(cr4);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	wrmsr(MSR_PAT, PAT_INIT);
}

static void wipe_range(u64 start, u64 end)
{
	const struct hidden *h = pool_hidden();

	if (start < h->start)
		wipe(phys_to_virt(start), min_u64(end, h->start) - start);
	start = max_u64(start, h->start + h->size);
	if (start < end)
		wipe(phys_to_virt(start), end - start);
}

/*
 * The image holds disk keys, and the boot loader has left copies of it: in its
 * disk cache, its buffers and where it put the image. All that it can have
 * used goes; the vectors and data of the BIOS stay.
 */
static void wipe_loader(void)
{
	place_usable(&info, PAGE_SIZE, conventional_end, wipe_range);
	place_usable(&info, MIB, 4 * GIB, wipe_range);
}

static void in_hidden_memory(void)
{
	wipe_loader();
	shoji_main(&info, &acpi);
}

void boot_main(u32 multiboot)
{
	hpa_t root;

	read_config();
	require_cpu();
	read_multiboot(multiboot);
	read_acpi();
	root = build_tables();
	take_low_page();
	set_control_registers();
	memcpy(phys_to_virt(info.hidden_start), image_start,
	       (u64)(image_end - image_start));
	boot_switch(root, in_hidden_memory);
}

/*
 * The boot order, written out, from the final page tables to the guest's first
 * instruction; and the wiring of filters to drivers.
 *
 * Mutable state at file scope, all of it: what the boot code found
 * (boot/boot.c, constant here), the page pool (core/mm/pool.c), the guest's
 * memory map (core/mm/gmem.c), the log's ring and sinks (core/lib/log.c), the
 * array of CPUs (core/cpu/cpu.c), the IDT (core/cpu/traps.c), the consoles and
 * panic()'s settings (core/cpu), the hook lists (core/io), the volumes and
 * their keys (crypto/disk/disk.c), the cipher's path (crypto/xts.c), the IDE
 * and AHCI controllers (drivers/ata), the registers of sleep and reset
 * (core/virt/power.c), the keyboard controller's state (core/virt/kbc.c), the
 * guest's pointer in core/virt/nested.c, what VT-x can do and its MSR bitmap
 * (core/virt/vmx/check.c, ept.c, vmcs.c), the permission maps of programs
 * (core/virt/svm/program.c), the TSC's rate (core/cpu/clock.c), the programs'
 * pointer in core/program/hypercall.c, the means of its barrier.c, and what
 * stands here.
 */
#include "boot/boot_info.h"
#include "boot/stub.h"
#include "core/arch/cpuid.h"
#include "core/arch/x86.h"
#include "core/config.h"
#include "core/cpu/apic.h"
#include "core/cpu/clock.h"
#include "core/cpu/console.h"
#include "core/cpu/cpu.h"
#include "core/cpu/fpu.h"
#include "core/cpu/panic.h"
#include "core/io/acpi.h"
#include "core/io/pci.h"
#include "core/lib/bytes.h"
#include "core/lib/errors.h"
#include "core/lib/fmt.h"
#include "core/lib/log.h"
#include "core/lib/panic.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/mm/gmem.h"
#include "core/mm/pool.h"
#include "core/program/barrier.h"
#include "core/program/program.h"
#include "core/virt/guest.h"
#include "core/virt/kbc.h"
#include "core/virt/power.h"
#include "crypto/disk/disk.h"
#include "crypto/xts.h"
#include "drivers/drivers.h"

#ifndef SHOJI_VERSION
#define SHOJI_VERSION "0.1"
#endif

static const struct boot_info *boot;
static const struct acpi *acpi;
static struct guest guest;
static struct config config;
static struct programs programs;

/* What the machine must not keep when Shoji ends. */
static bool have_secrets(void)
{
	return config.volume_count || config.program_count;
}

static void wipe_secrets(void)
{
	disk_keys_wipe();
	programs_wipe(&programs);
}

/* Something the machine lacks: one sentence, and no guest without Shoji. */
static noreturn void stop(const char *sentence)
{
	config_wipe(&config, config_blob, config_blob_end - config_blob);
	wipe_secrets();
	log_line("%s.", sentence);
	log_line("Stopped.");
	for (;;)
		hlt();
}

/* ---- what the firmware says --------------------------------------------- */

static void make_bios_map(void)
{
	static struct e820 machine[E820_MAX];
	const struct e820 hide[] = {
		{ .base = boot->hidden_start, .len = boot->hidden_size },
		{ .base = boot->low_page, .len = PAGE_SIZE },
	};
	u64 top = BIT(32);

	for (u32 i = 0; i < boot->map_count; i++) {
		const struct e820_entry *e = &boot->map[i];

		machine[i] = (struct e820){ e->base, e->len, e->type, 1 };
		if (e->type == E820_TYPE_USABLE)
			top = max_u64(top, e->base + e->len);
	}
	if (bios_map_build(&guest.bios_map, machine, boot->map_count, hide,
			   ARRAY_SIZE(hide)))
		stop("The firmware's memory map cannot be used");
	guest.nested_top = align_up(top, BIT(30));
}

/* ---- CPUs --------------------------------------------------------------- */

static void choose_back_end(void)
{
	u32 vendor = cpuid(CPUID_VENDOR).ebx;
	const char *why;

	if (vendor == CPUID_VENDOR_INTEL_EBX)
		guest.ops = &vmx_ops;
	else if (vendor == CPUID_VENDOR_AMD_EBX ||
		 vendor == CPUID_VENDOR_HYGON_EBX)
		guest.ops = &svm_ops;
	else
		stop("This CPU has neither AMD-V nor Intel VT-x");
	why = guest.ops->check();
	if (why)
		stop(why);
}

static void start_vcpu(struct cpu *c)
{
	struct vcpu *v = &guest.vcpu[c->index];

	v->cpu = c;
	v->guest = &guest;
	c->vcpu = v;
	guest_ahead_init(v);
	if (guest.ops->cpu_start(v, virt_to_phys(guest.nested.root)))
		panic("no memory for CPU %u", c->index);
	if (programs.count && guest.ops->program_init(v))
		panic("CPU %u cannot run programs", c->index);
}

static noreturn void run_other_cpu(struct cpu *c)
{
	while (!__atomic_load_n(&guest.ready, __ATOMIC_ACQUIRE))
		cpu_pause();
	start_vcpu(c);
	startup_init_signal(c->vcpu);
	__atomic_fetch_add(&guest.ready, 1, __ATOMIC_ACQ_REL);
	guest_run(c->vcpu);
}

/* For panic(): a CPU that runs the guest finds out when it leaves it. */
static void kick_other_cpus(void)
{
	for (u32 i = 0; i < guest.cpus; i++)
		if (i != cpu_self()->index)
			guest_kick(&guest.vcpu[i]);
}

/* All are in host mode, with their own part of the guest, when this ends. */
static void release_other_cpus(void)
{
	__atomic_store_n(&guest.ready, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&guest.ready, __ATOMIC_ACQUIRE) != guest.cpus)
		cpu_pause();
}

/* ---- configuration, devices and keys ------------------------------------ */

static void read_config(void)
{
	const char *why = "";
	int rc = config_parse(config_blob, config_blob_end - config_blob,
			      &config, &why);

	console_serial_on(rc ? COM1 : config.serial_port);
	if (rc)
		stop(why);
	panic_set_action(config.panic_action == CONFIG_PANIC_REBOOT
				 ? PANIC_REBOOT
				 : PANIC_STOP);
	if (boot->modules && !config.program_count)
		log_line("%u boot module%s not used", boot->modules,
			 boot->modules == 1 ? "" : "s");
	if (boot->cmdline[0])
		log_line("the command line is not used: %s", boot->cmdline);
}

static void take_keys(void)
{
	static const struct disk_fpu fpu = { fpu_begin, fpu_end };
	int rc;

	fpu_begin();
	rc = crypto_init();
	fpu_end();
	if (rc)
		stop("The cipher's self-test has failed");
	panic_set_wipe_fn(wipe_secrets);
	if (disk_init(config.volumes, config.volume_count, &fpu))
		stop("A key of the configuration cannot be used");
	config_wipe(&config, config_blob, config_blob_end - config_blob);
	power_init(acpi, have_secrets() ? wipe_secrets : NULL);
	kbc_init(have_secrets() ? wipe_secrets : NULL);
}

/* ---- programs ----------------------------------------------------------- */

#define FILES_MAX (BOOT_MODULES_MAX + PROGRAM_MAX)

/* config.h, config_images */
static u32 embedded_files(struct program_file *files)
{
	u8 *p = config_images;
	u32 n = 0;

	while (n < PROGRAM_MAX && config_images_end - p > 8) {
		files[n++] = (struct program_file){
			.data = p + 8,
			.size = load_le64(p),
			.name = "embedded file",
		};
		p += align_up(8 + load_le64(p), 16);
	}
	return n;
}

static void take_programs(void)
{
	const struct program_config c = {
		.version = SHOJI_VERSION,
		.allow = config.hypercall,
		.volumes = config.volumes,
		.volume_count = config.volume_count,
		.manifests = config.programs,
		.count = config.program_count,
		.regions = config.regions,
		.region_count = config.region_count,
	};
	struct program_file files[FILES_MAX];
	u32 count = 0;

	if (!c.count && c.allow == HYPERCALL_NONE)
		return;
	clock_init();
	barrier_init();
	if (c.count)
		count = embedded_files(files);
	for (u32 i = 0; c.count && i < min_u64(boot->modules, BOOT_MODULES_MAX);
	     i++)
		if (boot->module[i].size)
			files[count++] = (struct program_file){
				.data = phys_to_virt(boot->module[i].start),
				.size = boot->module[i].size,
				.name = boot->module[i].name,
			};
	programs_init(&programs, &c, guest.ops, files, count);
	programs_attach(&programs);
	guest.hypercall = programs_hypercall;
	if (programs.count)
		guest.background = programs_background;
}

static void conceal(void *ctx, struct pci_addr addr, const struct pci_id *id)
{
	const struct config_function f = {
		addr.segment, addr.bus,	  addr.dev,  addr.fn,
		id->vendor,   id->device, id->class,
	};

	(void)ctx;
	if (!config_conceals(&config, &f))
		return;
	if (pci_conceal(addr))
		stop("A PCI function cannot be concealed");
	log_line("PCI %02x:%02x.%x %04x:%04x is concealed", addr.bus, addr.dev,
		 addr.fn, id->vendor, id->device);
}

static void take_devices(void)
{
	const struct ata_options ata = {
		.no_trim = config.ata & CONFIG_ATA_NO_TRIM,
		.erase = config.ata & CONFIG_ATA_ERASE,
		.bounce_kib = config.bounce_kib,
	};

	if (acpi->ecam_base)
		pci_set_ecam(acpi->ecam_base, acpi->ecam_first_bus,
			     acpi->ecam_last_bus);
	if (config.conceal_count)
		pci_scan(conceal, NULL);
	if (have_secrets() && power_guard())
		stop("The ports of sleep cannot be secured");
	if (config.volume_count && drivers_start(disk_filter(), &ata))
		stop("A protected device cannot be secured");
	/* It may be there but slow to answer; the guest would find it bare. */
	if (disk_unattached()) {
		log_line("volume %s: no such device", disk_unattached()->name);
		stop("A protected device is missing");
	}
}

/* ---- the order ---------------------------------------------------------- */

static void banner_volume(const struct volume *v)
{
	char end[24] = "the end";

	if (v->last != VOLUME_TO_END)
		fmt_print(end, sizeof(end), "%llu",
			  (unsigned long long)v->last);
	log_line("volume %s: sectors %llu to %s, AES-%u-XTS", v->name,
		 (unsigned long long)v->first, end, v->key_len * 4);
}

static void banner(void)
{
	log_line("Shoji %s, %s, %u CPU%s, %llu MiB of memory hidden at 0x%llx",
		 SHOJI_VERSION, guest.ops->name, guest.cpus,
		 guest.cpus == 1 ? "" : "s",
		 (unsigned long long)boot->hidden_size >> 20,
		 (unsigned long long)boot->hidden_start);
	for (size_t i = 0; i < config.volume_count; i++)
		banner_volume(&config.volumes[i]);
}

/* With one CPU there is none to start; but one that the firmware does not list
 * would come up without Shoji, and an INIT to itself restarts it in the
 * firmware, with the keys in memory, where AMD-V does not hold it off (in
 * QEMU). */
static bool watch_icr(void)
{
	return guest.cpus > 1 || have_secrets();
}

static noreturn void boot_cpu(struct cpu *c)
{
	choose_back_end();
	take_keys();
	if (cpu_start_others(acpi->apic_ids, acpi->cpu_count, boot->low_page,
			     run_other_cpu))
		stop("Not all CPUs could be started");
	guest.cpus = cpu_count();

	make_bios_map();
	if (nested_init(&guest) || startup_init(&guest, watch_icr()))
		stop("There is too little memory for the nested page table");
	guest_msr_init(&guest);
	banner();
	take_programs();
	take_devices();

	guest.stub = boot->low_page;
	stub_install(phys_to_virt(0), phys_to_virt(boot->low_page),
		     boot->low_page, boot->boot_drive, guest.ops == &vmx_ops);
	console_vga_off();
	start_vcpu(c);
	release_other_cpus();
	panic_set_stop_fn(kick_other_cpus);
	startup_begin(c->vcpu);
	guest_run(c->vcpu);
}

void shoji_main(const struct boot_info *info, const struct acpi *tables)
{
	boot = info;
	acpi = tables;
	gmem_init(info);
	console_vga_on();
	read_config();
	cpu_start_boot(boot_cpu);
}

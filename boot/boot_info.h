/*
 * What the boot code has found out, for core/main.c: copied into hidden memory
 * before everything outside of it was wiped. Constant from then on.
 */
#ifndef BOOT_BOOT_INFO_H
#define BOOT_BOOT_INFO_H

#include "core/lib/types.h"

struct acpi; /* core/io/acpi.h */

#define E820_MAX 128

enum e820_type { /* ACPI 6.4, table 15-374 */
	E820_TYPE_USABLE = 1,
	E820_TYPE_RESERVED = 2,
	E820_TYPE_ACPI = 3,
	E820_TYPE_NVS = 4,
};

struct e820_entry {
	u64 base;
	u64 len;
	u32 type; /* may be none of the above: then it is reserved */
};

#define BOOT_MODULES_MAX 8

struct boot_module {
	hpa_t start;
	u64 size;
	char name[32]; /* its command line's beginning, for messages */
};

struct boot_info {
	/* The firmware's map, in its order, with nothing taken out yet. */
	struct e820_entry map[E820_MAX];
	u32 map_count;

	u8 boot_drive;	   /* as INT 13h numbers it */
	char cmdline[256]; /* "" if none; cut if longer */
	u32 modules;	   /* that GRUB loaded */
	/* The first of them; in hidden memory since the move, if there are
	 * programs in the configuration. */
	struct boot_module module[BOOT_MODULES_MAX];

	hpa_t hidden_start; /* [start, start + size): ours; 2 MiB aligned */
	u64 hidden_size;

	/* One page of conventional memory for the trampoline and the guest's
	 * stub. The BIOS data area ends conventional memory below it since. */
	hpa_t low_page;
};

/* core/main.c: called on the boot processor with the final page tables, on a
 * stack of its own in hidden memory, interrupts off and no IDT. */
noreturn void shoji_main(const struct boot_info *info, const struct acpi *acpi);

#endif

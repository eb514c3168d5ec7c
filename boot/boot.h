/* The steps between boot/entry.S and core/main.c. */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include "boot/boot_info.h"

/* entry.S calls it on a stack that stays behind. */
noreturn void boot_main(u32 multiboot);

/* entry.S: loads the final tables, calls @next on the stack in .bss. */
noreturn void boot_switch(hpa_t root, void (*next)(void));

/* Too early for a log: "shoji: @sentence" on the screen and COM1, then halt. */
noreturn void boot_stop(const char *sentence);

/*
 * place.c, pure: the highest 2 MiB aligned [start, start + size) in usable RAM
 * below 4 GiB, clear of every other entry of the map, of modules and of what
 * ends at @floor. 0 if there is none.
 */
hpa_t place_find(const struct boot_info *info, u64 size, u64 floor);

/* The end of the highest RAM of any kind. */
u64 place_ram_end(const struct boot_info *info);

/*
 * ACPI 6.4, 5.2.5.1: the root pointer's address, searched in the first KiB of
 * the EBDA and in E0000-FFFFF. @low is memory from address 0 on, 1 MiB of it.
 */
hpa_t place_find_rsdp(const u8 *low);

#endif

/* The steps between boot/entry.S and core/main.c. */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include "boot/boot_info.h"

/* entry.S calls it on a stack that stays behind. */
noreturn void boot_main(u32 multiboot);

/* entry.S: loads the final tables, calls @next on the stack in .bss. */
noreturn void boot_switch(hpa_t root, void (*next)(void));

/*
 * place.c, pure: the highest 2 MiB aligned [start, start + size) in usable RAM
 * below 4 GiB, clear of every other entry of the map, of modules and of what
 * ends at @floor. 0 if there is none.
 */
hpa_t place_find(const struct boot_info *info, u64 size, u64 floor);

/*
 * The highest page of conventional memory that is usable RAM by the map, too,
 * from 256 KiB on. @kib: how much there is, as the BIOS says. 0: none, or it says
 * what cannot be.
 */
hpa_t place_low_page(const struct boot_info *info, u32 kib);

/* Calls @fn for all usable RAM of [low, high), piece by piece. */
void place_usable(const struct boot_info *info, u64 low, u64 high,
		  void (*fn)(u64 start, u64 end));

/* The end of the highest RAM of any kind. */
u64 place_ram_end(const struct boot_info *info);

/* What Shoji needs hidden memory for. */
struct place_needs {
	u64 image;    /* its length */
	u64 ram_end;  /* place_ram_end() */
	u64 programs; /* bytes, with all that belongs to them */
	u32 cpus;
	u32 devices;	/* with volumes, at most */
	u32 bounce_kib; /* of one, or 0: the default */
};

/* The bytes to hide: a multiple of 2 MiB. */
u64 place_size(const struct place_needs *needs);

#endif

/*
 * The Multiboot2 information structure (Multiboot2 Specification 2.0, 3.4 to
 * 3.6): a bounded parser. Pure.
 */
#ifndef BOOT_MULTIBOOT_H
#define BOOT_MULTIBOOT_H

#include "boot/boot_info.h"

/* No information structure of GRUB is nearly as large. */
#define MULTIBOOT_SIZE_MAX 65536

/*
 * Reads the structure at @data, of which at most @limit bytes can be read, into
 * map, map_count, boot_drive, cmdline and modules of @info. The boot drive is
 * 0x80 if the loader does not name one.
 *
 * -EINVAL: malformed; -ENOENT: no memory map; -ENOSPC: more than E820_MAX
 * entries.
 */
int multiboot_parse(const void *data, size_t limit,
		    struct boot_info *info) must_check;

#endif

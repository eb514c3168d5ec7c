/*
 * Guest-physical memory. The guest's addresses are the machine's, but for the
 * hidden region, which it does not have. Only what the firmware's memory map
 * calls RAM is reached here, never MMIO.
 *
 * All of it is hostile and changes under our hands: copy once, then decide.
 */
#ifndef CORE_MM_GMEM_H
#define CORE_MM_GMEM_H

#include "core/lib/types.h"

struct boot_info;

/*
 * Once, after host_build(): takes the memory map from @info. What counts is
 * usable RAM, ACPI and NVS memory, all below 640 KiB, the BIOS area
 * (C0000-FFFFF), and small reserved pieces that directly follow RAM, where
 * firmware keeps the buffers of its disk services; without the hidden region.
 */
void gmem_init(const struct boot_info *info);

/* -EFAULT, with nothing copied, unless the whole range is guest RAM. */
int gmem_read(gpa_t gpa, void *dst, size_t len) must_check;

/* A pointer to [gpa, gpa + len), or NULL unless all of it is guest RAM. */
void *gmem_ptr(gpa_t gpa, u64 len);

/* True if a byte of the range is hidden from the guest. */
bool gmem_hidden(gpa_t gpa, u64 len);

#endif

/*
 * The memory map that the guest is told: the machine's own, with what Shoji
 * keeps for itself reported as reserved, and the BIOS services that tell it
 * (INT 15h AX=E820h, E801h, E881h and AH=88h). Pure.
 */
#ifndef CORE_VIRT_BIOS_H
#define CORE_VIRT_BIOS_H

#include "core/lib/types.h"

#define BIOS_MAP_MAX 128

enum {
	BIOS_RAM = 1,
	BIOS_RESERVED = 2
};

struct e820 { /* ACPI 6.3, 15.1: what E820h stores */
	le64 base;
	le64 len;
	le32 type;
	le32 attr; /* of the 24-byte form: bit 0 set */
} packed;
static_assert(sizeof(struct e820) == 24, "ACPI 15.1");

struct bios_map {
	struct e820 e[BIOS_MAP_MAX];
	u32 count;
	u32 entry_size; /* the most E820h gives: 20, or 24 with attr */
};

/*
 * Builds @map from the @count entries at @machine, with the @hide_count ranges
 * at @hide (their base and len) as reserved: sorted, without overlap or empty
 * entries. Where the machine's entries overlap, the higher type counts; what
 * does not overlap keeps its borders. None may wrap. entry_size becomes 20.
 * -ENOSPC if more than BIOS_MAP_MAX entries come out.
 */
int bios_map_build(struct bios_map *map, const struct e820 *machine, u32 count,
		   const struct e820 *hide, u32 hide_count) must_check;

struct bios_regs {
	u32 eax, ebx, ecx, edx, edi;
	u16 es;
	bool carry;
};

/* Stores into the guest's memory at SEG:OFF: 0 or -EFAULT. */
typedef int bios_write_fn(void *ctx, u16 seg, u16 off, const void *src,
			  size_t len);

/*
 * Answers the interrupt if it asks for memory sizes; false if it does not:
 * then the machine's BIOS has to be called. Only the registers that the
 * service returns are changed.
 */
bool bios_int15(struct bios_regs *regs, const struct bios_map *map,
		bios_write_fn *write, void *ctx);

#endif

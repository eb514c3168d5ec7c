/*
 * What Shoji reads from the machine's ACPI tables (ACPI 6.3): which CPUs there
 * are, where PCI's configuration window lies, and the registers by which an OS
 * sleeps or resets the machine.
 *
 * Pure: physical memory is read through a callback. The tables come from the
 * firmware, but every length in them is bounded. A table whose checksum is wrong
 * counts, as it does for OSes.
 */
#ifndef CORE_IO_ACPI_H
#define CORE_IO_ACPI_H

#include "core/lib/types.h"

#define ACPI_CPUS_MAX 64

struct acpi_mem {
	/* 0, or -EFAULT if the range cannot be read. */
	int (*read)(void *ctx, u64 pa, void *dst, size_t len);
	void *ctx;
};

enum acpi_space { /* 5.2.3.2, table 5-1 */
	ACPI_SPACE_MEMORY = 0,
	ACPI_SPACE_IO = 1,
	ACPI_SPACE_PCI = 2, /* address: 0, device, function, offset as words */
};

struct acpi_reg { /* a generic address */
	u8 space;
	u64 address;
};

struct acpi_sleep { /* \_Sx: what to write to SLP_TYP to get there */
	bool valid;
	u8 typ_a;
	u8 typ_b;
};

struct acpi {
	/* MADT: enabled CPUs in its order, each id once. */
	u32 apic_ids[ACPI_CPUS_MAX];
	u32 cpu_count;
	u32 cpus_left_out; /* that did not fit */

	/* MCFG, segment 0. base is 0 if there is none. */
	u64 ecam_base;
	u8 ecam_first_bus;
	u8 ecam_last_bus;

	/* FADT. A port of 0: the machine has none. */
	u16 pm1a_evt; /* status; enable follows */
	u16 pm1a_cnt;
	u16 pm1b_cnt;
	bool reset_valid;
	struct acpi_reg reset;
	u8 reset_value;

	struct acpi_sleep sleep[6]; /* \_S0 to \_S5 of DSDT and SSDTs */
};

/*
 * Fills @acpi, from the root pointer where 5.2.5.1 says that it is. A table that
 * is missing or broken leaves its fields 0. -ENOENT if there is no root pointer,
 * -EINVAL if neither RSDT nor XSDT can be used.
 */
int acpi_parse(const struct acpi_mem *mem, struct acpi *acpi) must_check;

#endif

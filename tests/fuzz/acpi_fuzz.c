/*
 * ACPI tables of any content. The first byte of the input says whether the
 * tables get their right signatures, lengths and checksums (else nearly all
 * would be thrown away at once); the rest is physical memory.
 * units: core/io/acpi.c
 */
#include <stdlib.h>
#include <string.h>

#include "core/io/acpi.h"
#include "core/lib/bytes.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define BASE 0xe0000
#define SIZE 0x2000

static int image_read(void *ctx, u64 pa, void *dst, size_t len)
{
	if (pa < BASE || !range_ok(pa - BASE, len, SIZE))
		return -EFAULT;
	memcpy(dst, (u8 *)ctx + (pa - BASE), len);
	return 0;
}

static void seal(u8 *p, u32 len, u32 where)
{
	p[where] = 0;
	for (u32 i = 0; i < len; i++)
		if (i != where)
			p[where] = (u8)(p[where] - p[i]);
}

/* RSDP at 0, XSDT at 64, five tables of 1 KiB from 1 KiB on. */
static void repair(u8 *image)
{
	static const char sigs[6][5] = { "FACP", "APIC", "MCFG", "SSDT",
					 "DSDT" };

	memcpy(image, "RSD PTR ", 8);
	image[15] = 2;
	store_le64(image + 24, BASE + 64);
	seal(image, 20, 8);
	seal(image, 36, 32);
	memcpy(image + 64, "XSDT", 4);
	store_le32(image + 68, 36 + 4 * 8);
	for (u32 i = 0; i < 4; i++)
		store_le64(image + 100 + 8 * i, BASE + 0x400 * (i + 1));
	seal(image + 64, 36 + 4 * 8, 9);
	store_le32(image + 0x400 + 40, BASE + 0x1400);
	for (u32 i = 0; i < 5; i++) {
		u8 *t = image + 0x400 * (i + 1);
		u32 len = 36 + load_le16(t + 4) % (0x400 - 36);

		memcpy(t, sigs[i], 4);
		store_le32(t + 4, len);
		seal(t, len, 9);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u8 *image = calloc(1, SIZE);
	struct acpi_mem mem = { image_read, image };
	struct acpi acpi;

	if (size > 1)
		memcpy(image, data + 1, size - 1 < SIZE ? size - 1 : SIZE);
	if (size && data[0] & 1)
		repair(image);
	if (!acpi_parse(&mem, BASE, &acpi)) {
		if (acpi.cpu_count > ACPI_CPUS_MAX)
			abort();
		for (u32 i = 0; i < 6; i++)
			if (acpi.sleep[i].typ_a > 7 || acpi.sleep[i].typ_b > 7)
				abort();
	}
	free(image);
	return 0;
}

/*
 * ACPI tables of any content. The rest of the input is what they hold, with
 * the headers and the way to them put right (else nearly all would be thrown
 * away at once); or physical memory as it is, if its first byte says so.
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

/* Where they are: the root, the first of its tables, the DSDT. */
#define ROOT	      64
#define ENTRIES	      32
#define FIRST	      0x180
#define DSDT	      0x1800
#define HEADER	      36
#define FADT_DSDT_END 8 /* after the header */

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

static void table(u8 *t, const char *sig, const u8 *body, u32 n, bool good)
{
	memcpy(t, sig, 4);
	store_le32(t + 4, HEADER + n);
	memcpy(t + HEADER, body, n);
	if (!memcmp(sig, "FACP", 4)) /* the other field is the input's */
		store_le32(t + 40, BASE + DSDT);
	if (good)
		seal(t, HEADER + n, 9);
}

/*
 * Each from: its kind, with how its length is scaled and if its checksum is
 * wrong; the length of what follows the header, and that. A DSDT goes to where
 * each FADT says it is. How many the root shall have.
 */
static u32 tables(u8 *image, u8 *root, u32 entry, const u8 *data, size_t size)
{
	static const char sigs[6][5] = { "FACP", "APIC", "MCFG",
					 "SSDT", "DSDT", "HPET" };
	u32 n = 0, at = FIRST;

	while (size >= 2 && n < ENTRIES) {
		u32 kind = (data[0] & 7) % 6, scale = data[0] >> 4 & 3;
		u32 where = kind == 4 ? DSDT : at;
		u32 end = kind == 4 ? SIZE : DSDT;
		u32 len = (u32)min_u64(data[1] << scale, size - 2);

		if (!range_ok(where, HEADER + FADT_DSDT_END + len, end))
			break;
		table(image + where, sigs[kind], data + 2, len,
		      !(data[0] & 0x80));
		data += 2 + len;
		size -= 2 + len;
		if (kind == 4)
			continue;
		store_le64(root + HEADER + n++ * entry, BASE + at);
		at += HEADER + len;
	}
	return n;
}

/* The RSDP, the XSDT or RSDT, its tables. */
static void make(u8 *image, u8 how, const u8 *data, size_t size)
{
	bool old = how & 8;
	u32 entry = old ? 4 : 8, n;

	memcpy(image, "RSD PTR ", 8);
	image[15] = how & 32 ? 0 : 2;
	store_le32(image + 16, old ? BASE + ROOT : 0);
	store_le64(image + 24, old ? 0 : BASE + ROOT);
	seal(image, 20, 8);
	seal(image, 36, 32);
	image[33] = how & 64;
	n = tables(image, image + ROOT, entry, data, size);
	memcpy(image + ROOT, old ? "RSDT" : "XSDT", 4);
	store_le32(image + ROOT + 4, HEADER + n * entry);
	seal(image + ROOT, HEADER + n * entry, 9);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u8 *image = calloc(1, SIZE);
	struct acpi_mem mem = { image_read, image };
	struct acpi acpi;

	if (size > 1 && data[0] & 7)
		make(image, data[0], data + 1, size - 1);
	else if (size > 1)
		memcpy(image, data + 1, size - 1 < SIZE ? size - 1 : SIZE);
	if (!acpi_parse(&mem, &acpi)) {
		if (acpi.cpu_count > ACPI_CPUS_MAX)
			abort();
		for (u32 i = 0; i < 6; i++)
			if (acpi.sleep[i].typ_a > 7 || acpi.sleep[i].typ_b > 7)
				abort();
	}
	free(image);
	return 0;
}

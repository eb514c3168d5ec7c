/*
 * Any bytes as boot information: no access outside of them, and what comes
 * out is bounded and can be placed.
 * units: boot/multiboot.c boot/place.c
 */
#include <stdlib.h>
#include <string.h>

#include "boot/boot.h"
#include "boot/multiboot.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void check(const struct boot_info *info)
{
	u64 size = 12ULL << 20;
	u64 at = place_find(info, size, 0x400000);

	if (info->map_count > E820_MAX || !info->map_count)
		abort();
	if (strnlen(info->cmdline, sizeof(info->cmdline)) >= 256)
		abort();
	if (at && (at < 0x400000 || at % (2 << 20) || at + size > 1ULL << 32))
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct boot_info info;
	u8 *copy = malloc(size + 1);

	/* An exact size in the first word lets the fuzzer get on. */
	memcpy(copy, data, size);
	if (size >= 8 && size < 65536 && copy[3] == 0xff) {
		u32 exact = (u32)size;

		memcpy(copy, &exact, 4);
	}
	if (!multiboot_parse(copy, size, &info))
		check(&info);
	free(copy);
	return 0;
}

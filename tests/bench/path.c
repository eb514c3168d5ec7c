#include "tests/bench/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/io/dma.h"
#include "core/lib/log.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/mm/gmem.h"
#include "crypto/disk/disk.h"
#include "crypto/xts.h"

static u8 ram[PATH_RAM] __attribute__((aligned(4096)));

u8 *path_ram(void)
{
	return ram;
}

void *gmem_ptr(gpa_t gpa, u64 len)
{
	return range_ok(gpa, len, PATH_RAM) ? ram + gpa : NULL;
}

int dma_copy_in(gpa_t gpa, void *dst, size_t len)
{
	if (!gmem_ptr(gpa, len))
		return -1;
	memcpy(dst, ram + gpa, len);
	return 0;
}

void *dma_alloc(size_t pages, hpa_t *pa)
{
	void *p = aligned_alloc(4096, pages * 4096);

	*pa = (hpa_t)p;
	return memset(p, 0, pages * 4096);
}

void log_line(const char *format, ...)
{
}

void log_limited(struct log_limit *limit, const char *format, ...)
{
	fprintf(stderr, "bench: %s\n", format);
	exit(1);
}

void wipe(void *p, size_t n)
{
	memset(p, 0, n);
}

static void nothing(void)
{
}

void path_volume(const char *bus, const u8 *key, u64 last)
{
	static const struct disk_fpu fpu = { nothing, nothing };
	static struct volume volume;

	volume = (struct volume){ .name = "v",
				  .match = { .given = MATCH_BUS },
				  .last = last,
				  .key = key,
				  .key_len = 64 };
	strcpy(volume.match.bus, bus);
	if (crypto_init() || crypto_use(CRYPTO_AESNI)) {
		printf("bench: this CPU has no AES-NI, nothing to compare\n");
		exit(0);
	}
	if (disk_init(&volume, 1, &fpu))
		exit(1);
}

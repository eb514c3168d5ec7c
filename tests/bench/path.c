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
static u8 raw_key[64];
static struct xts_key key;

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

void path_volume(const char *bus, u64 last)
{
	static const struct disk_fpu fpu = { nothing, nothing };
	static struct volume volume;

	volume = (struct volume){ .name = "v",
				  .match = { .given = MATCH_BUS },
				  .last = last,
				  .key = raw_key,
				  .key_len = sizeof(raw_key) };
	for (int i = 0; i < 64; i++)
		raw_key[i] = (u8)(i * i * 7 + i);
	strcpy(volume.match.bus, bus);
	if (crypto_init() || crypto_use(CRYPTO_AESNI)) {
		printf("bench: this CPU has no AES-NI, nothing to compare\n");
		exit(0);
	}
	if (disk_init(&volume, 1, &fpu) ||
	    xts_set_key(&key, raw_key, sizeof(raw_key)))
		exit(1);
}

/* ---- the cipher alone ---- */

static u8 *data(u32 at)
{
	return ram + PATH_DATA + at / 4096 * PATH_STEP + at % 4096;
}

static void direct(aes_xts_fn *fn, const struct aes_key *aes, u64 sector,
		   u32 bytes, u8 *dst)
{
	u8 iv[16] = { 0 };

	for (u32 at = 0; at < bytes; at += 512, sector++) {
		memcpy(iv, &sector, 8);
		fn(data(at), dst ? dst + at : data(at), 512, aes, &key.tweak,
		   iv);
	}
}

void path_decrypt(u64 sector, u32 bytes)
{
	direct(aesni_xts_decrypt, &key.dec, sector, bytes, NULL);
}

void path_encrypt(u64 sector, u32 bytes, u8 *dst)
{
	direct(aesni_xts_encrypt, &key.enc, sector, bytes, dst);
}

const u8 *path_fill(u32 bytes)
{
	static u8 filled[PATH_MOST];

	for (u32 at = 0; at < bytes; at++)
		*data(at) = filled[at] = (u8)(at * 7 + at / 512);
	return filled;
}

void path_expect(u64 sector, u32 bytes, const u8 *want)
{
	static u8 got[PATH_MOST];

	path_encrypt(sector, bytes, got);
	if (memcmp(got, want, bytes)) {
		fprintf(stderr, "bench: other data than the cipher's\n");
		exit(1);
	}
}

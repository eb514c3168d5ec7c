/*
 * AES-XTS in the shipped code path (the disk filter, as drivers call it)
 * beside libcrypto's function called directly for the same 512-byte data
 * units, its EVP (what `openssl speed` measures), and memcpy.
 *
 * 64 KiB requests; decode works in place in a list of 4 KiB segments, encode
 * goes from that list into a bounce buffer. Each figure is the best of many
 * short rounds, taken in turns, so that a busy machine disturbs all alike.
 *
 *     xts [ROUNDS]
 *
 * units: crypto/disk/disk.c crypto/xts.c crypto/selftest.c
 * libs: -l:libcrypto.a -ldl -lpthread
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "core/lib/log.h"
#include "core/lib/string.h"
#include "crypto/disk/disk.h"
#include "crypto/xts.h"

enum {
	BYTES = 65536,
	PAGES = BYTES / 4096,
	REPEATS = 8
};

static u8 guest[BYTES] __attribute__((aligned(4096)));
static u8 bounce[BYTES] __attribute__((aligned(4096)));
static struct sg_seg seg[PAGES];
static const struct sg_list list = { seg, PAGES };
static struct volume volume;
static u8 raw_key[64];
static struct xts_key key;
static const struct block_dev *dev;
static EVP_CIPHER_CTX *evp;
static u32 sector_size;
static int rounds = 400;

void *sg_ptr(gpa_t gpa, u32 len)
{
	return guest + gpa;
}

void log_line(const char *format, ...)
{
}

void wipe(void *p, size_t n)
{
	memset(p, 0, n);
}

static void nothing(void)
{
}

/* ---- what is measured --------------------------------------------------- */

static void run_encode(void)
{
	disk_filter()->encode_sg(dev, 8, BYTES / sector_size, &list, 0, bounce);
}

static void run_decode(void)
{
	disk_filter()->decode_sg(dev, 8, BYTES / sector_size, &list, 0);
}

static void direct(aes_xts_fn *fn, const struct aes_key *data, u8 *dst)
{
	u8 iv[16] = { 0 };

	for (u32 at = 0; at < BYTES; at += 512) {
		u64 sector = (8 * sector_size + at) / 512;

		memcpy(iv, &sector, 8);
		fn(guest + at, dst + at, 512, data, &key.tweak, iv);
	}
}

static void run_direct_encode(void)
{
	direct(aesni_xts_encrypt, &key.enc, bounce);
}

static void run_direct_decode(void)
{
	direct(aesni_xts_decrypt, &key.dec, guest);
}

static void run_evp(void)
{
	u8 iv[16] = { 0 };
	int n;

	for (u32 at = 0; at < BYTES; at += 512) {
		iv[0] = (u8)(at / 512);
		EVP_EncryptInit_ex(evp, NULL, NULL, NULL, iv);
		EVP_EncryptUpdate(evp, bounce + at, &n, guest + at, 512);
	}
}

static void run_memcpy(void)
{
	memcpy(bounce, guest, BYTES);
	__asm__ volatile("" ::: "memory");
}

enum {
	ENCODE,
	DECODE,
	DIRECT_ENCODE,
	DIRECT_DECODE,
	EVP,
	MEMCPY,
	WAYS
};
static void (*const ways[WAYS])(void) = { run_encode,	     run_decode,
					  run_direct_encode, run_direct_decode,
					  run_evp,	     run_memcpy };

/* ---- measuring ---------------------------------------------------------- */

static void expect(const u8 *want)
{
	if (memcmp(bounce, want, BYTES)) {
		fprintf(stderr, "xts: other data than libcrypto's\n");
		exit(1);
	}
	memset(bounce, 0, BYTES);
}

/* The shipped path makes the same of data as the direct one. */
static void check(void)
{
	static u8 filled[BYTES];

	for (u32 at = 0; at < BYTES; at++)
		guest[at] = filled[at] = (u8)(at * 7 + at / 512);
	run_decode();
	run_direct_encode();
	expect(filled);
	run_encode();
	expect(filled);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void measure(double best[WAYS])
{
	for (int w = 0; w < WAYS; w++)
		best[w] = 0;
	for (int round = 0; round < rounds; round++) {
		for (int w = 0; w < WAYS; w++) {
			double start = now(), speed;

			for (int i = 0; i < REPEATS; i++)
				ways[w]();
			speed = 1e-9 * BYTES * REPEATS / (now() - start);
			if (speed > best[w])
				best[w] = speed;
		}
	}
}

static void set_up(u32 key_len, u32 size)
{
	static const struct disk_fpu fpu = { nothing, nothing };
	struct block_id id = { .bus = "ide", .sector_size = size };

	volume = (struct volume){ .name = "v",
				  .match = { .given = MATCH_BUS, .bus = "ide" },
				  .first = 8,
				  .last = VOLUME_TO_END,
				  .key = raw_key,
				  .key_len = key_len };
	sector_size = size;
	if (disk_init(&volume, 1, &fpu) || xts_set_key(&key, raw_key, key_len))
		exit(1);
	dev = disk_filter()->attach(&id);
	EVP_EncryptInit_ex(
		evp, key_len == 64 ? EVP_aes_256_xts() : EVP_aes_128_xts(),
		NULL, raw_key, NULL);
}

int main(int argc, char **argv)
{
	double s[WAYS], worst = 1e9;

	if (argc == 2)
		rounds = atoi(argv[1]);
	for (int i = 0; i < PAGES; i++)
		seg[i] = (struct sg_seg){ (gpa_t)i * 4096, 4096 };
	for (int i = 0; i < 64; i++)
		raw_key[i] = (u8)(i * i * 7 + i);
	evp = EVP_CIPHER_CTX_new();
	if (crypto_init() || !evp || crypto_use(CRYPTO_AESNI)) {
		printf("xts: this CPU has no AES-NI, nothing to compare\n");
		return 0;
	}
	printf("%-12s %-6s | %6s %6s | %6s %6s | %5s %6s | %s\n",
	       "AES-XTS GB/s", "sector", "encode", "decode", "direct", "direct",
	       "EVP", "memcpy", "shipped/direct");
	for (u32 len = 32; len <= 64; len += 32) {
		for (u32 size = 512; size <= 4096; size += 3584) {
			double enc, dec;

			set_up(len, size);
			check();
			measure(s);
			enc = s[ENCODE] / s[DIRECT_ENCODE];
			dec = s[DECODE] / s[DIRECT_DECODE];
			worst = enc < worst ? enc : worst;
			worst = dec < worst ? dec : worst;
			printf("%-12s %-6u | %6.2f %6.2f | %6.2f %6.2f | %5.2f "
			       "%6.2f | %.2f %.2f\n",
			       len == 32 ? "128" : "256", size, s[ENCODE],
			       s[DECODE], s[DIRECT_ENCODE], s[DIRECT_DECODE],
			       s[EVP], s[MEMCPY], enc, dec);
		}
	}
	printf("xts: worst ratio %.2f, wanted 0.90: %s\n", worst,
	       worst >= 0.9 ? "ok" : "MISSED");
	return worst < 0.9;
}

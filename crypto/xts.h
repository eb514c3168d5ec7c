/*
 * AES-128/256-XTS (IEEE 1619-2018) over 512-byte sectors, through libcrypto.
 *
 * The data unit is always 512 bytes and its tweak is the number of the sector
 * as a 64-bit little-endian number: Linux's aes-xts-plain64.
 *
 * All of this uses SSE: the caller owns the extended state (core/cpu/fpu.h)
 * around every call, crypto_init() and xts_set_key() included.
 */
#ifndef CRYPTO_XTS_H
#define CRYPTO_XTS_H

#include "core/lib/types.h"
#include "crypto/libcrypto.h"

#define XTS_SECTOR  512
#define XTS_KEY_MAX 64

/* Ways to compute AES, the slowest first. */
enum crypto_path {
	CRYPTO_TABLES, /* any CPU; its timing depends on key and data */
	CRYPTO_VPAES,  /* SSSE3 */
	CRYPTO_AESNI,
	CRYPTO_PATHS,
};

/*
 * Once, at boot, before anything else here: tests every path that this CPU
 * has with IEEE 1619's known answers and selects the fastest. -EIO if one of
 * them answers wrong; then no path may be used.
 */
int crypto_init(void) must_check;

/*
 * Selects a path; keys have to be set anew. -ENODEV if the CPU lacks it, -EIO
 * if it fails the self-test. For crypto_init() and tests.
 */
int crypto_use(enum crypto_path path) must_check;

/* The selected path, for people: "AES-NI". */
const char *crypto_path_name(void);

/* The known answers alone, with the selected path: 0 or -EIO. */
int crypto_self_test(void) must_check;

struct xts_key {
	_Alignas(64) struct aes_key enc;
	_Alignas(64) struct aes_key dec;
	_Alignas(64) struct aes_key tweak;
};

/*
 * Expands @key of @len bytes: 32 (AES-128) or 64 (AES-256), the data key
 * first. -EINVAL for another length or equal halves (FIPS 140-3 IG, C.I);
 * then *@out is all zeros.
 */
int xts_set_key(struct xts_key *out, const u8 *key, size_t len) must_check;

/* @count sectors from @src to @dst, any alignment; @src == @dst is allowed,
 * other overlap is not. Each byte of @src is read once. */
void xts_encrypt_sectors(const struct xts_key *key, u64 sector, const void *src,
			 void *dst, size_t count);
void xts_decrypt_sectors(const struct xts_key *key, u64 sector, const void *src,
			 void *dst, size_t count);

#endif

#include "crypto/xts.h"

#include "core/lib/bytes.h"
#include "core/lib/errors.h"
#include "core/lib/string.h"

/* OPENSSL_ia32cap_P[1] is CPUID 1 ECX (SDM vol. 2, CPUID). */
#define CPUID1_ECX_SSSE3 BIT(9)
#define CPUID1_ECX_AES	 BIT(25)

struct path {
	const char *name;
	u32 needs; /* in CPUID 1 ECX */
	aes_set_key_fn *set_encrypt, *set_decrypt;
	aes_xts_fn *xts_encrypt, *xts_decrypt;
};

static void blockwise(const u8 *in, u8 *out, size_t len,
		      const struct aes_key *data, const struct aes_key *tweak,
		      const u8 iv[16], aes_block_fn *data_fn,
		      aes_block_fn *tweak_fn)
{
	const struct xts128_context ctx = { data, tweak, data_fn, tweak_fn };

	/* Whole blocks, so the direction is in @data_fn alone, and the only
	 * error, less than one block, cannot happen. */
	(void)CRYPTO_xts128_encrypt(&ctx, iv, in, out, len, 1);
}

static void tables_encrypt(const u8 *in, u8 *out, size_t len,
			   const struct aes_key *data,
			   const struct aes_key *tweak, const u8 iv[16])
{
	blockwise(in, out, len, data, tweak, iv, AES_encrypt, AES_encrypt);
}

static void tables_decrypt(const u8 *in, u8 *out, size_t len,
			   const struct aes_key *data,
			   const struct aes_key *tweak, const u8 iv[16])
{
	blockwise(in, out, len, data, tweak, iv, AES_decrypt, AES_encrypt);
}

static void vpaes_xts_encrypt(const u8 *in, u8 *out, size_t len,
			      const struct aes_key *data,
			      const struct aes_key *tweak, const u8 iv[16])
{
	blockwise(in, out, len, data, tweak, iv, vpaes_encrypt, vpaes_encrypt);
}

static void vpaes_xts_decrypt(const u8 *in, u8 *out, size_t len,
			      const struct aes_key *data,
			      const struct aes_key *tweak, const u8 iv[16])
{
	blockwise(in, out, len, data, tweak, iv, vpaes_decrypt, vpaes_encrypt);
}

static const struct path paths[CRYPTO_PATHS] = {
	[CRYPTO_TABLES] = { "tables", 0, AES_set_encrypt_key,
			    AES_set_decrypt_key, tables_encrypt,
			    tables_decrypt },
	[CRYPTO_VPAES] = { "SSSE3", CPUID1_ECX_SSSE3, vpaes_set_encrypt_key,
			   vpaes_set_decrypt_key, vpaes_xts_encrypt,
			   vpaes_xts_decrypt },
	[CRYPTO_AESNI] = { "AES-NI", CPUID1_ECX_AES, aesni_set_encrypt_key,
			   aesni_set_decrypt_key, aesni_xts_encrypt,
			   aesni_xts_decrypt },
};

static const struct path *path = &paths[CRYPTO_TABLES];

int crypto_use(enum crypto_path p)
{
	OPENSSL_cpuid_setup();
	if (paths[p].needs & ~OPENSSL_ia32cap_P[1])
		return -ENODEV;
	path = &paths[p];
	return crypto_self_test();
}

int crypto_init(void)
{
	for (unsigned int p = 0; p < CRYPTO_PATHS; p++) {
		if (crypto_use(p) == -EIO)
			return -EIO;
	}
	return 0;
}

const char *crypto_path_name(void)
{
	return path->name;
}

int xts_set_key(struct xts_key *out, const u8 *key, size_t len)
{
	size_t half = len / 2;
	int bits = (int)half * 8;

	memset(out, 0, sizeof(*out));
	if ((len != 32 && len != 64) || !memcmp(key, key + half, half))
		return -EINVAL;
	path->set_encrypt(key, bits, &out->enc);
	path->set_decrypt(key, bits, &out->dec);
	path->set_encrypt(key + half, bits, &out->tweak);
	return 0;
}

static void each_sector(aes_xts_fn *fn, const struct aes_key *data,
			const struct aes_key *tweak, u64 sector, const u8 *src,
			u8 *dst, size_t count)
{
	_Alignas(16) u8 iv[16] = { 0 };

	for (; count; count--) {
		store_le64(iv, sector++);
		fn(src, dst, XTS_SECTOR, data, tweak, iv);
		src += XTS_SECTOR;
		dst += XTS_SECTOR;
	}
}

void xts_encrypt_sectors(const struct xts_key *key, u64 sector, const void *src,
			 void *dst, size_t count)
{
	each_sector(path->xts_encrypt, &key->enc, &key->tweak, sector, src, dst,
		    count);
}

void xts_decrypt_sectors(const struct xts_key *key, u64 sector, const void *src,
			 void *dst, size_t count)
{
	each_sector(path->xts_decrypt, &key->dec, &key->tweak, sector, src, dst,
		    count);
}

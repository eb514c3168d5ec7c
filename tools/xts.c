/*
 * AES-XTS over sectors of 512 bytes by libcrypto's public API, for
 * tools/volume; nothing of Shoji's own is used. make builds it as a library.
 */
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#define SECTOR 512

int xts_sectors(const uint8_t *key, size_t key_len, int encrypt, uint64_t first,
		const uint8_t *src, uint8_t *dst, size_t count);

static int sectors(EVP_CIPHER_CTX *ctx, uint64_t first, const uint8_t *src,
		   uint8_t *dst, size_t count)
{
	uint8_t iv[16] = { 0 };
	int n;

	for (; count; count--, first++, src += SECTOR, dst += SECTOR) {
		for (int i = 0; i < 8; i++)
			iv[i] = (uint8_t)(first >> 8 * i);
		if (!EVP_CipherInit_ex(ctx, NULL, NULL, NULL, iv, -1) ||
		    !EVP_CipherUpdate(ctx, dst, &n, src, SECTOR) || n != SECTOR)
			return -1;
	}
	return 0;
}

/* @key_len: 32 or 64 bytes. @src and @dst are the same or do not overlap.
 * -1 if libcrypto fails. */
int xts_sectors(const uint8_t *key, size_t key_len, int encrypt, uint64_t first,
		const uint8_t *src, uint8_t *dst, size_t count)
{
	const EVP_CIPHER *cipher =
		key_len == 64 ? EVP_aes_256_xts() : EVP_aes_128_xts();
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int err = -1;

	if (ctx && EVP_CipherInit_ex(ctx, cipher, NULL, key, NULL, encrypt))
		err = sectors(ctx, first, src, dst, count);
	EVP_CIPHER_CTX_free(ctx);
	return err;
}

/*
 * What libcrypto.mk cuts out of OpenSSL 3.0's libcrypto. Internal functions,
 * so no installed header declares them; the types are those of its aes.h and
 * modes.h. None allocates, none keeps state, all leave the tweak as it is.
 */
#ifndef CRYPTO_LIBCRYPTO_H
#define CRYPTO_LIBCRYPTO_H

#include "core/lib/types.h"

struct aes_key { /* AES_KEY; each implementation has its own schedule */
	u32 rd_key[4 * (14 + 1)];
	int rounds;
};
static_assert(sizeof(struct aes_key) == 244, "openssl/aes.h, AES_KEY");

typedef int aes_set_key_fn(const u8 *key, int bits, struct aes_key *out);
typedef void aes_block_fn(const u8 in[16], u8 out[16],
			  const struct aes_key *key);
typedef void aes_xts_fn(const u8 *in, u8 *out, size_t len,
			const struct aes_key *data, const struct aes_key *tweak,
			const u8 iv[16]);

struct xts128_context { /* XTS128_CONTEXT */
	const void *key1, *key2;
	aes_block_fn *block1, *block2;
};

/* AES-NI: a whole data unit in one call. */
aes_set_key_fn aesni_set_encrypt_key, aesni_set_decrypt_key;
aes_xts_fn aesni_xts_encrypt, aesni_xts_decrypt;

/* SSSE3, in constant time. */
aes_set_key_fn vpaes_set_encrypt_key, vpaes_set_decrypt_key;
aes_block_fn vpaes_encrypt, vpaes_decrypt;

/* Any CPU, by table. */
aes_set_key_fn AES_set_encrypt_key, AES_set_decrypt_key;
aes_block_fn AES_encrypt, AES_decrypt;

int CRYPTO_xts128_encrypt(const struct xts128_context *ctx, const u8 iv[16],
			  const u8 *in, u8 *out, size_t len, int enc);

struct sha256_context { /* SHA256_CTX */
	u32 h[8];
	u32 low, high;
	u32 data[16];
	unsigned int num, md_len;
};
static_assert(sizeof(struct sha256_context) == 112, "openssl/sha.h");

int SHA256_Init(struct sha256_context *ctx);
int SHA256_Update(struct sha256_context *ctx, const void *data, size_t len);
int SHA256_Final(u8 *hash, struct sha256_context *ctx);

/* Fills in the CPU's features: CPUID 1 EDX and ECX, then 7 EBX and ECX. */
void OPENSSL_cpuid_setup(void);
extern u32 OPENSSL_ia32cap_P[4];

#endif

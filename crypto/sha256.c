#include "crypto/sha256.h"

#include "crypto/libcrypto.h"

void sha256(const void *data, size_t len, u8 hash[32])
{
	struct sha256_context ctx;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, data, len);
	SHA256_Final(hash, &ctx);
}

/* SHA-256 (FIPS 180-4) through libcrypto. The caller owns the extended state, as
 * for xts.h. */
#ifndef CRYPTO_SHA256_H
#define CRYPTO_SHA256_H

#include "core/lib/types.h"

void sha256(const void *data, size_t len, u8 hash[32]);

#endif

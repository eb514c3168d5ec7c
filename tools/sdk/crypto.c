#include <stdbool.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "tools/sdk/shoji.h"

/* No configuration file, and nothing to be undone at the end. */
#define OPTIONS (OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT)

bool shoji_crypto_init(void)
{
	unsigned char byte;

	return OPENSSL_init_crypto(OPTIONS, NULL) == 1 &&
	       RAND_bytes(&byte, 1) == 1;
}

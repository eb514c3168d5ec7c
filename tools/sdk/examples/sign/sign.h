/*
 * The sign program without its surroundings: keys, and the answers to the
 * messages of tools/sdk/sign.h. It needs libcrypto and nothing else, so that
 * the same code runs in a program, in the host's tests, and natively in a
 * guest for comparison.
 */
#ifndef TOOLS_SDK_EXAMPLES_SIGN_SIGN_H
#define TOOLS_SDK_EXAMPLES_SIGN_SIGN_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "tools/sdk/sign.h"

struct sign_der { /* owned */
	u8 *bytes;
	size_t len;
};

struct sign {
	EVP_PKEY *key[SIGN_KEY_TYPES]; /* NULL: not made */
	struct sign_der spki[SIGN_KEY_TYPES];
	struct sign_der statement[SIGN_KEY_TYPES]; /* X.509 certificate */
	EVP_PKEY *certifier;
	X509 *certifier_cert;
	struct sign_der certifier_der;
};

/*
 * The certifying key as PrivateKeyInfo or ECPrivateKey/RSAPrivateKey, and its
 * certificate, which has a subject key identifier (RFC 5280, 4.2.1.2); both
 * DER, copied. False if they are no such thing.
 */
bool sign_init(struct sign *s, const u8 *key, size_t key_len, const u8 *cert,
	       size_t cert_len);
void sign_finish(struct sign *s);

/* Makes the key and its statement unless it is there. */
bool sign_make(struct sign *s, u8 type);

/*
 * Answers one message. @reply has room for @room bytes, at least a struct
 * sign_reply. Returns the length of the reply.
 */
size_t sign_handle(struct sign *s, const void *message, size_t len, u8 *reply,
		   size_t room);

#endif

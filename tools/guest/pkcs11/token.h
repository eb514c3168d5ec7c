/*
 * The token behind the module: the keys that the sign program has, as PKCS#11
 * objects, and signing with them. No locks and no sessions; those are
 * module.c's.
 */
#ifndef TOOLS_GUEST_PKCS11_TOKEN_H
#define TOOLS_GUEST_PKCS11_TOKEN_H

#define CRYPTOKI_GNU
#include <p11-kit-1/p11-kit/pkcs11.h>

#include "tools/guest/pkcs11/der.h"
#include "tools/guest/pkcs11/transport.h"
#include "tools/sdk/sign.h"

#define TOKEN_BLOB 4096 /* most bytes of a key or certificate */

struct token_blob {
	u8 bytes[TOKEN_BLOB];
	size_t len;
};

struct token_key {
	bool there;
	struct token_blob spki, cert;
	struct der_key key;
};

struct token {
	const struct transport *transport;
	struct token_key key[SIGN_KEY_TYPES];
	struct token_blob certifier;
	u8 message[SIGN_MESSAGE], reply[SIGN_MESSAGE];
};

/* What a mechanism asks of the program. */
struct token_scheme {
	u8 key, scheme, hash, flags;
	u16 salt;
};

#define TOKEN_OBJECTS 7 /* handles are 1 to this; not all need be there */

/* Asks the program for its keys: CKR_TOKEN_NOT_PRESENT if there is none. */
ck_rv_t token_load(struct token *t);

bool token_has_object(const struct token *t, ck_object_handle_t object);
/* The type of the private key that @object is, or SIGN_KEY_TYPES. */
u8 token_private_key(const struct token *t, ck_object_handle_t object);

/* C_GetAttributeValue() for one attribute. */
ck_rv_t token_attribute(const struct token *t, ck_object_handle_t object,
			struct ck_attribute *a);
/* True if the object has all of these attributes, with these values. */
bool token_matches(const struct token *t, ck_object_handle_t object,
		   const struct ck_attribute *wanted, unsigned long count);

/* Into @out, which has room for a signature: its length is in *@len. */
ck_rv_t token_sign(struct token *t, const struct token_scheme *s,
		   const u8 *data, size_t data_len, u8 *out, size_t *len);
size_t token_signature_size(u8 key);

ck_rv_t token_random(struct token *t, u8 *out, size_t len);

#endif

/*
 * As much of DER (X.690) as finds its way through a certificate and a public
 * key: elements with definite lengths, one after the other. Pure; the bytes
 * come from the sign program and are not trusted.
 */
#ifndef TOOLS_GUEST_PKCS11_DER_H
#define TOOLS_GUEST_PKCS11_DER_H

#include "core/lib/types.h"

#define DER_INTEGER    0x02
#define DER_BIT_STRING 0x03
#define DER_OCTETS     0x04
#define DER_OID	       0x06
#define DER_SEQUENCE   0x30
#define DER_VERSION    0xa0 /* [0] EXPLICIT, of a TBSCertificate */

struct der {
	const u8 *p;
	size_t len;
};

/*
 * Takes the next element off @in: its contents, and the whole of it if @whole
 * is not NULL. False if there is none with @tag.
 */
bool der_next(struct der *in, u8 tag, struct der *contents, struct der *whole);

/* What a SubjectPublicKeyInfo says (RFC 5280 4.1, RFC 8017 A.1.1, RFC 5480);
 * empty what a key of this kind lacks. */
struct der_key {
	struct der parameters;	      /* EC: the curve's OID, whole */
	struct der point;	      /* EC: 04 x y */
	struct der modulus, exponent; /* RSA: without leading zeros */
};

bool der_read_key(const u8 *spki, size_t len, struct der_key *key);

/* Whole elements of a certificate (RFC 5280, 4.1). */
struct der_cert {
	struct der serial, issuer, subject;
};

bool der_read_cert(const u8 *cert, size_t len, struct der_cert *out);

#endif

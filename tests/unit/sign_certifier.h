/* A certifier for tests of the sign program: a key and its own certificate. */
#ifndef TESTS_UNIT_SIGN_CERTIFIER_H
#define TESTS_UNIT_SIGN_CERTIFIER_H

#include <stdlib.h>

#include <openssl/x509v3.h>

#include "tools/sdk/examples/sign/sign.h"

struct certifier {
	u8 *key, *cert;
	int key_len, cert_len;
};

static inline void certifier_fill(X509 *x, EVP_PKEY *key)
{
	X509_EXTENSION *id;
	X509V3_CTX ctx;

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
				   (const u8 *)"certifier", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	id = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_key_identifier,
				 "hash");
	X509_add_ext(x, id, -1);
	X509_EXTENSION_free(id);
	X509_sign(x, key, EVP_sha256());
}

static inline struct certifier certifier_make(void)
{
	struct certifier c = { 0 };
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();

	certifier_fill(x, key);
	c.key_len = i2d_PrivateKey(key, &c.key);
	c.cert_len = i2d_X509(x, &c.cert);
	X509_free(x);
	EVP_PKEY_free(key);
	return c;
}

static inline void certifier_free(struct certifier *c)
{
	OPENSSL_free(c->key);
	OPENSSL_free(c->cert);
}

static inline bool certifier_start(struct sign *s)
{
	struct certifier c = certifier_make();
	bool good = sign_init(s, c.key, (size_t)c.key_len, c.cert,
			      (size_t)c.cert_len);

	certifier_free(&c);
	return good;
}

#endif

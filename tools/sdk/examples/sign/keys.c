/* The keys of the sign program, and the statements about them. */
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "tools/sdk/examples/sign/sign.h"

#define SERIAL_BYTES 16

static const char *const key_names[SIGN_KEY_TYPES] = {
	[SIGN_RSA2048] = "Shoji signature key, RSA-2048",
	[SIGN_P256] = "Shoji signature key, P-256",
};

static const struct {
	int nid;
	const char *value;
} extensions[] = {
	{ NID_basic_constraints, "critical,CA:FALSE" },
	{ NID_key_usage, "critical,digitalSignature,nonRepudiation" },
	{ NID_subject_key_identifier, "hash" },
	{ NID_authority_key_identifier, "keyid:always" },
	{ NID_netscape_comment,
	  "The private key was made in a protected program and stays there." },
};

static bool add_extensions(X509 *cert, X509 *issuer)
{
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++) {
		X509_EXTENSION *e = X509V3_EXT_conf_nid(
			NULL, &ctx, extensions[i].nid, extensions[i].value);
		bool added = e && X509_add_ext(cert, e, -1);

		X509_EXTENSION_free(e);
		if (!added)
			return false;
	}
	return true;
}

static bool set_serial(X509 *cert)
{
	u8 bytes[SERIAL_BYTES];
	BIGNUM *n;
	bool done;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] = (bytes[0] & 0x7f) | 0x40; /* positive, all of its bytes */
	n = BN_bin2bn(bytes, sizeof(bytes), NULL);
	done = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
	BN_free(n);
	return done;
}

/* Valid as long as the certifier is: the program needs no calendar. */
static bool fill_statement(const struct sign *s, X509 *cert, u8 type)
{
	X509 *issuer = s->certifier_cert;
	X509_NAME *name = X509_get_subject_name(cert);
	const u8 *text = (const u8 *)key_names[type];

	return X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1,
					  -1, 0) &&
	       X509_set_issuer_name(cert, X509_get_subject_name(issuer)) &&
	       X509_set1_notBefore(cert, X509_get0_notBefore(issuer)) &&
	       X509_set1_notAfter(cert, X509_get0_notAfter(issuer)) &&
	       X509_set_pubkey(cert, s->key[type]) &&
	       add_extensions(cert, issuer) &&
	       X509_sign(cert, s->certifier, EVP_sha256()) > 0;
}

static bool take_der(struct sign_der *der, int len)
{
	der->len = len > 0 ? (size_t)len : 0;
	return len > 0;
}

static bool make_statement(struct sign *s, u8 type)
{
	struct sign_der *out = &s->statement[type];
	X509 *cert = X509_new();
	bool made = cert && fill_statement(s, cert, type) &&
		    take_der(out, i2d_X509(cert, &out->bytes));

	X509_free(cert);
	return made;
}

static void drop_key(struct sign *s, u8 type)
{
	EVP_PKEY_free(s->key[type]);
	OPENSSL_free(s->spki[type].bytes);
	OPENSSL_free(s->statement[type].bytes);
	s->key[type] = NULL;
	s->spki[type] = s->statement[type] = (struct sign_der){ 0 };
}

bool sign_make(struct sign *s, u8 type)
{
	struct sign_der *spki = &s->spki[type];

	if (s->key[type])
		return true;
	s->key[type] =
		type == SIGN_RSA2048 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	if (s->key[type] &&
	    take_der(spki, i2d_PUBKEY(s->key[type], &spki->bytes)) &&
	    make_statement(s, type))
		return true;
	drop_key(s, type);
	return false;
}

bool sign_init(struct sign *s, const u8 *key, size_t key_len, const u8 *cert,
	       size_t cert_len)
{
	const u8 *p = cert;

	memset(s, 0, sizeof(*s));
	s->certifier = d2i_AutoPrivateKey(NULL, &key, (long)key_len);
	s->certifier_cert = d2i_X509(NULL, &p, (long)cert_len);
	s->certifier_der.bytes = OPENSSL_memdup(cert, cert_len);
	s->certifier_der.len = cert_len;
	if (s->certifier && s->certifier_cert && s->certifier_der.bytes &&
	    X509_check_private_key(s->certifier_cert, s->certifier) == 1)
		return true;
	sign_finish(s);
	return false;
}

void sign_finish(struct sign *s)
{
	for (u8 type = 0; type < SIGN_KEY_TYPES; type++)
		drop_key(s, type);
	EVP_PKEY_free(s->certifier);
	X509_free(s->certifier_cert);
	OPENSSL_free(s->certifier_der.bytes);
	memset(s, 0, sizeof(*s));
}

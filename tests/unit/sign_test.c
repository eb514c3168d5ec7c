/*
 * The sign program's answers, and its messages.
 * units: tools/sdk/examples/sign/sign.c tools/sdk/examples/sign/keys.c
 * libs: -lcrypto
 */
#include <string.h>

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "tests/unit/sign_certifier.h"
#include "tests/unit/test.h"

static struct sign sign;
static u8 message[SIGN_MESSAGE + 64], reply[SIGN_MESSAGE];
static struct sign_reader items; /* of the last reply */
static u32 count;

static struct sign_request base(u16 op, u8 key, u8 scheme, u8 hash)
{
	return (struct sign_request){ .version = SIGN_VERSION,
				      .op = op,
				      .key = key,
				      .scheme = scheme,
				      .hash = hash };
}

/* Sends the head and what follows it in @message; the status. */
static u32 send_raw(struct sign_request head, size_t len, size_t room)
{
	u32 status = 99;
	size_t got;

	memcpy(message, &head, sizeof(head));
	got = sign_handle(&sign, message, len, reply, room);
	EXPECT(got >= sizeof(struct sign_reply) && got <= room);
	EXPECT(sign_open_reply(&items, reply, got, head.op, &status, &count));
	EXPECT(!status || got == sizeof(struct sign_reply));
	return status;
}

static u32 send(struct sign_request head, const void *data, size_t len,
		u16 copies)
{
	struct sign_writer w = { message + sizeof(head),
				 sizeof(message) - sizeof(head) };

	head.count = copies;
	for (u16 i = 0; i < copies; i++)
		EXPECT(sign_write(&w, data, len));
	return send_raw(head, (size_t)(w.p - message), SIGN_MESSAGE);
}

static struct sign_der next_item(void)
{
	const u8 *item = NULL;
	size_t len = 0;

	EXPECT(sign_read(&items, &item, &len));
	return (struct sign_der){ (u8 *)item, len };
}

/* ECDSA signatures as X9.62 writes them, which is what EVP verifies. */
static struct sign_der to_der(struct sign_der raw)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	struct sign_der der = { 0 };

	EXPECT_EQ(raw.len, 64);
	ECDSA_SIG_set0(sig, BN_bin2bn(raw.bytes, 32, NULL),
		       BN_bin2bn(raw.bytes + 32, 32, NULL));
	der.len = (size_t)i2d_ECDSA_SIG(sig, &der.bytes);
	ECDSA_SIG_free(sig);
	return der;
}

static bool verifies(u8 key, u8 scheme, const EVP_MD *md, int salt,
		     const void *data, size_t len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	struct sign_der sig = next_item();
	bool good;

	if (key == SIGN_P256)
		sig = to_der(sig);
	EVP_DigestVerifyInit(ctx, &pctx, md, NULL, sign.key[key]);
	if (scheme == SIGN_PSS) {
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, salt);
	}
	good = EVP_DigestVerify(ctx, sig.bytes, sig.len, data, len) == 1;
	EVP_MD_CTX_free(ctx);
	if (key == SIGN_P256)
		OPENSSL_free(sig.bytes);
	return good;
}

TEST(start)
{
	struct certifier c = certifier_make(), other = certifier_make();

	EXPECT(!sign_init(&sign, c.key, 10, c.cert, (size_t)c.cert_len));
	EXPECT(!sign_init(&sign, c.key, (size_t)c.key_len, c.cert, 10));
	EXPECT(!sign_init(&sign, c.key, (size_t)c.key_len, other.cert,
			  (size_t)other.cert_len));
	certifier_free(&c);
	certifier_free(&other);
	EXPECT(certifier_start(&sign));
	EXPECT_EQ(send(base(SIGN_KEYS, 0, 0, 0), NULL, 0, 0), SIGN_OK);
	EXPECT_EQ(count, 0);
	EXPECT_EQ(send(base(SIGN_PUBLIC, SIGN_P256, 0, 0), NULL, 0, 0),
		  SIGN_BAD_KEY);
	EXPECT(sign_make(&sign, SIGN_P256));
	EXPECT_EQ(send(base(SIGN_KEYS, 0, 0, 0), NULL, 0, 0), SIGN_OK);
	EXPECT_EQ(count, 1);
	EXPECT_EQ(next_item().bytes[0], SIGN_P256);
	EXPECT(sign_make(&sign, SIGN_RSA2048));
}

/* The statement is about the key and is the certifier's. */
TEST(statements)
{
	for (u8 type = 0; type < SIGN_KEY_TYPES; type++) {
		struct sign_der spki, cert, root;
		X509 *x, *ca;

		EXPECT_EQ(send(base(SIGN_PUBLIC, type, 0, 0), NULL, 0, 0),
			  SIGN_OK);
		EXPECT_EQ(count, 3);
		spki = next_item();
		cert = next_item();
		root = next_item();
		x = d2i_X509(NULL, (const u8 **)&cert.bytes, (long)cert.len);
		ca = d2i_X509(NULL, (const u8 **)&root.bytes, (long)root.len);
		EXPECT(x && ca && X509_verify(x, X509_get0_pubkey(ca)) == 1);
		EXPECT(EVP_PKEY_eq(X509_get0_pubkey(x), sign.key[type]) == 1);
		EXPECT(X509_check_issued(ca, x) == X509_V_OK);
		EXPECT(!memcmp(spki.bytes, sign.spki[type].bytes, spki.len));
		X509_free(x);
		X509_free(ca);
	}
}

static const struct {
	u8 key, scheme, hash;
	u16 salt;
	const char *name;
} schemes[] = {
	{ SIGN_RSA2048, SIGN_PKCS1, SIGN_SHA256, 0, "SHA256" },
	{ SIGN_RSA2048, SIGN_PKCS1, SIGN_SHA384, 0, "SHA384" },
	{ SIGN_RSA2048, SIGN_PKCS1, SIGN_SHA512, 0, "SHA512" },
	{ SIGN_RSA2048, SIGN_PSS, SIGN_SHA256, 32, "SHA256" },
	{ SIGN_RSA2048, SIGN_PSS, SIGN_SHA384, 0, "SHA384" },
	{ SIGN_RSA2048, SIGN_PSS, SIGN_SHA512, 190, "SHA512" },
	{ SIGN_P256, SIGN_ECDSA, SIGN_SHA256, 0, "SHA256" },
	{ SIGN_P256, SIGN_ECDSA, SIGN_SHA384, 0, "SHA384" },
	{ SIGN_P256, SIGN_ECDSA, SIGN_SHA512, 0, "SHA512" },
};

/* Data and digests, three of a kind; another text has no such signature. */
TEST(signatures)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		const EVP_MD *md = EVP_get_digestbyname(schemes[i].name);
		struct sign_request r =
			base(SIGN_SIGN, schemes[i].key, schemes[i].scheme,
			     schemes[i].hash);
		unsigned int len;
		u8 digest[64];

		r.salt = schemes[i].salt;
		EXPECT_EQ(send(r, "text", 4, 3), SIGN_OK);
		EXPECT_EQ(count, 3);
		EXPECT(verifies(r.key, r.scheme, md, r.salt, "text", 4));
		EXPECT(!verifies(r.key, r.scheme, md, r.salt, "texT", 4));
		EXPECT(verifies(r.key, r.scheme, md, r.salt, "text", 4));
		EVP_Digest("more", 4, digest, &len, md, NULL);
		r.flags = SIGN_IS_DIGEST;
		EXPECT_EQ(send(r, digest, len, 1), SIGN_OK);
		EXPECT(verifies(r.key, r.scheme, md, r.salt, "more", 4));
		EXPECT_EQ(send(r, digest, len - 1, 1), SIGN_BAD_ITEM);
	}
}

/* PKCS#1 over a DigestInfo of the sender's, ECDSA over its digest. */
TEST(unhashed)
{
	static const u8 prefix[19] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60,
				       0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
				       0x01, 0x05, 0x00, 0x04, 0x20 };
	u8 info[19 + 32], long_one[246] = { 0 };

	memcpy(info, prefix, 19);
	EVP_Digest("text", 4, info + 19, NULL, EVP_sha256(), NULL);
	EXPECT_EQ(send(base(SIGN_SIGN, SIGN_RSA2048, SIGN_PKCS1, SIGN_NO_HASH),
		       info, sizeof(info), 1),
		  SIGN_OK);
	EXPECT(verifies(SIGN_RSA2048, SIGN_PKCS1, EVP_sha256(), 0, "text", 4));
	EXPECT_EQ(send(base(SIGN_SIGN, SIGN_P256, SIGN_ECDSA, SIGN_NO_HASH),
		       info + 19, 32, 1),
		  SIGN_OK);
	EXPECT(verifies(SIGN_P256, SIGN_ECDSA, EVP_sha256(), 0, "text", 4));
	EXPECT_EQ(send(base(SIGN_SIGN, SIGN_RSA2048, SIGN_PKCS1, SIGN_NO_HASH),
		       long_one, 245, 1),
		  SIGN_OK);
	EXPECT_EQ(send(base(SIGN_SIGN, SIGN_RSA2048, SIGN_PKCS1, SIGN_NO_HASH),
		       long_one, 246, 1),
		  SIGN_BAD_ITEM);
	EXPECT_EQ(send(base(SIGN_SIGN, SIGN_P256, SIGN_ECDSA, SIGN_NO_HASH),
		       long_one, 65, 1),
		  SIGN_BAD_ITEM);
	EXPECT_EQ(send(base(SIGN_SIGN, SIGN_P256, SIGN_ECDSA, SIGN_NO_HASH),
		       long_one, 19, 1),
		  SIGN_BAD_ITEM);
}

TEST(wrong_schemes)
{
	static const struct {
		u8 key, scheme, hash, flags;
		u16 salt;
		u32 status;
	} wrong[] = {
		{ SIGN_KEY_TYPES, SIGN_PKCS1, SIGN_SHA256, 0, 0, SIGN_BAD_KEY },
		{ 255, SIGN_PKCS1, SIGN_SHA256, 0, 0, SIGN_BAD_KEY },
		{ SIGN_P256, SIGN_PKCS1, SIGN_SHA256, 0, 0, SIGN_BAD_SCHEME },
		{ SIGN_P256, SIGN_PSS, SIGN_SHA256, 0, 0, SIGN_BAD_SCHEME },
		{ SIGN_RSA2048, SIGN_ECDSA, SIGN_SHA256, 0, 0,
		  SIGN_BAD_SCHEME },
		{ SIGN_RSA2048, 3, SIGN_SHA256, 0, 0, SIGN_BAD_SCHEME },
		{ SIGN_RSA2048, SIGN_PKCS1, SIGN_HASHES, 0, 0,
		  SIGN_BAD_SCHEME },
		{ SIGN_RSA2048, SIGN_PKCS1, SIGN_SHA256, 2, 0,
		  SIGN_BAD_SCHEME },
		{ SIGN_RSA2048, SIGN_PSS, SIGN_NO_HASH, 1, 0, SIGN_BAD_SCHEME },
		{ SIGN_RSA2048, SIGN_PSS, SIGN_SHA512, 0, 191,
		  SIGN_BAD_SCHEME },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct sign_request r = base(SIGN_SIGN, wrong[i].key,
					     wrong[i].scheme, wrong[i].hash);

		r.flags = wrong[i].flags;
		r.salt = wrong[i].salt;
		EXPECT_EQ(send(r, "text", 4, 1), wrong[i].status);
	}
}

TEST(malformed)
{
	struct sign_request r =
		base(SIGN_SIGN, SIGN_P256, SIGN_ECDSA, SIGN_SHA256);
	struct sign_request other = r;
	u8 text[8] = { 4, 0, 0, 0, 't', 'e', 'x', 't' };

	memcpy(message + 16, text, 8);
	r.count = 1;
	EXPECT_EQ(send_raw(r, 24, SIGN_MESSAGE), SIGN_OK);
	EXPECT_EQ(send_raw(r, 23, SIGN_MESSAGE), SIGN_BAD_MESSAGE);
	EXPECT_EQ(send_raw(r, 19, SIGN_MESSAGE), SIGN_BAD_MESSAGE);
	EXPECT_EQ(send_raw(r, 25, SIGN_MESSAGE), SIGN_BAD_MESSAGE);
	other = r;
	other.count = 0;
	EXPECT_EQ(send_raw(other, 24, SIGN_MESSAGE), SIGN_BAD_MESSAGE);
	EXPECT_EQ(send_raw(other, 16, SIGN_MESSAGE), SIGN_BAD_MESSAGE);
	other.count = 2;
	EXPECT_EQ(send_raw(other, 24, SIGN_MESSAGE), SIGN_BAD_MESSAGE);
	other = r;
	other.op = 0;
	EXPECT_EQ(send_raw(other, 24, SIGN_MESSAGE), SIGN_BAD_MESSAGE);
	other.op = SIGN_RANDOM + 1;
	EXPECT_EQ(send_raw(other, 24, SIGN_MESSAGE), SIGN_BAD_MESSAGE);
	other = r;
	other.reserved = 1;
	EXPECT_EQ(send_raw(other, 24, SIGN_MESSAGE), SIGN_BAD_MESSAGE);
	store_le32(message + 16, 0xffffffff);
	EXPECT_EQ(send_raw(r, 24, SIGN_MESSAGE), SIGN_BAD_MESSAGE);
}

/* Less than the head, more than a message: not even an op to answer to. */
TEST(wrong_lengths)
{
	static const size_t lengths[] = { 0, 15, SIGN_MESSAGE + 1 };
	struct sign_reply head;

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		EXPECT_EQ(sign_handle(&sign, message, lengths[i], reply,
				      SIGN_MESSAGE),
			  16);
		memcpy(&head, reply, sizeof(head));
		EXPECT_EQ(head.status, SIGN_BAD_MESSAGE);
		EXPECT_EQ(head.op, 0);
	}
}

TEST(batches)
{
	struct sign_request r =
		base(SIGN_SIGN, SIGN_P256, SIGN_ECDSA, SIGN_SHA256);
	struct sign_writer w = { message + 16, 1000 };

	EXPECT_EQ(send(r, "text", 4, SIGN_ITEMS), SIGN_OK);
	EXPECT_EQ(count, SIGN_ITEMS);
	EXPECT_EQ(send(r, "text", 4, SIGN_ITEMS + 1), SIGN_BAD_MESSAGE);
	/* as many as the reply has room for: (100 - 16) / 68 is 1 */
	r.count = 1;
	EXPECT(sign_write(&w, "text", 4));
	EXPECT_EQ(send_raw(r, 24, 100), SIGN_OK);
	r.count = 2;
	EXPECT(sign_write(&w, "text", 4));
	EXPECT_EQ(send_raw(r, 32, 100), SIGN_NO_ROOM);
	EXPECT_EQ(send_raw(r, 32, 152), SIGN_OK);
	/* the third of four is bad: no signature at all, and which it was */
	r.flags = SIGN_IS_DIGEST;
	r.count = 4;
	w = (struct sign_writer){ message + 16, 1000 };
	for (int i = 0; i < 4; i++)
		EXPECT(sign_reserve(&w, i == 2 ? 31 : 32));
	EXPECT_EQ(send_raw(r, (size_t)(w.p - message), SIGN_MESSAGE),
		  SIGN_BAD_ITEM);
	EXPECT_EQ(count, 2);
}

TEST(random_bytes)
{
	struct sign_request r = base(SIGN_RANDOM, 0, 0, 0);
	u8 wanted[4] = { 40 }, before[40];

	EXPECT_EQ(send(r, wanted, 4, 1), SIGN_OK);
	EXPECT_EQ(items.left, 44);
	memcpy(before, items.p + 4, 40);
	EXPECT_EQ(send(r, wanted, 4, 1), SIGN_OK);
	EXPECT(memcmp(before, items.p + 4, 40));
	EXPECT_EQ(send(r, wanted, 3, 1), SIGN_BAD_ITEM);
	store_le32(wanted, SIGN_RANDOM_MAX);
	EXPECT_EQ(send(r, wanted, 4, 1), SIGN_OK);
	store_le32(wanted, SIGN_RANDOM_MAX + 1);
	EXPECT_EQ(send(r, wanted, 4, 1), SIGN_BAD_ITEM);
	EXPECT_EQ(send(r, wanted, 4, 2), SIGN_BAD_MESSAGE);
}

/* The other side's checks: sign_open_reply(). */
TEST(replies)
{
	u8 r[32] = { 1, 0, SIGN_RANDOM, 0, 0, 0, 0, 0, 1, 0, 0,
		     0, 0, 0,		0, 0, 2, 0, 0, 0, 7, 7 };
	u32 status;

	EXPECT(sign_open_reply(&items, r, 22, SIGN_RANDOM, &status, &count));
	EXPECT(!sign_open_reply(&items, r, 22, SIGN_SIGN, &status, &count));
	EXPECT(!sign_open_reply(&items, r, 21, SIGN_RANDOM, &status, &count));
	EXPECT(!sign_open_reply(&items, r, 23, SIGN_RANDOM, &status, &count));
	EXPECT(!sign_open_reply(&items, r, 15, SIGN_RANDOM, &status, &count));
	r[8] = 2;
	EXPECT(!sign_open_reply(&items, r, 22, SIGN_RANDOM, &status, &count));
	r[4] = SIGN_FAILED;
	EXPECT(sign_open_reply(&items, r, 16, SIGN_RANDOM, &status, &count));
	EXPECT_EQ(status, SIGN_FAILED);
	r[0] = 2;
	EXPECT(!sign_open_reply(&items, r, 16, SIGN_RANDOM, &status, &count));
	sign_finish(&sign);
}

TEST_MAIN(CASE(start), CASE(statements), CASE(signatures), CASE(unhashed),
	  CASE(wrong_schemes), CASE(malformed), CASE(wrong_lengths),
	  CASE(batches), CASE(random_bytes), CASE(replies))

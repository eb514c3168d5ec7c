#include "tools/sdk/examples/sign/sign.h"

#include <string.h>

#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#define RSA_BYTES    256	      /* of a modulus and of a signature */
#define PKCS1_MOST   (RSA_BYTES - 11) /* RFC 8017, 9.2: emLen - 11 */
#define P256_BYTES   32
#define DIGEST_LEAST 20 /* of what ECDSA signs unhashed */
#define DIGEST_MOST  64

/* A request that was checked, and the state of its execution. */
struct job {
	struct sign *s;
	struct sign_request head;
	struct sign_reader in;
	struct sign_writer out;
	const EVP_MD *md; /* NULL: SIGN_NO_HASH */
	EVP_PKEY_CTX *ctx;
	u32 done; /* items */
};

static const EVP_MD *hash_md(u8 hash)
{
	switch (hash) {
	case SIGN_SHA256:
		return EVP_sha256();
	case SIGN_SHA384:
		return EVP_sha384();
	case SIGN_SHA512:
		return EVP_sha512();
	default:
		return NULL;
	}
}

/* RFC 8017, 9.1.1 step 3: emLen >= hLen + sLen + 2. */
static bool salt_fits(const struct job *j)
{
	size_t most = RSA_BYTES - 2 - (size_t)EVP_MD_get_size(j->md);

	return j->head.salt <= most;
}

static u32 check_scheme(struct job *j)
{
	const struct sign_request *r = &j->head;

	if (r->key >= SIGN_KEY_TYPES || !j->s->key[r->key])
		return SIGN_BAD_KEY;
	if (r->hash >= SIGN_HASHES || r->flags & ~SIGN_IS_DIGEST)
		return SIGN_BAD_SCHEME;
	j->md = hash_md(r->hash);
	switch (r->scheme) {
	case SIGN_PKCS1:
		return r->key == SIGN_RSA2048 ? SIGN_OK : SIGN_BAD_SCHEME;
	case SIGN_PSS:
		return r->key == SIGN_RSA2048 && j->md && salt_fits(j)
			       ? SIGN_OK
			       : SIGN_BAD_SCHEME;
	case SIGN_ECDSA:
		return r->key == SIGN_P256 ? SIGN_OK : SIGN_BAD_SCHEME;
	default:
		return SIGN_BAD_SCHEME;
	}
}

static bool set_padding(struct job *j)
{
	if (j->head.scheme == SIGN_ECDSA)
		return true;
	if (j->head.scheme == SIGN_PKCS1)
		return EVP_PKEY_CTX_set_rsa_padding(j->ctx, RSA_PKCS1_PADDING) >
		       0;
	return EVP_PKEY_CTX_set_rsa_padding(j->ctx, RSA_PKCS1_PSS_PADDING) > 0;
}

/* One context serves all items of a request. */
static bool open_context(struct job *j)
{
	j->ctx = EVP_PKEY_CTX_new(j->s->key[j->head.key], NULL);
	if (!j->ctx || EVP_PKEY_sign_init(j->ctx) <= 0 || !set_padding(j))
		return false;
	if (j->md && EVP_PKEY_CTX_set_signature_md(j->ctx, j->md) <= 0)
		return false;
	return j->head.scheme != SIGN_PSS ||
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(j->ctx, j->head.salt) > 0;
}

/* What is signed: the item, or its digest in @digest. False: bad length. */
static bool to_be_signed(struct job *j, u8 *digest, const u8 **data,
			 size_t *len)
{
	unsigned int digest_len;

	if (!j->md)
		return j->head.scheme == SIGN_PKCS1
			       ? *len <= PKCS1_MOST
			       : *len >= DIGEST_LEAST && *len <= DIGEST_MOST;
	if (j->head.flags & SIGN_IS_DIGEST)
		return *len == (size_t)EVP_MD_get_size(j->md);
	if (EVP_Digest(*data, *len, digest, &digest_len, j->md, NULL) != 1)
		return false;
	*data = digest;
	*len = digest_len;
	return true;
}

static bool write_rsa(struct job *j, const u8 *data, size_t len)
{
	size_t out_len = RSA_BYTES;
	u8 *out = sign_reserve(&j->out, RSA_BYTES);

	return EVP_PKEY_sign(j->ctx, out, &out_len, data, len) > 0 &&
	       out_len == RSA_BYTES;
}

static bool write_ecdsa(struct job *j, const u8 *data, size_t len)
{
	u8 der[2 * P256_BYTES + 16];
	const u8 *p = der;
	size_t der_len = sizeof(der);
	u8 *out = sign_reserve(&j->out, (size_t)2 * P256_BYTES);
	ECDSA_SIG *sig;
	bool good;

	if (EVP_PKEY_sign(j->ctx, der, &der_len, data, len) <= 0)
		return false;
	sig = d2i_ECDSA_SIG(NULL, &p, (long)der_len);
	good = sig &&
	       BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, P256_BYTES) > 0 &&
	       BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + P256_BYTES,
			    P256_BYTES) > 0;
	ECDSA_SIG_free(sig);
	return good;
}

static u32 sign_item(struct job *j, const u8 *data, size_t len)
{
	u8 digest[EVP_MAX_MD_SIZE];
	bool good;

	if (!to_be_signed(j, digest, &data, &len))
		return SIGN_BAD_ITEM;
	good = j->head.scheme == SIGN_ECDSA ? write_ecdsa(j, data, len)
					    : write_rsa(j, data, len);
	return good ? SIGN_OK : SIGN_FAILED;
}

static u32 sign_items(struct job *j)
{
	const u8 *data;
	size_t len;
	u32 status;

	if (!open_context(j))
		return SIGN_FAILED;
	for (; sign_read(&j->in, &data, &len); j->done++) {
		status = sign_item(j, data, len);
		if (status)
			return status;
	}
	return SIGN_OK;
}

/* ---- the operations; each leaves its items in j->out ---- */

static u32 do_sign(struct job *j)
{
	u32 status = check_scheme(j);
	size_t each = j->head.key == SIGN_P256 ? 2 * P256_BYTES : RSA_BYTES;

	if (status)
		return status;
	if (j->head.count * (4 + each) > j->out.left)
		return SIGN_NO_ROOM;
	status = sign_items(j);
	EVP_PKEY_CTX_free(j->ctx);
	return status;
}

static u32 do_keys(struct job *j)
{
	for (u8 type = 0; type < SIGN_KEY_TYPES; type++) {
		if (!j->s->key[type])
			continue;
		if (!sign_write(&j->out, &type, 1))
			return SIGN_NO_ROOM;
		j->done++;
	}
	return SIGN_OK;
}

static bool write_der(struct job *j, const struct sign_der *der)
{
	j->done++;
	return sign_write(&j->out, der->bytes, der->len);
}

static u32 do_public(struct job *j)
{
	u8 type = j->head.key;

	if (type >= SIGN_KEY_TYPES || !j->s->key[type])
		return SIGN_BAD_KEY;
	return write_der(j, &j->s->spki[type]) &&
			       write_der(j, &j->s->statement[type]) &&
			       write_der(j, &j->s->certifier_der)
		       ? SIGN_OK
		       : SIGN_NO_ROOM;
}

static u32 do_random(struct job *j)
{
	const u8 *item;
	size_t len;
	u32 wanted;
	u8 *out;

	if (!sign_read(&j->in, &item, &len) || len != 4)
		return SIGN_BAD_ITEM;
	wanted = load_le32(item);
	if (wanted > SIGN_RANDOM_MAX)
		return SIGN_BAD_ITEM;
	out = sign_reserve(&j->out, wanted);
	if (!out)
		return SIGN_NO_ROOM;
	j->done = 1;
	return RAND_bytes(out, (int)wanted) == 1 ? SIGN_OK : SIGN_FAILED;
}

static const struct {
	u32 (*run)(struct job *j);
	u16 least, most; /* items */
} ops[] = {
	[SIGN_KEYS] = { do_keys, 0, 0 },
	[SIGN_PUBLIC] = { do_public, 0, 0 },
	[SIGN_SIGN] = { do_sign, 1, SIGN_ITEMS },
	[SIGN_RANDOM] = { do_random, 1, 1 },
};

/* True if the message is a known operation with all of its items. */
static bool well_formed(const struct job *j)
{
	const struct sign_request *r = &j->head;
	struct sign_reader in = j->in;
	const u8 *item;
	size_t len;

	if (r->version != SIGN_VERSION || r->reserved ||
	    r->op >= ARRAY_SIZE(ops) || !ops[r->op].run ||
	    r->count < ops[r->op].least || r->count > ops[r->op].most)
		return false;
	for (u16 i = 0; i < r->count; i++)
		if (!sign_read(&in, &item, &len))
			return false;
	return !in.left;
}

static u32 run(struct job *j, const u8 *message, size_t len)
{
	if (len < sizeof(j->head) || len > SIGN_MESSAGE)
		return SIGN_BAD_MESSAGE;
	memcpy(&j->head, message, sizeof(j->head));
	j->in = (struct sign_reader){ message + sizeof(j->head),
				      len - sizeof(j->head) };
	return well_formed(j) ? ops[j->head.op].run(j) : SIGN_BAD_MESSAGE;
}

size_t sign_handle(struct sign *s, const void *message, size_t len, u8 *reply,
		   size_t room)
{
	struct sign_reply head = { .version = SIGN_VERSION };
	struct job j = { .s = s };

	if (room > SIGN_MESSAGE)
		room = SIGN_MESSAGE;
	j.out = (struct sign_writer){ reply + sizeof(head),
				      room - sizeof(head) };
	head.status = run(&j, message, len);
	head.op = j.head.op;
	head.count = j.done;
	memcpy(reply, &head, sizeof(head));
	/* not even a part of a signature leaves a request that failed */
	return head.status ? sizeof(head) : room - j.out.left;
}

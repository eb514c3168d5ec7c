/*
 * Messages of the sign program: what the guest's module and shojictl send it
 * and what it answers. A request is a struct sign_request and then items, a
 * reply a struct sign_reply and then items; an item is its length as le32 and
 * that many bytes, without padding. Both sides treat the other as hostile.
 *
 *   op           items of the request      items of the reply
 *   SIGN_KEYS    -                         per key one byte, its type
 *   SIGN_PUBLIC  -                         SubjectPublicKeyInfo (RFC 5280 4.1),
 *                                          certificate of the key, certificate
 *                                          of the certifier
 *   SIGN_SIGN    what to sign, each        as many signatures
 *   SIGN_RANDOM  one of 4 bytes, le32:     that many random bytes
 *                how many
 *
 * A request is answered as a whole or not at all: with a status other than
 * SIGN_OK there are no items, and for SIGN_SIGN `count` is the number of the
 * item that failed. RSA signatures are 256 bytes, ECDSA's are r and s of 32
 * bytes each, big-endian (PKCS#11 2.40, 2.3.1).
 */
#ifndef TOOLS_SDK_SIGN_H
#define TOOLS_SDK_SIGN_H

#include "core/lib/bytes.h"
#include "core/lib/types.h"

#define SIGN_VERSION	1     /* also the type of the messages */
#define SIGN_MESSAGE	65536 /* most bytes of a request and of a reply */
#define SIGN_ITEMS	255   /* most items of a request */
#define SIGN_RANDOM_MAX 4096

enum sign_op {
	SIGN_KEYS = 1,
	SIGN_PUBLIC = 2,
	SIGN_SIGN = 3,
	SIGN_RANDOM = 4,
};

enum sign_key_type {
	SIGN_RSA2048,
	SIGN_P256,
	SIGN_KEY_TYPES
};

enum sign_scheme {
	SIGN_PKCS1, /* RFC 8017, 8.2 */
	SIGN_PSS,   /* RFC 8017, 8.1, with MGF1 of the same hash */
	SIGN_ECDSA, /* FIPS 186-4, 6 */
};

enum sign_hash {
	SIGN_NO_HASH, /* sign the item itself: not for PSS; PKCS1: it is the
			 DigestInfo */
	SIGN_SHA256,
	SIGN_SHA384,
	SIGN_SHA512,
	SIGN_HASHES
};

#define SIGN_IS_DIGEST 1 /* flag: the items are digests, not data */

enum sign_status {
	SIGN_OK,
	SIGN_BAD_MESSAGE, /* malformed, or a version or op that is unknown */
	SIGN_BAD_KEY,	  /* unknown type, or not made yet */
	SIGN_BAD_SCHEME,  /* unknown, or not for this key or hash */
	SIGN_BAD_ITEM,	  /* too long or too short for the scheme */
	SIGN_NO_ROOM,	  /* the reply would be too long */
	SIGN_FAILED,	  /* no memory, no entropy */
};

struct sign_request {
	le16 version;
	le16 op;
	u8 key; /* enum sign_key_type */
	u8 scheme;
	u8 hash;
	u8 flags;
	le16 salt; /* PSS: bytes of it */
	le16 count;
	le32 reserved; /* 0 */
};
static_assert(sizeof(struct sign_request) == 16, "tools/sdk/sign.h");

struct sign_reply {
	le16 version;
	le16 op; /* of the request */
	le32 status;
	le32 count;
	le32 reserved; /* 0 */
};
static_assert(sizeof(struct sign_reply) == 16, "tools/sdk/sign.h");

/* What is left of a message; both are used up from the front. */
struct sign_reader {
	const u8 *p;
	size_t left;
};

struct sign_writer {
	u8 *p;
	size_t left;
};

/* The next item, or false at the end and where it is cut short. */
static inline bool sign_read(struct sign_reader *r, const u8 **item,
			     size_t *len)
{
	if (r->left < 4 || load_le32(r->p) > r->left - 4)
		return false;
	*len = load_le32(r->p);
	*item = r->p + 4;
	r->p += 4 + *len;
	r->left -= 4 + *len;
	return true;
}

/* Room for an item of @len bytes, or NULL. */
static inline u8 *sign_reserve(struct sign_writer *w, size_t len)
{
	u8 *item = w->p + 4;

	if (w->left < 4 || len > w->left - 4)
		return NULL;
	store_le32(w->p, (u32)len);
	w->p += 4 + len;
	w->left -= 4 + len;
	return item;
}

static inline bool sign_write(struct sign_writer *w, const void *data,
			      size_t len)
{
	u8 *item = sign_reserve(w, len);

	if (item && len)
		__builtin_memcpy(item, data, len);
	return item != NULL;
}

/*
 * Checks a reply to @op and leaves @r at its items. False: no such reply;
 * else its status is in *@status and the number of items, which are all there
 * if the status is SIGN_OK, in *@count.
 */
static inline bool sign_open_reply(struct sign_reader *r, const void *reply,
				   size_t len, u16 op, u32 *status, u32 *count)
{
	struct sign_reply head;
	struct sign_reader all;
	const u8 *item;
	size_t item_len;

	if (len < sizeof(head))
		return false;
	__builtin_memcpy(&head, reply, sizeof(head));
	*r = (struct sign_reader){ (const u8 *)reply + sizeof(head),
				   len - sizeof(head) };
	*status = head.status;
	*count = head.count;
	if (head.version != SIGN_VERSION || head.op != op)
		return false;
	all = *r;
	for (u32 i = 0; head.status == SIGN_OK && i < head.count; i++)
		if (!sign_read(&all, &item, &item_len))
			return false;
	return head.status != SIGN_OK || !all.left;
}

#endif

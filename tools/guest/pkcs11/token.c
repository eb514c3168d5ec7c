#include "tools/guest/pkcs11/token.h"

#include <string.h>

#define RSA_MODULUS 256
#define P256_POINT  65
#define PUBLIC_ROOM (3 * (4 + TOKEN_BLOB))

/* Objects by handle: a key of a type, or of the certifier. */
static const struct object {
	u8 class;
	u8 key; /* SIGN_KEY_TYPES: the certifier */
	const char *label;
} objects[TOKEN_OBJECTS + 1] = {
	{ 0 }, /* CK_INVALID_HANDLE */
	{ CKO_PRIVATE_KEY, SIGN_RSA2048, "Shoji RSA-2048" },
	{ CKO_PUBLIC_KEY, SIGN_RSA2048, "Shoji RSA-2048" },
	{ CKO_CERTIFICATE, SIGN_RSA2048, "Shoji RSA-2048" },
	{ CKO_PRIVATE_KEY, SIGN_P256, "Shoji P-256" },
	{ CKO_PUBLIC_KEY, SIGN_P256, "Shoji P-256" },
	{ CKO_CERTIFICATE, SIGN_P256, "Shoji P-256" },
	{ CKO_CERTIFICATE, SIGN_KEY_TYPES, "Certifier" },
};

/* ---- talking to the program ---- */

/*
 * Sends the request in t->message and opens the reply's items, @room bytes of
 * them at most. No more room than is needed: Shoji looks at every page of it.
 */
static ck_rv_t exchange(struct token *t, size_t len, size_t room,
			struct sign_reader *items, u32 *count)
{
	struct sign_request head;
	u32 status;
	long got;

	memcpy(&head, t->message, sizeof(head));
	room += sizeof(struct sign_reply) + 4;
	got = t->transport->call(t->message, len, t->reply, room);
	if (got < 0)
		return CKR_DEVICE_ERROR;
	if ((size_t)got > room || !sign_open_reply(items, t->reply, (size_t)got,
						   head.op, &status, count))
		return CKR_DEVICE_ERROR;
	switch (status) {
	case SIGN_OK:
		return CKR_OK;
	case SIGN_BAD_KEY:
		return CKR_DEVICE_REMOVED;
	case SIGN_BAD_SCHEME:
		return CKR_MECHANISM_PARAM_INVALID;
	case SIGN_BAD_ITEM:
		return CKR_DATA_LEN_RANGE;
	default:
		return CKR_DEVICE_ERROR;
	}
}

static struct sign_writer request(struct token *t, u16 op,
				  const struct token_scheme *s, u16 items)
{
	struct sign_request head = {
		.version = SIGN_VERSION,
		.op = op,
		.key = s->key,
		.scheme = s->scheme,
		.hash = s->hash,
		.flags = s->flags,
		.salt = s->salt,
		.count = items,
	};

	memcpy(t->message, &head, sizeof(head));
	return (struct sign_writer){ t->message + sizeof(head),
				     sizeof(t->message) - sizeof(head) };
}

static bool take_blob(struct sign_reader *items, struct token_blob *blob)
{
	const u8 *item;
	size_t len;

	if (!sign_read(items, &item, &len) || len > sizeof(blob->bytes))
		return false;
	memcpy(blob->bytes, item, len);
	blob->len = len;
	return true;
}

static bool load_key(struct token *t, u8 type)
{
	struct token_scheme s = { .key = type };
	struct token_key *k = &t->key[type];
	struct sign_reader items;
	u32 count;

	request(t, SIGN_PUBLIC, &s, 0);
	if (exchange(t, sizeof(struct sign_request), PUBLIC_ROOM, &items,
		     &count))
		return false;
	if (!take_blob(&items, &k->spki) || !take_blob(&items, &k->cert) ||
	    !take_blob(&items, &t->certifier) ||
	    !der_read_key(k->spki.bytes, k->spki.len, &k->key))
		return false;
	return type == SIGN_P256 ? k->key.point.len == P256_POINT
				 : k->key.modulus.len == RSA_MODULUS;
}

ck_rv_t token_load(struct token *t)
{
	bool any = false;

	if (t->transport->open())
		return CKR_TOKEN_NOT_PRESENT;
	for (u8 type = 0; type < SIGN_KEY_TYPES; type++) {
		t->key[type].there = load_key(t, type);
		any |= t->key[type].there;
	}
	return any ? CKR_OK : CKR_TOKEN_NOT_PRESENT;
}

size_t token_signature_size(u8 key)
{
	return key == SIGN_P256 ? 64 : 256;
}

ck_rv_t token_sign(struct token *t, const struct token_scheme *s,
		   const u8 *data, size_t data_len, u8 *out, size_t *len)
{
	struct sign_writer w = request(t, SIGN_SIGN, s, 1);
	struct sign_reader items;
	const u8 *item;
	ck_rv_t error;
	u32 count;

	if (!sign_write(&w, data, data_len))
		return CKR_DATA_LEN_RANGE;
	error = exchange(t, (size_t)(w.p - t->message),
			 token_signature_size(s->key), &items, &count);
	if (error)
		return error;
	if (!sign_read(&items, &item, len) ||
	    *len != token_signature_size(s->key))
		return CKR_DEVICE_ERROR;
	memcpy(out, item, *len);
	return CKR_OK;
}

ck_rv_t token_random(struct token *t, u8 *out, size_t len)
{
	struct token_scheme none = { 0 };
	struct sign_reader items;
	size_t part, got;
	const u8 *item;
	u32 count;

	for (; len; out += part, len -= part) {
		struct sign_writer w = request(t, SIGN_RANDOM, &none, 1);
		u8 wanted[4];

		part = len < SIGN_RANDOM_MAX ? len : SIGN_RANDOM_MAX;
		store_le32(wanted, (u32)part);
		sign_write(&w, wanted, sizeof(wanted));
		if (exchange(t, (size_t)(w.p - t->message), part, &items,
			     &count) ||
		    !sign_read(&items, &item, &got) || got != part)
			return CKR_DEVICE_ERROR;
		memcpy(out, item, part);
	}
	return CKR_OK;
}

/* ---- objects ---- */

bool token_has_object(const struct token *t, ck_object_handle_t object)
{
	const struct object *o;

	if (!object || object > TOKEN_OBJECTS)
		return false;
	o = &objects[object];
	return o->key == SIGN_KEY_TYPES ? t->certifier.len
					: t->key[o->key].there;
}

u8 token_private_key(const struct token *t, ck_object_handle_t object)
{
	if (!token_has_object(t, object) ||
	    objects[object].class != CKO_PRIVATE_KEY)
		return SIGN_KEY_TYPES;
	return objects[object].key;
}

/* A value that an attribute has, in memory of the caller's choice. */
struct value {
	const void *p;
	size_t len;
	union {
		unsigned long number;
		u8 bytes[2 + 255];
	} room;
};

static ck_rv_t give(struct value *v, const void *p, size_t len)
{
	v->p = p;
	v->len = len;
	return CKR_OK;
}

static ck_rv_t give_der(struct value *v, struct der d)
{
	return give(v, d.p, d.len);
}

static ck_rv_t give_number(struct value *v, unsigned long n)
{
	v->room.number = n;
	return give(v, &v->room.number, sizeof(v->room.number));
}

static ck_rv_t give_bool(struct value *v, bool yes)
{
	v->room.bytes[0] = yes;
	return give(v, v->room.bytes, 1);
}

/* PKCS#11 2.40, 2.3.3: the point as an OCTET STRING. */
static ck_rv_t give_point(struct value *v, struct der point)
{
	if (point.len > 127)
		return CKR_ATTRIBUTE_TYPE_INVALID;
	v->room.bytes[0] = DER_OCTETS;
	v->room.bytes[1] = (u8)point.len;
	memcpy(v->room.bytes + 2, point.p, point.len);
	return give(v, v->room.bytes, 2 + point.len);
}

static ck_rv_t common_attribute(const struct object *o,
				ck_attribute_type_t type, struct value *v)
{
	switch (type) {
	case CKA_CLASS:
		return give_number(v, o->class);
	case CKA_TOKEN:
		return give_bool(v, true);
	case CKA_PRIVATE:
	case CKA_MODIFIABLE:
	case CKA_COPYABLE:
	case CKA_DESTROYABLE:
		return give_bool(v, false);
	case CKA_LABEL:
		return give(v, o->label, strlen(o->label));
	case CKA_ID:
		v->room.bytes[0] = o->key + 1;
		return give(v, v->room.bytes, 1);
	default:
		return CKR_ATTRIBUTE_TYPE_INVALID;
	}
}

static ck_rv_t cert_attribute(const struct token_blob *cert,
			      ck_attribute_type_t type, struct value *v)
{
	struct der_cert parts;

	switch (type) {
	case CKA_CERTIFICATE_TYPE:
		return give_number(v, CKC_X_509);
	case CKA_TRUSTED:
		return give_bool(v, false);
	case CKA_CERTIFICATE_CATEGORY:
		return give_number(v, 0);
	case CKA_START_DATE:
	case CKA_END_DATE:
		return give(v, NULL, 0);
	case CKA_VALUE:
		return give(v, cert->bytes, cert->len);
	default:
		break;
	}
	if (!der_read_cert(cert->bytes, cert->len, &parts))
		return CKR_ATTRIBUTE_TYPE_INVALID;
	switch (type) {
	case CKA_SUBJECT:
		return give_der(v, parts.subject);
	case CKA_ISSUER:
		return give_der(v, parts.issuer);
	case CKA_SERIAL_NUMBER:
		return give_der(v, parts.serial);
	default:
		return CKR_ATTRIBUTE_TYPE_INVALID;
	}
}

static ck_rv_t subject_of(const struct token_key *k, struct value *v)
{
	struct der_cert parts;

	if (!der_read_cert(k->cert.bytes, k->cert.len, &parts))
		return CKR_ATTRIBUTE_TYPE_INVALID;
	return give_der(v, parts.subject);
}

/* What can be known of both halves of a key. */
static ck_rv_t key_attribute(const struct token_key *k, bool rsa,
			     ck_attribute_type_t type, struct value *v)
{
	switch (type) {
	case CKA_KEY_TYPE:
		return give_number(v, rsa ? CKK_RSA : CKK_EC);
	case CKA_KEY_GEN_MECHANISM:
		return give_number(v, rsa ? CKM_RSA_PKCS_KEY_PAIR_GEN
					  : CKM_EC_KEY_PAIR_GEN);
	case CKA_LOCAL:
		return give_bool(v, true);
	case CKA_DERIVE:
		return give_bool(v, false);
	case CKA_START_DATE:
	case CKA_END_DATE:
		return give(v, NULL, 0);
	case CKA_SUBJECT:
		return subject_of(k, v);
	case CKA_PUBLIC_KEY_INFO:
		return give(v, k->spki.bytes, k->spki.len);
	case CKA_MODULUS:
		return rsa ? give_der(v, k->key.modulus)
			   : CKR_ATTRIBUTE_TYPE_INVALID;
	case CKA_PUBLIC_EXPONENT:
		return rsa ? give_der(v, k->key.exponent)
			   : CKR_ATTRIBUTE_TYPE_INVALID;
	case CKA_EC_PARAMS:
		return rsa ? CKR_ATTRIBUTE_TYPE_INVALID
			   : give_der(v, k->key.parameters);
	default:
		return CKR_ATTRIBUTE_TYPE_INVALID;
	}
}

static ck_rv_t public_attribute(const struct token_key *k, bool rsa,
				ck_attribute_type_t type, struct value *v)
{
	switch (type) {
	case CKA_VERIFY:
		return give_bool(v, true);
	case CKA_ENCRYPT:
	case CKA_WRAP:
	case CKA_VERIFY_RECOVER:
	case CKA_TRUSTED:
		return give_bool(v, false);
	case CKA_MODULUS_BITS:
		return rsa ? give_number(v, 8 * k->key.modulus.len)
			   : CKR_ATTRIBUTE_TYPE_INVALID;
	case CKA_EC_POINT:
		return rsa ? CKR_ATTRIBUTE_TYPE_INVALID
			   : give_point(v, k->key.point);
	default:
		return key_attribute(k, rsa, type, v);
	}
}

static ck_rv_t private_attribute(const struct token_key *k, bool rsa,
				 ck_attribute_type_t type, struct value *v)
{
	switch (type) {
	case CKA_SIGN:
	case CKA_SENSITIVE:
	case CKA_ALWAYS_SENSITIVE:
	case CKA_NEVER_EXTRACTABLE:
		return give_bool(v, true);
	case CKA_EXTRACTABLE:
	case CKA_DECRYPT:
	case CKA_UNWRAP:
	case CKA_SIGN_RECOVER:
	case CKA_ALWAYS_AUTHENTICATE:
	case CKA_WRAP_WITH_TRUSTED:
		return give_bool(v, false);
	case CKA_VALUE:
	case CKA_PRIVATE_EXPONENT:
	case CKA_PRIME_1:
	case CKA_PRIME_2:
	case CKA_EXPONENT_1:
	case CKA_EXPONENT_2:
	case CKA_COEFFICIENT:
		return CKR_ATTRIBUTE_SENSITIVE;
	default:
		return key_attribute(k, rsa, type, v);
	}
}

static ck_rv_t find_value(const struct token *t, ck_object_handle_t object,
			  ck_attribute_type_t type, struct value *v)
{
	const struct object *o = &objects[object];
	const struct token_key *k = &t->key[o->key % SIGN_KEY_TYPES];
	bool rsa = o->key == SIGN_RSA2048;

	if (!common_attribute(o, type, v))
		return CKR_OK;
	switch (o->class) {
	case CKO_PRIVATE_KEY:
		return private_attribute(k, rsa, type, v);
	case CKO_PUBLIC_KEY:
		return public_attribute(k, rsa, type, v);
	default:
		return cert_attribute(o->key == SIGN_KEY_TYPES ? &t->certifier
							       : &k->cert,
				      type, v);
	}
}

/* PKCS#11 2.40, C_GetAttributeValue: the five cases. */
ck_rv_t token_attribute(const struct token *t, ck_object_handle_t object,
			struct ck_attribute *a)
{
	struct value v = { 0 };
	ck_rv_t error = find_value(t, object, a->type, &v);

	if (!error && a->value && a->value_len < v.len)
		error = CKR_BUFFER_TOO_SMALL;
	if (error) {
		a->value_len = CK_UNAVAILABLE_INFORMATION;
		return error;
	}
	if (a->value && v.len)
		memcpy(a->value, v.p, v.len);
	a->value_len = v.len;
	return CKR_OK;
}

bool token_matches(const struct token *t, ck_object_handle_t object,
		   const struct ck_attribute *wanted, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		struct value v = { 0 };

		if (find_value(t, object, wanted[i].type, &v) ||
		    v.len != wanted[i].value_len ||
		    (v.len && memcmp(v.p, wanted[i].value, v.len)))
			return false;
	}
	return true;
}

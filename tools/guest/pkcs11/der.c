#include "tools/guest/pkcs11/der.h"

/* X.690, 8.1.3: the length behind the tag; what is left is at least that. */
static bool read_length(struct der *in, size_t *len)
{
	size_t value, bytes;

	if (!in->len)
		return false;
	value = *in->p++;
	in->len--;
	if (value >= 0x80) {
		bytes = value & 0x7f;
		if (bytes < 1 || bytes > 3 || bytes > in->len)
			return false;
		value = 0;
		for (; bytes; bytes--, in->len--)
			value = value << 8 | *in->p++;
	}
	*len = value;
	return value <= in->len;
}

bool der_next(struct der *in, u8 tag, struct der *contents, struct der *whole)
{
	struct der rest = *in;
	size_t len;

	if (!rest.len || *rest.p != tag)
		return false;
	rest.p++;
	rest.len--;
	if (!read_length(&rest, &len))
		return false;
	if (contents)
		*contents = (struct der){ rest.p, len };
	rest.p += len;
	rest.len -= len;
	if (whole)
		*whole = (struct der){ in->p, in->len - rest.len };
	*in = rest;
	return true;
}

static struct der without_zeros(struct der n)
{
	while (n.len && !*n.p) {
		n.p++;
		n.len--;
	}
	return n;
}

static bool read_rsa(struct der bits, struct der_key *key)
{
	struct der numbers;

	if (!der_next(&bits, DER_SEQUENCE, &numbers, NULL) ||
	    !der_next(&numbers, DER_INTEGER, &key->modulus, NULL) ||
	    !der_next(&numbers, DER_INTEGER, &key->exponent, NULL))
		return false;
	key->modulus = without_zeros(key->modulus);
	key->exponent = without_zeros(key->exponent);
	return key->modulus.len && key->exponent.len;
}

bool der_read_key(const u8 *spki, size_t len, struct der_key *key)
{
	struct der all = { spki, len }, info, algorithm, bits;

	*key = (struct der_key){ 0 };
	if (!der_next(&all, DER_SEQUENCE, &info, NULL) || all.len ||
	    !der_next(&info, DER_SEQUENCE, &algorithm, NULL) ||
	    !der_next(&info, DER_BIT_STRING, &bits, NULL) || bits.len < 2 ||
	    bits.p[0] || !der_next(&algorithm, DER_OID, NULL, NULL))
		return false;
	bits.p++; /* the number of unused bits */
	bits.len--;
	if (!der_next(&algorithm, DER_OID, NULL, &key->parameters))
		return read_rsa(bits, key);
	key->point = bits;
	return true;
}

bool der_read_cert(const u8 *cert, size_t len, struct der_cert *out)
{
	struct der all = { cert, len }, signed_part, body;

	return der_next(&all, DER_SEQUENCE, &signed_part, NULL) && !all.len &&
	       der_next(&signed_part, DER_SEQUENCE, &body, NULL) &&
	       der_next(&body, DER_VERSION, NULL, NULL) &&
	       der_next(&body, DER_INTEGER, NULL, &out->serial) &&
	       der_next(&body, DER_SEQUENCE, NULL, NULL) && /* algorithm */
	       der_next(&body, DER_SEQUENCE, NULL, &out->issuer) &&
	       der_next(&body, DER_SEQUENCE, NULL, NULL) && /* validity */
	       der_next(&body, DER_SEQUENCE, NULL, &out->subject);
}

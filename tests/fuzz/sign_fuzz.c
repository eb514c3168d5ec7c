/*
 * The sign program: any message is answered with a reply that the other side
 * accepts, and one that failed with nothing but its head.
 * units: tools/sdk/examples/sign/sign.c tools/sdk/examples/sign/keys.c
 * libs: -lcrypto
 */
#include <string.h>

#include "tests/unit/sign_certifier.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct sign sign;

/* The RSA key is too short to make signatures with, but quick. */
static void start(void)
{
	if (!certifier_start(&sign) || !sign_make(&sign, SIGN_P256))
		abort();
	sign.key[SIGN_RSA2048] = EVP_RSA_gen(1024);
	sign.statement[SIGN_RSA2048].bytes = OPENSSL_zalloc(8);
	sign.spki[SIGN_RSA2048].bytes = OPENSSL_zalloc(8);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static u8 reply[SIGN_MESSAGE];
	struct sign_reader items;
	u32 status, count;
	size_t len, room;
	u16 op;

	if (!sign.certifier)
		start();
	if (size < 3)
		return 0;
	/* a byte for the reply's room, so that there is too little at times */
	room = 16 + (size_t)data[0] * 64;
	data++;
	size--;
	len = sign_handle(&sign, data, size, reply, room);
	if (len < sizeof(struct sign_reply) || len > room)
		abort();
	memcpy(&op, reply + 2, sizeof(op));
	if (!sign_open_reply(&items, reply, len, op, &status, &count))
		abort();
	if (status && len != sizeof(struct sign_reply))
		abort();
	return 0;
}

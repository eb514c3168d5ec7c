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

/*
 * Every other input is not a message but what one is made of: the fields that
 * vary, and items of one byte of length each; else hardly one in a million
 * would get as far as to be signed.
 */
static size_t make_message(u8 *out, size_t room, const u8 *data, size_t size)
{
	struct sign_request head = { .version = SIGN_VERSION };
	struct sign_writer w = { out + sizeof(head), room - sizeof(head) };

	if (size < 6)
		return 0;
	head.op = data[0] % 6;
	head.key = data[1] % 3;
	head.scheme = data[2] % 4;
	head.hash = data[3] % 5;
	head.flags = data[4] % 3;
	head.salt = data[5];
	for (data += 6, size -= 6; size; head.count++) {
		size_t len = *data++;

		len = len < --size ? len : size;
		if (head.count == 20 || !sign_write(&w, data, len))
			break;
		data += len;
		size -= len;
	}
	memcpy(out, &head, sizeof(head));
	return (size_t)(w.p - out);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static u8 made[SIGN_MESSAGE];
	static u8 reply[SIGN_MESSAGE];
	struct sign_reader items;
	u32 status, count;
	size_t len, room;
	bool make;
	u16 op;

	if (!sign.certifier)
		start();
	if (!size)
		return 0;
	/* a byte for the reply's room, so that there is too little at times */
	room = 16 + (size_t)data[0] * 64;
	make = data[0] & 1;
	data++;
	size--;
	if (make) {
		size = make_message(made, sizeof(made), data, size);
		data = made;
	}
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

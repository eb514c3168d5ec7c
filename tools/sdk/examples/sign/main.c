/*
 * The signature accelerator: makes its keys, says so, and then answers the
 * messages of tools/sdk/sign.h. The keys are in this program's memory only.
 */
#include <string.h>

#include "tools/sdk/examples/sign/sign.h"
#include "tools/sdk/shoji.h"

/* certifier.S */
extern const u8 certifier_key[], certifier_key_end[];
extern const u8 certifier_cert[], certifier_cert_end[];

static struct sign sign;
static u8 reply[SIGN_MESSAGE];

static bool begin(void)
{
	if (!shoji_crypto_init()) {
		shoji_log("this machine has no entropy");
		return false;
	}
	if (!sign_init(&sign, certifier_key,
		       (size_t)(certifier_key_end - certifier_key),
		       certifier_cert,
		       (size_t)(certifier_cert_end - certifier_cert))) {
		shoji_log("the certifying key is none");
		return false;
	}
	for (u8 type = 0; type < SIGN_KEY_TYPES; type++)
		if (!sign_make(&sign, type)) {
			shoji_log("cannot make a key of type %u", type);
			return false;
		}
	return true;
}

int main(void)
{
	struct program_message m;

	if (!begin())
		return 1;
	shoji_log("keys are made, %zu KiB of heap are in use",
		  shoji_heap_used() >> 10);
	shoji_receive(&m, PROGRAM_FOREVER);
	for (;;) {
		size_t len;

		/* the reply's buffer is the request's */
		len = sign_handle(&sign, shoji_data(&m), m.length, reply,
				  shoji_start()->slot_size);
		memcpy(shoji_data(&m), reply, len);
		shoji_reply_receive(&m, len, 0, PROGRAM_FOREVER);
	}
}

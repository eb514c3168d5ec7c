/* To the program named "sign", or as SHOJI_SIGN in the environment says. */
#include <stdlib.h>

#include "tools/guest/hyper.h"
#include "tools/guest/pkcs11/transport.h"
#include "tools/sdk/sign.h"

#define TIMEOUT_MS 120000 /* the first message waits for the keys */

static int program = -1;

static int shoji_open(void)
{
	const char *name = getenv("SHOJI_SIGN");

	program = hyper_present() ? hyper_find(name ? name : "sign") : -1;
	return program < 0 ? -1 : 0;
}

static long shoji_transport_call(const void *request, size_t len, void *reply,
				 size_t room)
{
	struct hyper_message m = {
		.program = (uint32_t)program,
		.type = SIGN_VERSION,
		.request = request,
		.request_len = len,
		.reply = reply,
		.reply_size = room,
		.timeout_ms = TIMEOUT_MS,
	};

	return (long)hyper_send(&m);
}

const struct transport *transport_get(void)
{
	static const struct transport shoji = { "Shoji protected program",
						shoji_open,
						shoji_transport_call };

	return &shoji;
}

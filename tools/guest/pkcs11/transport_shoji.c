/* To the program named "sign", or as SHOJI_SIGN in the environment says. */
#include <stdlib.h>

#include "tools/guest/hyper.h"
#include "tools/guest/pkcs11/transport.h"
#include "tools/sdk/sign.h"

#define TIMEOUT_MS 120000 /* the first message waits for the keys */

static int program = -1;
static uint32_t restarts; /* of it, when it was opened */

static int shoji_open(void)
{
	const char *name = getenv("SHOJI_SIGN");
	struct shoji_program p;

	program = hyper_present() ? hyper_find(name ? name : "sign") : -1;
	if (program < 0 ||
	    hyper_record(SHOJI_PROGRAM, (uint64_t)program, &p, sizeof(p)))
		return -1;
	restarts = p.restarts;
	return 0;
}

/* One that has started again has other keys, and would sign with them. */
static bool still_the_same(void)
{
	struct shoji_program p;

	return !hyper_record(SHOJI_PROGRAM, (uint64_t)program, &p, sizeof(p)) &&
	       p.restarts == restarts;
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
	int64_t got = hyper_send(&m);

	return still_the_same() ? (long)got : -1;
}

const struct transport *transport_get(void)
{
	static const struct transport shoji = { "Shoji protected program",
						shoji_open,
						shoji_transport_call };

	return &shoji;
}

/* Answers every message with its own data, and with its type as status. */
#include "tools/sdk/shoji.h"

int main(void)
{
	struct program_message m;

	shoji_log("ready, %u buffers of %u bytes", shoji_start()->slots,
		  shoji_start()->slot_size);
	shoji_receive(&m, PROGRAM_FOREVER);
	for (;;)
		shoji_reply_receive(&m, m.length, m.type, PROGRAM_FOREVER);
}

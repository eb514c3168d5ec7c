/*
 * Memory shared with another program, by the grant of a region named "shared":
 * the program that may write to it puts each message there, and the program that
 * may only read answers each message with what it finds. Type 1 asks for the
 * former, any other for the latter.
 */
#include <string.h>

#include "tools/sdk/shoji.h"

#define PUT 1

int main(void)
{
	struct program_message m;
	size_t size;
	char *shared = shoji_map("shared", &size);

	if (!shared) {
		shoji_log("the region \"shared\" is not granted");
		return 1;
	}
	shoji_receive(&m, PROGRAM_FOREVER);
	for (;;) {
		size_t room = shoji_start()->slot_size;

		if (m.type == PUT) {
			memset(shared, 0, size);
			memcpy(shared, shoji_data(&m),
			       m.length < size ? m.length : size);
			shoji_reply_receive(&m, 0, 0, PROGRAM_FOREVER);
			continue;
		}
		room = room < size ? room : size;
		memcpy(shoji_data(&m), shared, room);
		shoji_reply_receive(&m, strnlen(shoji_data(&m), room), 0,
				    PROGRAM_FOREVER);
	}
}

/*
 * Time and random bytes: answers with the time of Shoji's clock when the
 * message came, the time 10 ms later, and 16 random bytes. While it sleeps it
 * can be sent other messages, which wait.
 */
#include <string.h>

#include "tools/sdk/shoji.h"

#define MS 1000000ULL

struct answer {
	uint64_t before, after;
	unsigned char random[16];
};

int main(void)
{
	struct program_message m;
	struct answer a;

	shoji_receive(&m, PROGRAM_FOREVER);
	for (;;) {
		a.before = shoji_clock();
		shoji_sleep(a.before + 10 * MS);
		a.after = shoji_clock();
		if (shoji_random(a.random, sizeof(a.random))) {
			shoji_log("this machine has no entropy");
			return 1;
		}
		memcpy(shoji_data(&m), &a, sizeof(a));
		shoji_reply_receive(&m, sizeof(a), 0, PROGRAM_FOREVER);
	}
}

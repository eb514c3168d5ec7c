/*
 * A static PIE: each pointer in its data is right only if it was relocated. The
 * reply to any message is what it finds by way of them, as text.
 */
#include <stdio.h>
#include <string.h>

#include "tools/sdk/shoji.h"

struct word {
	const char *text;
	size_t (*length)(const char *);
};

static size_t twice(const char *s)
{
	return 2 * strlen(s);
}

static const struct word words[] = {
	{ "relocated", strlen },
	{ "tables", twice },
};
static int numbers[1000] = { [999] = 999 };
static char zeroed[5000];

/* volatile: the compiler must not look through them */
static const struct word *volatile first = words;
static int *volatile last = &numbers[999];
static int *volatile *volatile to_last = &last;
static char *volatile zero = zeroed + sizeof(zeroed) - 1;

int main(void)
{
	const struct program_start *start = shoji_start();
	struct program_message m;

	shoji_receive(&m, PROGRAM_FOREVER);
	for (;;) {
		const struct word *w = first;

		m.length = (uint64_t)snprintf(
			shoji_data(&m), start->slot_size,
			"bias 0x%llx %s %zu %s %zu %d %d\n",
			(unsigned long long)start->bias, w[0].text,
			w[0].length("four"), w[1].text, w[1].length("four"),
			**to_last, *zero);
		shoji_reply_receive(&m, m.length, 0, PROGRAM_FOREVER);
	}
}

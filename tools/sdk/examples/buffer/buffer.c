/*
 * Large data through a buffer that the sender has registered: turns its bytes
 * round, in place, and answers with their sum. Type 1 asks for that; the
 * status is 0 or the error.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/sdk/shoji.h"

#define REVERSE 1

static void reverse(unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len / 2; i++) {
		unsigned char c = p[i];

		p[i] = p[len - 1 - i];
		p[len - 1 - i] = c;
	}
}

static int work(const struct program_message *m, uint64_t *sum)
{
	unsigned char *p = malloc(m->buffer_size);
	int error;

	if (!p)
		return -PROGRAM_ENOSPC;
	error = shoji_buffer_read(m, 0, p, m->buffer_size);
	for (size_t i = 0; !error && i < m->buffer_size; i++)
		*sum += p[i];
	reverse(p, m->buffer_size);
	if (!error)
		error = shoji_buffer_write(m, 0, p, m->buffer_size);
	free(p);
	return error;
}

int main(void)
{
	struct program_message m;

	shoji_receive(&m, PROGRAM_FOREVER);
	for (;;) {
		uint64_t sum = 0;
		int error = -PROGRAM_EINVAL;

		if (m.type == REVERSE)
			error = work(&m, &sum);
		memcpy(shoji_data(&m), &sum, sizeof(sum));
		shoji_reply_receive(&m, error ? 0 : sizeof(sum),
				    (uint64_t)-error, PROGRAM_FOREVER);
	}
}

/*
 * The log ring and its sinks.
 * units: core/lib/log.c core/lib/fmt.c
 */
#include <string.h>

#include "core/lib/log.h"
#include "core/lib/log_sink.h"
#include "tests/unit/test.h"

static char seen[200000];
static size_t seen_len;

static void sink(const char *text, size_t len)
{
	memcpy(seen + seen_len, text, len);
	seen_len += len;
	seen[seen_len] = '\0';
}

TEST(replays_early_lines)
{
	log_line("one %d", 1);
	log_add_sink(sink);
	EXPECT(!strcmp(seen, "shoji: one 1\n"));
	log_line("two");
	EXPECT(!strcmp(seen, "shoji: one 1\nshoji: two\n"));
	log_remove_sink(sink);
	log_line("three");
	EXPECT_EQ(seen_len, 24);
}

TEST(cuts_long_lines)
{
	char text[300];

	memset(text, 'x', sizeof(text));
	text[299] = '\0';
	seen_len = 0;
	log_add_sink(sink);
	seen_len = 0;
	log_line("%s", text);
	EXPECT_EQ(seen_len, LOG_LINE_MAX);
	EXPECT_EQ(seen[seen_len - 1], '\n');
	EXPECT_EQ(seen[seen_len - 2], 'x');
	log_remove_sink(sink);
}

/* After the ring has gone round, what comes out is its last 64 KiB. */
TEST(wraps)
{
	for (int i = 0; i < 10000; i++)
		log_line("line %05d", i);
	seen_len = 0;
	log_add_sink(sink);
	log_remove_sink(sink);
	EXPECT_EQ(seen_len, 65536);
	EXPECT(!strcmp(seen + seen_len - 18, "shoji: line 09999\n"));
	EXPECT(strstr(seen, "shoji: line 09000\n") != NULL);
}

/* A reader goes through the stream at its own pace. */
TEST(reads)
{
	u64 start, stop, at = 0;
	char text[100];
	size_t n, total = 0;

	log_range(&start, &stop);
	EXPECT_EQ(stop - start, 65536);
	while ((n = log_read(&at, text, 99)) > 0)
		total += n;
	EXPECT_EQ(total, 65536);
	EXPECT_EQ(at, stop);
	log_line("one more");
	n = log_read(&at, text, sizeof(text));
	EXPECT(n == 16 && !memcmp(text, "shoji: one more\n", 16));
	at = ~0ULL;
	EXPECT_EQ(log_read(&at, text, sizeof(text)), 0);
	EXPECT_EQ(at, stop + 16);
	at = stop + 7;
	EXPECT_EQ(log_read(&at, text, 3), 3);
	EXPECT(!memcmp(text, "one", 3));
}

TEST(limits)
{
	struct log_limit limit = { 0 };
	int lines = 0;

	log_add_sink(sink);
	seen_len = 0;
	for (int i = 0; i < 1000; i++)
		log_limited(&limit, "again");
	log_remove_sink(sink);
	for (size_t i = 0; i < seen_len; i++)
		lines += seen[i] == '\n';
	EXPECT_EQ(lines, 16 + 5); /* and at 32, 64, 128, 256, 512 */
	EXPECT(strstr(seen, "shoji: (512 times) again\n") != NULL);
}

TEST_MAIN(CASE(replays_early_lines), CASE(cuts_long_lines), CASE(wraps),
	  CASE(reads), CASE(limits))

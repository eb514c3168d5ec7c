/*
 * The memory and string functions, included under other names so that the
 * sanitizers keep their own.
 * units:
 */
#define memcpy	our_memcpy
#define memmove our_memmove
#define memset	our_memset
#define memcmp	our_memcmp
#define strlen	our_strlen
#define strcmp	our_strcmp
#include "core/lib/string.c"

#include "tests/unit/test.h"

#define SIZE 48

static u8 buf[SIZE];

static void fill(void)
{
	for (int i = 0; i < SIZE; i++)
		buf[i] = (u8)i;
}

static bool holds(int at, int len, int first)
{
	for (int i = 0; i < len; i++)
		if (buf[at + i] != first + i)
			return false;
	return true;
}

/* Every length and distance, in both directions. */
TEST(moves)
{
	for (int from = 0; from < 20; from++)
		for (int to = 0; to < 20; to++)
			for (int n = 0; n < 28; n++) {
				fill();
				EXPECT(memmove(buf + to, buf + from, n) ==
				       buf + to);
				EXPECT(holds(0, to, 0));
				EXPECT(holds(to, n, from));
				EXPECT(holds(to + n, SIZE - to - n, to + n));
			}
}

TEST(copies_and_sets)
{
	static const u8 src[20] = { 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

	for (int n = 0; n <= 11; n++) {
		fill();
		EXPECT(memcpy(buf + 3, src, n) == buf + 3);
		EXPECT(holds(3, n, 5) && holds(3 + n, 45 - n, 3 + n));
		EXPECT(memset(buf + 3, 0x1ab, n) == buf + 3);
		for (int i = 0; i < n; i++)
			EXPECT_EQ(buf[3 + i], 0xab);
		EXPECT(holds(0, 3, 0) && holds(3 + n, 45 - n, 3 + n));
	}
	wipe(buf, SIZE);
	for (int i = 0; i < SIZE; i++)
		EXPECT_EQ(buf[i], 0);
}

TEST(compares)
{
	EXPECT(!memcmp("abc", "abd", 2));
	EXPECT(memcmp("abc", "abd", 3) < 0);
	EXPECT(memcmp("\xff", "\x01", 1) > 0);
	EXPECT(!memcmp("a", "b", 0));
	EXPECT(!strcmp("", ""));
	EXPECT(strcmp("a", "ab") < 0);
	EXPECT(strcmp("\xff", "a") > 0);
	EXPECT_EQ(strlen(""), 0);
	EXPECT_EQ(strlen("abcdefghi"), 9);
}

TEST_MAIN(CASE(moves), CASE(copies_and_sets), CASE(compares))

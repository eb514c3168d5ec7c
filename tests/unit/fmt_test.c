/*
 * Formatted output: every conversion of fmt.h, cut off and not.
 * units: core/lib/fmt.c
 */
#include <limits.h>
#include <string.h>

#include "core/lib/fmt.h"
#include "tests/unit/test.h"

#define EXPECT_TEXT(want, ...)                                           \
	do {                                                             \
		char text_[128];                                         \
		int len_ = fmt_print(text_, sizeof(text_), __VA_ARGS__); \
		EXPECT_EQ(len_, strlen(want));                           \
		EXPECT(!strcmp(text_, want));                            \
	} while (0)

TEST(text)
{
	EXPECT_TEXT("", "%s", "");
	EXPECT_TEXT("plain", "plain");
	EXPECT_TEXT("a b % c", "%s %c %% %s", "a", 'b', "c");
	EXPECT_TEXT("[   ab]", "[%5s]", "ab");
	EXPECT_TEXT("[ab   ]", "[%-5s]", "ab");
	EXPECT_TEXT("[ab]", "[%.2s]", "abcdef");
	EXPECT_TEXT("[ abc]", "[%*.*s]", 4, 3, "abcdef");
	EXPECT_TEXT("[ab  ]", "[%*s]", -4, "ab");
	EXPECT_TEXT("[  c]", "[%3c]", 'c');
}

TEST(numbers)
{
	EXPECT_TEXT("0", "%d", 0);
	EXPECT_TEXT("-2147483648", "%i", INT_MIN);
	EXPECT_TEXT("-9223372036854775808", "%ld", LONG_MIN);
	EXPECT_TEXT("18446744073709551615", "%lu", ULONG_MAX);
	EXPECT_TEXT("18446744073709551615", "%llu", ULLONG_MAX);
	EXPECT_TEXT("4294967295", "%u", UINT_MAX);
	EXPECT_TEXT("deadbeef DEADBEEF", "%x %X", 0xdeadbeef, 0xdeadbeef);
	EXPECT_TEXT("[   1f]", "[%5x]", 0x1f);
	EXPECT_TEXT("[0001f]", "[%05x]", 0x1f);
	EXPECT_TEXT("[1f   ]", "[%-5x]", 0x1f);
	EXPECT_TEXT("[-0042]", "[%05d]", -42);
	EXPECT_TEXT("[  -42]", "[%5d]", -42);
	EXPECT_TEXT("00000000fee00000", "%016lx", 0xfee00000UL);
	EXPECT_TEXT("4096", "%zu", (size_t)4096);
	EXPECT_TEXT("0xffffffff80200000", "%p", (void *)0xffffffff80200000);
}

/* An unsigned int must not drag in the upper half of its slot. */
TEST(mixed_lengths)
{
	EXPECT_TEXT("1 ffffffffffffffff ffffffff 2 -1 3 4 5 6",
		    "%d %lx %x %u %d %d %d %d %d", 1, ~0UL, ~0U, 2, -1, 3, 4, 5,
		    6);
}

TEST(cut_off)
{
	char buf[8] = "zzzzzzz";

	EXPECT_EQ(fmt_print(buf, 4, "%s", "abcdef"), 6);
	EXPECT(!memcmp(buf, "abc\0zzz", 8));
	EXPECT_EQ(fmt_print(buf, 1, "%d", 12345), 5);
	EXPECT(!memcmp(buf, "\0bc", 3));
	EXPECT_EQ(fmt_print(NULL, 0, "%d", 12345), 5);
}

/* Bounded work for a width nobody meant, and no read past a lone '%'. */
TEST(malformed)
{
	char buf[16];
	const char *lone = "%", *flags = "ab%-0", *unknown = "%q!";

	EXPECT_EQ(fmt_print(buf, sizeof(buf), lone), 0);
	EXPECT_EQ(fmt_print(buf, sizeof(buf), flags), 2);
	EXPECT(!strcmp(buf, "ab"));
	EXPECT_EQ(fmt_print(buf, sizeof(buf), unknown), 2);
	EXPECT(!strcmp(buf, "q!"));
}

TEST_MAIN(CASE(text), CASE(numbers), CASE(mixed_lengths), CASE(cut_off),
	  CASE(malformed))

/*
 * The C library of programs, against the system's.
 * units: tests/unit/sdk_libc.c
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/sdk_libc.h"
#include "tests/unit/test.h"

#define SIZE 3000

static unsigned char a[SIZE], b[SIZE], noise[SIZE];

static void fill(void)
{
	for (int i = 0; i < SIZE; i++)
		a[i] = b[i] = noise[i] = (unsigned char)rand();
}

/* Every length up to 300 and some around the limit; all alignments mod 16. */
static size_t next_length(size_t n)
{
	return n < 300 ? n + 1 : n + 181;
}

TEST(copies)
{
	for (size_t n = 0; n < 2000; n = next_length(n)) {
		size_t from = (size_t)rand() % 400, to = (size_t)rand() % 400;

		fill();
		memcpy(a + to, noise + from, n);
		EXPECT(our_memcpy(b + to, noise + from, n) == b + to);
		EXPECT(!memcmp(a, b, SIZE));
		memmove(a + to, a + from, n);
		EXPECT(our_memmove(b + to, b + from, n) == b + to);
		EXPECT(!memcmp(a, b, SIZE));
		memset(a + to, (int)n, n);
		EXPECT(our_memset(b + to, (int)n, n) == b + to);
		EXPECT(!memcmp(a, b, SIZE));
	}
}

/* Every small distance, both ways. */
TEST(overlaps)
{
	for (size_t n = 0; n < 200; n++)
		for (size_t d = 0; d < 80; d++) {
			fill();
			memmove(a + 100 + d, a + 100, n);
			our_memmove(b + 100 + d, b + 100, n);
			memmove(a + 500 - d, a + 500, n);
			our_memmove(b + 500 - d, b + 500, n);
			EXPECT(!memcmp(a, b, 1000));
		}
}

static int sign_of(int v)
{
	return (v > 0) - (v < 0);
}

TEST(comparisons)
{
	for (size_t n = 0; n < 64; n++)
		for (size_t i = 0; i <= n; i++) {
			fill();
			b[i] ^= 1 << rand() % 8;
			EXPECT(sign_of(our_memcmp(a, b, n)) ==
			       sign_of(memcmp(a, b, n)));
		}
	EXPECT(our_memchr("abc", 'c', 3) && !our_memchr("abc", 'c', 2));
	EXPECT(our_strcmp("a", "a") == 0 && our_strcmp("a", "b") < 0);
	EXPECT(our_strcmp("\xff", "a") > 0 && our_strcmp("ab", "a") > 0);
	EXPECT(our_strncmp("abc", "abd", 2) == 0);
	EXPECT(our_strncmp("abc", "abd", 3) < 0);
}

TEST(strings)
{
	char buf[16] = "xxxxxxxxxxxxxxx";
	char list[] = ",a,,bc,";
	const char *s = "hello world";

	EXPECT_EQ(our_strlen(s), 11);
	EXPECT_EQ(our_strnlen(s, 4), 4);
	our_strncpy(buf, "ab", 5);
	EXPECT(!memcmp(buf, "ab\0\0\0x", 6));
	our_strcat(our_strcpy(buf, "one"), "two");
	EXPECT(!strcmp(buf, "onetwo"));
	EXPECT(!strcmp(our_strncat(buf, "three", 2), "onetwoth"));
	EXPECT(!strcmp(our_strncat(buf, "r", 2), "onetwothr"));
	EXPECT(our_strchr(s, 'o') == s + 4 && our_strrchr(s, 'o') == s + 7);
	EXPECT(our_strchr(s, 0) == s + 11 && our_strrchr(s, 0) == s + 11);
	EXPECT(!our_strchr(s, 'z') && !our_strrchr(s, 'z'));
	EXPECT_EQ(our_strspn(s, "leh"), 4);
	EXPECT_EQ(our_strcspn(s, " o"), 4);
	EXPECT(our_strpbrk(s, "wr") == s + 6 && !our_strpbrk(s, "xyz"));
	EXPECT(our_strstr(s, "wor") == s + 6 && our_strstr(s, "") == s);
	EXPECT(!our_strstr(s, "worldx"));
	EXPECT(!strcmp(our_strtok(list, ","), "a"));
	EXPECT(!strcmp(our_strtok(NULL, ","), "bc"));
	EXPECT(!our_strtok(NULL, ","));
}

TEST(characters)
{
	const unsigned short *ours = *our_ctype_b_loc();
	const int *lower = *our_ctype_tolower_loc();
	const int *upper = *our_ctype_toupper_loc();

	for (int c = -128; c < 256; c++) {
		EXPECT_EQ(ours[c], (*__ctype_b_loc())[c]);
		EXPECT_EQ(lower[c], (*__ctype_tolower_loc())[c]);
		EXPECT_EQ(upper[c], (*__ctype_toupper_loc())[c]);
	}
}

static void same_number(const char *s, int base)
{
	char *end, *our_end;

	errno = *our_errno_location() = 0;
	EXPECT_EQ(our_strtoul(s, &our_end, base), strtoul(s, &end, base));
	EXPECT(end == our_end && *our_errno_location() == errno);
	errno = *our_errno_location() = 0;
	EXPECT_EQ(our_strtol(s, &our_end, base), strtol(s, &end, base));
	EXPECT(end == our_end && *our_errno_location() == errno);
}

TEST(numbers)
{
	static const char *const texts[] = {
		"0",
		"42",
		"-42",
		" \t+7x",
		"0x1f",
		"0X1G",
		"0x",
		"077",
		"08",
		"",
		"-",
		"zz",
		"9223372036854775807",
		"9223372036854775808",
		"-9223372036854775808",
		"-9223372036854775809",
		"18446744073709551615",
		"18446744073709551616",
		"99999999999999999999999",
		"-18446744073709551616",
	};
	static const int bases[] = { 0, 8, 10, 16, 36 };

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		for (size_t j = 0; j < sizeof(bases) / sizeof(*bases); j++)
			same_number(texts[i], bases[j]);
}

static int compare(const void *p, const void *q)
{
	return memcmp(p, q, 3);
}

TEST(sorting)
{
	for (size_t n = 0; n < 300; n++) {
		fill();
		qsort(a, n, 3, compare);
		our_qsort(b, n, 3, compare);
		EXPECT(!memcmp(a, b, SIZE));
	}
}

static bool same_day(time_t t)
{
	struct tm ours, want;

	gmtime_r(&t, &want);
	our_gmtime_r(&t, &ours);
	return ours.tm_sec == want.tm_sec && ours.tm_min == want.tm_min &&
	       ours.tm_hour == want.tm_hour && ours.tm_mday == want.tm_mday &&
	       ours.tm_mon == want.tm_mon && ours.tm_year == want.tm_year &&
	       ours.tm_wday == want.tm_wday && ours.tm_yday == want.tm_yday;
}

/* Each day of the years 1600 to 2410. */
TEST(calendar)
{
	for (time_t day = -135140; day < 160800; day++)
		EXPECT(same_day(day * 86400 + day * 7919 % 86400));
	EXPECT(same_day(-1) && same_day(0) && same_day(253402300799));
}

/* The last year that an int can hold, and the next. */
TEST(far_from_now)
{
	static const time_t ends[] = { 67768036191676799, -67768040609740800,
				       67768036191676800, -67768040609740801,
				       INT64_MAX,	  INT64_MIN };
	struct tm tm;

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		*our_errno_location() = 0;
		EXPECT_EQ(our_gmtime_r(&ends[i], &tm) != NULL, i < 2);
		EXPECT_EQ(*our_errno_location(), i < 2 ? 0 : EOVERFLOW);
		EXPECT_EQ(gmtime_r(&ends[i], &tm) != NULL, i < 2);
	}
	EXPECT(same_day(ends[0]) && same_day(ends[1]));
}

TEST_MAIN(CASE(copies), CASE(overlaps), CASE(comparisons), CASE(strings),
	  CASE(characters), CASE(numbers), CASE(sorting), CASE(calendar),
	  CASE(far_from_now))

/*
 * The frame of a unit test. A test file names the objects it tests in a line
 * "units: a.c b.c" of its first comment; everything is built for the host
 * under ASan and UBSan. Each TEST prints one line, "PASS name" or "FAIL name".
 */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <stdio.h>

struct test_case {
	const char *name;
	void (*fn)(void);
};

static int test_failures; /* EXPECTs of the running test that failed */

#define TEST(name) static void name(void)
#define CASE(name)          \
	{                   \
#name, name \
	}

#define EXPECT(cond)                                                       \
	do {                                                               \
		if (!(cond)) {                                             \
			test_failures++;                                   \
			printf("%s:%d: expected %s\n", __FILE__, __LINE__, \
			       #cond);                                     \
		}                                                          \
	} while (0)

/* Integers of any type, at most 64 bits. */
#define EXPECT_EQ(got, want)                                             \
	do {                                                             \
		unsigned long long got_ = (unsigned long long)(got);     \
		unsigned long long want_ = (unsigned long long)(want);   \
		if (got_ != want_) {                                     \
			test_failures++;                                 \
			printf("%s:%d: %s is 0x%llx, expected 0x%llx\n", \
			       __FILE__, __LINE__, #got, got_, want_);   \
		}                                                        \
	} while (0)

#define TEST_MAIN(...)                                                        \
	int main(void)                                                        \
	{                                                                     \
		static const struct test_case cases[] = { __VA_ARGS__ };      \
		int failed = 0;                                               \
		for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) { \
			test_failures = 0;                                    \
			cases[i].fn();                                        \
			printf("%s %s\n", test_failures ? "FAIL" : "PASS",    \
			       cases[i].name);                                \
			failed += test_failures != 0;                         \
		}                                                             \
		return failed != 0;                                           \
	}

#endif

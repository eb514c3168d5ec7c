/*
 * Tests of a driver that keeps what it found for ever: each has a process of
 * its own, in which @machine is called first.
 */
#ifndef TESTS_UNIT_CHILD_H
#define TESTS_UNIT_CHILD_H

#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/test.h"

static inline void in_child(void (*machine)(void), void (*fn)(void))
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		machine();
		fn();
		fflush(stdout);
		_exit(test_failures != 0);
	}
	waitpid(pid, &status, 0);
	EXPECT_EQ(status, 0);
}

#define CHILD_TEST(machine, name)                   \
	static void name##_in_child(void);          \
	TEST(name)                                  \
	{                                           \
		in_child(machine, name##_in_child); \
	}                                           \
	static void name##_in_child(void)

#endif

/* Nothing but the CPU: between the two marks no exit has a reason. */
#include "kernel.h"

/* The marks are writes to a port that nobody has, which an emulator's trace
 * or breakpoint shows; and lines on the console. */
#define MARK 0x80

void test_bound(void)
{
	u64 x = 1, n = option("count", 1000) * 1000000;

	__asm__ volatile("cli");
	say("@@ mark 1\n");
	out8(MARK, 1);
	for (u64 i = 0; i < n; i++) {
		x = x * 6364136223846793005 + 1442695040888963407;
		__asm__ volatile("" : "+r"(x));
	}
	out8(MARK, 2);
	say("@@ mark 2 %lx\n", x);
}

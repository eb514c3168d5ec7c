/*
 * The guest's side of hypercalls, in front of a machine that is none of ours.
 *
 * units: tools/guest/hyper.c
 * libs: -include tests/unit/fake_hyper.h
 */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/child.h"
#include "tools/guest/hyper.h"

#define PAGE 4096

static unsigned char *page;

/* VMCALL where nothing is executed, which faults everywhere, and behind it a
 * return to who has called. */
int64_t shoji_hypercall(int vmmcall, struct shoji_regs *r)
{
	static const unsigned char code[] = { 0x0f, 0x01, 0xc1, 0xc3 };
	long rbx = (long)r->rbx;

	(void)vmmcall;
	memcpy(page + PAGE - 3, code, sizeof(code));
	mprotect(page + PAGE, PAGE, PROT_READ | PROT_EXEC);
	__asm__ volatile("call *%1"
			 : "+b"(rbx)
			 : "r"(page + PAGE - 3)
			 : "memory", "cc");
	r->rbx = (uint64_t)rbx;
	return 0;
}

static void machine(void)
{
	page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static struct sigaction action_of(int number)
{
	struct sigaction a;

	sigaction(number, NULL, &a);
	return a;
}

CHILD_TEST(machine, absent)
{
	struct sigaction before = action_of(SIGSEGV);

	EXPECT(!hyper_present());
	EXPECT(action_of(SIGSEGV).sa_sigaction == before.sa_sigaction);
}

/* As a thread that leaves all signals to another one. */
CHILD_TEST(machine, absent_and_blocked)
{
	sigset_t all, after;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	EXPECT(!hyper_present());
	sigprocmask(SIG_SETMASK, NULL, &after);
	EXPECT(sigismember(&after, SIGILL) && sigismember(&after, SIGSEGV));
}

TEST_MAIN(CASE(absent), CASE(absent_and_blocked))

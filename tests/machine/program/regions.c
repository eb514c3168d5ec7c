/*
 * Regions, from the guest: "first" may write to the region "shared", "second"
 * may read it, and "third" has no grant; see suite/program.py.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/program/abi.h"
#include "tools/guest/hyper.h"

#include "orders.h"

enum {
	FIRST,
	SECOND,
	THIRD
};

#define SIZE   (2560 << 10) /* with a large page in it */
#define SHARED (PROGRAM_REGIONS + PROGRAM_REGION_STEP)
#define AT     (SHARED + 12345)

static int failed;

static void expect(const char *what, int64_t got, int64_t want)
{
	if (got == want) {
		printf("@@ ok %s\n", what);
		return;
	}
	printf("@@ FAIL %s: 0x%llx, not 0x%llx\n", what, (long long)got,
	       (long long)want);
	failed = 1;
}

/* The reply's length, or an error. */
static int64_t ask(uint32_t to, uint32_t type, const void *data, size_t len,
		   int64_t reply[3], int64_t *status)
{
	struct hyper_message m = {
		.program = to,
		.type = type,
		.request = data,
		.request_len = len,
		.reply = reply,
		.reply_size = 24,
	};
	int64_t got = hyper_send(&m);

	*status = (int64_t)m.status;
	return got;
}

static int64_t map(uint32_t who, const char *name, int64_t reply[3])
{
	int64_t status;

	memset(reply, 0, 24);
	ask(who, ORDER_MAP, name, strlen(name), reply, &status);
	return status;
}

static void mapped(const char *what, uint32_t who, int64_t random)
{
	int64_t reply[3];

	expect(what, map(who, "shared", reply), SHARED);
	expect("its size", reply[0], SIZE);
	expect("a system call's write to it", reply[1], random);
	expect("a system call's write past it", reply[2], -PROGRAM_EFAULT);
}

static int64_t at(uint32_t who, uint32_t order, uint64_t address,
		  int64_t *status)
{
	int64_t reply[3];

	return ask(who, order, &address, sizeof(address), reply, status);
}

static void reads(const char *what, uint32_t who, int64_t byte)
{
	int64_t status;

	expect(what, at(who, ORDER_READ, AT, &status), 0);
	expect(what, status, byte);
}

/* It is stopped over it, for that reason, and starts again. */
static void stopped(const char *what, uint32_t who, uint32_t order,
		    uint64_t address, const char *why)
{
	struct shoji_program p;
	char text[64];
	int64_t status;

	snprintf(text, sizeof(text), "stopped: %s of 0x%llx", why,
		 (unsigned long long)address);
	expect(what, at(who, order, address, &status), -SHOJI_EIO);
	hyper_record(SHOJI_PROGRAM, who, &p, sizeof(p));
	expect(p.stopped, strcmp(p.stopped, text), 0);
}

static void grants(void)
{
	int64_t reply[3], status;

	stopped("not mapped yet", FIRST, ORDER_READ, AT, "read");
	mapped("first maps", FIRST, 0);
	mapped("and again", FIRST, 0);
	expect("first writes", at(FIRST, ORDER_WRITE, AT, &status), 0);
	stopped("second has not mapped", SECOND, ORDER_READ, AT, "read");
	mapped("second maps", SECOND, -PROGRAM_EFAULT);
	reads("what second sees", SECOND, 1);
	expect("third", map(THIRD, "shared", reply), -PROGRAM_ENOENT);
	stopped("third reads", THIRD, ORDER_READ, AT, "read");
	expect("another's", map(SECOND, "other", reply), -PROGRAM_ENOENT);
	expect("nobody's", map(FIRST, "none", reply), -PROGRAM_ENOENT);
	expect("its beginning", map(FIRST, "share", reply), -PROGRAM_ENOENT);
	expect("no name", map(FIRST, "", reply), -PROGRAM_ENOENT);
	expect("a long name",
	       map(FIRST, "sharedsharedsharedsharedsharedshared", reply),
	       -PROGRAM_ENOENT);
}

static void ends(void)
{
	int64_t status;

	stopped("second writes", SECOND, ORDER_WRITE, AT, "write");
	stopped("second has it no more", SECOND, ORDER_READ, AT, "read");
	stopped("first executes", FIRST, ORDER_EXECUTE, AT, "execution");
	mapped("first maps anew", FIRST, 0);
	reads("zeroed: it was the last one", FIRST, 0);
	expect("first writes anew", at(FIRST, ORDER_WRITE, AT, &status), 0);
	mapped("second maps anew", SECOND, -PROGRAM_EFAULT);
	stopped("first reads past it", FIRST, ORDER_READ, SHARED + SIZE,
		"read");
	reads("second has it still", SECOND, 1);
	stopped("first has it no more", FIRST, ORDER_WRITE, AT, "write");
	mapped("first maps once more", FIRST, 0);
	reads("what was kept", FIRST, 1);
}

int main(void)
{
	if (!hyper_present())
		return 2;
	grants();
	ends();
	return failed;
}

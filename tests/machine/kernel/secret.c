/*
 * What a program holds is looked for: by the CPU in all of the memory, and on
 * the disk (by the host), to which all of the memory is sent by DMA. Neither
 * pattern is in any image: each is put together out of two numbers.
 */
#include "kernel.h"

#include "call.h"

#define CHUNK 65536 /* bytes, of one PRD */

static volatile u64 low = SECRET_LOW, mask = SECRET_MASK;
/* What is to be found, so that the search is one; see CONTROL in calls.py. */
static volatile u64 control[512];

static u64 start, size, end;

static void scan(const char *name)
{
	u64 a = low, m = mask, secrets = 0, controls = 0;

	for (const volatile u64 *p = 0; p < (const volatile u64 *)end; p++) {
		u64 v = *p ^ m;

		secrets += v == a;
		controls += v == ~a;
	}
	check(!secrets && controls >= 512, name,
	      "the secret is there %lu times, the control %lu", secrets,
	      controls);
}

/* A chunk may be refused if hidden memory or a device is in it. */
static void send_all(const char *name)
{
	u64 lba = option("dump", 0), lost = 0, refused = 0;

	for (u64 at = 0; at < end; at += CHUNK, lba += CHUNK / 512) {
		bool hidden = at + CHUNK > start && at < start + size;

		if (disk_dma_out(at, lba))
			continue;
		refused += hidden;
		lost += !hidden && at >= 0x100000;
	}
	say("@@ refused %lu\n", refused);
	check(!lost, name, "%lu chunks of plain memory", lost);
}

static void look(const char *name, u8 turn)
{
	scan(name);
	send_all(name);
	say("@@ secret %s\n", name);
	disk_wait_for(option("go", 0), turn);
}

static int64_t order_secret(u64 value)
{
	static u8 reply[8];
	u64 request = value;

	return call_send(0, ORDER_SECRET, &request, sizeof(request), reply,
			 sizeof(reply));
}

void test_secret(void)
{
	int64_t rc;

	call_init();
	end = option("mib", 0) << 20;
	check(find_hidden(&start, &size) && start + size <= end, "hidden", " ");
	for (u32 i = 0; i < 512; i++)
		control[i] = low ^ ~mask;
	rc = order_secret(0);
	check(!rc, "order", "%lu", (u64)-rc);
	look("held", 1);
	rc = order_secret(1);
	check(rc == -SHOJI_EIO, "exit", "%lu", (u64)-rc);
	look("gone", 2);
}

/*
 * Port hooks: bitmap, order, splitting, moving.
 * units: core/io/port.c
 * libs: -lpthread
 */
#include <pthread.h>
#include <string.h>

#include "core/io/port.h"
#include "tests/unit/test.h"

/* The hardware: every port holds its low address byte; writes are listed. */
static struct {
	u16 port;
	u8 size;
	bool write;
	u32 count;
	u32 value;
} seen[64];
static unsigned int seen_count;

static void note(u16 port, u8 size, bool write, u32 count, u32 value)
{
	if (seen_count == 64)
		return;
	seen[seen_count].port = port;
	seen[seen_count].size = size;
	seen[seen_count].write = write;
	seen[seen_count].count = count;
	seen[seen_count++].value = value;
}

u32 hw_in(u16 port, u8 size)
{
	u32 v = 0;

	for (u8 i = 0; i < size; i++)
		v |= (u32)(u8)(port + i) << 8 * i;
	note(port, size, false, 1, v);
	return v;
}

void hw_out(u16 port, u8 size, u32 value)
{
	note(port, size, true, 1, value);
}

void hw_ins(u16 port, u8 size, void *dst, u32 count)
{
	memset(dst, 0x5a, (size_t)size * count);
	note(port, size, false, count, 0);
}

void hw_outs(u16 port, u8 size, const void *src, u32 count)
{
	note(port, size, true, count, *(const u8 *)src);
}

struct probe {
	enum verdict verdict;
	unsigned int calls;
	struct port_io last;
	u32 value;
};

static enum verdict probe_fn(void *ctx, const struct port_io *io)
{
	struct probe *p = ctx;

	p->calls++;
	p->last = *io;
	if (io->write)
		p->value = port_io_get(io, 0);
	else if (p->verdict == DONE)
		port_io_set(io, 0, p->value);
	return p->verdict;
}

static bool bit(u32 port)
{
	return port_bitmap()[port / 8] >> (port % 8) & 1;
}

static u32 in(u16 port, u8 size)
{
	u8 data[4] = { 0 };
	struct port_io io = { port, size, false, 1, data };

	port_access(&io);
	return load_le32(data);
}

static void out(u16 port, u8 size, u32 value)
{
	struct port_io io = { port, size, true, 1, &value };

	port_access(&io);
}

TEST(bitmap_is_what_hardware_wants)
{
	EXPECT_EQ((uintptr_t)port_bitmap() % 4096, 0);
	EXPECT_EQ(port_bitmap()[0x2000], 7);
	EXPECT(!bit(0x1f0));
}

TEST(verdicts)
{
	static struct probe p = { .verdict = DONE, .value = 0xcafe };
	static struct port_hook h = {
		.first = 0x100, .count = 4, .fn = probe_fn, .ctx = &p
	};

	port_hook_add(&h);
	EXPECT(!bit(0xff) && bit(0x100) && bit(0x103) && !bit(0x104));
	EXPECT_EQ(in(0xfe, 2), 0xfffe); /* ends before it: stays whole */
	EXPECT_EQ(seen_count, 1);
	seen_count = 0;
	EXPECT_EQ(in(0x102, 2), 0xcafe);
	EXPECT_EQ(seen_count, 0);

	p.verdict = DENY;
	EXPECT_EQ(in(0x100, 4), 0xffffffff);
	EXPECT_EQ(in(0x101, 1), 0xff);
	out(0x100, 1, 0x77);
	EXPECT_EQ(p.value, 0x77);
	EXPECT_EQ(seen_count, 0);

	p.verdict = PASS;
	EXPECT_EQ(in(0x100, 2), 0x0100);
	out(0x103, 4, 0x12345678); /* ends past the hook: given whole */
	EXPECT_EQ(p.last.size, 4);
	EXPECT_EQ(seen_count, 2);
	EXPECT_EQ(seen[1].value, 0x12345678);
	EXPECT_EQ(in(0x104, 1), 0x04); /* not hooked */
	port_hook_move(&h, 0, 0);
	EXPECT(!bit(0x100) && !bit(0x103));
	seen_count = 0;
}

TEST(not_watched)
{
	static struct probe p = { .verdict = DONE, .value = 0x5a };
	static struct port_hook h = {
		.first = 0x180, .count = 2, .fn = probe_fn, .ctx = &p
	};

	EXPECT(!port_known(0x181));
	port_hook_add(&h);
	EXPECT(bit(0x181) && port_known(0x181));
	port_hook_watch(&h, false);
	EXPECT(!bit(0x180) && !bit(0x181) && port_known(0x181));
	EXPECT_EQ(in(0x181, 1), 0x5a); /* by Shoji itself */
	port_hook_move(&h, 0x181, 2);
	EXPECT(h.first == 0x181 && h.count == 2);
	EXPECT(!bit(0x181) && !bit(0x182) && !port_known(0x180));
	port_hook_watch(&h, true);
	EXPECT(!bit(0x180) && bit(0x181) && bit(0x182));
	port_hook_move(&h, 0, 0);
	EXPECT(!bit(0x181) && !port_known(0x181));
}

TEST(split_before_a_hook)
{
	static struct probe p = { .verdict = DONE, .value = 0xee };
	static struct port_hook h = {
		.first = 0x202, .count = 1, .fn = probe_fn, .ctx = &p
	};

	port_hook_add(&h);
	EXPECT_EQ(in(0x200, 4), 0x03ee0100);
	EXPECT_EQ(p.calls, 1);
	EXPECT_EQ(p.last.port, 0x202);
	EXPECT_EQ(p.last.size, 1);
	EXPECT_EQ(seen_count, 3);

	seen_count = 0;
	out(0x201, 2, 0xbbaa);
	EXPECT_EQ(p.value, 0xbb);
	EXPECT_EQ(seen_count, 1);
	EXPECT_EQ(seen[0].port, 0x201);
	EXPECT_EQ(seen[0].value, 0xaa);
	port_hook_move(&h, 0, 0);
	seen_count = 0;
}

TEST(split_burst)
{
	static struct probe p = { .verdict = DENY };
	static struct port_hook h = {
		.first = 0x301, .count = 1, .fn = probe_fn, .ctx = &p
	};
	u8 data[6] = { 0 };
	struct port_io io = { 0x300, 2, false, 3, data };

	port_hook_add(&h);
	port_access(&io);
	EXPECT(!memcmp(data, "\x00\xff\x00\xff\x00\xff", 6));
	EXPECT_EQ(p.calls, 3);
	port_hook_move(&h, 0, 0);
	seen_count = 0;
}

TEST(bursts_stay_whole)
{
	static struct probe p = { .verdict = PASS };
	static struct port_hook h = {
		.first = 0x1f0, .count = 8, .fn = probe_fn, .ctx = &p
	};
	static u8 data[1024], sent[1024];
	struct port_io io = { 0x1f0, 2, false, 512, data };

	port_hook_add(&h);
	port_access(&io);
	EXPECT_EQ(p.calls, 1);
	EXPECT_EQ(p.last.count, 512);
	EXPECT_EQ(seen_count, 1);
	EXPECT_EQ(seen[0].count, 512);
	EXPECT_EQ(data[1023], 0x5a);
	p.verdict = DENY;
	port_access(&io);
	EXPECT_EQ(data[0], 0xff);
	EXPECT_EQ(data[1023], 0xff);
	io.write = true;
	p.verdict = PASS;
	port_access(&io);
	EXPECT_EQ(seen[1].write, true);
	EXPECT_EQ(seen[1].count, 512);
	p.verdict = DENY;
	io.data = sent;
	port_access(&io); /* only what is read is ones */
	EXPECT_EQ(sent[0], 0);
	port_hook_move(&h, 0, 0);
	seen_count = 0;
}

TEST(wrap_at_ffff)
{
	static struct probe p = { .verdict = DONE, .value = 0xab };
	static struct port_hook low = {
		.first = 0x0, .count = 1, .fn = probe_fn, .ctx = &p
	};
	static struct port_hook both = {
		.first = 0xffff, .count = 2, .fn = probe_fn, .ctx = &p
	};

	port_hook_add(&low);
	EXPECT_EQ(in(0xfffe, 4), 0x01abfffe);
	port_hook_move(&low, 0, 0);
	port_hook_add(&both);
	EXPECT(bit(0xffff) && bit(0) && !bit(1) && !bit(0xfffe));
	EXPECT_EQ(in(0xffff, 2), 0x00ab);
	port_hook_move(&both, 0, 0);
	EXPECT(!bit(0xffff) && !bit(0));
	seen_count = 0;
}

TEST(newest_first_and_chained)
{
	static struct probe a = { .verdict = DONE, .value = 1 };
	static struct probe b = { .verdict = DONE, .value = 2 };
	static struct port_hook ha = {
		.first = 0xcf8, .count = 8, .fn = probe_fn, .ctx = &a
	};
	static struct port_hook hb = {
		.first = 0xcf8, .count = 2, .fn = probe_fn, .ctx = &b
	};

	port_hook_add(&ha);
	port_hook_add(&hb);
	EXPECT_EQ(in(0xcf8, 4), 2);
	EXPECT_EQ(a.calls, 0);
	b.verdict = PASS;
	EXPECT_EQ(in(0xcf8, 4), 1);
	EXPECT_EQ(a.last.size, 4);
	EXPECT_EQ(in(0xcf9, 4), 1); /* in both: not split */
	EXPECT_EQ(a.last.size, 4);
	EXPECT_EQ(in(0xcf7, 2), 0x01f7);

	/* Taking one away leaves the other's bits. */
	port_hook_move(&ha, 0xcfc, 4);
	EXPECT(bit(0xcf8) && bit(0xcf9) && !bit(0xcfa) && bit(0xcfc));
	port_hook_move(&hb, 0xcfe, 0x10);
	EXPECT(!bit(0xcf8) && bit(0xcfc) && bit(0xd0d) && !bit(0xd0e));
	port_hook_move(&ha, 0, 0);
	EXPECT(!bit(0xcfc) && !bit(0xcfd) && bit(0xcfe));
	port_hook_move(&hb, 0, 0);
	EXPECT(!bit(0xcfe));
	seen_count = 0;
}

static struct probe racer = { .verdict = DONE, .value = 0x99 };
static struct port_hook race_hook = {
	.first = 0x4000, .count = 0x10, .fn = probe_fn, .ctx = &racer
};

static unsigned int moves;

static void *move_about(void *stop)
{
	while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED)) {
		port_hook_move(&race_hook, 0x4008, 0x10);
		port_hook_move(&race_hook, 0x4000, 0x10);
		__atomic_add_fetch(&moves, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* 4008 to 400F are in the hook at both places: never open, never split. */
TEST(moving_never_opens_what_stays_covered)
{
	bool stop = false;
	unsigned int bad = 0;
	pthread_t thread;

	port_hook_add(&race_hook);
	pthread_create(&thread, NULL, move_about, &stop);
	for (u32 i = 0;
	     i < 300000 || __atomic_load_n(&moves, __ATOMIC_RELAXED) < 10000;
	     i++) {
		bad += !bit(0x4008 + i % 8);
		bad += in(0x4008 + i % 8, 1) != 0x99;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(bad, 0);
	seen_count = 0;
}

TEST_MAIN(CASE(bitmap_is_what_hardware_wants), CASE(verdicts),
	  CASE(not_watched), CASE(split_before_a_hook), CASE(split_burst),
	  CASE(bursts_stay_whole), CASE(wrap_at_ffff),
	  CASE(newest_first_and_chained),
	  CASE(moving_never_opens_what_stays_covered))

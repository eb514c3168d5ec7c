/*
 * The disk filter against a byte-by-byte reference over libcrypto's EVP.
 *
 * units: crypto/disk/disk.c crypto/xts.c crypto/selftest.c
 * libs: -l:libcrypto.a -ldl -lpthread
 */
#define _GNU_SOURCE /* REG_RIP */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "core/lib/log.h"
#include "core/lib/string.h"
#include "crypto/disk/disk.h"
#include "crypto/xts.h"
#include "tests/unit/test.h"

#define GUEST_BASE 0x40000000ULL
#define GUEST_SIZE (256 * 1024)
#define DATA_MAX   (32 * 1024)
#define SEG_MAX	   4096

static u8 guest[GUEST_SIZE];
static u8 taken[GUEST_SIZE]; /* how often sg_ptr() has handed a byte out */
static int fpu_depth, fpu_calls;
static u8 *fpu_told; /* set when it is taken; shared with a child */

/* ---- what the filter stands on ------------------------------------------ */

void *sg_ptr(gpa_t gpa, u32 len)
{
	u64 off = gpa - GUEST_BASE;

	if (off > GUEST_SIZE || len > GUEST_SIZE - off)
		abort();
	for (u32 i = 0; i < len; i++)
		taken[off + i]++;
	return guest + off;
}

void log_line(const char *format, ...)
{
}

static const void *wiped; /* the last call of wipe() */
static size_t wiped_size, wiped_nonzero;

void wipe(void *p, size_t n)
{
	u8 *b = p;

	wiped = p;
	wiped_size = n;
	wiped_nonzero = 0;
	for (size_t i = 0; i < n; i++)
		wiped_nonzero += b[i] != 0;
	memset(p, 0, n);
}

static void (*in_request)(void); /* called in each, if not NULL */

static void fpu_begin(void)
{
	if (fpu_told)
		*fpu_told = 1;
	if (fpu_depth++)
		abort();
	fpu_calls++;
	if (in_request)
		in_request();
}

static void fpu_end(void)
{
	if (--fpu_depth)
		abort();
}

static const struct disk_fpu fpu = { fpu_begin, fpu_end };

/* ---- reference ---------------------------------------------------------- */

static u8 raw_keys[VOLUME_MAX][64];
static struct volume volumes[VOLUME_MAX];
static size_t volume_count;

static void reference_sector(const struct volume *v, u64 sector, u8 *data,
			     bool encrypt)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	u8 iv[16] = { 0 };
	int n;

	for (int i = 0; i < 8; i++)
		iv[i] = (u8)(sector >> 8 * i);
	if (!EVP_CipherInit_ex(ctx,
			       v->key_len == 64 ? EVP_aes_256_xts()
						: EVP_aes_128_xts(),
			       NULL, v->key, iv, encrypt) ||
	    !EVP_CipherUpdate(ctx, data, &n, data, 512) || n != 512)
		abort();
	EVP_CIPHER_CTX_free(ctx);
}

/* @sector and @count in units of 512 bytes; volumes by bit in @set. */
static bool reference(u32 set, u64 sector, u64 count, u8 *data, bool encrypt)
{
	bool covered = false;

	for (u64 s = sector; s < sector + count; s++, data += 512) {
		for (size_t i = 0; i < volume_count; i++) {
			const struct volume *v = &volumes[i];

			if (set >> i & 1 && s >= v->first && s <= v->last) {
				reference_sector(v, s, data, encrypt);
				covered = true;
			}
		}
	}
	return covered;
}

/* ---- random requests ---------------------------------------------------- */

static u64 random_state = 88172645463325252ULL;

static u64 rnd(u64 below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % below;
}

static void fill(u8 *p, size_t n)
{
	for (; n; n--)
		*p++ = (u8)rnd(256);
}

static struct volume *add_volume(const char *bus, u64 first, u64 last)
{
	struct volume *v = &volumes[volume_count];

	memset(v, 0, sizeof(*v));
	snprintf(v->name, sizeof(v->name), "v%zu", volume_count);
	snprintf(v->match.bus, sizeof(v->match.bus), "%s", bus);
	v->match.given = MATCH_BUS;
	v->first = first;
	v->last = last;
	fill(raw_keys[volume_count], 64);
	v->key = raw_keys[volume_count];
	v->key_len = rnd(2) ? 64 : 32;
	volume_count++;
	return v;
}

/* Volumes 1 to 6 on "ide", with neighbours that touch and gaps between, the
 * last open-ended; volumes 0 and 7 on other buses over all of it. */
static void make_volumes(void)
{
	volume_count = 0;
	add_volume("usb", 0, VOLUME_TO_END);
	add_volume("ide", 100, 119);
	add_volume("ide", 120, 120);
	add_volume("ide", 121, 140);
	add_volume("ide", 143, 143);
	add_volume("ide", 16, 47);
	add_volume("ide", 200, VOLUME_TO_END);
	add_volume("ahci", 0, VOLUME_TO_END);
	EXPECT_EQ(disk_init(volumes, volume_count, &fpu), 0);
}
#define IDE_SET 0x7e

static struct block_id id_of(const char *bus, u32 sector_size)
{
	struct block_id id = { .bus = bus, .sector_size = sector_size };

	snprintf(id.model, sizeof(id.model), "DISK");
	snprintf(id.serial, sizeof(id.serial), "S1");
	return id;
}

static const struct block_dev *device(u32 sector_size)
{
	struct block_id id = id_of("ide", sector_size);

	return disk_filter()->attach(&id);
}

struct request {
	struct sg_seg seg[SEG_MAX];
	struct sg_list sg;
	u64 offset; /* in the list */
};

static u32 piece(unsigned int shape)
{
	switch (shape) {
	case 0: /* pages, as an OS sends them */
		return 4096;
	case 1: /* sectors */
		return 512 * (u32)(1 + rnd(5));
	case 2: /* nothing fits */
		return 2 * (u32)(1 + rnd(700));
	default: /* tiny and empty ones */
		return (u32)rnd(40);
	}
}

/* A list of @bytes after @offset whose segments do not overlap. */
static void make_list(struct request *r, u64 bytes)
{
	unsigned int shape = (unsigned int)rnd(4);
	u64 at = rnd(512);

	r->offset = rnd(3) ? 0 : rnd(600);
	bytes += r->offset;
	for (r->sg.count = 0; bytes; r->sg.count++) {
		u32 n = piece(shape);

		n = n < bytes && r->sg.count < SEG_MAX - 1 ? n : (u32)bytes;
		r->seg[r->sg.count] = (struct sg_seg){ GUEST_BASE + at, n };
		at += n + rnd(16);
		bytes -= n;
	}
	r->sg.seg = r->seg;
}

/* Copies between the list and @data, leaving the first offset bytes out. */
static void list_copy(const struct request *r, u8 *memory, u8 *data, u64 bytes,
		      bool to_list)
{
	u64 skip = r->offset;

	for (u32 i = 0; i < r->sg.count; i++) {
		u8 *p = memory + (r->seg[i].gpa - GUEST_BASE);

		for (u32 n = 0; n < r->seg[i].len; n++) {
			if (skip) {
				skip--;
			} else if (bytes) {
				if (to_list)
					p[n] = *data++;
				else
					*data++ = p[n];
				bytes--;
			}
		}
	}
}

struct shape {
	u32 sector_size;
	u64 lba;
	u32 count;
	u64 sector; /* the first, of 512 bytes */
	u64 bytes;
};

static struct shape make_shape(void)
{
	static const u32 sizes[] = { 512, 512, 1024, 2048, 4096 };
	struct shape s = { .sector_size = sizes[rnd(ARRAY_SIZE(sizes))] };
	u32 factor = s.sector_size / 512;

	s.count = (u32)(1 + rnd(rnd(2) ? 3 : 60 / factor));
	s.lba = rnd(220) / factor;
	if (!rnd(10))
		s.lba += 1ULL << 40;
	s.sector = s.lba * factor;
	s.bytes = (u64)s.count * s.sector_size;
	return s;
}

/* ---- tests -------------------------------------------------------------- */

static u8 before[GUEST_SIZE], want[GUEST_SIZE];
static struct request request;

static void check_calls(bool covered)
{
	EXPECT_EQ(fpu_calls, covered);
	EXPECT_EQ(fpu_depth, 0);
}

static void one_decode_sg(void)
{
	struct shape s = make_shape();
	const struct block_dev *dev = device(s.sector_size);
	u8 data[DATA_MAX];
	bool covered;

	make_list(&request, s.bytes);
	fill(guest, sizeof(guest) / 4);
	memcpy(want, guest, sizeof(want));
	list_copy(&request, want, data, s.bytes, false);
	covered = reference(IDE_SET, s.sector, s.bytes / 512, data, false);
	list_copy(&request, want, data, s.bytes, true);
	EXPECT_EQ(disk_filter()->covers(dev, s.lba, s.count), covered);
	fpu_calls = 0;
	disk_filter()->decode_sg(dev, s.lba, s.count, &request.sg,
				 request.offset);
	EXPECT(!memcmp(guest, want, sizeof(want)));
	check_calls(covered);
}

static void check_read_once(const struct shape *s)
{
	u8 data[DATA_MAX];
	u64 total = 0;

	list_copy(&request, taken, data, s->bytes, false);
	for (u64 i = 0; i < s->bytes; i++)
		EXPECT_EQ(data[i], 1);
	for (size_t i = 0; i < sizeof(taken); i++)
		total += taken[i];
	EXPECT_EQ(total, s->bytes);
}

static void one_encode_sg(void)
{
	struct shape s = make_shape();
	const struct block_dev *dev = device(s.sector_size);
	u8 data[DATA_MAX], got[DATA_MAX + 1];
	bool covered;

	make_list(&request, s.bytes);
	fill(guest, sizeof(guest) / 4);
	memcpy(before, guest, sizeof(before));
	list_copy(&request, guest, data, s.bytes, false);
	covered = reference(IDE_SET, s.sector, s.bytes / 512, data, true);
	memset(taken, 0, sizeof(taken));
	fpu_calls = 0;
	got[s.bytes] = 0xa5;
	disk_filter()->encode_sg(dev, s.lba, s.count, &request.sg,
				 request.offset, got);
	EXPECT(!memcmp(got, data, s.bytes));
	EXPECT_EQ(got[s.bytes], 0xa5);
	EXPECT(!memcmp(guest, before, sizeof(before)));
	check_calls(covered);
	check_read_once(&s);
}

static void one_buffer(void)
{
	struct shape s = make_shape();
	const struct block_dev *dev = device(s.sector_size);
	const struct block_filter *f = disk_filter();
	u8 plain[DATA_MAX], data[DATA_MAX], got[DATA_MAX];
	bool covered;

	fill(plain, s.bytes);
	memcpy(data, plain, s.bytes);
	covered = reference(IDE_SET, s.sector, s.bytes / 512, data, true);
	fpu_calls = 0;
	f->encode(dev, s.lba, s.count, plain, got);
	check_calls(covered);
	EXPECT(!memcmp(got, data, s.bytes));
	f->decode(dev, s.lba, s.count, got, got);
	EXPECT(!memcmp(got, plain, s.bytes));
	memcpy(got, plain, s.bytes);
	f->encode(dev, s.lba, s.count, got, got);
	EXPECT(!memcmp(got, data, s.bytes));
}

static void repeat(void (*fn)(void))
{
	make_volumes();
	for (int i = 0; i < 500 && !test_failures; i++)
		fn();
}

TEST(disk_decode_sg_random)
{
	repeat(one_decode_sg);
}

TEST(disk_encode_sg_random)
{
	repeat(one_encode_sg);
}

TEST(disk_buffers_random)
{
	repeat(one_buffer);
}

static struct volume_match match(u8 given, u8 channel, u8 unit)
{
	struct volume_match m = { .given = given,
				  .channel = channel,
				  .unit = unit,
				  .bus = "ide",
				  .model = "DISK",
				  .serial = "S1" };

	return m;
}

static bool attached(const struct block_id *id)
{
	return disk_filter()->attach(id) != NULL;
}

/* Every criterion that is given counts, one that is not does not. */
TEST(disk_matches_all_that_is_given)
{
	struct block_id id = id_of("ide", 512);

	id.channel = 1;
	volume_count = 0;
	add_volume("ide", 0, 9)->match = match(MATCH_ALL, 1, 0);
	EXPECT_EQ(disk_init(volumes, 1, &fpu), 0);
	EXPECT(attached(&id));
	id.controller = 1;
	EXPECT(!attached(&id));
	id.controller = 0;
	id.channel = 0;
	EXPECT(!attached(&id));
	id.channel = 1;
	id.unit = 1;
	EXPECT(!attached(&id));
	id.unit = 0;
	id.bus = "ahci";
	EXPECT(!attached(&id));
	id.bus = "ide";
	strcpy(id.model, "DISKS");
	EXPECT(!attached(&id));
	strcpy(id.model, "DISK");
	strcpy(id.serial, "S");
	EXPECT(!attached(&id));

	/* one that has not told its names yet may be it */
	strcpy(id.model, "");
	EXPECT(disk_filter()->expects(&id));
	id.unit = 1;
	EXPECT(!disk_filter()->expects(&id));
	id.unit = 0;
	id.channel = 0;
	EXPECT(!disk_filter()->expects(&id));

	volumes[0].match.given = MATCH_MODEL;
	id = (struct block_id){ .bus = "usb",
				.model = "DISK",
				.sector_size = 512,
				.controller = 5,
				.channel = 3,
				.unit = 7 };
	EXPECT(attached(&id));
}

/* Each volume has to find a device before the guest may start. */
TEST(disk_unattached_volume_is_told)
{
	struct block_id id = id_of("ide", 512);

	volume_count = 0;
	add_volume("ide", 0, 9)->match = match(MATCH_BUS | MATCH_UNIT, 0, 0);
	add_volume("ide", 20, 29)->match = match(MATCH_BUS | MATCH_UNIT, 0, 1);
	EXPECT_EQ(disk_init(volumes, 2, &fpu), 0);
	EXPECT(disk_unattached() == &volumes[0]);
	EXPECT(attached(&id));
	EXPECT(disk_unattached() == &volumes[1]);
	id.unit = 1;
	EXPECT(attached(&id));
	EXPECT(!disk_unattached());
}

/* A device that does not say what it is might be any there. */
TEST(disk_silent_device)
{
	struct block_id id = { .bus = "ide", .channel = 1, .silent = true };

	volume_count = 0;
	add_volume("ide", 0, 9)->match = match(MATCH_ALL, 1, 0);
	EXPECT_EQ(disk_init(volumes, 1, &fpu), 0);
	EXPECT(attached(&id));
	EXPECT(disk_unattached() == &volumes[0]);
	id.channel = 0;
	EXPECT(!attached(&id));
}

TEST(disk_no_volume_passes)
{
	struct block_id id = id_of("ide", 512);

	EXPECT_EQ(disk_init(NULL, 0, &fpu), 0);
	EXPECT(!attached(&id));
}

TEST(disk_same_device_again)
{
	make_volumes();
	EXPECT(device(512) == device(512));
	EXPECT(device(512) != device(4096));
}

/* A volume from the first sector to the last, which is the first of all. */
TEST(disk_all_of_a_device)
{
	static const u8 plain[512];
	struct block_id id = id_of("usb", 512);
	const struct block_dev *dev;
	u8 got[512], cipher[512] = { 0 };

	make_volumes();
	dev = disk_filter()->attach(&id);
	EXPECT(disk_filter()->covers(dev, 0, 1));
	EXPECT(disk_filter()->covers(dev, ~0ULL - 1, 1));
	reference_sector(&volumes[0], 5, cipher, true);
	fpu_calls = 0;
	disk_filter()->encode(dev, 5, 1, plain, got);
	EXPECT(!memcmp(got, cipher, 512));
	check_calls(true);
}

/* Sectors of a size that none have, or that is not known. */
TEST(disk_odd_sector_sizes_are_covered)
{
	make_volumes();
	EXPECT(device(0) == device(512));
	EXPECT(device(256) == device(512));
	EXPECT(device(1 << 20) == device(4096));
}

/* The plaintext of a sector that was put together is not left behind. */
TEST(disk_sector_in_two_segments_is_wiped)
{
	struct sg_seg segs[] = { { GUEST_BASE, 200 },
				 { GUEST_BASE + 300, 312 } };
	struct sg_list sg = { .seg = segs, .count = 2 };
	const u8 *p;

	make_volumes();
	disk_filter()->decode_sg(device(512), 100, 1, &sg, 0);
	p = wiped;
	EXPECT(p && (p < guest || p >= guest + sizeof(guest)));
	EXPECT_EQ(wiped_size, 512);
	EXPECT(wiped_nonzero > 400);
}

/* More sets of volumes than there are entries: nothing goes out plain, also
 * after all of them have come. */
TEST(disk_many_devices_stay_protected)
{
	static const struct block_dev *dev[64 * 4];
	static const u8 plain[4096];
	u8 out[4096];

	volume_count = 0;
	for (unsigned int i = 0; i < 8; i++) {
		add_volume("ide", 10 * i, 10 * i + 9)->match.given =
			MATCH_MODEL;
		snprintf(volumes[i].match.model, 41, "M%u", i);
	}
	for (unsigned int i = 0; i < 8; i++) {
		add_volume("ide", 100 + 10 * i, 109 + 10 * i)->match.given =
			MATCH_SERIAL;
		snprintf(volumes[8 + i].match.serial, 21, "S%u", i);
	}
	EXPECT_EQ(disk_init(volumes, volume_count, &fpu), 0);
	for (unsigned int n = 0; n < 64 * 4; n++) {
		struct block_id id = id_of("ide", 512U << n / 64);

		snprintf(id.model, sizeof(id.model), "M%u", n % 8);
		snprintf(id.serial, sizeof(id.serial), "S%u", n / 8 % 8);
		dev[n] = disk_filter()->attach(&id);
		EXPECT(dev[n] != NULL);
		if (!dev[n])
			return;
	}
	EXPECT_EQ(disk_counters(0).decoded, 0);
	for (unsigned int n = 0; n < 64 * 4; n++) {
		u32 factor = 1U << n / 64;
		u64 m = 10 * (n % 8) + 7, s = 100 + 10 * (n / 8 % 8) + 7;

		disk_filter()->encode(dev[n], m / factor, 1, plain, out);
		EXPECT(memcmp(plain, out, 512 * factor));
		disk_filter()->encode(dev[n], s / factor, 1, plain, out);
		EXPECT(memcmp(plain, out, 512 * factor));
	}
}

/* An LBA that wraps when it is turned into 512-byte sectors. */
TEST(disk_no_wrap_to_plain_sectors)
{
	make_volumes();
	EXPECT(disk_filter()->covers(device(4096), 1ULL << 61, 1));
	EXPECT(disk_filter()->covers(device(4096), ~0ULL, ~0U));
	EXPECT(!disk_filter()->covers(device(512), 0, 16));
	EXPECT(disk_filter()->covers(device(512), 0, 17));
	EXPECT(!disk_filter()->covers(device(512), 17, 0));
}

TEST(disk_counts_sectors)
{
	u8 data[8 * 512] = { 0 };

	make_volumes();
	disk_filter()->encode(device(512), 98, 4, data, data);
	disk_filter()->decode(device(4096), 2, 1, data, data);
	EXPECT_EQ(disk_counters(1).encoded, 2);
	EXPECT_EQ(disk_counters(1).decoded, 0);
	EXPECT_EQ(disk_counters(5).decoded, 8);
}

TEST(disk_refuses_bad_keys)
{
	struct block_id id = id_of("ide", 512);

	make_volumes();
	memcpy(raw_keys[2] + volumes[2].key_len / 2, raw_keys[2],
	       volumes[2].key_len / 2);
	wiped_nonzero = 0;
	EXPECT_EQ(disk_init(volumes, volume_count, &fpu), -EINVAL);
	EXPECT(wiped_nonzero > 2 * 150); /* those that were good */
	EXPECT(!attached(&id));
}

TEST(disk_refuses_too_many_volumes)
{
	static struct volume many[VOLUME_MAX + 1];

	make_volumes();
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = volumes[0];
	EXPECT_EQ(disk_init(many, VOLUME_MAX, &fpu), 0);
	EXPECT_EQ(disk_init(many, VOLUME_MAX + 1, &fpu), -EINVAL);
}

/*
 * A time-stamp counter of the test's own, which gains 2^28 whenever it is read:
 * RDTSC faults (PR_SET_TSC), and SIGSEGV's handler is the instruction.
 */
static u64 ticks;

static void on_rdtsc(int signal, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	const u8 *insn = (const u8 *)regs[REG_RIP];

	if (insn[0] != 0x0f || insn[1] != 0x31)
		abort();
	ticks += BIT(28);
	regs[REG_RAX] = (u32)ticks;
	regs[REG_RDX] = (u32)(ticks >> 32);
	regs[REG_RIP] += 2;
}

/* Returns the ticks that it took. */
static u64 timed_wipe(void)
{
	struct sigaction ours = { .sa_sigaction = on_rdtsc,
				  .sa_flags = SA_SIGINFO };
	struct sigaction old;

	ticks = 0;
	sigaction(SIGSEGV, &ours, &old);
	prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
	disk_keys_wipe();
	prctl(PR_SET_TSC, PR_TSC_ENABLE);
	sigaction(SIGSEGV, &old, NULL);
	return ticks;
}

/* Whole pages that hold nothing else, and not zero by chance; and at once, after
 * requests that have ended. */
TEST(disk_keys_wipe_wipes)
{
	u8 data[512] = { 0 };
	const u8 *p;

	make_volumes();
	disk_filter()->encode(device(512), 100, 1, data, data);
	EXPECT_EQ(timed_wipe(), BIT(28));
	p = wiped;
	EXPECT_EQ((uintptr_t)p % 4096, 0);
	EXPECT_EQ(wiped_size % 4096, 0);
	EXPECT(wiped_size >= sizeof(struct xts_key) * VOLUME_MAX);
	EXPECT(wiped_nonzero > volume_count * 3 * 150);
	for (size_t i = 0; i < wiped_size; i++)
		EXPECT_EQ(p[i], 0);
}

static void wipe_and_exit(void)
{
	if (timed_wipe() < BIT(30))
		_exit(6);
	_exit(wiped_nonzero ? 7 : 8);
}

/* A request that has begun is waited for; but one on a CPU that has stopped for
 * good never ends. */
TEST(disk_keys_wipe_waits_but_not_for_ever)
{
	static const u8 plain[512];
	u8 out[512];
	int status = 0;
	pid_t child;

	make_volumes();
	child = fork();
	if (!child) {
		in_request = wipe_and_exit;
		disk_filter()->encode(device(512), 100, 1, plain, out);
		_exit(1);
	}
	waitpid(child, &status, 0);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

/* Neither garbage nor plaintext: the CPU stays in the filter. */
TEST(disk_no_answer_without_keys)
{
	volatile u8 *out = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	make_volumes();
	disk_keys_wipe();
	fpu_told = (u8 *)out + 1024;
	child = fork();
	if (!child) {
		static const u8 in[512] = { 1 };

		disk_filter()->encode(device(512), 0, 1, in, (u8 *)out + 512);
		disk_filter()->encode(device(512), 100, 1, in, (u8 *)out);
		_exit(0);
	}
	while (!out[512] && !waitpid(child, NULL, WNOHANG))
		;
	usleep(100000);
	EXPECT_EQ(waitpid(child, NULL, WNOHANG), 0);
	EXPECT_EQ(out[512], 1);
	EXPECT_EQ(out[1024], 0);
	fpu_told = NULL;
	for (size_t i = 0; i < 512; i++)
		EXPECT_EQ(out[i], 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	munmap((u8 *)out, 4096);
}

int main(void)
{
	static const struct test_case cases[] = {
		CASE(disk_decode_sg_random),
		CASE(disk_encode_sg_random),
		CASE(disk_buffers_random),
		CASE(disk_matches_all_that_is_given),
		CASE(disk_unattached_volume_is_told),
		CASE(disk_silent_device),
		CASE(disk_no_volume_passes),
		CASE(disk_same_device_again),
		CASE(disk_all_of_a_device),
		CASE(disk_odd_sector_sizes_are_covered),
		CASE(disk_sector_in_two_segments_is_wiped),
		CASE(disk_many_devices_stay_protected),
		CASE(disk_no_wrap_to_plain_sectors),
		CASE(disk_counts_sectors),
		CASE(disk_refuses_bad_keys),
		CASE(disk_refuses_too_many_volumes),
		CASE(disk_keys_wipe_wipes),
		CASE(disk_keys_wipe_waits_but_not_for_ever),
		CASE(disk_no_answer_without_keys),
	};
	int failed = crypto_init() != 0;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		test_failures = 0;
		cases[i].fn();
		printf("%s %s\n", test_failures ? "FAIL" : "PASS",
		       cases[i].name);
		failed += test_failures != 0;
	}
	return failed != 0;
}

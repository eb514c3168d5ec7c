/*
 * The configuration blob: what tools/mkconfig writes is read back; what is
 * missing, broken or of another version is told apart.
 *
 * units: core/config.c
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "core/lib/string.h"
#include "tests/unit/test.h"

void wipe(void *p, size_t n)
{
	memset(p, 0, n);
}

#define KEY_A "5d0c6a3be17f92480a6e35c1f7489bd2e4f01b6c83a95d27b0cc417e2f68d935"
#define KEY_B                                                              \
	"81f2c9d04be6375aa01c77d25e3bf8496d20e4b71fc85a933cb6d15e087fa264" \
	"c7351ae04f9b62d83e05b1fc68d72a94fa9c0b3e7715d64ae2903c5fb86d1e27"

static const char toml[] = "[console]\n"
			   "serial = 0x3e8\n"
			   "[panic]\n"
			   "action = 'reboot'\n"
			   "[[volume]]\n"
			   "name = 'root'\n"
			   "bus = 'ide'\n"
			   "controller = 2\n"
			   "channel = 1\n"
			   "unit = 0\n"
			   "first_lba = 2048\n"
			   "last_lba = 'end'\n"
			   "cipher = 'aes-xts-plain64'\n"
			   "key = '" KEY_A "'\n"
			   "[[volume]]\n"
			   "name = 'data'\n"
			   "model = 'DISK 1'\n"
			   "serial = 'S 1'\n"
			   "first_lba = 100\n"
			   "sectors = 50\n"
			   "cipher = 'aes-xts-plain64'\n"
			   "key = '" KEY_B "'\n"
			   "[[conceal]]\n"
			   "class = '0c03'\n"
			   "[[conceal]]\n"
			   "vendor = 0x8086\n"
			   "device = 0x100e\n"
			   "[[conceal]]\n"
			   "address = '0001:02:1f.7'\n"
			   "[hypercall]\n"
			   "allow = 'user'\n"
			   "[[program]]\n"
			   "name = 'sign'\n"
			   "sha256 = '" KEY_A "'\n"
			   "memory_kib = 256\n"
			   "stack_kib = 16\n"
			   "message_kib = 8\n"
			   "messages = 3\n"
			   "slice_us = 400\n"
			   "time_ms = 70\n"
			   "restart = true\n"
			   "callers = 'user'\n"
			   "sends = ['other']\n"
			   "regions = ['big:ro', 'small:rw']\n"
			   "[[program]]\n"
			   "name = 'other'\n"
			   "sha256 = '" KEY_A "'\n"
			   "[[region]]\n"
			   "name = 'small'\n"
			   "size_kib = 4\n"
			   "[[region]]\n"
			   "name = 'big'\n"
			   "size_kib = 8192\n";

enum {
	SIZE = 32 + 2 * 188 + 3 * 16 + 2 * 96 + 2 * 40,
	REGION_0 = 32 + 2 * 188 + 3 * 16 + 2 * 96,
	PROGRAM_0 = 32 + 2 * 188 + 3 * 16,
	VOLUME_0 = 32,
	VOLUME_1 = 32 + 188,
	CONCEAL_0 = 32 + 2 * 188
};

static u8 good[SIZE], blob[SIZE + 16];
static struct config config;

/* Compiles @toml with the shipped compiler. */
static void make_good(void)
{
	char dir[] = "/tmp/config_test.XXXXXX", name[64], command[256];
	FILE *f;

	if (!mkdtemp(dir))
		abort();
	snprintf(name, sizeof(name), "%s/t.toml", dir);
	f = fopen(name, "w");
	fputs(toml, f);
	fclose(f);
	snprintf(command, sizeof(command),
		 "tools/mkconfig %s -o %s/b 2>/dev/null; cat %s/b; rm -r %s",
		 name, dir, dir, dir);
	f = popen(command, "r");
	EXPECT_EQ(fread(good, 1, SIZE, f), SIZE);
	EXPECT_EQ(fgetc(f), EOF);
	EXPECT_EQ(pclose(f), 0);
}

/* CRC-32 by the nibble, so not the code under test. */
static u32 crc(const u8 *p, size_t n)
{
	static const u32 table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	u32 c = ~0U;

	for (; n; n--, p++) {
		c = table[(c ^ *p) & 15] ^ c >> 4;
		c = table[(c ^ *p >> 4) & 15] ^ c >> 4;
	}
	return ~c;
}

static void seal(size_t size)
{
	u32 sum = crc(blob + 20, size - 20), len = (u32)size;

	memcpy(blob + 12, &len, 4);
	memcpy(blob + 16, &sum, 4);
}

static int parse(size_t size, const char **why)
{
	*why = "(nothing)";
	return config_parse(blob, size, &config, why);
}

#define EXPECT_REFUSED(size, err, word)              \
	do {                                         \
		const char *why;                     \
		EXPECT_EQ(parse(size, &why), (err)); \
		EXPECT(strstr(why, word));           \
		if (!strstr(why, word))              \
			printf("says: %s\n", why);   \
	} while (0)

TEST(config_reads_what_mkconfig_writes)
{
	const struct volume *v = config.volumes;
	const char *why;

	make_good();
	memcpy(blob, good, SIZE);
	EXPECT_EQ(parse(SIZE, &why), 0);
	EXPECT_EQ(config.serial_port, 0x3e8);
	EXPECT_EQ(config.panic_action, CONFIG_PANIC_REBOOT);
	EXPECT_EQ(config.volume_count, 2);
	EXPECT(!strcmp(v[0].name, "root"));
	EXPECT_EQ(v[0].match.given, 0x0f);
	EXPECT(!strcmp(v[0].match.bus, "ide"));
	EXPECT_EQ(v[0].match.controller, 2);
	EXPECT_EQ(v[0].match.channel, 1);
	EXPECT_EQ(v[0].first, 2048);
	EXPECT_EQ(v[0].last, VOLUME_TO_END);
	EXPECT_EQ(v[0].key_len, 32);
	EXPECT(v[0].key == blob + VOLUME_0 + 124);
	EXPECT_EQ(v[0].key[0], 0x5d);
	EXPECT_EQ(v[0].key[31], 0x35);
	EXPECT_EQ(v[1].match.given, 0x30);
	EXPECT(!strcmp(v[1].match.model, "DISK 1"));
	EXPECT(!strcmp(v[1].match.serial, "S 1"));
	EXPECT_EQ(v[1].last, 149);
	EXPECT_EQ(v[1].key_len, 64);
	EXPECT_EQ(v[1].key[63], 0x27);
	EXPECT_EQ(config.conceal_count, 3);
}

TEST(config_programs)
{
	const struct program_manifest *p = config.programs;

	EXPECT_EQ(config.hypercall, HYPERCALL_USER);
	EXPECT_EQ(config.program_count, 2);
	EXPECT(!strcmp(p[0].name, "sign"));
	EXPECT_EQ(p[0].sha256[0], 0x5d);
	EXPECT_EQ(p[0].sha256[31], 0x35);
	EXPECT_EQ(p[0].memory_kib, 256);
	EXPECT_EQ(p[0].stack_kib, 16);
	EXPECT_EQ(p[0].message_kib, 8);
	EXPECT_EQ(p[0].slice_us, 400);
	EXPECT_EQ(p[0].time_ms, 70);
	EXPECT_EQ(p[0].messages, 3);
	EXPECT_EQ(p[0].restart, 1);
	EXPECT_EQ(p[0].user, 1);
	EXPECT_EQ(p[0].sends, 2);
	EXPECT_EQ(p[1].memory_kib, 2048);
	EXPECT_EQ(p[1].stack_kib, 64);
	EXPECT_EQ(p[1].message_kib, 64);
	EXPECT_EQ(p[1].slice_us, 500);
	EXPECT_EQ(p[1].time_ms, 10000);
	EXPECT_EQ(p[1].messages, 8);
	EXPECT_EQ(p[1].restart | p[1].user | p[1].sends, 0);
	EXPECT_EQ(p[0].regions, 3);
	EXPECT_EQ(p[0].writes, 1);
	EXPECT_EQ(p[1].regions | p[1].writes, 0);
	EXPECT_EQ(config.region_count, 2);
	EXPECT(!strcmp(config.regions[0].name, "small"));
	EXPECT_EQ(config.regions[0].size_kib, 4);
	EXPECT(!strcmp(config.regions[1].name, "big"));
	EXPECT_EQ(config.regions[1].size_kib, 8192);
}

TEST(config_conceals_by_rule)
{
	struct config_function f = { .vendor = 0x8086, .device = 0x100e };

	EXPECT(config_conceals(&config, &f));
	f.device = 0x100f;
	EXPECT(!config_conceals(&config, &f));
	f.class = 0x0c0330;
	EXPECT(config_conceals(&config, &f));
	f.class = 0x0c0430;
	EXPECT(!config_conceals(&config, &f));
	f = (struct config_function){
		.segment = 1, .bus = 2, .dev = 31, .fn = 7
	};
	EXPECT(config_conceals(&config, &f));
	f.segment = 0;
	EXPECT(!config_conceals(&config, &f));
	f.segment = 1;
	for (u8 *p = &f.bus; p <= &f.fn; p++) {
		*p ^= 1;
		EXPECT(!config_conceals(&config, &f));
		*p ^= 1;
	}
	EXPECT(config_conceals(&config, &f));
	f = (struct config_function){ .vendor = 0x8087, .device = 0x100e };
	EXPECT(!config_conceals(&config, &f));
}

/* Two volumes in the same sectors are refused unless no device can be both's:
 * one field that both give and that differs is enough. */
TEST(config_overlaps_on_one_device_only)
{
	static const struct {
		size_t at; /* in a volume */
		u8 given;
	} fields[] = { { 32, MATCH_BUS },      { 103, MATCH_CONTROLLER },
		       { 104, MATCH_CHANNEL }, { 105, MATCH_UNIT },
		       { 40, MATCH_MODEL },    { 81, MATCH_SERIAL } };
	const char *why;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		for (unsigned int n = 0; n < 3; n++) {
			u8 *v = blob + VOLUME_0, *w = blob + VOLUME_1;

			memcpy(blob, good, SIZE);
			memset(v + 32, 0, 70); /* bus, model, serial */
			memset(w + 32, 0, 70);
			memset(v + 103, 'a', 3);
			memset(w + 103, 'a', 3);
			v[fields[i].at] = 'a';
			w[fields[i].at] = n == 1 ? 'a' : 'b';
			v[102] = w[102] = fields[i].given;
			if (n == 2) { /* only one of them has it */
				memset(w + 32, 0, 70);
				w[102] = MATCH_UNIT;
				if (fields[i].given == MATCH_UNIT)
					w[102] = MATCH_CHANNEL;
			}
			memset(v + 108, 0, 8);
			seal(SIZE);
			EXPECT_EQ(parse(SIZE, &why), n ? -EINVAL : 0);
			EXPECT(!n || strstr(why, "overlap"));
		}
	}
	/* side by side is no overlap */
	memcpy(blob, good, SIZE);
	blob[VOLUME_0 + 108] = 150;
	blob[VOLUME_0 + 109] = 0;
	seal(SIZE);
	EXPECT_EQ(parse(SIZE, &why), 0);
	memcpy(blob + VOLUME_1 + 108, blob + VOLUME_0 + 108, 8);
	memcpy(blob + VOLUME_0 + 108, good + VOLUME_1 + 108, 16);
	memset(blob + VOLUME_1 + 116, 0xff, 8);
	seal(SIZE);
	EXPECT_EQ(parse(SIZE, &why), 0);
}

TEST(config_missing)
{
	EXPECT_REFUSED(0, -ENOENT, "no configuration");
}

TEST(config_other_version)
{
	memcpy(blob, good, SIZE);
	blob[8] = 2;
	EXPECT_REFUSED(SIZE, -ENOSYS, "newer Shoji");
	EXPECT_REFUSED(32, -ENOSYS, "newer Shoji");
	blob[8] = 0;
	EXPECT_REFUSED(SIZE, -ENOSYS, "older Shoji");
}

TEST(config_broken_in_any_byte)
{
	for (size_t i = 0; i < SIZE; i++) {
		const char *why;

		memcpy(blob, good, SIZE);
		blob[i] ^= 0x10;
		EXPECT_EQ(parse(SIZE, &why),
			  i >= 8 && i < 12 ? -ENOSYS : -EINVAL);
	}
	memcpy(blob, good, SIZE);
	blob[0] = 's';
	EXPECT_REFUSED(SIZE, -EINVAL, "does not begin");
	memcpy(blob, good, SIZE);
	blob[100]++;
	EXPECT_REFUSED(SIZE, -EINVAL, "checksum");
}

TEST(config_broken_in_size)
{
	for (size_t size = 1; size < sizeof(blob); size++) {
		const char *why;

		memcpy(blob, good, SIZE);
		EXPECT_EQ(parse(size, &why), size == SIZE ? 0 : -EINVAL);
		seal(size < 32 ? 32 : size);
		EXPECT_EQ(parse(size, &why), size == SIZE ? 0 : -EINVAL);
		EXPECT(size == SIZE || strstr(why, "size"));
	}
}

/* Values out of bounds under a good checksum: @n bytes at @at become @value. */
static const struct bad {
	size_t at;
	u64 value;
	size_t n;
	const char *word;
} bad[] = {
	{ 22, 2, 1, "header" },	 /* panic action */
	{ 23, 17, 1, "header" }, /* volumes */
	{ 23, 1, 1, "size" },	 /* volumes */
	{ 24, 33, 1, "header" }, /* conceal rules */
	{ 25, 4, 1, "header" },	 /* ATA options */
	{ 27, 17, 1, "header" }, /* bounce buffer: too large */
	{ 26, 2, 1, "header" },	 /* no whole pages */
	{ 28, 9, 1, "header" },	 /* programs */
	{ 28, 1, 1, "size" },
	{ 29, 3, 1, "header" }, /* hypercalls */
	{ 30, 9, 1, "header" }, /* regions */
	{ 30, 1, 1, "size" },
	{ 31, 1, 1, "header" },		       /* must be 0 */
	{ VOLUME_0, 0, 1, "a volume" },	       /* text after the end */
	{ VOLUME_0, 0, 4, "a volume" },	       /* no name */
	{ VOLUME_0 + 1, 0x1b, 1, "a volume" }, /* not printable */
	{ VOLUME_0 + 2, 0xff, 1, "a volume" },
	{ VOLUME_0 + 32, 0x6161616161616161, 8, "a volume" }, /* no end */
	{ VOLUME_0 + 102, 0, 1, "a volume" },	 /* matches anything */
	{ VOLUME_0 + 102, 0x0e, 1, "a volume" }, /* bus, but not given */
	{ VOLUME_0 + 102, 0x1f, 1, "a volume" }, /* given, but no model */
	{ VOLUME_0 + 102, 0x4f, 1, "a volume" },
	{ VOLUME_0 + 106, 31, 1, "a volume" }, /* key length */
	{ VOLUME_0 + 106, 255, 1, "a volume" },
	{ VOLUME_0 + 107, 2, 1, "a volume" }, /* cipher */
	{ VOLUME_0 + 108, ~0ULL, 8, "a volume" },
	{ VOLUME_1 + 116, 99, 8, "a volume" },	   /* ends before it begins */
	{ VOLUME_0 + 124 + 32, 1, 1, "a volume" }, /* key is longer */
	{ VOLUME_1 + 116, 2048, 8, "overlap" },
	{ VOLUME_0 + 108, 149, 8, "overlap" },
	{ CONCEAL_0, 0, 1, "conceal" },
	{ CONCEAL_0, 0x14, 1, "conceal" },
	{ CONCEAL_0 + 1, 4, 1, "conceal" },
	{ CONCEAL_0 + 1, 255, 1, "conceal" },
	{ CONCEAL_0 + 12, 1, 1, "conceal" }, /* class bytes that do not count */
	{ CONCEAL_0 + 32 + 9, 32, 1, "conceal" },
	{ CONCEAL_0 + 32 + 10, 8, 1, "conceal" },
	{ PROGRAM_0, 0, 4, "a program" }, /* no name */
	{ PROGRAM_0 + 1, 7, 1, "a program" },
	{ PROGRAM_0 + 64, 60, 4, "a program" }, /* memory */
	{ PROGRAM_0 + 64, 65540, 4, "a program" },
	{ PROGRAM_0 + 64, 254, 4, "a program" },
	{ PROGRAM_0 + 68, 0, 4, "a program" }, /* stack */
	{ PROGRAM_0 + 68, 8196, 4, "a program" },
	{ PROGRAM_0 + 68, 232, 4, "a program" }, /* all of the memory */
	{ PROGRAM_0 + 72, 0, 4, "a program" },	 /* messages */
	{ PROGRAM_0 + 72, 1028, 4, "a program" },
	{ PROGRAM_0 + 76, 49, 4, "a program" }, /* slice */
	{ PROGRAM_0 + 76, 100001, 4, "a program" },
	{ PROGRAM_0 + 80, 0, 4, "a program" }, /* time */
	{ PROGRAM_0 + 80, 3600001, 4, "a program" },
	{ PROGRAM_0 + 84, 0, 1, "a program" }, /* messages */
	{ PROGRAM_0 + 84, 17, 1, "a program" },
	{ PROGRAM_0 + 85, 2, 1, "a program" },
	{ PROGRAM_0 + 86, 2, 1, "a program" },
	{ PROGRAM_0 + 87, 4, 1, "a program" }, /* to a third program */
	{ PROGRAM_0 + 88, 7, 1, "a program" }, /* a third region */
	{ PROGRAM_0 + 89, 4, 1, "a program" },
	{ PROGRAM_0 + 96 + 89, 1, 1, "a program" }, /* only to write to */
	{ PROGRAM_0 + 90, 1, 1, "a program" },
	{ PROGRAM_0 + 95, 1, 1, "a program" },
	{ REGION_0, 0, 8, "a region" }, /* no name */
	{ REGION_0 + 31, 1, 1, "a region" },
	{ REGION_0 + 32, 0, 4, "a region" }, /* size */
	{ REGION_0 + 32, 6, 4, "a region" },
	{ REGION_0 + 32, 8196, 4, "a region" },
	{ REGION_0 + 36, 1, 1, "a region" }, /* must be 0 */
};

TEST(config_values_out_of_bounds)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		memcpy(blob, good, SIZE);
		memcpy(blob + bad[i].at, &bad[i].value, bad[i].n);
		seal(SIZE);
		EXPECT_REFUSED(SIZE, -EINVAL, bad[i].word);
	}
}

/* The same at the bounds. */
static const struct {
	size_t at;
	u64 value;
	size_t n;
} fits[] = {
	{ 26, 4096, 2 },	     /* bounce buffer */
	{ VOLUME_0 + 1, 0x7e20, 2 }, /* printable */
	{ VOLUME_1 + 116, 100, 8 },  /* one sector */
	{ PROGRAM_0 + 64, 64, 4 },   /* memory */
	{ PROGRAM_0 + 64, 65536, 4 },
	{ PROGRAM_0 + 68, 4, 4 }, /* stack */
	{ PROGRAM_0 + 68, 228, 4 },
	{ PROGRAM_0 + 72, 4, 4 },  /* messages */
	{ PROGRAM_0 + 76, 50, 4 }, /* slice */
	{ PROGRAM_0 + 76, 100000, 4 },
	{ PROGRAM_0 + 80, 3600000, 4 }, /* time */
	{ PROGRAM_0 + 84, 1, 1 },
	{ PROGRAM_0 + 84, 16, 1 },
};

TEST(config_values_at_their_bounds)
{
	const char *why;

	for (size_t i = 0; i < ARRAY_SIZE(fits); i++) {
		memcpy(blob, good, SIZE);
		memcpy(blob + fits[i].at, &fits[i].value, fits[i].n);
		seal(SIZE);
		EXPECT_EQ(parse(SIZE, &why), 0);
	}
}

TEST(config_weak_keys)
{
	memcpy(blob, good, SIZE);
	memcpy(blob + VOLUME_0 + 124 + 16, blob + VOLUME_0 + 124, 16);
	seal(SIZE);
	EXPECT_REFUSED(SIZE, -EINVAL, "weak");
	memcpy(blob, good, SIZE);
	memset(blob + VOLUME_1 + 124 + 32, 0, 32);
	seal(SIZE);
	EXPECT_REFUSED(SIZE, -EINVAL, "weak");
	memcpy(blob, good, SIZE);
	memset(blob + VOLUME_0 + 124, 0, 16);
	seal(SIZE);
	EXPECT_REFUSED(SIZE, -EINVAL, "weak");
}

TEST(config_wipe_forgets_the_keys)
{
	const char *why;

	memcpy(blob, good, SIZE);
	EXPECT_EQ(parse(SIZE, &why), 0);
	config_wipe(&config, blob, SIZE);
	EXPECT(!config.volumes[0].key && !config.volumes[1].key);
	EXPECT(!strcmp(config.volumes[1].match.model, "DISK 1"));
	for (size_t i = 0; i < SIZE; i++)
		EXPECT_EQ(blob[i], 0);
}

TEST_MAIN(CASE(config_reads_what_mkconfig_writes), CASE(config_programs),
	  CASE(config_conceals_by_rule),
	  CASE(config_overlaps_on_one_device_only), CASE(config_missing),
	  CASE(config_other_version), CASE(config_broken_in_any_byte),
	  CASE(config_broken_in_size), CASE(config_values_out_of_bounds),
	  CASE(config_values_at_their_bounds), CASE(config_weak_keys),
	  CASE(config_wipe_forgets_the_keys))

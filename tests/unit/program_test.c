/*
 * The pure parts of protected programs: ELF files, address spaces, messages,
 * random bytes.
 *
 * units: core/program/elf.c core/program/space.c core/program/mail.c core/program/random.c
 */
#include "core/program/abi.h"
#include "core/program/elf.h"
#include "core/program/mail.h"
#include "core/program/random.h"
#include "core/program/space.h"

#include <stdlib.h>
#include <string.h>

#include "core/lib/errors.h"
#include "core/lib/panic.h"
#include "core/lib/string.h"
#include "tests/unit/test.h"

void wipe(void *p, size_t n)
{
	memset(p, 0, n);
}

void panic(const char *format, ...)
{
	printf("panic: %s\n", format);
	abort();
}

/* ---- ELF ------------------------------------------------------------------ */

struct file {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
	struct {
		u32 type, flags;
		u64 offset, vaddr, paddr, filesz, memsz, align;
	} ph[10];
	u8 body[64];
};

#define LOW  0x10000
#define HIGH 0x20000000

/* Code at 401000h, data with 100h bytes of zeros behind at 402ff0h. */
static struct file good(void)
{
	struct file f = {
		.ident = { 0x7f, 'E', 'L', 'F', 2, 1, 1 },
		.type = 2,
		.machine = 62,
		.entry = 0x401004,
		.phoff = 64,
		.phentsize = 56,
		.phnum = 3,
	};

	f.ph[0].type = 1;
	f.ph[0].flags = 5;
	f.ph[0].vaddr = 0x401000;
	f.ph[0].offset = 624;
	f.ph[0].filesz = f.ph[0].memsz = 32;
	f.ph[1].type = 1;
	f.ph[1].flags = 6;
	f.ph[1].vaddr = 0x402ff0;
	f.ph[1].offset = 656;
	f.ph[1].filesz = 32;
	f.ph[1].memsz = 0x100;
	f.ph[2].type = 0x6474e551;
	f.ph[2].flags = 6;
	return f;
}

static const char *parse(const struct file *f, struct elf_image *e)
{
	return elf_parse(f, sizeof(*f), LOW, HIGH, 0x400000, e);
}

TEST(elf_segments)
{
	struct file f = good();
	struct elf_image e;

	f.ph[0].flags |= 0x78; /* the system's own */
	EXPECT(!parse(&f, &e));
	EXPECT_EQ(e.entry, 0x401004);
	EXPECT_EQ(e.bias, 0);
	EXPECT_EQ(e.count, 2);
	EXPECT_EQ(e.pages, 3);
	EXPECT_EQ(e.segment[0].start, 0x401000);
	EXPECT_EQ(e.segment[0].access, ELF_R | ELF_X);
	EXPECT_EQ(e.segment[1].start, 0x402000);
	EXPECT_EQ(e.segment[1].pages, 2);
	EXPECT_EQ(e.segment[1].skip, 0xff0);
	EXPECT_EQ(e.segment[1].offset, 656);
	EXPECT_EQ(e.segment[1].file_size, 32);
	EXPECT_EQ(e.segment[1].access, ELF_R | ELF_W);
}

TEST(elf_moved)
{
	struct file f = good();
	struct elf_image e;

	f.type = 3;
	f.entry = 0x1004;
	f.ph[0].vaddr = 0x1000;
	f.ph[1].vaddr = 0x2ff0;
	EXPECT(!parse(&f, &e));
	EXPECT_EQ(e.bias, 0x400000);
	EXPECT_EQ(e.entry, 0x401004);
	EXPECT_EQ(e.segment[1].start, 0x402000);
}

TEST(elf_any_order)
{
	struct file f = good(), g = good();
	struct elf_image e;

	f.ph[0] = g.ph[1];
	f.ph[1] = g.ph[0];
	f.ph[2].type = 1; /* empty: nothing of it counts */
	f.ph[2].flags = 7;
	EXPECT(!parse(&f, &e));
	EXPECT_EQ(e.count, 2);
	EXPECT_EQ(e.segment[1].start, 0x401000);
	f.ph[2].type = 4; /* a note */
	EXPECT(!parse(&f, &e));
	EXPECT_EQ(e.count, 2);
}

/* The last bytes of the file, of the addresses and of the code's page. */
TEST(elf_to_the_edges)
{
	struct file f = good();
	struct elf_image e;

	f.ph[0].vaddr = LOW;
	f.entry = LOW + 0xfff;
	f.ph[1].vaddr = HIGH - 0x100;
	f.ph[1].offset = sizeof(f) - 32;
	EXPECT(!parse(&f, &e));
	EXPECT(e.segment[0].start == LOW && e.segment[0].pages == 1);
	EXPECT(e.segment[1].start == HIGH - 0x1000 && e.segment[1].pages == 1);
	f.entry = LOW;
	EXPECT(!parse(&f, &e));
	f = good();
	f.phnum = ELF_SEGMENTS_MAX;
	for (int i = 1; i < ELF_SEGMENTS_MAX; i++) {
		f.ph[i] = f.ph[0];
		f.ph[i].vaddr = 0x401000 + 0x1000 * i;
	}
	EXPECT(!parse(&f, &e));
	EXPECT_EQ(e.count, ELF_SEGMENTS_MAX);
}

static bool refused(struct file *f, const char *word)
{
	struct elf_image e;
	const char *why = parse(f, &e);

	if (!why || !strstr(why, word))
		printf("says: %s\n", why ? why : "(nothing)");
	*f = good();
	return why && strstr(why, word);
}

TEST(elf_refused)
{
	struct file f = good();
	struct elf_image e;
	u8 *part = malloc(63);

	memcpy(part, &f, 63);
	EXPECT(elf_parse(part, 63, LOW, HIGH, 0, &e));
	free(part);
	f.ident[4] = 1;
	EXPECT(refused(&f, "not an ELF64"));
	f.machine = 3;
	EXPECT(refused(&f, "x86-64"));
	f.type = 1;
	EXPECT(refused(&f, "not a program"));
	f.phentsize = 32;
	EXPECT(refused(&f, "program headers"));
	f.phoff = ~0ULL;
	EXPECT(refused(&f, "program headers"));
	f.phnum = 60;
	EXPECT(refused(&f, "program headers"));
	f.ph[0].flags = 7;
	EXPECT(refused(&f, "writable and executable"));
	f.ph[2].flags = 7;
	EXPECT(refused(&f, "executable stack"));
	f.ph[2].type = 3;
	EXPECT(refused(&f, "dynamic linker"));
	f.ph[1].filesz = 0x101;
	EXPECT(refused(&f, "not in the file"));
	f.ph[0].memsz = 31;
	EXPECT(refused(&f, "not in the file"));
	f.ph[0].offset = ~0ULL - 8;
	EXPECT(refused(&f, "not in the file"));
	f.ph[1].vaddr = 0x401800;
	EXPECT(refused(&f, "share a page"));
	f.ph[2] = f.ph[1];
	f.ph[2].vaddr = 0x403800;
	EXPECT(refused(&f, "share a page"));
	f.ph[1].vaddr = 0xf000;
	EXPECT(refused(&f, "too low"));
	f.ph[1].vaddr = HIGH - 0x80;
	EXPECT(refused(&f, "too high"));
	f.ph[1].vaddr = ~0ULL - 0x80;
	EXPECT(refused(&f, "too high"));
	f.ph[1].memsz = ~0ULL;
	EXPECT(refused(&f, "too high"));
	f.type = 3; /* comes round to 100000h */
	f.ph[1].vaddr = -0x300000ULL;
	EXPECT(refused(&f, "too high"));
	f.entry = 0x402ff0;
	EXPECT(refused(&f, "entry point"));
	f.entry = 0x402000;
	EXPECT(refused(&f, "entry point"));
	f.entry = 0x400fff;
	EXPECT(refused(&f, "entry point"));
	f.phnum = 10;
	for (int i = 0; i < 10; i++) {
		f.ph[i] = f.ph[0];
		f.ph[i].vaddr = 0x401000 + 0x1000 * i;
	}
	EXPECT(refused(&f, "too many segments"));
}

/* ---- spaces --------------------------------------------------------------- */

TEST(space_bounds)
{
	static u8 code[4096], data[8192];
	struct space s = { 0 };

	space_add(&s, 0x400000, 4096, ELF_R | ELF_X, code);
	space_add(&s, 0x402000, 8192, ELF_R | ELF_W, data);
	EXPECT(space_find(&s, 0x400000, 4096, ELF_R) == code);
	EXPECT(!space_find(&s, 0x400000, 4097, ELF_R));
	EXPECT(!space_find(&s, 0x400000, 1, ELF_W));
	EXPECT(space_find(&s, 0x403fff, 1, ELF_W) == data + 8191);
	EXPECT(!space_find(&s, 0x403fff, 2, ELF_W));
	EXPECT(!space_find(&s, 0x401000, 1, ELF_R));
	EXPECT(!space_find(&s, 0x402000, ~0ULL, ELF_R));
	EXPECT(!space_find(&s, ~0ULL, 2, ELF_R));
	EXPECT(space_find(&s, ~0ULL, 0, ELF_W));
}

/* ---- messages ------------------------------------------------------------- */

static const struct mail_sender kernel = { PROGRAM_FROM_KERNEL, 0x1000 };
static const struct mail_sender alice = { PROGRAM_FROM_USER, 0x2000 };
static const struct mail_sender bob = { PROGRAM_FROM_USER, 0x3000 };
static const struct mail_sender self = { 1, 0 };

static int post(struct mailbox *b, const struct mail_sender *from, u64 id,
		u64 now)
{
	struct mail_slot m = { .id = id, .sender = *from, .type = 7 };
	int i = mail_take(b, from, now);

	if (i >= 0)
		mail_post(b, i, &m, now);
	return i;
}

TEST(mail_in_order)
{
	struct mailbox b = { .slots = 4, .stale_ns = 100 };
	struct mail_slot *s;

	EXPECT_EQ(post(&b, &alice, 11, 1), 0);
	EXPECT_EQ(post(&b, &bob, 12, 1), 1);
	EXPECT_EQ(mail_count(&b, MAIL_WAITING), 2);
	s = mail_receive(&b, 2);
	EXPECT_EQ(s->id, 11);
	EXPECT(mail_open(&b, 11) == s && !mail_open(&b, 12));
	EXPECT_EQ(mail_receive(&b, 2)->id, 12);
	EXPECT(!mail_receive(&b, 2));
	EXPECT(!mail_sent(&b, 11, &bob, 3) && !mail_sent(&b, 11, &kernel, 3));
	EXPECT_EQ(mail_reply(s, 5, -3, 3), 0);
	EXPECT(mail_sent(&b, 11, &alice, 3) == s);
	EXPECT_EQ(s->state, MAIL_DONE);
	EXPECT(s->length == 5 && s->status == -3 && !s->failed);
	mail_drop(s, 4);
	EXPECT(!mail_sent(&b, 11, &alice, 5) && !mail_open(&b, 11));
}

TEST(mail_half_for_one)
{
	struct mailbox b = { .slots = 4, .stale_ns = 100 };

	EXPECT_EQ(post(&b, &alice, 11, 1), 0);
	EXPECT_EQ(post(&b, &alice, 12, 1), 1);
	EXPECT_EQ(post(&b, &alice, 13, 1), -EBUSY);
	EXPECT_EQ(post(&b, &bob, 14, 1), 2);
	EXPECT_EQ(post(&b, &kernel, 15, 1), 3);
	EXPECT_EQ(post(&b, &self, 16, 1), -EBUSY);
	b.slots = 1;
	EXPECT(!mail_sent(&b, 12, &alice, 1));
	b.slot[0].state = MAIL_FREE;
	EXPECT_EQ(post(&b, &alice, 17, 1), 0);
	b = (struct mailbox){ .slots = 2, .stale_ns = 100 };
	EXPECT_EQ(post(&b, &alice, 18, 1), 0);
	EXPECT_EQ(post(&b, &alice, 19, 1), -EBUSY);
}

TEST(mail_given_up)
{
	struct mailbox b = { .slots = 4, .stale_ns = 100 };
	struct mail_slot *s;

	post(&b, &alice, 11, 1);
	mail_drop(mail_sent(&b, 11, &alice, 1), 1);
	EXPECT(!mail_receive(&b, 1));
	post(&b, &alice, 12, 1);
	s = mail_receive(&b, 1);
	mail_drop(s, 2);
	EXPECT_EQ(s->state, MAIL_DEAD);
	EXPECT(!mail_sent(&b, 12, &alice, 2));
	EXPECT(mail_open(&b, 12) == s);
	EXPECT_EQ(mail_reply(s, 1, 0, 3), -ENOENT);
	EXPECT_EQ(s->state, MAIL_FREE);
}

/* A process that has died asks no more. */
TEST(mail_stale)
{
	struct mailbox b = { .slots = 2, .stale_ns = 100 };
	struct mail_slot *s;

	post(&b, &alice, 11, 0);
	post(&b, &self, 12, 0);
	EXPECT_EQ(post(&b, &bob, 13, 99), -EBUSY);
	(void)mail_sent(&b, 11, &alice, 99);
	EXPECT_EQ(post(&b, &bob, 13, 150), -EBUSY);
	EXPECT_EQ(post(&b, &bob, 13, 199), 0);
	s = mail_receive(&b, 200);
	EXPECT_EQ(s->id, 12);
	s = mail_receive(&b, 200);
	EXPECT_EQ(post(&b, &alice, 14, 400), -EBUSY);
	EXPECT_EQ(s->state, MAIL_DEAD);
	EXPECT_EQ(b.slot[1].state, MAIL_OPEN); /* another program's */
	/* while it is worked on, no other takes its place */
	EXPECT_EQ(post(&b, &alice, 15, 600), -EBUSY);
	EXPECT_EQ(s->state, MAIL_DEAD);
	b = (struct mailbox){ .slots = 1, .stale_ns = 100 };
	EXPECT_EQ(post(&b, &kernel, 16, 0), 0);
	EXPECT_EQ(post(&b, &bob, 17, 100), 0);
	/* a reply that nobody has fetched */
	EXPECT_EQ(mail_reply(mail_receive(&b, 101), 8, 0, 105), 0);
	EXPECT_EQ(post(&b, &alice, 18, 204), -EBUSY);
	EXPECT_EQ(post(&b, &alice, 18, 205), 0);
}

/* ... but what is new on a CPU whose clock is ahead is not old. */
TEST(mail_of_a_clock_that_is_ahead)
{
	struct mailbox b = { .slots = 2, .stale_ns = 100 };

	post(&b, &alice, 11, 51);
	post(&b, &kernel, 12, 51);
	(void)mail_receive(&b, 51);
	EXPECT_EQ(post(&b, &bob, 13, 50), -EBUSY);
	EXPECT(mail_sent(&b, 11, &alice, 50) && mail_sent(&b, 12, &kernel, 50));
	EXPECT(mail_wanted(&b, 11, 49));
}

/* ... and who stands still for long keeps what nobody else has to have. */
TEST(mail_that_is_in_nobodys_way)
{
	struct mailbox b = { .slots = 3, .stale_ns = 100 };

	EXPECT_EQ(post(&b, &alice, 11, 0), 0);
	EXPECT_EQ(post(&b, &bob, 12, 100), 1);
	EXPECT_EQ(post(&b, &kernel, 13, 100), 2);
	EXPECT_EQ(mail_reply(mail_receive(&b, 100), 9, 0, 100), 0);
	EXPECT(mail_sent(&b, 11, &alice, 100));
}

TEST(mail_of_a_stopped_program)
{
	struct mailbox b = { .slots = 4, .stale_ns = 100 };
	struct mail_slot *s;

	post(&b, &alice, 11, 1);
	post(&b, &alice, 12, 1);
	post(&b, &bob, 13, 1);
	EXPECT_EQ(mail_reply(mail_receive(&b, 1), 9, 0, 1), 0);
	mail_drop(mail_receive(&b, 1), 1);
	mail_fail(&b, 2);
	s = mail_sent(&b, 11, &alice, 2);
	EXPECT(s && s->state == MAIL_DONE && s->failed && !s->length);
	EXPECT(!mail_sent(&b, 12, &alice, 2));
	s = mail_sent(&b, 13, &bob, 2);
	EXPECT(s && s->state == MAIL_DONE && s->failed && !s->length);
}

TEST(mail_from_a_stopped_program)
{
	struct mailbox b = { .slots = 4, .stale_ns = 100 };
	struct mail_slot *s;

	post(&b, &self, 11, 1);
	post(&b, &self, 12, 1);
	post(&b, &bob, 13, 1);
	s = mail_receive(&b, 1);
	mail_forget(&b, &self, 2);
	EXPECT_EQ(s->state, MAIL_DEAD);
	mail_forget(&b, &self, 2);
	EXPECT_EQ(s->state, MAIL_DEAD);
	EXPECT_EQ(b.slot[1].state, MAIL_FREE);
	EXPECT_EQ(mail_receive(&b, 2)->id, 13);
	EXPECT_EQ(mail_reply(s, 0, 0, 3), -ENOENT);
	EXPECT(post(&b, &self, 14, 4) >= 0);
	EXPECT(post(&b, &self, 15, 4) >= 0);
	/* nor will it come for an answer */
	s = mail_receive(&b, 5);
	EXPECT_EQ(mail_reply(s, 0, 0, 5), 0);
	mail_forget(&b, &self, 6);
	EXPECT_EQ(s->state, MAIL_FREE);
}

/* ---- random bytes --------------------------------------------------------- */

/* RFC 8439, 2.3.2 has a nonce; A.1, test vector 2 is key 0, nonce 0, block 1. */
TEST(random_is_chacha20)
{
	static const u8 block_1[] = {
		0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a,
		0x98, 0xba, 0x97, 0x7c, 0x73, 0x2d, 0x08, 0x0d,
	};
	/* test vector 1: block 0, its first half becomes the key */
	static const u8 block_0[] = {
		0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90,
		0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28,
	};
	/* and its second half comes out before block 1 */
	static const u8 half_0[] = {
		0xda, 0x41, 0x59, 0x7c, 0x51, 0x57, 0x48, 0x8d,
		0x77, 0x24, 0xe0, 0x3f, 0xb8, 0xd8, 0x4a, 0x37,
	};
	struct random r = { 0 };
	u8 out[100], again[100];

	random_bytes(&r, out, sizeof(out));
	EXPECT(!memcmp(out, half_0, sizeof(half_0)));
	EXPECT(!memcmp(out + 32, block_1, sizeof(block_1)));
	EXPECT(!memcmp(r.key, block_0, sizeof(block_0)));
	random_bytes(&r, again, sizeof(again));
	EXPECT(memcmp(out, again, sizeof(out)));
}

TEST(random_stirred)
{
	struct random a = { 0 }, b = { 0 };
	const u64 input[4] = { 0, 0, 0, 1 };
	u64 x, y;

	random_stir(&a, input);
	random_stir(&b, (const u64[4]){ 0 });
	random_bytes(&a, &x, 8);
	random_bytes(&b, &y, 8);
	EXPECT(x != y);
	EXPECT(!a.seeded);
}

TEST_MAIN(CASE(elf_segments), CASE(elf_moved), CASE(elf_any_order),
	  CASE(elf_to_the_edges), CASE(elf_refused), CASE(space_bounds),
	  CASE(mail_in_order), CASE(mail_half_for_one), CASE(mail_given_up),
	  CASE(mail_stale), CASE(mail_of_a_clock_that_is_ahead),
	  CASE(mail_that_is_in_nobodys_way), CASE(mail_of_a_stopped_program),
	  CASE(mail_from_a_stopped_program), CASE(random_is_chacha20),
	  CASE(random_stirred))

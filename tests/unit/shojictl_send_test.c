/*
 * shojictl send and sign, with programs that answer what they like.
 *
 * units: tools/guest/shojictl_send.c
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/test.h"
#include "tools/guest/hyper.h"
#include "tools/guest/shojictl.h"
#include "tools/sdk/sign.h"

static u8 answer[SIGN_MESSAGE];
static size_t answer_len;
static u32 type;	    /* of the last message */
static unsigned int writes; /* files written */
static unsigned int reads;  /* of standard input */
static size_t size;	    /* of a file; of standard input, the first time */
static size_t sent;	    /* bytes of the last message */

/* ---- what it stands on ---------------------------------------------------- */

bool hyper_present(void)
{
	return true;
}

int hyper_find(const char *name)
{
	(void)name;
	return 0;
}

int64_t hyper_send(struct hyper_message *m)
{
	type = m->type;
	sent = m->request_len;
	memcpy(m->reply, answer, answer_len);
	return (int64_t)answer_len;
}

const char *hyper_error(int64_t error)
{
	(void)error;
	return "";
}

int ctl_fail(int code, const char *format, ...)
{
	(void)format;
	return code;
}

int ctl_refused(const char *what, int64_t error)
{
	(void)what;
	(void)error;
	return CTL_REFUSED;
}

bool ctl_read(const char *name, struct ctl_bytes *out)
{
	bool end = !strcmp(name, "-") && reads++;

	*out = (struct ctl_bytes){ calloc(1, size), end ? 0 : size };
	return true;
}

bool ctl_write(const char *name, const void *data, size_t len)
{
	(void)name;
	(void)data;
	(void)len;
	writes++;
	return true;
}

/* ---- one command ---------------------------------------------------------- */

static int command(ctl_command *run, const char *text)
{
	char line[100], *argv[10];
	int argc = 0;

	strcpy(line, text);
	for (char *p = strtok(line, " "); p; p = strtok(NULL, " "))
		argv[argc++] = p;
	argv[argc] = NULL;
	optind = 0;
	writes = reads = 0;
	return run(argc, argv);
}

/* @count items of @len bytes each. */
static void answers(u32 count, size_t len)
{
	static const u8 zeros[512];
	struct sign_reply head = { .version = SIGN_VERSION,
				   .op = SIGN_SIGN,
				   .count = count };
	struct sign_writer w = { answer + sizeof(head),
				 sizeof(answer) - sizeof(head) };

	memcpy(answer, &head, sizeof(head));
	for (u32 i = 0; i < count; i++)
		sign_write(&w, zeros, len);
	answer_len = (size_t)(w.p - answer);
}

TEST(types)
{
	size = 4;
	answer_len = 0;
	EXPECT_EQ(command(ctl_send, "send -t 0x12 p f"), CTL_OK);
	EXPECT_EQ(type, 0x12);
	EXPECT_EQ(command(ctl_send, "send -t 4294967295 p f"), CTL_OK);
	EXPECT_EQ(type, 0xffffffff);
	EXPECT_EQ(command(ctl_send, "send -t 4294967296 p f"), CTL_USAGE);
	EXPECT_EQ(command(ctl_send, "send -t 1x p f"), CTL_USAGE);
	EXPECT_EQ(command(ctl_send, "send -t x p f"), CTL_USAGE);
	EXPECT_EQ(command(ctl_send, "send -t -1 p f"), CTL_USAGE);
}

/* A program that gives less than was asked for, or something else. */
TEST(signatures)
{
	answers(2, 256);
	EXPECT_EQ(command(ctl_sign, "sign a b"), CTL_OK);
	EXPECT_EQ(writes, 2);
	answers(1, 256);
	EXPECT_EQ(command(ctl_sign, "sign a b"), CTL_STATUS);
	answers(1, 255);
	EXPECT_EQ(command(ctl_sign, "sign a"), CTL_STATUS);
	EXPECT_EQ(writes, 0);
	answers(1, 64);
	EXPECT_EQ(command(ctl_sign, "sign --key p256 a"), CTL_OK);
	answers(1, 63);
	EXPECT_EQ(command(ctl_sign, "sign --key p256 a"), CTL_STATUS);
	EXPECT_EQ(writes, 0);
}

/* Standard input that comes too late for a batch is not empty in the next. */
TEST(batches)
{
	size = 40000;
	answers(1, 64);
	EXPECT_EQ(command(ctl_sign, "sign --key p256 a -"), CTL_OK);
	EXPECT_EQ(writes, 2);
	EXPECT_EQ(sent, sizeof(struct sign_request) + 4 + size);
	EXPECT_EQ(command(ctl_sign, "sign --key p256 a - b"), CTL_OK);
	EXPECT_EQ(writes, 3);
	size = SIGN_MESSAGE;
	EXPECT_EQ(command(ctl_sign, "sign --key p256 a b"), CTL_FILE);
	EXPECT_EQ(writes, 0);
}

TEST_MAIN(CASE(types), CASE(signatures), CASE(batches))

/*
 * The PKCS#11 module's way to the sign program, by hypercalls.
 *
 * units: tools/guest/pkcs11/transport_shoji.c
 */
#include <string.h>

#include "tests/unit/test.h"
#include "tools/guest/hyper.h"
#include "tools/guest/pkcs11/transport.h"

static struct {
	bool shoji, program;
	uint32_t restarts;
	int64_t answer;
	bool stops; /* over the next message, and starts again */
} world;

bool hyper_present(void)
{
	return world.shoji;
}

int hyper_find(const char *name)
{
	return world.program && !strcmp(name, "sign") ? 3 : -SHOJI_ENOENT;
}

int hyper_record(enum shoji_number number, uint64_t index, void *record,
		 size_t size)
{
	struct shoji_program p = { .restarts = world.restarts };

	if (number != SHOJI_PROGRAM || index != 3 || size != sizeof(p))
		return -SHOJI_ENOENT;
	memcpy(record, &p, sizeof(p));
	return 0;
}

int64_t hyper_send(struct hyper_message *m)
{
	world.restarts += world.stops;
	return m->program == 3 ? world.answer : -SHOJI_ENOENT;
}

static long call(void)
{
	char text[4] = "";

	return transport_get()->call(text, 4, text, 4);
}

TEST(opened)
{
	EXPECT(transport_get()->open());
	world.shoji = true;
	EXPECT(transport_get()->open());
	world.program = true;
	EXPECT(!transport_get()->open());
	world.answer = 4;
	EXPECT_EQ(call(), 4);
	world.answer = -SHOJI_EIO;
	EXPECT(call() < 0);
	world.answer = 4;
}

/* Its keys are others then: no signature until it is opened anew. */
TEST(started_again)
{
	world.restarts++;
	EXPECT(call() < 0);
	EXPECT(!transport_get()->open());
	EXPECT_EQ(call(), 4);
	world.stops = true;
	EXPECT(call() < 0);
}

TEST_MAIN(CASE(opened), CASE(started_again))

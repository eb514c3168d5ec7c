/*
 * The A20 gate and the resets of the keyboard controller and port 92h.
 * units: core/virt/kbc.c core/io/port.c
 */
#include <string.h>

#include "core/io/port.h"
#include "core/virt/kbc.h"
#include "tests/unit/test.h"

static u32 written[0x100];
static unsigned int writes, wipes;
static bool wiped_first;
static u8 port_value = 0x5a;

u32 hw_in(u16 port, u8 size)
{
	return port_value;
}

void hw_out(u16 port, u8 size, u32 value)
{
	written[port] = value;
	writes++;
	wiped_first = wipes != 0;
}

void hw_ins(u16 port, u8 size, void *dst, u32 count)
{
}

void hw_outs(u16 port, u8 size, const void *src, u32 count)
{
}

static void wipe(void)
{
	wipes++;
}

static void out(u16 port, u8 size, u32 value)
{
	struct port_io io = { port, size, true, 1, &value };

	wipes = 0;
	port_access(&io);
}

static bool hooked(u16 port)
{
	return port_bitmap()[port / 8] >> port % 8 & 1;
}

TEST(port_92)
{
	out(0x92, 1, 0x00);
	EXPECT_EQ(written[0x92], 0x02);
	EXPECT_EQ(wipes, 0);
	out(0x92, 1, 0x0c);
	EXPECT_EQ(written[0x92], 0x0e);
	out(0x92, 1, 0x01);
	EXPECT_EQ(written[0x92], 0x03);
	EXPECT_EQ(wipes, 1);
	EXPECT(wiped_first);
	port_value = 0xff; /* no such port */
	out(0x92, 1, 0xff);
	EXPECT_EQ(wipes, 0);
	port_value = 0x5a;
	out(0x91, 2, 0x0100); /* from the port below */
	EXPECT_EQ(written[0x92], 0x03);
	EXPECT_EQ(wipes, 1);
}

TEST(output_port)
{
	EXPECT(!hooked(0x60));
	out(0x64, 1, 0xd4); /* a byte for the mouse comes */
	EXPECT(!hooked(0x60));
	out(0x64, 1, 0xd1);
	EXPECT_EQ(written[0x64], 0xd1);
	EXPECT(hooked(0x60));
	EXPECT(!hooked(0x61));
	/* other commands do not end the wait */
	out(0x64, 1, 0x20);
	EXPECT(hooked(0x60));
	out(0x60, 1, 0xdd);
	EXPECT_EQ(written[0x60], 0xdf);
	EXPECT_EQ(wipes, 0);
	EXPECT(!hooked(0x60));
	out(0x60, 1, 0x00); /* a byte for the keyboard */
	EXPECT_EQ(written[0x60], 0x00);
	EXPECT_EQ(wipes, 0);
	out(0x64, 1, 0xd1);
	out(0x60, 1, 0xfe);
	EXPECT_EQ(wipes, 1);
	EXPECT(wiped_first);
}

/* REP OUTSB */
TEST(each_of_a_string)
{
	u8 bytes[] = { 0x20, 0xdd, 0xfe };
	struct port_io io = { 0x64, 1, true, 3, bytes };

	writes = wipes = 0;
	port_access(&io);
	EXPECT_EQ(writes, 3);
	EXPECT_EQ(wipes, 1);
	EXPECT_EQ(written[0x64], 0xfe);
}

TEST(commands)
{
	u32 value;
	struct port_io io = { 0x64, 1, false, 1, &value };

	out(0x64, 1, 0xdd);
	EXPECT_EQ(written[0x64], 0xff);
	out(0x64, 1, 0xfd);
	EXPECT_EQ(written[0x64], 0xff);
	EXPECT_EQ(wipes, 0);
	out(0x64, 1, 0xfe);
	EXPECT_EQ(written[0x64], 0xfe);
	EXPECT_EQ(wipes, 1);
	out(0x64, 1, 0xf0);
	EXPECT_EQ(written[0x64], 0xf2);
	EXPECT_EQ(wipes, 1);
	out(0x64, 2, 0x12d1);
	EXPECT_EQ(written[0x64], 0x12d1);
	EXPECT(hooked(0x60));
	out(0x60, 1, 0x01);
	EXPECT_EQ(written[0x60], 0x03);
	port_access(&io);
	EXPECT_EQ(value & 0xff, 0x5a);
}

int main(void)
{
	static const struct test_case cases[] = { CASE(port_92),
						  CASE(output_port),
						  CASE(each_of_a_string),
						  CASE(commands) };
	int failed = 0;

	kbc_init(wipe);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		test_failures = 0;
		cases[i].fn();
		printf("%s %s\n", test_failures ? "FAIL" : "PASS",
		       cases[i].name);
		failed += test_failures != 0;
	}
	return failed != 0;
}

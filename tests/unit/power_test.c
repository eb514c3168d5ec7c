/*
 * Sleep and reset registers.
 * units: core/virt/power.c core/io/port.c
 */
#include <setjmp.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cpu/reset.h"
#include "core/cpu/time.h"
#include "core/io/pci.h"
#include "core/io/port.h"
#include "core/lib/errors.h"
#include "core/lib/log.h"
#include "core/virt/power.h"
#include "tests/unit/test.h"

static u8 ports[0x10000];
static u32 written; /* the last value, 0xdead: none */
static unsigned int wipes;
static unsigned int log_lines;
static bool wiped_before_write;
static jmp_buf reset;

u32 hw_in(u16 port, u8 size)
{
	u32 v = 0;

	memcpy(&v, ports + port, size);
	return v;
}

void hw_out(u16 port, u8 size, u32 value)
{
	written = value;
	wiped_before_write = wipes != 0;
	if (port != 0x600) /* write one to clear */
		memcpy(ports + port, &value, size);
}

void hw_ins(u16 port, u8 size, void *dst, u32 count)
{
}

void hw_outs(u16 port, u8 size, const void *src, u32 count)
{
	written = 0xbbbb;
}

void log_line(const char *format, ...)
{
	log_lines++;
}

void log_limited(struct log_limit *limit, const char *format, ...)
{
	log_lines++;
}

void delay_us(u32 us)
{
}

void machine_reset(void)
{
	longjmp(reset, 1);
}

static struct pci_addr pci_where;
static u16 pci_reg;

void pci_config_write(struct pci_addr addr, u16 reg, u8 size, u32 value)
{
	pci_where = addr;
	pci_reg = reg;
	written = value;
}

static u16 guard_dev, guard_fn, guard_len;
static unsigned int guards;
static int guard_error;

int pci_guard(struct pci_addr addr, u16 reg, u16 len)
{
	EXPECT_EQ(reg, 0x40);
	guard_dev = addr.dev;
	guard_fn = addr.fn;
	guard_len = len;
	guards++;
	return guard_error;
}

void pci_scan(void (*found)(void *ctx, struct pci_addr addr,
			    const struct pci_id *id),
	      void *ctx)
{
	static const struct pci_id ids[] = {
		{ 0x8086, 0x7000, 0x060100 },
		{ 0x8086, 0x7113, 0x068000 },
		{ 0x1022, 0x7113, 0x068000 },
	};
	static const struct pci_id ich[] = {
		{ 0x8086, 0x2918, 0x060100 }, /* LPC bridge of the ICH9 */
		{ 0x8086, 0x2922, 0x010601 },
		{ 0x8086, 0xa121, 0x058000 }, /* PMC of the 100 series */
		{ 0x8086, 0xa123, 0x0c0500 },
	};

	for (u8 i = 0; i < ARRAY_SIZE(ids); i++)
		found(ctx, (struct pci_addr){ 0, 0, i, 0 }, &ids[i]);
	EXPECT_EQ(guard_dev, 1);
	EXPECT_EQ(guard_len, 4);
	if (guard_error)
		return;
	for (u8 i = 0; i < ARRAY_SIZE(ich); i++) {
		found(ctx, (struct pci_addr){ 0, 0, 0x1f, i }, &ich[i]);
		EXPECT_EQ(guard_dev, 0x1f);
		EXPECT_EQ(guard_fn, i < 2 ? 0 : 2);
	}
}

static void wipe_keys(void)
{
	wipes++;
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

	written = 0xdead;
	wipes = 0;
	log_lines = 0;
	port_access(&io);
}

static bool hooked(u16 port)
{
	return port_bitmap()[port / 8] >> (port % 8) & 1;
}

/* QEMU's pc: S3 1, S4 2, S5 0; with a PM1b of other types and a reset
 * register of its own. */
static struct acpi acpi = {
	.pm1a_evt = 0x600,
	.pm1a_cnt = 0x604,
	.pm1b_cnt = 0x704,
	.reset_valid = true,
	.reset = { ACPI_SPACE_IO, 0x92 },
	.reset_value = 0x01,
	.sleep = { [3] = { true, 1, 5 },
		   [4] = { true, 2, 6 },
		   [5] = { true, 0, 7 } },
};

/* In a process of its own: power_init() is called once. */
static void alone(void (*fn)(void))
{
	pid_t child = fork();
	int status = -1;

	if (!child) {
		fn();
		_exit(test_failures != 0);
	}
	waitpid(child, &status, 0);
	EXPECT_EQ(status, 0);
}

static void without_keys(void)
{
	power_init(&acpi, NULL);
	EXPECT(hooked(0x604) && hooked(0x605) && hooked(0x704));
	EXPECT(!hooked(0x600) && !hooked(0x606));
	EXPECT(!hooked(0xcf8) && !hooked(0xcf9) && !hooked(0x92));
}

TEST(without_keys_only_sleep_is_hooked)
{
	alone(without_keys);
}

static void no_reset_register(void)
{
	power_init(&acpi, wipe_keys);
	EXPECT(hooked(0xcf9) && !hooked(0x92));
}

static void the_usual_one(void)
{
	power_init(&acpi, wipe_keys);
	out(0xcf9, 1, 0x06);
	EXPECT_EQ(wipes, 1);
}

/* None, none in port space, past its end, or the one that is known. */
TEST(reset_registers)
{
	const struct acpi_reg reg = acpi.reset;

	acpi.reset_valid = false;
	alone(no_reset_register);
	acpi.reset_valid = true;
	acpi.reset.space = ACPI_SPACE_MEMORY;
	alone(no_reset_register);
	acpi.reset = (struct acpi_reg){ ACPI_SPACE_IO, 0x10092 };
	alone(no_reset_register);
	acpi.reset.address = 0xcf9;
	acpi.reset_value = 0x06;
	alone(the_usual_one);
	acpi.reset = reg;
	acpi.reset_value = 0x01;
}

TEST(reset_before_anything_is_known)
{
	if (!setjmp(reset))
		power_reset();
	EXPECT_EQ(wipes, 0);
}

TEST(power_off_passes)
{
	power_init(&acpi, wipe_keys);
	EXPECT(hooked(0x604) && hooked(0xcf9) && hooked(0x92));
	EXPECT(!hooked(0x600));
	out(0x604, 2, 0x2001); /* S5 */
	EXPECT_EQ(written, 0x2001);
	EXPECT_EQ(wipes, 1);
	EXPECT(wiped_before_write);
	out(0x604, 2, 0x2801); /* S4 */
	EXPECT_EQ(written, 0x2801);
	EXPECT_EQ(wipes, 1);
	out(0x604, 4, 0xffff2001);
	EXPECT_EQ(written, 0xffff2001);
	EXPECT_EQ(wipes, 1);
	out(0x605, 1, 0x28);
	EXPECT_EQ(written, 0x28);
	EXPECT_EQ(wipes, 1);
	out(0x704, 2, 0x3c00); /* S5 of PM1b */
	EXPECT_EQ(written, 0x3c00);
	EXPECT_EQ(wipes, 1);
}

TEST(other_writes_pass)
{
	out(0x604, 2, 0x0401); /* SLP_TYP alone */
	EXPECT_EQ(written, 0x0401);
	EXPECT_EQ(wipes, 0);
	out(0x604, 1, 0x20); /* not SLP_EN: the low byte */
	EXPECT_EQ(written, 0x20);
	EXPECT_EQ(wipes, 0);
	EXPECT_EQ(in(0x604, 2), 0x0420);
	EXPECT(!hooked(0x600));
}

TEST(sleep_is_refused_and_wakes_at_once)
{
	ports[0x601] = 0x01;
	EXPECT_EQ(in(0x600, 2), 0x0100);
	out(0x604, 2, 0x2401); /* S3 */
	EXPECT_EQ(written, 0x0401);
	EXPECT_EQ(wipes, 0);
	EXPECT_EQ(log_lines, 1);
	EXPECT(hooked(0x600) && hooked(0x601));
	EXPECT_EQ(in(0x600, 2), 0x8100);
	EXPECT_EQ(in(0x600, 4), 0x8100);
	EXPECT_EQ(in(0x601, 1), 0x81);
	EXPECT_EQ(in(0x600, 1), 0x00);
	out(0x600, 1, 0x80); /* another status: not the wake's byte */
	EXPECT_EQ(in(0x600, 2), 0x8100);
	out(0x600, 2, 0x0100); /* clears something else */
	EXPECT_EQ(in(0x600, 2), 0x8100);
	out(0x600, 2, 0x8000);
	EXPECT_EQ(written, 0x8000);
	EXPECT(!hooked(0x600) && !hooked(0x601));
	EXPECT_EQ(in(0x600, 2), 0x0100);
}

TEST(every_other_type_is_refused)
{
	for (u32 typ = 0; typ < 8; typ++) {
		bool pass = typ == 0 || typ == 2;

		out(0x604, 2, 0x2000 | typ << 10);
		EXPECT_EQ(written, (pass ? 0x2000 : 0) | typ << 10);
		EXPECT_EQ(wipes, pass);
		pass = typ == 6 || typ == 7;
		out(0x704, 2, 0x2000 | typ << 10);
		EXPECT_EQ(written, (pass ? 0x2000 : 0) | typ << 10);
	}
	out(0x605, 1, 0x24);
	EXPECT_EQ(written, 0x04);
	/* a dword that begins before it: the byte with SLP_EN is still seen */
	out(0x602, 4, 0x24000000);
	EXPECT_EQ(ports[0x605], 0x04);
	out(0x600, 2, 0x8000);
}

TEST(a_burst_is_looked_through)
{
	u16 data[3] = { 0x0001, 0x2401, 0x0001 };
	struct port_io io = { 0x604, 2, true, 3, data };

	wipes = 0;
	port_access(&io);
	EXPECT_EQ(wipes, 0);
	EXPECT(hooked(0x601));
	EXPECT_EQ(written, 0x0001);
	data[1] = 0x2001;
	port_access(&io);
	EXPECT_EQ(wipes, 1);
	/* and of the wake status */
	memset(data, 0, sizeof(data));
	io = (struct port_io){ 0x600, 2, false, 3, data };
	port_access(&io);
	EXPECT(data[0] & data[1] & data[2] & 0x8000);
	data[0] = data[2] = 0x0100;
	data[1] = 0x8000;
	io.write = true;
	port_access(&io);
	EXPECT(!hooked(0x600));
}

TEST(without_event_registers)
{
	acpi.pm1a_evt = 0;
	out(0x604, 2, 0x2401);
	EXPECT_EQ(written, 0x0401);
	EXPECT(!hooked(0) && !hooked(1));
	acpi.pm1a_evt = 0x600;
}

TEST(ambiguous_types_are_refused)
{
	acpi.sleep[1] = (struct acpi_sleep){ true, 0, 0 };
	out(0x604, 2, 0x2000);
	EXPECT_EQ(written, 0);
	acpi.sleep[1].valid = false;
	acpi.sleep[5].valid = false;
	out(0x604, 2, 0x2000);
	EXPECT_EQ(written, 0);
	acpi.sleep[5].valid = true;
	out(0x600, 2, 0x8000);
}

TEST(resets_wipe)
{
	out(0xcf9, 1, 0x02);
	EXPECT(written == 0x02 && wipes == 0);
	out(0xcf9, 1, 0x06);
	EXPECT(written == 0x06 && wipes == 1 && wiped_before_write);
	out(0xcf8, 2, 0x0600);
	EXPECT(written == 0x0600 && wipes == 1);
	out(0xcf8, 4, 0x80000600);
	EXPECT(written == 0x80000600 && wipes == 0);
	out(0xcf7, 4, 0x00060000); /* in bytes */
	EXPECT(ports[0xcf9] == 0x06 && wipes == 1);
	out(0x92, 1, 0x02);
	EXPECT(written == 0x02 && wipes == 0);
	out(0x92, 1, 0x01);
	EXPECT(written == 0x01 && wipes == 1);
	EXPECT_EQ(in(0x92, 1), 0x01);
	out(0xcf9, 4, 0x06);
	EXPECT_EQ(wipes, 1);
	/* what lies where the value of a read will be is none that is written */
	wipes = 0;
	port_access(&(struct port_io){ 0xcf9, 1, false, 1, (u8[]){ 0x06 } });
	port_access(&(struct port_io){ 0x92, 1, false, 1, (u8[]){ 0x01 } });
	EXPECT_EQ(wipes, 0);
	/* in bursts */
	port_access(&(struct port_io){ 0xcf9, 1, true, 3, (u8[]){ 2, 6, 2 } });
	EXPECT_EQ(wipes, 1);
	port_access(&(struct port_io){ 0x92, 1, true, 3, (u8[]){ 2, 1, 2 } });
	EXPECT_EQ(wipes, 2);
}

TEST(the_ports_stay)
{
	u16 port = acpi.pm1a_cnt;

	EXPECT_EQ(power_guard(), 0);
	EXPECT_EQ(guard_len, 8);
	EXPECT_EQ(guards, 3); /* and no other function */
	guard_error = -ENOSPC;
	EXPECT_EQ(power_guard(), -ENOSPC);
	guard_error = 0;

	acpi.pm1a_cnt = 0;
	EXPECT_EQ(power_guard(), -ENOENT);
	acpi.pm1a_cnt = port;
}

TEST(own_reset)
{
	wipes = 0;
	written = 0xdead;
	if (!setjmp(reset))
		power_reset();
	EXPECT_EQ(wipes, 1);
	EXPECT_EQ(written, 0x01);

	acpi.reset = (struct acpi_reg){ ACPI_SPACE_PCI, 0x0000001f000200ac };
	acpi.reset_value = 0x0e;
	if (!setjmp(reset))
		power_reset();
	EXPECT_EQ(written, 0x0e);
	EXPECT(pci_where.bus == 0 && pci_where.dev == 0x1f &&
	       pci_where.fn == 2);
	EXPECT_EQ(pci_reg, 0xac);

	acpi.reset.space = ACPI_SPACE_MEMORY;
	written = 0xdead;
	if (!setjmp(reset))
		power_reset();
	EXPECT_EQ(written, 0xdead);
}

TEST_MAIN(CASE(without_keys_only_sleep_is_hooked), CASE(reset_registers),
	  CASE(reset_before_anything_is_known), CASE(power_off_passes),
	  CASE(other_writes_pass), CASE(sleep_is_refused_and_wakes_at_once),
	  CASE(every_other_type_is_refused), CASE(a_burst_is_looked_through),
	  CASE(without_event_registers), CASE(ambiguous_types_are_refused),
	  CASE(resets_wipe), CASE(the_ports_stay), CASE(own_reset))

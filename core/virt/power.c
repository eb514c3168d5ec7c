#include "core/virt/power.h"
#include "core/cpu/reset.h"
#include "core/cpu/time.h"
#include "core/io/pci.h"
#include "core/io/port.h"
#include "core/lib/errors.h"
#include "core/lib/log.h"

/* The upper bytes of PM1 control and status, 4.8.3.1 and 4.8.3.2. */
#define CNT_HIGH_SLP_EN	    0x20
#define CNT_HIGH_SLP_TYP(v) ((v) >> 2 & 7)
#define STS_HIGH_WAK	    0x80

#define PORT_CF8	    0xcf8
#define PORT_CF9	    0xcf9
#define CF9_RST_CPU	    0x04

static struct {
	const struct acpi *acpi;
	void (*wipe)(void);
	struct port_hook control_a, control_b;
	struct port_hook status; /* active while a wake is reported */
	struct port_hook cf9;
	struct port_hook reset_reg; /* the FADT's, if it is another port */
} power;

static void wipe(void)
{
	if (power.wipe)
		power.wipe();
}

/* Where the byte at @port lies in the access, as a shift, or -1. */
static int byte_shift(const struct port_io *io, u16 port)
{
	u16 off = (u16)(port - io->port);

	return off < io->size ? 8 * off : -1;
}

/* ---- sleep ---- */

static bool sleep_allowed(u8 typ, bool b)
{
	bool allowed = false;

	for (unsigned int s = 1; s <= 5; s++) {
		const struct acpi_sleep *sleep = &power.acpi->sleep[s];

		if (!sleep->valid || typ != (b ? sleep->typ_b : sleep->typ_a))
			continue;
		if (s < 4)
			return false;
		allowed = true;
	}
	return allowed;
}

static void refuse(u8 typ)
{
	static struct log_limit limit;

	log_limited(&limit, "sleep type %u refused: no resume under Shoji",
		    typ);
	if (power.acpi->pm1a_evt)
		port_hook_move(&power.status, power.acpi->pm1a_evt, 2);
}

static enum verdict control_fn(void *ctx, const struct port_io *io)
{
	const struct port_hook *hook = ctx;
	static struct log_limit limit;
	int shift = byte_shift(io, hook->first + 1);

	if (!io->write || shift < 0)
		return PASS;
	for (u32 i = 0; i < io->count; i++) {
		u32 value = port_io_get(io, i);
		u8 high = (u8)(value >> shift);
		u8 typ = CNT_HIGH_SLP_TYP(high);

		if (high & CNT_HIGH_SLP_EN) {
			if (sleep_allowed(typ, hook == &power.control_b)) {
				log_limited(&limit, "the guest switches off");
				wipe();
			} else {
				value &= ~((u32)CNT_HIGH_SLP_EN << shift);
				refuse(typ);
			}
		}
		hw_out(io->port, io->size, value);
	}
	return DONE;
}

/* The wake status reads as set until the guest clears it. */
static enum verdict status_fn(void *ctx, const struct port_io *io)
{
	const struct port_hook *hook = ctx;
	int shift = byte_shift(io, power.acpi->pm1a_evt + 1);
	u32 wak;

	if (shift < 0)
		return PASS;
	wak = (u32)STS_HIGH_WAK << shift;
	for (u32 i = 0; i < io->count; i++) {
		if (!io->write)
			port_io_set(io, i, hw_in(io->port, io->size) | wak);
		else if (port_io_get(io, i) & wak)
			port_hook_move(&power.status, hook->first, 0);
	}
	return io->write ? PASS : DONE;
}

/* ---- resets ---- */

/* Four bytes at CF8 are PCI's address; they do not reach this register. */
static enum verdict cf9_fn(void *ctx, const struct port_io *io)
{
	int shift = byte_shift(io, PORT_CF9);

	if (!io->write || shift < 0 || (io->port == PORT_CF8 && io->size == 4))
		return PASS;
	for (u32 i = 0; i < io->count; i++)
		if (port_io_get(io, i) >> shift & CF9_RST_CPU)
			wipe();
	return PASS;
}

static enum verdict reset_reg_fn(void *ctx, const struct port_io *io)
{
	for (u32 i = 0; io->write && i < io->count; i++)
		if ((u8)port_io_get(io, i) == power.acpi->reset_value)
			wipe();
	return PASS;
}

static void hook(struct port_hook *h, u16 first, u16 count, port_fn *fn)
{
	*h = (struct port_hook){
		.first = first, .count = count, .fn = fn, .ctx = h
	};
	port_hook_add(h);
}

static bool reset_is_port(const struct acpi *acpi)
{
	return acpi->reset_valid && acpi->reset.space == ACPI_SPACE_IO &&
	       acpi->reset.address <= 0xffff;
}

void power_init(const struct acpi *acpi, void (*wipe_fn)(void))
{
	power.acpi = acpi;
	power.wipe = wipe_fn;
	if (acpi->pm1a_cnt)
		hook(&power.control_a, acpi->pm1a_cnt, 2, control_fn);
	if (acpi->pm1b_cnt)
		hook(&power.control_b, acpi->pm1b_cnt, 2, control_fn);
	hook(&power.status, acpi->pm1a_evt, 0, status_fn);
	if (!wipe_fn)
		return;
	hook(&power.cf9, PORT_CF8, 2, cf9_fn);
	if (reset_is_port(acpi) && acpi->reset.address != PORT_CF9)
		hook(&power.reset_reg, (u16)acpi->reset.address, 1,
		     reset_reg_fn);
}

/*
 * PMBA of PIIX4's power management function (PIIX4 datasheet, 7.1.9); PMBASE of
 * the ICHs' LPC bridge (ICH9, 13.1.14), with its enable bit behind it; the same
 * in the power management controller of the 100 and 200 series.
 */
static void guard_function(void *ctx, struct pci_addr addr,
			   const struct pci_id *id)
{
	int *err = ctx;
	u32 class = id->class >> 8;
	bool ich = addr.dev == 0x1f && (class == 0x0601 || class == 0x0580);

	if (id->vendor == 0x8086 && (id->device == 0x7113 || ich) && !*err)
		*err = pci_guard(addr, 0x40, ich ? 8 : 4);
}

int power_guard(void)
{
	int err = 0;

	if (!power.acpi->pm1a_cnt)
		return -ENOENT; /* nobody watches it */
	pci_scan(guard_function, &err);
	return err;
}

/* 5.2.3.2: in PCI space, a register of a function on bus 0. */
static void reset_by_fadt(const struct acpi *acpi)
{
	u64 a = acpi->reset.address;
	struct pci_addr pci = { 0, 0, a >> 32 & 31, a >> 16 & 7 };

	if (reset_is_port(acpi))
		hw_out((u16)a, 1, acpi->reset_value);
	else if (acpi->reset_valid && acpi->reset.space == ACPI_SPACE_PCI)
		pci_config_write(pci, (u16)a, 1, acpi->reset_value);
	else
		return;
	delay_us(50000);
}

void power_reset(void)
{
	wipe();
	if (power.acpi)
		reset_by_fadt(power.acpi);
	machine_reset();
}

/*
 * Configuration space: the machine's, and what the guest may do with it.
 *
 * Two locks. The policy lock is held over one access of the guest, with the
 * driver's calls. The hardware lock, inside it, keeps an address in CF8 and
 * its access through CFC together; whoever holds it may write CF8, and leaves
 * there what the guest last wrote.
 */
#include "core/io/pci.h"
#include "core/io/mmio.h"
#include "core/io/pci_bar.h"
#include "core/io/pci_bridge.h"
#include "core/io/port.h"
#include "core/lib/errors.h"
#include "core/lib/lock.h"
#include "core/lib/range.h"

#define CF8	      0xcf8
#define CFC	      0xcfc
#define CF8_ENABLE    0x80000000u
#define CF8_RESERVED  0x7f000000u

#define FUNCTIONS_MAX 64

struct function { /* one that is mediated */
	struct pci_addr addr;
	struct pci_claim *claim; /* or NULL */
	bool concealed;
	u16 guard;     /* the guest's writes to [guard, guard + guard_len) */
	u16 guard_len; /* are lost */
	bool leads;    /* a bridge above another one of these */
	struct mmio_hook window; /* its page of the memory-mapped window */
};

static struct {
	struct lock policy;
	struct lock hw;
	u32 cf8;		/* the guest's */
	struct port_hook ports; /* active since the first function */
	hpa_t ecam;		/* of bus 0; valid for first_bus to last_bus */
	u8 first_bus, last_bus;
	bool has_ecam;
	struct function functions[FUNCTIONS_MAX];
	u32 count;
} pci;

/* ---- the hardware ---- */

static u32 cf8_address(struct pci_addr a, u16 reg)
{
	return CF8_ENABLE | (u32)a.bus << 16 | (u32)a.dev << 11 |
	       (u32)a.fn << 8 | (reg & 0xfc);
}

static hpa_t ecam_page(struct pci_addr a)
{
	return pci.ecam +
	       ((u64)a.bus << 20 | (u64)a.dev << 15 | (u64)a.fn << 12);
}

static bool in_ecam(struct pci_addr a)
{
	return pci.has_ecam && a.segment == 0 && a.bus >= pci.first_bus &&
	       a.bus <= pci.last_bus;
}

static u32 port_rw(u16 port, u8 size, bool write, u32 value)
{
	if (!write)
		return hw_in(port, size);
	hw_out(port, size, value);
	return value;
}

/* One access to a data port with @address in CF8. */
static u32 data_rw(u32 address, u16 port, u8 size, bool write, u32 value)
{
	lock_acquire(&pci.hw);
	hw_out(CF8, 4, address);
	value = port_rw(port, size, write, value);
	if (address != pci.cf8)
		hw_out(CF8, 4, pci.cf8);
	lock_release(&pci.hw);
	return value;
}

static bool by_ports(struct pci_addr a, u16 reg)
{
	return a.segment == 0 && reg < 0x100;
}

u32 pci_config_read(struct pci_addr addr, u16 reg, u8 size)
{
	if (by_ports(addr, reg))
		return data_rw(cf8_address(addr, reg), CFC + reg % 4, size,
			       false, 0);
	if (in_ecam(addr))
		return (u32)hw_mmio_read(ecam_page(addr) + reg, size);
	return (u32)mask_bytes(size);
}

void pci_config_write(struct pci_addr addr, u16 reg, u8 size, u32 value)
{
	if (by_ports(addr, reg))
		data_rw(cf8_address(addr, reg), CFC + reg % 4, size, true,
			value);
	else if (in_ecam(addr))
		hw_mmio_write(ecam_page(addr) + reg, size, value);
}

void pci_set_ecam(hpa_t base, u8 first_bus, u8 last_bus)
{
	pci.ecam = base;
	pci.first_bus = first_bus;
	pci.last_bus = last_bus;
	pci.has_ecam = true;
}

/* ---- which functions there are ---- */

static bool read_id(struct pci_addr a, struct pci_id *id)
{
	u32 v = pci_config_read(a, PCI_VENDOR, 4);

	id->vendor = (u16)v;
	id->device = (u16)(v >> 16);
	if (id->vendor == 0xffff || id->vendor == 0)
		return false;
	id->class = pci_config_read(a, PCI_REVISION, 4) >> 8;
	return true;
}

static bool is_bridge(struct pci_addr a)
{
	return (pci_config_read(a, PCI_HEADER_TYPE, 1) & 0x7f) == 1;
}

static void scan_device(struct pci_addr a, u8 buses[32],
			void (*found)(void *ctx, struct pci_addr addr,
				      const struct pci_id *id),
			void *ctx)
{
	unsigned int functions = 1;
	struct pci_id id;

	for (unsigned int fn = 0; fn < functions; fn++) {
		a.fn = (u8)fn;
		if (!read_id(a, &id)) {
			continue;
		}
		if (fn == 0 && pci_config_read(a, PCI_HEADER_TYPE, 1) & 0x80)
			functions = 8;
		if (is_bridge(a)) {
			u8 bus =
				(u8)pci_config_read(a, PCI_BRIDGE_BUSES + 1, 1);

			buses[bus / 8] |= (u8)(1u << bus % 8);
		}
		found(ctx, a, &id);
	}
}

/* Bridges number the buses below them higher than their own. */
void pci_scan(void (*found)(void *ctx, struct pci_addr addr,
			    const struct pci_id *id),
	      void *ctx)
{
	u8 buses[32] = { 1 };

	for (unsigned int bus = 0; bus < 256; bus++) {
		if (!(buses[bus / 8] >> bus % 8 & 1))
			continue;
		for (u8 dev = 0; dev < 32; dev++)
			scan_device((struct pci_addr){ 0, (u8)bus, dev, 0 },
				    buses, found, ctx);
	}
}

/* ---- policy ---- */

static bool same(struct pci_addr a, struct pci_addr b)
{
	return a.segment == b.segment && a.bus == b.bus && a.dev == b.dev &&
	       a.fn == b.fn;
}

static struct function *function_find(struct pci_addr addr)
{
	for (u32 i = 0; i < pci.count; i++)
		if (same(pci.functions[i].addr, addr))
			return &pci.functions[i];
	return NULL;
}

static bool is_below(struct pci_addr addr, struct pci_addr bridge)
{
	u32 buses = pci_config_read(bridge, PCI_BRIDGE_BUSES, 4);

	return addr.bus >= (u8)(buses >> 8) && addr.bus <= (u8)(buses >> 16);
}

static bool cuts_off(const struct pci_io *io)
{
	for (u32 i = 0; i < pci.count; i++) {
		struct function *f = &pci.functions[i];

		if (f->claim && is_below(f->addr, io->addr) &&
		    pci_bridge_cuts_off(io, f->claim))
			return true;
	}
	return false;
}

bool pci_reaches(const struct pci_claim *claim, const struct pci_bar *bar)
{
	for (u32 i = 0; i < pci.count; i++) {
		struct function *f = &pci.functions[i];

		if (f->leads && is_below(claim->addr, f->addr) &&
		    !pci_bridge_passes(f->addr, bar))
			return false;
	}
	return true;
}

static enum verdict judge(const struct function *f, struct pci_io *io)
{
	if (f->concealed)
		return DENY;
	if (io->write &&
	    range_overlap(f->guard, f->guard_len, io->reg, io->size))
		return DONE;
	if (io->write && f->leads && cuts_off(io))
		return DONE;
	if (f->claim && f->claim->config)
		return f->claim->config(f->claim->ctx, io);
	return PASS;
}

/* A bridge above a function may stop it from decoding, and so may a sibling. */
static void hold_all(bool on)
{
	for (u32 i = 0; i < pci.count; i++) {
		struct pci_claim *c = pci.functions[i].claim;

		if (c && c->hold)
			c->hold(c->ctx, on);
	}
}

/* A naturally aligned access; the policy lock is held. */
static void mediate(struct function *f, struct pci_io *io)
{
	if (io->write)
		hold_all(true);
	switch (judge(f, io)) {
	case PASS:
		if (f->claim)
			pci_bar_access(f->claim, io);
		else if (io->write)
			pci_config_write(io->addr, io->reg, io->size,
					 io->value);
		else
			io->value =
				pci_config_read(io->addr, io->reg, io->size);
		break;
	case DONE:
		break;
	case DENY:
		if (!io->write)
			io->value = (u32)mask_bytes(io->size);
		break;
	}
	if (io->write)
		hold_all(false);
}

/*
 * An access of @size bytes to the registers from @reg on, below @end, in
 * aligned pieces; what lies past @end is not there.
 */
static u64 mediate_span(struct function *f, u16 reg, u16 end, u8 size,
			bool write, u64 value)
{
	u8 step = reg % size ? 1 : size > 4 ? 4 : size;
	u64 result = 0;

	for (u8 i = 0; i < size; i += step) {
		u64 mask = mask_bytes(step);
		struct pci_io io = { f->addr, (u16)(reg + i), step, write,
				     (u32)(value >> 8 * i & mask) };

		if (io.reg < end)
			mediate(f, &io);
		else
			io.value = (u32)mask;
		result |= (io.value & mask) << 8 * i;
	}
	return result;
}

/* ---- the ports: PCI 3.0, 3.2.2.3.2 ---- */

/* Bits 24 to 30 extend the register number on some machines and are ignored
 * by others: with one set, a mediated function does not answer. */
static u32 data_access(u16 port, u8 size, bool write, u32 value)
{
	struct pci_addr a = { 0, (u8)(pci.cf8 >> 16), pci.cf8 >> 11 & 31,
			      pci.cf8 >> 8 & 7 };
	u16 reg = (u16)((pci.cf8 & 0xfc) + port - CFC);
	struct function *f = function_find(a);

	if (!f || !(pci.cf8 & CF8_ENABLE))
		return data_rw(pci.cf8, port, size, write, value);
	if (pci.cf8 & CF8_RESERVED)
		return (u32)mask_bytes(size);
	return (u32)mediate_span(f, reg, (pci.cf8 & 0xfc) + 4, size, write,
				 value);
}

/* The register itself; what its unused bits read as is the hardware's. */
static u32 address_access(bool write, u32 value)
{
	lock_acquire(&pci.hw);
	if (write)
		pci.cf8 = value;
	value = port_rw(CF8, 4, write, value);
	lock_release(&pci.hw);
	return value;
}

static void split(const struct port_io *io)
{
	u8 *p = io->data;

	for (u32 i = 0; i < io->count * io->size; i++) {
		struct port_io byte = { (u16)(io->port + i % io->size), 1,
					io->write, 1, p + i };

		port_access(&byte);
	}
}

/*
 * Below CFC only a whole CF8 is PCI's; the rest (CF9!) belongs to others. An
 * access that reaches from there into CFC comes back in bytes.
 */
static enum verdict ports_fn(void *ctx, const struct port_io *io)
{
	bool address = io->port == CF8 && io->size == 4;

	if (!address && io->port + io->size <= CFC)
		return PASS;
	if (!address && io->port < CFC) {
		split(io);
		return DONE;
	}
	lock_acquire(&pci.policy);
	for (u32 i = 0; i < io->count; i++) {
		u32 v = io->write ? port_io_get(io, i) : 0;

		if (address)
			v = address_access(io->write, v);
		else
			v = data_access(io->port, io->size, io->write, v);
		if (!io->write)
			port_io_set(io, i, v);
	}
	lock_release(&pci.policy);
	return DONE;
}

/* ---- the window: PCIe 3.0, 7.2.2 ---- */

static enum verdict window_fn(void *ctx, struct mmio_io *io)
{
	struct function *f = ctx;
	u16 reg = io->gpa % PAGE_SIZE;

	lock_acquire(&pci.policy);
	io->value =
		mediate_span(f, reg, PAGE_SIZE, io->size, io->write, io->value);
	lock_release(&pci.policy);
	return DONE;
}

/* ---- mediating a function ---- */

/* The function's entry, made if it is new. Policy lock held. */
static int entry_add(struct pci_addr addr, struct function **out)
{
	struct function *f = function_find(addr);

	*out = f;
	if (f)
		return 0;
	if (pci.count == FUNCTIONS_MAX)
		return -ENOSPC;
	f = *out = &pci.functions[pci.count++];
	f->addr = addr;
	if (!in_ecam(addr))
		return 0;
	f->window = (struct mmio_hook){ ecam_page(addr), PAGE_SIZE, false,
					window_fn,	 f,	    NULL };
	return mmio_hook_add(&f->window);
}

/* The same. A device with one function may answer to all numbers of functions
 * (PCI 3.0, 3.2.2.3.4): the others would be ways past the policy. */
static int function_add(struct pci_addr addr, struct function **out)
{
	struct pci_addr echo = { addr.segment, addr.bus, addr.dev, 1 };
	int err = entry_add(addr, out);
	struct function *f;
	struct pci_id id;

	if (addr.fn || pci_config_read(addr, PCI_HEADER_TYPE, 1) & 0x80)
		return err;
	for (; echo.fn < 8 && !err; echo.fn++) {
		if (!read_id(echo, &id))
			continue;
		err = entry_add(echo, &f);
		if (!err)
			f->concealed = true;
	}
	return err;
}

static int guard_add(struct pci_addr addr, u16 reg, u16 len)
{
	struct function *f;
	int err = function_add(addr, &f);

	if (!err) {
		f->guard = reg;
		f->guard_len = len;
	}
	return err;
}

struct guard_scan {
	struct pci_addr addr;
	int err;
};

/* A bridge on the way to the function keeps its bus numbers. */
static void guard_bridge(void *ctx, struct pci_addr addr,
			 const struct pci_id *id)
{
	struct guard_scan *g = ctx;

	if (!is_bridge(addr) || !is_below(g->addr, addr) || g->err)
		return;
	g->err = guard_add(addr, PCI_BRIDGE_BUSES, 3);
	if (!g->err)
		function_find(addr)->leads = true;
}

/* Intel's host bridges have the window's place, PCIEXBAR, at 60h (for example
 * Q35, 5.1.17). AMD's is an MSR. */
static int guard_window(void)
{
	struct pci_addr host = { 0, 0, 0, 0 };
	struct pci_id id;

	if (!read_id(host, &id) || id.vendor != 0x8086)
		return 0;
	return guard_add(host, 0x60, 8);
}

static void hook_ports(void)
{
	if (pci.ports.fn)
		return;
	pci.cf8 = hw_in(CF8, 4);
	pci.ports =
		(struct port_hook){ .first = CF8, .count = 8, .fn = ports_fn };
	port_hook_add(&pci.ports);
}

static int mediate_start(struct pci_addr addr, struct pci_claim *claim)
{
	struct guard_scan guard = { addr, 0 };
	struct function *f;
	int err;

	lock_acquire(&pci.policy);
	hook_ports();
	err = function_add(addr, &f);
	if (!err && claim && f->claim)
		err = -EEXIST;
	if (!err) {
		if (claim)
			f->claim = claim;
		else
			f->concealed = true;
		err = guard_window();
	}
	if (!err && addr.bus)
		pci_scan(guard_bridge, &guard);
	lock_release(&pci.policy);
	return err ? err : guard.err;
}

int pci_claim(struct pci_claim *claim)
{
	int err;

	if (!read_id(claim->addr, &claim->id))
		return -ENODEV;
	pci_bar_init(claim);
	err = mediate_start(claim->addr, claim);
	for (u32 n = 0; n < ARRAY_SIZE(claim->bars); n++)
		if (claim->bars[n].enabled &&
		    !pci_reaches(claim, &claim->bars[n]))
			claim->outside |= (u8)(1u << n);
	return err;
}

int pci_guard(struct pci_addr addr, u16 reg, u16 len)
{
	int err;

	lock_acquire(&pci.policy);
	hook_ports();
	err = guard_add(addr, reg, len);
	lock_release(&pci.policy);
	return err;
}

int pci_conceal(struct pci_addr addr)
{
	struct pci_id id;

	if (!read_id(addr, &id))
		return -ENODEV;
	return mediate_start(addr, NULL);
}

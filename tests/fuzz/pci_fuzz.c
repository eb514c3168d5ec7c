/*
 * A hostile guest at configuration space: any accesses, by port and through
 * the window, to a machine with three claimed functions, of which one is behind
 * a bridge, and a concealed one. What must hold after each: where a claimed
 * function decodes, there its driver has been told to hook, and nowhere else,
 * and the bridge lets it through; it neither sleeps nor is reset; the concealed
 * one has not been touched.
 * runs: 25000
 * units: core/io/pci.c core/io/pci_bar.c core/io/pci_cap.c core/io/pci_bridge.c core/io/port.c core/io/mmio.c
 */
#include <stdlib.h>

#include "core/io/pci.h"
#include "tests/unit/fake_pci.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

enum {
	IDE,
	NIC,
	FAR,
	HIDDEN,
	PLAIN,
	BRIDGE,
	FUNCTIONS
};
#define CLAIMED (FAR + 1)
#define POWER	0x40 /* capabilities of the NIC and the bridge */
#define EXPRESS 0x48
#define FLR	0x80

static struct pci_claim claims[CLAIMED];
static struct pci_bar hooked[CLAIMED][6]; /* what the drivers know */
static struct fake_fn saved[FUNCTIONS];

static bool decodes(const struct fake_fn *f, const struct pci_bar *bar)
{
	return f->config[4] & (bar->io ? 1 : 2);
}

static int bar_changed(void *ctx, unsigned int n)
{
	unsigned int i = *(unsigned int *)ctx;

	hooked[i][n] = claims[i].bars[n];
	if (decodes(&fake_fns[i], &hooked[i][n]))
		abort(); /* an access could escape now */
	if (hooked[i][n].enabled && hooked[i][n].base >> 14 & 1)
		hooked[i][n].enabled = false; /* no place for it */
	return hooked[i][n].enabled ? 0 : -claims[i].bars[n].enabled;
}

/* What is read-only: where the capabilities are, and that the bridge's windows
 * have 16 and 64 bits. */
static void add_capabilities(struct fake_fn *f)
{
	static const u8 windows[] = { 0xf0, 0xf0, 0,	0,    0xf0, 0xff,
				      0xf0, 0xff, 0xf0, 0xff, 0xf0, 0xff };
	static u8 masks[FUNCTIONS][256];
	u8 *writable = masks[f - fake_fns];

	memset(writable, 0xff, sizeof(masks[0]));
	memset(writable + 6, 0, 2);
	memset(writable + 0x34, 0, 1);
	memset(writable + POWER, 0, 2);
	memset(writable + EXPRESS, 0, 2);
	memset(writable + FLR, 0, 2);
	if (f == &fake_fns[BRIDGE])
		memcpy(writable + 0x1c, windows, sizeof(windows));
	f->writable = writable;
	f->config[6] = 0x10;
	f->config[0x34] = POWER;
	store_le16(f->config + POWER, EXPRESS << 8 | 0x01);
	store_le16(f->config + EXPRESS, FLR << 8 | 0x10);
	store_le16(f->config + FLR, 0x13);
}

/* As firmware has set up what is not on the first bus. */
static void make_far(struct fake_fn *f, struct fake_fn *bridge)
{
	f->bar_mask[0] = 0xfff0;
	store_le32(f->config + 0x10, 0xd001);
	f->bar_mask[5] = 0xfffff000;
	store_le32(f->config + 0x24, 0xfe100000);
	f->config[4] = 7;
	bridge->config[4] = 7;
	bridge->config[0x19] = bridge->config[0x1a] = 1;
	store_le32(bridge->config + 0x1c, 0xd0d0);
	store_le32(bridge->config + 0x20, 0xfe10fe10);
	store_le32(bridge->config + 0x24, 0x0001fff1);
	add_capabilities(bridge);
}

static void start(void)
{
	static unsigned int index[CLAIMED] = { IDE, NIC, FAR };

	fake_add(0, 1, 1, 0x70108086, 0x010180, 0);
	fake_add(0, 3, 0, 0x100e8086, 0x020000, 0);
	fake_add(1, 2, 0, 0x33331af4, 0x010601, 0);
	fake_add(0, 5, 0, 0x11111af4, 0x088000, 0);
	fake_add(0, 6, 0, 0x22221af4, 0x088000, 0);
	fake_add(0, 4, 0, 0x244e8086, 0x060400, 1);
	fake_fns[IDE].bar_mask[4] = 0xfff0;
	store_le32(fake_fns[IDE].config + 0x20, 0xc041);
	fake_fns[NIC].bar_mask[0] = 0xfffe0000;
	fake_fns[NIC].bar_mask[1] = 0xffffffc0;
	fake_fns[NIC].config[0x14] = 1;
	fake_fns[NIC].bar_mask[2] = 0xffffc000;
	fake_fns[NIC].bar_mask[3] = 0xffffffff;
	fake_fns[NIC].config[0x18] = 0x0c;
	add_capabilities(&fake_fns[NIC]);
	make_far(&fake_fns[FAR], &fake_fns[BRIDGE]);
	fake_ecam = 0xb0000000;
	mmio_set_trap_fn(fake_trap);
	pci_set_ecam(fake_ecam, 0, 255);
	for (unsigned int i = 0; i < CLAIMED; i++) {
		claims[i].addr =
			(struct pci_addr){ 0, fake_fns[i].bus, fake_fns[i].dev,
					   fake_fns[i].fn };
		claims[i].bar_changed = bar_changed;
		claims[i].ctx = &index[i];
		if (pci_claim(&claims[i]))
			abort();
	}
	if (pci_conceal((struct pci_addr){ 0, 0, 5, 0 }))
		abort();
	memcpy(saved, fake_fns, sizeof(saved));
}

static void claimed_write(unsigned int i, u16 reg, u8 size, u32 v)
{
	guest_out(0xcf8, 4,
		  guest_cf8(fake_fns[i].bus, fake_fns[i].dev, fake_fns[i].fn,
			    reg));
	guest_out(0xcfc, size, v);
}

/* The same beginning for each input: all off, as the drivers know. */
static void reset(void)
{
	for (unsigned int i = 0; i < CLAIMED; i++) {
		claimed_write(i, 4, 2, 0);
		for (u16 reg = 0x10; reg < 0x28; reg += 4)
			claimed_write(i, reg, 4, 0);
	}
	memset(fake_ports, 0, sizeof(fake_ports));
	fake_fns[BRIDGE] = saved[BRIDGE];
	claimed_write(FAR, 0x10, 4, load_le32(saved[FAR].config + 0x10));
	claimed_write(FAR, 0x24, 4, load_le32(saved[FAR].config + 0x24));
	fake_fns[HIDDEN].accesses = saved[HIDDEN].accesses;
}

static u64 real_base(const struct fake_fn *f, unsigned int n)
{
	u64 base = load_le32(f->config + 0x10 + 4 * n) & f->bar_mask[n];

	if (n == 2 && f->bar_mask[3])
		base |= (u64)load_le32(f->config + 0x1c) << 32;
	return base;
}

/* PCI-to-PCI Bridge 1.2, 3.2.5; a whole BAR, which is below 4 GiB. */
static bool bridge_passes(const u8 *b, const struct pci_bar *bar)
{
	u64 last = bar->base + bar->size - 1;
	u64 low = bar->base >> 12, high = last >> 12;

	if (b[POWER + 4] & 3)
		return false;
	if (bar->io)
		return b[4] & 1 && low >= (b[0x1c] >> 4u) &&
		       high <= (b[0x1d] >> 4u) &&
		       !(b[0x3e] & 4 && bar->base & 0x300);
	low >>= 8;
	high >>= 8;
	return b[4] & 2 && ((low >= (load_le16(b + 0x20) >> 4u) &&
			     high <= (load_le16(b + 0x22) >> 4u)) ||
			    (low >= (load_le16(b + 0x24) >> 4u |
				     (u64)load_le32(b + 0x28) << 12) &&
			     high <= (load_le16(b + 0x26) >> 4u |
				      (u64)load_le32(b + 0x2c) << 12)));
}

static void check_bridge(void)
{
	const u8 *b = fake_fns[BRIDGE].config;

	if (b[0x19] != 1 || b[0x1a] != 1 || b[0x3e] & 0x40 ||
	    b[EXPRESS + 0x10] & 0x10)
		abort();
	for (unsigned int n = 0; n < 6; n++)
		if (hooked[FAR][n].enabled &&
		    !bridge_passes(b, &claims[FAR].bars[n]))
			abort();
}

static void check(void)
{
	const u8 *nic = fake_fns[NIC].config;

	if (nic[POWER + 4] & 3 || nic[EXPRESS + 9] & 0x80 || nic[FLR + 4] & 1)
		abort(); /* it decodes no more */
	check_bridge();
	for (unsigned int i = 0; i < CLAIMED; i++)
		for (unsigned int n = 0; n < 6; n++) {
			struct pci_bar *b = &claims[i].bars[n];

			if (!b->size)
				continue;
			if (!decodes(&fake_fns[i], b)) {
				if (hooked[i][n].enabled)
					abort();
				continue;
			}
			if (!hooked[i][n].enabled ||
			    hooked[i][n].base != real_base(&fake_fns[i], n))
				abort();
		}
	if (fake_fns[HIDDEN].accesses != saved[HIDDEN].accesses)
		abort();
}

static void step(const u8 p[8])
{
	static const u8 sizes[] = { 1, 2, 4, 8 };
	u32 value = load_le32(p + 4);
	u8 size = sizes[p[0] >> 4 & 3];
	bool write = p[0] & 1;
	struct mmio_io io = { fake_ecam + ((p[1] >> 3 & 1) << 20) +
				      ((p[1] & 7) << 15) +
				      load_le16(p + 2) % 0x8000,
			      size, write, value | (u64)value << 32 };

	if (p[0] & 2 && !mmio_hooked(io.gpa))
		return; /* goes to the hardware without us */
	if (p[0] & 2 && io.gpa % PAGE_SIZE + size > PAGE_SIZE)
		return; /* comes as two accesses */
	if (p[0] & 2 && mmio_access(&io))
		abort();
	if (p[0] & 2)
		return;
	if (size == 8)
		guest_out(0xcf8, 4,
			  guest_cf8(p[2] >> 3 & 1, p[2] & 7, p[3] >> 7,
				    (u16)(p[3] << 2 & 0xfc)));
	else if (write)
		guest_out(0xcf4 + p[1] % 12, size, value);
	else
		guest_in(0xcf4 + p[1] % 12, size);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (!fake_count)
		start();
	reset();
	for (; size >= 8; size -= 8, data += 8) {
		step(data);
		check();
	}
	return 0;
}

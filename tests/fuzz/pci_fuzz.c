/*
 * A hostile guest at configuration space: any accesses, by port and through
 * the window, to a machine with two claimed functions and a concealed one.
 * What must hold after each: where a claimed function decodes, there its
 * driver has been told to hook, and nowhere else; it does not sleep; the
 * concealed one has not been touched.
 * units: core/io/pci.c core/io/pci_bar.c core/io/pci_cap.c core/io/pci_bridge.c core/io/port.c core/io/mmio.c
 */
#include <stdlib.h>

#include "core/io/pci.h"
#include "tests/unit/fake_pci.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct pci_claim claims[2];
static struct pci_bar hooked[2][6]; /* what the drivers know */
static struct fake_fn saved[8];

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

static void start(void)
{
	static unsigned int index[2] = { 0, 1 };

	fake_add(0, 1, 1, 0x70108086, 0x010180, 0);
	fake_add(0, 3, 0, 0x100e8086, 0x020000, 0);
	fake_add(0, 5, 0, 0x11111af4, 0x088000, 0);
	fake_add(0, 6, 0, 0x22221af4, 0x088000, 0);
	fake_fns[0].bar_mask[4] = 0xfff0;
	store_le32(fake_fns[0].config + 0x20, 0xc041);
	fake_fns[1].bar_mask[0] = 0xfffe0000;
	fake_fns[1].bar_mask[1] = 0xffffffc0;
	fake_fns[1].config[0x14] = 1;
	fake_fns[1].bar_mask[2] = 0xffffc000;
	fake_fns[1].bar_mask[3] = 0xffffffff;
	fake_fns[1].config[0x18] = 0x0c;
	fake_fns[1].config[6] = 0x10; /* power management */
	fake_fns[1].config[0x34] = 0x40;
	fake_fns[1].config[0x40] = 1;
	fake_ecam = 0xb0000000;
	mmio_set_trap_fn(fake_trap);
	pci_set_ecam(fake_ecam, 0, 255);
	for (unsigned int i = 0; i < 2; i++) {
		claims[i].addr = (struct pci_addr){ 0, 0, fake_fns[i].dev,
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

/* The same beginning for each input: all off, as the drivers know. */
static void reset(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		guest_write(fake_fns[i].dev, fake_fns[i].fn, 4, 2, 0);
		for (u16 reg = 0x10; reg < 0x28; reg += 4)
			guest_write(fake_fns[i].dev, fake_fns[i].fn, reg, 4, 0);
	}
	memset(fake_ports, 0, sizeof(fake_ports));
	fake_fns[2].accesses = saved[2].accesses;
}

static u64 real_base(const struct fake_fn *f, unsigned int n)
{
	u64 base = load_le32(f->config + 0x10 + 4 * n) & f->bar_mask[n];

	if (n == 2 && f->bar_mask[3])
		base |= (u64)load_le32(f->config + 0x1c) << 32;
	return base;
}

static void check(void)
{
	if (fake_fns[1].config[0x44] & 3)
		abort(); /* in D0 only it decodes */
	for (unsigned int i = 0; i < 2; i++)
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
	if (fake_fns[2].accesses != saved[2].accesses)
		abort();
}

static void step(const u8 p[8])
{
	static const u8 sizes[] = { 1, 2, 4, 8 };
	u32 value = load_le32(p + 4);
	u8 size = sizes[p[0] >> 4 & 3];
	bool write = p[0] & 1;
	struct mmio_io io = { fake_ecam + ((p[2] & 3) << 14) +
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
			  guest_cf8(0, p[2] & 7, p[3] >> 6 & 1, p[3] & 0x3f));
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

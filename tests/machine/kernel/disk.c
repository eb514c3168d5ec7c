/* The first IDE channel's first disk, by PIO and by bus-master DMA. */
#include "kernel.h"

#include "call.h"

#define BASE 0x1f0
#define CTL  0x3f6
#define ERR  1
#define DRQ  8
#define DRDY 0x40
#define BSY  0x80
#define SRST 4

struct prd {
	u32 base;
	u16 bytes, flags;
};
#define PRD_END 0x8000

static struct prd list[64] __attribute__((aligned(4096)));
static u8 good[8192], got[0x20000 + 8192] __attribute__((aligned(65536)));
static u64 first; /* a sector in the protected range */

u16 ide_bm(void);
void disk_hidden(u64 hidden, u64 len);
void disk_control(u8 value);
void disk_again(void);

static u32 pci_read(u32 dev, u32 fn, u32 reg)
{
	out32(0xcf8, 0x80000000 | dev << 11 | fn << 8 | reg);
	return in32(0xcfc);
}

u16 ide_bm(void)
{
	for (u32 dev = 0; dev < 32; dev++)
		for (u32 fn = 0; fn < 8; fn++)
			if (pci_read(dev, fn, 8) >> 16 == 0x0101) {
				u32 command = pci_read(dev, fn, 4);

				out32(0xcf8, 0x80000004 | dev << 11 | fn << 8);
				out16(0xcfc, command | 5);
				return pci_read(dev, fn, 0x20) & 0xfffc;
			}
	return 0;
}

static u8 wait(void)
{
	u8 st;

	for (int i = 0; i < 4; i++)
		in8(CTL);
	do
		st = in8(BASE + 7);
	while (st & BSY);
	return st;
}

/*
 * Writes device control, and waits for the end of a reset that it ends. QEMU
 * 7.2 lets a reset wait for the disk, outside the CPU, and hangs for ever if a
 * second one comes meanwhile. It shows the wait only while the first device is
 * selected, and takes no selection meanwhile.
 */
void disk_control(u8 value)
{
	static bool reset;

	out8(CTL, value);
	while (reset && !(value & SRST) && (in8(CTL) & (BSY | DRDY)) != DRDY)
		out8(BASE + 6, 0xe0);
	reset = value & SRST;
}

static void command(u8 code, u64 lba, u8 count)
{
	out8(BASE + 6, 0xe0 | (lba >> 24 & 15));
	wait();
	out8(BASE + 2, count);
	out8(BASE + 3, lba);
	out8(BASE + 4, lba >> 8);
	out8(BASE + 5, lba >> 16);
	out8(BASE + 7, code);
}

static bool pio_read(u64 lba, u8 count, u8 *to)
{
	command(0x20, lba, count);
	for (; count; count--, to += 512) {
		u64 n = 256;
		void *d = to;

		if ((wait() & (DRQ | ERR)) != DRQ)
			return false;
		__asm__ volatile("rep insw"
				 : "+D"(d), "+c"(n)
				 : "d"(BASE)
				 : "memory");
	}
	return true;
}

/* Starts a DMA command with the list at @prd; the status at its end. Ends by
 * itself if the engine stops before the device does. */
static u8 dma(u16 bm, u32 prd, u8 code, u64 lba, u8 count)
{
	u8 st, way = code == 0xc8 ? 8 : 0;
	u32 spins = 0;

	out8(bm, 0);
	out32(bm + 4, prd);
	out8(bm + 2, in8(bm + 2) | 6);
	out8(bm, way);
	command(code, lba, count);
	out8(bm, way | 1);
	do
		st = in8(CTL);
	while (st & BSY && ++spins < 1000000);
	while (!(st & ERR) && in8(bm + 2) & 1 && ++spins < 1000000)
		;
	out8(bm, 0);
	st = in8(BASE + 7);
	if (st & (BSY | DRQ)) {
		disk_control(SRST);
		disk_control(0);
	}
	return st;
}

/* Read and write with the list at @prd have to be refused. */
static void refused(const char *name, u16 bm, u32 prd)
{
	u8 st = dma(bm, prd, 0xc8, first, 16), error = in8(BASE + 1), wr;

	wr = dma(bm, prd, 0xca, first, 16);
	check((st & ERR) && (error & 4) && (wr & ERR), name,
	      "status 0x%x error 0x%x, write 0x%x", st, error, wr);
}

static void works(const char *name, u16 bm)
{
	u8 st;

	list[0] = (struct prd){ (u32)(u64)got, 8192, PRD_END };
	memset(got, 0, sizeof(got));
	st = dma(bm, (u32)(u64)list, 0xc8, first, 16);
	check(!(st & (ERR | BSY | DRQ)) && !memcmp(good, got, 8192), name,
	      "status 0x%x", st);
}

void disk_hidden(u64 hidden, u64 len)
{
	u32 h = (u32)hidden, end = (u32)(hidden + len);
	u16 bm = ide_bm();

	first = option("disk", 0);
	out8(CTL, 2);
	check(pio_read(first, 16, good), "pio", " ");
	works("dma", bm);

	list[0] = (struct prd){ h, 8192, PRD_END };
	refused("prd-in-hidden", bm, (u32)(u64)list);
	list[0] = (struct prd){ end - 8192, 8192, PRD_END };
	refused("prd-at-end-of-hidden", bm, (u32)(u64)list);
	list[0] = (struct prd){ h - 2, 8192, PRD_END };
	refused("prd-into-hidden", bm, (u32)(u64)list);
	list[0] = (struct prd){ h - 4096, 0, PRD_END };
	refused("prd-of-64k-into-hidden", bm, (u32)(u64)list);
	list[0] = (struct prd){ (u32)(u64)got, 4096, 0 };
	list[1] = (struct prd){ h + 0x12344, 4096, PRD_END };
	refused("second-prd", bm, (u32)(u64)list);
	list[0] = (struct prd){ (u32)(u64)got + 1, 513, 0 };
	list[1] = (struct prd){ h + 0x12345, 8191, PRD_END };
	refused("odd-prds", bm, (u32)(u64)list);
	refused("list-in-hidden", bm, h + 0x2000);
	refused("list-at-4-gib", bm, 0xfffffff0);
	/* a list whose second entry would lie in the hidden memory */
	*(struct prd *)(hidden - 8) = (struct prd){ (u32)(u64)got, 512, 0 };
	refused("list-into-hidden", bm, h - 8);
	/* ends before the hidden memory, at its very border */
	list[0] = (struct prd){ h - 8192, 8192, PRD_END };
	check(!(dma(bm, (u32)(u64)list, 0xc8, first, 16) & ERR) &&
		      !memcmp(good, (void *)(hidden - 8192), 8192),
	      "prd-before-hidden", " ");
	works("dma-after", bm);
	check(pio_read(first, 16, got) && !memcmp(good, got, 8192), "pio-after",
	      " ");
}

/* The disk after anything: reset, it takes a sector and gives it back. */
void disk_again(void)
{
	static u32 round;
	u8 st = 0xff;

	first = option("disk", 0);
	disk_control(SRST | 2);
	disk_control(2);
	for (u32 i = 0; i < sizeof(good); i++)
		good[i] = (u8)(i * 7 + (i >> 8) + round);
	command(0x30, first + 16 * round, 16);
	for (u32 i = 0; i < 16; i++) {
		u64 n = 256;
		void *s = good + 512 * i;

		st = wait();
		if ((st & (DRQ | ERR)) != DRQ)
			break;
		__asm__ volatile("rep outsw" : "+S"(s), "+c"(n) : "d"(BASE));
	}
	st = wait();
	memset(got, 0, sizeof(good));
	check(!(st & (ERR | DRQ)) && pio_read(first + 16 * round, 16, got) &&
		      !memcmp(good, got, sizeof(good)),
	      "disk-again", "status 0x%x error 0x%x", st, in8(BASE + 1));
	say("@@ written %u\n", round++);
}

bool disk_dma_out(u64 from, u64 lba)
{
	static u16 bm;

	if (!bm)
		bm = ide_bm();
	list[0] = (struct prd){ (u32)from, 0, PRD_END };
	return !(dma(bm, (u32)(u64)list, 0xca, lba, 128) & (ERR | BSY | DRQ));
}

void disk_wait_for(u64 lba, u8 value)
{
	do
		if (!pio_read(lba, 1, got))
			check(false, "go", " ");
	while (got[0] != value);
}

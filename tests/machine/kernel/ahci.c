/*
 * Random values, from a seed, to all that an AHCI port takes from its driver:
 * registers, command list, frames, tables and their entries, which another
 * CPU, if there is one, changes meanwhile. Every address field is now and
 * then aimed at the hidden memory. The only RAM that is ever named besides
 * holds the canary, a text that must not come to lie in the protected range.
 */
#include "kernel.h"

#define SLOTS	      32
#define ENTRIES	      60
#define CANARY	      "shoji canary 41!"

#define WRITE_DMA_FUA 0x3d
#define READ_FPDMA    0x60
#define WRITE_FPDMA   0x61
#define FUA	      0x80 /* of the FPDMA commands' device byte */

enum {
	CLB = 0x00 / 4,
	CLBU = 0x04 / 4,
	FB = 0x08 / 4,
	FBU = 0x0c / 4,
	IS = 0x10 / 4,
	IE = 0x14 / 4,
	CMD = 0x18 / 4,
	TFD = 0x20 / 4,
	SCTL = 0x2c / 4,
	SERR = 0x30 / 4,
	SACT = 0x34 / 4,
	CI = 0x38 / 4,
};
#define GHC 1
#define ST  0x0001
#define FRE 0x0010
#define CR  0x8000

struct entry {
	u64 address;
	u32 zero, bytes;
};
struct table {
	u8 fis[128];
	struct entry entry[ENTRIES];
	u8 pad[2048 - 128 - 16 * ENTRIES];
};
struct header {
	u16 flags, entries;
	u32 bytes;
	u64 table;
	u32 zero[4];
};

static struct header list[2 * SLOTS] __attribute__((aligned(4096)));
static u8 frames[4096] __attribute__((aligned(4096)));
static struct table table[SLOTS] __attribute__((aligned(4096)));
static u8 buffer[0x100000] __attribute__((aligned(4096)));
static u8 got[8192] __attribute__((aligned(4096)));
static volatile u32 *hba, *port;
static u64 hidden, hidden_size, first;
static volatile bool storm;
static bool calm; /* does not stop the port while it moves data */
static u8 fua;

static void buffer_fill(void)
{
	for (u32 i = 0; i < sizeof(buffer); i++)
		buffer[i] = CANARY[i % 16];
}

/* ---- the usual way ---- */

static u32 config(u32 where)
{
	out32(0xcf8, 0x80000000 | where);
	return in32(0xcfc);
}

static bool hba_find(void)
{
	for (u32 f = 0; f < 256; f++)
		if (config(f << 8 | 8) >> 8 == 0x010601) {
			out32(0xcf8, 0x80000004 | f << 8);
			out16(0xcfc, 6);
			hba = (volatile u32 *)(u64)(config(f << 8 | 0x24) &
						    ~15u);
			port = hba + 0x100 / 4;
			return true;
		}
	return false;
}

static void wait_clear(volatile u32 *reg, u32 bits)
{
	for (u32 i = 0; i < 1000000 && *reg & bits; i++)
		;
}

static void start(void)
{
	port[CMD] = FRE;
	wait_clear(&port[CMD], CR);
	port[SCTL] = 0x301;
	port[SCTL] = 0x300;
	port[CLB] = (u32)(u64)list;
	port[CLBU] = 0;
	port[FB] = (u32)(u64)frames;
	port[FBU] = 0;
	port[SERR] = ~0u;
	port[IS] = ~0u;
	wait_clear(&port[TFD], 0x88);
	port[CMD] = FRE | ST;
}

/* 16 sectors by a command of the 48-bit set; false if it has failed. */
static bool issue(u8 code, bool write, u64 lba, void *data)
{
	bool ncq = code == READ_FPDMA || code == WRITE_FPDMA;
	struct table *t = &table[5];

	memset(t->fis, 0, sizeof(t->fis));
	t->fis[0] = 0x27;
	t->fis[1] = 0x80;
	t->fis[2] = code;
	for (u32 i = 0; i < 3; i++) {
		t->fis[4 + i] = (u8)(lba >> 8 * i);
		t->fis[8 + i] = (u8)(lba >> (24 + 8 * i));
	}
	t->fis[7] = 0x40 | (ncq && write ? fua : 0);
	t->fis[ncq ? 3 : 12] = 16;
	if (ncq)
		t->fis[12] = 5 << 3;
	t->entry[0] = (struct entry){ (u64)data, 0, 8191 };
	list[5] = (struct header){ 5 | write << 6, 1, 0, (u64)t, { 0 } };
	__asm__ volatile("" ::: "memory");
	if (ncq)
		port[SACT] = 1 << 5;
	port[CI] = 1 << 5;
	while ((port[CI] | port[SACT]) & 1 << 5)
		if (port[IS] & 1u << 30)
			return false;
	return !(port[IS] & 1u << 30);
}

static void good(const char *name)
{
	start();
	memset(got, 0, sizeof(got));
	check(issue(WRITE_FPDMA, true, first, buffer) &&
		      issue(READ_FPDMA, false, first, got) &&
		      !memcmp(got, buffer, sizeof(got)),
	      name, "registers %x %x %x", port[IS], port[TFD], port[CMD]);
}

/* ---- the storm ---- */

/* Where nothing is that may not be hit. */
static u64 elsewhere(u64 r)
{
	switch (r & 3) {
	case 0:
		return hidden ? hidden + (r >> 8) % hidden_size : ~0ULL;
	case 1:
		return hidden ? hidden + hidden_size - (r >> 8 & 0x1fff) : 0;
	case 2:
		return r >> 8 | 1ULL << 40;
	default:
		return 0xe0000000 | (r >> 8 & 0xfffffff);
	}
}

static u64 pick(u64 ours, u64 r)
{
	return r & 15 ? ours : elsewhere(r >> 4);
}

static void change_entry(u64 r)
{
	struct entry *e = &table[r % SLOTS].entry[(r >> 8) % ENTRIES];
	u64 s = random64();

	/* what begins in the buffer ends there, whatever the length becomes */
	e->bytes = (u32)(s >> 16 & (s & 0x10 ? 0xffff : 0x1ff)) | 1;
	e->address = pick((u64)buffer + (s >> 32 & 0xefffe), s);
}

/* QEMU 7.2 dies of sectors that come by PIO to a port that has been stopped
 * meanwhile: its ahci_pio_transfer() has no command any more. */
static bool by_pio(u8 code)
{
	static const u8 codes[] = { 0x20, 0x21, 0x24, 0x29, 0x30, 0x31,
				    0x34, 0x39, 0x3c, 0xc4, 0xc5, 0xce };

	for (u32 i = 0; i < sizeof(codes); i++)
		if (code == codes[i])
			return true;
	return false;
}

static void change_frame(u64 r)
{
	static const u8 codes[] = { 0x60, 0x61, 0x60, 0x61, 0x25, 0x35,
				    0xc8, 0xca, 0x06, 0xec, 0x2f, 0xb0,
				    0xa0, 0xea, 0x3d, 0x42, 0x63, 0x64 };
	u8 *f = table[r % SLOTS].fis;
	u64 lba = first + (r >> 8 & 0x3fff), s = random64();
	u8 code = s >> 10 & 7 ? codes[(s >> 24) % sizeof(codes)] : s >> 24;

	f[0] = s & 31 ? 0x27 : (u8)(s >> 8);
	f[1] = s >> 5 & 31 ? 0x80 : (u8)(s >> 16);
	f[2] = by_pio(code) ? 0x25 : code;
	for (u32 i = 0; i < 3; i++)
		f[4 + i] = (u8)(lba >> 8 * i);
	f[3] = f[12] = (u8)(s >> 32);
	f[7] = s >> 40 & 31 ? 0x40 : (u8)(s >> 45);
	if (!(s >> 56))
		f[3 + (s >> 48) % 17] = (u8)s;
	if (f[2] >= 0x60 && f[2] <= 0x65)
		f[12] = (u8)(r % SLOTS << 3);
}

static void change_header(u64 r)
{
	struct header *h = &list[r % SLOTS];
	u64 s = random64();
	u64 at = pick((u64)&table[r % SLOTS], s);

	h->flags = s >> 40 & 7 ? 5 | (s >> 43 & 0x40) : (u16)(s >> 43);
	h->entries = (u16)(s >> 8) % (ENTRIES + 1);
	h->table = at;
}

static void change(void)
{
	u64 r = random64();

	switch (r >> 60 & 3) {
	case 0:
		change_header(r);
		break;
	case 1:
		change_frame(r);
		break;
	default:
		change_entry(r);
	}
}

static void write_bases(u64 r)
{
	u64 s = random64();
	u64 at = pick(r & 1 ? (u64)list : (u64)frames, s);

	port[r & 1 ? CLB : FB] = (u32)at;
	port[r & 1 ? CLBU : FBU] = (u32)(at >> 32);
}

/* The port's commands have ended, or stand still. */
static void settle(void)
{
	for (u32 i = 0; i < 300 && (port[CI] | port[SACT]); i++)
		__asm__ volatile("pause");
}

static void write_register(u64 r)
{
	u32 v = (u32)random64();

	if (calm)
		settle();
	switch (r >> 8 & 15) {
	case 0:
	case 1:
		write_bases(r);
		break;
	case 2:
		port[CMD] = r & 1 ? FRE | ST : v;
		break;
	case 3:
		port[CMD] = FRE | ST;
		break;
	case 4:
		if (!(r >> 20 & 7))
			port[SCTL] = v;
		port[SCTL] = 0x300;
		break;
	case 5:
		if (!(r >> 20 & 31))
			hba[GHC] = v;
		hba[GHC] = 0x80000000;
		break;
	case 6: /* any but the bases, in any width */
		((volatile u8 *)port)[0x10 + (r >> 32) % 0x70] = (u8)v;
		break;
	case 7:
		((volatile u16 *)port)[8 + (r >> 32) % 0x38] = (u16)v;
		break;
	case 8:
		((volatile u64 *)port)[2 + (r >> 32) % 14] = random64();
		break;
	case 9:
		start();
		break;
	default:
		port[SERR] = ~0u;
		port[SACT] = v;
		port[CI] = v;
	}
}

static void look(u64 r)
{
	(void)port[r & 31];
	(void)port[CI];
	(void)port[IS];
	(void)hba[r >> 8 & 15];
}

static void other_cpu(void)
{
	if (storm)
		change();
}

void test_ahci(void)
{
	u64 count = option("count", 20000);

	first = option("disk", 0);
	random_seed(option("seed", 1));
	calm = option("calm", 0);
	if (find_hidden(&hidden, &hidden_size))
		say("@@ hidden %lu MiB at 0x%lx\n", hidden_size >> 20, hidden);
	buffer_fill();
	check(hba_find(), "hba", "none");
	good("before");
	if (option("keys", 0))
		wait_for_key();
	for (u32 i = 0; i < SLOTS * 8; i++) {
		change_header(i);
		change_frame(i);
		change_entry(i);
	}
	storm = true;
	if (option("cpus", 1) > 1)
		check(ap_start(other_cpu), "other-cpu", "does not start");
	while (count--) {
		u64 r = random64();

		if (r & 1)
			change();
		else if (r & 6)
			look(r >> 8);
		else
			write_register(r);
	}
	storm = false;
	buffer_fill();
	if (calm)
		settle();
	hba[GHC] = 0x80000001;
	wait_clear(&hba[GHC], 1);
	good("after");
	if (option("keys", 0))
		wait_for_key();
}

/* ---- no harm: two ports, and forced unit access ---- */

/* The key is for the host, to look for the same in the HBA. */
static void use_port(u32 n)
{
	port = hba + (0x100 + 0x80 * n) / 4;
	good("transfer");
	say("@@ port 0x%lx list 0x%x frames 0x%x\n", (u64)port, port[CLB],
	    port[FB]);
	wait_for_key();
}

void test_ports(void)
{
	first = option("disk", 0);
	buffer_fill();
	check(hba_find(), "hba", "none");
	use_port(1);
	use_port(0);
	first += 16;
	fua = FUA;
	good("fpdma-fua");
	first += 16;
	say("@@ fua %s\n",
	    issue(WRITE_DMA_FUA, true, first, buffer) ? "done" : "aborted");
}

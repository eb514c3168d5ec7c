/*
 * An AHCI port of the driver against a model of the hardware: the disk holds
 * ciphertext in the protected ranges and nothing else, the guest reads what
 * it wrote, and the hardware touches no memory that it was not given.
 *
 * units: drivers/ata/command.c drivers/ata/identify.c drivers/ata/ahci_command.c drivers/ata/ahci_done.c drivers/ata/ahci_identify.c drivers/ata/ahci_packet.c drivers/ata/packet.c drivers/ata/ahci_port.c core/io/sg.c tests/unit/ahci_model.c tests/unit/model_memory.c tests/unit/toy_filter.c
 */
#include <string.h>

#include "core/io/dma.h"
#include "core/io/mmio.h"
#include "core/lib/bytes.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "drivers/ata/ahci.h"
#include "tests/unit/ahci_model.h"
#include "tests/unit/test.h"
#include "tests/unit/toy_filter.h"

/* The guest's memory. */
#define LIST	   0x4000u
#define FRAMES	   0x5000u
#define TABLE(n)   (0x100000u + (n)*0x8000u)
#define TABLE_LONG 0x200000u /* a megabyte, for 65,535 entries */
#define DATA(n)	   (0x320000u + (n)*0x20000u)
#define REGION	   128 /* sectors for each slot */

#define FIRST	   100 /* protected: [FIRST, LAST), and from HIGH_FIRST on */
#define LAST	   3000
#define HIGH_FIRST (MODEL_HIGH + 100)

static struct ahci_port ports[MODEL_PORTS];
static struct ahci_port *const p = &ports[0];
static struct lock attach_lock;
static struct ata_options options;
static u8 plain[MODEL_IMAGE];	/* as the guest sees its disk */
static u8 pending[MODEL_IMAGE]; /* after the writes under way */
static u32 attached, attached_size, foreign, plain_seen, waited;

static struct block_dev the_dev = { 512, FIRST, LAST, HIGH_FIRST };
static struct block_filter filter;

static u8 key(u64 lba, u32 i)
{
	return xor_key(&the_dev, lba, i);
}

static struct block_dev *attach(const struct block_id *id)
{
	attached++;
	attached_size = id->sector_size;
	EXPECT(attach_lock.next != attach_lock.serving); /* it is held */
	return strncmp(id->serial, "SECRET", 6) ? NULL : &the_dev;
}

/* ---- what the hardware must not do ---- */

static u64 place(u64 lba)
{
	return (u64)(model_sector(&model.port[0].disk, lba) -
		     model.port[0].disk.data);
}

/* A sector is what the guest has written, encrypted. */
static void check_write(struct model_disk *disk, u64 lba, const u8 *data)
{
	const u8 *now = plain + place(lba), *new = pending + place(lba);
	bool old = true, good = true;

	if (disk != &model.port[0].disk || !p->dev)
		return;
	for (u32 i = 0; i < disk->sector; i++) {
		old &= (data[i] ^ key(lba, i)) == now[i];
		good &= (data[i] ^ key(lba, i)) == new[i];
	}
	if (!old && !good)
		plain_seen++;
}

static bool inside(u64 addr, u32 len, hpa_t start, u64 size)
{
	return addr >= start && range_ok(addr - start, len, size);
}

/* The frame of a decided command, and just the memory that its data takes. */
static bool table_good(const struct ahci_port *q, u32 n)
{
	const struct ahci_slot *s = &q->slot[n];
	const struct ahci_header *h = &q->page->list[n];
	const struct ahci_table *t = &q->table[n];
	u64 bytes = 0, sectors = (u64)s->chunk * q->sector_size;

	if (t->fis[0] != 0x27 || (h->flags & 0x1F) != 5 ||
	    !(h->flags & 0x20) != !s->packet ||
	    (s->queued && (t->fis[12] != n << 3 || t->fis[13])))
		return false;
	for (u32 i = 0; i < h->prdtl; i++) {
		if (t->prd[i].dbc >= 0x400000)
			return false;
		bytes += t->prd[i].dbc + 1;
	}
	switch (s->kind) {
	case AHCI_PASS:
		return s->data || !bytes;
	case AHCI_IDENTIFY:
		return bytes == 512;
	case AHCI_USER:
	case AHCI_READ:
	case AHCI_WRITE:
		return bytes && bytes == sectors;
	case AHCI_NEW:
		return false;
	default: /* NOP, or no command */
		return !bytes && !s->queued && (s->packet || !t->fis[2]) &&
		       !(h->flags & 0x40);
	}
}

static bool is_table(const struct ahci_port *q, u64 addr)
{
	return q->table &&
	       inside(addr, 1, q->table_pa, q->slots * sizeof(*q->table)) &&
	       (addr - q->table_pa) % sizeof(*q->table) == 0;
}

static void check_dma(u32 port, u64 addr, u32 len, bool write)
{
	const struct ahci_port *q = &ports[port];
	bool good;

	if (q->mode == AHCI_PLAIN)
		return;
	good = inside(addr, len, q->page_pa, sizeof(*q->page)) ||
	       (!model.fetching && inside(addr, len, 0, MODEL_RAM));
	if (q->table)
		good |= inside(addr, len, q->bounce_pa,
			       q->bounce_pages * PAGE_SIZE) ||
			(!write && inside(addr, len, q->table_pa,
					  q->slots * sizeof(*q->table)));
	if (is_table(q, addr))
		good &= table_good(
			q, (u32)((addr - q->table_pa) / sizeof(*q->table)));
	foreign += !good;
}

/* ---- the machine ---- */

static void ports_init(void)
{
	filter = xor_filter;
	filter.attach = attach;
	for (u32 i = 0; i < MODEL_PORTS; i++) {
		struct ahci_port *q = &ports[i];

		memset(q, 0, sizeof(*q));
		q->filter = &filter;
		q->options = &options;
		q->attach_lock = &attach_lock;
		q->id = (struct block_id){ .bus = "ahci", .channel = (u8)i };
		q->wide = model.cap >> 31;
		q->queues = true;
		q->slots = 32;
		q->spins = 100000;
		q->base = MODEL_ABAR + HBA_PORT0 + i * AHCI_PORT_SIZE;
	}
}

static void machine(u32 sector)
{
	struct model_disk *d = &model.port[0].disk;

	model_init();
	memset(plain, 0, sizeof(plain));
	memset(pending, 0, sizeof(pending));
	options = (struct ata_options){ .bounce_kib = 64 };
	attached = foreign = plain_seen = 0;
	d->sector = the_dev.sector = sector;
	for (u64 at = 0; at < sizeof(plain); at += sector) {
		u64 lba = at < sizeof(plain) / 2
				  ? at / sector
				  : MODEL_HIGH +
					    (at - sizeof(plain) / 2) / sector;

		for (u32 i = 0; i < sector; i++)
			d->data[at + i] = key(lba, i);
	}
	model.on_write = check_write;
	model.on_dma = check_dma;
	ports_init();
	for (u32 i = 0; i < MODEL_PORTS; i++)
		EXPECT_EQ(ahci_port_start(&ports[i]), 0);
}

/* ---- its guest ---- */

static u32 in(u32 reg)
{
	return ahci_port_read(p, reg);
}

static void out(u32 reg, u32 v)
{
	ahci_port_write(p, reg, v);
}

static void guest_start(void)
{
	out(PxCLB, LIST);
	out(PxCLBU, 0);
	out(PxFB, FRAMES);
	out(PxFBU, 0);
	out(PxCMD, PxCMD_FRE);
	out(PxSERR, ~0u);
	out(PxIS, ~0u);
	out(PxCMD, PxCMD_FRE | PxCMD_ST);
	EXPECT_EQ(in(PxCMD)&PxCMD_ST, PxCMD_ST);
}

static void wait_cmd(u32 bits)
{
	u32 i = 0;

	while (in(PxCMD)&bits)
		if (i++ > 10000)
			break;
}

static void guest_stop(void)
{
	out(PxCMD, PxCMD_FRE);
	wait_cmd(PxCMD_CR);
	out(PxCMD, 0);
	wait_cmd(PxCMD_FR);
	EXPECT_EQ(in(PxCI), 0);
	EXPECT_EQ(in(PxSACT), 0);
}

struct op {
	u64 lba;
	u32 count;
	u8 code;
	bool write, queued, active;
};
static struct op ops[32];

static u32 op_bytes(const struct op *op)
{
	return op->count * model.port[0].disk.sector;
}

static u32 gap; /* between pieces */

/* Pieces of the memory at @data; returns how many. */
static u32 make_list(u32 table, u32 data, u32 bytes, u32 most)
{
	u32 n = 0;

	while (bytes) {
		u32 len =
			(u32)min_u64(2 + model_random() % most / 2 * 2, bytes);
		u8 *e = model.memory + table + 0x80 + 16 * n++;

		store_le64(e, data);
		store_le32(e + 12, (len - 1) | (model_random() & 1) << 31);
		data += len + gap;
		bytes -= len;
	}
	return n;
}

static void make_header(u32 n, u32 table, u32 prds, bool write)
{
	u8 *h = model.memory + LIST + 32 * n;

	memset(h, 0, 32);
	h[0] = (u8)(5 | write << 6);
	store_le16(h + 2, (u16)prds);
	store_le32(h + 8, table);
}

static void make_fis(u32 table, const struct op *op, u32 tag)
{
	u8 *f = model.memory + table;

	memset(f, 0, 64);
	f[0] = 0x27;
	f[1] = 0x80;
	f[2] = op->code;
	for (int i = 0; i < 3; i++) {
		f[4 + i] = (u8)(op->lba >> 8 * i);
		f[8 + i] = (u8)(op->lba >> (24 + 8 * i));
	}
	f[7] = 0x40;
	if (!ata_command(op->code)->ext)
		f[7] |= op->lba >> 24 & 15;
	if (op->queued) {
		f[3] = (u8)op->count;
		f[11] = (u8)(op->count >> 8);
		f[12] = (u8)(tag << 3);
	} else {
		f[12] = (u8)op->count;
		f[13] = (u8)(op->count >> 8);
	}
}

static void op_prepare(u32 n)
{
	struct op *op = &ops[n];
	u32 bytes = op_bytes(op);
	u32 prds = make_list(TABLE(n), DATA(n) + model_random() % 16 * 2, bytes,
			     bytes < 2048	  ? 8
			     : model_random() & 1 ? 100
						  : 60000);

	make_header(n, TABLE(n), prds, op->write);
	make_fis(TABLE(n), op, n);
	for (u32 i = 0; i < bytes + 32; i += 4)
		store_le32(model.memory + DATA(n) + i, model_random());
	if (op->write) {
		u32 at = (u32)load_le64(model.memory + TABLE(n) + 0x80);

		memcpy(pending + place(op->lba), model.memory + at, bytes);
	}
	op->active = true;
}

static void op_choose(u32 n, bool queued)
{
	static const u8 reads[] = { 0x25, 0x24, 0x29, 0xC8, 0x20 };
	static const u8 writes[] = { 0x35, 0x3D, 0x34, 0x39, 0xCA, 0x30 };
	u32 most = 65536 / model.port[0].disk.sector;
	u32 region = REGION * 512 / model.port[0].disk.sector;
	struct op *op = &ops[n];

	op->write = model_random() & 1;
	op->queued = queued;
	op->count = 1 + model_random() % (model_random() & 1 ? 4 : most / 2);
	op->lba = n * region + model_random() % (region - op->count);
	if (queued)
		op->code = op->write ? 0x61 : 0x60;
	else
		op->code = op->write ? writes[model_random() % 6]
				     : reads[model_random() % 5];
	if (ata_command(op->code)->ext && model_random() & 1)
		op->lba += MODEL_HIGH;
}

/* ---- what must hold ---- */

static bool same(const struct op *op, const u8 *want)
{
	u32 size = model.port[0].disk.sector;

	for (u32 i = 0; i < op_bytes(op); i++)
		if (model_sector(&model.port[0].disk, op->lba)[i] !=
		    (want[i] ^ key(op->lba + i / size, i % size)))
			return false;
	return true;
}

static void op_check(u32 n)
{
	struct op *op = &ops[n];
	u32 at = (u32)load_le64(model.memory + TABLE(n) + 0x80);
	u8 *now = plain + place(op->lba);

	if (op->write)
		memcpy(now, model.memory + at, op_bytes(op));
	EXPECT(same(op, now));
	EXPECT(!memcmp(model.memory + at, now, op_bytes(op)));
	if (!op->queued)
		EXPECT_EQ(load_le32(model.memory + LIST + 32 * n + 4),
			  op_bytes(op));
	EXPECT_EQ(model.memory[FRAMES + (op->queued ? 0x58 : 0x40)],
		  op->queued ? 0xA1 : 0x34);
	op->active = false;
}

/* After an abort each sector is old or new. */
static void op_settle(u32 n)
{
	struct op *op = &ops[n];
	u32 size = model.port[0].disk.sector;
	struct op one = *op;

	one.count = 1;
	for (u32 i = 0; op->active && op->write && i < op->count; i++) {
		u64 at = place(one.lba = op->lba + i);

		if (same(&one, pending + at))
			memcpy(plain + at, pending + at, size);
		EXPECT(same(&one, plain + at));
		memcpy(pending + at, plain + at, size);
	}
	op->active = false;
}

/* Looks at some register, as drivers do; notes what has ended. */
static bool poll(void)
{
	static const u32 looks[] = { PxIS, PxTFD, PxCI, PxSACT, PxIS };
	u32 busy, left = 0;

	in(looks[model_random() % 5]);
	if (model_random() & 1)
		out(PxIS, ~0u);
	busy = in(PxCI) | in(PxSACT);
	for (u32 n = 0; n < 32; n++) {
		if (ops[n].active && !(busy >> n & 1))
			op_check(n);
		left += ops[n].active;
	}
	return left;
}

static void issue(u32 slots, bool queued)
{
	for (u32 n = 0; n < 32; n++) {
		if (!(slots >> n & 1))
			continue;
		op_choose(n, queued);
		op_prepare(n);
	}
	memset(model.memory + FRAMES, 0, 256);
	if (queued)
		out(PxSACT, slots);
	out(PxCI, slots);
}

/* A burst of commands; false if they did not end after @polls looks. */
static bool burst(u32 polls)
{
	bool queued = model_random() & 1;
	u32 slots = model_random();

	if (!queued)
		slots &= model_random() & model_random() & model_random();
	issue(slots, queued);
	while (poll())
		if (!polls--)
			return false;
	return true;
}

static void clean(void)
{
	EXPECT_EQ(foreign, 0);
	EXPECT_EQ(plain_seen, 0);
	EXPECT_EQ(model.stopping, 0);
	waited += p->waits.count;
}

/* ---- the tests ---- */

TEST(asks_at_start)
{
	machine(512);
	EXPECT(p->identified && p->dev && p->mode == AHCI_SHADOW);
	EXPECT_EQ(p->sector_size, 512);
	EXPECT(ports[1].identified && ports[1].mode == AHCI_PLAIN);
	EXPECT(!ports[1].table);
	EXPECT_EQ(attached, 2);
	/* it has the memory that its tables take */
	EXPECT(ports[1].page_pa >= p->table_pa + 32 * 8192);
	EXPECT_EQ(model.port[0].cmd & 0x11, 0);
	EXPECT_EQ(model.port[0].is, 0);
	clean();
}

TEST(firmware_goes_on)
{
	model_init();
	model.port[1].clb = 0x9000;
	model.port[1].clbu = 0x80000006;
	model.port[1].fb = 0xA000;
	model.port[1].fbu = 0x80000007;
	model.port[1].cmd = 0x11;
	model.lazy = 10;
	ports_init();
	EXPECT_EQ(ahci_port_start(&ports[1]), 0);
	EXPECT_EQ(model.port[1].clb, 0x9000);
	EXPECT_EQ(model.port[1].clbu, 0x80000006);
	EXPECT_EQ(model.port[1].fb, 0xA000);
	EXPECT_EQ(model.port[1].fbu, 0x80000007);
	EXPECT_EQ(model.port[1].cmd & 0x11, 0x11);
	model.port[0].clb = 0xB000;
	model.port[0].clbu = model.port[0].fbu = 5;
	model.port[0].cmd = 0x11;
	model.port[0].serr = BIT(26);
	EXPECT_EQ(ahci_port_start(&ports[0]), 0);
	EXPECT(p->identified && p->receives);
	EXPECT_EQ(model.port[0].cmd & 0x11, 0x11);
	EXPECT_EQ(model.port[0].clb, (u32)p->page_pa);
	/* else list and frames would be in the guest's memory */
	EXPECT_EQ(model.port[0].clbu | model.port[0].fbu, 0);
	EXPECT_EQ(in(PxCLB), 0xB000);
	EXPECT_EQ(in(PxCLBU), 5);
	EXPECT_EQ(model.stopping, 0);
}

/* PxCI and PxSACT cannot be written to while PxCMD.ST is clear (3.3.13, 14),
 * whatever else firmware has left set there. */
TEST(no_commands_before_the_start)
{
	model_init();
	model.port[0].cmd = 6 | PxCMD_PMA | PxCMD_FBSCP;
	ports_init();
	EXPECT_EQ(ahci_port_start(p), 0);
	EXPECT_EQ(in(PxCMD), 6);
	EXPECT_EQ(model.port[0].cmd & PxCMD_PMA, 0);
	EXPECT(!p->receives);
	for (u32 i = 0; i < 2; i++) {
		out(PxSACT, 1);
		out(PxCI, 1);
		EXPECT_EQ(in(PxCI) | in(PxSACT), 0);
		guest_start();
		ahci_port_reset(p);
	}
}

static void random_bursts(u32 sector, bool lax, u32 count)
{
	machine(sector);
	model.lax = lax;
	guest_start();
	for (u32 i = 0; i < count; i++)
		EXPECT(burst(1000000));
	EXPECT_EQ(model.mixed, 0);
	clean();
}

TEST(random_commands)
{
	random_bursts(512, false, 60);
	random_bursts(512, true, 20);
	/* there is less bounce memory than 16 slots may want */
	EXPECT(waited > 0);
}

TEST(sectors_of_4096)
{
	random_bursts(4096, false, 20);
	model_plug(0, true, "SECRET4"); /* the filter is told of them */
	out(PxSERR, ~0u);
	issue(1, false);
	while (poll())
		;
	EXPECT_EQ(attached_size, 4096);
	clean();
}

TEST(narrow_addresses)
{
	machine(512);
	model.cap &= ~(u32)BIT(31);
	p->wide = false;
	out(PxCLBU, 5);
	EXPECT_EQ(in(PxCLBU), 0);
	guest_start();
	for (u32 i = 0; i < 32; i++) /* upper halves do not count */
		store_le32(model.memory + LIST + 32 * i + 12, 7);
	EXPECT(burst(1000000));
	clean();
}

/* Its registers would not tell when a queued command has ended. */
TEST(no_queue_in_the_hba)
{
	u8 *data;

	machine(512);
	p->queues = false;
	guest_start();
	ops[0] = (struct op){ 200, 8, 0x60, false, true, false };
	op_prepare(0);
	model.commands = 0;
	out(PxSACT, 1);
	out(PxCI, 1);
	for (u32 i = 0; i < 1000 && !(in(PxTFD)&1); i++)
		;
	EXPECT_EQ(in(PxTFD), 0x451);
	EXPECT_EQ(model.port[0].slot[0].code, 0);
	guest_stop();
	guest_start();
	ops[0] = (struct op){ 0, 1, 0xEC, false, false, false };
	op_prepare(0);
	data = model.memory + (u32)load_le64(model.memory + TABLE(0) + 0x80);
	out(PxCI, 1);
	for (u32 i = 0; i < 1000 && in(PxCI); i++)
		;
	EXPECT_EQ(load_le16(data + 2 * 75), 0);
	EXPECT_EQ(load_le16(data + 2 * 76), 0x6606);
	ops[0].active = false;
	clean();
}

/* Stop, link reset, HBA reset or device reset at any moment. */
static void abort_port(u32 how)
{
	switch (how) {
	case 0:
		guest_stop();
		break;
	case 1:
		guest_stop();
		out(PxSCTL, 0x301);
		out(PxSCTL, 0x300);
		break;
	case 2: /* without a stop */
		out(PxSCTL, 0x301);
		out(PxSCTL, 0x300);
		guest_stop();
		break;
	case 3:
		ahci_port_reset(p);
		hw_mmio_write(MODEL_ABAR + 4, 4, BIT(31) | 1);
		break;
	default: /* behind our back: a function-level reset */
		hw_mmio_write(MODEL_ABAR + 4, 4, BIT(31) | 1);
		poll();
		guest_stop();
	}
}

static void aborts(bool lax)
{
	machine(512);
	model.lax = lax;
	guest_start();
	for (u32 i = 0; i < 150; i++) {
		u32 how = model_random() % 5;

		if (burst(model_random() % 200))
			continue;
		abort_port(how);
		for (u32 n = 0; n < 32; n++)
			op_settle(n);
		guest_start();
		EXPECT(burst(1000000));
	}
	EXPECT(attached <= 2); /* the same device each time */
	clean();
}

TEST(aborts_at_every_step)
{
	aborts(false);
	aborts(true);
}

/* A device that has a fault may say so without ERR: nothing has been brought,
 * and nothing is sent after that. */
TEST(device_fault)
{
	machine(512);
	guest_start();
	ops[0] = (struct op){ 200, 256, 0x35, true, false, false };
	for (u32 i = 0; i < 2; i++) {
		op_prepare(0);
		memcpy(model.memory + 0x700000, model.memory + DATA(0), 131072);
		model.lazy = 100000;
		out(PxCI, 1);
		EXPECT_EQ(p->active, 1);
		model.port[0].ci = 0;
		model.port[0].tfd = 0x60;
		in(PxIS);
		EXPECT_EQ(in(PxCI), 0);
		EXPECT_EQ(model.port[0].ci, 0);
		EXPECT(!memcmp(model.memory + 0x700000, model.memory + DATA(0),
			       131072));
		model.lazy = 0;
		guest_stop();
		guest_start();
		ops[0] = (struct op){ 200, 128, 0x25, false, false, false };
	}
	ops[0].active = false;
	clean();
}

/* A driver that mixes them: a device would give up. */
TEST(queued_beside_others)
{
	machine(512);
	guest_start();
	for (u32 i = 0; i < 40; i++) {
		u32 queued = model_random(), plainly = model_random() & ~queued;

		issue(plainly & 0x3333, false);
		issue(queued & 0xCCCC, true);
		issue(plainly & 0x33330000, false);
		for (u32 k = 0; poll(); k++)
			EXPECT(k < 1000000);
	}
	EXPECT_EQ(model.mixed, 0);
	clean();
}

/* Before the register says that a command has ended, all is in memory. */
TEST(seen_by_one_register)
{
	static const u8 codes[] = { 0x25, 0x60 };

	machine(512);
	guest_start();
	for (u32 i = 0; i < 20; i++) {
		bool queued = i & 1;
		u32 at, k = 0;

		ops[0] = (struct op){ 200, 8, codes[i & 1], false, queued, 0 };
		op_prepare(0);
		at = (u32)load_le64(model.memory + TABLE(0) + 0x80);
		memset(model.memory + FRAMES, 0, 256);
		if (queued)
			out(PxSACT, 1);
		out(PxCI, 1);
		while (!(in(PxIS) & (queued ? 8 : 1)))
			EXPECT(k++ < 100000);
		EXPECT(!memcmp(model.memory + at, plain + 200 * 512, 4096));
		EXPECT_EQ(model.memory[FRAMES + (queued ? 0x58 : 0x40)],
			  queued ? 0xA1 : 0x34);
		out(PxIS, ~0u);
		/* a frame comes once */
		memset(model.memory + FRAMES, 0, 256);
		in(PxIS);
		in(PxCI);
		EXPECT_EQ(model.memory[FRAMES + 0x40], 0);
		EXPECT_EQ(model.memory[FRAMES + 0x58], 0);
	}
	ops[0].active = false;
	clean();
}

/* Each frame goes where the HBA would have put it, and nothing beside; none
 * once the guest has taken its memory back. */
TEST(every_frame_is_copied_whole)
{
	static const u8 frames[][2] = { { 0x00, 28 },
					{ 0x20, 20 },
					{ 0x40, 20 },
					{ 0x58, 8 },
					{ 0x60, 64 } };
	u8 want[0x300], *got = model.memory + FRAMES - 0x100;

	machine(512);
	guest_start();
	memset(want, 0x77, sizeof(want));
	memset(got, 0x77, sizeof(want));
	for (u32 i = 0; i < 5; i++)
		for (u32 k = frames[i][0]; k < frames[i][0] + frames[i][1]; k++)
			p->page->received[k] = want[0x100 + k] = (u8)(k + 1);
	in(PxIS);
	EXPECT(!memcmp(got, want, sizeof(want)));
	guest_stop();
	p->page->received[0x40] = 0x34;
	in(PxIS);
	EXPECT(!memcmp(got, want, sizeof(want)));
	clean();
}

/* PxCI says what the device has not taken yet, PxSACT what has not ended. */
TEST(a_queued_command_that_is_taken)
{
	machine(512);
	guest_start();
	for (u32 n = 0; n < 3; n++) {
		ops[n] = (struct op){
			200 + n * REGION, 8, 0x60, false, true, false
		};
		op_prepare(n);
	}
	model.lazy = 100000;
	out(PxSACT, 7);
	out(PxCI, 7);
	EXPECT_EQ(in(PxCI), 7);
	model.port[0].ci &= ~2u;
	EXPECT_EQ(in(PxCI), 5);
	EXPECT_EQ(in(PxSACT), 7);
	model.port[0].ci |= 2;
	model.lazy = 0;
	for (u32 i = 0; i < 100000 && poll(); i++)
		;
	EXPECT(!poll());
	clean();
}

/* It is fetched when the port is started, and does nothing. */
TEST(a_slot_that_an_hba_has_kept)
{
	machine(512);
	model.lax = true;
	model.port[0].ci = ~0u;
	for (u32 n = 0; n < 32; n++)
		model.port[0].slot[n].code = 0x77;
	guest_start();
	for (u32 i = 0; i < 1000 && model.port[0].ci; i++)
		in(PxIS);
	EXPECT_EQ(model.port[0].ci, 0);
	for (u32 n = 0; n < 32; n++)
		EXPECT_EQ(model.port[0].slot[n].code, 0);
	clean();
}

/* Nor does the guest go on seeing what it had issued before the HBA was reset,
 * if it does not stop the port itself. */
TEST(started_after_a_reset_behind_our_back)
{
	machine(512);
	guest_start();
	model.lazy = 100000;
	issue(7, true);
	hw_mmio_write(MODEL_ABAR + 4, 4, BIT(31) | 1);
	model.lazy = 0;
	model.port[0].cmd = PxCMD_FRE;
	out(PxCMD, PxCMD_FRE | PxCMD_ST);
	EXPECT_EQ(in(PxCI), 0);
	EXPECT_EQ(in(PxSACT), 0);
	for (u32 n = 0; n < 3; n++)
		ops[n].active = false;
	out(PxSERR, ~0u);
	EXPECT(burst(1000000));
	/* that of the function takes the addresses, too */
	hw_mmio_write(MODEL_ABAR + 4, 4, BIT(31) | 1);
	model.port[0].clb = model.port[0].fb = 0;
	guest_stop();
	guest_start();
	EXPECT_EQ(model.port[0].clb, (u32)p->page_pa);
	EXPECT_EQ(model.port[0].fb, (u32)p->page_pa + 1024);
	clean();
}

/* A driver changes another bit of PxCMD. */
TEST(start_written_again)
{
	machine(512);
	guest_start();
	for (u32 i = 0; i < 20; i++) {
		model.lazy = 1000;
		issue(model_random() & 0xFF, i & 1);
		out(PxCMD, PxCMD_FRE | PxCMD_ST | BIT(24));
		model.lazy = 0;
		for (u32 k = 0; poll(); k++)
			EXPECT(k < 1000000);
	}
	clean();
}

/* AHCI 1.3.1, 10.3.1: no start before the port has stopped. */
TEST(start_too_early)
{
	machine(512);
	guest_start();
	model.lazy = 1000;
	out(PxCMD, PxCMD_FRE);
	out(PxCMD, PxCMD_FRE | PxCMD_ST);
	EXPECT_EQ(in(PxCMD) & ~(PxCMD_CR | PxCMD_FR), PxCMD_FRE);
	out(PxCMD, 0);
	out(PxCMD, PxCMD_FRE);
	model.lazy = 0;
	guest_stop();
	guest_start();
	EXPECT(burst(1000000));
	clean();
}

/* A maker's own may do anything; those that are read-only are not written. */
TEST(registers_that_nobody_knows)
{
	static const u32 kept[] = { PxTFD, PxSIG, PxSSTS, PxFBS };

	machine(512);
	out(0x70, 1);
	for (u32 i = 0; i < ARRAY_SIZE(kept); i++) {
		out(kept[i], 1);
		ahci_port_write(&ports[1], kept[i], 1);
	}
	EXPECT_EQ(model.unknown, 0);
	ahci_port_write(&ports[1], 0x70, 1);
	EXPECT_EQ(model.unknown, 1);
	out(PxSNTF, 1);
	out(PxDEVSLP, 1);
	EXPECT_EQ(model.unknown, 3);
	out(PxIE, 3);
	EXPECT_EQ(model.port[0].ie, 3);
}

/* AHCI 1.3.1, 3.3.1 to 3.3.4: the low bits are read-only. */
TEST(addresses_are_kept)
{
	machine(512);
	out(PxFBU, 5);
	out(PxCLBU, 6);
	out(PxFB, 0x12345FFF);
	out(PxCLB, 0x6789AFFF);
	EXPECT_EQ(in(PxCLB), 0x6789AC00);
	EXPECT_EQ(in(PxCLBU), 6);
	EXPECT_EQ(in(PxFB), 0x12345F00);
	EXPECT_EQ(in(PxFBU), 5);
	EXPECT(model.port[0].clb != in(PxCLB) && model.port[0].fb != in(PxFB));
	ahci_port_write(&ports[1], PxCLB, 0x9000);
	ahci_port_write(&ports[1], PxFBU, 7);
	EXPECT_EQ(model.port[1].clb, 0x9000);
	EXPECT_EQ(model.port[1].fbu, 7);
}

/* None behind one; its own device would get what is decided for this one. */
TEST(port_multipliers_stay_off)
{
	machine(512);
	guest_start();
	out(PxCMD, PxCMD_FRE | PxCMD_ST | PxCMD_PMA | PxCMD_FBSCP);
	EXPECT_EQ(model.port[0].cmd & (PxCMD_PMA | PxCMD_FBSCP), 0);
	model.port[0].cmd |= PxCMD_PMA;
	EXPECT_EQ(in(PxCMD)&PxCMD_PMA, 0);
}

/* Only as many tables are there. */
TEST(slots_that_the_hba_has_not)
{
	machine(512);
	p->slots = 4;
	guest_start();
	model.commands = 0;
	out(PxCI, ~0xFu);
	EXPECT_EQ(in(PxCI), 0);
	for (u32 i = 0; i < 100; i++)
		in(PxIS);
	EXPECT_EQ(model.commands, 0);
	issue(0xF, true);
	for (u32 i = 0; i < 100000 && poll(); i++)
		;
	EXPECT(!poll());
	clean();
}

/* Another speed, or another error that is cleared, makes no other device. */
TEST(the_device_stays_known)
{
	machine(512);
	guest_start();
	out(PxSCTL, 0x10);
	EXPECT_EQ(model.port[0].sctl, 0x10);
	model.port[0].serr = PxSERR_X | 3;
	out(PxSERR, 2);
	EXPECT_EQ(model.port[0].serr, PxSERR_X | 1);
	EXPECT(p->identified);
	out(PxSERR, PxSERR_X);
	EXPECT_EQ(model.port[0].serr, 1);
	EXPECT(!p->identified);
}

/* Reads that were cut off by a reset behind our back, or of the link, are not
 * decrypted. */
static void cut_off(bool link)
{
	machine(512);
	model.lax = link;
	guest_start();
	for (u32 i = 0; i < 40; i++) {
		u32 n = i % 32;

		ops[n] = (struct op){
			n * REGION + 120, 8, 0x60, false, true, false
		};
		op_prepare(n);
		memcpy(model.memory + 0x700000, model.memory + DATA(n), 8192);
		model.lazy = 1000;
		out(PxSACT, 1u << n);
		out(PxCI, 1u << n);
		if (link) {
			out(PxSCTL, 0x301);
			out(PxSCTL, 0x300);
		} else {
			hw_mmio_write(MODEL_ABAR + 4, 4, BIT(31) | 1);
		}
		for (u32 k = 0; k < 5; k++)
			in(PxSACT);
		EXPECT(!memcmp(model.memory + 0x700000, model.memory + DATA(n),
			       8192));
		ops[n].active = false;
		model.lazy = 0;
		guest_stop();
		guest_start();
	}
	clean();
}

TEST(reads_cut_off)
{
	cut_off(false);
	cut_off(true);
}

static u8 error_of(u32 n)
{
	for (u32 i = 0; i < 100000 && !(in(PxIS)&BIT(30)); i++)
		;
	EXPECT(in(PxIS)&BIT(30));
	EXPECT_EQ(in(PxTFD)&1, 1);
	if (!model.lax)
		EXPECT((in(PxCI) | in(PxSACT)) >> n & 1);
	return (u8)(in(PxTFD) >> 8);
}

/* An OS uses what was read before the sector that failed. */
static void good_up_to(u32 n, u64 lba)
{
	u32 at = (u32)load_le64(model.memory + TABLE(n) + 0x80);

	EXPECT(!memcmp(model.memory + at, plain + place(ops[n].lba),
		       (lba - ops[n].lba) * 512));
}

static void errors(bool lax)
{
	machine(512);
	model.lax = lax;
	guest_start();
	for (u32 i = 0; i < 40; i++) {
		u32 n = model_random() % 32;

		op_choose(n, model_random() & 1);
		op_prepare(n);
		model.port[0].disk.bad_lba =
			ops[n].lba + model_random() % ops[n].count;
		if (ops[n].queued)
			out(PxSACT, 1u << n);
		out(PxCI, 1u << n);
		EXPECT_EQ(error_of(n), 0x40);
		guest_stop();
		if (!ops[n].write)
			good_up_to(n, model.port[0].disk.bad_lba);
		op_settle(n);
		model.port[0].disk.bad_lba = ~0ULL;
		guest_start();
		EXPECT(burst(1000000));
	}
	clean();
}

TEST(errors_of_the_device)
{
	errors(false);
	errors(true);
}

/* One command, as the guest's tables have it now: its error, or 0. */
static u8 command(u32 n, bool queued)
{
	u32 bit = 1u << n;
	u8 error = 0;

	if (queued)
		out(PxSACT, bit);
	out(PxCI, bit);
	for (u32 i = 0; i < 100000; i++)
		if (in(PxIS)&BIT(30) || !((in(PxCI) | in(PxSACT)) & bit))
			break;
	if (in(PxIS)&BIT(30))
		error = (u8)(in(PxTFD) >> 8);
	else
		EXPECT_EQ((in(PxCI) | in(PxSACT)) & bit, 0);
	guest_stop();
	guest_start();
	return error;
}

static void one(u8 code, u64 lba, u32 count, bool queued)
{
	ops[0] = (struct op){ lba, count, code, false, queued, false };
	make_fis(TABLE(0), &ops[0], 0);
	make_header(0, TABLE(0), make_list(TABLE(0), DATA(0), 65536, 60000),
		    false);
}

TEST(refused_commands)
{
	static const u8 codes[] = { 0x22, 0x64, 0x65, 0xF4, 0xB4, 0x92,
				    0x85, 0xA0, 0x3F, 0x5F, 0x37, 0xF1 };
	u8 *h = model.memory + LIST, *f = model.memory + TABLE(0);

	machine(512);
	guest_start();
	for (u32 i = 0; i < sizeof(codes); i++) {
		one(codes[i], 200, 1, false);
		EXPECT_EQ(command(0, codes[i] == 0x64), 4);
	}
	one(0xEA, 0, 0, false);
	EXPECT_EQ(command(0, false), 0);
	one(0x60, 200, 1, true); /* without its bit in PxSACT */
	EXPECT_EQ(command(0, false), 4);
	out(PxSACT, 2); /* with that of another slot */
	EXPECT_EQ(command(0, false), 4);
	one(0xC8, 200, 1, false);
	f[7] = 0; /* CHS */
	EXPECT_EQ(command(0, false), 4);
	one(0xEA, 0, 0, false);
	f[1] = 0x81; /* port multiplier */
	EXPECT_EQ(command(0, false), 4);
	one(0xEA, 0, 0, false);
	h[1] |= 0x10;
	EXPECT_EQ(command(0, false), 4);
	one(0xEA, 0, 0, false);
	h[1] |= 2; /* BIST */
	EXPECT_EQ(command(0, false), 4);
	one(0xEA, 0, 0, false);
	h[0] = 0x44; /* too short */
	EXPECT_EQ(command(0, false), 4);
	one(0xEA, 0, 0, false);
	f[0] = 0x46; /* a data frame */
	EXPECT_EQ(command(0, false), 4);
	one(0x25, 200, 200, false); /* the list ends before it */
	EXPECT_EQ(command(0, false), 4);
	one(0x35, 200, 200, false);
	EXPECT_EQ(command(0, false), 4);
	one(0x25, 200, 200, false);
	make_list(TABLE(0), DATA(0), 102400, 600); /* of which one is less */
	store_le16(h + 2, 1);
	EXPECT_EQ(command(0, false), 4);
	one(0x25, 200, 8, false); /* what lies behind a list is no part of it */
	make_list(TABLE(0), DATA(0), 80, 1);
	make_list(TABLE(0) + 40 * 16, DATA(0), 4096, 60000);
	store_le16(h + 2, 40);
	EXPECT_EQ(command(0, false), 4);
	clean();
}

/* Nobody is asked where nobody is, or has time; or in a port that still has
 * what firmware gave it. */
TEST(nobody_to_ask_at_start)
{
	static const struct {
		u32 ssts, tfd, lazy;
	} cases[] = { { 0x001, 0x50, 0 },
		      { 0x004, 0x50, 0 },
		      { 0x113, 0xD0, 0 },
		      { 0x113, 0x58, 0 },
		      { 0x113, 0x50, 1000000 } };

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		model_init();
		ports_init();
		model.port[0].cmd = PxCMD_FRE | PxCMD_FR | PxCMD_ST | PxCMD_CR;
		model.port[0].ssts = cases[i].ssts;
		model.port[0].tfd = cases[i].tfd;
		model.lazy = cases[i].lazy;
		p->spins = 10;
		EXPECT_EQ(ahci_port_start(p), 0);
		EXPECT(p->mode == AHCI_SHADOW && !p->identified);
		EXPECT_EQ(p->stuck, i == 4);
		EXPECT_EQ(model.commands, 0);
		EXPECT_EQ(model.stopping, 0);
		model.lazy = 0;
		p->spins = 100000;
		guest_stop();
		guest_start();
		one(0x60, 200, 1, true);
		EXPECT_EQ(command(0, true), 0);
		EXPECT(p->identified && p->dev);
	}
}

/* No size of a sector that can be reckoned with. */
TEST(no_sectors_that_can_be_used)
{
	machine(512);
	model.port[0].disk.sector = 520;
	out(PxSERR, ~0u);
	model_plug(0, true, "SECRET");
	out(PxSERR, ~0u);
	guest_start();
	one(0x60, 200, 1, true);
	EXPECT_EQ(command(0, true), 4);
	EXPECT(p->identified && p->dev && !p->sector_size);
	EXPECT_EQ(attached_size, 512);
	one(0xC8, 200, 1, false);
	EXPECT_EQ(command(0, false), 4);
}

TEST(commands_without_data)
{
	static const u8 codes[] = { 0x42, 0xB0, 0x63, 0xEA };
	u8 *f = model.memory + TABLE(0);

	machine(512);
	guest_start();
	for (u32 i = 0; i < sizeof(codes); i++) {
		one(codes[i], 200, 2, false);
		f[3] = codes[i] == 0xB0 ? 0xD8 : 0;
		if (codes[i] == 0x63) { /* where that is no range */
			memset(f + 8, 0xFF, 3);
			f[3] = 0x21;
			f[13] = 0x40;
		}
		store_le16(model.memory + LIST + 2, 0);
		EXPECT_EQ(command(0, codes[i] == 0x63), 0);
		EXPECT_EQ(p->table[0].fis[3], f[3]);
	}
	clean();
}

/* What carries no sectors reaches the device as it is; bits 0 to 6 of a table's
 * address are reserved. */
TEST(a_frame_that_passes)
{
	static const u8 frame[20] = { 0x27, 0x80, 0x2F, 3,  4,	5,  6,
				      0x47, 8,	  9,	10, 11, 12, 13 };
	u8 *f = model.memory + TABLE(0) + 0x80;

	machine(512);
	guest_start();
	one(0x2F, 0, 1, false);
	make_header(0, TABLE(0) + 0xFF,
		    make_list(TABLE(0) + 0x80, DATA(0), 512, 60000), false);
	memcpy(f, frame, sizeof(frame));
	f[14] = f[15] = f[19] = 0xFF; /* reserved, and the control register */
	EXPECT_EQ(command(0, false), 0);
	EXPECT(!memcmp(p->table[0].fis, frame, sizeof(frame)));
	clean();
}

TEST(what_is_configured)
{
	machine(512);
	guest_start();
	one(0x06, 0, 1, false);
	store_le32(model.memory + TABLE(0) + 0x80 + 12, 511);
	store_le16(model.memory + LIST + 2, 1);
	model.memory[LIST] |= 0x40;
	EXPECT_EQ(command(0, false), 0);
	options.no_trim = true;
	EXPECT_EQ(command(0, false), 4);
	clean();
}

/* What lies behind RAM is no part of a list. */
TEST(a_list_that_leaves_ram)
{
	u8 *e = model.memory + MODEL_RAM - 0x200;

	machine(512);
	guest_start();
	for (u32 i = 0; i < 2; i++) {
		one(i ? 0x25 : 0xEC, 200, 8, false);
		make_fis(MODEL_RAM - 0x280, &ops[0], 0);
		for (u32 k = 0; k < 32; k++) {
			store_le64(e + 16 * k, i ? DATA(0) : MODEL_RAM);
			store_le32(e + 16 * k + 12, i ? 111 : 1);
		}
		make_header(0, MODEL_RAM - 0x280, 40, false);
		EXPECT_EQ(command(0, false), 4 * i);
	}
	clean();
}

/* No address of the guest's leads to hidden memory. */
TEST(hidden_memory)
{
	static u8 before[MODEL_MEMORY - MODEL_RAM];
	u8 *e = model.memory + TABLE(0) + 0x80;

	machine(512);
	guest_start();
	for (u32 i = 0; i < 7; i++) {
		u32 hidden = MODEL_RAM + (i & 1 ? 0 : 0x4000);

		one(i & 2 ? 0x35 : 0x25, i & 4 ? 10 : 200, 1, false);
		store_le32(e, hidden - (i == 6 ? 2 : 0));
		EXPECT_EQ(command(0, false), 4);
	}
	for (u32 i = 0; i < 2; i++) {
		one(i ? 0x2F : 0x60, 200, 1, !i);
		store_le32(e, MODEL_RAM);
		EXPECT_EQ(command(0, !i), 4);
		EXPECT_EQ(model.port[0].slot[0].code, 0);
	}
	one(0x2F, 0, 1, false); /* more than a list of ours can hold */
	make_header(0, TABLE(0), make_list(TABLE(0), DATA(0), 1010, 1), false);
	EXPECT_EQ(command(0, false), 4);
	EXPECT_EQ(model.port[0].slot[0].code, 0);
	memcpy(before, model.memory + MODEL_RAM, sizeof(before));
	one(0x25, 200, 1, false);
	make_fis(MODEL_RAM - 0x80, &ops[0], 0);
	store_le32(model.memory + LIST + 8, MODEL_RAM - 0x80);
	EXPECT_EQ(command(0, false), 4);
	one(0x25, 200, 1, false);
	store_le32(model.memory + LIST + 8, MODEL_RAM);
	EXPECT_EQ(command(0, false), 4);
	one(0x25, 200, 1, false);
	EXPECT_EQ(command(0, false), 0);
	guest_stop();
	out(PxCLB, (u32)p->page_pa);
	out(PxCMD, PxCMD_FRE);
	out(PxCMD, PxCMD_FRE | PxCMD_ST);
	model.lax = true; /* the command's end is seen */
	out(PxCI, 1);
	for (u32 i = 0; i < 1000 && in(PxCI); i++)
		;
	EXPECT_EQ(in(PxCI), 0);
	EXPECT_EQ(model.port[0].slot[0].code, 0);
	guest_stop();
	model.lax = false;
	/* frames go nowhere */
	out(PxCMD, 0);
	out(PxFB, MODEL_RAM);
	out(PxCMD, PxCMD_FRE);
	out(PxCMD, PxCMD_FRE | PxCMD_ST);
	in(PxCI);
	EXPECT(!memcmp(model.memory + MODEL_RAM + sizeof(struct ahci_page),
		       before + sizeof(struct ahci_page), 0x3000));
	clean();
}

/* 65,535 entries of two bytes, and a write that is larger than its buffer. */
TEST(the_longest_list)
{
	static u8 was[131072];
	u32 sectors = 65535 * 2 / 512;

	machine(512);
	guest_start();
	ops[0] = (struct op){ 300, sectors, 0x35, true, false, false };
	for (u32 i = 0; i < 131072; i++)
		was[i] = model.memory[DATA(0) + i] = (u8)model_random();
	memcpy(pending + 300 * 512, was, sectors * 512);
	make_fis(TABLE_LONG, &ops[0], 0);
	make_header(0, TABLE_LONG, make_list(TABLE_LONG, DATA(0), 131070, 1),
		    true);
	EXPECT_EQ(load_le16(model.memory + LIST + 2), 65535);
	EXPECT_EQ(command(0, false), 0);
	EXPECT(same(&ops[0], was));
	ops[0].code = 0x60;
	ops[0].queued = true;
	make_fis(TABLE_LONG, &ops[0], 0);
	memset(model.memory + DATA(0), 0, 131072);
	EXPECT_EQ(command(0, true), 0);
	EXPECT(!memcmp(model.memory + DATA(0), was, sectors * 512));
	clean();
}

/* Two chunks end in the middle of an entry, of whose address bit 0 is reserved;
 * then a count that takes 16 bits. */
TEST(a_write_larger_than_its_buffer)
{
	static u8 was[163840];
	u8 *e = model.memory + TABLE(0) + 0x80;

	machine(512);
	guest_start();
	for (u32 i = 0; i < sizeof(was); i++)
		was[i] = (u8)model_random();
	memcpy(model.memory + DATA(0), was, 143360);
	memcpy(model.memory + DATA(2), was + 143360, 20480);
	memcpy(pending + 300 * 512, was, sizeof(was));
	ops[0] = (struct op){ 300, 320, 0x35, true, false, false };
	make_fis(TABLE(0), &ops[0], 0);
	make_header(0, TABLE(0), 2, true);
	store_le64(e, DATA(0) | 1);
	store_le32(e + 12, 143359);
	store_le64(e + 16, DATA(2));
	store_le32(e + 28, 20479);
	EXPECT_EQ(command(0, false), 0);
	EXPECT(same(&ops[0], was));
	memcpy(plain + 300 * 512, was, sizeof(was));
	for (u32 i = 0; i < 2; i++) {
		one(i ? 0x60 : 0x25, 290, 300, i);
		make_header(0, TABLE(0), 1, false);
		store_le32(e + 12, 153599);
		memset(model.memory + DATA(0), 0x77, 153600);
		EXPECT_EQ(command(0, i), 0);
		EXPECT(!memcmp(model.memory + DATA(0), plain + 290 * 512,
			       153600));
	}
	clean();
}

/* Two queued writes lie in the buffer side by side. */
TEST(writes_in_flight)
{
	machine(512);
	guest_start();
	for (u32 n = 0; n < 2; n++) {
		ops[n] = (struct op){
			200 + n * REGION, 64, 0x61, true, true, false
		};
		op_prepare(n);
	}
	model.lazy = 1000;
	out(PxSACT, 3);
	out(PxCI, 3);
	EXPECT_EQ(p->active, 3);
	model.lazy = 0;
	for (u32 i = 0; i < 100000 && poll(); i++)
		;
	EXPECT(!poll());
	clean();
}

/*
 * An entry in the middle of which a chunk has ended is made to end there: what
 * is left of it, nothing, must not become an entry of ours.
 */
TEST(list_changed_between_chunks)
{
	u8 *e = model.memory + TABLE_LONG + 0x80 + 16 * 503;

	machine(512);
	for (u32 i = 0; i < 4; i++) {
		guest_start();
		ops[0] = (struct op){
			i & 1 ? 200 : 10, 16, 0x25, false, false, false
		};
		make_fis(TABLE_LONG, &ops[0], 0);
		gap = 2;
		make_list(TABLE_LONG, DATA(0), 1006, 1);
		gap = 0;
		make_list(TABLE_LONG + 16 * 503, DATA(1), 4096, 1);
		store_le32(e + 12, 4095);
		store_le64(e + 16, DATA(2));
		store_le32(e + 16 + 12, 8191);
		make_header(0, TABLE_LONG, 505, false);
		out(PxCI, 1);
		EXPECT_EQ(p->slot[0].at.offset, 9 * 512 - 1006);
		store_le64(e, MODEL_RAM + 0x8000 - p->slot[0].at.offset);
		store_le32(e + 12, p->slot[0].at.offset - (i & 2 ? 3 : 1));
		EXPECT_EQ(command(0, false), 4);
		EXPECT_EQ(foreign, 0);
		guest_stop();
	}
	clean();
}

/*
 * A command in chunks is given again while the device is at it: it must not go
 * on past its range, into sectors that would have to be encrypted.
 */
TEST(issued_twice)
{
	machine(512);
	guest_start();
	gap = 2;
	for (u32 i = 0; i < 20; i++) {
		ops[0] = (struct op){ 20, 80, 0x61, true, true, false };
		make_fis(TABLE_LONG, &ops[0], 0);
		make_header(0, TABLE_LONG,
			    make_list(TABLE_LONG, DATA(0), 81920, 100), true);
		memset(model.memory + DATA(0), 0x77, 81920);
		memset(pending + 20 * 512, 0x77, 80 * 512);
		out(PxSACT, 1);
		out(PxCI, 1);
		for (u32 k = 0; k < 2000 && (in(PxCI) | in(PxSACT)); k++)
			if (model_random() & 1)
				out(PxCI, 1);
		guest_stop();
		guest_start();
		memset(plain + 20 * 512, 0x77, 80 * 512);
	}
	gap = 0;
	clean();
}

/*
 * A 28-bit command in chunks that ends past the last address: what is meant
 * for sectors there, which are plain, must not come to those at the start.
 */
TEST(past_28_bits)
{
	machine(512);
	the_dev.high = ~0ULL;
	guest_start();
	gap = 2;
	ops[0] = (struct op){ BIT(28) - 1, 200, 0xCA, true, false, false };
	make_fis(TABLE_LONG, &ops[0], 0);
	make_header(0, TABLE_LONG, make_list(TABLE_LONG, DATA(0), 102400, 100),
		    true);
	memset(model.memory + DATA(0), 0x77, 204800);
	EXPECT_EQ(command(0, false), 4);
	gap = 0;
	the_dev.high = HIGH_FIRST;
	clean();
}

/* A guest may clear PxSERR at the moment when the disk is taken away. */
static void swap_disks(u32 port, u32 reg)
{
	if (port || reg != PxSERR)
		return;
	model.on_read = NULL;
	model_plug(0, true, "SECRET");
}

TEST(swapped_while_errors_are_cleared)
{
	machine(512);
	model_plug(0, true, "OTHER");
	out(PxSERR, ~0u);
	guest_start();
	one(0x60, 200, 1, true);
	EXPECT_EQ(command(0, true), 0);
	EXPECT_EQ(p->mode, AHCI_PLAIN);
	model.on_read = swap_disks;
	out(PxSERR, ~0u);
	EXPECT(!model.on_read);
	out(PxSERR, ~0u);
	EXPECT_EQ(p->mode, AHCI_SHADOW);
	one(0x60, 200, 1, true);
	EXPECT_EQ(command(0, true), 0);
	EXPECT_EQ(p->mode, AHCI_SHADOW);
	EXPECT_EQ(model.memory[DATA(0)], 0);
	clean();
}

/* Nor may it go on with another device, where other sectors are protected. */
TEST(swapped_in_mid_command)
{
	u32 i;

	machine(512);
	guest_start();
	ops[0] = (struct op){ 300, 160, 0x61, true, true, false };
	make_fis(TABLE_LONG, &ops[0], 0);
	make_header(0, TABLE_LONG, make_list(TABLE_LONG, DATA(0), 81920, 2),
		    true);
	out(PxSACT, 1);
	out(PxCI, 1);
	for (i = 0; i < 10000 && p->slot[0].left > 40; i++)
		in(PxSACT);
	EXPECT(p->slot[0].left);
	model_plug(0, true, "OTHER");
	out(PxSERR, ~0u);
	i = model.commands;
	for (u32 k = 0; k < 10000; k++)
		in(PxSACT);
	EXPECT_EQ(model.commands, i);
	guest_stop();
	guest_start();
	one(0x60, 200, 1, true);
	EXPECT_EQ(command(0, true), 0);
	EXPECT_EQ(p->mode, AHCI_PLAIN);
}

TEST(identify_is_adjusted)
{
	u8 *data = model.memory + DATA(0);

	machine(512);
	guest_start();
	one(0xEC, 0, 0, false);
	EXPECT_EQ(command(0, false), 0);
	EXPECT_EQ(load_le16(data + 2 * 75), 31);
	EXPECT_EQ(load_le16(data + 2 * 76), 0x6706);
	EXPECT_EQ(load_le16(data + 2 * 77), 0);
	EXPECT_EQ(load_le16(data + 2 * 169), 1);
	/* nothing comes of one that has failed */
	model.port[0].identify_fail = 1;
	model.lax = true;
	memset(data, 0x77, 512);
	EXPECT_EQ(command(0, false), 4);
	for (u32 i = 0; i < 512; i++)
		EXPECT_EQ(data[i], 0x77);
	clean();
}

/* ---- another device ---- */

static void read_one(u32 want_mode)
{
	EXPECT_EQ(command(0, true), 0);
	EXPECT_EQ(p->mode, want_mode);
}

TEST(plugged)
{
	u8 *data = model.memory + DATA(0);

	machine(512);
	guest_start();
	one(0x60, 200, 1, true);
	read_one(AHCI_SHADOW);
	EXPECT_EQ(data[0], 0);
	/* one without a volume: seen as it is */
	model_plug(0, false, "");
	guest_stop();
	model_plug(0, true, "OTHER");
	guest_start();
	read_one(AHCI_PLAIN);
	EXPECT_EQ(data[0], key(200, 0));
	EXPECT_EQ(model.port[0].clb, LIST);
	/* back again, while the port runs; it is closed until PxSERR is clear */
	model_plug(0, true, "SECRET");
	out(PxSACT, 1);
	out(PxCI, 1);
	for (u32 i = 0; i < 100; i++)
		EXPECT_EQ(in(PxCI), 1);
	EXPECT_EQ(model.port[0].clb, (u32)p->page_pa);
	out(PxIS, ~0u);
	out(PxSERR, ~0u);
	for (u32 i = 0; i < 1000; i++)
		model_tick();
	EXPECT(model.port[0].is); /* it has been asked: the guest will look */
	for (u32 i = 0; i < 1000 && in(PxCI) | in(PxSACT); i++)
		;
	EXPECT_EQ(in(PxCI) | in(PxSACT), 0);
	EXPECT_EQ(p->mode, AHCI_SHADOW);
	EXPECT_EQ(data[0], 0);
	clean();
}

/* A driver that waits on one register: that the port is given back just then
 * must not look as if the command had ended. */
TEST(given_back_while_a_register_is_read)
{
	u8 *data = model.memory + DATA(0);

	machine(512);
	for (u32 queued = 0; queued < 2; queued++) {
		model_plug(0, true, "SECRET");
		out(PxSERR, ~0u);
		model_plug(0, true, "OTHER");
		guest_stop();
		guest_start();
		one(queued ? 0x60 : 0x25, 200, 1, queued);
		memset(data, 0, 512);
		model.port[0].serr = BIT(16); /* nobody clears it */
		model.commands = 0;
		if (queued)
			out(PxSACT, 1);
		out(PxCI, 1);
		for (u32 i = 0; i < 10000; i++)
			if (!(in(queued ? PxSACT : PxCI) & 1))
				break;
		EXPECT_EQ(p->mode, AHCI_PLAIN);
		for (u32 i = 0; i < 512; i++)
			EXPECT_EQ(data[i], key(200, i));
		EXPECT_EQ(model.commands, 2); /* ours, and this one */
	}
	clean();
}

/* Who it is, is all that it says of itself; what it needs is taken once. */
TEST(the_same_disk_or_another)
{
	struct model_disk *d = &model.port[0].disk;
	hpa_t table, bounce;

	machine(512);
	table = p->table_pa;
	bounce = p->bounce_pa;
	guest_start();
	for (u32 i = 0; i < 4; i++) {
		if (i == 1)
			d->capacity--;
		if (i == 2)
			d->revision = 'B';
		model_plug(0, true, i == 3 ? "SECRET2" : "SECRET");
		out(PxSERR, ~0u);
		one(0x60, 200, 1, true);
		read_one(AHCI_SHADOW);
		EXPECT_EQ(attached, 2 + i);
	}
	EXPECT_EQ(p->table_pa, table);
	EXPECT_EQ(p->bounce_pa, bounce);
	clean();
}

/* A device without a volume, which has the port as it is. */
static void plain_machine(void)
{
	machine(512);
	model_plug(0, true, "OTHER");
	out(PxSERR, ~0u);
	guest_start();
	one(0x60, 200, 1, true);
	read_one(AHCI_PLAIN);
}

/* Commands that the HBA still has when a protected disk comes. */
TEST(plugged_with_commands_waiting)
{
	plain_machine();
	ops[0] = (struct op){ 200, 8, 0x35, true, false, false };
	make_fis(TABLE(0), &ops[0], 0);
	make_header(0, TABLE(0), make_list(TABLE(0), DATA(0), 4096, 60000),
		    true);
	memset(model.memory + DATA(0), 0x77, 4096);
	model.lazy = 10000;
	out(PxCI, 1);
	model_plug(0, true, "SECRET");
	model.lazy = 0;
	out(PxSERR, ~0u);
	model.commands = 0;
	out(PxCI, 2); /* nor does another one go before the port is stopped */
	for (u32 i = 0; i < 1000; i++)
		EXPECT_EQ(in(PxCI), 3);
	EXPECT_EQ(model.commands, 0);
	guest_stop();
	guest_start();
	memcpy(pending + 200 * 512, model.memory + DATA(0), 4096);
	EXPECT_EQ(command(0, false), 0);
	EXPECT_EQ(p->mode, AHCI_SHADOW);
	EXPECT(same(&ops[0], pending + 200 * 512));
	clean();
}

TEST(a_device_that_does_not_answer)
{
	machine(512);
	guest_start();
	out(PxSCTL, 0x301);
	EXPECT_EQ(in(PxSSTS), 0);
	out(PxSCTL, 0x300);
	guest_stop();
	guest_start();
	model.port[0].identify_fail = 2;
	one(0x60, 200, 1, true);
	EXPECT_EQ(command(0, true), 4); /* looks as if it had failed */
	EXPECT_EQ(command(0, true), 4);
	EXPECT(!p->identified);
	read_one(AHCI_SHADOW);
	EXPECT(p->identified);
	clean();
}

/* Nor is the answer of the one before taken for that of another disk, whatever
 * the HBA makes of PxCI. */
TEST(an_answer_that_does_not_count)
{
	machine(512);
	model.lax = true;
	for (u32 i = 0; i < 5; i++) {
		model_plug(0, true, "OTHER");
		out(PxSERR, ~0u);
		guest_start();
		one(0x60, 200, 1, true);
		model.port[0].identify_fail = i == 0;
		model.lazy = i ? 100000 : 0;
		model.commands = 0;
		out(PxSACT, 1);
		out(PxCI, 1);
		if (i == 1 || i == 2) { /* ERR, or DF alone */
			model.port[0].ci = 0;
			model.port[0].tfd = i == 1 ? 0x451 : 0x70;
		}
		if (i == 4) { /* the signature of one more */
			model.port[0].ci = 0;
			model.port[0].tfd = 0x50;
		}
		if (i == 3) /* nobody has answered */
			hw_mmio_write(MODEL_ABAR + 4, 4, BIT(31) | 1);
		for (u32 k = 0; k < 1000; k++)
			EXPECT_EQ(in(PxCI)&1, 1);
		EXPECT(!p->identified && p->mode == AHCI_SHADOW);
		EXPECT(model.commands <= 1);
		model.lazy = 0;
		guest_stop();
	}
	EXPECT_EQ(attached, 2);
	clean();
}

/* The device announces itself again and again. */
static void announce(u32 port, u32 reg)
{
	model.port[port].serr |= BIT(26);
}

/* What it has not said must not be taken for the name of another disk, to
 * which all would pass. */
TEST(no_answer_at_start)
{
	model_init();
	model.port[0].cmd = 0x11;
	ports_init();
	model.on_read = announce;
	EXPECT_EQ(ahci_port_start(p), 0);
	model.on_read = NULL;
	for (u32 i = 0; i < 1000; i++)
		in(PxCI);
	EXPECT(!p->identified);
	EXPECT_EQ(p->mode, AHCI_SHADOW);
	guest_stop();
	guest_start();
	one(0x60, 200, 1, true);
	EXPECT_EQ(command(0, true), 0);
	EXPECT(p->identified && p->dev);
}

TEST(device_reset)
{
	u8 *h = model.memory + LIST, *f = model.memory + TABLE(0);

	machine(512);
	guest_start();
	one(0, 0, 0, false);
	f[1] = 15; /* by a driver that looks for a port multiplier */
	f[15] = 4;
	h[1] |= 0xF5;
	out(PxCI, 1);
	EXPECT_EQ(p->page->list[0].flags, 0x0505);
	EXPECT_EQ(p->table[0].fis[15], 4);
	for (u32 i = 0; i < 1000 && in(PxCI); i++)
		;
	f[15] = 0;
	out(PxCI, 1);
	for (u32 i = 0; i < 1000 && in(PxCI); i++)
		;
	EXPECT_EQ(in(PxCI), 0);
	EXPECT_EQ(in(PxSIG), 0x101);
	one(0x60, 200, 1, true);
	EXPECT_EQ(command(0, true), 0);
	clean();
}

/* One that the port could not be given for is asked again. */
TEST(a_port_that_does_not_stop)
{
	machine(512);
	model_plug(0, true, "OTHER");
	out(PxSERR, ~0u);
	guest_start();
	one(0x60, 200, 1, true);
	p->spins = 0;
	out(PxSACT, 1);
	out(PxCI, 1);
	for (u32 i = 0; i < 1000 && !p->stuck; i++)
		in(PxCI);
	EXPECT(p->stuck);
	EXPECT_EQ(in(PxCI), 1); /* it has not been done */
	EXPECT_EQ(in(PxSACT), 1);
	EXPECT_EQ(p->waiting, 1);
	p->spins = 100000;
	guest_stop();
	guest_start();
	read_one(AHCI_PLAIN);
	clean();
}

/* Another disk may be there after a reset of the HBA, though it says nothing
 * of one. */
TEST(reset_with_a_device_without_a_volume)
{
	plain_machine();
	model.lazy = 1000;
	out(PxSACT, 6);
	out(PxCI, 6);
	ahci_port_reset(p);
	EXPECT(p->mode == AHCI_SHADOW && !p->identified);
	EXPECT_EQ(model.port[0].clb, (u32)p->page_pa);
	hw_mmio_write(MODEL_ABAR + 4, 4, BIT(31) | 1);
	EXPECT_EQ(in(PxCI), 0);
	EXPECT_EQ(in(PxSACT), 0);
	clean();
}

/* It is closed all the same; AHCI 1.3.1, 10.3.2: frames are received for as
 * long as it runs. */
TEST(a_port_with_another_device_that_does_not_stop)
{
	plain_machine();
	p->spins = 10;
	model.lazy = 1000000;
	out(PxSCTL, 0x301);
	EXPECT(p->mode == AHCI_SHADOW && p->stuck);
	EXPECT_EQ(model.port[0].cmd & PxCMD_FRE, PxCMD_FRE);
	model_plug(0, true, "SECRET");
	out(PxSCTL, 0x300);
	out(PxSERR, ~0u);
	p->spins = 100000;
	model.lazy = 0;
	model.commands = 0;
	out(PxCI, 1);
	for (u32 i = 0; i < 1000; i++)
		EXPECT_EQ(in(PxCI), 1);
	EXPECT_EQ(model.commands, 0);
	guest_stop();
	guest_start();
	read_one(AHCI_SHADOW);
	EXPECT_EQ(model.memory[DATA(0)], 0);
	clean();
}

/* Nothing is at its address then, or anything else. */
TEST(a_port_that_is_not_decoded)
{
	machine(512);
	guest_start();
	p->base = 0; /* an access would end the test */
	p->spins = 10;
	EXPECT_EQ(in(PxSSTS), ~0u);
	out(PxIE, 1);
	ahci_port_reset(p);
}

/* What a stopped port's commands were to be told is not: the memory of their
 * list may be in other use. */
TEST(stopped_in_mid_command)
{
	machine(512);
	for (u32 lax = 0; lax < 2; lax++) {
		model.lax = lax;
		guest_start();
		one(0x25, 200, 100, false);
		make_list(TABLE(0), DATA(0), 51200, 60000);
		model.lazy = 1000;
		out(PxCI, 1);
		out(PxCMD, 0);
		model.lazy = 0;
		wait_cmd(PxCMD_CR | PxCMD_FR);
		memset(model.memory + LIST, 0x77, 1024);
		for (u32 i = 0; i < 10; i++)
			in(PxIS);
		for (u32 i = 0; i < 1024; i++)
			EXPECT_EQ(model.memory[LIST + i], 0x77);
		guest_start();
		EXPECT(burst(1000000));
		guest_stop();
		out(PxCMD, 0);
	}
	clean();
}

/* A queued read that was given up has brought nothing; its memory is in other
 * use, whatever the device says of it later. */
TEST(stopped_before_it_failed)
{
	machine(512);
	guest_start();
	one(0x60, 200, 8, true);
	memset(model.memory + DATA(0), 0x77, 4096);
	model.lazy = 1000;
	out(PxSACT, 1);
	out(PxCI, 1);
	out(PxCMD, 0);
	wait_cmd(PxCMD_CR | PxCMD_FR);
	model.port[0].tfd = 0x4041;
	ahci_port_reset(p);
	for (u32 i = 0; i < 4096; i++)
		EXPECT_EQ(model.memory[DATA(0) + i], 0x77);
}

/* What has ended well is told, and decrypted whole, though another has failed
 * before the guest looked. */
TEST(queued_reads_beside_one_that_fails)
{
	u32 good = 0;

	machine(512);
	for (u32 i = 0; i < 20; i++) {
		guest_start();
		for (u32 n = 0; n < 2; n++) {
			ops[n] = (struct op){ 200, 8, 0x60, false, true, 0 };
			ops[n].lba += n * REGION;
			op_prepare(n);
		}
		model.port[0].disk.bad_lba = ops[1].lba + 4;
		out(PxSACT, 3);
		out(PxCI, 3);
		for (u32 k = 0; k < 10000; k++)
			model_tick();
		if (!(in(PxSACT)&1)) {
			good++;
			op_check(0);
		}
		guest_stop();
		good_up_to(1, ops[1].lba + 4);
	}
	EXPECT(good > 0);
	ops[0].active = ops[1].active = false;
	clean();
}

/* An HBA may count the bytes of a command that has not ended; the error bit
 * of a device at work says nothing. */
TEST(a_count_that_grows)
{
	static const u8 status[] = { 0x50, 0xD1, 0x59 };

	machine(512);
	guest_start();
	for (u32 i = 0; i < sizeof(status); i++) {
		ops[0] = (struct op){ 200, 8, 0x25, false, false, false };
		op_prepare(0);
		model.lazy = 100000;
		out(PxCI, 1);
		model.port[0].tfd = status[i];
		p->page->list[0].prdbc = 512;
		in(PxIS);
		model.lazy = 0;
		for (u32 k = 0; k < 10000 && poll(); k++)
			;
		EXPECT(!poll());
	}
	clean();
}

TEST(no_memory)
{
	hpa_t pa;

	model_init();
	ports_init();
	options = (struct ata_options){ 0 };
	EXPECT(dma_alloc(2048, &pa));
	EXPECT(dma_alloc(1024, &pa));
	EXPECT_EQ(ahci_port_start(p), -ENOMEM);
	model_init();
	EXPECT(dma_alloc(2048, &pa));
	EXPECT(dma_alloc(896, &pa));
	EXPECT_EQ(ahci_port_start(p), -ENOMEM);
	EXPECT(!p->identified);
	guest_start();
	one(0x60, 200, 1, true);
	out(PxSACT, 1);
	out(PxCI, 1);
	for (u32 i = 0; i < 1000; i++)
		EXPECT_EQ(in(PxCI), 1); /* closed for ever */
	EXPECT_EQ(model.port[0].sact, 0);
}

TEST_MAIN(CASE(asks_at_start), CASE(firmware_goes_on),
	  CASE(no_commands_before_the_start), CASE(no_answer_at_start),
	  CASE(random_commands), CASE(sectors_of_4096), CASE(narrow_addresses),
	  CASE(no_queue_in_the_hba), CASE(aborts_at_every_step),
	  CASE(queued_beside_others), CASE(seen_by_one_register),
	  CASE(every_frame_is_copied_whole),
	  CASE(a_queued_command_that_is_taken), CASE(device_fault),
	  CASE(start_written_again), CASE(start_too_early),
	  CASE(registers_that_nobody_knows), CASE(reads_cut_off),
	  CASE(errors_of_the_device), CASE(refused_commands),
	  CASE(what_is_configured), CASE(a_list_that_leaves_ram),
	  CASE(hidden_memory), CASE(the_longest_list),
	  CASE(list_changed_between_chunks), CASE(issued_twice),
	  CASE(past_28_bits), CASE(swapped_while_errors_are_cleared),
	  CASE(swapped_in_mid_command), CASE(identify_is_adjusted),
	  CASE(plugged), CASE(plugged_with_commands_waiting),
	  CASE(given_back_while_a_register_is_read),
	  CASE(the_same_disk_or_another), CASE(an_answer_that_does_not_count),
	  CASE(a_device_that_does_not_answer), CASE(device_reset),
	  CASE(nobody_to_ask_at_start), CASE(addresses_are_kept),
	  CASE(port_multipliers_stay_off), CASE(slots_that_the_hba_has_not),
	  CASE(the_device_stays_known), CASE(a_slot_that_an_hba_has_kept),
	  CASE(started_after_a_reset_behind_our_back),
	  CASE(reset_with_a_device_without_a_volume), CASE(no_memory),
	  CASE(a_port_that_does_not_stop),
	  CASE(a_port_with_another_device_that_does_not_stop),
	  CASE(a_port_that_is_not_decoded), CASE(stopped_in_mid_command),
	  CASE(stopped_before_it_failed), CASE(no_sectors_that_can_be_used),
	  CASE(commands_without_data), CASE(a_frame_that_passes),
	  CASE(a_write_larger_than_its_buffer), CASE(writes_in_flight),
	  CASE(queued_reads_beside_one_that_fails), CASE(a_count_that_grows))

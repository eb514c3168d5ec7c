/*
 * Random values, from a seed, to what Shoji mediates. What a fault can be
 * compared by is printed as "@@ got": the same seed on the bare machine has to
 * give the same.
 */
#include "kernel.h"

static u16 bm;
static u8 lists[0x4000] __attribute__((aligned(4096)));
static u8 buffer[0x20000] __attribute__((aligned(4096)));
static struct pm pm;

void disk_control(u8 value);

/* ---- ports ---- */

static void port_access(u16 port, u32 size, bool write, u32 value)
{
	if (write && size == 1)
		out8(port, (u8)value);
	else if (write && size == 2)
		out16(port, (u16)value);
	else if (write)
		out32(port, value);
	else if (size == 1)
		in8(port);
	else if (size == 2)
		in16(port);
	else
		in32(port);
}

/* Also strings: into a buffer of one page. */
static void port_string(u16 port, u32 size, bool write, u32 count)
{
	u64 n = count % (4096 / size);
	void *p = buffer;

	if (write && size == 1)
		__asm__ volatile("rep outsb" : "+S"(p), "+c"(n) : "d"(port));
	else if (write && size == 2)
		__asm__ volatile("rep outsw" : "+S"(p), "+c"(n) : "d"(port));
	else if (write)
		__asm__ volatile("rep outsl" : "+S"(p), "+c"(n) : "d"(port));
	else if (size == 1)
		__asm__ volatile("rep insb"
				 : "+D"(p), "+c"(n)
				 : "d"(port)
				 : "memory");
	else if (size == 2)
		__asm__ volatile("rep insw"
				 : "+D"(p), "+c"(n)
				 : "d"(port)
				 : "memory");
	else
		__asm__ volatile("rep insl"
				 : "+D"(p), "+c"(n)
				 : "d"(port)
				 : "memory");
}

/* Commands that the emulators' disks know, more often than the rest. */
static u8 ide_command(u64 r)
{
	static const u8 known[] = { 0x20, 0x24, 0x25, 0x29, 0x30, 0x34,
				    0x35, 0x39, 0x40, 0x42, 0xc4, 0xc5,
				    0xc6, 0xc8, 0xca, 0xe7, 0xea, 0xec,
				    0xef, 0x91, 0xb0, 0xf8, 0x3d, 0xce };

	return r & 0x100 ? (u8)r : known[(r >> 16) % sizeof(known)];
}

static void ide_one(u64 r)
{
	/* the whole command block, control, and the bus master's half */
	u16 port = 0x1f0 + (r & 7);
	u32 size = 1 << (r >> 8) % 3, value = (u32)(r >> 32);
	bool write = r & 0x80;

	switch (r >> 12 & 15) {
	case 0:
		port = 0x3f6;
		break;
	case 1:
	case 2:
	case 3:
		port = bm + (r & 7);
		break;
	case 4:
		if (option("data", 1))
			port_string(0x1f0, size, write, value);
		return;
	case 5: /* a command that may go on */
		port = 0x1f7;
		size = 1;
		write = true;
		value = ide_command(value);
		break;
	default:
		break;
	}
	/* Bochs dies of data without a command */
	if (port == 0x1f0 && !option("data", 1))
		return;
	/* what lies above the channel is not ours to disturb */
	if (port + size > bm + 8u && port < bm + 8u)
		size = 1;
	if (port == 0x3f6)
		size = 1;
	/* only lists of ours: the disk writes where they say */
	if (port + size > bm + 4u && port < bm + 8u && write) {
		if (port != bm + 4u || size != 4)
			return;
		value = (u32)(u64)lists + (value & 0x1ffc);
	}
	/* QEMU 7.2 divides by the sectors per track that it was told */
	if (write && port <= 0x1f7 && port + size > 0x1f7 &&
	    (u8)(value >> 8 * (0x1f7 - port)) == 0x91)
		out8(0x1f2, 63);
	if (port == 0x3f6 && write)
		disk_control((u8)value);
	else
		port_access(port, size, write, value);
}

void disk_again(void);

/* Entries into a buffer of any length, seldom elsewhere. */
static void fill_lists(void)
{
	for (u32 i = 0; i < sizeof(lists) / 8; i++) {
		u64 r = random64(), hidden, size;
		u32 *e = (u32 *)(lists + 8 * i);

		e[0] = (u32)(u64)buffer + (r & 0xffff);
		e[1] = r >> 32 & 0x8000ffff;
		if (!(r >> 16 & 15) && find_hidden(&hidden, &size))
			e[0] = (u32)(hidden + (r & 0xffff)) - 0x8000;
		if (r >> 16 & 1 && !(r >> 20 & 3))
			e[0] = 0xe0000000 | (u32)r;
	}
}

static void ide(u64 count)
{
	if (!bm)
		return;
	fill_lists();
	while (count--)
		ide_one(random64());
	out8(bm, 0);
	out32(bm + 4, 0);
	disk_again();
}

/* Never S5 or S4, types 0 and 2 here; a wake that is reported is cleared. */
static void power(u64 count)
{
	static const u8 types[] = { 1, 3, 4, 5, 6, 7 };
	u16 cnt = in16(pm.cnt);

	while (count--) {
		u64 r = random64();
		u16 v = (u16)(types[(r >> 8) % 6] << 10 | 0x2000 | 1);

		if (r & 1)
			out16(pm.cnt, v);
		else if (r & 2)
			out8(pm.cnt + 1, v >> 8);
		else
			out32(pm.cnt, v);
		in16(pm.evt);
		out16(pm.evt, 0x8000);
		/* no reset without bit 2 */
		out8(0xcf9, r >> 16 & ~6);
		in8(0xcf9);
		out16(0xcf9, 0);
	}
	out16(pm.cnt, cnt & ~0x2000);
	check(true, "power", " ");
}

/* ---- PCI configuration space ---- */

static u32 config(u32 where)
{
	out32(0xcf8, 0x80000000 | where);
	return in32(0xcfc);
}

/* What must not be hit: the memory map (host bridge), the place of the power
 * management, and BARs that could come to lie on our memory. */
static bool may_write(u32 where, u32 class)
{
	u32 reg = where & 0xfc;

	if (class >> 16 == 0x0101)
		return true;
	if (class >> 16 == 0x0600 || class >> 16 == 0x0680)
		return false;
	/* the ISA bridge's interrupt routing: Bochs dies of a conflict */
	if (class >> 16 == 0x0601 && reg == 0x60)
		return false;
	return reg == 0x0c || reg == 0x3c || reg >= 0x40;
}

static void pci_one(const u32 *there, u32 count, u64 r)
{
	u32 where = there[(r >> 8) % count], reg = r >> 32 & 0xff;
	u32 size = 1 << (r >> 40) % 3, class = config(where | 8);

	where |= reg & 0xfc;
	/* a whole address, or a byte of it changed; other bits of it too */
	out32(0xcf8, 0x80000000 | where | (r >> 60 == 0 ? 0x01000000 : 0));
	if (r >> 60 == 1)
		out8(0xcf8, (u8)where);
	if (r >> 60 == 2)
		in16(0xcfa);
	/* one that runs over the register's end hits the next in Bochs */
	port_access(0xcfc + (reg & 3), size,
		    r & 1 && may_write(where, class) &&
			    may_write(where + 4, class),
		    (u32)random64());
}

/* The IDE function is put back as it was, decoding last. */
static void pci(u64 count)
{
	u32 there[64], n = 0, ide_at = 0, saved[64];

	for (u32 f = 0; f < 256 && n < 64; f++)
		if (config(f << 8) != ~0u)
			there[n++] = f << 8;
	for (u32 i = 0; i < n; i++)
		if (config(there[i] | 8) >> 16 == 0x0101)
			ide_at = there[i];
	for (u32 i = 0; ide_at && i < 64; i++)
		saved[i] = config(ide_at | i * 4);
	while (count--)
		pci_one(there, n, random64());
	for (u32 i = 64; ide_at && i--;) {
		out32(0xcf8, 0x80000000 | ide_at | i * 4);
		if (i != 1)
			out32(0xcfc, saved[i]);
		else
			out16(0xcfc, (u16)saved[i]);
	}
	if (ide_at)
		disk_again();
	check(true, "pci", " ");
}

/* ---- registers ---- */

static struct {
	const char *what;
	u32 first, last, vector;
	bool any;
} group;

static void group_end(void)
{
	if (group.any)
		say("@@ got %s %x %x %s\n", group.what, group.first, group.last,
		    vector_name(group.vector));
	group.any = false;
}

/* Neighbours with the same result are one line. */
static void group_add(const char *what, u32 index, u32 vector)
{
	if (group.any && group.what == what && group.last + 1 == index &&
	    group.vector == vector) {
		group.last = index;
		return;
	}
	group_end();
	group.what = what;
	group.first = group.last = index;
	group.vector = vector;
	group.any = true;
}

/* EFER, APIC base and the x2APIC have tests of their own. */
static void msr(u32 index)
{
	u64 old, value = random64();
	u32 vector;

	if (value & 1)
		value >>= value >> 58; /* fewer bits get further */
	vector = rdmsr_try(index, &old);
	group_add("msr", index, vector);
	if (vector != DONE || index == 0x1b || index == 0xc0000080 ||
	    (index >= 0x800 && index < 0x900))
		return;
	wrmsr_try(index, value);
	wrmsr_try(index, old);
}

static void msrs(void)
{
	static const u32 bases[] = { 0, 0xc0000000, 0xc0010000, 0x40000000 };
	static const u32 counts[] = { 0x2000, 0x400, 0x400, 0x100 };

	for (u32 b = 0; b < 4; b++)
		for (u32 i = 0; i < counts[b]; i++)
			msr(bases[b] + i);
	group_end();
	for (u32 i = 0; i < 64; i++) {
		u64 old;

		rdmsr_try((u32)random64(), &old);
		wrmsr_try((u32)random64() | 0x80000000, random64());
	}
	check(true, "msrs", " ");
}

/* Runs "mov %rax, %reg" (or the like) with @value, then puts back @old. */
static u32 set(const u8 *code, size_t len, u64 value)
{
	run->gpr[RAX] = value;
	run->gpr[RDX] = value >> 32;
	run->gpr[RCX] = 0;
	run->gpr[RSP] = 0;
	return run_code(MODE_LONG, 0, code, len);
}

#define SET(value, ...)                                    \
	({                                                 \
		static const u8 code_[] = { __VA_ARGS__ }; \
		set(code_, sizeof(code_), value);          \
	})

#define MOV_CR0 0x0f, 0x22, 0xc0
#define MOV_CR4 0x0f, 0x22, 0xe0
#define MOV_CR8 0x44, 0x0f, 0x22, 0xc0
#define XSETBV	0x0f, 0x01, 0xd1

static u64 some_bits(void)
{
	u64 r = random64(), bits = 0;

	for (u32 i = 0; i < 1 + (r & 3); i++)
		bits |= 1ULL << (r >> (8 + 6 * i) & 63);
	/* the upper half seldom */
	return r >> 60 ? (u32)bits : bits;
}

static void control(u64 count)
{
	/* our pages are the users': SMEP and SMAP would end us; QEMU sets
	 * what its CPU does not have, without a fault */
	const u64 never = option("lax", 0) ? ~0x707dfULL : 3 << 20;
	u64 cr0, cr4, efer;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	rdmsr_try(0xc0000080, &efer);
	for (u32 i = 0; i < count; i++) {
		/* QEMU leaves long mode by PG without a fault */
		u64 bits = some_bits() & ~0x80000001ULL;

		group_add("cr0", i, SET(cr0 ^ bits, MOV_CR0));
		SET(cr0, MOV_CR0);
	}
	group_end();
	for (u32 i = 0; i < count; i++) {
		u64 bits = some_bits() & ~never;

		/* VMXE and SMXE: see virt.c */
		if (bits & (1 << 13 | 1 << 14))
			SET(cr4 ^ bits, MOV_CR4);
		else
			group_add("cr4", i, SET(cr4 ^ bits, MOV_CR4));
		SET(cr4, MOV_CR4);
	}
	group_end();
	for (u32 i = 0; i < count; i++) {
		group_add("cr8", i, SET(some_bits(), MOV_CR8));
		SET(0, MOV_CR8);
	}
	group_end();
	for (u32 i = 0; i < count; i++) {
		wrmsr_try(0xc0000080, efer ^ some_bits());
		wrmsr_try(0xc0000080, efer);
	}
	check(true, "control", " ");
}

static void xcr0(u64 count)
{
	u32 r[4];

	cpuid(1, 0, r);
	if (!(r[2] & 1 << 26))
		return;
	group_add("xcr0-off", 0, SET(1, XSETBV));
	group_end();
	__asm__ volatile("mov %%cr4, %%rax; or $0x40000, %%eax;"
			 "mov %%rax, %%cr4" ::
				 : "rax");
	for (u32 i = 0; i < count; i++)
		group_add(
			"xcr0", i,
			SET(i & 1 ? random64() & 0x2ff : some_bits(), XSETBV));
	group_end();
	SET(1, XSETBV);
	check(true, "xcr0", " ");
}

static void debug(u64 count)
{
	/* no breakpoint that would hit, and no GD */
	for (u32 i = 0; i < count; i++)
		group_add("dr0", i, SET(random64(), 0x0f, 0x23, 0xc0));
	for (u32 i = 0; i < count; i++)
		group_add("dr6", i, SET(some_bits(), 0x0f, 0x23, 0xf0));
	for (u32 i = 0; i < count; i++)
		group_add("dr7", i,
			  SET(some_bits() & ~0x20ffULL, 0x0f, 0x23, 0xf8));
	group_end();
	SET(0x400, 0x0f, 0x23, 0xf8);
	SET(0xffff0ff0, 0x0f, 0x23, 0xf0);
	check(true, "debug", " ");
}

u16 ide_bm(void);

void test_random(void)
{
	u64 count = option("count", 3000);

	bm = ide_bm();
	pm = find_pm();
	msrs();
	control(200);
	xcr0(200);
	debug(200);
	/* what is done to the disk and the chipset, only under Shoji: the
	 * emulators' own do not like all of it */
	if (!option("registers", 0)) {
		power(count / 10);
		ide(count);
		pci(count);
		ide(count);
	}
}

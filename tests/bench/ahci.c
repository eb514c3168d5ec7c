/*
 * The whole of the shipped AHCI path, from the guest's register accesses over
 * the copied list to the cipher, fed with commands of one size, beside
 * libcrypto's XTS alone on the same data and memcpy. The HBA is a set of
 * variables: it ends each command at once and moves nothing. Without a volume
 * at the sectors, what is left is the path without the cipher.
 *
 *     ahci [ROUNDS]       prints that
 *     ahci BYTES COUNT    only reads so much so often, to be counted
 *
 * units: drivers/ata/command.c drivers/ata/identify.c drivers/ata/ahci_command.c drivers/ata/ahci_done.c drivers/ata/ahci_identify.c drivers/ata/ahci_packet.c drivers/ata/packet.c drivers/ata/ahci_port.c core/io/sg.c tests/bench/path.c crypto/disk/disk.c crypto/xts.c crypto/selftest.c
 * libs: -l:libcrypto.a -ldl -lpthread
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/io/mmio.h"
#include "core/lib/bytes.h"
#include "crypto/disk/disk.h"
#include "crypto/xts.h"
#include "drivers/ata/ahci.h"
#include "tests/bench/path.h"

enum {
	LIST = 0x1000,
	FRAMES = 0x2000,
	TABLE = 0x3000,
	BASE = 0x1000,
	SECTOR = 2048,
	PLAIN = 1 << 20, /* a sector outside the volume */
	REPEATS = 8
};

static u8 *ram;
static u8 copy[PATH_MOST] __attribute__((aligned(4096)));
static u32 reg[32];
static struct ahci_port port;
static struct lock lock;
static const struct ata_options options;
static u32 bytes; /* of a command */
static int rounds = 300;

/* ---- the HBA ---- */

u64 hw_mmio_read(hpa_t pa, u8 size)
{
	return reg[(pa - BASE) / 4];
}

static void identify(u8 *data)
{
	store_le16(data + 2 * 49, 0x200);
	store_le16(data + 2 * 83, 0x4400);
	store_le64(data + 2 * 100, 1 << 30);
}

void hw_mmio_write(hpa_t pa, u8 size, u64 value)
{
	u32 r = (u32)(pa - BASE);

	if (r == PxCI && port.asking)
		identify(port.page->identify);
	/* all ends at once */
	if (r == PxCI)
		reg[PxIS / 4] = 8;
	else if (r == PxIS)
		reg[PxIS / 4] &= ~(u32)value;
	else if (r != PxSACT && r != PxSERR)
		reg[r / 4] = (u32)value;
	if (r == PxCMD)
		reg[r / 4] &= ~(u32)(PxCMD_CR | PxCMD_FR);
}

/* ---- a guest's driver, as Linux' does it ---- */

static void command(bool write, u64 lba)
{
	u8 *f = ram + TABLE;

	ram[LIST] = (u8)(5 | write << 6);
	store_le16(ram + LIST + 2, (u16)(bytes / 4096));
	store_le32(ram + LIST + 8, TABLE);
	f[0] = 0x27;
	f[1] = 0x80;
	f[2] = write ? 0x61 : 0x60;
	store_le32(f + 4, (u32)lba);
	f[7] = 0x40;
	f[8] = (u8)(lba >> 24);
	f[3] = (u8)(bytes / 512);
	f[11] = (u8)(bytes / 512 >> 8);
	ahci_port_write(&port, PxSACT, 1);
	ahci_port_write(&port, PxCI, 1);
	ahci_port_write(&port, PxIS, ahci_port_read(&port, PxIS));
	if (ahci_port_read(&port, PxSACT))
		exit(1);
}

static void set_up(void)
{
	ram = path_ram();
	path_volume("ahci", PLAIN - 1);
	port.filter = disk_filter();
	port.options = &options;
	port.attach_lock = &lock;
	port.id.bus = "ahci";
	port.wide = true;
	port.queues = true;
	port.slots = 32;
	port.spins = 10;
	port.base = BASE;
	reg[PxSSTS / 4] = 3;
	if (ahci_port_start(&port) || !port.dev)
		exit(1);
	ahci_port_write(&port, PxCLB, LIST);
	ahci_port_write(&port, PxFB, FRAMES);
	ahci_port_write(&port, PxCMD, PxCMD_FRE | PxCMD_ST);
	for (u32 i = 0; i < PATH_MOST / 4096; i++) {
		store_le64(ram + TABLE + 0x80 + 16 * i,
			   PATH_DATA + PATH_STEP * i);
		store_le32(ram + TABLE + 0x80 + 16 * i + 12, 4095);
	}
}

/* ---- what is measured ---- */

static void run_read(void)
{
	command(false, SECTOR);
}

static void run_write(void)
{
	command(true, SECTOR);
}

static void run_plain(void)
{
	command(false, PLAIN);
}

static void run_decrypt(void)
{
	path_decrypt(SECTOR, bytes);
}

static void run_encrypt(void)
{
	path_encrypt(SECTOR, bytes, copy);
}

static void run_memcpy(void)
{
	memcpy(copy, ram + PATH_DATA, bytes);
	__asm__ volatile("" ::: "memory");
}

enum {
	READ,
	WRITE,
	DECRYPT,
	ENCRYPT,
	COPY,
	ALONE,
	WAYS
};
static void (*const ways[WAYS])(void) = { run_read,    run_write,  run_decrypt,
					  run_encrypt, run_memcpy, run_plain };

/* The guest is given what the cipher alone makes of it, and so is the HBA, out
 * of our table. */
static void check(void)
{
	const struct ahci_prd *sent = &port.table[0].prd[0];
	const u8 *filled = path_fill(bytes);

	run_read();
	path_expect(SECTOR, bytes, filled);
	run_write();
	if (sent->dbc != bytes - 1)
		exit(1);
	path_expect(SECTOR, bytes, (const u8 *)sent->dba);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The shortest of many rounds, taken in turns, in nanoseconds a command. */
static void measure(double best[WAYS])
{
	for (int w = 0; w < WAYS; w++)
		best[w] = 1e9;
	for (int round = 0; round < rounds; round++)
		for (int w = 0; w < WAYS; w++) {
			double start = now(), took;

			for (int i = 0; i < REPEATS; i++)
				ways[w]();
			took = 1e9 * (now() - start) / REPEATS;
			best[w] = took < best[w] ? took : best[w];
		}
}

int main(int argc, char **argv)
{
	static const u32 sizes[] = { 4096, 65536, PATH_MOST };
	double t[WAYS], worst = 1e9;

	set_up();
	if (argc == 2)
		rounds = atoi(argv[1]);
	if (argc == 3) {
		bytes = (u32)atoi(argv[1]);
		check();
		for (int i = atoi(argv[2]); i > 0; i--)
			run_read();
		return 0;
	}
	printf("%-14s | %6s %6s | %6s %6s | %6s | %s\n", "AHCI, GB/s", "read",
	       "write", "XTS", "XTS", "memcpy", "path/XTS | path alone");
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		bytes = sizes[i];
		check();
		measure(t);
		worst = t[DECRYPT] / t[READ];
		if (t[ENCRYPT] / t[WRITE] < worst)
			worst = t[ENCRYPT] / t[WRITE];
		printf("%6u bytes   | %6.2f %6.2f | %6.2f %6.2f | %6.2f | "
		       "%.2f %.2f | %.0f ns\n",
		       bytes, bytes / t[READ], bytes / t[WRITE],
		       bytes / t[DECRYPT], bytes / t[ENCRYPT], bytes / t[COPY],
		       t[DECRYPT] / t[READ], t[ENCRYPT] / t[WRITE], t[ALONE]);
	}
	printf("ahci: worst ratio at 128 KiB %.2f, wanted 0.85: %s\n", worst,
	       worst >= 0.85 ? "ok" : "MISSED");
	return worst < 0.85;
}

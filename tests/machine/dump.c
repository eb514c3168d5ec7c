/*
 * What a guest can see of its machine, as lines "NAME VALUE...": run with and
 * without Shoji and compared. Static, for the tiny kernel's guest; needs its
 * cpuid and msr devices and /dev/mem.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BIOS_START 0xf0000
#define BIOS_SIZE  0x10000

static void cpuid_leaf(int fd, int cpu, uint32_t leaf, uint32_t subleaf)
{
	uint32_t r[4];

	if (pread(fd, r, sizeof(r), leaf | (uint64_t)subleaf << 32) !=
	    sizeof(r))
		return;
	printf("cpuid.%d.%x.%x %08x %08x %08x %08x\n", cpu, leaf, subleaf, r[0],
	       r[1], r[2], r[3]);
}

static void cpuid_range(int fd, int cpu, uint32_t first)
{
	uint32_t r[4] = { 0 };

	if (pread(fd, r, sizeof(r), first) != sizeof(r))
		return;
	if (r[0] < first || r[0] > first + 0x40)
		r[0] = first;
	for (uint32_t leaf = first; leaf <= r[0]; leaf++)
		for (uint32_t sub = 0; sub < 8; sub++)
			cpuid_leaf(fd, cpu, leaf, sub);
}

static void dump_cpuid(int cpu)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/cpu/%d/cpuid", cpu);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return;
	cpuid_range(fd, cpu, 0);
	cpuid_range(fd, cpu, 0x40000000);
	cpuid_range(fd, cpu, 0x80000000);
	close(fd);
}

/* First and last; clocks and counters are left out. */
static const uint32_t msrs[][2] = {
	{ 0x17, 0x17 },
	{ 0x1b, 0x1b },
	{ 0x3a, 0x3a },
	{ 0x48, 0x48 },
	{ 0x8b, 0x8b },
	{ 0x9b, 0x9b },
	{ 0xfe, 0xfe },
	{ 0x174, 0x17b },
	{ 0x1a0, 0x1a0 },
	{ 0x1d9, 0x1d9 },
	{ 0x200, 0x20f },
	{ 0x250, 0x250 },
	{ 0x258, 0x259 },
	{ 0x268, 0x26f },
	{ 0x277, 0x277 },
	{ 0x2ff, 0x2ff },
	{ 0x480, 0x492 },
	{ 0x560, 0x572 },
	{ 0xc0000080, 0xc0000084 },
	{ 0xc0000103, 0xc0000103 },
	{ 0xc0010010, 0xc001001f },
	{ 0xc0010114, 0xc0010118 },
};

static void dump_msrs(int cpu)
{
	char path[32];
	uint64_t value;
	int fd;

	snprintf(path, sizeof(path), "/dev/cpu/%d/msr", cpu);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return;
	for (size_t i = 0; i < sizeof(msrs) / sizeof(*msrs); i++)
		for (uint32_t m = msrs[i][0]; m <= msrs[i][1]; m++) {
			if (pread(fd, &value, 8, m) == 8)
				printf("msr.%d.%x %llx\n", cpu, m,
				       (unsigned long long)value);
			else
				printf("msr.%d.%x fault\n", cpu, m);
		}
	close(fd);
}

/* Each file of @pattern in hex, 32 bytes a line. */
static void dump_files(const char *name, const char *pattern)
{
	unsigned char row[32];
	glob_t g;
	ssize_t n;

	if (glob(pattern, 0, NULL, &g))
		return;
	for (size_t i = 0; i < g.gl_pathc; i++) {
		int fd = open(g.gl_pathv[i], O_RDONLY);
		unsigned int at = 0;

		while (fd >= 0 && (n = read(fd, row, sizeof(row))) > 0) {
			printf("%s.%s.%03x ", name, g.gl_pathv[i], at);
			for (ssize_t j = 0; j < n; j++)
				printf("%02x", row[j]);
			printf("\n");
			at += n;
		}
		if (fd >= 0)
			close(fd);
	}
	globfree(&g);
}

static void dump_hex(const char *name, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i % 32 == 0)
			printf("%s%s.%03zx ", i ? "\n" : "", name, i);
		printf("%02x", p[i]);
	}
	printf("\n");
}

/* SMBIOS 2.8, 5.2.1: the entry point, and the table if it lies there too. */
static void dump_dmi(void)
{
	int fd = open("/dev/mem", O_RDONLY);
	unsigned char *bios = malloc(BIOS_SIZE);

	if (fd < 0 || pread(fd, bios, BIOS_SIZE, BIOS_START) != BIOS_SIZE) {
		printf("dmi none\n");
		return;
	}
	for (size_t i = 0; i + 32 <= BIOS_SIZE; i += 16) {
		uint32_t at, len = bios[i + 22] | bios[i + 23] << 8;

		if (memcmp(bios + i, "_SM_", 4))
			continue;
		dump_hex("dmi.entry", bios + i, 31);
		memcpy(&at, bios + i + 24, 4);
		if (at >= BIOS_START && at - BIOS_START + len <= BIOS_SIZE)
			dump_hex("dmi.table", bios + at - BIOS_START, len);
	}
	close(fd);
	free(bios);
}

int main(void)
{
	for (int cpu = 0; cpu < 64; cpu++) {
		dump_cpuid(cpu);
		dump_msrs(cpu);
	}
	dump_files("pci", "/sys/bus/pci/devices/*/config");
	dump_files("acpi", "/sys/firmware/acpi/tables/[A-Z]*");
	dump_dmi();
	return 0;
}

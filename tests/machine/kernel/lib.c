/* The console on COM2, checks, the firmware's tables, and the start. */
#include "kernel.h"

#include <stdarg.h>

#define COM2 0x2f8
#define LSR  (COM2 + 5)

static const char *cmdline = "";
static u32 mmap_addr, mmap_len;
static u64 seed;

void *memset(void *p, int c, size_t n)
{
	void *d = p;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return p;
}

void *memcpy(void *to, const void *from, size_t n)
{
	void *d = to;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(n)::"memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *p = a, *q = b;

	for (size_t i = 0; i < n; i++)
		if (p[i] != q[i])
			return p[i] - q[i];
	return 0;
}

/* ---- the console ---- */

static void put(char c)
{
	if (c == '\n')
		put('\r');
	while (!(in8(LSR) & 0x20))
		;
	out8(COM2, (u8)c);
}

static void put_number(u64 v, u32 base)
{
	char text[24];
	int n = 0;

	do {
		text[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (n)
		put(text[--n]);
}

static void vsay(const char *f, va_list ap)
{
	for (; *f; f++) {
		bool wide = false;

		if (*f != '%') {
			put(*f);
			continue;
		}
		if (*++f == 'l') {
			wide = true;
			f++;
		}
		if (*f == 's')
			for (const char *s = va_arg(ap, const char *); *s; s++)
				put(*s);
		else if (*f == 'c')
			put((char)va_arg(ap, int));
		else
			put_number(wide ? va_arg(ap, u64) : va_arg(ap, u32),
				   *f == 'x' ? 16 : 10);
	}
}

void say(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsay(format, ap);
	va_end(ap);
}

void check(bool good, const char *name, const char *format, ...)
{
	va_list ap;

	say(good ? "@@ ok %s" : "@@ FAIL %s ", name);
	if (!good) {
		va_start(ap, format);
		vsay(format, ap);
		va_end(ap);
	}
	say("\n");
}

void exception(u64 vector, u64 error, u64 rip, u64 cr2)
{
	say("@@ FAIL exception %lu error 0x%lx rip 0x%lx cr2 0x%lx\n", vector,
	    error, rip, cr2);
	pds[0] = 0x87; /* power_off() reads the BIOS' data */
	power_off();
}

/* ---- the command line: words NAME=NUMBER, and the test's name ---- */

static const char *find_word(const char *name)
{
	for (const char *p = cmdline; *p; p++) {
		size_t n = 0;

		if (p != cmdline && p[-1] != ' ')
			continue;
		while (name[n] && p[n] == name[n])
			n++;
		if (!name[n] && p[n] == '=')
			return p + n + 1;
	}
	return NULL;
}

u64 option(const char *name, u64 otherwise)
{
	const char *p = find_word(name);
	u64 v = 0;

	if (!p)
		return otherwise;
	for (; *p >= '0' && *p <= '9'; p++)
		v = v * 10 + (u64)(*p - '0');
	return v;
}

/* ---- splitmix64 ---- */

void random_seed(u64 s)
{
	seed = s;
}

u64 random64(void)
{
	u64 z = seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* ---- the firmware's tables ---- */

struct mmap {
	u32 size;
	u64 base, len;
	u32 type;
} __attribute__((packed));

/* Shoji's is the one reserved piece inside RAM that 2 MiB pages fit. */
bool find_hidden(u64 *start, u64 *size)
{
	u64 at = mmap_addr;

	while (at < (u64)mmap_addr + mmap_len) {
		const struct mmap *m = (const void *)at;

		if (m->type == 2 && m->base > 0x100000 &&
		    m->base < 0xc0000000 && !(m->base % 0x200000) &&
		    m->len >= 0x200000) {
			*start = m->base;
			*size = m->len;
			return true;
		}
		at += m->size + 4;
	}
	return false;
}

static u32 search_rsdt(u64 from, u64 to)
{
	for (u64 p = from; p < to; p += 16)
		if (!memcmp((void *)p, "RSD PTR ", 8))
			return *(u32 *)(p + 16);
	return 0;
}

struct pm find_pm(void)
{
	u64 ebda = (u64) * (volatile u16 *)0x40e << 4;
	u64 rsdt = search_rsdt(ebda, ebda + 1024);

	if (!rsdt)
		rsdt = search_rsdt(0xe0000, 0x100000);
	for (u32 i = 36; rsdt && i < *(u32 *)(rsdt + 4); i += 4) {
		u64 table = *(u32 *)(rsdt + i);

		if (!memcmp((void *)table, "FACP", 4))
			return (struct pm){ *(u16 *)(table + 56),
					    *(u16 *)(table + 64) };
	}
	return (struct pm){ 0, 0 };
}

/* S5's type is 0 in the emulators' tables. */
void power_off(void)
{
	u16 cnt = find_pm().cnt;

	while (!(in8(LSR) & 0x40))
		;
	out16(cnt, 0x2000);
	for (;;)
		__asm__ volatile("hlt");
}

void check_end(void)
{
	say("@@ end\n");
	power_off();
}

/* ---- other modes ---- */

u32 run_at(u32 mode, u32 ring, u64 rip)
{
	run->mode = mode;
	run->ring = ring;
	run->rip = rip;
	run->rflags = 2;
	mode_enter();
	return run->vector;
}

u32 run_code(u32 mode, u32 ring, const void *code, size_t len)
{
	u8 *to = (u8 *)SNIPPET;

	memcpy(to, code, len);
	to[len] = 0xcd;
	to[len + 1] = DONE;
	return run_at(mode, ring, mode == MODE_REAL ? 0 : SNIPPET);
}

const char *mode_name(u32 mode, u32 ring)
{
	static const char *const names[2][MODES] = {
		{ "real", "pm32", "pg32", "pae", "compat", "long" },
		{ "", "pm32-user", "pg32-user", "pae-user", "compat-user",
		  "long-user" },
	};

	return names[ring ? 1 : 0][mode];
}

const char *vector_name(u32 vector)
{
	static const char *const names[] = {
		"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD",
		"#NM", "#DF", "?9",  "#TS", "#NP", "#SS", "#GP",
		"#PF", "?15", "#MF", "#AC", "#MC", "#XM",
	};

	if (vector == DONE)
		return "done";
	return vector < sizeof(names) / sizeof(*names) ? names[vector] : "?";
}

u32 rdmsr_try(u32 index, u64 *value)
{
	static const u8 code[] = { 0x0f, 0x32 };
	u32 vector;

	run->gpr[RCX] = index;
	run->gpr[RSP] = 0;
	vector = run_code(MODE_LONG, 0, code, sizeof(code));
	*value = run->gpr[RDX] << 32 | (u32)run->gpr[RAX];
	return vector;
}

u32 wrmsr_try(u32 index, u64 value)
{
	static const u8 code[] = { 0x0f, 0x30 };

	run->gpr[RCX] = index;
	run->gpr[RAX] = (u32)value;
	run->gpr[RDX] = value >> 32;
	run->gpr[RSP] = 0;
	return run_code(MODE_LONG, 0, code, sizeof(code));
}

/* ---- the start ---- */

static const struct {
	const char *name;
	void (*fn)(void);
} tests[] = {
	{ "memory", test_memory }, { "virt", test_virt },
	{ "cr3", test_cr3 },	   { "random", test_random },
	{ "ap", test_ap },	   { "bound", test_bound },
	{ "ahci", test_ahci },	   { "insn", test_insn },
	{ "task", test_task },	   { "secret", test_secret },
	{ "ports", test_ports },   { "calls", test_calls },
	{ "rounds", test_rounds },
};

void main(u32 info_addr);

void main(u32 info_addr)
{
	const u32 *info = (const u32 *)(u64)info_addr;
	const char *which;

	if (info[0] & 4)
		cmdline = (const char *)(u64)info[4];
	if (info[0] & 0x40) {
		mmap_len = info[11];
		mmap_addr = info[12];
	}
	which = find_word("test");
	say("@@ start %s\n", cmdline);
	random_seed(option("seed", 1));
	for (size_t i = 0; which && i < sizeof(tests) / sizeof(*tests); i++) {
		size_t n = 0;

		while (tests[i].name[n] && tests[i].name[n] == which[n])
			n++;
		if (tests[i].name[n] || (which[n] && which[n] != ' '))
			continue;
		tests[i].fn();
		check_end();
	}
	check(false, "command-line", "no such test: %s", cmdline);
	check_end();
}

/* The tests' own guest kernel: what its files share. */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

enum {
	RAX,
	RCX,
	RDX,
	RBX,
	RSP,
	RBP,
	RSI,
	RDI
};
enum {
	DE = 0,
	DB = 1,
	NMI = 2,
	BP = 3,
	UD = 6,
	DF = 8,
	TS = 10,
	NP = 11,
	SS = 12,
	GP = 13,
	PF = 14,
	AC = 17
};

/* ---- lib.c ---- */

/* %u %x %lu %lx (64 bits), %s, %c */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "@@ ok NAME" or "@@ FAIL NAME" and what is in @format. */
void check(bool good, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void check_end(void); /* says "@@ end" and switches off */
_Noreturn void power_off(void);
void exception(u64 vector, u64 error, u64 rip, u64 cr2);

u64 random64(void); /* from the seed of the command line, repeatable */
void random_seed(u64 seed);

/* The value of "NAME=..." on the command line, or @otherwise. */
u64 option(const char *name, u64 otherwise);

struct pm {
	u16 evt, cnt;
};
struct pm find_pm(void); /* the FADT's PM1a blocks */

void *memset(void *p, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);
int memcmp(const void *a, const void *b, size_t n);

/* For the host: it looks at the machine, then presses a key. */
void wait_for_key(void);

/* What Shoji keeps, from the firmware's memory map; false if there is none. */
bool find_hidden(u64 *start, u64 *size);

/* ---- running code in other modes ---- */

struct run {
	u64 gpr[16];
	u64 rip, rflags, cr2;
	u32 vector, error, mode, ring, cs;
};
_Static_assert(offsetof(struct run, cs) == RUN_CS, "layout.h");
#define run ((volatile struct run *)RUN)

/*
 * Runs @len bytes of code, ended by INT DONE, in @mode and @ring with the
 * registers in run->gpr; returns the vector that ended it. @rip elsewhere: as
 * it is.
 */
u32 run_code(u32 mode, u32 ring, const void *code, size_t len);
u32 run_at(u32 mode, u32 ring, u64 rip);
const char *mode_name(u32 mode, u32 ring);
const char *vector_name(u32 vector);

/* MSRs and others, without dying of #GP: the vector, DONE if it went well. */
u32 rdmsr_try(u32 index, u64 *value);
u32 wrmsr_try(u32 index, u64 value);

/* ---- instructions ---- */

static inline void out8(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}
static inline void out16(u16 port, u16 v)
{
	__asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}
static inline void out32(u16 port, u32 v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}
static inline u8 in8(u16 port)
{
	u8 v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline u16 in16(u16 port)
{
	u16 v;
	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline u32 in32(u16 port)
{
	u32 v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline void cpuid(u32 leaf, u32 sub, u32 r[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"(sub));
}
static inline u64 rdtsc(void)
{
	u32 lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}
static inline volatile u32 *apic(u32 reg)
{
	return (volatile u32 *)(0xfee00000ULL + reg);
}

/* ---- ap.c ---- */

/* Starts the CPU with the other APIC ID of 0 and 1; then it calls @work, if
 * there is one, again and again. */
bool ap_start(void (*work)(void));

/* start.S */
extern u64 gdt[], pml4[], pdpt[], pds[], pdpt_pae[];
extern u32 pd32[], ap_running;
extern u8 tss32[];
extern u64 idt32[], idt64[];

/* mode.S */
void mode_enter(void);
extern volatile u32 nmi_count[APS], nmi_hold, nmi_timer, ud_count;
extern volatile u64 ipi_count[APS];
extern volatile u64 saved_rsp;

/* ---- the tests, by their names on the command line ---- */

void test_memory(void), test_virt(void), test_random(void), test_insn(void),
	test_ap(void), test_bound(void), test_task(void), test_cr3(void),
	test_ahci(void), test_ports(void), test_secret(void), test_calls(void),
	test_rounds(void);
_Noreturn void ap_main(u32 id);

#endif

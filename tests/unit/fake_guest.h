/*
 * A guest for tests of core/virt: one virtual CPU or more whose registers are
 * arrays, some RAM from address 0, one page of a device, and stand-ins for
 * what the files under test call. It is also what they get as core/arch/x86.h
 * ("libs: -include tests/unit/fake_guest.h").
 */
#ifndef CORE_ARCH_X86_H
#define CORE_ARCH_X86_H

#include <setjmp.h>

#include "core/lib/types.h"

struct cpuid {
	u32 eax, ebx, ecx, edx;
};
struct cpuid cpuid(u32 leaf);
struct cpuid cpuid_count(u32 leaf, u32 subleaf); /* the test's own */
u64 rdmsr(u32 index);
void wrmsr(u32 index, u64 value);
static inline u64 rdtsc(void)
{
	return 0x123456789a;
}
static inline u64 rdtscp(u32 *aux)
{
	*aux = 7;
	return rdtsc();
}
static inline void wbinvd(void)
{
}
static inline void cpu_pause(void)
{
}

#include "core/cpu/apic.h"
#include "core/virt/guest.h"

#define FAKE_RAM    0x40000
#define FAKE_DEVICE 0x80000  /* reads as D5h, counts writes */
#define FAKE_HIDDEN 0x100000 /* one page */
#define FAKE_CPUS   3

struct fake {
	struct guest guest;
	u64 reg[FAKE_CPUS][VREG_COUNT];
	struct vseg seg[FAKE_CPUS][VSEG_COUNT];
	u32 flushes[FAKE_CPUS];
	u8 ram[FAKE_RAM] __attribute__((aligned(PAGE_SIZE)));
	gpa_t hooked; /* another page of the device, or 0 */
	u32 device_writes;
	u32 self;	    /* the CPU that runs */
	struct cpuid id[3]; /* of leaves 80000001h, 80000008h, 80000021h */
	struct cpuid encryption, structured; /* of 8000001Fh, 7 */
	u32 features;			     /* EDX of 1 */
	u64 encryption_msr;		     /* of either vendor */
	bool reset;			     /* power_reset() was called */
	jmp_buf after_reset;
	struct mmio_hook *hook;
	enum apic_mode apic;
	u32 icr_high;
	u32 nmis;	/* that were sent */
	u32 nmis_to;	/* a bit for each APIC ID */
	u32 apic_inits; /* apic_init_reset() */
	bool wait_sipi; /* the hardware has a state for it */
	bool panic;
	bool stopped;	 /* panic_stop() was called */
	bool bios_calls; /* guest_bios_call() is true */
	char log[256];	 /* the last line of log_limited() */
};
extern struct fake fake;

/* A new guest; its first CPU in real mode, RIP 1000h, stack at 8000h. */
struct vcpu *fake_start(void);
/* Flat segments, 32-bit protected mode or 64-bit mode at CPL @cpl. */
void fake_mode(struct vcpu *v, unsigned int bits, unsigned int cpl);
/* 4-level tables that map 2 MiB as they are, in the last pages of RAM. */
void fake_paging(struct vcpu *v);
/* The rights of a page of them: 0 to take it away. */
void fake_page(u64 linear, u64 entry);

/* True if @statement ended in power_reset(); false also if in panic_stop(). */
#define RESETS(statement)    \
	(fake.reset = false, \
	 setjmp(fake.after_reset) ? fake.reset : (({ statement; }), false))

#endif

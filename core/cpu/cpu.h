/*
 * Per-CPU state of the host.
 *
 * Each CPU has one area of hidden memory: this struct, its GDT and TSS, a
 * guard page, the stack it runs on, and two stacks for exceptions (traps.h).
 */
#ifndef CORE_CPU_CPU_H
#define CORE_CPU_CPU_H

#include "core/lib/types.h"

#define CPU_MAX 64

struct vcpu;

struct cpu {
	u64 canary_page[8]; /* FS base: libcrypto's canary is at fs:0x28 */
	struct cpu *self;   /* GS base + 64 */
	u32 index;	    /* 0 is the boot processor */
	u32 apic_id;
	struct vcpu *vcpu; /* the guest's CPU that runs here */
	u32 nmi_seen;	   /* NMIs taken in host mode; core/virt passes them
			      * on. Take them with an atomic exchange. */
	u32 stop;	   /* the next NMI in host mode is the end */
	u32 online;	   /* has reached the host */
	/* An NMI in host mode at [nmi_first, nmi_first + nmi_bytes) goes on at
	 * nmi_target: for code that has looked at nmi_seen and must not miss
	 * one. */
	u64 nmi_first, nmi_bytes, nmi_target;
	u64 *gdt;
	void *tss;
	u8 *stack_top;
	void *fpu_area; /* XSAVE area for what the guest owns, 64-byte
			      * aligned */
	u64 guest_xcr0; /* between fpu_begin and fpu_end */
};

/* Selectors of the host's GDT. */
enum {
	CPU_CS = 0x08,
	CPU_DS = 0x10,
	CPU_TSS = 0x18
};

struct cpu *cpu_self(void);
struct cpu *cpu_get(u32 index);
u32 cpu_count(void);

/*
 * Makes the CPU that calls it the boot processor: its area, tables, extended
 * state and control registers; then calls @entry on its own stack, which must
 * not return. Needs the page pool and the host's final page tables.
 */
noreturn void cpu_start_boot(void (*entry)(struct cpu *c));

/*
 * Starts every other processor that @apic_ids lists by INIT/SIPI through the
 * page at @trampoline (below 640 KiB, not in use); each then calls @entry in
 * host mode on its own stack. Returns when all have reached the host, or
 * -EIO if one did not answer within five seconds, -ENOMEM, also for more than
 * CPU_MAX processors. The page is zeroed afterwards.
 *
 * It needs pages 0 to 4 GiB in phys_to_virt's map.
 */
int cpu_start_others(const u32 *apic_ids, u32 count, hpa_t trampoline,
		     void (*entry)(struct cpu *c)) must_check;

/* ---- for core/cpu itself ------------------------------------------------ */

/* A new CPU's area, not yet in use; NULL without memory. */
struct cpu *cpu_alloc(u32 apic_id) must_check;

/* On the CPU itself: its descriptor tables, segments and FS and GS bases. */
void cpu_load_tables(struct cpu *c);

/* The CPU that has a stack around @address, and the bounds of that stack. */
struct cpu *cpu_find_stack(u64 address, u64 *low, u64 *high);

/* Continues in @entry(@c) on another stack. */
noreturn void cpu_switch_stack(struct cpu *c, u8 *stack_top,
			       void (*entry)(struct cpu *c));

#endif

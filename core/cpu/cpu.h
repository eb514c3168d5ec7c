/* Per-CPU state of the host. */
#ifndef CORE_CPU_CPU_H
#define CORE_CPU_CPU_H

#include "core/lib/types.h"

#define CPU_MAX 64

struct vcpu;

struct cpu {
	u64 canary_page[8];  /* FS base: libcrypto's canary is at fs:0x28 */
	struct cpu *self;    /* GS base + 64 */
	u32 index;	     /* 0 is the boot processor */
	u32 apic_id;
	struct vcpu *vcpu;   /* the guest's CPU that runs here */
	u32 nmi_seen;	     /* NMIs taken in host mode; core/virt passes them on */
	u64 *gdt;
	void *tss;
	u16 tss_selector;
	u8 *stack_top;
	void *fpu_area;	     /* XSAVE area for what the guest owns, 64-byte aligned */
};

/* Selectors of the host's GDT. */
enum { CPU_CS = 0x08, CPU_DS = 0x10, CPU_TSS = 0x18 };

struct cpu *cpu_self(void);
struct cpu *cpu_get(u32 index);
u32 cpu_count(void);

/* Host state a back end needs for its exit: bases of the tables in use. */
u64 cpu_gdt_base(const struct cpu *c);
u64 cpu_idt_base(void);
u64 cpu_tss_base(const struct cpu *c);

/*
 * Starts every other processor that @apic_ids lists by INIT/SIPI through the
 * page at @trampoline (below 640 KiB, not in use); each then calls @entry in
 * host mode on its own stack. Returns when all have reached the host, or
 * -EIO if one did not answer within a second.
 */
int cpu_start_others(const u32 *apic_ids, u32 count, hpa_t trampoline,
		     void (*entry)(struct cpu *c)) must_check;

/* Extended state: see fpu.h. */

#endif

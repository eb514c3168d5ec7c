/*
 * The one guest, and what the files of core/virt share: one subject a file,
 * none of it knows the CPU's vendor. What differs comes from struct virt_ops.
 */
#ifndef CORE_VIRT_GUEST_H
#define CORE_VIRT_GUEST_H

#include "core/cpu/cpu.h"
#include "core/emul/emul.h"
#include "core/io/mmio.h"
#include "core/lib/lock.h"
#include "core/mm/walk.h"
#include "core/virt/bios.h"
#include "core/virt/virt.h"

#define GUEST_TRAPS_MAX 32

/* A range of guest-physical addresses that the nested table holds back. */
struct nested_trap {
	gpa_t start;
	u64 len;
	enum mmio_trap trap;
};

struct guest {
	const struct virt_ops *ops;
	u32 cpus;
	struct vcpu vcpu[CPU_MAX];

	/* nested.c */
	struct lock nested_lock;
	struct table nested;
	hpa_t nested_top; /* everything below is mapped at the start */
	hpa_t hole_page;  /* all ones: what the guest reads of hidden memory */
	u8 maxphyaddr;
	struct nested_trap traps[GUEST_TRAPS_MAX];
	u32 trap_count;

	/* bios.c: the stub in the stolen low page, see boot/stub.h */
	struct bios_map bios_map;
	gpa_t stub;

	/* startup.c */
	gpa_t apic_base;
	struct mmio_hook apic_hook;
	u32 ready; /* other CPUs may enter the guest */

	/* False: not for Shoji, #UD. NULL if there is nothing to call. */
	bool (*hypercall)(struct vcpu *v, const struct vmexit *exit);
	/* Before each entry: work of Shoji's own. It sets v->deadline. NULL if
	 * there is none. */
	void (*background)(struct vcpu *v);
};

/* ---- run.c: the loop ---------------------------------------------------- */

/* Enters the guest on this CPU, for good. */
noreturn void guest_run(struct vcpu *v);

/* Gives the guest an exception instead of what it tried. Contributory faults
 * during delivery become #DF or a shutdown as SDM vol. 3, table 6-5 says. */
void guest_fault(struct vcpu *v, u8 vector);
void guest_fault_error(struct vcpu *v, u8 vector, u32 error);

/* Moves RIP past the instruction of @exit, without RF; then guest_retired(). */
void guest_skip(struct vcpu *v, const struct vmexit *exit);

/* An instruction has been executed for the guest, or some iterations of one
 * with REP: ends an interrupt shadow, and gives the trap of a single step. */
void guest_retired(struct vcpu *v);

/* ---- insn.c: the guest's instructions and memory ------------------------ */

struct insn;

struct guest_mem_fault {
	u8 vector; /* #PF, #GP or #SS */
	u32 error;
	u64 cr2;
};

/* 16, 32 or 64: how the guest decodes instructions now. */
u8 guest_code_bits(struct vcpu *v);

/* Copies up to INSN_MAX bytes at CS:RIP; returns how many could be read. */
size_t guest_fetch(struct vcpu *v, u8 *bytes);

/*
 * Linear address of [offset, offset + size) in @seg after the checks of its
 * type and limit; or *@fault and EMUL_MEM_FAULT.
 */
int guest_linear(struct vcpu *v, unsigned int seg, u64 offset, u32 size,
		 unsigned int access, u64 *linear,
		 struct guest_mem_fault *fault) must_check;

/* With the access bits of walk.h: as the CPU itself reads descriptors. */
#define GUEST_SYSTEM 0x100

/*
 * Memory as an instruction at the current CPL sees it, by linear address, at
 * most a page's size. MMIO goes through its hooks. EMUL_MEM_FAULT and *@fault
 * if paging says so; then nothing of it has been accessed.
 */
int guest_mem(struct vcpu *v, u64 linear, void *data, u32 size,
	      unsigned int access, struct guest_mem_fault *fault) must_check;

/* Past paging, where there may be a hook: by aligned accesses of up to 8 bytes.
 * What is not there reads as ones. */
void guest_mmio(gpa_t gpa, u8 *data, u32 size, bool write);

/* Through the guest's page tables; EMUL_MEM_FAULT and *@fault if they say so. */
int guest_translate(struct vcpu *v, u64 linear, unsigned int access, gpa_t *gpa,
		    struct guest_mem_fault *fault) must_check;
/* For walk_linear(). */
struct walk_cpu guest_paging(struct vcpu *v);

/* Would an access to these bytes fault? Sets A and D as the access would. */
int guest_probe(struct vcpu *v, u64 linear, u32 size, unsigned int access,
		struct guest_mem_fault *fault) must_check;

void guest_inject_mem_fault(struct vcpu *v,
			    const struct guest_mem_fault *fault);

/* The instruction at CS:RIP, as insn_decode(). */
int guest_decode(struct vcpu *v, struct insn *in) must_check;

/* Executes the instruction at RIP, whose memory access was trapped. */
void guest_emulate(struct vcpu *v, const struct vmexit *exit);

/* ---- one file each ------------------------------------------------------ */

void guest_cpuid(struct vcpu *v, const struct vmexit *exit);	/* cpuid.c */
void guest_rdmsr(struct vcpu *v, const struct vmexit *exit);	/* msr.c */
void guest_wrmsr(struct vcpu *v, const struct vmexit *exit);	/* msr.c */
void guest_msr_init(struct guest *g);				/* msr.c */
void guest_cr_write(struct vcpu *v, const struct vmexit *exit); /* cr.c */
void guest_xsetbv(struct vcpu *v, const struct vmexit *exit);	/* cr.c */
/* IN or OUT of AL, AX or EAX, without moving RIP. portio.c */
void guest_io_access(struct vcpu *v, u16 port, u8 size, bool write);
void guest_ahead_init(struct vcpu *v);
/* ahead.c: after the access by the instruction that was at @rip; @where it went
 * tells apart what one instruction does for many. */
void guest_run_ahead(struct vcpu *v, u64 rip, u16 where);
/* ahead.c: as guest_emulate(), and with @further also guest_run_ahead().
 * False, and nothing is done, unless it is of the instructions and in the mode
 * of running ahead. */
bool guest_emulate_ahead(struct vcpu *v, u16 where, bool further) must_check;
void guest_io(struct vcpu *v, const struct vmexit *exit); /* portio.c */
void guest_task_switch(struct vcpu *v,
		       const struct vmexit *exit); /* taskio.c */

/* bioscall.c: a hypercall from the stub in the low page; false if it is not
 * from there. */
bool guest_bios_call(struct vcpu *v);

/* ---- nested.c ----------------------------------------------------------- */

/* -ENOMEM if the table does not fit. */
int nested_init(struct guest *g) must_check;
void guest_nested_fault(struct vcpu *v, const struct vmexit *exit);
/* The memory types have changed: bring the table in line, on this CPU. */
void nested_update_types(struct vcpu *v);

/* ---- startup.c: INIT, SIPI and the first instruction --------------------- */

/* @watch: every write to the local APIC is looked at. */
int startup_init(struct guest *g, bool watch) must_check;
void startup_begin(struct vcpu *v);	  /* the boot processor, after POST */
void startup_init_signal(struct vcpu *v); /* INIT: a reset if this is CPU 0 */
void startup_sipi(struct vcpu *v, u8 vector);
/* INIT, SIPI and NMI that other CPUs have asked for. */
void startup_requests(struct vcpu *v);
/* The guest writes @value to the ICR. True: it has been dealt with here. */
bool startup_icr(struct vcpu *v, u64 value);
/* May the guest write @value to IA32_APIC_BASE? */
bool startup_apic_base_ok(struct vcpu *v, u64 value);

/* Makes @target leave the guest and look at its requests. */
void guest_kick(struct vcpu *target);

#endif

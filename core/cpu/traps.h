/*
 * Exceptions in host mode. Shoji runs with interrupts off; an NMI is counted
 * into cpu->nmi_seen and forgotten (unless cpu->stop says that this CPU shall
 * halt for good, as panic() does), an INIT that AMD-V turns into #SX is
 * forgotten, any exception but the ones of the "safe"
 * functions below is a panic.
 *
 * Every gate uses an IST stack, because libcrypto keeps data in the red zone:
 * IST 1 for NMI, which returns, IST 2 for all others, which do not (or only
 * from the safe functions, which do not nest).
 */
#ifndef CORE_CPU_TRAPS_H
#define CORE_CPU_TRAPS_H

#include "core/lib/types.h"

enum {
	TRAP_IST_NMI = 1,
	TRAP_IST_FATAL = 2
};

/* As traps.S pushes it. */
struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rbp, rdi, rsi, rdx, rcx, rbx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

/* Fills the IDT that all CPUs share; once, before the first traps_load(). */
void traps_init(void);

/* Loads the IDT on this CPU. */
void traps_load(void);

u64 traps_idt_base(void);

/* RDMSR, WRMSR and XSETBV with operands that may be wrong: false if the CPU
 * answers with #GP or #UD. */
bool rdmsr_safe(u32 index, u64 *value) must_check;
bool wrmsr_safe(u32 index, u64 value) must_check;
bool xsetbv_safe(u32 index, u64 value) must_check;

#endif

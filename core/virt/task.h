/*
 * Hardware task switches in software (SDM vol. 3, 7.3), since they always
 * leave a VT-x guest. Pure over the callbacks: the same code runs against a
 * memory model in its test.
 */
#ifndef CORE_VIRT_TASK_H
#define CORE_VIRT_TASK_H

#include "core/virt/virt.h"

struct task_fault {
	u8 vector;
	bool has_error;
	u32 error;
	u64 cr2; /* of a page fault */
};

/*
 * The guest. Memory is accessed by linear address, as the CPU itself does it:
 * with supervisor rights and RFLAGS.AC clear, through the CR3 of the moment.
 * 0, or TASK_FAULT and the page fault in *@fault; a write that fails writes
 * nothing.
 */
struct task_ops {
	int (*read)(void *ctx, u32 linear, void *dst, u32 size,
		    struct task_fault *fault);
	int (*write)(void *ctx, u32 linear, const void *src, u32 size,
		     struct task_fault *fault);
	int (*probe_write)(void *ctx, u32 linear, u32 size,
			   struct task_fault *fault);
	/* To SS:@offset, with the segments and rights that the guest has by
	 * then: it may be #SS. */
	int (*push)(void *ctx, u32 offset, const void *src, u32 size,
		    struct task_fault *fault);
	u64 (*get)(void *ctx, enum vreg reg);
	void (*set)(void *ctx, enum vreg reg, u64 value);
	void (*get_seg)(void *ctx, unsigned int seg, struct vseg *s);
	void (*set_seg)(void *ctx, unsigned int seg, const struct vseg *s);
	void *ctx;
};

struct task_request {
	u16 selector; /* of the new task's TSS */
	enum task_source source;
	u8 insn_len;	/* of CALL, JMP, IRET or a software interrupt, else 0 */
	bool external;	/* by an interrupt, NMI or exception: EXT */
	bool has_error; /* an exception with an error code for the new stack */
	u32 error;
};

#define TASK_FAULT 1

/*
 * Switches. The CPU has already checked privilege and gate. @cpu holds the
 * registers, RIP being that of the instruction; its .bits are not used.
 *
 * 0: the guest goes on in the new task. TASK_FAULT: it gets *@fault, in the
 * old task with nothing changed but accessed and dirty flags, or in the new
 * one if that is where the CPU would raise it. Either way the state is one
 * that the CPU can enter. An event whose delivery this was is done, unless the
 * fault replaces it.
 */
int task_switch(const struct task_ops *ops, const struct task_request *req,
		struct emul_cpu *cpu, struct task_fault *fault) must_check;

#endif

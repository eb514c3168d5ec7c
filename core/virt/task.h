/*
 * Hardware task switches in software (SDM vol. 3, 7.3), since they always
 * leave a VT-x guest.
 */
#ifndef CORE_VIRT_TASK_H
#define CORE_VIRT_TASK_H

#include "core/virt/guest.h"

struct task_request {
	u16 selector; /* of the new task's TSS */
	enum task_source source;
	u8 insn_len;	/* of CALL, JMP, IRET or a software interrupt, else 0 */
	bool external;	/* by an interrupt, NMI or exception: EXT */
	bool has_error; /* an exception with an error code for the new stack */
	u32 error;
};

/*
 * Switches. The CPU has already checked privilege and gate; RIP is that of the
 * instruction.
 *
 * 0: the guest goes on in the new task. EMUL_MEM_FAULT: it gets *@fault, in the
 * old task with nothing changed but accessed and dirty flags, or in the new
 * one if that is where the CPU would raise it. Either way the state is one
 * that the CPU can enter. An event whose delivery this was is done, unless the
 * fault replaces it.
 */
int task_switch(struct vcpu *v, const struct task_request *req,
		struct guest_mem_fault *fault) must_check;

#endif

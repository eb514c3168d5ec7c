/* The AMD-V back end's own state and the pieces that its files share. */
#ifndef CORE_VIRT_SVM_SVM_H
#define CORE_VIRT_SVM_SVM_H

#include "core/arch/regs.h"
#include "core/virt/svm/vmcb.h"
#include "core/virt/virt.h"

/*
 * Intercepted all the time: EFER.SVME is set, so some SVM instructions give
 * #GP, by privilege or operand, before they exit; without it they give #UD.
 */
#define SVM_EXCEPTIONS BIT(VECTOR_GP)

/* NMIs have an intercept of their own; what this bit does is undefined (APM
 * vol. 2, 15.12.3). */
#define SVM_ALL_EXCEPTIONS (~(u32)BIT(VECTOR_NMI))

struct svm {
	struct vmcb *vmcb;
	struct vmcb *program; /* what programs run in on this CPU */
	hpa_t host_pa;	      /* VMSAVE area of the host */
	u32 features;	      /* CPUID 8000000Ah EDX */
	bool nmi_masked; /* an NMI was injected, its IRET not yet through */
	/* That IRET is the next instruction, and executed in a single step. */
	bool iret_step;
	u64 step_flags; /* the guest's own TF and IF before it, and DR6 */
	u64 step_dr6;
};

static inline struct svm *svm_of(const struct vcpu *v)
{
	return v->hw;
}

static inline struct vmcb *vmcb_of(const struct vcpu *v)
{
	return svm_of(v)->vmcb;
}

/* svm.c: runs what @b holds until it exits. RIP and RFLAGS stay in it. */
void svm_enter_vmcb(struct svm *svm, struct vmcb *b, u64 *gpr,
		    struct vmexit *exit);

/* exit.c: turns the exit fields of @b into @exit. */
void svm_decode_exit(struct svm *svm, struct vmcb *b, struct vmexit *exit);

/* program.c: see struct virt_ops. */
int svm_program_init(struct vcpu *v);
void svm_program_run(struct vcpu *v, struct virt_program *p, u64 ticks,
		     struct vmexit *exit);

/*
 * step.c: NMIs are blocked until the IRET of the handler is through (APM vol.
 * 2, 8.2.3), of which the hardware tells only that it comes.
 *
 * svm_step_unblock() ends the blocking. svm_step_begin() is called before each
 * entry while svm->iret_step is set, svm_step_end() after the exit, with what
 * it was; it may turn that into the end of the step.
 */
void svm_step_unblock(struct svm *svm);
void svm_step_begin(struct svm *svm, const struct vevent *event);
void svm_step_end(struct svm *svm, struct vmexit *exit);

/* state.c */
u64 svm_get(struct vcpu *v, enum vreg reg);
void svm_set(struct vcpu *v, enum vreg reg, u64 value);
void svm_get_seg(struct vcpu *v, unsigned int seg, struct vseg *s);
void svm_set_seg(struct vcpu *v, unsigned int seg, const struct vseg *s);

/* enter.S */
void svm_enter(hpa_t vmcb, u64 *gpr, hpa_t host_vmcb);

#endif

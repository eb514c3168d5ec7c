/* The AMD-V back end's own state and the pieces that its files share. */
#ifndef CORE_VIRT_SVM_SVM_H
#define CORE_VIRT_SVM_SVM_H

#include "core/virt/svm/vmcb.h"
#include "core/virt/virt.h"

struct svm {
	struct vmcb *vmcb;
	struct vmcb *program; /* what programs run in on this CPU */
	hpa_t vmcb_pa;
	hpa_t host_pa;	 /* VMSAVE area of the host */
	u32 features;	 /* CPUID 8000000Ah EDX */
	bool nmi_masked; /* an NMI was injected, its IRET not yet seen */
	bool nmi_window; /* NMI wanted once the IRET is through: VINTR */
};

static inline struct svm *svm_of(const struct vcpu *v)
{
	return v->hw;
}

static inline struct vmcb *vmcb_of(const struct vcpu *v)
{
	return svm_of(v)->vmcb;
}

/* exit.c: turns the exit fields of @b into @exit. */
void svm_decode_exit(struct svm *svm, struct vmcb *b, struct vmexit *exit);

/* program.c: see struct virt_ops. */
int svm_program_init(struct vcpu *v);
void svm_program_run(struct vcpu *v, struct virt_program *p, u64 ticks,
		     struct vmexit *exit);

/* state.c */
u64 svm_get(struct vcpu *v, enum vreg reg);
void svm_set(struct vcpu *v, enum vreg reg, u64 value);
void svm_get_seg(struct vcpu *v, unsigned int seg, struct vseg *s);
void svm_set_seg(struct vcpu *v, unsigned int seg, const struct vseg *s);

/* enter.S */
void svm_enter(hpa_t vmcb, u64 *gpr, hpa_t host_vmcb);

#endif

#include "core/virt/svm/svm.h"

#include "core/arch/regs.h"

void svm_step_unblock(struct svm *svm)
{
	svm->nmi_masked = false;
	svm->iret_step = false;
	svm->vmcb->intercept1 &= ~INTERCEPT_IRET;
}

/* Whatever the IRET ends in has to exit: the TF is not the guest's. */
void svm_step_begin(struct svm *svm, const struct vevent *event)
{
	struct vmcb *b = svm->vmcb;

	/* Something else has come of it, a fault: it has been executed. */
	if (event->valid) {
		svm_step_unblock(svm);
		return;
	}
	svm->step_tf = b->rflags & RFLAGS_TF;
	svm->step_dr6 = b->dr6;
	b->rflags |= RFLAGS_TF;
	b->intercept_exceptions = ~0U;
}

/* The trap is ours, unless the guest has asked for one as well. */
static void step_done(struct svm *svm, struct vmexit *exit)
{
	struct vmcb *b = svm->vmcb;
	u64 hits = b->dr6 & ~svm->step_dr6 & DR6_B;

	svm_step_unblock(svm);
	if (svm->step_tf || !(b->dr6 & DR6_BS))
		return;
	b->dr6 = svm->step_dr6 | hits;
	if (!hits)
		exit->kind = VMEXIT_WINDOW;
}

void svm_step_end(struct svm *svm, struct vmexit *exit)
{
	struct vmcb *b = svm->vmcb;

	b->intercept_exceptions = SVM_EXCEPTIONS;
	if (exit->kind == VMEXIT_EXCEPTION &&
	    exit->exception.vector == VECTOR_DB) {
		step_done(svm, exit);
		return;
	}
	if (!svm->step_tf)
		b->rflags &= ~(u64)RFLAGS_TF;
	if (exit->kind != VMEXIT_EXCEPTION)
		return; /* it has not been executed yet */
	svm_step_unblock(svm);
	if (exit->exception.vector == VECTOR_PF)
		b->cr2 = b->exitinfo2;
}

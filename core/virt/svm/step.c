#include "core/virt/svm/svm.h"

#include "core/arch/regs.h"

void svm_step_unblock(struct svm *svm)
{
	svm->nmi_masked = false;
	svm->iret_step = false;
	svm->vmcb->intercept1 &= ~INTERCEPT_IRET;
}

#define STEP_FLAGS ((u64)RFLAGS_TF | RFLAGS_IF)

/*
 * Whatever the IRET ends in has to exit: the TF is not the guest's. No
 * interrupt may come before it and save that TF: the IRET loads IF, if it may.
 */
void svm_step_begin(struct svm *svm, const struct vevent *event)
{
	struct vmcb *b = svm->vmcb;

	/* Something else has come of it, a fault: it has been executed. */
	if (event->valid) {
		svm_step_unblock(svm);
		return;
	}
	svm->step_flags = b->rflags & STEP_FLAGS;
	svm->step_dr6 = b->dr6;
	if (b->cpl <= (b->rflags & RFLAGS_IOPL) >> 12)
		b->rflags &= ~(u64)RFLAGS_IF;
	b->rflags |= RFLAGS_TF;
	b->intercept_exceptions = SVM_ALL_EXCEPTIONS;
}

static void restore_flags(struct svm *svm)
{
	svm->vmcb->rflags &= ~STEP_FLAGS;
	svm->vmcb->rflags |= svm->step_flags;
}

/* The trap is ours, unless the guest has asked for one as well; a fault at a
 * breakpoint came before the IRET. */
static void step_done(struct svm *svm, struct vmexit *exit)
{
	struct vmcb *b = svm->vmcb;
	u64 hits = b->dr6 & ~svm->step_dr6 & DR6_B;

	svm_step_unblock(svm);
	if (!(b->dr6 & DR6_BS)) {
		restore_flags(svm);
		return;
	}
	if (svm->step_flags & RFLAGS_TF)
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
	restore_flags(svm);
	if (exit->kind != VMEXIT_EXCEPTION)
		return; /* it has not been executed yet */
	svm_step_unblock(svm);
	if (exit->exception.vector == VECTOR_PF)
		b->cr2 = b->exitinfo2;
}

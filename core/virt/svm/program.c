/* Programs in a VMCB of their own, one on each CPU. */
#include "core/virt/svm/svm.h"

#include "core/arch/msr.h"
#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/lib/errors.h"
#include "core/lib/string.h"
#include "core/mm/pool.h"

#define FIRST_ASID 2 /* the guest has 1 */

/* For the I/O and the MSR permission map alike: all of it exits. */
static u8 all_ones[3 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

/*
 * RFLAGS.IF is 1 and ring 3 cannot change it, so a physical interrupt that is
 * pending exits (APM vol. 2, 15.13.1), and with V_INTR_MASKING off the guest's
 * own TPR decides whether it is. IRET stays alone: without a GDT it faults.
 */
static void init_control(struct vmcb *b)
{
	b->intercept_cr = ~0U;
	b->intercept_dr = ~0U;
	b->intercept_exceptions = SVM_ALL_EXCEPTIONS;
	b->intercept1 = INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_INIT |
			INTERCEPT_RDPMC | INTERCEPT_CPUID | INTERCEPT_INVD |
			INTERCEPT_HLT | INTERCEPT_INVLPG | INTERCEPT_INVLPGA |
			INTERCEPT_IOIO | INTERCEPT_MSR | INTERCEPT_SHUTDOWN;
	b->intercept2 = INTERCEPT_VMRUN | INTERCEPT_VMMCALL | INTERCEPT_VMLOAD |
			INTERCEPT_VMSAVE | INTERCEPT_STGI | INTERCEPT_CLGI |
			INTERCEPT_SKINIT | INTERCEPT_RDTSCP | INTERCEPT_ICEBP |
			INTERCEPT_WBINVD | INTERCEPT_MONITOR | INTERCEPT_MWAIT |
			INTERCEPT_MWAIT_ARMED | INTERCEPT_XSETBV |
			INTERCEPT_RDPRU;
	b->iopm_base_pa = virt_to_phys(all_ones);
	b->msrpm_base_pa = virt_to_phys(all_ones);
	b->tlb_control = TLB_FLUSH_ALL;
	b->np_enable = 1;
}

/* Ring 3 in 64-bit mode; TR and all tables are there but empty. */
static void init_state(struct vmcb *b)
{
	const struct vmcb_seg data = { PROGRAM_DATA_SELECTOR, VSEG_USER_DATA,
				       ~0U, 0 };

	for (unsigned int i = 0; i < ARRAY_SIZE(b->seg); i++)
		b->seg[i] = data;
	b->seg[SEG_CS] = (struct vmcb_seg){ PROGRAM_CODE_SELECTOR,
					    VSEG_USER_CODE64, ~0U, 0 };
	b->tr.attr = 0x8b;
	b->ldtr.attr = 0x82;
	b->cpl = 3;
	b->efer = EFER_SVME | EFER_LME | EFER_LMA | EFER_NXE;
	b->cr0 = PROGRAM_CR0;
	b->cr4 = PROGRAM_CR4 | (read_cr4() & PROGRAM_CR4_OPTIONAL);
	b->dr6 = DR6_INIT;
	b->dr7 = DR7_INIT;
	b->g_pat = PAT_INIT;
}

int svm_program_init(struct vcpu *v)
{
	struct vmcb *b = pool_alloc(1);

	if (!b)
		return -ENOMEM;
	memset(all_ones, 0xff, sizeof(all_ones));
	init_control(b);
	init_state(b);
	svm_of(v)->program = b;
	return 0;
}

/* There is no timer: the guest's next interrupt, of any kind, ends it. */
void svm_program_run(struct vcpu *v, struct virt_program *p, u64 ticks,
		     struct vmexit *exit)
{
	struct svm *svm = svm_of(v);
	struct vmcb *b = svm->program;

	(void)ticks;
	b->rip = p->rip;
	b->rflags = p->rflags;
	b->interrupt_shadow = 0;
	b->cr3 = p->cr3;
	b->n_cr3 = p->nested_root;
	b->guest_asid = FIRST_ASID + p->index;
	b->seg[SEG_FS].base = p->fs_base;
	/* another program may have loaded null selectors */
	b->seg[SEG_ES].selector = b->seg[SEG_DS].selector =
		PROGRAM_DATA_SELECTOR;
	b->seg[SEG_FS].selector = b->seg[SEG_GS].selector =
		PROGRAM_DATA_SELECTOR;
	if (p->flush)
		b->tlb_control = TLB_FLUSH_ALL;
	svm_enter_vmcb(svm, b, p->gpr, exit);
	p->rip = b->rip;
	p->rflags = b->rflags;
}

#include "core/virt/svm/svm.h"

#include "core/arch/cpuid.h"
#include "core/arch/msr.h"
#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/cpu/cpu.h"
#include "core/io/port.h"
#include "core/lib/errors.h"
#include "core/lib/panic.h"
#include "core/lib/string.h"
#include "core/mm/pool.h"
#include "core/virt/guest.h"

/* MSR permission map: 2 bits for each of three ranges of 8,192 MSRs (APM vol.
 * 2, 15.11). Shared by all CPUs, written before they start. */
static u8 *msrpm;
static struct table_format npt_format = {
	.nonleaf = PTE_P | PTE_W | PTE_U,
	.present = PTE_P,
	.large = PTE_PS,
	.max_level = 2,
};

static const char *svm_check(void)
{
	struct cpuid features;

	if (cpuid(CPUID_EXT_MAX).eax < CPUID_SVM)
		return "this CPU has no AMD-V";
	features = cpuid(CPUID_EXT_FEATURES);
	if (!(features.ecx & CPUID_80000001_ECX_SVM))
		return "this CPU has no AMD-V";
	if (rdmsr(MSR_VM_CR) & VM_CR_SVMDIS)
		return "AMD-V is switched off by the firmware; switch on SVM "
		       "in its set-up";
	if (!(cpuid(CPUID_SVM).edx & CPUID_SVM_EDX_NP))
		return "this CPU has AMD-V but no nested paging (NPT)";
	if (features.edx & CPUID_80000001_EDX_1G)
		npt_format.max_level = 3;
	msrpm = pool_alloc(2);
	if (!msrpm)
		return "there is too little memory for the MSR map";
	return NULL;
}

static const struct table_format *svm_nested_format(void)
{
	return &npt_format;
}

/* NPT entries are walked as user accesses (15.25.5). The types are those of
 * the guest's PAT and the MTRRs, which the hardware combines. */
static u64 svm_nested_attr(unsigned int access, enum mem_type type)
{
	(void)type;
	if (!(access & NESTED_R))
		return 0;
	return PTE_P | PTE_U | (access & NESTED_W ? PTE_W : 0) |
	       (access & NESTED_X ? 0 : PTE_NX);
}

static void svm_trap_msr(u32 index, bool read, bool write)
{
	static const u32 first[] = { 0, 0xc0000000, 0xc0010000 };

	for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
		u32 n = index - first[i];

		if (n < 0x2000)
			msrpm[i * 0x800 + n / 4] |= (read | write << 1)
						    << n % 4 * 2;
	}
}

static void init_control(struct vmcb *b, hpa_t nested_root)
{
	b->intercept1 = INTERCEPT_NMI | INTERCEPT_INIT | INTERCEPT_CPUID |
			INTERCEPT_INVD | INTERCEPT_INVLPGA | INTERCEPT_IOIO |
			INTERCEPT_MSR | INTERCEPT_SHUTDOWN;
	b->intercept2 = INTERCEPT_VMRUN | INTERCEPT_VMMCALL | INTERCEPT_VMLOAD |
			INTERCEPT_VMSAVE | INTERCEPT_STGI | INTERCEPT_CLGI |
			INTERCEPT_SKINIT;
	b->intercept_exceptions = SVM_EXCEPTIONS;
	b->iopm_base_pa = virt_to_phys(port_bitmap());
	b->msrpm_base_pa = virt_to_phys(msrpm);
	b->guest_asid = 1;
	b->tlb_control = TLB_FLUSH_ALL;
	b->np_enable = 1;
	b->n_cr3 = nested_root;
}

static int svm_cpu_start(struct vcpu *v, hpa_t nested_root)
{
	struct svm *svm = pool_alloc(1);
	struct vmcb *b = pool_alloc(1);
	void *save = pool_alloc(1), *host = pool_alloc(1);

	if (!svm || !b || !save || !host)
		return -ENOMEM;
	svm->vmcb = b;
	svm->host_pa = virt_to_phys(host);
	svm->features = cpuid(CPUID_SVM).edx;
	v->hw = svm;

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, virt_to_phys(save));
	/* An INIT in host mode is not to restart the CPU in the firmware, and
	 * the guest's A20 gate is not to mask our addresses. */
	wrmsr(MSR_VM_CR, rdmsr(MSR_VM_CR) | VM_CR_R_INIT | VM_CR_DIS_A20M);
	clgi();
	vmsave(svm->host_pa);
	/* The guest goes on with what firmware left in these. */
	vmsave(virt_to_phys(b));
	b->g_pat = rdmsr(MSR_PAT);
	init_control(b, nested_root);
	return 0;
}

static void inject(struct svm *svm, struct vevent *e)
{
	struct vmcb *b = svm->vmcb;
	u8 type = e->type;

	if (type == VEVENT_PRIV_SW_EXCEPTION || type == VEVENT_SW_EXCEPTION)
		type = VEVENT_EXCEPTION;
	b->eventinj =
		VMCB_EVENT_V | e->vector | type << 8 | (u64)e->error << 32;
	if (e->has_error && b->cr0 & CR0_PE)
		b->eventinj |= VMCB_EVENT_EV;
	if (type == VEVENT_NMI) {
		svm->nmi_masked = true;
		b->intercept1 |= INTERCEPT_IRET;
	}
	e->valid = false;
}

void svm_enter_vmcb(struct svm *svm, struct vmcb *b, u64 *gpr,
		    struct vmexit *exit)
{
	b->rax = gpr[GPR_RAX];
	b->rsp = gpr[GPR_RSP];
	svm_enter(virt_to_phys(b), gpr, svm->host_pa);
	b->tlb_control = TLB_KEEP;
	gpr[GPR_RAX] = b->rax;
	gpr[GPR_RSP] = b->rsp;
	svm_decode_exit(svm, b, exit);
	if (exit->kind == VMEXIT_NMI || exit->kind == VMEXIT_INIT) {
		/* It is still pending: the host's handlers take it. */
		stgi();
		clgi();
	}
}

static void svm_run(struct vcpu *v, struct vmexit *exit)
{
	struct svm *svm = svm_of(v);
	struct vmcb *b = svm->vmcb;
	bool step;

	b->rip = v->rip;
	b->rflags = v->rflags;
	b->eventinj = 0;
	if (svm->iret_step)
		svm_step_begin(svm, &v->event);
	step = svm->iret_step;
	if (v->event.valid)
		inject(svm, &v->event);
	svm_enter_vmcb(svm, b, v->gpr, exit);
	if (step)
		svm_step_end(svm, exit);
	v->rip = b->rip;
	v->rflags = b->rflags;
}

/* AMD-V has no wait-for-SIPI state for a guest. */
static bool svm_wait_sipi(struct vcpu *v)
{
	svm_step_unblock(svm_of(v));
	return false;
}

/* The IRET exits. The NMI of a kick does, too, when the event has been
 * injected and before the first instruction of its handler. */
static bool svm_nmi_blocked(struct vcpu *v)
{
	if (svm_of(v)->nmi_masked)
		return true;
	if (v->event.valid)
		guest_kick(v);
	return v->event.valid;
}

static void svm_flush_nested(struct vcpu *v)
{
	struct svm *svm = svm_of(v);

	svm->vmcb->tlb_control = svm->features & CPUID_SVM_EDX_FLUSH_ASID
					 ? TLB_FLUSH_ASID
					 : TLB_FLUSH_ALL;
}

const struct virt_ops svm_ops = {
	.name = "AMD-V",
	.vmmcall = true,
	.check = svm_check,
	.nested_format = svm_nested_format,
	.nested_attr = svm_nested_attr,
	.nested_types = false,
	.trap_msr = svm_trap_msr,
	.cpu_start = svm_cpu_start,
	.run = svm_run,
	.get = svm_get,
	.set = svm_set,
	.get_seg = svm_get_seg,
	.set_seg = svm_set_seg,
	.wait_sipi = svm_wait_sipi,
	.nmi_blocked = svm_nmi_blocked,
	.program_init = svm_program_init,
	.program_run = svm_program_run,
	.flush_nested = svm_flush_nested,
};

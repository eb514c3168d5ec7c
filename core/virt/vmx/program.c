/* Programs in a VMCS of their own, one on each CPU. */
#include "core/virt/vmx/vmx.h"

#include "core/arch/msr.h"
#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/cpu/cpu.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/mm/pool.h"
#include "core/virt/vmx/vmcs.h"

#define FIRST_VPID 2 /* the guest has 1 */

/*
 * Exiting on interrupts without acknowledging them: one that is pending stays
 * so in the local APIC, for the guest's own next entry (SDM vol. 3, 25.2). No
 * bitmap is in use, so every MSR and port exits as well.
 */
static void setup_controls(void)
{
	vmwrite(PIN_BASED_CONTROLS, vmx_caps->program.pin);
	vmwrite(PROC_BASED_CONTROLS, vmx_caps->program.proc);
	vmwrite(PROC_BASED_CONTROLS2,
		PROC2_EPT | (vmx_caps->proc2 & PROC2_VPID));
	vmwrite(EXIT_CONTROLS, vmx_caps->exit);
	vmwrite(ENTRY_CONTROLS, vmx_caps->entry | ENTRY_IA32E);
	vmwrite(EXCEPTION_BITMAP, ~0U);
	vmwrite(CR0_GUEST_HOST_MASK, ~0ULL);
	vmwrite(CR4_GUEST_HOST_MASK, ~0ULL);
	vmwrite(CR0_READ_SHADOW, PROGRAM_CR0);
	vmwrite(CR4_READ_SHADOW, PROGRAM_CR4);
}

/* Ring 3 in 64-bit mode; TR and all tables are there but empty. */
static void setup_state(struct vcpu *v)
{
	const struct vseg data = { PROGRAM_DATA_SELECTOR, VSEG_USER_DATA, ~0U,
				   0 };
	const struct vseg code = { PROGRAM_CODE_SELECTOR, VSEG_USER_CODE64, ~0U,
				   0 };
	const struct vseg empty = { 0 }, tr = { 0, 0x8b, 0, 0 };

	vmwrite(GUEST_IA32_EFER, EFER_LME | EFER_LMA | EFER_NXE);
	vmwrite(GUEST_IA32_PAT, PAT_INIT);
	vmwrite(GUEST_CR0, PROGRAM_CR0 | vmx_caps->cr0_mask);
	vmwrite(GUEST_CR4, PROGRAM_CR4 | vmx_caps->cr4_fixed |
				   (read_cr4() & PROGRAM_CR4_OPTIONAL));
	vmwrite(GUEST_DR7, DR7_INIT);
	vmwrite(GUEST_IA32_SYSENTER_CS, 0);
	vmwrite(GUEST_IA32_SYSENTER_ESP, 0);
	vmwrite(GUEST_IA32_SYSENTER_EIP, 0);
	for (unsigned int i = 0; i <= SEG_GS; i++)
		vmx_set_seg(v, i, i == SEG_CS ? &code : &data);
	vmx_set_seg(v, SEG_LDTR, &empty);
	vmx_set_seg(v, SEG_TR, &tr);
	vmx_set_seg(v, SEG_GDTR, &empty);
	vmx_set_seg(v, SEG_IDTR, &empty);
}

int vmx_program_init(struct vcpu *v)
{
	struct vmx_cpu *x = v->hw;

	if (!vmx_caps->program.ok)
		return -ENODEV;
	v->timer = vmx_caps->program.timer;
	x->program = pool_alloc(1);
	if (!x->program)
		return -ENOMEM;
	*(u32 *)x->program = vmx_caps->revision;
	if (!vmclear(virt_to_phys(x->program)) ||
	    !vmptrld(virt_to_phys(x->program)))
		return -ENODEV;
	setup_controls();
	vmx_vmcs_setup_common(v->cpu);
	setup_state(v);
	if (vmx_caps->ept_cap & EPT_CAP_ALL)
		invept(INVEPT_ALL, 0);
	return vmptrld(virt_to_phys(x->vmcs)) ? 0 : -ENODEV;
}

static void load(const struct virt_program *p, u64 ticks)
{
	vmwrite(GUEST_RIP, p->rip);
	vmwrite(GUEST_RSP, p->gpr[GPR_RSP]);
	vmwrite(GUEST_RFLAGS, p->rflags);
	vmwrite(GUEST_ES_BASE + 2 * SEG_FS, p->fs_base);
	vmwrite(GUEST_CR3, p->cr3);
	vmwrite(GUEST_INTERRUPTIBILITY, 0);
	/* may be another program's: null selectors, too */
	vmwrite(GUEST_PENDING_DEBUG, 0);
	vmwrite(GUEST_ES_SELECTOR + 2 * SEG_ES, PROGRAM_DATA_SELECTOR);
	vmwrite(GUEST_ES_SELECTOR + 2 * SEG_DS, PROGRAM_DATA_SELECTOR);
	vmwrite(GUEST_ES_SELECTOR + 2 * SEG_FS, PROGRAM_DATA_SELECTOR);
	vmwrite(GUEST_ES_SELECTOR + 2 * SEG_GS, PROGRAM_DATA_SELECTOR);
	vmwrite(EPT_POINTER, vmx_eptp(p->nested_root));
	if (p->flush)
		vmx_invept(vmx_eptp(p->nested_root));
	if (vmx_caps->proc2 & PROC2_VPID)
		vmwrite(VIRTUAL_PROCESSOR_ID, FIRST_VPID + p->index);
	if (vmx_caps->program.timer)
		vmwrite(PREEMPTION_TIMER,
			min_u64(ticks >> vmx_caps->program.timer_rate, ~0U));
}

static void take_exit(struct virt_program *p, struct vmexit *e)
{
	p->rip = vmread(GUEST_RIP);
	p->gpr[GPR_RSP] = vmread(GUEST_RSP);
	p->rflags = vmread(GUEST_RFLAGS);
	vmx_decode_exit(e);
	if (e->kind == VMEXIT_NMI)
		vmx_take_nmi();
}

void vmx_program_run(struct vcpu *v, struct virt_program *p, u64 ticks,
		     struct vmexit *exit)
{
	struct vmx_cpu *x = v->hw;
	u64 result;

	*exit = (struct vmexit){ .kind = VMEXIT_INVALID };
	if (!vmptrld(virt_to_phys(x->program)))
		return;
	load(p, ticks);
	result = vmx_enter(p->gpr, x->program_launched, &v->cpu->nmi_seen);
	if (result == VMX_NMI) {
		exit->kind = VMEXIT_HANDLED;
	} else if (result == VMX_REFUSED) {
		exit->raw = vmread(VM_INSTRUCTION_ERROR);
	} else {
		x->program_launched = true;
		exit->raw = vmread(EXIT_REASON);
		exit->info = vmread(EXIT_QUALIFICATION);
		if (!(exit->raw & EXIT_ENTRY_FAILURE))
			take_exit(p, exit);
	}
	(void)vmptrld(virt_to_phys(x->vmcs));
}

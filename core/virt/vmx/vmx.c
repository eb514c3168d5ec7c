/* The VT-x back end: start and run. */
#include "core/virt/vmx/vmx.h"

#include "core/arch/msr.h"
#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/cpu/cpu.h"
#include "core/lib/errors.h"
#include "core/lib/log.h"
#include "core/lib/range.h"
#include "core/mm/pool.h"
#include "core/virt/vmx/vmcs.h"

/* ---- start -------------------------------------------------------------- */

static int switch_on(struct vmx_cpu *x)
{
	u64 feature = rdmsr(MSR_FEATURE_CONTROL);

	if (!(feature & FEATURE_CONTROL_LOCK))
		wrmsr(MSR_FEATURE_CONTROL,
		      feature | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX);
	else if (!(feature & FEATURE_CONTROL_VMX))
		return -ENODEV;
	write_cr0(read_cr0() | rdmsr(MSR_VMX_CR0_FIXED0));
	write_cr4(read_cr4() | rdmsr(MSR_VMX_CR4_FIXED0));
	*(u32 *)x->vmxon = vmx_caps->revision;
	*(u32 *)x->vmcs = vmx_caps->revision;
	if (vmxon(virt_to_phys(x->vmxon)) && vmclear(virt_to_phys(x->vmcs)) &&
	    vmptrld(virt_to_phys(x->vmcs)))
		return 0;
	return -ENODEV;
}

static int vmx_cpu_start(struct vcpu *v, hpa_t nested_root)
{
	struct vmx_cpu *x = pool_alloc(1);
	int err;

	if (!x)
		return -ENOMEM;
	x->vmxon = pool_alloc(1);
	x->vmcs = pool_alloc(1);
	if (!x->vmxon || !x->vmcs)
		return -ENOMEM;
	x->eptp = vmx_eptp(nested_root);
	x->flush_nested = true; /* what an earlier user of VMX has left */
	v->hw = x;
	v->cpu->nmi_first = (u64)vmx_enter_first;
	v->cpu->nmi_bytes = (u64)vmx_enter_end - (u64)vmx_enter_first;
	v->cpu->nmi_target = (u64)vmx_enter_abort;
	err = switch_on(x);
	if (!err)
		vmx_vmcs_setup(v);
	return err;
}

/* 26.3.1.4: the flags that are not reserved. */
#define RFLAGS_MASK \
	(BITS(21, 16) | BITS(14, 6) | RFLAGS_AF | RFLAGS_PF | RFLAGS_CF)

/* ---- run ---------------------------------------------------------------- */

static void inject(struct vevent *event)
{
	u32 info = event->vector | event->type << 8 | INTR_INFO_VALID;

	/* 26.2.1.3: in real mode there are no error codes; their upper half is
	 * reserved. */
	if (event->has_error && vmread(GUEST_CR0) & CR0_PE) {
		info |= INTR_INFO_ERROR;
		vmwrite(ENTRY_EXCEPTION_ERROR, event->error & 0x7fff);
	}
	if (event->type >= VEVENT_SOFT_INT)
		vmwrite(ENTRY_INSTRUCTION_LENGTH, event->insn_len);
	vmwrite(ENTRY_INTERRUPTION_INFO, info);
	event->valid = false;
}

/* Ends the guest's run as soon as the NMI that waits can be injected. */
static void set_nmi_window(struct vmx_cpu *x, bool on)
{
	if (x->nmi_window == on)
		return;
	x->nmi_window = on;
	vmwrite(PROC_BASED_CONTROLS,
		vmx_caps->proc | (on ? PROC_NMI_WINDOW : 0));
}

/* Ends the guest's run at v->deadline, also where it waits in HLT (25.5.1). */
static void set_timer(const struct vcpu *v)
{
	u64 now = rdtsc(), left = v->deadline > now ? v->deadline - now : 0;

	vmwrite(PIN_BASED_CONTROLS,
		vmx_caps->pin | (v->deadline ? PIN_TIMER : 0));
	vmwrite(PREEMPTION_TIMER,
		min_u64(left >> vmx_caps->program.timer_rate, ~0U));
}

static void log_refusal(const struct vcpu *v, const struct vmexit *e)
{
	log_line("VM entry refused: reason %llx error %llu qualification %llx",
		 (unsigned long long)e->raw,
		 (unsigned long long)vmread(VM_INSTRUCTION_ERROR),
		 (unsigned long long)e->info);
	log_line("rip %llx rflags %llx cr0 %llx cr3 %llx cr4 %llx efer %llx",
		 (unsigned long long)v->rip, (unsigned long long)v->rflags,
		 (unsigned long long)vmread(GUEST_CR0),
		 (unsigned long long)vmread(GUEST_CR3),
		 (unsigned long long)vmread(GUEST_CR4),
		 (unsigned long long)vmread(GUEST_IA32_EFER));
	log_line("entry %llx event %llx blocked %llx activity %llx",
		 (unsigned long long)vmread(ENTRY_CONTROLS),
		 (unsigned long long)vmread(ENTRY_INTERRUPTION_INFO),
		 (unsigned long long)vmread(GUEST_INTERRUPTIBILITY),
		 (unsigned long long)vmread(GUEST_ACTIVITY_STATE));
	for (unsigned int i = 0; i < VSEG_COUNT; i++)
		log_line("seg %u: %llx rights %llx limit %llx base %llx", i,
			 (unsigned long long)vmread(GUEST_ES_SELECTOR + 2 * i),
			 (unsigned long long)vmread(GUEST_ES_ACCESS_RIGHTS +
						    2 * i),
			 (unsigned long long)vmread(GUEST_ES_LIMIT + 2 * i),
			 (unsigned long long)vmread(GUEST_ES_BASE + 2 * i));
}

static void refused(const struct vcpu *v, struct vmexit *e, u64 raw)
{
	*e = (struct vmexit){ .kind = VMEXIT_INVALID,
			      .raw = raw,
			      .info = vmread(EXIT_QUALIFICATION) };
	log_refusal(v, e);
}

static void vmx_run(struct vcpu *v, struct vmexit *e)
{
	struct vmx_cpu *x = v->hw;
	struct vevent event = v->event;
	u64 result;

	vmx_flush(x);
	set_nmi_window(x, v->nmi_pending);
	if (v->timer)
		set_timer(v);
	if (event.valid)
		inject(&v->event);
	vmwrite(GUEST_RIP, v->rip);
	vmwrite(GUEST_RSP, v->gpr[GPR_RSP]);
	vmwrite(GUEST_RFLAGS, (v->rflags & RFLAGS_MASK) | RFLAGS_FIXED);

	result = vmx_enter(v->gpr, x->launched, &v->cpu->nmi_seen);
	if (result == VMX_NMI) { /* before the entry: let it be passed on */
		vmwrite(ENTRY_INTERRUPTION_INFO, 0);
		*e = (struct vmexit){ .kind = VMEXIT_HANDLED,
				      .delivering = event };
		return;
	}
	if (result == VMX_REFUSED) {
		refused(v, e, vmread(VM_INSTRUCTION_ERROR));
		return;
	}
	x->launched = true;
	if (vmread(EXIT_REASON) & EXIT_ENTRY_FAILURE) {
		refused(v, e, vmread(EXIT_REASON));
		return;
	}
	v->rip = vmread(GUEST_RIP);
	v->gpr[GPR_RSP] = vmread(GUEST_RSP);
	v->rflags = vmread(GUEST_RFLAGS);
	vmx_decode_exit(e);
	if (e->kind == VMEXIT_NMI)
		vmx_take_nmi();
	/* Bochs goes on blocking NMIs when the wait for SIPI is over. */
	if (e->kind == VMEXIT_SIPI)
		vmx_unblock_nmi();
}

/* ---- waiting ------------------------------------------------------------ */

/* Also what INIT does to the states that are not registers. */
static bool vmx_wait_sipi(struct vcpu *v)
{
	vmwrite(GUEST_INTERRUPTIBILITY, 0);
	vmwrite(GUEST_PENDING_DEBUG, 0);
	vmwrite(GUEST_ACTIVITY_STATE,
		vmx_caps->wait_sipi ? ACTIVITY_WAIT_SIPI : ACTIVITY_ACTIVE);
	return vmx_caps->wait_sipi;
}

static bool vmx_nmi_blocked(struct vcpu *v)
{
	return v->event.valid ||
	       (vmread(GUEST_INTERRUPTIBILITY) &
		(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS | BLOCKED_BY_NMI));
}

static void vmx_flush_nested(struct vcpu *v)
{
	((struct vmx_cpu *)v->hw)->flush_nested = true;
}

const struct virt_ops vmx_ops = {
	.name = "Intel VT-x",
	.check = vmx_check,
	.nested_format = vmx_nested_format,
	.nested_attr = vmx_nested_attr,
	.nested_types = true,
	.trap_msr = vmx_trap_msr,
	.cpu_start = vmx_cpu_start,
	.run = vmx_run,
	.get = vmx_get,
	.set = vmx_set,
	.get_seg = vmx_get_seg,
	.set_seg = vmx_set_seg,
	.wait_sipi = vmx_wait_sipi,
	.nmi_blocked = vmx_nmi_blocked,
	.program_init = vmx_program_init,
	.program_run = vmx_program_run,
	.flush_nested = vmx_flush_nested,
};

/* What a VM exit was: SDM vol. 3, 27.2 and appendix C. */
#include "core/virt/vmx/vmx.h"

#include "core/arch/x86.h"
#include "core/lib/log.h"
#include "core/virt/vmx/vmcs.h"

/* ---- operands ----------------------------------------------------------- */

static void decode_io(struct vmexit *e) /* table 27-5 */
{
	u32 info;

	e->io.size = (e->info & 7) + 1;
	e->io.write = !(e->info & BIT(3));
	e->io.string = e->info & BIT(4);
	e->io.rep = e->info & BIT(5);
	e->io.port = e->info >> 16;
	e->io.seg = 0xff;
	if (!e->io.string || !vmx_caps->inout_info)
		return;
	info = vmread(EXIT_INSTRUCTION_INFO); /* table 27-10 */
	e->io.addr_size = 2 << (info >> 7 & 3);
	if (e->io.write)
		e->io.seg = info >> 15 & 7;
}

/* Table 27-3. CLTS and LMSW change bits that are the guest's own. */
static void decode_cr(struct vmexit *e)
{
	enum {
		MOV_TO,
		MOV_FROM
	} type = e->info >> 4 & 3;

	e->kind = type == MOV_TO     ? VMEXIT_CR_WRITE
		  : type == MOV_FROM ? VMEXIT_CR_READ
				     : VMEXIT_UNKNOWN;
	e->cr.cr = e->info & 15;
	e->cr.gpr = e->info >> 8 & 15;
}

static void decode_task_switch(struct vmexit *e) /* table 27-2 */
{
	e->task.selector = e->info;
	e->task.source = e->info >> 30 & 3;
	/* By a gate it can be an interrupt: then no instruction did it. */
	if (e->task.source == TASK_GATE && e->delivering.type < VEVENT_SOFT_INT)
		e->insn_len = 0;
}

static void decode_ept_violation(struct vmexit *e) /* table 27-7 */
{
	e->fault.gpa = vmread(GUEST_PHYSICAL_ADDRESS);
	e->fault.read = e->info & BIT(0);
	e->fault.write = e->info & BIT(1);
	e->fault.exec = e->info & BIT(2);
	/* Bit 7: there is a linear address; bit 8: the access was to it. */
	e->fault.table = (e->info & BITS(8, 7)) != BITS(8, 7);
}

static void decode_ept_misconfiguration(struct vmexit *e)
{
	log_line("EPT misconfiguration at %llx",
		 (unsigned long long)vmread(GUEST_PHYSICAL_ADDRESS));
}

/* NMIs are the only ones that we ask for, but of programs. */
static void decode_exception(struct vmexit *e)
{
	e->exception = vmx_decode_event(vmread(EXIT_INTERRUPTION_INFO),
					vmread(EXIT_INTERRUPTION_ERROR), 0);
	if (e->exception.type == VEVENT_NMI)
		e->kind = VMEXIT_NMI;
}

static void decode_sipi(struct vmexit *e)
{
	e->sipi_vector = e->info;
}

static const struct {
	enum vmexit_kind kind;
	bool insn; /* an instruction caused it, its length is known */
	void (*decode)(struct vmexit *e);
} reasons[REASONS] = {
	[REASON_EXCEPTION_NMI] = { VMEXIT_EXCEPTION, false, decode_exception },
	[REASON_INTR] = { VMEXIT_INTR, false, NULL },
	[REASON_TRIPLE_FAULT] = { VMEXIT_SHUTDOWN, false, NULL },
	[REASON_INIT] = { VMEXIT_INIT, false, NULL },
	[REASON_SIPI] = { VMEXIT_SIPI, false, decode_sipi },
	[REASON_NMI_WINDOW] = { VMEXIT_WINDOW, false, NULL },
	[REASON_TASK_SWITCH] = { VMEXIT_TASK_SWITCH, true, decode_task_switch },
	[REASON_CPUID] = { VMEXIT_CPUID, true, NULL },
	[REASON_GETSEC] = { VMEXIT_VIRT_INSN, true, NULL },
	[REASON_INVD] = { VMEXIT_INVD, true, NULL },
	[REASON_RSM] = { VMEXIT_VIRT_INSN, true, NULL },
	[REASON_VMCALL] = { VMEXIT_HYPERCALL, true, NULL },
	[REASON_VMCLEAR] = { VMEXIT_VIRT_INSN, true, NULL },
	[REASON_VMLAUNCH] = { VMEXIT_VIRT_INSN, true, NULL },
	[REASON_VMPTRLD] = { VMEXIT_VIRT_INSN, true, NULL },
	[REASON_VMPTRST] = { VMEXIT_VIRT_INSN, true, NULL },
	[REASON_VMREAD] = { VMEXIT_VIRT_INSN, true, NULL },
	[REASON_VMRESUME] = { VMEXIT_VIRT_INSN, true, NULL },
	[REASON_VMWRITE] = { VMEXIT_VIRT_INSN, true, NULL },
	[REASON_VMXOFF] = { VMEXIT_VIRT_INSN, true, NULL },
	[REASON_VMXON] = { VMEXIT_VIRT_INSN, true, NULL },
	[REASON_CR_ACCESS] = { VMEXIT_CR_WRITE, true, decode_cr },
	[REASON_DR_ACCESS] = { VMEXIT_DR, true, NULL },
	[REASON_IO] = { VMEXIT_IO, true, decode_io },
	[REASON_RDMSR] = { VMEXIT_RDMSR, true, NULL },
	[REASON_WRMSR] = { VMEXIT_WRMSR, true, NULL },
	[REASON_EPT_VIOLATION] = { VMEXIT_NESTED_FAULT, false,
				   decode_ept_violation },
	[REASON_EPT_MISCONFIGURATION] = { VMEXIT_UNKNOWN, false,
					  decode_ept_misconfiguration },
	[REASON_INVEPT] = { VMEXIT_VIRT_INSN, true, NULL },
	[REASON_PREEMPTION_TIMER] = { VMEXIT_DEADLINE, false, NULL },
	[REASON_INVVPID] = { VMEXIT_VIRT_INSN, true, NULL },
	[REASON_XSETBV] = { VMEXIT_XSETBV, true, NULL },
	[REASON_VMFUNC] = { VMEXIT_VIRT_INSN, true, NULL },
	/* every other reason is VMEXIT_UNKNOWN */
};

/* ---- events and what blocks them ---------------------------------------- */

/* IDT-vectoring, exit and entry information share one form (24.9.2). */
struct vevent vmx_decode_event(u32 info, u32 error, u32 insn_len)
{
	struct vevent event = {
		.valid = info & INTR_INFO_VALID,
		.vector = info & INTR_INFO_VECTOR,
		.type = (info & INTR_INFO_TYPE) >> 8,
		.has_error = info & INTR_INFO_ERROR,
	};

	if (event.has_error)
		event.error = error;
	if (event.type >= VEVENT_SOFT_INT)
		event.insn_len = insn_len;
	return event;
}

static bool delivers_nmi(const struct vmexit *e)
{
	return e->delivering.valid && e->delivering.type == VEVENT_NMI;
}

/*
 * Blocking by NMI as it has to be at the next entry (27.2.3, 27.2.4, 30.7.1.2
 * of SDM vol. 3):
 * - the exit interrupted the delivery of an NMI: it is delivered again, so
 *   nothing blocks it; but a task switch that is the delivery goes on;
 * - IRET had ended the blocking and then faulted: it is executed again.
 */
static u32 fix_nmi_blocking(u32 state, u32 reason, const struct vmexit *e)
{
	if (delivers_nmi(e))
		return reason == REASON_TASK_SWITCH ? state | BLOCKED_BY_NMI
						    : state & ~BLOCKED_BY_NMI;
	if (reason == REASON_EPT_VIOLATION && e->info & NMI_UNBLOCKED &&
	    !e->delivering.valid)
		return state | BLOCKED_BY_NMI;
	if (reason == REASON_TASK_SWITCH && e->task.source == TASK_IRET)
		return state & ~BLOCKED_BY_NMI;
	return state;
}

static void fix_interruptibility(u32 reason, const struct vmexit *e)
{
	u32 old = vmread(GUEST_INTERRUPTIBILITY);
	u32 state = fix_nmi_blocking(old, reason, e);

	/* The guest is never in SMM, but after SIPI Bochs says so. */
	state &= ~BLOCKED_BY_SMI;
	if (reason == REASON_SIPI) {
		state = 0;
		vmwrite(GUEST_ACTIVITY_STATE, ACTIVITY_ACTIVE);
	}
	if (state != old)
		vmwrite(GUEST_INTERRUPTIBILITY, state);
}

void vmx_decode_exit(struct vmexit *e)
{
	u32 reason = vmread(EXIT_REASON) & 0xffff;
	u32 vectoring = vmread(IDT_VECTORING_INFO);
	u32 insn_len = vmread(EXIT_INSTRUCTION_LENGTH);

	*e = (struct vmexit){ .raw = reason,
			      .info = vmread(EXIT_QUALIFICATION) };
	if (vectoring & INTR_INFO_VALID)
		e->delivering = vmx_decode_event(
			vectoring, vmread(IDT_VECTORING_ERROR), insn_len);
	if (reason < REASONS) {
		e->kind = reasons[reason].kind;
		if (reasons[reason].insn)
			e->insn_len = insn_len;
		if (reasons[reason].decode)
			reasons[reason].decode(e);
	}
	fix_interruptibility(reason, e);
}

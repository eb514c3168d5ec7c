/* The loop of one CPU: enter the guest, find out why it left, deal with it. */
#include "core/virt/guest.h"

#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/cpu/panic.h"
#include "core/emul/insn.h"
#include "core/lib/log.h"
#include "core/virt/power.h"

void guest_fault_error(struct vcpu *v, u8 vector, u32 error)
{
	const u32 contributory = BIT(VECTOR_DE) | BIT(VECTOR_TS) |
				 BIT(VECTOR_NP) | BIT(VECTOR_SS) |
				 BIT(VECTOR_GP) | BIT(VECTOR_CP);
	struct vevent first = v->event;
	bool was_exception = first.valid && first.type == VEVENT_EXCEPTION;

	if (was_exception && first.vector == VECTOR_DF)
		power_reset();
	if (was_exception && first.vector < 32 && vector < 32 &&
	    ((BIT(first.vector) & contributory && BIT(vector) & contributory) ||
	     (first.vector == VECTOR_PF &&
	      (vector == VECTOR_PF || BIT(vector) & contributory)))) {
		vector = VECTOR_DF;
		error = 0;
	}
	v->event = (struct vevent){
		.valid = true,
		.vector = vector,
		.type = VEVENT_EXCEPTION,
		.has_error = BIT(vector) & VECTORS_WITH_ERROR &&
			     v->guest->ops->get(v, VREG_CR0) & CR0_PE,
		.error = error,
	};
	v->guest->ops->set(v, VREG_INTERRUPTIBILITY, 0);
	/* A fault's handler sees RF set (SDM vol. 3, 17.3.1.1). */
	if (vector != VECTOR_DB)
		v->rflags |= RFLAGS_RF;
	/* An NMI or interrupt on its way is lost but for this. */
	if (first.valid && first.type == VEVENT_NMI)
		v->nmi_pending = true;
}

void guest_fault(struct vcpu *v, u8 vector)
{
	guest_fault_error(v, vector, 0);
}

void guest_retired(struct vcpu *v)
{
	const struct virt_ops *ops = v->guest->ops;

	ops->set(v, VREG_INTERRUPTIBILITY, 0);
	if (!(v->rflags & RFLAGS_TF) || v->event.valid)
		return;
	ops->set(v, VREG_DR6, ops->get(v, VREG_DR6) | DR6_BS);
	guest_fault(v, VECTOR_DB);
}

void guest_skip(struct vcpu *v, const struct vmexit *exit)
{
	struct insn in = { .length = exit->insn_len };

	/* The bytes have changed since: let the guest try again. */
	if (!in.length && (guest_decode(v, &in) || in.op < INSN_FIRST_SYSTEM))
		return;
	v->rip += in.length;
	if (guest_code_bits(v) != 64)
		v->rip &= 0xffffffff;
	v->rflags &= ~RFLAGS_RF;
	guest_retired(v);
}

static void exit_hypercall(struct vcpu *v, const struct vmexit *exit)
{
	const struct guest *g = v->guest;

	if (!guest_bios_call(v) && !(g->hypercall && g->hypercall(v, exit)))
		guest_fault(v, VECTOR_UD);
}

static void exit_virt_insn(struct vcpu *v, const struct vmexit *exit)
{
	(void)exit;
	guest_fault(v, VECTOR_UD);
}

/* The back end has kept it from the guest, to which it belongs; but SVM's
 * instructions raise #GP instead of #UD where SVM is on. */
static void exit_exception(struct vcpu *v, const struct vmexit *exit)
{
	struct insn in;

	if (exit->exception.vector == VECTOR_GP && !exit->delivering.valid &&
	    !guest_decode(v, &in) && in.op == INSN_SVM)
		guest_fault(v, VECTOR_UD);
	else
		guest_fault_error(v, exit->exception.vector,
				  exit->exception.error);
}

/* Dirty lines of the caches may be ours: write them back. */
static void exit_invd(struct vcpu *v, const struct vmexit *exit)
{
	wbinvd();
	guest_skip(v, exit);
}

static void exit_shutdown(struct vcpu *v, const struct vmexit *exit)
{
	(void)exit;
	log_line("guest CPU %u: triple fault at rip 0x%llx, resetting",
		 v->cpu->index, (unsigned long long)v->rip);
	power_reset();
}

static void exit_init(struct vcpu *v, const struct vmexit *exit)
{
	(void)exit;
	startup_init_signal(v);
}

static void exit_sipi(struct vcpu *v, const struct vmexit *exit)
{
	startup_sipi(v, exit->sipi_vector);
}

static void exit_nothing(struct vcpu *v, const struct vmexit *exit)
{
	(void)v;
	(void)exit;
}

static void exit_unknown(struct vcpu *v, const struct vmexit *exit)
{
	static struct log_limit limit;

	log_limited(&limit, "guest CPU %u: exit 0x%llx (0x%llx) at rip 0x%llx",
		    v->cpu->index, (unsigned long long)exit->raw,
		    (unsigned long long)exit->info, (unsigned long long)v->rip);
	guest_fault(v, VECTOR_UD);
}

/* The guest is in a state that the CPU does not run; it may have got there by
 * itself, so this is its end and not ours. */
static void exit_invalid(struct vcpu *v, const struct vmexit *exit)
{
	log_line("guest CPU %u: entry refused, 0x%llx 0x%llx, rip 0x%llx, "
		 "resetting",
		 v->cpu->index, (unsigned long long)exit->raw,
		 (unsigned long long)exit->info, (unsigned long long)v->rip);
	power_reset();
}

static void (*const handlers[VMEXIT_KINDS])(struct vcpu *,
					    const struct vmexit *) = {
	[VMEXIT_UNKNOWN] = exit_unknown,
	[VMEXIT_CPUID] = guest_cpuid,
	[VMEXIT_RDMSR] = guest_rdmsr,
	[VMEXIT_WRMSR] = guest_wrmsr,
	[VMEXIT_IO] = guest_io,
	[VMEXIT_NESTED_FAULT] = guest_nested_fault,
	[VMEXIT_CR_WRITE] = guest_cr_write,
	[VMEXIT_CR_READ] = exit_unknown,
	[VMEXIT_DR] = exit_unknown,
	[VMEXIT_XSETBV] = guest_xsetbv,
	[VMEXIT_INVD] = exit_invd,
	[VMEXIT_HYPERCALL] = exit_hypercall,
	[VMEXIT_VIRT_INSN] = exit_virt_insn,
	[VMEXIT_EXCEPTION] = exit_exception,
	[VMEXIT_TASK_SWITCH] = guest_task_switch,
	[VMEXIT_INIT] = exit_init,
	[VMEXIT_SIPI] = exit_sipi,
	[VMEXIT_NMI] = exit_nothing,
	[VMEXIT_WINDOW] = exit_nothing,
	[VMEXIT_SHUTDOWN] = exit_shutdown,
	[VMEXIT_HANDLED] = exit_nothing,
	[VMEXIT_INVALID] = exit_invalid,
	[VMEXIT_DEADLINE] = exit_nothing,
	[VMEXIT_INTR] = exit_unknown,
};

/* What other CPUs have asked of this one. */
static void take_requests(struct vcpu *v)
{
	if (!__atomic_exchange_n(&v->kick, 0, __ATOMIC_SEQ_CST))
		return;
	if (__atomic_exchange_n(&v->flush_request, 0, __ATOMIC_SEQ_CST))
		v->guest->ops->flush_nested(v);
	startup_requests(v);
}

/*
 * Was there an NMI for the guest? The one that kicked us was not. The CPU
 * keeps one NMI only while it takes another, so the guest loses one that comes
 * with a kick; what CPUs send each other where all of them are watched does
 * not come this way (startup.c).
 */
static bool take_nmi(struct vcpu *v)
{
	u32 n = __atomic_exchange_n(&v->cpu->nmi_seen, 0, __ATOMIC_SEQ_CST);

	if (n && __atomic_exchange_n(&v->kick_nmi, 0, __ATOMIC_SEQ_CST))
		n--;
	return n;
}

static void before_entry(struct vcpu *v)
{
	if (panic_active())
		panic_stop();
	/* In this order: who kicks from here on sends an NMI of its own. */
	if (take_nmi(v))
		v->nmi_pending = true;
	take_requests(v);
	if (v->nmi_pending && !v->waiting_sipi &&
	    !v->guest->ops->nmi_blocked(v)) {
		v->nmi_pending = false;
		v->event = (struct vevent){
			.valid = true,
			.vector = VECTOR_NMI,
			.type = VEVENT_NMI,
		};
	}
}

void guest_run(struct vcpu *v)
{
	struct vmexit exit;

	for (;;) {
		if (v->guest->background)
			v->guest->background(v);
		/* Set before take_requests(): a kick that comes after it
		 * finds us at the first instruction of the guest. */
		__atomic_store_n(&v->in_guest, 1, __ATOMIC_SEQ_CST);
		before_entry(v);
		v->guest->ops->run(v, &exit);
		__atomic_store_n(&v->in_guest, 0, __ATOMIC_SEQ_CST);
		if (panic_active())
			panic_stop();
		v->exits[exit.kind]++;
		v->event = exit.delivering;
		handlers[exit.kind](v, &exit);
	}
}

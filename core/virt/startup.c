/*
 * How the guest's CPUs come to life: the boot processor in the stub after
 * POST, every other one by INIT and SIPI (SDM vol. 3, 8.4), from its first
 * instruction under Shoji.
 *
 * Where the hardware has no wait-for-SIPI state for guests (AMD-V) no CPU may
 * get a real INIT or SIPI: writes to the ICR are watched, and a CPU waits in
 * the stub's HLT loop with interrupts off. NMIs that CPUs send each other are
 * requests as well, so that none is taken for a kick.
 *
 * Where it has (VT-x), the ICR is watched until all CPUs have been started
 * once, only to drop INITs to CPUs that wait for SIPI: the INIT would stay
 * pending and end the guest's run again and again after the SIPI (in Bochs;
 * on silicon it may cost the SIPI).
 */
#include "core/virt/guest.h"

#include "boot/stub.h"
#include "core/arch/msr.h"
#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/cpu/apic.h"
#include "core/io/mmio.h"
#include "core/lib/log.h"
#include "core/lib/string.h"
#include "core/virt/power.h"

/* ---- state -------------------------------------------------------------- */

static void set_real_seg(struct vcpu *v, unsigned int seg, u16 selector,
			 u64 base)
{
	const struct vseg s = {
		.selector = selector,
		.attr = seg == SEG_CS ? 0x9b : 0x93,
		.limit = 0xffff,
		.base = base,
	};

	v->guest->ops->set_seg(v, seg, &s);
}

/* SDM vol. 3, table 9-1: what INIT resets. MSRs and the FPU keep theirs. */
static void reset_state(struct vcpu *v)
{
	const struct virt_ops *ops = v->guest->ops;
	const struct vseg table = { .limit = 0xffff };
	const struct vseg ldtr = { .limit = 0xffff, .attr = 0x82 };
	const struct vseg tr = { .limit = 0xffff, .attr = 0x8b };
	u64 cr0 = ops->get(v, VREG_CR0) & (CR0_CD | CR0_NW);

	memset(v->gpr, 0, sizeof(v->gpr));
	v->gpr[GPR_RDX] = cpuid(1).eax;
	v->rip = 0xfff0; /* VT-x refuses one past 4 GiB, waiting or not */
	v->rflags = RFLAGS_FIXED;
	v->event.valid = false;
	v->nmi_pending = false;
	ops->flush_nested(v); /* what was translated with paging on, too */
	ops->set(v, VREG_CR0, cr0 | CR0_ET);
	ops->set(v, VREG_CR2, 0);
	ops->set(v, VREG_CR3, 0);
	ops->set(v, VREG_CR4, 0);
	ops->set(v, VREG_EFER, 0);
	ops->set(v, VREG_DR6, DR6_INIT);
	ops->set(v, VREG_DR7, DR7_INIT);
	ops->set(v, VREG_INTERRUPTIBILITY, 0);
	for (unsigned int i = SEG_ES; i <= SEG_GS; i++)
		set_real_seg(v, i, 0, 0);
	ops->set_seg(v, SEG_LDTR, &ldtr);
	ops->set_seg(v, SEG_TR, &tr);
	ops->set_seg(v, SEG_GDTR, &table);
	ops->set_seg(v, SEG_IDTR, &table);
}

static void go_to_stub(struct vcpu *v, u16 ip)
{
	gpa_t stub = v->guest->stub;

	set_real_seg(v, SEG_CS, stub >> 4, stub);
	v->rip = ip;
}

void startup_begin(struct vcpu *v)
{
	reset_state(v);
	go_to_stub(v, STUB_START_IP);
}

void startup_init_signal(struct vcpu *v)
{
	/* The boot processor would start anew, in the firmware. */
	if (v->cpu->index == 0) {
		log_line("INIT to the first CPU, resetting");
		power_reset();
	}
	reset_state(v);
	apic_init_reset();
	v->waiting_sipi = true;
	v->waits_in_hw = v->guest->ops->wait_sipi(v);
	if (!v->waits_in_hw)
		go_to_stub(v, STUB_PARK_IP);
}

/* With all CPUs started, hardware can do the rest. */
static void stop_watching(struct guest *g)
{
	for (u32 i = 0; i < g->cpus; i++)
		if (g->vcpu[i].waiting_sipi)
			return;
	if (mmio_hook_move(&g->apic_hook, 0, 0))
		log_line("the local APIC stays watched: no memory");
}

void startup_sipi(struct vcpu *v, u8 vector)
{
	if (!v->waiting_sipi)
		return;
	v->waiting_sipi = false;
	set_real_seg(v, SEG_CS, vector << 8, (u64)vector << 12);
	v->rip = 0;
	if (v->waits_in_hw)
		stop_watching(v->guest);
}

/* ---- the interrupt command register (SDM vol. 3, 10.6.1) ---------------- */

void guest_kick(struct vcpu *target)
{
	__atomic_store_n(&target->kick, 1, __ATOMIC_SEQ_CST);
	if (apic_mode() == APIC_OFF)
		return; /* none can be sent, so none is on its way */
	if (!__atomic_exchange_n(&target->kick_nmi, 1, __ATOMIC_SEQ_CST))
		apic_send_nmi(target->cpu->apic_id);
}

static bool is_target(const struct vcpu *self, const struct vcpu *v, u64 icr,
		      u32 dest)
{
	switch (icr & APIC_ICR_SHORTHAND) {
	case APIC_ICR_SELF:
		return v == self;
	case APIC_ICR_ALL:
		return true;
	case APIC_ICR_OTHERS:
		return v != self;
	}
	if (icr & APIC_ICR_LOGICAL)
		return false;
	return dest == v->cpu->apic_id ||
	       dest == (apic_mode() == APIC_X2APIC ? 0xffffffff : 0xff);
}

/* One word, so that a CPU takes an INIT together with the SIPI after it. */
enum {
	REQUEST_VECTOR = 0xff,
	REQUEST_SIPI = BIT(8),
	REQUEST_INIT = BIT(9),
	REQUEST_NMI = BIT(10)
};

void startup_requests(struct vcpu *v)
{
	u32 r = __atomic_exchange_n(&v->startup_request, 0, __ATOMIC_SEQ_CST);

	if (r & REQUEST_INIT)
		startup_init_signal(v);
	if (r & REQUEST_SIPI)
		startup_sipi(v, r & REQUEST_VECTOR);
	if (r & REQUEST_NMI)
		v->nmi_pending = true;
}

/* What has been asked of a CPU, and now @icr: INIT ends all before it, and the
 * first SIPI counts. */
static u32 add_request(u32 r, u64 icr)
{
	switch (icr & APIC_ICR_DELIVERY) {
	case APIC_ICR_INIT:
		return REQUEST_INIT;
	case APIC_ICR_NMI:
		return r | REQUEST_NMI;
	default:
		return r & REQUEST_SIPI
			       ? r
			       : r | REQUEST_SIPI | (icr & APIC_ICR_VECTOR);
	}
}

static void request(struct vcpu *v, u64 icr)
{
	u32 old = __atomic_load_n(&v->startup_request, __ATOMIC_SEQ_CST);

	while (!__atomic_compare_exchange_n(&v->startup_request, &old,
					    add_request(old, icr), false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	guest_kick(v);
}

/* INIT does nothing to a CPU that waits for SIPI. */
static bool init_is_void(struct vcpu *v, u64 icr, u32 dest)
{
	struct guest *g = v->guest;
	bool found = false;

	for (u32 i = 0; i < g->cpus; i++) {
		if (!is_target(v, &g->vcpu[i], icr, dest))
			continue;
		if (!g->vcpu[i].waiting_sipi)
			return false;
		found = true;
	}
	return found;
}

bool startup_icr(struct vcpu *v, u64 icr)
{
	static struct log_limit limit;
	struct guest *g = v->guest;
	u64 delivery = icr & APIC_ICR_DELIVERY;
	u32 dest = apic_mode() == APIC_X2APIC ? icr >> 32 : icr >> 56;
	bool logical = icr & APIC_ICR_LOGICAL && !(icr & APIC_ICR_SHORTHAND);

	if (delivery != APIC_ICR_INIT && delivery != APIC_ICR_STARTUP &&
	    (delivery != APIC_ICR_NMI || logical))
		return false;
	/* INIT level de-assert does nothing on today's CPUs. */
	if (delivery == APIC_ICR_INIT && icr & APIC_ICR_LEVEL &&
	    !(icr & APIC_ICR_ASSERT))
		return true;
	if (g->vcpu[g->cpus - 1].waits_in_hw)
		return delivery == APIC_ICR_INIT && init_is_void(v, icr, dest);
	if (logical)
		log_limited(&limit, "INIT or SIPI to a logical destination");
	for (u32 i = 0; i < g->cpus; i++)
		if (is_target(v, &g->vcpu[i], icr, dest))
			request(&g->vcpu[i], icr);
	return true;
}

/*
 * Registers are written by 32 bits at a multiple of 16 (SDM vol. 3, 10.4.1).
 * Other writes reach a register under another address on some machines, the
 * ICR too, or are taken for a device's message, which may say INIT: they are
 * lost, and so are those of the ID, by which kicks find their CPU.
 */
static enum verdict apic_write_seen(void *ctx, struct mmio_io *io)
{
	struct guest *g = ctx;
	struct vcpu *v = cpu_self()->vcpu;
	u64 offset = io->gpa - g->apic_base, high;

	if (io->size != 4 || offset % 16 || offset <= APIC_ID)
		return DONE;
	if (offset != APIC_ICR)
		return PASS;
	high = apic_mode() == APIC_XAPIC ? apic_read(APIC_ICR_HIGH) : 0;
	return startup_icr(v, high << 32 | (u32)io->value) ? DONE : PASS;
}

/* The base stays where it is: two CPUs could otherwise disagree about which
 * page is watched. The mode may change. */
bool startup_apic_base_ok(struct vcpu *v, u64 value)
{
	static struct log_limit limit;

	if ((value & APIC_BASE_ADDR) == v->guest->apic_base)
		return true;
	log_limited(&limit, "the local APIC's base cannot be moved: #GP");
	return false;
}

int startup_init(struct guest *g, bool watch)
{
	g->apic_base = rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDR;
	if (!watch)
		return 0;
	g->apic_hook = (struct mmio_hook){
		.start = g->apic_base,
		.size = PAGE_SIZE,
		.writes_only = true,
		.fn = apic_write_seen,
		.ctx = g,
	};
	return mmio_hook_add(&g->apic_hook);
}

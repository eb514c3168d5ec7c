/* The policy for model-specific registers: what is not in the table passes. */
#include "core/virt/guest.h"

#include "core/arch/cpuid.h"
#include "core/arch/msr.h"
#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/cpu/apic.h"
#include "core/cpu/traps.h"
#include "core/io/verdict.h"
#include "core/lib/log.h"
#include "core/lib/string.h"
#include "core/mm/gmem.h"
#include "core/mm/pool.h"
#include "core/virt/mtrr.h"

struct msr_io {
	u32 index;
	bool write;
	u64 value;
};

enum trap {
	R = 1,
	W = 2,
	RW = R | W
};

enum vendor {
	ANY,
	INTEL,
	AMD
}; /* when an entry applies */

/* Reads as @value, writes give #GP. */
static enum verdict msr_constant(struct vcpu *v, struct msr_io *io, u64 value)
{
	(void)v;
	if (io->write)
		return DENY;
	io->value = value;
	return DONE;
}

/* As after a BIOS that has switched VMX off for good. */
static enum verdict msr_feature_control(struct vcpu *v, struct msr_io *io)
{
	return msr_constant(v, io, FEATURE_CONTROL_LOCK);
}

static enum verdict msr_vm_cr(struct vcpu *v, struct msr_io *io)
{
	return msr_constant(v, io, VM_CR_LOCK | VM_CR_SVMDIS);
}

static enum verdict msr_absent(struct vcpu *v, struct msr_io *io)
{
	(void)v;
	(void)io;
	return DENY;
}

/* Read by the hardware as it is; writes are lost, as with a locked chipset. */
static enum verdict msr_read_only(struct vcpu *v, struct msr_io *io)
{
	(void)v;
	return io->write ? DONE : PASS;
}

/* It makes the CPU access a port of its choice on an interrupt or a halt: what
 * the halt does can be switched off, as OSes do, and nothing else changed. */
static enum verdict msr_int_pending(struct vcpu *v, struct msr_io *io)
{
	u64 now;

	(void)v;
	if (!rdmsr_safe(io->index, &now))
		return DENY;
	io->value = now & (io->value | ~INT_PENDING_HALT);
	return PASS;
}

/* The update would be fetched from the guest's linear address, which means
 * nothing here; the revision the guest then reads is the old one. */
static enum verdict msr_microcode(struct vcpu *v, struct msr_io *io)
{
	static struct log_limit limit;

	(void)v;
	(void)io;
	log_limited(&limit, "the guest's microcode update is not loaded");
	return DONE;
}

/* Execute-disable stays on: our own page tables use it. BTS and PEBS store at
 * linear addresses, which in host mode would be ours: they read as absent, by
 * bits that are read-only, so they are written as they are. */
static enum verdict msr_misc_enable(struct vcpu *v, struct msr_io *io)
{
	const u64 absent = MISC_ENABLE_NO_BTS | MISC_ENABLE_NO_PEBS;
	u64 now;

	(void)v;
	if (!rdmsr_safe(io->index, &now))
		return DENY;
	if (io->write) {
		io->value &= ~(absent | MISC_ENABLE_XD_DISABLE);
		io->value |= now & absent;
		return PASS;
	}
	io->value = now;
	if (cpuid(CPUID_FEATURES).edx & CPUID_01_EDX_DS)
		io->value |= absent;
	return DONE;
}

/* The guest may make memory uncached, its own page tables as well as Shoji's
 * memory: locked accesses to it must not fault here. */
static enum verdict msr_memory_ctrl(struct vcpu *v, struct msr_io *io)
{
	(void)v;
	io->value &= ~MEMORY_CTRL_NO_UC_LOCK;
	return PASS;
}

static enum verdict msr_core_capabilities(struct vcpu *v, struct msr_io *io)
{
	(void)v;
	if (!rdmsr_safe(io->index, &io->value))
		return DENY;
	io->value &= ~CORE_CAPABILITIES_RAR;
	return DONE;
}

/* XRSTORS would switch processor trace on, without WRMSR. */
static enum verdict msr_xss(struct vcpu *v, struct msr_io *io)
{
	(void)v;
	return io->value & XSS_PT ? DENY : PASS;
}

/* The hardware writes its table, of at most 16 pages (SDM vol. 3, 15.6), to a
 * physical address. */
static enum verdict msr_feedback(struct vcpu *v, struct msr_io *io)
{
	(void)v;
	return gmem_hidden(io->value & BITS(51, 12), 16 * PAGE_SIZE) ? DENY
								     : PASS;
}

/* Does the register itself hold @bit? */
static bool efer_takes(u64 bit)
{
	u64 host, value;

	if (!rdmsr_safe(MSR_EFER, &host) || !wrmsr_safe(MSR_EFER, host | bit))
		return false;
	return rdmsr_safe(MSR_EFER, &value) && wrmsr_safe(MSR_EFER, host) &&
	       value & bit;
}

/* What this CPU has of EFER, but for SVME, which is ours. With another bit set
 * the guest could not be entered. */
static u64 efer_supported(void)
{
	static const struct {
		u32 leaf;
		u8 bit; /* of EAX, EBX, ECX, EDX in a row */
		u64 efer;
	} bits[] = {
		/* APM vol. 3, appendix E */
		{ 0x80000001, 96 + 11, EFER_SCE },
		{ 0x80000001, 96 + 20, EFER_NXE },
		{ 0x80000001, 96 + 25, EFER_FFXSR },
		{ 0x80000001, 96 + 29, EFER_LME | EFER_LMA },
		{ 0x80000001, 64 + 17, EFER_TCE },
		{ 0x80000008, 32 + 8, EFER_MCOMMIT },
		{ 0x80000008, 32 + 13, EFER_INTWB },
		{ 0x80000021, 7, EFER_UAIE },
		{ 0x80000021, 8, EFER_AIBRSE },
	};
	u64 have = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		struct cpuid r = { 0 };
		u32 reg[4];

		if (bits[i].leaf <= cpuid(CPUID_EXT_MAX).eax)
			r = cpuid(bits[i].leaf);
		memcpy(reg, &r, sizeof(reg));
		if (reg[bits[i].bit / 32] >> bits[i].bit % 32 & 1)
			have |= bits[i].efer;
	}
	if (!(cpuid(CPUID_ADDR_SIZES).ebx & CPUID_80000008_EBX_NO_LMSLE) &&
	    efer_takes(EFER_LMSLE))
		have |= EFER_LMSLE;
	return have;
}

/* LME may not change while paging is on (APM 3.1.7). */
static enum verdict msr_efer(struct vcpu *v, struct msr_io *io)
{
	const struct virt_ops *ops = v->guest->ops;
	u64 old = ops->get(v, VREG_EFER);

	if (!io->write) {
		io->value = old;
		return DONE;
	}
	if (io->value & ~efer_supported())
		return DENY;
	if ((io->value ^ old) & EFER_LME && ops->get(v, VREG_CR0) & CR0_PG)
		return DENY;
	ops->set(v, VREG_EFER, (io->value & ~EFER_LMA) | (old & EFER_LMA));
	return DONE;
}

static enum verdict msr_apic_base(struct vcpu *v, struct msr_io *io)
{
	if (!startup_apic_base_ok(v, io->value) ||
	    !wrmsr_safe(io->index, io->value))
		return DENY;
	/* What kicked it while it was off has not arrived, and never will. */
	if (__atomic_exchange_n(&v->deaf, !(io->value & APIC_BASE_ENABLE),
				__ATOMIC_SEQ_CST))
		__atomic_store_n(&v->kick_nmi, 0, __ATOMIC_SEQ_CST);
	return DONE;
}

/* In another mode it is no register: the hardware gives #GP. */
static enum verdict msr_x2apic_icr(struct vcpu *v, struct msr_io *io)
{
	if (apic_mode() != APIC_X2APIC)
		return PASS;
	return startup_icr(v, io->value) ? DONE : PASS;
}

/* Memory types: to the hardware first, then to the nested table. They are those
 * of Shoji's memory as well, which must not become write-combining: its CPUs
 * would see each other's writes in another order. */
static enum verdict msr_mtrr(struct vcpu *v, struct msr_io *io)
{
	static struct log_limit limit;
	const struct hidden *h = pool_hidden();
	struct mtrr m;
	u64 old;

	if (!rdmsr_safe(io->index, &old) || !wrmsr_safe(io->index, io->value))
		return DENY;
	mtrr_read(&m);
	if (mtrr_combines(&m, v->guest->maxphyaddr, h->start, h->size)) {
		wrmsr(io->index, old);
		log_limited(&limit, "MTRR 0x%x: hidden memory too: #GP",
			    io->index);
		return DENY;
	}
	if (v->guest->ops->nested_types)
		nested_update_types(v);
	return DONE;
}

static const struct {
	u32 first, last;
	enum trap trap;
	enum vendor when;
	enum verdict (*fn)(struct vcpu *v, struct msr_io *io);
} policy[] = {
	{ MSR_APIC_BASE, MSR_APIC_BASE, W, ANY, msr_apic_base },
	{ MSR_MEMORY_CTRL, MSR_MEMORY_CTRL, W, INTEL, msr_memory_ctrl },
	{ MSR_FEATURE_CONTROL, MSR_FEATURE_CONTROL, RW, INTEL,
	  msr_feature_control },
	{ MSR_BIOS_UPDT_TRIG, MSR_BIOS_UPDT_TRIG, W, INTEL, msr_microcode },
	{ MSR_SMM_MONITOR_CTL, MSR_SMM_MONITOR_CTL, RW, INTEL, msr_absent },
	/* They are read from physical memory, and what became of them is
	 * written there. */
	{ MSR_RAR_CONTROL, MSR_RAR_INFO, RW, INTEL, msr_absent },
	{ MSR_CORE_CAPABILITIES, MSR_CORE_CAPABILITIES, R, INTEL,
	  msr_core_capabilities },
	/* Where they point to, a read of a port does not reach the device: Shoji
	 * would go by what no device has said. */
	{ MSR_PMG_IO_CAPTURE, MSR_PMG_IO_CAPTURE, W, INTEL, msr_read_only },
	{ MSR_CSTATE_BASE, MSR_CSTATE_BASE, W, AMD, msr_read_only },
	/* Shoji's own AES instructions would be gone. */
	{ MSR_FEATURE_CONFIG, MSR_FEATURE_CONFIG, W, INTEL, msr_read_only },
	{ MSR_MTRR_PHYSBASE(0), MSR_MTRR_PHYSMASK(15), W, ANY, msr_mtrr },
	{ MSR_MTRR_FIX64K_00000, MSR_MTRR_FIX4K_F8000, W, ANY, msr_mtrr },
	{ MSR_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE, W, ANY, msr_mtrr },
	{ MSR_VMX_BASIC, MSR_VMX_EXIT_CTLS2, RW, INTEL, msr_absent },
	{ MSR_MISC_ENABLE, MSR_MISC_ENABLE, RW, INTEL, msr_misc_enable },
	{ MSR_PEBS_ENABLE, MSR_PEBS_INDEX, RW, INTEL, msr_absent },
	{ MSR_DS_AREA, MSR_DS_AREA, RW, INTEL, msr_absent },
	/* Processor trace writes to physical memory, event trace as well. */
	{ MSR_TRACE_HUB_BASE, MSR_TRACE_HUB_BASE, W, INTEL, msr_read_only },
	{ 0x560, 0x561, RW, INTEL, msr_absent },
	{ MSR_RTIT_CTL, 0x587, RW, INTEL, msr_absent },
	{ MSR_TME_ACTIVATE, MSR_TME_ACTIVATE, W, INTEL, msr_read_only },
	{ MSR_XSS, MSR_XSS, W, INTEL, msr_xss },
	{ MSR_HW_FEEDBACK_PTR, MSR_HW_FEEDBACK_PTR, W, INTEL, msr_feedback },
	{ MSR_X2APIC_ICR, MSR_X2APIC_ICR, W, AMD, msr_x2apic_icr },
	{ MSR_EFER, MSR_EFER, RW, AMD, msr_efer },
	{ MSR_TSC_RATIO, MSR_TSC_RATIO, RW, AMD, msr_absent },
	/* Where the machine's memory lies is not the guest's to change. */
	{ MSR_SYSCFG, MSR_SYSCFG, W, AMD, msr_read_only },
	{ MSR_IORR_BASE(0), MSR_IORR_MASK(1), W, AMD, msr_read_only },
	{ MSR_TOP_MEM, MSR_TOP_MEM, W, AMD, msr_read_only },
	{ MSR_TOP_MEM2, MSR_TOP_MEM2, W, AMD, msr_read_only },
	{ MSR_PATCH_LOADER, MSR_PATCH_LOADER, W, AMD, msr_microcode },
	/* Four traps and their control, and the access that comes with an SMI:
	 * to a port of the guest's choice, past the permission map. */
	{ MSR_IO_TRAP(0), MSR_IO_TRAP(4), W, AMD, msr_read_only },
	{ MSR_INT_PENDING, MSR_INT_PENDING, W, AMD, msr_int_pending },
	{ MSR_SMI_IO_CYCLE, MSR_SMI_IO_CYCLE, W, AMD, msr_read_only },
	{ MSR_MMIO_CFG_BASE, MSR_MMIO_CFG_BASE, W, AMD, msr_read_only },
	{ MSR_SMM_BASE, 0xc0010113, W, AMD, msr_read_only },
	{ MSR_VM_CR, MSR_VM_CR, RW, AMD, msr_vm_cr },
	{ MSR_SMM_CTL, MSR_SVM_KEY, RW, AMD, msr_absent },
};

static bool applies(const struct guest *g, enum vendor when)
{
	switch (when) {
	case INTEL:
		return g->ops->nested_types;
	case AMD:
		return !g->ops->nested_types;
	default:
		return true;
	}
}

void guest_msr_init(struct guest *g)
{
	for (size_t i = 0; i < ARRAY_SIZE(policy); i++) {
		if (!applies(g, policy[i].when))
			continue;
		for (u32 m = policy[i].first; m <= policy[i].last; m++)
			g->ops->trap_msr(m, policy[i].trap & R,
					 policy[i].trap & W);
	}
}

static enum verdict decide(struct vcpu *v, struct msr_io *io)
{
	for (size_t i = 0; i < ARRAY_SIZE(policy); i++) {
		if (io->index < policy[i].first || io->index > policy[i].last)
			continue;
		if (applies(v->guest, policy[i].when) &&
		    policy[i].trap & (io->write ? W : R))
			return policy[i].fn(v, io);
	}
	return PASS;
}

/* True if the access succeeded. */
static bool access_msr(struct vcpu *v, struct msr_io *io)
{
	switch (decide(v, io)) {
	case PASS:
		return io->write ? wrmsr_safe(io->index, io->value)
				 : rdmsr_safe(io->index, &io->value);
	case DONE:
		return true;
	default:
		return false;
	}
}

void guest_rdmsr(struct vcpu *v, const struct vmexit *exit)
{
	struct msr_io io = { .index = v->gpr[GPR_RCX] };

	if (!access_msr(v, &io)) {
		guest_fault(v, VECTOR_GP);
		return;
	}
	v->gpr[GPR_RAX] = (u32)io.value;
	v->gpr[GPR_RDX] = io.value >> 32;
	guest_skip(v, exit);
}

void guest_wrmsr(struct vcpu *v, const struct vmexit *exit)
{
	struct msr_io io = {
		.index = v->gpr[GPR_RCX],
		.write = true,
		.value = v->gpr[GPR_RDX] << 32 | (u32)v->gpr[GPR_RAX],
	};

	if (access_msr(v, &io))
		guest_skip(v, exit);
	else
		guest_fault(v, VECTOR_GP);
}

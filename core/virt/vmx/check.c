/* Does this CPU have what we need, and which controls do we use? (SDM vol. 3,
 * appendix A.) */
#include "core/virt/vmx/vmx.h"

#include "core/arch/cpuid.h"
#include "core/arch/msr.h"
#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/virt/vmx/vmcs.h"

/* Written once, at boot, before any other CPU reads it. */
static struct vmx_caps caps;
const struct vmx_caps *const vmx_caps = &caps;

#define EPT_NEEDED (EPT_CAP_4_LEVELS | EPT_CAP_WB | EPT_CAP_INVEPT)
#define EXIT_NEEDED                                                       \
	(EXIT_SAVE_DEBUG | EXIT_HOST_64 | EXIT_SAVE_PAT | EXIT_LOAD_PAT | \
	 EXIT_SAVE_EFER | EXIT_LOAD_EFER)
#define ENTRY_NEEDED (ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER)

/* What the guest may use once its CPUID shows it; these cause no exits. */
#define PROC2_OPTIONAL                                              \
	(PROC2_RDTSCP | PROC2_VPID | PROC2_INVPCID | PROC2_XSAVES | \
	 PROC2_USER_WAIT | PROC2_PCONFIG)

/*
 * Of a capability MSR the low half are the bits that must be 1, the high half
 * those that may be. False if not all of @want may be.
 */
static bool use_controls(u32 msr, u32 want, u32 *controls)
{
	u64 allowed = rdmsr(msr);

	*controls = want | (u32)allowed;
	return !(want & ~(u32)(allowed >> 32));
}

/* Programs: all that is not computing exits, and the guest's interrupts. */
#define PROGRAM_PIN (PIN_INTR_EXITING | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS)
#define PROGRAM_PROC                                                        \
	(PROC_HLT | PROC_INVLPG | PROC_MWAIT | PROC_RDPMC | PROC_CR3_LOAD | \
	 PROC_CR3_STORE | PROC_CR8_LOAD | PROC_CR8_STORE | PROC_MOV_DR |    \
	 PROC_IO | PROC_MONITOR | PROC_SECONDARY)

static void check_program_controls(u32 shift)
{
	struct vmx_program_caps *p = &caps.program;
	u64 misc = rdmsr(MSR_VMX_MISC);

	p->ok = use_controls(MSR_VMX_PINBASED_CTLS + shift, PROGRAM_PIN,
			     &p->pin) &&
		use_controls(MSR_VMX_PROCBASED_CTLS + shift, PROGRAM_PROC,
			     &p->proc);
	p->timer = use_controls(MSR_VMX_PINBASED_CTLS + shift,
				PROGRAM_PIN | PIN_TIMER, &p->pin);
	if (!p->timer)
		p->pin &= ~(u32)PIN_TIMER;
	p->timer_rate = misc & MISC_TIMER_RATE;
}

static const char *check_proc2(void)
{
	u64 allowed = rdmsr(MSR_VMX_PROCBASED_CTLS2) >> 32;
	u32 optional = PROC2_OPTIONAL & allowed;

	if (!(allowed & PROC2_EPT))
		return "this CPU has no extended page tables (EPT)";
	if (!(allowed & PROC2_UNRESTRICTED))
		return "this CPU has no VT-x unrestricted guest mode";
	caps.ept_cap = rdmsr(MSR_VMX_EPT_VPID_CAP);
	if ((caps.ept_cap & EPT_NEEDED) != EPT_NEEDED)
		return "this CPU's EPT lacks 4 levels, write-back or INVEPT";
	if (!(caps.ept_cap & VPID_CAP_INVVPID) ||
	    !(caps.ept_cap & VPID_CAP_SINGLE))
		optional &= ~PROC2_VPID;
	caps.proc2 = PROC2_EPT | PROC2_UNRESTRICTED | optional;
	return NULL;
}

static const char *check_controls(void)
{
	u64 basic = rdmsr(MSR_VMX_BASIC);
	/* The four "true" MSRs follow each other as the older ones do. */
	u32 shift = basic & BASIC_TRUE_CONTROLS
			    ? MSR_VMX_TRUE_PINBASED_CTLS - MSR_VMX_PINBASED_CTLS
			    : 0;

	caps.revision = basic & BASIC_REVISION;
	caps.inout_info = basic & BASIC_INOUT_INFO;
	if (!use_controls(MSR_VMX_PINBASED_CTLS + shift,
			  PIN_NMI_EXITING | PIN_VIRTUAL_NMIS, &caps.pin))
		return "this CPU's VT-x has no virtual NMIs";
	if (!use_controls(MSR_VMX_PROCBASED_CTLS + shift,
			  PROC_IO_BITMAPS | PROC_MSR_BITMAPS | PROC_NMI_WINDOW,
			  &caps.proc))
		return "this CPU's VT-x has no I/O and MSR bitmaps";
	if (caps.proc & (PROC_CR3_LOAD | PROC_CR3_STORE))
		return "this CPU's VT-x cannot leave CR3 to the guest";
	caps.proc &= ~PROC_NMI_WINDOW; /* switched on when needed */
	if (!use_controls(MSR_VMX_PROCBASED_CTLS + shift,
			  caps.proc | PROC_SECONDARY, &caps.proc))
		return "this CPU has no extended page tables (EPT)";
	if (!use_controls(MSR_VMX_EXIT_CTLS + shift, EXIT_NEEDED, &caps.exit) ||
	    !use_controls(MSR_VMX_ENTRY_CTLS + shift, ENTRY_NEEDED,
			  &caps.entry))
		return "this CPU's VT-x cannot switch EFER and PAT";
	check_program_controls(shift);
	return check_proc2();
}

const char *vmx_check(void)
{
	u64 feature;

	if (!(cpuid(CPUID_FEATURES).ecx & CPUID_01_ECX_VMX))
		return "this CPU has no Intel VT-x";
	feature = rdmsr(MSR_FEATURE_CONTROL);
	if ((feature & FEATURE_CONTROL_LOCK) &&
	    !(feature & FEATURE_CONTROL_VMX))
		return "Intel VT-x is switched off by the firmware; "
		       "switch it on in its set-up program";
	caps.wait_sipi = rdmsr(MSR_VMX_MISC) & MISC_WAIT_SIPI;
	/* Unrestricted guest frees PE and PG, whatever the MSR says. */
	caps.cr0_mask = rdmsr(MSR_VMX_CR0_FIXED0) & ~(CR0_PE | CR0_PG);
	caps.cr4_fixed = rdmsr(MSR_VMX_CR4_FIXED0);
	caps.cr4_mask = caps.cr4_fixed | CR4_SMXE; /* GETSEC stays #UD */
	caps.maxphyaddr = cpuid(CPUID_ADDR_SIZES).eax & 0xff;
	return check_controls();
}

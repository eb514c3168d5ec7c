/* The VMCS as it is before the first entry. */
#include "core/virt/vmx/vmx.h"

#include "core/arch/cpuid.h"
#include "core/arch/msr.h"
#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/cpu/cpu.h"
#include "core/cpu/traps.h"
#include "core/io/port.h"
#include "core/mm/pool.h"
#include "core/virt/vmx/vmcs.h"

/* SDM vol. 3, 24.6.9: reads of MSRs 0.. and C0000000.., then writes. Shared by
 * all CPUs; only changed before the first of them starts. */
static u8 msr_bitmap[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
enum {
	BITMAP_HIGH = 1024,
	BITMAP_WRITE = 2048,
	BITMAP_MSRS = 0x2000
};

void vmx_trap_msr(u32 index, bool read, bool write)
{
	u32 n = index & (BITMAP_MSRS - 1);
	u8 *bits = msr_bitmap + n / 8;

	if (index - n == 0xc0000000)
		bits += BITMAP_HIGH;
	else if (index != n)
		return; /* outside of the bitmap: always traps */
	if (read)
		bits[0] |= BIT(n % 8);
	if (write)
		bits[BITMAP_WRITE] |= BIT(n % 8);
}

static void setup_controls(const struct vmx_cpu *x)
{
	hpa_t io = virt_to_phys(port_bitmap());

	vmwrite(PIN_BASED_CONTROLS, vmx_caps->pin);
	vmwrite(PROC_BASED_CONTROLS, vmx_caps->proc);
	vmwrite(PROC_BASED_CONTROLS2, vmx_caps->proc2);
	vmwrite(EXIT_CONTROLS, vmx_caps->exit);
	vmwrite(ENTRY_CONTROLS, vmx_caps->entry);
	vmwrite(EXCEPTION_BITMAP, 0);
	vmwrite(IO_BITMAP_A, io);
	vmwrite(IO_BITMAP_B, io + PAGE_SIZE);
	vmwrite(MSR_BITMAPS, virt_to_phys(msr_bitmap));
	vmwrite(EPT_POINTER, x->eptp);
	if (vmx_caps->proc2 & PROC2_VPID)
		vmwrite(VIRTUAL_PROCESSOR_ID, VMX_VPID);
	if (vmx_caps->proc2 & PROC2_XSAVES)
		vmwrite(XSS_EXITING_BITMAP, 0);
	if (vmx_caps->proc2 & PROC2_PCONFIG)
		vmwrite(PCONFIG_EXITING_BITMAP, 0);
	vmwrite(CR0_GUEST_HOST_MASK, vmx_caps->cr0_mask);
	vmwrite(CR4_GUEST_HOST_MASK, vmx_caps->cr4_mask);
}

void vmx_vmcs_setup_common(const struct cpu *c)
{
	vmwrite(PAGE_FAULT_ERROR_MASK, 0);
	vmwrite(PAGE_FAULT_ERROR_MATCH, 0);
	vmwrite(CR3_TARGET_COUNT, 0);
	vmwrite(EXIT_MSR_STORE_COUNT, 0);
	vmwrite(EXIT_MSR_LOAD_COUNT, 0);
	vmwrite(ENTRY_MSR_LOAD_COUNT, 0);
	vmwrite(ENTRY_INTERRUPTION_INFO, 0);
	vmwrite(VMCS_LINK_POINTER, ~0ULL);
	vmwrite(GUEST_ACTIVITY_STATE, ACTIVITY_ACTIVE);
	vmwrite(GUEST_IA32_DEBUGCTL, 0);
	vmwrite(HOST_CR0, read_cr0());
	vmwrite(HOST_CR3, read_cr3());
	vmwrite(HOST_CR4, read_cr4());
	vmwrite(HOST_IA32_EFER, rdmsr(MSR_EFER));
	vmwrite(HOST_IA32_PAT, rdmsr(MSR_PAT));
	vmwrite(HOST_CS_SELECTOR, CPU_CS);
	vmwrite(HOST_SS_SELECTOR, CPU_DS);
	vmwrite(HOST_DS_SELECTOR, CPU_DS);
	vmwrite(HOST_ES_SELECTOR, CPU_DS);
	vmwrite(HOST_FS_SELECTOR, 0);
	vmwrite(HOST_GS_SELECTOR, 0);
	vmwrite(HOST_TR_SELECTOR, CPU_TSS);
	vmwrite(HOST_FS_BASE, (u64)c);
	vmwrite(HOST_GS_BASE, (u64)c);
	vmwrite(HOST_TR_BASE, (u64)c->tss);
	vmwrite(HOST_GDTR_BASE, (u64)c->gdt);
	vmwrite(HOST_IDTR_BASE, traps_idt_base());
	vmwrite(HOST_IA32_SYSENTER_CS, 0);
	vmwrite(HOST_IA32_SYSENTER_ESP, 0);
	vmwrite(HOST_IA32_SYSENTER_EIP, 0);
	vmwrite(HOST_RIP, (u64)vmx_exit_entry);
}

/* What INIT leaves alone, and what the rest of the state is set on. */
static void setup_guest(struct vcpu *v)
{
	vmwrite(GUEST_INTERRUPTIBILITY, 0);
	vmwrite(GUEST_PENDING_DEBUG, 0);
	vmwrite(GUEST_IA32_EFER, 0);
	vmwrite(GUEST_CR0, 0);
	vmwrite(GUEST_CR3, 0);
	vmwrite(GUEST_CR4, 0);
	/* The firmware has left PAT as it is after power-on. */
	vmx_set(v, VREG_CR0, CR0_ET | (read_cr0() & (CR0_CD | CR0_NW)));
	vmwrite(CR4_READ_SHADOW, 0);
	vmx_set(v, VREG_PAT, PAT_INIT);
	vmx_set(v, VREG_SYSENTER_CS, rdmsr(MSR_SYSENTER_CS));
	vmx_set(v, VREG_SYSENTER_ESP, rdmsr(MSR_SYSENTER_ESP));
	vmx_set(v, VREG_SYSENTER_EIP, rdmsr(MSR_SYSENTER_EIP));
}

void vmx_vmcs_setup(struct vcpu *v)
{
	setup_controls(v->hw);
	vmx_vmcs_setup_common(v->cpu);
	setup_guest(v);
}

/* What the files of this back end share. */
#ifndef CORE_VIRT_VMX_VMX_H
#define CORE_VIRT_VMX_VMX_H

#include "core/lib/types.h"
#include "core/virt/virt.h"

struct vmx_program_caps {
	bool ok;    /* programs can run at all */
	bool timer; /* and be stopped by the preemption timer */
	u8 timer_rate;
	u32 pin, proc;
};

/* What the CPUs have in common; filled in by vmx_check(). */
struct vmx_caps {
	struct vmx_program_caps program;
	u32 revision;
	u32 pin, proc, proc2, exit, entry; /* the controls that we use */
	u64 cr0_mask; /* bits that are always 1, whatever the guest writes */
	u64 cr4_mask; /* bits that keep their value of cr4_fixed */
	u64 cr4_fixed;
	u64 ept_cap;
	u8 maxphyaddr;
	bool inout_info; /* exits say how INS and OUTS address memory */
	bool wait_sipi;
};
extern const struct vmx_caps *const vmx_caps;

/* Per CPU: v->hw. Each page is 4 KiB, its content the hardware's. */
struct vmx_cpu {
	void *vmxon;
	void *vmcs;
	u64 eptp;
	bool launched;
	void *program; /* the VMCS that programs run in on this CPU */
	bool program_launched;
	bool nmi_window;   /* NMI-window exiting is on */
	bool flush_nested; /* before the next entry */
	bool flush_linear;
};

#define VMX_VPID 1 /* one guest; every CPU has TLBs of its own */

/* check.c: NULL if all is there, else what is missing. */
const char *vmx_check(void);

/* ept.c: needs vmx_check(). */
const struct table_format *vmx_nested_format(void);
u64 vmx_nested_attr(unsigned int access, enum mem_type type);
u64 vmx_eptp(hpa_t root);
void vmx_invept(u64 eptp);
void vmx_flush(struct vmx_cpu *x);

/* vmcs.c: fills the current VMCS; the guest is in the state after INIT. */
void vmx_vmcs_setup(struct vcpu *v);
void vmx_trap_msr(u32 index, bool read, bool write);

/* What programs have in theirs as well: the host as this CPU has it, and what
 * is not made use of. */
void vmx_vmcs_setup_common(const struct cpu *c);

/* program.c: see struct virt_ops. */
int vmx_program_init(struct vcpu *v);
void vmx_program_run(struct vcpu *v, struct virt_program *p, u64 ticks,
		     struct vmexit *exit);

/* state.c: see struct virt_ops. */
u64 vmx_get(struct vcpu *v, enum vreg reg);
void vmx_set(struct vcpu *v, enum vreg reg, u64 value);
void vmx_get_seg(struct vcpu *v, unsigned int seg, struct vseg *s);
void vmx_set_seg(struct vcpu *v, unsigned int seg, const struct vseg *s);

/* exit.c: what the VM exit just taken is; also brings the guest's
 * interruptibility and activity into order. */
void vmx_decode_exit(struct vmexit *exit);
struct vevent vmx_decode_event(u32 info, u32 error, u32 insn_len);

/*
 * enter.S: loads the guest's registers and enters it by VMLAUNCH, or VMRESUME
 * if @launched. Returns after the exit, with the registers stored again; or
 * without having entered, if the entry was refused or *@nmi_seen is not 0.
 */
enum {
	VMX_EXITED,
	VMX_REFUSED,
	VMX_NMI
};
u64 vmx_enter(u64 *gpr, u64 launched, const u32 *nmi_seen);
/* Not to be called: where exits arrive, and the instructions at which an NMI
 * must make vmx_enter() give up. */
void vmx_exit_entry(void);
void vmx_enter_first(void);
void vmx_enter_end(void);
void vmx_enter_abort(void);

/* enter.S: the host's NMI handler, with IRET, which ends the blocking of NMIs
 * by the exit that an NMI has caused. */
void vmx_take_nmi(void);
/* Only the IRET. */
void vmx_unblock_nmi(void);

#endif

/*
 * The seam between vendor-neutral virtualisation and its two back ends,
 * vmx/ and svm/: exits and state, not fields.
 *
 * A back end runs the guest until something needs Shoji, and says what as a
 * struct vmexit with decoded operands. Common code decides and changes the
 * guest through the getters and setters; the back end applies that at the
 * next entry. Everything here is per CPU and needs no lock.
 */
#ifndef CORE_VIRT_VIRT_H
#define CORE_VIRT_VIRT_H

#include "core/arch/regs.h"
#include "core/emul/emul.h"
#include "core/lib/types.h"
#include "core/mm/table.h"

struct cpu;
struct guest;

/* Registers that are not in struct vcpu itself. */
enum vreg {
	VREG_CR0, /* as the guest sees it */
	VREG_CR2,
	VREG_CR3,
	VREG_CR4,  /* as the guest sees it */
	VREG_EFER, /* as the guest sees it */
	VREG_DR6,
	VREG_DR7,
	VREG_PAT,
	VREG_SYSENTER_CS,
	VREG_SYSENTER_ESP,
	VREG_SYSENTER_EIP,
	VREG_CPL,	       /* get only */
	VREG_INTERRUPTIBILITY, /* bit 0: STI or MOV SS shadow; set 0 clears it */
	VREG_COUNT,
};

/* SEG_ES .. SEG_GS of emul.h, then: */
enum {
	SEG_LDTR = 6,
	SEG_TR,
	SEG_GDTR,
	SEG_IDTR,
	VSEG_COUNT
};

struct vseg {
	u16 selector;
	u16 attr;  /* descriptor bits 40-47 and 52-55 as bits 0-7 and 8-11 */
	u32 limit; /* in bytes */
	u64 base;
};
#define VSEG_TYPE	 0x00f
#define VSEG_S		 0x010
#define VSEG_DPL	 0x060
#define VSEG_P		 0x080
#define VSEG_L		 0x200
#define VSEG_DB		 0x400
#define VSEG_G		 0x800
#define VSEG_USER_CODE64 0xafb
#define VSEG_USER_DATA	 0xcf3

enum vevent_type { /* as in both vendors' event fields */
	VEVENT_INTR = 0,
	VEVENT_NMI = 2,
	VEVENT_EXCEPTION = 3,
	VEVENT_SOFT_INT = 4,
	VEVENT_PRIV_SW_EXCEPTION = 5, /* Intel: ICEBP */
	VEVENT_SW_EXCEPTION = 6,      /* Intel: INT3, INTO */
};

struct vevent {
	bool valid;
	u8 vector;
	u8 type;
	bool has_error;
	u32 error;
	u8 insn_len; /* of the INT n that raised it, for soft events */
};

enum vmexit_kind {
	VMEXIT_UNKNOWN, /* raw code in .raw */
	VMEXIT_CPUID,
	VMEXIT_RDMSR,
	VMEXIT_WRMSR,
	VMEXIT_IO,
	VMEXIT_NESTED_FAULT, /* NPT fault, EPT violation */
	VMEXIT_CR_WRITE,     /* MOV to CR: .cr */
	VMEXIT_CR_READ,
	VMEXIT_DR, /* not asked for; refused */
	VMEXIT_XSETBV,
	VMEXIT_INVD,
	VMEXIT_HYPERCALL, /* VMCALL, VMMCALL */
	VMEXIT_VIRT_INSN, /* any other VMX or SVM instruction */
	VMEXIT_EXCEPTION, /* one that the back end could not handle itself */
	VMEXIT_TASK_SWITCH,
	VMEXIT_INIT,
	VMEXIT_SIPI,
	VMEXIT_NMI,	 /* one came, for the guest or as a kick; the host's
			      * handler has counted it in cpu->nmi_seen */
	VMEXIT_WINDOW,	 /* the guest can take the NMI that waits */
	VMEXIT_SHUTDOWN, /* triple fault */
	VMEXIT_DEADLINE, /* the guest's, or a program's slice is over */
	VMEXIT_HANDLED,	 /* the back end dealt with it */
	VMEXIT_INVALID,	 /* the entry itself was refused */
	VMEXIT_INTR,	 /* of a program: an interrupt waits for the guest */
	VMEXIT_KINDS,
};

enum task_source {
	TASK_CALL,
	TASK_IRET,
	TASK_JMP,
	TASK_GATE
};

struct vmexit {
	enum vmexit_kind kind;
	u64 raw;     /* hardware's exit code */
	u64 info;    /* EXITINFO1 / exit qualification */
	u8 insn_len; /* 0: not known; common code fetches and decodes */
	/* What was being delivered when the exit came: common code puts it back
	 * with inject() unless it replaces it. */
	struct vevent delivering;
	union {
		struct {
			u16 port;
			u8 size;
			bool write;
			bool string;
			bool rep;
			u8 addr_size; /* of a string access: 2, 4, 8 bytes */
			u8 seg;	      /* of OUTS: SEG_*, 0xff: not known */
		} io;
		struct {
			gpa_t gpa;
			bool read, write, exec;
			bool table; /* by the CPU's walk of guest tables */
			u8 n_bytes; /* instruction bytes from decode assists */
			u8 bytes[INSN_MAX];
		} fault;
		struct {
			u8 cr;	/* 0, 3, 4 or 8 */
			u8 gpr; /* register operand */
		} cr;
		struct {
			u16 selector;
			enum task_source source;
		} task;
		struct vevent exception;
		u8 sipi_vector;
	};
};

struct vcpu {
	/* What nearly every exit touches; loaded and stored by run(). */
	u64 gpr[16]; /* by encoding; [GPR_RSP] is RSP */
	u64 rip;
	u64 rflags;

	struct cpu *cpu;
	struct guest *guest;
	void *hw; /* the back end's own: VMCB, VMCS ... */

	bool waiting_sipi;   /* INIT received, no SIPI yet */
	bool waits_in_hw;    /* ... in the hardware's state for that */
	bool nmi_pending;    /* an NMI that the guest has to get */
	struct vevent event; /* to be injected at the next entry */
	bool timer;   /* set by program_init(): the CPU keeps to deadlines */
	u64 deadline; /* TSC: if so, leave the guest then; 0: no */
	u64 exits[VMEXIT_KINDS];
	struct ahead *ahead; /* ahead.c's own; NULL: never */

	/* Set by another CPU, read here. */
	u32 kick;	     /* look at the requests below */
	u32 kick_nmi;	     /* an NMI that only kicks is on its way */
	u32 startup_request; /* INIT, SIPI, NMI: see startup.c */
	u32 flush_request;   /* nested table changed */
	u32 in_guest;	     /* between entry and exit */

	u32 deaf; /* its local APIC is off: no kick makes it leave the guest */
};

enum nested_access {
	NESTED_R = 1,
	NESTED_W = 2,
	NESTED_X = 4
};
enum mem_type {
	MEM_UC = 0,
	MEM_WC = 1,
	MEM_WT = 4,
	MEM_WP = 5,
	MEM_WB = 6
};

/*
 * A protected program's registers, memory and entry state: ring 3, 64-bit mode,
 * no descriptor tables, everything that is not computing exits. See
 * core/program.
 */
struct virt_program {
	u64 gpr[16];
	u64 rip;
	u64 rflags;
	u64 fs_base;
	gpa_t cr3;	   /* in its own memory */
	hpa_t nested_root; /* never changes */
	u32 index;	   /* from 0: its tag in the TLB */
	bool flush;	   /* forget first what the TLB has of it */
};

/* PSE and PGE mean nothing here: the host has them, see boot.c. */
#define PROGRAM_CR0 (CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE)
#define PROGRAM_CR4 (CR4_PSE | CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT)
/* ... and of these what the host has. */
#define PROGRAM_CR4_OPTIONAL (CR4_SMEP | CR4_SMAP | CR4_OSXSAVE)
/* Ring 3; there is no table behind them. */
#define PROGRAM_DATA_SELECTOR 0x1b
#define PROGRAM_CODE_SELECTOR 0x23

struct virt_ops {
	const char *name; /* "AMD-V", "Intel VT-x" */
	bool vmmcall;	  /* its hypercalls are VMMCALL, not VMCALL */

	/* NULL if this CPU has all that is needed and firmware allows it, else
	 * one clear sentence. */
	const char *(*check)(void);

	/* The nested table's format, filled in after check(), and leaf bits. */
	const struct table_format *(*nested_format)(void);
	u64 (*nested_attr)(unsigned int access, enum mem_type type);
	bool nested_types; /* the table carries memory types (EPT) */

	/* Traps an MSR, all CPUs, before the first cpu_start(). */
	void (*trap_msr)(u32 index, bool read, bool write);

	/*
	 * On each CPU, once: switches the extension on and allocates v->hw.
	 * The guest's registers are what INIT leaves alone; startup.c sets the
	 * others.
	 * @nested_root: physical. 0 or -ENOMEM.
	 */
	int (*cpu_start)(struct vcpu *v, hpa_t nested_root);

	/* Enters the guest with v->event, returns at the exit. */
	void (*run)(struct vcpu *v, struct vmexit *exit);

	u64 (*get)(struct vcpu *v, enum vreg reg);
	void (*set)(struct vcpu *v, enum vreg reg, u64 value);
	void (*get_seg)(struct vcpu *v, unsigned int seg, struct vseg *s);
	void (*set_seg)(struct vcpu *v, unsigned int seg, const struct vseg *s);

	/* INIT: also unblocks NMIs. At the next entry: wait for SIPI in
	 * hardware. False if the CPU has no such state; then the guest waits in
	 * the stub. */
	bool (*wait_sipi)(struct vcpu *v);

	/* True if an NMI cannot be injected now, because of the guest's state
	 * or of v->event; then run() leaves as soon as it can. */
	bool (*nmi_blocked)(struct vcpu *v);

	/* On each CPU, once, after cpu_start(), if there are programs: -ENOMEM,
	 * or -ENODEV if the CPU cannot do it. */
	int (*program_init)(struct vcpu *v);

	/*
	 * Runs @p on this CPU until it exits, an interrupt of the guest's or an
	 * NMI is pending (which stays so), or, where the CPU has a timer for
	 * it, @ticks of the TSC are over. The guest's own state is untouched;
	 * the extended state is the caller's.
	 */
	void (*program_run)(struct vcpu *v, struct virt_program *p, u64 ticks,
			    struct vmexit *exit);

	/* Before the next entry on this CPU, forget nested translations. */
	void (*flush_nested)(struct vcpu *v);
};

extern const struct virt_ops svm_ops; /* core/virt/svm/svm.c */
extern const struct virt_ops vmx_ops; /* core/virt/vmx/vmx.c */

#endif

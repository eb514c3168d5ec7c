/* The virtual machine control block (APM vol. 2, appendix B). */
#ifndef CORE_VIRT_SVM_VMCB_H
#define CORE_VIRT_SVM_VMCB_H

#include "core/lib/types.h"

enum vmcb_intercept1 { /* offset 00Ch */
	INTERCEPT_INTR = BIT(0),
	INTERCEPT_NMI = BIT(1),
	INTERCEPT_INIT = BIT(3),
	INTERCEPT_RDPMC = BIT(15),
	INTERCEPT_CPUID = BIT(18),
	INTERCEPT_IRET = BIT(20),
	INTERCEPT_INVD = BIT(22),
	INTERCEPT_HLT = BIT(24),
	INTERCEPT_INVLPG = BIT(25),
	INTERCEPT_INVLPGA = BIT(26),
	INTERCEPT_IOIO = BIT(27),
	INTERCEPT_MSR = BIT(28),
	INTERCEPT_SHUTDOWN = BIT(31),
};

enum vmcb_intercept2 { /* offset 010h */
	INTERCEPT_VMRUN = BIT(0),
	INTERCEPT_VMMCALL = BIT(1),
	INTERCEPT_VMLOAD = BIT(2),
	INTERCEPT_VMSAVE = BIT(3),
	INTERCEPT_STGI = BIT(4),
	INTERCEPT_CLGI = BIT(5),
	INTERCEPT_SKINIT = BIT(6),
	INTERCEPT_RDTSCP = BIT(7),
	INTERCEPT_ICEBP = BIT(8),
	INTERCEPT_WBINVD = BIT(9),
	INTERCEPT_MONITOR = BIT(10),
	INTERCEPT_MWAIT = BIT(11),
	INTERCEPT_MWAIT_ARMED = BIT(12),
	INTERCEPT_XSETBV = BIT(13),
	INTERCEPT_RDPRU = BIT(14),
};

enum vmcb_exitcode {		 /* appendix C */
	VMEXIT_CODE_EXCP = 0x40, /* and the vector */
	VMEXIT_CODE_INTR = 0x60,
	VMEXIT_CODE_NMI = 0x61,
	VMEXIT_CODE_INIT = 0x63,
	VMEXIT_CODE_CPUID = 0x72,
	VMEXIT_CODE_IRET = 0x74,
	VMEXIT_CODE_INVD = 0x76,
	VMEXIT_CODE_INVLPGA = 0x7a,
	VMEXIT_CODE_IOIO = 0x7b,
	VMEXIT_CODE_MSR = 0x7c,
	VMEXIT_CODE_SHUTDOWN = 0x7f,
	VMEXIT_CODE_VMRUN = 0x80,
	VMEXIT_CODE_VMMCALL = 0x81,
	VMEXIT_CODE_VMLOAD = 0x82,
	VMEXIT_CODE_VMSAVE = 0x83,
	VMEXIT_CODE_STGI = 0x84,
	VMEXIT_CODE_CLGI = 0x85,
	VMEXIT_CODE_SKINIT = 0x86,
	VMEXIT_CODE_NPF = 0x400,
};
#define VMEXIT_CODE_INVALID (~0ULL)

/* EXITINFO1 of IOIO (15.10.2), NPF (15.25.6) */
enum {
	IOIO_IN = BIT(0),
	IOIO_STR = BIT(2),
	IOIO_REP = BIT(3)
};
enum {
	NPF_WRITE = BIT(1),
	NPF_FETCH = BIT(4),
	NPF_TABLE = BIT(33)
};

/* EVENTINJ and EXITINTINFO (15.20, 15.7.2) */
#define VMCB_EVENT_EV BIT(11)
#define VMCB_EVENT_V  BIT(31)

enum {
	TLB_KEEP = 0,
	TLB_FLUSH_ALL = 1,
	TLB_FLUSH_ASID = 3
};

struct vmcb_seg {
	le16 selector;
	le16 attr;
	le32 limit;
	le64 base;
};

struct vmcb {
	/* control area */
	le32 intercept_cr;
	le32 intercept_dr;
	le32 intercept_exceptions;
	le32 intercept1;
	le32 intercept2;
	u8 reserved_014[0x40 - 0x14];
	le64 iopm_base_pa;
	le64 msrpm_base_pa;
	le64 tsc_offset;
	le32 guest_asid;
	le32 tlb_control;
	le64 vintr;
	le64 interrupt_shadow;
	le64 exitcode;
	le64 exitinfo1;
	le64 exitinfo2;
	le64 exitintinfo;
	le64 np_enable;
	u8 reserved_098[0xa8 - 0x98];
	le64 eventinj;
	le64 n_cr3;
	le64 lbr_virtualization;
	le32 clean;
	le32 reserved_0c4;
	le64 nrip;
	u8 n_bytes_fetched;
	u8 insn_bytes[15];
	u8 reserved_0e0[0x400 - 0xe0];
	/* state-save area */
	struct vmcb_seg seg[6]; /* ES CS SS DS FS GS */
	struct vmcb_seg gdtr;
	struct vmcb_seg ldtr;
	struct vmcb_seg idtr;
	struct vmcb_seg tr;
	u8 reserved_4a0[0x4cb - 0x4a0];
	u8 cpl;
	le32 reserved_4cc;
	le64 efer;
	u8 reserved_4d8[0x548 - 0x4d8];
	le64 cr4;
	le64 cr3;
	le64 cr0;
	le64 dr7;
	le64 dr6;
	le64 rflags;
	le64 rip;
	u8 reserved_580[0x5d8 - 0x580];
	le64 rsp;
	u8 reserved_5e0[0x5f8 - 0x5e0];
	le64 rax;
	le64 star;
	le64 lstar;
	le64 cstar;
	le64 sfmask;
	le64 kernel_gs_base;
	le64 sysenter_cs;
	le64 sysenter_esp;
	le64 sysenter_eip;
	le64 cr2;
	u8 reserved_648[0x668 - 0x648];
	le64 g_pat;
	u8 reserved_670[0x1000 - 0x670];
};
static_assert(offsetof(struct vmcb, iopm_base_pa) == 0x040, "APM B-1");
static_assert(offsetof(struct vmcb, exitcode) == 0x070, "APM B-1");
static_assert(offsetof(struct vmcb, eventinj) == 0x0a8, "APM B-1");
static_assert(offsetof(struct vmcb, nrip) == 0x0c8, "APM B-1");
static_assert(offsetof(struct vmcb, cpl) == 0x4cb, "APM B-2");
static_assert(offsetof(struct vmcb, rip) == 0x578, "APM B-2");
static_assert(offsetof(struct vmcb, rax) == 0x5f8, "APM B-2");
static_assert(offsetof(struct vmcb, cr2) == 0x640, "APM B-2");
static_assert(offsetof(struct vmcb, g_pat) == 0x668, "APM B-2");
static_assert(sizeof(struct vmcb) == PAGE_SIZE, "APM B");

#endif

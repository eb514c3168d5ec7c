/* Model-specific registers by their names in SDM vol. 4 and APM vol. 2,
 * appendix A, without IA32_. */
#ifndef CORE_ARCH_MSR_H
#define CORE_ARCH_MSR_H

#include "core/lib/types.h"

/* ---- common to both vendors --------------------------------------------- */

#define MSR_APIC_BASE	      0x1b
#define APIC_BASE_X2APIC      BIT(10)
#define APIC_BASE_ENABLE      BIT(11)
#define APIC_BASE_ADDR	      BITS(51, 12)

#define MSR_SYSENTER_CS	      0x174
#define MSR_SYSENTER_ESP      0x175
#define MSR_SYSENTER_EIP      0x176

#define MSR_MTRRCAP	      0xfe
#define MTRRCAP_VCNT	      0xffULL
#define MTRRCAP_FIX	      BIT(8)
#define MSR_MTRR_PHYSBASE(n)  (0x200 + 2 * (n))
#define MSR_MTRR_PHYSMASK(n)  (0x201 + 2 * (n))
#define MTRR_PHYSMASK_VALID   BIT(11)
#define MSR_MTRR_FIX64K_00000 0x250
#define MSR_MTRR_FIX16K_80000 0x258
#define MSR_MTRR_FIX16K_A0000 0x259
#define MSR_MTRR_FIX4K_C0000  0x268 /* to F8000: 0x26f */
#define MSR_MTRR_FIX4K_F8000  0x26f
#define MSR_PAT		      0x277
#define PAT_INIT	      0x0007040600070406ULL
#define MSR_MTRR_DEF_TYPE     0x2ff
#define MTRR_DEF_TYPE_FE      BIT(10)
#define MTRR_DEF_TYPE_E	      BIT(11)

#define MSR_X2APIC(reg)	      (0x800 + ((reg) >> 4)) /* by xAPIC offset */
#define MSR_X2APIC_ICR	      0x830

#define MSR_EFER	      0xc0000080
#define MSR_FS_BASE	      0xc0000100
#define MSR_GS_BASE	      0xc0000101
#define MSR_PRED_CMD	      0x49
#define PRED_CMD_IBPB	      BIT(0)
#define MSR_FLUSH_CMD	      0x10b
#define FLUSH_CMD_L1D	      BIT(0)

/* ---- Intel -------------------------------------------------------------- */

#define MSR_MEMORY_CTRL		   0x33
#define MEMORY_CTRL_NO_UC_LOCK	   BIT(28) /* they fault */
#define MSR_FEATURE_CONTROL	   0x3a
#define FEATURE_CONTROL_LOCK	   BIT(0)
#define FEATURE_CONTROL_VMX	   BIT(2)
#define MSR_BIOS_UPDT_TRIG	   0x79 /* microcode update, linear address */
#define MSR_TRACE_HUB_BASE	   0x80 /* its physical address */
#define MSR_SMM_MONITOR_CTL	   0x9b
#define MSR_CORE_CAPABILITIES	   0xcf
#define CORE_CAPABILITIES_RAR	   BIT(1)
#define MSR_PMG_IO_CAPTURE	   0xe4 /* ports: reads are MWAITs */
#define MSR_RAR_CONTROL		   0xed /* remote action requests */
#define MSR_RAR_INFO		   0xf0
#define MSR_FEATURE_CONFIG	   0x13c /* may switch AES-NI off */
#define MSR_MISC_ENABLE		   0x1a0
#define MISC_ENABLE_NO_BTS	   BIT(11)
#define MISC_ENABLE_NO_PEBS	   BIT(12)
#define MISC_ENABLE_XD_DISABLE	   BIT(34)
#define MSR_PEBS_ENABLE		   0x3f1
#define MSR_PEBS_INDEX		   0x3f5
#define MSR_RTIT_CTL		   0x570
#define MSR_DS_AREA		   0x600
#define MSR_TME_ACTIVATE	   0x982
#define TME_ACTIVATE_ENABLE	   BIT(1)
#define TME_ACTIVATE_KEYID_BITS	   BITS(35, 32)
#define MSR_XSS			   0xda0
#define XSS_PT			   BIT(8)
#define MSR_HW_FEEDBACK_PTR	   0x17d0

#define MSR_VMX_BASIC		   0x480
#define MSR_VMX_PINBASED_CTLS	   0x481
#define MSR_VMX_PROCBASED_CTLS	   0x482
#define MSR_VMX_EXIT_CTLS	   0x483
#define MSR_VMX_ENTRY_CTLS	   0x484
#define MSR_VMX_MISC		   0x485
#define MSR_VMX_CR0_FIXED0	   0x486
#define MSR_VMX_CR4_FIXED0	   0x488
#define MSR_VMX_PROCBASED_CTLS2	   0x48b
#define MSR_VMX_EPT_VPID_CAP	   0x48c
#define MSR_VMX_TRUE_PINBASED_CTLS 0x48d
#define MSR_VMX_EXIT_CTLS2	   0x493

/* ---- AMD ---------------------------------------------------------------- */

#define MSR_TSC_RATIO	  0xc0000104 /* of the TSC in guests */
#define MSR_SYSCFG	  0xc0010010
#define SYSCFG_SMEE	  BIT(23) /* memory encryption */
#define MSR_IORR_BASE(n)  (0xc0010016 + 2 * (n))
#define MSR_IORR_MASK(n)  (0xc0010017 + 2 * (n))
#define MSR_TOP_MEM	  0xc001001a
#define MSR_TOP_MEM2	  0xc001001d
#define MSR_PATCH_LOADER  0xc0010020 /* microcode, linear address */
#define MSR_IO_TRAP(n)	  (0xc0010050 + (n))
#define MSR_INT_PENDING	  0xc0010055
#define INT_PENDING_HALT  BITS(28, 27) /* SMI or C1E when all cores halt */
#define MSR_SMI_IO_CYCLE  0xc0010056
#define MSR_MMIO_CFG_BASE 0xc0010058 /* memory-mapped PCI configuration */
#define MSR_CSTATE_BASE	  0xc0010073 /* 8 ports: reads enter C-states */
#define MSR_SMM_BASE	  0xc0010111
#define MSR_VM_CR	  0xc0010114
#define VM_CR_R_INIT	  BIT(1) /* INIT becomes #SX */
#define VM_CR_DIS_A20M	  BIT(2)
#define VM_CR_LOCK	  BIT(3)
#define VM_CR_SVMDIS	  BIT(4)
#define MSR_SMM_CTL	  0xc0010116
#define MSR_VM_HSAVE_PA	  0xc0010117
#define MSR_SVM_KEY	  0xc0010118

#endif

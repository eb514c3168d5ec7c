/* Register bits, exception vectors, descriptor bits: SDM vol. 3, 2 and 6;
 * APM vol. 2, 3 and 8. */
#ifndef CORE_ARCH_REGS_H
#define CORE_ARCH_REGS_H

#include "core/lib/types.h"

#define CR0_PE	       BIT(0)
#define CR0_MP	       BIT(1)
#define CR0_EM	       BIT(2)
#define CR0_TS	       BIT(3)
#define CR0_ET	       BIT(4)
#define CR0_NE	       BIT(5)
#define CR0_WP	       BIT(16)
#define CR0_AM	       BIT(18)
#define CR0_NW	       BIT(29)
#define CR0_CD	       BIT(30)
#define CR0_PG	       BIT(31)

#define CR4_PSE	       BIT(4)
#define CR4_PAE	       BIT(5)
#define CR4_MCE	       BIT(6)
#define CR4_PGE	       BIT(7)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_LA57       BIT(12)
#define CR4_VMXE       BIT(13)
#define CR4_SMXE       BIT(14)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE	       BIT(22)
#define CR4_CET	       BIT(23)
#define CR4_PKS	       BIT(24)
#define CR4_LASS       BIT(27)

#define EFER_SCE       BIT(0)
#define EFER_LME       BIT(8)
#define EFER_LMA       BIT(10)
#define EFER_NXE       BIT(11)
#define EFER_SVME      BIT(12)
#define EFER_LMSLE     BIT(13)
#define EFER_FFXSR     BIT(14)
#define EFER_TCE       BIT(15)
#define EFER_MCOMMIT   BIT(17)
#define EFER_INTWB     BIT(18)
#define EFER_UAIE      BIT(20)
#define EFER_AIBRSE    BIT(21)

#define RFLAGS_CF      BIT(0)
#define RFLAGS_FIXED   BIT(1)
#define RFLAGS_PF      BIT(2)
#define RFLAGS_AF      BIT(4)
#define RFLAGS_ZF      BIT(6)
#define RFLAGS_SF      BIT(7)
#define RFLAGS_TF      BIT(8)
#define RFLAGS_IF      BIT(9)
#define RFLAGS_DF      BIT(10)
#define RFLAGS_OF      BIT(11)
#define RFLAGS_IOPL    BITS(13, 12)
#define RFLAGS_NT      BIT(14)
#define RFLAGS_RF      BIT(16)
#define RFLAGS_VM      BIT(17)
#define RFLAGS_AC      BIT(18)

#define DR6_INIT       0xffff0ff0
#define DR6_B	       BITS(3, 0) /* breakpoints */
#define DR6_BS	       BIT(14)	  /* single step */
#define DR7_INIT       0x400
#define DR7_ENABLES    0xff /* L0 to G3 */

#define XCR0_X87       BIT(0)
#define XCR0_SSE       BIT(1)
#define XCR0_AVX       BIT(2)
#define XCR0_OPMASK    BIT(5)
#define XCR0_ZMM_HI256 BIT(6)
#define XCR0_HI16_ZMM  BIT(7)

enum exception_vector {
	VECTOR_DE = 0,
	VECTOR_DB = 1,
	VECTOR_NMI = 2,
	VECTOR_BP = 3,
	VECTOR_OF = 4,
	VECTOR_BR = 5,
	VECTOR_UD = 6,
	VECTOR_NM = 7,
	VECTOR_DF = 8,
	VECTOR_TS = 10,
	VECTOR_NP = 11,
	VECTOR_SS = 12,
	VECTOR_GP = 13,
	VECTOR_PF = 14,
	VECTOR_MF = 16,
	VECTOR_AC = 17,
	VECTOR_MC = 18,
	VECTOR_XM = 19,
	VECTOR_VE = 20,
	VECTOR_CP = 21,
	VECTOR_HV = 28,
	VECTOR_VC = 29,
	VECTOR_SX = 30,
};

/* Exceptions that push an error code (SDM vol. 3, table 6-1). */
#define VECTORS_WITH_ERROR                                                   \
	(BIT(VECTOR_DF) | BIT(VECTOR_TS) | BIT(VECTOR_NP) | BIT(VECTOR_SS) | \
	 BIT(VECTOR_GP) | BIT(VECTOR_PF) | BIT(VECTOR_AC) | BIT(VECTOR_CP) | \
	 BIT(VECTOR_VC) | BIT(VECTOR_SX))

/* Page-fault error code (SDM vol. 3, 4.7). */
#define PF_P	BIT(0)
#define PF_W	BIT(1)
#define PF_U	BIT(2)
#define PF_RSVD BIT(3)
#define PF_I	BIT(4)

/* 4-level page-table entries (SDM vol. 3, 4.5). */
#define PTE_P	      BIT(0)
#define PTE_W	      BIT(1)
#define PTE_U	      BIT(2)
#define PTE_PWT	      BIT(3)
#define PTE_PCD	      BIT(4)
#define PTE_A	      BIT(5)
#define PTE_D	      BIT(6)
#define PTE_PS	      BIT(7) /* of a leaf above level 1 */
#define PTE_PAT_LARGE BIT(12)
#define PTE_ADDR      BITS(51, 12)
#define PTE_NX	      BIT(63)

#endif

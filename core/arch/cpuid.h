/* CPUID leaves and bits (SDM vol. 2, CPUID; APM vol. 3, appendix E). */
#ifndef CORE_ARCH_CPUID_H
#define CORE_ARCH_CPUID_H

#include "core/lib/types.h"

#define CPUID_VENDOR		  0x00 /* eax: highest basic leaf */
#define CPUID_VENDOR_INTEL_EBX	  0x756e6547
#define CPUID_VENDOR_AMD_EBX	  0x68747541
#define CPUID_VENDOR_HYGON_EBX	  0x6f677948

#define CPUID_FEATURES		  0x01
#define CPUID_01_EBX_APIC_ID(ebx) ((ebx) >> 24)
#define CPUID_01_ECX_DTES64	  BIT(2)
#define CPUID_01_ECX_MONITOR	  BIT(3)
#define CPUID_01_ECX_DS_CPL	  BIT(4)
#define CPUID_01_ECX_VMX	  BIT(5)
#define CPUID_01_ECX_SMX	  BIT(6)
#define CPUID_01_ECX_XSAVE	  BIT(26)
#define CPUID_01_ECX_OSXSAVE	  BIT(27)
#define CPUID_01_ECX_RDRAND	  BIT(30)
#define CPUID_01_ECX_HYPERVISOR	  BIT(31)
#define CPUID_01_EDX_MCE	  BIT(7)
#define CPUID_01_EDX_DS		  BIT(21)

#define CPUID_STRUCTURED	  0x07
#define CPUID_07_EBX_FSGSBASE	  BIT(0)
#define CPUID_07_EBX_SGX	  BIT(2)
#define CPUID_07_EBX_SMEP	  BIT(7)
#define CPUID_07_EBX_RDSEED	  BIT(18)
#define CPUID_07_EBX_SMAP	  BIT(20)
#define CPUID_07_EBX_PT		  BIT(25)
#define CPUID_07_ECX_OSPKE	  BIT(4)
#define CPUID_07_ECX_TME	  BIT(13)
/* AVX512_VBMI, VBMI2, GFNI, VAES, VPCLMULQDQ, VNNI, BITALG, VPOPCNTDQ */
#define CPUID_07_ECX_VECTOR    (BIT(1) | BIT(6) | BITS(12, 8) | BIT(14))
#define CPUID_07_EDX_MD_CLEAR  BIT(10)
#define CPUID_07_EDX_IBPB      BIT(26)
#define CPUID_07_EDX_L1D_FLUSH BIT(28)
#define CPUID_071_EAX_FRED     BIT(17) /* of subleaf 1 */
#define CPUID_071_EAX_MSRLIST  BIT(27)

#define CPUID_TOPOLOGY	       0x0b
#define CPUID_TOPOLOGY_2       0x1f

#define CPUID_XSTATE	       0x0d
/* Subleaf 0, edx:eax: the bits XCR0 may have; ecx: area for all of them. */
/* Subleaf 1: */
#define CPUID_0D1_EAX_XSAVEC	    BIT(1)
#define CPUID_0D1_ECX_PT	    BIT(8)

#define CPUID_PERFMON		    0x23
#define CPUID_23_EAX_PEBS	    BITS(5, 4) /* subleaves 4 and 5 */

#define CPUID_EXT_MAX		    0x80000000 /* eax: highest extended leaf */
#define CPUID_EXT_FEATURES	    0x80000001
#define CPUID_80000001_ECX_SVM	    BIT(2)
#define CPUID_80000001_ECX_SKINIT   BIT(12)
#define CPUID_80000001_ECX_MONITORX BIT(29)
#define CPUID_80000001_EDX_SYSCALL  BIT(11)
#define CPUID_80000001_EDX_NX	    BIT(20)
#define CPUID_80000001_EDX_1G	    BIT(26)
#define CPUID_80000001_EDX_RDTSCP   BIT(27)
#define CPUID_ADDR_SIZES	    0x80000008 /* eax: 7-0 physical, 15-8 linear */
#define CPUID_80000008_EBX_INVLPGB  BIT(3)
#define CPUID_80000008_EBX_RDPRU    BIT(4)
#define CPUID_80000008_EBX_IBPB	    BIT(12)
#define CPUID_80000008_EBX_NO_LMSLE BIT(20)

#define CPUID_SVM		    0x8000000a /* ebx: number of ASIDs */
#define CPUID_SVM_EDX_NP	    BIT(0)
#define CPUID_SVM_EDX_NRIPS	    BIT(3)
#define CPUID_SVM_EDX_FLUSH_ASID    BIT(6)
#define CPUID_SVM_EDX_DECODE	    BIT(7)
#define CPUID_EXT_TOPOLOGY	    0x8000001e
#define CPUID_ENCRYPTION	    0x8000001f /* SME, SEV */
#define CPUID_8000001F_EAX_SME	    BIT(0)
#define CPUID_8000001F_EBX_BITS	    BITS(11, 6) /* of addresses, used up */
#define CPUID_EXT_TOPOLOGY_2	    0x80000026

#endif

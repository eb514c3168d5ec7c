/*
 * One instruction each (SDM vol. 2, APM vol. 3): the only place with general
 * inline assembly. Nothing here checks whether the CPU has the instruction.
 */
#ifndef CORE_ARCH_X86_H
#define CORE_ARCH_X86_H

#include "core/lib/types.h"

/* ---- identification and MSRs ------------------------------------------- */

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid_count(u32 leaf, u32 subleaf)
{
	struct cpuid r;

	asm volatile("cpuid"
		     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
		     : "a"(leaf), "c"(subleaf));
	return r;
}

static inline struct cpuid cpuid(u32 leaf)
{
	return cpuid_count(leaf, 0);
}

static inline u64 rdmsr(u32 index)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (u64)high << 32 | low;
}

static inline void wrmsr(u32 index, u64 value)
{
	asm volatile("wrmsr"
		     :
		     : "c"(index), "a"((u32)value), "d"((u32)(value >> 32))
		     : "memory");
}

static inline u64 rdtsc(void)
{
	u32 low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (u64)high << 32 | low;
}

/* @aux: MSR TSC_AUX. Ask for CPUID's bit first. */
static inline u64 rdtscp(u32 *aux)
{
	u32 low, high;

	asm volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(*aux) : : "memory");
	return (u64)high << 32 | low;
}

/* False if the generator had nothing; ask for CPUID's bit first. */
static inline bool rdrand64(u64 *v)
{
	bool ok;

	asm volatile("rdrand %0" : "=r"(*v), "=@ccc"(ok));
	return ok;
}

static inline bool rdseed64(u64 *v)
{
	bool ok;

	asm volatile("rdseed %0" : "=r"(*v), "=@ccc"(ok));
	return ok;
}

/* ---- ports ------------------------------------------------------------- */

/* inb() and so on; strings are of @count elements, not bytes. */
#define X86_PORT(size, type)                                                   \
	static inline type in##size(u16 port)                                  \
	{                                                                      \
		type v;                                                        \
                                                                               \
		asm volatile("in" #size " %1, %0" : "=a"(v) : "Nd"(port));     \
		return v;                                                      \
	}                                                                      \
	static inline void out##size(u16 port, type v)                         \
	{                                                                      \
		asm volatile("out" #size " %0, %1" : : "a"(v), "Nd"(port));    \
	}                                                                      \
	static inline void ins##size(u16 port, void *dst, size_t count)        \
	{                                                                      \
		asm volatile("rep ins" #size                                   \
			     : "+D"(dst), "+c"(count)                          \
			     : "d"(port)                                       \
			     : "memory", "cc");                                \
	}                                                                      \
	static inline void outs##size(u16 port, const void *src, size_t count) \
	{                                                                      \
		asm volatile("rep outs" #size                                  \
			     : "+S"(src), "+c"(count)                          \
			     : "d"(port)                                       \
			     : "memory", "cc");                                \
	}

X86_PORT(b, u8)
X86_PORT(w, u16)
X86_PORT(l, u32)
#undef X86_PORT

/* ---- control and debug registers --------------------------------------- */

#define X86_REG(reg)                                                       \
	static inline u64 read_##reg(void)                                 \
	{                                                                  \
		u64 v;                                                     \
                                                                           \
		asm volatile("mov %%" #reg ", %0" : "=r"(v) : : "memory"); \
		return v;                                                  \
	}                                                                  \
	static inline void write_##reg(u64 v)                              \
	{                                                                  \
		asm volatile("mov %0, %%" #reg : : "r"(v) : "memory");     \
	}

X86_REG(cr0)
X86_REG(cr2)
X86_REG(cr3)
X86_REG(cr4)
X86_REG(dr6)
X86_REG(dr7)
#undef X86_REG

/* ---- segments and descriptor tables ------------------------------------ */

struct descriptor_table { /* operand of LGDT and friends in 64-bit mode */
	u16 limit;
	u64 base;
} packed;

static inline void lgdt(const struct descriptor_table *t)
{
	asm volatile("lgdt %0" : : "m"(*t));
}

static inline void lidt(const struct descriptor_table *t)
{
	asm volatile("lidt %0" : : "m"(*t));
}

static inline void ltr(u16 selector)
{
	asm volatile("ltr %0" : : "r"(selector) : "memory");
}

static inline void lldt(u16 selector)
{
	asm volatile("lldt %0" : : "r"(selector) : "memory");
}

#define X86_SEG(seg)                                                   \
	static inline void write_##seg(u16 v)                          \
	{                                                              \
		asm volatile("mov %0, %%" #seg : : "r"(v) : "memory"); \
	}

X86_SEG(ds)
X86_SEG(es)
X86_SEG(fs)
X86_SEG(gs)
X86_SEG(ss)
#undef X86_SEG

/* Far return: the only way to load CS in 64-bit mode that needs no memory. */
static inline void load_cs(u16 selector)
{
	asm volatile("pushq %0\n\t"
		     "leaq 1f(%%rip), %%rax\n\t"
		     "pushq %%rax\n\t"
		     "lretq\n"
		     "1:"
		     :
		     : "r"((u64)selector)
		     : "rax", "memory");
}

static inline u64 read_gs_u64(u32 offset)
{
	u64 v;

	asm volatile("movq %%gs:(%1), %0" : "=r"(v) : "r"((u64)offset));
	return v;
}

/* ---- caches, TLB, waiting ---------------------------------------------- */

static inline void invlpg(const void *p)
{
	asm volatile("invlpg %0" : : "m"(*(const char *)p) : "memory");
}

/* Clears the CPU's buffers where CPUID has MD_CLEAR. */
static inline void verw(u16 selector)
{
	asm volatile("verw %0" : : "m"(selector) : "cc");
}

static inline void wbinvd(void)
{
	asm volatile("wbinvd" : : : "memory");
}

static inline void cli(void)
{
	asm volatile("cli" : : : "memory");
}

static inline void sti(void)
{
	asm volatile("sti" : : : "memory");
}

static inline void hlt(void)
{
	asm volatile("hlt" : : : "memory");
}

static inline void cpu_pause(void)
{
	asm volatile("pause" : : : "memory");
}

static inline void mfence(void)
{
	asm volatile("mfence" : : : "memory");
}

/* ---- extended state (SDM vol. 1, 13) ------------------------------------ */

static inline u64 xgetbv(u32 index)
{
	u32 low, high;

	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
	return (u64)high << 32 | low;
}

static inline void xsetbv(u32 index, u64 value)
{
	asm volatile("xsetbv"
		     :
		     : "c"(index), "a"((u32)value), "d"((u32)(value >> 32))
		     : "memory");
}

static inline void fxsave64(void *area) /* 512 bytes, 16-byte aligned */
{
	asm volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static inline void fxrstor64(const void *area)
{
	asm volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

static inline void xsave64(void *area, u64 mask) /* 64-byte aligned */
{
	asm volatile("xsave64 (%0)"
		     :
		     : "r"(area), "a"((u32)mask), "d"((u32)(mask >> 32))
		     : "memory");
}

static inline void xsavec64(void *area, u64 mask)
{
	asm volatile("xsavec64 (%0)"
		     :
		     : "r"(area), "a"((u32)mask), "d"((u32)(mask >> 32))
		     : "memory");
}

static inline void xrstor64(const void *area, u64 mask)
{
	asm volatile("xrstor64 (%0)"
		     :
		     : "r"(area), "a"((u32)mask), "d"((u32)(mask >> 32))
		     : "memory");
}

/* All of x87, also where its last instruction and operand were. */
static inline void fninit(void)
{
	asm volatile("fninit");
}

static inline void ldmxcsr(u32 v)
{
	asm volatile("ldmxcsr %0" : : "m"(v));
}

/* ---- AMD-V (APM vol. 3); addresses are physical ------------------------- */

static inline void clgi(void)
{
	asm volatile("clgi" : : : "memory");
}

static inline void stgi(void)
{
	asm volatile("stgi" : : : "memory");
}

static inline void vmload(hpa_t vmcb)
{
	asm volatile("vmload %%rax" : : "a"(vmcb) : "memory");
}

static inline void vmsave(hpa_t vmcb)
{
	asm volatile("vmsave %%rax" : : "a"(vmcb) : "memory");
}

/* ---- VT-x (SDM vol. 3, 31); true if the instruction succeeded ----------- */

#define X86_VMX(insn)                           \
	static inline bool insn(hpa_t page)     \
	{                                       \
		bool failed;                    \
                                                \
		asm volatile(#insn " %1"        \
			     : "=@ccbe"(failed) \
			     : "m"(page)        \
			     : "memory");       \
		return !failed;                 \
	}

X86_VMX(vmxon)
X86_VMX(vmclear)
X86_VMX(vmptrld)
#undef X86_VMX

/* A field that does not exist reads as 0. */
static inline u64 vmread(u64 field)
{
	u64 v = 0;

	asm volatile("vmread %1, %0" : "+r"(v) : "r"(field) : "memory", "cc");
	return v;
}

static inline bool vmwrite(u64 field, u64 value)
{
	bool failed;

	asm volatile("vmwrite %2, %1"
		     : "=@ccbe"(failed)
		     : "r"(field), "r"(value)
		     : "memory");
	return !failed;
}

struct inv_descriptor { /* of INVEPT (EPTP, 0) and INVVPID (VPID, linear) */
	u64 first, second;
};

static inline bool invept(u64 type, u64 eptp)
{
	struct inv_descriptor d = { eptp, 0 };
	bool failed;

	asm volatile("invept %1, %2"
		     : "=@ccbe"(failed)
		     : "m"(d), "r"(type)
		     : "memory");
	return !failed;
}

static inline bool invvpid(u64 type, u16 vpid, u64 linear)
{
	struct inv_descriptor d = { vpid, linear };
	bool failed;

	asm volatile("invvpid %1, %2"
		     : "=@ccbe"(failed)
		     : "m"(d), "r"(type)
		     : "memory");
	return !failed;
}

#endif

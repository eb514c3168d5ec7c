#include "core/cpu/cpu.h"

#include "core/arch/cpuid.h"
#include "core/arch/msr.h"
#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/cpu/apic.h"
#include "core/cpu/fpu.h"
#include "core/cpu/offsets.h"
#include "core/cpu/traps.h"
#include "core/lib/panic.h"
#include "core/mm/host.h"
#include "core/mm/pool.h"

static_assert(offsetof(struct cpu, canary_page[5]) == 0x28, "libcrypto ABI");
static_assert(offsetof(struct cpu, self) == CPU_OFFSET_SELF, "offsets.h");
static_assert(offsetof(struct cpu, nmi_seen) == CPU_OFFSET_NMI_SEEN,
	      "offsets.h");
static_assert(offsetof(struct cpu, stop) == CPU_OFFSET_STOP, "offsets.h");
static_assert(offsetof(struct cpu, nmi_first) == CPU_OFFSET_NMI_FIRST,
	      "offsets.h");

struct tss { /* SDM vol. 3, 7.7 */
	le32 reserved0;
	le64 rsp[3];
	le64 reserved1;
	le64 ist[7]; /* IST 1 is ist[0] */
	le64 reserved2;
	le16 reserved3;
	le16 io_map;
} packed;
static_assert(sizeof(struct tss) == 104, "SDM vol. 3, figure 7-11");

enum {
	GDT_ENTRIES = 5
}; /* null, code, data, TSS (two) */

struct cpu_area {
	struct cpu cpu;
	u64 gdt[GDT_ENTRIES];
	struct tss tss __attribute__((aligned(16)));
	u8 guard[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	u8 stack[11 * PAGE_SIZE]; /* libcrypto wants 32 KiB of it */
	u8 nmi_stack[PAGE_SIZE];
	u8 fatal_stack[2 * PAGE_SIZE];
};
static_assert(sizeof(struct cpu_area) == 16 * PAGE_SIZE, "guard page");

#define GDT_CODE64 0x00209b0000000000ULL /* present, DPL 0, L, accessed */
#define GDT_DATA   0x00cf93000000ffffULL
#define GDT_TSS	   0x0000890000000000ULL /* available 64-bit TSS */

static struct cpu *cpus[CPU_MAX];
static u32 cpus_used;

struct cpu *cpu_self(void)
{
	return (struct cpu *)read_gs_u64(CPU_OFFSET_SELF);
}

struct cpu *cpu_get(u32 index)
{
	return index < cpus_used ? cpus[index] : NULL;
}

u32 cpu_count(void)
{
	return cpus_used;
}

/* SDM vol. 3, 7.2.3: the TSS descriptor of 64-bit mode. */
static void fill_gdt(struct cpu_area *a)
{
	u64 base = (u64)&a->tss;

	a->gdt[CPU_CS / 8] = GDT_CODE64;
	a->gdt[CPU_DS / 8] = GDT_DATA;
	a->gdt[CPU_TSS / 8] = GDT_TSS | (sizeof(a->tss) - 1) |
			      (base & BITS(23, 0)) << 16 |
			      (base & BITS(31, 24)) << 32;
	a->gdt[CPU_TSS / 8 + 1] = base >> 32;
}

static u64 make_canary(void)
{
	u64 v = 0;

	if (!(cpuid(CPUID_FEATURES).ecx & CPUID_01_ECX_RDRAND) || !rdrand64(&v))
		v = rdtsc() * 0x9e3779b97f4a7c15ULL;
	return v & ~0xffULL; /* a string function's NUL does not pass it */
}

struct cpu *cpu_alloc(u32 apic_id)
{
	struct cpu_area *a;

	if (cpus_used == CPU_MAX)
		return NULL;
	a = pool_alloc(sizeof(*a) / PAGE_SIZE);
	if (!a || host_unmap_page(a->guard))
		return NULL;
	/* pool_alloc has cleared it; the new CPU begins with an empty TLB. */
	invlpg(a->guard);
	a->cpu.canary_page[5] = make_canary();
	a->cpu.self = &a->cpu;
	a->cpu.index = cpus_used;
	a->cpu.apic_id = apic_id;
	a->cpu.gdt = a->gdt;
	a->cpu.tss = &a->tss;
	a->cpu.stack_top = a->stack + sizeof(a->stack);
	fill_gdt(a);
	a->tss.ist[TRAP_IST_NMI - 1] =
		(u64)(a->nmi_stack + sizeof(a->nmi_stack));
	a->tss.ist[TRAP_IST_FATAL - 1] =
		(u64)(a->fatal_stack + sizeof(a->fatal_stack));
	a->tss.io_map = sizeof(a->tss);
	cpus[cpus_used++] = &a->cpu;
	return &a->cpu;
}

static bool stack_holds(const u8 *stack, size_t size, u64 address, u64 *low,
			u64 *high)
{
	*low = (u64)stack;
	*high = (u64)stack + size;
	return address >= *low && address < *high;
}

struct cpu *cpu_find_stack(u64 address, u64 *low, u64 *high)
{
	for (u32 i = 0; i < cpus_used; i++) {
		struct cpu_area *a =
			container_of(cpus[i], struct cpu_area, cpu);

		if (stack_holds(a->stack, sizeof(a->stack), address, low,
				high) ||
		    stack_holds(a->nmi_stack, sizeof(a->nmi_stack), address,
				low, high) ||
		    stack_holds(a->fatal_stack, sizeof(a->fatal_stack), address,
				low, high))
			return cpus[i];
	}
	return NULL;
}

void cpu_load_tables(struct cpu *c)
{
	struct descriptor_table gdt = { GDT_ENTRIES * 8 - 1, (u64)c->gdt };

	lgdt(&gdt);
	load_cs(CPU_CS);
	write_ds(CPU_DS);
	write_es(CPU_DS);
	write_ss(CPU_DS);
	write_fs(0);
	write_gs(0);
	wrmsr(MSR_FS_BASE, (u64)c);
	wrmsr(MSR_GS_BASE, (u64)c);
	lldt(0);
	traps_load();
	ltr(CPU_TSS);
}

/* What cpu_start_others copies to the other CPUs. */
static void set_control_registers(void)
{
	struct cpuid id = cpuid(CPUID_FEATURES);
	u64 cr4 = read_cr4();

	if (id.edx & CPUID_01_EDX_MCE)
		cr4 |= CR4_MCE;
	write_cr4(cr4);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_FFXSR);
}

void cpu_start_boot(void (*entry)(struct cpu *c))
{
	struct cpu *c = cpu_alloc(apic_id());

	if (!c)
		panic("no memory for the boot processor's area");
	set_control_registers();
	traps_init();
	cpu_load_tables(c);
	if (fpu_init(c))
		panic("no memory for the extended state");
	c->online = 1;
	cpu_switch_stack(c, c->stack_top, entry);
}

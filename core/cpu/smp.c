/* Start of the other processors: INIT, SIPI, SIPI (SDM vol. 3, 8.4.4). */
#include "core/arch/msr.h"
#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/cpu/apic.h"
#include "core/cpu/cpu.h"
#include "core/cpu/fpu.h"
#include "core/cpu/time.h"
#include "core/lib/errors.h"
#include "core/lib/panic.h"
#include "core/lib/string.h"
#include "core/mm/pool.h"

#define INIT_DELAY_US 10000
#define SIPI_POLL_US  200
#define SIPI_POLLS    50    /* then it gets a second one */
#define START_POLLS   25000 /* five seconds: an emulator may be starved */

struct trampoline_args { /* trampoline.S */
	u32 cr3, cr0, efer, reserved;
	u64 stack, cpu, entry;
};

extern const u8 trampoline_start[], trampoline_args[], trampoline_end[];

/* What the boot processor runs with, for the others; set while they start. */
static struct {
	u64 cr3, cr4, pat;
	void (*entry)(struct cpu *c);
} host;

static noreturn void ap_start(struct cpu *c)
{
	write_cr3(host.cr3);
	write_cr4(host.cr4);
	wrmsr(MSR_PAT, host.pat);
	cpu_load_tables(c);
	if (fpu_init(c))
		panic("no memory for the extended state");
	__atomic_store_n(&c->online, 1, __ATOMIC_RELEASE);
	host.entry(c);
	panic("CPU %u has nothing to do", c->index);
}

/*
 * The host's tables with one page more, the trampoline at its physical
 * address. NULL without memory. Never given back: four pages.
 */
static u64 *make_tables(hpa_t page)
{
	u64 *t = pool_alloc(4);

	if (!t)
		return NULL;
	memcpy(t, phys_to_virt(read_cr3() & PTE_ADDR), PAGE_SIZE);
	t[0] = virt_to_phys(t + 512) | PTE_P | PTE_W;
	t[512] = virt_to_phys(t + 1024) | PTE_P | PTE_W;
	t[1024] = virt_to_phys(t + 1536) | PTE_P | PTE_W;
	t[1536 + (page >> PAGE_SHIFT)] = page | PTE_P | PTE_W;
	return t;
}

static void write_trampoline(hpa_t page, u32 cr3, struct cpu *c)
{
	u8 *p = phys_to_virt(page);
	struct trampoline_args args = {
		.cr3 = cr3,
		.cr0 = (u32)read_cr0(),
		.efer = (u32)(rdmsr(MSR_EFER) & ~EFER_LMA),
		.stack = (u64)c->stack_top,
		.cpu = (u64)c,
		.entry = (u64)ap_start,
	};

	memcpy(p, trampoline_start,
	       (size_t)(trampoline_end - trampoline_start));
	memcpy(p + (trampoline_args - trampoline_start), &args, sizeof(args));
	mfence();
}

static bool is_online(const struct cpu *c, u32 polls)
{
	while (!__atomic_load_n(&c->online, __ATOMIC_ACQUIRE)) {
		if (!polls--)
			return false;
		delay_us(SIPI_POLL_US);
	}
	return true;
}

static int start_one(u32 apic_id, hpa_t page, u32 cr3)
{
	struct cpu *c = cpu_alloc(apic_id);

	if (!c)
		return -ENOMEM;
	write_trampoline(page, cr3, c);
	apic_send_sipi(apic_id, (u8)(page >> PAGE_SHIFT));
	if (is_online(c, SIPI_POLLS))
		return 0;
	apic_send_sipi(apic_id, (u8)(page >> PAGE_SHIFT));
	return is_online(c, START_POLLS) ? 0 : -EIO;
}

int cpu_start_others(const u32 *apic_ids, u32 count, hpa_t trampoline,
		     void (*entry)(struct cpu *c))
{
	u64 *tables;
	u32 self = apic_id();
	u32 others = 0;
	int r = 0;

	for (u32 i = 0; i < count; i++)
		others += apic_ids[i] != self;
	if (!others)
		return 0;
	tables = make_tables(trampoline);
	if (!tables)
		return -ENOMEM;
	host.cr3 = read_cr3();
	host.cr4 = read_cr4();
	host.pat = rdmsr(MSR_PAT);
	host.entry = entry;
	for (u32 i = 0; i < count; i++) {
		if (apic_ids[i] != self)
			apic_send_init(apic_ids[i]);
	}
	delay_us(INIT_DELAY_US);
	for (u32 i = 0; i < count && !r; i++) {
		if (apic_ids[i] != self)
			r = start_one(apic_ids[i], trampoline,
				      (u32)virt_to_phys(tables));
	}
	memset(phys_to_virt(trampoline), 0, PAGE_SIZE);
	return r;
}

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arch/msr.h"
#include "core/arch/regs.h"
#include "core/cpu/panic.h"
#include "core/lib/errors.h"
#include "core/lib/log.h"
#include "core/lib/panic.h"
#include "core/lib/range.h"
#include "core/mm/gmem.h"
#include "core/virt/power.h"

struct fake fake;
static struct cpu cpus[FAKE_CPUS];

#define TABLES 0x3b000 /* PML4, PDPT, PD, PT */

/* ---- registers ---------------------------------------------------------- */

static unsigned int index_of(const struct vcpu *v)
{
	return (unsigned int)(v - fake.guest.vcpu);
}

static u64 get(struct vcpu *v, enum vreg reg)
{
	return fake.reg[index_of(v)][reg];
}

static void set(struct vcpu *v, enum vreg reg, u64 value)
{
	fake.reg[index_of(v)][reg] = value;
}

static void get_seg(struct vcpu *v, unsigned int seg, struct vseg *s)
{
	*s = fake.seg[index_of(v)][seg];
}

static void set_seg(struct vcpu *v, unsigned int seg, const struct vseg *s)
{
	fake.seg[index_of(v)][seg] = *s;
}

static void flush_nested(struct vcpu *v)
{
	fake.flushes[index_of(v)]++;
}

static bool no(struct vcpu *v)
{
	return false;
}

static bool wait_sipi(struct vcpu *v)
{
	return fake.wait_sipi;
}

static const struct virt_ops ops = {
	.get = get,
	.set = set,
	.get_seg = get_seg,
	.set_seg = set_seg,
	.flush_nested = flush_nested,
	.wait_sipi = wait_sipi,
	.nmi_blocked = no,
};

struct vcpu *fake_start(void)
{
	struct vcpu *v = fake.guest.vcpu;

	memset(&fake, 0, sizeof(fake));
	fake.guest.ops = &ops;
	fake.guest.cpus = FAKE_CPUS;
	fake.guest.maxphyaddr = 40;
	fake.apic = APIC_XAPIC;
	for (unsigned int i = 0; i < FAKE_CPUS; i++) {
		cpus[i] = (struct cpu){ .index = i,
					.apic_id = 2 * i,
					.vcpu = v + i };
		v[i].cpu = &cpus[i];
		v[i].guest = &fake.guest;
		v[i].rip = 0x1000;
		v[i].rflags = RFLAGS_FIXED;
		v[i].gpr[GPR_RSP] = 0x8000;
		for (unsigned int s = 0; s < VSEG_COUNT; s++)
			fake.seg[i][s] = (struct vseg){ 0, 0x93, 0xffff, 0 };
		fake.seg[i][SEG_CS].attr = 0x9b;
		fake.reg[i][VREG_CR0] = CR0_ET;
	}
	return v;
}

void fake_mode(struct vcpu *v, unsigned int bits, unsigned int cpl)
{
	u16 attr = VSEG_P | VSEG_S | VSEG_G | 3 | cpl << 5;

	fake.reg[index_of(v)][VREG_CR0] |= CR0_PE;
	for (unsigned int s = SEG_ES; s <= SEG_GS; s++)
		fake.seg[index_of(v)][s] = (struct vseg){
			.attr = attr | (s == SEG_CS ? 8 : 0) |
				(bits == 64 ? VSEG_L : VSEG_DB),
			.limit = ~0U,
		};
	fake.reg[index_of(v)][VREG_CPL] = cpl;
	if (bits == 64)
		fake.reg[index_of(v)][VREG_EFER] = EFER_LME | EFER_LMA;
}

void fake_page(u64 linear, u64 entry)
{
	memcpy(fake.ram + TABLES + 0x3000 + linear / PAGE_SIZE * 8, &entry, 8);
}

void fake_paging(struct vcpu *v)
{
	for (u64 level = 0; level < 3; level++) {
		u64 entry = (TABLES + (level + 1) * PAGE_SIZE) | PTE_P | PTE_W |
			    PTE_U;

		memcpy(fake.ram + TABLES + level * PAGE_SIZE, &entry, 8);
	}
	for (u64 page = 0; page < 512 * PAGE_SIZE; page += PAGE_SIZE)
		fake_page(page, page | PTE_P | PTE_W | PTE_U);
	fake.reg[index_of(v)][VREG_CR3] = TABLES;
	fake.reg[index_of(v)][VREG_CR4] |= CR4_PAE;
	fake.reg[index_of(v)][VREG_CR0] |= CR0_PG;
}

/* ---- memory ------------------------------------------------------------- */

void *gmem_ptr(gpa_t gpa, u64 len)
{
	return range_ok(gpa, len, FAKE_RAM) ? fake.ram + gpa : NULL;
}

int gmem_read(gpa_t gpa, void *dst, size_t len)
{
	if (!gmem_ptr(gpa, len))
		return -EFAULT;
	memcpy(dst, gmem_ptr(gpa, len), len);
	return 0;
}

bool gmem_hidden(gpa_t gpa, u64 len)
{
	return range_overlap(gpa, len, FAKE_HIDDEN, PAGE_SIZE);
}

bool mmio_hooked(gpa_t gpa)
{
	return gpa / PAGE_SIZE == FAKE_DEVICE / PAGE_SIZE ||
	       (fake.hooked && gpa / PAGE_SIZE == fake.hooked / PAGE_SIZE);
}

int mmio_access(struct mmio_io *io)
{
	if (!mmio_hooked(io->gpa))
		return -EFAULT;
	if (io->write)
		fake.device_writes++;
	else
		io->value = 0xd5d5d5d5d5d5d5d5;
	return 0;
}

__attribute__((weak)) int mmio_hook_add(struct mmio_hook *hook)
{
	fake.hook = hook;
	return 0;
}

__attribute__((weak)) int mmio_hook_move(struct mmio_hook *hook, gpa_t start,
					 u64 size)
{
	hook->start = start;
	hook->size = size;
	return 0;
}

/* ---- the machine -------------------------------------------------------- */

struct cpuid cpuid(u32 leaf)
{
	switch (leaf) {
	case 0x80000000:
		return (struct cpuid){ .eax = 0x80000021 };
	case 0x80000001:
		return fake.id[0];
	case 0x80000008:
		return fake.id[1];
	case 0x8000001f:
		return fake.encryption;
	case 0x80000021:
		return fake.id[2];
	case 7:
		return fake.structured;
	default:
		return (struct cpuid){ .eax = 0x800f12, .edx = fake.features };
	}
}

u64 rdmsr(u32 index)
{
	return index == MSR_APIC_BASE ? 0xfee00900 : fake.encryption_msr;
}

struct cpu *cpu_self(void)
{
	return &cpus[fake.self];
}

enum apic_mode apic_mode(void)
{
	return fake.apic;
}

u32 apic_read(unsigned int reg)
{
	return reg == APIC_ICR_HIGH ? fake.icr_high : 0;
}

void apic_send_nmi(u32 dest)
{
	fake.nmis++;
	fake.nmis_to |= 1U << dest;
}

void apic_init_reset(void)
{
	fake.apic_inits++;
}

noreturn void power_reset(void)
{
	fake.reset = true;
	longjmp(fake.after_reset, 1);
}

bool panic_active(void)
{
	return fake.panic;
}

noreturn void panic_stop(void)
{
	fake.stopped = true;
	longjmp(fake.after_reset, 1);
}

void log_line(const char *format, ...)
{
}

void log_limited(struct log_limit *limit, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(fake.log, sizeof(fake.log), format, args);
	va_end(args);
}

/* ---- files of core/virt that a test leaves out -------------------------- */

#define LEFT_OUT(name)                                             \
	__attribute__((weak)) void name(struct vcpu *v,            \
					const struct vmexit *exit) \
	{                                                          \
		abort();                                           \
	}
LEFT_OUT(guest_cpuid)
LEFT_OUT(guest_rdmsr)
LEFT_OUT(guest_wrmsr)
LEFT_OUT(guest_cr_write)
LEFT_OUT(guest_xsetbv)
LEFT_OUT(guest_io)
LEFT_OUT(guest_task_switch)
LEFT_OUT(guest_nested_fault)

__attribute__((weak)) bool guest_bios_call(struct vcpu *v)
{
	return fake.bios_calls;
}

__attribute__((weak)) void guest_run_ahead(struct vcpu *v, u64 rip, u16 where)
{
}

__attribute__((weak)) bool guest_emulate_ahead(struct vcpu *v, u16 where,
					       bool further)
{
	return false;
}

__attribute__((weak)) void startup_init_signal(struct vcpu *v)
{
	abort();
}

__attribute__((weak)) void startup_requests(struct vcpu *v)
{
	abort();
}

__attribute__((weak)) void startup_sipi(struct vcpu *v, u8 vector)
{
	abort();
}

__attribute__((weak)) bool startup_icr(struct vcpu *v, u64 value)
{
	abort();
}

__attribute__((weak)) bool startup_apic_base_ok(struct vcpu *v, u64 value)
{
	return true;
}

__attribute__((weak)) void nested_update_types(struct vcpu *v)
{
}

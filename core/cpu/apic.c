#include "core/cpu/apic.h"

#include "core/arch/cpuid.h"
#include "core/arch/msr.h"
#include "core/arch/x86.h"
#include "core/mm/host.h"

#define SEND_POLLS  100000 /* delivery takes a few bus cycles */
#define LVT_MASKED  0x10000
#define SVR_RESET   0xff
#define VERSION_EXT BIT(31) /* AMD: extended registers */

enum apic_mode apic_mode(void)
{
	u64 base = rdmsr(MSR_APIC_BASE);

	if (!(base & APIC_BASE_ENABLE))
		return APIC_OFF;
	return base & APIC_BASE_X2APIC ? APIC_X2APIC : APIC_XAPIC;
}

static volatile u32 *xapic_reg(unsigned int reg)
{
	hpa_t base = rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDR;

	return host_device(base + reg);
}

u32 apic_read(unsigned int reg)
{
	if (apic_mode() == APIC_X2APIC)
		return (u32)rdmsr(MSR_X2APIC(reg));
	return *xapic_reg(reg);
}

static void apic_write(unsigned int reg, u32 value)
{
	if (apic_mode() == APIC_X2APIC)
		wrmsr(MSR_X2APIC(reg), value);
	else
		*xapic_reg(reg) = value;
}

u32 apic_id(void)
{
	switch (apic_mode()) {
	case APIC_X2APIC:
		return apic_read(APIC_ID);
	case APIC_XAPIC:
		return apic_read(APIC_ID) >> 24;
	default:
		return CPUID_01_EBX_APIC_ID(cpuid(CPUID_FEATURES).ebx);
	}
}

/* The x2APIC's ICR has no delivery status (SDM vol. 3, 10.12.9). */
static void xapic_wait_sent(void)
{
	for (unsigned int i = 0; i < SEND_POLLS; i++) {
		if (!(*xapic_reg(APIC_ICR) & APIC_ICR_PENDING))
			return;
		cpu_pause();
	}
}

/* @dest: not used with a shorthand. */
static void apic_send(u32 dest, u32 command)
{
	u32 high;

	switch (apic_mode()) {
	case APIC_X2APIC:
		wrmsr(MSR_X2APIC_ICR, (u64)dest << 32 | command);
		break;
	case APIC_XAPIC:
		/* The guest may be between its own writes to the two halves. */
		xapic_wait_sent();
		high = *xapic_reg(APIC_ICR_HIGH);
		*xapic_reg(APIC_ICR_HIGH) = dest << 24;
		*xapic_reg(APIC_ICR) = command;
		xapic_wait_sent();
		*xapic_reg(APIC_ICR_HIGH) = high;
		break;
	default:
		break;
	}
}

void apic_send_init(u32 dest)
{
	apic_send(dest, APIC_ICR_INIT | APIC_ICR_ASSERT);
}

void apic_send_sipi(u32 dest, u8 vector)
{
	apic_send(dest, APIC_ICR_STARTUP | APIC_ICR_ASSERT | vector);
}

void apic_send_nmi(u32 dest)
{
	apic_send(dest, APIC_ICR_NMI | APIC_ICR_ASSERT);
}

void apic_send_nmi_others(void)
{
	apic_send(0, APIC_ICR_NMI | APIC_ICR_ASSERT | APIC_ICR_OTHERS);
}

static void mask_lvts(void)
{
	/* In the order in which CPUs got them: the version register tells the
	 * number of the last one. The timer and LINT0, LINT1, ERROR always
	 * exist. */
	static const u16 lvts[] = {
		APIC_LVT_TIMER, APIC_LVT_LINT0, APIC_LVT_LINT1,
		APIC_LVT_ERROR, APIC_LVT_PERF,	APIC_LVT_THERMAL,
		APIC_LVT_CMCI,
	};
	u32 version = apic_read(APIC_VERSION);
	u32 count = (version >> 16 & 0xff) + 1;

	for (u32 i = 0; i < ARRAY_SIZE(lvts) && i < count; i++)
		apic_write(lvts[i], LVT_MASKED);
	if (!(version & VERSION_EXT))
		return;
	count = apic_read(APIC_EXT_FEATURE) >> 16 & 0xff;
	for (u32 i = 0; i < count && i < 4; i++)
		apic_write(APIC_EXT_LVT + 0x10 * i, LVT_MASKED);
}

static bool in_service(void)
{
	for (unsigned int i = 0; i < 8; i++) {
		if (apic_read(APIC_ISR + 0x10 * i))
			return true;
	}
	return false;
}

void apic_init_reset(void)
{
	enum apic_mode mode = apic_mode();

	if (mode == APIC_OFF)
		return;
	mask_lvts();
	apic_write(APIC_TIMER_INITIAL, 0);
	apic_write(APIC_TIMER_DIVIDE, 0);
	/* One EOI for each priority class at most; 256 is a safe bound. */
	for (unsigned int i = 0; i < 256 && in_service(); i++)
		apic_write(APIC_EOI, 0);
	apic_write(APIC_TPR, 0);
	if (mode == APIC_XAPIC) {
		apic_write(APIC_LDR, 0);
		apic_write(APIC_DFR, 0xffffffff);
		apic_write(APIC_ICR_HIGH, 0);
	}
	apic_write(APIC_ESR, 0);
	apic_write(APIC_SVR, SVR_RESET);
}

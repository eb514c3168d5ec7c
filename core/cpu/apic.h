/*
 * The local APIC of this CPU (SDM vol. 3, 10), in whichever mode, xAPIC or
 * x2APIC, it is in at the moment of the call: the guest owns it and may change
 * it. In xAPIC mode its page must be in host_device's map.
 */
#ifndef CORE_CPU_APIC_H
#define CORE_CPU_APIC_H

#include "core/lib/types.h"

/* Offsets in the xAPIC page (SDM vol. 3, table 10-1); the x2APIC's MSRs are at
 * 800h + offset / 16. */
enum apic_reg {
	APIC_ID = 0x020,
	APIC_VERSION = 0x030,
	APIC_TPR = 0x080,
	APIC_EOI = 0x0b0,
	APIC_LDR = 0x0d0,
	APIC_DFR = 0x0e0, /* xAPIC only */
	APIC_SVR = 0x0f0,
	APIC_ISR = 0x100, /* 8 of them */
	APIC_ESR = 0x280,
	APIC_LVT_CMCI = 0x2f0,
	APIC_ICR = 0x300,
	APIC_ICR_HIGH = 0x310, /* xAPIC only */
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_THERMAL = 0x330,
	APIC_LVT_PERF = 0x340,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_LVT_ERROR = 0x370,
	APIC_TIMER_INITIAL = 0x380,
	APIC_TIMER_DIVIDE = 0x3e0,
	APIC_EXT_FEATURE = 0x400, /* AMD: APM vol. 2, 16.3.5 */
	APIC_EXT_LVT = 0x500,
};

/* Interrupt command register (SDM vol. 3, 10.6.1). */
#define APIC_ICR_VECTOR	   0x000ff
#define APIC_ICR_DELIVERY  0x00700
#define APIC_ICR_NMI	   0x00400
#define APIC_ICR_INIT	   0x00500
#define APIC_ICR_STARTUP   0x00600
#define APIC_ICR_LOGICAL   0x00800
#define APIC_ICR_PENDING   0x01000
#define APIC_ICR_ASSERT	   0x04000
#define APIC_ICR_LEVEL	   0x08000
#define APIC_ICR_SHORTHAND 0xc0000
#define APIC_ICR_SELF	   0x40000
#define APIC_ICR_ALL	   0x80000
#define APIC_ICR_OTHERS	   0xc0000

enum apic_mode {
	APIC_OFF,
	APIC_XAPIC,
	APIC_X2APIC
};

enum apic_mode apic_mode(void);

/* This CPU's APIC ID: 8 bits in xAPIC mode, 32 in x2APIC mode, CPUID's if the
 * APIC is off. */
u32 apic_id(void);

/* Not when the APIC is off. In x2APIC mode @reg must exist. */
u32 apic_read(unsigned int reg);

/* To the CPU with ID @dest. Nothing happens when the APIC is off. */
void apic_send_init(u32 dest);
void apic_send_sipi(u32 dest, u8 vector);
void apic_send_nmi(u32 dest);
void apic_send_nmi_others(void);

/*
 * Puts the local APIC into the state after INIT (SDM vol. 3, 10.4.7.3), as far
 * as software can: registers reset, timer stopped, ISR empty. The ID, the mode
 * and interrupts waiting in IRR stay.
 */
void apic_init_reset(void);

#endif

#include "core/cpu/time.h"

#include "core/arch/x86.h"

/* 8254: channel 2, both bytes, mode 0 (OUT rises at the end of the count). */
#define PIT_CHANNEL2  0x42
#define PIT_CONTROL   0x43
#define PIT_CH2_MODE0 0xb0
#define PIT_HZ	      1193182ULL
#define PIT_MAX	      0xffffU

#define PORT_B	      0x61
#define PORT_B_GATE2  0x01
#define PORT_B_SPKR   0x02
#define PORT_B_OUT2   0x20

/* A port read takes about a microsecond on hardware, less in an emulator. */
#define POLLS_PER_TICK 16

static void pit_wait(u32 ticks)
{
	u8 port_b = inb(PORT_B) & ~(PORT_B_GATE2 | PORT_B_SPKR);

	outb(PORT_B, port_b);
	outb(PIT_CONTROL, PIT_CH2_MODE0);
	outb(PIT_CHANNEL2, ticks & 0xff);
	outb(PIT_CHANNEL2, ticks >> 8);
	outb(PORT_B, port_b | PORT_B_GATE2);
	for (u32 i = 0; i < ticks * POLLS_PER_TICK + 1000; i++) {
		if (inb(PORT_B) & PORT_B_OUT2)
			break;
	}
	outb(PORT_B, port_b);
}

void delay_us(u32 us)
{
	u64 ticks = (us * PIT_HZ + 999999) / 1000000 + 1;

	while (ticks) {
		u32 n = ticks < PIT_MAX ? (u32)ticks : PIT_MAX;

		pit_wait(n);
		ticks -= n;
	}
}

#include "core/cpu/reset.h"

#include "core/arch/x86.h"
#include "core/cpu/time.h"

#define PORT_CF9	0xcf9 /* PIIX/ICH reset control */
#define CF9_SYS_RST	0x02
#define CF9_RST_CPU	0x04
#define CF9_FULL_RST	0x08

#define KBC_STATUS	0x64
#define KBC_INPUT_FULL	0x02
#define KBC_PULSE_RESET 0xfe

static void kbc_reset(void)
{
	for (unsigned int i = 0; i < 10000; i++) {
		if (!(inb(KBC_STATUS) & KBC_INPUT_FULL))
			break;
	}
	outb(KBC_STATUS, KBC_PULSE_RESET);
}

void machine_reset(void)
{
	static const struct descriptor_table none;

	outb(PORT_CF9, CF9_SYS_RST);
	delay_us(50);
	outb(PORT_CF9, CF9_SYS_RST | CF9_RST_CPU | CF9_FULL_RST);
	delay_us(50000);
	kbc_reset();
	delay_us(50000);
	lidt(&none);
	for (;;)
		__builtin_trap(); /* #UD without an IDT: triple fault */
}

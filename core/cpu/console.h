/*
 * Where the log is seen: a serial port (16550) and, until the guest starts,
 * the VGA text screen. Both are sinks of the log; none of them can hang us.
 */
#ifndef CORE_CPU_CONSOLE_H
#define CORE_CPU_CONSOLE_H

#include "core/lib/types.h"

#define COM1 0x3f8

/* The UART at I/O port @base, 115200 8n1. 0: none. */
void console_serial_on(u16 base);

/* Text goes on below the cursor. */
void console_vga_on(void);

/* The screen is the guest's from now on. */
void console_vga_off(void);

/* For panic(): the screen in any case, and COM1 if nobody has chosen a port
 * (or none) yet. */
void console_emergency(void);

#endif

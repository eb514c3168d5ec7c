#include "core/cpu/console.h"

#include "core/arch/x86.h"
#include "core/lib/log_sink.h"
#include "core/mm/host.h"

/* 16550: registers by their offset from the base. */
enum uart_reg {
	UART_THR = 0, /* with DLAB: divisor, low */
	UART_IER = 1, /* with DLAB: divisor, high */
	UART_FCR = 2,
	UART_LCR = 3,
	UART_MCR = 4,
	UART_LSR = 5,
};
#define LCR_8N1	     0x03
#define LCR_DLAB     0x80
#define FCR_CLEAR_ON 0x07
#define MCR_DTR_RTS  0x03
#define LSR_THRE     0x20
/* A byte takes 87 us and a port read about one. */
#define THRE_POLLS	 20000

#define VGA_TEXT	 0xb8000
#define VGA_COLUMNS	 80
#define VGA_ROWS	 25
#define VGA_BLANK	 0x0720
#define CRTC_INDEX	 0x3d4
#define CRTC_DATA	 0x3d5
#define CRTC_CURSOR_HIGH 0x0e
#define CRTC_CURSOR_LOW	 0x0f

static struct {
	u16 base;
	bool chosen;
	bool dead; /* it let a byte wait too long: do not ask it again */
} serial;
static u32 vga_at; /* row * VGA_COLUMNS + column */

static void serial_put(char c)
{
	for (u32 i = 0; i < THRE_POLLS; i++) {
		if (inb(serial.base + UART_LSR) & LSR_THRE) {
			outb(serial.base + UART_THR, (u8)c);
			return;
		}
	}
	serial.dead = true;
}

static void serial_write(const char *text, size_t len)
{
	for (size_t i = 0; i < len && !serial.dead; i++) {
		if (text[i] == '\n')
			serial_put('\r');
		if (!serial.dead)
			serial_put(text[i]);
	}
}

void console_serial_on(u16 base)
{
	serial.chosen = true;
	if (!base)
		return;
	serial.base = base;
	outb(base + UART_IER, 0);
	outb(base + UART_LCR, LCR_DLAB | LCR_8N1);
	outb(base + UART_THR, 1);
	outb(base + UART_IER, 0);
	outb(base + UART_LCR, LCR_8N1);
	outb(base + UART_FCR, FCR_CLEAR_ON);
	outb(base + UART_MCR, MCR_DTR_RTS);
	log_add_sink(serial_write);
}

static u8 crtc_read(u8 index)
{
	outb(CRTC_INDEX, index);
	return inb(CRTC_DATA);
}

static void crtc_write(u8 index, u8 value)
{
	outb(CRTC_INDEX, index);
	outb(CRTC_DATA, value);
}

static void vga_scroll(volatile u16 *cell)
{
	u32 last = (VGA_ROWS - 1) * VGA_COLUMNS;

	for (u32 i = 0; i < last; i++)
		cell[i] = cell[i + VGA_COLUMNS];
	for (u32 i = last; i < VGA_ROWS * VGA_COLUMNS; i++)
		cell[i] = VGA_BLANK;
	vga_at -= VGA_COLUMNS;
}

static void vga_put(volatile u16 *cell, char c)
{
	if (c == '\n') {
		vga_at += VGA_COLUMNS - vga_at % VGA_COLUMNS;
	} else {
		cell[vga_at++] = (u16)((VGA_BLANK & 0xff00) | (u8)c);
	}
	if (vga_at >= VGA_ROWS * VGA_COLUMNS)
		vga_scroll(cell);
}

static void vga_write(const char *text, size_t len)
{
	volatile u16 *cell = host_device(VGA_TEXT);

	for (size_t i = 0; i < len; i++)
		vga_put(cell, text[i]);
	crtc_write(CRTC_CURSOR_HIGH, (u8)(vga_at >> 8));
	crtc_write(CRTC_CURSOR_LOW, (u8)vga_at);
}

void console_vga_on(void)
{
	vga_at = (u32)crtc_read(CRTC_CURSOR_HIGH) << 8 |
		 crtc_read(CRTC_CURSOR_LOW);
	if (vga_at % VGA_COLUMNS)
		vga_at += VGA_COLUMNS - vga_at % VGA_COLUMNS;
	if (vga_at >= VGA_ROWS * VGA_COLUMNS)
		vga_at = 0;
	log_remove_sink(vga_write);
	log_add_sink(vga_write);
}

void console_vga_off(void)
{
	log_remove_sink(vga_write);
}

void console_emergency(void)
{
	if (!serial.chosen)
		console_serial_on(COM1);
	console_vga_on();
}

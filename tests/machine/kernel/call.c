#include "call.h"

bool call_vmmcall;

/* An interrupt that waits, with interrupts off, would keep programs from going
 * on (hypercall.h): the PICs' are masked, the local APIC's are off. */
void call_init(void)
{
	u32 r[4];

	cpuid(0, 0, r);
	call_vmmcall = r[1] == 0x68747541;
	out8(0x21, 0xff);
	out8(0xa1, 0xff);
}

int64_t call(u32 number, struct shoji_regs *r)
{
	r->rax = SHOJI_MAGIC | number;
	return shoji_hypercall(call_vmmcall, r);
}

int64_t call_send(u64 to, u32 type, const void *request, u64 length,
		  void *reply, u64 room)
{
	struct shoji_regs r = {
		.rbx = to,
		.rcx = (u64)request,
		.rdx = length,
		.rsi = (u64)reply,
		.rdi = room,
		.r8 = type,
	};
	int64_t rc = call(SHOJI_SEND, &r);

	for (u32 i = 0; rc == -SHOJI_EAGAIN && i < CALL_WAITS; i++) {
		r.rbx = r.rdx;
		rc = call(SHOJI_WAIT, &r);
	}
	return rc;
}

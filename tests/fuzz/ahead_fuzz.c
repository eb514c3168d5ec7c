/*
 * Running ahead: any code and registers behind accesses to a hooked port, or
 * from a trapped access on, one round after the other, so that what an earlier
 * one has left is met. The guest's memory is all that may change.
 *
 * runs: 500
 * units: tests/unit/fake_guest.c core/virt/portio.c core/virt/ahead.c core/virt/run.c core/virt/insn.c core/io/port.c core/mm/walk.c core/emul/decode.c core/emul/exec.c core/emul/flow.c core/emul/string.c
 * libs: -include tests/unit/fake_guest.h
 */
#include <stdlib.h>
#include <string.h>

#include "core/arch/cpuid.h"
#include "core/arch/regs.h"
#include "core/io/port.h"
#include "core/lib/range.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define PORT   0x1f0
#define CODE   0x1002
#define ROUND  40 /* bytes: registers, flags, code */
#define ROUNDS 4  /* of up to 768 instructions each */

static enum verdict device_fn(void *ctx, const struct port_io *io)
{
	if (!io->write)
		memset(io->data, 0x5a, (size_t)io->count * io->size);
	return DONE;
}

u32 hw_in(u16 port, u8 size)
{
	return 0xffffffff;
}

void hw_out(u16 port, u8 size, u32 value)
{
	abort(); /* only ports that a driver knows are written */
}

void hw_ins(u16 port, u8 size, void *dst, u32 count)
{
}

void hw_outs(u16 port, u8 size, const void *src, u32 count)
{
}

void *pool_alloc_run(size_t pages)
{
	static void *state;

	free(state);
	state = calloc(pages, PAGE_SIZE);
	return state;
}

static void one_round(struct vcpu *v, const u8 *data)
{
	const struct vmexit exit = {
		.kind = VMEXIT_IO,
		.insn_len = 2,
		.io = { .port = PORT, .size = 1, .write = true },
	};
	static const u64 places[] = { 0x5000, 0x5ff8,	      0x6000, 0x7000,
				      CODE,   0x800000000000, PORT,   5 };

	for (int i = 0; i < 8; i++)
		v->gpr[i] = places[data[i] & 7] + (s8)data[i] / 8;
	v->rip = CODE - 2;
	v->rflags = RFLAGS_FIXED | RFLAGS_IF | (data[8] & RFLAGS_CF);
	v->event.valid = false;
	memcpy(fake.ram + CODE, data + 9, ROUND - 9);
	if (!(data[8] & 2)) {
		guest_io(v, &exit);
	} else { /* the first one's access was trapped */
		v->rip = CODE;
		if (!guest_emulate_ahead(v, 0, data[8] & 4) && v->rip != CODE)
			abort();
	}
	if (v->event.valid)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct port_hook hook = { .first = PORT,
					 .count = 8,
					 .fn = device_fn };
	struct vcpu *v = fake_start();

	if (!hook.range)
		port_hook_add(&hook);
	fake.id[0].edx = CPUID_80000001_EDX_RDTSCP;
	fake_mode(v, 64, 0);
	fake_paging(v);
	fake_page(0x6000, FAKE_DEVICE | PTE_P | PTE_W);
	fake_page(0x7000, 0);
	guest_ahead_init(v);
	for (u32 i = 0; i < ROUNDS && range_ok(i * ROUND, ROUND, size); i++)
		one_round(v, data + i * ROUND);
	return 0;
}

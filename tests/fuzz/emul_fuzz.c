/*
 * Any bytes with any registers, over memory whose callbacks fail when the
 * input says so: no undefined behaviour, no odd access size, and a fault
 * leaves the state as it was, but for the completed part of a REP.
 *
 * units: core/emul/decode.c core/emul/exec.c core/emul/string.c core/emul/flow.c
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/emul/insn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct script {
	const u8 *data;
	size_t size, pos;
	unsigned int writes;
	bool fault, write_after_fault;
};

static u8 next(struct script *s)
{
	return s->pos < s->size ? s->data[s->pos++] : 0;
}

static int outcome(struct script *s, unsigned int seg, unsigned int size)
{
	if (seg > SEG_GS ||
	    (size != 1 && size != 2 && size != 4 && size != 8) || s->fault)
		abort();
	s->fault = next(s) > 0xe0;
	return s->fault;
}

static int mem_read(void *ctx, unsigned int seg, u64 offset, void *dst,
		    unsigned int size)
{
	if (outcome(ctx, seg, size))
		return 1;
	for (unsigned int i = 0; i < size; i++)
		((u8 *)dst)[i] = (u8)(offset + i);
	return 0;
}

static int mem_write(void *ctx, unsigned int seg, u64 offset, const void *src,
		     unsigned int size)
{
	u8 copy[8];

	if (outcome(ctx, seg, size))
		return 1;
	memcpy(copy, src, size);
	((struct script *)ctx)->writes++;
	return 0;
}

static int mem_probe(void *ctx, unsigned int seg, u64 offset, unsigned int size)
{
	return outcome(ctx, seg, size);
}

static void check_fault(const struct insn *in, const struct emul_cpu *before,
			const struct emul_cpu *after, unsigned int writes)
{
	bool string = in->op >= INSN_MOVS && in->op <= INSN_LODS;

	if (after->rip != before->rip || after->rflags != before->rflags)
		abort();
	if (in->rep && string)
		return;
	if (memcmp(before, after, sizeof(*before)) || writes)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const u8 widths[4] = { 16, 32, 64, 64 };
	struct emul_cpu cpu = { 0 }, before;
	struct script script = { .data = data, .size = size };
	struct emul_mem mem = { mem_read, mem_write, mem_probe, &script };
	u8 bytes[INSN_MAX];
	struct insn in;
	int error, decoded;
	size_t n;

	cpu.bits = widths[next(&script) & 3];
	cpu.stack_bits = widths[next(&script) & 1];
	n = next(&script) % (INSN_MAX + 1);
	for (size_t i = 0; i < n; i++)
		bytes[i] = next(&script);
	for (int i = 0; i < 16; i++)
		cpu.gpr[i] = (u64)((s64)(s8)next(&script) * 0x10001);
	cpu.rflags = next(&script) | next(&script) << 8;
	cpu.rip = (u64)(s64)(s8)next(&script) * 0x1000001;
	before = cpu;

	decoded = insn_decode(&in, bytes, n, cpu.bits);
	error = emul_step(&cpu, bytes, n, &mem);
	if (decoded && error != decoded)
		abort();
	if (!decoded && (!in.length || in.length > n))
		abort();
	if (!decoded && in.op >= INSN_FIRST_SYSTEM && error != -ENOSYS)
		abort();
	if (script.fault != (error == EMUL_MEM_FAULT))
		abort();
	if (error == EMUL_MEM_FAULT)
		check_fault(&in, &before, &cpu, script.writes);
	else if (error && memcmp(&cpu, &before, sizeof(cpu)))
		abort();
	return 0;
}

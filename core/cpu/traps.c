#include "core/cpu/traps.h"

#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/cpu/cpu.h"
#include "core/cpu/panic.h"

#define VECTORS	   32 /* interrupts are off: none above comes */
#define STUB_BYTES 16

struct idt_gate { /* SDM vol. 3, 6.14.1 */
	le16 offset_low;
	le16 selector;
	u8 ist;
	u8 attr;
	le16 offset_mid;
	le32 offset_high;
	le32 reserved;
};
static_assert(sizeof(struct idt_gate) == 16, "SDM vol. 3, figure 6-8");

#define GATE_INTERRUPT 0x8e /* present, DPL 0, interrupt gate */

struct fixup {
	u64 insn;
	u64 target;
};

/* traps.S */
extern const u8 trap_stubs[VECTORS][STUB_BYTES];
extern const struct fixup trap_fixups[];
void trap_handle(struct trap_frame *f);

static struct idt_gate idt[VECTORS] __attribute__((aligned(16)));

void traps_init(void)
{
	for (unsigned int i = 0; i < VECTORS; i++) {
		u64 entry = (u64)trap_stubs[i];

		idt[i] = (struct idt_gate){
			.offset_low = (u16)entry,
			.selector = CPU_CS,
			.ist = i == VECTOR_NMI ? TRAP_IST_NMI : TRAP_IST_FATAL,
			.attr = GATE_INTERRUPT,
			.offset_mid = (u16)(entry >> 16),
			.offset_high = (u32)(entry >> 32),
		};
	}
}

void traps_load(void)
{
	struct descriptor_table t = { sizeof(idt) - 1, (u64)idt };

	lidt(&t);
}

u64 traps_idt_base(void)
{
	return (u64)idt;
}

void trap_handle(struct trap_frame *f)
{
	const struct fixup *x;

	/* An INIT (VM_CR.R_INIT) of which the exit has told us already. */
	if (f->vector == VECTOR_SX)
		return;
	for (x = trap_fixups; x->insn; x++) {
		if (x->insn == f->rip &&
		    (f->vector == VECTOR_GP || f->vector == VECTOR_UD)) {
			f->rip = x->target;
			return;
		}
	}
	panic_trap(f);
}

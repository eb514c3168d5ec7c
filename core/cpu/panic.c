#include "core/cpu/panic.h"

#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/cpu/apic.h"
#include "core/cpu/console.h"
#include "core/cpu/cpu.h"
#include "core/cpu/reset.h"
#include "core/cpu/symbols.h"
#include "core/cpu/time.h"
#include "core/cpu/trace.h"
#include "core/lib/fmt.h"
#include "core/lib/log.h"
#include "core/lib/log_sink.h"
#include "core/lib/panic.h"
#include "core/lib/range.h"

#define TRACE_MAX     24
#define STOP_DELAY_US 1000

static struct {
	u32 owner; /* index + 1 of the CPU that panics */
	u32 again; /* it came here a second time */
	bool wiped;
	enum panic_action action;
	void (*stop)(void);
	void (*wipe)(void);
} state;

void panic_set_stop_fn(void (*fn)(void))
{
	state.stop = fn;
}

void panic_set_wipe_fn(void (*fn)(void))
{
	state.wipe = fn;
}

void panic_set_action(enum panic_action action)
{
	state.action = action;
}

bool panic_active(void)
{
	return __atomic_load_n(&state.owner, __ATOMIC_RELAXED);
}

void panic_stop(void)
{
	for (;;) {
		cli();
		hlt();
	}
}

static void wipe_keys(void)
{
	if (!state.wiped && state.wipe)
		state.wipe();
	state.wiped = true;
}

static noreturn void end(void)
{
	if (state.action == PANIC_REBOOT)
		machine_reset();
	panic_stop();
}

/* The index of this CPU by its stack: GS may be what is broken. */
static u32 this_cpu(void)
{
	u64 low, high;
	struct cpu *c =
		cpu_find_stack((u64)__builtin_frame_address(0), &low, &high);

	return c ? c->index : 0;
}

/* Returns to the first CPU, and only once. */
static void claim(u32 me)
{
	u32 owner = 0;

	if (__atomic_compare_exchange_n(&state.owner, &owner, me + 1, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return;
	if (owner != me + 1 || state.again++)
		panic_stop();
	/* Something broke while printing: what matters is below. */
	wipe_keys();
	end();
}

/*
 * An NMI makes a CPU leave the guest, and in host mode its handler sees the
 * flag and halts; the second one is for back ends that consume the first.
 * INIT is for a CPU whose guest holds NMIs off. Never to the boot processor,
 * index 0: INIT would make that one run the firmware (SDM vol. 3, 8.4.4.2);
 * panic_active() ends it at its next exit.
 */
static void stop_others(u32 me)
{
	if (cpu_count() < 2)
		return;
	for (u32 i = 0; i < cpu_count(); i++)
		cpu_get(i)->stop = i != me;
	mfence();
	if (state.stop)
		state.stop();
	apic_send_nmi_others();
	delay_us(STOP_DELAY_US);
	apic_send_nmi_others();
	delay_us(STOP_DELAY_US);
	for (u32 i = 1; i < cpu_count(); i++) {
		if (i != me)
			apic_send_init(cpu_get(i)->apic_id);
	}
	delay_us(STOP_DELAY_US);
}

static void print_registers(const struct trap_frame *f)
{
	log_line("vector %llu, error %llx, cs:rip %llx:%016llx",
		 (unsigned long long)f->vector, (unsigned long long)f->error,
		 (unsigned long long)f->cs, (unsigned long long)f->rip);
	log_line("ss:rsp %llx:%016llx rflags %llx", (unsigned long long)f->ss,
		 (unsigned long long)f->rsp, (unsigned long long)f->rflags);
#define REGS3(n1, v1, n2, v2, n3, v3)                                \
	log_line(n1 " %016llx " n2 " %016llx " n3 " %016llx",        \
		 (unsigned long long)(v1), (unsigned long long)(v2), \
		 (unsigned long long)(v3))
	REGS3("rax", f->rax, "rbx", f->rbx, "rcx", f->rcx);
	REGS3("rdx", f->rdx, "rsi", f->rsi, "rdi", f->rdi);
	REGS3("rbp", f->rbp, "r8 ", f->r8, "r9 ", f->r9);
	REGS3("r10", f->r10, "r11", f->r11, "r12", f->r12);
	REGS3("r13", f->r13, "r14", f->r14, "r15", f->r15);
	REGS3("cr0", read_cr0(), "cr2", read_cr2(), "cr3", read_cr3());
	REGS3("cr4", read_cr4(), "dr6", read_dr6(), "dr7", read_dr7());
#undef REGS3
}

/* @at: the address to name, the one shown is @pc. */
static void print_pc(size_t n, u64 pc, u64 at)
{
	u64 offset = 0;
	const char *name = symbols_find(&symbol_table, at, &offset);

	if (name)
		log_line("  #%zu %016llx %s+0x%llx", n, (unsigned long long)pc,
			 name, (unsigned long long)(offset + (pc - at)));
	else
		log_line("  #%zu %016llx", n, (unsigned long long)pc);
}

static void print_trace(const struct trap_frame *f, u64 rbp)
{
	u64 pc[TRACE_MAX];
	u64 low, high;
	size_t first = 0;
	size_t n;

	/* On a stack that is not ours (early in boot), only its page is safe. */
	if (!cpu_find_stack(f ? f->rsp : rbp, &low, &high)) {
		low = f ? f->rsp : rbp;
		high = align_up(low + 1, PAGE_SIZE);
	}
	log_line("call trace:");
	if (f)
		print_pc(first++, f->rip, f->rip);
	n = trace_walk(rbp, low, high, pc, TRACE_MAX);
	for (size_t i = 0; i < n; i++)
		print_pc(first + i, pc[i], pc[i] - 1);
}

static noreturn void die(const char *text, const struct trap_frame *f, u64 rbp)
{
	u32 me = this_cpu();

	cli();
	claim(me);
	stop_others(me);
	wipe_keys();
	log_break_lock();
	console_emergency();
	log_line("panic on CPU %u: %s", me, text);
	if (f)
		print_registers(f);
	print_trace(f, rbp);
	end();
}

void panic(const char *format, ...)
{
	char text[LOG_LINE_MAX];
	va_list args;

	va_start(args, format);
	fmt_vprint(text, sizeof(text), format, args);
	va_end(args);
	die(text, NULL, (u64)__builtin_frame_address(0));
}

void panic_trap(const struct trap_frame *f)
{
	static const char *const names[] = {
		[VECTOR_DE] = "divide error",
		[VECTOR_DB] = "debug exception",
		[VECTOR_BP] = "breakpoint",
		[VECTOR_UD] = "invalid opcode",
		[VECTOR_NM] = "device not available",
		[VECTOR_DF] = "double fault",
		[VECTOR_TS] = "invalid TSS",
		[VECTOR_NP] = "segment not present",
		[VECTOR_SS] = "stack fault",
		[VECTOR_GP] = "general protection fault",
		[VECTOR_PF] = "page fault",
		[VECTOR_MF] = "x87 error",
		[VECTOR_AC] = "alignment check",
		[VECTOR_MC] = "machine check",
		[VECTOR_XM] = "SIMD error",
	};
	const char *name = NULL;

	if (f->vector < ARRAY_SIZE(names))
		name = names[f->vector];
	die(name ? name : "exception in host mode", f, f->rbp);
}

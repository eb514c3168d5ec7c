/*
 * The parts of the VT-x back end that only compute: refusals of the CPU,
 * decoding of exits, the guest's registers, EPT entries.
 *
 * units: core/virt/vmx/check.c core/virt/vmx/exit.c core/virt/vmx/state.c core/virt/vmx/ept.c
 * libs: -include tests/unit/fake_vmx.h
 */
#include "core/virt/vmx/vmx.h"

#include <string.h>

#include "core/lib/errors.h"
#include "core/lib/log.h"
#include "core/mm/gmem.h"
#include "core/virt/vmx/vmcs.h"
#include "tests/unit/test.h"

struct fake fake;
static struct vmx_cpu hw;
static struct vcpu v;
static u8 guest_memory[PAGE_SIZE];

void log_line(const char *format, ...)
{
	(void)format;
}

int gmem_read(gpa_t gpa, void *dst, size_t len)
{
	if (gpa >= PAGE_SIZE || len > PAGE_SIZE - gpa)
		return -EFAULT;
	memcpy(dst, guest_memory + gpa, len);
	return 0;
}

/* A CPU like Bochs' corei7_haswell_4770. */
static void machine(void)
{
	static const u64 vmx_msrs[] = {
		0xd810000000002b, 0x7f00000016,	  0xf7f9fffe0401e172,
		0x7fffff00036dff, 0xffff000011ff, 0x200401e0,
		0x80000021,	  0xffffffff,	  0x2000,
		0x1727ff,	  0x34,		  0x47fff00000000,
		0xf0106334141,	  0x7f00000016,	  0xf7f9fffe04006172,
		0x7fffff00036dfb, 0xffff000011fb, 1,
	};

	memset(&fake, 0, sizeof(fake));
	memset(&hw, 0, sizeof(hw));
	memset(&v, 0, sizeof(v));
	v.hw = &hw;
	memcpy(&fake.msr[0x480], vmx_msrs, sizeof(vmx_msrs));
	fake.features.ecx = 1 << 5;
	fake.maxphyaddr = 40;
}

static struct vmexit exit_with(u32 reason, u64 qualification)
{
	struct vmexit e;

	fake.vmcs[EXIT_REASON] = reason;
	fake.vmcs[EXIT_QUALIFICATION] = qualification;
	fake.vmcs[EXIT_INSTRUCTION_LENGTH] = 3;
	vmx_decode_exit(&e);
	return e;
}

/* ---- check -------------------------------------------------------------- */

static bool says(const char *word)
{
	const char *text = vmx_check();

	return text && strstr(text, word);
}

TEST(check_accepts_the_machine)
{
	machine();
	EXPECT(!vmx_check());
	EXPECT_EQ(vmx_caps->pin, 0x3e);
	EXPECT_EQ(vmx_caps->proc, 0x96006172);
	EXPECT_EQ(vmx_caps->proc2, 0x10aa);
	EXPECT_EQ(vmx_caps->cr0_mask, 0x20);
	EXPECT_EQ(vmx_caps->cr4_mask, 0x6000);
	EXPECT_EQ(vmx_nested_format()->max_level, 3);
}

TEST(check_names_what_is_missing)
{
	machine();
	fake.features.ecx = 0;
	EXPECT(says("no Intel VT-x"));
	machine();
	fake.msr[0x3a] = 1;
	EXPECT(says("switched off by the firmware"));
	fake.msr[0x3a] = 5;
	EXPECT(!vmx_check());
	fake.msr[0x3a] = 0;
	EXPECT(!vmx_check());
	machine();
	fake.msr[0x48d] &= ~(0x20ULL << 32);
	EXPECT(says("virtual NMIs"));
	machine();
	fake.msr[0x48e] &= ~(1ULL << 60);
	EXPECT(says("MSR bitmaps"));
	machine();
	fake.msr[0x480] &= ~(1ULL << 55); /* no "true" controls */
	EXPECT(says("CR3"));
	machine();
	fake.msr[0x48e] &= ~(1ULL << 63);
	EXPECT(says("EPT"));
	machine();
	fake.msr[0x48f] &= ~(1ULL << 53);
	EXPECT(says("EFER and PAT"));
	machine();
	fake.msr[0x490] &= ~(1ULL << 46);
	EXPECT(says("EFER and PAT"));
	machine();
	fake.msr[0x48b] &= ~(2ULL << 32);
	EXPECT(says("EPT"));
	machine();
	fake.msr[0x48b] &= ~(0x80ULL << 32);
	EXPECT(says("unrestricted guest"));
	machine();
	fake.msr[0x48c] &= ~(1ULL << 14);
	EXPECT(says("write-back"));
}

TEST(check_takes_only_controls_the_cpu_has)
{
	machine();
	fake.msr[0x48c] &= ~(1ULL << 41); /* no single-context INVVPID */
	EXPECT(!vmx_check());
	EXPECT_EQ(vmx_caps->proc2, 0x108a);
	fake.msr[0x48b] = 0xffffffffULL << 32;
	fake.msr[0x48c] |= 1ULL << 41;
	EXPECT(!vmx_check());
	EXPECT_EQ(vmx_caps->proc2, 0x0c1010aa);
}

/* ---- exits -------------------------------------------------------------- */

TEST(exit_of_an_instruction)
{
	struct vmexit e;

	machine();
	e = exit_with(10, 0);
	EXPECT_EQ(e.kind, VMEXIT_CPUID);
	EXPECT_EQ(e.insn_len, 3);
	EXPECT(!e.delivering.valid);
	e = exit_with(27, 0);
	EXPECT_EQ(e.kind, VMEXIT_VIRT_INSN);
	e = exit_with(18, 0);
	EXPECT_EQ(e.kind, VMEXIT_HYPERCALL);
	e = exit_with(2, 0);
	EXPECT_EQ(e.kind, VMEXIT_SHUTDOWN);
	EXPECT_EQ(e.insn_len, 0);
	e = exit_with(77, 0);
	EXPECT_EQ(e.kind, VMEXIT_UNKNOWN);
	EXPECT_EQ(e.raw, 77);
	e = exit_with(6, 0);
	EXPECT_EQ(e.kind, VMEXIT_UNKNOWN);
	e = exit_with(8, 0);
	EXPECT_EQ(e.kind, VMEXIT_WINDOW);
	fake.vmcs[EXIT_INTERRUPTION_INFO] = 0x80000202;
	e = exit_with(0, 0);
	EXPECT_EQ(e.kind, VMEXIT_NMI);
}

TEST(exit_of_io)
{
	struct vmexit e;

	machine();
	EXPECT(!vmx_check());
	e = exit_with(30, 0x01f70008); /* in al, 1f7 */
	EXPECT_EQ(e.kind, VMEXIT_IO);
	EXPECT_EQ(e.io.port, 0x1f7);
	EXPECT_EQ(e.io.size, 1);
	EXPECT(!e.io.write && !e.io.string && !e.io.rep);
	fake.vmcs[EXIT_INSTRUCTION_INFO] = 4 << 15 | 1 << 7;
	e = exit_with(30, 0x01f00031); /* rep outs fs:[esi], 16 bits */
	EXPECT(e.io.write && e.io.string && e.io.rep);
	EXPECT_EQ(e.io.size, 2);
	EXPECT_EQ(e.io.addr_size, 4);
	EXPECT_EQ(e.io.seg, SEG_FS);
	e = exit_with(30, 0x01f0001b); /* ins, 32 bits */
	EXPECT(!e.io.write && e.io.string && !e.io.rep);
	EXPECT_EQ(e.io.size, 4);
	fake.msr[0x480] &= ~(1ULL << 54);
	EXPECT(!vmx_check());
	e = exit_with(30, 0x01f00031);
	EXPECT_EQ(e.io.addr_size, 0);
	EXPECT_EQ(e.io.seg, 0xff);
}

TEST(exit_of_control_registers)
{
	struct vmexit e;

	machine();
	e = exit_with(28, 0xb04); /* mov cr4, r11 */
	EXPECT_EQ(e.kind, VMEXIT_CR_WRITE);
	EXPECT_EQ(e.cr.cr, 4);
	EXPECT_EQ(e.cr.gpr, 11);
	e = exit_with(28, 0x018); /* mov rax, cr8 */
	EXPECT_EQ(e.kind, VMEXIT_CR_READ);
	EXPECT_EQ(e.cr.cr, 8);
	e = exit_with(28, 0x20);
	EXPECT_EQ(e.kind, VMEXIT_UNKNOWN); /* clts */
	e = exit_with(28, 0x12340030);
	EXPECT_EQ(e.kind, VMEXIT_UNKNOWN); /* lmsw */
}

TEST(exit_of_nested_faults)
{
	struct vmexit e;

	machine();
	fake.vmcs[GUEST_PHYSICAL_ADDRESS] = 0x123456789;
	e = exit_with(48, 0x182); /* a write to the linear address */
	EXPECT_EQ(e.kind, VMEXIT_NESTED_FAULT);
	EXPECT_EQ(e.fault.gpa, 0x123456789);
	EXPECT(e.fault.write && !e.fault.read && !e.fault.exec);
	EXPECT(!e.fault.table);
	EXPECT_EQ(e.insn_len, 0);
	e = exit_with(48, 0x083);
	EXPECT(e.fault.table);
	e = exit_with(48, 0x184);
	EXPECT(e.fault.exec && !e.fault.table);
	e = exit_with(49, 0);
	EXPECT_EQ(e.kind, VMEXIT_UNKNOWN);
}

TEST(exit_of_task_switches)
{
	struct vmexit e;

	machine();
	e = exit_with(9, 0x40000028);
	EXPECT_EQ(e.kind, VMEXIT_TASK_SWITCH);
	EXPECT_EQ(e.task.source, TASK_IRET);
	EXPECT_EQ(e.task.selector, 0x28);
	EXPECT_EQ(e.insn_len, 3);
	fake.vmcs[IDT_VECTORING_INFO] = 0x80000b08; /* #DF, by a task gate */
	e = exit_with(9, 0xc0000030);
	EXPECT_EQ(e.task.source, TASK_GATE);
	EXPECT_EQ(e.insn_len, 0);
	EXPECT(e.delivering.valid && e.delivering.has_error);
	fake.vmcs[IDT_VECTORING_INFO] =
		0x80000480; /* INT 80h, by a task gate */
	e = exit_with(9, 0xc0000030);
	EXPECT_EQ(e.insn_len, 3);
	EXPECT_EQ(e.delivering.type, VEVENT_SOFT_INT);
	EXPECT_EQ(e.delivering.vector, 0x80);
}

TEST(exit_while_an_event_is_delivered)
{
	struct vmexit e;

	machine();
	fake.vmcs[IDT_VECTORING_INFO] = 0x80000b0e;
	fake.vmcs[IDT_VECTORING_ERROR] = 2;
	e = exit_with(48, 0x182);
	EXPECT(e.delivering.valid && e.delivering.has_error);
	EXPECT_EQ(e.delivering.vector, 14);
	EXPECT_EQ(e.delivering.type, VEVENT_EXCEPTION);
	EXPECT_EQ(e.delivering.error, 2);
	fake.vmcs[IDT_VECTORING_INFO] = 0x80000603; /* INT3 */
	e = exit_with(48, 0x182);
	EXPECT_EQ(e.delivering.type, VEVENT_SW_EXCEPTION);
	EXPECT_EQ(e.delivering.insn_len, 3);
	EXPECT(!e.delivering.has_error);
	fake.vmcs[IDT_VECTORING_INFO] = 0x00000b0e;
	e = exit_with(48, 0x182);
	EXPECT(!e.delivering.valid);
}

TEST(nmi_blocking_after_exits)
{
	machine();
	/* The delivery of an NMI failed: it comes again, nothing blocks it. */
	fake.vmcs[IDT_VECTORING_INFO] = 0x80000202;
	fake.vmcs[GUEST_INTERRUPTIBILITY] = 8;
	exit_with(48, 0x182);
	EXPECT_EQ(fake.vmcs[GUEST_INTERRUPTIBILITY], 0);
	/* By a task gate the delivery is the task switch. */
	exit_with(9, 0xc0000030);
	EXPECT_EQ(fake.vmcs[GUEST_INTERRUPTIBILITY], 8);
	/* IRET to another task ends the blocking. */
	fake.vmcs[IDT_VECTORING_INFO] = 0;
	exit_with(9, 0x40000030);
	EXPECT_EQ(fake.vmcs[GUEST_INTERRUPTIBILITY], 0);
	/* IRET had ended it, then its stack was not there. */
	exit_with(48, 0x1181);
	EXPECT_EQ(fake.vmcs[GUEST_INTERRUPTIBILITY], 8);
	/* Not meaningful while an event is delivered. */
	fake.vmcs[GUEST_INTERRUPTIBILITY] = 0;
	fake.vmcs[IDT_VECTORING_INFO] = 0x80000b0e;
	exit_with(48, 0x1181);
	EXPECT_EQ(fake.vmcs[GUEST_INTERRUPTIBILITY], 0);
}

TEST(init_and_sipi_leave_a_state_that_can_be_entered)
{
	struct vmexit e;

	machine();
	fake.vmcs[GUEST_INTERRUPTIBILITY] = 5;
	fake.vmcs[GUEST_ACTIVITY_STATE] = ACTIVITY_HLT;
	e = exit_with(3, 0);
	EXPECT_EQ(e.kind, VMEXIT_INIT);
	EXPECT_EQ(fake.vmcs[GUEST_INTERRUPTIBILITY], 1);
	EXPECT_EQ(fake.vmcs[GUEST_ACTIVITY_STATE], ACTIVITY_HLT);
	fake.vmcs[GUEST_INTERRUPTIBILITY] = 4;
	fake.vmcs[GUEST_ACTIVITY_STATE] = ACTIVITY_WAIT_SIPI;
	e = exit_with(4, 0x9a);
	EXPECT_EQ(e.kind, VMEXIT_SIPI);
	EXPECT_EQ(e.sipi_vector, 0x9a);
	EXPECT_EQ(fake.vmcs[GUEST_INTERRUPTIBILITY], 0);
	EXPECT_EQ(fake.vmcs[GUEST_ACTIVITY_STATE], ACTIVITY_ACTIVE);
}

/* ---- registers ---------------------------------------------------------- */

TEST(cr0_and_cr4_read_as_written)
{
	machine();
	EXPECT(!vmx_check());
	fake.cr0 = 0x80000031;
	vmx_set(&v, VREG_CR0, 0x60000010);
	EXPECT_EQ(fake.vmcs[GUEST_CR0], 0x60000030);
	EXPECT_EQ(vmx_get(&v, VREG_CR0), 0x60000010);
	EXPECT_EQ(fake.cr0, 0xe0000031); /* CD and NW are not switched */
	vmx_set(&v, VREG_CR0, 0x31);
	EXPECT_EQ(fake.cr0, 0x80000031);
	EXPECT_EQ(vmx_get(&v, VREG_CR0), 0x31);
	/* What the guest sets without an exit is seen, too. */
	fake.vmcs[GUEST_CR0] |= 8;
	EXPECT_EQ(vmx_get(&v, VREG_CR0), 0x39);

	vmx_set(&v, VREG_CR4, 0x20);
	EXPECT_EQ(fake.vmcs[GUEST_CR4], 0x2020);
	EXPECT_EQ(vmx_get(&v, VREG_CR4), 0x20);
	vmx_set(&v, VREG_CR4, 0x4020); /* SMXE stays off */
	EXPECT_EQ(fake.vmcs[GUEST_CR4], 0x2020);
	EXPECT_EQ(vmx_get(&v, VREG_CR4), 0x4020);
	EXPECT(hw.flush_linear);
}

TEST(long_mode_follows_paging)
{
	machine();
	EXPECT(!vmx_check());
	fake.vmcs[ENTRY_CONTROLS] = 0xd1fb;
	vmx_set(&v, VREG_EFER, 0x100);
	vmx_set(&v, VREG_CR4, 0x20);
	EXPECT_EQ(vmx_get(&v, VREG_EFER), 0x100);
	vmx_set(&v, VREG_CR0, 0x80000031);
	EXPECT_EQ(vmx_get(&v, VREG_EFER), 0x500);
	EXPECT_EQ(fake.vmcs[ENTRY_CONTROLS], 0xd3fb);
	vmx_set(&v, VREG_EFER, 0x100); /* LMA is not the writer's */
	EXPECT_EQ(vmx_get(&v, VREG_EFER), 0x500);
	vmx_set(&v, VREG_CR0, 0x31);
	EXPECT_EQ(vmx_get(&v, VREG_EFER), 0x100);
	EXPECT_EQ(fake.vmcs[ENTRY_CONTROLS], 0xd1fb);
}

TEST(pae_paging_loads_the_pdptes)
{
	static const u64 table[4] = {
		0x5001,
		0x6003 /* reserved bit 1 */,
		0,
		0x10000000001 /* above 40 bits */,
	};

	machine();
	EXPECT(!vmx_check());
	memcpy(guest_memory + 0x60, table, sizeof(table));
	vmx_set(&v, VREG_CR4, 0x20);
	vmx_set(&v, VREG_CR3, 0x60);
	EXPECT_EQ(fake.vmcs[GUEST_PDPTE0], 0);
	vmx_set(&v, VREG_CR0, 0x80000011);
	EXPECT_EQ(fake.vmcs[GUEST_PDPTE0], 0x5001);
	EXPECT_EQ(fake.vmcs[GUEST_PDPTE0 + 2], 0);
	EXPECT_EQ(fake.vmcs[GUEST_PDPTE0 + 4], 0);
	EXPECT_EQ(fake.vmcs[GUEST_PDPTE0 + 6], 0);
	vmx_set(&v, VREG_CR3, 0x5000); /* not memory */
	EXPECT_EQ(fake.vmcs[GUEST_PDPTE0], 0);
}

TEST(shadows_end_with_the_instruction)
{
	machine();
	fake.vmcs[GUEST_INTERRUPTIBILITY] = 0xa;
	EXPECT_EQ(vmx_get(&v, VREG_INTERRUPTIBILITY), 1);
	vmx_set(&v, VREG_INTERRUPTIBILITY, 0);
	EXPECT_EQ(fake.vmcs[GUEST_INTERRUPTIBILITY], 8);
	EXPECT_EQ(vmx_get(&v, VREG_INTERRUPTIBILITY), 0);
}

TEST(segments)
{
	const struct vseg code = { 0x10, 0xa9b, 0xffffffff, 0 };
	const struct vseg null = { 0, 0, 0, 0 };
	const struct vseg table = { 0, 0, 0x7ff, 0xffffffff81000000 };
	struct vseg s;

	machine();
	vmx_set_seg(&v, SEG_CS, &code);
	EXPECT_EQ(fake.vmcs[0x802], 0x10);
	EXPECT_EQ(fake.vmcs[0x4802], 0xffffffff);
	EXPECT_EQ(fake.vmcs[0x4816], 0xa09b);
	vmx_get_seg(&v, SEG_CS, &s);
	EXPECT_EQ(s.attr, 0xa9b);
	EXPECT_EQ(s.selector, 0x10);
	vmx_set_seg(&v, SEG_FS, &null);
	EXPECT_EQ(fake.vmcs[0x481c], 0x10000);
	fake.vmcs[0x481c] = 0x1c093; /* unusable, with what was there before */
	vmx_get_seg(&v, SEG_FS, &s);
	EXPECT_EQ(s.attr, 0xc13);
	vmx_set_seg(&v, SEG_IDTR, &table);
	EXPECT_EQ(fake.vmcs[0x4812], 0x7ff);
	EXPECT_EQ(fake.vmcs[0x6818], 0xffffffff81000000);
	vmx_get_seg(&v, SEG_IDTR, &s);
	EXPECT_EQ(s.limit, 0x7ff);
	fake.vmcs[GUEST_SS_ACCESS_RIGHTS] = 0xf3;
	EXPECT_EQ(vmx_get(&v, VREG_CPL), 3);
}

/* ---- EPT ---------------------------------------------------------------- */

TEST(ept_entries_and_flushes)
{
	machine();
	EXPECT(!vmx_check());
	EXPECT_EQ(vmx_nested_attr(0, MEM_WB), 0);
	EXPECT_EQ(vmx_nested_attr(NESTED_R | NESTED_W | NESTED_X, MEM_WB),
		  0x37);
	EXPECT_EQ(vmx_nested_attr(NESTED_R, MEM_UC), 1);
	EXPECT_EQ(vmx_nested_attr(NESTED_W, MEM_WC), 0xb);
	EXPECT_EQ(vmx_eptp(0x1000), 0x101e);
	vmx_flush(&hw);
	EXPECT_EQ(fake.invepts + fake.invvpids, 0);
	hw.flush_nested = hw.flush_linear = true;
	vmx_flush(&hw);
	EXPECT_EQ(fake.invepts, 1);
	EXPECT_EQ(fake.invept_type, 1);
	EXPECT_EQ(fake.invvpids, 1);
	EXPECT(!hw.flush_nested && !hw.flush_linear);
	fake.msr[0x48c] &= ~(1ULL << 25);
	EXPECT(!vmx_check());
	hw.flush_nested = true;
	vmx_flush(&hw);
	EXPECT_EQ(fake.invept_type, 2);
	fake.msr[0x48c] &= ~(1ULL << 16);
	EXPECT(!vmx_check());
	EXPECT_EQ(vmx_nested_format()->max_level, 1);
}

TEST_MAIN(CASE(check_accepts_the_machine), CASE(check_names_what_is_missing),
	  CASE(check_takes_only_controls_the_cpu_has),
	  CASE(exit_of_an_instruction), CASE(exit_of_io),
	  CASE(exit_of_control_registers), CASE(exit_of_nested_faults),
	  CASE(exit_of_task_switches), CASE(exit_while_an_event_is_delivered),
	  CASE(nmi_blocking_after_exits),
	  CASE(init_and_sipi_leave_a_state_that_can_be_entered),
	  CASE(cr0_and_cr4_read_as_written), CASE(long_mode_follows_paging),
	  CASE(pae_paging_loads_the_pdptes),
	  CASE(shadows_end_with_the_instruction), CASE(segments),
	  CASE(ept_entries_and_flushes))

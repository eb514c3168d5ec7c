/*
 * A second CPU: started, interrupted, reset and started again in every order
 * that software may choose, and counted on.
 */
#include "kernel.h"

#define ICR	 0x300
#define ICR_HIGH 0x310
#define SVR	 0xf0
#define EOI	 0xb0
#define ID	 0x20

#define INIT	 0x4500
#define DEASSERT 0x8500
#define SIPI	 0x4600
#define NMI_IPI	 0x4400
#define FIXED	 0x4000
#define VECTOR	 0x50

/* mode.S: at any page below 1 MiB */
extern const u8 trampoline[], trampoline_end[], nmi16[];
extern volatile u64 ipi_count[8];

static volatile u32 alive; /* rises as long as the AP runs */
static volatile u32 starts, started_at, stop_in_hlt;
static u32 ap_id;

/* In the emulators a turn is some instructions: only that it ends counts. */
#define PATIENCE 20000000ULL

static bool wait_until(volatile u32 *what, u32 value)
{
	for (u64 i = 0; i < PATIENCE; i++) {
		if (*what == value)
			return true;
		__asm__ volatile("pause");
	}
	return false;
}

static void pause_for(u32 turns)
{
	while (turns--)
		__asm__ volatile("pause");
}

static void ipi(u32 id, u32 value)
{
	while (*apic(ICR) & 0x1000)
		;
	*apic(ICR_HIGH) = id << 24;
	*apic(ICR) = value;
	while (*apic(ICR) & 0x1000)
		;
}

/* The AP, in long mode, with a stack and nothing else. */
void ap_main(void)
{
	*apic(SVR) = 0x1ff;
	started_at = *(volatile u32 *)RUN;
	__atomic_add_fetch(&starts, 1, __ATOMIC_SEQ_CST);
	__asm__ volatile("sti");
	for (;;) {
		alive++;
		if (stop_in_hlt)
			__asm__ volatile("hlt");
	}
}

static void place(u32 page)
{
	memcpy((void *)(u64)(page << 12), trampoline,
	       (size_t)(trampoline_end - trampoline));
}

/* INIT, SIPI, SIPI as the specification has it. */
static bool start(u32 page)
{
	u32 before = starts;

	ipi(ap_id, INIT);
	ipi(ap_id, DEASSERT);
	pause_for(20000);
	ipi(ap_id, SIPI | page);
	pause_for(2000);
	ipi(ap_id, SIPI | page); /* ignored by a CPU that runs */
	return wait_until(&starts, before + 1);
}

static bool runs(void)
{
	u32 a = alive;

	for (u64 i = 0; i < PATIENCE; i++)
		if (alive != a)
			return true;
	return false;
}

/* After INIT it stands still. */
static bool stands(void)
{
	u32 a;

	pause_for(200000);
	a = alive;
	pause_for(2000000);
	return alive == a;
}

static void interrupts(u32 count)
{
	u32 lost = 0, nmis = nmi_count[ap_id & 7];
	u64 seen;

	for (u32 i = 0; i < count; i++) {
		seen = ipi_count[ap_id & 7];
		ipi(ap_id, FIXED | VECTOR);
		for (u64 n = 0; n < PATIENCE && ipi_count[ap_id & 7] == seen;
		     n++)
			;
		lost += ipi_count[ap_id & 7] != seen + 1;
	}
	check(!lost, "ipi", "%u of %u are lost or double", lost, count);
	lost = 0;
	for (u32 i = 0; i < count; i++) {
		u32 was = nmi_count[ap_id & 7];

		ipi(ap_id, NMI_IPI);
		for (u64 n = 0; n < PATIENCE && nmi_count[ap_id & 7] == was;
		     n++)
			;
		pause_for(100);
		lost += nmi_count[ap_id & 7] != was + 1;
	}
	check(!lost && nmi_count[ap_id & 7] == nmis + count, "nmi",
	      "%u of %u are lost or double", lost, count);
}

static void storm(u32 count)
{
	u32 bad = 0;

	for (u32 i = 0; i < count; i++) {
		u64 r = random64();
		u32 page = r & 0x100 ? 0x30 : 0x31;

		for (u32 n = 0; n < (r & 7); n++) {
			switch (r >> (16 + 4 * n) & 3) {
			case 0:
				ipi(ap_id, INIT);
				break;
			case 1:
				ipi(ap_id, SIPI | page);
				break;
			case 2: /* an NMI would find no IDT */
				ipi(ap_id, FIXED | VECTOR);
				break;
			default:
				ipi(ap_id, DEASSERT);
			}
			if (r >> (40 + n) & 1)
				pause_for(r >> 48 & 0xfff);
		}
		/* whatever has happened, an orderly start works */
		ipi(ap_id, INIT);
		pause_for(50000);
		if (!start(page) || started_at != page || !runs())
			bad++;
	}
	check(!bad, "storm", "%u of %u starts failed", bad, count);
}

/* The last start may come from an earlier SIPI of the storm. */
static void late_starts(void)
{
	pause_for(1000000);
}

void test_ap(void)
{
	u32 count = (u32)option("count", 50), n;

	*apic(SVR) = 0x1ff;
	/* an NMI that has waited for the SIPI; Bochs' BIOS dies of it */
	*(volatile u32 *)(2 * 4) = (u32)(u64)nmi16;
	ap_running = 1;
	ap_id = !(*apic(ID) >> 24);
	place(0x30);
	place(0x31);
	check(start(0x30) && started_at == 0x30 && runs(), "start",
	      "%u starts at 0x%x", starts, started_at);
	n = starts;
	ipi(ap_id, SIPI | 0x31);
	late_starts();
	check(starts == n && runs(), "sipi-to-running", "%u", starts);
	interrupts(count);
	stop_in_hlt = 1;
	interrupts(count);
	stop_in_hlt = 0;
	ipi(ap_id, FIXED | VECTOR);
	check(runs(), "out-of-hlt", " ");

	n = starts;
	ipi(ap_id, INIT);
	check(stands(), "init-to-running", " ");
	ipi(ap_id, NMI_IPI); /* held or lost, but does not start it */
	check(stands() && starts == n, "nmi-to-waiting", " ");
	ipi(ap_id, SIPI | 0x31);
	check(wait_until(&starts, n + 1) && started_at == 0x31 && runs(),
	      "sipi-after-init", "%u starts at 0x%x", starts, started_at);
	ipi(0xff, INIT | 0xc0000); /* all but self */
	check(stands(), "init-to-others", " ");
	ipi(0xff, SIPI | 0x30 | 0xc0000);
	check(wait_until(&starts, n + 2) && started_at == 0x30 && runs(),
	      "sipi-to-others", "%u starts", starts);
	storm(count);
	interrupts(count);
}

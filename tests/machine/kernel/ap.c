/*
 * Other CPUs: started, interrupted, reset and started again in every order
 * that software may choose, and counted on.
 *
 * Nothing here depends on how fast a CPU is: what has to happen is waited for,
 * and only what must not happen is given a while. What is expected is what
 * hardware promises: an NMI that comes while one is handled waits, and those
 * that come while one waits are one with it.
 */
#include "kernel.h"

#define ICR	 0x300
#define ICR_HIGH 0x310
#define SVR	 0xf0
#define ID	 0x20

#define INIT	 0x4500
#define DEASSERT 0x8500
#define SIPI	 0x4600
#define NMI_IPI	 0x4400
#define FIXED	 0x4000
#define OTHERS	 0xc0000
#define VECTOR	 0x50

/* mode.S: at any page below 1 MiB */
extern const u8 trampoline[], trampoline_end[], nmi16[], ud64[];
extern u8 ap_stacks[APS][AP_STACK];

/* What a CPU does. */
enum work {
	SPIN,	  /* with interrupts on */
	SPIN_CLI, /* off */
	HALT,
	FAULT, /* two #UD each time that "go" changes */
};

static volatile struct {
	u32 alive;	/* rises as long as it runs */
	u32 generation; /* of its last start */
	u32 page;	/* of the SIPI */
	enum work work, now;
} aps[APS];

static volatile u32 generation, go;
static void (*volatile extra_work)(void);
static u32 id; /* of the one that most is done to */
static u32 cpus;
static u32 tss[APS][32] __attribute__((aligned(128)));

/* ---- time ---- */

/* So many turns of a loop that something has to happen in: half a minute, so
 * that it does on a starved machine. */
#define PATIENCE 20000000U

static void pause_for(u32 turns)
{
	while (turns--)
		__asm__ volatile("pause");
}

#define WAIT_FOR(condition)                        \
	({                                         \
		u32 turns_ = PATIENCE;             \
		while (!(condition) && turns_--)   \
			__asm__ volatile("pause"); \
		(condition);                       \
	})

/* ---- the other CPUs ---- */

static void take_interrupts(void)
{
	u32 r[4];

	/* what waits is taken before the second of them has been executed */
	__asm__ volatile("sti; nop" ::: "memory");
	cpuid(0, 0, r);
}

static void do_work(u32 self)
{
	static u32 gone;
	enum work work = aps[self].work;

	if (work == SPIN_CLI)
		__asm__ volatile("cli");
	else
		__asm__ volatile("sti");
	aps[self].now = work;
	if (work == HALT)
		__asm__ volatile("hlt");
	if (work == FAULT && gone != go) {
		gone = go;
		__asm__ volatile("vmmcall; vmcall");
	}
	if (extra_work)
		extra_work();
}

/* In long mode, with a stack and nothing else. What is reported is not older
 * than the INIT before the generation changed: with CPUID it is taken. */
void ap_main(u32 self)
{
	u32 g = generation;

	*apic(SVR) = 0x1ff;
	take_interrupts();
	aps[self].page = *(volatile u32 *)RUN;
	aps[self].generation = g;
	for (;;) {
		aps[self].alive++;
		do_work(self);
	}
}

static void ipi(u32 to, u32 value)
{
	while (*apic(ICR) & 0x1000)
		;
	*apic(ICR_HIGH) = to << 24;
	*apic(ICR) = value;
	while (*apic(ICR) & 0x1000)
		;
}

static void place(u32 page)
{
	memcpy((void *)(u64)(page << 12), trampoline,
	       (size_t)(trampoline_end - trampoline));
}

static bool started(u32 which, u32 page)
{
	return WAIT_FOR(aps[which].generation == generation) &&
	       aps[which].page == page;
}

static bool runs(u32 which)
{
	u32 a = aps[which].alive;

	return WAIT_FOR(aps[which].alive != a);
}

/* INIT, SIPI, SIPI as the specification has it. */
static bool start(u32 page)
{
	ipi(id, INIT);
	ipi(id, DEASSERT);
	pause_for(20000);
	generation++;
	ipi(id, SIPI | page);
	pause_for(2000);
	ipi(id, SIPI | page); /* ignored by a CPU that runs */
	return started(id, page) && runs(id);
}

static bool interrupted(void)
{
	u64 was = ipi_count[id];

	ipi(id, FIXED | VECTOR);
	return WAIT_FOR(ipi_count[id] != was) && ipi_count[id] == was + 1;
}

/* It does @work, and nothing that was sent before is on its way. */
static bool set_work(enum work work)
{
	aps[id].work = SPIN;
	/* It may be on its way to HLT: then it takes another interrupt. */
	do {
		if (!interrupted())
			return false;
		pause_for(1000);
	} while (aps[id].now != SPIN);
	aps[id].work = work;
	return WAIT_FOR(aps[id].now == work);
}

/* It stands still at last. */
static bool stands(u32 which)
{
	u32 a, tries = 100;

	do {
		a = aps[which].alive;
		pause_for(300000);
	} while (aps[which].alive != a && --tries);
	return tries;
}

/* ---- interrupts and NMIs ---- */

static void interrupts(u32 count, const char *name)
{
	u32 bad = 0;

	for (u32 i = 0; i < count; i++)
		bad += !interrupted();
	check(!bad, name, "%u of %u are lost or double", bad, count);
}

/* @before: what is written to the ICR before, 0: nothing. */
static void nmis(enum work work, u32 count, u32 before, const char *name)
{
	bool set = set_work(work);
	u32 lost = 0, first = nmi_count[id], i;

	for (i = 0; i < count && !lost; i++) {
		u32 was = nmi_count[id], faults = ud_count;

		if (before)
			ipi(id, before);
		if (work == FAULT)
			go++;
		pause_for(random64() & 0xff);
		ipi(id, NMI_IPI);
		if (before)
			ipi(id, before);
		lost += !WAIT_FOR(nmi_count[id] != was);
		if (work == FAULT)
			lost += !WAIT_FOR(ud_count == faults + 2);
	}
	set = set && set_work(SPIN);
	check(set && !lost && nmi_count[id] - first == count, name,
	      "%u sent, %u seen", i, nmi_count[id] - first);
}

/* Three come while one is handled: one of them waits. */
static void nmis_merge(enum work work, const char *name)
{
	bool set = set_work(work);
	u32 was = nmi_count[id];

	nmi_hold = 1;
	ipi(id, NMI_IPI);
	set = set && WAIT_FOR(nmi_count[id] == was + 1);
	for (u32 i = 0; i < 3; i++)
		ipi(id, NMI_IPI);
	pause_for(10000);
	set = set && nmi_count[id] == was + 1;
	nmi_hold = 0;
	set = set && WAIT_FOR(nmi_count[id] == was + 2);
	set = set && set_work(SPIN);
	check(set && nmi_count[id] == was + 2, name, "%u", nmi_count[id] - was);
}

/* One after the other: some may be one. */
static void nmi_flood(enum work work, u32 count, const char *name)
{
	bool set = set_work(work);
	u32 was = nmi_count[id], n;

	for (u32 i = 0; i < count; i++)
		ipi(id, NMI_IPI);
	set = set && set_work(SPIN);
	n = nmi_count[id] - was;
	check(set && n && n <= count, name, "%u of %u", n, count);
}

/* The timer's interrupt comes around the IRET of the handler. */
static void nmi_interrupted(u32 count)
{
	bool set = set_work(SPIN);
	u32 i;

	for (i = 0; i < count && set; i++) {
		u32 was = nmi_count[id];
		u64 ipis = ipi_count[id];

		nmi_timer = 2000 * (i + 1);
		ipi(id, NMI_IPI);
		set = WAIT_FOR(nmi_count[id] != was) &&
		      WAIT_FOR(ipi_count[id] != ipis) && runs(id);
	}
	nmi_timer = 0;
	check(set, "nmi-interrupted", "%u of %u", i, count);
}

static void all_nmis(u32 count)
{
	u64 old[2] = { idt64[2 * UD], idt64[2 * UD + 1] };
	u64 at = (u64)ud64;

	nmis(SPIN, count, 0, "nmi");
	nmis(SPIN_CLI, count, 0, "nmi-cli");
	nmis(HALT, count, 0, "nmi-hlt");
	/* Shoji's own NMIs tell a CPU of the SIPI, which it ignores. */
	nmis(SPIN, count, SIPI | 0x31, "nmi-between-sipis");
	nmis_merge(SPIN, "nmi-merge");
	nmis_merge(SPIN_CLI, "nmi-merge-cli");
	nmi_flood(SPIN, 10 * count, "nmi-flood");
	nmi_flood(SPIN_CLI, 10 * count, "nmi-flood-cli");
	nmi_flood(HALT, 10 * count, "nmi-flood-hlt");
	nmi_interrupted(count);

	/* Events that Shoji injects, and an NMI at the same time. */
	idt64[2 * UD] = (at & 0xffff) | SEL_CODE64 << 16 | 0xee01ULL << 32 |
			(at >> 16 & 0xffff) << 48;
	nmis(FAULT, 4 * count, 0, "nmi-and-fault");
	idt64[2 * UD] = old[0];
}

/* ---- INIT and SIPI ---- */

static void storm(u32 count)
{
	u32 bad = 0;

	for (u32 i = 0; i < count; i++) {
		u64 r = random64();
		u32 page = r & 0x100 ? 0x30 : 0x31;

		for (u32 n = 0; n < (r & 7); n++) {
			switch (r >> (16 + 4 * n) & 3) {
			case 0:
				ipi(id, INIT);
				break;
			case 1:
				ipi(id, SIPI | page);
				break;
			case 2: /* an NMI would find no IDT */
				ipi(id, FIXED | VECTOR);
				break;
			default:
				ipi(id, DEASSERT);
			}
			if (r >> (40 + n) & 1)
				pause_for(r >> 48 & 0xfff);
		}
		/* whatever has happened, an orderly start works */
		bad += !start(page);
	}
	check(!bad, "storm", "%u of %u starts failed", bad, count);
}

/* INIT ends an NMI's handler as well. */
static void init_in_nmi(u32 count)
{
	u32 bad = 0;

	for (u32 i = 0; i < count; i++) {
		u32 was = nmi_count[id];

		nmi_hold = 1;
		ipi(id, NMI_IPI);
		bad += !WAIT_FOR(nmi_count[id] == was + 1);
		bad += !start(0x30);
		nmi_hold = 0;
		ipi(id, NMI_IPI);
		bad += !WAIT_FOR(nmi_count[id] == was + 2);
		bad += !interrupted(); /* its handler has ended */
	}
	check(!bad, "init-in-nmi", "%u of %u", bad, count);
}

static void others(u32 count)
{
	u32 was[APS], bad = 0;

	ipi(0xff, INIT | OTHERS);
	for (u32 i = 0; i < cpus; i++)
		bad += aps[i].generation && !stands(i);
	check(!bad, "init-to-others", "%u run on", bad);
	generation++;
	ipi(0xff, SIPI | 0x30 | OTHERS);
	for (u32 i = 1; i < cpus; i++)
		bad += !started(i, 0x30) || !runs(i);
	check(!bad, "sipi-to-others", "%u do not start", bad);
	for (u32 n = 0; n < count; n++) {
		for (u32 i = 1; i < cpus; i++)
			was[i] = nmi_count[i];
		ipi(0xff, NMI_IPI | OTHERS);
		for (u32 i = 1; i < cpus; i++)
			bad += !WAIT_FOR(nmi_count[i] == was[i] + 1);
	}
	check(!bad, "nmi-to-others", "%u are lost or double", bad);
}

static void init_and_sipi(u32 count)
{
	bool to_waiting = option("waiting", 1), again = option("again", 1);

	ipi(id, INIT);
	check(stands(id), "init-to-running", " ");
	if (to_waiting) {
		generation++;
		ipi(id, NMI_IPI); /* held or lost, but does not start it */
		check(stands(id) && aps[id].generation != generation,
		      "nmi-to-waiting", " ");
	}
	if (!again)
		return;
	generation++;
	ipi(id, SIPI | 0x31);
	check(started(id, 0x31) && runs(id), "sipi-after-init",
	      "started at 0x%x", aps[id].page);
	others(count);
	if (option("storm", 1))
		storm(count);
	interrupts(count, "ipi-after-storm");
	init_in_nmi(count);
	nmis(SPIN, count, 0, "nmi-after-init");
}

/* ---- all of it ---- */

static void make_tss(u32 which)
{
	u64 base = (u64)tss[which], stack = (u64)ap_stacks[which];

	tss[which][9] = (u32)stack + 4096; /* IST 1 and 2 */
	tss[which][11] = (u32)stack + 8192;
	tss[which][25] = 104 << 16;
	gdt[SEL_TSS_AP / 8 + 2 * which] = 103 | (base & 0xffffff) << 16 |
					  0x89ULL << 40 |
					  (base >> 24 & 0xff) << 56;
}

bool ap_start(void (*work)(void))
{
	*apic(SVR) = 0x1ff;
	for (u32 i = 0; i < APS; i++)
		make_tss(i);
	/* an NMI that has waited for the SIPI; Bochs' BIOS dies of it */
	*(volatile u32 *)(2 * 4) = (u32)(u64)nmi16;
	ap_running = 1;
	id = !(*apic(ID) >> 24);
	place(0x30);
	place(0x31);
	extra_work = work;
	return start(0x30);
}

void test_ap(void)
{
	u32 count = (u32)option("count", 50);

	cpus = (u32)option("cpus", 2);
	check(ap_start(NULL), "start", "at 0x%x", aps[id].page);
	generation++;
	ipi(id, SIPI | 0x31);
	interrupts(count, "ipi");
	check(aps[id].generation != generation && runs(id), "sipi-to-running",
	      " ");
	check(set_work(HALT), "hlt", " ");
	interrupts(count, "ipi-hlt");
	check(set_work(SPIN), "out-of-hlt", " ");
	all_nmis(count);
	/* No register: QEMU takes it for a message, INIT to the first CPU,
	 * which would start in the firmware, without Shoji. */
	if (option("message", 0))
		*apic(0) = INIT;
	init_and_sipi(count);
}

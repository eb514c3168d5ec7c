/*
 * MMIO mediation: hooks on ranges of guest-physical addresses. The pages a
 * hook touches are made not present (or read-only) in the nested table; the
 * executor (core/emul) turns the guest's instruction into accesses.
 */
#ifndef CORE_IO_MMIO_H
#define CORE_IO_MMIO_H

#include "core/io/verdict.h"
#include "core/lib/types.h"

struct mmio_io {
	gpa_t gpa;
	u8 size; /* 1, 2, 4 or 8; never crosses the hook's end */
	bool write;
	u64 value; /* written; or to be filled in on DONE */
};

/* Runs on the CPU that made the access, with no lock held. */
typedef enum verdict mmio_fn(void *ctx, struct mmio_io *io);

struct mmio_hook {
	gpa_t start;
	u64 size;
	bool writes_only; /* reads go to the hardware without an exit */
	mmio_fn *fn;
	void *ctx;
	/* private */
	struct mmio_hook *next;
};

/* The caller keeps @hook alive for ever; size 0: it starts switched off. Where
 * ranges meet, the hook added last decides. -ENOMEM without table pages. */
int mmio_hook_add(struct mmio_hook *hook) must_check;

/*
 * Moves a hook to a new place (size 0: off). While this runs neither place is
 * sure to be covered: the device must not decode its addresses then. On
 * -ENOMEM the hook stays where it was, though more pages may be trapped.
 */
int mmio_hook_move(struct mmio_hook *hook, gpa_t start, u64 size) must_check;

/*
 * For the executor: one access to guest-physical memory behind a nested page
 * fault, mediated by a hook if there is one, RAM or the device otherwise. An
 * access that is only partly in a hook is split into bytes.
 * -EFAULT when the address is hidden or the guest has no such memory.
 */
int mmio_access(struct mmio_io *io) must_check;

/*
 * True if the pages of a range are neither RAM nor hidden nor hooked: a place
 * where a guest may put the registers of a device that Shoji writes to.
 */
bool mmio_place_free(gpa_t start, u64 size);

/* True if some hook covers a byte of the page of @gpa. */
bool mmio_hooked(gpa_t gpa);

/*
 * Set once by core/virt: makes the pages of a range present, read-only or not
 * present in the nested table, on all CPUs. It may be called with driver locks
 * held: it must not wait for a CPU that is in host mode.
 */
enum mmio_trap {
	MMIO_TRAP_NONE,
	MMIO_TRAP_WRITES,
	MMIO_TRAP_ALL
};
void mmio_set_trap_fn(int (*fn)(gpa_t start, u64 len, enum mmio_trap trap));

/* The device itself, for drivers. Size 1, 2, 4 or 8, naturally aligned. */
u64 hw_mmio_read(hpa_t pa, u8 size);
void hw_mmio_write(hpa_t pa, u8 size, u64 value);

#endif

/*
 * The map of MMIO hooks. A lock orders the changes, which may take long (the
 * nested table of all CPUs). Lookups take none, since each access to a local
 * APIC is one: a sequence count keeps a hook's start and size together.
 */
#include "core/io/mmio.h"
#include "core/lib/bytes.h"
#include "core/lib/errors.h"
#include "core/lib/lock.h"
#include "core/lib/range.h"
#include "core/lib/seq.h"
#include "core/mm/gmem.h"

static struct {
	struct lock lock; /* of changes */
	struct seq seq;
	struct mmio_hook *hooks; /* newest first */
	int (*trap)(gpa_t start, u64 len, enum mmio_trap trap);
} map;

void mmio_set_trap_fn(int (*fn)(gpa_t start, u64 len, enum mmio_trap trap))
{
	map.trap = fn;
}

static gpa_t page_of(gpa_t gpa)
{
	return align_down(gpa, PAGE_SIZE);
}

/* What the hooks ask of a page. The caller holds the lock, or looks again. */
static enum mmio_trap page_trap(gpa_t page)
{
	enum mmio_trap trap = MMIO_TRAP_NONE;
	const struct mmio_hook *h;

	for (h = map.hooks; h; h = h->next) {
		if (!range_overlap(h->start, h->size, page, PAGE_SIZE))
			continue;
		if (!h->writes_only)
			return MMIO_TRAP_ALL;
		trap = MMIO_TRAP_WRITES;
	}
	return trap;
}

/* Brings the nested table in line with the list for the pages of a range; a
 * run of pages that are to be alike is one call. */
static int set_traps(gpa_t start, u64 size)
{
	gpa_t page = page_of(start);
	u64 left = size ? (start - page + size - 1) / PAGE_SIZE + 1 : 0;

	while (left) {
		enum mmio_trap trap = page_trap(page);
		u64 run = 1;
		int err;

		while (run < left && page_trap(page + run * PAGE_SIZE) == trap)
			run++;
		err = map.trap(page, run * PAGE_SIZE, trap);
		if (err)
			return err;
		page += run * PAGE_SIZE;
		left -= run;
	}
	return 0;
}

static void place(struct mmio_hook *hook, gpa_t start, u64 size)
{
	seq_change(&map.seq);
	hook->start = start;
	hook->size = size;
	seq_done(&map.seq);
}

static int move(struct mmio_hook *hook, gpa_t start, u64 size)
{
	gpa_t old_start = hook->start;
	u64 old_size = hook->size;
	int err;

	place(hook, start, size);
	err = set_traps(start, size);
	if (err)
		place(hook, old_start, old_size);
	else
		err = set_traps(old_start, old_size);
	return err;
}

int mmio_hook_add(struct mmio_hook *hook)
{
	gpa_t start = hook->start;
	u64 size = hook->size;
	int err;

	hook->size = 0;
	lock_acquire(&map.lock);
	hook->next = map.hooks;
	__atomic_store_n(&map.hooks, hook, __ATOMIC_RELEASE);
	err = move(hook, start, size);
	lock_release(&map.lock);
	return err;
}

int mmio_hook_move(struct mmio_hook *hook, gpa_t start, u64 size)
{
	int err;

	lock_acquire(&map.lock);
	err = move(hook, start, size);
	lock_release(&map.lock);
	return err;
}

bool mmio_hooked(gpa_t gpa)
{
	bool hooked;
	u32 count;

	do {
		count = seq_read(&map.seq);
		hooked = page_trap(page_of(gpa)) != MMIO_TRAP_NONE;
	} while (seq_changed(&map.seq, count));
	return hooked;
}

bool mmio_place_free(gpa_t start, u64 size)
{
	gpa_t page = page_of(start);
	u64 left = size ? (start - page + size - 1) / PAGE_SIZE + 1 : 0;

	for (; left; left--, page += PAGE_SIZE)
		if (gmem_hidden(page, PAGE_SIZE) || gmem_ptr(page, 1) ||
		    mmio_hooked(page))
			return false;
	return true;
}

struct target {	     /* of an access: copied, since the hook may move */
	mmio_fn *fn; /* NULL: no hook */
	void *ctx;
	bool split; /* only a part of the access is in a hook */
};

static struct target look_up(const struct mmio_io *io)
{
	struct target t = { 0 };
	const struct mmio_hook *h;

	for (h = map.hooks; h; h = h->next) {
		if (!range_overlap(h->start, h->size, io->gpa, io->size) ||
		    (h->writes_only && !io->write))
			continue;
		t.split = !range_ok(io->gpa - h->start, io->size, h->size);
		t.fn = h->fn;
		t.ctx = h->ctx;
		break;
	}
	return t;
}

static struct target find_target(const struct mmio_io *io)
{
	struct target t;
	u32 count;

	do {
		count = seq_read(&map.seq);
		t = look_up(io);
	} while (seq_changed(&map.seq, count));
	return t;
}

static void access_ram(void *p, struct mmio_io *io)
{
	if (io->write) {
		copy_whole(p, &io->value, io->size);
	} else {
		io->value = 0;
		copy_whole(&io->value, p, io->size);
	}
}

static int access_hardware(struct mmio_io *io)
{
	void *ram;

	if (gmem_hidden(io->gpa, io->size))
		return -EFAULT;
	ram = gmem_ptr(io->gpa, io->size);
	if (ram)
		access_ram(ram, io);
	else if (io->write)
		hw_mmio_write(io->gpa, io->size, io->value);
	else
		io->value = hw_mmio_read(io->gpa, io->size);
	return 0;
}

static int access_target(const struct target *t, struct mmio_io *io)
{
	enum verdict verdict = t->fn ? t->fn(t->ctx, io) : PASS;

	if (verdict == PASS)
		return access_hardware(io);
	if (verdict == DENY && !io->write)
		io->value = mask_bytes(io->size);
	return 0;
}

static int access_bytes(struct mmio_io *io)
{
	u64 value = 0;

	for (u8 i = 0; i < io->size; i++) {
		struct mmio_io byte = { io->gpa + i, 1, io->write,
					io->value >> 8 * i & 0xff };
		struct target t = find_target(&byte);
		int err = access_target(&t, &byte);

		if (err)
			return err;
		value |= (byte.value & 0xff) << 8 * i;
	}
	if (!io->write)
		io->value = value;
	return 0;
}

int mmio_access(struct mmio_io *io)
{
	struct target t = find_target(io);

	return t.split ? access_bytes(io) : access_target(&t, io);
}

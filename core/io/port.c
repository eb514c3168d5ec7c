/*
 * The map of port hooks.
 *
 * Changes are made under a lock. Lookups take none: hooks are only ever added,
 * at the head of the list, and a hook's whole range is one 32-bit word, so a
 * reader sees it either at the old place or at the new one. A move sets the
 * new ports' bits first, then the range, and clears last the bits that no hook
 * needs any more; a port is thus never open while a watched hook covers it.
 */
#include "core/io/port.h"
#include "core/lib/lock.h"
#include "core/lib/string.h"

#define PORTS 0x10000

static struct {
	struct lock lock;
	struct port_hook *hooks; /* newest first */
} map;

/* APM vol. 2, 15.10.1: three more bits for accesses that run past FFFF. */
static u8 bitmap[3 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE))) = {
	[PORTS / 8] = 0x07,
};

static u32 range_pack(u16 first, u16 count)
{
	return (u32)count << 16 | first;
}

static bool range_has(u32 range, u16 port)
{
	return (u16)(port - (u16)range) < range >> 16;
}

static bool hook_covers(const struct port_hook *hook, u16 port)
{
	return range_has(__atomic_load_n(&hook->range, __ATOMIC_ACQUIRE), port);
}

static struct port_hook *hooks_head(void)
{
	return __atomic_load_n(&map.hooks, __ATOMIC_ACQUIRE);
}

bool port_known(u16 port)
{
	const struct port_hook *h;

	for (h = hooks_head(); h; h = h->next)
		if (hook_covers(h, port))
			return true;
	return false;
}

static bool port_watched(u16 port)
{
	const struct port_hook *h;

	for (h = hooks_head(); h; h = h->next)
		if (!h->open && hook_covers(h, port))
			return true;
	return false;
}

/* Makes the bits of a range what the hooks ask for, or sets all of them. */
static void bitmap_update(u32 range, bool set_all)
{
	for (u32 i = 0; i < range >> 16; i++) {
		u16 port = (u16)(range + i);
		u8 bit = (u8)(1u << (port % 8));
		u8 old = bitmap[port / 8];
		u8 value = old & (u8)~bit;

		if (set_all || port_watched(port))
			value = old | bit;
		__atomic_store_n(&bitmap[port / 8], value, __ATOMIC_RELEASE);
	}
}

void port_hook_add(struct port_hook *hook)
{
	lock_acquire(&map.lock);
	hook->range = range_pack(hook->first, hook->count);
	hook->next = map.hooks;
	__atomic_store_n(&map.hooks, hook, __ATOMIC_RELEASE);
	bitmap_update(hook->range, true);
	lock_release(&map.lock);
}

void port_hook_move(struct port_hook *hook, u16 first, u16 count)
{
	u32 range = range_pack(first, count);
	u32 old;

	lock_acquire(&map.lock);
	old = hook->range;
	bitmap_update(range, !hook->open);
	__atomic_store_n(&hook->range, range, __ATOMIC_RELEASE);
	hook->first = first;
	hook->count = count;
	bitmap_update(old, false);
	lock_release(&map.lock);
}

void port_hook_watch(struct port_hook *hook, bool on)
{
	lock_acquire(&map.lock);
	hook->open = !on;
	bitmap_update(hook->range, on);
	lock_release(&map.lock);
}

static void access_hardware(const struct port_io *io)
{
	if (io->count == 1 && io->write)
		hw_out(io->port, io->size, port_io_get(io, 0));
	else if (io->count == 1)
		port_io_set(io, 0, hw_in(io->port, io->size));
	else if (io->write)
		hw_outs(io->port, io->size, io->data, io->count);
	else
		hw_ins(io->port, io->size, io->data, io->count);
}

static enum verdict ask_hooks(const struct port_io *io)
{
	struct port_hook *h;
	enum verdict verdict = PASS;

	for (h = hooks_head(); h && verdict == PASS; h = h->next)
		if (hook_covers(h, io->port))
			verdict = h->fn(h->ctx, io);
	return verdict;
}

static void access_whole(const struct port_io *io)
{
	switch (ask_hooks(io)) {
	case PASS:
		access_hardware(io);
		break;
	case DONE:
		break;
	case DENY:
		if (!io->write)
			memset(io->data, 0xff, (size_t)io->count * io->size);
		break;
	}
}

/* True if the access reaches into a hook that its first port is not in. */
static bool reaches_into_hook(const struct port_io *io)
{
	const struct port_hook *h;

	for (h = hooks_head(); h; h = h->next) {
		if (hook_covers(h, io->port))
			continue;
		for (u8 i = 1; i < io->size; i++)
			if (hook_covers(h, (u16)(io->port + i)))
				return true;
	}
	return false;
}

void port_access(const struct port_io *io)
{
	u8 *p = io->data;

	if (!reaches_into_hook(io)) {
		access_whole(io);
		return;
	}
	for (u32 n = 0; n < io->count; n++)
		for (u8 i = 0; i < io->size; i++) {
			struct port_io byte = { (u16)(io->port + i), 1,
						io->write, 1, p++ };

			access_whole(&byte);
		}
}

const u8 *port_bitmap(void)
{
	return bitmap;
}

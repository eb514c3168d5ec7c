/*
 * Port I/O mediation. A hook covers a range of ports and sees every guest
 * access that begins in it, one element or a burst (REP INS/OUTS) at a time.
 *
 * A burst is handed over in pieces of at most PORT_BURST_MAX bytes, each
 * copied from or to guest memory by the caller. Hooks run on the CPU that
 * made the access, with no lock held; two CPUs can be in one hook.
 */
#ifndef CORE_IO_PORT_H
#define CORE_IO_PORT_H

#include "core/io/verdict.h"
#include "core/lib/bytes.h"
#include "core/lib/types.h"

#define PORT_BURST_MAX 4096

struct port_io {
	u16 port;
	u8 size;    /* of one element: 1, 2 or 4 bytes */
	bool write; /* OUT or OUTS */
	u32 count;  /* elements; 1 unless it is a burst */
	void *data; /* count * size bytes, little endian */
};

typedef enum verdict port_fn(void *ctx, const struct port_io *io);

struct port_hook {
	u16 first;
	u16 count;
	port_fn *fn;
	void *ctx;
	bool open; /* not watched: see port_hook_watch() */
	/* private */
	u32 range;
	struct port_hook *next;
};

/*
 * Adds a hook that the caller keeps alive for ever; it starts active unless
 * count is 0. Where ranges meet, the hook added last is asked first; if it
 * says PASS, the one before it is asked, and the hardware last of all.
 */
void port_hook_add(struct port_hook *hook);

/*
 * Moves a hook or switches it off and on (count 0 is off): the guest's other
 * CPUs are bound by it from their next instruction on. One of them may at
 * this moment still be inside the hook for an access to the old place.
 */
void port_hook_move(struct port_hook *hook, u16 first, u16 count);

/*
 * Whether the guest's accesses to the hook's ports end in the hook, as they do
 * at first. If not, they go to the hardware; but what Shoji itself executes
 * for the guest may still come to the hook.
 */
void port_hook_watch(struct port_hook *hook, bool on);

/* Is there a hook for the port, watched or not? */
bool port_known(u16 port);

/*
 * Called by the exit handler for an access to a hooked port: asks the hooks,
 * does the real access on PASS, fills in all ones on a denied read. An access
 * of 2 or 4 bytes that begins before a hook and reaches into it is split into
 * bytes; one that begins in a hook and ends past it is given to it whole.
 * Ports wrap at FFFF.
 */
void port_access(const struct port_io *io);

/*
 * The bitmap of hooked ports: bit n of byte n / 8, page aligned, shared by
 * all CPUs. VMX uses its first 8 KiB as I/O bitmaps A and B, SVM all 12 KiB
 * as the IOPM; bits past port FFFF are set, for accesses that wrap.
 */
const u8 *port_bitmap(void);

/* Element @i of an access. */
static inline u32 port_io_get(const struct port_io *io, u32 i)
{
	const u8 *p = (const u8 *)io->data + (size_t)i * io->size;

	return io->size == 1 ? *p : io->size == 2 ? load_le16(p) : load_le32(p);
}

static inline void port_io_set(const struct port_io *io, u32 i, u32 value)
{
	__builtin_memcpy((u8 *)io->data + (size_t)i * io->size, &value,
			 io->size);
}

/* The real ports, for drivers. Size 1, 2 or 4. */
u32 hw_in(u16 port, u8 size);
void hw_out(u16 port, u8 size, u32 value);
void hw_ins(u16 port, u8 size, void *dst, u32 count);
void hw_outs(u16 port, u8 size, const void *src, u32 count);

#endif

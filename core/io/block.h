/*
 * Where disk drivers and the disk-encryption module meet.
 *
 * A driver describes each device once; the filter answers whether a rule
 * covers it. A protected device's data goes through block_read/block_write,
 * in whole logical sectors; sectors outside every volume are copied as they
 * are. LBAs are in units of the device's logical sector; the filter itself
 * knows that its tweaks count 512-byte sectors.
 *
 * One call may take a whole command; the extended state is saved once.
 */
#ifndef CORE_IO_BLOCK_H
#define CORE_IO_BLOCK_H

#include "core/io/sg.h"
#include "core/lib/types.h"

/* How the device is reached and what it says of itself. Strings are trimmed
 * of blanks, end with NUL and hold printable ASCII only. */
struct block_id {
	const char *bus; /* "ide", "ahci", "usb", "nvme" */
	u8 controller;	 /* nth controller of that bus, in PCI order */
	u8 channel;	 /* channel or port */
	u8 unit;	 /* 0 master, 1 slave */
	bool silent;	 /* it is there, but has not said what follows */
	char model[41];
	char serial[21];
	u32 sector_size; /* logical, in bytes: a multiple of 512, up to 4096 */
	u64 sectors;	 /* 0 if not known */
};

struct block_dev; /* the filter's own, one for each protected device */

/* What the filter offers; main.c hands it to the drivers. */
struct block_filter {
	/* NULL if no volume matches: then the device passes straight through.
	 * A silent one matches by its place, and counts for no volume's. */
	struct block_dev *(*attach)(const struct block_id *id);

	/* True if a sector of [lba, lba + count) lies in a volume. */
	bool (*covers)(const struct block_dev *dev, u64 lba, u32 count);

	/*
	 * From the device: turns @count sectors at @src into what the guest
	 * shall see, at @dst. @src == @dst is allowed, other overlap is not.
	 */
	void (*decode)(const struct block_dev *dev, u64 lba, u32 count,
		       const void *src, void *dst);

	/* To the device: the same the other way. */
	void (*encode)(const struct block_dev *dev, u64 lba, u32 count,
		       const void *src, void *dst);

	/*
	 * The same over a scatter list of guest memory, beginning at its byte
	 * @offset. decode_sg works in place in the list; encode_sg reads the
	 * list once and writes count * sector_size bytes to @dst. Sectors may
	 * straddle segments. The list has been checked and is long enough.
	 */
	void (*decode_sg)(const struct block_dev *dev, u64 lba, u32 count,
			  const struct sg_list *sg, u64 offset);
	void (*encode_sg)(const struct block_dev *dev, u64 lba, u32 count,
			  const struct sg_list *sg, u64 offset, void *dst);

	/*
	 * True if some device there could match a volume: bus, controller,
	 * channel and unit of @id count, what a device says does not.
	 */
	bool (*expects)(const struct block_id *id);
};

#endif

/*
 * Disk encryption: the block filter that the disk drivers call.
 *
 * There is one instance. Its state is the volumes, their expanded keys, the
 * devices they were matched with and the counters. disk_init() comes before
 * everything else; after that only attach() changes anything but counters, so
 * requests of different devices need no lock. attach() is called by one CPU
 * at a time.
 */
#ifndef CRYPTO_DISK_DISK_H
#define CRYPTO_DISK_DISK_H

#include "core/io/block.h"
#include "core/lib/types.h"
#include "crypto/disk/volume.h"

/* The owner of the extended state; called once around each request that has a
 * protected sector, and around the key expansion. */
struct disk_fpu {
	void (*begin)(void);
	void (*end)(void);
};

/*
 * Takes up to VOLUME_MAX volumes. The array must stay; the raw keys it points
 * to are no longer needed afterwards and are the caller's to wipe.
 * crypto_init() has been called. -EINVAL, with no volume taken, if a key is
 * not a good one.
 */
int disk_init(const struct volume *volumes, size_t count,
	      const struct disk_fpu *fpu) must_check;

const struct block_filter *disk_filter(void);

/* A volume that no device has been attached for; NULL if there is none. */
const struct volume *disk_unattached(void);

/*
 * Zeroises all expanded keys, on panic and shutdown. Requests that other CPUs
 * have begun are let finish, for a second at most. A CPU that comes with a
 * protected sector afterwards never returns from the filter.
 */
void disk_keys_wipe(void);

/* Sectors of 512 bytes that went through a volume so far. */
struct disk_counters {
	u64 decoded;
	u64 encoded;
};
struct disk_counters disk_counters(size_t volume);

#endif

/*
 * Random bytes for programs: ChaCha20 (RFC 8439) with fast key erasure, after
 * each use the key is overwritten, stirred with what the CPU's generator gives
 * at each use. Pure, but random_seed(). The caller holds a lock.
 */
#ifndef CORE_PROGRAM_RANDOM_H
#define CORE_PROGRAM_RANDOM_H

#include "core/lib/types.h"

struct random {
	u32 key[8];
	bool seeded;
};

/* Adds 32 bytes to the state, of any quality. */
void random_stir(struct random *r, const u64 input[4]);

/* Only what has been stirred in before makes it unpredictable. */
void random_bytes(struct random *r, void *out, size_t len);

/* From RDSEED or RDRAND and the TSC; seeded stays false on a CPU without
 * either. */
void random_seed(struct random *r);

#endif

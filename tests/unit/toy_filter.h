/*
 * A filter for tests of disk drivers: no cipher, but what is encrypted is
 * told from what is not. Lists are in the memory that gmem_ptr() shows; one
 * that is too short or leaves it ends the test.
 */
#ifndef TESTS_UNIT_TOY_FILTER_H
#define TESTS_UNIT_TOY_FILTER_H

#include "core/io/block.h"

/* For loops over bytes: a fuzzer would be told of each comparison there. */
#ifdef __clang__
#define UNTOLD __attribute__((noinline, no_sanitize("coverage")))
#else
#define UNTOLD
#endif

struct block_dev {
	u32 sector;	 /* bytes */
	u64 first, last; /* protected: [first, last), ... */
	u64 high;	 /* ... and from here on */
};

static inline bool toy_covered(const struct block_dev *dev, u64 lba)
{
	return (lba >= dev->first && lba < dev->last) || lba >= dev->high;
}

/* What byte @i of a sector is XORed with: never 0 in a protected one. */
static inline u8 xor_byte(u64 lba, u32 i)
{
	return (u8)(1 + (lba * 131 + i * 7) % 255);
}

static inline u8 xor_key(const struct block_dev *dev, u64 lba, u32 i)
{
	return toy_covered(dev, lba) ? xor_byte(lba, i) : 0;
}

/* The ciphertext never equals the plaintext. Has no attach() and expects(). */
extern const struct block_filter xor_filter;

/*
 * For a guest all of whose data is MARK: what is decrypted is MARK, also what
 * no rule covers; what is encrypted is SAFE.
 */
#define MARK 0xA5
#define SAFE 0x5A
extern const struct block_filter mark_filter;

/* Ends the test if MARK is in a protected sector that is to be written. */
void mark_check_write(const struct block_dev *dev, u64 lba, const u8 *data);

#endif

/* Unaligned loads and stores in a named byte order. */
#ifndef CORE_LIB_BYTES_H
#define CORE_LIB_BYTES_H

#include "core/lib/types.h"

static inline u16 load_le16(const void *p)
{
	u16 v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline u32 load_le32(const void *p)
{
	u32 v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline u64 load_le64(const void *p)
{
	u64 v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline u16 load_be16(const void *p)
{
	return __builtin_bswap16(load_le16(p));
}

static inline u32 load_be32(const void *p)
{
	return __builtin_bswap32(load_le32(p));
}

static inline void store_le16(void *p, u16 v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

static inline void store_le32(void *p, u32 v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

static inline void store_le64(void *p, u64 v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

/*
 * Copies @size bytes; 1, 2, 4 or 8 by one access, so that other CPUs see all
 * or nothing of it, as of an instruction's own operand.
 */
static inline void copy_whole(void *dst, const void *src, size_t size)
{
	switch (size) {
	case 1:
		__builtin_memcpy(dst, src, 1);
		break;
	case 2:
		__builtin_memcpy(dst, src, 2);
		break;
	case 4:
		__builtin_memcpy(dst, src, 4);
		break;
	case 8:
		__builtin_memcpy(dst, src, 8);
		break;
	default:
		__builtin_memcpy(dst, src, size);
		break;
	}
}

/* All ones in the low @size bytes, 1 to 8. */
static inline u64 mask_bytes(unsigned int size)
{
	return ~0ULL >> (64 - 8 * size);
}

#endif

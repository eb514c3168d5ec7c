/*
 * Integers, layouts and a few compiler words that everything else uses.
 *
 * le16/le32/le64 name fields that hardware or a file format keeps in
 * little-endian order. Shoji only runs on little-endian CPUs, so they are
 * plain integers there; be16/be32/be64 need the conversions of bytes.h.
 */
#ifndef CORE_LIB_TYPES_H
#define CORE_LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

typedef u16 le16;
typedef u32 le32;
typedef u64 le64;

typedef u64 gpa_t; /* a physical address as the guest names it */
typedef u64 hpa_t; /* a physical address of the machine */

#define static_assert _Static_assert

#define packed			 __attribute__((packed))
#define must_check		 __attribute__((warn_unused_result))
#define noreturn		 __attribute__((noreturn))
#define format_printf(fmt, args) __attribute__((format(printf, fmt, args)))

#define ARRAY_SIZE(a)		 (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) \
	((type *)((char *)(ptr)-offsetof(type, member)))

#define BIT(n)	     (1ULL << (n))
#define BITS(hi, lo) ((~0ULL >> (63 - (hi))) & (~0ULL << (lo)))

#define PAGE_SHIFT   12
#define PAGE_SIZE    4096UL

#endif

/*
 * One builder for every 4-level page table: the host's, EPT and NPT. It uses
 * the largest pages that alignment, the CPU and the table's limits allow, and
 * splits a large page when part of it is mapped anew, for good: so a guest
 * that has a range mapped again and again does not use up the pages.
 *
 * Pages come from the pool and are never freed. Changing a present entry is
 * done with one aligned 64-bit store; flushing TLBs is the caller's work.
 */
#ifndef CORE_MM_TABLE_H
#define CORE_MM_TABLE_H

#include "core/lib/types.h"

struct table_format {
	u64 nonleaf; /* bits of an entry that points to a table */
	u64 present; /* any of these set: the entry is present */
	u64 large;   /* the bit that makes an entry above level 1 a leaf */
	unsigned int
		max_level; /* largest leaf: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB */
};

struct table {
	const struct table_format *format;
	u64 *root;
};

/* -ENOMEM if there is no page. */
int table_init(struct table *t, const struct table_format *format) must_check;

/*
 * Maps [va, va + len) to pa.. with @attr, the leaf's bits without address and
 * without the large bit. All three are multiples of 4 KiB. attr == 0 unmaps.
 * -ENOMEM if a table page is missing; then a part may be mapped.
 */
int table_map(struct table *t, u64 va, u64 pa, u64 len, u64 attr) must_check;

/* The leaf entry that maps @va and its level, or 0 if there is none. */
u64 table_lookup(const struct table *t, u64 va, unsigned int *level);

#endif

/* MSR mediation: a static table of hooks, in common code (core/virt/msr.c)
 * and by drivers. The first hook that covers the index decides. */
#ifndef CORE_IO_MSR_H
#define CORE_IO_MSR_H

#include "core/io/verdict.h"
#include "core/lib/types.h"

struct msr_io {
	u32 index;
	bool write;
	u64 value;
};

/* DENY gives the guest #GP(0). */
typedef enum verdict msr_fn(void *ctx, struct msr_io *io);

#endif

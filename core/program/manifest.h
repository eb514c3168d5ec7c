/* What the configuration says of a protected program: [[program]]. */
#ifndef CORE_PROGRAM_MANIFEST_H
#define CORE_PROGRAM_MANIFEST_H

#include "core/lib/types.h"

#define PROGRAM_MAX	 8
#define PROGRAM_SLOT_MAX 16 /* message buffers of one */
#define REGION_MAX	 8

/* Also the record in the configuration's blob. */
struct program_manifest {
	char name[32];
	u8 sha256[32];	 /* of the ELF file, wherever it comes from */
	le32 memory_kib; /* all its areas, PROGRAM_MEMORY_* */
	le32 stack_kib;
	le32 message_kib; /* of one buffer */
	le32 slice_us;	  /* at most so long on a CPU in one go */
	le32 time_ms;	  /* for one message, or until the first */
	u8 messages;	  /* buffers */
	u8 restart;	  /* 1: when it was stopped */
	u8 user;	  /* 1: user mode may send, 0: the kernel only */
	u8 sends;	  /* bit n: to the nth program */
	u8 regions;	  /* bit n: may map the nth region, */
	u8 writes;	  /* ... and write to it */
	u8 zero[6];
};
static_assert(sizeof(struct program_manifest) == 96, "blob version 1");

/* Memory that programs share: [[region]], and its record. */
struct program_region {
	char name[32];
	le32 size_kib;
	le32 zero;
};
static_assert(sizeof(struct program_region) == 40, "blob version 1");

enum {
	PROGRAM_MEMORY_MIN = 64, /* KiB */
	PROGRAM_MEMORY_MAX = 65536,
	PROGRAM_STACK_MIN = 4,
	PROGRAM_STACK_MAX = 8192,
	PROGRAM_MESSAGE_MIN = 4,
	PROGRAM_MESSAGE_MAX = 1024,
	PROGRAM_SLICE_MIN = 50, /* us */
	PROGRAM_SLICE_MAX = 100000,
	PROGRAM_TIME_MIN = 1, /* ms */
	PROGRAM_TIME_MAX = 3600000,
	REGION_SIZE_MIN = 4, /* KiB */
	REGION_SIZE_MAX = 8192,
};

/* Who may make hypercalls at all. */
enum hypercall_allow {
	HYPERCALL_NONE = 0,
	HYPERCALL_KERNEL = 1,
	HYPERCALL_USER = 2,
};

#endif

/*
 * The binary interface of protected programs, version 1: what a program finds
 * when it starts, and its system calls. Self-contained: for programs (the SDK)
 * and for Shoji.
 *
 * A program is a static or static-PIE ELF64 for x86-64. It runs in ring 3 of a
 * virtual machine of its own, in 64-bit mode, alone: no interrupts, no signals,
 * no threads, no other page but its own. Whatever it does that is not listed
 * here (a fault, an undefined instruction, I/O, a privileged instruction)
 * stops it, with one line in Shoji's log.
 *
 * ---- memory ----
 *
 * All below PROGRAM_SPACE; what is not named here is not mapped:
 *
 *   segments	PT_LOAD, at their addresses in [PROGRAM_LOW, PROGRAM_HEAP); of a
 *		PIE moved up by PROGRAM_PIE_BASE. A segment is not writable and
 *		executable at once, and two do not share a page. PIE programs
 *		relocate themselves (R_X86_64_RELATIVE), by start->bias. Code and
 *		constants are read-only from the first instruction on.
 *   heap	from start->heap, start->heap_size bytes, zeroed: all that the
 *		manifest's memory leaves. Never grows.
 *   messages	start->slots buffers of start->slot_size bytes, from start->mail
 *		on, with a page that is not mapped behind each.
 *   regions	memory that programs share, from PROGRAM_MAP until it ends.
 *   start	this page: struct program_start.
 *   stack	ends at PROGRAM_STACK_TOP, with nothing mapped below it.
 *
 * Data is never executable.
 *
 * ---- the first instruction ----
 *
 * At the ELF entry point: RDI = address of struct program_start, RSP =
 * PROGRAM_STACK_TOP (a multiple of 16, nothing pushed), the other general
 * registers 0, RFLAGS = 202h, FS base = address of struct program_start (so
 * %fs:0 is its own address and %fs:0x28 the canary of stack protectors), GS base
 * 0; x87, SSE and AVX in their initial state, usable as CPUID and XCR0 say.
 * SYSCALL, RDTSCP, RDPID and WRFSBASE are not there; CPUID and RDTSC are.
 *
 * ---- system calls ----
 *
 * VMCALL or VMMCALL (start->vmmcall says which), RAX = number, arguments in
 * RDI, RSI, RDX, R10, R8. Out: RAX = result, 0 or more, or an error negated
 * (enum program_error); RDX = a second result where one is named, else
 * unchanged. All other registers, SSE and AVX included, are kept, but for null
 * selectors in DS, ES, FS and GS.
 *
 * An address with a length must lie in one of the program's own areas that
 * allows the access; else -PROGRAM_EFAULT and nothing is done.
 *
 * ---- messages ----
 *
 * A message is a type and up to slot_size bytes. PROGRAM_RECEIVE gives the
 * oldest that waits, with its data in a slot's buffer; the program writes the
 * reply's data into the same buffer, from its start, and calls PROGRAM_REPLY.
 * Several messages may be open at a time, and each has to be answered, or its
 * buffer is lost. A sender can give up: then the reply is refused with
 * -PROGRAM_ENOENT, and nobody need care. Whoever answers one and wants the next
 * does both by one PROGRAM_RECEIVE: that is one exit less for each message.
 *
 * From one PROGRAM_RECEIVE to the next the program may use at most the manifest's
 * time: then it is stopped.
 */
#ifndef CORE_PROGRAM_ABI_H
#define CORE_PROGRAM_ABI_H

#include <stdint.h>

#define PROGRAM_ABI_VERSION 1

#define PROGRAM_LOW	    0x00010000ULL
#define PROGRAM_PIE_BASE    0x00400000ULL
#define PROGRAM_HEAP	    0x20000000ULL
#define PROGRAM_MAIL	    0x30000000ULL
#define PROGRAM_REGIONS	    0x34000000ULL /* each PROGRAM_REGION_STEP on */
#define PROGRAM_REGION_STEP 0x01000000ULL
#define PROGRAM_START	    0x3e000000ULL
#define PROGRAM_STACK_TOP   0x3f000000ULL
#define PROGRAM_SPACE	    0x40000000ULL

#define PROGRAM_NAME_MAX    32	 /* with the NUL */
#define PROGRAM_LOG_MAX	    96	 /* bytes of one PROGRAM_LOG */
#define PROGRAM_RANDOM_MAX  4096 /* bytes of one PROGRAM_RANDOM */
#define PROGRAM_FOREVER	    (~0ULL)

struct program_start {
	uint64_t self;	     /* its own address: %fs:0 */
	uint32_t version;    /* PROGRAM_ABI_VERSION */
	uint32_t vmmcall;    /* system calls: 1 VMMCALL, 0 VMCALL */
	uint64_t bias;	     /* PROGRAM_PIE_BASE, or 0 for ET_EXEC */
	uint64_t heap;	     /* PROGRAM_HEAP */
	uint64_t heap_size;  /* bytes */
	uint64_t canary;     /* offset 28h, random */
	uint64_t mail;	     /* PROGRAM_MAIL */
	uint32_t slots;	     /* message buffers */
	uint32_t slot_size;  /* bytes of each, a multiple of 4 KiB */
	uint64_t stack_size; /* bytes below PROGRAM_STACK_TOP */
	uint64_t slice_ns;   /* of the manifest */
	uint64_t memory;     /* of the manifest, bytes of all areas */
	uint32_t id;	     /* this program's number */
	uint32_t restarts;   /* how often it was started again */
	char name[PROGRAM_NAME_MAX];
};

enum program_call {
	/* RDI = status, for the log. Does not return. A program whose manifest
	 * says "restart" starts again, unless the status is 0. */
	PROGRAM_EXIT = 0,
	/* RDI = text, RSI = length, at most PROGRAM_LOG_MAX: one line of Shoji's
	 * log, after the program's name; bytes that are not printable ASCII
	 * become '?'. What comes too often is counted, not written. */
	PROGRAM_LOG = 1,
	/* RAX = nanoseconds since Shoji's start, never going back. */
	PROGRAM_CLOCK = 2,
	/* RDI = buffer, RSI = length, at most PROGRAM_RANDOM_MAX: bytes fit for
	 * keys. -EIO: this machine has no source of them. */
	PROGRAM_RANDOM = 3,
	/* RDI = struct program_message to be filled in, RSI = deadline by
	 * PROGRAM_CLOCK: 0 does not wait, PROGRAM_FOREVER does for good. Before
	 * that, what PROGRAM_REPLY does with RDX, R10 and R8; an RDX that is no
	 * open message's id (0, or the sender has given up) is no error here. 0,
	 * or -EAGAIN if none came in time: the reply is out. -EINVAL (the length
	 * is more than slot_size), -EFAULT: neither was done, and the message
	 * is still open. */
	PROGRAM_RECEIVE = 4,
	/* RDI = id of an open message, RSI = length of the reply's data (in the
	 * message's buffer), RDX = status, for the sender; the buffer is no
	 * longer the program's. -ENOENT: the sender has given up. -EINVAL: the
	 * length is more than slot_size. */
	PROGRAM_REPLY = 5,
	/* To another program that the manifest names: RDI = its number, RSI =
	 * type, RDX = data, R10 = length. RAX = an id above 0; -EPERM, -ENOENT
	 * (it does not run), -EBUSY (it has no free buffer), -EINVAL. Does not
	 * wait. */
	PROGRAM_SEND = 6,
	/* The reply: RDI = id from PROGRAM_SEND, RSI = buffer, RDX = its size,
	 * R10 = deadline. RAX = length, RDX = status; the id is gone. -EAGAIN:
	 * not yet; -ENOSPC: the buffer is too small, RDX = the length, the id
	 * stays; -EIO: the other program was stopped, -ENOENT: no such id. */
	PROGRAM_WAIT = 7,
	/* RDI = id from PROGRAM_SEND: gives it up. -ENOENT: no such id. */
	PROGRAM_CANCEL = 8,
	/* RDI = deadline: goes on then, at the earliest; 0 only gives others a
	 * turn. */
	PROGRAM_SLEEP = 9,
	/* From or into the buffer that the sender has registered and named with
	 * an open message: RDI = the message's id, RSI = offset in the buffer,
	 * RDX = own memory, R10 = length, at most 64 KiB. Waits for the sender's
	 * turn. RAX = 0; -ENOENT: also if the sender has given up or does not
	 * ask any more; -EFAULT: also if its memory is not there; -EPERM,
	 * -EINVAL. */
	PROGRAM_BUFFER_READ = 10,
	PROGRAM_BUFFER_WRITE = 11,
	/* RDI = name, RSI = length: RAX = the number of the program of that
	 * name, -ENOENT. */
	PROGRAM_FIND = 12,
	/* RDI = name, RSI = length, of a region that the manifest grants, else
	 * -ENOENT: RAX = its address, the same in every program, RDX = its size.
	 * It is there, to be read and, if granted so, written, but not executed,
	 * until this program ends; then again after another PROGRAM_MAP. It is
	 * zeroed when the last program that has mapped it ends. */
	PROGRAM_MAP = 13,
	PROGRAM_CALLS, /* any other: -ENOSYS */
};

enum program_error { /* numbers as in Linux */
	PROGRAM_EPERM = 1,
	PROGRAM_ENOENT = 2,
	PROGRAM_EIO = 5,
	PROGRAM_EAGAIN = 11,
	PROGRAM_EFAULT = 14,
	PROGRAM_EBUSY = 16,
	PROGRAM_EINVAL = 22,
	PROGRAM_ENOSPC = 28,
	PROGRAM_ENOSYS = 38,
};

/* Who has sent a message. */
#define PROGRAM_FROM_KERNEL 0x100 /* the guest's kernel */
#define PROGRAM_FROM_USER   0x101 /* a process of the guest */
/* below 0x100: the program of that number */

struct program_message {
	uint64_t id;	      /* above 0, for PROGRAM_REPLY */
	uint32_t type;	      /* the sender's */
	uint32_t sender;      /* PROGRAM_FROM_*, or a program's number */
	uint64_t data;	      /* address of the slot's buffer */
	uint64_t length;      /* bytes that are in it */
	uint64_t buffer_size; /* of the registered buffer, 0: none */
	uint64_t caller;      /* the same for all messages of one process */
};

#ifdef __x86_64__
/* Both results; r10 and r8 as above. */
__attribute__((unused)) static inline int64_t program_call5(
	uint32_t vmmcall, uint64_t number, uint64_t a, uint64_t b, uint64_t c,
	uint64_t d, uint64_t e, uint64_t *second)
{
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	int64_t result = (int64_t)number;

	if (vmmcall)
		__asm__ volatile("vmmcall"
				 : "+a"(result), "+d"(c)
				 : "D"(a), "S"(b), "r"(r10), "r"(r8)
				 : "memory");
	else
		__asm__ volatile("vmcall"
				 : "+a"(result), "+d"(c)
				 : "D"(a), "S"(b), "r"(r10), "r"(r8)
				 : "memory");
	if (second)
		*second = c;
	return result;
}
#endif

_Static_assert(sizeof(struct program_start) == 0x80, "ABI version 1");
_Static_assert(__builtin_offsetof(struct program_start, canary) == 0x28,
	       "stack protectors");
_Static_assert(sizeof(struct program_message) == 48, "ABI version 1");

#endif

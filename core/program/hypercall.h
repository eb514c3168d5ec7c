/*
 * Hypercalls, version 1: how the guest talks to Shoji. Self-contained: for the
 * guest's tools (Linux and Windows) and for Shoji.
 *
 * Shoji answers only if its configuration says so ([hypercall] allow), to the
 * guest's kernel or also to user mode; and only in 64-bit mode. In every other
 * case the instruction raises #UD, exactly as on a machine without Shoji: a
 * tool catches that (SIGILL, EXCEPTION_ILLEGAL_INSTRUCTION) around its first
 * call, SHOJI_QUERY, and then reports "not running under Shoji". Another
 * hypervisor may return something: compare the signature.
 *
 * ---- a call ----
 *
 * VMMCALL if CPUID's vendor is AuthenticAMD or HygonGenuine, else VMCALL, with
 * RAX = SHOJI_MAGIC | number, arguments in RBX, RCX, RDX, RSI, RDI, R8, R9.
 * Out: RAX = result, 0 or more, or an error negated (enum shoji_error); RBX, RCX
 * and RDX are results where that is said, else unchanged. All other registers
 * are kept.
 *
 * Buffers are named by the caller's linear (virtual) addresses and used with the
 * caller's rights, but for protection keys, which are not looked at. A page that
 * is not there or does not allow the access raises #PF at the instruction, as for
 * any other instruction, so pages are brought in by the guest's kernel and a wild
 * pointer is the caller's own fault; the call has had no effect then. -EFAULT:
 * the page is not ordinary memory.
 *
 * A call never takes longer than one slice (500 us unless configured) beyond its
 * own copying, and comes back at once when an interrupt waits; on a CPU without a
 * timer for that (AMD-V) a program that goes on computes until an interrupt. With
 * interrupts disabled and one waiting, programs do not advance.
 *
 * ---- messages ----
 *
 * SHOJI_SEND copies the request and runs the program on this CPU. If it answers
 * within the slice, the reply comes back with the same call; else -EAGAIN and a
 * handle for SHOJI_WAIT, which runs it on. After -EAGAIN RCX says how long (in
 * microseconds) the caller should sleep before SHOJI_WAIT: 0 means call again at
 * once, the program is working and advances in that call; above 0 it is another
 * CPU that runs it, or it waits for a deadline. So nobody spins.
 *
 * A handle belongs to the address space and the privilege that has sent it. What
 * nobody has asked for in SHOJI_STALE_MS is dropped when its buffer is needed;
 * nothing else need be cleaned up after a process. One caller can have half of a
 * program's buffers at a time.
 */
#ifndef CORE_PROGRAM_HYPERCALL_H
#define CORE_PROGRAM_HYPERCALL_H

#include <stdint.h>

#define SHOJI_ABI_VERSION 1
#define SHOJI_MAGIC	  0x534a0000U /* "SJ", then 16 bits of number */
#define SHOJI_SIGNATURE	  0x31696a6f68532021ULL /* "! Shoji1", in RBX */
#define SHOJI_STALE_MS	  10000
#define SHOJI_NAME_MAX	  32 /* with the NUL */
#define SHOJI_BUFFER_MAX  (16U << 20)

enum shoji_number {
	/* RAX = 0, RBX = SHOJI_SIGNATURE, RCX = SHOJI_ABI_VERSION. */
	SHOJI_QUERY = 0,
	/* RBX = struct shoji_status, RCX = its size. As many bytes as there is
	 * room for; RAX = how many there are. So for the next three, where RDX =
	 * index, from 0; -ENOENT past the end. */
	SHOJI_STATUS = 1,
	SHOJI_VOLUME = 2,  /* struct shoji_volume */
	SHOJI_STAT = 3,	   /* struct shoji_stat, index: CPU */
	SHOJI_PROGRAM = 4, /* struct shoji_program */
	/* RBX = buffer, RCX = its size, RDX = position in the stream of all log
	 * text since boot: RAX = bytes copied, RDX = the position behind them.
	 * What the ring no longer holds is left out. 0 bytes: the end. */
	SHOJI_LOG = 5,
	/*
	 * RBX = the program's index, RCX = request, RDX = its length, RSI =
	 * reply, RDI = its size, R8 = type (32 bits), R9 = 0 or a buffer's id.
	 * RAX = the reply's length, RDX = status (the program's). Or:
	 * -EAGAIN   under way: RDX = handle, RCX = how long to sleep
	 * -ENOSPC   the reply is longer: RDX = handle, RCX = its length
	 * -EIO	     the program was stopped over it
	 * -EPERM    not for this caller
	 * -ENOENT   no such program, or it does not run
	 * -EBUSY    no room: RCX = how long to sleep
	 * -EINVAL   longer than the program's messages
	 */
	SHOJI_SEND = 6,
	/* RBX = handle, RSI = reply, RDI = its size: as SHOJI_SEND from there
	 * on. -ENOENT: no such handle. */
	SHOJI_WAIT = 7,
	/* RBX = handle: nobody waits for it any more. 0 or -ENOENT. */
	SHOJI_CANCEL = 8,
	/*
	 * A buffer that programs may read or write while a message that names it
	 * is open and this address space waits for it. RBX = address, RCX =
	 * length, at most SHOJI_BUFFER_MAX, RDX = 1 to be read, 2 written, 3
	 * both. RAX = id above 0. Each use walks the page tables anew; pages
	 * that are not there at that time are errors for the program, so lock
	 * them. When others want room, what was not used for SHOJI_STALE_MS is
	 * dropped. -EBUSY: too many.
	 */
	SHOJI_REGISTER = 9,
	SHOJI_UNREGISTER = 10, /* RBX = id. 0 or -ENOENT */
	SHOJI_NUMBERS,	       /* any other: -ENOSYS */
};

enum shoji_error { /* numbers as in Linux */
	SHOJI_EPERM = 1,
	SHOJI_ENOENT = 2,
	SHOJI_EIO = 5,
	SHOJI_EAGAIN = 11,
	SHOJI_EFAULT = 14,
	SHOJI_EBUSY = 16,
	SHOJI_EINVAL = 22,
	SHOJI_ENOSPC = 28,
	SHOJI_ENOSYS = 38,
};

struct shoji_status {
	uint32_t abi; /* SHOJI_ABI_VERSION */
	uint32_t cpus;
	char version[32];
	char back_end[32]; /* "AMD-V", "Intel VT-x" */
	uint64_t uptime_ns;
	uint64_t hidden_start, hidden_size;
	uint64_t log_start, log_end; /* positions that SHOJI_LOG has */
	uint32_t volumes, programs;
};

struct shoji_volume {
	char name[SHOJI_NAME_MAX];
	uint64_t first, last;	/* sectors of 512 bytes; ~0: to the end */
	uint64_t read, written; /* sectors since boot */
	uint32_t key_bits;
	uint32_t zero;
};

/* Causes of exits, by their index in struct shoji_stat. */
#define SHOJI_EXIT_NAMES                                                       \
	"unknown", "cpuid", "rdmsr", "wrmsr", "io", "nested-fault",            \
		"cr-write", "cr-read", "dr", "xsetbv", "invd", "hypercall",    \
		"virt-insn", "exception", "task-switch", "init", "sipi",       \
		"nmi", "window", "shutdown", "deadline", "handled", "invalid", \
		"interrupt"
#define SHOJI_EXITS_MAX 32

struct shoji_stat {
	uint32_t cpu;
	uint32_t kinds; /* how many of the following count */
	uint64_t exits[SHOJI_EXITS_MAX];
	uint64_t slices;     /* of programs that ran here */
	uint64_t program_ns; /* and how long in all */
};

enum shoji_program_state {
	SHOJI_PROGRAM_STOPPED, /* for good */
	SHOJI_PROGRAM_READY,   /* would run */
	SHOJI_PROGRAM_RUNNING, /* on a CPU, now */
	SHOJI_PROGRAM_WAITING, /* for a message or a deadline */
};

struct shoji_program {
	char name[SHOJI_NAME_MAX];
	uint32_t state; /* enum shoji_program_state */
	uint32_t restarts;
	uint32_t open;	   /* messages that it has got and not answered */
	uint32_t waiting;  /* messages that it has not got yet */
	uint64_t memory;   /* bytes */
	uint64_t messages; /* answered */
	uint64_t slices;
	uint64_t run_ns;      /* on a CPU, since boot */
	uint32_t message_max; /* bytes */
	uint32_t for_user;    /* 1: user mode may send, 0: the kernel only */
	char stopped[64];     /* why it was stopped last, or "" */
};

#ifdef __x86_64__
struct shoji_regs {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, r8, r9;
};

/* One call; @vmmcall as said above. May raise #UD. */
__attribute__((unused)) static inline int64_t shoji_hypercall(
	int vmmcall, struct shoji_regs *r)
{
	register uint64_t r8 __asm__("r8") = r->r8;
	register uint64_t r9 __asm__("r9") = r->r9;

	if (vmmcall)
		__asm__ volatile("vmmcall"
				 : "+a"(r->rax), "+b"(r->rbx), "+c"(r->rcx),
				   "+d"(r->rdx)
				 : "S"(r->rsi), "D"(r->rdi), "r"(r8), "r"(r9)
				 : "memory");
	else
		__asm__ volatile("vmcall"
				 : "+a"(r->rax), "+b"(r->rbx), "+c"(r->rcx),
				   "+d"(r->rdx)
				 : "S"(r->rsi), "D"(r->rdi), "r"(r8), "r"(r9)
				 : "memory");
	return (int64_t)r->rax;
}
#endif

_Static_assert(sizeof(struct shoji_status) == 120, "ABI version 1");
_Static_assert(sizeof(struct shoji_volume) == 72, "ABI version 1");
_Static_assert(sizeof(struct shoji_stat) == 280, "ABI version 1");
_Static_assert(sizeof(struct shoji_program) == 152, "ABI version 1");

#endif

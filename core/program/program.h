/*
 * Protected programs: what the files of core/program share, and what main.c
 * calls. See abi.h for a program's view, hypercall.h for the guest's.
 *
 * A program's memory is one run of hidden pages, mapped by a nested table of its
 * own: its segments, stack, heap, start page and message buffers, each with the
 * access that it needs and with gaps between. Its own page table, which all
 * programs share and none can reach, maps address to equal address. The nested
 * table is the isolation. Only regions, memory that programs share, come into it
 * and go out of it later.
 *
 * It runs inside the hypercall of the CPU that wants something of it, for one
 * slice at most; what is unfinished then goes on in the background, too. struct
 * programs has one lock, held for everything but the slice's own running; what
 * runs belongs to its CPU by program.holder.
 */
#ifndef CORE_PROGRAM_PROGRAM_H
#define CORE_PROGRAM_PROGRAM_H

#include "core/cpu/cpu.h"
#include "core/lib/lock.h"
#include "core/lib/log.h"
#include "core/mm/table.h"
#include "core/program/elf.h"
#include "core/program/hypercall.h"
#include "core/program/mail.h"
#include "core/program/manifest.h"
#include "core/program/random.h"
#include "core/program/space.h"
#include "core/virt/virt.h"
#include "crypto/disk/volume.h"

struct program {
	struct program_manifest m;
	u32 id;
	struct mail_sender self; /* as which it sends messages */
	u8 *file;		 /* NULL: there is none, it never runs */
	u64 file_size;
	struct elf_image elf;

	u8 *memory;
	u64 memory_size;
	struct space space;
	u8 *start, *slots; /* in memory: the host's view of these areas */
	u64 slot_size;
	struct table nested;

	enum shoji_program_state state;
	bool dirty;	/* STOPPED: its memory is being wiped */
	bool again;	/* then it starts again */
	u64 clean;	/* bytes of its memory that are wiped */
	u64 not_before; /* after a restart, ns */
	u64 wake;	/* WAITING: until then, ns */
	bool poked;	/* WAITING: look again */
	u32 holder;	/* CPU index + 1 that has its registers, 0: none */
	struct virt_program cpu;
	void *xstate;
	struct mailbox mail;
	u64 used_ns; /* since the last RECEIVE */
	u64 stale;   /* bit n: CPU n may know regions that it has no more */

	u32 restarts;
	u64 messages, slices, run_ns;
	char stopped[64];
	struct log_limit stop_limit, log_limit;
};

/* False: it has never run, or was stopped for good. */
static inline bool program_there(const struct program *p)
{
	return p->file && (p->state != SHOJI_PROGRAM_STOPPED || p->dirty);
}

/* Its nth message buffer. */
static inline u8 *program_slot(const struct program *p, u32 n)
{
	return p->slots + n * p->slot_size;
}

#define BUFFERS_MAX 16

struct buffer { /* registered by the guest */
	u32 id; /* 0: free */
	struct mail_sender owner;
	u64 address;
	u32 length;
	u32 access; /* as in SHOJI_REGISTER */
	u64 since;  /* ns, of the last use */
};

struct region { /* memory that programs share */
	u64 start, size;
	u8 *memory;
	u32 holders; /* bit n: the nth program has mapped it */
	u32 wiper;   /* the last one's number + 1, while it is wiped */
	u64 clean;   /* bytes that are */
};

struct program_config {
	const char *version;
	enum hypercall_allow allow;
	const struct volume *volumes;
	u32 volume_count;
	const struct program_manifest *manifests;
	u32 count;
	const struct program_region *regions;
	u32 region_count;
};

struct programs {
	struct lock lock;
	struct program_config config;
	const struct virt_ops *ops;
	u32 count;
	u32 turn; /* whose it is after the one that is called */
	struct program program[PROGRAM_MAX];
	struct region region[REGION_MAX];
	struct random random;
	u64 last_ns;  /* that PROGRAM_CLOCK has given */
	u32 closed;   /* Shoji ends: nothing runs any more */
	hpa_t paging; /* the page tables that all share */
	u32 next_buffer;
	struct buffer buffer[BUFFERS_MAX];
	struct {
		u64 slices, ns;
		u64 rest; /* until then, ns, nothing runs in the background */
		bool wanted; /* by the guest, which an interrupt waits for */
	} cpu[CPU_MAX];
};

/* One hypercall: who makes it, and the slice that it gives. */
struct slice {
	struct programs *all;
	struct vcpu *v;
	struct mail_sender caller;
	u64 end;		/* TSC */
	struct program *loaded; /* whose registers this CPU has */
	bool began;		/* the guest's extended state is saved */
	bool over;		/* the guest has to run */
	bool init;		/* the CPU has got an INIT */
	bool background;	/* no hypercall */
};

/* ---- load.c: from files to programs -------------------------------------- */

/* An ELF file in hidden memory that stays there until programs_wipe(): embedded,
 * or a module. */
struct program_file {
	u8 *data;
	u64 size;
	const char *name; /* for the log */
};

/*
 * Once, at boot, after choosing the back end: the manifests' programs out of
 * those of @files whose SHA-256 they name; each of the other files, and each
 * program that cannot be loaded, gets a line in the log.
 */
void programs_init(struct programs *all, const struct program_config *config,
		   const struct virt_ops *ops, const struct program_file *files,
		   u32 file_count);

/* Hidden memory that they need, without their files. */
u64 programs_memory(const struct program_manifest *manifests, u32 count);

/*
 * One line in the log; wipes its registers. Its memory is dirty from then on:
 * no message comes in or out until program_clean() has wiped all of it. Then its
 * messages fail, and it starts again if its manifest says so and @restart.
 */
void program_stop(struct programs *all, struct program *p, bool restart,
		  const char *format, ...) format_printf(4, 5);

/* Wipes a piece of a dirty program's memory that this CPU holds, so little that
 * an interrupt can wait for it. Lets go of the lock meanwhile. */
void program_clean(struct programs *all, struct program *p);

/* Wiped in one go: some microseconds. */
#define PROGRAM_PIECE (64ULL << 10)

/* On panic, power-off and reset: no memory of any program survives, nor its
 * file, which may hold keys. */
void programs_wipe(struct programs *all);

/* ---- region.c ------------------------------------------------------------- */

/* Hidden memory that they need. */
u64 regions_memory(const struct program_region *regions, u32 count);

/* At boot: their memory, and what @p's nested table takes so that nothing can
 * fail later. -ENOMEM. */
int regions_init(struct programs *all) must_check;
int regions_prepare(struct programs *all, struct program *p) must_check;

/* The region of that name (with NULs to its end) if @p has a grant, or NULL; and
 * maps it, unless it has a wiper. */
struct region *region_find(struct programs *all, const struct program *p,
			   const char *name);
void region_map(struct programs *all, struct program *p, struct region *r);

/* @p, which is not running, has none any more; what is nobody's is @p's to wipe,
 * a piece at a time as in program_clean(). False: there was nothing to do. */
void regions_unmap(struct programs *all, struct program *p);
bool regions_clean(struct programs *all, const struct program *p);
void regions_wipe(struct programs *all);

/* ---- run.c: slices -------------------------------------------------------- */

/*
 * With the lock held, which it lets go in between: runs @first, and others while
 * that one cannot, until the message @id in *@done (NULL: none) is neither
 * WAITING nor OPEN, nothing can run, the slice is over or the guest is wanted.
 */
void slice_run(struct slice *s, struct program *first,
	       const struct mail_slot *done, u64 id);
/* After the last: the guest's state is back. */
void slice_end(struct slice *s);

/*
 * Between two exits of the guest: gives a slice to a program that has something
 * to do, and then time to the guest, twice as long and at least a slice; none
 * right after a hypercall's slice that an interrupt has ended. Sets the deadline
 * for what is left. While the guest has RFLAGS.IF clear only memory is wiped: an
 * interrupt that comes then could not end the slice, and without v->timer none
 * would. True: the CPU has got an INIT.
 */
bool slice_background(struct programs *all, struct vcpu *v) must_check;

/* ---- syscall.c ------------------------------------------------------------ */

/* The system call that @p has just made; moves RIP unless it has to wait. */
void program_syscall(struct slice *s, struct program *p);

/* An id for a message in @p's @slot, above 0, that nobody can guess; and whose
 * it is, NULL if nobody's. */
u64 program_new_id(struct programs *all, const struct program *p, u32 slot);
struct program *program_of_id(struct programs *all, u64 id);

/* @from's message of that @id, and to whom; or NULL. And gives it up: 0 or
 * -ENOENT. */
struct mail_slot *program_sent(struct programs *all, u64 id,
			       const struct mail_sender *from,
			       struct program **to);
int program_cancel(struct programs *all, u64 id,
		   const struct mail_sender *from) must_check;

/* @owner's buffer of that @id, which may come again, or NULL. */
struct buffer *program_buffer(struct programs *all, u64 id,
			      const struct mail_sender *owner);

/* ---- caller.c: the guest's memory, as the caller of a hypercall sees it --- */

struct guest_mem_fault;

/* Copies to (@write) or from [@address, +@len). 0; -EFAULT if it is not ordinary
 * memory; CALLER_TRAP and *@fault if the access traps. @data NULL: only asks. */
#define CALLER_TRAP 1
int caller_copy(struct vcpu *v, u64 address, void *data, u64 len, bool write,
		struct guest_mem_fault *fault) must_check;

/* ---- hypercall.c ---------------------------------------------------------- */

/* For struct guest: hypercalls go to @all. */
bool programs_hypercall(struct vcpu *v, const struct vmexit *exit);
void programs_attach(struct programs *all);
/* For struct guest: unfinished work goes on. */
void programs_background(struct vcpu *v);

#endif

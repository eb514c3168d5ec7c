#include "core/program/program.h"

#include "core/arch/regs.h"
#include "core/arch/x86.h"
#include "core/cpu/clock.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/mm/pool.h"
#include "core/program/abi.h"
#include "core/virt/guest.h"
#include "crypto/disk/disk.h"

static_assert(sizeof((const char *[]){ SHOJI_EXIT_NAMES }) /
			      sizeof(const char *) ==
		      VMEXIT_KINDS,
	      "SHOJI_EXIT_NAMES");
static_assert(VMEXIT_KINDS <= SHOJI_EXITS_MAX, "struct shoji_stat");

#define LOG_CHUNK    512
#define LOG_ONCE     16384
#define BUFFERS_EACH 4
#define US	     1000ULL
#define MS	     1000000ULL
/* How long to sleep while another CPU runs the program, or it waits. */
#define SLEEP_US     100
#define SLEEP_MAX_US 1000

static struct programs *attached;

/* A hypercall under way; @trap: nothing has happened, the guest gets @fault. */
struct hypercall {
	struct slice s;
	struct programs *all;
	struct vcpu *v;
	u64 *gpr;
	struct guest_mem_fault fault;
	bool trap;
};

/* 0, or what caller_copy() says. */
static s64 copy(struct hypercall *h, u64 address, void *data, u64 len,
		bool write)
{
	int rc = caller_copy(h->v, address, data, len, write, &h->fault);

	h->trap = rc == CALLER_TRAP;
	return rc;
}

/* ---- what Shoji says of itself --------------------------------------------- */

/* As much of @data as the caller has room for. */
static s64 give(struct hypercall *h, void *data, u64 size)
{
	u64 n = min_u64(size, h->gpr[GPR_RCX]);

	return copy(h, h->gpr[GPR_RBX], data, n, true) ?: (s64)size;
}

static s64 hc_query(struct hypercall *h)
{
	h->gpr[GPR_RBX] = SHOJI_SIGNATURE;
	h->gpr[GPR_RCX] = SHOJI_ABI_VERSION;
	return 0;
}

static void copy_text(char *dst, size_t room, const char *src)
{
	memcpy(dst, src, min_u64(strlen(src), room - 1));
}

static s64 hc_status(struct hypercall *h)
{
	const struct program_config *c = &h->all->config;
	struct shoji_status st = {
		.abi = SHOJI_ABI_VERSION,
		.cpus = h->v->guest->cpus,
		.uptime_ns = clock_ns(),
		.hidden_start = pool_hidden()->start,
		.hidden_size = pool_hidden()->size,
		.volumes = c->volume_count,
		.programs = h->all->count,
	};

	log_range(&st.log_start, &st.log_end);
	copy_text(st.version, sizeof(st.version), c->version);
	copy_text(st.back_end, sizeof(st.back_end), h->all->ops->name);
	return give(h, &st, sizeof(st));
}

static s64 hc_volume(struct hypercall *h)
{
	u64 i = h->gpr[GPR_RDX];
	struct shoji_volume out = { 0 };
	struct disk_counters n;
	const struct volume *v;

	if (i >= h->all->config.volume_count)
		return -ENOENT;
	v = &h->all->config.volumes[i];
	n = disk_counters(i);
	copy_text(out.name, sizeof(out.name), v->name);
	out.first = v->first;
	out.last = v->last;
	out.read = n.decoded;
	out.written = n.encoded;
	out.key_bits = v->key_len * 4;
	return give(h, &out, sizeof(out));
}

static s64 hc_stat(struct hypercall *h)
{
	u64 i = h->gpr[GPR_RDX];
	struct shoji_stat out = { .cpu = i, .kinds = VMEXIT_KINDS };

	if (i >= h->v->guest->cpus)
		return -ENOENT;
	memcpy(out.exits, h->v->guest->vcpu[i].exits,
	       sizeof(h->v->guest->vcpu[i].exits));
	out.slices = h->all->cpu[i].slices;
	out.program_ns = h->all->cpu[i].ns;
	return give(h, &out, sizeof(out));
}

static s64 hc_program(struct hypercall *h)
{
	struct shoji_program out = { 0 };
	const struct program *p;

	if (h->gpr[GPR_RDX] >= h->all->count)
		return -ENOENT;
	p = &h->all->program[h->gpr[GPR_RDX]];
	memcpy(out.name, p->m.name, sizeof(out.name));
	memcpy(out.stopped, p->stopped, sizeof(out.stopped));
	out.state = p->file ? p->state : SHOJI_PROGRAM_STOPPED;
	out.restarts = p->restarts;
	out.open = mail_count(&p->mail, MAIL_OPEN);
	out.waiting = mail_count(&p->mail, MAIL_WAITING);
	out.memory = p->memory_size;
	out.messages = p->messages;
	out.slices = p->slices;
	out.run_ns = p->run_ns;
	out.message_max = p->slot_size;
	out.for_user = p->m.user;
	return give(h, &out, sizeof(out));
}

static s64 hc_log(struct hypercall *h)
{
	u64 room = min_u64(h->gpr[GPR_RCX], LOG_ONCE), done = 0, n;
	u64 position = h->gpr[GPR_RDX];
	char chunk[LOG_CHUNK];
	s64 rc;

	do {
		n = log_read(&position, chunk, min_u64(room - done, LOG_CHUNK));
		rc = copy(h, h->gpr[GPR_RBX] + done, chunk, n, true);
		if (rc)
			return rc;
		done += n;
	} while (n && done < room);
	h->gpr[GPR_RDX] = position;
	return (s64)done;
}

/* ---- messages -------------------------------------------------------------- */

u64 program_new_id(struct programs *all, const struct program *p, u32 slot)
{
	u64 id;

	random_bytes(&all->random, &id, sizeof(id));
	return (id >> 2 & ~0xffULL) | BIT(62) | p->id << 4 | slot;
}

struct program *program_of_id(struct programs *all, u64 id)
{
	u32 i = id >> 4 & 15;

	return i < all->count && all->program[i].file ? &all->program[i] : NULL;
}

/* How long there is no point in asking again. */
static u64 sleep_us(const struct program *p, u32 cpu)
{
	u64 now = clock_ns();

	if (p->holder && p->holder != cpu + 1)
		return SLEEP_US;
	if (now < p->not_before)
		return min_u64((p->not_before - now) / US + 1, SLEEP_MAX_US);
	if (p->state != SHOJI_PROGRAM_WAITING || p->poked || now >= p->wake)
		return 0;
	return min_u64((p->wake - now) / US + 1, SLEEP_MAX_US);
}

/* For one slice of @p's, see slice_run(). */
static void run(struct hypercall *h, struct program *p,
		const struct mail_slot *slot, u64 id)
{
	h->s.end = rdtsc() + clock_to_ticks(p->m.slice_us * US);
	p->poked = true; /* it may wait for this caller's buffer */
	slice_run(&h->s, p, slot, id);
}

/* Runs @p until the message in @slot has its reply, then gives that. */
static s64 finish(struct hypercall *h, struct program *p,
		  struct mail_slot *slot)
{
	u64 id = slot->id, room = h->gpr[GPR_RDI];
	s64 rc;

	run(h, p, slot, id);
	if (slot->id != id || slot->state == MAIL_FREE)
		return -ENOENT; /* cancelled, by another CPU */
	if (slot->state != MAIL_DONE || p->dirty) {
		h->gpr[GPR_RDX] = id;
		h->gpr[GPR_RCX] = sleep_us(p, h->v->cpu->index);
		return -EAGAIN;
	}
	if (slot->failed) {
		mail_drop(slot, clock_ns());
		return -EIO;
	}
	if (slot->length > room) {
		h->gpr[GPR_RDX] = id;
		h->gpr[GPR_RCX] = slot->length;
		return -ENOSPC;
	}
	rc = copy(h, h->gpr[GPR_RSI], program_slot(p, slot - p->mail.slot),
		  slot->length, true);
	if (rc)
		return rc;
	h->gpr[GPR_RDX] = (u64)slot->status;
	rc = slot->length;
	mail_drop(slot, clock_ns());
	return rc;
}

/* What can be said before anything is copied. */
static s64 check_send(struct hypercall *h, struct program **to)
{
	struct program *p = &h->all->program[h->gpr[GPR_RBX] % PROGRAM_MAX];

	if (h->gpr[GPR_RBX] >= h->all->count || !program_there(p))
		return -ENOENT;
	if (h->s.caller.kind == PROGRAM_FROM_USER && !p->m.user)
		return -EPERM;
	if (h->gpr[GPR_RDX] > p->slot_size ||
	    (h->gpr[9] && !program_buffer(h->all, h->gpr[9], &h->s.caller)))
		return -EINVAL;
	*to = p;
	return copy(h, h->gpr[GPR_RSI], NULL,
		    min_u64(h->gpr[GPR_RDI], p->slot_size), true);
}

static s64 hc_send(struct hypercall *h)
{
	struct mail_slot m = {
		.sender = h->s.caller,
		.type = h->gpr[8],
		.length = h->gpr[GPR_RDX],
		.buffer = h->gpr[9],
	};
	u64 now = clock_ns();
	struct program *p;
	s64 rc = check_send(h, &p);
	int i;

	if (rc)
		return rc;
	i = p->dirty ? -EBUSY : mail_take(&p->mail, &m.sender, now);
	if (i < 0) { /* it has to go on, to give some back */
		run(h, p, NULL, 0);
		h->gpr[GPR_RCX] = SLEEP_MAX_US;
		return i;
	}
	rc = copy(h, h->gpr[GPR_RCX], program_slot(p, i), m.length, false);
	if (rc)
		return rc;
	m.id = program_new_id(h->all, p, i);
	mail_post(&p->mail, i, &m, now);
	rc = finish(h, p, &p->mail.slot[i]);
	if (!h->trap)
		return rc;
	/* The reply's pages have gone since: the message is not sent twice. */
	h->trap = false;
	h->gpr[GPR_RDX] = m.id;
	h->gpr[GPR_RCX] = 0;
	return -EAGAIN;
}

static s64 hc_wait(struct hypercall *h)
{
	struct program *p;
	struct mail_slot *slot =
		program_sent(h->all, h->gpr[GPR_RBX], &h->s.caller, &p);

	return slot ? finish(h, p, slot) : -ENOENT;
}

static s64 hc_cancel(struct hypercall *h)
{
	return program_cancel(h->all, h->gpr[GPR_RBX], &h->s.caller);
}

/* ---- buffers --------------------------------------------------------------- */

/* A free entry, or one that has not been used for long. */
static struct buffer *free_buffer(struct hypercall *h, u64 now)
{
	struct buffer *found = NULL;
	u32 mine = 0;

	for (u32 i = 0; i < BUFFERS_MAX; i++) {
		struct buffer *b = &h->all->buffer[i];

		if (b->id && now - min_u64(b->since, now) < SHOJI_STALE_MS * MS)
			mine += mail_same_sender(&b->owner, &h->s.caller);
		else if (!found || !b->id)
			found = b;
	}
	return mine < BUFFERS_EACH ? found : NULL;
}

static s64 hc_register(struct hypercall *h)
{
	u64 now = clock_ns(), len = h->gpr[GPR_RCX], access = h->gpr[GPR_RDX];
	struct buffer *b = free_buffer(h, now);

	if (!len || len > SHOJI_BUFFER_MAX || !access || access > 3 ||
	    h->gpr[GPR_RBX] > ~0ULL - len)
		return -EINVAL;
	if (!b)
		return -EBUSY;
	h->all->next_buffer = (h->all->next_buffer + 1) & 0x7fffffff;
	*b = (struct buffer){
		.id = max_u64(h->all->next_buffer, 1),
		.owner = h->s.caller,
		.address = h->gpr[GPR_RBX],
		.length = len,
		.access = access,
		.since = now,
	};
	return b->id;
}

static s64 hc_unregister(struct hypercall *h)
{
	struct buffer *b =
		program_buffer(h->all, h->gpr[GPR_RBX], &h->s.caller);

	if (!b)
		return -ENOENT;
	b->id = 0;
	return 0;
}

/* ---- the call -------------------------------------------------------------- */

static s64 (*const numbers[SHOJI_NUMBERS])(struct hypercall *) = {
	[SHOJI_QUERY] = hc_query,
	[SHOJI_STATUS] = hc_status,
	[SHOJI_VOLUME] = hc_volume,
	[SHOJI_STAT] = hc_stat,
	[SHOJI_PROGRAM] = hc_program,
	[SHOJI_LOG] = hc_log,
	[SHOJI_SEND] = hc_send,
	[SHOJI_WAIT] = hc_wait,
	[SHOJI_CANCEL] = hc_cancel,
	[SHOJI_REGISTER] = hc_register,
	[SHOJI_UNREGISTER] = hc_unregister,
};

/* May it know that Shoji is here? */
static bool allowed(struct vcpu *v, enum hypercall_allow allow)
{
	bool user = v->guest->ops->get(v, VREG_CPL) != 0;

	return allow != HYPERCALL_NONE && (!user || allow == HYPERCALL_USER) &&
	       (v->gpr[GPR_RAX] & ~0xffffULL) == SHOJI_MAGIC &&
	       guest_code_bits(v) == 64;
}

bool programs_hypercall(struct vcpu *v, const struct vmexit *exit)
{
	struct programs *all = attached;
	struct hypercall h = { .all = all, .v = v, .gpr = v->gpr };
	u32 number = v->gpr[GPR_RAX] & 0xffff;
	s64 result;

	if (!all || !allowed(v, all->config.allow))
		return false;
	h.s = (struct slice){
		.all = all,
		.v = v,
		.caller = {
			.kind = v->guest->ops->get(v, VREG_CPL)
					? PROGRAM_FROM_USER
					: PROGRAM_FROM_KERNEL,
			.space = v->guest->ops->get(v, VREG_CR3) &
				 PTE_ADDR,
		},
	};
	lock_acquire(&all->lock);
	result = number < SHOJI_NUMBERS ? numbers[number](&h) : -ENOSYS;
	slice_end(&h.s);
	lock_release(&all->lock);
	if (h.trap) {
		guest_inject_mem_fault(v, &h.fault);
	} else {
		v->gpr[GPR_RAX] = (u64)result;
		guest_skip(v, exit);
	}
	if (h.s.init)
		startup_init_signal(v);
	return true;
}

void programs_background(struct vcpu *v)
{
	if (slice_background(attached, v))
		startup_init_signal(v);
}

void programs_attach(struct programs *all)
{
	attached = all;
}

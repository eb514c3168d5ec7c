#include "core/program/program.h"

#include "core/cpu/clock.h"
#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/lib/string.h"
#include "core/program/abi.h"
#include "core/virt/guest.h"

#define INSN_LEN	3 /* VMCALL, VMMCALL */
#define BUFFER_COPY_MAX 65536
#define WIPE_NS		100000 /* others wipe meanwhile */

/* One system call: its arguments and what it has become. */
struct call {
	struct slice *s;
	struct program *p;
	u64 arg[5];
	u64 *second;
	bool blocked; /* not done: again when the program wakes */
};

static s64 block(struct call *c, u64 until)
{
	c->blocked = true;
	c->p->state = SHOJI_PROGRAM_WAITING;
	c->p->wake = until;
	return 0;
}

static s64 call_exit(struct call *c)
{
	s32 status = (s32)c->arg[0];

	c->blocked = true;
	program_stop(c->s->all, c->p, status != 0, "exit with status %d",
		     status);
	return 0;
}

static s64 call_log(struct call *c)
{
	char line[PROGRAM_LOG_MAX + 1];
	const char *text;

	if (c->arg[1] > PROGRAM_LOG_MAX)
		return -EINVAL;
	text = space_find(&c->p->space, c->arg[0], c->arg[1], ELF_R);
	if (!text)
		return -EFAULT;
	memcpy(line, text, c->arg[1]);
	line[c->arg[1]] = '\0';
	for (u64 i = 0; i < c->arg[1]; i++)
		if (line[i] < 0x20 || line[i] >= 0x7f)
			line[i] = '?';
	log_limited(&c->p->log_limit, "%s: %s", c->p->m.name, line);
	return 0;
}

static s64 call_clock(struct call *c)
{
	struct programs *all = c->s->all;

	/* The CPUs' clocks may differ a little. */
	all->last_ns = max_u64(all->last_ns, clock_ns());
	return (s64)all->last_ns;
}

static s64 call_random(struct call *c)
{
	struct random *r = &c->s->all->random;
	void *to;

	if (c->arg[1] > PROGRAM_RANDOM_MAX)
		return -EINVAL;
	to = space_find(&c->p->space, c->arg[0], c->arg[1], ELF_W);
	if (!to)
		return -EFAULT;
	if (!r->seeded)
		return -EIO;
	random_seed(r);
	random_bytes(r, to, c->arg[1]);
	return 0;
}

/* ---- messages that it gets ------------------------------------------------ */

struct buffer *program_buffer(struct programs *all, u64 id,
			      const struct mail_sender *owner)
{
	for (struct buffer *b = all->buffer; b < all->buffer + BUFFERS_MAX; b++)
		if (b->id && b->id == id && mail_same_sender(&b->owner, owner))
			return b;
	return NULL;
}

/* The one that comes with the message. */
static struct buffer *buffer_of(struct call *c, const struct mail_slot *slot)
{
	return program_buffer(c->s->all, slot->buffer, &slot->sender);
}

static s64 answer(struct call *c, u64 id, u64 length, u64 status)
{
	struct programs *all = c->s->all;
	struct mail_slot *slot = mail_open(&c->p->mail, id);
	u32 sender;
	int rc;

	if (!slot)
		return -ENOENT;
	if (length > c->p->slot_size)
		return -EINVAL;
	sender = slot->sender.kind;
	rc = mail_reply(slot, length, (s64)status, clock_ns());
	c->p->messages++;
	if (sender < all->count)
		all->program[sender].poked = true;
	return rc;
}

static s64 call_reply(struct call *c)
{
	return answer(c, c->arg[0], c->arg[1], c->arg[2]);
}

/* Comes here again when it has waited: the message is not open any more then. */
static s64 call_receive(struct call *c)
{
	struct program *p = c->p;
	u64 now = clock_ns();
	struct program_message m;
	const struct buffer *b;
	struct mail_slot *slot;
	void *to = space_find(&p->space, c->arg[0], sizeof(m), ELF_W);

	if (!to)
		return -EFAULT;
	if (answer(c, c->arg[2], c->arg[3], c->arg[4]) == -EINVAL)
		return -EINVAL;
	p->used_ns = 0;
	slot = mail_receive(&p->mail, now);
	if (!slot)
		return now >= c->arg[1] ? -EAGAIN : block(c, c->arg[1]);
	b = buffer_of(c, slot);
	m = (struct program_message){
		.id = slot->id,
		.type = slot->type,
		.sender = slot->sender.kind,
		.data = PROGRAM_MAIL +
			(slot - p->mail.slot) * (p->slot_size + PAGE_SIZE),
		.length = slot->length,
		.buffer_size = b ? b->length : 0,
		.caller = slot->sender.space,
	};
	memcpy(to, &m, sizeof(m));
	return 0;
}

static s64 call_buffer(struct call *c)
{
	bool write = c->p->cpu.gpr[GPR_RAX] == PROGRAM_BUFFER_WRITE;
	struct guest_mem_fault fault;
	u64 now = clock_ns();
	struct mail_slot *slot = mail_wanted(&c->p->mail, c->arg[0], now);
	struct buffer *b = slot ? buffer_of(c, slot) : NULL;
	void *own;

	if (!b)
		return -ENOENT;
	if (c->arg[3] > BUFFER_COPY_MAX ||
	    !range_ok(c->arg[1], c->arg[3], b->length))
		return -EINVAL;
	if (!(b->access & (write ? 2 : 1)))
		return -EPERM;
	own = space_find(&c->p->space, c->arg[2], c->arg[3],
			 write ? ELF_R : ELF_W);
	if (!own)
		return -EFAULT;
	/* The owner's page tables are those that this CPU has now, or else it
	 * waits, for as long as the message is good. */
	if (!mail_same_sender(&c->s->caller, &b->owner))
		return block(c, slot->since + c->p->mail.stale_ns);
	b->since = now;
	return caller_copy(c->s->v, b->address + c->arg[1], own, c->arg[3],
			   write, &fault)
		       ? -EFAULT
		       : 0;
}

/* ---- messages that it sends ----------------------------------------------- */

static s64 call_send(struct call *c)
{
	struct programs *all = c->s->all;
	struct mail_slot m = {
		.sender = c->p->self,
		.type = c->arg[1],
		.length = c->arg[3],
	};
	u64 now = clock_ns();
	struct program *to;
	const void *data;
	int i;

	if (c->arg[0] >= all->count || !(c->p->m.sends >> c->arg[0] & 1))
		return -EPERM;
	to = &all->program[c->arg[0]];
	if (!program_there(to))
		return -ENOENT;
	if (c->arg[3] > to->slot_size)
		return -EINVAL;
	data = space_find(&c->p->space, c->arg[2], c->arg[3], ELF_R);
	if (!data)
		return -EFAULT;
	i = to->dirty ? -EBUSY : mail_take(&to->mail, &m.sender, now);
	to->poked = true;
	if (i < 0)
		return i;
	memcpy(program_slot(to, i), data, c->arg[3]);
	m.id = program_new_id(all, to, i);
	mail_post(&to->mail, i, &m, now);
	return (s64)m.id;
}

struct mail_slot *program_sent(struct programs *all, u64 id,
			       const struct mail_sender *from,
			       struct program **to)
{
	*to = program_of_id(all, id);
	return *to ? mail_sent(&(*to)->mail, id, from, clock_ns()) : NULL;
}

int program_cancel(struct programs *all, u64 id, const struct mail_sender *from)
{
	struct program *to;
	struct mail_slot *slot = program_sent(all, id, from, &to);

	if (!slot)
		return -ENOENT;
	mail_drop(slot, clock_ns());
	to->poked = true; /* it may wait for this sender's buffer */
	return 0;
}

static s64 call_wait(struct call *c)
{
	struct program *from;
	struct mail_slot *slot =
		program_sent(c->s->all, c->arg[0], &c->p->self, &from);
	u64 now = clock_ns(), length;
	void *to;

	if (!slot)
		return -ENOENT;
	if (slot->state != MAIL_DONE || from->dirty)
		return now >= c->arg[3] ? -EAGAIN : block(c, c->arg[3]);
	if (slot->failed) {
		mail_drop(slot, now);
		return -EIO;
	}
	length = slot->length;
	if (length > c->arg[2]) {
		*c->second = length;
		return -ENOSPC;
	}
	to = space_find(&c->p->space, c->arg[1], length, ELF_W);
	if (!to)
		return -EFAULT;
	memcpy(to, program_slot(from, slot - from->mail.slot), length);
	*c->second = (u64)slot->status;
	mail_drop(slot, now);
	return (s64)length;
}

static s64 call_cancel(struct call *c)
{
	return program_cancel(c->s->all, c->arg[0], &c->p->self);
}

static s64 call_sleep(struct call *c)
{
	if (!c->arg[0])
		c->s->over = true;
	return clock_ns() >= c->arg[0] ? 0 : block(c, c->arg[0]);
}

/* ---- names ---------------------------------------------------------------- */

/* RDI and RSI, filled up with NULs as in the manifest. */
static int take_name(const struct call *c, char name[PROGRAM_NAME_MAX])
{
	const char *from;

	if (c->arg[1] >= PROGRAM_NAME_MAX)
		return -ENOENT;
	from = space_find(&c->p->space, c->arg[0], c->arg[1], ELF_R);
	if (!from)
		return -EFAULT;
	memset(name, 0, PROGRAM_NAME_MAX);
	memcpy(name, from, c->arg[1]);
	return 0;
}

static s64 call_find(struct call *c)
{
	struct programs *all = c->s->all;
	char name[PROGRAM_NAME_MAX];
	int rc = take_name(c, name);

	for (u32 i = 0; !rc && i < all->count; i++)
		if (!memcmp(all->program[i].m.name, name, sizeof(name)))
			return i;
	return rc ? rc : -ENOENT;
}

static s64 call_map(struct call *c)
{
	char name[PROGRAM_NAME_MAX];
	int rc = take_name(c, name);
	struct region *r;

	if (rc)
		return rc;
	r = region_find(c->s->all, c->p, name);
	if (!r)
		return -ENOENT;
	if (r->wiper)
		return block(c, clock_ns() + WIPE_NS);
	region_map(c->s->all, c->p, r);
	*c->second = r->size;
	return (s64)r->start;
}

static s64 (*const calls[PROGRAM_CALLS])(struct call *) = {
	[PROGRAM_EXIT] = call_exit,
	[PROGRAM_LOG] = call_log,
	[PROGRAM_CLOCK] = call_clock,
	[PROGRAM_RANDOM] = call_random,
	[PROGRAM_RECEIVE] = call_receive,
	[PROGRAM_REPLY] = call_reply,
	[PROGRAM_SEND] = call_send,
	[PROGRAM_WAIT] = call_wait,
	[PROGRAM_CANCEL] = call_cancel,
	[PROGRAM_SLEEP] = call_sleep,
	[PROGRAM_BUFFER_READ] = call_buffer,
	[PROGRAM_BUFFER_WRITE] = call_buffer,
	[PROGRAM_FIND] = call_find,
	[PROGRAM_MAP] = call_map,
};

void program_syscall(struct slice *s, struct program *p)
{
	u64 *gpr = p->cpu.gpr, number = gpr[GPR_RAX], second = gpr[GPR_RDX];
	struct call c = {
		.s = s,
		.p = p,
		.arg = { gpr[GPR_RDI], gpr[GPR_RSI], gpr[GPR_RDX], gpr[10],
			 gpr[8] },
		.second = &second,
	};
	s64 result = number < PROGRAM_CALLS ? calls[number](&c) : -ENOSYS;

	if (c.blocked)
		return;
	gpr[GPR_RAX] = (u64)result;
	gpr[GPR_RDX] = second;
	p->cpu.rip += INSN_LEN;
}

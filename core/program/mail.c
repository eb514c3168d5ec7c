#include "core/program/mail.h"

#include "core/lib/errors.h"
#include "core/lib/range.h"
#include "core/program/abi.h"

bool mail_same_sender(const struct mail_sender *a, const struct mail_sender *b)
{
	return a->kind == b->kind && a->space == b->space;
}

static void set(struct mail_slot *s, enum mail_state state, u64 now)
{
	s->state = state;
	s->since = now;
}

static struct mail_slot *oldest(struct mailbox *b, enum mail_state state)
{
	struct mail_slot *found = NULL;

	for (struct mail_slot *s = b->slot; s < b->slot + b->slots; s++)
		if (s->state == state && (!found || s->order < found->order))
			found = s;
	return found;
}

/* A program's own are never: it may be blocked until it has the reply. Another
 * CPU's clock may be ahead. */
static bool stale(const struct mailbox *b, const struct mail_slot *s, u64 now)
{
	return s->state != MAIL_FREE && s->state != MAIL_DEAD &&
	       s->sender.kind >= PROGRAM_FROM_KERNEL &&
	       now - min_u64(s->since, now) >= b->stale_ns;
}

int mail_take(struct mailbox *b, const struct mail_sender *from, u64 now)
{
	/* what is stale only goes if there is no room else */
	for (bool drop = false;; drop = true) {
		struct mail_slot *s;
		u32 mine = 0;

		for (s = b->slot; s < b->slot + b->slots; s++) {
			if (drop && stale(b, s, now))
				mail_drop(s, now);
			mine += s->state != MAIL_FREE &&
				mail_same_sender(&s->sender, from);
		}
		s = oldest(b, MAIL_FREE);
		if (s && mine < max_u64(b->slots / 2, 1))
			return s - b->slot;
		if (drop)
			return -EBUSY;
	}
}

void mail_post(struct mailbox *b, u32 i, const struct mail_slot *message,
	       u64 now)
{
	struct mail_slot *s = &b->slot[i];

	*s = *message;
	s->order = ++b->order;
	set(s, MAIL_WAITING, now);
}

struct mail_slot *mail_receive(struct mailbox *b, u64 now)
{
	struct mail_slot *s = oldest(b, MAIL_WAITING);

	if (s)
		set(s, MAIL_OPEN, now);
	return s;
}

static struct mail_slot *find(struct mailbox *b, u64 id)
{
	for (struct mail_slot *s = b->slot; s < b->slot + b->slots; s++)
		if (s->state != MAIL_FREE && s->id == id)
			return s;
	return NULL;
}

struct mail_slot *mail_open(struct mailbox *b, u64 id)
{
	struct mail_slot *s = find(b, id);

	return s && (s->state == MAIL_OPEN || s->state == MAIL_DEAD) ? s : NULL;
}

struct mail_slot *mail_wanted(struct mailbox *b, u64 id, u64 now)
{
	struct mail_slot *s = find(b, id);

	return s && s->state == MAIL_OPEN && !stale(b, s, now) ? s : NULL;
}

int mail_reply(struct mail_slot *s, u32 length, s64 status, u64 now)
{
	bool dead = s->state == MAIL_DEAD;

	s->length = length;
	s->status = status;
	set(s, dead ? MAIL_FREE : MAIL_DONE, now);
	return dead ? -ENOENT : 0;
}

struct mail_slot *mail_sent(struct mailbox *b, u64 id,
			    const struct mail_sender *from, u64 now)
{
	struct mail_slot *s = find(b, id);

	if (!s || s->state == MAIL_DEAD || !mail_same_sender(&s->sender, from))
		return NULL;
	s->since = now;
	return s;
}

void mail_drop(struct mail_slot *s, u64 now)
{
	set(s, s->state == MAIL_OPEN ? MAIL_DEAD : MAIL_FREE, now);
}

void mail_fail(struct mailbox *b, u64 now)
{
	for (struct mail_slot *s = b->slot; s < b->slot + b->slots; s++) {
		if (s->state == MAIL_DEAD)
			set(s, MAIL_FREE, now);
		if (s->state == MAIL_FREE)
			continue;
		s->failed = true;
		s->length = 0;
		set(s, MAIL_DONE, now);
	}
}

void mail_forget(struct mailbox *b, const struct mail_sender *from, u64 now)
{
	for (struct mail_slot *s = b->slot; s < b->slot + b->slots; s++)
		if (s->state != MAIL_FREE && s->state != MAIL_DEAD &&
		    mail_same_sender(&s->sender, from))
			mail_drop(s, now);
}

u32 mail_count(const struct mailbox *b, enum mail_state state)
{
	u32 n = 0;

	for (u32 i = 0; i < b->slots; i++)
		n += b->slot[i].state == state;
	return n;
}

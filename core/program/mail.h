/*
 * The message layer: the buffers (slots) of one program and what has become of
 * the message in each. Pure: time comes as an argument, data lies elsewhere.
 * The caller holds a lock.
 */
#ifndef CORE_PROGRAM_MAIL_H
#define CORE_PROGRAM_MAIL_H

#include "core/lib/types.h"
#include "core/program/manifest.h"

/* Who has sent a message; two are one caller if both are equal. */
struct mail_sender {
	u32 kind;  /* PROGRAM_FROM_*, or a program's number */
	u64 space; /* of the guest: its page tables; else 0 */
};

bool mail_same_sender(const struct mail_sender *a, const struct mail_sender *b);

enum mail_state {
	MAIL_FREE,
	MAIL_WAITING, /* for the program */
	MAIL_OPEN,    /* the program has it */
	MAIL_DEAD,    /* so, but nobody wants the reply */
	MAIL_DONE,    /* replied, or failed */
};

struct mail_slot {
	enum mail_state state;
	bool failed; /* DONE, because the program was stopped */
	u64 id;	     /* the sender's handle and the program's id, above 0 */
	u64 order;
	u64 since; /* ns, of the last change, or the sender's last question */
	struct mail_sender sender;
	u32 type;
	u32 length; /* of the data in the slot */
	u32 buffer; /* the sender's registered one, 0: none */
	s64 status;
};

struct mailbox {
	u32 slots;
	u64 stale_ns; /* what the guest has not asked for so long may go */
	u64 order;
	struct mail_slot slot[PROGRAM_SLOT_MAX];
};

/* A slot for a message from @from: its number, or -EBUSY. One sender has at most
 * half of them. It stays free until mail_post(). */
int mail_take(struct mailbox *b, const struct mail_sender *from,
	      u64 now) must_check;
void mail_post(struct mailbox *b, u32 i, const struct mail_slot *message,
	       u64 now);

/* For the program: the oldest that waits, now open, or NULL. */
struct mail_slot *mail_receive(struct mailbox *b, u64 now);
/* One that is open, or NULL; only if its sender has not given up. */
struct mail_slot *mail_open(struct mailbox *b, u64 id);
struct mail_slot *mail_wanted(struct mailbox *b, u64 id, u64 now);
/* Of what mail_open() has found. -ENOENT: nobody wants it; the slot is free. */
int mail_reply(struct mail_slot *s, u32 length, s64 status, u64 now) must_check;

/* For the sender: its message, or NULL. */
struct mail_slot *mail_sent(struct mailbox *b, u64 id,
			    const struct mail_sender *from, u64 now);
/* The sender has the reply, or does not want it. */
void mail_drop(struct mail_slot *s, u64 now);

/* The program was stopped: nothing will be answered any more, and what has been
 * but was not fetched is gone. */
void mail_fail(struct mailbox *b, u64 now);
/* The sender was stopped: nobody waits for its messages. */
void mail_forget(struct mailbox *b, const struct mail_sender *from, u64 now);

u32 mail_count(const struct mailbox *b, enum mail_state state);

#endif

/* What the guest can ask the test program for, by a message's type. */
#ifndef ORDERS_H
#define ORDERS_H

enum order {
	ORDER_ECHO = 1, /* replies what it got; status: its length */
	ORDER_READ,	/* at the address in the message; status: the byte */
	ORDER_WRITE,
	ORDER_EXECUTE,
	ORDER_EXECUTE_HEAP,
	ORDER_EXECUTE_STACK,
	ORDER_INSTRUCTION, /* the message is code, run as it is */
	ORDER_UNDEFINED,   /* every undefined system call; status: how many
			    * did not give ENOSYS */
	ORDER_WILD,	   /* every system call with wild arguments */
	ORDER_LOOP,	   /* for ever */
	ORDER_STACK,	   /* recurses for ever */
	ORDER_HEAP,	   /* fills it, then goes on */
	ORDER_SECRET,	   /* fills its memory with SECRET; exits if asked to */
	ORDER_RANDOM,	   /* replies 64 bytes */
	ORDER_CLOCK,	   /* status: ns */
	ORDER_SLEEP,	   /* for the ns in the message; status: for how long */
	ORDER_WORK,	   /* counts as far as the message says */
	ORDER_VECTORS,	   /* status: how many SSE registers have changed */
	ORDER_BUFFER,	   /* adds 1 to each byte of the buffer */
	ORDER_FLOOD,	   /* sends to "second" until that has no room; status:
			    * how many */
	ORDER_RELAY,	   /* asks "second" for an echo, replies that */
	ORDER_EXIT,	   /* with the status in the message */
	ORDER_START,	   /* replies its struct program_start */
	ORDER_HOLD,	   /* replies when nothing has come for 0.3 s */
	ORDER_MAP,	 /* the region of that name; status: its address, reply:
			    * its size, PROGRAM_RANDOM to its end and past it */
	ORDER_SELECTORS, /* status: DS, ES, FS and GS, which then are null */
	ORDER_CHAOS,	 /* system calls with random arguments, from a seed */
};

/* Put together only at run time: its parts are no secret. */
#define SECRET_LOW  0x5ec2e700c0ffee11ULL
#define SECRET_MASK 0x0123456789abcdefULL

#endif

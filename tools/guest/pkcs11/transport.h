/*
 * How the module reaches a sign program. There is one in a module: hypercalls
 * in the guest's, others in the host's tests.
 */
#ifndef TOOLS_GUEST_PKCS11_TRANSPORT_H
#define TOOLS_GUEST_PKCS11_TRANSPORT_H

#include <stddef.h>

struct transport {
	const char *name; /* of the slot, at most 64 characters */
	/* 0 if there is a program to talk to. */
	int (*open)(void);
	/* Sends @len bytes; the reply's length, at most @room, or below 0. */
	long (*call)(const void *request, size_t len, void *reply, size_t room);
};

const struct transport *transport_get(void);

#endif

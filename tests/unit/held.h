/*
 * Another CPU in a driver while this one changes what the function decodes,
 * which the claim's hold() is for.
 */
#ifndef TESTS_UNIT_HELD_H
#define TESTS_UNIT_HELD_H

#include <pthread.h>
#include <sched.h>

#include "core/io/pci.h"

struct held_other {
	void (*access)(void);
	unsigned int done;
	bool stop;
};

static inline void *held_run(void *ctx)
{
	struct held_other *o = ctx;

	while (!__atomic_load_n(&o->stop, __ATOMIC_RELAXED)) {
		o->access();
		__atomic_add_fetch(&o->done, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* The other CPU makes @access again and again. The model is told by @off when
 * it does not decode; what reaches it then is for the caller to look at. */
static inline void held_try(struct pci_claim *c, bool *off,
			    void (*access)(void))
{
	struct held_other o = { access, 0, false };
	pthread_t other;

	pthread_create(&other, NULL, held_run, &o);
	for (unsigned int i = 0;
	     i < 1000 || __atomic_load_n(&o.done, __ATOMIC_RELAXED) < 1000;
	     i++) {
		c->hold(c->ctx, true);
		__atomic_store_n(off, true, __ATOMIC_RELAXED);
		sched_yield();
		__atomic_store_n(off, false, __ATOMIC_RELAXED);
		c->hold(c->ctx, false);
	}
	__atomic_store_n(&o.stop, true, __ATOMIC_RELAXED);
	pthread_join(other, NULL);
}

#endif

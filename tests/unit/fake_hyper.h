/*
 * Stands in for a hypercall's instruction in tests of tools/guest/hyper.c ("libs:
 * -include tests/unit/fake_hyper.h").
 */
#ifndef TESTS_UNIT_FAKE_HYPER_H
#define TESTS_UNIT_FAKE_HYPER_H

#define _GNU_SOURCE	/* before the first system header */
#define shoji_hypercall real_hypercall
#include "core/program/hypercall.h"
#undef shoji_hypercall

int64_t shoji_hypercall(int vmmcall, struct shoji_regs *r);

#endif

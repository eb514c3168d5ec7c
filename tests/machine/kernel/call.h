/* Hypercalls of the tests' own guest kernel. */
#ifndef CALL_H
#define CALL_H

#include "core/program/hypercall.h"
#include "tests/machine/program/orders.h"

#include "kernel.h"

extern bool call_vmmcall;

/* Finds the instruction; masks what could interrupt programs. */
void call_init(void);

/* A call that does not trap, number in @r->rax. */
int64_t call(u32 number, struct shoji_regs *r);

/* A message and its reply; -SHOJI_EAGAIN after that many SHOJI_WAIT. */
#define CALL_WAITS 200000
int64_t call_send(u64 to, u32 type, const void *request, u64 length,
		  void *reply, u64 room);

/* ---- disk.c ---- */

/* Sends 64 KiB from @from to sector @lba by DMA; false if that fails. */
bool disk_dma_out(u64 from, u64 lba);
/* Until the host has written @value to the first byte of sector @lba. */
void disk_wait_for(u64 lba, u8 value);

#endif

/*
 * What the drivers stand on when their shipped paths are measured on the host:
 * guest RAM, memory for DMA, a log. A message of the log ends the process: a
 * path that is measured has nothing to say.
 */
#ifndef TESTS_BENCH_PATH_H
#define TESTS_BENCH_PATH_H

#include "core/lib/types.h"

#define PATH_RAM 0x100000 /* bytes of guest RAM, from 0 on */

/* Guest RAM. */
u8 *path_ram(void);

/* One AES-256 volume for every disk of @bus, sectors 0 to @last, with the
 * 64 bytes of @key. Exits if there is no AES-NI. */
void path_volume(const char *bus, const u8 *key, u64 last);

#endif

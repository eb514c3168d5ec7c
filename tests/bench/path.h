/*
 * What the drivers stand on when their shipped paths are measured on the host:
 * guest RAM, memory for DMA, a log. A message of the log ends the process: a
 * path that is measured has nothing to say.
 */
#ifndef TESTS_BENCH_PATH_H
#define TESTS_BENCH_PATH_H

#include "core/lib/types.h"

#define PATH_RAM  0x100000 /* bytes of guest RAM, from 0 on */
#define PATH_DATA 0x40000  /* the guest's buffer: frames, PATH_STEP apart */
#define PATH_STEP 8192
#define PATH_MOST 131072 /* bytes of it */

/* Guest RAM. */
u8 *path_ram(void);

/* One AES-256 volume for every disk of @bus, sectors 0 to @last. Exits if
 * there is no AES-NI. */
void path_volume(const char *bus, u64 last);

/* libcrypto alone, for the sectors from @sector on: decrypts the buffer in
 * place, encrypts it to @dst. */
void path_decrypt(u64 sector, u32 bytes);
void path_encrypt(u64 sector, u32 bytes, u8 *dst);

/* Fills the buffer, and returns what with. */
const u8 *path_fill(u32 bytes);

/* Ends the process unless the buffer is, encrypted, what is at @want. */
void path_expect(u64 sector, u32 bytes, const u8 *want);

#endif

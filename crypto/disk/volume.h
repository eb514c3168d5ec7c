/*
 * A volume as the configuration describes it: which device, which sectors,
 * which key. Sectors are of 512 bytes, whatever the device's logical sector.
 */
#ifndef CRYPTO_DISK_VOLUME_H
#define CRYPTO_DISK_VOLUME_H

#include "core/lib/types.h"

#define VOLUME_MAX 16

/* Which of the fields of struct volume_match a device must agree with. */
enum {
	MATCH_BUS = 0x01,
	MATCH_CONTROLLER = 0x02,
	MATCH_CHANNEL = 0x04,
	MATCH_UNIT = 0x08,
	MATCH_MODEL = 0x10,
	MATCH_SERIAL = 0x20,
	MATCH_ALL = 0x3f,
	MATCH_PLACE = MATCH_ALL & ~(MATCH_MODEL | MATCH_SERIAL),
};

struct volume_match {
	u8 given; /* MATCH_* */
	u8 controller;
	u8 channel;
	u8 unit;
	char bus[8]; /* "ide", "ahci" ...: as in core/io/block.h */
	char model[41];
	char serial[21];
};

struct volume {
	char name[32];
	struct volume_match match;
	u64 first;     /* sector */
	u64 last;      /* inclusive; VOLUME_TO_END: all the device has */
	const u8 *key; /* in the blob: the only copy, NULL once wiped */
	u32 key_len;   /* 32 or 64 bytes: AES-128-XTS, AES-256-XTS */
};
#define VOLUME_TO_END (~0ULL)

#endif

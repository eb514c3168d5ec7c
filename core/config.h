/*
 * The configuration: made by tools/mkconfig, embedded in the image at build
 * time, parsed once at boot.
 *
 * The blob is a header, then volume records, then concealment records, then
 * the manifests of programs, then regions, with nothing between or after them.
 * All numbers are little endian; text is printable ASCII, ended and filled up
 * with NULs.
 */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include "core/lib/types.h"
#include "core/program/manifest.h"
#include "crypto/disk/volume.h"

#define CONFIG_MAGIC	   "SHOJICFG"
#define CONFIG_VERSION	   1
#define CONFIG_CONCEAL_MAX 32

struct config_header {
	char magic[8];
	le32 version;
	le32 size;	  /* of the whole blob */
	le32 crc32;	  /* ISO 3309, of everything after this field */
	le16 serial_port; /* I/O port, 0: none */
	u8 panic_action;  /* enum config_panic */
	u8 volumes;
	u8 conceals;
	u8 ata;		 /* CONFIG_ATA_* */
	le16 bounce_kib; /* of an AHCI port; 0: the driver's default */
	u8 programs;
	u8 hypercall; /* enum hypercall_allow */
	u8 regions;
	u8 zero;
};
static_assert(sizeof(struct config_header) == 32, "blob version 1");

struct config_volume {
	char name[32];
	char bus[8];
	char model[41];
	char serial[21];
	u8 given; /* MATCH_* of crypto/disk/volume.h */
	u8 controller;
	u8 channel;
	u8 unit;
	u8 key_len; /* 32 or 64 bytes */
	u8 cipher;  /* CONFIG_AES_XTS_PLAIN64 */
	le64 first; /* sectors of 512 bytes */
	le64 last;  /* inclusive, or VOLUME_TO_END */
	u8 key[64];
} packed;
static_assert(sizeof(struct config_volume) == 188, "blob version 1");

#define CONFIG_AES_XTS_PLAIN64 1

enum {
	CONFIG_ATA_NO_TRIM = 0x01,
	CONFIG_ATA_ERASE = 0x02,
	CONFIG_ATA_ALL = 0x03,
};
#define CONFIG_BOUNCE_MAX 4096

/* PCI functions that the guest shall not see: all given fields agree. */
struct config_conceal {
	u8 given;	/* CONCEAL_* */
	u8 class_bytes; /* of the class code that count, from the top: 1-3 */
	le16 vendor;
	le16 device;
	le16 segment;
	u8 bus;
	u8 dev;
	u8 fn;
	u8 zero;
	le32 class; /* 0xCCSSPP; bytes that do not count are 0 */
};
static_assert(sizeof(struct config_conceal) == 16, "blob version 1");

enum {
	CONCEAL_VENDOR = 0x01,
	CONCEAL_DEVICE = 0x02,
	CONCEAL_CLASS = 0x04,
	CONCEAL_ADDRESS = 0x08,
	CONCEAL_ALL = 0x0f,
};

enum config_panic {
	CONFIG_PANIC_STOP = 0,
	CONFIG_PANIC_REBOOT = 1
};

struct config {
	u16 serial_port; /* 0: none */
	enum config_panic panic_action;
	u8 ata;
	u16 bounce_kib;
	size_t volume_count;
	struct volume volumes[VOLUME_MAX]; /* keys point into the blob */
	size_t conceal_count;
	struct config_conceal conceals[CONFIG_CONCEAL_MAX];
	enum hypercall_allow hypercall;
	size_t program_count;
	struct program_manifest programs[PROGRAM_MAX];
	size_t region_count;
	struct program_region regions[REGION_MAX];
};

/*
 * Pure. Checks all of the blob before it believes any of it, and copies all
 * but the keys, which stay where they are. 0; -ENOENT if there is no blob
 * (@size 0), -ENOSYS if it is of another version, -EINVAL if it is broken.
 * On an error *@why is one clear sentence, and *@out is not to be used.
 */
int config_parse(const void *blob, size_t size, struct config *out,
		 const char **why) must_check;

struct config_function { /* a PCI function */
	u16 segment;
	u8 bus, dev, fn;
	u16 vendor, device;
	u32 class; /* 0xCCSSPP */
};

/* True if some rule hides the function from the guest. */
bool config_conceals(const struct config *config,
		     const struct config_function *f);

/* The embedded blob, in pages of its own. It holds the raw keys: wiped with
 * config_wipe() as soon as the keys are expanded. */
extern u8 config_blob[], config_blob_end[];

/* The programs that are embedded as well: for each a le64 with its length, the
 * ELF file, and zeros up to a multiple of 16. */
extern u8 config_images[], config_images_end[];

/* Overwrites the blob that @out was parsed from and forgets the keys. */
void config_wipe(struct config *config, void *blob, size_t size);

#endif

/*
 * A guest that does anything to the ports of a channel with one protected
 * device, the first of the model. All it ever has in memory or writes is MARK;
 * a write of it to a protected sector ends the run.
 */
#ifndef TESTS_FUZZ_IDE_GUEST_H
#define TESTS_FUZZ_IDE_GUEST_H

#include "drivers/ata/ide.h"
#include "tests/unit/ide_model.h"
#include "tests/unit/toy_filter.h"

#define PRDS 0x3FF000 /* the last page of the guest's RAM */

/* What a step of 8 bytes does. */
enum guest_act {
	GUEST_COMMAND,
	GUEST_PRD,    /* writes one of the list at PRDS */
	GUEST_ENGINE, /* points the engine there and starts it */
	GUEST_BURST,  /* of data */
	GUEST_PORT,   /* any access */
	GUEST_SWITCH, /* the controller off, or on */
};

struct ide_guest {
	struct ide_unit unit;
	void (*command)(const u8 *p); /* one that makes sense */
	u8 acts[8];		      /* by the low bits of the first byte */
};

/* All memory is MARK, the hardware as after power-on. */
void guest_power_on(void);
/* The channel is protected and its ports are known. */
void guest_start(const struct ide_guest *g);
void guest_step(const struct ide_guest *g, const u8 *p);
/* As the guest would do it; to a controller that is off: nothing. */
void guest_access(const struct port_io *io);
/* To one of 16 ports; what goes to the data port is MARK. */
void guest_port(u8 which, u8 size, bool write, u32 count, u32 value);

#endif

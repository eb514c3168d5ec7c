/* What a hook says of an access by the guest. */
#ifndef CORE_IO_VERDICT_H
#define CORE_IO_VERDICT_H

enum verdict {
	PASS, /* let it through to the hardware */
	DONE, /* handled: for a read the data has been filled in */
	DENY, /* as if nothing were there: reads all ones, writes are lost */
};

#endif

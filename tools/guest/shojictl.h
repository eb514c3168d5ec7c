/* shojictl: what its parts share. */
#ifndef TOOLS_GUEST_SHOJICTL_H
#define TOOLS_GUEST_SHOJICTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes; shojictl.1 has them, too. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_USAGE = 1,
	CTL_FILE = 2,	 /* a file cannot be read or written */
	CTL_ABSENT = 3,	 /* not running under Shoji */
	CTL_REFUSED = 4, /* Shoji answers with an error */
	CTL_STATUS = 5,	 /* the program answers with an error */
};

/* A command gets the arguments from its own name on. */
typedef int ctl_command(int argc, char **argv);
ctl_command ctl_send, ctl_sign;

/* "shojictl: ..." on standard error; returns @code. */
int ctl_fail(int code, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The same for an error of hyper_send() and its like about @what. */
int ctl_refused(const char *what, int64_t error);

struct ctl_bytes {
	unsigned char *p;
	size_t len;
};

/* The whole of a file, "-" is standard input; false has been reported. */
bool ctl_read(const char *name, struct ctl_bytes *out);
/* NULL or "-": standard output. */
bool ctl_write(const char *name, const void *data, size_t len);

#endif

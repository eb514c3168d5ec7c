/*
 * shojictl, the guest's window to Shoji: see shojictl.1. One source for Linux
 * and Windows, so only C's own library and getopt.
 */
#define __USE_MINGW_ANSI_STDIO 1 /* %llu and %zu on Windows */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

#include "tools/guest/hyper.h"
#include "tools/guest/shojictl.h"

#define SECOND	  UINT64_C(1000000000)
#define FOLLOW_MS 500
#define READ_MAX  (64u << 20)

static const char usage[] =
	"usage: shojictl COMMAND [OPTIONS]\n"
	"\n"
	"  status               version, processor, uptime, volumes, programs\n"
	"  log [-f]             Shoji's log; -f goes on with what comes\n"
	"  stat [--json]        VM exits by cause, for each CPU\n"
	"  ps                   the protected programs\n"
	"  send [-t TYPE] [-o FILE] PROGRAM FILE\n"
	"                       sends FILE as a message, writes the reply\n"
	"  sign [OPTIONS] FILE...\n"
	"                       signs files (shojictl sign --help)\n"
	"\n"
	"FILE - is standard input. Exit status: 0 done, 1 usage, 2 a file "
	"cannot\n"
	"be read or written, 3 not running under Shoji, 4 Shoji refuses, 5 "
	"the\n"
	"program answers with an error.\n";

int ctl_fail(int code, const char *format, ...)
{
	va_list args;

	fputs("shojictl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return code;
}

int ctl_refused(const char *what, int64_t error)
{
	return ctl_fail(CTL_REFUSED, "%s: %s", what, hyper_error(error));
}

static bool read_stream(FILE *f, struct ctl_bytes *out)
{
	size_t room = 65536, n;

	*out = (struct ctl_bytes){ malloc(room), 0 };
	while (out->p &&
	       (n = fread(out->p + out->len, 1, room - out->len, f))) {
		out->len += n;
		if (out->len < room)
			continue;
		room *= 2;
		out->p = room > READ_MAX ? NULL : realloc(out->p, room);
	}
	if (!out->p)
		errno = ENOMEM;
	return out->p && !ferror(f);
}

bool ctl_read(const char *name, struct ctl_bytes *out)
{
	bool in = !strcmp(name, "-"), good;
	FILE *f = in ? stdin : fopen(name, "rb");

	good = f && read_stream(f, out);
	if (!good)
		ctl_fail(CTL_FILE, "%s: %s", name, strerror(errno));
	if (f && !in)
		fclose(f);
	return good;
}

bool ctl_write(const char *name, const void *data, size_t len)
{
	bool out = !name || !strcmp(name, "-"), good;
	FILE *f = out ? stdout : fopen(name, "wb");

	good = f && fwrite(data, 1, len, f) == len && !fflush(f);
	if (!good)
		ctl_fail(CTL_FILE, "%s: %s", out ? "standard output" : name,
			 strerror(errno));
	if (f && !out)
		good = !fclose(f) && good;
	return good;
}

/* ---- status ---- */

static void print_uptime(uint64_t ns)
{
	uint64_t s = ns / SECOND;

	printf("uptime   %" PRIu64 " d %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64
	       "\n",
	       s / 86400, s / 3600 % 24, s / 60 % 60, s % 60);
}

static void print_volume(const struct shoji_volume *v)
{
	printf("volume   %.*s: sectors %" PRIu64 "-", SHOJI_NAME_MAX, v->name,
	       v->first);
	if (v->last == ~0ULL)
		printf("end");
	else
		printf("%" PRIu64, v->last);
	printf(", AES-%" PRIu32 ", read %" PRIu64 " KiB, written %" PRIu64
	       " KiB\n",
	       v->key_bits, v->read / 2, v->written / 2);
}

static const char *state_name(uint32_t state)
{
	static const char *const names[] = { "stopped", "ready", "running",
					     "waiting" };

	return state < 4 ? names[state] : "unknown";
}

/* Calls @print for each record of a kind. */
#define EACH(number, type, var, print)                                     \
	do {                                                               \
		type var;                                                  \
		for (uint64_t i_ = 0;                                      \
		     !hyper_record(number, i_, &var, sizeof(var)); i_++) { \
			print;                                             \
		}                                                          \
	} while (0)

static int no_arguments(int argc, char **argv)
{
	if (argc > 1)
		return ctl_fail(CTL_USAGE, "%s takes no arguments", argv[0]);
	return CTL_OK;
}

static int command_status(int argc, char **argv)
{
	struct shoji_status s;
	int error = no_arguments(argc, argv);

	if (error)
		return error;
	error = hyper_record(SHOJI_STATUS, 0, &s, sizeof(s));
	if (error)
		return ctl_refused("status", error);
	printf("Shoji    %.*s\n", (int)sizeof(s.version), s.version);
	printf("runs on  %.*s, %" PRIu32 " CPUs\n", (int)sizeof(s.back_end),
	       s.back_end, s.cpus);
	print_uptime(s.uptime_ns);
	printf("memory   %" PRIu64 " KiB are hidden\n", s.hidden_size >> 10);
	EACH(SHOJI_VOLUME, struct shoji_volume, v, print_volume(&v));
	EACH(SHOJI_PROGRAM, struct shoji_program, p,
	     printf("program  %.*s: %s\n", SHOJI_NAME_MAX, p.name,
		    state_name(p.state)));
	return CTL_OK;
}

/* ---- log ---- */

/* Text that shall not drive the terminal. */
static void print_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		putchar(c == '\n' || c == '\t' || (c >= ' ' && c <= '~') ? c
									 : '?');
	}
	fflush(stdout);
}

/* What there is from *@position on. */
static int print_log(uint64_t *position)
{
	static char text[16384];

	for (;;) {
		struct shoji_regs r = { .rbx = (uint64_t)(uintptr_t)text,
					.rcx = sizeof(text),
					.rdx = *position };
		int64_t n;

		n = hyper_call(SHOJI_LOG, &r);
		if (n < 0)
			return ctl_refused("log", n);
		*position = r.rdx;
		if (!n)
			return CTL_OK;
		print_text(text,
			   (size_t)n < sizeof(text) ? (size_t)n : sizeof(text));
	}
}

static int command_log(int argc, char **argv)
{
	bool follow = argc == 2 && !strcmp(argv[1], "-f");
	uint64_t position = 0;
	int error;

	if (argc > 1 && !follow)
		return ctl_fail(CTL_USAGE, "log takes nothing but -f");
	for (;;) {
		error = print_log(&position);
		if (error || !follow || ferror(stdout))
			return error;
		hyper_sleep(FOLLOW_MS);
	}
}

/* ---- stat ---- */

static const char *const exit_names[] = { SHOJI_EXIT_NAMES };

static const char *exit_name(uint32_t kind)
{
	return kind < sizeof(exit_names) / sizeof(*exit_names)
		       ? exit_names[kind]
		       : "other";
}

static uint32_t kinds_of(const struct shoji_stat *s)
{
	return s->kinds < SHOJI_EXITS_MAX ? s->kinds : SHOJI_EXITS_MAX;
}

static uint64_t total(const struct shoji_stat *s)
{
	uint64_t sum = 0;

	for (uint32_t k = 0; k < kinds_of(s); k++)
		sum += s->exits[k];
	return sum;
}

static void print_stat(const struct shoji_stat *s)
{
	printf("CPU %" PRIu32 ": %" PRIu64 " exits\n", s->cpu, total(s));
	for (uint32_t k = 0; k < kinds_of(s); k++)
		if (s->exits[k])
			printf("  %-12s %12" PRIu64 "\n", exit_name(k),
			       s->exits[k]);
	if (s->slices)
		printf("  programs ran %" PRIu64 " slices, %" PRIu64
		       ".%03" PRIu64 " s\n",
		       s->slices, s->program_ns / SECOND,
		       s->program_ns / 1000000 % 1000);
}

static void print_stat_json(const struct shoji_stat *s)
{
	printf("%s{\"cpu\": %" PRIu32 ", \"total\": %" PRIu64 ", \"exits\": {",
	       s->cpu ? ",\n  " : "\n  ", s->cpu, total(s));
	for (uint32_t k = 0; k < kinds_of(s); k++)
		printf("%s\"%s\": %" PRIu64, k ? ", " : "", exit_name(k),
		       s->exits[k]);
	printf("}, \"slices\": %" PRIu64 ", \"program_ns\": %" PRIu64 "}",
	       s->slices, s->program_ns);
}

static int command_stat(int argc, char **argv)
{
	bool json = argc == 2 && !strcmp(argv[1], "--json");
	struct shoji_stat first;
	int error;

	if (argc > 1 && !json)
		return ctl_fail(CTL_USAGE, "stat takes nothing but --json");
	error = hyper_record(SHOJI_STAT, 0, &first, sizeof(first));
	if (error)
		return ctl_refused("stat", error);
	if (json)
		printf("{\"cpus\": [");
	EACH(SHOJI_STAT, struct shoji_stat, s,
	     (json ? print_stat_json : print_stat)(&s));
	if (json)
		printf("\n]}\n");
	return CTL_OK;
}

/* ---- ps ---- */

static void print_program(const struct shoji_program *p)
{
	printf("%-15.*s %-8s %8" PRIu32 " %8" PRIu64 " %8" PRIu64 " %6" PRIu32
	       " %7" PRIu64 " %6" PRIu64 ".%03" PRIu64 " %s",
	       SHOJI_NAME_MAX, p->name, state_name(p->state), p->restarts,
	       p->memory >> 10, p->messages, p->open + p->waiting, p->slices,
	       p->run_ns / SECOND, p->run_ns / 1000000 % 1000,
	       p->for_user ? "user" : "kernel");
	if (p->stopped[0])
		printf(" (stopped: %.*s)", (int)sizeof(p->stopped), p->stopped);
	printf("\n");
}

static int command_ps(int argc, char **argv)
{
	int error = no_arguments(argc, argv);

	if (error)
		return error;
	printf("%-15s %-8s %8s %8s %8s %6s %7s %10s %s\n", "NAME", "STATE",
	       "RESTARTS", "KIB", "ANSWERED", "QUEUED", "SLICES", "SECONDS",
	       "FOR");
	EACH(SHOJI_PROGRAM, struct shoji_program, p, print_program(&p));
	return CTL_OK;
}

/* ---- commands ---- */

/* "asks": looks at its arguments first, and then whether Shoji is there. */
static const struct {
	const char *name;
	ctl_command *run;
	bool asks;
} commands[] = {
	{ "status", command_status, false }, { "log", command_log, false },
	{ "stat", command_stat, false },     { "ps", command_ps, false },
	{ "send", ctl_send, true },	     { "sign", ctl_sign, true },
};

static int command(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
		fputs(usage, stdout);
		return CTL_OK;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(name, commands[i].name))
			continue;
		if (!commands[i].asks && !hyper_present())
			return ctl_fail(CTL_ABSENT, "not running under Shoji");
		return commands[i].run(argc - 1, argv + 1);
	}
	fputs(usage, stderr);
	return CTL_USAGE;
}

int main(int argc, char **argv)
{
	int error;

#ifdef _WIN32
	_setmode(_fileno(stdin), _O_BINARY);
	_setmode(_fileno(stdout), _O_BINARY);
#endif
	error = command(argc, argv);
	if ((fflush(stdout) || ferror(stdout)) && !error)
		return ctl_fail(CTL_FILE, "standard output: cannot be written");
	return error;
}

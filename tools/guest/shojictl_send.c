/* shojictl send and sign: messages to programs. */
#define __USE_MINGW_ANSI_STDIO 1

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/guest/hyper.h"
#include "tools/guest/shojictl.h"
#include "tools/sdk/sign.h"

#define REPLY_MAX  (1u << 20)
#define TIMEOUT_MS 120000

static int find_program(const char *name, struct hyper_message *m)
{
	int program;

	if (!hyper_present())
		return ctl_fail(CTL_ABSENT, "not running under Shoji");
	program = hyper_find(name);
	if (program < 0)
		return ctl_refused(name, program);
	m->program = (uint32_t)program;
	m->timeout_ms = TIMEOUT_MS;
	return CTL_OK;
}

/* ---- send ---- */

static int send_file(const char *program, const char *file, uint32_t type,
		     const char *out)
{
	static uint8_t reply[REPLY_MAX];
	struct hyper_message m = { .type = type };
	struct ctl_bytes data;
	int64_t len;
	int error = find_program(program, &m);

	if (error)
		return error;
	if (!ctl_read(file, &data))
		return CTL_FILE;
	m.request = data.p;
	m.request_len = data.len;
	m.reply = reply;
	m.reply_size = sizeof(reply);
	len = hyper_send(&m);
	free(data.p);
	if (len < 0)
		return ctl_refused(program, len);
	if (!ctl_write(out, reply, (size_t)len))
		return CTL_FILE;
	if (m.status)
		return ctl_fail(CTL_STATUS, "%s: status %" PRIu64, program,
				m.status);
	return CTL_OK;
}

static bool take_type(const char *text, uint32_t *type)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 0);

	*type = (uint32_t)n;
	return end != text && !*end && n <= UINT32_MAX;
}

int ctl_send(int argc, char **argv)
{
	const char *out = NULL;
	uint32_t type = 0;
	int option;

	while ((option = getopt(argc, argv, "t:o:")) != -1) {
		if (option == 'o')
			out = optarg;
		else if (option != 't')
			return CTL_USAGE;
		else if (!take_type(optarg, &type))
			return ctl_fail(CTL_USAGE, "%s: not a type", optarg);
	}
	if (argc - optind != 2)
		return ctl_fail(CTL_USAGE, "send [-t TYPE] [-o FILE] PROGRAM "
					   "FILE");
	return send_file(argv[optind], argv[optind + 1], type, out);
}

/* ---- sign ---- */

static const char sign_usage[] =
	"usage: shojictl sign [OPTIONS] FILE...\n"
	"       shojictl sign [OPTIONS] --public | --statement | --certifier\n"
	"\n"
	"  --key rsa|p256          which key (rsa)\n"
	"  --hash sha256|sha384|sha512\n"
	"                          of the data (sha256)\n"
	"  --pss                   RSASSA-PSS, salt as long as the hash, not\n"
	"                          PKCS#1 v1.5\n"
	"  --digest                the files are digests, not data\n"
	"  -o FILE                 the signature of a single file; without "
	"it,\n"
	"                          standard output\n"
	"  --program NAME          the program (sign)\n"
	"  --public                the public key, PEM\n"
	"  --statement             the key's certificate, PEM\n"
	"  --certifier             the certifier's certificate, PEM\n"
	"\n"
	"Several files are signed in batches; the signature of FILE goes to\n"
	"FILE.sig. Signatures are as openssl dgst -verify takes them.\n";

struct sign_job {
	struct sign_request head;
	const char *program, *out;
	int item;	       /* of SIGN_PUBLIC's reply, or -1: sign */
	struct ctl_bytes next; /* read, and too long for the batch before */
	struct hyper_message message;
	uint8_t request[SIGN_MESSAGE], reply[SIGN_MESSAGE];
};

static const char *status_text(uint32_t status)
{
	static const char *const texts[] = {
		"done",		 "malformed message", "no such key",
		"wrong scheme",	 "wrong length",      "too much for a reply",
		"it has failed",
	};

	return status < sizeof(texts) / sizeof(*texts) ? texts[status]
						       : "unknown status";
}

/* Sends the head and the items behind it, @len bytes in all. */
static int sign_exchange(struct sign_job *j, size_t len,
			 struct sign_reader *items, uint32_t *count)
{
	struct hyper_message *m = &j->message;
	uint32_t status;
	int64_t got;

	memcpy(j->request, &j->head, sizeof(j->head));
	m->type = SIGN_VERSION;
	m->request = j->request;
	m->request_len = len;
	m->reply = j->reply;
	m->reply_size = sizeof(j->reply);
	got = hyper_send(m);
	if (got < 0)
		return ctl_refused(j->program, got);
	if (!sign_open_reply(items, j->reply, (size_t)got, j->head.op, &status,
			     count))
		return ctl_fail(CTL_STATUS, "%s: not a sign program's reply",
				j->program);
	if (status)
		return ctl_fail(CTL_STATUS, "%s: %s", j->program,
				status_text(status));
	return CTL_OK;
}

static size_t signature_size(const struct sign_job *j)
{
	return j->head.key == SIGN_P256 ? 64 : 256;
}

/* X9.62: SEQUENCE of two INTEGERs, from r and s of 32 bytes each. */
static size_t put_integer(uint8_t *out, const uint8_t *n)
{
	size_t len = 32, sign;

	while (len > 1 && !*n) {
		n++;
		len--;
	}
	sign = *n >> 7;
	out[0] = 2;
	out[1] = (uint8_t)(len + sign);
	out[2] = 0;
	memcpy(out + 2 + sign, n, len);
	return 2 + sign + len;
}

static size_t ecdsa_der(uint8_t *out, const uint8_t *raw)
{
	size_t len = put_integer(out + 2, raw);

	len += put_integer(out + 2 + len, raw + 32);
	out[0] = 0x30;
	out[1] = (uint8_t)len;
	return 2 + len;
}

static bool write_signature(const struct sign_job *j, const char *name,
			    const uint8_t *sig, size_t len)
{
	uint8_t der[80];

	if (j->head.key != SIGN_P256)
		return ctl_write(name, sig, len);
	return ctl_write(name, der, ecdsa_der(der, sig));
}

static char *signature_name(const char *file)
{
	size_t size = strlen(file) + 5;
	char *name = malloc(size);

	if (name)
		snprintf(name, size, "%s.sig", file);
	return name;
}

/* The signatures of @n files, in the order of the reply. */
static int write_signatures(const struct sign_job *j, char **files, int n,
			    bool single, struct sign_reader *items)
{
	const uint8_t *sig;
	size_t len;

	for (int i = 0; i < n; i++) {
		char *name;
		bool good;

		if (!sign_read(items, &sig, &len) || len != signature_size(j))
			return ctl_fail(CTL_STATUS, "%s: not its signatures",
					j->program);
		name = single ? NULL : signature_name(files[i]);
		good = (single || name) &&
		       write_signature(j, single ? j->out : name, sig, len);
		free(name);
		if (!good)
			return CTL_FILE;
	}
	return CTL_OK;
}

/* As many of the files as fit a message: the count, 0 if not even one. */
static int fill_batch(struct sign_job *j, char **files, int n, size_t *len,
		      int *error)
{
	struct sign_writer w = { j->request + sizeof(j->head),
				 sizeof(j->request) - sizeof(j->head) };
	size_t most = (SIGN_MESSAGE - sizeof(struct sign_reply)) /
		      (4 + signature_size(j));
	int i;

	for (i = 0; i < n && i < SIGN_ITEMS && (size_t)i < most; i++) {
		if (!j->next.p && !ctl_read(files[i], &j->next)) {
			*error = CTL_FILE;
			return 0;
		}
		if (!sign_write(&w, j->next.p, j->next.len))
			break;
		free(j->next.p);
		j->next.p = NULL;
	}
	*len = (size_t)(w.p - j->request);
	if (!i)
		*error = ctl_fail(CTL_FILE,
				  "%s: too long for a message; sign its digest",
				  files[0]);
	return i;
}

static int sign_files(struct sign_job *j, char **files, int n)
{
	bool single = n == 1;
	struct sign_reader items;
	uint32_t count;
	size_t len;
	int error = CTL_OK;

	while (n && !error) {
		int some = fill_batch(j, files, n, &len, &error);

		if (error)
			break;
		j->head.op = SIGN_SIGN;
		j->head.count = (uint16_t)some;
		error = sign_exchange(j, len, &items, &count);
		if (!error)
			error = write_signatures(j, files, some, single,
						 &items);
		files += some;
		n -= some;
	}
	return error;
}

/* RFC 7468. */
static bool write_pem(const char *name, const char *label, const uint8_t *der,
		      size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkl"
				     "mnopqrstuvwxyz0123456789+/";
	char *text = malloc(len * 3 / 2 + 200);
	size_t n = 0;
	bool good;

	if (!text)
		return false;
	n += (size_t)sprintf(text, "-----BEGIN %s-----\n", label);
	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)der[i] << 16;

		v |= i + 1 < len ? (uint32_t)der[i + 1] << 8 : 0;
		v |= i + 2 < len ? der[i + 2] : 0;
		text[n++] = digits[v >> 18];
		text[n++] = digits[v >> 12 & 63];
		text[n++] = i + 1 < len ? digits[v >> 6 & 63] : '=';
		text[n++] = i + 2 < len ? digits[v & 63] : '=';
		if (i % 48 == 45 || i + 3 >= len)
			text[n++] = '\n';
	}
	n += (size_t)sprintf(text + n, "-----END %s-----\n", label);
	good = ctl_write(name, text, n);
	free(text);
	return good;
}

static int sign_public(struct sign_job *j)
{
	struct sign_reader items;
	const uint8_t *item = NULL;
	uint32_t count;
	size_t len = 0;
	int error;

	j->head.op = SIGN_PUBLIC;
	error = sign_exchange(j, sizeof(j->head), &items, &count);
	if (error)
		return error;
	for (int i = 0; i <= j->item; i++)
		if (!sign_read(&items, &item, &len))
			return ctl_fail(CTL_STATUS, "%s: a short reply",
					j->program);
	return write_pem(j->out, j->item ? "CERTIFICATE" : "PUBLIC KEY", item,
			 len)
		       ? CTL_OK
		       : CTL_FILE;
}

enum {
	OPT_KEY = 256,
	OPT_HASH,
	OPT_PROGRAM,
	OPT_HELP
};
enum {
	OPT_PSS = 512,
	OPT_DIGEST,
	OPT_PUBLIC,
	OPT_STATEMENT,
	OPT_CERTIFIER
};

static const struct option sign_options[] = {
	{ "key", required_argument, NULL, OPT_KEY },
	{ "hash", required_argument, NULL, OPT_HASH },
	{ "program", required_argument, NULL, OPT_PROGRAM },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "pss", no_argument, NULL, OPT_PSS },
	{ "digest", no_argument, NULL, OPT_DIGEST },
	{ "public", no_argument, NULL, OPT_PUBLIC },
	{ "statement", no_argument, NULL, OPT_STATEMENT },
	{ "certifier", no_argument, NULL, OPT_CERTIFIER },
	{ NULL, 0, NULL, 0 },
};

/* The index of @text in @names, which ends with NULL; -1 if it is not there. */
static int name_index(const char *text, const char *const *names)
{
	for (int i = 0; names[i]; i++)
		if (!strcmp(text, names[i]))
			return i;
	return ctl_fail(-1, "%s: unknown", text);
}

static bool take_option(struct sign_job *j, int option)
{
	static const char *const keys[] = { "rsa", "p256", NULL };
	static const char *const hashes[] = { "sha256", "sha384", "sha512",
					      NULL };
	int n = 0;

	switch (option) {
	case OPT_KEY:
		n = name_index(optarg, keys);
		j->head.key = (uint8_t)n;
		break;
	case OPT_HASH:
		n = name_index(optarg, hashes);
		j->head.hash = (uint8_t)(SIGN_SHA256 + n);
		break;
	case OPT_PROGRAM:
		j->program = optarg;
		break;
	case OPT_PSS:
		j->head.scheme = SIGN_PSS;
		break;
	case OPT_DIGEST:
		j->head.flags = SIGN_IS_DIGEST;
		break;
	case OPT_PUBLIC:
	case OPT_STATEMENT:
	case OPT_CERTIFIER:
		j->item = option - OPT_PUBLIC;
		break;
	case 'o':
		j->out = optarg;
		break;
	default:
		return false;
	}
	return n >= 0;
}

int ctl_sign(int argc, char **argv)
{
	static struct sign_job job = { .program = "sign", .item = -1 };
	int option, files, error;

	job.head.version = SIGN_VERSION;
	job.head.hash = SIGN_SHA256;
	while ((option = getopt_long(argc, argv, "o:", sign_options, NULL)) !=
	       -1) {
		if (option == OPT_HELP) {
			fputs(sign_usage, stdout);
			return CTL_OK;
		}
		if (!take_option(&job, option))
			return CTL_USAGE;
	}
	files = argc - optind;
	if ((job.item >= 0) == (files > 0) || (job.out && files > 1) ||
	    (job.head.key == SIGN_P256 && job.head.scheme == SIGN_PSS)) {
		fputs(sign_usage, stderr);
		return CTL_USAGE;
	}
	if (job.head.key == SIGN_P256)
		job.head.scheme = SIGN_ECDSA;
	if (job.head.scheme == SIGN_PSS)
		job.head.salt = (uint16_t)(16 + 16 * job.head.hash);
	error = find_program(job.program, &job.message);
	if (error)
		return error;
	return job.item >= 0 ? sign_public(&job)
			     : sign_files(&job, argv + optind, files);
}

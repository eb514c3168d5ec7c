/*
 * The sign program from a guest, by bare hypercalls; and beside it the same
 * code and the same libcrypto in this process.
 *
 *   signer cancel         a batch is given up, and nothing is left of it
 *   signer batch COUNT    as many signatures by one message, each verified here
 *   signer load           such batches one after the other, until SIGTERM
 *   signer rate MS [cold] signatures a second, of both sides, for MS each;
 *                         and of this process without its translations
 *   signer empty COUNT    round trips of the smallest message
 *
 * Prints what it finds; the exit status is 0 if all is as it has to be.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "tests/unit/sign_certifier.h"
#include "tools/guest/hyper.h"

#define DIGEST 32

static u8 request[SIGN_MESSAGE], reply[SIGN_MESSAGE];
static int program;

static size_t make_request(u8 key, u16 count)
{
	struct sign_request head = {
		.version = SIGN_VERSION,
		.op = SIGN_SIGN,
		.key = key,
		.scheme = key == SIGN_P256 ? SIGN_ECDSA : SIGN_PKCS1,
		.hash = SIGN_SHA256,
		.flags = SIGN_IS_DIGEST,
		.count = count,
	};
	struct sign_writer w = { request + sizeof(head),
				 sizeof(request) - sizeof(head) };

	memcpy(request, &head, sizeof(head));
	for (u16 i = 0; i < count; i++) {
		u8 *digest = sign_reserve(&w, DIGEST);

		memset(digest, i, DIGEST);
	}
	return (size_t)(w.p - request);
}

/* Shoji looks at every page of the reply's room. */
static int64_t send(const void *data, size_t len, size_t room)
{
	struct hyper_message m = {
		.program = (uint32_t)program,
		.type = SIGN_VERSION,
		.request = data,
		.request_len = len,
		.reply = reply,
		.reply_size = room,
	};

	return hyper_send(&m);
}

static int failed(const char *what, int64_t result)
{
	printf("signer: %s: %lld\n", what, (long long)result);
	return 1;
}

/* ---- cancel --------------------------------------------------------------- */

static int64_t start_batch(uint64_t *handle)
{
	struct shoji_regs r = {
		.rbx = (uint64_t)program,
		.rcx = (uint64_t)(uintptr_t)request,
		.rdx = make_request(SIGN_RSA2048, 200),
		.rsi = (uint64_t)(uintptr_t)reply,
		.rdi = sizeof(reply),
		.r8 = SIGN_VERSION,
	};
	int64_t result = hyper_call(SHOJI_SEND, &r);

	*handle = r.rdx;
	return result;
}

static int64_t by_handle(enum shoji_number number, uint64_t handle)
{
	struct shoji_regs r = {
		.rbx = handle,
		.rsi = (uint64_t)(uintptr_t)reply,
		.rdi = sizeof(reply),
	};

	return hyper_call(number, &r);
}

static int queued(void)
{
	struct shoji_program p;

	hyper_record(SHOJI_PROGRAM, (uint64_t)program, &p, sizeof(p));
	return (int)(p.open + p.waiting);
}

/* More often than there are buffers for messages. */
static int cancel(void)
{
	uint64_t handle;
	int64_t result;

	for (int i = 0; i < 20; i++) {
		result = start_batch(&handle);
		if (result != -SHOJI_EAGAIN)
			return failed("a batch of 200 has not taken long",
				      result);
		if (queued() != 1)
			return failed("messages queued", queued());
		result = by_handle(SHOJI_CANCEL, handle);
		if (result)
			return failed("cancel", result);
		result = by_handle(SHOJI_WAIT, handle);
		if (result != -SHOJI_ENOENT)
			return failed("wait for what was cancelled", result);
		if (queued())
			return failed("messages left", queued());
	}
	result = send(request, make_request(SIGN_P256, 1), sizeof(reply));
	return result == 16 + 4 + 64 ? 0 : failed("the next one", result);
}

/* ---- batch ---------------------------------------------------------------- */

static EVP_PKEY *public_key(u8 type)
{
	struct sign_request head = { .version = SIGN_VERSION,
				     .op = SIGN_PUBLIC,
				     .key = type };
	struct sign_reader items;
	u32 status = 0, count;
	const u8 *spki = NULL;
	size_t len = 0;
	int64_t got;

	memcpy(request, &head, sizeof(head));
	got = send(request, sizeof(head), sizeof(reply));
	if (got < 0 ||
	    !sign_open_reply(&items, reply, (size_t)got, SIGN_PUBLIC, &status,
			     &count) ||
	    status || !sign_read(&items, &spki, &len))
		return NULL;
	return d2i_PUBKEY(NULL, &spki, (long)len);
}

static bool verified(EVP_PKEY *key, const u8 *sig, size_t len, u8 digest)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	u8 data[DIGEST];
	bool good;

	memset(data, digest, DIGEST);
	EVP_PKEY_verify_init(ctx);
	EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256());
	good = EVP_PKEY_verify(ctx, sig, len, data, DIGEST) == 1;
	EVP_PKEY_CTX_free(ctx);
	return good;
}

static int check_batch(EVP_PKEY *key, u16 count)
{
	struct sign_reader items;
	u32 status = 0, got_count = 0;
	const u8 *sig;
	size_t len;
	int64_t got;

	got = send(request, make_request(SIGN_RSA2048, count),
		   16 + count * 260u);
	if (got < 0 ||
	    !sign_open_reply(&items, reply, (size_t)got, SIGN_SIGN, &status,
			     &got_count) ||
	    status || got_count != count)
		return failed("batch", status ? status : got);
	for (u16 i = 0; i < count; i++)
		if (!sign_read(&items, &sig, &len) ||
		    !verified(key, sig, len, (u8)i))
			return failed("signature", i);
	return 0;
}

static int batch(u16 count)
{
	EVP_PKEY *key = public_key(SIGN_RSA2048);

	if (!key)
		return failed("public key", 0);
	if (check_batch(key, count))
		return 1;
	printf("%u signatures of one message are right\n", count);
	EVP_PKEY_free(key);
	return 0;
}

/* ---- rate ----------------------------------------------------------------- */

static struct sign native;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static volatile sig_atomic_t over;

static void on_term(int number)
{
	(void)number;
	over = 1;
}

static int load(void)
{
	EVP_PKEY *key = public_key(SIGN_RSA2048);
	unsigned long done = 0;

	if (!key)
		return failed("public key", 0);
	signal(SIGTERM, on_term);
	for (; !over; done += 2) {
		if (check_batch(key, 2))
			return 1;
		if (!done)
			printf("@@ signing\n");
		fflush(stdout);
	}
	printf("@@ load %lu signatures\n", done);
	EVP_PKEY_free(key);
	return 0;
}

static bool by_program(size_t len, size_t room)
{
	return send(request, len, room) > 16;
}

static bool by_process(size_t len, size_t room)
{
	return sign_handle(&native, request, len, reply, room) > 16;
}

/*
 * What a change of address spaces costs by itself: the caller's translations
 * are lost on the way in, the signer's on the way back. Linux drops all of a
 * process's when it changes more than 33 pages at once.
 */
static void forget_translations(void)
{
	static u8 pages[40 * 4096] __attribute__((aligned(4096)));
	static bool read_only;

	if (!pages[0])
		memset(pages, 1, sizeof(pages)); /* they have to be there */
	read_only = !read_only;
	if (mprotect(pages, sizeof(pages),
		     read_only ? PROT_READ : PROT_READ | PROT_WRITE))
		exit(failed("mprotect", 0));
}

static bool by_cold_process(size_t len, size_t room)
{
	bool good;

	forget_translations();
	good = by_process(len, room);
	forget_translations();
	return good;
}

static const struct way {
	const char *name;
	bool (*sign)(size_t len, size_t room);
} ways[] = { { "program", by_program },
	     { "native", by_process },
	     { "cold", by_cold_process } };

/* The marks are for who measures another time than the guest's. */
static void rate(const struct way *way, u8 key, u16 count, double seconds)
{
	static const char *const names[] = { "RSA-2048", "P-256" };
	size_t len = make_request(key, count);
	size_t room = 16 + count * (key == SIGN_P256 ? 68u : 260u);
	unsigned long done = 0;
	double start, time;

	if (!way->sign(len, room))
		exit(failed("signing", 0));
	printf("@@ mark %s-%u-%s\n", names[key], count, way->name);
	start = now();
	do {
		if (!way->sign(len, room))
			exit(failed("signing", 0));
		done += count;
		time = now() - start;
	} while (time < seconds);
	printf("@@ mark %s-%u-%s-end\n", names[key], count, way->name);
	printf("@@ rate %s %u %s: %lu, %.1f/s\n", names[key], count, way->name,
	       done, (double)done / time);
}

/* The last of ways[] only if it is asked for. */
static int rates(double seconds, bool cold)
{
	static const u16 counts[] = { 1, 64 };

	setbuf(stdout, NULL);
	if (!certifier_start(&native) || !sign_make(&native, SIGN_RSA2048) ||
	    !sign_make(&native, SIGN_P256))
		return failed("keys of its own", 0);
	for (u8 key = 0; key < SIGN_KEY_TYPES; key++)
		for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
			for (size_t j = 0; j < ARRAY_SIZE(ways) - !cold; j++)
				rate(&ways[j], key, counts[i], seconds);
	return 0;
}

static int empty(long count)
{
	struct sign_request head = { .version = SIGN_VERSION, .op = SIGN_KEYS };
	double start = now();

	for (long i = 0; i < count; i++)
		if (send(&head, sizeof(head), 64) < 16)
			return failed("empty", i);
	printf("@@ empty %.0f ns\n", (now() - start) / (double)count * 1e9);
	return 0;
}

int main(int argc, char **argv)
{
	long n = argc > 2 ? atol(argv[2]) : 0;

	if (!hyper_present())
		return failed("no Shoji", 0);
	program = hyper_find("sign");
	if (program < 0)
		return failed("no sign program", program);
	if (argc > 1 && !strcmp(argv[1], "cancel"))
		return cancel();
	if (argc > 2 && !strcmp(argv[1], "batch"))
		return batch((u16)n);
	if (argc > 1 && !strcmp(argv[1], "load"))
		return load();
	if (argc > 2 && !strcmp(argv[1], "rate"))
		return rates((double)n / 1000, argc > 3);
	if (argc > 2 && !strcmp(argv[1], "empty"))
		return empty(n);
	return failed("usage", 0);
}

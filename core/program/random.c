#include "core/program/random.h"

#include "core/arch/cpuid.h"
#include "core/arch/x86.h"
#include "core/lib/range.h"
#include "core/lib/string.h"

#define RETRIES 64

static u32 rotl(u32 v, int n)
{
	return v << n | v >> (32 - n);
}

static void quarter_round(u32 *a, u32 *b, u32 *c, u32 *d) /* 2.1 */
{
	*a += *b;
	*d = rotl(*d ^ *a, 16);
	*c += *d;
	*b = rotl(*b ^ *c, 12);
	*a += *b;
	*d = rotl(*d ^ *a, 8);
	*c += *d;
	*b = rotl(*b ^ *c, 7);
}

/* 2.3, with a nonce of zeros. */
static void block(const u32 key[8], u32 counter, u32 out[16])
{
	u32 in[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };

	memcpy(in + 4, key, 32);
	in[12] = counter;
	memcpy(out, in, sizeof(in));
	for (int i = 0; i < 10; i++) {
		for (int c = 0; c < 4; c++)
			quarter_round(out + c, out + 4 + c, out + 8 + c,
				      out + 12 + c);
		for (int c = 0; c < 4; c++)
			quarter_round(out + c, out + 4 + (c + 1) % 4,
				      out + 8 + (c + 2) % 4,
				      out + 12 + (c + 3) % 4);
	}
	for (int i = 0; i < 16; i++)
		out[i] += in[i];
	wipe(in, sizeof(in));
}

/* Of the first block one half is the next key, so a few bytes take no other. */
void random_bytes(struct random *r, void *out, size_t len)
{
	u32 stream[16], next[8], counter = 0;
	size_t have = sizeof(stream) - sizeof(next);
	u8 *p = out;

	block(r->key, counter, stream);
	memcpy(next, stream, sizeof(next));
	while (len) {
		size_t n = min_u64(len, have);

		memcpy(p, (u8 *)stream + sizeof(stream) - have, n);
		p += n;
		len -= n;
		have = sizeof(stream);
		if (len)
			block(r->key, ++counter, stream);
	}
	memcpy(r->key, next, sizeof(next));
	wipe(stream, sizeof(stream));
	wipe(next, sizeof(next));
}

void random_stir(struct random *r, const u64 input[4])
{
	u32 words[8];

	memcpy(words, input, sizeof(words));
	for (int i = 0; i < 8; i++)
		r->key[i] ^= words[i];
	wipe(words, sizeof(words));
	random_bytes(r, NULL, 0);
}

/* Some CPUs give nothing but ones or zeros, and say that it is good. */
static bool hardware(bool (*get)(u64 *), u64 *v)
{
	for (int i = 0; i < RETRIES; i++)
		if (get(v) && *v && ~*v)
			return true;
	return false;
}

/* RDSEED can run dry; RDRAND then still comes from a seeded generator. */
void random_seed(struct random *r)
{
	bool have_seed = cpuid(CPUID_VENDOR).eax >= CPUID_STRUCTURED &&
			 cpuid(CPUID_STRUCTURED).ebx & CPUID_07_EBX_RDSEED;
	bool have_rand = cpuid(CPUID_FEATURES).ecx & CPUID_01_ECX_RDRAND;
	u64 input[4], good = 0;

	for (int i = 0; i < 4; i++) {
		input[i] = 0;
		if ((have_seed && hardware(rdseed64, &input[i])) ||
		    (have_rand && hardware(rdrand64, &input[i])))
			good++;
		input[i] ^= rdtsc();
	}
	random_stir(r, input);
	wipe(input, sizeof(input));
	if (good == 4)
		r->seeded = true;
}

/*
 * AES-XTS: IEEE 1619's vectors, python3-cryptography, every path of the CPU.
 *
 * units: crypto/xts.c crypto/selftest.c
 * libs: -l:libcrypto.a -ldl -lpthread
 */
#include <errno.h>
#include <string.h>

#include "crypto/xts.h"
#include "tests/unit/test.h"

/* IEEE 1619-2018, annex B: keys of vectors 4-9 and 10-14. */
#define KEY_128                            \
	"27182818284590452353602874713526" \
	"31415926535897932384626433832795"
#define KEY_256                                                            \
	"2718281828459045235360287471352662497757247093699959574966967627" \
	"3141592653589793238462643383279502884197169399375105820974944592"

/*
 * Vectors 4 to 6 and 10 to 14: data unit, how the ciphertext begins and ends. The plaintext of 5 and 6 is the ciphertext of the one
 * before; else it is 00 01 .. ff, twice.
 */
static const struct vector {
	const char *key;
	bool chained;
	u64 sector;
	const char *head, *tail;
} vectors[] = {
	{ KEY_128, false, 0,
	  "27a7479befa1d476489f308cd4cfa6e2a96e4bbe3208ff25287dd3819616e89c",
	  "0a282df920147beabe421ee5319d0568" },
	{ KEY_128, true, 1,
	  "264d3ca8512194fec312c8c9891f279fefdd608d0c027b60483a3fa811d65ee5",
	  "fd2a89ccb45e001a03a867b187f225dd" },
	{ KEY_128, true, 2,
	  "fa762a3680b76007928ed4a4f49a9456031b704782e65e16cecb54ed7d017b5e",
	  "4bcf518138dc3a25c5e236171a2d01d6" },
	{ KEY_256, false, 0xff,
	  "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b",
	  "773dad38014bd2092fa755c824bb5e54c4f36ffda9fcea70b9c6e693e148c151" },
	{ KEY_256, false, 0xffff,
	  "77a31251618a15e6b92d1d66dffe7b50b50bad552305ba0217a610688eff7e11",
	  "54fbff89eeaeea791f4a7ab1f9868294a4f9e27b42af8100cb9d59cef9645803" },
	{ KEY_256, false, 0xffffff,
	  "e387aaa58ba483afa7e8eb469778317ecf4cf573aa9d4eac23f2cdf914e4e200",
	  "ed242c8900dd1fa965bc950dfce09b132263a1eef52dd6888c309f5a7d712826" },
	{ KEY_256, false, 0xffffffff,
	  "bf53d2dade78e822a4d949a9bc6766b01b06a8ef70d26748c6a7fc36d80ae4c5",
	  "f6516139420fcff3b7361d86322c4bd84c82f335abb152c4a93411373aaa8220" },
	{ KEY_256, false, 0xffffffffff,
	  "64497e5a831e4a932c09be3e5393376daa599548b816031d224bbf50a818ed23",
	  "6975be5e0b4efce51cd3e70c25a1fbbbd609d273ad5b0d59631c531f6a0a57b9" },
};

static size_t from_hex(const char *hex, u8 *out)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned int byte = 0;

		sscanf(hex + 2 * i, "%2x", &byte);
		out[i] = (u8)byte;
	}
	return n;
}

static void fill(u8 *p, size_t n, unsigned int seed)
{
	u64 x = seed * 0x9e3779b97f4a7c15ULL + 1;

	for (; n; n--) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		*p++ = (u8)(x >> 32);
	}
}

static struct xts_key key_of(const char *hex)
{
	struct xts_key key;
	u8 raw[XTS_KEY_MAX];

	EXPECT_EQ(xts_set_key(&key, raw, from_hex(hex, raw)), 0);
	return key;
}

/* Runs @fn once for every path this CPU has. */
static void each_path(void (*fn)(void))
{
	for (unsigned int p = 0; p < CRYPTO_PATHS; p++) {
		int err = crypto_use(p);

		if (err == -ENODEV)
			printf("this CPU lacks path %u\n", p);
		else
			EXPECT_EQ(err, 0);
		if (!err)
			fn();
	}
}

static void check_vector(const struct vector *v, u8 data[XTS_SECTOR])
{
	struct xts_key key = key_of(v->key);
	u8 head[32], tail[32], plain[XTS_SECTOR], back[XTS_SECTOR];
	size_t n;

	for (size_t i = 0; i < XTS_SECTOR && !v->chained; i++)
		data[i] = (u8)i;
	memcpy(plain, data, sizeof(plain));
	xts_encrypt_sectors(&key, v->sector, plain, data, 1);
	n = from_hex(v->head, head);
	EXPECT(!memcmp(data, head, n));
	n = from_hex(v->tail, tail);
	EXPECT(!memcmp(data + XTS_SECTOR - n, tail, n));
	xts_decrypt_sectors(&key, v->sector, data, back, 1);
	EXPECT(!memcmp(back, plain, sizeof(back)));
}

static void check_vectors(void)
{
	u8 data[XTS_SECTOR];

	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
		check_vector(&vectors[i], data);
}

TEST(xts_ieee_1619)
{
	each_path(check_vectors);
}

TEST(xts_init_takes_the_fastest)
{
	EXPECT_EQ(crypto_init(), 0);
	if (__builtin_cpu_supports("aes"))
		EXPECT(!strcmp(crypto_path_name(), "AES-NI"));
	EXPECT_EQ(crypto_self_test(), 0);
}

static bool is_zero(const void *p, size_t n)
{
	const u8 *b = p;

	while (n && !*b++)
		n--;
	return !n;
}

TEST(xts_refuses_bad_keys)
{
	struct xts_key key;
	u8 raw[XTS_KEY_MAX + 1];

	fill(raw, sizeof(raw), 1);
	for (size_t len = 0; len <= sizeof(raw); len++) {
		int want = len == 32 || len == 64 ? 0 : -EINVAL;

		EXPECT_EQ(xts_set_key(&key, raw, len), want);
		EXPECT_EQ(is_zero(&key, sizeof(key)), want != 0);
	}
	memcpy(raw + 16, raw, 16);
	EXPECT_EQ(xts_set_key(&key, raw, 32), -EINVAL);
	EXPECT_EQ(xts_set_key(&key, raw, 64), 0);
	memcpy(raw + 32, raw, 32);
	EXPECT_EQ(xts_set_key(&key, raw, 64), -EINVAL);
	EXPECT(is_zero(&key, sizeof(key)));
}

/* Buffers at any alignment, in place or not, and nothing around touched. */
static void check_placement(void)
{
	enum {
		SECTORS = 3,
		BYTES = SECTORS * XTS_SECTOR
	};
	struct xts_key key = key_of(KEY_256);
	static u8 plain[BYTES], want[BYTES], from[BYTES + 32], to[BYTES + 32];

	fill(plain, BYTES, 2);
	xts_encrypt_sectors(&key, 7, plain, want, SECTORS);
	for (size_t i = 0; i < 32; i++) {
		u8 *src = from + i, *dst = to + (i * 7) % 32;

		memset(to, 0x5a, sizeof(to));
		memcpy(src, plain, BYTES);
		xts_encrypt_sectors(&key, 7, src, dst, SECTORS);
		EXPECT(!memcmp(dst, want, BYTES));
		for (u8 *p = to; p < to + sizeof(to); p++)
			EXPECT((p >= dst && p < dst + BYTES) || *p == 0x5a);
		xts_encrypt_sectors(&key, 7, src, src, SECTORS);
		EXPECT(!memcmp(src, want, BYTES));
		xts_decrypt_sectors(&key, 7, src, src, SECTORS);
		EXPECT(!memcmp(src, plain, BYTES));
	}
}

TEST(xts_any_placement)
{
	each_path(check_placement);
}

/* An implementation's answer that is not ours: argv is key, first sector;
 * 4 sectors of bytes 00 01 .. ff come out encrypted, as hex. */
static const char peer[] =
	"import sys\n"
	"from cryptography.hazmat.primitives.ciphers import Cipher, "
	"algorithms, modes\n"
	"k, s = bytes.fromhex(sys.argv[1]), int(sys.argv[2])\n"
	"for n in range(s, s + 4):\n"
	"  t = modes.XTS((n % 2**64).to_bytes(16, 'little'))\n"
	"  e = Cipher(algorithms.AES(k), t).encryptor()\n"
	"  print(e.update(bytes(range(256)) * 2).hex(), end='')\n";

static void ask_peer(const char *key, u64 sector, char *out, size_t size)
{
	char command[2048];
	FILE *f;

	snprintf(command, sizeof(command), "/usr/bin/python3 -c \"%s\" %s %llu",
		 peer, key, (unsigned long long)sector);
	f = popen(command, "r");
	out[fread(out, 1, size - 1, f)] = 0;
	EXPECT_EQ(pclose(f), 0);
}

static const struct {
	const char *key;
	u64 sector;
} cross[] = {
	{ KEY_128, 0xfffffffe }, /* carries into the second half */
	{ KEY_256, 0xfffffffffffe },
	{ KEY_256, 0xfffffffffffffffe },
};
static char peer_says[ARRAY_SIZE(cross)][8 * XTS_SECTOR + 1];

static void check_cross(void)
{
	u8 data[4 * XTS_SECTOR], want[4 * XTS_SECTOR];

	for (size_t c = 0; c < ARRAY_SIZE(cross); c++) {
		struct xts_key key = key_of(cross[c].key);

		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (u8)i;
		xts_encrypt_sectors(&key, cross[c].sector, data, data, 4);
		EXPECT_EQ(from_hex(peer_says[c], want), sizeof(want));
		EXPECT(!memcmp(data, want, sizeof(want)));
	}
}

TEST(xts_against_python_cryptography)
{
	for (size_t c = 0; c < ARRAY_SIZE(cross); c++)
		ask_peer(cross[c].key, cross[c].sector, peer_says[c],
			 sizeof(peer_says[c]));
	each_path(check_cross);
}

TEST_MAIN(CASE(xts_init_takes_the_fastest), CASE(xts_ieee_1619),
	  CASE(xts_refuses_bad_keys), CASE(xts_any_placement),
	  CASE(xts_against_python_cryptography))

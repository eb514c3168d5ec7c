/*
 * The PKCS#11 module, with the sign program's code behind it in this process.
 * units: tools/guest/pkcs11/module.c tools/guest/pkcs11/token.c tools/guest/pkcs11/der.c tools/sdk/examples/sign/sign.c tools/sdk/examples/sign/keys.c
 * libs: -lcrypto
 */
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/sign_certifier.h"
#include "tests/unit/test.h"
#include "tools/guest/pkcs11/token.h"

static struct sign sign;
static bool absent;
static sem_t called, go_on; /* a call under way, if @slow */
static bool slow;
static int garble; /* 1: cut short, 2: too long, 3: error, 4: other status */

static int fake_open(void)
{
	return absent ? -1 : 0;
}

static long fake_call(const void *request, size_t len, void *reply, size_t room)
{
	long got = (long)sign_handle(&sign, request, len, reply, room);

	if (slow) {
		sem_post(&called);
		sem_wait(&go_on);
	}
	switch (garble) {
	case 1:
		return got - 1;
	case 2:
		return (long)room + 1;
	case 3:
		return -5;
	case 4:
		store_le32((u8 *)reply + 4, SIGN_BAD_KEY);
		return 16;
	default:
		return got;
	}
}

const struct transport *transport_get(void)
{
	static const struct transport t = { "fake", fake_open, fake_call };

	return &t;
}

static struct ck_function_list *f;
static ck_session_handle_t session;

#define OK(call) EXPECT_EQ(call, CKR_OK)

static ck_object_handle_t find(unsigned long class, u8 id)
{
	struct ck_attribute wanted[] = { { CKA_CLASS, &class, sizeof(class) },
					 { CKA_ID, &id, 1 } };
	ck_object_handle_t object = 0;
	unsigned long n;

	OK(f->C_FindObjectsInit(session, wanted, 2));
	OK(f->C_FindObjects(session, &object, 1, &n));
	EXPECT_EQ(n, 1);
	OK(f->C_FindObjectsFinal(session));
	return object;
}

TEST(start)
{
	struct ck_info info;

	EXPECT(certifier_start(&sign));
	OK(C_GetFunctionList(&f));
	EXPECT_EQ(C_GetFunctionList(NULL), CKR_ARGUMENTS_BAD);
	EXPECT_EQ(f->C_GetInfo(&info), CKR_CRYPTOKI_NOT_INITIALIZED);
	EXPECT_EQ(f->C_Finalize(NULL), CKR_CRYPTOKI_NOT_INITIALIZED);
	OK(f->C_Initialize(NULL));
	EXPECT_EQ(f->C_Initialize(NULL), CKR_CRYPTOKI_ALREADY_INITIALIZED);
	EXPECT_EQ(f->C_Finalize(&info), CKR_ARGUMENTS_BAD);
	OK(f->C_GetInfo(&info));
	EXPECT(!memcmp(info.manufacturer_id, "Shoji     ", 10));
}

static ck_rv_t no_mutex(void *mutex)
{
	(void)mutex;
	return CKR_OK;
}

static ck_rv_t no_new_mutex(void **mutex)
{
	return no_mutex(mutex);
}

/* PKCS#11 2.40, 5.4: the four ways to share the module among threads. */
TEST(locking)
{
	struct ck_c_initialize_args a = { .flags = CKF_OS_LOCKING_OK };

	OK(f->C_Finalize(NULL));
	OK(f->C_Initialize(&a));
	OK(f->C_Finalize(NULL));
	a.create_mutex = no_new_mutex;
	EXPECT_EQ(f->C_Initialize(&a), CKR_ARGUMENTS_BAD);
	a.destroy_mutex = a.lock_mutex = a.unlock_mutex = no_mutex;
	OK(f->C_Initialize(&a));
	OK(f->C_Finalize(NULL));
	a.flags = 0; /* only by mutexes that are not used here */
	EXPECT_EQ(f->C_Initialize(&a), CKR_CANT_LOCK);
	a = (struct ck_c_initialize_args){ .reserved = &a };
	EXPECT_EQ(f->C_Initialize(&a), CKR_ARGUMENTS_BAD);
	a.reserved = NULL;
	OK(f->C_Initialize(&a));
}

/* No program, a program without keys, and then one with. */
TEST(presence)
{
	unsigned long n = 0;
	ck_slot_id_t slot;
	struct ck_slot_info info;
	struct ck_token_info token;

	absent = true;
	OK(f->C_GetSlotList(1, NULL, &n));
	EXPECT_EQ(n, 0);
	OK(f->C_GetSlotList(0, NULL, &n));
	EXPECT_EQ(n, 1);
	n = 0;
	EXPECT_EQ(f->C_GetSlotList(0, &slot, &n), CKR_BUFFER_TOO_SMALL);
	OK(f->C_GetSlotInfo(0, &info));
	EXPECT(!(info.flags & CKF_TOKEN_PRESENT));
	absent = false;
	EXPECT_EQ(f->C_GetTokenInfo(0, &token), CKR_TOKEN_NOT_PRESENT);
	EXPECT_EQ(f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session),
		  CKR_TOKEN_NOT_PRESENT);
	EXPECT(sign_make(&sign, SIGN_P256) && sign_make(&sign, SIGN_RSA2048));
	OK(f->C_GetTokenInfo(0, &token));
	EXPECT_EQ(f->C_GetTokenInfo(1, &token), CKR_SLOT_ID_INVALID);
	EXPECT_EQ(f->C_OpenSession(0, 0, NULL, NULL, &session),
		  CKR_SESSION_PARALLEL_NOT_SUPPORTED);
	OK(f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session));
	EXPECT_EQ(f->C_CloseSession(session + 1), CKR_SESSION_HANDLE_INVALID);
	EXPECT_EQ(f->C_CloseSession(0), CKR_SESSION_HANDLE_INVALID);
}

TEST(objects)
{
	ck_object_handle_t all[20];
	unsigned long n, class = CKO_PRIVATE_KEY;
	struct ck_attribute wanted = { CKA_CLASS, &class, sizeof(class) };

	OK(f->C_FindObjectsInit(session, NULL, 0));
	EXPECT_EQ(f->C_FindObjectsInit(session, NULL, 0), CKR_OPERATION_ACTIVE);
	OK(f->C_FindObjects(session, all, 4, &n));
	EXPECT_EQ(n, 4);
	OK(f->C_FindObjects(session, all, 20, &n));
	EXPECT_EQ(n, 3);
	OK(f->C_FindObjects(session, all, 20, &n));
	EXPECT_EQ(n, 0);
	OK(f->C_FindObjectsFinal(session));
	EXPECT_EQ(f->C_FindObjectsFinal(session),
		  CKR_OPERATION_NOT_INITIALIZED);
	OK(f->C_FindObjectsInit(session, &wanted, 1));
	OK(f->C_FindObjects(session, all, 20, &n));
	EXPECT_EQ(n, 2);
	OK(f->C_FindObjectsFinal(session));
}

static ck_rv_t attribute(ck_object_handle_t o, ck_attribute_type_t type,
			 void *value, unsigned long *len)
{
	struct ck_attribute a = { type, value, *len };
	ck_rv_t error = f->C_GetAttributeValue(session, o, &a, 1);

	*len = a.value_len;
	return error;
}

/* What the private exponent is asked for gets no answer, in no way. */
TEST(secrets)
{
	static const ck_attribute_type_t types[] = {
		CKA_VALUE,	 CKA_PRIVATE_EXPONENT, CKA_PRIME_1,
		CKA_PRIME_2,	 CKA_EXPONENT_1,       CKA_EXPONENT_2,
		CKA_COEFFICIENT,
	};
	u8 value[512], yes = 2;
	unsigned long len;

	for (u8 id = 1; id <= 2; id++) {
		ck_object_handle_t key = find(CKO_PRIVATE_KEY, id);

		for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
			len = sizeof(value);
			EXPECT_EQ(attribute(key, types[i], value, &len),
				  CKR_ATTRIBUTE_SENSITIVE);
			EXPECT_EQ(len, CK_UNAVAILABLE_INFORMATION);
		}
		len = 1;
		OK(attribute(key, CKA_EXTRACTABLE, &yes, &len));
		EXPECT_EQ(yes, 0);
		OK(attribute(key, CKA_ALWAYS_SENSITIVE, &yes, &len));
		EXPECT_EQ(yes, 1);
	}
}

TEST(attributes)
{
	ck_object_handle_t rsa = find(CKO_PUBLIC_KEY, 1);
	ck_object_handle_t ec = find(CKO_PUBLIC_KEY, 2);
	ck_object_handle_t cert = find(CKO_CERTIFICATE, 2);
	u8 value[2048];
	unsigned long len = 0, bits, n = sizeof(bits);
	struct ck_attribute two[] = { { CKA_LABEL, value, 2 },
				      { CKA_ID, value, 1 } };

	OK(attribute(rsa, CKA_MODULUS, NULL, &len));
	EXPECT_EQ(len, 256);
	len = 255;
	EXPECT_EQ(attribute(rsa, CKA_MODULUS, value, &len),
		  CKR_BUFFER_TOO_SMALL);
	len = 2048;
	OK(attribute(rsa, CKA_PUBLIC_EXPONENT, value, &len));
	EXPECT(len == 3 && !memcmp(value, "\1\0\1", 3));
	OK(attribute(rsa, CKA_MODULUS_BITS, &bits, &n));
	EXPECT_EQ(bits, 2048);
	len = 2048;
	EXPECT_EQ(attribute(rsa, CKA_EC_POINT, value, &len),
		  CKR_ATTRIBUTE_TYPE_INVALID);
	len = 2048;
	OK(attribute(ec, CKA_EC_POINT, value, &len));
	EXPECT(len == 67 && !memcmp(value, "\4\x41\4", 3));
	len = 2048;
	OK(attribute(ec, CKA_EC_PARAMS, value, &len));
	EXPECT(len == 10 && !memcmp(value, "\6\x8\x2a", 3));
	len = 2048;
	OK(attribute(cert, CKA_SUBJECT, value, &len));
	EXPECT(len > 20 && value[0] == 0x30 && value[1] == len - 2);
	len = 2048;
	OK(attribute(cert, CKA_SERIAL_NUMBER, value, &len));
	EXPECT(len == 18 && value[0] == 2 && value[1] == 16);
	/* one that fails does not keep the others from being answered */
	EXPECT_EQ(f->C_GetAttributeValue(session, cert, two, 2),
		  CKR_BUFFER_TOO_SMALL);
	EXPECT_EQ(two[0].value_len, CK_UNAVAILABLE_INFORMATION);
	EXPECT(two[1].value_len == 1 && value[0] == 2);
	EXPECT_EQ(attribute(8, CKA_ID, value, &len), CKR_OBJECT_HANDLE_INVALID);
	EXPECT_EQ(attribute(~0UL, CKA_ID, value, &len),
		  CKR_OBJECT_HANDLE_INVALID);
}

static ck_rv_t begin(ck_mechanism_type_t type, u8 id)
{
	struct ck_mechanism m = { type, NULL, 0 };

	return f->C_SignInit(session, &m, find(CKO_PRIVATE_KEY, id));
}

static bool rsa_good(const u8 *sig, const char *text)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good;

	EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL,
			     sign.key[SIGN_RSA2048]);
	good = EVP_DigestVerify(ctx, sig, 256, (const u8 *)text,
				strlen(text)) == 1;
	EVP_MD_CTX_free(ctx);
	return good;
}

TEST(signing)
{
	u8 sig[256], text[] = "text";
	unsigned long len;

	EXPECT_EQ(f->C_Sign(session, text, 4, sig, &len),
		  CKR_OPERATION_NOT_INITIALIZED);
	OK(begin(CKM_SHA256_RSA_PKCS, 1));
	EXPECT_EQ(begin(CKM_SHA256_RSA_PKCS, 1), CKR_OPERATION_ACTIVE);
	OK(f->C_Sign(session, text, 4, NULL, &len));
	EXPECT_EQ(len, 256);
	len = 255;
	EXPECT_EQ(f->C_Sign(session, text, 4, sig, &len), CKR_BUFFER_TOO_SMALL);
	OK(f->C_Sign(session, text, 4, sig, &len));
	EXPECT(len == 256 && rsa_good(sig, "text"));
	EXPECT_EQ(f->C_Sign(session, text, 4, sig, &len),
		  CKR_OPERATION_NOT_INITIALIZED);
	/* in parts */
	OK(begin(CKM_SHA256_RSA_PKCS, 1));
	OK(f->C_SignUpdate(session, text, 3));
	OK(f->C_SignUpdate(session, NULL, 0));
	EXPECT_EQ(f->C_Sign(session, text, 1, sig, &len),
		  CKR_OPERATION_NOT_INITIALIZED);
	OK(f->C_SignUpdate(session, text + 3, 1));
	OK(f->C_SignFinal(session, NULL, &len));
	OK(f->C_SignFinal(session, sig, &len));
	EXPECT(rsa_good(sig, "text"));
	EXPECT_EQ(begin(CKM_ECDSA, 1), CKR_KEY_TYPE_INCONSISTENT);
	EXPECT_EQ(begin(CKM_MD5_RSA_PKCS, 1), CKR_MECHANISM_INVALID);
	EXPECT_EQ(begin(CKM_RSA_PKCS_PSS, 1), CKR_MECHANISM_PARAM_INVALID);
}

static ck_rv_t begin_pss(ck_mechanism_type_t type, unsigned long hash,
			 unsigned long mgf, unsigned long salt)
{
	struct ck_rsa_pkcs_pss_params p = { hash, mgf, salt };
	struct ck_mechanism m = { type, &p, sizeof(p) };

	return f->C_SignInit(session, &m, find(CKO_PRIVATE_KEY, 1));
}

TEST(pss)
{
	u8 sig[256], digest[32] = { 0 };
	unsigned long len = 256;

	EXPECT_EQ(begin_pss(CKM_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA384, 32),
		  CKR_MECHANISM_PARAM_INVALID);
	EXPECT_EQ(begin_pss(CKM_SHA384_RSA_PKCS_PSS, CKM_SHA256,
			    CKG_MGF1_SHA256, 32),
		  CKR_MECHANISM_PARAM_INVALID);
	EXPECT_EQ(
		begin_pss(CKM_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, 65568),
		CKR_MECHANISM_PARAM_INVALID);
	OK(begin_pss(CKM_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, 223));
	EXPECT_EQ(f->C_Sign(session, digest, 32, sig, &len),
		  CKR_MECHANISM_PARAM_INVALID);
	OK(begin_pss(CKM_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, 32));
	EXPECT_EQ(f->C_Sign(session, digest, 31, sig, &len),
		  CKR_DATA_LEN_RANGE);
	OK(begin_pss(CKM_RSA_PKCS_PSS, CKM_SHA256, CKG_MGF1_SHA256, 32));
	OK(f->C_Sign(session, digest, 32, sig, &len));
}

/* The most that a message takes, and one byte more. */
TEST(long_data)
{
	static u8 data[SIGN_MESSAGE];
	unsigned long len = 64;
	u8 sig[64];

	OK(begin(CKM_ECDSA_SHA256, 2));
	OK(f->C_Sign(session, data, SIGN_MESSAGE - 20, sig, &len));
	OK(begin(CKM_ECDSA_SHA256, 2));
	EXPECT_EQ(f->C_Sign(session, data, SIGN_MESSAGE - 19, sig, &len),
		  CKR_DATA_LEN_RANGE);
	OK(begin(CKM_ECDSA_SHA256, 2));
	OK(f->C_SignUpdate(session, data, SIGN_MESSAGE - 20));
	EXPECT_EQ(f->C_SignUpdate(session, data, 1), CKR_DATA_LEN_RANGE);
	EXPECT_EQ(f->C_SignFinal(session, sig, &len),
		  CKR_OPERATION_NOT_INITIALIZED);
}

TEST(random_bytes)
{
	static u8 some[10000], zero[100];

	OK(f->C_GenerateRandom(session, some, sizeof(some)));
	EXPECT(memcmp(some, zero, 100) && memcmp(some + 9900, zero, 100));
	OK(f->C_GenerateRandom(session, NULL, 0));
	EXPECT_EQ(f->C_SeedRandom(session, some, 1),
		  CKR_RANDOM_SEED_NOT_SUPPORTED);
	EXPECT_EQ(f->C_Verify(session, some, 1, some, 1),
		  CKR_FUNCTION_NOT_SUPPORTED);
}

/* What the program answers is not trusted. */
TEST(broken_program)
{
	static const ck_rv_t want[] = { 0, CKR_DEVICE_ERROR, CKR_DEVICE_ERROR,
					CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED };
	u8 sig[256], text[] = "text";
	unsigned long len = 256;

	for (int i = 1; i <= 4; i++) {
		OK(begin(CKM_SHA256_RSA_PKCS, 1));
		garble = i;
		EXPECT_EQ(f->C_Sign(session, text, 4, sig, &len), want[i]);
		EXPECT(f->C_GenerateRandom(session, sig, 4) != CKR_OK);
		garble = 0;
	}
}

/* A child has to initialise for itself; the parent goes on. */
TEST(forks)
{
	struct ck_info info;
	int status = 1;
	pid_t child = fork();

	if (!child)
		_exit(f->C_GetInfo(&info) != CKR_CRYPTOKI_NOT_INITIALIZED ||
		      f->C_Initialize(NULL) != CKR_OK ||
		      f->C_CloseSession(session) != CKR_SESSION_HANDLE_INVALID);
	waitpid(child, &status, 0);
	EXPECT_EQ(status, 0);
	OK(f->C_GetInfo(&info));
}

static void *ask_random(void *unused)
{
	u8 some[4];

	(void)unused;
	OK(f->C_GenerateRandom(session, some, sizeof(some)));
	return NULL;
}

/* The child has none of the parent's threads, and none to wait for. */
TEST(forks_meanwhile)
{
	pthread_t thread;
	int status = 1;
	pid_t child;

	sem_init(&called, 0, 0);
	sem_init(&go_on, 0, 0);
	slow = true;
	pthread_create(&thread, NULL, ask_random, NULL);
	sem_wait(&called);
	child = fork();
	if (!child) {
		alarm(60); /* what never ends */
		_exit(f->C_Initialize(NULL) != CKR_OK);
	}
	waitpid(child, &status, 0);
	EXPECT_EQ(status, 0);
	sem_post(&go_on);
	pthread_join(thread, NULL);
	slow = false;
}

static unsigned long state(ck_session_handle_t s)
{
	struct ck_session_info info = { .state = ~0UL };

	OK(f->C_GetSessionInfo(s, &info));
	return info.state;
}

/* PKCS#11 2.40, 5.6: a login is that of all sessions, and lasts as they do. */
TEST(logins)
{
	ck_session_handle_t writes;

	OK(f->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
			    &writes));
	EXPECT_EQ(f->C_Logout(session), CKR_USER_NOT_LOGGED_IN);
	EXPECT_EQ(f->C_Login(session, CKU_SO, NULL, 0), CKR_USER_TYPE_INVALID);
	EXPECT_EQ(state(session), CKS_RO_PUBLIC_SESSION);
	OK(f->C_Login(session, CKU_USER, NULL, 0));
	EXPECT_EQ(f->C_Login(writes, CKU_USER, NULL, 0),
		  CKR_USER_ALREADY_LOGGED_IN);
	EXPECT_EQ(state(session), CKS_RO_USER_FUNCTIONS);
	EXPECT_EQ(state(writes), CKS_RW_USER_FUNCTIONS);
	OK(f->C_Logout(writes));
	EXPECT_EQ(state(session), CKS_RO_PUBLIC_SESSION);
	OK(f->C_Login(session, CKU_USER, NULL, 0));
	OK(f->C_CloseSession(writes));
	OK(f->C_CloseSession(session));
	OK(f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session));
	EXPECT_EQ(state(session), CKS_RO_PUBLIC_SESSION);
}

TEST(sessions)
{
	ck_session_handle_t s;
	unsigned long n = 1;
	ck_rv_t error;
	struct ck_session_info info;

	while (!(error = f->C_OpenSession(0,
					  CKF_SERIAL_SESSION | CKF_RW_SESSION,
					  NULL, NULL, &s)))
		n++;
	EXPECT_EQ(error, CKR_SESSION_COUNT);
	EXPECT_EQ(n, 64);
	OK(f->C_GetSessionInfo(64, &info));
	EXPECT_EQ(info.state, CKS_RW_PUBLIC_SESSION);
	OK(f->C_Login(session, CKU_USER, NULL, 0));
	OK(begin(CKM_SHA256_RSA_PKCS, 1));
	OK(f->C_CloseAllSessions(0));
	EXPECT_EQ(f->C_GetSessionInfo(session, &info),
		  CKR_SESSION_HANDLE_INVALID);
	OK(f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session));
	OK(begin(CKM_SHA256_RSA_PKCS, 1));
	OK(f->C_Finalize(NULL));
	sign_finish(&sign);
}

TEST_MAIN(CASE(start), CASE(locking), CASE(presence), CASE(objects),
	  CASE(secrets), CASE(attributes), CASE(signing), CASE(pss),
	  CASE(long_data), CASE(random_bytes), CASE(broken_program),
	  CASE(forks), CASE(forks_meanwhile), CASE(logins), CASE(sessions))

/*
 * The PKCS#11 module against a hostile program and a careless application: the
 * input is the program's replies, and a list of calls.
 * units: tools/guest/pkcs11/module.c tools/guest/pkcs11/token.c tools/guest/pkcs11/der.c
 */
#include <stdlib.h>
#include <string.h>

#include "tools/guest/pkcs11/token.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static const u8 *input;
static size_t left;

static u8 take(void)
{
	if (!left)
		return 0;
	left--;
	return *input++;
}

static size_t take_length(void)
{
	size_t low = take();

	return low | (size_t)take() << 8;
}

static int fake_open(void)
{
	return 0;
}

/* The head is mostly right, so that what is behind it is looked at. */
static long fake_call(const void *request, size_t len, void *reply, size_t room)
{
	struct sign_reply head = { .version = SIGN_VERSION };
	size_t n = take_length();

	memcpy(&head.op, (const u8 *)request + 2, 2);
	head.count = take();
	head.status = take() % 16 ? SIGN_OK : take();
	if (n < sizeof(head))
		return (long)n;
	if (n > room)
		return (long)n;
	memcpy(reply, &head, sizeof(head));
	n -= sizeof(head);
	if (n > left)
		n = left;
	memcpy((u8 *)reply + sizeof(head), input, n);
	input += n;
	left -= n;
	return (long)(n + sizeof(head));
}

const struct transport *transport_get(void)
{
	static const struct transport t = { "fuzz", fake_open, fake_call };

	return &t;
}

static struct ck_function_list *f;

static void get_attribute(ck_session_handle_t s)
{
	u8 value[64];
	struct ck_attribute a[2] = { { take_length(), value, take() % 65 },
				     { take_length(), NULL, 0 } };

	f->C_GetAttributeValue(s, take(), a, 2);
}

static void find(ck_session_handle_t s)
{
	u8 value[8] = { take(), 0 };
	struct ck_attribute a = { take_length(), value, take() % 9 };
	ck_object_handle_t found[TOKEN_OBJECTS];
	unsigned long n;

	f->C_FindObjectsInit(s, &a, take() % 2);
	f->C_FindObjects(s, found, take() % (TOKEN_OBJECTS + 1), &n);
	if (take() % 4)
		f->C_FindObjectsFinal(s);
}

static void sign_init(ck_session_handle_t s)
{
	struct ck_rsa_pkcs_pss_params p = { take_length(), take(), take() };
	struct ck_mechanism m = { take_length(), take() % 2 ? &p : NULL,
				  take() % 4 ? sizeof(p) : take() };

	f->C_SignInit(s, &m, take());
}

static void sign_rest(ck_session_handle_t s)
{
	static u8 data[70000];
	u8 sig[256];
	unsigned long len = take() % 2 ? sizeof(sig) : take();
	u8 *out = take() % 8 ? sig : NULL;

	switch (take() % 3) {
	case 0:
		f->C_SignUpdate(s, data, take_length());
		break;
	case 1:
		f->C_SignFinal(s, out, &len);
		break;
	default:
		f->C_Sign(s, data, take_length(), out, &len);
	}
}

static void step(void)
{
	ck_session_handle_t s = take() % 4;
	unsigned long n;
	u8 bytes[300];

	switch (take() % 8) {
	case 0:
		f->C_OpenSession(0, take(), NULL, NULL, &s);
		break;
	case 1:
		f->C_CloseSession(s);
		break;
	case 2:
		f->C_GetSlotList(1, NULL, &n);
		break;
	case 3:
		get_attribute(s);
		break;
	case 4:
		find(s);
		break;
	case 5:
		sign_init(s);
		break;
	case 6:
		sign_rest(s);
		break;
	default:
		f->C_GenerateRandom(s, bytes, take());
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	ck_session_handle_t s;

	input = data;
	left = size;
	C_GetFunctionList(&f);
	if (f->C_Initialize(NULL))
		abort();
	f->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &s);
	while (left)
		step();
	if (f->C_Finalize(NULL))
		abort();
	return 0;
}

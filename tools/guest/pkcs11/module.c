/*
 * The PKCS#11 2.40 module: one slot, whose token is the sign program. Its keys
 * are there without a PIN, cannot be changed and can only sign. Data that the
 * program is to hash is collected here and sent as one message, so it is
 * limited to what a message takes; programs that hash themselves are not.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tools/guest/pkcs11/token.h"

#define SLOT	 0
#define SESSIONS 64
#define DATA_MAX (SIGN_MESSAGE - sizeof(struct sign_request) - 4)
#define SIG_MAX	 256

struct session {
	bool open;
	bool writes; /* says it will, and then cannot */
	ck_object_handle_t found[TOKEN_OBJECTS];
	unsigned long found_count, found_next;
	bool finding, signing;
	bool started; /* by C_SignUpdate() */
	struct token_scheme scheme;
	u8 *data; /* DATA_MAX bytes, while signing */
	size_t len;
};

/* One per process, as PKCS#11 has it; behind the lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	bool initialized;
	bool logged_in; /* the user, in all sessions */
	unsigned int open;
	struct session session[SESSIONS]; /* by handle - 1 */
	struct token token;
} module;

/* ---- mechanisms ---- */

/* "digest": the caller hashes, or sends what is to be signed as it is. */
static const struct mechanism {
	ck_mechanism_type_t type;
	struct token_scheme scheme;
} mechanisms[] = {
	{ CKM_RSA_PKCS, { SIGN_RSA2048, SIGN_PKCS1, SIGN_NO_HASH, 0, 0 } },
	{ CKM_SHA256_RSA_PKCS,
	  { SIGN_RSA2048, SIGN_PKCS1, SIGN_SHA256, 0, 0 } },
	{ CKM_SHA384_RSA_PKCS,
	  { SIGN_RSA2048, SIGN_PKCS1, SIGN_SHA384, 0, 0 } },
	{ CKM_SHA512_RSA_PKCS,
	  { SIGN_RSA2048, SIGN_PKCS1, SIGN_SHA512, 0, 0 } },
	{ CKM_RSA_PKCS_PSS,
	  { SIGN_RSA2048, SIGN_PSS, SIGN_NO_HASH, SIGN_IS_DIGEST, 0 } },
	{ CKM_SHA256_RSA_PKCS_PSS,
	  { SIGN_RSA2048, SIGN_PSS, SIGN_SHA256, 0, 0 } },
	{ CKM_SHA384_RSA_PKCS_PSS,
	  { SIGN_RSA2048, SIGN_PSS, SIGN_SHA384, 0, 0 } },
	{ CKM_SHA512_RSA_PKCS_PSS,
	  { SIGN_RSA2048, SIGN_PSS, SIGN_SHA512, 0, 0 } },
	{ CKM_ECDSA, { SIGN_P256, SIGN_ECDSA, SIGN_NO_HASH, 0, 0 } },
	{ CKM_ECDSA_SHA256, { SIGN_P256, SIGN_ECDSA, SIGN_SHA256, 0, 0 } },
	{ CKM_ECDSA_SHA384, { SIGN_P256, SIGN_ECDSA, SIGN_SHA384, 0, 0 } },
	{ CKM_ECDSA_SHA512, { SIGN_P256, SIGN_ECDSA, SIGN_SHA512, 0, 0 } },
};

static const struct {
	ck_mechanism_type_t type;
	unsigned long mgf;
	u8 hash;
} pss_hashes[] = {
	{ CKM_SHA256, CKG_MGF1_SHA256, SIGN_SHA256 },
	{ CKM_SHA384, CKG_MGF1_SHA384, SIGN_SHA384 },
	{ CKM_SHA512, CKG_MGF1_SHA512, SIGN_SHA512 },
};

static const struct mechanism *mechanism_find(ck_mechanism_type_t type)
{
	for (size_t i = 0; i < ARRAY_SIZE(mechanisms); i++)
		if (mechanisms[i].type == type)
			return &mechanisms[i];
	return NULL;
}

/* PKCS#11 2.40, 2.1.10: hash and mask function have to agree here. */
static ck_rv_t take_pss(struct token_scheme *s, const struct ck_mechanism *m)
{
	const struct ck_rsa_pkcs_pss_params *p = m->parameter;

	if (!p || m->parameter_len != sizeof(*p) || p->s_len > 256)
		return CKR_MECHANISM_PARAM_INVALID;
	for (size_t i = 0; i < ARRAY_SIZE(pss_hashes); i++) {
		u8 hash = pss_hashes[i].hash;

		if (pss_hashes[i].type != p->hash_alg ||
		    pss_hashes[i].mgf != p->mgf ||
		    (s->hash != SIGN_NO_HASH && s->hash != hash))
			continue;
		s->hash = hash;
		s->salt = (u16)p->s_len;
		return CKR_OK;
	}
	return CKR_MECHANISM_PARAM_INVALID;
}

/* ---- entry and exit of every function ---- */

static ck_rv_t leave(ck_rv_t result)
{
	pthread_mutex_unlock(&lock);
	return result;
}

/* Takes the lock, also when it fails: leave() follows. */
static ck_rv_t enter(void)
{
	pthread_mutex_lock(&lock);
	return module.initialized ? CKR_OK : CKR_CRYPTOKI_NOT_INITIALIZED;
}

static ck_rv_t enter_session(ck_session_handle_t handle, struct session **s)
{
	ck_rv_t error = enter();

	if (error)
		return error;
	if (handle - 1 >= SESSIONS || !module.session[handle - 1].open)
		return CKR_SESSION_HANDLE_INVALID;
	*s = &module.session[handle - 1];
	return CKR_OK;
}

static ck_rv_t enter_slot(ck_slot_id_t slot)
{
	ck_rv_t error = enter();

	if (error)
		return error;
	return slot == SLOT ? CKR_OK : CKR_SLOT_ID_INVALID;
}

/* Fixed fields of PKCS#11's structures are padded with blanks. */
static void pad(unsigned char *field, size_t size, const char *text)
{
	size_t len = strlen(text);

	memset(field, ' ', size);
	memcpy(field, text, len < size ? len : size);
}

/* ---- general ---- */

/* The parent's sessions are not the child's, and a thread of the parent's that
 * has the lock does not exist here. */
static void after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
	module.initialized = false;
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, after_fork);
}

/* PKCS#11 2.40, 5.4: mutexes of the caller's come all four or not at all, and
 * are not used here. */
static ck_rv_t check_locking(const struct ck_c_initialize_args *a)
{
	int given = !!a->create_mutex + !!a->destroy_mutex + !!a->lock_mutex +
		    !!a->unlock_mutex;

	if (a->reserved || given % 4)
		return CKR_ARGUMENTS_BAD;
	return given && !(a->flags & CKF_OS_LOCKING_OK) ? CKR_CANT_LOCK
							: CKR_OK;
}

static ck_rv_t initialize(void *args)
{
	ck_rv_t error = args ? check_locking(args) : CKR_OK;

	if (error)
		return error;
	pthread_mutex_lock(&lock);
	if (module.initialized)
		return leave(CKR_CRYPTOKI_ALREADY_INITIALIZED);
	memset(&module, 0, sizeof(module));
	module.initialized = true;
	module.token.transport = transport_get();
	return leave(CKR_OK);
}

static void stop_signing(struct session *s)
{
	free(s->data);
	s->data = NULL;
	s->signing = false;
}

static void close_session(struct session *s)
{
	if (!s->open)
		return;
	stop_signing(s);
	s->open = false;
	module.open--;
	if (!module.open)
		module.logged_in = false;
}

static void close_all(void)
{
	for (int i = 0; i < SESSIONS; i++)
		close_session(&module.session[i]);
}

static ck_rv_t finalize(void *reserved)
{
	ck_rv_t error = enter();

	if (!error && reserved)
		error = CKR_ARGUMENTS_BAD;
	if (!error) {
		close_all();
		module.initialized = false;
	}
	return leave(error);
}

static ck_rv_t get_info(struct ck_info *info)
{
	ck_rv_t error = enter();

	if (!error && !info)
		error = CKR_ARGUMENTS_BAD;
	if (!error) {
		memset(info, 0, sizeof(*info));
		info->cryptoki_version = (struct ck_version){ 2, 40 };
		info->library_version = (struct ck_version){ 1, 0 };
		pad(info->manufacturer_id, sizeof(info->manufacturer_id),
		    "Shoji");
		pad(info->library_description,
		    sizeof(info->library_description), "Shoji signatures");
	}
	return leave(error);
}

/* ---- slot and token ---- */

/* Whether there is a token. The keys are asked for again while nobody uses
 * them: a program that was started again has others. */
static ck_rv_t load(void)
{
	if (module.open)
		return CKR_OK;
	return token_load(&module.token);
}

/* How lists of numbers are handed out: NULL asks for their count. */
static ck_rv_t give_list(unsigned long *out, unsigned long *count,
			 const unsigned long *list, unsigned long n)
{
	unsigned long room = *count;

	*count = n;
	if (!out)
		return CKR_OK;
	if (room < n)
		return CKR_BUFFER_TOO_SMALL;
	memcpy(out, list, n * sizeof(*list));
	return CKR_OK;
}

static ck_rv_t get_slot_list(unsigned char present, ck_slot_id_t *slots,
			     unsigned long *count)
{
	static const ck_slot_id_t all[] = { SLOT };
	ck_rv_t error = enter();

	if (!error && !count)
		error = CKR_ARGUMENTS_BAD;
	if (!error)
		error = give_list(slots, count, all, !present || !load());
	return leave(error);
}

static ck_rv_t get_slot_info(ck_slot_id_t slot, struct ck_slot_info *info)
{
	ck_rv_t error = enter_slot(slot);

	if (!error && !info)
		error = CKR_ARGUMENTS_BAD;
	if (!error) {
		memset(info, 0, sizeof(*info));
		pad(info->slot_description, sizeof(info->slot_description),
		    module.token.transport->name);
		pad(info->manufacturer_id, sizeof(info->manufacturer_id),
		    "Shoji");
		info->flags = CKF_REMOVABLE_DEVICE;
		if (!load())
			info->flags |= CKF_TOKEN_PRESENT;
	}
	return leave(error);
}

static void fill_token_info(struct ck_token_info *info)
{
	memset(info, 0, sizeof(*info));
	pad(info->label, sizeof(info->label), "Shoji");
	pad(info->manufacturer_id, sizeof(info->manufacturer_id), "Shoji");
	pad(info->model, sizeof(info->model), "sign");
	pad(info->serial_number, sizeof(info->serial_number), "1");
	pad(info->utc_time, sizeof(info->utc_time), "");
	info->flags = CKF_RNG | CKF_TOKEN_INITIALIZED;
	info->max_session_count = SESSIONS;
	info->session_count = module.open;
	info->max_rw_session_count = CK_UNAVAILABLE_INFORMATION;
	info->rw_session_count = CK_UNAVAILABLE_INFORMATION;
	info->total_public_memory = CK_UNAVAILABLE_INFORMATION;
	info->free_public_memory = CK_UNAVAILABLE_INFORMATION;
	info->total_private_memory = CK_UNAVAILABLE_INFORMATION;
	info->free_private_memory = CK_UNAVAILABLE_INFORMATION;
	info->hardware_version = (struct ck_version){ 1, 0 };
	info->firmware_version = (struct ck_version){ 1, 0 };
}

static ck_rv_t get_token_info(ck_slot_id_t slot, struct ck_token_info *info)
{
	ck_rv_t error = enter_slot(slot);

	if (!error && !info)
		error = CKR_ARGUMENTS_BAD;
	if (!error)
		error = load();
	if (!error)
		fill_token_info(info);
	return leave(error);
}

static ck_rv_t get_mechanism_list(ck_slot_id_t slot, ck_mechanism_type_t *list,
				  unsigned long *count)
{
	unsigned long all[ARRAY_SIZE(mechanisms)];
	ck_rv_t error = enter_slot(slot);

	if (!error && !count)
		error = CKR_ARGUMENTS_BAD;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		all[i] = mechanisms[i].type;
	if (!error)
		error = give_list(list, count, all, ARRAY_SIZE(all));
	return leave(error);
}

static ck_rv_t get_mechanism_info(ck_slot_id_t slot, ck_mechanism_type_t type,
				  struct ck_mechanism_info *info)
{
	const struct mechanism *m = mechanism_find(type);
	ck_rv_t error = enter_slot(slot);

	if (!error && !info)
		error = CKR_ARGUMENTS_BAD;
	if (!error && !m)
		error = CKR_MECHANISM_INVALID;
	if (!error) {
		unsigned long bits = m->scheme.key == SIGN_P256 ? 256 : 2048;

		*info = (struct ck_mechanism_info){ bits, bits,
						    CKF_HW | CKF_SIGN };
		if (m->scheme.key == SIGN_P256)
			info->flags |= CKF_EC_F_P | CKF_EC_NAMEDCURVE |
				       CKF_EC_UNCOMPRESS;
	}
	return leave(error);
}

/* ---- sessions ---- */

static ck_rv_t new_session(ck_flags_t flags, ck_session_handle_t *handle)
{
	ck_rv_t error;

	if (!handle)
		return CKR_ARGUMENTS_BAD;
	if (!(flags & CKF_SERIAL_SESSION))
		return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
	error = load();
	if (error)
		return error;
	for (unsigned long i = 0; i < SESSIONS; i++) {
		if (module.session[i].open)
			continue;
		module.session[i] =
			(struct session){ .open = true,
					  .writes = flags & CKF_RW_SESSION };
		module.open++;
		*handle = i + 1;
		return CKR_OK;
	}
	return CKR_SESSION_COUNT;
}

static ck_rv_t open_session(ck_slot_id_t slot, ck_flags_t flags,
			    void *application, ck_notify_t notify,
			    ck_session_handle_t *handle)
{
	ck_rv_t error = enter_slot(slot);

	return leave(error ? error : new_session(flags, handle));
}

static ck_rv_t close_one_session(ck_session_handle_t handle)
{
	struct session *s;
	ck_rv_t error = enter_session(handle, &s);

	if (!error)
		close_session(s);
	return leave(error);
}

static ck_rv_t close_all_sessions(ck_slot_id_t slot)
{
	ck_rv_t error = enter_slot(slot);

	if (!error)
		close_all();
	return leave(error);
}

static ck_rv_t get_session_info(ck_session_handle_t handle,
				struct ck_session_info *info)
{
	struct session *s;
	ck_rv_t error = enter_session(handle, &s);

	if (!error && !info)
		error = CKR_ARGUMENTS_BAD;
	if (!error) {
		*info = (struct ck_session_info){ .slot_id = SLOT };
		if (module.logged_in)
			info->state = s->writes ? CKS_RW_USER_FUNCTIONS
						: CKS_RO_USER_FUNCTIONS;
		else
			info->state = s->writes ? CKS_RW_PUBLIC_SESSION
						: CKS_RO_PUBLIC_SESSION;
		info->flags =
			CKF_SERIAL_SESSION | (s->writes ? CKF_RW_SESSION : 0);
	}
	return leave(error);
}

/* There is no PIN: any is right, so that tools that insist on one work. */
static ck_rv_t login(ck_session_handle_t handle, ck_user_type_t user,
		     unsigned char *pin, unsigned long pin_len)
{
	struct session *s;
	ck_rv_t error = enter_session(handle, &s);

	if (!error && user != CKU_USER)
		error = CKR_USER_TYPE_INVALID;
	if (!error && module.logged_in)
		error = CKR_USER_ALREADY_LOGGED_IN;
	if (!error)
		module.logged_in = true;
	return leave(error);
}

static ck_rv_t logout(ck_session_handle_t handle)
{
	struct session *s;
	ck_rv_t error = enter_session(handle, &s);

	if (!error && !module.logged_in)
		error = CKR_USER_NOT_LOGGED_IN;
	if (!error)
		module.logged_in = false;
	return leave(error);
}

/* ---- objects ---- */

static ck_rv_t get_attribute_value(ck_session_handle_t handle,
				   ck_object_handle_t object,
				   struct ck_attribute *list,
				   unsigned long count)
{
	struct session *s;
	ck_rv_t error = enter_session(handle, &s), one;

	if (!error && !list)
		error = CKR_ARGUMENTS_BAD;
	if (!error && !token_has_object(&module.token, object))
		error = CKR_OBJECT_HANDLE_INVALID;
	if (error)
		return leave(error);
	for (unsigned long i = 0; i < count; i++) {
		one = token_attribute(&module.token, object, &list[i]);
		if (one)
			error = one;
	}
	return leave(error);
}

static ck_rv_t get_object_size(ck_session_handle_t handle,
			       ck_object_handle_t object, unsigned long *size)
{
	struct session *s;
	ck_rv_t error = enter_session(handle, &s);

	if (!error && !size)
		error = CKR_ARGUMENTS_BAD;
	if (!error && !token_has_object(&module.token, object))
		error = CKR_OBJECT_HANDLE_INVALID;
	if (!error)
		*size = CK_UNAVAILABLE_INFORMATION;
	return leave(error);
}

static ck_rv_t find_objects_init(ck_session_handle_t handle,
				 struct ck_attribute *wanted,
				 unsigned long count)
{
	struct session *s;
	ck_rv_t error = enter_session(handle, &s);

	if (!error && count && !wanted)
		error = CKR_ARGUMENTS_BAD;
	if (!error && s->finding)
		error = CKR_OPERATION_ACTIVE;
	if (error)
		return leave(error);
	s->finding = true;
	s->found_count = s->found_next = 0;
	for (ck_object_handle_t o = 1; o <= TOKEN_OBJECTS; o++)
		if (token_has_object(&module.token, o) &&
		    token_matches(&module.token, o, wanted, count))
			s->found[s->found_count++] = o;
	return leave(CKR_OK);
}

static ck_rv_t find_objects(ck_session_handle_t handle, ck_object_handle_t *out,
			    unsigned long most, unsigned long *count)
{
	struct session *s;
	ck_rv_t error = enter_session(handle, &s);

	if (!error && (!out || !count))
		error = CKR_ARGUMENTS_BAD;
	if (!error && !s->finding)
		error = CKR_OPERATION_NOT_INITIALIZED;
	if (error)
		return leave(error);
	for (*count = 0; *count < most && s->found_next < s->found_count;)
		out[(*count)++] = s->found[s->found_next++];
	return leave(CKR_OK);
}

static ck_rv_t find_objects_final(ck_session_handle_t handle)
{
	struct session *s;
	ck_rv_t error = enter_session(handle, &s);

	if (!error && !s->finding)
		error = CKR_OPERATION_NOT_INITIALIZED;
	if (!error)
		s->finding = false;
	return leave(error);
}

/* ---- signing ---- */

static ck_rv_t begin(struct session *s, const struct ck_mechanism *mechanism,
		     ck_object_handle_t key)
{
	const struct mechanism *m;
	u8 type = token_private_key(&module.token, key);
	ck_rv_t error;

	if (!mechanism)
		return CKR_ARGUMENTS_BAD;
	m = mechanism_find(mechanism->mechanism);
	if (s->signing)
		return CKR_OPERATION_ACTIVE;
	if (!m)
		return CKR_MECHANISM_INVALID;
	if (type == SIGN_KEY_TYPES)
		return CKR_KEY_HANDLE_INVALID;
	if (type != m->scheme.key)
		return CKR_KEY_TYPE_INCONSISTENT;
	s->scheme = m->scheme;
	if (m->scheme.scheme == SIGN_PSS) {
		error = take_pss(&s->scheme, mechanism);
		if (error)
			return error;
	}
	s->data = malloc(DATA_MAX);
	if (!s->data)
		return CKR_HOST_MEMORY;
	s->len = 0;
	s->signing = true;
	s->started = false;
	return CKR_OK;
}

static ck_rv_t sign_init(ck_session_handle_t handle,
			 struct ck_mechanism *mechanism, ck_object_handle_t key)
{
	struct session *s;
	ck_rv_t error = enter_session(handle, &s);

	return leave(error ? error : begin(s, mechanism, key));
}

static ck_rv_t add(struct session *s, const u8 *data, unsigned long len)
{
	if (len && !data)
		return CKR_ARGUMENTS_BAD;
	if (len > DATA_MAX - s->len)
		return CKR_DATA_LEN_RANGE;
	if (len)
		memcpy(s->data + s->len, data, len);
	s->len += len;
	return CKR_OK;
}

/* Signs what was collected. Only asking for the length, and a buffer that is
 * too small, leave the operation active (PKCS#11 2.40, 5.2). */
static ck_rv_t finish(struct session *s, u8 *out, unsigned long *out_len,
		      const u8 *data, unsigned long len)
{
	size_t need = token_signature_size(s->scheme.key);
	ck_rv_t error;
	u8 sig[SIG_MAX];

	if (!out_len) {
		stop_signing(s);
		return CKR_ARGUMENTS_BAD;
	}
	if (!out || *out_len < need) {
		*out_len = need;
		return out ? CKR_BUFFER_TOO_SMALL : CKR_OK;
	}
	error = add(s, data, len);
	if (!error)
		error = token_sign(&module.token, &s->scheme, s->data, s->len,
				   sig, &need);
	if (!error) {
		memcpy(out, sig, need);
		*out_len = need;
	}
	stop_signing(s);
	return error;
}

static ck_rv_t sign(ck_session_handle_t handle, unsigned char *data,
		    unsigned long len, unsigned char *out,
		    unsigned long *out_len)
{
	struct session *s;
	ck_rv_t error = enter_session(handle, &s);

	if (!error && (!s->signing || s->started))
		error = CKR_OPERATION_NOT_INITIALIZED;
	return leave(error ? error : finish(s, out, out_len, data, len));
}

static ck_rv_t sign_update(ck_session_handle_t handle, unsigned char *data,
			   unsigned long len)
{
	struct session *s;
	ck_rv_t error = enter_session(handle, &s);

	if (!error && !s->signing)
		error = CKR_OPERATION_NOT_INITIALIZED;
	if (error)
		return leave(error);
	s->started = true;
	error = add(s, data, len);
	if (error)
		stop_signing(s);
	return leave(error);
}

static ck_rv_t sign_final(ck_session_handle_t handle, unsigned char *out,
			  unsigned long *out_len)
{
	struct session *s;
	ck_rv_t error = enter_session(handle, &s);

	if (!error && !s->signing)
		error = CKR_OPERATION_NOT_INITIALIZED;
	return leave(error ? error : finish(s, out, out_len, NULL, 0));
}

/* ---- random numbers ---- */

static ck_rv_t seed_random(ck_session_handle_t handle, unsigned char *seed,
			   unsigned long len)
{
	struct session *s;
	ck_rv_t error = enter_session(handle, &s);

	return leave(error ? error : CKR_RANDOM_SEED_NOT_SUPPORTED);
}

static ck_rv_t generate_random(ck_session_handle_t handle, unsigned char *out,
			       unsigned long len)
{
	struct session *s;
	ck_rv_t error = enter_session(handle, &s);

	if (!error && len && !out)
		error = CKR_ARGUMENTS_BAD;
	if (!error)
		error = token_random(&module.token, out, len);
	return leave(error);
}

/* ---- the list ---- */

static ck_rv_t not_supported(void)
{
	return CKR_FUNCTION_NOT_SUPPORTED;
}

static ck_rv_t not_parallel(void)
{
	return CKR_FUNCTION_NOT_PARALLEL;
}

/* The caller passes more arguments than are taken, which the ABI allows. */
#define AS(name, fn) .C_##name = (CK_C_##name)(void (*)(void))(fn)
#define NOT(name)    AS(name, not_supported)

static struct ck_function_list functions = {
	.version = { 2, 40 },
	.C_Initialize = initialize,
	.C_Finalize = finalize,
	.C_GetInfo = get_info,
	.C_GetFunctionList = C_GetFunctionList,
	.C_GetSlotList = get_slot_list,
	.C_GetSlotInfo = get_slot_info,
	.C_GetTokenInfo = get_token_info,
	.C_GetMechanismList = get_mechanism_list,
	.C_GetMechanismInfo = get_mechanism_info,
	NOT(InitToken),
	NOT(InitPIN),
	NOT(SetPIN),
	.C_OpenSession = open_session,
	.C_CloseSession = close_one_session,
	.C_CloseAllSessions = close_all_sessions,
	.C_GetSessionInfo = get_session_info,
	NOT(GetOperationState),
	NOT(SetOperationState),
	.C_Login = login,
	.C_Logout = logout,
	NOT(CreateObject),
	NOT(CopyObject),
	NOT(DestroyObject),
	.C_GetObjectSize = get_object_size,
	.C_GetAttributeValue = get_attribute_value,
	NOT(SetAttributeValue),
	.C_FindObjectsInit = find_objects_init,
	.C_FindObjects = find_objects,
	.C_FindObjectsFinal = find_objects_final,
	NOT(EncryptInit),
	NOT(Encrypt),
	NOT(EncryptUpdate),
	NOT(EncryptFinal),
	NOT(DecryptInit),
	NOT(Decrypt),
	NOT(DecryptUpdate),
	NOT(DecryptFinal),
	NOT(DigestInit),
	NOT(Digest),
	NOT(DigestUpdate),
	NOT(DigestKey),
	NOT(DigestFinal),
	.C_SignInit = sign_init,
	.C_Sign = sign,
	.C_SignUpdate = sign_update,
	.C_SignFinal = sign_final,
	NOT(SignRecoverInit),
	NOT(SignRecover),
	NOT(VerifyInit),
	NOT(Verify),
	NOT(VerifyUpdate),
	NOT(VerifyFinal),
	NOT(VerifyRecoverInit),
	NOT(VerifyRecover),
	NOT(DigestEncryptUpdate),
	NOT(DecryptDigestUpdate),
	NOT(SignEncryptUpdate),
	NOT(DecryptVerifyUpdate),
	NOT(GenerateKey),
	NOT(GenerateKeyPair),
	NOT(WrapKey),
	NOT(UnwrapKey),
	NOT(DeriveKey),
	.C_SeedRandom = seed_random,
	.C_GenerateRandom = generate_random,
	AS(GetFunctionStatus, not_parallel),
	AS(CancelFunction, not_parallel),
	NOT(WaitForSlotEvent),
};

__attribute__((visibility("default"))) ck_rv_t C_GetFunctionList(
	struct ck_function_list **list)
{
	if (!list)
		return CKR_ARGUMENTS_BAD;
	*list = &functions;
	return CKR_OK;
}
